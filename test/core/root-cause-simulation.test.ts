import fc from 'fast-check'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Job } from '../../src/core/probe.ts'
import { createRootCauses } from '../../src/core/root-cause.ts'
import { createStore } from '../../src/core/store.ts'
import { resultOf, testJob } from '../support/jobs.ts'

const START = 1_700_000_000_000
beforeEach(() => { vi.useFakeTimers({ now: START, toFake: ['Date'] }) })
afterEach(() => { vi.useRealTimers() })

interface Side {
  readonly every: number
  readonly phase: number
  readonly failureThreshold: number
  readonly successThreshold: number
  /** Milliseconds that a good and a failed run take. */
  readonly good: number
  readonly bad: number
}

const side = fc.record<Side>({
  every: fc.constantFrom(1_000, 5_000, 15_000, 60_000), phase: fc.nat(60_000),
  failureThreshold: fc.integer({ min: 1, max: 5 }), successThreshold: fc.integer({ min: 1, max: 3 }),
  good: fc.integer({ min: 1, max: 999 }), bad: fc.integer({ min: 1, max: 999 }),
})
const outage = fc.record({ from: fc.integer({ min: 1_000, max: 200_000 }), ms: fc.integer({ min: 100, max: 300_000 }) })

/** Runs two jobs in simulated time, redis on dns; `broken` tells the truth. Returns the causes that redis had, with the time of each. */
function simulate(dns: Side, redis: Side, broken: (name: string, at: number) => boolean, until: number): { at: number, cause: string, healthy: boolean | undefined }[] {
  const store = createStore()
  const events: { at: number, run: () => void }[] = []
  const running = new Set<string>()
  const again = new Set<string>()
  const seen: { at: number, cause: string, healthy: boolean | undefined }[] = []
  const make = (name: string, { every, failureThreshold, successThreshold }: Side, dependsOn: Job['dependsOn']) =>
    testJob({ name, target: `${name}:1`, schedule: { everyMs: every }, failureThreshold, successThreshold, dependsOn })
  const jobs = [{ job: make('dns', dns, []), of: dns }, { job: make('redis', redis, [{ probe: 'dns', remote: false }]), of: redis }] as const
  const causes = createRootCauses(store, (id) => start(id))

  function start(id: string) {
    const one = jobs.find(({ job }) => job.id === id)
    if (!one) return
    if (running.has(id)) return void again.add(id)
    running.add(id)
    const began = Date.now() - START
    const bad = broken(one.job.name, began)
    events.push({
      at: began + (bad ? one.of.bad : one.of.good),
      run() {
        running.delete(id)
        const { state, turn } = store.record(resultOf(one.job, bad ? 'failed' : 'ok', START + began))!
        causes.settled(state, turn)
        if (again.delete(id)) start(id)
      },
    })
  }
  for (const { job, of } of jobs) {
    store.put(job)
    const tick = (at: number) => events.push({ at, run() { start(job.id); tick(at + of.every) } })
    tick(of.phase % of.every)
  }
  causes.changed()
  while (events.length > 0) {
    const next = events.reduce((first, event) => (event.at < first.at ? event : first))
    events.splice(events.indexOf(next), 1)
    if (next.at > until) break
    vi.setSystemTime(START + next.at)
    next.run()
    const { cause, health } = store.get(jobs[1].job.id)!
    seen.push({ at: next.at, cause: cause.kind, healthy: health.healthy })
  }
  return seen
}

it('never accuses redis for an outage of dns, whatever the intervals, thresholds and durations', () => {
  fc.assert(fc.property(side, side, outage, (dns, redis, { from, ms }) => {
    const seen = simulate(dns, redis, (_name, at) => at >= from && at < from + ms, from + ms + 200_000)
    expect(seen.filter(({ cause }) => cause === 'root')).toEqual([])
    expect(seen.filter(({ cause, healthy }) => cause !== 'none' && healthy !== false)).toEqual([])
  }), { numRuns: 300 })
})

it('always accuses redis for an outage of its own, and ends with it', () => {
  fc.assert(fc.property(side, side, outage, (dns, redis, { from, ms }) => {
    const seen = simulate(dns, redis, (name, at) => name === 'redis' && at >= from && at < from + ms, from + ms + 400_000)
    const unhealthy = seen.filter(({ healthy }) => healthy === false)
    expect(seen.filter(({ cause }) => cause === 'explained')).toEqual([])
    const turned = unhealthy[0]
    // It is asked about and run once more: that takes two runs of it and one of dns at most.
    const late = unhealthy.filter(({ at, cause }) => turned && at > turned.at + 5_000 && at < from + ms && cause !== 'root')
    expect(late).toEqual([])
    expect(seen.at(-1)).toMatchObject({ cause: 'none' })
  }), { numRuns: 300 })
})
