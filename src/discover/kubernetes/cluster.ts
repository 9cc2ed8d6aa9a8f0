import type { DiscoveryLeftOut } from '../../core/discovery.ts'
import type { ProbeType } from '../../core/probe.ts'
import type { ClusterAccess, Informer, InformerOptions, KubeError, KubeTrouble, WatchingClient } from '../../kubernetes/model.ts'
import type { Candidate, Refusal } from './choose.ts'
import { resolveDependencies } from './dependencies.ts'
import { createLogins, type Login } from './logins.ts'
import { createEntries, type Reader } from './read.ts'
import type { Found, Refused, Source } from './source.ts'
import { createWatching } from './watching.ts'

export interface ClusterOptions {
  readonly access: ClusterAccess
  readonly namespaces: readonly string[] | undefined
  readonly node: string | undefined
  readonly types: ReadonlyMap<string, ProbeType>
  readonly read: Reader
  readonly client: WatchingClient
  readonly watch: <T>(options: InformerOptions<T>) => Informer<T>
  readonly onChange: () => void
  readonly onTrouble: (trouble: KubeError | undefined) => void
  /** An error of ours: the source keeps its last list. */
  readonly onBug: (source: string, error: unknown) => void
}

/** What may change without the cluster being looked at anew. */
export interface Around {
  readonly labels: Readonly<Record<string, string>>
  readonly configNames: ReadonlySet<string>
  /** Secrets that annotations of one namespace may name. */
  readonly secrets: number
  /** More than one cluster is looked at. */
  readonly several: boolean
}

/** What one source has come to. */
export interface Listed {
  readonly candidates: readonly Candidate[]
  readonly refused: readonly Refusal[]
}

/** One cluster: its informers, its sources, and what they have found. */
export interface ClusterDiscovery {
  setSources(sources: readonly Source[]): void
  /** Asks the sources that know all they watch, and reads what they have found. Never rejects. */
  look(around: Around): Promise<void>
  /** The last good list of each source, in the sources' order; none of a source that has never known all that it watches. */
  lists(): ReadonlyMap<string, Listed>
  sources(): readonly string[]
  freshAt(source: string): number | undefined
  trouble(source: string): KubeError | undefined
  leftOut(source: string): readonly DiscoveryLeftOut[]
  synced(source: string): boolean
  errors(): ReadonlyMap<KubeTrouble, number>
  /** Resolves when neither a Secret is being read nor the API's address. */
  idle(): Promise<void>
  stop(): void
}

type Asked = { readonly source: Source } & ReturnType<Source['find']>

