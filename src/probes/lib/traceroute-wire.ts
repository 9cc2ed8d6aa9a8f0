import { ProbeFailure } from '../../core/probe.ts'
import {
  AF_INET, AF_INET6, IP_RECVERR, IP_TTL, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_UDP, IPV6_RECVERR, IPV6_UNICAST_HOPS, MSG_ERRQUEUE,
  SO_TIMESTAMPNS, SOCK_DGRAM, SOCK_RAW, SOL_IP, SOL_IPV6, SOL_SOCKET,
} from './libc-constants.ts'
import { createBatch, encodeAddress, NAME_SIZE, type Batch } from './libc-message.ts'
import { libc, timespecNs, type Libc } from './libc.ts'
import type { Address } from './resolve.ts'
import { echoPackets, errorIn, replyIn, udpPackets, type Message } from './traceroute-packets.ts'
import type { Answer, Route } from './traceroute-route.ts'

/** Sends the packets of one trace and hears what is said of them: one socket, whose packets are told apart by their numbers. */
export interface Wire {
  /** Throws the errno error of what this machine does not send. */
  send(number: number, ttl: number): void
  /** What has come since the last call. */
  receive(): readonly Heard[]
  close(): void
}

export interface Heard {
  /** Of the packet that it is about. */
  readonly number: number
  readonly answer: Answer
}

/** Messages received at a time, and how often in a row, so that a flood does not hold the event loop. */
const SLOTS = 16
const MOST_ROUNDS = 64
/** More than any packet of ours that comes back. */
const DATA_BYTES = 128
/** A time and an extended error with an IPv6 address take 96. */
const CONTROL_BYTES = 256
/** How often a packet is sent again when an error about another one was thrown instead of sending it. */
const TRIES = 8

const FAMILIES = {
  4: { domain: AF_INET, icmp: IPPROTO_ICMP, level: SOL_IP, ttl: IP_TTL, recverr: IP_RECVERR },
  6: { domain: AF_INET6, icmp: IPPROTO_ICMPV6, level: SOL_IPV6, ttl: IPV6_UNICAST_HOPS, recverr: IPV6_RECVERR },
} as const

/** What an ICMP error about an earlier packet becomes for the next call on its socket (Linux: icmp_err_convert, icmpv6_err_convert). */
const OF_ICMP: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENONET', 'ENOPROTOOPT', 'EOPNOTSUPP', 'EMSGSIZE', 'EPROTO', 'EACCES',
])

/**
 * Opens the socket of a trace. UDP needs no permission; for ICMP an unprivileged socket is tried first, then a raw one.
 * Throws ProbeFailure('traceroute_denied' | 'traceroute_unsupported' | 'prober_no_network'), and what else the kernel refuses as an errno error.
 */
