import { isIP } from 'node:net'
import { z } from 'zod'
import { canonicalHost } from '../../core/fields.ts'
import { ZONE_LABEL } from '../../kubernetes/well-known.ts'
import type { Role } from './options.ts'

/** One address of an object. */
export interface Place {
  readonly host: string
  readonly node?: string | undefined
  readonly zone?: string | undefined
  /** Of an Ingress or HTTPRoute; a route whose parent does not tell has no scheme, and so no URL. */
  readonly scheme?: 'http' | 'https' | undefined
  readonly path?: string | undefined
  /** A name that its author chose freely: it may lead anywhere. */
  readonly foreign?: true
}

export interface Port {
  readonly name: string | undefined
  readonly port: number
}

interface Named {
  readonly name: string
  readonly namespace: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly domain: string
  readonly address: 'name' | 'ip'
}

export interface Places {
  readonly places: readonly Place[]
  readonly ports: readonly Port[]
}

/** Hosts times paths of one Ingress or route. */
const MOST_URLS = 50

const text = z.string()
const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform((items) => items ?? [])
const port = z.object({ name: text.nullish(), port: z.number().nullish() })

const service = z.object({ spec: z.object({ type: text.nullish(), clusterIP: text.nullish(), externalName: text.nullish(), ports: list(port) }) })
const slice = z.object({
  ports: list(port),
  endpoints: list(z.object({
    addresses: list(text), nodeName: text.nullish(), zone: text.nullish(), conditions: z.object({ ready: z.boolean().nullish() }).nullish(),
  })),
})
const pod = z.object({
  spec: z.object({ nodeName: text.nullish(), containers: list(z.object({ ports: list(z.object({ name: text.nullish(), containerPort: z.number() })) })) }),
  status: z.object({ phase: text.nullish(), podIP: text.nullish() }).nullish(),
})
const ingress = z.object({
  spec: z.object({
    tls: list(z.object({ hosts: list(text) })),
    rules: list(z.object({ host: text.nullish(), http: z.object({ paths: list(z.object({ path: text.nullish(), pathType: text.nullish() })) }).nullish() })),
  }),
})
const route = z.object({
  spec: z.object({
    hostnames: list(text),
    parentRefs: list(z.object({ sectionName: text.nullish(), port: z.number().nullish() })),
    rules: list(z.object({ matches: list(z.object({ path: z.object({ type: text.nullish(), value: text.nullish() }).nullish() })) })),
  }),
})
const node = z.object({ status: z.object({ addresses: list(z.object({ type: text, address: text })) }).nullish() })

/** The addresses and ports of an object, as the API's JSON has it; undefined where it has none now, such as a pod that does not run. */
export function placesOf(role: Role, raw: unknown, named: Named): Places | undefined {
  return READERS[role](raw, named)
}

