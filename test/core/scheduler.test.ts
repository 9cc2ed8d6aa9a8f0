import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Job } from '../../src/core/probe.ts'
import type { ProbeResult } from '../../src/core/result.ts'
import { createScheduler, type Scheduler, type SkipCause } from '../../src/core/scheduler.ts'
import { resultOf, testJob } from '../support/jobs.ts'

beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'], now: 1_700_000_000_000 }) })
afterEach(() => { vi.useRealTimers() })

function harness({ concurrency = 10, hang = false }: { concurrency?: number, hang?: boolean } = {}) {
  const starts: { id: string, at: number }[] = []
  const results: ProbeResult[] = []
  const skips: SkipCause[] = []
  const next = new Map<string, number | undefined>()
  const open = new Map<string, () => void>()
  const signals = new Map<string, AbortSignal>()
  const scheduler: Scheduler = createScheduler({
    concurrency: () => concurrency,
    run(job, signal) {
      starts.push({ id: job.id, at: Date.now() })
      signals.set(job.id, signal)
      if (!hang) return Promise.resolve(resultOf(job, 'ok', Date.now()))
      return new Promise((resolve) => {
        const end = () => resolve(resultOf(job, 'ok', Date.now()))
        open.set(job.id, end)
        signal.addEventListener('abort', end)
      })
    },
    onResult: (result) => results.push(result),
    onLag: () => {},
    onSkip: (cause, count) => { for (let i = 0; i < count; i++) skips.push(cause) },
    onNext: (id, at) => next.set(id, at),
  })
  const of = (job: Job) => starts.filter((start) => start.id === job.id).map((start) => start.at)
  return { scheduler, starts, results, skips, next, open, signals, of }
}

it('runs a new job within its window, then once an interval at a phase of its own', async () => {
  const { scheduler, of, next } = harness()
  const job = testJob({ name: 'a' })
  const began = Date.now()
  scheduler.put(job, 1_000)
  await vi.advanceTimersByTimeAsync(60_000)
  const at = of(job)
  expect(at[0]! - began).toBeLessThanOrEqual(1_020)
  expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(4_990)
  for (let i = 2; i < at.length; i++) expect(Math.abs(at[i]! - at[i - 1]! - 10_000)).toBeLessThanOrEqual(16)
  expect(at.length).toBeGreaterThanOrEqual(6)
  expect(next.get(job.id)! - Date.now()).toBeLessThanOrEqual(10_000)
})

it('gives a job the same phase after a restart', async () => {
  const job = testJob({ name: 'a' })
  const phases: number[] = []
  for (let start = 0; start < 3; start++) {
    const { scheduler, of } = harness()
    await vi.advanceTimersByTimeAsync(3_333)
    scheduler.put(job, 0)
    await vi.advanceTimersByTimeAsync(40_000)
    phases.push(of(job).at(-1)! % 10_000)
    await scheduler.stop(100)
  }
  for (const phase of phases) expect(Math.abs(phase - phases[0]!)).toBeLessThanOrEqual(16)
})

it('spreads jobs over the window and the interval', async () => {
  const { scheduler, starts } = harness({ concurrency: 1_000 })
  for (let i = 0; i < 200; i++) scheduler.put(testJob({ name: `job-${i}` }), 10_000)
  const began = Date.now()
  await vi.advanceTimersByTimeAsync(10_100)
  const perSecond = Array.from({ length: 10 }, (_, second) => starts.filter(({ at }) => Math.floor((at - began) / 1_000) === second).length)
  expect(starts.length).toBeGreaterThanOrEqual(200)
  expect(Math.max(...perSecond)).toBeLessThan(60)
  expect(Math.min(...perSecond)).toBeGreaterThan(3)
})

it('never runs a job twice at a time, and counts what it leaves out', async () => {
  const { scheduler, of, skips, open } = harness({ hang: true })
  const job = testJob({ name: 'a' })
  scheduler.put(job, 0)
  await vi.advanceTimersByTimeAsync(35_000)
  expect(of(job)).toHaveLength(1)
  expect(skips.filter((cause) => cause === 'overlap').length).toBeGreaterThanOrEqual(2)
  open.get(job.id)!()
  await vi.advanceTimersByTimeAsync(10_100)
  expect(of(job)).toHaveLength(2)
})

it('holds to the cap, in the order in which the jobs were due', async () => {
  const { scheduler, starts, open, skips } = harness({ hang: true, concurrency: 2 })
  const jobs = Array.from({ length: 5 }, (_, i) => testJob({ name: `job-${i}` }))
  for (const job of jobs) scheduler.put(job, 100)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(starts).toHaveLength(2)
  expect(scheduler.inFlight()).toBe(2)
  expect(scheduler.queued()).toBe(3)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(skips).toContain('queued')
  open.get(starts[0]!.id)!()
  await vi.advanceTimersByTimeAsync(1)
  expect(starts).toHaveLength(3)
})

it('leaves the time of a run that waits for a place where it was, so that it shows as late', async () => {
  const { scheduler, next } = harness({ hang: true, concurrency: 1 })
  const [first, second] = ['a', 'b'].map((name) => testJob({ name }))
  scheduler.put(first!, 0)
  await vi.advanceTimersByTimeAsync(20)
  scheduler.put(second!, 0)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(next.get(second!.id)).toBeLessThan(Date.now() - 50_000)
  expect(next.get(first!.id)).toBeGreaterThan(Date.now())
})

