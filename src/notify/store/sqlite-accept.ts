import { OutboxFull, type Accepted, type Incoming, type OutboxOptions } from '../outbox.ts'
import { candidatesOf, type Candidate } from './candidates.ts'
import type { SqliteFile } from './sqlite-file.ts'

const INSERT = `INSERT INTO entry (id, place, notification, route, channel, fingerprint, firing, rank, received_at, untold, fallback_for, alert, context)
VALUES (:id, :place, :notification, :route, :channel, :fingerprint, :firing, :rank, :receivedAt, :untold, :fallbackFor, :alert, :context)`

/** The part of the outbox that takes alerts in, and that keeps it within its size. Called inside a transaction. */
export interface Intake {
  accept(incoming: readonly Incoming[], now: number): Accepted
  /** Has the oldest dead entries give way until everything fits; false where there are not enough of them. */
  makeRoom(): boolean
  /** Drops so many states, at most, that are no longer looked at. */
  forgetStates(now: number, most: number): void
}

/** Prepares what `accept` needs. */
export function intakeOf(file: SqliteFile, { dedupMs, entries: most }: OutboxOptions): Intake {
  const lastId = file.statement("SELECT seq FROM sqlite_sequence WHERE name = 'entry'")
  const getState = file.statement('SELECT firing, reminder, at FROM state WHERE route = :route AND fingerprint = :fingerprint')
  const setState = file.statement(`INSERT INTO state (route, fingerprint, firing, reminder, at) VALUES (:route, :fingerprint, :firing, :reminder, :at)
    ON CONFLICT DO UPDATE SET firing = excluded.firing, reminder = excluded.reminder, at = excluded.at`)
  const dropStates = file.statement('DELETE FROM state WHERE rowid IN (SELECT rowid FROM state WHERE at <= :before LIMIT :most)')
  const newest = file.statement(`SELECT id, place, firing, message, received_at, untold, fallback_for FROM entry
    WHERE channel = :channel AND fingerprint = :fingerprint AND route = :route ORDER BY place DESC LIMIT 1`)
  const insert = file.statement(INSERT)
  const remove = file.statement('DELETE FROM entry WHERE id = :id')
  const totals = file.statement('SELECT coalesce(sum(waiting + dead), 0) AS total, coalesce(sum(dead), 0) AS dead FROM tally')
  const dropOldest = file.statement('DELETE FROM dead WHERE id IN (SELECT id FROM dead ORDER BY died_at, id LIMIT :most)')

  /** Whether it is news; if so it is remembered. */
  const isNews = ({ route, alert: { fingerprint }, firing, reminder }: Candidate, now: number): boolean => {
    const last = getState.get({ route, fingerprint })
    // A clock that was set back must not make duplicates of everything until it has caught up.
    const recent = last !== undefined && Math.abs(now - Number(last['at'])) < dedupMs
    if (recent && (Number(last['firing']) === 1) === firing && (!reminder || Number(last['reminder']) === 1)) return false
    setState.run({ route, fingerprint, firing: Number(firing), reminder: Number(reminder), at: now })
    return true
  }

  /** The place that a candidate takes over, which is freed: that of the newest entry of its own, where that still waits and fits. */
  const takeOver = ({ route, channel, alert: { fingerprint }, firing }: Candidate) => {
    const row = newest.get({ route, channel, fingerprint })
    if (row === undefined || row['message'] !== null) return undefined
    const wasFiring = Number(row['firing']) === 1
    if (firing && !wasFiring) return undefined
    remove.run({ id: Number(row['id']) })
    return {
      place: Number(row['place']), receivedAt: Number(row['received_at']), untold: Number(!firing && (wasFiring || Number(row['untold']) === 1)),
      fallbackFor: typeof row['fallback_for'] === 'string' ? row['fallback_for'] : null,
    }
  }

  const makeRoom = () => {
    const { total, dead } = totals.get() ?? {}
    const excess = Number(total) - most
    if (excess > 0) dropOldest.run({ most: excess })
    return excess <= Number(dead)
  }

  const forgetStates = (now: number, limit: number) => { dropStates.run({ before: now - dedupMs, most: limit }) }

  return {
    makeRoom,
    forgetStates,
    accept(incoming, now) {
      const counts = { queued: 0, duplicates: 0, merged: 0 }
      const decided = new Map<string, boolean>()
      /** By Incoming, the id of the first entry that it brought. */
      const notifications = new Map<number, number>()
      const contexts = incoming.map(({ context }) => JSON.stringify(context))
      let id = Number(lastId.get()?.['seq'] ?? 0)
      for (const candidate of candidatesOf(incoming)) {
        const { acceptance, item, route, channel, alert, rank, firing } = candidate
        const news = decided.get(acceptance) ?? isNews(candidate, now)
        decided.set(acceptance, news)
        if (!news) {
          counts.duplicates += 1
          continue
        }
        const place = takeOver(candidate)
        id += 1
        const notification = notifications.get(item) ?? id
        notifications.set(item, notification)
        // What takes over has an id of its own: whoever has composed the older text cannot freeze it any more.
        insert.run({
          id, place: id, receivedAt: now, untold: 0, fallbackFor: null, ...place,
          notification, route, channel, fingerprint: alert.fingerprint, firing: Number(firing), rank,
          alert: JSON.stringify(alert), context: contexts[item] ?? '{}',
        })
        counts[place ? 'merged' : 'queued'] += 1
      }
      if (counts.queued > 0 && !makeRoom()) throw new OutboxFull(`the outbox holds ${most} alerts, which is its limit`)
      // Twice what came: however fast they come, old states do not pile up until the next sweep.
      forgetStates(now, 2 * (counts.queued + counts.merged))
      return counts
    },
  }
}
