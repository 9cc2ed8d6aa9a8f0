import { describe, expect, it } from 'vitest'
import { jsonReport } from '../../src/report/json.ts'
import { junitReport } from '../../src/report/junit.ts'
import { overall, type Reported } from '../../src/report/outcome.ts'
import { prettyReport } from '../../src/report/pretty.ts'
import { resultOf, testJob } from '../support/jobs.ts'

const of = (name: string, status: 'ok' | 'failed' | 'unknown', explainedBy?: string): Reported => {
  const job = testJob({ name, target: `${name}:1`, labels: { tier: 'a' } })
  return { job, explainedBy, result: resultOf(job, status, 1_700_000_000_000, { ms: 12.5, phases: [{ name: 'connect', ms: 2.25 }] }) }
}
const all = [of('good', 'ok'), of('bad', 'failed', 'dns/x:53'), of('odd', 'unknown')]

it('is failed when anything failed, else unknown, else ok', () => {
  expect([overall(all), overall([of('a', 'ok'), of('b', 'unknown')]), overall([of('a', 'ok')])]).toEqual(['failed', 'unknown', 'ok'])
})

it('is JSON of the promised shape', () => {
  const report: unknown = JSON.parse(jsonReport(all))
  expect(report).toMatchObject({ schema_version: 1, status: 'failed', results: [{ status: 'ok' }, { status: 'failed' }, { status: 'unknown' }] })
  const { results } = report as { results: Record<string, unknown>[] }
  expect(results[1]).toEqual({
    id: all[1]!.job.id, name: 'bad', type: 'test', target: 'bad:1', labels: { tier: 'a' }, status: 'failed',
    started_at: '2023-11-14T22:13:20.000Z', duration_seconds: 0.0125, phases: [{ name: 'connect', layer: 'connect', duration_seconds: 0.00225 }],
    failure: { layer: 'connect', reason: 'refused', code: 'connect_refused', message: 'refused' }, explained_by: 'dns/x:53', gauges: [],
  })
  expect(results[0]).not.toHaveProperty('failure')
  expect(results[0]).not.toHaveProperty('explained_by')
})

describe('JUnit', () => {
  it('makes failures of failed and errors of unknown', () => {
    const xml = junitReport(all)
    expect(xml).toContain('<testsuite name="curlew" tests="3" failures="1" errors="1" skipped="0" time="0.037500">')
    expect(xml).toContain('<failure type="connect/refused" message="connect_refused: refused; explained by dns/x:53"/>')
    expect(xml).toContain('<error type="prober/starved" message="prober_starved: late"/>')
  })

  it('holds whatever a target says', () => {
    const hostile = of('bad', 'failed')
    const result = resultOf(hostile.job, 'failed', 0, { failure: { layer: 'request', reason: 'other', code: 'x', message: '<&">\u0000\u001b\ud800\n' } } as never)
    expect(junitReport([{ ...hostile, result }])).toContain('message="x: &lt;&amp;&quot;&gt;\ufffd\ufffd\ufffd&#10;"')
  })
})

describe('pretty', () => {
  it('says what broke, in which layer, and where to look', () => {
    const text = prettyReport(all, { color: false, language: 'en' })
    expect(text).toContain('✗ bad bad:1')
    expect(text).toContain('  failed connect/refused (connect_refused): refused\n  The host is up, but nothing listens on the port.\n  explained by dns/x:53\n')
    expect(text.endsWith('1 ok, 1 failed, 1 unknown\n')).toBe(true)
    expect(text).not.toContain('\u001b')
  })

  it('speaks Chinese', () => {
    expect(prettyReport(all, { color: false, language: 'zh' })).toContain('主机在线')
  })

  it('never lets a target drive the terminal', () => {
    const hostile = of('bad', 'failed')
    const result = resultOf(hostile.job, 'failed', 0, { failure: { layer: 'request', reason: 'other', code: 'x', message: 'a\u001b[2Jb\u009bc\rd' } } as never)
    const text = prettyReport([{ ...hostile, result }], { color: false, language: 'en' })
    // eslint-disable-next-line no-control-regex -- that is what is looked for
    expect(text).not.toMatch(/[\u001b\u009b\r]/)
  })
})
