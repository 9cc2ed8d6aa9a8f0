import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { startChild, type Child } from '../../children.ts'
import { ProbeFailure } from '../../core/probe.ts'
import type { DiskCalls } from './disk-calls.ts'

/** Workers at a time that do not hang: more places wait for a turn. */
const MOST_BUSY = 8
/** An idle worker is kept so long, and so many of them: starting one takes 60 ms, keeping one 40 MB. */
const IDLE_MS = 90_000
const MOST_IDLE = 2
/** Kept back from the run's time, to say what hangs. */
const MARGIN_MS = 20
/** A line of an answer is at most a file of 1 MB in base64, or the mountinfo of a busy node. */
const LONGEST_LINE = 8 * 1024 * 1024

/** A call did not come back in time, or an earlier one at the same place still has not. */
export class DiskHung extends Error {
  override readonly name = 'DiskHung'
  readonly call: keyof DiskCalls
  readonly sinceMs: number

  constructor(call: keyof DiskCalls, sinceMs: number) {
    super(`${call} has not come back for ${Math.round(sinceMs)} ms`)
    this.call = call
    this.sinceMs = sinceMs
  }
}

/** A worker, lent to one run. */
export interface Disk {
  /** Rejects with the call's errno error, with DiskHung, or with a ProbeFailure of layer prober when we are at fault. */
  call<C extends keyof DiskCalls>(name: C, ...args: Parameters<DiskCalls[C]>): Promise<ReturnType<DiskCalls[C]>>
  /** Gives the worker back. One that hangs is left alone until its call returns. */
  close(): void
}

interface Worker {
  readonly child: Child
  pending: { readonly name: keyof DiskCalls, readonly since: number, readonly settle: (answer: Answer) => void } | undefined
  idleTimer: NodeJS.Timeout | undefined
  gone: string | undefined
}

type Answer = { readonly value: unknown } | { readonly error: Error }

const idle: Worker[] = []
const hung = new Map<string, Set<Worker>>()
const waiting: (() => void)[] = []
let busy = 0

/**
 * Lends a worker for the calls of one run at a place (a mount, a file). Calls of the file system never touch this process:
 * libuv's pool has four threads, and a hung mount keeps each for ever. A worker that hangs is abandoned, not killed: no
 * signal ends a call that waits for a dead file system, and the one that waits shows when it is alive again. Until then the
 * place gets no other one: this rejects with DiskHung at once.
 */
export async function openDisk(place: string, { signal, deadline }: { readonly signal: AbortSignal, readonly deadline: number }): Promise<Disk> {
  const until = deadline - MARGIN_MS
  const [stuck] = hung.get(place) ?? []
  if (stuck?.pending) throw new DiskHung(stuck.pending.name, performance.now() - stuck.pending.since)
  await aTurn(until, signal)
  let worker: Worker
  try {
    worker = idle.pop() ?? await start(until, signal)
  } catch (error) {
    endTurn()
    throw error
  }
  clearTimeout(worker.idleTimer)
  let open = true

  return {
    async call(name, ...args) {
      const answer = await ask(worker, name, args, until, signal)
      if ('error' in answer) throw answer.error
      return answer.value as never // safe: the worker runs the function of this name in disk-calls.ts
    },
    close() {
      if (!open) return
      open = false
      endTurn()
      if (worker.pending) abandon(worker, place)
      else rest(worker)
    },
  }
}

/** Waits for one of the places, in the order of arrival. */
function aTurn(until: number, signal: AbortSignal): Promise<void> {
  if (busy < MOST_BUSY) {
    busy++
    return Promise.resolve()
  }
  return new Promise((resolve, reject) => {
    const leave = (error: unknown) => {
      waiting.splice(waiting.indexOf(go), 1)
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      reject(error)
    }
    const go = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      busy++
      resolve()
    }
    const onAbort = () => leave(signal.reason)
    const timer = setTimeout(() => leave(new ProbeFailure('prober_children', `${MOST_BUSY} other places of the file system are being looked at`)), until - performance.now())
    signal.addEventListener('abort', onAbort, { once: true })
    waiting.push(go)
  })
}

function endTurn(): void {
  busy--
  waiting.shift()?.()
}

