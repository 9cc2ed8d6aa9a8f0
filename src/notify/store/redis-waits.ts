import { EntriesChanged, LeaseLost, NotSynced, OutboxFull } from '../outbox.ts'
import { RedisAway, type RedisConnection } from './redis-connection.ts'

/** Writes that wait for the server's disk at a time. Each has a connection of its own: what comes behind a wait waits with it. */
const MOST_WAITS = 32
/** A file that is synced every second takes that long and a little, ms. */
const DISK_MS = 1_500
/** After these a connection is as good as before. */
const OF_THE_WORK = [EntriesChanged, LeaseLost, NotSynced, OutboxFull]

/** Connections by which a write is known to be on the server's disk (WAITAOF, which is about what the same connection has written). */
export interface RedisWaits {
  /** Writes, one after the other; `synced` rejects with NotSynced, or as the connection breaks. */
  write<T>(work: (connection: RedisConnection) => Promise<T>): Promise<{ readonly result: T, readonly synced: Promise<void> }>
  close(): void
}

/**
 * Opened as they are needed. `connect` gives one that does not reconnect: of a new one WAITAOF would say that all is on disk,
 * as it has written nothing.
 */
export function createWaits(connect: () => Promise<RedisConnection>): RedisWaits {
  const open = new Set<RedisConnection>()
  const idle: RedisConnection[] = []
  let isClosed = false
  let released: (() => void) | undefined
  let turn: Promise<unknown> = Promise.resolve()
  /** The last write, or wait, that had no answer. */
  let away: RedisAway | undefined

  async function lent(): Promise<RedisConnection> {
    for (;;) {
      if (isClosed) throw new RedisAway('the outbox in Redis is closed')
      const free = idle.shift()
      if (free?.isUp()) return free
      if (free) letGo(free)
      else if (open.size < MOST_WAITS) {
        const connection = await connect()
        open.add(connection)
        if (isClosed) letGo(connection)
        else return connection
      } else await new Promise<void>((resolve) => { released = resolve })
    }
  }

  function giveBack(connection: RedisConnection): void {
    idle.push(connection)
    released?.()
  }

  function letGo(connection: RedisConnection): void {
    connection.close()
    open.delete(connection)
    released?.()
  }

  /** Those that are idle lead where this one has led: to a server that is gone, hangs, or is a replica now. */
  function failed(connection: RedisConnection | undefined, error: unknown): void {
    if (connection && OF_THE_WORK.some((kind) => error instanceof kind)) return giveBack(connection)
    if (error instanceof RedisAway) away = error
    for (const one of [...connection ? [connection] : [], ...idle.splice(0)]) letGo(one)
  }

  async function begin<T>(work: (connection: RedisConnection) => Promise<T>) {
    let connection: RedisConnection | undefined
    try {
      connection = await lent()
      const result = await work(connection)
      return { result, synced: synced(connection) }
    } catch (error) {
      failed(connection, error)
      throw error
    }
  }

  async function synced(connection: RedisConnection): Promise<void> {
    try {
      await waitForDisk(connection)
      giveBack(connection)
    } catch (error) {
      failed(connection, error)
      throw error
    }
  }

  return {
    write(work) {
      const known = away
      const begun = turn.then(() => {
        // What is behind one that was not answered would wait for as long again, and whoever comes after that even longer.
        if (away && away !== known) throw away
        return begin(work)
      })
      turn = begun.catch(() => {}) // whoever asked is told
      return begun
    },
    close() {
      isClosed = true
      for (const connection of open) connection.close()
      released?.()
    },
  }
}

async function waitForDisk(connection: RedisConnection): Promise<void> {
  const synced = await connection.command('WAITAOF', 1, 0, DISK_MS)
  if (!Array.isArray(synced) || Number(synced[0]) < 1) throw new NotSynced(`Redis has not synced its append-only file within ${DISK_MS} ms`)
}
