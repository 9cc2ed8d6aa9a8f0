import { fnv1a } from './hash.ts'

/** What came back for one packet. */
export interface Answer {
  readonly from: string
  readonly rttMs: number
  /**
   * `expired`: a router counted it down to zero. `reply`: its destination replied to it. `port`: nobody waits for it there,
   * which is how a host answers UDP, and some packet filters. The others are told by routers, packet filters and hosts.
   */
  readonly said: 'expired' | 'reply' | 'port' | 'unreachable' | 'rejected'
  /** In words. */
  readonly says: string
}

/** What answers at one distance. */
export interface Hop {
  readonly ttl: number
  /** Undefined when nobody answered for this distance. */
  readonly address: string | undefined
  /** The fastest answer of `address`. */
  readonly rttMs: number | undefined
  /** Who else answered at this distance: the route branches. */
  readonly others: readonly string[]
  /** What it said, in words, when it refused the packet; not for a port at the destination. */
  readonly refusal: string | undefined
}

/** How a route ends. Who ends it is nearer than it seems when that is not `exact`: several silent hops before it may be its own silence. */
export type RouteEnd =
  | { readonly kind: 'reached', readonly hops: number, readonly exact: boolean }
  /** `by` cannot pass packets on, or will not (`rejected`). */
  | { readonly kind: 'unreachable' | 'rejected', readonly by: string, readonly ttl: number, readonly exact: boolean, readonly says: string }
  /** Packets go round between these routers. */
  | { readonly kind: 'loop', readonly between: readonly string[] }
  /** No answer from beyond `after`; undefined when nobody answered at all. */
  | { readonly kind: 'silent', readonly after: { readonly ttl: number, readonly address: string } | undefined }
  /** Routers answered at every distance that was tried. */
  | { readonly kind: 'too_long' }

/** The way that packets took to a destination. Plain data: it may be kept and sent as JSON. */
export interface Route {
  /** An address. */
  readonly destination: string
  readonly protocol: 'udp' | 'icmp'
  readonly maxHops: number
  /** From the first to the last that answered. */
  readonly hops: readonly Hop[]
  readonly end: RouteEnd
}

export interface Plan {
  readonly maxHops: number
  /** Packets for each distance. */
  readonly queries: number
  /** How long an answer is waited for. */
  readonly hopTimeoutMs: number
}

/** The state of one trace: says what to send, takes what comes, knows when it is enough. Times are of one monotonic clock. */
export interface Board {
  /** The next packet, when one may be sent now: its number, counted from 0, and its TTL. It counts as sent then. */
  next(now: number): { readonly number: number, readonly ttl: number } | undefined
  /** Takes the first answer to each packet that was sent. */
  heard(number: number, answer: Answer): void
  isDone(now: number): boolean
  result(): Pick<Route, 'hops' | 'end'>
}

/** A packet holds others back for this share of the time that its answer may take. */
const ROUNDS = 8
/**
 * Packets on their way at a time; more only where all could not be sent in ROUNDS of so many. Those that are sent too far all
 * arrive at the destination, and of six in a row Linux answers no more (icmp_ratelimit).
 */
const AT_ONCE = 4
/** How often packets must have come back to one router, with another in between, before it is a loop: once is a route that changed. */
const RETURNS = 2
/** A whole trace takes at most so many times as long as one answer may take: to send, to ask again, to wait for the last. */
export const LONGEST_TRACE = 3

