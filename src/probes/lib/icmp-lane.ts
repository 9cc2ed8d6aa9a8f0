import { randomBytes, randomFillSync } from 'node:crypto'
import { ProbeFailure } from '../../core/probe.ts'
import type { Echoer, EchoOutcome, EchoRequest, Refusal } from './icmp-echo.ts'
import type { Echo, EchoListener, EchoSocket } from './icmp-socket.ts'
import { encodeAddress } from './libc-message.ts'

/** How often what is due is sent and what has arrived is read: the kernel has stamped it, so it may lie for a while. */
const TICK_MS = 10
/** Numbers that may be in use at a time, of 65,536: a late reply should find a number that nobody has. */
const MOST_AWAITED = 49_152
/** So many requests leave before what came back is read in between: the kernel's buffer holds hundreds. */
const BURST = 64
/** How far the wall clock may move against the monotonic one before its stamps are not believed. */
const CLOCK_STEP_NS = 2e6
const COOKIE = 8

/** Random bytes for the cookies to come: to ask for eight at a time costs more than to send a packet. */
const randomness = Buffer.alloc(512 * COOKIE)
let unusedAt = randomness.length

interface Packet extends Echo {
  readonly run: Run
  /** `performance.now()` when it was sent. */
  readonly sentMs: number
  /** Wall clock minus monotonic clock at that time, ns. */
  readonly clockGap: number
  state: 'awaited' | 'answered' | 'refused' | 'lost'
  rtt: number
}

