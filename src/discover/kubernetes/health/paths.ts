import { isIP } from 'node:net'
import { isOutside } from '../places.ts'
import type { Found, Refused, Source, SourceContext } from '../source.ts'
import { byText, hostPortText } from '../names.ts'
import { healthName } from './names.ts'
import { BACKEND_PATH, INGRESSES, PATH, SERVICES, SLICES, type Asked, type ServiceFacts, type SliceFacts } from './path-objects.ts'
import { waysOfIngress, type Behind, type Way } from './path-ways.ts'
import { GATEWAYS, GRANTS, ROUTES, TLS_POLICIES, type TlsPolicyFacts } from './route-objects.ts'
import { waysOfRoute } from './route-ways.ts'

/** Pods of one URL that are asked. */
export const MOST_PODS = 10
/** Addresses of a Gateway that are asked. */
const MOST_ADDRESSES = 8
const LONGEST_PATH = 200
const NONE: ReadonlyMap<string, never> = new Map<string, never>()
/** A path with a query, as a request carries it. */
const PATH_SHAPE = /^\/[\x21\x22\x24-\x7e]*$/

/** An object that asks, and where requests for it come in; `wrong` where they come in nowhere. */
interface Asking {
  readonly object: string
  readonly asked: Asked
  readonly follow: () => { readonly ways: readonly Way[] } | { readonly wrong: string }
}

/** What is known of Services; from outside nothing. */
interface Inside {
  readonly services: ReadonlyMap<string, ServiceFacts>
  readonly slices: ReadonlyMap<string, readonly SliceFacts[]>
  readonly policies: readonly TlsPolicyFacts[]
}

/**
 * The ways of requests into a cluster: of each Ingress or HTTPRoute that carries `curlew.dev/path` one for each of its hosts. No
 * other is asked for anything: only whoever runs an application knows which of its pages does no harm. From outside the ingress is
 * asked alone, by its name.
 */
export function pathsSource({ domain, inside }: { readonly domain: string, readonly inside: boolean }): Source {
  return {
    name: 'paths',
    watches: inside ? [INGRESSES, ROUTES, GATEWAYS, SERVICES, SLICES, GRANTS, ...TLS_POLICIES] : [INGRESSES, ROUTES, GATEWAYS],
    find: (context) => findPaths(context, domain, inside),
  }
}

function findPaths(context: SourceContext, domain: string, inside: boolean): ReturnType<Source['find']> {
  const found = new Map<string, Found>()
  const refused: Refused[] = []
  const services = inside ? context.held(SERVICES) : NONE
  const slices = inside ? context.held(SLICES) : NONE
  // Without these nobody knows what is behind an ingress yet: a job would begin with half of its legs.
  if (!services || !slices) return { found: [], refused }
  const known: Inside = { services, slices: slicesByService([...slices.values()]), policies: inside ? TLS_POLICIES.flatMap((watched) => [...context.held(watched)?.values() ?? []]) : [] }
  // A host is its that named it first, as controllers have it too: or any namespace could take another's URL by its name.
  for (const { object, asked, follow } of askingIn(context, domain, inside).toSorted((a, b) => byText(a.asked.created, b.asked.created) || byText(a.object, b.object))) {
    const { namespace, path, backendPath } = asked
    const refuse = (message: string) => refused.push({ object, namespace, message })
    const wrong = [[PATH, path], [BACKEND_PATH, backendPath]].find(([, value]) => value !== undefined && !(value.length <= LONGEST_PATH && PATH_SHAPE.test(value)))
    if (wrong) {
      refuse(`${wrong[0]}: expected a path such as /health, of at most ${LONGEST_PATH} characters`)
      continue
    }
    const followed = follow()
    if ('wrong' in followed) {
      refuse(`${PATH}: ${followed.wrong}`)
      continue
    }
    for (const way of followed.ways) {
      const { host } = way
      const target = `${way.origin}${path}`
      // What is called by this URL is told apart by the query in nobody's labels.
      const key = target.replace(/\?.*/, '')
      const before = found.get(key)
      if (!isOutside(host, domain)) refuse(`${PATH}: ${host.slice(0, 100)}: expected a host outside the cluster`)
      else if (before) refuse(`${PATH}: ${key} is asked for already, by ${before.object}`)
      else found.set(key, { entry: { name: healthName(context, 'paths'), type: 'kube-path', target, ...legsOf(way, backendPath, known, inside), every: '60s', mode: 'read-only' }, object, namespace, guard: 'name', why: `annotation ${PATH}` })
    }
  }
  return { found: [...found.values()], refused }
}

