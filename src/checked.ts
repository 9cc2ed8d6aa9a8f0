import { hostname } from 'node:os'
import { diagnosticText } from './config/document.ts'
import { mostSeries } from './config/limits.ts'
import { loadConfig, type Config } from './config/load.ts'
import type { Top } from './config/schema.ts'
import type { Job } from './core/probe.ts'
import { seriesOf } from './exporter/families.ts'
import { probeTypes } from './probes/index.ts'

/** As long as `instance_id` may be. */
const LONGEST_NAME = 64

/** The pod that this process runs in, else the host: on its node's network a pod has the node's host name. What tells replicas apart stands at the end. */
export function processName(): string {
  return (process.env['POD_NAME'] || hostname()).slice(-LONGEST_NAME)
}

/** Unique to this prober: part of every key that it writes. */
export function instanceId(top: Top | undefined): string {
  return top?.instance_id ?? processName()
}

/** Series that these jobs make at most while nothing fails. */
export function seriesCount(jobs: readonly Job[]): number {
  const byType = new Map(probeTypes.map((type) => [type.type, type]))
  return jobs.reduce((sum, job) => {
    const type = byType.get(job.type)
    return sum + (type ? seriesOf(job, type) : 0)
  }, 0)
}

export type Checked = { readonly checksum: string } & ({ readonly config: Config } | { readonly config?: undefined, readonly errors: readonly string[] })

/** Loads a config and holds it against `limits.series` too. */
export async function loadChecked(path: string, authenticated = false): Promise<Checked> {
  const { checksum, config, diagnostics } = await loadConfig(path, { types: probeTypes, authenticated })
  if (!config) return { checksum, errors: diagnostics.map(diagnosticText) }
  const series = seriesCount(config.jobs)
  const most = mostSeries(config.top)
  if (series > most) return { checksum, errors: [`${path}:1:1: limits.series: expected at most ${most} series${most > config.top.limits.series ? ' of all shards together' : ''}, but the probes make ${series}`] }
  return { checksum, config }
}

/** Every mistake of a config, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
  }
}
