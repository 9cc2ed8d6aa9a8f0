import { describe, expect, it } from 'vitest'
import { SKIP_CAUSES } from '../../src/core/scheduler.ts'
import { createStore } from '../../src/core/store.ts'
import { createExposition } from '../../src/exporter/exposition.ts'
import { CORE, familiesOf, familiesOfType, seriesOf } from '../../src/exporter/families.ts'
import { metricsPage, PROCESS_METRICS } from '../../src/exporter/metrics-page.ts'
import { createOwnMetrics, OWN } from '../../src/exporter/own-metrics.ts'
import { NOTIFY } from '../../src/notify/metrics.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { parseExposition, valuesOf } from './parse-exposition.ts'

function setUp() {
  const busy = { inFlight: 0, queued: 0, stuck: 0 }
  const own = createOwnMetrics({ version: '1.2.3', types: ['dns', 'tcp'], inFlight: () => busy.inFlight, queued: () => busy.queued, stuck: () => busy.stuck })
  const exposition = createExposition({ store: createStore(), types: [], registry: own.registry })
  return { own, busy, scrape: async () => parseExposition((await Array.fromAsync(exposition.render('openmetrics'))).join(''), 'openmetrics') }
}

describe('the prober\'s own metrics', () => {
  it('are all there at 0 from the start', async () => {
    const families = await setUp().scrape()
    expect(valuesOf(families, 'curlew_build_info', 'version')).toEqual({ '1.2.3': 1 })
    expect(valuesOf(families, 'curlew_targets', 'type')).toEqual({ dns: 0, tcp: 0 })
    expect(valuesOf(families, 'curlew_unmapped_errors_total', 'type')).toEqual({ dns: 0, tcp: 0 })
    expect(valuesOf(families, 'curlew_runs_skipped_total', 'cause')).toEqual(Object.fromEntries(SKIP_CAUSES.map((cause) => [cause, 0])))
    const zero = [
      'curlew_config_last_reload_successful', 'curlew_config_last_reload_success_timestamp_seconds', 'curlew_probes_in_flight', 'curlew_probes_queued',
      'curlew_stuck_children', 'curlew_schedule_lag_seconds_count', 'curlew_event_loop_delay_seconds_count', 'curlew_schedule_lag_seconds_sum',
    ]
    expect(zero.map((name) => [name, valuesOf(families, name)])).toEqual(zero.map((name) => [name, { '': 0 }]))
    expect(valuesOf(families, 'curlew_schedule_lag_seconds_bucket', 'le')).toMatchObject({ 0.001: 0, '1.0': 0, '+Inf': 0 })
  })

  it('count what they are told', async () => {
    const { own, busy, scrape } = setUp()
    own.reloaded(true, 1_750_000_000_500)
    own.setTargets(new Map([['dns', 3]]))
    own.lag(0.002)
    own.lag(60)
    own.skipped('missed', 4)
    own.skipped('missed')
    own.unmapped('tcp')
    own.loopDelay(0.03)
    own.discovered('local', 1_750_000_001_000)
    Object.assign(busy, { inFlight: 5, queued: 6, stuck: 7 })
    const families = await scrape()
    expect(valuesOf(families, 'curlew_config_last_reload_successful')).toEqual({ '': 1 })
    expect(valuesOf(families, 'curlew_config_last_reload_success_timestamp_seconds')).toEqual({ '': 1_750_000_000.5 })
    expect(valuesOf(families, 'curlew_targets', 'type')).toEqual({ dns: 3, tcp: 0 })
    expect(valuesOf(families, 'curlew_schedule_lag_seconds_bucket', 'le')).toMatchObject({ 0.001: 0, 0.0025: 1, '10.0': 1, '+Inf': 2 })
    expect(valuesOf(families, 'curlew_runs_skipped_total', 'cause')).toEqual({ overlap: 0, queued: 0, missed: 5 })
    expect(valuesOf(families, 'curlew_unmapped_errors_total', 'type')).toEqual({ dns: 0, tcp: 1 })
    expect(valuesOf(families, 'curlew_event_loop_delay_seconds_bucket', 'le')).toMatchObject({ 0.025: 0, 0.05: 1 })
    expect(valuesOf(families, 'nodejs_eventloop_lag_max_seconds')['']).toBeCloseTo(0.03, 3)
    expect(valuesOf(await scrape(), 'nodejs_eventloop_lag_max_seconds')).toEqual({ '': 0 })
    expect(valuesOf(families, 'curlew_discovery_last_success_timestamp_seconds', 'source')).toEqual({ local: 1_750_000_001 })
    expect(valuesOf(families, 'curlew_probes_in_flight')).toEqual({ '': 5 })
    expect(valuesOf(families, 'curlew_probes_queued')).toEqual({ '': 6 })
    expect(valuesOf(families, 'curlew_stuck_children')).toEqual({ '': 7 })
  })

  it('forget targets that have gone, and remember the last good load', async () => {
    const { own, scrape } = setUp()
    own.setTargets(new Map([['dns', 3], ['tcp', 1]]))
    own.setTargets(new Map([['tcp', 2]]))
    own.reloaded(true, 1_000)
    own.reloaded(false, 9_000)
    const families = await scrape()
    expect(valuesOf(families, 'curlew_targets', 'type')).toEqual({ dns: 0, tcp: 2 })
    expect(valuesOf(families, 'curlew_config_last_reload_successful')).toEqual({ '': 0 })
    expect(valuesOf(families, 'curlew_config_last_reload_success_timestamp_seconds')).toEqual({ '': 1 })
  })

  it('are registered as they are documented', () => {
    const registered = setUp().own.registry.getMetricsAsArray().map(({ name, help, type }) => ({ name, help, kind: String(type) }))
    const documented = Object.values(OWN).map(({ name, help, kind }) => ({ name, help, kind }))
    const ours = registered.filter(({ name }) => name.startsWith('curlew_'))
    expect(ours.map(({ name, help }) => ({ name, help }))).toEqual(documented.map(({ name, help }) => ({ name, help })))
    expect(registered.filter((metric) => !ours.includes(metric)).map(({ name }) => name).toSorted()).toEqual(PROCESS_METRICS.toSorted())
  })
})

