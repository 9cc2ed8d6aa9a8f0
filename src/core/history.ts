import { LAYERS, REASONS, type Layer, type ProbeResult, type Reason, type Status } from './result.ts'

export const KEPT_RUNS = 60
export const KEPT_MINUTES = 60
/** The most phases that any probe type may declare. */
export const MOST_PHASES = 6

const PAGE_JOBS = 64
const MINUTE_MS = 60_000

/** One run as it is remembered. Phases stand in the order of the job's `phases`; NaN is one that was not reached. */
export interface PastRun {
  readonly startedAt: number
  readonly ms: number
  readonly status: Status
  readonly layer: Layer | undefined
  readonly reason: Reason | undefined
  readonly phases: readonly number[]
}

/** One minute of runs. Durations in milliseconds, over conclusive runs; NaN when there was none. */
export interface PastMinute {
  readonly startedAt: number
  readonly count: number
  readonly failed: number
  readonly p50: number
  readonly p95: number
}

/** Columns for a page of jobs: 2.9 KB a job, where 60 objects each would cost ten times that. */
function createPage() {
  const runs = PAGE_JOBS * KEPT_RUNS
  const minutes = PAGE_JOBS * KEPT_MINUTES
  return {
    written: new Uint32Array(PAGE_JOBS),
    start: new Float64Array(runs),
    ms: new Float32Array(runs),
    /** 0 for ok, else what `packed` makes of layer and reason. */
    outcome: new Uint8Array(runs),
    phases: new Float32Array(runs * MOST_PHASES),
    /** The newest minute since the epoch; every column of minutes ends with it. */
    newest: new Uint32Array(PAGE_JOBS),
    count: new Uint16Array(minutes),
    failed: new Uint16Array(minutes),
    p50: new Float32Array(minutes),
    p95: new Float32Array(minutes),
  }
}

export interface History {
  add(slot: number, result: ProbeResult, phaseNames: readonly string[]): void
  /** Oldest first, at most 60. */
  runs(slot: number, phaseCount: number): PastRun[]
  /** Oldest first, at most 60; minutes without a run are left out. */
  minutes(slot: number): PastMinute[]
  clear(slot: number): void
}

/** The last 60 runs and 60 one-minute aggregates of every slot, in typed arrays. */
export function createHistory(): History {
  const pages: ReturnType<typeof createPage>[] = []
  const place = (slot: number) => {
    const index = Math.floor(slot / PAGE_JOBS)
    while (pages.length <= index) pages.push(createPage())
    const page = pages[index]
    if (!page) throw new RangeError(`no page for slot ${slot}`)
    return { page, row: slot % PAGE_JOBS }
  }

  return {
    add(slot, result, phaseNames) {
      const { page, row } = place(slot)
      openMinute(page, row, Math.floor(result.startedAt / MINUTE_MS))
      const at = row * KEPT_RUNS + (page.written[row] ?? 0) % KEPT_RUNS
      page.start[at] = result.startedAt
      page.ms[at] = result.ms
      page.outcome[at] = result.status === 'ok' ? 0 : packed(result.failure.layer, result.failure.reason)
      page.phases.fill(Number.NaN, at * MOST_PHASES, (at + 1) * MOST_PHASES)
      for (const { name, ms } of result.phases) {
        const column = phaseNames.indexOf(name)
        if (column >= 0) page.phases[at * MOST_PHASES + column] = ms
      }
      page.written[row] = (page.written[row] ?? 0) + 1
      countInMinute(page, row, result)
    },

    runs(slot, phaseCount) {
      const { page, row } = place(slot)
      const written = page.written[row] ?? 0
      const first = Math.max(0, written - KEPT_RUNS)
      return Array.from({ length: written - first }, (_, index) => {
        const at = row * KEPT_RUNS + (first + index) % KEPT_RUNS
        return {
          startedAt: page.start[at] ?? 0,
          ms: page.ms[at] ?? 0,
          ...unpacked(page.outcome[at] ?? 0),
          phases: [...page.phases.subarray(at * MOST_PHASES, at * MOST_PHASES + phaseCount)],
        }
      })
    },

    minutes(slot) {
      const { page, row } = place(slot)
      const newest = page.newest[row] ?? 0
      closeMinute(page, row, newest)
      return Array.from({ length: KEPT_MINUTES }, (_, index) => newest - KEPT_MINUTES + 1 + index)
        .map((minute) => ({ minute, at: row * KEPT_MINUTES + minute % KEPT_MINUTES }))
        .filter(({ minute, at }) => minute >= 0 && (page.count[at] ?? 0) > 0)
        .map(({ minute, at }) => ({
          startedAt: minute * MINUTE_MS,
          count: page.count[at] ?? 0,
          failed: page.failed[at] ?? 0,
          p50: page.p50[at] ?? Number.NaN,
          p95: page.p95[at] ?? Number.NaN,
        }))
    },

    clear(slot) {
      const { page, row } = place(slot)
      page.written[row] = 0
      page.newest[row] = 0
      page.count.fill(0, row * KEPT_MINUTES, (row + 1) * KEPT_MINUTES)
    },
  }
}

