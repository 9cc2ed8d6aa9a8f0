import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { hostPort, secret } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import type { SharedCode } from '../core/codes.ts'
import { dial, dialFields, dialGauges } from './lib/dial.ts'
import { REDIS_CODES, type RedisCode } from './lib/redis-codes.ts'
import type { RedisClient } from './lib/redis-client.ts'
import { lagBytes, numberOf, parseInfo, parseRole, roleOfInfo, type Info, type RoleFacts } from './lib/redis-info.ts'
import { checkTls, secure, tlsFailure, tlsFields, tlsGauges } from './lib/tls.ts'

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
  probe_redis_connected_slaves: 'Replicas that are connected to this server.',
  probe_redis_replication_lag_bytes: 'Replication stream not applied yet: on a master by its slowest connected replica, on a replica of what it has received.',
  probe_redis_master_link_up: 'On a replica: whether it is connected to its master.',
  probe_redis_master_last_io_seconds: 'On a replica: time since its master was last heard; absent while the link is down.',
}

type Context = ProbeContext<'resolve' | 'connect' | 'tls' | 'auth' | 'request', keyof typeof gauges, RedisCode | SharedCode>

/** The key is gone by itself after this, should its removal be forbidden or fail. */
const KEY_LIFETIME_MS = 30_000

const loadClient = () => import('./lib/redis-client.ts')

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
  },
  schemes: ['redis', 'rediss'],
  fromUrl(url) {
    const database = /^\/?(\d*)$/.exec(url.pathname)?.[1]
    if (database === undefined) throw new Error('expected the path of the URL to be the number of a database, as in redis://host/3')
    const query = Object.fromEntries(Array.from(url.searchParams, ([key, value]) => [key, ['true', 'false'].includes(value) ? value === 'true' : value]))
    return {
      ...query,
      target: url.host,
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
      ...(database === '' ? {} : { db: Number(database) }),
      ...(url.protocol === 'rediss:' ? { tls: true } : {}),
    }
  },
  example: { target: 'redis.example.org:6379', key_prefix: 'probe:' },

  load: loadClient,

  async run(options, probe) {
    const { openRedis } = await loadClient()
    const socket = await dial(probe, options.target, options)
    let client: RedisClient | undefined
    try {
      client = options.tls
        ? await openRedis(await secure(probe, socket, options.target.host, options), (error) => tlsFailure(error, options) ?? error)
        : await openRedis(socket)
      await login(client, options, probe)
      await request(client, options, probe)
    } finally {
      client?.close()
      socket.destroy()
    }
  },
})

/** A phase of its own, when there is anything to log in with. */
async function login(client: RedisClient, { username, password, db }: Options, probe: Context): Promise<void> {
  if (username === undefined && password === undefined && db === 0) return
  await probe.phase('auth', async () => {
    if (username !== undefined || password !== undefined) {
      await client.call('AUTH', ...(username === undefined ? [] : [username]), password?.reveal() ?? '')
    }
    if (db !== 0) await client.call('SELECT', db)
  })
}

/** The role decides what may be done: nothing is ever written to a replica, not even to a writable one. */
async function request(client: RedisClient, { key_prefix }: Options, probe: Context): Promise<void> {
  const key = `${key_prefix}{curlew:${probe.owner}}`
  await probe.phase('request', async () => {
    const reply = await ifAllowed(() => client.call('ROLE'))
    const role = reply instanceof ProbeFailure ? reply : parseRole(reply)
    if (role === undefined) return probe.fail('redis_protocol', 'ROLE is not answered as Redis answers it')
    const text = await ifAllowed(() => client.call('INFO'))
    const info = parseInfo(typeof text === 'string' ? text : '')
    const facts = role instanceof ProbeFailure ? roleOfInfo(info) ?? refused(role) : role
    exportFacts(facts, info, probe)
    if (facts.role === 'sentinel') return probe.fail('redis_sentinel', 'a Sentinel answers')
    if (probe.mode === 'read-only') await client.call('PING')
    else if (facts.role === 'replica') await client.call('GET', key)
    else await writeAndRead(client, key, probe)
  })
}

/** Without a role nothing may be written: then the refusal of ROLE is what is wrong. */
function refused(role: ProbeFailure): never {
  throw role
}

async function writeAndRead(client: RedisClient, key: string, probe: Context): Promise<void> {
  const nonce = randomUUID()
  await client.call('SET', key, nonce, 'PX', KEY_LIFETIME_MS)
  const value = await client.call('GET', key)
  // Clients suffer from a SET or GET that fails; a key that may not be removed goes by itself.
  await ifAllowed(() => client.call('UNLINK', key))
  probe.expect(value === nonce, 'redis_wrong_value', value === null ? 'the key that was just written is gone' : `wrote ${nonce}, read ${JSON.stringify(value).slice(0, 80)}`)
}

/** The reply, or the refusal where the user may not call the command or the server (or a proxy) does not have it. */
async function ifAllowed<T>(call: () => Promise<T>): Promise<T | ProbeFailure> {
  try {
    return await call()
  } catch (error) {
    const refused: readonly string[] = ['redis_noperm', 'redis_unknown_command'] satisfies RedisCode[]
    if (error instanceof ProbeFailure && refused.includes(error.code)) return error
    throw error
  }
}

/** What is not known (INFO forbidden, an older version) is not exported. */
function exportFacts({ role, linkUp }: RoleFacts, info: Info, probe: Context): void {
  const put = (name: keyof typeof gauges, value: number | undefined) => {
    if (value !== undefined) probe.gauge(name, value)
  }
  probe.gauge('probe_redis_info', 1, { role, redis_version: info.get('redis_version') ?? '', redis_mode: info.get('redis_mode') ?? '' })
  put('probe_redis_uptime_seconds', numberOf(info, 'uptime_in_seconds'))

  const clients = numberOf(info, 'connected_clients')
  const maxClients = numberOf(info, 'maxclients')
  put('probe_redis_connected_clients', clients)
  put('probe_redis_max_clients', maxClients)
  if (clients !== undefined && maxClients !== undefined && maxClients > 0) put('probe_redis_clients_ratio', clients / maxClients)
  put('probe_redis_blocked_clients', numberOf(info, 'blocked_clients'))

  const memory = numberOf(info, 'used_memory')
  const maxMemory = numberOf(info, 'maxmemory')
  put('probe_redis_memory_used_bytes', memory)
  put('probe_redis_memory_max_bytes', maxMemory)
  if (memory !== undefined && maxMemory !== undefined && maxMemory > 0) put('probe_redis_memory_ratio', memory / maxMemory)

  put('probe_redis_connected_slaves', numberOf(info, 'connected_slaves'))
  put('probe_redis_replication_lag_bytes', lagBytes(info))
  if (role !== 'replica') return
  put('probe_redis_master_link_up', linkUp === undefined ? undefined : Number(linkUp))
  const lastIo = numberOf(info, 'master_last_io_seconds_ago')
  put('probe_redis_master_last_io_seconds', lastIo !== undefined && lastIo >= 0 ? lastIo : undefined)
}
