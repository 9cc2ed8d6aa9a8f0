import { randomInt } from 'node:crypto'
import {
  AF_INET, AF_INET6, ICMP_FILTER, ICMPV6_FILTER, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_PROBE, IP_RECVERR, IP_RECVTTL, IP_TTL, IPPROTO_ICMP,
  IPPROTO_ICMPV6, IPV6_HOPLIMIT, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_RECVHOPLIMIT, IPV6_UNICAST_HOPS, MSG_ERRQUEUE, SK_MEMINFO_DROPS, SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6, SO_MEMINFO, SO_RCVBUF, SO_RCVBUFFORCE, SO_SNDBUF, SO_SNDBUFFORCE, SO_TIMESTAMPNS, SOCK_DGRAM, SOCK_RAW, SOL_ICMPV6, SOL_IP, SOL_IPV6, SOL_RAW, SOL_SOCKET,
} from './libc-constants.ts'
import { createBatch, decodeAddress, fixedBuffer, NAME_SIZE, type Batch } from './libc-message.ts'
import { libc, timespecNs } from './libc.ts'
import { refusalOf, type Refusal } from './icmp-echo.ts'

/** Unprivileged (ping_group_range), or with CAP_NET_RAW. */
export type SocketKind = 'dgram' | 'raw'

/** One echo request, from its making to the end of its run. */
export interface Echo {
  /** Where to, as `encodeAddress` makes it. */
  readonly to: Buffer
  readonly ttl: number
  readonly payloadSize: number
  /** What the payload begins with, as far as it fits. */
  readonly cookie: Buffer
  readonly sequence: number
  /** When it left, ns on the scale of `realtimeNs`; set by `send`. */
  sentAt: number
}

/** Told what came back. The bytes are the socket's own: look at them now. */
export interface EchoListener {
  /** `payload` stands at [offset, offset + length) of the bytes; `at` is when the kernel received it, ns, or undefined. */
  reply(sequence: number, bytes: Buffer, offset: number, length: number, from: Buffer, ttl: number | undefined, at: number | undefined): void
  /** An error about the request of this number; the payload that it quotes may be cut short, down to nothing. */
  refusal(sequence: number, bytes: Buffer, offset: number, length: number, refusal: Refusal): void
}

/** A socket for any number of targets. No call ever waits. */
export interface EchoSocket {
  /** Whether it was sent, or has to be tried again later. Throws the kernel's refusal. */
  send(echo: Echo): boolean
  /** Reads all that has arrived. */
  receive(): void
  realtimeNs(): number
  /** How many packets were lost in this machine because nobody read them in time. */
  dropped(): number
  close(): void
}

const ECHO_REQUEST = { 4: 8, 6: 128 } as const
const ECHO_REPLY = { 4: 0, 6: 129 } as const
/** Type, code, checksum, identifier and sequence number. */
const ICMP_HEADER = 8
const COOKIE = 8
const SLOTS = 64
/** Headers (IPv4 with options has 60 bytes at most) and the cookie: of a reply no more is looked at. */
const REPLY_SIZE = 96
const CONTROL_SIZE = 128
const ERROR_SLOTS = 8
/** At most so many packets at a time, so that a flood does not hold the event loop: 64 × 64. */
const MOST_ROUNDS = 64
/** For what arrives between two looks, and for what waits to leave: the kernel keeps packets to a silent neighbour for three seconds, and they must not hold up those to others. */
const BUFFER_SIZE = 4 * 1024 * 1024
const LONGEST_PAYLOAD = 65_507
/** A send meets errors that wait on the socket and are about other packets: so often they are read, and it is tried again. */
const SEND_TRIES = 3

const OPTIONS = {
  4: { family: AF_INET, protocol: IPPROTO_ICMP, level: SOL_IP, errors: IP_RECVERR, receiveTtl: IP_RECVTTL, receivedTtl: IP_TTL, ttl: IP_TTL, discover: IP_MTU_DISCOVER },
  6: { family: AF_INET6, protocol: IPPROTO_ICMPV6, level: SOL_IPV6, errors: IPV6_RECVERR, receiveTtl: IPV6_RECVHOPLIMIT, receivedTtl: IPV6_HOPLIMIT, ttl: IPV6_UNICAST_HOPS, discover: IPV6_MTU_DISCOVER },
} as const

interface Memory {
  readonly sending: Batch
  readonly receiving: Batch
  readonly errors: Batch
}

let memory: Memory | undefined
let nextIdentifier = randomInt(0x10000)

/**
 * A socket for echo requests of one family. The kernel stamps what arrives, keeps the ICMP errors for us, and in the
 * unprivileged kind picks the identifier and lets through only what answers it. Throws the kernel's LibcError.
 */
