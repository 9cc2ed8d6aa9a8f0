import { isInside, type ClusterAccess } from '../../kubernetes/model.ts'
import { COLLECTIONS } from './objects.ts'
import { ROLES, rolesSeen, type HealthName, type KubernetesDiscovery } from './options.ts'

/** What of a cluster's own health is on its network. */
const INSIDE_HEALTH: Readonly<Partial<Record<HealthName, string>>> = {
  api: 'its API servers one by one', dns: 'its DNS servers', nodes: 'its kubelets', paths: 'the Services and pods behind its Ingresses and HTTPRoutes',
}

/** A sentence for each cluster of which something is left out that the config asks for, since Curlew is not inside. */
export function leftOut({ annotations, rules, health }: KubernetesDiscovery, clusters: readonly ClusterAccess[]): readonly { readonly cluster: string, readonly message: string }[] {
  return clusters.filter((cluster) => !isInside(cluster)).flatMap((cluster) => {
    const seen = rolesSeen(cluster)
    const kinds = ROLES.filter((role) => !seen.includes(role) && (annotations.includes(role) || rules.some((rule) => rule.role === role))).map((role) => COLLECTIONS[role].kind)
    const left = [...kinds.length === 0 ? [] : [`annotations and rules of ${kinds.join(', ')}`], ...health.flatMap((name) => INSIDE_HEALTH[name] ?? [])]
    return left.length === 0 ? [] : [{ cluster: cluster.name, message: `not looked at, because Curlew is not inside (kubernetes.clusters[].inside): ${left.join('; ')}` }]
  })
}
