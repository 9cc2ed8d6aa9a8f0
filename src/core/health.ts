import type { Job } from './probe.ts'
import type { ProbeResult } from './result.ts'

const MINUTE_MS = 60_000

/** The damped state of a job: what alert rules page on. */
export interface Health {
  /** Absent before the first conclusive run, and again when unknown runs have outlasted the hold. */
  readonly healthy: boolean | undefined
  /** Start (wall clock, ms) of the first failed run of the streak that is under way. */
  readonly failingSince: number | undefined
  /** Wall clock, ms: when `healthy` lapses unless a conclusive run comes. */
  readonly heldUntil: number
  readonly goodInARow: number
  readonly badInARow: number
}

export const UNJUDGED: Health = { healthy: undefined, failingSince: undefined, heldUntil: Infinity, goodInARow: 0, badInARow: 0 }

/** The state after one more run. The first conclusive one sets it at once; unknown ones hold it for max(3 intervals, 5 min). */
export function judge(before: Health, result: ProbeResult, job: Pick<Job, 'failureThreshold' | 'successThreshold'>, periodMs: number): Health {
  const current = lapse(before, result.startedAt)
  if (result.status === 'unknown') {
    const holding = current.healthy !== undefined && current.heldUntil === Infinity
    return holding ? { ...current, heldUntil: result.startedAt + Math.max(3 * periodMs, 5 * MINUTE_MS) } : current
  }
  const good = result.status === 'ok'
  const goodInARow = good ? current.goodInARow + 1 : 0
  const badInARow = good ? 0 : current.badInARow + 1
  const settled = good ? goodInARow >= job.successThreshold : badInARow >= job.failureThreshold
  return {
    healthy: current.healthy === undefined || settled ? good : current.healthy,
    failingSince: good ? undefined : current.failingSince ?? result.startedAt,
    heldUntil: Infinity,
    goodInARow,
    badInARow,
  }
}

/** The state at a time: a hold that has run out leaves nothing. */
export function lapse(health: Health, at: number): Health {
  return at > health.heldUntil ? UNJUDGED : health
}
