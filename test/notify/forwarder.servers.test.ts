import { readdirSync, readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createForwarder, type Forwarder, type ForwarderDeps, type Received } from '../../src/notify/forwarder.ts'
import { createNotifyMetrics } from '../../src/notify/metrics.ts'
import { lockDirectory } from '../../src/notify/store/lock.ts'
import { eventually, temporaryDirectory } from '../support/process.ts'
import { startRedis, stopRedisServers } from '../support/redis-server.ts'
import type { Fake } from './fakes/fake.ts'
import { fakeWebhook, webhookEntry } from './fakes/webhook.ts'

const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
  await stopRedisServers()
})

function directory(): string {
  const made = temporaryDirectory()
  ends.push(made.remove)
  return made.path
}

async function fake(): Promise<Fake> {
  const made = await fakeWebhook({ rates: [] })
  ends.push(made.close)
  return made
}

function started(deps: Partial<ForwarderDeps> = {}) {
  const registry = new Registry()
  const metrics = createNotifyMetrics(registry)
  metrics.configured(['ops'], 1_000, true)
  const failures: string[] = []
  const logged: { level: string, message: string, fields: Readonly<Record<string, unknown>> }[] = []
  const forwarder = createForwarder({
    lookUp: () => undefined, metrics, onFailed: (message) => failures.push(message),
    log: (level, message, fields) => logged.push({ level, message, fields }), ...deps,
  })
  ends.push(() => forwarder.stop(2_000, 2_000))
  const value = async (name: string) => (await registry.getMetricsAsJSON()).find((metric) => metric.name === name)?.values[0]?.value
  return { forwarder, metrics, failures, logged, value, up: () => eventually(async () => await value('curlew_notify_up') === 1, 10_000, 'the outbox') }
}

const configOf = (to: Fake, more: object = {}) => ({
  allow_unauthenticated: true, allow_private_destinations: true,
  channels: [{ name: 'ops', type: 'webhook', ...webhookEntry(to), timeout: '1s', limits: { rates: [{ messages: 100_000, per: '1s' }] } }],
  routes: [{ name: 'all', channel: 'ops' }],
  ...more,
})

const OK = { status: 200, text: 'ok' }

/** Hands it over as Alertmanager does, which comes again where the disk of a busy machine has kept it waiting. */
function hand(forwarder: Forwarder, path: string | undefined, body: Buffer): Promise<Received> {
  return eventually(async () => {
    const received = await forwarder.receive(path, body)
    return /has not answered within|disk of the outbox|has not kept it yet/.test(received.text) ? undefined : received
  }, 15_000, 'an answer')
}

const alert = (name: string, more: object = {}) => ({ status: 'firing', labels: { alertname: name, severity: 'warning' }, annotations: {}, startsAt: new Date().toISOString(), endsAt: '0001-01-01T00:00:00Z', generatorURL: '', fingerprint: name, ...more })
const payload = (...alerts: readonly object[]) => Buffer.from(JSON.stringify({ version: '4', receiver: 'curlew', status: 'firing', groupKey: '{}', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://am', truncatedAlerts: 0, alerts }))
const titles = (to: Fake) => to.messages.map(({ body }) => JSON.stringify(body))

/** The process that a forwarder of this test process has started. */
function workers(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('forwarder-worker') && Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) === process.pid
    } catch {
      return false
    }
  })
}

it('answers when it is kept, delivers, and ends when it is told', async () => {
  const to = await fake()
  const { forwarder, up, value } = started()
  forwarder.configure(configOf(to), directory())
  await up()
  expect(await hand(forwarder, undefined, payload(alert('a')))).toEqual(OK)
  expect(await hand(forwarder, 'all', payload(alert('b')))).toEqual(OK)
  expect(await hand(forwarder, 'none', payload(alert('c')))).toMatchObject({ status: 404 })
  expect(await hand(forwarder, undefined, Buffer.from('{'))).toMatchObject({ status: 400, text: expect.stringMatching(/JSON/) })
  expect(await hand(forwarder, undefined, payload(alert('a')))).toEqual(OK)
  await eventually(() => to.accepted() === 2)
  await eventually(async () => await value('curlew_notify_deliveries_total') === 2)
  const duplicates = await value('curlew_notify_duplicates_total') ?? 0
  expect(duplicates).toBeGreaterThanOrEqual(1)
  expect(await value('curlew_notify_persisted_total')).toBe(2 + duplicates)
  await forwarder.stop(2_000, 2_000)
  expect(workers()).toEqual([])
  expect((await forwarder.receive(undefined, payload(alert('d')))).status).toBe(503)
})

