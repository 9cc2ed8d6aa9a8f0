import type { Top } from './schema.ts'

/** Series that all probes together may make: each shard has the limit for its share. */
export function mostSeries({ limits, kubernetes }: Pick<Top, 'limits' | 'kubernetes'>): number {
  return limits.series * (kubernetes?.shards?.total ?? 1)
}
