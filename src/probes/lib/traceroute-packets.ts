import { randomInt } from 'node:crypto'
import { IP_RECVERR, IPV6_RECVERR, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, SOL_IP, SOL_IPV6 } from './libc-constants.ts'
import { decodeAddress, encodeAddress } from './libc-message.ts'
import { refusalOf } from './icmp-echo.ts'
import type { Answer } from './traceroute-route.ts'

/** What recvmsg(2) gave. */
export interface Message {
  readonly data: Buffer
  /** A struct sockaddr: who sent it, or on the error queue where the packet had been sent. */
  readonly name: Buffer
  /** Ancillary data, from its first byte on. */
  control(level: number, type: number): Buffer | undefined
}

/** How the packets of a protocol carry their numbers. */
export interface Packets {
  make(number: number): { readonly bytes: Buffer, readonly to: Buffer }
  /** Which of them a message of the error queue is about: it holds as much as was sent back of the packet's content. */
  numberOfSent(message: Message): number | undefined
  /** Which of them a message replies to. */
  numberOfReply(message: Message): number | undefined
}

/** The first of traceroute's ports: nobody listens on them, and packet filters know them. */
const FIRST_PORT = 33_434
const PAYLOAD = Buffer.alloc(32, 'curlew')

/** One port for each packet, because routers need not send back more of it than that. */
export function udpPackets(ip: string): Packets {
  const destination = decodeAddress(encodeAddress(ip))?.ip
  const numberAt = (name: Buffer) => {
    const port = decodeAddress(name)?.port
    return port === undefined || port < FIRST_PORT ? undefined : port - FIRST_PORT
  }
  return {
    make: (number) => ({ bytes: PAYLOAD, to: encodeAddress(ip, FIRST_PORT + number) }),
    numberOfSent: ({ name }) => numberAt(name),
    numberOfReply: ({ name }) => (decodeAddress(name)?.ip === destination ? numberAt(name) : undefined),
  }
}

const ECHO_HEADER = 8
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const

/**
 * Echo requests, numbered by their sequence. The first word of the payload makes up for it, so that all have one checksum
 * and routers that balance load by it send all the same way.
 */
export function echoPackets(ip: string, family: 4 | 6, raw: boolean): Packets {
  // The kernel puts in its own on unprivileged sockets.
  const id = randomInt(0x1_0000)
  const to = encodeAddress(ip)
  const { request, reply } = ECHO[family]
  const isOurs = (data: Buffer) => data.length >= ECHO_HEADER && (!raw || data.readUInt16BE(4) === id)
  return {
    make(number) {
      const bytes = Buffer.concat([Buffer.alloc(ECHO_HEADER), PAYLOAD])
      bytes[0] = request
      bytes.writeUInt16BE(id, 4)
      bytes.writeUInt16BE(number, 6)
      bytes.writeUInt16BE(0xffff - number, ECHO_HEADER)
      // Of ICMPv6 the kernel makes it, because it covers the addresses too.
      if (family === 4) bytes.writeUInt16BE(checksum(bytes), 2)
      return { bytes, to }
    },
    numberOfSent: ({ data }) => (isOurs(data) && data[0] === request ? data.readUInt16BE(6) : undefined),
    numberOfReply({ data }) {
      // A raw IPv4 socket gives the IP header as well.
      const message = raw && family === 4 ? data.subarray(((data[0] ?? 0) & 0x0f) * 4) : data
      return isOurs(message) && message[0] === reply ? message.readUInt16BE(6) : undefined
    },
  }
}

/** RFC 1071. */
export function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** struct sock_extended_err (linux/errqueue.h): errno 4 bytes, origin, type, code, a pad, info 4, data 4; then who found the error. */
const EXTENDED_ERROR = 16
const PORT_UNREACHABLE = { 4: { type: 3, code: 3 }, 6: { type: 1, code: 4 } } as const

/** What an ICMP message on the error queue says, and who says it; undefined when it is about something else. */
export function errorIn(message: Message, family: 4 | 6): Omit<Answer, 'rttMs'> | undefined {
  const error = family === 4 ? message.control(SOL_IP, IP_RECVERR) : message.control(SOL_IPV6, IPV6_RECVERR)
  if (!error || error.length < EXTENDED_ERROR || error[4] !== (family === 4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6)) return undefined
  const from = decodeAddress(error, EXTENDED_ERROR)?.ip
  if (from === undefined) return undefined
  const [type = 0, code = 0] = error.subarray(5, 7)
  const { kind, says } = refusalOf(family, type, code, 0, from)
  if (kind === 'ttl_exceeded') return { from, said: 'expired', says }
  const port = PORT_UNREACHABLE[family]
  if (type === port.type && code === port.code) return { from, said: 'port', says }
  return kind === 'unreachable' || kind === 'rejected' ? { from, said: kind, says } : undefined
}

/** Who replies. */
export function replyIn({ name }: Message): Omit<Answer, 'rttMs'> | undefined {
  const from = decodeAddress(name)?.ip
  return from === undefined ? undefined : { from, said: 'reply', says: 'reply' }
}