it('counts the runs that it slept through, and does not catch up with a burst', async () => {
  const { scheduler, of, skips } = harness()
  const job = testJob({ name: 'a' })
  scheduler.put(job, 0)
  await vi.advanceTimersByTimeAsync(25_000)
  const before = of(job).length
  vi.setSystemTime(Date.now() + 100_000)
  // A process that was stopped sees its monotonic clock jump, and its timers fire late.
  const real = performance.now.bind(performance)
  vi.spyOn(performance, 'now').mockImplementation(() => real() + 100_000)
  await vi.advanceTimersByTimeAsync(10_100)
  expect(of(job).length - before).toBeLessThanOrEqual(2)
  expect(skips.filter((cause) => cause === 'missed').length).toBeGreaterThanOrEqual(9)
  vi.restoreAllMocks()
})

it('keeps the phase of an unchanged job and runs a changed one soon', async () => {
  const { scheduler, of, signals } = harness()
  const job = testJob({ name: 'a' })
  scheduler.put(job, 0)
  await vi.advanceTimersByTimeAsync(31_000)
  const before = of(job)
  scheduler.put({ ...job }, 0)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(of(job)).toHaveLength(before.length + 1)
  scheduler.put({ ...job, schedule: { everyMs: 2_000 }, fingerprint: 'new' }, 0)
  await vi.advanceTimersByTimeAsync(6_100)
  expect(of(job).length).toBeGreaterThanOrEqual(before.length + 3)
  expect(signals.get(job.id)!.aborted).toBe(false)
})

it('spreads the runs of jobs that change together, and leaves their phases alone', async () => {
  const { scheduler, starts, of } = harness({ concurrency: 1_000 })
  const jobs = Array.from({ length: 200 }, (_, index) => testJob({ name: `j${index}` }))
  for (const job of jobs) scheduler.put(job, 5_000)
  await vi.advanceTimersByTimeAsync(40_000)
  const phases = jobs.map((job) => of(job).at(-1)! % 10_000)
  starts.length = 0
  for (const job of jobs) scheduler.put({ ...job, labels: { team: 'b' }, fingerprint: `${job.fingerprint}b` }, 5_000)
  await vi.advanceTimersByTimeAsync(100)
  expect(starts.length).toBeLessThan(20)
  await vi.advanceTimersByTimeAsync(5_000)
  for (const job of jobs) expect(of(job).length).toBeGreaterThanOrEqual(1)
  await vi.advanceTimersByTimeAsync(25_000)
  jobs.forEach((job, index) => {
    const off = Math.abs(of(job).at(-1)! % 10_000 - phases[index]!)
    expect(Math.min(off, 10_000 - off)).toBeLessThanOrEqual(16)
  })
})

it('aborts and forgets a job that is removed', async () => {
  const { scheduler, of, signals, results } = harness({ hang: true })
  const job = testJob({ name: 'a' })
  scheduler.put(job, 0)
  await vi.advanceTimersByTimeAsync(100)
  scheduler.remove(job.id)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(signals.get(job.id)!.aborted).toBe(true)
  expect(of(job)).toHaveLength(1)
  expect(results).toHaveLength(0)
})

it('runs a job at once when asked, once more when it is running, and leaves its schedule alone', async () => {
  const { scheduler, of, open, next } = harness({ hang: true })
  const job = testJob({ name: 'a' })
  scheduler.put(job, 0)
  await vi.advanceTimersByTimeAsync(100)
  const planned = next.get(job.id)
  scheduler.runNow(job.id)
  scheduler.runNow(job.id)
  open.get(job.id)!()
  await vi.advanceTimersByTimeAsync(10)
  expect(of(job)).toHaveLength(2)
  open.get(job.id)!()
  await vi.advanceTimersByTimeAsync(10)
  expect(of(job)).toHaveLength(2)
  expect(next.get(job.id)).toBe(planned)
})

it('runs cron jobs in their time zone, and at the start unless told not to', async () => {
  const { scheduler, of, next } = harness()
  const nightly = testJob({ name: 'nightly', schedule: { cron: '0 3 * * *', timezone: 'Asia/Shanghai', runAtStart: false } })
  const soon = testJob({ name: 'soon', schedule: { cron: '*/5 * * * *', timezone: undefined, runAtStart: true } })
  scheduler.put(nightly, 0)
  scheduler.put(soon, 0)
  await vi.advanceTimersByTimeAsync(100)
  expect(of(nightly)).toHaveLength(0)
  expect(of(soon)).toHaveLength(1)
  expect(new Date(next.get(nightly.id)!).toISOString()).toBe('2023-11-15T19:00:00.000Z')
  await vi.advanceTimersByTimeAsync(24 * 3_600_000)
  expect(of(nightly)).toHaveLength(1)
  expect(new Date(of(nightly)[0]!).toISOString()).toMatch(/T19:00:00/)
  expect(of(soon).length).toBeGreaterThanOrEqual(287)
})

it('stops within its bound although a run ignores its signal', async () => {
  const { scheduler } = harness()
  const stubborn = createScheduler({
    concurrency: () => 1, run: () => new Promise(() => {}), onResult() {}, onLag() {}, onSkip() {}, onNext() {},
  })
  stubborn.put(testJob({ name: 'a' }), 0)
  await vi.advanceTimersByTimeAsync(20)
  let stopped = false
  const done = stubborn.stop(500).then(() => { stopped = true })
  await vi.advanceTimersByTimeAsync(510)
  await done
  expect(stopped).toBe(true)
  await scheduler.stop(10)
})
