import type { HealthName } from '../options.ts'
import type { Source } from '../source.ts'
import { hostSource } from './host.ts'
import { nodesSource } from './nodes.ts'
import { apiSource } from './api.ts'
import { dnsSource } from './dns.ts'
import { meshSource } from './mesh.ts'
import { certificatesSource } from './certificates.ts'
import { pathsSource } from './paths.ts'

/** What the sources of a cluster's own health may go by. */
export interface HealthOptions {
  /** `discovery.kubernetes.domain`: `cluster.local`. */
  readonly domain: string
  /** The node that this Curlew runs on, where it is told. */
  readonly node: string | undefined
  /** `discovery.kubernetes.external`: a name outside the clusters. */
  readonly external?: string | undefined
  /** Whether Curlew is on the network of the cluster's nodes and pods. */
  readonly inside: boolean
  /** `discovery.kubernetes.mesh.neighbours`. */
  readonly neighbours?: number | undefined
  /** `discovery.kubernetes.quota`: targets of a namespace. */
  readonly quota: number
}

/** What finds the probes of a cluster's own health, by its name under `discovery.kubernetes.health`; a file each, beside this one. Undefined: nothing of it can be reached from outside. */
export const healthSources: Readonly<Record<HealthName, (options: HealthOptions) => Source | undefined>> = {
  nodes: nodesSource,
  host: hostSource,
  api: apiSource,
  dns: (options) => (options.inside ? dnsSource(options) : undefined),
  mesh: ({ neighbours }) => meshSource({ neighbours }),
  certificates: certificatesSource,
  paths: pathsSource,
}
