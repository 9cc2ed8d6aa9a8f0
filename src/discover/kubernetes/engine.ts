import { setTimeout as wait } from 'node:timers/promises'
import { clusterSource, type DiscoveryStatus } from '../../core/discovery.ts'
import type { Job, ProbeType } from '../../core/probe.ts'
import { orAbort } from '../../core/run.ts'
import { deadline } from '../../kubernetes/deadline.ts'
import { isInside, type ClusterAccess, type Informer, type InformerOptions, type KubeError, type WatchingClient } from '../../kubernetes/model.ts'
import type { AnnotationRules } from './annotations.ts'
import { choose, type Candidate, type Refusal } from './choose.ts'
import { createCluster, type ClusterDiscovery } from './cluster.ts'
import { createGather } from './gather.ts'
import { healthSources, type HealthOptions } from './health/index.ts'
import { byText } from './names.ts'
import type { Seen } from './objects.ts'
import { rolesSeen, type KubernetesDiscovery } from './options.ts'
import type { Reader } from './read.ts'
import { roleSources } from './roles.ts'
import type { Source, Watched } from './source.ts'
import { isOfSource, statusOf, summaryOf, troubleKey, type Trouble } from './status.ts'

/** What is to be found, and what of the config it depends on. */
export interface DiscoverySettings {
  readonly discovery: KubernetesDiscovery
  readonly allow: Readonly<Record<string, readonly string[]>>
  readonly leastEveryMs: number
  readonly clusters: readonly ClusterAccess[]
  readonly node: string | undefined
  /** The config's labels of every probe. */
  readonly labels: Readonly<Record<string, string>>
  readonly configNames: ReadonlySet<string>
  /** Series that all that is found may make. */
  readonly series: number
}

export interface DiscoveryOptions {
  readonly types: readonly ProbeType[]
  readonly read: Reader
  readonly seriesOf: (job: Job) => number
  readonly apply: (source: string, jobs: readonly Job[]) => void
  readonly client: (access: ClusterAccess) => WatchingClient
  readonly watch: <T>(options: InformerOptions<T>) => Informer<T>
  /** `fields` never hold what a tenant wrote but the names of objects. */
  readonly log: (level: 'info' | 'warn' | 'error', fields: Readonly<Record<string, unknown>>, message: string) => void
}

/** Finds targets in clusters for as long as it runs. */
export interface Discovery {
  /** Takes in a config: what it does not change keeps its informers and jobs. */
  configure(settings: DiscoverySettings): void
  status(): DiscoveryStatus
  /** What is probed, in the order of the objects' names. */
  chosen(): readonly Candidate[]
  refused(): readonly Refusal[]
  /** Resolves when every source has its first list or a reason for having none, at the latest after so many ms; what was found then is applied. Rejects when aborted. */
  settled(withinMs: number, signal: AbortSignal): Promise<void>
  stop(): void
}

interface Running {
  readonly key: string
  readonly access: ClusterAccess
  readonly discovery: ClusterDiscovery
  readonly client: WatchingClient
  /** Kinds of trouble that there are now, and since when. */
  readonly troubles: Map<string, Trouble>
}

const LOGGED_AT_ONCE = 20
const LOOK_MS = 25

