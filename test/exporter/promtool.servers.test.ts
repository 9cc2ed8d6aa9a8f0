import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { z } from 'zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hostPort } from '../../src/core/fields.ts'
import { defineProbe } from '../../src/core/probe.ts'
import { createStore } from '../../src/core/store.ts'
import { createExposition } from '../../src/exporter/exposition.ts'
import { METRICS_TYPES, type MetricsFormat } from '../../src/exporter/http-negotiate.ts'
import { createOwnMetrics } from '../../src/exporter/own-metrics.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { eventually, freePort, startProcess, temporaryDirectory, type Running } from '../support/process.ts'
import { resultOf, testJob } from '../support/jobs.ts'
import { majorVersion, PROMETHEUSES, scrapeComplaints } from '../support/prometheus.ts'
import { parseExposition } from './parse-exposition.ts'

/** What a hostile target may send; only the half of a character cannot be stored. */
const SENT = 'a\\b"c\nd\te{},=#\u0000f\r\u2028\ud800é😀 # EOF'
const STORED = SENT.replace('\ud800', '\ufffd')

const hostile = defineProbe({
  type: 'hostile', summary: 'for tests', options: z.object({ target: hostPort(1) }), phases: { connect: 'connect', request: 'request' },
  gauges: { probe_hostile_info: { help: 'What "it" says it is,\nor \\ not.', labels: ['said'] } }, codes: {},
  schemes: [], fromUrl: () => ({}), example: { target: 'localhost' }, run: async () => {},
})

/** A store in which every family has a sample: every registered type, well, failed, unknown, explained, with and without a histogram. */
function everything() {
  const types = [...probeTypes, hostile]
  const store = createStore()
  const own = createOwnMetrics({ version: '0.0.0-test', types: types.map(({ type }) => type), inFlight: () => 1, queued: () => 0, stuck: () => 0 })
  own.reloaded(true, Date.now())
  own.discovered('local', Date.now())
  own.lag(0.002)
  own.loopDelay(0.001)
  for (const type of types) {
    const gauges = Object.entries(type.gauges).map(([name, spec]) => ({
      name, value: 1.5, labels: Object.fromEntries((typeof spec === 'string' ? [] : spec.labels ?? []).map((label) => [label, SENT])),
    }))
    const phases = Object.keys(type.phases).map((name) => ({ name, ms: 1.25 }))
    for (const status of ['ok', 'failed', 'unknown'] as const) {
      const job = testJob({
        name: `${type.type}-${status}`, type: type.type, target: `http://10.0.0.1/${SENT}`, labels: { team: `web ${SENT}` }, histogram: true,
        limits: [{ name: 'duration', gauge: 'probe_duration_seconds', worse: 'above', warning: 0.1, critical: 1, fails: false }],
      })
      const state = store.put(job)
      state.nextRunAt = Date.now() + 60_000
      store.record(resultOf(job, 'ok', Date.now(), { ms: 700 }))
      store.record(resultOf(job, status, Date.now(), { ms: 3.5, phases, gauges }))
      if (status === 'failed') state.cause = { kind: 'explained', root: `dns/${SENT}`, rootId: 'x', through: [] }
      store.touch(state.slot)
    }
  }
  return { types, store, exposition: createExposition({ store, types, registry: own.registry }) }
}

const { exposition } = everything()
const textOf = async (format: MetricsFormat) => (await Array.fromAsync(exposition.render(format))).join('')

it.each(PROMETHEUSES)('promtool check metrics of the $name Prometheus has no complaint about any family', async ({ promtool }) => {
  const text = await textOf('text')
  const { status, stdout, stderr, error } = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8', timeout: 10_000 })
  expect(error).toBeUndefined()
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
  expect(parseExposition(text, 'text').size).toBeGreaterThan(50)
})

