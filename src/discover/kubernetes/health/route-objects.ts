import { z } from 'zod'
import type { Watched } from '../source.ts'
import { metadata, type ObjectName } from './names.ts'
import { annotatedMetadata, askedOf, type Asked } from './path-objects.ts'

export interface RouteFacts extends Asked {
  /** The Gateways among its parents. */
  readonly parents: readonly { readonly gateway: string, readonly section: string | undefined, readonly port: number | undefined }[]
  /** Of them those that have said that they take no routes of its namespace. */
  readonly refusedBy: readonly string[]
  /** None: those of the listeners. */
  readonly hostnames: readonly string[]
  readonly rules: readonly RouteRule[]
}

export interface RouteRule {
  readonly matches: readonly RouteMatch[]
  readonly redirects: boolean
  /** Behind the Gateway the request is not the one that came. */
  readonly changes: boolean
  /** It has another Host there. */
  readonly renames: boolean
  /** Those that get requests. */
  readonly backends: readonly RouteBackend[]
}

export interface RouteMatch {
  readonly path: string
  /** `pattern`: what it takes is the implementation's to say. */
  readonly kind: 'exact' | 'prefix' | 'pattern'
  readonly method: string | undefined
  readonly headers: boolean
  readonly query: boolean
}

export interface RouteBackend {
  readonly namespace: string | undefined
  /** undefined: no Service. */
  readonly service: string | undefined
  readonly port: number | undefined
}

export interface GatewayFacts extends ObjectName {
  readonly addresses: readonly string[]
  /** Those that take HTTPRoutes. */
  readonly listeners: readonly { readonly name: string, readonly port: number, readonly tls: boolean, readonly hostname: string, readonly from: string }[]
}

/** Which namespaces' routes may lead to which Services of its own; no name is every one. */
export interface GrantFacts extends ObjectName {
  readonly from: readonly string[]
  readonly services: readonly (string | undefined)[]
}

/** The Services that a Gateway speaks TLS to, and of which port by name; none: of all. */
export interface TlsPolicyFacts extends ObjectName {
  readonly services: readonly { readonly name: string, readonly port: string | undefined }[]
}

const GROUP = 'gateway.networking.k8s.io'
const ROOT = `/apis/${GROUP}`
/** What they do not change is the request. */
const HARMLESS: readonly string[] = ['ResponseHeaderModifier', 'RequestMirror', 'CORS']
const MOST_ADDRESSES = 16

const text = z.string().nullish()
const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform((items) => items ?? [])
const filters = list(z.object({ type: z.string(), urlRewrite: z.object({ hostname: text }).nullish() }))
const ref = { group: text, kind: text }

const route = z.object({
  metadata: annotatedMetadata,
  spec: z.object({
    parentRefs: list(z.object({ ...ref, namespace: text, name: z.string(), sectionName: text, port: z.int().nullish() })),
    hostnames: list(z.string()),
    // The API fills in one that takes everything; without a backend it leads nowhere.
    rules: list(z.object({
      matches: list(z.object({ path: z.object({ type: text, value: text }).nullish(), method: text, headers: list(z.unknown()), queryParams: list(z.unknown()) })),
      filters,
      backendRefs: list(z.object({ ...ref, namespace: text, name: z.string(), port: z.int().nullish(), weight: z.int().nullish(), filters })),
    })),
  }),
  status: z.object({
    parents: list(z.object({ parentRef: z.object({ namespace: text, name: z.string() }), conditions: list(z.object({ type: z.string(), status: z.string(), reason: text })) })),
  }).nullish(),
})
const gateway = z.object({
  metadata,
  spec: z.object({
    listeners: list(z.object({
      name: z.string(), port: z.int(), protocol: z.string(), hostname: text,
      allowedRoutes: z.object({ namespaces: z.object({ from: text }).nullish() }).nullish(),
    })),
  }),
  status: z.object({ addresses: list(z.object({ value: text })) }).nullish(),
})
const grant = z.object({ metadata, spec: z.object({ from: list(z.object({ ...ref, namespace: z.string() })), to: list(z.object({ ...ref, name: text })) }) })
const policy = z.object({ metadata, spec: z.object({ targetRefs: list(z.object({ ...ref, name: z.string(), sectionName: text })) }) })

const nameOf = ({ name, namespace }: z.output<typeof metadata>): ObjectName => ({ name, namespace })
const isService = ({ group, kind }: { readonly group?: string | null | undefined, readonly kind?: string | null | undefined }) => !group && (kind ?? 'Service') === 'Service'

