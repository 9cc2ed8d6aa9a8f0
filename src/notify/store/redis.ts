import type { Secret } from '../../core/secrets.ts'
import type { Lease, OutboxOptions, SharedOutbox } from '../outbox.ts'
import { candidatesOf } from './candidates.ts'
import { checkKeeping } from './redis-checks.ts'
import { connectRedis, listOf, type RedisConnection } from './redis-connection.ts'
import type { ScriptName } from './redis-scripts.ts'
import { createWaits, type RedisWaits } from './redis-waits.ts'
import { DEAD_COLUMNS, deadEntryOf, ENTRY_COLUMNS, entryOf, messageOf, type Stored } from './restore.ts'

export interface RedisOutboxOptions {
  readonly url: Secret
  /** What every key begins with. */
  readonly prefix: string
  /** `strict` refuses a server that would lose what it has acknowledged. */
  readonly durability: 'strict' | 'best-effort'
}

const MESSAGE_COLUMNS = ['id', 'channel', 'parts', 'sent', 'attempts', 'next_at', 'digest'] as const
/** What one `sweep` removes at most. */
const SWEEP_ENTRIES = 1_000
/** States expire by the clock of Redis: late enough that it need not agree with ours. */
const STATE_SPARE_MS = 60_000

/**
 * The outbox on the user's own Redis, for several replicas. Rejects with a sentence where it cannot be reached or used, as
 * every call does while it is away. What is accepted or sent again waits for the server's disk where the server can say so;
 * with `appendfsync everysec` before Redis 7.2 a power failure of its machine costs the last second.
 */