interface Run {
  readonly request: EchoRequest
  readonly to: Buffer
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

/**
 * All echo requests of one socket: sends them when they are due and finds out what a packet that arrives belongs to, by its
 * number and by the random bytes that its payload begins with. A payload of less than 8 bytes holds as many of them as fit,
 * and the address that answers must then be the one that was asked. Throws what `open` throws.
 */
export function createLane(open: (listener: EchoListener) => EchoSocket): Echoer {
  const runs = new Set<Run>()
  const packets = new Map<number, Packet>()
  let sequence = randomBytes(2).readUInt16BE()
  let immediate: NodeJS.Immediate | undefined
  let timer: NodeJS.Timeout | undefined
  let clockGap = 0
  let proven = false
  let dropped = 0
  let droppedAt = -Infinity

  const socket = open({
    reply(number, bytes, offset, length, from, ttl, arrived) {
      const packet = packets.get(number)
      if (!packet || !isOurs(packet, bytes, offset, length) || (packet.payloadSize < COOKIE && !isFrom(packet, from))) return
      proven = true
      const { run } = packet
      if (packet.state === 'answered') {
        run.duplicates++
        return
      }
      const rtt = roundTrip(packet, arrived, clockGap)
      if (rtt > run.waitMs) return
      if (packet.state === 'awaited') run.awaited--
      packet.state = 'answered'
      packet.rtt = rtt
      run.replyTtl = ttl
    },
    refusal(number, bytes, offset, length, refusal) {
      const packet = packets.get(number)
      if (!packet || packet.state !== 'awaited' || !isOurs(packet, bytes, offset, length)) return
      packet.state = 'refused'
      packet.run.awaited--
      packet.run.refusal = refusal
    },
  })

  const receive = () => {
    const measure = () => socket.realtimeNs() - performance.now() * 1e6
    const gap = measure()
    // Measured once more when it has moved: something may have come between the two clocks.
    clockGap = Math.abs(gap - clockGap) > CLOCK_STEP_NS ? measure() : gap
    socket.receive()
  }

  /** Sends the next packet of a run; false when the socket takes no more now. */
  const send = (run: Run): boolean => {
    if (packets.size >= MOST_AWAITED) {
      run.unsent = new ProbeFailure('ping_too_many', `${packets.size} echo requests are on their way already`)
      return false
    }
    do sequence = (sequence + 1) & 0xffff
    while (packets.has(sequence))
    const { request: { ttl, payloadSize }, to, cookie } = run
    const packet: Packet = { to, ttl, payloadSize, cookie, sequence, sentAt: 0, run, sentMs: performance.now(), clockGap, state: 'awaited', rtt: 0 }
    packets.set(sequence, packet)
    const done = attempt(socket, packet)
    if (done === true) {
      run.packets.push(packet)
      run.awaited++
    } else {
      packets.delete(sequence)
      if (done === false) return false
      run.unsent = done
      if (isPassing(done)) return false
    }
    run.tried++
    run.nextAt = Math.max(run.nextAt + run.request.intervalMs, packet.sentMs + run.request.intervalMs / 2)
    return true
  }

  const tick = () => {
    clearImmediate(immediate)
    clearTimeout(timer)
    immediate = timer = undefined
    receive()

    const began = performance.now()
    let burst = 0
    let full = false
    for (const run of runs) {
      if (!full && isDue(run, began)) {
        full = !send(run)
        if (++burst % BURST === 0) receive()
      }
    }
    if (burst > 0) receive()

    const now = performance.now()
    let wakeAt = full ? now : Infinity
    for (const run of runs) {
      expire(run, now)
      if (isOver(run, now)) finish(run, now)
      else wakeAt = Math.min(wakeAt, run.awaited > 0 ? now : run.nextAt)
    }
    // Never sooner: what is due by then goes out together.
    if (runs.size > 0) timer = setTimeout(tick, Math.max(TICK_MS, wakeAt - now)).unref()
  }

  const finish = (run: Run, now: number) => {
    runs.delete(run)
    for (const packet of run.packets) packets.delete(packet.sequence)
    const answered = run.packets.filter(({ state }) => state === 'answered')
    if (answered.length < run.packets.length && !run.request.signal.aborted) {
      const before = dropped
      dropped = socket.dropped()
      if (dropped > before) droppedAt = now
    }
    run.resolve({
      sent: run.packets.length, rtts: answered.map(({ rtt }) => rtt), duplicates: run.duplicates, replyTtl: run.replyTtl, refusal: run.refusal, unsent: run.unsent,
      overflowed: droppedAt >= run.startedAt, proven,
    })
  }

  return {
    ping: (request) => new Promise((resolve) => {
      const now = performance.now()
      const budget = Math.max(0, request.endAt - now)
      // Where the run is too short for all packets and their replies, at least half of it is for waiting.
      const waitMs = Math.min(request.timeoutMs, Math.max(budget / 2, budget - (request.count - 1) * request.intervalMs))
      runs.add({
        request, to: encodeAddress(request.address.ip), cookie: nextCookie(), startedAt: now, waitMs, lastSendAt: request.endAt - waitMs,
        packets: [], tried: 0, nextAt: now, oldest: 0, awaited: 0, duplicates: 0, replyTtl: undefined, refusal: undefined, unsent: undefined, resolve,
      })
      immediate ??= setImmediate(tick)
    }),
    idle: () => runs.size === 0,
    close() {
      clearImmediate(immediate)
      clearTimeout(timer)
      socket.close()
    },
  }
}

function nextCookie(): Buffer {
  if (unusedAt === randomness.length) {
    randomFillSync(randomness)
    unusedAt = 0
  }
  unusedAt += COOKIE
  return Buffer.from(randomness.subarray(unusedAt - COOKIE, unusedAt))
}

/** Whether it was sent; false for later, or why not. */
function attempt(socket: EchoSocket, packet: Packet): boolean | Error {
  try {
    return socket.send(packet)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** A queue of this machine is full: the packet may leave later. */
function isPassing(error: Error): boolean {
  return 'code' in error && (error.code === 'ENOBUFS' || error.code === 'ENOMEM')
}

function isDue({ request, tried, nextAt, lastSendAt }: Run, now: number): boolean {
  return now >= nextAt && tried < request.count && (tried === 0 || now <= lastSendAt) && !request.signal.aborted
}

function expire(run: Run, now: number): void {
  for (let packet = run.packets[run.oldest]; packet; packet = run.packets[++run.oldest]) {
    if (packet.state !== 'awaited') continue
    if (now - packet.sentMs <= run.waitMs) return
    packet.state = 'lost'
    run.awaited--
  }
}

function isOver({ request, tried, awaited, nextAt, lastSendAt }: Run, now: number): boolean {
  if (request.signal.aborted || now >= request.endAt) return true
  return awaited === 0 && tried > 0 && (tried >= request.count || Math.max(now, nextAt) > lastSendAt)
}

/** Milliseconds from the send to the arrival; when the wall clock was set in between, until now. */
function roundTrip({ sentAt, sentMs, clockGap }: Packet, arrived: number | undefined, gapNow: number): number {
  const rtt = arrived === undefined ? -1 : (arrived - sentAt) / 1e6
  return rtt >= 0 && Math.abs(gapNow - clockGap) <= CLOCK_STEP_NS ? rtt : performance.now() - sentMs
}

/** Whether the bytes begin with the packet's cookie, as far as both go. */
function isOurs({ cookie, payloadSize }: Packet, bytes: Buffer, offset: number, length: number): boolean {
  return same(cookie, 0, bytes, offset, Math.min(COOKIE, payloadSize, length))
}

/** Whether two sockaddr hold the same address. */
function isFrom({ to }: Packet, from: Buffer): boolean {
  return to.length === 16 ? same(to, 4, from, 4, 4) : same(to, 8, from, 8, 16)
}

/** For so few bytes Buffer's own methods take longer than the rest of a packet's handling. */
function same(one: Buffer, at: number, other: Buffer, offset: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (one[at + index] !== other[offset + index]) return false
  return true
}
