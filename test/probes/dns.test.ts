import { getActiveResourcesInfo } from 'node:process'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry, readTarget } from '../../src/config/jobs.ts'
import { dns } from '../../src/probes/dns.ts'
import { fnv1a } from '../../src/probes/lib/hash.ts'
import { addressRecord, framed, reply, scriptedDns, type Script } from '../support/dns-servers.ts'
import { eventually, freePort } from '../support/process.ts'
import { tcpServer } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(dns)
tcpProbeContract(dns, (port) => ({ target: `127.0.0.1:${port}`, query: 'a.test', transport: 'tcp' }))

const running: { close(): Promise<void> }[] = []
afterAll(async () => { for (const server of running) await server.close() })
const serve = async (script: Script, options?: { tcp: boolean }) => {
  const server = await scriptedDns(script, options)
  running.push(server)
  return server
}
/** Asks a scripted server for a.test. */
const ask = async (script: Script, entry: Record<string, unknown> = {}, options?: { tcp: boolean }) => {
  const server = await serve(script, options)
  return probeOnce(dns, { target: `127.0.0.1:${server.port}`, query: 'a.test', ...entry })
}
const good: Script = (asked, send) => send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1', 30), addressRecord(asked.name, '192.0.2.2', 20)] }))
const failure = (code: string, layer: string, reason: string) => ({ status: 'failed', failure: { code, layer, reason } })

describe('options', () => {
  const target = (entry: Record<string, unknown>) => jobOf(dns, { query: 'a.test', ...entry }).target

  it('adds the port of the transport', () => {
    expect(target({ target: '192.0.2.53' })).toBe('192.0.2.53:53')
    expect(target({ target: '192.0.2.53', transport: 'tcp' })).toBe('192.0.2.53:53')
    expect(target({ target: 'NS.example.org', transport: 'dot' })).toBe('ns.example.org:853')
    expect(target({ target: '[2001:DB8::53]', transport: 'dot' })).toBe('[2001:db8::53]:853')
    expect(target({ target: '192.0.2.53:53', transport: 'dot' })).toBe('192.0.2.53:53')
  })

  it('reads URLs', () => {
    expect(readTarget(dns, 'dns://192.0.2.53/example.org')).toEqual({ target: '192.0.2.53', query: 'example.org', transport: 'udp' })
    expect(readTarget(dns, 'dns://[::1]:5353/example.org?type=mx&transport=tcp&rcode=nxdomain,noerror&min_answers=2&recursion_desired=false&answers=a&answers=b')).toEqual({
      target: '[::1]:5353', query: 'example.org', transport: 'tcp', record: 'MX', rcode: ['NXDOMAIN', 'NOERROR'], min_answers: 2, recursion_desired: false, answers: ['a', 'b'],
    })
    expect(target({ target: 'dot://ns.example.org/example.org?server_name=x.example.org' })).toBe('ns.example.org:853')
    for (const [wrong, why] of [
      ['dns://192.0.2.53', 'expected the name'], ['dns://192.0.2.53/a/b', 'expected the name'], ['dns://me@192.0.2.53/a', 'without a user'],
      ['dns://192.0.2.53/a?colour=red', 'unknown key colour'], ['dns://192.0.2.53/a?constructor=1', 'unknown key constructor'], ['dns://192.0.2.53/a?target=b', 'unknown key target'],
    ] as const) expect(() => readTarget(dns, wrong)).toThrow(why)
  })

  it('points at every mistake', () => {
    const { issues } = readEntry(dns, { name: 'it', type: 'dns', target: 'a b', query: 'a..b', record: 'NOPE', rcode: 'OK', min_answers: -1, answers: ['('], transport: 'quic' })
    expect(issues.map(({ path }) => path.join('.')).toSorted()).toEqual(['answers.0', 'min_answers', 'query', 'rcode', 'record', 'target', 'transport'])
    expect(readEntry(dns, { name: 'it', type: 'dns', target: '192.0.2.1' }).issues.map(({ path }) => path.join('.'))).toEqual(['query'])
    expect(readEntry(dns, { name: 'it', type: 'dns', target: '192.0.2.1', query: 'a', transport: 'dot', ca_file: '/nowhere' }).issues.map(({ path }) => path.join('.'))).toEqual(['ca_file'])
  })

  it('finds the name servers of this machine, as targets that it accepts', () => {
    for (const each of dns.defaultTargets?.() ?? []) expect(target({ target: each })).toBe(each)
  })
})