it('keeps what there is room for, whatever comes beside it', async () => {
  const to = await fake()
  const { forwarder, up, logged } = started()
  forwarder.configure(configOf(to, { storage: { entries: 100 } }), directory())
  await up()
  const tooMany = payload(...Array.from({ length: 101 }, (_, index) => alert(`much ${index}`)))
  // What lies ready is written in one step.
  const answers = await Promise.all([payload(alert('first')), tooMany, payload(alert('a')), payload(alert('b'))].map((body) => hand(forwarder, undefined, body)))
  expect(answers.map(({ status }) => status)).toEqual([200, 503, 200, 200])
  await eventually(() => ['first', 'a', 'b'].every((name) => titles(to).join().includes(name)))
  expect(answers[1]?.text).toMatch(/is 101 alerts.*never holds more than 100: raise storage\.entries/)
  expect(await hand(forwarder, undefined, tooMany)).toEqual(answers[1])
  // One line, however often an Alertmanager comes again.
  expect(logged.filter(({ message }) => message === 'alerts could not be kept')).toHaveLength(1)
})

it('says what its config and its directory are not good for', async () => {
  const to = await fake()
  const { forwarder, failures } = started()
  forwarder.configure(configOf(to), '/dev/null/curlew')
  await eventually(() => failures.length === 1, 5_000, 'a sentence')
  expect(failures[0]).toMatch(/\/dev\/null\/curlew is not a directory/)
})

it('takes a new config: other channels, what waited for one that is gone is not lost', async () => {
  const [old, other] = [await fake(), await fake()]
  old.fail(() => ({ status: 500, body: '' }))
  const { forwarder, up, logged } = started()
  const place = directory()
  forwarder.configure(configOf(old), place)
  await up()
  expect(await hand(forwarder, undefined, payload(alert('waiting')))).toEqual(OK)
  await eventually(() => old.requests() > 0)
  const { channels: [channel] } = configOf(other)
  forwarder.configure(configOf(other, { channels: [{ ...channel, name: 'other' }, { ...channel, name: 'spare' }], routes: [{ name: 'all', channel: 'other', fallback: 'spare' }] }), place)
  expect(await hand(forwarder, undefined, payload(alert('new')))).toEqual(OK)
  await eventually(() => other.accepted() === 2, 8_000, 'both alerts')
  expect(titles(other).join()).toContain('waiting')
  const said = () => logged.map(({ message, fields }) => `${message} ${JSON.stringify(fields)}`)
  await eventually(() => said().some((line) => /handed to the fallback.*"ops".*unknown_channel/.test(line)))
  expect(said().filter((line) => /does not deliver.*"ops".*500/.test(line)).length).toBe(1)

  old.fail(() => ({ status: 400, body: 'no' }))
  forwarder.configure(configOf(old), place)
  await eventually(async () => { await forwarder.receive(undefined, payload(alert(`last ${Date.now()}`))); return said().some((line) => /given up.*"ops".*rejected/.test(line)) }, 8_000, 'a word about the dead')
})

it('takes alerts while the last config still waits for an answer, and tells nothing twice', async () => {
  const to = await fake()
  to.fail('hang')
  const { forwarder, up, value } = started()
  const place = directory()
  const slow = (name: string) => configOf(to, { channels: [{ ...configOf(to).channels[0], timeout: '3s' }], routes: [{ name, channel: 'ops' }] })
  forwarder.configure(slow('old'), place)
  await up()
  expect(await hand(forwarder, 'old', payload(alert('a')))).toEqual(OK)
  await eventually(() => to.requests() === 1)
  forwarder.configure(slow('new'), place)
  expect(await hand(forwarder, undefined, payload(alert('b')))).toEqual(OK)
  expect(await hand(forwarder, 'new', payload(alert('c')))).toMatchObject({ status: 404 })
  await eventually(async () => (await forwarder.receive('new', payload(alert('c')))).status === 200, 8_000, 'the new config')
  await eventually(() => titles(to).length === 3, 8_000, 'all of them')
  await eventually(async () => await value('curlew_notify_deliveries_total') === 3)
  expect(to.messages.map(({ body }) => z.object({ title: z.string() }).parse(body).title.at(-1) ?? '').toSorted((a, b) => a.localeCompare(b))).toEqual(['a', 'b', 'c'])
})

it('leaves what runs alone where the new config cannot be used, and holds the directory that a new one names', { timeout: 20_000 }, async () => {
  const to = await fake()
  const redis = await startRedis()
  const [old, other] = [directory(), directory()]
  const { forwarder, up, logged, failures } = started()
  forwarder.configure(configOf(to), old)
  await up()
  forwarder.configure(configOf(to, { redis: { url: `redis://127.0.0.1:${redis.port}` } }), old)
  const refusals = () => logged.filter(({ level, message }) => level === 'error' && message.includes('the old one stays'))
  await eventually(() => refusals().length === 1, 8_000, 'a refusal')
  expect(JSON.stringify(refusals())).toMatch(/append-only/)
  expect(await hand(forwarder, undefined, payload(alert('a')))).toEqual(OK)
  await eventually(() => to.accepted() === 1)

  const holder = await lockDirectory(other, 0)
  forwarder.configure(configOf(to), other)
  await eventually(() => refusals().length === 2, 12_000, 'another refusal')
  expect(await hand(forwarder, undefined, payload(alert('b')))).toEqual(OK)
  holder.release()
  forwarder.configure(configOf(to), other)
  await eventually(() => lockDirectory(other, 0).then((lock) => { lock.release(); return false }, () => true), 5_000, 'the new directory held')
  await eventually(() => lockDirectory(old, 0).then((lock) => { lock.release(); return true }, () => false), 5_000, 'the old one free')
  expect(await hand(forwarder, undefined, payload(alert('c')))).toEqual(OK)
  expect(failures).toEqual([])
})

