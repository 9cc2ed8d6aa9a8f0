import { z } from 'zod'
import type { Watched } from '../source.ts'
import { metadata, type ObjectName } from './names.ts'

/** What users call, on hosts of the Ingress: without it nothing of an Ingress is asked for. */
export const PATH = 'curlew.dev/path'
/** What the Service is asked for instead, where the ingress rewrites the path. */
export const BACKEND_PATH = 'curlew.dev/backend-path'

export interface IngressFacts extends ObjectName {
  /** RFC 3339. */
  readonly created: string
  readonly path: string
  readonly backendPath: string | undefined
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
  readonly ports: readonly { readonly name: string, readonly port: number, readonly tls: boolean }[]
}

export interface SliceFacts extends ObjectName {
  readonly service: string
  readonly ports: readonly { readonly name: string, readonly port: number }[]
  /** Those that are ready. */
  readonly addresses: readonly string[]
}

const text = z.string().nullish()
const annotated = metadata.extend({ creationTimestamp: text, annotations: z.record(z.string(), z.string()).nullish() })
const backend = z.object({ service: z.object({ name: z.string(), port: z.object({ number: z.int().nullish(), name: text }).nullish() }).nullish() }).nullish()
const ingress = z.object({
  metadata: annotated,
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

export const INGRESSES: Watched<IngressFacts> = {
  name: 'paths-ingresses', selection: { path: '/apis/networking.k8s.io/v1/ingresses' },
  project(raw) {
    const { data } = ingress.safeParse(raw)
    const annotations = data?.metadata.annotations ?? {}
    const path = annotations[PATH]
    if (!data || path === undefined) return undefined
    const { name, namespace, creationTimestamp: created } = data.metadata
    const protocol = annotations['nginx.ingress.kubernetes.io/backend-protocol']?.toLowerCase()
    return {
      name, namespace, path,
      created: created ?? '',
      backendPath: annotations[BACKEND_PATH],
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
      ports: (ports ?? []).filter(({ protocol }) => !protocol || protocol === 'TCP').map((port) => ({ name: port.name ?? '', port: port.port, tls: port.appProtocol?.toLowerCase() === 'https' })),
    }
  },
}

export const SLICES: Watched<SliceFacts> = {
  name: 'paths-endpointslices', selection: { path: '/apis/discovery.k8s.io/v1/endpointslices', labelSelector: 'kubernetes.io/service-name' },
  project(raw) {
    const { data } = slice.safeParse(raw)
    const of = data?.metadata.labels?.['kubernetes.io/service-name']
    if (!data || of === undefined || data.addressType === 'FQDN') return undefined
    return {
      name: data.metadata.name, namespace: data.metadata.namespace, service: of,
      ports: (data.ports ?? []).flatMap(({ name, port, protocol }) => (port && (!protocol || protocol === 'TCP') ? [{ name: name ?? '', port }] : [])),
      // Absent means ready (discovery.k8s.io/v1, EndpointConditions); the first address of an endpoint is the one that counts.
      addresses: (data.endpoints ?? []).flatMap(({ addresses, conditions }) => (conditions?.ready === false ? [] : addresses.slice(0, 1))),
    }
  },
}