describe.each(PROMETHEUSES)('a real Prometheus, the $name one', (release) => {
  const formats = ['text', 'openmetrics'] as const
  const directory = temporaryDirectory()
  let server: Server
  let prometheus: Running
  let base = ''
  /** How many samples each answer had: those of the process come and go. */
  const served = new Map<MetricsFormat, number[]>(formats.map((format) => [format, []]))

  beforeAll(async () => {
    server = createServer((request, response) => {
      const format = formats.find((known) => request.url === `/${known}`) ?? 'text'
      response.setHeader('Content-Type', METRICS_TYPES[format])
      textOf(format).then((text) => {
        served.get(format)?.push([...parseExposition(text, format).values()].reduce((sum, family) => sum + family.samples.length, 0))
        response.end(text)
      }, () => response.destroy())
    })
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    const { port } = server.address() as AddressInfo // safe: it listens on TCP
    const jobs = formats.map((format) => ({ job_name: format, metrics_path: `/${format}`, static_configs: [{ targets: [`127.0.0.1:${port}`] }] }))
    const config = join(directory.path, 'prometheus.json')
    writeFileSync(config, JSON.stringify({ global: { scrape_interval: '1s', scrape_timeout: '1s' }, scrape_configs: jobs }))
    const own = await freePort()
    base = `http://127.0.0.1:${own}`
    prometheus = await startProcess(release.prometheus, [
      `--config.file=${config}`, `--storage.tsdb.path=${join(directory.path, 'data')}`, `--web.listen-address=127.0.0.1:${own}`,
    ], { ready: () => fetch(`${base}/-/ready`).then((response) => response.ok, () => false) })
    for (const format of formats) await eventually(async () => (await query(`up{job="${format}"}`)).length > 0, 10_000, `a scrape of ${format}`)
  })

  afterAll(async () => {
    await prometheus?.stop()
    server?.closeAllConnections()
    server?.close()
    directory.remove()
  })

  const answer = z.object({ status: z.literal('success'), data: z.object({ result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })) }) })
  const metadata = z.object({ status: z.literal('success'), data: z.array(z.object({ metric: z.string(), type: z.string(), help: z.string() })) })

  async function query(expression: string) {
    const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(expression)}`, { signal: AbortSignal.timeout(5_000) })
    return answer.parse(await response.json()).data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }

  it.each(formats)('takes every sample of the %s format', async (format) => {
    expect(await query(`up{job="${format}"}`)).toMatchObject([{ value: 1 }])
    for (const name of ['scrape_samples_scraped', 'scrape_samples_post_metric_relabeling']) {
      const [scraped] = await query(`${name}{job="${format}"}`)
      expect(served.get(format)).toContain(scraped?.value)
    }
  })

  it.each(formats)('stores what a target sent, in the %s format', async (format) => {
    const [stored, ...others] = await query(`probe_hostile_info{job="${format}",probe="hostile-ok"}`)
    expect(others).toEqual([])
    expect(stored).toMatchObject({ value: 1.5, metric: { said: STORED, team: `web ${STORED}`, target: `http://10.0.0.1/${STORED}`, type: 'hostile' } })
  })

  it.each(formats)('knows counters, gauges and histograms apart, with their help, in the %s format', async (format) => {
    const response = await fetch(`${base}/api/v1/targets/metadata?match_target=${encodeURIComponent(`{job="${format}"}`)}`, { signal: AbortSignal.timeout(5_000) })
    const known = new Map(metadata.parse(await response.json()).data.map(({ metric, type, help }) => [metric, { type, help }]))
    const total = format === 'text' ? '_total' : ''
    const named = (type: string) => [...known].flatMap(([metric, about]) => (about.type === type ? metric : []))
    expect(named('counter')).toEqual(expect.arrayContaining(['probe_runs', 'probe_failures', 'curlew_runs_skipped', 'process_cpu_seconds'].map((name) => name + total)))
    expect(named('gauge')).toEqual(expect.arrayContaining(['probe_success', 'probe_hostile_duration_seconds', 'curlew_targets']))
    expect(named('histogram')).toEqual(expect.arrayContaining(['probe_latency_seconds', 'curlew_schedule_lag_seconds']))
    expect([...known.values()].filter(({ type }) => type === 'unknown')).toEqual([])
    expect(known.get('probe_hostile_info')?.help).toBe('What "it" says it is,\nor \\ not.')
  })

  it('sees the same series in both formats', async () => {
    const only = (one: MetricsFormat, other: MetricsFormat) => query(`{__name__=~"probe_.+|curlew_.+",job="${one}"} unless ignoring(job) {__name__=~"probe_.+|curlew_.+",job="${other}"}`)
    expect(await query('sum by (job) (count by (job) ({__name__=~"probe_.+"}))')).toHaveLength(2)
    expect(await only('text', 'openmetrics')).toEqual([])
    expect(await only('openmetrics', 'text')).toEqual([])
  })

  it('is as new as it should be, and its log has no complaint about a scrape', () => {
    expect(majorVersion(prometheus.output())).toBeGreaterThanOrEqual(release.major)
    expect(scrapeComplaints(prometheus.output())).toEqual([])
  })

  it('finds no sample twice and none out of order', async () => {
    const text = await (await fetch(`${base}/metrics`, { signal: AbortSignal.timeout(5_000) })).text()
    for (const trouble of ['sample_duplicate_timestamp', 'sample_out_of_order', 'sample_out_of_bounds', 'exceeded_sample_limit']) {
      expect(text).toContain(`\nprometheus_target_scrapes_${trouble}_total 0\n`)
    }
  })
})
