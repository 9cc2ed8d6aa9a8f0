import { randomInt } from 'node:crypto'
import { ProbeFailure } from '../../core/probe.ts'
import type { Echoer } from './icmp-echo.ts'
import { CLOCK_STEP_NS, createRun, expire, isDue, isOver, isQuoteOf, isReplyTo, roundTrip, type Packet, type Run } from './icmp-run.ts'
import type { EchoListener, EchoSocket } from './icmp-socket.ts'

/** How often what is due is sent and what has arrived is read: the kernel has stamped it, so it may lie for a while. */
const TICK_MS = 10
/** Numbers that may be in use at a time, of 65,536: a late reply should find a number that nobody has. */
const MOST_AWAITED = 49_152
/** So many requests leave before what came back is read in between: the kernel's buffer holds hundreds. */
const BURST = 64

/**
 * All echo requests of one socket: sends them when they are due and finds out what a packet that arrives belongs to, by its
 * number and by the random bytes that its payload begins with. A payload of less than 8 bytes holds as many of them as fit,
 * and the address that answers must then be the one that was asked. Throws what `open` throws.
 */
export function createLane(open: (listener: EchoListener) => EchoSocket): Echoer {
  const runs = new Set<Run>()
  const packets = new Map<number, Packet>()
  let sequence = randomInt(0x10000)
  let immediate: NodeJS.Immediate | undefined
  let timer: NodeJS.Timeout | undefined
  let clockGap = 0
  let proven = false
  let dropped = 0
  let droppedAt = -Infinity

  const socket = open({
    reply(number, bytes, offset, length, from, ttl, arrived) {
      const packet = packets.get(number)
      if (!packet || !isReplyTo(packet, bytes, offset, length, from)) return
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
      if (!packet || packet.state !== 'awaited' || !isQuoteOf(packet, bytes, offset, length)) return
      packet.state = 'refused'
      packet.run.awaited--
      packet.run.refusal = refusal
    },
  })

  /** Reads what had arrived by the time that it gives back, of `performance.now()`. */
  const receive = (): number => {
    const began = performance.now()
    const measure = () => socket.realtimeNs() - performance.now() * 1e6
    const gap = measure()
    // Measured once more when it has moved: something may have come between the two clocks.
    clockGap = Math.abs(gap - clockGap) > CLOCK_STEP_NS ? measure() : gap
    socket.receive()
    return began
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
    run.awaited++
    const done = attempt(socket, packet)
    if (done === true) {
      run.packets.push(packet)
      // It could leave later, so that nothing kept it from being answered.
      if (run.unsent && isPassing(run.unsent)) run.unsent = undefined
    } else {
      packets.delete(sequence)
      // A firewall of ours that rejects a packet has done so before the send returns.
      if (packet.state === 'awaited') run.awaited--
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
    // Judged by the time of the last look: what came after it, when the process was held up in between, lies there unread.
    let now = receive()

    const began = performance.now()
    let burst = 0
    let full = false
    for (const run of runs) {
      if (!full && isDue(run, began)) {
        full = !send(run)
        if (++burst % BURST === 0) receive()
      }
    }
    if (burst > 0) now = receive()

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
    if (answered.length < run.packets.length && !run.request.stopped?.()) {
      const before = dropped
      dropped = socket.dropped()
      if (dropped > before) droppedAt = now
    }
    const overflowed = droppedAt >= run.startedAt
    // Silence proves nothing where replies were thrown away, or where a queue of ours had room for the packet only at the end.
    const isSilence = ({ sentMs }: Packet) => !overflowed && now - sentMs >= run.waitMs / 2
    const sent = run.packets.filter((packet) => packet.state === 'answered' || packet.state === 'refused' || isSilence(packet)).length
    run.resolve({
      sent, rtts: answered.map(({ rtt }) => rtt), duplicates: run.duplicates, replyTtl: run.replyTtl, refusal: run.refusal, unsent: run.unsent,
      overflowed, proven,
    })
  }

  return {
    ping: (request) => new Promise((resolve) => {
      runs.add(createRun(request, resolve))
      immediate ??= setImmediate(tick)
    }),
    proven: () => proven,
    idle: () => runs.size === 0,
    close() {
      clearImmediate(immediate)
      clearTimeout(timer)
      socket.close()
    },
  }
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
