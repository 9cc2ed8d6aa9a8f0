import fc from 'fast-check'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { z } from 'zod'
import { describe, expect, it } from 'vitest'
import { hostPort } from '../../src/core/fields.ts'
import { defineProbe, type GaugeSpec, type Job, type ProbeType } from '../../src/core/probe.ts'
import type { ProbeResult } from '../../src/core/result.ts'
import { createStore, LATENCY_BUCKETS, type Store } from '../../src/core/store.ts'
import { LONGEST_SENT_LABEL } from '../../src/exporter/exposition-format.ts'
import { createExposition, type Exposition } from '../../src/exporter/exposition.ts'
import { familiesOf, familiesOfType, seriesOf } from '../../src/exporter/families.ts'
import type { MetricsFormat } from '../../src/exporter/http-negotiate.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { resultOf, testJob } from '../support/jobs.ts'
import { parseExposition, seriesOfProbe, valuesOf, type ParsedFamily } from './parse-exposition.ts'

const SHARED = { probe_ip_protocol: 'IP version.', probe_tls_version_info: { help: 'The TLS version.', labels: ['version'] } } as const

function typeNamed(type: string, gauges: Readonly<Record<string, string | GaugeSpec>> = {}, prefix?: string): ProbeType {
  return defineProbe({
    type, summary: 'for tests', options: z.object({ target: hostPort(1) }), phases: { connect: 'connect', request: 'request' }, gauges, codes: {},
    schemes: [], fromUrl: () => ({}), example: { target: 'localhost' }, run: async () => {}, ...(prefix === undefined ? {} : { prefix }),
  })
}

const TYPES = [
  typeNamed('test', { ...SHARED, probe_test_memory_bytes: 'Memory.', probe_test_role: { help: 'Role, "as sent".', labels: ['role'] } }),
  typeNamed('other-kind', { ...SHARED, probe_other_kind_size: 'Size.' }),
  typeNamed('ping', {}, 'icmp'),
]

const START = Date.UTC(2026, 0, 1)

function setUp({ types = TYPES, registry = new Registry() }: { types?: readonly ProbeType[], registry?: Registry } = {}) {
  const store = createStore()
  const clock = { now: START }
  const exposition = createExposition({ store, types, registry, now: () => clock.now })
  return { store, clock, exposition, registry, scrape: () => scrape(exposition) }
}

async function textOf(exposition: Exposition, format: MetricsFormat = 'text'): Promise<string> {
  return (await Array.fromAsync(exposition.render(format))).join('')
}

/** Both formats, which must say the same. */
async function scrape(exposition: Exposition): Promise<Map<string, ParsedFamily>> {
  const text = parseExposition(await textOf(exposition), 'text')
  const open = parseExposition(await textOf(exposition, 'openmetrics'), 'openmetrics')
  const renamed = [...text.values()].map((family) => (family.kind === 'counter' ? { ...family, name: family.name.replace(/_total$/, '') } : family))
  expect([...open.values()]).toEqual(renamed)
  return text
}

/** Puts a job and gives it one result. */
function ran(store: Store, over: Partial<Job> & { name: string }, status: ProbeResult['status'], result: Partial<ProbeResult> = {}, at = START): Job {
  const job = testJob(over)
  store.put(job)
  store.record(resultOf(job, status, at, result))
  return job
}

