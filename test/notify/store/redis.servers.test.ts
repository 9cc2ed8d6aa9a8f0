import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../../src/core/secrets.ts'
import { LeaseLost, type Outbox } from '../../../src/notify/outbox.ts'
import { openRedisOutbox } from '../../../src/notify/store/redis.ts'
import { eventually, startProcess } from '../../support/process.ts'
import { startRedis, stopRedisServers, type RedisServer, type Settings } from '../../support/redis-server.ts'
import { listens } from '../../support/tcp.ts'
import { outboxContract } from './contract.ts'
import { PROPERTY_OPTIONS, expectSameAsModel } from './properties.ts'
import { firing, incomingOf, NOON, OPTIONS } from './samples.ts'

let server: RedisServer
let newest: RedisServer
beforeAll(async () => {
  server = await startRedis({ args: ['--appendonly', 'yes'] })
  newest = await startRedis({ newest: true, args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
})
afterAll(stopRedisServers)

const urlOf = ({ port }: RedisServer) => new Secret(`redis://127.0.0.1:${port}/0`)

for (const [name, of] of [['redis', () => server], ['the newest redis', () => newest]] as const) {
  outboxContract(name, async (options) => {
    await of().admin.flushall()
    const outbox = await openRedisOutbox({ url: urlOf(of()), prefix: 'curlew:notify:', durability: 'strict' }, { ...OPTIONS, ...options })
    return { outbox, close: () => outbox.close() }
  })
}

it('answers as a plain model does, whatever is done to it', async () => {
  await expectSameAsModel(async () => {
    await server.admin.flushall()
    const outbox = await openRedisOutbox({ url: urlOf(server), prefix: '', durability: 'strict' }, PROPERTY_OPTIONS)
    return { outbox, close: () => outbox.close() }
  }, 60)
}, 60_000)

describe('an outbox in Redis', () => {
  const outboxes: Outbox[] = []
  const servers: RedisServer[] = []
  afterEach(async () => {
    for (const outbox of outboxes.splice(0)) await outbox.close()
    for (const own of servers.splice(0)) await own.stop()
  })
  const start = async (args: readonly string[], settings: Settings = {}) => {
    const own = await startRedis({ args, ...settings })
    servers.push(own)
    return own
  }
  const open = async (target: RedisServer, { durability = 'strict', url = urlOf(target), entries = OPTIONS.entries }: { durability?: 'strict' | 'best-effort', url?: Secret, entries?: number } = {}) => {
    const outbox = await openRedisOutbox({ url, prefix: 'curlew:notify:', durability }, { ...OPTIONS, entries })
    outboxes.push(outbox)
    return outbox
  }

  it('is shared: one lease at a time, and writes of a holder that was overtaken are refused', async () => {
    await server.admin.flushall()
    const [one, two] = [await open(server), await open(server)]
    expect(await one.accept([incomingOf([firing('a')])], NOON)).toMatchObject({ queued: 1 })
    expect(await two.accept([incomingOf([firing('a')])], NOON + 5)).toMatchObject({ duplicates: 1 })
    const leases = await Promise.all([one, two, one, two].map((outbox) => outbox.lease('ops', 1_000, NOON)))
    expect(leases.filter(Boolean)).toHaveLength(1)
    const old = leases.find(Boolean)!
    const message = await one.freeze(old, (await one.queued('ops', 'age', 9)).map(({ id }) => id), ['{}'], false, NOON)
    const current = await two.lease('ops', 1_000, NOON + 1_000)
    await expect(one.partSent(old, message.id, NOON + 1_001)).rejects.toThrow(LeaseLost)
    expect(await two.messages('ops')).toEqual([message])
    await two.partSent(current!, message.id, NOON + 1_002)
    expect(await one.messages('ops')).toEqual([])
  })

  it('shares what a robot may send', async () => {
    await server.admin.flushall()
    const [one, two] = [await open(server), await open(server)]
    const leases = [await one.lease('ops', 1_000, NOON), await two.lease('dev', 1_000, NOON)]
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => [one, two][index % 2]!.take(leases[index % 2]!, 'robot', [{ messages: 4, perMs: 1_000 }], NOON)))
    expect(answers.filter(({ waitMs }) => waitMs === 0)).toHaveLength(4)
  })

  it('begins every key with the prefix, in one slot, and leaves none behind', async () => {
    await server.admin.flushall()
    const outbox = await open(server)
    await outbox.accept([incomingOf([firing('a')])], NOON)
    expect((await server.admin.keys('*')).every((key) => key.startsWith('{curlew:notify:outbox}:'))).toBe(true)
    const lease = await outbox.lease('ops', 1_000, NOON)
    const message = await outbox.freeze(lease!, (await outbox.queued('ops', 'age', 9)).map(({ id }) => id), ['{}'], false, NOON)
    await outbox.take(lease!, 'robot', [{ messages: 4, perMs: 1_000 }], NOON)
    await outbox.partSent(lease!, message.id, NOON)
    await outbox.sweep(NOON)
    const keys = await server.admin.keys('*')
    const lasting = []
    for (const key of keys) if (await server.admin.pttl(key) < 0) lasting.push(key.slice(key.indexOf('}:') + 2))
    expect(lasting.sort()).toEqual(['id', 'l:ops', 'message-id', 'send-id'])
    expect(keys).toHaveLength(6)
  })

  it('works on a node of a cluster', async () => {
    const node = await start(['--appendonly', 'yes'], { cluster: true })
    await node.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await eventually(async () => String(await node.admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    const outbox = await open(node)
    await outbox.accept([incomingOf([firing('a')])], NOON)
    const lease = await outbox.lease('ops', 1_000, NOON)
    await outbox.giveUp(lease!, (await outbox.queued('ops', 'age', 9)).map(({ id }) => id), { reason: 'gone', detail: '', handTo: 'dev' }, NOON)
    expect(await outbox.depths()).toMatchObject([{ channel: 'dev', waiting: 1 }, { channel: 'ops', dead: 1 }])
  })

  it('refuses a server that would lose what it acknowledged, unless told not to', async () => {
    const forgetful = await start([])
    await expect(open(forgetful)).rejects.toThrow('this Redis has no append-only file')
    expect(await (await open(forgetful, { durability: 'best-effort' })).accept([incomingOf([firing('a')])], NOON)).toMatchObject({ queued: 1 })

    const evicting = await start(['--appendonly', 'yes', '--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'])
    await expect(open(evicting)).rejects.toThrow('this Redis evicts keys when its memory is full (maxmemory-policy allkeys-lru)')
    const unlimited = await start(['--appendonly', 'yes', '--maxmemory-policy', 'allkeys-lru'])
    await open(unlimited)

    const replica = await start(['--appendonly', 'yes', '--replicaof', '127.0.0.1', String(server.port)])
    await expect(open(replica)).rejects.toThrow('this Redis is a replica')
  })

  it('needs no CONFIG, and tells a login that is wrong without telling the password', async () => {
    const strict = await start(['--appendonly', 'yes'], { config: ['user curlew on >hush-hush ~{curlew:notify:outbox}:* +@all -config', 'user blind on >hush-hush ~* +@all -info'] })
    const as = (user: string, password = 'hush-hush') => open(strict, { url: new Secret(`redis://${user}:${password}@127.0.0.1:${strict.port}`) })
    const outbox = await as('curlew')
    expect(await outbox.accept([incomingOf([firing('a')])], NOON)).toMatchObject({ queued: 1 })
    await expect(as('blind')).rejects.toThrow('this Redis does not tell whether it keeps what it acknowledges')
    const error: unknown = await as('curlew', 'wrong-word').catch((reason: unknown) => reason)
    expect(String(error)).toContain('Redis')
    expect(inspect(error, { depth: 9 })).not.toContain('wrong-word')
  })

  it('says that nobody listens', async () => {
    const gone = await start(['--appendonly', 'yes'])
    await gone.stop()
    await expect(open(gone)).rejects.toThrow(/^Redis cannot be reached: connect ECONNREFUSED/)
  })

  it('rejects within its deadline while Redis hangs, and goes on afterwards', async () => {
    const own = await start(['--appendonly', 'yes'])
    const outbox = await open(own)
    // The first use of a script takes two ways to the server and back.
    await outbox.accept([], NOON)
    own.process.child.kill('SIGSTOP')
    await expect(outbox.accept([incomingOf([firing('secret-label')])], NOON)).rejects.toThrow('Redis has not answered within 2 s')
    own.process.child.kill('SIGCONT')
    // The write that nobody waited for was done all the same: a repetition is a duplicate.
    expect(await eventually(() => outbox.accept([incomingOf([firing('secret-label')])], NOON + 1))).toMatchObject({ duplicates: 1 })
  })

  it('rejects at once while Redis is away, and finds it again with everything in it', async () => {
    const own = await start(['--appendonly', 'yes'])
    const outbox = await open(own)
    await outbox.accept([incomingOf([firing('a')])], NOON)
    await own.process.stop('SIGKILL')
    const error: unknown = await outbox.accept([incomingOf([firing('b')])], NOON).catch((reason: unknown) => reason)
    expect(String(error)).toMatch(/^RedisAway: Redis cannot be reached: /)
    expect(inspect(error, { depth: 9 })).not.toContain('kaputt')
    const again = await startProcess('redis-server', ['--port', String(own.port), '--bind', '127.0.0.1', '--dir', own.dir, '--save', '', '--appendonly', 'yes', '--set-proc-title', 'no'], { ready: () => listens(own.port) })
    try {
      expect(await eventually(() => outbox.waiting('ops'))).toEqual({ entries: 1, notifications: 1 })
    } finally {
      await again.stop('SIGKILL')
    }
  })

  it('refuses what does not fit into its memory, half-writes nothing, and can be drained', async () => {
    const small = await start(['--appendonly', 'yes', '--maxmemory', '4mb', '--maxmemory-policy', 'noeviction'])
    const outbox = await open(small, { entries: 100_000 })
    let accepted = 0
    const fill = async () => {
      for (;;) accepted += (await outbox.accept([incomingOf(Array.from({ length: 50 }, (_, index) => firing(`a${accepted + index}`)))], NOON)).queued
    }
    await expect(fill()).rejects.toThrow('Redis refuses: OOM')
    expect(accepted).toBeGreaterThan(0)
    expect(await outbox.depths()).toMatchObject([{ waiting: accepted }])
    const entries = (await outbox.queued('ops', 'age', 100_000)).map(({ id }) => id)
    expect(entries).toHaveLength(accepted)

    const lease = await outbox.lease('ops', 1_000, NOON)
    await outbox.take(lease!, 'robot', [{ messages: 1, perMs: 1_000 }], NOON)
    const message = await outbox.freeze(lease!, entries.slice(0, 500), ['{}', '{}'], true, NOON)
    await outbox.partSent(lease!, message.id, NOON)
    await outbox.partSent(lease!, message.id, NOON)
    await outbox.giveUp(lease!, entries.slice(500, 1_000), { reason: 'gone', detail: '', handTo: 'dev' }, NOON)
    await outbox.forget((await outbox.dead({ most: 1_000 })).map(({ id }) => id))
    expect(await outbox.accept([incomingOf([firing('again')])], NOON)).toMatchObject({ queued: 1 })
  })
})
