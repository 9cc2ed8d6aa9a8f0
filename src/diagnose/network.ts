import type { Finding, RouteEnding } from '../core/diagnosis.ts'
import { echoerFor } from '../probes/lib/icmp-backend.ts'
import { PING_CODES } from '../probes/lib/icmp-codes.ts'
import { silenceOf } from '../probes/lib/icmp-verdict.ts'
import type { Address } from '../probes/lib/resolve.ts'
import { TRACEROUTE_CODES } from '../probes/lib/traceroute-codes.ts'
import type { RouteMemory } from '../probes/lib/traceroute-memory.ts'
import type { Route } from '../probes/lib/traceroute-route.ts'
import { failureOf, unreachedFailure } from './failure.ts'

const PING_MS = 1_500
const PACKETS = { count: 2, intervalMs: 100, timeoutMs: 1_000, payloadSize: 56, dontFragment: false, ttl: 64 } as const
const ROUTE_MS = 3_000
const PLAN = { maxHops: 30, queries: 1, hopTimeoutMs: 700 } as const

/** Two echo requests. Rejects only with the signal's reason. */
export async function ping(address: Address, signal: AbortSignal): Promise<Finding> {
  const pinged = { kind: 'ping', address: address.ip } as const
  const endAt = performance.now() + PING_MS
  // The engine's own timers keep no process alive; whoever waits for it does.
  const awake = setTimeout(() => {}, PING_MS)
  try {
    const echoer = await echoerFor(address.family, false, endAt)
    signal.throwIfAborted()
    const request = { ...PACKETS, address, endAt, stopped: () => signal.aborted }
    const outcome = await echoer.ping(request)
    signal.throwIfAborted()
    const { sent, rtts } = outcome
    const [first] = rtts
    if (first === undefined) return { ...pinged, sent, received: 0, failure: await unreachedFailure(silenceOf(outcome, request), 'network', address, PING_CODES) }
    return { ...pinged, sent, received: rtts.length, rtt_seconds: Math.min(...rtts) / 1_000 }
  } catch (error) {
    signal.throwIfAborted()
    return { ...pinged, sent: 0, received: 0, failure: await unreachedFailure(error, 'network', address, PING_CODES) }
  } finally {
    clearTimeout(awake)
  }
}

/** The route to an address, from memory where it was traced a moment ago. Rejects only with the signal's reason. */
export async function traceTo(address: Address, routes: RouteMemory, signal: AbortSignal): Promise<Finding> {
  const tried: Extract<Finding, { kind: 'route' }>[] = []
  // Hosts and firewalls drop UDP to closed ports more often than pings; but not everybody may send those, and some routers answer only one of them.
  for (const protocol of ['icmp', 'udp'] as const) {
    const found = await traceBy(protocol, address, routes, signal)
    if (found.hops.length > 0) return found
    tried.push(found)
  }
  const [first, second] = tried
  if (!first || !second) throw new Error('a trace came to nothing')
  return first.failure ? second : first
}

async function traceBy(protocol: 'icmp' | 'udp', address: Address, routes: RouteMemory, signal: AbortSignal): Promise<Extract<Finding, { kind: 'route' }>> {
  const traced = { kind: 'route', address: address.ip, protocol } as const
  try {
    const { route, ageMs } = await routes.trace(address, { ...PLAN, protocol, signal, deadline: performance.now() + ROUTE_MS })
    return {
      ...traced, age_seconds: Math.round(ageMs) / 1_000, end: endingOf(route),
      hops: route.hops.map(({ ttl, address: ip, rttMs }) => ({ ttl, ...(ip === undefined ? {} : { address: ip }), ...(rttMs === undefined ? {} : { rtt_seconds: rttMs / 1_000 }) })),
    }
  } catch (error) {
    signal.throwIfAborted()
    return { ...traced, age_seconds: 0, hops: [], failure: failureOf(error, 'network', TRACEROUTE_CODES) }
  }
}

function endingOf({ end, maxHops }: Route): RouteEnding {
  switch (end.kind) {
    case 'reached': return { kind: end.kind, hops: end.hops }
    case 'too_long': return { kind: end.kind, hops: maxHops }
    case 'unreachable':
    case 'rejected': return { kind: end.kind, address: end.by, ...(end.exact ? { hop: end.ttl } : {}) }
    case 'loop': return { kind: end.kind, between: end.between }
    case 'silent': return { kind: end.kind, ...(end.after ? { address: end.after.address, hop: end.after.ttl } : {}) }
  }
}
