import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memcached } from '../../src/probes/memcached.ts'
import { authFile, fill, noMoreThan, startMemcached, startSasl, stopMemcachedServers, stuff, textSession, type MemcachedServer, type TextSession } from '../support/memcached-server.ts'
import { gaugeOf, probeOnce } from './contract.ts'

const probe = ({ port }: { readonly port: number }, entry: Record<string, unknown> = {}) => probeOnce(memcached, { target: `127.0.0.1:${port}`, ...entry })
const failedWith = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const names = (result: { readonly phases: readonly { readonly name: string }[] }) => result.phases.map(({ name }) => name)

afterAll(stopMemcachedServers)

describe('a memcached', () => {
  let server: MemcachedServer
  let session: TextSession
  let idle: number
  beforeAll(async () => {
    server = await startMemcached(['-c', '200'])
    session = await textSession(server)
    idle = Number(await session.stat('curr_connections'))
  })
  afterAll(() => session.close())

  it('is ok, says what it is, and keeps nothing: no key, no connection', async () => {
    const result = await probe(server)
    expect(result).toMatchObject({ status: 'ok' })
    expect(names(result)).toEqual(['resolve', 'connect', 'request'])
    expect(result.gauges.find(({ name }) => name === 'probe_memcached_info')?.labels?.['version']).toMatch(/^\d+\.\d+/)
    expect(gaugeOf(result, 'probe_memcached_max_connections')).toBe(200)
    expect(gaugeOf(result, 'probe_memcached_current_connections')).toBeGreaterThanOrEqual(2)
    expect(gaugeOf(result, 'probe_memcached_connections_ratio')).toBeCloseTo((gaugeOf(result, 'probe_memcached_current_connections') ?? 0) / 200)
    expect(gaugeOf(result, 'probe_memcached_connections_rejected')).toBe(0)
    expect(gaugeOf(result, 'probe_memcached_limit_bytes')).toBe(64 * 1024 * 1024)
    expect(gaugeOf(result, 'probe_memcached_memory_ratio')).toBe(0)
    expect(gaugeOf(result, 'probe_memcached_items_evicted')).toBe(0)
    expect(await session.stat('curr_items')).toBe('0')
    expect(Number(await session.stat('cmd_set'))).toBe(1)
    await noMoreThan(session, idle)
  })

  it('is only asked in read-only mode', async () => {
    const before = await session.stat('cmd_set')
    const result = await probe(server, { mode: 'read-only' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_memcached_max_connections')).toBe(200)
    expect(await session.stat('cmd_set')).toBe(before)
  })

  it('stays without a trace of 30 probes at once', async () => {
    const results = await Promise.all(Array.from({ length: 30 }, (_, n) => probe(server, { name: `probe-${n}` })))
    expect(results.filter(({ status }) => status !== 'ok')).toEqual([])
    expect(await session.stat('curr_items')).toBe('0')
    await noMoreThan(session, idle)
  })

  it('is found by name', async () => {
    expect(await probeOnce(memcached, { target: `memcached://localhost:${server.port}`, ip_protocol: 'ip4' })).toMatchObject({ status: 'ok' })
  })

  it('without SASL is no login', async () => {
    expect(await probe(server, { username: 'prober', password: 'any-password' })).toMatchObject(failedWith('auth', 'unsupported', 'memcached_no_sasl'))
    await noMoreThan(session, idle)
  })
})

describe('a memcached with SASL', () => {
  let server: Awaited<ReturnType<typeof startSasl>>
  beforeAll(async () => { server = await startSasl() })

  it('is ok with the right password', async () => {
    const { username, password } = server
    const result = await probe(server, { username, password })
    expect(result).toMatchObject({ status: 'ok' })
    expect(names(result)).toEqual(['resolve', 'connect', 'auth', 'request'])
    expect(gaugeOf(result, 'probe_memcached_max_connections')).toBeUndefined()
    expect(await probe(server, { username, password, mode: 'read-only' })).toMatchObject({ status: 'ok' })
  })

  it('refuses a wrong one', async () => {
    expect(await probe(server, { username: server.username, password: 'wrong-password' })).toMatchObject(failedWith('auth', 'denied', 'memcached_wrong_password'))
  })

  it('refuses everything without one', async () => {
    expect(await probe(server)).toMatchObject(failedWith('auth', 'denied', 'memcached_unauthenticated'))
    expect(await probe(server, { mode: 'read-only' })).toMatchObject(failedWith('auth', 'denied', 'memcached_unauthenticated'))
  })
})

describe('a memcached of one protocol', () => {
  it('binary: ok, without the statistics that only text has', async () => {
    const server = await startMemcached(['-B', 'binary'])
    for (const mode of ['read-write', 'read-only']) {
      const result = await probe(server, { mode })
      expect(result).toMatchObject({ status: 'ok' })
      expect(result.gauges.filter(({ name }) => name.startsWith('probe_memcached_'))).toEqual([])
    }
    await server.stop()
  })

  it('text: says so, and is ok read-only', async () => {
    const server = await startMemcached(['-B', 'ascii'])
    expect(await probe(server, { timeout: '600ms' })).toMatchObject(failedWith('request', 'unsupported', 'memcached_no_binary'))
    expect(await probe(server, { timeout: '600ms', username: 'prober', password: 'any-password' })).toMatchObject(failedWith('request', 'unsupported', 'memcached_no_binary'))
    expect(await probe(server, { mode: 'read-only' })).toMatchObject({ status: 'ok' })
    await server.stop()
  })

  it('text with an auth file: wants a login', async () => {
    const server = await startMemcached(['-Y', authFile()])
    expect(await probe(server)).toMatchObject(failedWith('auth', 'denied', 'memcached_unauthenticated'))
    expect(await probe(server, { mode: 'read-only' })).toMatchObject(failedWith('auth', 'denied', 'memcached_unauthenticated'))
    expect(await probe(server, { timeout: '600ms', username: 'prober', password: 'text-password' })).toMatchObject(failedWith('auth', 'denied', 'memcached_unauthenticated'))
    await server.stop()
  })
})

describe('a memcached at its limits', () => {
  it('too many connections, each turned away with a line', async () => {
    const server = await startMemcached(['-c', '40', '-o', 'maxconns_fast'])
    const session = await textSession(server)
    const held = await fill(server, session)
    for (let run = 0; run < 10; run++) {
      expect(await probe(server)).toMatchObject(failedWith('connect', 'overloaded', 'memcached_too_many_connections'))
    }
    expect(await probe(server, { username: 'prober', password: 'any-password' })).toMatchObject(failedWith('connect', 'overloaded', 'memcached_too_many_connections'))
    for (const socket of held) socket.destroy()
    await noMoreThan(session, 15)
    const result = await probe(server)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_memcached_connections_rejected')).toBeGreaterThanOrEqual(11)
    session.close()
    await server.stop()
  })

  it('too many connections, left in the queue', async () => {
    const args = ['-c', '40', '-o', 'no_maxconns_fast']
    const other = await startMemcached(args)
    const fitting = (await fill(other, await textSession(other))).length - 1
    await other.stop()

    const server = await startMemcached(args)
    const session = await textSession(server)
    const held = await fill(server, session, fitting)
    expect(await probe(server, { timeout: '600ms' })).toMatchObject(failedWith('connect', 'overloaded', 'memcached_too_many_connections'))
    // What the last run left in the queue is still there: packets are dropped now, as a firewall would.
    expect(await probe(server, { timeout: '600ms' })).toMatchObject(failedWith('connect', 'timeout', 'connect_timeout'))
    for (const socket of held) socket.destroy()
    await noMoreThan(session, 15)
    expect(await probe(server)).toMatchObject({ status: 'ok' })
    session.close()
    await server.stop()
  })

  it('out of memory', async () => {
    const server = await startMemcached(['-M', '-m', '2'])
    const session = await textSession(server)
    expect(await stuff(session, 'probe:curlew:test:0123456789ab'.length)).toContain('SERVER_ERROR out of memory')
    const result = await probe(server)
    expect(result).toMatchObject(failedWith('request', 'overloaded', 'memcached_out_of_memory'))
    expect(gaugeOf(result, 'probe_memcached_memory_ratio')).toBeGreaterThan(0.3)
    session.close()
    await server.stop()
  })
})

describe('a memcached that does not answer', () => {
  it('stopped: the phase that waited, and timeout', async () => {
    const server = await startMemcached()
    const session = await textSession(server)
    const idle = Number(await session.stat('curr_connections'))
    server.process.child.kill('SIGSTOP')
    expect(await probe(server, { timeout: '600ms' })).toMatchObject(failedWith('request', 'timeout', 'request_timeout'))
    expect(await probe(server, { timeout: '600ms', username: 'prober', password: 'any-password' })).toMatchObject(failedWith('auth', 'timeout', 'auth_timeout'))
    server.process.child.kill('SIGCONT')
    await noMoreThan(session, idle)
    session.close()
    await server.stop()
  })

  it('because it is a web server', async () => {
    const web = createServer((_request, response) => { response.end('hello') })
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    const { port } = web.address() as AddressInfo // safe: it listens on TCP
    expect(await probe({ port })).toMatchObject(failedWith('request', 'protocol', 'memcached_protocol'))
    expect(await probe({ port }, { username: 'prober', password: 'any-password' })).toMatchObject(failedWith('request', 'protocol', 'memcached_protocol'))
    await new Promise((resolve) => { web.close(resolve); web.closeAllConnections() })
  })
})