const READERS: Readonly<Record<Role, (raw: unknown, named: Named) => Places | undefined>> = {
  service(raw, { name, namespace = '', domain, address }) {
    const spec = service.safeParse(raw).data?.spec
    if (!spec) return undefined
    if (spec.type === 'ExternalName') return spec.externalName ? { places: [{ host: spec.externalName, foreign: true }], ports: ports(spec.ports) } : undefined
    const ip = address === 'ip' && isIP(spec.clusterIP ?? '') !== 0 ? spec.clusterIP : undefined
    return { places: [{ host: ip ?? `${name}.${namespace}.svc.${domain}` }], ports: ports(spec.ports) }
  },

  endpointslice(raw) {
    const read = slice.safeParse(raw).data
    // Without the condition the API means ready.
    const ready = read?.endpoints.filter(({ conditions }) => conditions?.ready ?? true) ?? []
    const places = ready.flatMap(({ addresses: [host], nodeName, zone }) => (host === undefined ? [] : [{ host, node: nodeName ?? undefined, zone: zone ?? undefined }]))
    return read && places.length > 0 ? { places, ports: ports(read.ports) } : undefined
  },

  /** Whether a pod is ready is no matter: one that is not is what a person wants to hear of, and would be gone with its failure. */
  pod(raw) {
    const read = pod.safeParse(raw).data
    const host = read?.status?.podIP
    if (!read || !host || read.status?.phase !== 'Running') return undefined
    const all = read.spec.containers.flatMap((container) => container.ports)
    return { places: [{ host, node: read.spec.nodeName ?? undefined }], ports: ports(all.map(({ name, containerPort }) => ({ name, port: containerPort }))) }
  },

  ingress(raw) {
    const spec = ingress.safeParse(raw).data?.spec
    if (!spec) return undefined
    const secured = new Set(spec.tls.flatMap(({ hosts }) => hosts))
    return urls(spec.rules.map(({ host, http }) => ({
      host, scheme: host && covers(secured, host) ? 'https' as const : 'http' as const,
      paths: http?.paths.map(({ path, pathType }) => ({ path, plain: pathType !== 'ImplementationSpecific' })) ?? [],
    })))
  },

  httproute(raw) {
    const spec = route.safeParse(raw).data?.spec
    if (!spec) return undefined
    const schemes = new Set(spec.parentRefs.map(schemeOf))
    const [scheme] = schemes.size === 1 ? schemes : []
    const paths = spec.rules.flatMap(({ matches }) => matches.map(({ path }) => ({ path: path?.value, plain: path?.type !== 'RegularExpression' })))
    return urls(spec.hostnames.map((host) => ({ host, scheme, paths })))
  },

  node(raw, { name, labels }) {
    const host = node.safeParse(raw).data?.status?.addresses.find(({ type }) => type === 'InternalIP')?.address
    return host === undefined ? undefined : { places: [{ host, node: name, zone: labels[ZONE_LABEL] }], ports: [] }
  },
}

function ports(all: readonly { readonly name?: string | null | undefined, readonly port?: number | null | undefined }[]): Port[] {
  return all.flatMap(({ name, port: number }) => (number ? [{ name: name ? name : undefined, port: number }] : []))
}

/** A wildcard of TLS stands for one label, as in certificates. */
function covers(secured: ReadonlySet<string>, host: string): boolean {
  return secured.has(host) || secured.has(`*${host.slice(host.indexOf('.'))}`)
}

/** A route does not say what its Gateway speaks: only a listener's usual port or name does. */
function schemeOf({ sectionName, port: number }: { readonly sectionName?: string | null | undefined, readonly port?: number | null | undefined }): Place['scheme'] {
  if (number === 443 || /https|tls/.test(sectionName ?? '')) return 'https'
  return number === 80 || (sectionName ?? '').startsWith('http') ? 'http' : undefined
}

interface UrlRule {
  readonly host: string | null | undefined
  readonly scheme: Place['scheme']
  readonly paths: readonly { readonly path: string | null | undefined, readonly plain: boolean }[]
}

/** A host with a wildcard is none that could be asked; a path that is a pattern is left for `/`. */
function urls(rules: readonly UrlRule[]): Places {
  const places = new Map<string, Place>()
  for (const { host, scheme, paths } of rules) {
    if (!host || canonicalHost(host) === undefined) continue
    for (const { path, plain } of paths.length === 0 ? [{ path: '/', plain: true }] : paths) {
      const place: Place = { host, scheme, path: path && plain && PATH.test(path) ? path : '/', foreign: true }
      if (places.size < MOST_URLS) places.set(`${host} ${place.path}`, place)
    }
  }
  return { places: [...places.values()], ports: [] }
}

/** A public name, as the author of an Ingress or a route may choose it: none inside the cluster, where a name of another namespace could be written, and no address. */
export function isOutside(host: string, domain: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  return isIP(name) === 0 && name.includes('.') && !name.endsWith('.svc') && !name.endsWith(`.${domain}`)
}

/** A path that cannot add to what comes before it, nor a query. */
export const PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]{0,511}$/
