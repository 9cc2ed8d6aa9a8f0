import { networkInterfaces } from 'node:os'
import { ProbeFailure } from '../../core/probe.ts'
import type { SharedCode } from '../../core/codes.ts'
import type { PingCode } from './icmp-codes.ts'
import type { EchoOutcome, EchoRequest, Refusal } from './icmp-echo.ts'

const REFUSAL_CODES = {
  unreachable: 'network_unreachable', rejected: 'ping_rejected', ttl_exceeded: 'ping_ttl_exceeded', too_big: 'ping_too_big', other: 'ping_other',
} as const satisfies Readonly<Record<Refusal['kind'], PingCode | SharedCode>>

/**
 * What is wrong when no packet of a run was answered: an error that `explain` judges. Silence accuses the target only when
 * everything on this machine is known to work.
 */
export function silenceOf({ sent, refusal, unsent, overflowed, proven }: EchoOutcome, request: Pick<EchoRequest, 'address' | 'count' | 'payloadSize' | 'dontFragment'>): Error {
  const { address: { ip }, count, payloadSize, dontFragment } = request
  if (refusal && isRejectedHere(refusal, ip)) return new ProbeFailure('prober_denied', `a firewall of this machine (${refusal.from}) rejects the echo requests to ${ip}: ${refusal.says}`)
  if (refusal) return new ProbeFailure(REFUSAL_CODES[refusal.kind], `${refusal.from ?? 'somebody'} says of ${ip}: ${refusal.says}`)
  if (unsent) return cannotSend(unsent, ip, payloadSize)
  if (overflowed) return new ProbeFailure('prober_no_memory', 'the receive buffer of the ICMP socket overflowed: raise net.core.rmem_max')
  if (sent === 0) return new ProbeFailure('prober_no_memory', `the socket took no packet to ${ip}: its send buffer is full, raise net.core.wmem_max`)
  if (!proven) return new ProbeFailure('ping_self_test', `no reply from ${ip}, and none from this machine to itself`)
  const packets = `${sent} ${sent === 1 ? 'echo request' : 'echo requests'} to ${ip} with ${payloadSize} bytes`
  return new ProbeFailure('network_timeout', [
    `no reply to ${packets}`,
    ...(dontFragment ? [' that may not be fragmented'] : []),
    ...(sent < count ? [`; more than ${sent} of ${count} did not fit into the timeout`] : []),
  ].join(''))
}

/** Whether our own firewall turned the packet back on its way out. That no neighbour answers, our kernel says too: it is not meant. */
function isRejectedHere({ kind, from }: Refusal, ip: string): boolean {
  return kind === 'rejected' && from !== ip && Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === from))
}

/** A packet that did not leave this machine. */
function cannotSend(error: Error, ip: string, payloadSize: number): Error {
  const code = 'code' in error ? error.code : undefined
  if (code === 'EMSGSIZE') return new ProbeFailure('ping_local_mtu', `${payloadSize} bytes of data to ${ip} do not fit into one packet of this machine's interface`)
  if (code === 'EPERM') return new ProbeFailure('prober_denied', `a firewall of this machine drops the echo requests to ${ip} (EPERM)`)
  // What a blackhole route makes of a packet.
  if (code === 'EINVAL') return new ProbeFailure('prober_denied', `a route of this machine throws packets to ${ip} away`)
  return error
}
