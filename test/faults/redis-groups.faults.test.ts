import { afterAll, beforeAll, describe } from 'vitest'
import { eventually, freePort } from '../support/process.ts'
import { idOf, isWell, startCluster, watch } from '../support/redis-groups.ts'
import { startRedis, stopRedisServers, type RedisServer } from '../support/redis-server.ts'
import { failed, faultTable, ok, type Entry, type Trial } from './table.ts'

type At = { readonly port: number }
type Three = readonly [RedisServer, RedisServer, RedisServer]

const addresses = (servers: readonly At[]) => servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
const failing = (level: string, critical: number): Entry => ({ limits: { [level]: { critical } }, fail_on: [level] })

afterAll(stopRedisServers)

describe('sentinel', () => {
  let master: RedisServer
  let replica: RedisServer
  /** Each has been told other things than the other one. */
  let one: RedisServer
  let other: RedisServer
  let guarded: RedisServer
  beforeAll(async () => {
    ;[master, one, other, guarded] = await Promise.all([
      startRedis(), startRedis({ sentinel: true }), startRedis({ sentinel: true }),
      startRedis({ sentinel: true, args: ['--requirepass', 'sentinel-password'] }),
    ])
    replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
    const stranger = await startRedis()
    await Promise.all([
      watch(one, master, 'split'), watch(other, stranger, 'split'),
      watch(one, stranger, 'alone'), watch(one, replica, 'demoted'), watch(one, master, 'outvoted', 2),
      freePort().then((port) => one.admin.call('SENTINEL', 'MONITOR', 'dead', '127.0.0.1', port, 1)),
    ])
  })

  const named = (name: string, sentinels: readonly At[] = [one], more: Entry = {}): Trial => ({ probe: { type: 'redis-sentinel', target: `${addresses(sentinels)}/${name}`, ...more } })
  const oneOfTwo = async (more: Entry = {}) => named('alone', [one, { port: await freePort() }], more)

  faultTable('sentinel', [
    { fault: 'no sentinel knows a master of that name', make: () => named('nobody', [one, other]), expected: failed('request', 'not_found', 'redis_no_such_master', { probe_redis_sentinel_reachable: 2 }) },
    { fault: 'the master that they name is gone', make: () => named('dead'), expected: failed('connect', 'refused', 'connect_refused', { probe_redis_sentinel_reachable: 1 }) },
    { fault: 'the master that they name is a replica', make: () => named('demoted'), expected: failed('assert', 'mismatch', 'redis_sentinel_not_master') },
    { fault: 'they name two masters', make: () => named('split', [one, other]), expected: failed('assert', 'mismatch', 'redis_sentinel_split', { probe_redis_sentinel_agreed_ratio: 0.5 }) },
    { fault: 'all sentinels are down', make: async () => named('alone', [{ port: await freePort() }, { port: await freePort() }]), expected: failed('connect', 'refused', 'connect_refused', { probe_redis_sentinel_reachable: 0 }) },
    { fault: 'the only sentinel is stopped', make: () => { other.process.child.kill('SIGSTOP'); return named('split', [other], { timeout: '1s' }) }, expected: failed('request', 'timeout', 'request_timeout'), undo: () => other.process.child.kill('SIGCONT') },
    { fault: 'they want a password', make: () => named('alone', [guarded]), expected: failed('auth', 'denied', 'redis_noauth') },
    { fault: 'a Redis server answers, no Sentinel', make: () => named('alone', [master]), expected: failed('request', 'unsupported', 'redis_not_sentinel') },
    { fault: 'one of two sentinels is down', make: () => oneOfTwo(), expected: ok({ probe_redis_sentinel_configured: 2, probe_redis_sentinel_reachable: 1 }) },
    { fault: 'one of two sentinels is down, and fail_on names that', make: () => oneOfTwo(failing('reachable', 2)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_sentinel_reachable: 1 }) },
    { fault: 'no quorum', make: () => named('outvoted'), expected: ok({ probe_redis_sentinel_quorum_ok: 0 }) },
    { fault: 'no quorum, and fail_on names that', make: () => named('outvoted', [one], failing('quorum_ok', 1)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_sentinel_quorum_ok: 0 }) },
    { fault: 'no replica to fail over to', make: () => named('alone'), expected: ok({ probe_redis_sentinel_connected_slaves: 0 }) },
    { fault: 'no replica to fail over to, and fail_on names that', make: () => named('alone', [one], failing('connected_slaves', 1)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_sentinel_connected_slaves: 0 }) },
  ])
})

