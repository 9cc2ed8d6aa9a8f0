import { afterEach, expect, it } from 'vitest'
import { bindChannel } from '../../src/notify/bind.ts'
import { createEngine, type Engine } from '../../src/notify/engine.ts'
import { notifySchema } from '../../src/notify/options.ts'
import { NotSynced, OutboxFull, type Written } from '../../src/notify/outbox.ts'
import type { FromForwarder } from '../../src/notify/protocol.ts'
import { openSqliteOutbox } from '../../src/notify/store/sqlite.ts'
import { textOf } from '../support/notify.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'
import { fakeWebhook, webhookEntry } from './fakes/webhook.ts'

const owner = createOwner()
afterEach(() => owner.end())

async function opened() {
  return owner.opened(Promise.resolve(openSqliteOutbox(owner.place().path, { dedupMs: 60_000, entries: 1_000, keepDeadMs: 60_000 })))
}

async function started({ lookUp = () => Promise.resolve(undefined), written }: { lookUp?: () => Promise<undefined>, written?: () => Promise<Written> }) {
  const fake = await owner.opened(fakeWebhook())
  const local = await opened()
  const shared = written && { ...await opened(), write: written, letFirst: () => Promise.reject(new Error('away')) }
  const told: FromForwarder[] = []
  const config = notifySchema.parse({ allow_unauthenticated: true, allow_private_destinations: true, channels: [{ name: 'ops', type: 'webhook', ...webhookEntry(fake) }], routes: [{ channel: 'ops' }] })
  const engine: Engine = createEngine({ config, bound: config.channels.map((channel) => bindChannel(channel, {})), local, shared, lookUp, tell: (line) => told.push(line) })
  await owner.started(Promise.resolve(engine))
  const alert = (name: string) => ({ status: 'firing' as const, labels: { alertname: name, severity: 'critical' }, annotations: {}, startsAt: Date.now(), generatorURL: '', fingerprint: name })
  const accept = async (...names: string[]) => (await engine.accept([{ route: 'route-1', channel: 'ops', alerts: names.map(alert), context: { receiver: 'r', groupKey: '{}', groupLabels: {}, externalURL: '', truncatedAlerts: 0 } }], names.length)).durable
  return { fake, local, told, accept }
}

it('tells alerts by their names alone where an error of ours keeps it from saying more', async () => {
  const { fake, told, accept } = await started({ lookUp: () => { throw new TypeError('a bug') } })
  await accept('first', 'second')
  await eventually(() => fake.accepted() === 1)
  expect(textOf(fake)).toMatch(/first firing.*second firing/)
  expect(told).toContainEqual(expect.objectContaining({ kind: 'log', level: 'error', message: expect.stringContaining('inside Curlew'), fields: expect.objectContaining({ error: expect.stringContaining('a bug') }) }))
})

it('asks for the diagnosis of twenty alerts of a message at most', async () => {
  let asked = 0
  const { fake, accept } = await started({ lookUp: () => { asked++; return Promise.resolve(undefined) } })
  await accept(...Array.from({ length: 50 }, (_, index) => `a${index}`))
  await eventually(() => fake.accepted() > 0)
  expect(asked).toBe(20)
})

it.each([
  ['has it on no disk yet', NotSynced, () => Promise.resolve({ accepted: { queued: 1, duplicates: 0, merged: 0 }, durable: Promise.reject(new NotSynced('not synced')) })],
  ['is full', OutboxFull, () => Promise.reject(new OutboxFull('full'))],
])('leaves to the shared outbox what that one will tell: it %s', async (_what, refusal, written) => {
  const { local, accept, told } = await started({ written })
  await expect(accept('a')).rejects.toThrow(refusal)
  expect(told).not.toContainEqual(expect.objectContaining({ kind: 'accepted' }))
  expect(await local.waiting('ops')).toEqual({ entries: 0, notifications: 0 })
  expect(await local.messages('ops')).toEqual([])
})

it('tells by the local outbox while the shared one is away', async () => {
  const { fake, accept } = await started({ written: () => Promise.reject(new Error('Redis cannot be reached')) })
  await accept('a')
  await eventually(() => fake.accepted() === 1)
})
