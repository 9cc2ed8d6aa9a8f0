import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IP_RECVERR, IPV6_RECVERR, SOL_IP, SOL_IPV6 } from '../../../src/probes/lib/libc-constants.ts'
import { encodeAddress } from '../../../src/probes/lib/libc-message.ts'
import { createRouteMemory } from '../../../src/probes/lib/traceroute-memory.ts'
import { checksum, echoPackets, errorIn, udpPackets, type Message } from '../../../src/probes/lib/traceroute-packets.ts'
import { createBoard, loopOf, LONGEST_TRACE, pathHash, type Answer, type Hop, type Plan, type Route, type RouteEnd } from '../../../src/probes/lib/traceroute-route.ts'
import { routeLines } from '../../../src/probes/lib/traceroute-text.ts'
import { openTrace, traceRoute, type TraceOptions } from '../../../src/probes/lib/traceroute.ts'

const DESTINATION = '192.0.2.99'
const LOCAL = { ip: '127.0.0.1', family: 4 } as const

const router = (number: number) => `10.0.0.${number}`
const expired = (from: string, rttMs = 1): Answer => ({ from, rttMs, said: 'expired', says: 'TTL exceeded in transit' })
const refused = (from: string, said: 'port' | 'unreachable' | 'rejected'): Answer => ({ from, rttMs: 1, said, says: `${said}, it says` })
const reply: Answer = { from: DESTINATION, rttMs: 1, said: 'reply', says: 'reply' }

/** A network: what comes back for the nth packet with this TTL, counted from 0, and how many ms later. */
type Network = (ttl: number, nth: number, at: number) => (Answer & { readonly afterMs?: number }) | undefined

/** Routers 10.0.0.1, 10.0.0.2 and so on, and the destination at `length`. */
const straight = (length: number, end: Answer = refused(DESTINATION, 'port')): Network => (ttl) => (ttl < length ? expired(router(ttl)) : end)

/** Runs a trace against a network of the mind, with a clock of its own. */
function simulate(network: Network, plan: Partial<Plan> = {}) {
  const full: Plan = { maxHops: 30, queries: 1, hopTimeoutMs: 1_000, ...plan }
  const board = createBoard(DESTINATION, full)
  const sent: number[] = []
  const due: { at: number, number: number, answer: Answer }[] = []
  let now = 0
  for (; now < 10 * full.hopTimeoutMs; now += 5) {
    for (let packet = board.next(now); packet; packet = board.next(now)) {
      const { ttl, number } = packet
      const answer = network(ttl, sent.filter((one) => one === ttl).length, now)
      sent.push(ttl)
      if (answer) due.push({ at: now + (answer.afterMs ?? answer.rttMs), number, answer })
    }
    for (const { number, answer } of due.filter(({ at }) => at > now - 5 && at <= now)) board.heard(number, answer)
    if (board.isDone(now)) break
  }
  const { hops, end } = board.result()
  return { hops, end, sent, ms: now, shown: hops.map(({ address }) => address ?? '*') }
}