describe('a good answer', () => {
  it('is ok, and exports what blackbox_exporter does, and more', async () => {
    const result = await ask((asked, send) => send(reply(asked, {
      answers: [addressRecord(asked.name, '192.0.2.1', 30), addressRecord(asked.name, '192.0.2.2', 20)],
      authorities: [{ name: 'test', type: 'NS', ttl: 5, data: 'ns.test' }],
      additionals: [addressRecord('ns.test', '192.0.2.53', 5)],
    })))
    expect(result.status).toBe('ok')
    expect(Object.fromEntries(result.gauges.map(({ name, value }) => [name, value]))).toMatchObject({
      probe_dns_query_succeeded: 1, probe_dns_rcode: 0, probe_dns_answer_rrs: 2, probe_dns_authority_rrs: 1, probe_dns_additional_rrs: 1, probe_dns_ttl_seconds: 20,
    })
    expect(gaugeOf(result, 'probe_dns_serial')).toBeUndefined()
    const phases = Object.fromEntries(result.phases.map(({ name, ms }) => [name, ms]))
    expect(phases).toMatchObject({ connect: 0, tls: 0 })
    expect(phases['request']).toBeGreaterThan(0)
  })

  it('exports a hash of what it says, by which servers agree or do not', async () => {
    const hashOf = async (answers: readonly (readonly [string, number])[], rcode = 0) => gaugeOf(
      await ask((asked, send) => send(reply(asked, { rcode, answers: answers.map(([ip, ttl]) => addressRecord(asked.name, ip, ttl)) })), { rcode: 'any' }), 'probe_dns_answer_hash')
    const hash = await hashOf([['192.0.2.1', 30], ['192.0.2.2', 20]])
    expect(hash).toBe(fnv1a('NOERROR\nA 192.0.2.1\nA 192.0.2.2'))
    expect(await hashOf([['192.0.2.2', 7], ['192.0.2.1', 9]])).toBe(hash)
    expect(new Set([hash, await hashOf([['192.0.2.1', 30]]), await hashOf([]), await hashOf([], 3)])).toHaveLength(4)
    for (const rcode of [2, 5]) expect(await hashOf([['192.0.2.1', 30]], rcode)).toBeUndefined()
  })

  it('exports the serial of a zone', async () => {
    const soa: Script = (asked, send) => send(reply(asked, { answers: [{ name: asked.name, type: 'SOA', ttl: 5, data: { mname: 'ns.test', rname: 'admin.test', serial: 4_294_967_295 } }] }))
    expect(gaugeOf(await ask(soa, { record: 'SOA' }), 'probe_dns_serial')).toBe(4_294_967_295)
  })

  it('is asked for with and without recursion', async () => {
    const server = await serve(good)
    for (const recursion_desired of [true, false]) await probeOnce(dns, { target: `127.0.0.1:${server.port}`, query: 'a.test', recursion_desired })
    expect(server.asked.map((asked) => asked.recursionDesired)).toEqual([true, false])
  })

  it('may come late, over either transport', async () => {
    const slow: Script = (asked, send) => { setTimeout(() => good(asked, send), 150) }
    for (const transport of ['udp', 'tcp']) {
      const result = await ask(slow, { transport })
      expect(result.status).toBe('ok')
      expect(result.phases.find(({ name }) => name === 'request')?.ms).toBeGreaterThan(140)
    }
  })

  it('may come in drips over TCP', async () => {
    const drip: Script = (asked, send) => good(asked, (packet) => {
      const bytes = framed(packet)
      let at = 0
      const timer = setInterval(() => {
        send(bytes.subarray(at, ++at), 'raw')
        if (at === bytes.length) clearInterval(timer)
      }, 1)
    })
    expect(await ask(drip, { transport: 'tcp' })).toMatchObject({ status: 'ok' })
  })

  it('matches whatever the case of the name in it', async () => {
    expect(await ask((asked, send) => good({ ...asked, name: 'A.tEsT' }, send))).toMatchObject({ status: 'ok' })
  })
})

