import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Echoer, EchoRequest } from '../../../src/probes/lib/icmp-echo.ts'
import { createLane } from '../../../src/probes/lib/icmp-lane.ts'
import type { Echo, EchoListener, EchoSocket } from '../../../src/probes/lib/icmp-socket.ts'
import { encodeAddress } from '../../../src/probes/lib/libc-message.ts'

/** What comes back for an echo request: after so many ms, unless said with its own number and payload, from the host that was asked. */
interface Answer {
  readonly afterMs: number
  readonly sequence?: number
  readonly payload?: Buffer
  readonly from?: string
  readonly says?: string
}

/** A network in memory: `answer` says what comes of each packet, in the order of their sending; an Error is the kernel's refusal. */
function fakeLane(answer: (echo: Echo, index: number) => readonly Answer[] | Error | 'later') {
  const arrivals: { readonly at: number, readonly deliver: () => void }[] = []
  const sent: Echo[] = []
  let clockStepNs = 0
  let dropped = 0
  let looked = () => {}
  let listener: EchoListener
  const realtimeNs = () => performance.now() * 1e6 + clockStepNs
  const socket: EchoSocket = {
    realtimeNs,
    dropped: () => dropped,
    close() {},
    send(echo) {
      echo.sentAt = realtimeNs()
      const answers = answer(echo, sent.length)
      if (answers === 'later') return false
      if (answers instanceof Error) throw answers
      sent.push(echo)
      const began = performance.now()
      for (const { afterMs, sequence = echo.sequence, payload = echo.cookie.subarray(0, echo.payloadSize), from, says } of answers) {
        const bytes = Buffer.concat([Buffer.from('head'), payload])
        arrivals.push({
          at: began + afterMs,
          deliver() {
            if (says !== undefined) listener.refusal(sequence, bytes, 4, payload.length, { from: '10.0.0.9', kind: 'unreachable', says })
            // The kernel stamps with the clock that it has by then.
            else listener.reply(sequence, bytes, 4, payload.length, from === undefined ? echo.to : encodeAddress(from), 61, (began + afterMs) * 1e6 + clockStepNs)
          },
        })
      }
      return true
    },
    receive() {
      const due = arrivals.filter(({ at }) => at <= performance.now())
      for (const arrival of due) arrivals.splice(arrivals.indexOf(arrival), 1)
      for (const { deliver } of due) deliver()
      looked()
    },
  }
  const lane = createLane((given) => { listener = given; return socket })
  lanes.push(lane)
  return {
    lane, sent,
    stepClock(ms: number) { clockStepNs += ms * 1e6 },
    drop() { dropped++ },
    /** An ICMP error about a packet comes at once. */
    refuse({ sequence, cookie }: Echo) { listener.refusal(sequence, cookie, 0, cookie.length, { from: '10.0.0.9', kind: 'rejected', says: 'port unreachable' }) },
    /** Called after each look at what has arrived. */
    onLook(call: () => void) { looked = call },
  }
}

const lanes: Echoer[] = []
/** For how long the process has been held up so far: time that passes at once. */
let heldUpMs = 0