export const ROUTES: Watched<RouteFacts> = {
  name: 'paths-httproutes', selection: { path: `${ROOT}/v1/httproutes` }, optional: 'kind',
  project(raw) {
    const { data } = route.safeParse(raw)
    const asked = data && askedOf(data.metadata)
    if (!asked) return undefined
    const { namespace } = asked
    return {
      ...asked,
      parents: data.spec.parentRefs.filter(({ group, kind }) => (group ?? GROUP) === GROUP && (kind ?? 'Gateway') === 'Gateway')
        .map((parent) => ({ gateway: `${parent.namespace ?? namespace}/${parent.name}`, section: parent.sectionName ?? undefined, port: parent.port ?? undefined })),
      refusedBy: (data.status?.parents ?? []).filter(({ conditions }) => conditions.some(({ type, status, reason }) => type === 'Accepted' && status === 'False' && reason === 'NotAllowedByListeners'))
        .map(({ parentRef }) => `${parentRef.namespace ?? namespace}/${parentRef.name}`),
      hostnames: data.spec.hostnames,
      rules: data.spec.rules.map(({ matches, filters: own, backendRefs }) => {
        const backends = backendRefs.filter(({ weight }) => weight !== 0)
        const all = [...own, ...backends.flatMap((backend) => backend.filters)]
        return {
          matches: (matches.length === 0 ? [{ headers: [], queryParams: [] }] : matches).map(matchOf),
          redirects: own.some(({ type }) => type === 'RequestRedirect'),
          changes: all.some(({ type }) => !HARMLESS.includes(type)),
          renames: all.some(({ urlRewrite }) => typeof urlRewrite?.hostname === 'string'),
          backends: backends.map((backend) => ({ namespace: backend.namespace ?? namespace, service: isService(backend) ? backend.name : undefined, port: backend.port ?? undefined })),
        }
      }),
    }
  },
}

type Match = z.output<typeof route>['spec']['rules'][number]['matches'][number]

function matchOf({ path, method, headers, queryParams }: Pick<Match, 'headers' | 'queryParams'> & Partial<Match>): RouteMatch {
  const type = path?.type ?? 'PathPrefix'
  return {
    path: path?.value ?? '/', kind: type === 'Exact' ? 'exact' : type === 'PathPrefix' ? 'prefix' : 'pattern',
    method: method ?? undefined, headers: headers.length > 0, query: queryParams.length > 0,
  }
}

export const GATEWAYS: Watched<GatewayFacts> = {
  name: 'paths-gateways', selection: { path: `${ROOT}/v1/gateways` }, optional: 'kind',
  project(raw) {
    const { data } = gateway.safeParse(raw)
    return data && {
      ...nameOf(data.metadata),
      addresses: (data.status?.addresses ?? []).flatMap(({ value }) => (value ? [value] : [])).slice(0, MOST_ADDRESSES),
      listeners: data.spec.listeners.filter(({ protocol }) => ['HTTP', 'HTTPS'].includes(protocol)).map(({ name, port, protocol, hostname, allowedRoutes }) => (
        { name, port, tls: protocol === 'HTTPS', hostname: hostname ?? '', from: allowedRoutes?.namespaces?.from ?? 'Same' })),
    }
  },
}

export const GRANTS: Watched<GrantFacts> = {
  // In every release that has HTTPRoute v1, which its own v1 is not.
  name: 'paths-referencegrants', selection: { path: `${ROOT}/v1beta1/referencegrants` }, optional: 'kind',
  project(raw) {
    const { data } = grant.safeParse(raw)
    return data && {
      ...nameOf(data.metadata),
      from: data.spec.from.filter(({ group, kind }) => group === GROUP && kind === 'HTTPRoute').map(({ namespace }) => namespace),
      services: data.spec.to.filter(isService).map(({ name }) => name ?? undefined),
    }
  },
}

/** v1 came two years after that of routes: what is older has the same as v1alpha3. */
export const TLS_POLICIES: readonly Watched<TlsPolicyFacts>[] = ['v1', 'v1alpha3'].map((version) => ({
  name: `paths-backendtlspolicies-${version}`, selection: { path: `${ROOT}/${version}/backendtlspolicies` }, optional: 'kind',
  project(raw) {
    const { data } = policy.safeParse(raw)
    return data && { ...nameOf(data.metadata), services: data.spec.targetRefs.filter(isService).map(({ name, sectionName: port }) => ({ name, port: port ?? undefined })) }
  },
}))
