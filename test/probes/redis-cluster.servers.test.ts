import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redisCluster } from '../../src/probes/redis-cluster.ts'
import { eventually, freePort } from '../support/process.ts'
import { idOf, isWell, meet, startCluster } from '../support/redis-groups.ts'
import { callsOf, startRedis, stopRedisServers, type RedisServer } from '../support/redis-server.ts'
import { gaugeOf, probeOnce } from './contract.ts'

type At = { readonly port: number }

const address = ({ port }: At) => `127.0.0.1:${port}`
const probe = (seeds: readonly At[], entry: Record<string, unknown> = {}) => probeOnce(redisCluster, { target: seeds.map(address).join(','), ...entry })
const failedWith = (layer: string, reason: string, code: string, message = '') => ({ status: 'failed', failure: { layer, reason, code, message: expect.stringContaining(message) as unknown } })
const connections = async ({ admin }: RedisServer) => String(await admin.call('CLIENT', 'LIST')).trim().split('\n').length

let masters: [RedisServer, RedisServer, RedisServer]
let replica: RedisServer
const each = <T>(work: (server: RedisServer) => Promise<T>): Promise<T[]> => Promise.all(masters.map(work))

beforeAll(async () => {
  masters = await startCluster()
  replica = await startRedis({ cluster: true })
  await meet(masters[0], replica)
  const id = await idOf(masters[0])
  await eventually(() => replica.admin.call('CLUSTER', 'REPLICATE', id).then(() => true, () => false), 10_000, 'the replica')
  // A replica that has received nothing yet is not told to clients.
  await eventually(async () => {
    await masters[0].admin.flushall()
    const maps = await each(({ admin }) => admin.call('CLUSTER', 'SLOTS'))
    return maps.every((map) => String(map).includes(String(replica.port)))
  }, 10_000, 'the replica in the slot map of every master')
  await isWell(replica)
})
afterAll(stopRedisServers)

