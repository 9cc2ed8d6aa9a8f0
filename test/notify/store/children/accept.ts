// Accepts notifications into the outbox in argv[2], and works them off, as fast as it can until it is killed. Prints a line
// after each call that has resolved: `accepted` and the alerts' names, or `sent` and those of a message.
import { writeSync } from 'node:fs'
import { openSqliteOutbox } from '../../../../src/notify/store/sqlite.ts'
import { firing, incomingOf, OPTIONS } from '../samples.ts'

const [directory = '', round = '0'] = process.argv.slice(2)
const outbox = openSqliteOutbox(directory, { ...OPTIONS, entries: 100_000 })
const lease = await outbox.lease('ops', 3_600_000, Date.now())
if (!lease) throw new Error('the lease is taken')
// Not by console.log: a pipe is written later, and what is printed must be durable already, not the other way round.
const say = (what: string, names: readonly (string | undefined)[]) => writeSync(1, `${what} ${names.join(' ')}\n`)
say('ready', [])
for (let batch = 0; ; batch += 1) {
  const alerts = Array.from({ length: 5 }, (_, index) => firing(`r${round}-b${batch}-${index}`))
  await outbox.accept([incomingOf(alerts)], Date.now())
  say('accepted', alerts.map(({ labels }) => labels['alertname']))
  if (batch % 3 !== 0) continue
  const entries = await outbox.queued('ops', 'age', 4)
  const message = await outbox.freeze(lease, entries.map(({ id }) => id), ['{}'], false, Date.now())
  // What was begun last may be gone although its end is not printed.
  say('sending', message.entries.map(({ alert }) => alert.labels['alertname']))
  await outbox.partSent(lease, message.id, Date.now())
}
