import { isOutside } from '../places.ts'
import type { Found, Refused, Source, SourceContext } from '../source.ts'
import { hostPortText } from '../names.ts'
import { byText, healthName } from './names.ts'
import { BACKEND_PATH, INGRESSES, PATH, SERVICES, SLICES, type IngressFacts, type IngressPath, type ServiceFacts, type SliceFacts } from './path-objects.ts'

/** Pods of one URL that are asked. */
export const MOST_PODS = 10
const LONGEST_PATH = 200
const NONE: ReadonlyMap<string, never> = new Map<string, never>()
/** A path with a query, as a request carries it. */
const PATH_SHAPE = /^\/[\x21\x22\x24-\x7e]*$/

/**
 * The ways of requests into a cluster: of each Ingress that carries `curlew.dev/path` one for each of its hosts. No other is
 * asked for anything: only whoever runs an application knows which of its pages does no harm. From outside the ingress is asked alone.
 */
export function pathsSource({ domain, inside }: { readonly domain: string, readonly inside: boolean }): Source {
  return { name: 'paths', watches: inside ? [INGRESSES, SERVICES, SLICES] : [INGRESSES], find: (context) => findPaths(context, domain, inside) }
}

function findPaths(context: SourceContext, domain: string, inside: boolean): ReturnType<Source['find']> {
  const found = new Map<string, Found>()
  const refused: Refused[] = []
  const services = inside ? context.held(SERVICES) : NONE
  const held = inside ? context.held(SLICES) : NONE
  // Without these nobody knows what is behind an ingress yet: a job would begin with half of its legs.
  if (!services || !held) return { found: [], refused }
  const slices = slicesByService([...held.values()])
  // A host is its that named it first, as controllers have it too: or any namespace could take another's URL by its name.
  for (const ingress of [...context.held(INGRESSES)?.values() ?? []].toSorted((a, b) => byText(a.created, b.created) || byText(keyOf(a), keyOf(b)))) {
    const object = `Ingress ${keyOf(ingress)}`
    const refuse = (message: string) => refused.push({ object, namespace: ingress.namespace, message })
    const wrong = [[PATH, ingress.path], [BACKEND_PATH, ingress.backendPath]].find(([, value]) => value !== undefined && !(value.length <= LONGEST_PATH && PATH_SHAPE.test(value)))
    if (wrong) {
      refuse(`${wrong[0]}: expected a path such as /health, of at most ${LONGEST_PATH} characters`)
      continue
    }
    const ways = hostsOf(ingress)
    if (ways.length === 0) refuse(`${PATH}: expected a path that a rule with a host takes; one without a host, or with *, names no URL`)
    for (const { host, to } of ways) {
      const target = `${isTls(ingress, host) ? 'https' : 'http'}://${host}${ingress.path}`
      // What is called by this URL is told apart by the query in nobody's labels.
      const key = target.replace(/\?.*/, '')
      const known = found.get(key)
      if (!isOutside(host, domain)) refuse(`${PATH}: ${host.slice(0, 100)}: expected a host outside the cluster`)
      else if (known) refuse(`${PATH}: ${key} is asked for already, by ${known.object}`)
      else found.set(key, { entry: { name: healthName(context, 'paths'), type: 'kube-path', target, ...backendOf(ingress, to, services, slices), every: '60s', mode: 'read-only' }, object, namespace: ingress.namespace, guard: 'name', why: `annotation ${PATH}` })
    }
  }
  return { found: [...found.values()], refused }
}

/** Each host of an Ingress, once, with the path of its rule that takes the annotated one. */
function hostsOf(ingress: IngressFacts): readonly { readonly host: string, readonly to: IngressPath }[] {
  const hosts = new Map<string, IngressPath[]>()
  for (const { host, paths } of ingress.rules) {
    if (host !== '' && !host.includes('*')) hosts.set(host, [...hosts.get(host) ?? [], ...paths])
  }
  return [...hosts].flatMap(([host, paths]) => {
    const to = chosen(paths, ingress.path.replace(/\?.*/, ''))
    return to ? [{ host, to }] : []
  })
}

/** As the API documents it: exact before prefix, then the longest; a prefix is one of whole elements. */
function chosen(paths: readonly IngressPath[], path: string): IngressPath | undefined {
  const takes = ({ path: own, exact }: IngressPath) => (exact ? own === path : own === '/' || path === own || path.startsWith(own.endsWith('/') ? own : `${own}/`) || `${path}/` === own)
  return paths.filter(takes).toSorted((a, b) => Number(b.exact) - Number(a.exact) || b.path.length - a.path.length)[0]
}

function isTls({ tls }: IngressFacts, host: string): boolean {
  const wildcard = host.replace(/^[^.]+/, '*')
  return tls.some((hosts) => hosts.length === 0 || hosts.includes(host) || hosts.includes(wildcard))
}

/** The legs behind an ingress, as far as they can be asked for the same page in HTTP. */
function backendOf(ingress: IngressFacts, to: IngressPath, services: ReadonlyMap<string, ServiceFacts>, slices: ReadonlyMap<string, readonly SliceFacts[]>): Readonly<Record<string, unknown>> {
  const { namespace, backend, backendPath, rewrites } = ingress
  const key = `${namespace}/${to.service}`
  const service = to.service === undefined ? undefined : services.get(key)
  const port = service?.ports.find((one) => one.port === to.port || one.name === to.port)
  if (!service || !port || backend === 'other' || (rewrites && backendPath === undefined)) return {}
  // The name is what a port of a Service and one of its slices have in common.
  const pods = (slices.get(key) ?? []).flatMap((slice) => slice.ports.filter(({ name }) => name === port.name).flatMap((own) => slice.addresses.map((address) => hostPortText(address, own.port))))
  return {
    ...service.address === undefined ? {} : { service: hostPortText(service.address, port.port) },
    pods: [...new Set(pods)].toSorted(byText).slice(0, MOST_PODS),
    ...(backend ?? (port.tls ? 'https' : 'http')) === 'https' ? { backend: 'https' } : {},
    ...backendPath === undefined ? {} : { backend_path: backendPath },
  }
}

function slicesByService(slices: readonly SliceFacts[]): ReadonlyMap<string, readonly SliceFacts[]> {
  return Map.groupBy(slices, ({ namespace, service }) => `${namespace}/${service}`)
}

function keyOf({ name, namespace }: { readonly name: string, readonly namespace: string | undefined }): string {
  return `${namespace}/${name}`
}
