import { join } from 'node:path'
import type { LocalOutbox, OutboxOptions } from '../outbox.ts'
import { memoryLeases } from './leases.ts'
import { deadEntryOf } from './restore.ts'
import { intakeOf } from './sqlite-accept.ts'
import { burialOf } from './sqlite-dead.ts'
import { openSqliteFile } from './sqlite-file.ts'
import { queueOf } from './sqlite-queue.ts'
import { ratesOf } from './sqlite-rates.ts'

/** What one `sweep` removes of each kind at most. */
const SWEEP_ROWS = 2_000

/**
 * The outbox in `directory`, which must exist. Who sends from it holds the directory by `lockDirectory`; another process may
 * open it to read and to write what is dead. `holdEndsMs` is how long an end waits for the shared outbox, where there is one
 * that may have its beginning. Throws a sentence where the file cannot be used.
 */
export function openSqliteOutbox(directory: string, options: OutboxOptions, holdEndsMs = 0): LocalOutbox {
  const file = openSqliteFile(join(directory, 'outbox.db'))
  const leases = memoryLeases()
  const intake = intakeOf(file, options)
  const queue = queueOf(file, holdEndsMs)
  const rates = ratesOf(file)
  const burial = burialOf(file)
  const depths = file.statement(`SELECT channel, waiting, dead, (SELECT received_at FROM entry WHERE channel = tally.channel ORDER BY place LIMIT 1) AS oldest
    FROM tally WHERE waiting > 0 OR dead > 0 ORDER BY channel`)
  const deadOf = file.statement('SELECT * FROM dead WHERE channel = :channel AND id > :after ORDER BY id LIMIT :most')
  const deadOfAll = file.statement('SELECT * FROM dead WHERE id > :after ORDER BY id LIMIT :most')
  const recalled = file.statement('SELECT value FROM memory WHERE name = :name')
  const remembered = file.statement('INSERT INTO memory (name, value) VALUES (:name, :value) ON CONFLICT DO UPDATE SET value = excluded.value')
  const expired = {
    dead: file.statement('DELETE FROM dead WHERE id IN (SELECT id FROM dead WHERE died_at <= :before LIMIT :most)'),
    send: file.statement('DELETE FROM send WHERE rowid IN (SELECT rowid FROM send WHERE expires_at <= :before LIMIT :most)'),
    pause: file.statement('DELETE FROM pause WHERE until <= :before'),
    tally: file.statement('DELETE FROM tally WHERE waiting = 0 AND dead = 0'),
  }

  return {
    accept: (incoming, now) => file.write(() => intake.accept(incoming, now)),
    lease: async (channel, ms, now) => leases.take(channel, ms, now),
    renew: async (lease, ms, now) => leases.renew(lease, ms, now),
    release: async (lease) => leases.release(lease),
    queued: (channel, order, most) => file.read(() => queue.queued(channel, order, most)),
    waiting: (channel) => file.read(() => queue.waiting(channel)),
    heldEnds: () => file.read(() => queue.heldEnds()),
    drop: (ids) => file.write(() => queue.drop(ids)),
    messages: (channel) => file.read(() => queue.messages(channel)),
    freeze: (lease, entries, parts, digest, now) => file.write(() => {
      leases.check(lease)
      return queue.freeze(lease.channel, entries, parts, digest, now)
    }),
    take: (lease, robot, limits, now) => file.write(() => {
      leases.check(lease, now)
      const room = rates.room(robot, limits, now)
      if (room.waitMs === 0) rates.count(robot, limits, now)
      return room
    }),
    room: (robot, limits, now) => file.read(() => rates.room(robot, limits, now)),
    pause: (robot, until) => file.write(() => rates.pause(robot, until)),
    partSent: (lease, message, now, sent) => file.write(() => {
      leases.check(lease)
      queue.partSent(lease.channel, message, now, sent)
    }),
    postpone: (lease, message, nextAt) => file.write(() => {
      leases.check(lease)
      queue.postpone(lease.channel, message, nextAt)
    }),
    thaw: (lease, message, told) => file.write(() => {
      leases.check(lease)
      queue.thaw(lease.channel, message, told)
    }),
    giveUp: (lease, entries, why, now) => file.write(() => {
      leases.check(lease)
      burial.giveUp(lease.channel, entries, why, now)
      // What was handed over is one entry more, and as many have just died.
      intake.makeRoom()
    }),
    depths: () => file.read(() => depths.all().map(({ channel, waiting, dead, oldest }) => ({
      channel: String(channel), waiting: Number(waiting), dead: Number(dead), ...(oldest === null ? {} : { oldestAt: Number(oldest) }),
    }))),
    dead: ({ channel, after = 0, most }) => file.read(() => (channel === undefined ? deadOfAll.all({ after, most }) : deadOf.all({ channel, after, most })).map(deadEntryOf)),
    resend: (ids, channel, now) => file.write(() => burial.resend(ids, channel, now)),
    forget: (ids) => file.write(() => burial.forget(ids)),
    recall: (name) => file.read(() => {
      const value = recalled.get({ name })?.['value']
      return typeof value === 'string' ? value : undefined
    }),
    remember: (name, value) => file.write(() => { remembered.run({ name, value }) }),
    sweep: (now) => file.write(() => {
      expired.dead.run({ before: now - options.keepDeadMs, most: SWEEP_ROWS })
      intake.forgetStates(now, SWEEP_ROWS)
      expired.send.run({ before: now, most: SWEEP_ROWS })
      expired.pause.run({ before: now })
      expired.tally.run()
    }),
    close: async () => file.close(),
  }
}
