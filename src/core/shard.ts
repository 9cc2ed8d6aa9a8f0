/** Which of `total` processes that share the targets this one is; `index` counts from 0. */
export interface Shard {
  readonly index: number
  readonly total: number
}

export const ALONE: Shard = { index: 0, total: 1 }

/** What this process is among others. */
export interface Share {
  /** False while another replica probes. */
  readonly active: boolean
  /** The Lease by which one of several replicas is active. */
  readonly lease: string | undefined
  /** The instance that has it, as far as it is known. */
  readonly holder: string | undefined
  readonly shard: Shard
  /** Targets of all shards, and of this one. */
  readonly expected: number
  readonly owned: number
}
