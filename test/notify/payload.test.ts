import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BadPayload, readNotification } from '../../src/notify/payload.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/notify')
const NOW = Date.parse('2026-05-04T08:20:00Z')
const STARTED = Date.parse('2026-05-04T08:15:30.250Z')
const ENDED = Date.parse('2026-05-04T08:19:30.250Z')

const fixture = (name: string) => readNotification(readFileSync(join(FIXTURES, `${name}.json`)), NOW)
const read = (value: unknown) => readNotification(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), NOW)
const alert = (more: object = {}) => ({ status: 'firing', labels: { alertname: 'A' }, annotations: {}, startsAt: '2026-05-04T08:15:30.25Z', endsAt: '0001-01-01T00:00:00Z', generatorURL: '', fingerprint: 'f', ...more })
const notification = (alerts: unknown, more: object = {}) => ({ version: '4', groupKey: 'g', receiver: 'r', alerts, ...more })
const readAlert = (more: object) => read(notification([alert(more)])).alerts[0]!

describe('what senders send', () => {
  it('Alertmanager 0.25', () => {
    expect(fixture('alertmanager-0.25')).toEqual({
      context: { receiver: 'chat', groupKey: '{}/{team="webhook"}:{alertname="RedisDown"}', groupLabels: { alertname: 'RedisDown' }, externalURL: 'http://am-1:9093', truncatedAlerts: 0 },
      alerts: [{
        status: 'firing', labels: { alertname: 'RedisDown', cluster: 'room-a', instance: 'redis-1:6379', job: 'curlew', severity: 'critical' },
        annotations: { summary: 'redis-1 does not answer', description: 'PING <failed> & gave up after 3 tries' },
        startsAt: STARTED, generatorURL: 'http://prom-1:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1', fingerprint: 'a1b2c3d4e5f60718',
      }],
    })
  })

  it('Alertmanager 0.28: a receiver that went through QuoteMeta, and one of two that is over', () => {
    const { context, alerts } = fixture('alertmanager-0.28')
    expect(context.receiver).toBe('ops.team (room a)')
    expect(alerts.map(({ status, endsAt }) => [status, endsAt])).toEqual([['firing', undefined], ['resolved', ENDED]])
  })

  it('Alertmanager 0.32 and 0.34: a reason, labels with dots, keys that are not known', () => {
    expect(fixture('alertmanager-0.32').context.reason).toBe('all alerts resolved')
    const { context, alerts } = fixture('alertmanager-0.34')
    expect(context.reason).toBe('repeat interval elapsed')
    expect(alerts[0]!.labels['my.label']).toBe('磁盘')
  })

  it('a cut list: how many are missing', () => {
    expect(fixture('truncated').context.truncatedAlerts).toBe(37)
  })

  it('vmalert: a fingerprint is made, and an end in the future is none', () => {
    const [only] = fixture('vmalert').alerts
    expect(only).toMatchObject({ status: 'firing', fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) })
    expect(only).not.toHaveProperty('endsAt')
  })

  it('Grafana', () => {
    const { alerts } = fixture('grafana')
    expect(alerts[0]).toMatchObject({ status: 'firing', startsAt: Date.parse('2026-05-04T08:15:30.157Z'), fingerprint: 'c6eadffa33fcdf37' })
  })

  it('every fixture but the custom payload is read', () => {
    const names = readdirSync(FIXTURES).map((file) => file.replace('.json', '')).filter((name) => name !== 'custom-payload')
    expect(names.filter((name) => fixture(name).alerts.length === 0)).toEqual([])
  })
})

