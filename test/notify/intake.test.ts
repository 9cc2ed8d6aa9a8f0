import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Engine } from '../../src/notify/engine.ts'
import { createIntake } from '../../src/notify/intake.ts'
import { notifySchema } from '../../src/notify/options.ts'
import { NotSynced } from '../../src/notify/outbox.ts'
import type { FromForwarder } from '../../src/notify/protocol.ts'

beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }) })
afterEach(() => { vi.useRealTimers() })

const config = notifySchema.parse({ allow_unauthenticated: true, channels: [{ name: 'ops', type: 'webhook', url: 'https://example.org/', secret: 'a-secret-that-is-long-enough' }], routes: [{ channel: 'ops' }] })
const body = Buffer.from(JSON.stringify({
  version: '4', receiver: 'curlew', status: 'firing', groupKey: '{}', groupLabels: {}, commonLabels: {}, commonAnnotations: {}, externalURL: 'http://am', truncatedAlerts: 0,
  alerts: [{ status: 'firing', labels: { alertname: 'a' }, annotations: {}, startsAt: '2026-01-05T12:00:00Z', endsAt: '0001-01-01T00:00:00Z', generatorURL: '', fingerprint: 'a' }],
})).toString('base64')

/** An intake whose writes are on disk when the test says so. */
function started() {
  const told: FromForwarder[] = []
  const disks: PromiseWithResolvers<void>[] = []
  const engine: Engine = {
    accept() {
      const disk = Promise.withResolvers<void>()
      disks.push(disk)
      return Promise.resolve({ durable: disk.promise })
    },
    heard: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  }
  const intake = createIntake((line) => told.push(line))
  const answers = () => told.flatMap((line) => (line.kind === 'answer' ? [`${line.id} ${line.status} ${line.text}`] : []))
  const taken = (ids: readonly number[], lateMs = 0) => intake.takeIn({ config, engine }, ids.map((id) => ({ id, path: undefined, body, at: performance.now() - lateMs })))
  return { told, disks, intake, answers, take: (...ids: number[]) => taken(ids), takeLate: (id: number, lateMs: number) => taken([id], lateMs) }
}

it('answers each when it is on disk, and takes the next meanwhile', async () => {
  const { disks, intake, answers, take } = started()
  await take(1, 2)
  await take(3)
  expect(answers()).toEqual([])
  disks[1]?.resolve()
  await vi.waitFor(() => expect(answers()).toEqual(['3 200 ok']))
  disks[0]?.resolve()
  await intake.answered()
  expect(answers()).toEqual(['3 200 ok', '1 200 ok', '2 200 ok'])
  expect(vi.getTimerCount()).toBe(0)
})

it('has whoever waits too long come again, before the process is taken for one that hangs', async () => {
  const { told, disks, intake, answers, take } = started()
  await take(1)
  vi.advanceTimersByTime(849)
  expect(answers()).toEqual([])
  vi.advanceTimersByTime(1)
  expect(answers()).toEqual(['1 503 The disk of the Redis that replicas share has not kept it yet: try again.'])
  disks[0]?.resolve()
  await intake.answered()
  // Its second answer is nobody's any more.
  expect(answers().slice(1)).toEqual(['1 200 ok'])
  expect(told.filter(({ kind }) => kind === 'log')).toEqual([])
})

it('counts from when a request came, and gathers the longer, the more writes wait for the disk', async () => {
  const { disks, intake, answers, take, takeLate } = started()
  await intake.gathered()
  for (const id of [1, 2, 3]) await take(id)
  let gathered = false
  const gathering = intake.gathered().then(() => { gathered = true })
  await vi.advanceTimersByTimeAsync(29)
  expect(gathered).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  await gathering
  await takeLate(4, 100)
  await vi.advanceTimersByTimeAsync(750)
  expect(answers().map((line) => line.slice(0, 5))).toEqual(['4 503'])
  for (const disk of disks) disk.resolve()
  await intake.answered()
})

it('says what is wrong where the disk is given up', async () => {
  const { told, disks, intake, answers, take } = started()
  await take(1)
  disks[0]?.reject(new NotSynced('Redis has not synced its append-only file within 1500 ms'))
  await intake.answered()
  expect(answers()).toEqual(['1 503 The outbox cannot be written: Redis has not synced its append-only file within 1500 ms.'])
  expect(told).toContainEqual(expect.objectContaining({ kind: 'log', level: 'error', message: 'alerts could not be kept' }))
})
