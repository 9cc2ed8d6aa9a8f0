import type { Outbox } from '../outbox.ts'
import type { SqliteFile } from './sqlite-file.ts'

const KEPT = 'notification, route, fingerprint, firing, rank, untold, alert, context'

/** What gives up and brings back. Called inside a transaction, by who holds the lease where it gives up. */
export interface Burial {
  giveUp(channel: string, entries: readonly number[], why: Parameters<Outbox['giveUp']>[2], now: number): void
  resend(ids: readonly number[], channel: string | undefined, now: number): number
  forget(ids: readonly number[]): number
}

/** Prepares the way to the dead entries and back. */
export function burialOf(file: SqliteFile): Burial {
  const messageOfEntry = file.statement('SELECT message FROM entry WHERE id = :id AND channel = :channel')
  const bury = file.statement(`INSERT INTO dead (id, channel, received_at, fallback_for, ${KEPT}, reason, detail, died_at, handed_to)
    SELECT id, channel, received_at, fallback_for, ${KEPT}, :reason, :detail, :now, :handTo FROM entry WHERE id = :id`)
  const remove = file.statement('DELETE FROM entry WHERE id = :id')
  const freeOthers = file.statement('UPDATE entry SET message = NULL WHERE message = :message')
  const removeMessage = file.statement('DELETE FROM message WHERE id = :message')
  // Its time begins anew, or the deadline that it missed would end it at once.
  const queue = file.statement(`INSERT INTO entry (place, channel, received_at, fallback_for, ${KEPT})
    SELECT 0, :channel, :now, CASE WHEN coalesce(fallback_for, channel) <> :channel THEN coalesce(fallback_for, channel) END, ${KEPT} FROM dead WHERE id = :id`)
  const putAtEnd = file.statement('UPDATE entry SET place = id WHERE id = last_insert_rowid()')
  const channelOfDead = file.statement('SELECT channel FROM dead WHERE id = :id')
  const forget = file.statement('DELETE FROM dead WHERE id = :id')

  const requeue = (id: number, channel: string, now: number) => {
    queue.run({ id, channel, now })
    putAtEnd.run()
  }

  return {
    giveUp(channel, entries, { reason, detail, handTo }, now) {
      for (const id of entries) {
        const entry = messageOfEntry.get({ id, channel })
        if (entry === undefined) continue
        bury.run({ id, reason, detail, now, handTo: handTo ?? null })
        remove.run({ id })
        if (entry['message'] !== null) {
          const message = Number(entry['message'])
          freeOthers.run({ message })
          removeMessage.run({ message })
        }
        if (handTo !== undefined) requeue(id, handTo, now)
      }
    },
    resend(ids, channel, now) {
      let found = 0
      for (const id of ids) {
        const dead = channelOfDead.get({ id })
        if (dead === undefined) continue
        requeue(id, channel ?? String(dead['channel']), now)
        forget.run({ id })
        found += 1
      }
      return found
    },
    forget: (ids) => ids.reduce((found, id) => found + forget.run({ id }), 0),
  }
}
