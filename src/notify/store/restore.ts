import type { Alert, NotificationContext } from '../alert.ts'
import type { DeliveryReason } from '../channel.ts'
import type { DeadEntry, Entry, Message } from '../outbox.ts'

/** A row or hash as a store returns it: columns are named as in the schema of SQLite, absent ones null. */
export type Stored = Readonly<Record<string, unknown>>

/** The columns of an entry that `entryOf` reads, in the order in which Redis returns them. */
export const ENTRY_COLUMNS = ['id', 'notification', 'route', 'channel', 'received_at', 'untold', 'fallback_for', 'alert', 'context'] as const
/** Those that a dead one has besides. */
export const DEAD_COLUMNS = [...ENTRY_COLUMNS, 'reason', 'detail', 'died_at', 'handed_to'] as const

export function entryOf(row: Stored): Entry {
  const fallbackFor = row['fallback_for']
  return {
    id: Number(row['id']),
    notification: Number(row['notification']),
    route: String(row['route']),
    channel: String(row['channel']),
    alert: parsed<Alert>(row['alert']),
    context: parsed<NotificationContext>(row['context']),
    receivedAt: Number(row['received_at']),
    untold: Number(row['untold']) === 1,
    ...(typeof fallbackFor === 'string' ? { fallbackFor } : {}),
  }
}

export function deadEntryOf(row: Stored): DeadEntry {
  const handedTo = row['handed_to']
  return {
    ...entryOf(row),
    reason: String(row['reason']) as DeliveryReason, // safe: `giveUp` writes nothing else
    detail: String(row['detail']),
    diedAt: Number(row['died_at']),
    ...(typeof handedTo === 'string' ? { handedTo } : {}),
  }
}

export function messageOf(row: Stored, entries: readonly Entry[]): Message {
  return {
    id: Number(row['id']),
    channel: String(row['channel']),
    entries,
    parts: parsed<string[]>(row['parts']),
    sent: Number(row['sent']),
    attempts: Number(row['attempts']),
    nextAt: Number(row['next_at']),
    digest: Number(row['digest']) === 1,
  }
}

function parsed<T>(json: unknown): T {
  return JSON.parse(String(json)) as T // safe: the store wrote it from a T, and a damaged file does not parse
}