export function openWire({ ip, family }: Address, protocol: Route['protocol']): Wire {
  const c = systemCalls()
  const { level, ttl: ttlOption, recverr } = FAMILIES[family]
  const { fd, raw } = openSocket(c, family, protocol)
  const packets = protocol === 'udp' ? udpPackets(ip) : echoPackets(ip, family, raw)
  const batch = createBatch(c, { slots: SLOTS, dataSize: DATA_BYTES, controlSize: CONTROL_BYTES })
  const sent: { readonly ns: number, readonly ms: number }[] = []
  let early: readonly Heard[] = []
  try {
    c.setsockopt(fd, level, recverr, 1)
    c.setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1)
    // A raw socket hears the ICMP of everybody: let it be what concerns this destination.
    if (raw) c.connect(fd, encodeAddress(ip))
  } catch (error) {
    c.close(fd)
    throw error
  }

  const read = (flags: number, numberOf: (message: Message) => number | undefined, tell: (message: Message) => Omit<Answer, 'rttMs'> | undefined): Heard[] => {
    const heard: Heard[] = []
    for (let round = 0, count = SLOTS; count === SLOTS && round < MOST_ROUNDS; round++) {
      count = c.recvmmsg(fd, batch, flags)
      for (let slot = 0; slot < count; slot++) {
        const message = messageOf(batch, slot)
        const number = numberOf(message)
        const stamps = number === undefined ? undefined : sent[number]
        const answer = tell(message)
        if (number !== undefined && stamps && answer) heard.push({ number, answer: { ...answer, rttMs: rttMs(stamps, batch, slot) } })
      }
    }
    return heard
  }
  const errors = () => read(MSG_ERRQUEUE, packets.numberOfSent, (message) => errorIn(message, family))
  const replies = () => {
    try {
      return read(0, packets.numberOfReply, replyIn)
    } catch (error) {
      // It came after the errors were read: they tell the next time.
      if (isOfIcmp(error)) return []
      throw error
    }
  }

  return {
    send(number, ttl) {
      const { bytes, to } = packets.make(number)
      c.setsockopt(fd, level, ttlOption, ttl)
      for (let tries = 1; ; tries++) {
        sent[number] = { ns: c.realtimeNs(), ms: performance.now() }
        try {
          // A packet that the socket does not take now counts as lost. All of them fit into its buffer.
          c.sendto(fd, bytes, raw ? undefined : to)
          return
        } catch (error) {
          // What a blackhole route makes of a packet; there is nothing else about it that could be invalid.
          if (codeOf(error) === 'EINVAL') throw new ProbeFailure('prober_denied', `a route of this machine throws packets to ${ip} away`)
          if (!isOfIcmp(error) || tries === TRIES) throw error
          early = [...early, ...errors()]
        }
      }
    },
    receive() {
      const heard = [...early, ...errors(), ...replies()]
      early = []
      return heard
    },
    close: () => c.close(fd),
  }
}

function systemCalls(): Libc {
  try {
    return libc()
  } catch (error) {
    throw new ProbeFailure('traceroute_unsupported', error instanceof Error ? error.message : String(error))
  }
}

function openSocket(c: Libc, family: Address['family'], protocol: Route['protocol']): { readonly fd: number, readonly raw: boolean } {
  const { domain, icmp } = FAMILIES[family]
  try {
    return { fd: c.socket(domain, SOCK_DGRAM, protocol === 'udp' ? IPPROTO_UDP : icmp), raw: false }
  } catch (error) {
    if (codeOf(error) === 'EAFNOSUPPORT') throw new ProbeFailure('prober_no_network', `this machine has no IPv${family}`)
    if (protocol === 'udp' || !isDenied(error)) throw error
  }
  try {
    return { fd: c.socket(domain, SOCK_RAW, icmp), raw: true }
  } catch (error) {
    if (!isDenied(error)) throw error
    throw new ProbeFailure('traceroute_denied', 'no ICMP socket may be opened here: let net.ipv4.ping_group_range hold a group of Curlew (for IPv6 too), give it CAP_NET_RAW, or trace with protocol udp')
  }
}

function messageOf(batch: Batch, slot: number): Message {
  const { data, dataSize, names } = batch
  const length = Math.min(dataSize, batch.length(slot))
  return {
    data: data.subarray(slot * dataSize, slot * dataSize + length),
    name: names.subarray(slot * NAME_SIZE, (slot + 1) * NAME_SIZE),
    control(level, type) {
      const at = batch.findControl(slot, level, type)
      return at < 0 ? undefined : batch.control.subarray(at, (slot + 1) * batch.controlSize)
    },
  }
}

/** By the kernel's own stamp of the arrival, so that it does not matter when the answer is read. A wall clock that was set in between is not believed. */
function rttMs({ ns, ms }: { readonly ns: number, readonly ms: number }, batch: Batch, slot: number): number {
  const elapsed = performance.now() - ms
  const at = batch.findControl(slot, SOL_SOCKET, SO_TIMESTAMPNS)
  const stamped = at < 0 ? -1 : (timespecNs(batch.control, at) - ns) / 1e6
  return stamped >= 0 && stamped <= elapsed ? stamped : elapsed
}

function isOfIcmp(error: unknown): boolean {
  return OF_ICMP.has(codeOf(error))
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EPROTONOSUPPORT'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