describe('return codes', () => {
  const answering = (rcode: number): Script => (asked, send) => send(reply(asked, { rcode }))

  it('each have a code', async () => {
    for (const [rcode, code, reason] of [
      [1, 'dns_formerr', 'protocol'], [2, 'dns_servfail', 'other'], [3, 'dns_nxdomain', 'not_found'], [4, 'dns_notimp', 'unsupported'],
      [5, 'dns_refused', 'denied'], [9, 'dns_notauth', 'denied'], [6, 'dns_other', 'other'], [11, 'dns_other', 'other'],
    ] as const) {
      const result = await ask(answering(rcode))
      expect(result).toMatchObject(failure(code, 'request', reason))
      expect(gaugeOf(result, 'probe_dns_rcode')).toBe(rcode)
      expect(gaugeOf(result, 'probe_dns_query_succeeded')).toBe(1)
    }
  })

  it('may be what is wanted', async () => {
    expect(await ask(answering(3), { rcode: 'NXDOMAIN' })).toMatchObject({ status: 'ok' })
    expect(await ask(answering(5), { rcode: ['NXDOMAIN', 'REFUSED'] })).toMatchObject({ status: 'ok' })
    for (const rcode of [0, 2, 3, 5]) expect(await ask(answering(rcode), { rcode: 'any' })).toMatchObject({ status: 'ok' })
    expect(await ask(good, { rcode: 'NXDOMAIN' })).toMatchObject(failure('dns_unexpected_rcode', 'assert', 'mismatch'))
    expect(await ask(answering(2), { rcode: 'NXDOMAIN' })).toMatchObject(failure('dns_servfail', 'request', 'other'))
  })

  it('may come without the question', async () => {
    expect(await ask((asked, send) => send(reply(asked, { rcode: 1, questions: [] })))).toMatchObject(failure('dns_formerr', 'request', 'protocol'))
    expect(await ask((asked, send) => send(reply(asked, { questions: [] })), { timeout: '200ms' })).toMatchObject(failure('dns_wrong_question', 'request', 'protocol'))
  })
})

describe('what the answer says', () => {
  it('must be enough, of the type asked for', async () => {
    expect(await ask(good, { min_answers: 2 })).toMatchObject({ status: 'ok' })
    expect(await ask(good, { min_answers: 3 })).toMatchObject(failure('dns_too_few_answers', 'assert', 'mismatch'))
    expect(await ask((asked, send) => send(reply(asked)))).toMatchObject(failure('dns_too_few_answers', 'assert', 'mismatch'))
    expect(await ask((asked, send) => send(reply(asked)), { min_answers: 0 })).toMatchObject({ status: 'ok' })
    const dangling: Script = (asked, send) => send(reply(asked, { answers: [{ name: asked.name, type: 'CNAME', ttl: 5, data: 'gone.test' }] }))
    expect(await ask(dangling)).toMatchObject({ status: 'failed', failure: { code: 'dns_too_few_answers', message: '0 A records for a.test, expected at least 1: got CNAME gone.test' } })
    expect(await ask(dangling, { record: 'ANY' })).toMatchObject({ status: 'ok' })
  })

  it('must match every pattern, and none of the others', async () => {
    expect(await ask(good, { answers: ['\\.1$', '^192\\.0\\.2\\.2$'], answers_not: ['^10\\.'] })).toMatchObject({ status: 'ok' })
    expect(await ask(good, { answers: ['\\.1$', '\\.3$'] })).toMatchObject({
      status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'dns_wrong_value', message: 'no answer matches \\.3$: got A 192.0.2.1, A 192.0.2.2' },
    })
    expect(await ask(good, { answers_not: ['\\.2$'] })).toMatchObject({ failure: { code: 'dns_wrong_value', message: 'an answer matches \\.2$: A 192.0.2.2' } })
  })
})