describe('a cluster of three masters', () => {
  it('is ok, each master is written to once, and nothing is kept: no key, no connection', async () => {
    const before = await each(connections)
    await each(({ admin }) => admin.config('RESETSTAT'))
    const result = await probe(masters)
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'discover', 'request'])
    expect(result.gauges).toEqual([
      ...Object.entries({ state: 1, known_nodes: 4, slots_assigned: 16_384, slots_ok: 16_384, slots_pfail: 0, slots_fail: 0, masters: 3, least_replicas: 0 })
        .map(([name, value]) => ({ name: `probe_redis_cluster_${name}`, value })),
      ...masters.map(() => ({ name: 'probe_redis_cluster_master_up', value: 1, labels: { master: expect.any(String) as unknown } })),
      { name: 'probe_redis_cluster_masters_up', value: 3 },
    ])
    for (const master of masters) expect(gaugeOf(result, 'probe_redis_cluster_master_up', { master: address(master) })).toBe(1)
    for (const calls of await each(callsOf)) expect(calls).toMatchObject({ set: 1, get: 1, unlink: 1 })
    expect(await each(({ admin }) => admin.dbsize())).toEqual([0, 0, 0])
    await eventually(async () => String(await each(connections)) === String(before), 5_000, 'the end of every connection')
  })

  it('is written to with one key for each master, always the same, that goes by itself', async () => {
    await each(({ admin }) => admin.call('ACL', 'SETUSER', 'keeper', 'on', '>keeper-password', 'resetchannels', '~probe:*', '-@all', '+cluster|info', '+cluster|slots', '+role', '+set', '+get'))
    for (let run = 0; run < 2; run++) expect(await probe(masters, { username: 'keeper', password: 'keeper-password' })).toMatchObject({ status: 'ok' })
    for (const keys of await each(({ admin }) => admin.keys('*'))) expect(keys).toEqual([expect.stringMatching(/^probe:\{[0-9a-z]+\}curlew:test:[0-9a-f]{12}$/)])
    for (const left of await each(async ({ admin }) => admin.pttl((await admin.keys('*'))[0] ?? ''))) expect(left).toBeGreaterThan(0)
    await each(({ admin }) => admin.flushall())
  })

  it('is only asked in read-only mode', async () => {
    await each(({ admin }) => admin.config('RESETSTAT'))
    expect(await probe(masters, { mode: 'read-only' })).toMatchObject({ status: 'ok' })
    for (const calls of await each(callsOf)) {
      expect(calls).toHaveProperty('ping')
      expect(calls).not.toHaveProperty('set')
      expect(calls).not.toHaveProperty('get')
    }
  })

  it('is found through a replica, and behind a node that is down', async () => {
    expect(await probe([replica])).toMatchObject({ status: 'ok' })
    expect(await replica.admin.dbsize()).toBe(0)
    expect(await probe([{ port: await freePort() }, masters[2]])).toMatchObject({ status: 'ok' })
  })

  it('tells how full its fullest master is', async () => {
    await masters[1].admin.config('SET', 'maxmemory', '100mb')
    const result = await probe(masters)
    expect(gaugeOf(result, 'probe_redis_cluster_memory_ratio')).toBeGreaterThan(0)
    expect(gaugeOf(result, 'probe_redis_cluster_memory_ratio')).toBeLessThan(1)
    expect(gaugeOf(result, 'probe_redis_cluster_evicts_any')).toBe(0)
    await masters[1].admin.config('SET', 'maxmemory-policy', 'allkeys-lfu')
    expect(gaugeOf(await probe(masters), 'probe_redis_cluster_evicts_any')).toBe(1)
    await masters[1].admin.config('SET', 'maxmemory-policy', 'noeviction')
    await masters[1].admin.config('SET', 'maxmemory', '0')
  })

  it('refuses a wrong login, and serves users with just the rights that the manual lists', async () => {
    await each(({ admin }) => admin.call('ACL', 'SETUSER', 'prober', 'on', '>prober-password', 'resetchannels', '~probe:*', '-@all', '+cluster|info', '+cluster|slots', '+role', '+info', '+set', '+get', '+unlink'))
    await each(({ admin }) => admin.call('ACL', 'SETUSER', 'watcher', 'on', '>watcher-password', 'resetchannels', '-@all', '+cluster|info', '+cluster|slots', '+role', '+info', '+ping'))
    expect(await probe(masters, { username: 'prober', password: 'prober-password' })).toMatchObject({ status: 'ok' })
    expect(await probe(masters, { username: 'watcher', password: 'watcher-password', mode: 'read-only' })).toMatchObject({ status: 'ok' })
    expect(await probe(masters, { username: 'watcher', password: 'watcher-password' })).toMatchObject(failedWith('auth', 'denied', 'redis_noperm', '3 of 3 masters fail: '))
    expect(await probe(masters, { username: 'prober', password: 'wrong-password' })).toMatchObject(failedWith('auth', 'denied', 'redis_wrongpass', 'no listed node tells the slot map'))
  })

  it('of which no listed node tells the slot map, or one that is none', async () => {
    expect(await probe([{ port: await freePort() }, { port: await freePort() }])).toMatchObject(failedWith('connect', 'refused', 'connect_refused', 'no listed node tells the slot map: 127.0.0.1:'))
    const single = await startRedis()
    expect(await probe([single])).toMatchObject(failedWith('request', 'unsupported', 'redis_not_cluster'))
    await single.stop()
  })
})