export async function openRedisOutbox({ url, prefix, durability }: RedisOutboxOptions, { dedupMs, entries: limit, keepDeadMs }: OutboxOptions): Promise<SharedOutbox> {
  const redis = await connectRedis(url)
  const waits = durability === 'strict' ? await waitsFor(redis, url) : undefined
  const base = `{${prefix}outbox}:`
  const run = (script: ScriptName, ...args: readonly (string | number)[]) => redis.run(script, base, args)
  const runWritten = async (script: ScriptName, ...args: readonly (string | number)[]) => (waits
    ? await waits.write((connection) => connection.run(script, base, args))
    : { result: await run(script, ...args), synced: Promise.resolve() })
  const runKept = async (script: ScriptName, ...args: readonly (string | number)[]) => {
    const { result, synced } = await runWritten(script, ...args)
    await synced
    return result
  }
  const roomOf = ([waitMs, left]: readonly unknown[]) => ({ waitMs: Number(waitMs), left: Number(left) })
  const holder = ({ channel, fence }: Lease) => [channel, fence] as const

  const write: SharedOutbox['write'] = async (incoming, now) => {
    const candidates = candidatesOf(incoming).flatMap(({ acceptance, item, route, channel, alert, firing, reminder, rank }) => [
      acceptance, item, route, channel, alert.fingerprint, Number(firing), Number(reminder), rank, JSON.stringify(alert),
    ])
    const contexts = incoming.map(({ context }) => JSON.stringify(context))
    const { result: [queued, duplicates, merged], synced } = await runWritten('accept', now, dedupMs, limit, dedupMs + STATE_SPARE_MS, contexts.length, ...contexts, ...candidates)
    return { accepted: { queued: Number(queued), duplicates: Number(duplicates), merged: Number(merged) }, durable: synced }
  }

  return {
    async accept(incoming, now) {
      const { accepted, durable } = await write(incoming, now)
      await durable
      return accepted
    },
    write,
    async lease(channel, ms, now) {
      const [fence] = await run('lease', channel, ms, now)
      return fence === undefined ? undefined : { channel, fence: Number(fence) }
    },
    async renew(lease, ms, now) { await run('renew', ...holder(lease), ms, now) },
    async release(lease) { await run('release', ...holder(lease)) },
    async queued(channel, order, most) {
      const [rows] = await run('queued', channel, order === 'age' ? 'q' : 's', most, ...ENTRY_COLUMNS)
      return rowsOf(rows, ENTRY_COLUMNS).map(entryOf)
    },
    async waiting(channel) {
      const [entries, notifications] = await run('waiting', channel, Date.now())
      return { entries: Number(entries), notifications: Number(notifications) }
    },
    async letFirst(channel, replica, ms) { await run('letFirst', channel, replica, Date.now(), ms) },
    async messages(channel) {
      const [messages] = await run('messages', channel, ...ENTRY_COLUMNS)
      return listOf(messages).map(readMessage)
    },
    async freeze(lease, entries, parts, digest, now) {
      if (entries.length === 0 || parts.length === 0) throw new Error('a message has entries and parts')
      const [message] = await run('freeze', ...holder(lease), JSON.stringify(parts), parts.length, Number(digest), now, ENTRY_COLUMNS.length, ...ENTRY_COLUMNS, ...entries)
      return readMessage(message)
    },
    async take(lease, robot, rates, now) {
      return roomOf(await run('take', ...holder(lease), robot, now, ...rates.flatMap(({ messages, perMs }) => [messages, perMs])))
    },
    async room(robot, rates, now) {
      return roomOf(await run('room', robot, now, ...rates.flatMap(({ messages, perMs }) => [messages, perMs])))
    },
    async pause(robot, until) { await run('pause', robot, until) },
    async partSent(lease, message, now, sent) { await run('partSent', ...holder(lease), message, now, sent ?? '') },
    async postpone(lease, message, nextAt) { await run('postpone', ...holder(lease), message, nextAt) },
    async thaw(lease, message, told) { await run('thaw', ...holder(lease), message, Number(told !== undefined), ...told ?? []) },
    async giveUp(lease, entries, { reason, detail, handTo }, now) {
      await run('giveUp', ...holder(lease), reason, detail, handTo ?? '', now, limit, ...entries)
    },
    async depths() {
      const [rows] = await run('depths')
      return listOf(rows).map((row) => {
        const [channel, waiting, dead, oldest] = listOf(row)
        return { channel: String(channel), waiting: Number(waiting), dead: Number(dead), ...(typeof oldest === 'string' ? { oldestAt: Number(oldest) } : {}) }
      })
    },
    async dead({ channel, after, most }) {
      const [rows] = await run('dead', channel ?? '', after ?? 0, most, ...DEAD_COLUMNS)
      return rowsOf(rows, DEAD_COLUMNS).map(deadEntryOf)
    },
    async resend(ids, channel, now) { return Number((await runKept('resend', channel ?? '', now, ...ids))[0]) },
    async forget(ids) { return Number((await run('forget', ...ids))[0]) },
    async recall(name) {
      const [value] = await run('recall', name)
      return typeof value === 'string' ? value : undefined
    },
    async remember(name, value) { await runKept('remember', name, value) },
    async sweep(now) { await run('sweep', now, now - keepDeadMs, SWEEP_ENTRIES) },
    async close() {
      redis.close()
      waits?.close()
    },
  }
}

/** What waits for the server's disk, where that is needed and can be done. */
async function waitsFor(redis: RedisConnection, url: Secret): Promise<RedisWaits | undefined> {
  try {
    const { waitsForDisk } = await checkKeeping(redis)
    return waitsForDisk ? createWaits(() => connectRedis(url, { reconnects: false })) : undefined
  } catch (error) {
    redis.close()
    throw error
  }
}

function readMessage(answer: unknown) {
  const [message, entries] = listOf(answer)
  return messageOf(named(message, MESSAGE_COLUMNS), rowsOf(entries, ENTRY_COLUMNS).map(entryOf))
}

function rowsOf(rows: unknown, columns: readonly string[]): Stored[] {
  return listOf(rows).map((row) => named(row, columns))
}

function named(values: unknown, columns: readonly string[]): Stored {
  const row = listOf(values)
  return Object.fromEntries(columns.map((column, index) => [column, row[index]]))
}