describe('the metrics page', () => {
  const page = metricsPage(probeTypes, Object.values(NOTIFY))

  it('has a row for every metric, once, of its kind and with its labels', () => {
    const all = [...familiesOf(probeTypes), ...Object.values(OWN), ...Object.values(NOTIFY)]
    const starts = all.map(({ name, kind, labels }) => `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | `)
    expect(starts.map((start) => page.split('\n').filter((line) => line.startsWith(start)).length)).toEqual(starts.map(() => 1))
    for (const name of PROCESS_METRICS) expect(page).toContain(`\`${name}\``)
  })

  it('says of every borrowed name what is different', () => {
    const [, differences = ''] = page.split('## Names borrowed from blackbox_exporter')
    const borrowed = page.split('\n').flatMap((line) => (line.includes('| borrowed |') ? /`(\w+)`/.exec(line)?.[1] ?? [] : []))
    expect(borrowed).toContain(CORE.success.name)
    for (const name of borrowed) expect(differences).toMatch(new RegExp(`^\\| \`${name}\` \\| \\S`, 'm'))
    expect(differences.match(/^\| `/gm)).toHaveLength(borrowed.length)
  })

  it('says how many series a target of each type makes', () => {
    for (const type of probeTypes) {
      expect(page).toContain(`| \`${type.type}\` | ${seriesOf({ host: 'h', limits: [], histogram: false }, type)} |`)
      expect(familiesOfType(type).length).toBeGreaterThan(0)
    }
  })

  it('is the same every time', () => {
    expect(metricsPage(probeTypes, Object.values(NOTIFY))).toBe(page)
  })
})
