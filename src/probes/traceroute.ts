import { z } from 'zod'
import { duration, hostOnly } from '../core/fields.ts'
import { defineProbe } from '../core/probe.ts'
import { addressesOf, dialFields, dialGauges } from './lib/dial.ts'
import { loader } from './lib/loader.ts'
import { TRACEROUTE_CODES } from './lib/traceroute-codes.ts'
import { pathHash, type Route } from './lib/traceroute-route.ts'
import { endText } from './lib/traceroute-text.ts'

const MOST_HOPS = 64

const options = z.strictObject({
  target: hostOnly(),
  protocol: z.enum(['udp', 'icmp']).default('udp').describe('what is sent: UDP packets to ports that nobody listens on, which needs no permission, or ICMP echo requests, which need net.ipv4.ping_group_range or CAP_NET_RAW'),
  max_hops: z.int().min(1).max(MOST_HOPS).default(30).describe('how far to look'),
  queries: z.int().min(1).max(3).default(1).describe('packets for each hop'),
  hop_timeout: duration().prefault('1s').describe('how long an answer is waited for; less when the run has not three times as much'),
  ip_protocol: dialFields.ip_protocol,
})

const gauges = {
  probe_ip_protocol: dialGauges.probe_ip_protocol,
  probe_dns_lookup_time_seconds: dialGauges.probe_dns_lookup_time_seconds,
  probe_traceroute_hops: 'Distance of the destination in hops; absent when it was not reached, or when so many hops before it are silent that it may be nearer.',
  probe_traceroute_hop_rtt_seconds: { help: 'Fastest round trip to what answered at a hop. Routers answer when they have time: only the last one is the latency of the route.', labels: ['hop', 'address'], series: MOST_HOPS },
  probe_traceroute_path_hash: 'FNV-1a hash (32 bits) of the addresses of all hops, there whenever their number is: another value is another route. It also jumps where routers share the load between several routes, and when one does not answer as it used to.',
}

const loadTrace = loader(() => import('./lib/traceroute.ts'))

export const traceroute = defineProbe({
  type: 'traceroute',
  summary: 'The route to a host: every hop with its round trip, and where packets get lost',
  options,
  phases: { resolve: 'resolve', setup: 'prober', trace: 'network' },
  gauges,
  codes: TRACEROUTE_CODES,
  levels: { hops: { gauge: 'probe_traceroute_hops', worse: 'above' } },
  bounds: { targets: 20, everyMs: 60_000 },
  schemes: ['traceroute'],
  fromUrl(url) {
    if (url.port !== '' || !['', '/'].includes(url.pathname)) throw new Error('expected a host alone, as in traceroute://host')
    const query = Object.fromEntries(Array.from(url.searchParams, ([key, value]) => [key, /^\d+$/.test(value) ? Number(value) : value]))
    return { ...query, target: url.host }
  },
  example: { target: 'db.example.org', protocol: 'icmp' },

  load: loadTrace,

  async run({ target, protocol, max_hops: maxHops, queries, hop_timeout: hopTimeoutMs, ip_protocol }, probe) {
    const { openTrace } = await loadTrace()
    const [address] = await addressesOf(probe, target.host, { ip_protocol, addresses: 'first' })
    const trace = await probe.phase('setup', () => openTrace(address, { protocol, maxHops, queries, hopTimeoutMs, signal: probe.signal, deadline: probe.deadline }))
    let route: Route
    try {
      route = await probe.phase('trace', () => trace.run())
    } finally {
      trace.close()
    }
    for (const hop of route.hops) {
      if (hop.address !== undefined && hop.rttMs !== undefined) probe.gauge('probe_traceroute_hop_rtt_seconds', hop.rttMs / 1_000, { hop: String(hop.ttl), address: hop.address })
    }
    const { end } = route
    if (end.kind === 'reached') {
      if (!end.exact) return
      probe.gauge('probe_traceroute_hops', end.hops)
      probe.gauge('probe_traceroute_path_hash', pathHash(route.hops))
      return
    }
    const hint = end.kind === 'silent' && protocol === 'udp' ? '; a host that drops UDP looks the same: protocol icmp may reach it' : ''
    probe.fail(`traceroute_${end.kind}`, `${address.ip}: ${endText(route)}${hint}`)
  },
})
