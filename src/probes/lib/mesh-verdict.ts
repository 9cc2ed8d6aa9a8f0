import type { CodeSpec } from '../../core/codes.ts'
import { explain } from '../../core/errors.ts'
import { ProbeFailure } from '../../core/probe.ts'
import type { Echo } from './mesh-tcp.ts'
import type { Tally, UdpOutcome } from './mesh-udp.ts'

/** Failure codes of the mesh probe. */
export const MESH_CODES = {
  mesh_mtu: { layer: 'network', reason: 'mismatch', en: 'Small packets pass and large ones do not: a link on the way takes less than the interfaces of the two nodes say. Compare the MTU of the pod interfaces, the overlay and the network below it.', zh: '小包能通、大包不通：途中某条链路的 MTU 小于两端网卡的设置。请核对 Pod 网卡、overlay 与底层网络的 MTU。' },
  mesh_rejected: { layer: 'connect', reason: 'refused', en: 'The peer is reached, but something turns TCP to the agent\'s port away: look at NetworkPolicies and firewalls.', zh: '对端可达，但到 agent 端口的 TCP 被拒绝：请检查 NetworkPolicy 与防火墙。' },
  mesh_udp_blocked: { layer: 'connect', reason: 'timeout', en: 'TCP passes and UDP does not: look at NetworkPolicies and firewalls for UDP, and for a full or stale conntrack table.', zh: 'TCP 正常而 UDP 不通：请检查针对 UDP 的 NetworkPolicy 与防火墙，以及 conntrack 表是否已满或残留旧条目。' },
  mesh_udp_rejected: { layer: 'connect', reason: 'refused', en: 'TCP passes, UDP to the same port is turned away: look at NetworkPolicies and firewalls.', zh: 'TCP 正常，但到同一端口的 UDP 被拒绝：请检查 NetworkPolicy 与防火墙。' },
  mesh_not_an_agent: { layer: 'request', reason: 'protocol', en: 'Something else than a Curlew agent answers: the address or the port belongs to another program.', zh: '应答方不是 Curlew agent：该地址或端口属于其他程序。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type MeshCode = keyof typeof MESH_CODES

/** What pings of both sizes came to. */
export interface IcmpHeard {
  readonly small: Tally
  readonly large: Tally
  /** What is wrong when no small one was answered, or no large one: only what proves something about the way. */
  readonly smallError: Error | undefined
  readonly largeError: Error | undefined
}

export interface Heard {
  /** The peer's address and port, for sentences. */
  readonly peer: string
  /** Bytes of the large packets. */
  readonly size: number
  /** Undefined where ICMP could not be tried from here. */
  readonly icmp: IcmpHeard | undefined
  readonly connectError: Error | undefined
  readonly small: Echo | undefined
  readonly large: Echo | undefined
  /** Whether the connection was still good after the datagrams. */
  readonly stayed: boolean
  readonly udp: UdpOutcome
}

/** Which part of the way is broken, as an error that `explain` judges; undefined when nothing is. Trouble of our own is thrown on as it is. */
export function judge(heard: Heard): Error | undefined {
  const { peer, icmp, connectError, small, udp } = heard
  const own = [connectError, udp.error].find((error) => error && !isTooBig(error) && explain(error, 'connect', {}).status === 'unknown')
  if (own) return own
  const echoes = (icmp?.small.rtts.length ?? 0) + (icmp?.large.rtts.length ?? 0)
  const datagrams = udp.tallies.reduce((sum, { rtts }) => sum + rtts.length, 0)
  if (connectError) return notConnected(heard, connectError, echoes, datagrams)
  if (small?.kind === 'stranger') return new ProbeFailure('mesh_not_an_agent', `${peer} answers, but not as an agent of Curlew does`)
  if (small?.kind === 'silent') return new ProbeFailure('request_timeout', `${peer} takes connections, but its agent does not answer`)
  if (small?.kind === 'closed') return new ProbeFailure('request_reset', `${peer} ended the connection without an answer: the agent is about to end, or has had too many questions`)
  return onlySmall(heard) ?? datagramsOnly(heard, datagrams)
}

function notConnected({ peer, icmp, udp }: Heard, error: Error, echoes: number, datagrams: number): Error {
  const { failure } = explain(error, 'connect', {})
  const reached = [...echoes > 0 ? ['pings'] : [], ...datagrams > 0 ? ['UDP'] : []].join(' and ')
  if (failure.reason === 'refused') {
    return datagrams > 0 ? new ProbeFailure('mesh_rejected', `${peer} answers UDP, but refuses TCP`) : new ProbeFailure('connect_refused', `${peer} refuses connections${echoes > 0 ? ', its host answers pings' : ''}`)
  }
  if (failure.reason === 'unreachable') return reached === '' ? error : new ProbeFailure('mesh_rejected', `${peer} answers ${reached}, but TCP to it is turned away: ${failure.message}`)
  if (failure.reason !== 'timeout') return error
  if (reached !== '') return new ProbeFailure('connect_timeout', `${peer} answers ${reached}, but no TCP connection`)
  // Who turns datagrams away is there.
  if (isRefusal(udp.error)) return new ProbeFailure('connect_refused', `${peer} refuses UDP and takes no connection`)
  const says = icmp?.smallError
  if (says instanceof ProbeFailure && says.code !== 'network_timeout') return new ProbeFailure('network_unreachable', `${peer} answers nothing: ${says.message}`)
  return new ProbeFailure('network_timeout', `${peer} answers neither ${icmp ? 'pings, TCP' : 'TCP'} nor UDP${icmp ? '' : '; pings could not be tried from here'}`)
}

/** Whether large packets get lost where small ones pass. */
function onlySmall({ peer, size, icmp, large, udp: { tallies: [few, many], error }, stayed }: Heard): Error | undefined {
  const mtu = (what: string) => new ProbeFailure('mesh_mtu', `${peer}: ${what}`)
  if (large?.kind === 'silent') return mtu(`a small question over TCP is answered, one of ${size} bytes is not`)
  if (large?.kind === 'stranger') return new ProbeFailure('mesh_not_an_agent', `${peer} answers a large question with something else`)
  if (large?.kind === 'closed') return new ProbeFailure('request_reset', `${peer} ended the connection in the middle of an answer`)
  if (stayed && few && many && few.rtts.length > 0 && many.sent > 1 && many.rtts.length === 0) return mtu(`small datagrams are answered, none of ${many.sent} with ${size} bytes is`)
  if (few && few.rtts.length > 0 && isTooBig(error)) return mtu(`a router on the way says that ${size} bytes are too large`)
  const says = icmp?.largeError
  if (icmp && icmp.small.rtts.length > 0 && says instanceof ProbeFailure && says.code === 'ping_too_big') return mtu(says.message)
  return undefined
}

function datagramsOnly({ peer, stayed, udp: { tallies, error } }: Heard, datagrams: number): Error | undefined {
  if (datagrams > 0) return undefined
  // Nothing is known of the way when the agent ended in between: a rollout is no loss.
  if (!stayed) return new ProbeFailure('request_reset', `${peer} ended the connection: the agent is about to end`)
  if (error) return new ProbeFailure('mesh_udp_rejected', `${peer} answers TCP, but UDP to it is turned away: ${error.message}`)
  const sent = tallies.reduce((sum, tally) => sum + tally.sent, 0)
  return new ProbeFailure('mesh_udp_blocked', `${peer} answers TCP, but none of ${sent} datagrams`)
}

function isRefusal(error: Error | undefined): boolean {
  return error !== undefined && 'code' in error && error.code === 'ECONNREFUSED'
}

/** A router has said so: what does not fit into an interface of this machine is cut up by its kernel without a word. */
function isTooBig(error: Error | undefined): boolean {
  return error !== undefined && 'code' in error && error.code === 'EMSGSIZE'
}
