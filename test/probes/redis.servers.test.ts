import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProbeResult } from '../../src/core/result.ts'
import { redis } from '../../src/probes/redis.ts'
import { makeCertificates } from '../support/certificates.ts'
import { eventually, freePort } from '../support/process.ts'
import { isWell, meet } from '../support/redis-groups.ts'
import { callsOf, noStrangers, startRedis, stopRedisServers, type RedisServer, type Settings } from '../support/redis-server.ts'
import { gaugeOf, jobOf, probeOnce } from './contract.ts'

const at = ({ port }: { readonly port: number }) => ({ target: `127.0.0.1:${port}` })
const probe = (server: { readonly port: number }, entry: Record<string, unknown> = {}) => probeOnce(redis, { ...at(server), ...entry })
/** The key that a probe of this server writes. */
const keyOf = (server: RedisServer) => `probe:{curlew:test:${jobOf(redis, at(server)).id}}`
const failedWith = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const commandsOf = async (server: RedisServer) => Object.keys(await callsOf(server))

afterAll(stopRedisServers)

describe('a master', () => {
  let server: RedisServer
  beforeAll(async () => { server = await startRedis() })

  it('is ok, says what it is, and keeps nothing: no key, no connection', async () => {
    const result = await probe(server)
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'request'])
    const info = result.gauges.find(({ name }) => name === 'probe_redis_info')?.labels
    expect(info).toMatchObject({ role: 'master', redis_mode: 'standalone' })
    expect(info?.['redis_version']).toMatch(/^\d+\.\d+/)
    expect(gaugeOf(result, 'probe_redis_connected_clients')).toBeGreaterThanOrEqual(1)
    expect(gaugeOf(result, 'probe_redis_max_clients')).toBeGreaterThan(100)
    expect(gaugeOf(result, 'probe_redis_clients_ratio')).toBeGreaterThan(0)
    expect(gaugeOf(result, 'probe_redis_memory_used_bytes')).toBeGreaterThan(100_000)
    expect(gaugeOf(result, 'probe_redis_memory_max_bytes')).toBe(0)
    expect(gaugeOf(result, 'probe_redis_memory_ratio')).toBeUndefined()
    expect(gaugeOf(result, 'probe_redis_evicts_any')).toBeUndefined()
    expect(gaugeOf(result, 'probe_redis_connected_slaves')).toBe(0)
    expect(gaugeOf(result, 'probe_redis_master_link_up')).toBeUndefined()
    expect(await server.admin.dbsize()).toBe(0)
    await noStrangers(server)
  })

  it('is written to with a time to live', async () => {
    await server.admin.call('ACL', 'SETUSER', 'keeper', 'on', '>keeper-password', '~probe:*', '+role', '+info', '+set', '+get')
    const result = await probe(server, { username: 'keeper', password: 'keeper-password' })
    expect(result).toMatchObject({ status: 'ok' })
    const left = await server.admin.pttl(keyOf(server))
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(30_000)
    await server.admin.flushall()
  })

  it('is only asked in read-only mode', async () => {
    await server.admin.config('RESETSTAT')
    expect(await probe(server, { mode: 'read-only' })).toMatchObject({ status: 'ok' })
    const commands = await commandsOf(server)
    expect(commands).toEqual(expect.arrayContaining(['role', 'info', 'ping']))
    expect(commands).not.toContain('set')
    expect(commands).not.toContain('get')
  })

  it('is used in the database that is asked for', async () => {
    await server.admin.config('RESETSTAT')
    expect(await probe(server, { db: 3 })).toMatchObject({ status: 'ok' })
    expect(await commandsOf(server)).toContain('select')
    expect(await probe(server, { db: 99 })).toMatchObject(failedWith('auth', 'not_found', 'redis_unknown_db'))
  })

  it('stays without a trace of 30 probes at once', async () => {
    const results = await Promise.all(Array.from({ length: 30 }, (_, n) => probe(server, { name: `probe-${n}` })))
    expect(results.filter(({ status }) => status !== 'ok')).toEqual([])
    expect(await server.admin.dbsize()).toBe(0)
    await noStrangers(server)
  })

  it('is failed by a level only when fail_on names it', async () => {
    const limits = { clients_ratio: { critical: 0.000_001 } }
    expect(await probe(server, { limits })).toMatchObject({ status: 'ok' })
    expect(await probe(server, { limits, fail_on: ['clients_ratio'] })).toMatchObject(failedWith('assert', 'mismatch', 'limit_exceeded'))
  })
})