describe('traceroute: the bookkeeping', () => {
  it('of a straight route is quick, and sends few packets too far', () => {
    const { shown, end, sent, ms } = simulate(straight(6))
    expect(end).toEqual({ kind: 'reached', hops: 6, exact: true })
    expect(shown).toEqual([1, 2, 3, 4, 5].map(router).concat(DESTINATION))
    expect(ms).toBeLessThan(50)
    expect(sent.filter((ttl) => ttl >= 6).length).toBeLessThanOrEqual(4)
  })

  it.each<[what: string, network: Network, plan: Partial<Plan>, end: RouteEnd, shown: string[]]>([
    ['a neighbour', straight(1), {}, { kind: 'reached', hops: 1, exact: true }, [DESTINATION]],
    ['a router that hides', (ttl) => (ttl === 2 ? undefined : straight(4)(ttl, 0, 0)), {}, { kind: 'reached', hops: 4, exact: true }, [router(1), '*', router(3), DESTINATION]],
    ['the last router hides', (ttl) => (ttl === 3 ? undefined : straight(4)(ttl, 0, 0)), {}, { kind: 'reached', hops: 4, exact: true }, [router(1), router(2), '*', DESTINATION]],
    ['one packet in a place is lost', (ttl, nth) => (nth === 0 && [2, 4].includes(ttl) ? undefined : straight(4)(ttl, nth, 0)), {}, { kind: 'reached', hops: 4, exact: true }, [router(1), router(2), router(3), DESTINATION]],
    ['a destination that refuses only once a second', (ttl, _nth, at) => (ttl < 4 ? expired(router(ttl)) : at >= 500 && at < 510 ? refused(DESTINATION, 'port') : undefined), {}, { kind: 'reached', hops: 20, exact: false }, [router(1), router(2), router(3), ...Array.from({ length: 16 }, () => '*'), DESTINATION]],
    ['a far destination behind many hidden routers that replies', (ttl) => (ttl < 9 ? undefined : reply), {}, { kind: 'reached', hops: 9, exact: true }, [...Array.from({ length: 8 }, () => '*'), DESTINATION]],
    ['answers out of order', (ttl) => ({ ...ttl < 6 ? expired(router(ttl)) : reply, afterMs: 300 - 40 * ttl }), {}, { kind: 'reached', hops: 6, exact: true }, [1, 2, 3, 4, 5].map(router).concat(DESTINATION)],
    ['a black hole', (ttl) => (ttl < 3 ? expired(router(ttl)) : undefined), {}, { kind: 'silent', after: { ttl: 2, address: router(2) } }, [router(1), router(2)]],
    ['nobody at all', () => undefined, {}, { kind: 'silent', after: undefined }, []],
    ['a router without a route', straight(3, refused(router(3), 'unreachable')), {}, { kind: 'unreachable', by: router(3), ttl: 3, exact: true, says: 'unreachable, it says' }, [router(1), router(2), router(3)]],
    ['a router that filters what it passes on', straight(3, refused(router(2), 'rejected')), {}, { kind: 'rejected', by: router(2), ttl: 2, exact: true, says: 'rejected, it says' }, [router(1), router(2), router(2)]],
    ['a router that rejects as a closed port', straight(3, refused(router(2), 'port')), {}, { kind: 'rejected', by: router(2), ttl: 2, exact: true, says: 'port, it says' }, [router(1), router(2), router(2)]],
    ['a host that answers from another of its addresses', straight(3, refused('203.0.113.5', 'port')), {}, { kind: 'reached', hops: 3, exact: true }, [router(1), router(2), '203.0.113.5']],
    ['a host whose own firewall rejects', straight(3, refused(DESTINATION, 'rejected')), {}, { kind: 'reached', hops: 3, exact: true }, [router(1), router(2), DESTINATION]],
    ['a loop of two', (ttl) => expired(router(ttl % 2)), {}, { kind: 'loop', between: [router(1), router(0)] }, [1, 0, 1, 0, 1].map(router)],
    ['a loop of three, one of which hides', (ttl) => (ttl % 3 === 0 ? undefined : expired(router(ttl % 3))), {}, { kind: 'loop', between: [router(1), router(2)] }, [router(1), router(2), '*', router(1), router(2), '*', router(1)]],
    ['a firewall that answers for all behind it', (ttl) => (ttl < 9 ? expired(router(Math.min(ttl, 3))) : reply), {}, { kind: 'reached', hops: 9, exact: true }, [1, 2, 3, 3, 3, 3, 3, 3].map(router).concat(DESTINATION)],
    ['a route that changes meanwhile', (ttl) => (ttl < 5 ? expired(router([1, 2, 3, 2][ttl - 1]!)) : reply), {}, { kind: 'reached', hops: 5, exact: true }, [1, 2, 3, 2].map(router).concat(DESTINATION)],
    ['a route longer than allowed', straight(9), { maxHops: 4 }, { kind: 'too_long' }, [1, 2, 3, 4].map(router)],
    ['a route as long as allowed', straight(4), { maxHops: 4 }, { kind: 'reached', hops: 4, exact: true }, [1, 2, 3].map(router).concat(DESTINATION)],
  ])('%s', (_what, network, plan, end, shown) => {
    const result = simulate(network, plan)
    expect(result.end).toEqual(end)
    expect(result.shown).toEqual(shown)
  })

  it('tells the fastest of several packets, and who else answers at the same distance', () => {
    const { hops, end } = simulate((ttl, nth) => (ttl < 3 ? expired(nth === 1 ? '10.9.9.9' : router(ttl), 30 - 10 * nth) : reply), { queries: 3 })
    expect(end).toMatchObject({ kind: 'reached', hops: 3 })
    expect(hops[0]).toEqual({ ttl: 1, address: router(1), rttMs: 10, others: ['10.9.9.9'], refusal: undefined })
  })

  it('takes little more than one timeout for a black hole', () => {
    const { ms, sent } = simulate((ttl) => (ttl < 3 ? expired(router(ttl)) : undefined))
    expect(ms).toBeLessThanOrEqual(2_050)
    expect(sent).toHaveLength(31)
  })

  it('ends in its time, with a bounded number of packets, whatever is answered', () => {
    const answer = fc.option(fc.record({
      from: fc.constantFrom(router(1), router(2), router(3), DESTINATION), rttMs: fc.integer({ min: 0, max: 2_000 }),
      said: fc.constantFrom<Answer['said']>('expired', 'expired', 'expired', 'reply', 'port', 'unreachable', 'rejected'), says: fc.constant('so'),
    }), { nil: undefined })
    fc.assert(fc.property(fc.array(answer, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 3 }), (answers, maxHops, queries) => {
      const { ms, sent, hops, end } = simulate((ttl, nth) => answers[(ttl * 7 + nth) % answers.length], { maxHops, queries, hopTimeoutMs: 400 })
      // A packet that waits for another is late by a look of this clock, and a few of 20,000 such networks need two rounds of 50 ms more.
      expect(ms).toBeLessThanOrEqual(400 * LONGEST_TRACE + 200)
      expect(sent.length).toBeLessThanOrEqual(maxHops * (queries + 1))
      expect(Math.max(...sent)).toBeLessThanOrEqual(maxHops)
      expect(hops.map(({ ttl }) => ttl)).toEqual(hops.map((_hop, index) => index + 1))
      if (end.kind === 'reached') expect(hops).toHaveLength(end.hops)
    }), { numRuns: 200 })
  })

  it.each<[(string | undefined)[], string[] | undefined]>([
    [['a', 'b', 'a', 'b', 'a'], ['a', 'b']],
    [['x', 'a', 'b', 'c', 'a', 'b', 'c', 'a'], ['a', 'b', 'c']],
    [['a', 'b', 'a', 'b'], undefined],
    [['a', 'a', 'a', 'a', 'a'], undefined],
    [['a', undefined, 'a', undefined, 'a'], undefined],
    [[undefined, 'a', 'b'], undefined],
    [[], undefined],
  ])('a loop among %j', (addresses, between) => {
    expect(loopOf(addresses)?.between).toEqual(between)
  })

  it('has a hash of its own, in which a silent hop counts', () => {
    const hop = (address: string | undefined) => ({ ttl: 1, address, rttMs: 1, others: [], refusal: undefined })
    expect(pathHash([hop('foobar')])).toBe(0xbf9cf968)
    expect(new Set([['a', 'b'], ['b', 'a'], ['a'], ['a', undefined, 'b']].map((route) => pathHash(route.map(hop))))).toHaveLength(4)
  })
})

