import { afterEach, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import type { Alert } from '../../../src/notify/alert.ts'
import { bindChannel } from '../../../src/notify/bind.ts'
import { DIGEST_ALERTS } from '../../../src/notify/delivery/next-message.ts'
import { createSender, type Sender } from '../../../src/notify/delivery/sender.ts'
import type { SenderDeps, SenderEvent } from '../../../src/notify/delivery/work.ts'
import { notifySchema } from '../../../src/notify/options.ts'
import type { Entry, Incoming, Outbox } from '../../../src/notify/outbox.ts'
import { openSqliteOutbox } from '../../../src/notify/store/sqlite.ts'
import { post } from '../../../src/notify/wire.ts'
import { eventually, temporaryDirectory } from '../../support/process.ts'
import type { Fake, FakeOptions } from '../fakes/fake.ts'
import { fakeWebhook, webhookEntry } from '../fakes/webhook.ts'

let directory: ReturnType<typeof temporaryDirectory>
let outbox: Outbox
const fakes: Fake[] = []
const senders: Sender[] = []
const events: SenderEvent[] = []

beforeEach(() => {
  directory = temporaryDirectory()
  outbox = openSqliteOutbox(directory.path, { dedupMs: 60_000, entries: 10_000, keepDeadMs: 3_600_000 })
  events.length = 0
})

afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.stop()))
  await outbox.close()
  await Promise.all(fakes.splice(0).map((fake) => fake.close()))
  directory.remove()
})

const alertOf = (name: string, more: Partial<Alert> = {}): Alert => ({
  status: 'firing', labels: { alertname: name, severity: 'warning' }, annotations: {}, startsAt: Date.now() - 60_000, generatorURL: '', fingerprint: name.padEnd(16, 'x'), ...more,
})

const incoming = (alerts: readonly Alert[], channel = 'ops'): Incoming => ({
  route: 'route-1', channel, alerts, context: { receiver: 'r', groupKey: '{}', groupLabels: {}, externalURL: '', truncatedAlerts: 0 },
})

/** A fake service and a sender for it. What it composes is one part an alert, or one in all for a digest: plain names, so that the test can read them. */
async function started({ fake: fakeOptions = {}, rates, name = 'ops', partEach = false, bugAt, ...deps }: Partial<SenderDeps> & { fake?: FakeOptions, rates?: readonly { messages: number, per: string }[], name?: string, partEach?: boolean, bugAt?: string } = {}) {
  const fake = await fakeWebhook({ rates: [], ...fakeOptions })
  fakes.push(fake)
  const config = notifySchema.parse({
    allow_unauthenticated: true,
    channels: [{ name, type: 'webhook', ...webhookEntry(fake), timeout: '300ms', limits: { rates: rates ?? [{ messages: 100_000, per: '1s' }] } }],
    routes: [{ channel: name }],
  })
  const [channel] = config.channels
  if (!channel) throw new Error('no channel')
  const bound = bindChannel(channel, {})
  const body = (entries: readonly Entry[], digest: boolean, more: number) => bound.render({
    tone: 'warning', title: `${digest ? 'digest' : 'message'} ${more}`, lead: [], tail: [], links: [], mentions: [], everyone: false,
    blocks: entries.map(({ alert, fallbackFor, untold }) => ({ tone: 'warning' as const, lines: [[{ kind: 'text' as const, text: `${alert.labels['alertname'] ?? ''} ${alert.status}${untold ? ' untold' : ''}${fallbackFor === undefined ? '' : ` for ${fallbackFor}`}` }]] })),
  })
  const sender = createSender({
    outbox, channel: bound, deadlineMs: 60_000, allowPrivate: true, fallback: () => undefined,
    compose: (entries, { digest, more }) => entries.some(({ alert }) => alert.labels['alertname'] === bugAt) ? Promise.reject(new TypeError('a bug')) : Promise.resolve({ parts: (partEach ? entries.map((entry) => [entry]) : [entries]).map((told) => ({ body: body(told, digest, more), entries: told.map(({ id }) => id) })) }),
    send: post,
    on: (event) => events.push(event),
    ...deps,
  })
  senders.push(sender)
  return { fake, sender }
}

const shown = z.object({ alerts: z.array(z.object({ lines: z.array(z.array(z.object({ text: z.string() }))) })) })
/** What the fake has taken: each message's alerts. */
const told = (fake: Fake) => fake.messages.map(({ body }) => shown.parse(body).alerts.map(({ lines }) => lines.flat().map(({ text }) => text).join('')))
const empty = () => eventually(async () => (await outbox.depths()).every(({ waiting }) => waiting === 0), 10_000, 'an empty outbox')

