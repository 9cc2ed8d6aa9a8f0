import type { Rate } from '../channel.ts'
import type { SqliteFile } from './sqlite-file.ts'

export interface Room {
  /** Until one more may be sent, ms; 0 is now. */
  readonly waitMs: number
  /** How many more may follow that one at once; 0 while it has to wait. */
  readonly left: number
}

/** What robots have sent lately. Called inside a transaction. */
export interface Rates {
  room(robot: string, rates: readonly Rate[], now: number): Room
  /** Counts a message as sent now. */
  count(robot: string, rates: readonly Rate[], now: number): void
  pause(robot: string, until: number): void
}

/** Prepares the sliding windows: at any moment at most `messages` were sent in the `perMs` before it. */
export function ratesOf(file: SqliteFile): Rates {
  const paused = file.statement('SELECT until FROM pause WHERE robot = :robot')
  // What stands in the future was sent by a clock that has been set back since, or by another one that is a little ahead.
  const recent = `FROM send WHERE robot = :robot AND at > :now - :perMs AND at < :now + :perMs`
  const sent = file.statement(`SELECT count(*) AS sent FROM (SELECT 1 ${recent} LIMIT :messages)`)
  const blocking = file.statement(`SELECT at ${recent} ORDER BY at DESC LIMIT 1 OFFSET :messages - 1`)
  const insert = file.statement('INSERT INTO send (robot, at, expires_at) VALUES (:robot, :now, :expiresAt)')
  const setPause = file.statement('INSERT INTO pause (robot, until) VALUES (:robot, :until) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)')
  return {
    room(robot, rates, now) {
      let waitMs = Math.max(0, Number(paused.get({ robot })?.['until'] ?? 0) - now)
      let left = Number.MAX_SAFE_INTEGER
      for (const { messages, perMs } of rates) {
        const window = { robot, now, perMs, messages }
        const at = blocking.get(window)?.['at']
        if (at !== undefined) waitMs = Math.max(waitMs, Number(at) + perMs - now)
        else left = Math.min(left, messages - 1 - Number(sent.get(window)?.['sent']))
      }
      return waitMs > 0 ? { waitMs, left: 0 } : { waitMs, left }
    },
    count(robot, rates, now) {
      insert.run({ robot, now, expiresAt: now + Math.max(0, ...rates.map(({ perMs }) => perMs)) })
    },
    pause(robot, until) {
      setPause.run({ robot, until })
    },
  }
}