// Time passes only here, so that a busy machine changes nothing.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'] })
  heldUpMs = 0
  const now = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => now() + heldUpMs)
})
afterEach(() => {
  for (const lane of lanes.splice(0)) lane.close()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** What comes of it, after as much time as it takes. */
async function outcomeOf<T>(running: Promise<T>): Promise<T> {
  let over = false
  const settled = () => { over = true }
  running.then(settled, settled)
  while (!over) await vi.advanceTimersToNextTimerAsync()
  return running
}

function ping(fake: { readonly lane: Echoer }, request: Partial<EchoRequest> & { readonly withinMs?: number } = {}) {
  return outcomeOf(start(fake, request))
}

function start({ lane }: { readonly lane: Echoer }, request: Partial<EchoRequest> & { readonly withinMs?: number } = {}) {
  const { withinMs = 2_000, ...own } = request
  return lane.ping({
    address: { ip: '10.0.0.1', family: 4 }, count: 3, intervalMs: 10, timeoutMs: 100, payloadSize: 56, dontFragment: false, ttl: 64,
    endAt: performance.now() + withinMs, ...own,
  })
}

describe('echo requests of one socket', () => {
  it('are told apart, and timed by the stamps alone', async () => {
    const fake = fakeLane((_echo, index) => [{ afterMs: index + 1 }])
    const outcome = await ping(fake)
    expect(outcome).toMatchObject({ sent: 3, duplicates: 0, replyTtl: 61, refusal: undefined, unsent: undefined, overflowed: false, proven: true })
    expect(outcome.rtts).toEqual([expect.closeTo(1), expect.closeTo(2), expect.closeTo(3)])
    expect(new Set(fake.sent.map(({ sequence }) => sequence)).size).toBe(3)
    expect(fake.lane.idle()).toBe(true)
  })

  it('count as lost without a reply, and silence alone proves nothing', async () => {
    expect(await ping(fakeLane((_echo, index) => (index === 1 ? [] : [{ afterMs: 1 }])))).toMatchObject({ sent: 3, rtts: [expect.any(Number), expect.any(Number)], proven: true })
    expect(await ping(fakeLane(() => []))).toMatchObject({ sent: 3, rtts: [], proven: false })
  })

  it('count as lost when the reply is late, though it comes before the run ends', async () => {
    const outcome = await ping(fakeLane((_echo, index) => [{ afterMs: index === 0 ? 60 : 1 }]), { timeoutMs: 50, intervalMs: 60 })
    expect(outcome).toMatchObject({ sent: 3, duplicates: 0 })
    expect(outcome.rtts).toHaveLength(2)
  })

  it('are answered in time when the stamp says so, however late that is read', async () => {
    const fake = fakeLane(() => [{ afterMs: 5 }])
    const running = start(fake, { count: 1, timeoutMs: 30 })
    setTimeout(() => { heldUpMs += 80 }, 1)
    expect((await outcomeOf(running)).rtts).toEqual([expect.closeTo(5)])
  })

  it('have duplicates counted, and those alone', async () => {
    const fake = fakeLane((echo) => [
      { afterMs: 1 }, { afterMs: 2 }, { afterMs: 3 },
      { afterMs: 1, sequence: (echo.sequence + 1_000) & 0xffff },
      { afterMs: 1, payload: Buffer.alloc(8, 'x') },
    ])
    expect(await ping(fake)).toMatchObject({ sent: 3, duplicates: 6, rtts: [expect.any(Number), expect.any(Number), expect.any(Number)] })
  })

  it('are not answered by what belongs to another packet', async () => {
    let first: Echo | undefined
    const fake = fakeLane((echo, index) => {
      first ??= echo
      // The payload of an earlier run, under the number of this one.
      return index === 0 ? [] : [{ afterMs: 1, payload: Buffer.from(first.cookie) }]
    })
    await ping(fake, { count: 1, timeoutMs: 20 })
    expect(await ping(fake, { count: 1, timeoutMs: 20 })).toMatchObject({ sent: 1, rtts: [], duplicates: 0 })
  })

  it.each([0, 3])('with %i bytes of data are answered by the host that was asked alone', async (payloadSize) => {
    expect(await ping(fakeLane(() => [{ afterMs: 1, from: '10.0.0.2' }]), { payloadSize })).toMatchObject({ rtts: [] })
    expect((await ping(fakeLane(() => [{ afterMs: 1, from: '10.0.0.1' }]), { payloadSize })).rtts).toHaveLength(3)
    expect(await ping(fakeLane(() => [{ afterMs: 1, from: '10.0.0.2', payload: Buffer.alloc(0) }]), { payloadSize: 8 })).toMatchObject({ rtts: [] })
    // With a whole cookie a host may answer from another of its addresses.
    expect((await ping(fakeLane(() => [{ afterMs: 1, from: '10.0.0.2' }]), { payloadSize: 8 })).rtts).toHaveLength(3)
  })

  it('are not waited for once an error has come back', async () => {
    const began = performance.now()
    const outcome = await ping(fakeLane(() => [{ afterMs: 1, says: 'host unreachable', payload: Buffer.alloc(0) }]), { timeoutMs: 1_500 })
    expect(outcome).toMatchObject({ sent: 3, rtts: [], refusal: { from: '10.0.0.9', says: 'host unreachable' } })
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  it('that the kernel refuses are not sent, and the next ones are tried', async () => {
    const refused = Object.assign(new Error('sendmmsg: message too long (EMSGSIZE)'), { code: 'EMSGSIZE' })
    expect(await ping(fakeLane(() => refused))).toMatchObject({ sent: 0, rtts: [], unsent: refused })
    let calls = 0
    expect(await ping(fakeLane(() => (++calls === 2 ? refused : [{ afterMs: 1 }])))).toMatchObject({ sent: 2, rtts: [expect.any(Number), expect.any(Number)], unsent: refused })
  })

  it.each(['later', Object.assign(new Error('sendmmsg: no buffer space (ENOBUFS)'), { code: 'ENOBUFS' })] as const)('wait where a queue is full: %s', async (full) => {
    let calls = 0
    const outcome = await ping(fakeLane(() => (++calls <= 3 ? full : [{ afterMs: 1 }])))
    // Nor is it an excuse for a target that is silent afterwards.
    expect(outcome).toMatchObject({ sent: 3, unsent: undefined })
    expect(outcome.rtts).toHaveLength(3)
  })

  it('are rejected by our own firewall before the send returns, and not waited for', async () => {
    const denied = Object.assign(new Error('sendmmsg: operation not permitted (EPERM)'), { code: 'EPERM' })
    const began = performance.now()
    const fake = fakeLane((echo) => { fake.refuse(echo); return denied })
    expect(await ping(fake, { withinMs: 5_000 })).toMatchObject({ sent: 0, rtts: [], unsent: denied })
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('prove nothing when a queue had room for them only at the end', async () => {
    const began = performance.now()
    const outcome = await ping(fakeLane(() => (performance.now() - began < 170 ? 'later' : [])), { count: 1, withinMs: 200 })
    expect(outcome).toMatchObject({ sent: 0, rtts: [] })
  })

  it('are answered in time by what lies unread because the process was held up', async () => {
    let looks = 0
    const fake = fakeLane(() => [{ afterMs: 5 }])
    fake.onLook(() => { if (++looks === 2) heldUpMs += 500 })
    expect((await ping(fake, { count: 1, timeoutMs: 100 })).rtts).toEqual([expect.closeTo(5)])
  })

  it('are sent only as long as their replies can be waited for', async () => {
    const began = performance.now()
    const outcome = await ping(fakeLane(() => []), { count: 100, intervalMs: 20, timeoutMs: 100, withinMs: 200 })
    expect(outcome.sent).toBeGreaterThan(2)
    expect(outcome.sent).toBeLessThan(8)
    expect(performance.now() - began).toBeLessThan(1_000)
    // A single packet has all the time there is.
    expect((await ping(fakeLane(() => [{ afterMs: 80 }]), { count: 1, timeoutMs: 1_000, withinMs: 120 })).rtts).toHaveLength(1)
  })

  it.each([-3_600_000, -50, 50, 3_600_000])('are timed without the wall clock when it is set by %i ms meanwhile', async (step) => {
    const fake = fakeLane(() => [{ afterMs: 40 }])
    const running = start(fake, { count: 1 })
    setTimeout(() => fake.stepClock(step), 15)
    const [rtt] = (await outcomeOf(running)).rtts
    expect(rtt).toBeGreaterThanOrEqual(40)
    expect(rtt).toBeLessThan(60)
  })

  it('prove nothing by their loss when this machine has thrown packets away', async () => {
    const fake = fakeLane(() => [])
    fake.drop()
    expect(await ping(fake, { timeoutMs: 20 })).toMatchObject({ sent: 0, overflowed: true })
    await vi.advanceTimersByTimeAsync(1)
    expect(await ping(fake, { timeoutMs: 20 })).toMatchObject({ sent: 3, overflowed: false })
    const partly = fakeLane((_echo, index) => (index === 1 ? [] : [{ afterMs: 1 }]))
    partly.drop()
    expect(await ping(partly, { timeoutMs: 20 })).toMatchObject({ sent: 2, rtts: [expect.any(Number), expect.any(Number)], overflowed: true })
  })

  it('are forgotten when their run is stopped', async () => {
    let stopped = false
    const fake = fakeLane(() => [])
    const running = start(fake, { timeoutMs: 1_500, stopped: () => stopped })
    setTimeout(() => { stopped = true }, 30)
    const began = performance.now()
    expect(await outcomeOf(running)).toMatchObject({ rtts: [], overflowed: false })
    expect(performance.now() - began).toBeLessThan(1_000)
    expect(fake.lane.idle()).toBe(true)
  })

  it('are refused when nearly all numbers are in use, and go on when they are free again', async () => {
    const fake = fakeLane((echo) => (echo.ttl === 1 ? [] : [{ afterMs: 1 }]))
    const many = Array.from({ length: 49_152 }, () => start(fake, { count: 1, ttl: 1, timeoutMs: 400 }))
    expect(await ping(fake, { count: 1, timeoutMs: 100, withinMs: 200 })).toMatchObject({ sent: 0, unsent: { code: 'ping_too_many' } })
    const outcomes = await outcomeOf(Promise.all(many))
    expect(outcomes.filter(({ sent }) => sent === 1)).toHaveLength(49_152)
    expect(await ping(fake, { count: 1 })).toMatchObject({ sent: 1, rtts: [expect.any(Number)] })
  })
})
