import type { Job } from '../core/probe.ts'
import type { ProbeResult, Status } from '../core/result.ts'

/** One checked job, as every report needs it. */
export interface Reported {
  readonly job: Job
  readonly result: ProbeResult
  readonly explainedBy: string | undefined
}

/** `failed` when anything failed, else `unknown` when anything is, else `ok`. */
export function overall(outcomes: readonly { readonly result: { readonly status: Status } }[]): Status {
  for (const status of ['failed', 'unknown'] as const) if (outcomes.some(({ result }) => result.status === status)) return status
  return 'ok'
}
