import { eventually } from './process.ts'
import { startRedis, type RedisServer, type Settings } from './redis-server.ts'

/** A server and a replica of it that is in step. */
export async function startPair(settings: Settings = {}): Promise<{ master: RedisServer, replica: RedisServer }> {
  const master = await startRedis({ ...settings, args: ['--repl-diskless-sync-delay', '0', ...settings.args ?? []] })
  const replica = await startRedis({ ...settings, args: ['--repl-diskless-sync-delay', '0', ...settings.args ?? [], '--replicaof', '127.0.0.1', String(master.port)] })
  await eventually(async () => (await master.admin.info('replication')).includes('state=online'), 10_000, 'the replica on its master')
  return { master, replica }
}

/** Three sentinels that watch the server under the name mymaster, take it for down after half a second, and know each other and the replica. */
export async function startSentinels(watched: RedisServer): Promise<[RedisServer, RedisServer, RedisServer]> {
  const start = () => startRedis({ sentinel: true })
  const sentinels = await Promise.all([start(), start(), start()])
  await Promise.all(sentinels.map((one) => watch(one, watched, 'mymaster', 2)))
  await eventually(async () => {
    const known = await Promise.all(sentinels.map(({ admin }) => admin.call('SENTINEL', 'MASTER', 'mymaster') as Promise<string[]>)) // safe: names and values in turn
    return known.every((fields) => fields.join(' ').includes('num-slaves 1 num-other-sentinels 2 '))
  }, 10_000, 'the sentinels of each other')
  return sentinels
}

export async function watch({ admin }: RedisServer, server: RedisServer, name: string, quorum = 1): Promise<void> {
  await admin.call('SENTINEL', 'MONITOR', name, '127.0.0.1', server.port, quorum)
  await admin.call('SENTINEL', 'SET', name, 'down-after-milliseconds', '500', 'failover-timeout', '2000')
}

/** Where the third of a cluster of three begins, and where the last one ends. */
export const THIRDS = [[0, 5460], [5461, 10922], [10923, 16383]] as const

/** A cluster of three masters, each with a third of the slots, that all of them take for well. */
export async function startCluster({ args = [], ...settings }: Settings = {}): Promise<[RedisServer, RedisServer, RedisServer]> {
  const start = () => startRedis({ ...settings, cluster: true, args: ['--cluster-node-timeout', '1000', '--cluster-allow-replica-migration', 'no', '--repl-diskless-sync-delay', '0', ...args] })
  const masters = await Promise.all([start(), start(), start()])
  for (const [index, { admin }] of masters.entries()) {
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', ...THIRDS[index]!)
  }
  await Promise.all(masters.slice(1).map((one) => meet(masters[0], one)))
  await Promise.all(masters.map(isWell))
  return masters
}

export async function meet(node: RedisServer, other: RedisServer): Promise<void> {
  const [, bus] = await other.admin.config('GET', 'cluster-port')
  await node.admin.call('CLUSTER', 'MEET', '127.0.0.1', other.port, bus!)
}

export async function isWell({ admin }: RedisServer): Promise<void> {
  await eventually(async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'), 10_000, 'the cluster')
}

export const idOf = async ({ admin }: RedisServer): Promise<string> => String(await admin.call('CLUSTER', 'MYID'))