it('tells the alerts of one notification in one message, as soon as it is woken', async () => {
  const { fake, sender } = await started()
  await outbox.accept([incoming([alertOf('a'), alertOf('b')]), incoming([alertOf('c')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing', 'b firing'], ['c firing']])
  expect(events.flatMap((event) => (event.kind === 'delivered' ? [event.entries.length] : []))).toEqual([2, 1])
})

it('keeps the order of an alert through failures', async () => {
  const { fake, sender } = await started()
  fake.fail((number) => (number <= 2 ? { status: 500, body: '' } : undefined))
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  sender.wake()
  await eventually(() => fake.requests() >= 1)
  await outbox.accept([incoming([alertOf('a', { status: 'resolved' })])], Date.now())
  await empty()
  expect(told(fake).flat()).toEqual(['a firing', 'a resolved'])
})

it('resumes at the part that was not taken', async () => {
  const { fake, sender } = await started({ partEach: true })
  fake.fail((number) => (number === 2 ? { status: 503, body: '' } : undefined))
  await outbox.accept([incoming([alertOf('a'), alertOf('b'), alertOf('c')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing'], ['b firing'], ['c firing']])
})

it.each([
  ['an answer that is lost', 'reset_after_accept', 2],
  ['no answer at all', 'hang_after_accept', 2],
  ['a connection that is cut before', 'reset', 1],
] as const)('after %s it tries again', async (_what, failure, copies) => {
  const { fake, sender } = await started()
  fake.fail(failure)
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual(Array.from({ length: copies }, () => ['a firing']))
  expect(events.some((event) => event.kind === 'retried')).toBe(true)
})

it('tells nothing twice where the outbox cannot be written for a while', { timeout: 15_000 }, async () => {
  let refusals = 2
  const full: Outbox = { ...outbox, partSent: (...args) => (refusals-- > 0 ? Promise.reject(new Error('no room is left on the disk')) : outbox.partSent(...args)) }
  const { fake, sender } = await started({ outbox: full, partEach: true })
  await outbox.accept([incoming([alertOf('a'), alertOf('b')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing'], ['b firing']])
  expect(events.filter(({ kind }) => kind === 'trouble').length).toBe(2)
  expect(events.filter(({ kind }) => kind === 'delivered').length).toBe(1)
})

it('makes no digest of one notification where the service takes one message a second', async () => {
  const { fake, sender } = await started({ rates: [{ messages: 1, per: '1s' }] })
  await outbox.accept([incoming([alertOf('a'), alertOf('b')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing', 'b firing']])
  expect(JSON.stringify(fake.messages[0]?.body)).toContain('message 0')
  expect(events.some(({ kind }) => kind === 'coalesced')).toBe(false)
})

it('waits for as long as the service says', async () => {
  const { fake, sender } = await started()
  fake.fail({ status: 429, body: '', headers: { 'retry-after': '2' } })
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  const before = Date.now()
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing']])
  expect(Date.now() - before).toBeGreaterThanOrEqual(1_900)
})

it.each([['0', 'at once'], ['', 'in no time that it tells']])('comes back ever later where the service takes nothing and says retry-after: "%s"', async (seconds) => {
  const { fake, sender } = await started({ deadlineMs: 3_000, rates: [{ messages: 1_000, per: '100ms' }] })
  fake.fail(() => ({ status: 429, body: '', headers: seconds === '' ? {} : { 'retry-after': seconds } }))
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  sender.wake()
  await empty()
  expect(fake.requests()).toBeLessThan(5)
})

it('puts many notifications into digests near the limit, the gravest first, and loses none', async () => {
  const { fake, sender } = await started({ rates: [{ messages: 8, per: '6s' }], fake: { rates: [{ messages: 8, perMs: 6_000 }] } })
  const names = Array.from({ length: 50 }, (_, index) => `n${index}`)
  await outbox.accept(names.map((name, index) => incoming([alertOf(name, { labels: { alertname: name, severity: index === 49 ? 'critical' : 'info' } })])), Date.now())
  sender.wake()
  await empty()
  const messages = told(fake)
  expect(messages[0]?.[0]).toBe('n49 firing')
  expect(Math.max(...messages.map((message) => message.length))).toBe(DIGEST_ALERTS)
  expect(messages.flat().toSorted()).toEqual(names.map((name) => `${name} firing`).toSorted())
  expect(messages.length).toBeLessThan(8)
  expect(JSON.stringify(fake.messages[0]?.body)).toContain('digest 30')
  expect(fake.throttled()).toBe(0)
})

it('tells what can go within a moment one by one, although not all of it at once', async () => {
  const { fake, sender } = await started({ rates: [{ messages: 1, per: '1s' }], fake: { rates: [{ messages: 1, perMs: 1_000 }] } })
  await outbox.accept(['a', 'b', 'c'].map((name) => incoming([alertOf(name)])), Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing'], ['b firing'], ['c firing']])
  expect(fake.throttled()).toBe(0)
})

it('tells an alert in full that no other can go with', async () => {
  const { fake, sender } = await started({ rates: [{ messages: 4, per: '6s' }] })
  await outbox.accept([incoming([alertOf('first')])], Date.now())
  sender.wake()
  await empty()
  await outbox.accept([incoming([alertOf('a')]), { ...incoming([alertOf('b')]), route: 'route-2' }, { ...incoming([alertOf('c')]), route: 'route-3' }], Date.now())
  sender.wake()
  await empty()
  expect(fake.messages.map(({ body }) => z.object({ title: z.string() }).parse(body).title)).toEqual(['message 0', 'message 2', 'message 1', 'message 0'])
  expect(events.filter(({ kind }) => kind === 'coalesced')).toEqual([])
})

it('hands over to the fallback at once where the robot is gone, and says for whom', async () => {
  const { fake, sender } = await started({ fallback: (route) => (route === 'route-1' ? 'spare' : undefined) })
  const spare = await started({ name: 'spare' })
  fake.fail(() => ({ status: 404, body: 'no such hook' }))
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  sender.wake()
  await empty()
  expect(fake.requests()).toBe(1)
  expect(told(spare.fake)).toEqual([['a firing for ops']])
  expect(await outbox.dead({ most: 10 })).toMatchObject([{ handedTo: 'spare', reason: 'gone' }])
})

it('gives up what the service refuses for good, and goes on', async () => {
  const { fake, sender } = await started()
  fake.fail({ status: 400, body: 'bad message' })
  await outbox.accept([incoming([alertOf('a')]), incoming([alertOf('b')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['b firing']])
  expect(await outbox.dead({ most: 10 })).toMatchObject([{ alert: { labels: { alertname: 'a' } }, reason: 'rejected' }])
})

it('finds the one alert that the service refuses, and tells the others', async () => {
  const { fake, sender } = await started()
  fake.fail((_number, body) => (body.includes('poison') ? { status: 400, body: 'bad message' } : undefined))
  await outbox.accept([incoming(['a', 'b', 'poison', 'c', 'd'].map((name) => alertOf(name)))], Date.now())
  sender.wake()
  await empty()
  expect(told(fake).flat().toSorted()).toEqual(['a firing', 'b firing', 'c firing', 'd firing'])
  expect(fake.requests()).toBeLessThan(10)
  expect((await outbox.dead({ most: 10 })).map(({ alert }) => alert.labels['alertname'])).toEqual(['poison'])
})

it.each([['a', 'poison', 'c', 'd'], ['poison', 'b', 'c'], ['a', 'b', 'poison']])('tells each part of a message but the one that is refused: %s, %s, %s', async (...names) => {
  const { fake, sender } = await started({ partEach: true })
  fake.fail((_number, body) => (body.includes('poison') ? { status: 400, body: 'bad message' } : undefined))
  await outbox.accept([incoming(names.map((name) => alertOf(name)))], Date.now())
  sender.wake()
  await empty()
  const good = names.filter((name) => name !== 'poison')
  expect(told(fake).flat()).toEqual(good.map((name) => `${name} firing`))
  expect((await outbox.dead({ most: 10 })).map(({ alert }) => alert.labels['alertname'])).toEqual(['poison'])
  expect(events.reduce((sum, event) => sum + (event.kind === 'delivered' ? event.entries.length : 0), 0)).toBe(good.length)
})

it.each([3, 8, 11])('finds %i neighbours that the service refuses, and tells all the others', async (count) => {
  const { fake, sender } = await started()
  fake.fail((_number, body) => (body.includes('poison') ? { status: 400, body: 'bad message' } : undefined))
  await outbox.accept([incoming(Array.from({ length: 100 }, (_, index) => alertOf(`${index >= 40 && index < 40 + count ? 'poison' : 'a'}${index}`)))], Date.now())
  sender.wake()
  await empty()
  expect((await outbox.dead({ most: 100 })).map(({ alert }) => alert.labels['alertname']?.replace(/\d+/, ''))).toEqual(Array.from({ length: count }, () => 'poison'))
  expect(new Set(told(fake).flat()).size).toBe(100 - count)
})

it('gives up in a few tries what a service refuses whatever it says', async () => {
  const { fake, sender } = await started()
  fake.fail(() => ({ status: 400, body: 'bad message' }))
  await outbox.accept([incoming(Array.from({ length: 40 }, (_, index) => alertOf(`a${index}`)))], Date.now())
  sender.wake()
  await empty()
  expect(fake.requests()).toBeLessThan(40)
  expect(await outbox.dead({ most: 100 })).toHaveLength(40)
})

it('gives up what an error of ours keeps from being told, and tells the others', async () => {
  const { fake, sender } = await started({ bugAt: 'poison' })
  await outbox.accept([incoming(['a', 'poison', 'b'].map((name) => alertOf(name))), incoming([alertOf('c')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake).flat()).toEqual(['a firing', 'b firing', 'c firing'])
  expect(await outbox.dead({ most: 10 })).toMatchObject([{ alert: { labels: { alertname: 'poison' } } }])
  expect(events.some(({ kind }) => kind === 'bug')).toBe(true)
})

it('does not let one message that never passes keep the others back', { timeout: 20_000 }, async () => {
  const { fake, sender } = await started()
  fake.fail((_number, body) => (body.includes('poison') ? { status: 500, body: '' } : undefined))
  await outbox.accept([incoming([alertOf('poison')]), incoming([alertOf('b')]), incoming([alertOf('c')])], Date.now())
  sender.wake()
  await eventually(() => told(fake).flat().length === 2, 15_000, 'the others')
  expect(told(fake).flat()).toEqual(['b firing', 'c firing'])
})

it('waits as after any failure when an error of ours comes between, and gives up in the end', async () => {
  let calls = 0
  const { sender } = await started({ deadlineMs: 500, send: () => { calls++; return Promise.reject(new TypeError('a bug')) } })
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  sender.wake()
  await empty()
  expect(calls).toBeLessThan(4)
  expect(events.some(({ kind }) => kind === 'bug')).toBe(true)
  expect(await outbox.dead({ most: 10 })).toMatchObject([{ reason: 'deadline' }])
})

it('gives up at the deadline what a dead service has not taken, and nothing before it was tried', async () => {
  const { fake, sender } = await started({ deadlineMs: 1_500 })
  fake.fail(() => 'reset')
  await outbox.accept([incoming([alertOf('a')])], Date.now() - 3_600_000)
  sender.wake()
  await empty()
  expect(fake.requests()).toBeGreaterThan(0)
  expect(await outbox.dead({ most: 10 })).toMatchObject([{ reason: 'deadline', detail: expect.stringMatching(/^not delivered within 2 s; last: .*(?:ECONNRESET|socket hang up)/) }])
})

it('does not send what it has just given up, even where the service has come back', async () => {
  // Shorter than the first wait: it is late at the very moment at which it is due again.
  const { fake, sender } = await started({ deadlineMs: 300 })
  fake.fail((number) => (number === 1 ? 'reset' : undefined))
  await outbox.accept([incoming([alertOf('late')])], Date.now())
  sender.wake()
  await empty()
  await outbox.accept([incoming([alertOf('next')])], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['next firing']])
  expect((await outbox.dead({ most: 10 })).map(({ alert }) => alert.labels['alertname'])).toEqual(['late'])
})

it('gives up at once the rest of a message of which the service has taken a part', async () => {
  const { fake, sender } = await started({ partEach: true })
  fake.fail((number) => (number > 1 ? { status: 400, body: 'bad message' } : undefined))
  await outbox.accept([incoming(['a', 'b'].map((name) => alertOf(name)))], Date.now())
  sender.wake()
  await empty()
  expect(told(fake)).toEqual([['a firing']])
  expect(fake.requests()).toBe(2)
})

it('refuses private destinations unless they are allowed', async () => {
  const { fake, sender } = await started({ allowPrivate: false, fallback: () => 'spare' })
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  sender.wake()
  await eventually(async () => (await outbox.dead({ most: 10 })).length === 1)
  expect(fake.requests()).toBe(0)
  expect(await outbox.dead({ most: 10 })).toMatchObject([{ reason: 'private_destination', handedTo: 'spare' }])
})

it('tells once, as one message, what was over before it could be told', async () => {
  const { fake, sender } = await started()
  fake.fail((number) => (number === 1 ? { status: 500, body: '' } : undefined))
  await outbox.accept([incoming([alertOf('first')])], Date.now())
  sender.wake()
  await eventually(() => fake.requests() === 1)
  await outbox.accept([incoming([alertOf('a')])], Date.now())
  await outbox.accept([incoming([alertOf('a', { status: 'resolved', endsAt: Date.now() })])], Date.now())
  await empty()
  expect(told(fake).flat()).toEqual(['first firing', 'a resolved untold'])
})
