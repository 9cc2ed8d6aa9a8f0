import { isIP } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
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
/** So long objects are followed before other work gets its turn, ms. */
const AT_ONCE_MS = 20
/** URLs of a namespace that are followed for each target of its quota, and objects of it that come to nothing: to follow one is work, whatever comes of it. More than one, that what is probed already is among them. */
const FOLLOWED = 4
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
  readonly policies: ReadonlyMap<string | undefined, readonly TlsPolicyFacts[]>
}

/**
 * The ways of requests into a cluster: of each Ingress or HTTPRoute that carries `curlew.dev/path` one for each of its hosts. No
 * other is asked for anything: only whoever runs an application knows which of its pages does no harm. From outside the ingress is
 * asked alone, by its name.
 */
export function pathsSource(options: PathsOptions): Source {
  const { inside } = options
  const prepared = new WeakMap<SourceContext, ReturnType<Source['find']>>()
  return {
    name: 'paths',
    watches: inside ? [INGRESSES, ROUTES, GATEWAYS, SERVICES, SLICES, GRANTS, ...TLS_POLICIES] : [INGRESSES, ROUTES, GATEWAYS],
    async prepare(context) {
      const steps = followed(context, options)
      let began = performance.now()
      for (let step = steps.next(); ; step = steps.next()) {
        if (step.done) return void prepared.set(context, step.value)
        if (performance.now() - began < AT_ONCE_MS) continue
        await nextTurn()
        began = performance.now()
      }
    },
    find(context) {
      const before = prepared.get(context)
      if (before) return before
      const steps = followed(context, options)
      for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value
    },
  }
}

interface PathsOptions {
  readonly domain: string
  readonly inside: boolean
  /** Targets that a namespace may have. */
  readonly quota: number
}

/** A step for each object that asks. */
function* followed(context: SourceContext, { domain, inside, quota }: PathsOptions): Generator<void, ReturnType<Source['find']>> {
  const found = new Map<string, Found>()
  const refused: Refused[] = []
  const services = inside ? context.held(SERVICES) : NONE
  const slices = inside ? context.held(SLICES) : NONE
  // Without these nobody knows what is behind an ingress yet: a job would begin with half of its legs.
  if (!services || !slices) return { found: [], refused }
  const known: Inside = { services, slices: slicesByService([...slices.values()]), policies: Map.groupBy(inside ? TLS_POLICIES.flatMap((watched) => [...context.held(watched)?.values() ?? []]) : [], (policy) => policy.namespace) }
  const most = FOLLOWED * quota
  const spending = new Map<string | undefined, { found: number, nothing: number, left: number }>()
  const spentBy = (namespace: string | undefined) => {
    const spent = spending.get(namespace) ?? { found: 0, nothing: 0, left: 0 }
    spending.set(namespace, spent)
    return spent
  }
  // A host is its that named it first, as controllers have it too: or any namespace could take another's URL by its name.
  for (const { object, asked, follow } of askingIn(context, domain, inside).toSorted((a, b) => byText(a.asked.created, b.asked.created) || byText(a.object, b.object))) {
    const { namespace, path, backendPath } = asked
    const spent = spentBy(namespace)
    const refuse = (message: string) => {
      spent.nothing++
      refused.push({ object, namespace, message })
    }
    if (spent.nothing >= most || spent.found >= most) {
      spent.left++
      continue
    }
    yield
    const wrong = [[PATH, path], [BACKEND_PATH, backendPath]].find(([, value]) => value !== undefined && !(value.length <= LONGEST_PATH && PATH_SHAPE.test(value)))
    if (wrong) {
      refuse(`${wrong[0]}: expected a path such as /health, of at most ${LONGEST_PATH} characters`)
      continue
    }
    const led = follow()
    if ('wrong' in led) {
      refuse(`${PATH}: ${led.wrong}`)
      continue
    }
    for (const way of led.ways) {
      const { host } = way
      const target = `${way.origin}${path}`
      // What is called by this URL is told apart by the query in nobody's labels.
      const key = target.replace(/\?.*/, '')
      const before = found.get(key)
      if (!isOutside(host, domain)) refuse(`${PATH}: ${host.slice(0, 100)}: expected a host outside the cluster`)
      else if (before) refuse(`${PATH}: ${key} is asked for already, by ${before.object}`)
      else if (spent.found >= most) spent.left++
      else {
        spent.found++
        found.set(key, { entry: { name: healthName(context, 'paths'), type: 'kube-path', target, ...legsOf(way, backendPath, known, inside), every: '60s', mode: 'read-only' }, object, namespace, guard: 'name', why: `annotation ${PATH}` })
      }
    }
  }
  for (const [namespace, { left }] of spending) {
    if (left > 0) refused.push({ object: `Namespace ${namespace}`, namespace, message: `${PATH}: more than ${most} URLs, or as many objects that come to nothing: the newest are not followed (discovery.kubernetes.quota)` })
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
  const secured = policies.get(namespace)?.some((policy) => policy.services.some((one) => one.name === name && (one.port === undefined || one.port === port.name)))
  return {
    like: service.address ?? pods[0]?.address,
    options: {
      ...service.address === undefined ? {} : { service: hostPortText(service.address, port.port) },
      pods: [...new Set(pods.map((pod) => hostPortText(pod.address, pod.port)))].toSorted(byText).slice(0, MOST_PODS),
      ...secured === true || (protocol ?? port.protocol) === 'https' ? { backend: 'https' } : {},
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
