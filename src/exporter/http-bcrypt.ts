import { Worker } from 'node:worker_threads'

const MOST_WAITING = 16
const DEADLINE_MS = 15_000

/** The comparison could not be made: too many wait, it took too long, or the thread died. */
export class CannotCompare extends Error {
  override readonly name = 'CannotCompare'
}

export interface Comparer {
  /** Whether the password belongs to the bcrypt hash. Rejects with `CannotCompare`; ends within 15 s of its turn. */
  compare(password: string, hash: string): Promise<boolean>
  close(): Promise<void>
}

interface Waiting {
  readonly password: string
  readonly hash: string
  readonly resolve: (same: boolean) => void
  readonly reject: (error: Error) => void
}

/** Where the worker stands: beside this file in a checkout (.ts), beside the bundle when published (.js). */
export function workerUrl(from: string = import.meta.url): URL {
  return new URL(from.endsWith('.ts') ? './bcrypt-worker.ts' : './bcrypt-worker.js', from)
}

/** Compares passwords on one worker thread, one at a time. The thread starts with the first one, and anew when it has died. */
export function createComparer(url: URL = workerUrl(), deadlineMs = DEADLINE_MS): Comparer {
  const waiting: Waiting[] = []
  let worker: Worker | undefined
  let current: Waiting | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function settle(outcome: boolean | Error): void {
    clearTimeout(timer)
    const done = current
    current = undefined
    if (typeof outcome === 'boolean') done?.resolve(outcome)
    else done?.reject(outcome)
    next()
  }

  function drop(reason: string): void {
    const old = worker
    worker = undefined
    void old?.terminate() // it resolves when the thread is gone, which nobody waits for
    settle(new CannotCompare(reason))
  }

  function start(): Worker {
    const thread = new Worker(url, { env: {}, resourceLimits: { maxOldGenerationSizeMb: 32 } })
    thread.unref()
    thread.on('message', (same: unknown) => { if (thread === worker) settle(same === true) })
    thread.on('error', (error) => { if (thread === worker) drop(`the bcrypt thread failed: ${error instanceof Error ? error.message : String(error)}`) })
    thread.on('exit', () => { if (thread === worker) drop('the bcrypt thread ended') })
    return thread
  }

  function next(): void {
    if (closed || current) return
    current = waiting.shift()
    if (!current) return
    worker ??= start()
    timer = setTimeout(() => drop(`the comparison took more than ${deadlineMs / 1000} s`), deadlineMs)
    worker.postMessage({ password: current.password, hash: current.hash })
  }

  return {
    compare(password, hash) {
      return new Promise((resolve, reject) => {
        if (closed || waiting.length >= MOST_WAITING) return reject(new CannotCompare('too many logins at a time'))
        waiting.push({ password, hash, resolve, reject })
        next()
      })
    },
    async close() {
      closed = true
      clearTimeout(timer)
      for (const left of [current, ...waiting.splice(0)]) left?.reject(new CannotCompare('Curlew is stopping'))
      current = undefined
      const old = worker
      worker = undefined
      await old?.terminate()
    },
  }
}
