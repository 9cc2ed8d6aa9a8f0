/** What finding targets by themselves has come to, for the status page, metrics and `curlew check --plan`. */
export interface DiscoveryStatus {
  readonly sources: readonly DiscoverySource[]
  /** Wrong annotations and what did not fit, in the order of the objects' names; at most a few hundred. */
  readonly refused: readonly DiscoveryRefusal[]
  /** All of them, by cluster and namespace; beyond a bound of namespaces as `other`. */
  readonly refusedCounts: readonly { readonly cluster: string, readonly namespace: string, readonly count: number }[]
  readonly errors: readonly { readonly cluster: string, readonly trouble: string, readonly count: number }[]
}

export interface DiscoverySource {
  readonly cluster: string
  readonly source: string
  readonly targets: number
  /** Wall clock, ms: when its list was last certain to be up to date. */
  readonly freshAt: number | undefined
  /** Why the list cannot be brought up to date now, and since when (wall clock, ms). */
  readonly trouble: { readonly trouble: string, readonly message: string, readonly since: number } | undefined
  /** What it does without, since the API will not list it: a choice as a rule, and no trouble. */
  readonly leftOut: readonly DiscoveryLeftOut[]
}

export interface DiscoveryLeftOut {
  /** `secrets`, or where namespaces are given `shop/secrets, db/secrets`. */
  readonly what: string
  /** There is no right to list it, or the API does not have it. */
  readonly trouble: 'forbidden' | 'not_found'
  /** In the words of the API. */
  readonly message: string
}

export interface DiscoveryRefusal {
  readonly cluster: string
  /** `Service shop/redis`. */
  readonly object: string
  readonly namespace?: string | undefined
  readonly message: string
}

const IN_CLUSTERS = 'kubernetes:'

/** The label `source` of a source in a cluster: `kubernetes:room-a:nodes`. */
export function clusterSource({ cluster, source }: Pick<DiscoverySource, 'cluster' | 'source'>): string {
  return `${IN_CLUSTERS}${cluster}:${source}`
}

export function isClusterSource(name: string): boolean {
  return name.startsWith(IN_CLUSTERS)
}
