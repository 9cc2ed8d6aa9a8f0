import { z } from 'zod'
import { duration, hostOnly } from '../core/fields.ts'
import { defineProbe, type CodeSpec } from '../core/probe.ts'
import { addressesOf, dialFields, dialGauges } from './lib/dial.ts'
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

const codes = {
  traceroute_silent: { layer: 'network', reason: 'timeout', en: 'Nothing answers beyond the hop that the message names: look at the link or the filter behind it.', zh: '消息中所列跳点之后没有任何应答：请检查其后的链路或过滤规则。' },
  traceroute_unreachable: { layer: 'network', reason: 'unreachable', en: 'A router on the way has no route to the destination, or does not find the host: look at its routes.', zh: '途中的路由器没有到目标的路由，或找不到该主机：请检查该路由器的路由表。' },
  traceroute_rejected: { layer: 'network', reason: 'unreachable', en: 'A packet filter on the way rejects the packets: look at the rules of the router that the message names.', zh: '途中的过滤规则拒绝了数据包：请检查消息中所列路由器的防火墙规则。' },
  traceroute_loop: { layer: 'network', reason: 'unreachable', en: 'Routers send the packets round in a circle: compare their routes to the destination.', zh: '数据包在路由器之间循环转发：请核对这些路由器到目标的路由。' },
  traceroute_too_long: { layer: 'assert', reason: 'mismatch', en: 'Routers answer up to max_hops, and the destination lies behind them: look for a detour, or raise max_hops.', zh: '直到 max_hops 都有路由器应答，但目标仍在其后：请检查是否绕路，或调大 max_hops。' },
  traceroute_denied: { layer: 'prober', reason: 'denied', en: 'Curlew may not open an ICMP socket here: widen net.ipv4.ping_group_range, give it CAP_NET_RAW, or use protocol udp.', zh: 'Curlew 在此无权打开 ICMP 套接字：请放宽 net.ipv4.ping_group_range、授予 CAP_NET_RAW，或改用 protocol udp。' },
  traceroute_unsupported: { layer: 'prober', reason: 'unsupported', en: 'Routes can be traced on Linux only, with the modules that Curlew brings along.', zh: '仅支持在 Linux 上跟踪路由，并且需要 Curlew 自带的模块。' },
  traceroute_no_time: { layer: 'prober', reason: 'overloaded', en: 'No time was left for a trace: others ran, of which Curlew runs only two at once, or the look-up of the name took it all. Raise timeout, or trace fewer targets.', zh: '没有剩余时间执行跟踪：Curlew 最多同时运行两个跟踪，其他跟踪或域名解析耗尽了时间。请调大 timeout，或减少目标。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

const loadTrace = () => import('./lib/traceroute.ts')

export const traceroute = defineProbe({
  type: 'traceroute',
  summary: 'The route to a host: every hop with its round trip, and where packets get lost',
  options,
  phases: { resolve: 'resolve', setup: 'prober', trace: 'network' },
  gauges,
  codes,
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
