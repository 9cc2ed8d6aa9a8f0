import { describe, expect, it } from 'vitest'
import type { Alert, NotificationContext } from '../../src/notify/alert.ts'
import { planRoutes, UnknownRoute } from '../../src/notify/routing.ts'
import { notifyConfig } from '../support/notify.ts'

const NOON = Date.parse('2026-05-04T12:00:00Z')
const NIGHT = Date.parse('2026-05-04T23:00:00Z')
const context: NotificationContext = { receiver: 'r', groupKey: 'g', groupLabels: {}, externalURL: '', truncatedAlerts: 0 }
const alert = (labels: Record<string, string>, more: Partial<Alert> = {}): Alert => ({ status: 'firing', labels, annotations: {}, startsAt: NOON, generatorURL: '', fingerprint: JSON.stringify(labels), ...more })

/** `route channel: names of the alerts`. */
function plan(section: object, alerts: readonly Alert[], { path, now = NOON }: { path?: string, now?: number } = {}): string[] {
  return planRoutes(notifyConfig(section), { context, alerts }, path, now)
    .map((incoming) => `${incoming.route} ${incoming.channel}: ${incoming.alerts.map(({ labels }) => labels['n']).join(' ')}`)
}

describe('down the routes', () => {
  const routes = [
    { name: 'db', matchers: ['team=db', 'severity=~"critical|page"'], channel: 'a' },
    { matchers: ['team="db"'], channels: ['b', 'c'] },
    { channel: 'c' },
  ]

  it('the first that matches gets it, with its name or its place', () => {
    expect(plan({ routes }, [alert({ n: '1', team: 'db', severity: 'page' }), alert({ n: '2', team: 'db' }), alert({ n: '3' }), alert({ n: '4', team: 'db' })]))
      .toEqual(['db a: 1', 'route-2 b: 2 4', 'route-2 c: 2 4', 'route-3 c: 3'])
  })

  it('the next ones too where it continues, and a channel of two routes gets both', () => {
    expect(plan({ routes: [{ channel: 'a', continue: true }, { matchers: ['n=1'], channel: 'a', continue: true }, { channel: 'b' }] }, [alert({ n: '1' }), alert({ n: '2' })]))
      .toEqual(['route-1 a: 1 2', 'route-2 a: 1', 'route-3 b: 1 2'])
  })

  it('nothing comes of nothing', () => {
    expect(plan({ routes }, [])).toEqual([])
  })

  it('the context goes with the alerts', () => {
    expect(planRoutes(notifyConfig({}), { context, alerts: [alert({ n: '1' })] }, undefined, NOON)[0]).toMatchObject({ context })
  })
})

describe('a path', () => {
  const routes = [{ channel: 'a' }, { name: 'night', matchers: ['x=y'], channel: 'b', active_time_intervals: ['never'] }]
  const time_intervals = [{ name: 'never', time_intervals: [{ years: [1999] }] }]

  it('names the route that gets all of them, whatever its matchers and the time', () => {
    expect(plan({ routes, time_intervals }, [alert({ n: '1' }), alert({ n: '2' })], { path: 'night' })).toEqual(['night b: 1 2'])
    expect(plan({ routes, time_intervals }, [alert({ n: '1' })], { path: 'route-1' })).toEqual(['route-1 a: 1'])
  })

  it('that no route has is an error', () => {
    expect(() => plan({ routes, time_intervals }, [alert({ n: '1' })], { path: 'nights' })).toThrow(UnknownRoute)
  })
})

describe('time intervals', () => {
  const time_intervals = [
    { name: 'office', time_intervals: [{ times: [{ start_time: '09:00', end_time: '18:00' }] }] },
    { name: 'holidays', time_intervals: [{ months: ['december'], days_of_month: ['24:26'] }, { months: ['may'], days_of_month: [1] }] },
  ]
  const routes = [{ channel: 'a', active_time_intervals: ['office'], mute_time_intervals: ['holidays'] }, { channel: 'b' }]
  const at = (time: string, more: Partial<Alert> = {}) => plan({ routes, time_intervals }, [alert({ n: '1' }, more)], { now: Date.parse(time) })

  it('a route outside of its times does not match', () => {
    expect(at('2026-05-04T12:00Z')).toEqual(['route-1 a: 1'])
    expect(at('2026-05-04T18:00Z')).toEqual(['route-2 b: 1'])
    expect(at('2026-12-25T12:00Z')).toEqual(['route-2 b: 1'])
    expect(at('2026-05-01T12:00Z')).toEqual(['route-2 b: 1'])
  })

  it('what is over goes where it began and where it would go now, once each', () => {
    expect(at('2026-05-04T23:00Z', { status: 'resolved', startsAt: NOON, endsAt: NIGHT })).toEqual(['route-1 a: 1', 'route-2 b: 1'])
    expect(at('2026-05-04T13:00Z', { status: 'resolved', startsAt: NOON, endsAt: NOON })).toEqual(['route-1 a: 1'])
    expect(at('2026-05-04T23:00Z', { startsAt: NOON })).toEqual(['route-2 b: 1'])
  })
})

it('ten thousand alerts and a hundred routes are no work for minutes', () => {
  const routes = [...Array.from({ length: 100 }, (_, index) => ({ matchers: [`team=~"t${index}|u${index}"`], channel: 'a', active_time_intervals: ['office'] })), { channel: 'b' }]
  const time_intervals = [{ name: 'office', time_intervals: [{ times: [{ start_time: '09:00', end_time: '18:00' }], location: 'Asia/Shanghai' }] }]
  const alerts = Array.from({ length: 10_000 }, (_, index) => alert({ n: String(index), team: `t${index % 200}` }))
  const config = notifyConfig({ routes, time_intervals })
  const started = performance.now()
  expect(planRoutes(config, { context, alerts }, undefined, NOON - 6 * 3_600_000).flatMap((one) => one.alerts)).toHaveLength(10_000)
  expect(performance.now() - started).toBeLessThan(8_000)
})
