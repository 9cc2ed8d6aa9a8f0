import type { CodeSpec } from '../../core/codes.ts'

/** Failure codes of the traceroute probe. */
export const TRACEROUTE_CODES = {
  traceroute_silent: { layer: 'network', reason: 'timeout', en: 'Nothing answers beyond the hop that the message names: look at the link or the filter behind it.', zh: '消息中所列跳点之后没有任何应答：请检查其后的链路或过滤规则。' },
  traceroute_unreachable: { layer: 'network', reason: 'unreachable', en: 'A router on the way has no route to the destination, or does not find the host: look at its routes.', zh: '途中的路由器没有到目标的路由，或找不到该主机：请检查该路由器的路由表。' },
  traceroute_rejected: { layer: 'network', reason: 'unreachable', en: 'A packet filter on the way rejects the packets: look at the rules of the router that the message names.', zh: '途中的过滤规则拒绝了数据包：请检查消息中所列路由器的防火墙规则。' },
  traceroute_loop: { layer: 'network', reason: 'unreachable', en: 'Routers send the packets round in a circle: compare their routes to the destination.', zh: '数据包在路由器之间循环转发：请核对这些路由器到目标的路由。' },
  traceroute_too_long: { layer: 'assert', reason: 'mismatch', en: 'Routers answer up to max_hops, and the destination lies behind them: look for a detour, or raise max_hops.', zh: '直到 max_hops 都有路由器应答，但目标仍在其后：请检查是否绕路，或调大 max_hops。' },
  traceroute_denied: { layer: 'prober', reason: 'denied', en: 'Curlew may not open an ICMP socket here: widen net.ipv4.ping_group_range, give it CAP_NET_RAW, or use protocol udp.', zh: 'Curlew 在此无权打开 ICMP 套接字：请放宽 net.ipv4.ping_group_range、授予 CAP_NET_RAW，或改用 protocol udp。' },
  traceroute_unsupported: { layer: 'prober', reason: 'unsupported', en: 'Routes can be traced on Linux only, with the modules that Curlew brings along.', zh: '仅支持在 Linux 上跟踪路由，并且需要 Curlew 自带的模块。' },
  traceroute_no_time: { layer: 'prober', reason: 'overloaded', en: 'No time was left for a trace: others ran, of which Curlew runs only two at once, or the look-up of the name took it all. Raise timeout, or trace fewer targets.', zh: '没有剩余时间执行跟踪：Curlew 最多同时运行两个跟踪，其他跟踪或域名解析耗尽了时间。请调大 timeout，或减少目标。' },
} as const satisfies Readonly<Record<string, CodeSpec>>
