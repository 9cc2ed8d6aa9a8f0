import { z } from 'zod'
import { SERVICE_NAME_LABEL } from '../../../kubernetes/well-known.ts'
import type { Watched } from '../source.ts'
import { metadata, type ObjectName } from './names.ts'

/** What users call, on hosts of the Ingress or HTTPRoute: without it nothing of it is asked for. */
export const PATH = 'curlew.dev/path'
/** What the Service is asked for instead, where the path is rewritten on the way. */
export const BACKEND_PATH = 'curlew.dev/backend-path'

/** What carries the annotation. */
export interface Asked extends ObjectName {
  /** RFC 3339. */
  readonly created: string
  readonly path: string
  readonly backendPath: string | undefined
}

export interface IngressFacts extends Asked {
  /** What the backend speaks, as far as annotations of ingress-nginx say it; `other`: nothing that can be asked in HTTP/1. */
  readonly backend: 'http' | 'https' | 'other' | undefined
  readonly rewrites: boolean
  /** Of `spec.tls`; an entry without hosts is for all. */
  readonly tls: readonly (readonly string[])[]
  readonly rules: readonly { readonly host: string, readonly paths: readonly IngressPath[] }[]
}

export interface IngressPath {
  readonly path: string
  readonly exact: boolean
  readonly service: string | undefined
  /** Number or name. */
  readonly port: number | string | undefined
}

export interface ServiceFacts extends ObjectName {
  /** undefined where there is none to connect to: a headless one, or a mere name. */
  readonly address: string | undefined
  readonly ports: readonly { readonly name: string, readonly port: number, readonly protocol: 'http' | 'https' | 'other' }[]
}

export interface SliceFacts extends ObjectName {
  readonly service: string
  readonly ports: readonly { readonly name: string, readonly port: number }[]
  /** Those that are ready. */
  readonly addresses: readonly string[]
}

const text = z.string().nullish()
export const annotatedMetadata = metadata.extend({ creationTimestamp: text, annotations: z.record(z.string(), z.string()).nullish() })
const backend = z.object({ service: z.object({ name: z.string(), port: z.object({ number: z.int().nullish(), name: text }).nullish() }).nullish() }).nullish()
const ingress = z.object({
  metadata: annotatedMetadata,
  spec: z.object({
    tls: z.array(z.object({ hosts: z.array(z.string()).nullish() })).nullish(),
    defaultBackend: backend,
    rules: z.array(z.object({ host: text, http: z.object({ paths: z.array(z.object({ path: text, pathType: text, backend })) }).nullish() })).nullish(),
  }),
})
const service = z.object({
  metadata,
  spec: z.object({ type: text, clusterIP: text, ports: z.array(z.object({ name: text, port: z.int(), protocol: text, appProtocol: text })).nullish() }),
})
const slice = z.object({
  metadata: metadata.extend({ labels: z.record(z.string(), z.string()).nullish() }),
  addressType: z.string(),
  ports: z.array(z.object({ name: text, port: z.int().nullish(), protocol: text })).nullish(),
  endpoints: z.array(z.object({ addresses: z.array(z.string()), conditions: z.object({ ready: z.boolean().nullish() }).nullish() })).nullish(),
})

/** undefined: it does not ask. */
export function askedOf({ name, namespace, creationTimestamp: created, annotations }: z.output<typeof annotatedMetadata>): Asked | undefined {
  const path = annotations?.[PATH]
  return path === undefined ? undefined : { name, namespace, path, created: created ?? '', backendPath: annotations?.[BACKEND_PATH] }
}

export const INGRESSES: Watched<IngressFacts> = {
  name: 'paths-ingresses', selection: { path: '/apis/networking.k8s.io/v1/ingresses' },
  project(raw) {
    const { data } = ingress.safeParse(raw)
    const asked = data && askedOf(data.metadata)
    if (!asked) return undefined
    const annotations = data.metadata.annotations ?? {}
    const protocol = annotations['nginx.ingress.kubernetes.io/backend-protocol']?.toLowerCase()
    return {
      ...asked,
      backend: protocol === undefined || protocol === 'auto_http' ? undefined : protocol === 'http' || protocol === 'https' ? protocol : 'other',
      rewrites: annotations['nginx.ingress.kubernetes.io/rewrite-target'] !== undefined,
      tls: (data.spec.tls ?? []).map(({ hosts }) => hosts ?? []),
      rules: (data.spec.rules ?? []).map(({ host, http }) => ({ host: host ?? '', paths: (http?.paths ?? [{ path: '/', pathType: 'Prefix', backend: data.spec.defaultBackend }]).map(pathOf) })),
    }
  },
}

function pathOf({ path, pathType, backend: to }: { readonly path?: string | null | undefined, readonly pathType?: string | null | undefined, readonly backend?: z.output<typeof backend> }): IngressPath {
  const port = to?.service?.port
  return { path: path ?? '/', exact: pathType === 'Exact', service: to?.service?.name, port: port?.number ?? port?.name ?? undefined }
}

export const SERVICES: Watched<ServiceFacts> = {
  name: 'paths-services', selection: { path: '/api/v1/services' },
  project(raw) {
    const { data } = service.safeParse(raw)
    if (!data) return undefined
    const { type, clusterIP: ip, ports } = data.spec
    return {
      name: data.metadata.name, namespace: data.metadata.namespace,
      address: type === 'ExternalName' || !ip || ip === 'None' ? undefined : ip,
      ports: (ports ?? []).filter(({ protocol }) => !protocol || protocol === 'TCP').map((port) => ({ name: port.name ?? '', port: port.port, protocol: protocolOf(port.appProtocol?.toLowerCase()) })),
    }
  },
}

/** HTTP/2 without TLS and gRPC cannot be asked in HTTP/1 (KEP-3726 names the prefixed ones). */
function protocolOf(named: string | undefined): ServiceFacts['ports'][number]['protocol'] {
  if (named === 'https' || named === 'kubernetes.io/wss') return 'https'
  return named === 'kubernetes.io/h2c' || named === 'grpc' ? 'other' : 'http'
}

export const SLICES: Watched<SliceFacts> = {
  name: 'paths-endpointslices', selection: { path: '/apis/discovery.k8s.io/v1/endpointslices', labelSelector: SERVICE_NAME_LABEL },
  project(raw) {
    const { data } = slice.safeParse(raw)
    const of = data?.metadata.labels?.[SERVICE_NAME_LABEL]
    if (!data || of === undefined || data.addressType === 'FQDN') return undefined
    return {
      name: data.metadata.name, namespace: data.metadata.namespace, service: of,
      ports: (data.ports ?? []).flatMap(({ name, port, protocol }) => (port && (!protocol || protocol === 'TCP') ? [{ name: name ?? '', port }] : [])),
      // Absent means ready (discovery.k8s.io/v1, EndpointConditions); the first address of an endpoint is the one that counts.
      addresses: (data.endpoints ?? []).flatMap(({ addresses, conditions }) => (conditions?.ready === false ? [] : addresses.slice(0, 1))),
    }
  },
}