describe('traceroute: a route as text', () => {
  const hop = (ttl: number, address: string | undefined, over: Partial<Hop> = {}): Hop => ({ ttl, address, rttMs: address === undefined ? undefined : 0.2, others: [], refusal: undefined, ...over })
  const lines = (hops: Hop[], end: RouteEnd) => routeLines({ destination: DESTINATION, protocol: 'udp', maxHops: 30, hops, end }).slice(1)

  it.each<[Hop[], RouteEnd, string[]]>([
    [[hop(1, router(1)), hop(2, undefined), hop(10, DESTINATION, { rttMs: 12.3456 })], { kind: 'reached', hops: 10, exact: true }, [' 1  10.0.0.1  0.200 ms', ' 2  *', '10  192.0.2.99  12.346 ms', 'reached in 10 hops']],
    [[hop(1, DESTINATION)], { kind: 'reached', hops: 1, exact: true }, [' 1  192.0.2.99  0.200 ms', 'reached in 1 hop']],
    [[hop(1, DESTINATION)], { kind: 'reached', hops: 7, exact: false }, [' 1  192.0.2.99  0.200 ms', 'reached in at most 7 hops']],
    [[hop(1, router(1), { others: [router(7), router(8)] })], { kind: 'silent', after: { ttl: 1, address: router(1) } }, [' 1  10.0.0.1  0.200 ms  also 10.0.0.7, 10.0.0.8', ' 2-30  *', 'silent after hop 1 (10.0.0.1)']],
    [[], { kind: 'silent', after: undefined }, [' 1-30  *', 'silent, not even the first hop answers']],
    [[hop(1, router(1), { refusal: 'host unreachable' })], { kind: 'unreachable', by: router(1), ttl: 1, exact: true, says: 'host unreachable' }, [' 1  10.0.0.1  0.200 ms  host unreachable', '10.0.0.1 (hop 1) says: host unreachable']],
    [[hop(1, router(1))], { kind: 'loop', between: [router(1), router(2)] }, [' 1  10.0.0.1  0.200 ms', 'routing loop: 10.0.0.1 -> 10.0.0.2 -> 10.0.0.1']],
    [[hop(1, router(1))], { kind: 'too_long' }, [' 1  10.0.0.1  0.200 ms', 'not reached within 30 hops, though routers answer up to the last']],
  ])('%j %j', (hops, end, expected) => {
    expect(lines(hops, end)).toEqual(expected)
  })
})

