import { byCode, explain, timedOut, type Explained } from './errors.ts'
import { ProbeFailure, type Job, type ProbeContext } from './probe.ts'
import type { GaugeSample, Layer, PhaseTiming, ProbeResult } from './result.ts'
import { redact } from './secrets.ts'

export interface RunOptions {
  /** Aborted at shutdown and when the job is removed. */
  readonly signal: AbortSignal
  /** The instance id: unique to this prober. */
  readonly instance: string
  /** Unique to a command that runs once, beside a server or others of the same instance: what they write must not meet. */
  readonly once?: string
  /** Milliseconds by which the event loop was late at worst since a `performance.now()`. */
  readonly lateSince: (since: number) => number
  /** How late the loop may be before a result is worth nothing. */
  readonly lateBoundMs: number
  /** Told of errors that are bugs of ours, and of answers that no code stands for. */
  readonly onOddity?: (kind: 'bug' | 'unmapped', job: Job, error: unknown) => void
}

/** The longest time that a timer of Node can wait; a longer one would ring at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What has been loaded, and need not be waited for. */
const loaded = new WeakSet<NonNullable<Job['load']>>()

/** Runs one job once. Never rejects: whatever goes wrong is a result. */
export async function runJob(job: Job, options: RunOptions): Promise<ProbeResult> {
  const { load } = job
  if (load && !loaded.has(load)) {
    // What fails to load, or does not come in the time of a run, fails again inside the run, where it becomes a result.
    const enough = AbortSignal.any([options.signal, AbortSignal.timeout(Math.min(job.timeoutMs, LONGEST_TIMER_MS))])
    await orAbort(load, enough).then(() => loaded.add(load), () => {})
  }
  const end = createEnd()
  const abort = () => end.abort(options.signal.reason)
  options.signal.addEventListener('abort', abort, { once: true })
  if (options.signal.aborted) abort()

  const clean = (text: string) => redact(job.hide?.(text) ?? text)
  const timings = new Map<string, number>()
  const gauges: GaugeSample[] = []
  const startedAt = Date.now()
  const start = performance.now()
  let expired = false
  let over = false
  let layer: Layer = 'prober'
  /** The phase that runs. */
  let open: { readonly name: string, readonly began: number } | undefined
  const endPhase = () => {
    if (open) timings.set(open.name, (timings.get(open.name) ?? 0) + performance.now() - open.began)
    open = undefined
  }
  const timer = setTimeout(() => {
    expired = true
    end.abort(new DOMException(`no answer within ${job.timeoutMs} ms`, 'TimeoutError'))
  }, Math.min(job.timeoutMs, LONGEST_TIMER_MS))

  const context: ProbeContext = {
    signal: end.signal,
    mode: job.mode,
    guard: job.guard,
    owner: [options.instance, options.once, job.id].filter((part) => part !== undefined).join(':'),
    lastingOwner: `${options.instance}:${job.id}`,
    deadline: start + job.timeoutMs,
    phase(name, work) {
      layer = job.phases[name] ?? 'prober'
      open = { name, began: performance.now() }
      return end.orAborted(work, endPhase)
    },
    took(name, ms) {
      if (!over) timings.set(name, ms)
    },
    zeroPhases() {
      for (const name of Object.keys(job.phases)) if (!timings.has(name)) timings.set(name, 0)
    },
    expect(ok, code, message) {
      if (!ok) throw new ProbeFailure(code, message)
    },
    fail(code, message) {
      throw new ProbeFailure(code, message)
    },
    gauge(name, value, labels) {
      // What a probe still does after its run has ended belongs to no result.
      if (over) return
      // A target can send back what it was given, as a version for example.
      gauges.push(labels ? { name, value, labels: Object.fromEntries(Object.entries(labels).map(([label, text]) => [label, clean(text)])) } : { name, value })
    },
  }

  let explained: Explained | undefined
  try {
    await end.orAborted(() => job.run(context))
    explained = beyondLimit(job, gauges, performance.now() - start)
  } catch (error) {
    if (expired) explained = timedOut(layer, job.timeoutMs, job.codes)
    else if (options.signal.aborted) explained = byCode('prober_aborted', 'the run was stopped', layer, job.codes)
    else explained = explain(error, layer, job.codes)
    if (job.discovered && explained.failure.reason === 'denied' && explained.failure.layer !== 'prober') {
      explained = byCode(explained.failure.layer === 'auth' ? 'prober_no_credentials' : 'prober_denied', explained.failure.message, layer, job.codes)
    }
    if (explained.failure.code === 'prober_bug') options.onOddity?.('bug', job, spoken(error, clean))
    else if (explained.unmapped) options.onOddity?.('unmapped', job, spoken(error, clean))
  } finally {
    over = true
    clearTimeout(timer)
    options.signal.removeEventListener('abort', abort)
    // Whatever the probe left waiting on the signal ends with the run.
    end.abort(OVER)
  }

  const ms = performance.now() - start
  const late = options.lateSince(start)
  // A timeout, also one that the probe itself found, is proof only when the time was there: after a stall its timer rings before the answer that lies ready is read.
  const bound = expired || explained?.failure.reason === 'timeout' ? Math.min(options.lateBoundMs, job.timeoutMs / 2) : options.lateBoundMs
  if (late > bound && !options.signal.aborted) {
    explained = byCode('prober_starved', `the event loop was ${Math.round(late)} ms late during the run`, layer, job.codes)
  }

  const phases: PhaseTiming[] = Array.from(timings, ([name, phaseMs]) => ({ name, ms: phaseMs }))
  const run = { job: job.id, startedAt, ms, phases, gauges }
  if (!explained) return { ...run, status: 'ok' }
  return { ...run, status: explained.status, failure: { ...explained.failure, message: clean(explained.failure.message) } }
}

