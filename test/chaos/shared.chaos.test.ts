import { Registry } from 'prom-client'
import { afterEach, expect, it } from 'vitest'
import { z } from 'zod'
import { createForwarder } from '../../src/notify/forwarder.ts'
import { createNotifyMetrics } from '../../src/notify/metrics.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'
import { startRedis } from '../support/redis-server.ts'
import type { Fake } from '../notify/fakes/fake.ts'
import { fakeWebhook, webhookEntry } from '../notify/fakes/webhook.ts'

const owner = createOwner()
afterEach(() => owner.end())

const message = z.object({ status: z.string(), text: z.string() })
/** What was told of an alert, in order. */
const toldOf = (chat: Fake, name: string) => chat.messages.map(({ body }) => message.parse(body)).filter(({ text }) => text.includes(name)).map(({ status }) => status)

async function replica(chat: Fake, redis: string) {
  const registry = new Registry()
  const metrics = createNotifyMetrics(registry)
  metrics.configured(['ops'], 1_000, true)
  const forwarder = createForwarder({ lookUp: () => undefined, metrics, onFailed() {}, log() {} })
  await owner.started(Promise.resolve({ stop: () => forwarder.stop(2_000, 2_000) }))
  forwarder.configure({
    allow_unauthenticated: true, allow_private_destinations: true, redis: { url: redis },
    channels: [{ name: 'ops', type: 'webhook', ...webhookEntry(chat), timeout: '1s', limits: { rates: [{ messages: 1_000, per: '1s' }] } }],
    routes: [{ channel: 'ops' }],
  }, owner.place().path)
  const value = async (name: string) => (await registry.getMetricsAsJSON()).find((metric) => metric.name === name)?.values[0]?.value
  await eventually(async () => await value('curlew_notify_up') === 1, 10_000, 'the outbox')
  const post = (name: string, status: 'firing' | 'resolved') => eventually(async () => (await forwarder.receive(undefined, Buffer.from(JSON.stringify({
    version: '4', receiver: 'curlew', status, groupKey: '{}', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://am', truncatedAlerts: 0,
    alerts: [{ status, labels: { alertname: name }, annotations: {}, startsAt: new Date(Date.now() - 60_000).toISOString(), endsAt: new Date().toISOString(), generatorURL: '', fingerprint: name }],
  })))).status === 200, 8_000, `${name} ${status} kept`)
  return { post, isShared: (up: 0 | 1) => eventually(async () => await value('curlew_notify_shared_store_up') === up, 20_000, `a shared store ${up}`) }
}

it('tells no end before its beginning, wherever each of them waits while a shared Redis goes and comes', { timeout: 60_000 }, async () => {
  const chat = await owner.opened(fakeWebhook({ rates: [] }))
  const redis = await owner.started(startRedis({ newest: true, args: ['--appendonly', 'yes'] }))
  const url = `redis://127.0.0.1:${redis.port}`
  const [one, two] = await Promise.all([replica(chat, url), replica(chat, url)])
  const chatIs = (up: boolean) => chat.fail(() => (up ? undefined : { status: 500, body: '' }))

  chatIs(false)
  await one.post('InRedis', 'firing')
  await eventually(() => chat.requests() > 0, 8_000, 'an attempt')
  redis.process.child.kill('SIGSTOP')
  await Promise.all([one.isShared(0), two.isShared(0)])
  await two.post('InRedis', 'resolved')
  chatIs(true)
  await two.post('Later', 'firing')
  await eventually(() => toldOf(chat, 'Later').length === 1, 8_000, 'what came later')
  expect(toldOf(chat, 'InRedis')).toEqual([])

  chatIs(false)
  await one.post('OnDisk', 'firing')
  redis.process.child.kill('SIGCONT')
  await Promise.all([one.isShared(1), two.isShared(1)])
  await two.post('OnDisk', 'resolved')
  chatIs(true)
  await eventually(() => ['InRedis', 'OnDisk'].every((name) => toldOf(chat, name).includes('resolved')), 20_000, 'both ends')
  expect([toldOf(chat, 'InRedis'), toldOf(chat, 'OnDisk')]).toEqual([['firing', 'resolved'], ['firing', 'resolved']])
})