describe('traceroute: packets', () => {
  const message = (over: Partial<Message>): Message => ({ data: Buffer.alloc(0), name: Buffer.alloc(28), control: () => undefined, ...over })
  /** struct sock_extended_err as Linux lays it out, and who sent it. */
  const extended = (origin: number, type: number, code: number, from: string) => Buffer.concat([Buffer.from([113, 0, 0, 0, origin, type, code, 0, 0, 0, 0, 0, 0, 0, 0, 0]), encodeAddress(from)])
  const told = (family: 4 | 6, error: Buffer) => errorIn(message({
    control: (level, type) => ((family === 4 ? level === SOL_IP && type === IP_RECVERR : level === SOL_IPV6 && type === IPV6_RECVERR) ? error : undefined),
  }), family)

  it.each<[what: string, family: 4 | 6, type: number, code: number, said: Answer['said'] | undefined]>([
    ['time exceeded', 4, 11, 0, 'expired'], ['reassembly', 4, 11, 1, undefined], ['network', 4, 3, 0, 'unreachable'], ['host', 4, 3, 1, 'unreachable'],
    ['protocol', 4, 3, 2, 'rejected'], ['port', 4, 3, 3, 'port'], ['too big', 4, 3, 4, undefined], ['network prohibited', 4, 3, 9, 'rejected'],
    ['host prohibited', 4, 3, 10, 'rejected'], ['filtered', 4, 3, 13, 'rejected'], ['redirect', 4, 5, 1, undefined],
    ['time exceeded', 6, 3, 0, 'expired'], ['no route', 6, 1, 0, 'unreachable'], ['prohibited', 6, 1, 1, 'rejected'], ['address', 6, 1, 3, 'unreachable'],
    ['port', 6, 1, 4, 'port'], ['policy', 6, 1, 5, 'rejected'], ['rejected route', 6, 1, 6, 'rejected'], ['too big', 6, 2, 0, undefined],
  ])('what ICMP says: %s (IPv%s, type %s, code %s)', (_what, family, type, code, said) => {
    const from = family === 4 ? '10.9.1.1' : 'fd09:1::1'
    expect(told(family, extended(family === 4 ? 2 : 3, type, code, from))).toEqual(said === undefined ? undefined : { from, said, says: expect.any(String) })
  })

  it.each([
    ['an error of this machine', extended(1, 11, 0, '10.9.1.1')], ['ICMPv6 on an IPv4 socket', extended(3, 11, 0, '10.9.1.1')],
    ['half an error', extended(2, 11, 0, '10.9.1.1').subarray(0, 10)], ['no sender', extended(2, 11, 0, '10.9.1.1').subarray(0, 16)],
  ])('is not taken from %s', (_what, error) => {
    expect(told(4, error)).toBeUndefined()
    expect(errorIn(message({}), 4)).toBeUndefined()
  })

  it('UDP packets are told apart by their ports, and only the destination replies to them', () => {
    const packets = udpPackets('192.0.2.99')
    expect(packets.make(7).to).toEqual(encodeAddress('192.0.2.99', 33_441))
    expect(packets.numberOfSent(message({ name: packets.make(7).to }))).toBe(7)
    expect(packets.numberOfSent(message({ name: encodeAddress('192.0.2.99', 53) }))).toBeUndefined()
    expect(packets.numberOfReply(message({ name: encodeAddress('192.0.2.99', 33_434) }))).toBe(0)
    expect(packets.numberOfReply(message({ name: encodeAddress('192.0.2.1', 33_434) }))).toBeUndefined()
    expect(udpPackets('fd09:0:0::1').numberOfReply(message({ name: encodeAddress('fd09::1', 33_434) }))).toBe(0)
  })

  it.each([4, 6] as const)('echo requests of IPv%s have one checksum, whatever their number', (family) => {
    const packets = echoPackets(family === 4 ? '192.0.2.99' : '2001:db8::1', family, true)
    const all = Array.from({ length: 256 }, (_, number) => packets.make(number).bytes)
    for (const [number, data] of all.entries()) expect(packets.numberOfSent(message({ data }))).toBe(number)
    expect(new Set(all.map((bytes) => checksum(Buffer.concat([bytes.subarray(0, 2), Buffer.alloc(2), bytes.subarray(4)])))).size).toBe(1)
    // With its checksum in place a message sums up to nothing (RFC 1071).
    if (family === 4) expect(all.map(checksum)).toEqual(all.map(() => 0))
  })

  it('a raw socket is told whose reply it is, and gives the IPv4 header', () => {
    const mine = echoPackets('192.0.2.99', 4, true)
    const bytes = Buffer.from(mine.make(5).bytes)
    bytes[0] = 0
    const header = Buffer.alloc(24)
    header[0] = 0x46
    expect(mine.numberOfReply(message({ data: Buffer.concat([header, bytes]) }))).toBe(5)
    bytes.writeUInt16BE(bytes.readUInt16BE(4) ^ 1, 4)
    expect(mine.numberOfReply(message({ data: Buffer.concat([header, bytes]) }))).toBeUndefined()
    bytes[0] = 8
    expect(mine.numberOfSent(message({ data: bytes }))).toBeUndefined()
  })

  it('garbage is nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ minLength: 28, maxLength: 28 }), fc.constantFrom(4 as const, 6 as const), fc.boolean(), (data, name, family, raw) => {
      const one = message({ data: Buffer.from(data), name: Buffer.from(name), control: () => Buffer.from(data) })
      for (const packets of [udpPackets('192.0.2.99'), echoPackets('192.0.2.99', family, raw)]) {
        for (const number of [packets.numberOfSent(one), packets.numberOfReply(one)]) expect(number === undefined || Number.isInteger(number)).toBe(true)
      }
      expect(() => errorIn(one, family)).not.toThrow()
    }))
  })
})

