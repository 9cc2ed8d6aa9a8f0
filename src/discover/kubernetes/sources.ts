import type { ProbeType } from '../../core/probe.ts'
import { isInside, type ClusterAccess } from '../../kubernetes/model.ts'
import type { AnnotationRules } from './annotations.ts'
import { healthSources, type HealthOptions } from './health/index.ts'
import type { Seen } from './objects.ts'
import { rolesSeen, type KubernetesDiscovery } from './options.ts'
import { roleSources } from './roles.ts'
import type { Source, Watched } from './source.ts'

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

/** What sources are made of, kept by all that it goes by: a config that does not change it gives the very same, whose informers go on. */
export function createSources() {
  let before = new Map<string, unknown>()

  /** The sources of every cluster, in their order. */
  return function sources({ discovery, allow, leastEveryMs, clusters, node }: DiscoverySettings, types: ReadonlyMap<string, ProbeType>): Source[][] {
    const now = new Map<string, unknown>()
    const reuse = <T>(key: string, make: () => T): T => {
      const made = before.has(key) ? before.get(key) as T : make() // safe: a key begins with what it stands for, and is made of everything that `make` goes by
      now.set(key, made)
      return made
    }
    const { annotations, rules: own, domain, address, health, secrets, external, quota, mesh: { neighbours } } = discovery
    const all = clusters.map((access) => {
      const { name } = access
      const cluster = clusters.length > 1 ? name : undefined
      const rules: AnnotationRules = { types, allow, leastEveryMs, secrets, domain, cluster }
      const roles = roleSources(discovery, rolesSeen(access), rules, (role, make) =>
        reuse<Watched<Seen>>(`watched ${name} ${JSON.stringify([role, annotations.includes(role), own.filter((rule) => rule.role === role), domain, address])}`, make))
      const options: HealthOptions = { domain, node, external, neighbours, quota, inside: isInside(access) }
      const sources = health.flatMap((one) => reuse(`health ${name} ${one} ${JSON.stringify(options)}`, () => healthSources[one](options)) ?? [])
      return [...sources, ...roles]
    })
    before = now
    return all
  }
}