describe('one target', () => {
  it('has its counters at 0, and nothing that no run has told, before its first run', async () => {
    const { store, scrape } = setUp()
    store.put(testJob({ name: 'a' }))
    expect(seriesOfProbe(await scrape(), 'a')).toEqual({
      'probe_runs_total{result=ok}': 0, 'probe_runs_total{result=failed}': 0, 'probe_runs_total{result=unknown}': 0,
      probe_interval_seconds: 10, 'probe_info{host=127.0.0.1}': 1,
    })
  })

  it('shows its last run, in seconds', async () => {
    const { store, scrape } = setUp()
    const job = ran(store, { name: 'a', labels: { team: 'web' } }, 'ok', {
      ms: 12.5, phases: [{ name: 'connect', ms: 2.25 }, { name: 'request', ms: 9.000_000_1 }],
      gauges: [{ name: 'probe_test_memory_bytes', value: 1e21 }, { name: 'probe_test_role', value: 1, labels: { role: 'master' } }],
    })
    store.get(job.id)!.nextRunAt = START + 10_000
    store.touch(0)
    expect(seriesOfProbe(await scrape(), 'a')).toEqual({
      'probe_success{team=web}': 1, 'probe_healthy{team=web}': 1, 'probe_unknown{team=web}': 0, 'probe_duration_seconds{team=web}': 0.0125,
      'probe_test_duration_seconds{team=web,phase=connect}': 0.002_25, 'probe_test_duration_seconds{team=web,phase=request}': 0.009,
      'probe_test_memory_bytes{team=web}': 1e21, 'probe_test_role{team=web,role=master}': 1,
      'probe_runs_total{team=web,result=ok}': 1, 'probe_runs_total{team=web,result=failed}': 0, 'probe_runs_total{team=web,result=unknown}': 0,
      'probe_root_cause{team=web}': 0, 'probe_last_run_timestamp_seconds{team=web}': START / 1_000,
      'probe_next_run_timestamp_seconds{team=web}': START / 1_000 + 10, 'probe_interval_seconds{team=web}': 10, 'probe_info{team=web,host=127.0.0.1}': 1,
    })
  })

  it('says where and why it failed, and forgets only what was of the last run', async () => {
    const { store, scrape } = setUp()
    const job = ran(store, { name: 'a' }, 'failed')
    expect(seriesOfProbe(await scrape(), 'a')).toMatchObject({
      probe_success: 0, probe_healthy: 0, probe_root_cause: 0, 'probe_failure_info{layer=connect,reason=refused}': 1, 'probe_failures_total{layer=connect,reason=refused}': 1,
    })
    store.record(resultOf(job, 'ok', START + 10_000))
    const well = seriesOfProbe(await scrape(), 'a')
    expect(well).toMatchObject({ probe_success: 1, probe_healthy: 1, 'probe_failures_total{layer=connect,reason=refused}': 1 })
    expect(Object.keys(well).filter((name) => name.startsWith('probe_failure_info'))).toEqual([])
  })

  it('moves with its last run: another reason, fewer phases, another answer', async () => {
    const { store, scrape } = setUp()
    const role = (said: string) => [{ name: 'probe_test_role', value: 1, labels: { role: said } }]
    const job = ran(store, { name: 'a' }, 'failed', { phases: [{ name: 'connect', ms: 1 }, { name: 'request', ms: 2 }], gauges: role('master') })
    await scrape()
    store.record(resultOf(job, 'failed', START + 10_000, {
      phases: [{ name: 'connect', ms: 1 }], gauges: role('replica'), failure: { layer: 'connect', reason: 'timeout', code: 'connect_timeout', message: '' },
    }))
    const families = await scrape()
    expect(valuesOf(families, 'probe_test_duration_seconds', 'phase')).toEqual({ connect: 0.001 })
    expect(valuesOf(families, 'probe_test_role', 'role')).toEqual({ replica: 1 })
    expect(valuesOf(families, 'probe_failure_info', 'layer', 'reason')).toEqual({ 'connect timeout': 1 })
    expect(valuesOf(families, 'probe_failures_total', 'layer', 'reason')).toEqual({ 'connect refused': 1, 'connect timeout': 1 })
  })

  it('says nothing of the target while the last run is unknown, and holds its health until the hold lapses', async () => {
    const { store, clock, scrape } = setUp()
    const job = ran(store, { name: 'a' }, 'failed')
    store.record(resultOf(job, 'unknown', START + 10_000))
    const held = seriesOfProbe(await scrape(), 'a')
    expect(held).toMatchObject({ probe_unknown: 1, probe_healthy: 0, probe_root_cause: 0, 'probe_runs_total{result=unknown}': 1 })
    expect(held).not.toHaveProperty('probe_success')
    expect(Object.keys(held).filter((name) => name.startsWith('probe_failure_info'))).toEqual([])

    clock.now = START + 10_000 + 300_000
    expect(seriesOfProbe(await scrape(), 'a')).toMatchObject({ probe_healthy: 0, probe_root_cause: 0 })
    clock.now++
    const lapsed = seriesOfProbe(await scrape(), 'a')
    expect(lapsed).not.toHaveProperty('probe_healthy')
    expect(lapsed).not.toHaveProperty('probe_root_cause')
    expect(lapsed).toMatchObject({ probe_unknown: 1 })
  })

  it('withdraws its last run when the next one is overdue, then its health, and keeps its counters', async () => {
    const { store, clock, scrape } = setUp()
    const job = ran(store, { name: 'a' }, 'failed', {
      phases: [{ name: 'connect', ms: 1 }], gauges: [{ name: 'probe_ip_protocol', value: 4 }],
    })
    const next = START + 10_000
    store.get(job.id)!.nextRunAt = next
    store.touch(0)
    clock.now = next + job.timeoutMs + 60_000
    expect(seriesOfProbe(await scrape(), 'a')).toMatchObject({ probe_success: 0, probe_ip_protocol: 4 })

    clock.now++
    const counters = {
      'probe_runs_total{result=ok}': 0, 'probe_runs_total{result=failed}': 1, 'probe_runs_total{result=unknown}': 0,
      'probe_failures_total{layer=connect,reason=refused}': 1, probe_last_run_timestamp_seconds: START / 1_000,
      probe_next_run_timestamp_seconds: next / 1_000, probe_interval_seconds: 10, 'probe_info{host=127.0.0.1}': 1,
    }
    expect(seriesOfProbe(await scrape(), 'a')).toEqual({ ...counters, probe_healthy: 0, probe_root_cause: 0 })
    clock.now = next + 300_001
    expect(seriesOfProbe(await scrape(), 'a')).toEqual(counters)

    store.record(resultOf(job, 'ok', clock.now))
    store.get(job.id)!.nextRunAt = clock.now + 10_000
    store.touch(0)
    expect(seriesOfProbe(await scrape(), 'a')).toMatchObject({ probe_success: 1, probe_healthy: 1, 'probe_runs_total{result=ok}': 1 })
  })

  it.each([
    ['none', { kind: 'none' }, 0, {}],
    ['pending', { kind: 'pending' }, 0, {}],
    ['root', { kind: 'root' }, 1, {}],
    ['explained', { kind: 'explained', root: 'dns/10.0.0.2:53', rootId: 'x', through: [] }, 0, { 'probe_explained_by{root=dns/10.0.0.2:53}': 1 }],
  ] as const)('when unhealthy with cause %s', async (_, cause, rootCause, explained) => {
    const { store, scrape } = setUp()
    const job = ran(store, { name: 'a' }, 'failed')
    store.get(job.id)!.cause = cause
    store.touch(0)
    const sick = seriesOfProbe(await scrape(), 'a')
    expect(sick).toMatchObject({ probe_root_cause: rootCause, ...explained })
    expect(Object.keys(sick).filter((name) => name.startsWith('probe_explained_by'))).toEqual(Object.keys(explained))

    store.record(resultOf(job, 'ok', START + 10_000))
    const well = seriesOfProbe(await scrape(), 'a')
    expect(well).toMatchObject({ probe_root_cause: 0 })
    expect(Object.keys(well).filter((name) => name.startsWith('probe_explained_by'))).toEqual([])
  })

  it('has a cumulative histogram of its successful runs when asked to', async () => {
    const { store, scrape } = setUp()
    const job = ran(store, { name: 'a', histogram: true }, 'ok', { ms: 5 })
    store.record(resultOf(job, 'ok', START, { ms: 700 }))
    store.record(resultOf(job, 'ok', START, { ms: 20_000 }))
    store.record(resultOf(job, 'failed', START, { ms: 1 }))
    const families = await scrape()
    const buckets = valuesOf(families, 'probe_latency_seconds_bucket', 'le')
    expect(Object.keys(buckets)).toEqual(['0.0005', '0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '1.0', '2.5', '10.0', '+Inf'])
    expect(Object.values(buckets)).toEqual([0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3])
    expect(valuesOf(families, 'probe_latency_seconds_sum')).toEqual({ '': 20.705 })
    expect(valuesOf(families, 'probe_latency_seconds_count')).toEqual({ '': 3 })
    expect(LATENCY_BUCKETS).toHaveLength(12)
  })

  it('shows its limits', async () => {
    const { store, scrape } = setUp()
    store.put(testJob({ name: 'a', limits: [
      { name: 'duration', gauge: 'probe_duration_seconds', worse: 'above', warning: 0.5, critical: 2, fails: false },
      { name: 'days', gauge: 'probe_ssl_earliest_cert_expiry', worse: 'below', critical: 7, fails: true },
    ] }))
    expect(valuesOf(await scrape(), 'probe_threshold', 'name', 'level')).toEqual({ 'duration warning': 0.5, 'duration critical': 2, 'days critical': 7 })
  })

  it('leaves out what is no number, what is not declared, and the earlier of two samples of a series', async () => {
    const { store, scrape } = setUp()
    ran(store, { name: 'a' }, 'ok', { gauges: [
      { name: 'probe_test_memory_bytes', value: Number.NaN }, { name: 'probe_ip_protocol', value: 4 }, { name: 'probe_ip_protocol', value: 6 },
      { name: 'probe_test_role', value: 1, labels: { role: 'master', secret: 'x' } }, { name: 'probe_other_kind_size', value: 1 }, { name: 'probe_success', value: 7 },
    ] })
    const shown = seriesOfProbe(await scrape(), 'a')
    expect(shown).toMatchObject({ probe_ip_protocol: 6, 'probe_test_role{role=master}': 1, probe_success: 1 })
    expect(shown).not.toHaveProperty('probe_test_memory_bytes')
    expect(shown).not.toHaveProperty('probe_other_kind_size')
  })

  it('makes exactly the series that are counted beforehand', async () => {
    const { store, scrape } = setUp()
    const job = ran(store, { name: 'a', histogram: true, limits: [{ name: 'duration', gauge: 'probe_duration_seconds', worse: 'above', warning: 1, critical: 2, fails: false }] }, 'ok', {
      phases: [{ name: 'connect', ms: 1 }, { name: 'request', ms: 1 }],
      gauges: Object.keys(TYPES[0]!.gauges).map((name) => ({ name, value: 1 })),
    })
    store.get(job.id)!.nextRunAt = START
    store.touch(0)
    expect(Object.keys(seriesOfProbe(await scrape(), 'a'))).toHaveLength(seriesOf(job, TYPES[0]!))
    expect(seriesOf({ ...job, histogram: false, limits: [] }, typeNamed('plain', { probe_plain_size: 'Size.' }))).toBe(15)
    expect(seriesOf({ ...job, histogram: false, limits: [], host: undefined }, typeNamed('plain', { probe_plain_states: { help: 'States.', labels: ['state'], series: 3 } }))).toBe(16)
  })
})

describe('labels', () => {
  it('come in one order: probe, type, target, configured, own', async () => {
    const { store, exposition } = setUp()
    ran(store, { name: 'a', labels: { zone: 'z1', app: 'shop' } }, 'failed')
    expect(await textOf(exposition)).toContain('probe_failure_info{probe="a",type="test",target="127.0.0.1:1",zone="z1",app="shop",layer="connect",reason="refused"} 1\n')
  })

  it('of the metric win over configured ones of the same name, in that family alone', async () => {
    const { store, scrape } = setUp()
    ran(store, { name: 'a', labels: { version: 'v2', host: 'db-1' } }, 'ok', { gauges: [{ name: 'probe_tls_version_info', value: 1, labels: { version: 'TLS 1.3' } }] })
    const families = await scrape()
    expect(valuesOf(families, 'probe_tls_version_info', 'version', 'host')).toEqual({ 'TLS 1.3 db-1': 1 })
    expect(valuesOf(families, 'probe_success', 'version', 'host')).toEqual({ 'v2 db-1': 1 })
    expect(valuesOf(families, 'probe_info', 'version', 'host')).toEqual({ 'v2 db-1': 1 })
  })

  it('survive both formats whatever they hold', async () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({ unit: fc.constantFrom('\\', '"', '\n', 'n', '\r', '\t', '\0', '}', ',', '\ud800', '\udc00', '😀', '…'), maxLength: 20 }),
    )
    await fc.assert(fc.asyncProperty(anything, anything, anything, async (target, configured, sent) => {
      const { store, exposition } = setUp()
      ran(store, { name: 'a', target, labels: { team: configured } }, 'ok', { gauges: [{ name: 'probe_test_role', value: 1, labels: { role: sent } }] })
      for (const format of ['text', 'openmetrics'] as const) {
        const text = await textOf(exposition, format)
        expect(text.isWellFormed()).toBe(true)
        expect(parseExposition(text, format).get('probe_test_role')?.samples[0]?.labels)
          .toEqual({ probe: 'a', type: 'test', target: target.toWellFormed(), team: configured.toWellFormed(), role: sent.toWellFormed() })
      }
    }), { numRuns: 150 })
  })

  it.each([
    ['as long as allowed', 'x'.repeat(LONGEST_SENT_LABEL), 'x'.repeat(LONGEST_SENT_LABEL)],
    ['too long', 'x'.repeat(5_000), `${'x'.repeat(LONGEST_SENT_LABEL - 1)}…`],
    ['of two-unit characters, as many as allowed', '😀'.repeat(LONGEST_SENT_LABEL), '😀'.repeat(LONGEST_SENT_LABEL)],
    ['of two-unit characters, one too many', '😀'.repeat(LONGEST_SENT_LABEL + 1), `${'😀'.repeat(LONGEST_SENT_LABEL - 1)}…`],
    ['of quotes, as many as allowed', '"'.repeat(LONGEST_SENT_LABEL), '"'.repeat(LONGEST_SENT_LABEL)],
  ])('that a target sent are bounded: %s', async (_, sent, shown) => {
    const { store, scrape } = setUp()
    ran(store, { name: 'a' }, 'ok', { gauges: [{ name: 'probe_test_role', value: 1, labels: { role: sent } }] })
    expect(Object.keys(valuesOf(await scrape(), 'probe_test_role', 'role'))).toEqual([shown])
  })
})

