import { describe, expect, it } from 'vitest'
import type { Diagnosis } from '../../src/core/diagnosis.ts'
import { createHistory, KEPT_RUNS } from '../../src/core/history.ts'
import { LAYERS, REASONS } from '../../src/core/result.ts'
import { createStore } from '../../src/core/store.ts'
import { resultOf, testJob } from '../support/jobs.ts'

const MINUTE = 60_000

describe('store', () => {
  it('keeps state and counters of a job that is put again, and forgets one that is removed', () => {
    const store = createStore()
    const job = testJob({ name: 'a' })
    store.put(job)
    store.record(resultOf(job, 'failed', 1_000))
    store.put({ ...job, labels: { tier: 'x' }, fingerprint: 'new' })
    expect(store.get(job.id)).toMatchObject({ counts: { ok: 0, failed: 1, unknown: 0 }, job: { labels: { tier: 'x' } }, health: { healthy: false } })
    store.remove(job.id)
    expect(store.get(job.id)).toBeUndefined()
    expect(store.record(resultOf(job, 'ok', 2_000))).toBeUndefined()
    expect(store.size()).toBe(0)
  })

  it('gives the slot of a removed job to a new one, with nothing of the old in it', () => {
    const store = createStore()
    const [old, other, fresh] = ['old', 'other', 'fresh'].map((name) => testJob({ name }))
    const slot = store.put(old!).slot
    store.put(other!)
    store.record(resultOf(old!, 'failed', 1_000))
    store.remove(old!.id)
    const state = store.put(fresh!)
    expect(state.slot).toBe(slot)
    expect(store.runs(state)).toEqual([])
    expect(store.minutes(state)).toEqual([])
    expect(store.failures(state)).toEqual([])
    expect(state.counts).toEqual({ ok: 0, failed: 0, unknown: 0 })
  })

  it('tells when a job turns, and only then', () => {
    const store = createStore()
    const job = testJob({ name: 'a', failureThreshold: 2 })
    store.put(job)
    const turns = (['ok', 'ok', 'failed', 'failed', 'failed', 'unknown', 'ok'] as const).map((status, index) => store.record(resultOf(job, status, index * 1_000))!.turn)
    expect(turns).toEqual(['healthy', undefined, undefined, 'unhealthy', undefined, undefined, 'healthy'])
  })

  it('counts failures by layer and reason, and not what was our own', () => {
    const store = createStore()
    const job = testJob({ name: 'a' })
    const state = store.put(job)
    store.record(resultOf(job, 'failed', 1_000))
    store.record(resultOf(job, 'unknown', 2_000))
    expect([...state.failures]).toEqual([['connect refused', 1]])
    expect(store.failures(state).map((failure) => failure.status)).toEqual(['failed', 'unknown'])
  })

  it('keeps the failure that began an outage, with its evidence, however long the outage is', () => {
    const store = createStore()
    const job = testJob({ name: 'a', failureThreshold: 2 })
    const state = store.put(job)
    const evidence = { schema_version: 1 } as unknown as Diagnosis // safe: the store does not look into it
    const fail = (from: number, to: number) => { for (let i = from; i <= to; i++) store.record(resultOf(job, 'failed', i * 1_000)) }
    store.record(resultOf(job, 'ok', 0))
    fail(1, 100)
    // Evidence takes a while, longer in a large outage.
    store.attach(job.id, 2_000, evidence)
    fail(101, 200)
    expect(store.failures(state)).toHaveLength(20)
    expect(store.failures(state)[0]).toMatchObject({ startedAt: 2_000, evidence })
    expect(store.failures(state)[1]).toMatchObject({ startedAt: 182_000 })
  })

  it('keeps the last 20 failures although successes come between', () => {
    const store = createStore()
    const job = testJob({ name: 'a' })
    const state = store.put(job)
    for (let i = 0; i < 100; i++) store.record(resultOf(job, i % 4 === 0 ? 'failed' : 'ok', i * 1_000))
    expect(store.failures(state).map(({ startedAt }) => startedAt)).toEqual(Array.from({ length: 20 }, (_, i) => (i + 5) * 4_000))
  })

  it('observes the latency of successful runs only', () => {
    const store = createStore()
    const job = testJob({ name: 'a', histogram: true })
    const state = store.put(job)
    store.record(resultOf(job, 'ok', 0, { ms: 3 }))
    store.record(resultOf(job, 'ok', 0, { ms: 20_000 }))
    store.record(resultOf(job, 'failed', 0, { ms: 3 }))
    expect([...state.latency!.buckets]).toEqual([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    expect(state.latency!.sum).toBeCloseTo(20.003)
  })
})

describe('history', () => {
  it('fits every layer and reason into a byte', () => {
    const history = createHistory()
    const pairs = LAYERS.flatMap((layer) => REASONS.map((reason) => ({ layer, reason })))
    expect(pairs.length).toBeLessThan(256)
    for (const [slot, { layer, reason }] of pairs.entries()) {
      const status = layer === 'prober' ? 'unknown' : 'failed'
      history.add(slot, resultOf({ id: 'x' }, status, 0, { failure: { layer, reason, code: 'x', message: '' } }), [])
      expect(history.runs(slot, 0)).toMatchObject([{ status, layer, reason }])
    }
  })

  it('remembers the last 60 runs in order, with layer, reason and phases', () => {
    const history = createHistory()
    for (let i = 0; i < KEPT_RUNS + 15; i++) {
      history.add(3, resultOf({ id: 'x' }, i % 2 === 0 ? 'ok' : 'failed', i * 1_000, { ms: i, phases: [{ name: 'request', ms: i / 2 }] }), ['connect', 'request'])
    }
    const runs = history.runs(3, 2)
    expect(runs).toHaveLength(KEPT_RUNS)
    expect(runs[0]).toEqual({ startedAt: 15_000, ms: 15, status: 'failed', layer: 'connect', reason: 'refused', phases: [Number.NaN, 7.5] })
    expect(runs.at(-1)).toMatchObject({ startedAt: 74_000, status: 'ok', layer: undefined, reason: undefined })
    expect(history.runs(4, 2)).toEqual([])
  })

  it('sums up minutes: count, failed, and quantiles of conclusive runs', () => {
    const history = createHistory()
    const add = (status: 'ok' | 'failed' | 'unknown', at: number, ms: number) => history.add(0, resultOf({ id: 'x' }, status, at, { ms }), [])
    for (let i = 1; i <= 20; i++) add(i === 20 ? 'failed' : 'ok', 10 * MINUTE + i * 1_000, i)
    add('unknown', 10 * MINUTE + 30_000, 5_000)
    add('ok', 12 * MINUTE, 7)
    expect(history.minutes(0)).toEqual([
      { startedAt: 10 * MINUTE, count: 21, failed: 1, p50: 10, p95: 19 },
      { startedAt: 12 * MINUTE, count: 1, failed: 0, p50: 7, p95: 7 },
    ])
    add('ok', 11 * MINUTE, 3)
    expect(history.minutes(0).map(({ startedAt, count }) => [startedAt / MINUTE, count])).toEqual([[10, 21], [11, 1], [12, 1]])
    for (let i = 0; i < 70; i++) add('ok', (100 + i) * MINUTE, 1)
    add('ok', 20 * MINUTE, 1)
    expect(history.minutes(0)).toHaveLength(60)
    expect(history.minutes(0)[0]!.startedAt).toBe(110 * MINUTE)
  })
})