describe('cluster', () => {
  let masters: Three
  /** A node that belongs to no cluster yet. */
  let empty: RedisServer
  let single: RedisServer
  /** How long a node may be silent before the others take it for dead. */
  const patience = (ms: number, nodes: readonly RedisServer[] = masters) => Promise.all(nodes.map(({ admin }) => admin.config('SET', 'cluster-node-timeout', ms)))
  beforeAll(async () => {
    ;[masters, empty, single] = await Promise.all([startCluster(), startRedis({ cluster: true }), startRedis()])
    await patience(30_000)
  })

  const seen = (seeds: readonly At[] = masters, more: Entry = {}): Trial => ({ probe: { type: 'redis-cluster', target: addresses(seeds), ...more } })
  const node = (server: At, more: Entry = {}): Trial => ({ probe: { type: 'redis', target: addresses([server]), ...more } })

  async function loseSlot(): Promise<Trial> {
    const [, , last] = masters
    await last.admin.call('CLUSTER', 'DELSLOTS', 16_383)
    return seen([last])
  }
  async function findSlot(): Promise<void> {
    const [, , last] = masters
    await last.admin.call('CLUSTER', 'ADDSLOTS', 16_383)
    await isWell(last)
  }

  /** The first and the last slot of a master are being handed over, and that does not come to an end. */
  async function getStuck(): Promise<Trial> {
    const [from, to] = masters
    const id = await idOf(to)
    for (const slot of [0, 5460]) await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', id)
    return seen()
  }
  async function comeLoose(): Promise<void> {
    for (const slot of [0, 5460]) await masters[0].admin.call('CLUSTER', 'SETSLOT', slot, 'STABLE')
  }

  async function lose(): Promise<Trial> {
    await masters[2].process.stop('SIGKILL')
    return seen([masters[0]])
  }
  async function goDown(): Promise<Trial> {
    const trial = await lose()
    const [first, second] = masters
    await patience(500, [first, second])
    await eventually(async () => String(await first.admin.call('CLUSTER', 'INFO')).includes('cluster_state:fail'), 10_000, 'the end of the cluster')
    return trial
  }

  faultTable('cluster', [
    { fault: 'a slot belongs to no node', make: loseSlot, expected: failed('request', 'unavailable', 'redis_cluster_uncovered', { probe_redis_cluster_slots_assigned: 16_383 }), undo: findSlot },
    { fault: 'the handover of slots is stuck', make: getStuck, expected: failed('assert', 'mismatch', 'redis_cluster_redirects', { probe_redis_cluster_masters_up: 2 }), undo: comeLoose },
    { fault: 'one of three masters has no memory left', make: () => masters[1].admin.config('SET', 'maxmemory', '100kb').then(() => seen()), expected: failed('request', 'overloaded', 'redis_oom', { probe_redis_cluster_masters_up: 2 }), undo: () => masters[1].admin.config('SET', 'maxmemory', '0') },
    { fault: 'no master has a replica', make: () => seen(), expected: ok({ probe_redis_cluster_least_replicas: 0 }) },
    { fault: 'no master has a replica, and fail_on names that', make: () => seen(masters, failing('least_replicas', 1)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_cluster_least_replicas: 0 }) },
    { fault: 'the server is no node of a cluster', make: () => seen([single]), expected: failed('request', 'unsupported', 'redis_not_cluster') },
    { fault: 'a node without slots, looked at alone: CLUSTERDOWN', make: () => node(empty), expected: failed('request', 'unavailable', 'redis_clusterdown') },
    // The slot of this tag is 15495, the last third.
    { fault: 'the key is on another node: MOVED', make: () => node(masters[0], { key_prefix: '{a}' }), expected: failed('request', 'unsupported', 'redis_moved') },
    { fault: 'a database, which a cluster does not have', make: () => node(masters[0], { db: 1 }), expected: failed('request', 'unsupported', 'redis_select_in_cluster') },
    { fault: 'one of three masters is stopped', make: () => { masters[1].process.child.kill('SIGSTOP'); return seen([masters[0]], { timeout: '1s' }) }, expected: failed('request', 'timeout', 'request_timeout', { probe_redis_cluster_masters_up: 2 }), undo: () => masters[1].process.child.kill('SIGCONT') },
    // From here on the cluster is broken.
    { fault: 'one of three masters is dead', make: lose, expected: failed('connect', 'refused', 'connect_refused', { probe_redis_cluster_state: 1, probe_redis_cluster_masters_up: 2 }) },
    { fault: 'the cluster is down, for a master is dead', make: goDown, expected: failed('request', 'unavailable', 'redis_clusterdown', { probe_redis_cluster_state: 0, probe_redis_cluster_slots_fail: 5_461 }) },
  ])
})