describe('logins', () => {
  let open: RedisServer
  let closed: RedisServer
  beforeAll(async () => {
    ;[open, closed] = await Promise.all([startRedis(), startRedis({ args: ['--requirepass', 'open-sesame'], adminPassword: 'open-sesame' })])
    const acl = (name: string, ...rules: string[]) => closed.admin.call('ACL', 'SETUSER', name, 'on', `>${name}-password`, 'resetchannels', ...rules)
    await acl('prober', '~probe:*', '-@all', '+role', '+info', '+set', '+get', '+unlink')
    await acl('blind', '~probe:*', '-@all', '+role', '+set', '+get', '+unlink')
    await acl('rolelesss', '~probe:*', '-@all', '+info', '+set', '+get', '+unlink')
    await acl('nothing', '~probe:*', '-@all', '+set', '+get', '+unlink')
    await acl('elsewhere', '~other:*', '-@all', '+role', '+info', '+set', '+get', '+unlink')
    await acl('watcher', '-@all', '+role', '+info', '+ping')
  })
  const user = (username: string) => ({ username, password: `${username}-password` })

  it.each<[string, Record<string, unknown>, object]>([
    ['the right password', { password: 'open-sesame' }, { status: 'ok' }],
    ['no password', {}, failedWith('auth', 'denied', 'redis_noauth')],
    ['a wrong password', { password: 'closed-sesame' }, failedWith('auth', 'denied', 'redis_wrongpass')],
    ['an unknown user', { username: 'nobody', password: 'open-sesame' }, failedWith('auth', 'denied', 'redis_wrongpass')],
    ['a user with just the rights that the manual lists', user('prober'), { status: 'ok' }],
    ['a user without a right to the key', user('elsewhere'), failedWith('auth', 'denied', 'redis_noperm')],
    ['a user who may neither see ROLE nor INFO', user('nothing'), failedWith('auth', 'denied', 'redis_noperm')],
    ['a user who may only look, read-only', { ...user('watcher'), mode: 'read-only' }, { status: 'ok' }],
  ])('%s', async (_name, entry, expected) => {
    expect(await probe(closed, entry)).toMatchObject(expected)
    await noStrangers(closed)
  })

  it('has a phase of its own', async () => {
    const result = await probe(closed, { password: 'open-sesame' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'auth', 'request'])
  })

  it('without INFO: ok, the role from ROLE, no other gauges', async () => {
    const result = await probe(closed, user('blind'))
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.gauges.filter(({ name }) => name.startsWith('probe_redis_'))).toEqual([
      { name: 'probe_redis_info', value: 1, labels: { role: 'master', redis_version: '', redis_mode: '' } },
    ])
  })

  it('without ROLE: ok, the role from INFO', async () => {
    const result = await probe(closed, user('rolelesss'))
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_info', { role: 'master' })).toBe(1)
  })

  it('a password for a server without one', async () => {
    expect(await probe(open, { password: 'open-sesame' })).toMatchObject(failedWith('auth', 'denied', 'redis_no_password_set'))
  })
})