describe('families', () => {
  it('are one each, whichever types and targets share them, with the registry behind', async () => {
    const registry = new Registry()
    new Counter({ name: 'own_things_total', help: 'Things.\nWith \\ and "quotes".', labelNames: ['kind'], registers: [registry] }).inc({ kind: 'a"b\n' }, 2)
    new Gauge({ name: 'own_level', help: 'Level.', registers: [registry] }).set(Infinity)
    new Gauge({ name: 'own_silent', help: 'Never set.', labelNames: ['a'], registers: [registry] })
    new Histogram({ name: 'own_lag_seconds', help: 'Lag.', labelNames: ['kind'], buckets: [0.5, 1], registers: [registry] }).observe({ kind: 'x' }, 0.7)
    const { store, exposition, scrape } = setUp({ registry })
    for (const type of ['other-kind', 'test', 'ping', 'other-kind']) {
      ran(store, { name: `${type}-${store.size()}`, type }, 'ok', { phases: [{ name: 'connect', ms: 1 }], gauges: [{ name: 'probe_ip_protocol', value: 4 }] })
    }
    const families = await scrape()
    expect(families.get('probe_ip_protocol')?.samples).toHaveLength(3)
    expect(families.get('probe_icmp_duration_seconds')?.samples).toHaveLength(1)
    expect(families.get('probe_other_kind_duration_seconds')?.samples).toHaveLength(2)
    expect(families.get('own_things_total')).toMatchObject({ help: 'Things.\nWith \\ and "quotes".', samples: [{ labels: { kind: 'a"b\n' }, value: 2 }] })
    expect(families.get('own_level')?.samples).toMatchObject([{ value: Infinity }])
    expect(valuesOf(families, 'own_lag_seconds_bucket', 'kind', 'le')).toEqual({ 'x 0.5': 0, 'x 1.0': 1, 'x +Inf': 1 })
    expect([...families.keys()].findIndex((name) => name.startsWith('own_'))).toBe(families.size - 3)
    expect(await textOf(exposition)).not.toContain('# EOF')
    expect((await textOf(exposition, 'openmetrics')).split('# EOF')).toEqual([expect.any(String), '\n'])
  })

  it('of the registered types have one meaning each, in names that Prometheus accepts', () => {
    const families = new Map(familiesOf(probeTypes).map((family) => [family.name, family]))
    for (const family of probeTypes.flatMap(familiesOfType)) expect(family).toEqual(families.get(family.name))
  })

  it.each([
    ['a name with two sets of labels', [typeNamed('a', { probe_ip_protocol: 'One.' }), typeNamed('b', { probe_ip_protocol: { help: 'One.', labels: ['family'] } })], /probe_ip_protocol is declared elsewhere/],
    ['a name of every type', [typeNamed('a', { probe_success: 'Mine.' })], /probe_success is a metric of every type/],
    ['a label that every series has', [typeNamed('a', { probe_a_info: { help: 'Info.', labels: ['type'] } })], /may not have a label type/],
    ['a bad name', [typeNamed('a', { 'probe_a-b': 'Bad.' })], /probe_a-b is not a name/],
  ])('refuse %s', (_, types, message) => {
    expect(() => setUp({ types })).toThrow(message)
  })

  it('refuse a registry that has a per-target family too', () => {
    const registry = new Registry()
    new Gauge({ name: 'probe_success', help: 'Mine.', registers: [registry] })
    expect(() => setUp({ registry })).toThrow(/probe_success is a per-target family/)
  })

  it('let a type set single phases by a gauge of that name', async () => {
    const { store, scrape } = setUp({ types: [typeNamed('test', { probe_test_duration_seconds: { help: 'Phases.', labels: ['phase'] } })] })
    ran(store, { name: 'a' }, 'ok', { phases: [{ name: 'connect', ms: 1 }, { name: 'request', ms: 2 }], gauges: [{ name: 'probe_test_duration_seconds', value: 0.5, labels: { phase: 'request' } }] })
    expect(valuesOf(await scrape(), 'probe_test_duration_seconds', 'phase')).toEqual({ connect: 0.001, request: 0.5 })
  })
})

