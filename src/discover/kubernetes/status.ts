import type { DiscoveryStatus } from '../../core/discovery.ts'
import { KUBE_TROUBLES, type ClusterAccess, type KubeError, type KubeTrouble } from '../../kubernetes/model.ts'
import type { Candidate, Refusal } from './choose.ts'
import type { ClusterDiscovery } from './cluster.ts'

const MOST_SHOWN = 500
/** Namespaces that have a series of their own. */
const MOST_NAMESPACES = 200

/** `since` is wall clock, ms. */
export interface Trouble {
  readonly trouble: KubeTrouble
  readonly since: number
  /** Whose it is, where it is not the cluster's. */
  readonly source?: string | undefined
}

interface Looked {
  readonly access: ClusterAccess
  readonly discovery: ClusterDiscovery
  /** By `troubleKey`. */
  readonly troubles: ReadonlyMap<string, Trouble>
}

/** What is counted once, whenever what is probed has changed: a scrape asks often. */
export interface Summary {
  /** By cluster and source. */
  readonly targets: ReadonlyMap<string, number>
  readonly refused: DiscoveryStatus['refused']
  readonly refusedCounts: DiscoveryStatus['refusedCounts']
}

export function summaryOf(chosen: readonly Candidate[], refused: readonly Refusal[]): Summary {
  const targets = new Map<string, number>()
  for (const { cluster, source } of chosen) targets.set(`${cluster} ${source}`, (targets.get(`${cluster} ${source}`) ?? 0) + 1)
  return { targets, refused: refused.slice(0, MOST_SHOWN), refusedCounts: counted(refused) }
}

/** What the status page and the metrics show. */
export function statusOf(running: readonly Looked[], { targets, refused, refusedCounts }: Summary): DiscoveryStatus {
  return {
    sources: running.flatMap(({ access: { name: cluster }, discovery, troubles }) => discovery.sources().map((source) => {
      const trouble = discovery.trouble(source)
      return {
        cluster, source,
        targets: targets.get(`${cluster} ${source}`) ?? 0,
        freshAt: discovery.freshAt(source),
        trouble: trouble && { trouble: trouble.trouble, message: trouble.message, since: troubles.get(troubleKey(trouble, source))?.since ?? Date.now() },
        leftOut: discovery.leftOut(source),
      }
    })),
    refused,
    refusedCounts,
    errors: running.flatMap(({ access: { name: cluster }, discovery }) => KUBE_TROUBLES.map((trouble) => ({ cluster, trouble, count: discovery.errors().get(trouble) ?? 0 }))),
  }
}

function counted(refused: readonly Refusal[]): DiscoveryStatus['refusedCounts'] {
  const counts = new Map<string, { cluster: string, namespace: string, count: number }>()
  for (const { cluster, namespace = '', count } of refused) {
    const own = JSON.stringify([cluster, namespace])
    const rest = counts.size >= MOST_NAMESPACES && !counts.has(own)
    const key = rest ? JSON.stringify([cluster, 'other']) : own
    const before = counts.get(key) ?? { cluster, namespace: rest ? 'other' : namespace, count: 0 }
    counts.set(key, { ...before, count: before.count + count })
  }
  return [...counts.values()]
}

/** Trouble of one list, while the API answers: a right that is missing, a kind that is not there. */
export function isOfSource(trouble: string): boolean {
  return trouble === 'forbidden' || trouble === 'not_found'
}

/** What a trouble is remembered by: the API is away once for all sources. */
export function troubleKey({ trouble }: KubeError, source: string): string {
  return isOfSource(trouble) ? `${trouble} ${source}` : trouble
}