describe('states in which Redis runs but does not serve', () => {
  it('LOADING', async () => {
    const first = await startRedis()
    const value = 'x'.repeat(2_000)
    await first.admin.mset(Object.fromEntries(Array.from({ length: 800 }, (_, n) => [`key-${n}`, value])))
    await first.admin.save()
    await first.stop()
    const server = await startRedis({ dir: first.dir, args: ['--key-load-delay', '5000', '--loading-process-events-interval-bytes', '1024', '--rdbcompression', 'no'] })
    const result = await probe(server)
    expect(result).toMatchObject(failedWith('request', 'loading', 'redis_loading'))
    expect(gaugeOf(result, 'probe_redis_info', { role: 'master' })).toBe(1)
    expect(await probe(server, { mode: 'read-only' })).toMatchObject(failedWith('request', 'loading', 'redis_loading'))
    await server.stop()
  })

  it('MISCONF', async () => {
    const server = await startRedis({ args: ['--save', '3600 1', '--stop-writes-on-bgsave-error', 'yes'] })
    // It has looked for a dump to load by the time that it answers.
    await server.admin.ping()
    // The dump cannot be renamed to a directory, which stops root too.
    mkdirSync(join(server.dir, 'dump.rdb'))
    await server.admin.set('one', 'two')
    await server.admin.bgsave()
    await eventually(async () => (await server.admin.info('persistence')).includes('rdb_last_bgsave_status:err'))
    expect(await probe(server)).toMatchObject(failedWith('request', 'overloaded', 'redis_misconf'))
    await noStrangers(server)
    await server.stop()
  })

  it.each<[string, Settings, Record<string, unknown>, object]>([
    ['OOM', { args: ['--maxmemory', '100kb', '--maxmemory-policy', 'noeviction'] }, {}, failedWith('request', 'overloaded', 'redis_oom')],
    ['NOREPLICAS', { args: ['--min-replicas-to-write', '1'] }, {}, failedWith('request', 'overloaded', 'redis_noreplicas')],
    ['CLUSTERDOWN', { cluster: true }, {}, failedWith('request', 'unavailable', 'redis_clusterdown')],
    ['SELECT in a cluster', { cluster: true }, { db: 1 }, failedWith('request', 'unsupported', 'redis_select_in_cluster')],
  ])('%s', async (_name, settings, entry, expected) => {
    const server = await startRedis(settings)
    expect(await probe(server, entry)).toMatchObject(expected)
    await noStrangers(server)
    await server.stop()
  })

  it('OOM shows in the gauges', async () => {
    const server = await startRedis({ args: ['--maxmemory', '100kb', '--maxmemory-policy', 'noeviction'] })
    const result = await probe(server)
    expect(gaugeOf(result, 'probe_redis_memory_max_bytes')).toBe(102_400)
    expect(gaugeOf(result, 'probe_redis_memory_ratio')).toBeGreaterThan(1)
    expect(gaugeOf(result, 'probe_redis_evicts_any')).toBe(0)
    await server.admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    expect(gaugeOf(await probe(server), 'probe_redis_evicts_any')).toBe(1)
    await server.stop()
  })

  it('BUSY', async () => {
    const server = await startRedis({ args: ['--busy-reply-threshold', '20'] })
    const script = server.admin.duplicate()
    script.on('error', () => {})
    const running = script.eval('while true do end', 0).catch(String)
    await eventually(() => server.admin.ping().then(() => false, (error) => String(error).includes('BUSY')))
    expect(await probe(server)).toMatchObject(failedWith('request', 'overloaded', 'redis_busy'))
    await server.admin.script('KILL')
    expect(await running).toContain('killed')
    expect(await probe(server)).toMatchObject({ status: 'ok' })
    script.disconnect()
    await server.stop()
  })

  it('MOVED on the wrong node of a cluster, ok on the right one', async () => {
    const [a, b] = await Promise.all([startRedis({ cluster: true }), startRedis({ cluster: true })])
    await a.admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 8191)
    await b.admin.call('CLUSTER', 'ADDSLOTSRANGE', 8192, 16383)
    await meet(a, b)
    await isWell(a)
    // The slots of the tags a and b are 15495 and 3300.
    expect(await probe(a, { key_prefix: '{a}' })).toMatchObject(failedWith('request', 'unsupported', 'redis_moved'))
    const result = await probe(a, { key_prefix: '{b}' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_info', { redis_mode: 'cluster' })).toBe(1)
    expect(await probe(a, { mode: 'read-only' })).toMatchObject({ status: 'ok' })
    await Promise.all([a.stop(), b.stop()])
  })

  it('a Sentinel', async () => {
    const server = await startRedis({ sentinel: true })
    expect(await probe(server)).toMatchObject(failedWith('request', 'unsupported', 'redis_sentinel'))
    await server.stop()
  })
})

describe('replicas', () => {
  let master: RedisServer
  let replica: RedisServer
  const linked = (server: RedisServer) => eventually(async () => (await server.admin.info('replication')).includes('master_link_status:up'), 10_000, 'the link')
  beforeAll(async () => {
    master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
    await linked(replica)
    await eventually(async () => (await master.admin.info('replication')).includes('state=online'), 10_000, 'the replica on its master')
  })

  it('are read, never written to, and say how far behind they are', async () => {
    await replica.admin.config('RESETSTAT')
    const result = await probe(replica)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_info', { role: 'replica' })).toBe(1)
    expect(gaugeOf(result, 'probe_redis_master_link_up')).toBe(1)
    expect(gaugeOf(result, 'probe_redis_replication_lag_bytes')).toBe(0)
    expect(gaugeOf(result, 'probe_redis_master_last_io_seconds')).toBeGreaterThanOrEqual(0)
    const commands = await commandsOf(replica)
    expect(commands).toContain('get')
    expect(commands).not.toContain('set')
    expect(commands).not.toContain('unlink')
  })

  it('are not written to even when they would take it', async () => {
    await replica.admin.config('SET', 'replica-read-only', 'no')
    await replica.admin.config('RESETSTAT')
    expect(await probe(replica)).toMatchObject({ status: 'ok' })
    expect(await commandsOf(replica)).not.toContain('set')
    await replica.admin.config('SET', 'replica-read-only', 'yes')
  })

  it('show on their master', async () => {
    const result = await probe(master)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_connected_slaves')).toBe(1)
    expect(gaugeOf(result, 'probe_redis_replication_lag_bytes')).toBeGreaterThanOrEqual(0)
  })

  it('without their master: a gauge, until they refuse to serve old data', async () => {
    const orphan = await startRedis({ args: ['--replicaof', '127.0.0.1', String(await freePort())] })
    const result = await probe(orphan)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_master_link_up')).toBe(0)
    expect(gaugeOf(result, 'probe_redis_master_last_io_seconds')).toBeUndefined()
    expect(await probe(orphan, { limits: { master_link_up: { critical: 1 } }, fail_on: ['master_link_up'] })).toMatchObject(failedWith('assert', 'mismatch', 'limit_exceeded'))
    await orphan.admin.config('SET', 'replica-serve-stale-data', 'no')
    expect(await probe(orphan)).toMatchObject(failedWith('request', 'unavailable', 'redis_masterdown'))
    await noStrangers(orphan)
    await orphan.stop()
  })
})

describe('connections', () => {
  it('maxclients: connect/overloaded, every time', async () => {
    const server = await startRedis({ args: ['--maxclients', '4'] })
    const held: Socket[] = []
    await server.admin.ping()
    while (held.length < 3) {
      const socket = connect({ host: '127.0.0.1', port: server.port })
      held.push(socket)
      await new Promise((resolve) => socket.once('connect', resolve))
    }
    const overloaded: ProbeResult[] = []
    for (let run = 0; run < 20; run++) overloaded.push(await probe(server, run % 2 === 0 ? {} : { password: 'any-password' }))
    for (const result of overloaded) expect(result).toMatchObject(failedWith('connect', 'overloaded', 'redis_max_clients'))
    for (const socket of held) socket.destroy()
    await noStrangers(server)
    expect(await probe(server)).toMatchObject({ status: 'ok' })
    await server.stop()
  })

  it('a stopped process: the phase that waited, and timeout', async () => {
    const server = await startRedis()
    expect(await probe(server)).toMatchObject({ status: 'ok' })
    server.process.child.kill('SIGSTOP')
    expect(await probe(server, { timeout: '600ms' })).toMatchObject(failedWith('request', 'timeout', 'request_timeout'))
    expect(await probe(server, { timeout: '600ms', password: 'open-sesame' })).toMatchObject(failedWith('auth', 'timeout', 'auth_timeout'))
    server.process.child.kill('SIGCONT')
    await noStrangers(server)
    await server.stop()
  })

  it('a name instead of an address', async () => {
    const server = await startRedis()
    expect(await probeOnce(redis, { target: `localhost:${server.port}`, ip_protocol: 'ip4' })).toMatchObject({ status: 'ok' })
    await server.stop()
  })

  it('HTTP', async () => {
    const web = createServer((_request, response) => { response.end('hello') })
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
    const { port } = web.address() as AddressInfo // safe: it listens on TCP
    expect(await probe({ port })).toMatchObject(failedWith('request', 'protocol', 'redis_protocol'))
    await new Promise((resolve) => { web.close(resolve); web.closeAllConnections() })
  })
})

describe('TLS', () => {
  const { good, caFile, client, expired } = makeCertificates()
  let server: RedisServer
  beforeAll(async () => { server = await startRedis({ tls: { ...good, caFile }, args: ['--tls-auth-clients', 'no'] }) })

  it('works, and shows the certificate', async () => {
    const result = await probe(server, { tls: true, ca_file: caFile })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'tls', 'request'])
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(Date.now() / 1000)
    expect(await probeOnce(redis, { target: `rediss://127.0.0.1:${server.port}/1?ca_file=${encodeURIComponent(caFile)}` })).toMatchObject({ status: 'ok' })
  })

  it('an expired certificate', async () => {
    const old = await startRedis({ tls: { ...expired, caFile }, args: ['--tls-auth-clients', 'no'] })
    expect(await probe(old, { tls: true, ca_file: caFile })).toMatchObject(failedWith('tls', 'expired', 'tls_expired'))
    await old.stop()
  })

  it('a client certificate', async () => {
    const strict = await startRedis({ tls: { ...good, caFile }, args: ['--tls-auth-clients', 'yes'] })
    expect(await probe(strict, { tls: true, ca_file: caFile })).toMatchObject(failedWith('tls', 'denied', 'tls_client_cert_required'))
    expect(await probe(strict, { tls: true, ca_file: caFile, cert_file: client.certFile, key_file: client.keyFile })).toMatchObject({ status: 'ok' })
    await strict.stop()
  })

  it('plain text to a TLS port is never ok, and TLS to a plain port times out', async () => {
    const plain = await probe(server)
    expect(plain).toMatchObject({ status: 'failed', failure: { layer: 'request' } })
    const other = await startRedis()
    expect(await probe(other, { tls: true, timeout: '600ms' })).toMatchObject(failedWith('tls', 'timeout', 'tls_timeout'))
    await other.stop()
  })
})
