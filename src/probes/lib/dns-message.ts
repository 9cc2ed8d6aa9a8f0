import { canonicalHost } from '../../core/fields.ts'

/** One record of an answer. */
export interface Answer {
  /** `A`, `CNAME`, …; `TYPE65` for types without a name here (RFC 3597). */
  readonly type: string
  /** Seconds. */
  readonly ttl: number
  /** What it says, as `valueText` documents. */
  readonly value: string
}

export interface Message {
  readonly rcode: number
  /** The AA bit: the server holds the zone itself. */
  readonly authoritative: boolean
  /** The RA bit: the server looks elsewhere for this client. */
  readonly recursionAvailable: boolean
  /** The TC bit of a datagram: the rest is to be had over TCP. `answers` is empty then. */
  readonly truncated: boolean
  readonly answers: readonly Answer[]
  /** How many records the sections hold, by the header. */
  readonly counts: { readonly answers: number, readonly authorities: number, readonly additionals: number }
}

/** Bytes that are no DNS message. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage'
}

/** The sixteen return codes of the header (RFC 1035, RFC 2136). */
export const RCODES = [
  'NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE',
  'RCODE11', 'RCODE12', 'RCODE13', 'RCODE14', 'RCODE15',
] as const
export type Rcode = (typeof RCODES)[number]

type Field =
  | 'ip4' | 'ip6' | 'name' | 'u8' | 'u16' | 'u32' | 'type' | 'time'
  /** A character string, in quotes. */
  | 'string'
  /** A character string without quotes: a keyword. */
  | 'word'
  /** All that is left: character strings joined; text in quotes; hexadecimal; base64. */
  | 'strings' | 'text' | 'hex' | 'base64'

type Format = readonly [number: number, ...fields: readonly Field[]]

/**
 * Record types that can be asked for: their number (IANA) and, where it is known, how their data is laid out. Zone
 * transfers and the types that only accompany a question (OPT, TSIG, TKEY) are none.
 */
const FORMATS = {
  A: [1, 'ip4'], NS: [2, 'name'], CNAME: [5, 'name'], SOA: [6, 'name', 'name', 'u32', 'u32', 'u32', 'u32', 'u32'],
  NULL: [10], PTR: [12, 'name'], HINFO: [13, 'string', 'string'], MX: [15, 'u16', 'name'], TXT: [16, 'strings'],
  RP: [17, 'name', 'name'], AFSDB: [18, 'u16', 'name'], SIG: [24], KEY: [25], AAAA: [28, 'ip6'], LOC: [29],
  SRV: [33, 'u16', 'u16', 'u16', 'name'], NAPTR: [35, 'u16', 'u16', 'string', 'string', 'string', 'name'],
  KX: [36, 'u16', 'name'], CERT: [37], DNAME: [39, 'name'], APL: [42], DS: [43, 'u16', 'u8', 'u8', 'hex'],
  SSHFP: [44, 'u8', 'u8', 'hex'], IPSECKEY: [45],
  RRSIG: [46, 'type', 'u8', 'u8', 'u32', 'time', 'time', 'u16', 'name', 'base64'], NSEC: [47],
  DNSKEY: [48, 'u16', 'u8', 'u8', 'base64'], DHCID: [49, 'base64'], NSEC3: [50], NSEC3PARAM: [51],
  TLSA: [52, 'u8', 'u8', 'u8', 'hex'], HIP: [55], CDS: [59, 'u16', 'u8', 'u8', 'hex'],
  CDNSKEY: [60, 'u16', 'u8', 'u8', 'base64'], SPF: [99, 'strings'], ANY: [255], CAA: [257, 'u8', 'word', 'text'],
  TA: [32768], DLV: [32769],
} as const satisfies Readonly<Record<string, Format>>

export type RecordType = keyof typeof FORMATS

/** Every record type that can be asked for, by name. */
export const RECORD_TYPES = Object.keys(FORMATS) as [RecordType, ...RecordType[]] // safe: the keys of a literal that is not empty

const BY_NUMBER: ReadonlyMap<number, { readonly name: string, readonly fields: readonly Field[] }> =
  new Map(Object.entries<Format>(FORMATS).map(([name, [number, ...fields]]) => [number, { name, fields }]))

const HEADER = 12

/** What a packet is to the one who asked. Only who has read the question can be `conclusive`; all else may be forged. */
export type Reading =
  | { readonly message: Message }
  | { readonly wrong: 'dns_garbage' | 'dns_wrong_id' | 'dns_wrong_question', readonly detail: string, readonly conclusive: boolean }

