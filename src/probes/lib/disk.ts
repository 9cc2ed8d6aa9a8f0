import { readFileSync } from 'node:fs'
import { ProbeFailure } from '../../core/probe.ts'
import type { DiskCalls } from './disk-calls.ts'
import { lend, lost, takeBack, type Answer, type Worker } from './disk-pool.ts'

/** Kept back from the run's time to say what hangs; at most a twentieth of it. The timers of a busy process ring late. */
const MARGIN_MS = 250
/** How long a call that an aborted run has left behind may take until it counts as hung. */
const LEFT_MS = 1_000

type Call = keyof DiskCalls

/** A call did not come back in time, or an earlier one at the same place still has not. */
export class DiskHung extends Error {
  override readonly name = 'DiskHung'
  readonly call: Call
  readonly sinceMs: number

  constructor(call: Call, since: number) {
    const sinceMs = performance.now() - since
    super(`${call} has not come back for ${Math.round(sinceMs)} ms`)
    this.call = call
    this.sinceMs = sinceMs
  }
}

/** A worker, lent to one run. */
export interface Disk {
  /**
   * Rejects with the call's errno error (`code` and `syscall`), with DiskHung, also when the one before has not come back, with
   * a ProbeFailure of `request_timeout` when all calls together are slow, or of layer prober when we are at fault.
   */
  call<C extends Call>(name: C, ...args: Parameters<DiskCalls[C]>): Promise<ReturnType<DiskCalls[C]>>
  /** How long the calls that came back have taken, in ms, measured around each in the worker. */
  spentMs(): number
  /** Gives the worker back. One that hangs is left alone until its call returns. */
  close(): void
}

interface Limits {
  readonly signal: AbortSignal
  /** `performance.now()` at which the run must have ended. */
  readonly deadline: number
  /** At which it began to wait for workers; now unless given. */
  readonly began?: number
}

/** Calls that hang, and where. */
const hung = new Set<{ readonly place: string | undefined, readonly name: Call, readonly since: number }>()

/**
 * Lends a worker for the calls of one run at a place: whatever hangs as one, be it a mount, a file or a job. Calls of the
 * file system never touch this process: libuv's pool has four threads, and a hung mount keeps each for ever. A worker that
 * hangs is abandoned, not killed: no signal ends a call that waits for a dead file system, and the one that waits shows when
 * it is alive again. Until then the place gets no other one: this rejects with DiskHung at once. No place is for calls that
 * touch no file system: they can be made however many others hang.
 */
export async function openDisk(place: string | undefined, { signal, deadline, began = performance.now() }: Limits): Promise<Disk> {
  const until = deadline - Math.min(MARGIN_MS, Math.max(0, deadline - performance.now()) / 20)
  for (const { place: where, name, since } of hung) if (where === place) throw new DiskHung(name, since)
  const worker = await lend(place !== undefined, until, signal)
  const waitedMs = performance.now() - began
  let spentMs = 0
  let hangs = false
  /** A file that was written and not synced is still open. */
  let holds = false
  let open = true

  return {
    async call(name, ...args) {
      if (worker.out) throw new DiskHung(worker.out.name, worker.out.since)
      holds = name === 'write'
      try {
        const { value, error, ms } = await ask(worker, name, args, until, signal)
        spentMs += ms
        if (error) throw error
        return value as never // safe: the worker runs the function of this name in disk-calls.ts
      } catch (error) {
        if (!(error instanceof DiskHung)) throw error
        // Where we have had more of the time than the file system, nothing is known of it.
        if (spentMs + error.sinceMs < waitedMs) throw new ProbeFailure('prober_starved', `the helper process came ${Math.round(waitedMs)} ms late, and ${error.message}`)
        hangs = true
        // A call that hangs has had most of the time; where all of them take long, it is the time that was short.
        throw error.sinceMs < spentMs ? new ProbeFailure('request_timeout', `the calls before took ${Math.round(spentMs)} ms, and ${error.message}`) : error
      }
    },
    spentMs: () => spentMs,
    close() {
      if (!open) return
      open = false
      // One that has ended gives no answer any more, and its number may soon be somebody else's.
      if (worker.gone !== undefined) return
      if (worker.out || holds) leave(worker, place, hangs)
      else takeBack(worker)
    },
  }
}

function ask(worker: Worker, name: Call, args: readonly unknown[], until: number, signal: AbortSignal): Promise<Answer> {
  if (worker.gone !== undefined) return Promise.reject(lost(worker))
  return new Promise((resolve, reject) => {
    const since = performance.now()
    let late: NodeJS.Immediate | undefined
    const done = () => {
      clearTimeout(timer)
      clearImmediate(late)
      signal.removeEventListener('abort', onAbort)
    }
    const onAbort = () => { done(); reject(signal.reason) }
    // When this process is late too, the answer may lie ready: input is read before the immediates run.
    const timer = setTimeout(() => { late = setImmediate(() => { done(); reject(overdue(worker, name, since)) }) }, Math.max(0, until - since))
    signal.addEventListener('abort', onAbort, { once: true })
    worker.onAnswer = (answer) => { done(); resolve(answer) }
    tell(worker, name, args)
    if (signal.aborted) onAbort()
  })
}

function tell(worker: Worker, name: Call, args: readonly unknown[]): void {
  worker.out ??= { name, since: performance.now() }
  worker.child.process.stdin.write(`${JSON.stringify({ call: name, args })}\n`)
}

function overdue(worker: Worker, name: Call, since: number): Error {
  if (sleeps(worker)) return new DiskHung(name, since)
  return new ProbeFailure('prober_starved', `the helper process did not get to ${name} in time`)
}

/**
 * Leaves a worker to its call. When that returns, the worker closes what it has open and is as good as new, and the place is
 * well again.
 */
function leave(worker: Worker, place: string | undefined, hangs: boolean): void {
  let answers = worker.out ? 2 : 1
  tell(worker, 'release', [])
  const { name, since } = worker.out ?? { name: 'release', since: performance.now() }
  const here = { place, name, since }
  const accuse = () => {
    worker.child.stuck = true
    hung.add(here)
  }
  // What was merely interrupted is accused of nothing until it has had its time.
  const timer = hangs ? undefined : setInterval(() => { if (sleeps(worker)) accuse() }, LEFT_MS).unref()
  if (hangs) accuse()
  worker.onAnswer = () => {
    if (--answers > 0 && worker.gone === undefined) return
    clearInterval(timer)
    worker.child.stuck = false
    hung.delete(here)
    takeBack(worker)
  }
}

/** Whether it waits in the kernel, and not for its turn on a processor (R) or for whoever has stopped it (T). */
function sleeps(worker: Worker): boolean {
  try {
    return /\) [SD] /.test(readFileSync(`/proc/${worker.child.pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