async function start(until: number, signal: AbortSignal): Promise<Worker> {
  const entry = new URL(import.meta.url.endsWith('.ts') ? './disk-worker.ts' : './disk-worker.js', import.meta.url)
  const worker: Worker = {
    child: startChild(process.execPath, [entry.pathname], (why) => {
      worker.gone = why
      worker.pending?.settle({ error: lost(worker) })
      if (idle.includes(worker)) idle.splice(idle.indexOf(worker), 1)
    }),
    pending: undefined, idleTimer: undefined, gone: undefined,
  }
  let length = 0
  worker.child.process.stdout.on('data', (chunk: Buffer) => {
    length = chunk.includes(10) ? 0 : length + chunk.length
    if (length > LONGEST_LINE) worker.child.process.kill('SIGKILL')
  })
  createInterface({ input: worker.child.process.stdout }).on('line', (line) => {
    const { pending } = worker
    worker.pending = undefined
    pending?.settle(read(line))
  })
  const ready = await answerTo(worker, 'release', until, signal)
  if (ready && 'value' in ready) return worker
  worker.child.process.kill('SIGKILL')
  throw ready?.error ?? new ProbeFailure('prober_starved', 'the helper process did not start in time')
}

async function ask(worker: Worker, name: keyof DiskCalls, args: readonly unknown[], until: number, signal: AbortSignal): Promise<Answer> {
  if (worker.gone !== undefined) return { error: lost(worker) }
  if (worker.pending) throw new Error('one call at a time')
  worker.child.process.stdin.write(`${JSON.stringify({ call: name, args })}\n`)
  const since = performance.now()
  const answer = await answerTo(worker, name, until, signal)
  if (answer) return answer
  // One that is ready to run or was stopped waits for this machine, not for the file system.
  const state = stateOf(worker.child.pid)
  if (state === 'R' || state === 'T' || state === 't') return { error: new ProbeFailure('prober_starved', `the helper process did not get to ${name} in time (state ${state})`) }
  return { error: new DiskHung(name, performance.now() - since) }
}

/** The next answer of the worker, or undefined when the time is over; it stays pending then. Rejects when the signal aborts. */
function answerTo(worker: Worker, name: keyof DiskCalls, until: number, signal: AbortSignal): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    const onAbort = () => { done(); reject(signal.reason) }
    const timer = setTimeout(() => { done(); resolve(undefined) }, Math.max(0, until - performance.now()))
    signal.addEventListener('abort', onAbort, { once: true })
    worker.pending = { name, since: performance.now(), settle: (answer) => { done(); resolve(answer) } }
    if (signal.aborted) onAbort()
  })
}

/** Leaves a worker to its call. When that returns the place is well again, and the worker too. */
function abandon(worker: Worker, place: string): void {
  const since = worker.pending?.since ?? performance.now()
  const here = hung.get(place) ?? new Set()
  hung.set(place, here.add(worker))
  worker.child.stuck = true
  const back = () => {
    worker.child.stuck = false
    here.delete(worker)
    if (here.size === 0 && hung.get(place) === here) hung.delete(place)
    if (worker.gone === undefined) rest(worker)
  }
  worker.pending = { name: worker.pending?.name ?? 'release', since, settle: back }
}

/** Keeps a worker for the next run, or lets it end. */
function rest(worker: Worker): void {
  if (worker.gone !== undefined) return
  if (idle.length >= MOST_IDLE) {
    worker.child.process.stdin.end()
    return
  }
  // Whatever the last run has left open; its own last call if that hangs.
  idle.push(worker)
  worker.idleTimer = setTimeout(() => {
    idle.splice(idle.indexOf(worker), 1)
    worker.child.process.stdin.end()
  }, IDLE_MS).unref()
}

function lost(worker: Worker): ProbeFailure {
  const complaint = worker.child.complaint().trim().split('\n').at(-1) ?? ''
  return new ProbeFailure('prober_worker_lost', `the helper process is gone: ${worker.gone ?? 'killed'}${complaint === '' ? '' : ` (${complaint})`}`)
}

function read(line: string): Answer {
  const answer = JSON.parse(line) as { value?: unknown, error?: { message: string, code?: string } } // safe: disk-worker.ts writes nothing else
  if (!answer.error) return { value: answer.value }
  const { message, code } = answer.error
  return { error: code === undefined ? new Error(message) : Object.assign(new Error(message), { code }) }
}

/** The kernel's letter for what a process does; undefined when it is gone. */
function stateOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3)
  } catch {
    return undefined
  }
}