/** The bookkeeping of one trace to an address, without clocks and sockets. */
export function createBoard(destination: string, { maxHops, queries, hopTimeoutMs }: Plan): Board {
  /** By their numbers. */
  const packets: { readonly ttl: number, readonly at: number, answer?: Answer }[] = []
  const atOnce = Math.max(AT_ONCE, Math.ceil(maxHops * queries / ROUNDS))
  const patienceMs = hopTimeoutMs / ROUNDS
  let asked = 0
  const askedAgain = new Set<number>()
  /** Where somebody has ended the route: nothing farther is sent, or waited for. */
  let farthest = Infinity

  const answersAt = (ttl: number) => packets.flatMap((packet) => (packet.ttl === ttl && packet.answer ? [packet.answer] : []))
  const waiting = (now: number, ms: number) => packets.filter(({ ttl, at, answer }) => !answer && ttl <= farthest && now - at < ms)
  const ttls = (most: number) => Array.from({ length: most }, (_, index) => index + 1)
  const toAsk = () => {
    const ttl = Math.floor(asked / queries) + 1
    return ttl <= Math.min(farthest, maxHops) ? ttl : undefined
  }
  /**
   * Once it is known how far the route goes, the silent distances get a second chance: a lost packet must not look like a
   * change. If nothing has ended it so far, one more packet goes as far as any, because hosts bound their answers by time.
   */
  const toAskAgain = (now: number) => (farthest <= maxHops ? ttls(farthest) : [maxHops]).find((ttl) =>
    !askedAgain.has(ttl) && answersAt(ttl).length === 0 && waiting(now, patienceMs).every((packet) => packet.ttl !== ttl))

  return {
    next(now) {
      if (waiting(now, patienceMs).length >= atOnce) return undefined
      const first = toAsk()
      const ttl = first ?? toAskAgain(now)
      if (ttl === undefined) return undefined
      if (first === undefined) askedAgain.add(ttl)
      else asked++
      packets.push({ ttl, at: now })
      return { number: packets.length - 1, ttl }
    },
    heard(number, answer) {
      const packet = packets[number]
      if (!packet || packet.answer) return
      packet.answer = answer
      const end = answer.said === 'expired' ? loopOf(ttls(maxHops).map((ttl) => answersAt(ttl)[0]?.from))?.seenAt : packet.ttl
      farthest = Math.min(farthest, end ?? Infinity)
    },
    isDone: (now) => toAsk() === undefined && toAskAgain(now) === undefined && waiting(now, hopTimeoutMs).length === 0,
    result() {
      const hops = ttls(maxHops).map((ttl) => hopOf(ttl, answersAt(ttl), destination))
      const end = endOf(hops, answersAt, destination)
      const last = hops.findLastIndex(({ address }) => address !== undefined) + 1
      return { hops: hops.slice(0, end.kind === 'reached' ? end.hops : Math.min(farthest, last)), end }
    },
  }
}

function hopOf(ttl: number, answers: readonly Answer[], destination: string): Hop {
  const address = answers[0]?.from
  const times = answers.filter(({ from }) => from === address).map(({ rttMs }) => rttMs)
  const refusal = answers.map((answer) => refusalIn(answer, destination)).find((one) => one !== undefined)
  return {
    ttl, address, refusal,
    rttMs: times.length === 0 ? undefined : Math.min(...times),
    others: [...new Set(answers.map(({ from }) => from))].slice(1),
  }
}

function refusalIn({ said, from, says }: Answer, destination: string): string | undefined {
  return said === 'expired' || said === 'reply' || (said === 'port' && from === destination) ? undefined : says
}

function endOf(hops: readonly Hop[], answersAt: (ttl: number) => readonly Answer[], destination: string): RouteEnd {
  const answers = hops.flatMap(({ ttl }) => answersAt(ttl).map((answer) => ({ ttl, ...answer })))
  const routers = new Set(answers.filter(({ said }) => said === 'expired').map(({ from }) => from))
  // One router that never answers is common. Hosts and routers bound how often they refuse a packet, not how often they reply.
  const exact = (index: number) => answers[index]?.said === 'reply' || (answers[index]?.ttl ?? 0) - (answers[index - 1]?.ttl ?? 0) <= 2
  for (const [index, { ttl, from, said }] of answers.entries()) {
    // A host that refuses a packet is reached all the same. Some do it from another of their addresses, but no router on the way has that.
    const isEnd = said === 'reply' || (said !== 'expired' && from === destination) || (said === 'port' && !routers.has(from))
    if (isEnd) return { kind: 'reached', hops: ttl, exact: exact(index) }
  }
  for (const { from: by, said, says } of answers) {
    if (said === 'expired' || said === 'reply') continue
    const first = answers.findIndex(({ from }) => from === by)
    return { kind: said === 'unreachable' ? said : 'rejected', by, ttl: answers[first]?.ttl ?? 0, exact: exact(first), says }
  }
  const loop = loopOf(hops.map(({ address }) => address))
  if (loop) return { kind: 'loop', between: loop.between }
  const last = answers.at(-1)
  if (last?.ttl === hops.length) return { kind: 'too_long' }
  return { kind: 'silent', after: last && { ttl: last.ttl, address: last.from } }
}

/** The routers between which packets go round, given who answered at each distance, and the distance at which that was sure. */
export function loopOf(addresses: readonly (string | undefined)[]): { readonly between: readonly string[], readonly seenAt: number } | undefined {
  const seen = new Map<string, { readonly at: number, readonly returns: number }>()
  for (const [at, address] of addresses.entries()) {
    if (address === undefined) continue
    const before = seen.get(address)
    const between = addresses.slice(before?.at ?? at, at).filter((other) => other !== undefined)
    const returns = (before?.returns ?? 0) + Number(between.some((other) => other !== address))
    if (returns >= RETURNS) return { between: [...new Set(between)], seenAt: at + 1 }
    seen.set(address, { at, returns })
  }
  return undefined
}

/** A hash of the addresses of the hops, so that a route which changes changes a number. A hop that does not answer counts as one of its own. */
export function pathHash(hops: readonly Hop[]): number {
  return fnv1a(hops.map(({ address }) => address ?? '*').join(' '))
}