describe('traceroute: to this machine', () => {
  const optionsFor = (ms: number, signal = new AbortController().signal): TraceOptions => ({ protocol: 'udp', maxHops: 30, queries: 1, hopTimeoutMs: 1_000, signal, deadline: performance.now() + ms })
  const files = () => readdirSync('/proc/self/fd').length

  it('reaches it in one hop, without any permission, and leaves no socket open', async () => {
    await traceRoute(LOCAL, optionsFor(2_000))
    const before = files()
    const routes = await Promise.all(Array.from({ length: 5 }, () => traceRoute(LOCAL, optionsFor(2_000))))
    for (const route of routes) expect(route).toMatchObject({ destination: '127.0.0.1', protocol: 'udp', maxHops: 30, end: { kind: 'reached', hops: 1, exact: true } })
    for (const { hops } of routes) expect(hops[0]!.rttMs).toBeLessThan(100)
    expect(files()).toBe(before)
  })

  it('runs two at a time; others wait for their turn, and blame nobody when it does not come', async () => {
    const [first, second] = await Promise.all([openTrace(LOCAL, optionsFor(10_000)), openTrace(LOCAL, optionsFor(10_000))])
    const began = performance.now()
    await expect(openTrace(LOCAL, optionsFor(1_000))).rejects.toMatchObject({ code: 'traceroute_no_time' })
    expect(performance.now() - began).toBeLessThan(1_000)

    const stop = new AbortController()
    const stopped = openTrace(LOCAL, optionsFor(10_000, stop.signal))
    const third = traceRoute(LOCAL, optionsFor(10_000))
    stop.abort(new Error('stopped'))
    await expect(stopped).rejects.toThrow('stopped')
    first.close()
    expect((await third).end).toMatchObject({ kind: 'reached' })
    second.close()
    for (const opened of await Promise.all([openTrace(LOCAL, optionsFor(1_000)), openTrace(LOCAL, optionsFor(1_000))])) opened.close()
  })

  it('ends at once when it is stopped', async () => {
    const stop = new AbortController()
    stop.abort(new Error('stopped'))
    await expect(traceRoute(LOCAL, optionsFor(1_000, stop.signal))).rejects.toThrow('stopped')
  })

  it('gives back its turn and its socket when it is stopped, though nobody closes it', async () => {
    const before = files()
    const stop = new AbortController()
    const opened = await Promise.all([openTrace(LOCAL, optionsFor(1_000, stop.signal)), openTrace(LOCAL, optionsFor(1_000, stop.signal))])
    expect(files()).toBe(before + 2)
    stop.abort(new Error('stopped'))
    expect(files()).toBe(before)
    await expect(opened[0].run()).rejects.toThrow('stopped')
    for (const { close } of opened) close()
    for (const { close } of await Promise.all([openTrace(LOCAL, optionsFor(1_000)), openTrace(LOCAL, optionsFor(1_000))])) close()
    expect(files()).toBe(before)
  })

  it('accuses nobody when there is no time', async () => {
    await expect(traceRoute(LOCAL, optionsFor(20))).rejects.toMatchObject({ code: 'traceroute_no_time' })
  })
})

