import { randomFillSync } from 'node:crypto'
import type { EchoOutcome, EchoRequest, Refusal } from './icmp-echo.ts'
import type { Echo } from './icmp-socket.ts'
import { encodeAddress } from './libc-message.ts'

/** How far the wall clock may move against the monotonic one before its stamps are not believed. */
export const CLOCK_STEP_NS = 2e6
const COOKIE = 8

/** The echo requests of one run to one address. */
export interface Run {
  readonly request: EchoRequest
  readonly to: Buffer
  /** What the payload of each of its packets begins with. */
  readonly cookie: Buffer
  readonly startedAt: number
  /** How long each packet is waited for. */
  readonly waitMs: number
  /** Until when a packet may leave and still be waited for as long; the first one always does. */
  readonly lastSendAt: number
  /** What was sent. */
  readonly packets: Packet[]
  /** Attempts so far, with those that the kernel refused. */
  tried: number
  nextAt: number
  /** All packets before this one are settled. */
  oldest: number
  awaited: number
  duplicates: number
  replyTtl: number | undefined
  refusal: Refusal | undefined
  unsent: Error | undefined
  readonly resolve: (outcome: EchoOutcome) => void
}

export interface Packet extends Echo {
  readonly run: Run
  /** `performance.now()` when it was sent. */
  readonly sentMs: number
  /** Wall clock minus monotonic clock at that time, ns. */
  readonly clockGap: number
  state: 'awaited' | 'answered' | 'refused' | 'lost'
  rtt: number
}

export function createRun(request: EchoRequest, resolve: (outcome: EchoOutcome) => void): Run {
  const now = performance.now()
  const budget = Math.max(0, request.endAt - now)
  // Where there is no time for all packets and their replies, at least half of it is for waiting.
  const waitMs = Math.min(request.timeoutMs, Math.max(budget / 2, budget - (request.count - 1) * request.intervalMs))
  return {
    request, to: encodeAddress(request.address.ip), cookie: nextCookie(), startedAt: now, waitMs, lastSendAt: request.endAt - waitMs,
    packets: [], tried: 0, nextAt: now, oldest: 0, awaited: 0, duplicates: 0, replyTtl: undefined, refusal: undefined, unsent: undefined, resolve,
  }
}

export function isDue({ request, tried, nextAt, lastSendAt }: Run, now: number): boolean {
  return now >= nextAt && tried < request.count && (tried === 0 || now <= lastSendAt) && !request.stopped?.()
}

export function isOver({ request, tried, awaited, nextAt, lastSendAt }: Run, now: number): boolean {
  if (now >= request.endAt || request.stopped?.()) return true
  return awaited === 0 && tried > 0 && (tried >= request.count || Math.max(now, nextAt) > lastSendAt)
}

/** Gives up the packets that have been waited for long enough. */
export function expire(run: Run, now: number): void {
  for (let packet = run.packets[run.oldest]; packet; packet = run.packets[++run.oldest]) {
    if (packet.state !== 'awaited') continue
    if (now - packet.sentMs <= run.waitMs) return
    packet.state = 'lost'
    run.awaited--
  }
}

/** Milliseconds from the send to the arrival; when the wall clock was set in between, until now. */
export function roundTrip({ sentAt, sentMs, clockGap }: Packet, arrived: number | undefined, gapNow: number): number {
  const rtt = arrived === undefined ? -1 : (arrived - sentAt) / 1e6
  return rtt >= 0 && Math.abs(gapNow - clockGap) <= CLOCK_STEP_NS ? rtt : performance.now() - sentMs
}

/** Whether a payload begins with the packet's cookie, as far as it fits; and without a whole one, whether it is from the host that was asked. */
export function isReplyTo(packet: Packet, bytes: Buffer, offset: number, length: number, from: Buffer): boolean {
  const { to, payloadSize } = packet
  if (length < Math.min(COOKIE, payloadSize) || !isQuoteOf(packet, bytes, offset, length)) return false
  return payloadSize >= COOKIE || (to.length === 16 ? same(to, 4, from, 4, 4) : same(to, 8, from, 8, 16))
}

/** Whether a payload begins with the packet's cookie, as far as both go. */
export function isQuoteOf({ cookie, payloadSize }: Packet, bytes: Buffer, offset: number, length: number): boolean {
  return same(cookie, 0, bytes, offset, Math.min(COOKIE, payloadSize, length))
}

/** For so few bytes Buffer's own methods take longer than the rest of a packet's handling. */
function same(one: Buffer, at: number, other: Buffer, offset: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (one[at + index] !== other[offset + index]) return false
  return true
}

/** Random bytes for the cookies to come: to ask for eight at a time costs more than to send a packet. */
const randomness = Buffer.alloc(512 * COOKIE)
let unusedAt = randomness.length

function nextCookie(): Buffer {
  if (unusedAt === randomness.length) {
    randomFillSync(randomness)
    unusedAt = 0
  }
  unusedAt += COOKIE
  return Buffer.from(randomness.subarray(unusedAt - COOKIE, unusedAt))
}