describe('the job set', () => {
  it('takes every series of a removed job away with the next scrape, also when another type takes its slot', async () => {
    const { store, scrape } = setUp()
    const gauges = [{ name: 'probe_test_memory_bytes', value: 1 }, { name: 'probe_ip_protocol', value: 4 }]
    const gone = ran(store, { name: 'gone' }, 'failed', { gauges })
    const replaced = ran(store, { name: 'replaced' }, 'failed', { gauges })
    ran(store, { name: 'stays' }, 'ok', { gauges })
    await scrape()
    store.remove(gone.id)
    store.remove(replaced.id)
    ran(store, { name: 'new', type: 'ping' }, 'ok')
    const families = await scrape()
    expect(seriesOfProbe(families, 'gone')).toEqual({})
    expect(seriesOfProbe(families, 'replaced')).toEqual({})
    expect(Object.keys(valuesOf(families, 'probe_runs_total', 'probe'))).toEqual(['new', 'stays'])
    expect(Object.keys(valuesOf(families, 'probe_test_memory_bytes', 'probe'))).toEqual(['stays'])
    expect(families.has('probe_failures_total')).toBe(false)
  })

  it('keeps counters and health of a job that is put again, under its new labels', async () => {
    const { store, scrape } = setUp()
    const job = ran(store, { name: 'a', labels: { team: 'web' } }, 'failed')
    await scrape()
    store.put({ ...job, labels: { team: 'shop' }, schedule: { everyMs: 30_000 } })
    expect(seriesOfProbe(await scrape(), 'a')).toMatchObject({
      'probe_runs_total{team=shop,result=failed}': 1, 'probe_failures_total{team=shop,layer=connect,reason=refused}': 1, 'probe_healthy{team=shop}': 0, 'probe_interval_seconds{team=shop}': 30,
    })
    expect(Object.keys(seriesOfProbe(await scrape(), 'a')).filter((name) => name.includes('team=web'))).toEqual([])
  })

  it('is exported as it was before the exposition was made', async () => {
    const store = createStore()
    ran(store, { name: 'early' }, 'ok')
    expect(seriesOfProbe(await scrape(createExposition({ store, types: TYPES, registry: new Registry(), now: () => START })), 'early')).toMatchObject({ probe_success: 1 })
  })
})