/** Layer and reason in one byte from 1 on. A result is unknown just when its layer is `prober`, so that is told too. */
function packed(layer: Layer, reason: Reason): number {
  return 1 + LAYERS.indexOf(layer) * REASONS.length + REASONS.indexOf(reason)
}

function unpacked(outcome: number): { readonly status: Status, readonly layer: Layer | undefined, readonly reason: Reason | undefined } {
  if (outcome === 0) return { status: 'ok', layer: undefined, reason: undefined }
  const layer = LAYERS[Math.floor((outcome - 1) / REASONS.length)]
  return { status: layer === 'prober' ? 'unknown' : 'failed', layer, reason: REASONS[(outcome - 1) % REASONS.length] }
}

/** Makes room for a minute that nothing has happened in yet. Its predecessor's quantiles are worked out now, once, while its runs are still remembered. */
function openMinute(page: ReturnType<typeof createPage>, row: number, minute: number): void {
  const newest = page.newest[row] ?? 0
  if (minute <= newest) return
  closeMinute(page, row, newest)
  for (let passed = Math.max(newest + 1, minute - KEPT_MINUTES + 1); passed <= minute; passed++) {
    page.count[row * KEPT_MINUTES + passed % KEPT_MINUTES] = 0
    page.failed[row * KEPT_MINUTES + passed % KEPT_MINUTES] = 0
  }
  page.newest[row] = minute
}

function countInMinute(page: ReturnType<typeof createPage>, row: number, result: ProbeResult): void {
  const minute = Math.floor(result.startedAt / MINUTE_MS)
  const newest = page.newest[row] ?? 0
  // After a step back of the clock the newest minute is still the newest.
  if (minute <= newest - KEPT_MINUTES) return
  const at = row * KEPT_MINUTES + minute % KEPT_MINUTES
  page.count[at] = Math.min(65_535, (page.count[at] ?? 0) + 1)
  if (result.status === 'failed') page.failed[at] = Math.min(65_535, (page.failed[at] ?? 0) + 1)
  if (minute < newest) closeMinute(page, row, minute)
}

/** Works out the quantiles of a minute. At most 60 runs are remembered, so a probe faster than one a second is judged by its last 60. */
function closeMinute(page: ReturnType<typeof createPage>, row: number, minute: number): void {
  const at = row * KEPT_MINUTES + minute % KEPT_MINUTES
  const kept = Math.min(KEPT_RUNS, page.written[row] ?? 0)
  const sorted = Array.from({ length: kept }, (_, index) => row * KEPT_RUNS + index)
    .filter((run) => Math.floor((page.start[run] ?? 0) / MINUTE_MS) === minute && unpacked(page.outcome[run] ?? 0).status !== 'unknown')
    .map((run) => page.ms[run] ?? 0)
    .toSorted((a, b) => a - b)
  page.p50[at] = quantile(sorted, 0.5)
  page.p95[at] = quantile(sorted, 0.95)
}

/** The nearest-rank quantile of a sorted list; NaN of none. */
function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN
}