/** Begins with no source. */
export function createCluster({ access, namespaces, node, types, read, client, watch, onChange, onTrouble, onBug }: ClusterOptions): ClusterDiscovery {
  const errors = new Map<KubeTrouble, number>()
  const watching = createWatching({
    client, namespaces, watch, onChange,
    onTrouble(trouble) {
      if (trouble) errors.set(trouble.trouble, (errors.get(trouble.trouble) ?? 0) + 1)
      onTrouble(trouble)
    },
  })
  const logins = createLogins({ client, onChange })
  const entries = createEntries(read, types)
  let sources: readonly Source[] = []
  let lists = new Map<string, Listed>()
  let server: string | undefined
  let asking: Promise<void> | undefined
  const byName = (name: string) => sources.find((source) => source.name === name)

  /** The address of the API is one of the things that sources go by; until it is known they do without. */
  function askServer() {
    if (server !== undefined) return
    asking ??= client.server().then((url) => {
      server = url
      onChange()
    }, () => {}).finally(() => { asking = undefined }) // why there is none the informers say
  }

  async function ask(source: Source, several: boolean): Promise<Asked | undefined> {
    if (!watching.synced(source)) return undefined
    try {
      const context = { cluster: access, several, node, server, held: watching.held }
      await source.prepare?.(context)
      return { source, ...source.find(context) }
    } catch (error) {
      onBug(source.name, error)
      return undefined
    }
  }

  async function look({ labels, configNames, secrets, several }: Around): Promise<void> {
    askServer()
    const asked: Asked[] = []
    for (const source of sources) {
      const one = await ask(source, several)
      if (one) asked.push(one)
    }
    const others = new Set([...lists].flatMap(([name, { candidates }]) => (asked.some(({ source }) => source.name === name) ? [] : candidates.map(({ job }) => job.name))))
    const { of, refused: unresolved } = resolveDependencies(asked.flatMap(({ found }) => found), others, configNames)
    const used = new Map<string, Set<string>>()
    entries.begin()
    for (const { source, found, refused } of asked) {
      const candidates: Candidate[] = []
      const objects = new Set(unresolved.length === 0 ? [] : found.map(({ object }) => object))
      const wrong: Refused[] = [...refused, ...unresolved.filter(({ object }) => objects.has(object))]
      for (const one of found) {
        const login = loginOf(one, used, secrets)
        if (login?.state === 'pending') continue
        const own = { cluster: access.name, ...(one.namespace === undefined ? {} : { namespace: one.namespace }) }
        if (login?.state === 'refused') {
          wrong.push({ object: one.object, namespace: one.namespace, message: `curlew.dev/secret: ${login.message}` })
          continue
        }
        const outcome = await entries.read(one, { labels: { ...labels, ...ownLabels(one), ...own }, dependsOn: of.get(one) ?? [], login })
        if ('problem' in outcome) wrong.push({ object: one.object, namespace: one.namespace, message: `${one.why}: ${outcome.problem}` })
        else for (const job of outcome.jobs) candidates.push({ cluster: access.name, source: source.name, job, found: one })
      }
      lists.set(source.name, { candidates, refused: distinct(wrong).map((one) => ({ ...one, cluster: access.name, count: 1 })) })
    }
    logins.keep(new Set([...used].flatMap(([namespace, names]) => Array.from(names, (name) => `${namespace}/${name}`))))
  }

  function loginOf({ namespace, secret }: Found, used: Map<string, Set<string>>, most: number): Login | undefined {
    if (secret === undefined || namespace === undefined) return undefined
    const names = used.get(namespace) ?? new Set()
    used.set(namespace, names)
    if (!names.has(secret) && names.size >= most) return { state: 'refused', message: `expected at most ${most} Secrets of one namespace` }
    names.add(secret)
    return logins.get(namespace, secret)
  }

  return {
    setSources(wanted) {
      sources = wanted
      watching.set(wanted)
      lists = new Map(wanted.flatMap(({ name }) => {
        const list = lists.get(name)
        return list ? [[name, list]] : []
      }))
    },
    async look(around) {
      try {
        await look(around)
      } catch (error) {
        onBug('all', error)
      }
    },
    lists: () => lists,
    sources: () => sources.map(({ name }) => name),
    freshAt(name) {
      const source = byName(name)
      return source && watching.freshAt(source)
    },
    trouble(name) {
      const source = byName(name)
      return source && watching.trouble(source)
    },
    leftOut(name) {
      const source = byName(name)
      return source ? watching.leftOut(source) : []
    },
    synced(name) {
      const source = byName(name)
      return source !== undefined && watching.synced(source)
    },
    errors: () => errors,
    async idle() {
      await Promise.all([asking, logins.idle()])
    },
    stop() {
      watching.stop()
      logins.stop()
    },
  }
}

function ownLabels({ entry: { labels } }: Found): Record<string, string> {
  return typeof labels === 'object' && labels !== null ? { ...labels } : {}
}

/** The same sentence of the same object once: an object with many addresses makes the same mistake at each. */
function distinct(refused: readonly Refused[]): Refused[] {
  return [...new Map(refused.map((one) => [`${one.object}\0${one.message}`, one])).values()]
}