describe('traceroute: what is remembered', () => {
  const route = (destination: string): Route => ({ destination, protocol: 'udp', maxHops: 30, hops: [], end: { kind: 'too_long' } })
  const signal = new AbortController().signal
  const options: TraceOptions = { protocol: 'udp', maxHops: 30, queries: 1, hopTimeoutMs: 1_000, signal, deadline: 0 }
  const address = (ip: string) => ({ ip, family: 4 } as const)

  function memory(most = 256, fail: (call: number) => Error | undefined = () => undefined) {
    const traced: string[] = []
    const clock = { now: 0 }
    const remembered = createRouteMemory({
      most, cooldownMs: 60_000, now: () => clock.now,
      trace: async ({ ip }, { protocol }) => {
        const error = fail(traced.push(`${protocol} ${ip}`))
        await Promise.resolve()
        if (error) throw error
        return route(ip)
      },
    })
    return { traced, clock, trace: (ip: string, over: Partial<TraceOptions> = {}) => remembered.trace(address(ip), { ...options, ...over }) }
  }

  it('a route is traced once in a cooldown, and told with its age', async () => {
    const { traced, clock, trace } = memory()
    const both = await Promise.all([trace('a'), trace('a')])
    expect(both.map(({ ageMs }) => ageMs)).toEqual([0, 0])
    clock.now = 59_999
    expect(await trace('a')).toEqual({ route: route('a'), ageMs: 59_999 })
    expect(traced).toEqual(['udp a'])
    await trace('a', { protocol: 'icmp' })
    await trace('b')
    clock.now = 60_000
    expect((await trace('a')).ageMs).toBe(0)
    expect(traced).toEqual(['udp a', 'icmp a', 'udp b', 'udp a'])
  })

  it('the oldest is forgotten when there are too many', async () => {
    const { traced, trace } = memory(2)
    for (const ip of ['a', 'b', 'c', 'b', 'c', 'a']) await trace(ip)
    expect(traced).toEqual(['udp a', 'udp b', 'udp c', 'udp a'])
  })

  it('a failure is not kept, and does not become that of another one who waits', async () => {
    const { traced, trace } = memory(2, (call) => (call === 1 ? new Error('stopped') : undefined))
    const [first, second, third] = await Promise.allSettled([trace('a'), trace('a'), trace('a')])
    expect(first).toMatchObject({ status: 'rejected', reason: { message: 'stopped' } })
    expect([second, third]).toMatchObject([{ status: 'fulfilled', value: { route: route('a') } }, { status: 'fulfilled', value: { route: route('a') } }])
    expect(traced).toHaveLength(2)
  })
})
