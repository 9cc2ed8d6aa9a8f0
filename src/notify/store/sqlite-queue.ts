import { EntriesChanged, type Entry, type Message } from '../outbox.ts'
import { entryOf, messageOf } from './restore.ts'
import type { SqliteFile } from './sqlite-file.ts'

/** The queue and the messages of a channel. Called inside a transaction, by who holds the lease where it writes. */
export interface Queue {
  queued(channel: string, order: 'age' | 'severity', most: number): Entry[]
  waiting(channel: string): { readonly entries: number, readonly notifications: number }
  heldEnds(): Entry[]
  drop(ids: readonly number[]): void
  messages(channel: string): Message[]
  freeze(channel: string, entries: readonly number[], parts: readonly string[], digest: boolean, now: number): Message
  partSent(channel: string, message: number, now: number, sent: number | undefined): void
  postpone(channel: string, message: number, nextAt: number): void
  thaw(channel: string, message: number, told: readonly number[] | undefined): void
}

/**
 * Prepares what reads and composes. For `holdEndsMs` an end is kept back: only what is newer of the same alert lets it go
 * earlier, or the newer state would be told before it.
 */
export function queueOf(file: SqliteFile, holdEndsMs: number): Queue {
  // Without a shared outbox nothing is held back, and a count reads the index alone: the rows hold whole alerts.
  const since = () => (holdEndsMs > 0 ? { since: Date.now() - holdEndsMs } : {})
  const held = holdEndsMs > 0 ? `(entry.received_at > :since AND entry.firing = 0 AND entry.untold = 0 AND entry.fallback_for IS NULL AND NOT EXISTS (
    SELECT 1 FROM entry AS later WHERE later.channel = entry.channel AND later.fingerprint = entry.fingerprint AND later.place > entry.place))` : 'FALSE'
  const waitingFree = `SELECT * FROM entry WHERE channel = :channel AND message IS NULL AND NOT ${held} AND NOT EXISTS (
    SELECT 1 FROM entry AS earlier WHERE earlier.channel = entry.channel AND earlier.fingerprint = entry.fingerprint
    AND earlier.place < entry.place AND earlier.message IS NOT NULL)`
  const queued = {
    age: file.statement(`${waitingFree} ORDER BY place LIMIT :most`),
    severity: file.statement(`${waitingFree} ORDER BY rank, place LIMIT :most`),
  }
  const waiting = file.statement(`SELECT count(*) AS entries, count(DISTINCT notification) AS notifications FROM entry WHERE channel = :channel AND message IS NULL AND NOT ${held}`)
  const heldEnds = file.statement(`SELECT * FROM entry WHERE message IS NULL AND ${held} AND (route, context) = (
    SELECT route, context FROM entry WHERE message IS NULL AND ${held} LIMIT 1) ORDER BY place`)
  const drop = file.statement('DELETE FROM entry WHERE id = :id AND message IS NULL')
  const messages = file.statement('SELECT * FROM message WHERE channel = :channel ORDER BY id')
  const message = file.statement('SELECT * FROM message WHERE channel = :channel AND id = :message')
  const inside = file.statement('SELECT * FROM entry WHERE message = :message ORDER BY place')
  const insert = file.statement('INSERT INTO message (channel, parts, next_at, digest) VALUES (:channel, :parts, :now, :digest) RETURNING *')
  const join = file.statement('UPDATE entry SET message = :message WHERE id = :id AND channel = :channel AND message IS NULL')
  const setSent = file.statement('UPDATE message SET sent = :sent, attempts = 0, next_at = :now WHERE id = :message')
  const removeEntries = file.statement('DELETE FROM entry WHERE message = :message')
  const remove = file.statement('DELETE FROM message WHERE id = :message')
  const postpone = file.statement('UPDATE message SET attempts = attempts + 1, next_at = :nextAt WHERE channel = :channel AND id = :message')
  const removeEntry = file.statement('DELETE FROM entry WHERE id = :id AND message = :message')
  const free = file.statement('UPDATE entry SET message = NULL WHERE message = :message')
  const withEntries = (row: Record<string, unknown>) => messageOf(row, inside.all({ message: Number(row['id']) }).map(entryOf))

  return {
    queued: (channel, order, most) => queued[order].all({ channel, most, ...since() }).map(entryOf),
    waiting(channel) {
      const { entries, notifications } = waiting.get({ channel, ...since() }) ?? {}
      return { entries: Number(entries), notifications: Number(notifications) }
    },
    heldEnds: () => heldEnds.all(since()).map(entryOf),
    drop(ids) {
      for (const id of ids) drop.run({ id })
    },
    messages: (channel) => messages.all({ channel }).map(withEntries),
    freeze(channel, entries, parts, digest, now) {
      const row = insert.get({ channel, parts: JSON.stringify(parts), now, digest: Number(digest) })
      if (row === undefined || entries.length === 0 || parts.length === 0) throw new Error('a message has entries and parts')
      for (const id of entries) {
        if (join.run({ id, channel, message: Number(row['id']) }) === 0) throw new EntriesChanged(`entry ${id} of channel ${channel} does not wait any more`)
      }
      return withEntries(row)
    },
    partSent(channel, id, now, sent) {
      const row = message.get({ channel, message: id })
      if (row === undefined) return
      const { sent: before, parts } = messageOf(row, [])
      const taken = Math.max(before, sent ?? before + 1)
      if (taken < parts.length) {
        setSent.run({ message: id, sent: taken, now })
        return
      }
      removeEntries.run({ message: id })
      remove.run({ message: id })
    },
    postpone(channel, id, nextAt) {
      postpone.run({ channel, message: id, nextAt })
    },
    thaw(channel, id, told) {
      const row = message.get({ channel, message: id })
      if (row === undefined || (told === undefined && Number(row['sent']) > 0)) return
      for (const entry of told ?? []) removeEntry.run({ id: entry, message: id })
      free.run({ message: id })
      remove.run({ message: id })
    },
  }
}
