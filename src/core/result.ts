/** Where a probe stopped. Closed, because it becomes a metric label. `prober` is ourselves. */
export const LAYERS = ['prober', 'resolve', 'network', 'connect', 'tls', 'auth', 'request', 'assert'] as const
export type Layer = (typeof LAYERS)[number]

/** Why it stopped. Closed for the same reason; prose goes to `message`, never to a label. */
export const REASONS = [
  'timeout', 'not_found', 'refused', 'unreachable', 'reset', 'denied', 'untrusted', 'protocol', 'mismatch',
  'expired', 'stale', 'full', 'overloaded', 'unavailable', 'read_only', 'loading', 'hung', 'unsupported', 'starved', 'other',
] as const
export type Reason = (typeof REASONS)[number]

export const STATUSES = ['ok', 'failed', 'unknown'] as const
export type Status = (typeof STATUSES)[number]

/** One timed step of a run. `ms` is the sum when a step is entered more than once (HTTP redirects). */
export interface PhaseTiming {
  readonly name: string
  readonly ms: number
}

export interface Failure {
  readonly layer: Layer
  readonly reason: Reason
  /** From the closed list of the probe type and the shared codes; never a metric label. */
  readonly code: string
  /** One sentence for a person, already redacted. */
  readonly message: string
}

/** One sample of the last run. `name` is the full metric name. */
export interface GaugeSample {
  readonly name: string
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
}

export interface Run {
  /** The job's id. */
  readonly job: string
  /** Wall clock, milliseconds since the epoch. */
  readonly startedAt: number
  /** How long the run took, in milliseconds of the monotonic clock. */
  readonly ms: number
  readonly phases: readonly PhaseTiming[]
  readonly gauges: readonly GaugeSample[]
}

/** `failed`: the target is at fault. `unknown`: we are, so nothing is said of the target. */
export type ProbeResult =
  | (Run & { readonly status: 'ok' })
  | (Run & { readonly status: 'failed' | 'unknown'; readonly failure: Failure })