describe('what may be missing or strange', () => {
  it('an alert with labels alone fires since now', () => {
    expect(read({ alerts: [{ labels: { a: 'b' } }] })).toEqual({
      context: { receiver: '', groupKey: '', groupLabels: {}, externalURL: '', truncatedAlerts: 0 },
      alerts: [{ status: 'firing', labels: { a: 'b' }, annotations: {}, startsAt: NOW, generatorURL: '', fingerprint: expect.any(String) }],
    })
  })

  it.each([
    ['firing', '2026-05-04T08:00:00Z', 'firing', undefined],
    ['firing', '2026-05-04T09:00:00Z', 'firing', undefined],
    ['resolved', '0001-01-01T00:00:00Z', 'resolved', NOW],
    ['resolved', '2026-05-04T08:00:00Z', 'resolved', STARTED],
    [undefined, '2026-05-04T08:19:30.25Z', 'resolved', ENDED],
    [undefined, '2026-05-04T09:00:00Z', 'firing', undefined],
    ['alerting', '0001-01-01T00:00:00Z', 'firing', undefined],
  ])('status %s with the end %s is %s', (status, endsAt, expected, end) => {
    const one = readAlert({ status, endsAt })
    expect([one.status, one.endsAt]).toEqual([expected, end])
  })

  it('numbers are texts, null is nothing, and a name of the prototype is a label like any other', () => {
    const { alerts } = read('{"alerts":[{"labels":{"a":1,"b":true,"c":null,"__proto__":"x","constructor":"y"}}]}')
    expect(Object.entries(alerts[0]!.labels)).toEqual([['a', '1'], ['b', 'true'], ['__proto__', 'x'], ['constructor', 'y']])
  })

  it('a made fingerprint depends on labels alone, in whatever order', () => {
    const made = (labels: object, more: object = {}) => readAlert({ fingerprint: undefined, labels, ...more }).fingerprint
    expect(made({ a: '1', b: '2' })).toBe(made({ b: '2', a: '1' }, { annotations: { x: 'y' }, status: 'resolved' }))
    expect(made({ a: '1', b: '2' })).not.toBe(made({ a: '1', b: '3' }))
    expect(made({ a: '1,b=2' })).not.toBe(made({ a: '1', b: '2' }))
  })

  it('a link that is none of the web is left out', () => {
    expect(readAlert({ generatorURL: 'javascript:alert(1)' }).generatorURL).toBe('')
    expect(readAlert({ generatorURL: `http://a/${'x'.repeat(9_000)}` }).generatorURL).toBe('')
    expect(read(notification([], { externalURL: 'http://[' })).context.externalURL).toBe('')
  })

  it("Grafana's own pages are kept where they are of the web, the panel before the dashboard", () => {
    expect(readAlert({ silenceURL: 'https://g/s', dashboardURL: 'https://g/d', panelURL: 'https://g/p' })).toMatchObject({ silenceURL: 'https://g/s', dashboardURL: 'https://g/p' })
    expect(readAlert({ dashboardURL: 'https://g/d', panelURL: '' })).toMatchObject({ dashboardURL: 'https://g/d' })
    expect(readAlert({ silenceURL: 'javascript:1', dashboardURL: 5 })).not.toHaveProperty(['silenceURL'])
  })

  it('half a character is replaced', () => {
    expect(read('{"alerts":[{"labels":{"a":"x\\ud800y"}}]}').alerts[0]!.labels).toEqual({ a: 'x\ufffdy' })
  })
})

describe('bounds', () => {
  it('long texts are cut with a mark, never in the middle of a character', () => {
    const { annotations, labels } = readAlert({ annotations: { description: '😀'.repeat(20_000) }, labels: { a: `${'x'.repeat(7_999)}😀` } })
    expect(annotations['description']).toBe(`${'😀'.repeat(16_000)}… (8000 more characters)`)
    expect(labels['a']).toBe(`${'x'.repeat(7_999)}… (1 more characters)`)
  })

  it('cut labels still make different fingerprints', () => {
    const made = (end: string) => readAlert({ fingerprint: undefined, labels: { a: 'x'.repeat(9_000) + end } })
    expect(made('1').labels).toEqual(made('2').labels)
    expect(made('1').fingerprint).not.toBe(made('2').fingerprint)
  })

  it('more alerts than Alertmanager can send are refused, not cut', () => {
    expect(() => read(notification(Array.from({ length: 60_001 }, () => ({ labels: { a: 'b' } }))))).toThrow('expected at most 60000 alerts, got 60001')
  })

  it('10 MB are read', () => {
    const body = Buffer.from(JSON.stringify(notification(Array.from({ length: 40_000 }, (_, index) => alert({ labels: { alertname: 'A', n: String(index) } })))))
    expect(readNotification(body).alerts).toHaveLength(40_000)
  })

  it('an alert may have very many labels', () => {
    expect(Object.keys(readAlert({ labels: Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`l${index}`, 'x'])) }).labels)).toHaveLength(500)
  })
})