describe('slots', () => {
  it('that are handed over are no failure while the master has others', async () => {
    const [from, to] = masters
    const [fromId, toId] = await Promise.all([idOf(from), idOf(to)])
    await to.admin.call('CLUSTER', 'SETSLOT', 0, 'IMPORTING', fromId)
    await from.admin.call('CLUSTER', 'SETSLOT', 0, 'MIGRATING', toId)
    expect(await probe(masters)).toMatchObject({ status: 'ok' })
    await from.admin.call('CLUSTER', 'SETSLOT', 5460, 'MIGRATING', toId)
    expect(await probe(masters)).toMatchObject(failedWith('assert', 'mismatch', 'redis_cluster_redirects', `1 of 3 masters fails: ${address(from)} (slots 0-5460): ASK 5460 `))
    await from.admin.call('CLUSTER', 'SETSLOT', 5460, 'STABLE')
    // The end of the handover, as redis-cli does it.
    await to.admin.call('CLUSTER', 'SETSLOT', 0, 'NODE', toId)
    await from.admin.call('CLUSTER', 'SETSLOT', 0, 'NODE', toId)
    expect(await probe([from])).toMatchObject({ status: 'ok' })
  })

  it('that belong to nobody fail, whether or not the cluster lives with it', async () => {
    const [, , last] = masters
    await last.admin.call('CLUSTER', 'DELSLOTS', 16_383)
    expect(await probe([last])).toMatchObject(failedWith('request', 'unavailable', 'redis_cluster_uncovered', '1 of 16384 slots belong to no node'))
    await last.admin.config('SET', 'cluster-require-full-coverage', 'no')
    await eventually(async () => String(await last.admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    const result = await probe([last])
    expect(result).toMatchObject(failedWith('request', 'unavailable', 'redis_cluster_uncovered', '1 of 16384 slots belong to no node'))
    expect(gaugeOf(result, 'probe_redis_cluster_state')).toBe(1)
    expect(gaugeOf(result, 'probe_redis_cluster_slots_assigned')).toBe(16_383)
    expect(gaugeOf(result, 'probe_redis_cluster_masters_up')).toBe(3)
    await last.admin.config('SET', 'cluster-require-full-coverage', 'yes')
    await last.admin.call('CLUSTER', 'ADDSLOTS', 16_383)
    await isWell(last)
  })
})

describe('a master', () => {
  it('that hangs fails the run by its name, the others are well', async () => {
    const [seed, hung, other] = masters
    hung.process.child.kill('SIGSTOP')
    const result = await probe([seed], { timeout: '800ms' })
    hung.process.child.kill('SIGCONT')
    expect(result).toMatchObject(failedWith('request', 'timeout', 'request_timeout', `1 of 3 masters fails: ${address(hung)} (slots 0, 5461-10922): no answer within `))
    for (const [master, up] of [[seed, 1], [hung, 0], [other, 1]] as const) expect(gaugeOf(result, 'probe_redis_cluster_master_up', { master: address(master) })).toBe(up)
    expect(gaugeOf(result, 'probe_redis_cluster_masters_up')).toBe(2)
    await each(isWell)
  })

  it('that is gone is refused at once, and takes the cluster down when its time is over', async () => {
    const [seed, , gone] = masters
    await gone.process.stop('SIGKILL')
    const at = `1 of 3 masters fails: ${address(gone)} (slots 10923-16383): connect ECONNREFUSED`
    const result = await probe([seed])
    expect(result).toMatchObject(failedWith('connect', 'refused', 'connect_refused', at))
    expect(gaugeOf(result, 'probe_redis_cluster_state')).toBe(1)
    await eventually(async () => String(await seed.admin.call('CLUSTER', 'INFO')).includes('cluster_state:fail'), 10_000, 'the end of the cluster')
    const down = await probe([seed])
    expect(down).toMatchObject(failedWith('request', 'unavailable', 'redis_clusterdown', `cluster_state is fail by ${address(seed)}; ${at}`))
    expect(gaugeOf(down, 'probe_redis_cluster_state')).toBe(0)
    expect(gaugeOf(down, 'probe_redis_cluster_slots_fail')).toBe(5_461)
    expect(gaugeOf(down, 'probe_redis_cluster_masters_up')).toBe(2)

    // A cluster that lives without full coverage is still no good to those whose keys are in those slots.
    const left = masters.slice(0, 2)
    await Promise.all(left.map(({ admin }) => admin.config('SET', 'cluster-require-full-coverage', 'no')))
    await Promise.all(left.map(isWell))
    expect(await probe([seed])).toMatchObject(failedWith('connect', 'refused', 'connect_refused', at))
  })
})