/** Finds nothing until it is configured. */
export function createDiscovery({ types, read, seriesOf, apply, client, watch, log }: DiscoveryOptions): Discovery {
  const byType = new Map(types.map((type) => [type.type, type]))
  let settings: DiscoverySettings | undefined
  let running: readonly Running[] = []
  let applied = new Map<string, string>()
  let chosen: readonly Candidate[] = []
  let refused: readonly Refusal[] = []
  let summary = summaryOf([], [])
  let told = new Set<string>()
  let stopped = false
  /** The settings that the sources were made of. */
  let sourcesOf = ''
  const gather = createGather(async () => {
    try {
      await look()
    } catch (error) {
      bug('all', error)
    }
  })

  function bug(source: string, error: unknown) {
    log('error', { source, err: error instanceof Error ? { message: error.message, stack: error.stack } : { message: String(error) } }, 'error inside discovery')
  }

  let looking: Promise<void> = Promise.resolve()

  /** One after the other: what is read is remembered from one look to the next. */
  function look(): Promise<void> {
    looking = looking.then(lookNow, lookNow)
    return looking
  }

  async function lookNow(): Promise<void> {
    const now = settings
    if (!now || stopped) return
    for (const { discovery } of running) await discovery.look({ labels: now.labels, configNames: now.configNames, secrets: now.discovery.quota, several: running.length > 1 })
    if (!stopped && settings === now) settle(now)
    else gather.changed()
  }

  /** Applies what the clusters have listed. */
  function settle({ discovery: { quota, targets }, series, configNames: config }: DiscoverySettings) {
    const lists = running.flatMap(({ discovery }) => [...discovery.lists().values()])
    const kept = new Set(chosen.map(({ job }) => job.id))
    const result = choose(lists.flatMap(({ candidates }) => candidates), kept, { quota, targets, series, config, types: byType, seriesOf })
    chosen = result.chosen
    refused = [...lists.flatMap((list) => list.refused), ...result.refused].toSorted((a, b) => byText(a.object, b.object))
    summary = summaryOf(chosen, refused)
    tell()
    const names = running.flatMap(({ access, discovery }) => Array.from(discovery.lists().keys(), (source) => clusterSource({ cluster: access.name, source })))
    const bySource = new Map(names.map((source) => [source, new Array<Job>()]))
    for (const one of chosen) bySource.get(clusterSource(one))?.push(one.job)
    for (const source of applied.keys()) if (!bySource.has(source)) apply(source, [])
    const before = applied
    applied = new Map()
    for (const [source, jobs] of bySource) {
      const print = jobs.map(({ id, fingerprint, node, zone }) => `${id} ${fingerprint} ${node} ${zone}`).toSorted().join('\n')
      applied.set(source, print)
      if (before.get(source) !== print) apply(source, jobs)
    }
  }

  /** One line for each refusal when it appears. */
  function tell() {
    const now = new Map(refused.map((one) => [`${one.cluster}\0${one.object}\0${one.message}`, one]))
    const fresh = [...now].filter(([key]) => !told.has(key))
    told = new Set(now.keys())
    for (const [, { cluster, object, message }] of fresh.slice(0, LOGGED_AT_ONCE)) log('warn', { cluster, object, problem: message }, 'not probed as it asks to be')
    if (fresh.length > LOGGED_AT_ONCE) log('warn', { more: fresh.length - LOGGED_AT_ONCE }, 'more objects are not probed as they ask to be')
  }

  function begin(access: ClusterAccess, { discovery: { namespaces }, node }: DiscoverySettings, key: string): Running {
    const troubles = new Map<string, Trouble>()
    const shared = client(access)
    const discovery = createCluster({
      access, namespaces, node, types: byType, read, client: shared, watch,
      onChange: gather.changed, onBug: bug,
      onTrouble: () => follow(access, discovery, troubles),
    })
    return { key, access, discovery, client: shared, troubles }
  }

  /** One line when a kind of trouble begins, one when it is over and no other has taken its place. */
  function follow({ name: cluster }: ClusterAccess, discovery: ClusterDiscovery, troubles: Map<string, Trouble>) {
    const now = new Map(discovery.sources().flatMap((source): [string, KubeError][] => {
      const trouble = discovery.trouble(source)
      return trouble ? [[troubleKey(trouble, source), trouble]] : []
    }))
    for (const [key, { trouble, message }] of now) {
      if (troubles.has(key)) continue
      troubles.set(key, { trouble, since: Date.now() })
      log('warn', { cluster, trouble, problem: message }, 'the cluster cannot be asked what there is: its targets stay as they are')
    }
    const isAway = [...now.values()].some(({ trouble }) => !isOfSource(trouble))
    for (const [key, { trouble, since }] of troubles) {
      if (now.has(key)) continue
      troubles.delete(key)
      if (!isAway) log('info', { cluster, trouble, seconds: Math.round((Date.now() - since) / 1000) }, 'the cluster can be asked again')
    }
  }

  const reusable = createReusable()

  return {
    configure(next) {
      settings = next
      const before = running
      running = next.clusters.map((access) => {
        const key = JSON.stringify([access, next.discovery.namespaces, next.node])
        return before.find((one) => one.key === key) ?? begin(access, next, key)
      })
      for (const one of before) {
        if (running.includes(one)) continue
        one.discovery.stop()
        one.client.close()
      }
      const key = JSON.stringify([next.discovery, next.allow, next.leastEveryMs, next.clusters, next.node])
      if (key !== sourcesOf) for (const [index, sources] of reusable(next, byType).entries()) running[index]?.discovery.setSources(sources)
      sourcesOf = key
      gather.changed()
    },
    status: () => statusOf(running, summary),
    chosen: () => chosen,
    refused: () => refused,
    async settled(withinMs, signal) {
      const known = () => running.every(({ discovery }) => discovery.sources().every((source) => discovery.synced(source) || discovery.trouble(source) !== undefined))
      const end = deadline(withinMs, [signal])
      try {
        while (!known() && !end.signal.aborted) await wait(LOOK_MS)
        signal.throwIfAborted()
        await look()
        // It ends by its time, or is thrown on below.
        await orAbort(() => Promise.all(running.map(({ discovery }) => discovery.idle())), end.signal).catch(() => {})
        signal.throwIfAborted()
      } finally {
        end.clear()
      }
      // Once more, with what the Secrets and the access say.
      await look()
    },
    stop() {
      stopped = true
      gather.stop()
      for (const one of running) {
        one.discovery.stop()
        one.client.close()
      }
    },
  }
}

/** What sources are made of, kept by all that it goes by: a config that does not change it gives the very same, whose informers go on. */
function createReusable() {
  let before = new Map<string, unknown>()

  /** The sources of every cluster, in their order. */
  return function sources({ discovery, allow, leastEveryMs, clusters, node }: DiscoverySettings, types: ReadonlyMap<string, ProbeType>): Source[][] {
    const now = new Map<string, unknown>()
    const reuse = <T>(key: string, make: () => T): T => {
      const made = before.has(key) ? before.get(key) as T : make() // safe: a key begins with what it stands for, and is made of everything that `make` goes by
      now.set(key, made)
      return made
    }
    const { annotations, rules: own, domain, address, health, secrets, external, mesh: { neighbours } } = discovery
    const all = clusters.map((access) => {
      const { name } = access
      const cluster = clusters.length > 1 ? name : undefined
      const rules: AnnotationRules = { types, allow, leastEveryMs, secrets, domain, cluster }
      const roles = roleSources(discovery, rolesSeen(access), rules, (role, make) =>
        reuse<Watched<Seen>>(`watched ${name} ${JSON.stringify([role, annotations.includes(role), own.filter((rule) => rule.role === role), domain, address])}`, make))
      const options: HealthOptions = { domain, node, external, neighbours, inside: isInside(access) }
      const sources = health.flatMap((one) => reuse(`health ${name} ${one} ${JSON.stringify(options)}`, () => healthSources[one](options)) ?? [])
      return [...sources, ...roles]
    })
    before = now
    return all
  }
}
