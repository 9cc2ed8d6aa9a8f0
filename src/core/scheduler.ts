import type { Job } from './probe.ts'
import type { ProbeResult } from './result.ts'
import { nextCronRuns, spreadOf } from './schedule.ts'
import { createWheel } from './wheel.ts'

/** Why a run that was due did not happen: the last one still ran, still waited for a place, or the process slept. */
export const SKIP_CAUSES = ['overlap', 'queued', 'missed'] as const
export type SkipCause = (typeof SKIP_CAUSES)[number]

export interface SchedulerOptions {
  /** Runs at a time. */
  readonly concurrency: () => number
  readonly run: (job: Job, signal: AbortSignal) => Promise<ProbeResult>
  readonly onResult: (result: ProbeResult) => void
  /** Seconds between when a run was due and when it started. */
  readonly onLag: (seconds: number) => void
  readonly onSkip: (cause: SkipCause, count: number) => void
  /** Wall clock, ms, of a job's next run; undefined when it will not run again. */
  readonly onNext: (id: string, at: number | undefined) => void
}

export interface Scheduler {
  /**
   * Adds a job or replaces the one of its id. A new or changed one runs within `windowMs`, at a place of its own in it,
   * then on its schedule; one whose schedule is unchanged keeps its phase.
   */
  put(job: Job, windowMs: number): void
  /** Forgets a job and aborts its run. */
  remove(id: string): void
  /** Runs a job as soon as there is a place, once more if it is running already; its schedule stays. */
  runNow(id: string): void
  inFlight(): number
  queued(): number
  /** Aborts everything and waits for it, at most so long. */
  stop(withinMs: number): Promise<void>
}

interface Entry {
  job: Job
  /** Whether the next run is the one soon after registration, off the schedule. */
  first: boolean
  /** `performance.now()` of the next scheduled run. */
  dueAt: number
  /** `performance.now()` at which the run that waits should have started. */
  waitingSince: number | undefined
  running: boolean
  /** Aborts the run that is under way; a new one only after that, for the next run. */
  stop: AbortController
  again: boolean
}

/** Clocks are stepped and cron jobs are far apart: their time is looked up anew at least this often. */
const CRON_RECHECK_MS = 60_000

