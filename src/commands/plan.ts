import { ConfigError, loadChecked, seriesCount } from '../checked.ts'
import { clusterSource } from '../core/discovery.ts'
import { formatDuration } from '../core/fields.ts'
import type { Job } from '../core/probe.ts'
import { redact } from '../core/secrets.ts'
import { discoverLocal, localCertificates, localListeners, localMounts } from '../discover/local.ts'
import { discoveredJobs, findOnce, NOTHING, type FoundOnce } from '../discovering.ts'
import { findConfig } from './config-path.ts'
import { counted, EXIT, type Io } from './usage.ts'

/** One target, and why it is probed. */
interface Planned {
  readonly job: Job
  /** `config`, `local` or `kubernetes:<cluster>:<source>`. */
  readonly source: string
  /** `Service shop/redis`. */
  readonly object?: string
  readonly why: string
}

/** What is found in the clusters of a config; `io.err` is told of clusters that cannot be asked. */
export async function lookOnce(config: Parameters<typeof findOnce>[0], io: Io): Promise<FoundOnce> {
  const found = await findOnce(config, { seriesOf: (job) => seriesCount([job]), signal: io.signal })
  // One sentence for a cluster: when its API is away it is away for every source.
  for (const [first] of Map.groupBy(found.unasked, (one) => one.cluster).values()) io.err(`curlew: discovery: ${redact(first?.message ?? '')}\n`)
  return found
}

/** `curlew check --plan`: what would be probed, and why. 3 when a cluster could not be asked. */
export async function plan(flag: string | undefined, format: 'pretty' | 'json', io: Io): Promise<number> {
  const path = findConfig(flag, io)
  const planned: Planned[] = []
  let found = NOTHING
  if (path === undefined) {
    const jobs = discoveredJobs(discoverLocal({ listeners: localListeners(), mounts: localMounts(), certificates: localCertificates(), ownUrl: undefined }))
    planned.push(...jobs.map((job) => ({ job, source: 'local', why: 'this machine shows it' })))
  } else {
    const loaded = await loadChecked(path, true)
    if (!loaded.config) throw new ConfigError(loaded.errors)
    found = await lookOnce(loaded.config, io)
    planned.push(
      ...loaded.config.jobs.map((job) => ({ job, source: 'config', why: `probes of ${path}` })),
      ...found.chosen.map(({ job, cluster, source, found: { object, why } }) => ({ job, source: clusterSource({ cluster, source }), object, why })),
    )
  }
  io.out(format === 'json' ? jsonPlan(planned, found) : prettyPlan(planned, found))
  return found.unasked.length > 0 ? EXIT.unknown : EXIT.ok
}

function scheduleText({ schedule }: Job): string {
  return 'everyMs' in schedule ? `every ${formatDuration(schedule.everyMs)}` : `cron ${schedule.cron}`
}

function prettyPlan(planned: readonly Planned[], { leftOut, refused, unasked }: FoundOnce): string {
  const lines = planned.map(({ job, source, object, why }) =>
    `${job.name} ${job.type} ${job.target}, ${scheduleText(job)}, ${job.mode}\n    ${source}: ${object === undefined ? '' : `${object}, `}${why}\n`)
  const left = refused.map(({ cluster, object, message, count }) => `not probed as asked: ${cluster}: ${object}: ${message}${count > 1 ? ` (${count})` : ''}\n`)
  const outside = leftOut.map(({ cluster, source, message }) => `${source === undefined ? `cluster ${cluster}` : clusterSource({ cluster, source })}: ${message}\n`)
  const unknown = unasked.map(({ message, ...one }) => `not asked: ${clusterSource(one)}: ${message}\n`)
  return redact(`${[...lines, ...left, ...outside, ...unknown].join('')}${counted(planned.length, 'target')}, ${refused.reduce((sum, { count }) => sum + count, 0)} not probed as asked\n`)
}

function jsonPlan(planned: readonly Planned[], { leftOut, refused, unasked }: FoundOnce): string {
  const targets = planned.map(({ job, source, object, why }) => ({
    id: job.id, name: job.name, type: job.type, target: job.target, labels: job.labels,
    ...('everyMs' in job.schedule ? { every_seconds: job.schedule.everyMs / 1000 } : { cron: job.schedule.cron }),
    mode: job.mode, depends_on: job.dependsOn.map(({ probe, target }) => (target === undefined ? probe : `${probe}/${target}`)), source, ...(object === undefined ? {} : { object }), why,
  }))
  return redact(`${JSON.stringify({ schema_version: 1, targets, refused, left_out: leftOut, unasked }, null, 2)}\n`)
}