export function openEchoSocket(family: 4 | 6, kind: SocketKind, dontFragment: boolean, listener: EchoListener): EchoSocket {
  const c = libc()
  // One call at a time uses them, so one set does for all sockets.
  const { sending, receiving, errors } = memory ??= {
    sending: createBatch(c, { slots: 1, dataSize: ICMP_HEADER + COOKIE, tail: fixedBuffer(LONGEST_PAYLOAD) }),
    receiving: createBatch(c, { slots: SLOTS, dataSize: REPLY_SIZE, controlSize: CONTROL_SIZE }),
    errors: createBatch(c, { slots: ERROR_SLOTS, dataSize: REPLY_SIZE, controlSize: 2 * CONTROL_SIZE }),
  }
  const option = OPTIONS[family]
  const raw = kind === 'raw'
  const identifier = nextIdentifier = (nextIdentifier + 1) & 0xffff
  const fd = c.socket(option.family, raw ? SOCK_RAW : SOCK_DGRAM, option.protocol)
  let ttl: number | undefined
  try {
    c.setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1)
    c.setsockopt(fd, option.level, option.errors, 1)
    c.setsockopt(fd, option.level, option.receiveTtl, 1)
    c.setsockopt(fd, option.level, option.discover, dontFragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT)
    if (raw) c.setsockopt(fd, family === 4 ? SOL_RAW : SOL_ICMPV6, family === 4 ? ICMP_FILTER : ICMPV6_FILTER, onlyReplies(family))
    for (const [forced, allowed] of [[SO_RCVBUFFORCE, SO_RCVBUF], [SO_SNDBUFFORCE, SO_SNDBUF]] as const) {
      try {
        c.setsockopt(fd, SOL_SOCKET, forced, BUFFER_SIZE)
      } catch {
        c.setsockopt(fd, SOL_SOCKET, allowed, BUFFER_SIZE)
      }
    }
  } catch (error) {
    c.close(fd)
    throw error
  }

  const readErrors = () => {
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const count = c.recvmmsg(fd, errors, MSG_ERRQUEUE)
      for (let slot = 0; slot < count; slot++) readError(slot)
      if (count < ERROR_SLOTS) return
    }
  }
  // struct sock_extended_err: errno (4), origin, type, code, pad, info (4), data (4), then who sent it.
  const readError = (slot: number) => {
    const at = errors.findControl(slot, option.level, option.errors)
    if (at < 0) return
    const { control } = errors
    const origin = control[at + 4]
    if (origin !== SO_EE_ORIGIN_ICMP && origin !== SO_EE_ORIGIN_ICMP6) return
    const offset = slot * REPLY_SIZE
    const length = errors.length(slot)
    if (length < ICMP_HEADER || errors.data[offset] !== ECHO_REQUEST[family]) return
    if (raw && errors.data.readUInt16BE(offset + 4) !== identifier) return
    const refusal = refusalOf(family, control[at + 5] ?? 0, control[at + 6] ?? 0, control.readUInt32LE(at + 8), decodeAddress(control, at + 16)?.ip)
    listener.refusal(errors.data.readUInt16BE(offset + 6), errors.data, offset + ICMP_HEADER, length - ICMP_HEADER, refusal)
  }
  const readReply = (slot: number) => {
    const { data, control } = receiving
    const start = slot * REPLY_SIZE
    const end = start + receiving.length(slot)
    const offset = raw && family === 4 ? start + ((data[start] ?? 0) & 0x0f) * 4 : start
    if (offset + ICMP_HEADER > end || data[offset] !== ECHO_REPLY[family]) return
    if (raw && data.readUInt16BE(offset + 4) !== identifier) return
    const stamp = receiving.findControl(slot, SOL_SOCKET, SO_TIMESTAMPNS)
    const hops = receiving.findControl(slot, option.level, option.receivedTtl)
    listener.reply(
      data.readUInt16BE(offset + 6), data, offset + ICMP_HEADER, end - offset - ICMP_HEADER, receiving.names.subarray(slot * NAME_SIZE, (slot + 1) * NAME_SIZE),
      hops < 0 ? undefined : control.readInt32LE(hops), stamp < 0 ? undefined : timespecNs(control, stamp),
    )
  }

  return {
    send(echo) {
      if (echo.ttl !== ttl) {
        c.setsockopt(fd, option.level, option.ttl, echo.ttl)
        ttl = echo.ttl
      }
      const cookieLength = Math.min(COOKIE, echo.payloadSize)
      writeRequest(sending.data, family, identifier, echo, cookieLength)
      sending.prepare(0, echo.to, ICMP_HEADER + cookieLength, echo.payloadSize - cookieLength)
      for (let tries = 1; ; tries++) {
        echo.sentAt = c.realtimeNs()
        try {
          return c.sendmmsg(fd, sending, 0, 1) === 1
        } catch (error) {
          if (tries === SEND_TRIES) throw error
          readErrors()
        }
      }
    },
    receive() {
      for (let round = 0; round < MOST_ROUNDS; round++) {
        let count: number
        try {
          count = c.recvmmsg(fd, receiving)
        } catch {
          // That an error waits; which one and for whom stands in the error queue.
          readErrors()
          continue
        }
        for (let slot = 0; slot < count; slot++) readReply(slot)
        if (count < SLOTS) return
      }
    },
    realtimeNs: () => c.realtimeNs(),
    dropped: () => c.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, 4 * (SK_MEMINFO_DROPS + 1)).readUInt32LE(4 * SK_MEMINFO_DROPS),
    close: () => c.close(fd),
  }
}

/** An echo request up to the cookie. Behind it come zeros, which leave the checksum as it is. */
function writeRequest(data: Buffer, family: 4 | 6, identifier: number, { sequence, cookie }: Echo, cookieLength: number): void {
  data.fill(0)
  data[0] = ECHO_REQUEST[family]
  data.writeUInt16BE(identifier, 4)
  data.writeUInt16BE(sequence, 6)
  cookie.copy(data, ICMP_HEADER, 0, cookieLength)
  // For ICMPv6 the kernel does it: the sum takes in the address that it will send from.
  if (family === 6) return
  let sum = 0
  for (let offset = 0; offset < data.length; offset += 2) sum += data.readUInt16BE(offset)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  data.writeUInt16BE(~sum & 0xffff, 2)
}

/** The filter of a raw socket: a bit that is set keeps a type out. */
function onlyReplies(family: 4 | 6): Buffer {
  const type = ECHO_REPLY[family]
  const mask = Buffer.alloc(family === 4 ? 4 : 32, 0xff)
  const word = 4 * (type >> 5)
  mask.writeUInt32LE((mask.readUInt32LE(word) & ~(1 << (type & 31))) >>> 0, word)
  return mask
}
