import type { Diagnosis } from './diagnosis.ts'
import { judge, lapse, UNJUDGED, type Health } from './health.ts'
import { createHistory, type PastMinute, type PastRun } from './history.ts'
import type { Job } from './probe.ts'
import type { Failure, PhaseTiming, ProbeResult, Status } from './result.ts'
import { periodMs } from './schedule.ts'

const KEPT_FAILURES = 20
/** Of these, failures that turned the job unhealthy: their evidence must outlive the outage that goes on behind it. */
const KEPT_TURNS = 3

/** Upper bounds of `probe_latency_seconds`, in seconds. */
export const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10] as const

/** Why a job is unhealthy, as far as its dependencies tell. */
export type Cause =
  | { readonly kind: 'none' }
  /** Dependencies have not answered yet since it broke: nobody is accused. */
  | { readonly kind: 'pending' }
  | { readonly kind: 'root' }
  /** `root` is `<probe>/<target>`; `rootId` its job; `through` the direct dependencies that failed. */
  | { readonly kind: 'explained', readonly root: string, readonly rootId: string, readonly through: readonly string[] }

export interface PastFailure {
  readonly startedAt: number
  readonly ms: number
  readonly status: 'failed' | 'unknown'
  readonly failure: Failure
  readonly phases: readonly PhaseTiming[]
  /** It turned the job unhealthy. */
  readonly turned: boolean
  /** What the layers below showed at that time, where it was looked at. */
  readonly evidence?: Diagnosis
}

/** Everything known about one job. A row is one object for the life of the job, and its fields change. */
export interface JobState {
  job: Job
  /** A small number of its own while the job lives: the index into every flat array. */
  readonly slot: number
  /** Milliseconds between two runs. */
  periodMs: number
  last: ProbeResult | undefined
  health: Health
  cause: Cause
  readonly counts: Record<Status, number>
  /** Failed runs by `<layer> <reason>`. */
  readonly failures: Map<string, number>
  /** Wall clock, ms: since when `last.status` is what it is. */
  since: number
  /** Wall clock, ms, as the scheduler has it; undefined when it is not scheduled. */
  nextRunAt: number | undefined
  /** Successful runs per bucket of LATENCY_BUCKETS (not cumulative; the last is +Inf) and their sum in seconds. */
  latency: { readonly buckets: Float64Array, sum: number } | undefined
}

/** What changed with a result. */
export type Turn = 'unhealthy' | 'healthy' | undefined

export interface Store {
  /** Adds a job, or replaces one of the same id, which keeps its state and counters. */
  put(job: Job): JobState
  remove(id: string): void
  /** Takes in a result; undefined when its job is gone. */
  record(result: ProbeResult): { readonly state: JobState, readonly turn: Turn } | undefined
  get(id: string): JobState | undefined
  /** Every job in the order of its slot. */
  all(): Iterable<JobState>
  bySlot(slot: number): JobState | undefined
  /** One more than the highest slot that was ever used. */
  slots(): number
  size(): number
  runs(state: JobState): PastRun[]
  minutes(state: JobState): PastMinute[]
  failures(state: JobState): readonly PastFailure[]
  /** Keeps evidence with the failure of that time, if that is still known. */
  attach(id: string, startedAt: number, evidence: Diagnosis): void
  /** Called with the slot whenever something that is exported about it may have changed. */
  onTouch(listener: (slot: number) => void): void
  touch(slot: number): void
}

/** The state of every job, in memory: Prometheus is the long memory. */
export function createStore(): Store {
  const states = new Map<string, JobState>()
  const slots: (JobState | undefined)[] = []
  const free: number[] = []
  const history = createHistory()
  const pastFailures = new Map<string, PastFailure[]>()
  const listeners: ((slot: number) => void)[] = []
  const touch = (slot: number) => { for (const listener of listeners) listener(slot) }

  return {
    put(job) {
      const old = states.get(job.id)
      if (old) {
        old.job = job
        old.periodMs = periodMs(job.schedule)
        if (job.histogram) old.latency ??= emptyLatency()
        else old.latency = undefined
        touch(old.slot)
        return old
      }
      const slot = free.pop() ?? slots.length
      const state: JobState = {
        job, slot, periodMs: periodMs(job.schedule), last: undefined, health: UNJUDGED, cause: { kind: 'none' },
        counts: { ok: 0, failed: 0, unknown: 0 }, failures: new Map(), since: 0, nextRunAt: undefined,
        latency: job.histogram ? emptyLatency() : undefined,
      }
      states.set(job.id, state)
      slots[slot] = state
      touch(slot)
      return state
    },

    remove(id) {
      const state = states.get(id)
      if (!state) return
      states.delete(id)
      pastFailures.delete(id)
      slots[state.slot] = undefined
      free.push(state.slot)
      history.clear(state.slot)
      touch(state.slot)
    },

    record(result) {
      const state = states.get(result.job)
      if (!state) return undefined
      const before = lapse(state.health, result.startedAt).healthy
      if (state.last?.status !== result.status) state.since = result.startedAt
      state.last = result
      state.counts[result.status]++
      state.health = judge(state.health, result, state.job, state.periodMs)
      const after = state.health.healthy
      const turn = after === before || after === undefined ? undefined : after ? 'healthy' : 'unhealthy'
      history.add(state.slot, result, Object.keys(state.job.phases))
      if (result.status === 'ok') {
        observe(state.latency, result.ms / 1000)
      } else {
        const { startedAt, ms, status, failure, phases } = result
        if (status === 'failed') {
          const pair = `${failure.layer} ${failure.reason}`
          state.failures.set(pair, (state.failures.get(pair) ?? 0) + 1)
        }
        const kept = pastFailures.get(result.job) ?? []
        kept.push({ startedAt, ms, status, failure, phases, turned: turn === 'unhealthy' })
        if (kept.length > KEPT_FAILURES) {
          const dropTurn = kept.filter(({ turned }) => turned).length > KEPT_TURNS
          kept.splice(kept.findIndex(({ turned }) => turned === dropTurn), 1)
        }
        pastFailures.set(result.job, kept)
      }
      touch(state.slot)
      return { state, turn }
    },

    get: (id) => states.get(id),
    * all() { for (const state of slots) if (state) yield state },
    bySlot: (slot) => slots[slot],
    slots: () => slots.length,
    size: () => states.size,
    runs: (state) => history.runs(state.slot, Object.keys(state.job.phases).length),
    minutes: (state) => history.minutes(state.slot),
    failures: (state) => pastFailures.get(state.job.id) ?? [],
    attach(id, startedAt, evidence) {
      const kept = pastFailures.get(id)
      const index = kept?.findIndex((failure) => failure.startedAt === startedAt) ?? -1
      const failure = kept?.[index]
      if (failure) kept?.splice(index, 1, { ...failure, evidence })
    },
    onTouch(listener) { listeners.push(listener) },
    touch,
  }
}

function emptyLatency() {
  return { buckets: new Float64Array(LATENCY_BUCKETS.length + 1), sum: 0 }
}

function observe(latency: JobState['latency'], seconds: number): void {
  if (!latency) return
  const found = LATENCY_BUCKETS.findIndex((bound) => seconds <= bound)
  const index = found < 0 ? LATENCY_BUCKETS.length : found
  latency.buckets[index] = (latency.buckets[index] ?? 0) + 1
  latency.sum += seconds
}
