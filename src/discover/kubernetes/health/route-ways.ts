import { isIP } from 'node:net'
import { hostPortText } from '../names.ts'
import { isOutside } from '../places.ts'
import { takesPath, type Behind, type Way } from './path-ways.ts'
import type { GatewayFacts, GrantFacts, RouteFacts, RouteMatch, RouteRule } from './route-objects.ts'

/** What a route is followed by. */
export interface RouteContext {
  readonly gateways: ReadonlyMap<string, GatewayFacts>
  readonly grants: readonly GrantFacts[]
  readonly domain: string
}

type Listener = GatewayFacts['listeners'][number]

/**
 * Each host of an HTTPRoute, once, at the first of its Gateways that has a listener for it: by TLS where one of them has that.
 * `wrong`: there is none, and why.
 */
export function waysOfRoute(route: RouteFacts, context: RouteContext): { readonly ways: readonly Way[] } | { readonly wrong: string } {
  const rule = chosenRule(route)
  if (!rule) return { wrong: 'expected a path that a rule of the route takes, for a GET without headers of its own' }
  if (rule !== 'unknown' && rule.redirects) return { wrong: 'the rule that takes this path redirects it: expected a route that serves it' }
  const ways = new Map<string, Way>()
  for (const parent of route.parents) {
    const gateway = context.gateways.get(parent.gateway)
    const listeners = gateway?.listeners.filter(({ name, port, from }) => (
      (parent.section === undefined || parent.section === name) && (parent.port === undefined || parent.port === port)
      // Which namespaces a selector means only the Gateway says.
      && from !== 'None' && (from !== 'Same' || gateway.namespace === route.namespace) && (from !== 'Selector' || !route.refusedBy.includes(parent.gateway)))) ?? []
    for (const listener of listeners.toSorted((a, b) => Number(b.tls) - Number(a.tls))) {
      for (const host of hostsAt(listener, route.hostnames)) {
        if (!gateway || ways.has(host)) continue
        const usual = listener.port === (listener.tls ? 443 : 80)
        ways.set(host, {
          host, origin: `${listener.tls ? 'https' : 'http'}://${hostPortText(host, usual ? undefined : listener.port)}`,
          addresses: addressesOf(gateway, context.domain).map((address) => ({ host: address, port: listener.port })),
          behind: rule === 'unknown' ? undefined : behindOf(route, rule, context.grants),
        })
      }
    }
  }
  if (ways.size > 0) return { ways: [...ways.values()] }
  const missing = route.parents.find(({ gateway }) => !context.gateways.has(gateway))
  return { wrong: missing ? `Gateway ${missing.gateway}: is not there, or not in the namespaces that are looked at` : 'expected a parent that is a Gateway, with a listener for HTTP or HTTPS that takes the route, and a host that is not a wildcard' }
}

/** The rule that takes a bare GET of the annotated path; `unknown` where that is the implementation's to say. */
function chosenRule({ path: asked, rules }: RouteFacts): RouteRule | 'unknown' | undefined {
  const [path = '', query] = asked.split('?')
  const all = rules.flatMap((rule) => rule.matches.filter(({ headers, method }) => !headers && (method ?? 'GET') === 'GET').map((match) => ({ rule, match })))
  const bare = all.filter(({ match }) => !match.query && match.kind !== 'pattern' && takesPath(match.path, match.kind === 'exact', path))
  if (all.some(({ match }) => match.kind === 'pattern' || (match.query && query !== undefined && takesPath(match.path, match.kind === 'exact', path)))) return 'unknown'
  return bare.toSorted((a, b) => byPrecedence(a.match, b.match))[0]?.rule
}

/** As the API documents it: exact, then the longest, then one that names the method; the first of equals. */
function byPrecedence(a: RouteMatch, b: RouteMatch): number {
  return Number(b.kind === 'exact') - Number(a.kind === 'exact') || b.path.length - a.path.length || Number(b.method !== undefined) - Number(a.method !== undefined)
}

/** Hosts that a listener and a route have in common; a wildcard names no URL. */
function hostsAt({ hostname }: Listener, hostnames: readonly string[]): readonly string[] {
  const common = (hostnames.length === 0 ? [hostname] : hostnames).map((host) => (hostname === '' || covers(hostname, host) ? host : covers(host, hostname) ? hostname : ''))
  return common.filter((host) => host !== '' && !host.includes('*'))
}

function covers(wide: string, host: string): boolean {
  return wide === host || (wide.startsWith('*.') && host.endsWith(wide.slice(1)))
}

/** Names of the Gateway's own namespace are its Services': some implementations say where they are so. No other one in the cluster is taken. */
function addressesOf({ addresses, namespace }: GatewayFacts, domain: string): readonly string[] {
  return addresses.flatMap((address) => {
    const name = address.toLowerCase().replace(/\.$/, '')
    const full = name.endsWith('.svc') ? `${name}.${domain}` : name
    return isIP(name) !== 0 || isOutside(name, domain) || full.endsWith(`.${namespace}.svc.${domain}`) ? [full] : []
  })
}

/** The one Service that gets what is asked for; nothing where there are several, or one that the route may not lead to. */
function behindOf(route: RouteFacts, { backends: [backend, ...others], changes, renames }: RouteRule, grants: readonly GrantFacts[]): Behind | undefined {
  if (!backend || others.length > 0 || backend.service === undefined || backend.port === undefined || renames || (changes && route.backendPath === undefined)) return undefined
  const { namespace, service, port } = backend
  const isGranted = namespace === route.namespace || grants.some((grant) => (
    grant.namespace === namespace && route.namespace !== undefined && grant.from.includes(route.namespace) && grant.services.some((name) => name === undefined || name === service)))
  return isGranted ? { namespace, service, port, protocol: undefined } : undefined
}