describe('what can never be read', () => {
  it.each<[string, unknown, string]>([
    ['nothing', '', "expected the body of Alertmanager's webhook, got an empty one"],
    ['no JSON', 'alerts: [secret', "expected the JSON of Alertmanager's webhook, got what is not JSON"],
    ['a number', '4', "expected the JSON of Alertmanager's webhook, got no mapping"],
    ['a list', [alert()], 'expected a notification, got a bare list, as Prometheus and vmalert send it to an Alertmanager: put an Alertmanager between, which groups and repeats'],
    ['no alerts', { version: '4', groupKey: 'g' }, 'expected a list of alerts under alerts'],
    ['null for alerts', notification(null), 'expected a list of alerts under alerts'],
    ['an alert that is none', notification([alert(), 'x']), 'alerts[1]: expected a mapping with labels'],
    ['no labels', notification([alert(), alert({ labels: undefined })]), 'alerts[1]: expected labels'],
    ['empty labels', notification([alert({ labels: {} })]), 'alerts[0]: expected labels'],
    ['a list as a label', notification([alert({ labels: { a: [1] } })]), 'alerts[0].labels: expected texts, got a list or a mapping'],
    ['a text for annotations', notification([alert({ annotations: 'x' })]), 'alerts[0].annotations: expected a mapping'],
  ])('%s', (_name, body, message) => {
    expect(() => read(body)).toThrow(new BadPayload(message))
  })

  it('a custom payload of Alertmanager 0.32 and later', () => {
    expect(() => fixture('custom-payload')).toThrow(new BadPayload("expected the body of Alertmanager's webhook with version, groupKey and alerts; a custom payload of the webhook_config cannot be read: remove it"))
  })
})

describe('whatever comes', () => {
  /** A notification, or BadPayload: everything else would be an error inside Curlew, and sent again for ever. */
  function readable(body: Uint8Array): boolean {
    try {
      return readNotification(body, NOW).alerts.every(({ labels, fingerprint, startsAt }) => Object.values(labels).every((text) => typeof text === 'string' && text.isWellFormed()) && fingerprint !== '' && Number.isFinite(startsAt))
    } catch (error) {
      return error instanceof BadPayload
    }
  }

  it('bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readable))
  })

  it('JSON in the place of anything', () => {
    // What cannot be made a text or a number, beyond the labels that are read too.
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`l${index}`, 'x']))
    expect(readable(Buffer.from(JSON.stringify(notification([{ status: 'firing', labels: { ...many, last: { toString: [] } } }], {}))))).toBe(true)
    expect(readable(Buffer.from(JSON.stringify(notification([alert({})], { truncatedAlerts: { toString: [] } }))))).toBe(true)
    const keys = ['status', 'labels', 'annotations', 'startsAt', 'endsAt', 'generatorURL', 'fingerprint', 'receiver', 'groupKey', 'groupLabels', 'externalURL', 'truncatedAlerts', 'notification_reason']
    fc.assert(fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => readable(Buffer.from(JSON.stringify(notification([alert({ [key]: value })], { [key]: value }))))), { numRuns: 500 })
    fc.assert(fc.property(fc.jsonValue(), (value) => readable(Buffer.from(JSON.stringify(value)))))
  })

  it('a hundred thousand brackets', () => {
    expect(readable(Buffer.from(`{"alerts":${'['.repeat(100_000)}`))).toBe(true)
    expect(readable(Buffer.from(`{"alerts":[{"labels":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}]}`))).toBe(true)
  })
})
