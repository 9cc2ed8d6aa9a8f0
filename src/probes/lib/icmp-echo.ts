import type { Address } from './resolve.ts'

/** Echo requests to one address, as a run asks for them. Times are milliseconds. */
export interface EchoRequest {
  readonly address: Address
  readonly count: number
  readonly intervalMs: number
  /** How long after its send a reply counts. */
  readonly timeoutMs: number
  /** Bytes after the ICMP header. */
  readonly payloadSize: number
  readonly dontFragment: boolean
  readonly ttl: number
  /** `performance.now()` at which the outcome must be there. */
  readonly endAt: number
  /** Whether nobody waits for the outcome any longer. */
  stopped?(): boolean
}

/** An ICMP error that came back for an echo request, or one that this machine's kernel made in its place. */
export interface Refusal {
  /** Who sent it; undefined where that is not told. */
  readonly from: string | undefined
  readonly kind: 'unreachable' | 'rejected' | 'ttl_exceeded' | 'too_big' | 'other'
  /** What it says, for a person: `host unreachable`. */
  readonly says: string
}

export interface EchoOutcome {
  /** Packets of which it is known what came of them: silence counts when this machine would have heard the reply. */
  readonly sent: number
  /** Round-trip times in ms of the packets that were answered in time, in the order of their sending. */
  readonly rtts: readonly number[]
  /** Replies beyond the first one to a packet. */
  readonly duplicates: number
  /** TTL or hop limit of the last reply, where it is told. */
  readonly replyTtl: number | undefined
  /** The last error that came back. */
  readonly refusal: Refusal | undefined
  /** Why a packet could not be sent from here: an errno error, or a ProbeFailure of layer prober. */
  readonly unsent: Error | undefined
  /** This machine threw packets away while it ran: what was not answered proves nothing, and is not among `sent`. */
  readonly overflowed: boolean
  /** Some echo request, whoever's, has been answered by now: silence means something. */
  readonly proven: boolean
}

/** What sends echo requests, for all targets. */
export interface Echoer {
  /** Never rejects; a run that was stopped resolves too. */
  ping(request: EchoRequest): Promise<EchoOutcome>
  /** Whether any echo request has been answered. */
  proven(): boolean
  /** Whether no run is under way. */
  idle(): boolean
  /** Lets go of sockets and processes; only while idle. */
  close(): void
}

const UNREACHABLE_4 = [
  'network unreachable', 'host unreachable', 'protocol unreachable', 'port unreachable', 'fragmentation needed', 'source route failed',
  'network unknown', 'host unknown', 'host isolated', 'network prohibited', 'host prohibited', 'network unreachable for this service',
  'host unreachable for this service', 'prohibited by a filter', 'host precedence violation', 'precedence cut off',
] as const
/** The codes of the list above with which a host or a firewall turns packets away that reach it. */
const REJECTS_4: readonly number[] = [2, 3, 9, 10, 13]

const UNREACHABLE_6 = [
  'no route to the destination', 'prohibited by a filter', 'beyond the scope of the source address', 'address unreachable', 'port unreachable',
  'source address failed the policy', 'route rejected',
] as const
const REJECTS_6: readonly number[] = [1, 4, 5, 6]

/** What an ICMP (RFC 792, RFC 1812) or ICMPv6 (RFC 4443) error means; `mtu` is what it says of the next link, 0 for nothing. */
export function refusalOf(family: 4 | 6, type: number, code: number, mtu: number, from: string | undefined): Refusal {
  const size = mtu > 0 ? `, its MTU is ${mtu}` : ''
  if (family === 4) {
    if (type === 3 && code === 4) return { from, kind: 'too_big', says: `fragmentation needed${size}` }
    if (type === 3) return { from, kind: REJECTS_4.includes(code) ? 'rejected' : 'unreachable', says: UNREACHABLE_4[code] ?? `unreachable, code ${code}` }
    if (type === 11 && code === 0) return { from, kind: 'ttl_exceeded', says: 'TTL exceeded in transit' }
    return { from, kind: 'other', says: `ICMP error type ${type}, code ${code}` }
  }
  if (type === 2) return { from, kind: 'too_big', says: `packet too big${size}` }
  if (type === 1) return { from, kind: REJECTS_6.includes(code) ? 'rejected' : 'unreachable', says: UNREACHABLE_6[code] ?? `unreachable, code ${code}` }
  if (type === 3 && code === 0) return { from, kind: 'ttl_exceeded', says: 'hop limit exceeded in transit' }
  return { from, kind: 'other', says: `ICMPv6 error type ${type}, code ${code}` }
}

export interface EchoFigures {
  readonly meanMs: number
  readonly minMs: number
  readonly maxMs: number
  /** The mean difference between the round-trip times of one reply and the next (RFC 3393's, without sign); undefined with a single reply. */
  readonly jitterMs: number | undefined
}

/** What is told of round-trip times, a list for each address; undefined without any. */
export function figuresOf(lists: readonly (readonly number[])[]): EchoFigures | undefined {
  const all = lists.flat()
  if (all.length === 0) return undefined
  const differences = lists.flatMap((rtts) => rtts.slice(1).map((rtt, index) => Math.abs(rtt - (rtts[index] ?? rtt))))
  return { meanMs: mean(all), minMs: Math.min(...all), maxMs: Math.max(...all), jitterMs: differences.length > 0 ? mean(differences) : undefined }
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}