describe('answers that are none', () => {
  it('with a wrong id or to another question are skipped', async () => {
    const noisy: Script = (asked, send) => {
      send(reply(asked, { id: asked.id ^ 1, rcode: 3 }))
      send(reply(asked, { rcode: 3, questions: [{ name: 'b.test', type: 'A' }] }))
      send(reply(asked, { rcode: 3, questions: [{ name: 'a.test', type: 'AAAA' }] }))
      send(Buffer.from('garbage'))
      good(asked, send)
    }
    expect(await ask(noisy)).toMatchObject({ status: 'ok' })
  })

  it('decide the code when nothing else came', async () => {
    const only = (packet: (asked: Parameters<Script>[0]) => Buffer) => ask((asked, send) => send(packet(asked)), { timeout: '250ms' })
    expect(await only((asked) => reply(asked, { id: asked.id ^ 1 }))).toMatchObject(failure('dns_wrong_id', 'request', 'protocol'))
    expect(await only((asked) => reply(asked, { questions: [{ name: 'b.test', type: 'A' }] }))).toMatchObject(failure('dns_wrong_question', 'request', 'protocol'))
    expect(await only(() => Buffer.from('hello'))).toMatchObject(failure('dns_garbage', 'request', 'protocol'))
    const garbage = await only(() => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(garbage).toMatchObject(failure('dns_garbage', 'request', 'protocol'))
    expect(gaugeOf(garbage, 'probe_dns_query_succeeded')).toBe(0)
    const echo = (asked: Parameters<Script>[0]) => { const packet = reply(asked); packet.writeUInt16BE(0x0100, 2); return packet }
    expect(await only(echo)).toMatchObject(failure('dns_garbage', 'request', 'protocol'))
  })

  it('end it at once over TCP, and when only the server can have written them', async () => {
    const cut: Script = (asked, send) => good(asked, (packet) => send(packet.subarray(0, -3)))
    for (const [entry, script, code] of [
      [{}, cut, 'dns_garbage'],
      [{ transport: 'tcp' }, cut, 'dns_garbage'],
      [{ transport: 'tcp' }, (asked, send) => send(reply(asked, { id: asked.id ^ 1 })), 'dns_wrong_id'],
      [{ transport: 'tcp' }, (asked, send) => send(reply(asked, { questions: [{ name: 'b.test', type: 'A' }] })), 'dns_wrong_question'],
      [{ transport: 'tcp' }, (_asked, send) => send(Buffer.alloc(0)), 'dns_garbage'],
    ] as const satisfies readonly (readonly [object, Script, string])[]) {
      const result = await ask(script, { ...entry, timeout: '5s' })
      expect(result).toMatchObject(failure(code, 'request', 'protocol'))
      expect(result.ms).toBeLessThan(2_000)
    }
  })
})

describe('no answer', () => {
  it('is connect/refused when nothing listens on the UDP port', async () => {
    const result = await probeOnce(dns, { target: `127.0.0.1:${await freePort()}`, query: 'a.test' })
    expect(result).toMatchObject(failure('connect_refused', 'connect', 'refused'))
    expect(gaugeOf(result, 'probe_dns_query_succeeded')).toBe(0)
    expect(gaugeOf(result, 'probe_dns_rcode')).toBeUndefined()
  })

  it('is request/timeout when the server is silent', async () => {
    const result = await ask(() => {}, { timeout: '200ms' })
    expect(result).toMatchObject(failure('request_timeout', 'request', 'timeout'))
    expect(gaugeOf(result, 'probe_dns_query_succeeded')).toBe(0)
  })

  it('is request/reset when the server closes in the middle', async () => {
    const half: Script = (asked, send, socket) => good(asked, (packet) => { send(framed(packet).subarray(0, 20), 'raw'); socket?.end() })
    const result = await ask(half, { transport: 'tcp' })
    expect(result).toMatchObject(failure('request_reset', 'request', 'reset'))
    expect(result.status === 'failed' && result.failure.message).toContain('after 20 bytes')
  })

  it('is tls/timeout when a DoT server is silent', async () => {
    const server = await tcpServer()
    running.push(server)
    const result = await probeOnce(dns, { target: `127.0.0.1:${server.port}`, query: 'a.test', transport: 'dot', timeout: '200ms' })
    expect(result).toMatchObject(failure('tls_timeout', 'tls', 'timeout'))
    expect(gaugeOf(result, 'probe_dns_query_succeeded')).toBeUndefined()
    await eventually(() => server.open() === 0)
  })

  it('is our own doing when the run is stopped, and leaves no socket behind', async () => {
    const held = () => getActiveResourcesInfo().filter((name) => /UDP|Timeout/.test(name)).length
    const server = await serve(() => {})
    const before = held()
    const stop = new AbortController()
    const result = probeOnce(dns, { target: `127.0.0.1:${server.port}`, query: 'a.test' }, stop.signal)
    await eventually(() => server.asked.length === 1)
    stop.abort()
    expect(await result).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
    await eventually(() => held() <= before)
  })
})

describe('a truncated answer', () => {
  const overTcp = (tcp: Script): Script => (asked, send, socket) => (asked.via === 'udp' ? send(reply(asked, { truncated: true })) : tcp(asked, send, socket))

  it('is asked for again over TCP', async () => {
    const server = await serve(overTcp(good))
    const result = await probeOnce(dns, { target: `127.0.0.1:${server.port}`, query: 'a.test' })
    expect(result.status).toBe('ok')
    expect(gaugeOf(result, 'probe_dns_answer_rrs')).toBe(2)
    expect(result.gauges.filter(({ name }) => name === 'probe_dns_query_succeeded')).toHaveLength(1)
    expect(result.phases.find(({ name }) => name === 'connect')?.ms).toBeGreaterThan(0)
    expect(server.asked.map(({ via }) => via)).toEqual(['udp', 'tcp'])
    await eventually(() => server.open() === 0)
  })

  it('has a code of its own when TCP is closed, silent or broken', async () => {
    const closed = await ask(overTcp(good), {}, { tcp: false })
    expect(closed).toMatchObject({ status: 'failed', failure: { code: 'dns_truncated_tcp_failed', layer: 'connect', reason: 'unavailable', message: expect.stringContaining('ECONNREFUSED') } })
    expect(gaugeOf(closed, 'probe_dns_query_succeeded')).toBe(0)
    expect(await ask(overTcp(() => {}), { timeout: '250ms' })).toMatchObject(failure('dns_truncated_tcp_failed', 'request', 'unavailable'))
    expect(await ask(overTcp((_asked, _send, socket) => socket?.end()))).toMatchObject(failure('dns_truncated_tcp_failed', 'request', 'unavailable'))
    expect(await ask(overTcp((_asked, send) => send(Buffer.from('x'))))).toMatchObject(failure('dns_garbage', 'request', 'protocol'))
  })
})

describe('a server given by name', () => {
  it('is resolved first', async () => {
    const server = await serve(good)
    const result = await probeOnce(dns, { target: `localhost:${server.port}`, query: 'a.test', ip_protocol: 'ip4' })
    expect(result.status).toBe('ok')
    expect(gaugeOf(result, 'probe_ip_protocol')).toBe(4)
    expect(gaugeOf(result, 'probe_dns_lookup_time_seconds')).toBeGreaterThanOrEqual(0)
  })
})
