import type { DiscoveryLeftOut } from '../../core/discovery.ts'
import { inNamespace } from '../../kubernetes/collections.ts'
import type { Informer, InformerOptions, KubeError, Project, Selection, WatchingClient } from '../../kubernetes/model.ts'
import type { Source, Watched } from './source.ts'

/** Collections that are in no namespace: they are looked at as a whole, also where `namespaces` is given. */
const CLUSTER_WIDE: ReadonlySet<string> = new Set([
  'nodes', 'namespaces', 'persistentvolumes', 'storageclasses', 'ingressclasses', 'gatewayclasses', 'apiservices', 'customresourcedefinitions',
  'validatingwebhookconfigurations', 'mutatingwebhookconfigurations', 'certificatesigningrequests',
])

export interface WatchingOptions {
  readonly client: WatchingClient
  readonly namespaces: readonly string[] | undefined
  readonly watch: <T>(options: InformerOptions<T>) => Informer<T>
  readonly onChange: () => void
  readonly onTrouble: (trouble: KubeError | undefined) => void
}

/** The informers of one cluster: one for each selection, and for each namespace where some are named. */
export interface Watching {
  /** Makes these sources' selections the ones that are watched; those that stay keep what they hold. */
  set(sources: readonly Source[]): void
  /** Whether everything that a source watches has been listed, but for what the API says it will not list: no such resource, or no permission. */
  synced(source: Source): boolean
  /** What has been listed of it, in all the namespaces; undefined where nothing has. */
  held<T>(watched: Watched<T>): ReadonlyMap<string, T> | undefined
  /** Wall clock, ms, of the oldest list that there is to be had; undefined before all of them are there. A source that watches nothing is always up to date. */
  freshAt(source: Source): number | undefined
  trouble(source: Source): KubeError | undefined
  /** What is optional and refused, as far as there is something to say of it. */
  leftOut(source: Source): readonly DiscoveryLeftOut[]
  stop(): void
}

interface Running {
  readonly selection: string
  readonly project: Project<unknown>
  readonly informers: readonly Informer<unknown>[]
}

/** Watches nothing until it is told what. */
export function createWatching({ client, namespaces, watch, onChange, onTrouble }: WatchingOptions): Watching {
  let running: readonly Running[] = []

  function start({ selection, project, optional }: Watched): Running {
    const told = (trouble: KubeError | undefined) => {
      // Sources wait for the first answer of each, and this is one.
      const refusal = refusalOf(trouble)
      if (refusal) onChange()
      // What is left out is no trouble, and whatever it was before is over.
      onTrouble(optional && refusal ? undefined : trouble)
    }
    return {
      selection: JSON.stringify(selection), project,
      informers: selectionsOf(selection, namespaces).map((one) => watch({ client, selection: one, project, onChange, onTrouble: told })),
    }
  }

  const runningOf = ({ selection, project }: Watched) => running.find((one) => one.project === project && one.selection === JSON.stringify(selection))
  const informersOf = (watched: Watched) => runningOf(watched)?.informers ?? []
  const all = (source: Source) => source.watches.flatMap(informersOf)

  return {
    set(sources) {
      const before = running
      const kept: Running[] = []
      for (const watched of sources.flatMap(({ watches }) => watches)) {
        const same = (one: Running) => one.project === watched.project && one.selection === JSON.stringify(watched.selection)
        if (!kept.some(same)) kept.push(before.find(same) ?? start(watched))
      }
      running = kept
      for (const one of before) if (!kept.includes(one)) for (const informer of one.informers) informer.stop()
    },
    synced: (source) => all(source).every((informer) => informer.synced() || isRefused(informer)),
    held<T>(watched: Watched<T>) {
      const [first, ...others] = informersOf(watched).filter((informer) => informer.synced()).map((informer) => informer.items() as ReadonlyMap<string, T>) // safe: `runningOf` finds what was started with this very projection
      return first === undefined || others.length === 0 ? first : new Map([first, ...others].flatMap((items) => [...items]))
    },
    freshAt(source) {
      // What asks nothing of the API is always as fresh as it can be.
      if (source.watches.length === 0) return Date.now()
      const times = all(source).filter((informer) => informer.synced() || !isRefused(informer)).map((informer) => informer.freshAt())
      return times.includes(undefined) || times.length === 0 ? undefined : Math.min(...times.filter((at) => at !== undefined))
    },
    trouble: (source) => source.watches
      .flatMap((watched) => informersOf(watched).filter((informer) => watched.optional === undefined || !isRefused(informer)))
      .map((informer) => informer.trouble()).find((trouble) => trouble !== undefined),
    leftOut(source) {
      const all = source.watches.filter(({ optional }) => optional).flatMap((watched) => {
        const refused = informersOf(watched).flatMap((informer, index) => {
          const trouble = informer.trouble()
          const refusal = refusalOf(trouble)
          return trouble && refusal && !(watched.optional === 'kind' && refusal === 'not_found') ? [{ what: collectionOf(selectionsOf(watched.selection, namespaces)[index] ?? watched.selection), trouble: refusal, message: trouble.message }] : []
        })
        return refused[0] ? [{ ...refused[0], what: refused.map(({ what }) => what).join(', ') }] : []
      })
      // A kind in two versions is one to whoever reads it.
      return [...new Map(all.map((one) => [`${one.trouble} ${one.what}`, one])).values()]
    },
    stop() {
      for (const { informers } of running) for (const informer of informers) informer.stop()
      running = []
    },
  }
}

/** A feature whose permission was not given, or whose resource is not installed, must not hold up what else a source looks at. */
function isRefused(informer: Informer<unknown>): boolean {
  return refusalOf(informer.trouble()) !== undefined
}

function refusalOf(error: KubeError | undefined): DiscoveryLeftOut['trouble'] | undefined {
  return error?.trouble === 'forbidden' || error?.trouble === 'not_found' ? error.trouble : undefined
}

/** `/api/v1/namespaces/shop/services` as `shop/services`. */
function collectionOf({ path }: Selection): string {
  const [, namespace, plural = path] = /(?:\/namespaces\/([^/]+))?\/([^/]+)$/.exec(path) ?? []
  return namespace === undefined ? plural : `${namespace}/${plural}`
}

/** `/api/v1/services` as `/api/v1/namespaces/shop/services`, once for each namespace. */
export function selectionsOf(selection: Selection, namespaces: readonly string[] | undefined): readonly Selection[] {
  const [, plural] = /^(?:\/api\/v1|\/apis\/[^/]+\/[^/]+)\/([^/]+)$/.exec(selection.path) ?? []
  if (!namespaces || plural === undefined || CLUSTER_WIDE.has(plural)) return [selection]
  return namespaces.map((namespace) => ({ ...selection, path: inNamespace(selection.path, namespace) }))
}
