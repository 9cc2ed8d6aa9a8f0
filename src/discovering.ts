import { mostSeries } from './config/limits.ts'
import { readFound } from './config/discovery.ts'
import { readEntry } from './config/jobs.ts'
import type { Config } from './config/load.ts'
import type { Job } from './core/probe.ts'
import type { Candidate, Refusal } from './discover/kubernetes/choose.ts'
import type { Discovery, DiscoveryOptions } from './discover/kubernetes/engine.ts'
import type { DiscoverySettings } from './discover/kubernetes/sources.ts'
import { leftOut } from './discover/kubernetes/outside.ts'
import { isOfSource } from './discover/kubernetes/status.ts'
import type { FoundEntry } from './discover/local.ts'
import { accessesOf } from './kubernetes/options.ts'
import { probeTypes } from './probes/index.ts'
import { LEFT_OUT } from './words/discovery.ts'

/** Jobs of what this machine shows. */
export function discoveredJobs(entries: readonly FoundEntry[]): Job[] {
  return entries.flatMap((entry) => {
    const type = probeTypes.find((known) => known.type === entry.type)
    if (!type) return []
    const { type: _type, ...rest } = entry
    return readEntry(type, rest, true).jobs
  })
}

/** What a config wants found in clusters; no cluster where it wants nothing. `series` is what its own probes make. */
export function discoverySettings({ top, jobs }: Pick<Config, 'top' | 'jobs'>, series: number): DiscoverySettings | undefined {
  const { discovery, kubernetes } = top
  if (!discovery?.kubernetes) return undefined
  const wanted = discovery.kubernetes.clusters
  return {
    discovery: discovery.kubernetes,
    allow: discovery.allow,
    leastEveryMs: discovery.every,
    clusters: accessesOf(kubernetes).filter(({ name }) => wanted?.includes(name) ?? true),
    node: kubernetes?.node,
    labels: top.labels,
    configNames: new Set(jobs.map(({ name }) => name)),
    series: Math.max(0, mostSeries(top) - series),
  }
}

/** Loads what finds targets in clusters, the client among it: only for a config that wants it. */
export async function openDiscovery({ seriesOf, apply, log }: Pick<DiscoveryOptions, 'apply' | 'log'> & { readonly seriesOf: (job: Job) => number }): Promise<Discovery> {
  const [{ createDiscovery }, { clusterClient }, { createInformer }] = await Promise.all([
    import('./discover/kubernetes/engine.ts'), import('./kubernetes/client.ts'), import('./kubernetes/informer.ts'),
  ])
  const types = new Map(probeTypes.map((type) => [type.type, type]))
  return createDiscovery({
    types: probeTypes, seriesOf, apply, log,
    client: clusterClient,
    watch: createInformer,
    read(entry) {
      const type = types.get(entry.type)
      return type ? readFound(type, entry) : { jobs: [], issues: [{ path: ['type'], message: 'expected a probe type' }], fromTarget: [] }
    },
  })
}

/** What one look at the clusters has come to. */
export interface FoundOnce {
  /** What the config asks for in clusters that Curlew is not inside of, and what a source may not list. */
  readonly leftOut: readonly { readonly cluster: string, readonly source?: string, readonly message: string }[]
  readonly chosen: readonly Candidate[]
  readonly refused: readonly Refusal[]
  /** Sources that could not be listed: nothing is known of what they would find. `message` names the cluster. */
  readonly unasked: readonly { readonly cluster: string, readonly source: string, readonly message: string }[]
}

export const NOTHING: FoundOnce = { leftOut: [], chosen: [], refused: [], unasked: [] }
/** The longest look at the clusters. */
const ONCE_MS = 20_000

/** Looks at the clusters of a config once, in a bounded time; rejects when aborted. */
export async function findOnce(config: Config, { seriesOf, signal }: { readonly seriesOf: (job: Job) => number, readonly signal: AbortSignal }): Promise<FoundOnce> {
  const settings = discoverySettings(config, config.jobs.reduce((sum, job) => sum + seriesOf(job), 0))
  if (!settings) return NOTHING
  const discovery = await openDiscovery({ seriesOf, apply: () => {}, log: () => {} })
  try {
    discovery.configure(settings)
    await discovery.settled(ONCE_MS, signal)
    const { sources } = discovery.status()
    const unlisted = sources.flatMap(({ cluster, source, leftOut: without }) => without.map((one) => ({ cluster, source, message: `${LEFT_OUT.en(one)} (${one.message})` })))
    // A source that lacks one of its lists is told with those that have none: what it would find is not known either.
    const unasked = sources.flatMap(({ cluster, source, freshAt, trouble }) =>
      (freshAt === undefined || (trouble && isOfSource(trouble.trouble)) ? [{ cluster, source, message: trouble?.message ?? `cluster ${cluster}: no answer within ${ONCE_MS / 1000} s` }] : []))
    return { leftOut: [...leftOut(settings.discovery, settings.clusters), ...unlisted], chosen: discovery.chosen(), refused: discovery.refused(), unasked }
  } finally {
    discovery.stop()
  }
}
