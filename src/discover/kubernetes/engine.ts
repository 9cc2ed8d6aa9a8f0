import { setTimeout as wait } from 'node:timers/promises'
import { clusterSource, type DiscoveryStatus } from '../../core/discovery.ts'
import type { Job, ProbeType } from '../../core/probe.ts'
import { orAbort } from '../../core/run.ts'
import { deadline } from '../../kubernetes/deadline.ts'
import type { ClusterAccess, Informer, InformerOptions, KubeError, WatchingClient } from '../../kubernetes/model.ts'
import { choose, type Candidate, type Refusal } from './choose.ts'
import { createCluster, type ClusterDiscovery } from './cluster.ts'
import { createGather } from './gather.ts'
import { byText } from './names.ts'
import type { Reader } from './read.ts'
import { createSources, type DiscoverySettings } from './sources.ts'
import { isOfSource, statusOf, summaryOf, troubleKey, type Trouble } from './status.ts'

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
    const now = new Map(discovery.sources().flatMap((source): [string, { readonly source: string, readonly error: KubeError }][] => {
      const error = discovery.trouble(source)
      return error ? [[troubleKey(error, source), { source, error }]] : []
    }))
    for (const [key, { source, error: { trouble, message } }] of now) {
      if (troubles.has(key)) continue
      const own = isOfSource(trouble) ? { source } : {}
      troubles.set(key, { trouble, since: Date.now(), ...own })
      log('warn', { cluster, ...own, trouble, problem: message }, own.source === undefined ? 'the cluster cannot be asked what there is: its targets stay as they are' : 'one source cannot list all that it looks at: its targets stay as they are, other sources go on')
    }
    const isAway = [...now.values()].some(({ error: { trouble } }) => !isOfSource(trouble))
    for (const [key, { trouble, since, source }] of troubles) {
      if (now.has(key)) continue
      troubles.delete(key)
      if (!isAway) log('info', { cluster, ...(source === undefined ? {} : { source }), trouble, seconds: Math.round((Date.now() - since) / 1000) }, source === undefined ? 'the cluster can be asked again' : 'the source can list all that it looks at again')
    }
  }

  const sourcesFor = createSources()

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
      if (key !== sourcesOf) for (const [index, sources] of sourcesFor(next, byType).entries()) running[index]?.discovery.setSources(sources)
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