export function createScheduler(options: SchedulerOptions): Scheduler {
  const entries = new Map<string, Entry>()
  const queue: Entry[] = []
  const flights = new Set<Promise<void>>()
  let stopped = false
  const wheel = createWheel((id) => {
    const entry = entries.get(id)
    if (entry) tick(entry)
  })

  function tick(entry: Entry) {
    const now = performance.now()
    const { schedule } = entry.job
    if (entry.first) {
      entry.first = false
      enqueue(entry, entry.dueAt)
      // Not again at once when the schedule's next time happens to be near.
      return plan(entry, 'cron' in schedule ? now : now + schedule.everyMs / 2)
    }
    if ('cron' in schedule) {
      if (entry.dueAt > now) return plan(entry)
      enqueue(entry, entry.dueAt)
      return plan(entry)
    }
    const missed = Math.floor((now - entry.dueAt) / schedule.everyMs)
    if (missed > 0) options.onSkip('missed', missed)
    enqueue(entry, entry.dueAt + missed * schedule.everyMs)
    entry.dueAt += (missed + 1) * schedule.everyMs
    arm(entry)
  }

  /** Sets the next scheduled run from the schedule alone. */
  function plan(entry: Entry, earliest = performance.now()) {
    const { schedule } = entry.job
    if ('cron' in schedule) {
      const [next] = nextCronRuns(schedule, 1)
      if (next === undefined) return options.onNext(entry.job.id, undefined)
      entry.dueAt = performance.now() + next - Date.now()
    } else {
      // The grid is the wall clock's, so that a job keeps its phase over a restart; later steps do not move it.
      const sinceGrid = (Date.now() + earliest - performance.now() - spreadOf(entry.job) * schedule.everyMs) % schedule.everyMs
      entry.dueAt = earliest + schedule.everyMs - (sinceGrid < 0 ? sinceGrid + schedule.everyMs : sinceGrid)
    }
    arm(entry)
  }

  function arm(entry: Entry) {
    const now = performance.now()
    // A run that still waits for a place is the next one: whoever looks at its time sees that it is late.
    if (entry.waitingSince === undefined) announce(entry)
    wheel.set(entry.job.id, 'cron' in entry.job.schedule && !entry.first ? Math.min(entry.dueAt, now + CRON_RECHECK_MS) : entry.dueAt)
  }

  function announce(entry: Entry) {
    options.onNext(entry.job.id, Date.now() + entry.dueAt - performance.now())
  }

  function enqueue(entry: Entry, dueAt: number) {
    if (entry.running) return options.onSkip('overlap', 1)
    if (entry.waitingSince !== undefined) return options.onSkip('queued', 1)
    entry.waitingSince = dueAt
    queue.push(entry)
    drain()
  }

  function drain() {
    while (!stopped && flights.size < options.concurrency()) {
      const entry = queue.shift()
      if (!entry) return
      fly(entry)
    }
  }

  function fly(entry: Entry) {
    const { job } = entry
    options.onLag(Math.max(0, performance.now() - (entry.waitingSince ?? 0)) / 1000)
    entry.waitingSince = undefined
    announce(entry)
    if (entry.stop.signal.aborted) entry.stop = new AbortController()
    const { signal } = entry.stop
    entry.running = true
    const flight = options.run(job, signal).then((result) => {
      flights.delete(flight)
      entry.running = false
      if (!signal.aborted && entries.get(job.id) === entry) options.onResult(result)
      if (entry.again && !stopped && entries.get(job.id) === entry) {
        entry.again = false
        enqueue(entry, performance.now())
      }
      drain()
    })
    flights.add(flight)
  }

  return {
    put(job, windowMs) {
      if (stopped) return
      const old = entries.get(job.id)
      if (old && old.job.fingerprint === job.fingerprint) {
        old.job = job
        return
      }
      const sameSchedule = old !== undefined && JSON.stringify(old.job.schedule) === JSON.stringify(job.schedule)
      const entry: Entry = old ?? { job, first: false, dueAt: 0, waitingSince: undefined, running: false, stop: new AbortController(), again: false }
      entry.job = job
      entries.set(job.id, entry)
      if (old?.running) {
        // What it measures now was asked for by the old config.
        old.stop.abort(new Error('the configuration changed'))
        old.again = true
      }
      // The run that is under way or waits is the one soon after the change.
      if (sameSchedule && (entry.running || entry.waitingSince !== undefined)) return
      if ('cron' in job.schedule && !job.schedule.runAtStart) return plan(entry)
      entry.first = true
      entry.dueAt = performance.now() + spreadOf(job) * windowMs
      arm(entry)
    },

    remove(id) {
      const entry = entries.get(id)
      if (!entry) return
      entries.delete(id)
      wheel.delete(id)
      const place = queue.indexOf(entry)
      if (place >= 0) queue.splice(place, 1)
      entry.stop.abort(new Error('the probe was removed'))
    },

    runNow(id) {
      const entry = entries.get(id)
      if (!entry || stopped || entry.waitingSince !== undefined) return
      if (entry.running) entry.again = true
      else enqueue(entry, performance.now())
    },

    inFlight: () => flights.size,
    queued: () => queue.length,

    async stop(withinMs) {
      stopped = true
      wheel.clear()
      queue.length = 0
      for (const entry of entries.values()) if (entry.running) entry.stop.abort(new Error('Curlew is shutting down'))
      const deadline = Promise.withResolvers<void>()
      const timer = setTimeout(deadline.resolve, withinMs)
      await Promise.race([Promise.allSettled(flights), deadline.promise])
      clearTimeout(timer)
    },
  }
}
