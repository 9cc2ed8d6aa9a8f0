import { z } from 'zod'
import type { Guard } from '../../core/probe.ts'
import type { Project } from '../../kubernetes/model.ts'
import { SERVICE_NAME_LABEL } from '../../kubernetes/well-known.ts'
import type { Role } from './options.ts'
import { placesOf, type Place, type Port } from './places.ts'

/** The prefix of every annotation that is Curlew's. */
export const ANNOTATION = 'curlew.dev/'
/** Characters of an annotation's value that are held. */
export const LONGEST_ANNOTATION = 4_096

/** What is held of an object. */
export interface Seen {
  readonly namespace: string | undefined
  /** Of a slice: its Service's. */
  readonly name: string
  /** Those that rules look at. */
  readonly labels: Readonly<Record<string, string>>
  /** Curlew's own and those that rules name; a value that is too long is cut just beyond the bound. */
  readonly annotations: Readonly<Record<string, string>>
  /** There were more of them than are held: none is. */
  readonly tooLong?: true
  readonly ports: readonly Port[]
  readonly places: readonly Place[]
}

/** What is made of an object in a namespace is a tenant's; Nodes are the operator's. */
export function guardOf({ namespace }: Seen, { foreign }: Place): Guard | undefined {
  return namespace === undefined ? undefined : foreign ? 'name' : 'address'
}

/** Characters of all annotations that are held of an object, names and values: the API takes 256 KiB. */
export const LONGEST_ALL = 65_536

export interface Wanted {
  /** Keys of labels and annotations that rules look at. */
  readonly labels: ReadonlySet<string>
  readonly annotations: ReadonlySet<string>
  /** Whether objects with Curlew's annotations are wanted. */
  readonly annotated: boolean
  /** Whether a rule wants the object. */
  selects(labels: Readonly<Record<string, string>>): boolean
  readonly domain: string
  readonly address: 'name' | 'ip'
}

const meta = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
    deletionTimestamp: z.string().nullish(),
  }),
})

/** Where each role's objects are listed. */
export const COLLECTIONS: Readonly<Record<Role, { readonly path: string, readonly kind: string }>> = {
  service: { path: '/api/v1/services', kind: 'Service' },
  endpointslice: { path: '/apis/discovery.k8s.io/v1/endpointslices', kind: 'EndpointSlice' },
  pod: { path: '/api/v1/pods', kind: 'Pod' },
  ingress: { path: '/apis/networking.k8s.io/v1/ingresses', kind: 'Ingress' },
  httproute: { path: '/apis/gateway.networking.k8s.io/v1/httproutes', kind: 'HTTPRoute' },
  node: { path: '/api/v1/nodes', kind: 'Node' },
}

/** Holds of a role's objects what targets are made of, and nothing of objects that neither a rule nor an annotation speaks of. */
export function projection(role: Role, wanted: Wanted): Project<Seen> {
  return (raw) => {
    const read = meta.safeParse(raw)
    if (!read.success || read.data.metadata.deletionTimestamp) return undefined
    const { name, namespace, labels, annotations } = read.data.metadata
    const all = labels ?? {}
    const own = Object.entries(annotations ?? {}).filter(([key]) => (wanted.annotated && key.startsWith(ANNOTATION)) || wanted.annotations.has(key))
    if (!own.some(([key]) => key.startsWith(ANNOTATION)) && !wanted.selects(all)) return undefined
    const found = placesOf(role, raw, { name, namespace, labels: all, domain: wanted.domain, address: wanted.address })
    if (!found) return undefined
    return {
      namespace,
      name: role === 'endpointslice' ? all[SERVICE_NAME_LABEL] ?? name : name,
      labels: Object.fromEntries(Object.entries(all).filter(([key]) => wanted.labels.has(key))),
      ...own.reduce((sum, [key, value]) => sum + key.length + value.length, 0) > LONGEST_ALL ? { annotations: {}, tooLong: true } : {
        annotations: Object.fromEntries(own.map(([key, value]) => [key, value.slice(0, LONGEST_ANNOTATION + 1)])),
      },
      ...found,
    }
  }
}
