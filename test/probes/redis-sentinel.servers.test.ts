import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redisSentinel } from '../../src/probes/redis-sentinel.ts'
import { makeCertificates } from '../support/certificates.ts'
import { eventually, freePort } from '../support/process.ts'
import { startPair, startSentinels, watch } from '../support/redis-groups.ts'
import { callsOf, startRedis, stopRedisServers, type RedisServer } from '../support/redis-server.ts'
import { gaugeOf, jobOf, probeOnce } from './contract.ts'

type At = { readonly port: number }

const targetOf = (sentinels: readonly At[], name = 'mymaster') => `${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${name}`
const probe = (sentinels: readonly At[], entry: Record<string, unknown> = {}, name?: string) => probeOnce(redisSentinel, { target: targetOf(sentinels, name), ...entry })
const failedWith = (layer: string, reason: string, code: string, message = '') => ({ status: 'failed', failure: { layer, reason, code, message: expect.stringContaining(message) as unknown } })
/** Whether a connection is open whose last command was this one. */
const isOpen = async ({ admin }: RedisServer, command: string) => String(await admin.call('CLIENT', 'LIST')).includes(` cmd=${command} `)

let master: RedisServer
let replica: RedisServer
let sentinels: [RedisServer, RedisServer, RedisServer]
/** Watches nothing but what a test gives it, under names of the test's own. */
let stranger: RedisServer

beforeAll(async () => {
  ;[{ master, replica }, stranger] = await Promise.all([startPair(), startRedis({ sentinel: true })])
  sentinels = await startSentinels(master)
})
afterAll(stopRedisServers)

describe('a master behind three sentinels', () => {
  it('is ok, is written to once, and keeps nothing: no key, no connection', async () => {
    await master.admin.config('RESETSTAT')
    const result = await probe(sentinels)
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['discover', 'resolve', 'connect', 'request'])
    const values = Object.fromEntries(result.gauges.map(({ name, value }) => [name.replace('probe_redis_sentinel_', ''), value]))
    expect(values).toEqual({
      configured: 3, reachable: 3, sentinels: 3, agreed_ratio: 1, quorum_ok: 1, master_down: 0, failover_in_progress: 0, replicas: 1,
      master_info: 1, connected_slaves: 1, replication_lag_bytes: expect.any(Number) as unknown,
    })
    expect(gaugeOf(result, 'probe_redis_sentinel_master_info', { address: `127.0.0.1:${master.port}` })).toBe(1)
    expect(await callsOf(master)).toMatchObject({ set: 1, get: 1, unlink: 1 })
    expect(await master.admin.dbsize()).toBe(0)
    // Sentinels connect to each other and to the master all the time, but for other commands.
    await eventually(async () => !(await Promise.all([isOpen(master, 'unlink'), ...sentinels.map((one) => isOpen(one, 'sentinel|ckquorum'))])).includes(true), 5_000, 'the end of every connection')
  })

  it('is only asked in read-only mode', async () => {
    await master.admin.config('RESETSTAT')
    expect(await probe(sentinels, { mode: 'read-only' })).toMatchObject({ status: 'ok' })
    const calls = await callsOf(master)
    expect(calls).toMatchObject({ role: expect.any(Number) as unknown, ping: expect.any(Number) as unknown })
    expect(calls).not.toHaveProperty('set')
    expect(calls).not.toHaveProperty('get')
  })

  it('under a name that nobody knows', async () => {
    expect(await probe(sentinels, {}, 'nobody')).toMatchObject(failedWith('request', 'not_found', 'redis_no_such_master', '(3 of 3)'))
  })

  it('with a sentinel that is down, and one that does not know the name: ok, and it shows', async () => {
    const result = await probe([sentinels[0], stranger, { port: await freePort() }])
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_sentinel_configured')).toBe(3)
    expect(gaugeOf(result, 'probe_redis_sentinel_reachable')).toBe(2)
    expect(gaugeOf(result, 'probe_redis_sentinel_agreed_ratio')).toBe(0.5)
    expect(await probe([sentinels[0], { port: await freePort() }], { limits: { reachable: { warning: 2 } }, fail_on: ['reachable'] })).toMatchObject(failedWith('assert', 'mismatch', 'limit_exceeded', 'reachable is 1'))
  })

  it('with a sentinel that hangs: ok without waiting to the end', async () => {
    sentinels[2].process.child.kill('SIGSTOP')
    const result = await probe(sentinels, { timeout: '3s' })
    sentinels[2].process.child.kill('SIGCONT')
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.ms).toBeLessThan(2_900)
    expect(gaugeOf(result, 'probe_redis_sentinel_reachable')).toBe(2)
  })

  it('with all of them down', async () => {
    const closed = { port: await freePort() }
    const result = await probe([closed, { port: await freePort() }])
    expect(result).toMatchObject(failedWith('connect', 'refused', 'connect_refused', 'no sentinel names a master: 127.0.0.1:'))
    expect(gaugeOf(result, 'probe_redis_sentinel_reachable')).toBe(0)
    expect(result.phases.map(({ name }) => name)).toEqual(['discover'])
  })

  it('asked at a Redis server', async () => {
    expect(await probe([master])).toMatchObject(failedWith('request', 'unsupported', 'redis_not_sentinel'))
  })
})