it('speaks up when the Watchdog does not come any more, over a restart, and says when it is back', { timeout: 30_000 }, async () => {
  const to = await fake()
  const place = directory()
  const watched = configOf(to, { deadman: { within: '2s', route: 'own' }, routes: [{ name: 'all', channel: 'ops' }, { name: 'own', channel: 'ops', lang: 'zh' }] })
  const first = started()
  first.forwarder.configure(watched, place)
  await first.up()
  for (let round = 0; round < 9; round++) {
    expect(await hand(first.forwarder, undefined, payload(alert('Watchdog')))).toEqual(OK)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  expect(await hand(first.forwarder, undefined, payload(alert('Watchdog'), alert('a')))).toEqual(OK)
  await eventually(() => to.accepted() > 0)
  // Neither the Watchdog nor its silence was told until now.
  expect(titles(to).join()).not.toMatch(/Watchdog/)
  await eventually(() => /WatchdogSilent.*没有收到 Watchdog/.test(titles(to).join()), 8_000, 'the silence')
  await first.forwarder.stop(2_000, 2_000)

  const second = started()
  second.forwarder.configure(watched, place)
  await second.up()
  expect(await hand(second.forwarder, undefined, payload(alert('Watchdog')))).toEqual(OK)
  await eventually(() => /已恢复：WatchdogSilent/.test(titles(to).join()), 8_000, 'the end of it')
  expect(to.accepted()).toBe(3)
})

describe('what is known of the probe', () => {
  it('is asked of this Curlew, and the message goes without it when it is not to be had', { timeout: 20_000 }, async () => {
    const to = await fake()
    const asked: unknown[] = []
    const { forwarder, up, value } = started({ lookUp: (question) => { asked.push(question) } })
    forwarder.configure(configOf(to), directory())
    await up()
    await forwarder.receive(undefined, payload(alert('a', { labels: { alertname: 'a', probe: 'cache', target: 'h:1', cluster: 'eu', source_cluster: 'hub' } }), alert('b')))
    await eventually(() => to.accepted() === 1)
    expect(asked).toEqual([{ probe: 'cache', target: 'h:1', cluster: 'eu', source_cluster: 'hub' }])
    await eventually(async () => await value('curlew_notify_lookups_total') !== undefined)
  })
})

describe('shared by replicas on Redis', () => {
  it('has one that hangs keep nobody waiting for long: the local outbox takes and tells what comes', { timeout: 30_000 }, async () => {
    const to = await fake()
    const redis = await startRedis({ newest: true, args: ['--appendonly', 'yes'] })
    const { forwarder, up, value, logged } = started()
    forwarder.configure(configOf(to, { deadman: {}, redis: { url: `redis://127.0.0.1:${redis.port}` } }), directory())
    await up()
    expect(await hand(forwarder, undefined, payload(alert('before')))).toEqual(OK)
    await eventually(() => to.accepted() === 1)
    redis.process.child.kill('SIGSTOP')
    await eventually(async () => await value('curlew_notify_shared_store_up') === 0, 8_000, 'a word about Redis')
    await eventually(async () => (await forwarder.receive(undefined, payload(alert('first')))).status === 200, 8_000, 'the local outbox')
    const refused = () => logged.flatMap(({ message, fields }) => (message.startsWith('the shared outbox cannot take') ? [fields['error']] : []))
    const before = refused().length
    // Longer than until it is looked for again, twice.
    for (let second = 0; second < 12; second++) {
      expect(await hand(forwarder, undefined, payload(alert('Watchdog'), alert(`then ${second}`)))).toEqual(OK)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
    await eventually(() => titles(to).join().includes('then 11'))
    // None of them was the one that looks, which takes two seconds.
    expect(new Set(refused().slice(before))).toEqual(new Set(['the shared Redis cannot be reached']))
    redis.process.child.kill('SIGCONT')
    await eventually(async () => await value('curlew_notify_shared_store_up') === 1, 15_000, 'Redis again')
    expect(await hand(forwarder, undefined, payload(alert('after')))).toEqual(OK)
    await eventually(() => ['before', 'first', ...Array.from({ length: 12 }, (_, second) => `then ${second}`), 'after'].every((name) => titles(to).join().includes(name)), 15_000, 'what comes after')
  })

  it('refuses one that is not to be relied upon', async () => {
    const to = await fake()
    const redis = await startRedis()
    const { forwarder, failures } = started()
    forwarder.configure(configOf(to, { redis: { url: `redis://127.0.0.1:${redis.port}` } }), directory())
    await eventually(() => failures.length === 1, 8_000, 'a sentence')
    expect(failures[0]).toMatch(/append-only/)
  })
})
