import { z } from 'zod'
import type { ClusterAccess } from '../../../kubernetes/model.ts'
import { SERVICE_ACCOUNT_DIRECTORY, SERVICE_NAME_LABEL } from '../../../kubernetes/well-known.ts'
import type { Found, Refused, Source, Watched } from '../source.ts'
import { hostPortText } from '../names.ts'
import { accessOptions, healthName } from './names.ts'

/** Every cluster's Service of its own API. */
const SERVICE = 'kubernetes'
const HTTPS_PORT = 443

const slice = z.object({
  ports: z.array(z.object({ name: z.string().nullish(), port: z.number().nullish() })).nullish(),
  endpoints: z.array(z.object({ addresses: z.array(z.string()) })).nullish(),
})
const service = z.object({
  spec: z.object({
    clusterIPs: z.array(z.string()).nullish(), clusterIP: z.string().nullish(),
    ports: z.array(z.object({ name: z.string().nullish(), port: z.number() })).nullish(),
  }),
})

interface Address { readonly host: string, readonly port: number }

/** Every address at which an API server of this cluster may be reached: of each server, of the Service, and of the kubeconfig, from outside that one alone. */
export function apiSource({ domain, inside }: { readonly domain: string, readonly inside: boolean }): Source {
  const slices: Watched<readonly Address[]> = {
    name: 'api-endpoints',
    selection: { path: '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', labelSelector: `${SERVICE_NAME_LABEL}=${SERVICE}` },
    project(raw) {
      const { data } = slice.safeParse(raw)
      const port = portOf(data?.ports)
      return data && port !== undefined ? data.endpoints?.flatMap(({ addresses }) => addresses.map((host) => ({ host, port }))) ?? [] : undefined
    },
  }
  const services: Watched<readonly Address[]> = {
    name: 'api-service',
    selection: { path: '/api/v1/namespaces/default/services', fieldSelector: `metadata.name=${SERVICE}` },
    project(raw) {
      const { data } = service.safeParse(raw)
      if (!data) return undefined
      const port = portOf(data.spec.ports) ?? HTTPS_PORT
      const ips = data.spec.clusterIPs ?? (typeof data.spec.clusterIP === 'string' ? [data.spec.clusterIP] : [])
      return ips.filter((ip) => ip !== 'None').map((host) => ({ host, port }))
    },
  }
  return {
    name: 'api',
    watches: [slices, services],
    find(context) {
      const { cluster } = context
      const found = new Map<string, Found>()
      const refused: Refused[] = []
      const add = (name: string, { host, port }: Address, object: string, why: string) => {
        const target = hostPortText(host, port)
        // The first to name an address says what it is.
        if (!found.has(target)) found.set(target, { entry: { name: healthName(context, name), type: 'kube-api', target, mode: 'read-only', ...accessOf(cluster) }, object, why })
      }
      if (inside) {
        for (const address of [...context.held(slices)?.values() ?? []].flat()) add('kube-api', address, `Service default/${SERVICE}`, 'an API server of the cluster, by its own address')
        const addresses = [...context.held(services)?.values() ?? []].flat()
        for (const address of addresses) add('kube-api-service', address, `Service default/${SERVICE}`, 'the API by the address of its Service')
        const [first] = addresses
        if (first) add('kube-api-service', { host: `${SERVICE}.default.svc.${domain}`, port: first.port }, `Service default/${SERVICE}`, 'the API by the name of its Service, as pods reach it')
      }
      const server = context.server === undefined ? undefined : addressOf(context.server)
      if (server && 'host' in server) add('kube-api-address', server, `cluster ${cluster.name}`, cluster.kubeconfig === undefined ? 'the API by the address that pods are given' : 'the API by the address of the kubeconfig')
      else if (server) refused.push({ object: `cluster ${cluster.name}`, message: server.wrong })
      return { found: [...found.values()], refused }
    },
  }
}

function portOf(ports: readonly { readonly name?: string | null | undefined, readonly port?: number | null | undefined }[] | null | undefined): number | undefined {
  return (ports?.find(({ name }) => name === 'https') ?? ports?.[0])?.port ?? undefined
}

/** The credentials that Curlew itself has there. */
function accessOf(cluster: ClusterAccess): Readonly<Record<string, string>> {
  return cluster.kubeconfig === undefined ? { ca_file: `${SERVICE_ACCOUNT_DIRECTORY}/ca.crt`, token_file: `${SERVICE_ACCOUNT_DIRECTORY}/token` } : accessOptions(cluster)
}

function addressOf(server: string): Address | { readonly wrong: string } {
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url?.protocol !== 'https:') return { wrong: 'expected an https URL as the server of the cluster: an API without TLS is not probed' }
  if (url.pathname !== '/') return { wrong: 'the server of the cluster has a path, so it is a proxy before the API, which is not probed' }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? HTTPS_PORT : Number(url.port) }
}