describe('sentinels that are wrong', () => {
  it('name a replica', async () => {
    await watch(stranger, replica, 'demoted')
    const result = await probe([stranger], {}, 'demoted')
    expect(result).toMatchObject(failedWith('assert', 'mismatch', 'redis_sentinel_not_master', `127.0.0.1:${replica.port}, named by the sentinels as master of demoted: it is a replica`))
    expect(await replica.admin.dbsize()).toBe(0)
  })

  it('name two masters', async () => {
    const other = await startRedis()
    await Promise.all([watch(sentinels[0], master, 'split'), watch(sentinels[1], master, 'split'), watch(stranger, other, 'split')])
    const result = await probe([...sentinels.slice(0, 2), stranger], {}, 'split')
    expect(result).toMatchObject(failedWith('assert', 'mismatch', 'redis_sentinel_split', `127.0.0.1:${master.port} (2), 127.0.0.1:${other.port} (1)`))
    expect(gaugeOf(result, 'probe_redis_sentinel_agreed_ratio')).toBeCloseTo(2 / 3)
    expect(gaugeOf(result, 'probe_redis_sentinel_master_info')).toBeUndefined()
    await other.stop()
  })

  it('have no quorum: a level, until fail_on names it', async () => {
    await watch(stranger, master, 'lonely', 2)
    const result = await probe([stranger], {}, 'lonely')
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_redis_sentinel_quorum_ok')).toBe(0)
    expect(await probe([stranger], { limits: { quorum_ok: { critical: 1 } }, fail_on: ['quorum_ok'] }, 'lonely')).toMatchObject(failedWith('assert', 'mismatch', 'limit_exceeded', 'quorum_ok is 0'))
  })
})

describe('logins and TLS', () => {
  const { good, caFile } = makeCertificates()
  let guarded: RedisServer
  let locked: RedisServer
  beforeAll(async () => {
    ;[guarded, locked] = await Promise.all([
      startRedis({ sentinel: true, args: ['--requirepass', 'sentinel-password'], adminPassword: 'sentinel-password' }),
      startRedis({ args: ['--requirepass', 'open-sesame'], adminPassword: 'open-sesame' }),
    ])
    await watch(guarded, locked, 'locked')
    await guarded.admin.call('SENTINEL', 'SET', 'locked', 'auth-pass', 'open-sesame')
    await guarded.admin.call('ACL', 'SETUSER', 'asker', 'on', '>asker-password', '-@all', '+sentinel|get-master-addr-by-name', '+sentinel|master', '+sentinel|ckquorum')
    await locked.admin.call('ACL', 'SETUSER', 'prober', 'on', '>prober-password', 'resetchannels', '~probe:*', '-@all', '+role', '+info', '+set', '+get', '+unlink')
  })
  const asker = { sentinel_username: 'asker', sentinel_password: 'asker-password' }

  it.each<[string, Record<string, unknown>, object]>([
    ['the right passwords', { sentinel_password: 'sentinel-password', password: 'open-sesame' }, { status: 'ok' }],
    ['users with just the rights that the manual lists', { ...asker, username: 'prober', password: 'prober-password' }, { status: 'ok' }],
    ['no password for the sentinels', { password: 'open-sesame' }, failedWith('auth', 'denied', 'redis_noauth', 'sentinel_password')],
    ['a wrong one', { ...asker, sentinel_password: 'wrong-password' }, failedWith('auth', 'denied', 'redis_wrongpass', 'sentinel_password')],
    ['no password for the master', asker, failedWith('auth', 'denied', 'redis_noauth', 'named by the sentinels as master of locked')],
    ['a wrong one for the master', { ...asker, password: 'wrong-password' }, failedWith('auth', 'denied', 'redis_wrongpass', 'named by the sentinels as master of locked')],
  ])('%s', async (_name, entry, expected) => {
    expect(await probe([guarded], entry, 'locked')).toMatchObject(expected)
  })

  it('TLS to the sentinels, to both, and certificates that do not verify', async () => {
    const secret = await startRedis({ tls: { ...good, caFile }, args: ['--tls-auth-clients', 'no'] })
    const veiled = await startRedis({ sentinel: true, tls: { ...good, caFile }, args: ['--tls-auth-clients', 'no'], config: [
      `sentinel monitor plain 127.0.0.1 ${master.port} 1`, `sentinel monitor secret 127.0.0.1 ${secret.port} 1`,
    ] })
    const mixed = await probe([veiled], { sentinel_tls: true, ca_file: caFile }, 'plain')
    expect(mixed).toMatchObject({ status: 'ok' })
    expect(gaugeOf(mixed, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(Date.now() / 1000)
    const both = await probe([veiled], { tls: true, ca_file: caFile }, 'secret')
    expect(both).toMatchObject({ status: 'ok' })
    expect(both.phases.map(({ name }) => name)).toEqual(['discover', 'resolve', 'connect', 'tls', 'request'])
    expect(both.gauges.filter(({ name }) => name.startsWith('probe_ssl_'))).toHaveLength(1)
    const untrusted = await probe([veiled], { tls: true }, 'secret')
    expect(untrusted).toMatchObject(failedWith('tls', 'untrusted', 'tls_unknown_ca', 'no sentinel names a master'))
    expect(gaugeOf(untrusted, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(Date.now() / 1000)
  })
})

describe('a failover', () => {
  it('fails while the sentinels name the dead master, and is ok with the new one', async () => {
    await master.process.stop('SIGKILL')
    expect(await probe(sentinels)).toMatchObject(failedWith('connect', 'refused', 'connect_refused', `127.0.0.1:${master.port}, named by the sentinels as master of mymaster: `))
    const result = await eventually(async () => {
      const now = await probe(sentinels)
      return now.status === 'ok' ? now : undefined
    }, 10_000, 'the failover')
    expect(gaugeOf(result, 'probe_redis_sentinel_master_info', { address: `127.0.0.1:${replica.port}` })).toBe(1)
    expect(gaugeOf(result, 'probe_redis_sentinel_connected_slaves')).toBe(0)
    expect(jobOf(redisSentinel, { target: targetOf(sentinels) }).host).toBe('127.0.0.1')
  })
})