describe('cost', () => {
  function fleet(size: number) {
    const made = setUp()
    const jobs = Array.from({ length: size }, (_, index) => ran(made.store, { name: `job-${index}` }, 'ok'))
    return { ...made, jobs }
  }

  it('renders nothing again while nothing has changed, and only the job and its blocks when one has', async () => {
    const { store, clock, exposition, jobs } = fleet(10_000)
    const first = await textOf(exposition)
    expect(exposition.work.jobs).toBe(10_000)
    const { blocks } = exposition.work
    expect(await textOf(exposition)).toBe(first)
    clock.now += 1_000
    await textOf(exposition, 'openmetrics')
    expect(exposition.work).toEqual({ jobs: 10_000, blocks })

    store.record(resultOf(jobs[5_000]!, 'ok', START + 1_000, { ms: 6 }))
    await textOf(exposition)
    // Its duration, its last run and the count of its runs.
    expect(exposition.work).toEqual({ jobs: 10_001, blocks: blocks + 3 })
  })

  it('gives the event loop its turn after so many lines, while it renders, joins and streams', async () => {
    const { exposition } = fleet(500)
    const seen = [{ ...exposition.work }]
    let ended = false
    const turn = () => {
      seen.push({ ...exposition.work })
      if (!ended) setImmediate(turn)
    }
    setImmediate(turn)
    const text = (await Array.fromAsync(exposition.render('text', { yieldEvery: 100 }))).join('')
    ended = true
    const most = (kind: 'jobs' | 'blocks') => Math.max(...seen.slice(1).map((work, index) => work[kind] - seen[index]![kind]))
    const linesOfJob = text.split('\n').filter((line) => line.includes('probe="job-7"')).length
    expect(most('jobs')).toBeGreaterThan(0)
    expect(most('jobs')).toBeLessThanOrEqual(Math.ceil(100 / linesOfJob))
    expect(most('blocks')).toBeGreaterThan(0)
    expect(most('blocks')).toBeLessThanOrEqual(2)
    const whileStreaming = seen.filter(({ blocks }) => blocks === exposition.work.blocks)
    expect(whileStreaming.length).toBeGreaterThan(text.split('\n').length / 256)
  })

  it('never tears the series of one job, though results come in while scrapes render', async () => {
    const { store, exposition, jobs } = fleet(200)
    let run = 1
    let ended = false
    const record = () => {
      run++
      for (const job of jobs) {
        store.record(resultOf(job, 'ok', START, { ms: run * 1_000, phases: [{ name: 'request', ms: run * 1_000 }], gauges: [{ name: 'probe_test_memory_bytes', value: run }] }))
      }
      if (!ended) setImmediate(record)
    }
    record()
    const atOnce = () => Array.fromAsync(exposition.render('text', { yieldEvery: 200 }))
    const texts = [...await Promise.all([atOnce(), atOnce(), atOnce()]), await atOnce()]
    ended = true
    for (const chunks of texts) {
      const families = parseExposition(chunks.join(''), 'text')
      const durations = valuesOf(families, 'probe_duration_seconds', 'probe')
      expect(Object.keys(durations)).toHaveLength(jobs.length)
      expect(valuesOf(families, 'probe_test_memory_bytes', 'probe')).toEqual(durations)
      expect(valuesOf(families, 'probe_test_duration_seconds', 'probe')).toEqual(durations)
      expect(valuesOf(families, 'probe_runs_total', 'probe', 'result')).toMatchObject(Object.fromEntries(Object.entries(durations).map(([probe, value]) => [`${probe} ok`, value])))
    }
  })

  it('never shows a removed job to a scrape that began after its removal, even while another is under way', async () => {
    const { store, exposition, jobs } = fleet(2_000)
    const early = textOf(exposition)
    await new Promise((resolve) => { setImmediate(resolve) })
    store.remove(jobs[0]!.id)
    const [before, ...after] = await Promise.all([early, textOf(exposition), textOf(exposition, 'openmetrics')])
    expect(Object.keys(seriesOfProbe(parseExposition(before, 'text'), 'job-0'))).not.toEqual([])
    expect(after.filter((text) => text.includes('probe="job-0"'))).toEqual([])
    // Those two shared one round: the removed slot was looked at once.
    expect(exposition.work.jobs).toBe(2_001)
  })

  it('works again after a collector of the registry has failed', async () => {
    const { store, exposition, registry } = setUp()
    store.put(testJob({ name: 'a' }))
    let broken = true
    new Gauge({ name: 'own_level', help: 'Level.', registers: [registry], collect() { if (broken) throw new Error('collector') } })
    await expect(textOf(exposition)).rejects.toThrow('collector')
    broken = false
    expect(await textOf(exposition)).toContain('own_level 0\n')
  })

  it('stops when its reader goes away, and serves the next one', async () => {
    const { exposition } = fleet(1_000)
    for await (const chunk of exposition.render('text')) {
      expect(chunk).toMatch(/^# HELP /)
      break
    }
    expect(parseExposition(await textOf(exposition), 'text').get('probe_success')?.samples).toHaveLength(1_000)
  })
})
