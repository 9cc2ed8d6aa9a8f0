import type { CodeSpec } from '../../core/codes.ts'

/** Failure codes of the ping probe. */
export const PING_CODES = {
  ping_rejected: { layer: 'network', reason: 'unreachable', en: 'A firewall turns the pings away: look at the rules of the machine that the message names.', zh: '防火墙拒绝了 ping：请检查消息中所指机器的规则。' },
  ping_ttl_exceeded: { layer: 'network', reason: 'unreachable', en: 'The packets ran out of hops on the way: look for a routing loop, or raise ttl.', zh: '数据包在途中耗尽跳数：请检查路由环路，或调大 ttl。' },
  ping_too_big: { layer: 'network', reason: 'unsupported', en: 'The packets are larger than a link on the way takes: compare the MTU there with what the hosts use.', zh: '数据包超过途中某条链路的 MTU：请与主机使用的 MTU 核对。' },
  ping_other: { layer: 'network', reason: 'other', en: 'An unusual ICMP error came back.', zh: '收到了不常见的 ICMP 错误。', unmapped: true },
  ping_denied: { layer: 'prober', reason: 'denied', en: 'Curlew may not send pings: set net.ipv4.ping_group_range to include its group, or give it CAP_NET_RAW.', zh: 'Curlew 无权发送 ping：请让 net.ipv4.ping_group_range 包含其用户组，或授予 CAP_NET_RAW。' },
  ping_self_test: { layer: 'prober', reason: 'other', en: 'Not even the machine that runs Curlew answers its pings, so silence proves nothing: look at its firewall and at net.ipv4.icmp_echo_ignore_all.', zh: '运行 Curlew 的机器连自己的 ping 都收不到应答，因此无应答不能说明问题：请检查其防火墙与 net.ipv4.icmp_echo_ignore_all。' },
  ping_local_mtu: { layer: 'prober', reason: 'unsupported', en: 'The packets are larger than the MTU of the interface of the machine that runs Curlew, and may not be fragmented: lower payload_size.', zh: '数据包大于运行 Curlew 的机器的网卡 MTU，且不允许分片：请调小 payload_size。' },
  ping_too_many: { layer: 'prober', reason: 'overloaded', en: 'Curlew has more pings on their way than it can tell apart: raise every, or lower count and packet_timeout.', zh: 'Curlew 同时在途的 ping 过多，无法区分：请调大 every，或调小 count 与 packet_timeout。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type PingCode = keyof typeof PING_CODES
