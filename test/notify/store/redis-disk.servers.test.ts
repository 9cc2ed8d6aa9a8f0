import { afterEach, expect, it } from 'vitest'
import { Secret } from '../../../src/core/secrets.ts'
import { NotSynced } from '../../../src/notify/outbox.ts'
import { openRedisOutbox } from '../../../src/notify/store/redis.ts'
import { createOwner } from '../../support/owner.ts'
import { eventually } from '../../support/process.ts'
import { startRedis, type RedisServer } from '../../support/redis-server.ts'
import { firing, incomingOf, NOON, OPTIONS } from './samples.ts'

const owner = createOwner()
afterEach(() => owner.end())

const TAKEN = { queued: 1, duplicates: 0, merged: 0 }

/** An outbox on a Redis that syncs its file by this policy. */
async function on(policy: 'always' | 'everysec' | 'no', newest = true) {
  const server = await owner.started(startRedis({ newest, args: ['--appendonly', 'yes', '--appendfsync', policy] }))
  const outbox = await owner.opened(openRedisOutbox({ url: new Secret(`redis://127.0.0.1:${server.port}`), prefix: '', durability: 'strict' }, OPTIONS))
  return { server, outbox }
}

/** How often it was asked whether its disk has something. */
async function waits({ admin }: RedisServer): Promise<number> {
  return Number(/cmdstat_waitaof:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
}

it('acknowledges what is on the disk of a Redis that syncs now and then', async () => {
  const { server, outbox } = await on('everysec')
  expect(await outbox.accept([incomingOf([firing('a')])], NOON)).toEqual(TAKEN)
  expect(await outbox.accept([incomingOf([firing('a')])], NOON)).toEqual({ queued: 0, duplicates: 1, merged: 0 })
  expect(await waits(server)).toBe(2)
})

it('does not acknowledge what is not', async () => {
  const { outbox } = await on('no')
  await expect(outbox.accept([incomingOf([firing('a')])], NOON)).rejects.toThrow(new NotSynced('Redis has not synced its append-only file within 1500 ms'))
})

it('writes more while the disk is waited for, 32 at a time, in the order given', async () => {
  const { server, outbox } = await on('no')
  const names = Array.from({ length: 36 }, (_, index) => `a${index}`)
  const happened: string[] = []
  const writing = names.map(async (name) => {
    const { durable } = await outbox.write([incomingOf([firing(name)])], NOON)
    happened.push(name)
    await durable.catch(() => happened.push('given up'))
  })
  await Promise.all(writing)
  expect(happened.slice(0, 33)).toEqual([...names.slice(0, 32), 'given up'])
  expect(happened.filter((name) => name !== 'given up')).toEqual(names)
  expect((await outbox.queued('ops', 'age', 99)).map(({ alert }) => alert.labels['alertname'])).toEqual(names)
  expect(await waits(server)).toBe(36)
})

it('asks nothing where every write is synced, or the version cannot tell', async () => {
  for (const { server, outbox } of [await on('always'), await on('everysec', false)]) {
    expect(await outbox.accept([incomingOf([firing('a')])], NOON)).toEqual(TAKEN)
    expect(await waits(server)).toBe(0)
  }
})

/** The outbox's connections that it has besides the one that reads. */
async function writers({ admin }: RedisServer): Promise<number> {
  return Number(/connected_clients:(\d+)/.exec(await admin.info('clients'))?.[1]) - 2
}

/** Has it open so many of them. */
async function withWriters(count: number) {
  const { server, outbox } = await on('no')
  const written = await Promise.all(Array.from({ length: count }, (_, index) => outbox.write([incomingOf([firing(`first ${index}`)])], NOON)))
  await Promise.all(written.map(({ durable }) => expect(durable).rejects.toThrow(NotSynced)))
  expect(await writers(server)).toBe(count)
  return { server, outbox, write: (name: string) => outbox.write([incomingOf([firing(name)])], NOON).then(({ accepted, durable }) => { durable.catch(() => {}); return accepted }) }
}

it('opens others where its connections have broken, at once', async () => {
  const { server, write } = await withWriters(3)
  await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  // Until they know: what the server had closed before it answered is read by then.
  for (let round = 0; round < 5; round++) await server.admin.ping()
  expect(await Promise.all([write('a'), write('b')])).toEqual([TAKEN, TAKEN])
})

it('writes no more by any connection to a Redis that is a replica now', async () => {
  const { server, write } = await withWriters(3)
  await server.admin.call('REPLICAOF', '127.0.0.1', '1')
  await expect(write('a')).rejects.toThrow(/READONLY/)
  await eventually(async () => await writers(server) === 0)
  await server.admin.call('REPLICAOF', 'NO', 'ONE')
  expect(await write('a')).toEqual(TAKEN)
})

it('has those behind a write that is not answered wait no longer than that one', async () => {
  const { server, write } = await withWriters(10)
  server.process.child.kill('SIGSTOP')
  const began = performance.now()
  const ends = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => write(`${index}`)))
  server.process.child.kill('SIGCONT')
  expect(ends.map((end) => end.status === 'rejected' && (end.reason as Error).name)).toEqual(Array(10).fill('RedisAway'))
  // Each by itself would have two seconds.
  expect(performance.now() - began).toBeLessThan(8_000)
  expect(await write('after')).toEqual(TAKEN)
})

it('opens none once it is closed', async () => {
  const { server, outbox } = await on('everysec')
  const late = outbox.write([incomingOf([firing('a')])], NOON)
  await outbox.close()
  await expect(late).rejects.toThrow(/closed/)
  await expect(outbox.write([incomingOf([firing('b')])], NOON)).rejects.toThrow(/closed/)
  await eventually(async () => await writers(server) === -1)
})