/**
 * Reads `packet` as the answer to `query` (a packet with one question and nothing else). Over a stream nothing can have
 * been cut off, so a TC bit there means nothing.
 */
export function readAnswer(query: Buffer, packet: Buffer, over: 'datagram' | 'stream'): Reading {
  if (packet.length < HEADER) return { wrong: 'dns_garbage', detail: `${packet.length} bytes are too few for a DNS message`, conclusive: false }
  const flags = packet.readUInt16BE(2)
  if ((flags & 0xf800) !== 0x8000) return { wrong: 'dns_garbage', detail: 'the packet is not the response to a query', conclusive: false }
  if (packet.readUInt16BE(0) !== query.readUInt16BE(0)) {
    return { wrong: 'dns_wrong_id', detail: `asked with id ${query.readUInt16BE(0)}, answered with id ${packet.readUInt16BE(0)}`, conclusive: false }
  }
  const questions = packet.readUInt16BE(4)
  // A server that could not read the question or does not want to returns the bare header with an error.
  const bareError = questions === 0 && (flags & 0xf) !== 0
  if (!bareError && !(questions === 1 && sameQuestion(query, packet))) {
    return { wrong: 'dns_wrong_question', detail: questions === 1 ? 'the answer is to another question' : `the answer carries ${questions} questions`, conclusive: false }
  }
  try {
    return { message: readMessage(packet, flags, bareError ? HEADER : query.length, over) }
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error
    return { wrong: 'dns_garbage', detail: error.message, conclusive: true }
  }
}

/** Names compare without regard to ASCII case (RFC 4343); type and class byte by byte. */
function sameQuestion(query: Buffer, packet: Buffer): boolean {
  if (packet.length < query.length) return false
  const nameEnd = query.length - 4
  for (let at = HEADER; at < query.length; at++) {
    const a = query.readUInt8(at)
    const b = packet.readUInt8(at)
    if (a !== b && !(at < nameEnd && lower(a) === lower(b))) return false
  }
  return true
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}

function readMessage(packet: Buffer, flags: number, start: number, over: 'datagram' | 'stream'): Message {
  const truncated = over === 'datagram' && (flags & 0x0200) !== 0
  const counts = { answers: packet.readUInt16BE(6), authorities: packet.readUInt16BE(8), additionals: packet.readUInt16BE(10) }
  const answers: Answer[] = []
  // What was cut off cannot be read to its end.
  if (!truncated) {
    let at = start
    for (let index = 0; index < counts.answers + counts.authorities + counts.additionals; index++) {
      const head = readName(packet, at).next
      if (head + 10 > packet.length) throw new MalformedMessage('a record ends too early')
      const data = head + 10
      const end = data + packet.readUInt16BE(head + 8)
      if (end > packet.length) throw new MalformedMessage('a record is longer than the message')
      if (index < counts.answers) {
        const number = packet.readUInt16BE(head)
        const ttl = packet.readUInt32BE(head + 4)
        // RFC 2181, section 8: a TTL with the top bit set is zero.
        answers.push({ type: typeName(number), ttl: ttl > 0x7fff_ffff ? 0 : ttl, value: valueText(packet, number, data, end) })
      }
      at = end
    }
  }
  return { rcode: flags & 0xf, authoritative: (flags & 0x0400) !== 0, recursionAvailable: (flags & 0x0080) !== 0, truncated, answers, counts }
}

function typeName(number: number): string {
  return BY_NUMBER.get(number)?.name ?? `TYPE${number}`
}

/**
 * A record's data as zone files and `dig +short` write it, with two differences that make patterns easier to write:
 * names have no final dot (the root is `.`), and the strings of TXT are joined without quotes.
 * `10 mail.example.org` (MX), `0 5 5060 sip.example.org` (SRV), `ns.x admin.x 7 60 60 600 5` (SOA), `0 issue "ca.x"` (CAA).
 * Types whose layout is not known here: `\# 3 0a0b0c`, length and bytes (RFC 3597).
 */
