import { SHARED_CODES, type CodeSpec } from '../core/codes.ts'
import type { Job } from '../core/probe.ts'
import type { ProbeResult, Status } from '../core/result.ts'

export type Language = 'en' | 'zh'

/** One checked job, as every report needs it. */
export interface Reported {
  readonly job: Job
  readonly result: ProbeResult
  readonly explainedBy: string | undefined
}

/** `failed` when anything failed, else `unknown` when anything is, else `ok`. */
export function overall(outcomes: readonly Reported[]): Status {
  for (const status of ['failed', 'unknown'] as const) if (outcomes.some(({ result }) => result.status === status)) return status
  return 'ok'
}

/** What a failure code means, in one sentence. */
export function sentence(code: string, codes: Readonly<Record<string, CodeSpec>>, language: Language): string | undefined {
  const shared: Readonly<Record<string, CodeSpec>> = SHARED_CODES
  return (codes[code] ?? shared[code])?.[language]
}
