import { fileURLToPath } from 'node:url'
import { startChild, type Child } from '../../children.ts'
import { ProbeFailure } from '../../core/probe.ts'
import type { DiskCalls } from './disk-calls.ts'

/** Workers at a time, those that hang included; each has 12 MB of its own, beside what they share. */
const MOST_WORKERS = 32
/** Those of them that may be where they can hang: the others are for questions that the kernel answers by itself. */
const MOST_AT_RISK = 30
/** Starting one takes 20 to 30 ms of a core. */
const MOST_STARTING = 4
/** A worker without work is kept so long, and so many of them. */
const IDLE_MS = 90_000
const MOST_IDLE = 2

/** A process of disk-worker.ts, which makes one call after the other. */
export interface Worker {
  readonly child: Child
  /** Lent for calls that may hang, or left in one. */
  atRisk: boolean
  /** The call that is out. */
  out: { readonly name: keyof DiskCalls, readonly since: number } | undefined
  /** Takes the next answer; or the news that there will be none. */
  onAnswer: (answer: Answer) => void
  idleTimer: NodeJS.Timeout | undefined
  gone: string | undefined
}

export interface Answer {
  readonly value?: unknown
  readonly error?: Error
  readonly ms: number
}

interface Waiting {
  readonly atRisk: boolean
  readonly take: (worker: Worker) => void
  readonly fail: (error: unknown) => void
}

const workers = new Set<Worker>()
const idle: Worker[] = []
const waiting: Waiting[] = []
let starting = 0

/**
 * Lends a worker as soon as there is one, in the order of arrival; `atRisk` when it is for calls that may hang. Rejects with a
 * ProbeFailure of layer prober when there is none until then.
 */
export function lend(atRisk: boolean, until: number, signal: AbortSignal): Promise<Worker> {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      const place = waiting.indexOf(one)
      if (place >= 0) waiting.splice(place, 1)
    }
    const one: Waiting = {
      atRisk,
      take(worker) {
        done()
        worker.atRisk = atRisk
        resolve(worker)
      },
      fail: (error) => { done(); reject(error) },
    }
    const onAbort = () => one.fail(signal.reason)
    const timer = setTimeout(() => one.fail(next().includes(one) && workers.size < MOST_WORKERS
      ? new ProbeFailure('prober_starved', 'no helper process started in time')
      : new ProbeFailure('prober_children', `${workers.size} helper processes are at work, ${[...workers].filter(({ child }) => child.stuck).length} of them hang`)), Math.max(0, until - performance.now()))
    signal.addEventListener('abort', onAbort, { once: true })
    waiting.push(one)
    if (signal.aborted) onAbort()
    else serve()
  })
}

/** Those who wait and may have a worker. */
function next(): Waiting[] {
  let room = MOST_AT_RISK - [...workers].filter(({ atRisk }) => atRisk).length
  return waiting.filter(({ atRisk }) => !atRisk || room-- > 0)
}

/** Gives workers to those who wait, and starts more where there are too few. */
function serve(): void {
  for (const one of next().slice(0, idle.length)) {
    const worker = idle.pop()
    clearTimeout(worker?.idleTimer)
    if (worker) one.take(worker)
  }
  while (starting < Math.min(next().length, MOST_STARTING) && workers.size < MOST_WORKERS) {
    try {
      start()
    } catch (error) {
      next()[0]?.fail(error)
    }
  }
}

/** Starts a worker, which goes to whoever waits first when it is ready. */
function start(): void {
  const entry = new URL(import.meta.url.endsWith('.ts') ? './disk-worker.ts' : './disk-worker.js', import.meta.url)
  let ready = false
  const worker: Worker = {
    child: startChild(process.execPath, [fileURLToPath(entry)], (why) => {
      worker.gone = why
      workers.delete(worker)
      if (!ready) {
        starting--
        next()[0]?.fail(lost(worker))
      }
      if (idle.includes(worker)) idle.splice(idle.indexOf(worker), 1)
      clearTimeout(worker.idleTimer)
      worker.onAnswer({ error: lost(worker), ms: 0 })
      serve()
    }),
    atRisk: false, out: undefined, idleTimer: undefined, gone: undefined,
    onAnswer() {
      if (ready || worker.gone !== undefined) return
      ready = true
      starting--
      takeBack(worker)
    },
  }
  workers.add(worker)
  starting++
  let rest = ''
  // Only whole lines: readline also tells the half one of a worker that was killed while it wrote.
  worker.child.process.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      worker.out = undefined
      worker.onAnswer(read(line))
    }
  })
}

/** Takes a worker back: gives it to whoever waits, keeps it for the next run, or lets it end. */
export function takeBack(worker: Worker): void {
  if (worker.gone !== undefined) return
  worker.atRisk = false
  idle.push(worker)
  serve()
  if (!idle.includes(worker)) return
  if (idle.length > MOST_IDLE) return end(worker)
  worker.idleTimer = setTimeout(() => end(worker), IDLE_MS).unref()
}

function end(worker: Worker): void {
  idle.splice(idle.indexOf(worker), 1)
  worker.child.process.stdin.end()
}

/** What is said of a worker that has ended. */
export function lost(worker: Worker): ProbeFailure {
  const complaint = worker.child.complaint().trim().split('\n').at(-1) ?? ''
  return new ProbeFailure('prober_worker_lost', `the helper process is gone: ${worker.gone ?? 'killed'}${complaint === '' ? '' : ` (${complaint})`}`)
}

function read(line: string): Answer {
  // safe: disk-worker.ts writes nothing else
  const { value, error, ms } = JSON.parse(line) as { value?: unknown, error?: { message: string, code?: string, syscall?: string }, ms: number }
  if (!error) return { value, ms }
  const { message, ...facts } = error
  return { error: Object.assign(new Error(message), facts), ms }
}