/** An error as it may be logged. */
function spoken(error: unknown, clean: (text: string) => string): unknown {
  if (!(error instanceof Error)) return clean(String(error))
  return Object.assign(new Error(clean(error.message)), { name: error.name, stack: clean(error.stack ?? '') })
}

/** A level beyond the limit that `fail_on` names; a gauge that was not read is not judged. */
function beyondLimit(job: Job, gauges: readonly GaugeSample[], ms: number): Explained | undefined {
  for (const { name, gauge, worse, warning, critical, fails } of job.limits) {
    const bound = critical ?? warning
    if (!fails || bound === undefined) continue
    const values = gauge === 'probe_duration_seconds' ? [ms / 1000] : gauges.filter((sample) => sample.name === gauge).map((sample) => sample.value)
    const bad = values.find((value) => (worse === 'above' ? value > bound : value < bound))
    if (bad !== undefined) return byCode('limit_exceeded', `${name} is ${bad}, the limit is ${bound}`, 'assert', job.codes)
  }
  return undefined
}

/** One for all runs: making an error with its stack costs more than the rest of a run's bookkeeping. */
const OVER = new DOMException('the run is over', 'AbortError')

/** How a run ends before its time. Its own waits are told by a callback: events of the signal cost ten times as much. */
function createEnd() {
  const controller = new AbortController()
  const { signal } = controller
  const waiting = new Set<(reason: unknown) => void>()

  return {
    signal,
    abort(reason: unknown): void {
      controller.abort(reason)
      for (const fail of waiting) fail(signal.reason)
    },
    /** `work`, or the reason as soon as the run is aborted; what `work` does afterwards is nobody's business. `after` is called in between. */
    orAborted<T>(work: () => Promise<T> | T, after?: () => void): Promise<T> {
      return new Promise((resolve, reject) => {
        const settled = () => {
          waiting.delete(fail)
          after?.()
        }
        const fail = (reason: unknown) => {
          settled()
          reject(reason)
        }
        if (signal.aborted) return fail(signal.reason)
        waiting.add(fail)
        Promise.try(work).then((value) => {
          settled()
          resolve(value)
        }, fail)
      })
    },
  }
}

/** `work`, or the signal's reason as soon as it aborts; what `work` does afterwards is nobody's business. */
export function orAbort<T>(work: () => Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    Promise.try(work).then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