function valueText(packet: Buffer, type: number, start: number, end: number): string {
  const fields = BY_NUMBER.get(type)?.fields ?? []
  if (fields.length === 0) return `\\# ${end - start} ${packet.toString('hex', start, end)}`.trimEnd()
  const parts: string[] = []
  let at = start
  const take = (bytes: number): number => {
    const from = at
    at += bytes
    if (at > end) throw new MalformedMessage(`the data of a ${typeName(type)} record is too short`)
    return from
  }
  const string = (): string => {
    const length = packet.readUInt8(take(1))
    return text(packet, take(length), at)
  }
  for (const field of fields) {
    switch (field) {
      case 'ip4': parts.push(packet.subarray(take(4), at).join('.')); break
      case 'ip6': parts.push(ip6(packet, take(16))); break
      case 'u8': parts.push(String(packet.readUInt8(take(1)))); break
      case 'u16': parts.push(String(packet.readUInt16BE(take(2)))); break
      case 'u32': parts.push(String(packet.readUInt32BE(take(4)))); break
      case 'type': parts.push(typeName(packet.readUInt16BE(take(2)))); break
      case 'time': parts.push(time(packet.readUInt32BE(take(4)))); break
      case 'string': parts.push(quoted(string())); break
      case 'word': parts.push(string()); break
      case 'text': parts.push(quoted(text(packet, take(end - at), end))); break
      case 'hex': parts.push(packet.toString('hex', take(end - at), end).toUpperCase()); break
      case 'base64': parts.push(packet.toString('base64', take(end - at), end)); break
      case 'strings': {
        let joined = ''
        while (at < end) joined += string()
        parts.push(joined)
        break
      }
      case 'name': {
        const { name, next } = readName(packet, at)
        take(next - at)
        parts.push(name)
      }
    }
  }
  if (at !== end) throw new MalformedMessage(`the data of a ${typeName(type)} record is too long`)
  return parts.join(' ')
}

/** Bytes as UTF-8, control characters as `\DDD`: nothing in it may reach a terminal or break a line. */
function text(packet: Buffer, start: number, end: number): string {
  return packet.toString('utf8', start, end).replaceAll(/\p{Cc}/gu, (char) => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`)
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/g, '\\$&')}"`
}

function ip6(packet: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => packet.readUInt16BE(at + 2 * index).toString(16)).join(':')
  return canonicalHost(groups) ?? groups
}

/** `YYYYMMDDHHmmSS` (RFC 4034, section 3.2). */
function time(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replaceAll(/[-:T]|\.\d+Z/g, '')
}

/** A name at `at`, compressed or not (RFC 1035, section 4.1.4), without its final dot; and where what follows it starts. */
function readName(packet: Buffer, at: number): { name: string, next: number } {
  const labels: string[] = []
  let next: number | undefined
  let length = 0
  // A pointer may only point before where reading started last: so it ends.
  let bound = at
  for (;;) {
    if (at >= packet.length) throw new MalformedMessage('a name ends too early')
    const size = packet.readUInt8(at)
    if (size === 0) return { name: labels.join('.') || '.', next: next ?? at + 1 }
    if ((size & 0xc0) === 0xc0) {
      if (at + 1 >= packet.length) throw new MalformedMessage('a name ends too early')
      const target = packet.readUInt16BE(at) & 0x3fff
      if (target >= bound) throw new MalformedMessage('a compressed name does not point back')
      next ??= at + 2
      bound = target
      at = target
      continue
    }
    if (size > 63) throw new MalformedMessage('a label is longer than 63 bytes')
    length += size + 1
    if (length > 254) throw new MalformedMessage('a name is longer than 255 bytes')
    if (at + 1 + size > packet.length) throw new MalformedMessage('a name ends too early')
    labels.push(label(packet.toString('latin1', at + 1, at + 1 + size)))
    at += 1 + size
  }
}

/** Dots inside a label and bytes that do not print are escaped as in zone files (RFC 1035, section 5.1). */
function label(raw: string): string {
  if (/^[\w-]*$/.test(raw)) return raw
  return raw.replaceAll(/[.\\"();@$]|[^!-~]/g, (char) => {
    const code = char.charCodeAt(0)
    return code > 0x20 && code < 0x7f ? `\\${char}` : `\\${String(code).padStart(3, '0')}`
  })
}

/** Whether a name can be asked for: ASCII, labels of 1 to 63 bytes, 253 in all; `.` is the root. */
export function isQueryName(name: string): boolean {
  return name === '.' || (/^(?:[!-\-/-~]{1,63}\.)*[!-\-/-~]{1,63}\.?$/.test(name) && name.replace(/\.$/, '').length <= 253)
}
