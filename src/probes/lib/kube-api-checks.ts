/** Of `/readyz/<check>`, in every version since 1.20; one that a server does not have answers 404. Those of etcd stand apart. */
const USUAL: readonly string[] = [
  'ping', 'log', 'informer-sync', 'shutdown', 'storage-readiness', 'autoregister-completion', 'peer-handler-healthy',
  'poststarthook/start-apiextensions-controllers', 'poststarthook/crd-informer-synced', 'poststarthook/rbac/bootstrap-roles',
  'poststarthook/scheduling/bootstrap-system-priority-classes', 'poststarthook/priority-and-fairness-config-producer',
  'poststarthook/priority-and-fairness-config-consumer', 'poststarthook/start-cluster-authentication-info-controller',
  'poststarthook/start-system-namespaces-controller', 'poststarthook/apiservice-registration-controller',
  'poststarthook/apiservice-status-available-controller', 'poststarthook/apiservice-discovery-controller',
  'poststarthook/kube-apiserver-autoregistration', 'poststarthook/aggregator-reload-proxy-client-cert',
]

/** The checks through which an API server sees etcd. */
export const ETCD_CHECKS: readonly string[] = ['etcd', 'etcd-readiness']

/** How many checks one run asks for, those of etcd included; kube-apiserver 1.34 has about 35. */
export const MOST_CHECKS = 48

const NAME = /^[a-z0-9][a-z0-9._/-]{0,99}$/i
const SERIES = /^kubernetes_healthcheck\{([^}]*)\}/gm

/**
 * Which checks to ask for, without those of etcd: what `/metrics/slis` names (GA since Kubernetes 1.32), or the usual ones
 * where it may not be read. Its values are not taken: they are of whoever asked last.
 */
export function checkNames(slis: string | undefined): readonly string[] {
  const found = Array.from((slis ?? '').matchAll(SERIES), ([, labels = '']) => ({ name: labelOf(labels, 'name'), type: labelOf(labels, 'type') }))
    .flatMap(({ name, type }) => (type === 'readyz' && name !== undefined && NAME.test(name) ? [name] : []))
  return (found.length > 0 ? [...new Set(found)] : USUAL).filter((name) => !ETCD_CHECKS.includes(name)).slice(0, MOST_CHECKS - ETCD_CHECKS.length)
}

function labelOf(labels: string, name: string): string | undefined {
  return new RegExp(`(?:^|,)\\s*${name}="([^"\\\\]*)"`).exec(labels)?.[1]
}
