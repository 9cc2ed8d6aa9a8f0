import { z } from 'zod'
import { hostPort, secret } from '../core/fields.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import type { SharedCode } from '../core/codes.ts'
import { wayTo } from '../core/way.ts'
import { dial, dialFields, dialGauges } from './lib/dial.ts'
import { REDIS_CODES, type RedisCode } from './lib/redis-codes.ts'
import type { RedisClient } from './lib/redis-client.ts'
import { evictsAny, lagBytes, numberOf, ratioOf, type Info, type RoleFacts } from './lib/redis-info.ts'
import { askServer, loadClient, logIn, openClient, useServer } from './lib/redis-server.ts'
import { optionsOfUrl } from './lib/redis-targets.ts'
import { checkTls, tlsFields, tlsGauges } from './lib/tls.ts'

const options = z.strictObject({
  target: hostPort(6379),
  username: z.string().min(1).describe('ACL user; it needs +role +info +set +get +unlink and the pattern of key_prefix; with mode read-only +role +info +ping; with db also +select').optional(),
  password: secret().describe('password of the user').optional(),
  db: z.int().min(0).default(0).describe('number of the database'),
  key_prefix: z.string().max(200).default('probe:').describe('what the one key that the probe writes begins with'),
  tls: z.boolean().default(false).describe('speak TLS; rediss:// sets it'),
  ...tlsFields,
  ...dialFields,
}).superRefine(checkTls)

type Options = z.output<typeof options>

const gauges = {
  ...dialGauges,
  ...tlsGauges,
  probe_redis_info: { help: 'Always 1; what answers: its role (master or replica), its version and its mode (standalone or cluster).', labels: ['role', 'redis_version', 'redis_mode'] },
  probe_redis_uptime_seconds: 'Time since the server started.',
  probe_redis_connected_clients: 'Client connections, without those of replicas.',
  probe_redis_max_clients: 'The limit of client connections (maxclients).',
  probe_redis_clients_ratio: 'Client connections over maxclients.',
  probe_redis_blocked_clients: 'Clients that wait in a blocking command.',
  probe_redis_memory_used_bytes: 'Memory that Redis has allocated (used_memory).',
  probe_redis_memory_max_bytes: 'The limit of that memory (maxmemory); 0 is no limit.',
  probe_redis_memory_ratio: 'Memory used over maxmemory; absent without a limit.',
  probe_redis_evicts_any: 'Whether it evicts any key at maxmemory (a policy allkeys-…), so that full is how it works; absent without a limit.',
  probe_redis_connected_slaves: 'Replicas that are connected to this server.',
  probe_redis_replication_lag_bytes: 'Replication stream not applied yet: on a master by its slowest connected replica, on a replica of what it has received.',
  probe_redis_master_link_up: 'On a replica: whether it is connected to its master.',
  probe_redis_master_last_io_seconds: 'On a replica: time since its master was last heard; absent while the link is down.',
}

type Context = ProbeContext<'resolve' | 'connect' | 'tls' | 'auth' | 'request', keyof typeof gauges, RedisCode | SharedCode>

export const redis = defineProbe({
  type: 'redis',
  summary: 'A Redis server: login, role, and on a master a value written, read back and removed',
  options,
  phases: { resolve: 'resolve', connect: 'connect', tls: 'tls', auth: 'auth', request: 'request' },
  gauges,
  codes: REDIS_CODES,
  levels: {
    memory_ratio: { gauge: 'probe_redis_memory_ratio', worse: 'above' },
    clients_ratio: { gauge: 'probe_redis_clients_ratio', worse: 'above' },
    replication_lag_bytes: { gauge: 'probe_redis_replication_lag_bytes', worse: 'above' },
    master_link_up: { gauge: 'probe_redis_master_link_up', worse: 'below' },
  },
  schemes: ['redis', 'rediss'],
  fromUrl(url) {
    const database = /^\/?(\d*)$/.exec(url.pathname)?.[1]
    if (database === undefined) throw new Error('expected the path of the URL to be the number of a database, as in redis://host/3')
    return { ...optionsOfUrl(url), target: url.host, ...(database === '' ? {} : { db: Number(database) }) }
  },
  ways: (options) => wayTo(options, options.tls ? options : undefined),
  example: { target: 'redis.example.org:6379', key_prefix: 'probe:' },

  load: loadClient,

  async run(options, probe) {
    const socket = await dial(probe, options.target, options)
    let client: RedisClient | undefined
    try {
      client = await openClient(probe, socket, options.target.host, options)
      await logIn(probe, client, options)
      await request(client, options, probe)
    } finally {
      client?.close()
      socket.destroy()
    }
  },
})

async function request(client: RedisClient, { key_prefix }: Options, probe: Context): Promise<void> {
  await probe.phase('request', async () => {
    const { facts, info } = await askServer(client)
    exportFacts(facts, info, probe)
    if (facts.role === 'sentinel') return probe.fail('redis_sentinel', 'a Sentinel answers')
    await useServer(client, facts, probe.mode, `${key_prefix}{curlew:${probe.owner}}`)
  })
}

/** What is not known (INFO forbidden, an older version) is not exported. */
function exportFacts({ role, linkUp }: RoleFacts, info: Info, probe: Context): void {
  const put = (name: keyof typeof gauges, value: number | undefined) => {
    if (value !== undefined) probe.gauge(name, value)
  }
  probe.gauge('probe_redis_info', 1, { role, redis_version: info.get('redis_version') ?? '', redis_mode: info.get('redis_mode') ?? '' })
  put('probe_redis_uptime_seconds', numberOf(info, 'uptime_in_seconds'))

  put('probe_redis_connected_clients', numberOf(info, 'connected_clients'))
  put('probe_redis_max_clients', numberOf(info, 'maxclients'))
  put('probe_redis_clients_ratio', ratioOf(info, 'connected_clients', 'maxclients'))
  put('probe_redis_blocked_clients', numberOf(info, 'blocked_clients'))
  put('probe_redis_memory_used_bytes', numberOf(info, 'used_memory'))
  put('probe_redis_memory_max_bytes', numberOf(info, 'maxmemory'))
  put('probe_redis_memory_ratio', ratioOf(info, 'used_memory', 'maxmemory'))
  put('probe_redis_evicts_any', evictsAny(info))
  put('probe_redis_connected_slaves', numberOf(info, 'connected_slaves'))
  put('probe_redis_replication_lag_bytes', lagBytes(info))
  if (role !== 'replica') return
  put('probe_redis_master_link_up', linkUp === undefined ? undefined : Number(linkUp))
  const lastIo = numberOf(info, 'master_last_io_seconds_ago')
  put('probe_redis_master_last_io_seconds', lastIo !== undefined && lastIo >= 0 ? lastIo : undefined)
}
