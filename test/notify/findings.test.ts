import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFindings } from '../../src/notify/findings.ts'
import { createStore } from '../../src/core/store.ts'
import { probeByName } from '../../src/exporter/api.ts'
import { REFUSED, resultOf, testJob } from '../support/jobs.ts'

const T0 = Date.UTC(2026, 0, 2, 3, 4, 5)
const sentence = { en: 'Nothing listens.', zh: '无监听。' }
const failure = { layer: 'connect', reason: 'refused', code: 'connect_refused', message: 'refused', sentence }
const answer = (probe: object) => ({ schema_version: 1, probe: { name: 'cache', target: 'a:1', ...probe } })
const iso = (ms: number) => new Date(ms).toISOString()

describe('the answer of this Curlew', () => {
  const store = createStore()
  const job = testJob({ name: 'cache', target: 'a:1' })
  const other = testJob({ name: 'other', target: 'b:1' })
  const state = store.put(job)
  const dependent = store.put(other)
  for (let run = 0; run < 12; run++) store.record(resultOf(job, run < 9 ? 'ok' : 'failed', T0 + run * 1000, { ms: 1.5, phases: [{ name: 'connect', ms: 0.5 }] }))
  store.record(resultOf(other, 'failed', T0, { failure: REFUSED }))
  state.cause = { kind: 'root' }
  dependent.cause = { kind: 'explained', root: 'cache/a:1', rootId: job.id, through: [job.id] }

  it('is read whole', () => {
    expect(readFindings(JSON.parse(JSON.stringify(probeByName(store, { probe: 'cache' }).body)))).toEqual({
      probe: 'cache', target: 'a:1', labels: {}, status: 'failed', failingSince: T0 + 9000, ms: 1.5, phases: [{ name: 'connect', ms: 0.5 }],
      failure: { layer: 'connect', reason: 'refused', code: 'connect_refused', message: 'refused', at: T0 + 11_000 },
      sentence: { en: 'The host is up, but nothing listens on the port.', zh: '主机在线，但该端口没有进程监听。' },
      runs: ['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'failed', 'failed', 'failed'], rootCause: true, explains: 1, alike: { count: 1, names: ['other/b:1'] },
    })
    expect(readFindings(JSON.parse(JSON.stringify(probeByName(store, { probe: 'other' }).body)))).toMatchObject({ explainedBy: 'cache/a:1', rootCause: false, explains: 0 })
  })

  it('remembers the last failure when the probe is well again', () => {
    store.record(resultOf(job, 'ok', T0 + 20_000, { ms: 1.2 }))
    expect(readFindings(JSON.parse(JSON.stringify(probeByName(store, { probe: 'cache' }).body)))).toMatchObject({ status: 'ok', ms: 1.2, failure: { layer: 'connect', reason: 'refused', at: T0 + 11_000 } })
  })
})

describe('the sentence', () => {
  const evidence = { failure, sentence: { en: 'Host a is up.', zh: '主机在线。' } }
  const past = (at: number, changes: object = {}) => ({ started_at: iso(at), status: 'failed', failure, evidence, ...changes })
  const failing = (...failures: object[]) => readFindings(answer({ status: 'failed', failing_since: iso(T0), failure, history: { failures } }))?.sentence

  it('is that of the evidence for this failure', () => { expect(failing(past(T0), past(T0 + 1, { evidence: undefined }))).toEqual(evidence.sentence) })
  it.each([
    ['another outage', past(T0 - 1)],
    ['what it looked like before', past(T0, { evidence: { ...evidence, failure: { ...failure, code: 'connect_timeout' } } })],
    ['nothing', past(T0, { evidence: null })],
  ])('is not that of %s', (_, failed) => { expect(failing(failed)).toEqual(sentence) })
})

describe('another Curlew', () => {
  it.each([
    ['an older one', answer({}), { phases: [], runs: [], rootCause: false, explains: 0 }],
    ['nulls', answer({ status: null, failing_since: null, explained_by: null, last_run: null, failing_alike: null }), { phases: [], runs: [], rootCause: false, explains: 0 }],
    ['other types', answer({ status: 'odd', explains: 'many', history: 7, last_run: { duration_seconds: 'x', phases: [{ name: 'ok', duration_seconds: 1 }, { name: 5 }] } }), { phases: [{ name: 'ok', ms: 1000 }], runs: [], rootCause: false, explains: 0 }],
    ['a newer one', answer({ status: 'failed', failure: { ...failure, layer: 'quic', new: 1 }, news: {} }), { status: 'failed', failure: { layer: 'quic', reason: 'refused', code: 'connect_refused', message: 'refused' }, sentence, phases: [], runs: [], rootCause: false, explains: 0 }],
    ['no sentence for a code', answer({ status: 'failed', failure: { ...failure, sentence: null } }), { status: 'failed', failure: { layer: 'connect', reason: 'refused', code: 'connect_refused', message: 'refused' }, phases: [], runs: [], rootCause: false, explains: 0 }],
  ])('%s', (_, json, rest) => { expect(readFindings(json)).toEqual({ probe: 'cache', target: 'a:1', labels: {}, ...rest }) })

  it.each([[undefined], [null], ['x'], [[]], [{}], [{ probe: null }], [{ error: 'There is no probe of this name.' }], [{ probe: { name: 'x' } }]])('%j names no probe', (json) => { expect(readFindings(json)).toBeUndefined() })

  it('may send too much', () => {
    const long = 'x'.repeat(1_000_000)
    const many = <T>(item: T) => Array.from({ length: 5_000 }, () => item)
    const read = readFindings({ probe: {
      name: long, target: long, failure: { ...failure, message: long, layer: long }, explained_by: long, failing_alike: { count: 5_000, names: many(long) },
      last_run: { duration_seconds: 1, phases: many({ name: long, duration_seconds: 1 }) }, history: { runs: many({ status: 'ok' }), failures: [] },
    } })
    expect(JSON.stringify(read).length).toBeLessThan(10_000)
    expect(read?.runs).toHaveLength(10)
    expect(read?.alike?.names).toHaveLength(5)
  })

  it('never makes it throw', () => {
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (a, b, c) => {
      readFindings(a)
      readFindings(answer({ failure: a, history: { runs: b, failures: [c] }, last_run: c, failing_alike: { count: 1, names: a } }))
    }))
  })
})