function askingIn(context: SourceContext, domain: string, inside: boolean): readonly Asking[] {
  const gateways = context.held(GATEWAYS)
  const grants = inside ? [...context.held(GRANTS)?.values() ?? []] : []
  const routes = gateways ? [...context.held(ROUTES)?.values() ?? []] : []
  return [
    ...Array.from(context.held(INGRESSES)?.values() ?? [], (asked): Asking => ({
      object: `Ingress ${keyOf(asked)}`, asked,
      follow() {
        const ways = waysOfIngress(asked)
        return ways.length > 0 ? { ways } : { wrong: 'expected a path that a rule with a host takes; one without a host, or with *, names no URL' }
      },
    })),
    ...routes.map((asked): Asking => ({ object: `HTTPRoute ${keyOf(asked)}`, asked, follow: () => waysOfRoute(asked, { gateways: gateways ?? NONE, grants, domain }) })),
  ]
}

/** What is asked, leg by leg. */
function legsOf({ addresses = [], behind }: Way, backendPath: string | undefined, known: Inside, inside: boolean): Readonly<Record<string, unknown>> {
  const legs = (behind && backendOf(behind, backendPath, known)) ?? { like: undefined, options: {} }
  const ingress = inside ? ofOneFamily(addresses, legs.like).slice(0, MOST_ADDRESSES).map(({ host, port }) => hostPortText(host, port)) : []
  return { ...ingress.length === 0 ? {} : { ingress }, ...legs.options }
}

/** The legs behind an ingress, as far as they can be asked for the same page in HTTP; `like`: an address of theirs. */
function backendOf({ namespace, service: name, port: wanted, protocol }: Behind, backendPath: string | undefined, { services, slices, policies }: Inside) {
  const key = `${namespace}/${name}`
  const service = services.get(key)
  const port = service?.ports.find((one) => one.port === wanted || one.name === wanted)
  if (!service || !port || (protocol === undefined && port.protocol === 'other')) return undefined
  // The name is what a port of a Service and one of its slices have in common.
  const pods = (slices.get(key) ?? []).flatMap((slice) => slice.ports.filter((own) => own.name === port.name).flatMap((own) => slice.addresses.map((address) => ({ address, port: own.port }))))
  const secured = policies.some((policy) => policy.namespace === namespace && policy.services.some((one) => one.name === name && (one.port === undefined || one.port === port.name)))
  return {
    like: service.address ?? pods[0]?.address,
    options: {
      ...service.address === undefined ? {} : { service: hostPortText(service.address, port.port) },
      pods: [...new Set(pods.map((pod) => hostPortText(pod.address, pod.port)))].toSorted(byText).slice(0, MOST_PODS),
      ...secured || (protocol ?? port.protocol) === 'https' ? { backend: 'https' } : {},
      ...backendPath === undefined ? {} : { backend_path: backendPath },
    },
  }
}

/** Where pods have one family of addresses, those of the other would look broken to Curlew, which is a pod itself: names, and of addresses those of the pods' family, or of the first. */
function ofOneFamily(addresses: NonNullable<Way['addresses']>, like: string | undefined): NonNullable<Way['addresses']> {
  const family = isIP(like ?? '') || isIP(addresses.find(({ host }) => isIP(host) !== 0)?.host ?? '')
  const same = addresses.filter(({ host }) => [0, family].includes(isIP(host)))
  return same.length > 0 ? same : addresses
}

function slicesByService(slices: readonly SliceFacts[]): ReadonlyMap<string, readonly SliceFacts[]> {
  return Map.groupBy(slices, ({ namespace, service }) => `${namespace}/${service}`)
}

function keyOf({ name, namespace }: { readonly name: string, readonly namespace: string | undefined }): string {
  return `${namespace}/${name}`
}
