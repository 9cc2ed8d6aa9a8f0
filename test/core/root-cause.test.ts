import { beforeEach, describe, expect, it, vi, afterEach } from 'vitest'
import type { Job } from '../../src/core/probe.ts'
import { createRootCauses } from '../../src/core/root-cause.ts'
import { createStore } from '../../src/core/store.ts'
import { resultOf, testJob } from '../support/jobs.ts'

const START = 1_700_000_000_000
beforeEach(() => { vi.useFakeTimers({ now: START, toFake: ['Date'] }) })
afterEach(() => { vi.useRealTimers() })

function world(jobs: readonly Job[]) {
  const store = createStore()
  const asked: string[] = []
  for (const job of jobs) store.put(job)
  const causes = createRootCauses(store, (id) => asked.push(store.get(id)!.job.name))
  causes.changed()
  return {
    store, causes, asked,
    /** The job has a result now. */
    has(job: Job, status: 'ok' | 'failed' | 'unknown', startedAt = Date.now()) {
      const { state, turn } = store.record(resultOf(job, status, startedAt))!
      causes.settled(state, turn)
    },
    cause: (job: Job) => store.get(job.id)!.cause,
    later: (ms: number) => vi.setSystemTime(Date.now() + ms),
  }
}

const dns = testJob({ name: 'dns', target: '10.0.0.53:53', schedule: { everyMs: 60_000 }, failureThreshold: 3 })
const redis = testJob({ name: 'redis', target: 'cache:6379', schedule: { everyMs: 5_000 }, failureThreshold: 3, dependsOn: [{ probe: 'dns', remote: false }] })

describe('redis every 5 s on dns every 60 s', () => {
  function broken() {
    const w = world([dns, redis])
    w.has(dns, 'ok')
    w.has(redis, 'ok')
    w.later(20_000)
    return w
  }

  it('accuses nobody while redis is the first to notice, and explains it when dns is sure', () => {
    const w = broken()
    for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.later(5_000) }
    expect(w.cause(redis)).toEqual({ kind: 'pending' })
    expect(w.asked).toEqual(['dns'])
    for (let run = 0; run < 3; run++) {
      // A refusal comes within the same millisecond.
      w.has(dns, 'failed')
      if (run < 2) expect(w.cause(redis)).toEqual({ kind: 'pending' })
    }
    expect(w.asked).toEqual(['dns', 'dns', 'dns'])
    expect(w.cause(redis)).toMatchObject({ kind: 'explained', root: 'dns/10.0.0.53:53' })
    expect(w.cause(dns)).toEqual({ kind: 'root' })
  })

  it('explains redis at once when dns broke first and is asked again', () => {
    const w = broken()
    for (let run = 0; run < 3; run++) { w.has(dns, 'failed'); w.later(60_000) }
    for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.later(5_000) }
    expect(w.cause(redis)).toEqual({ kind: 'pending' })
    w.has(dns, 'failed')
    expect(w.cause(redis)).toMatchObject({ kind: 'explained', root: 'dns/10.0.0.53:53' })
  })

  function explained() {
    const w = broken()
    for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.has(dns, 'failed'); w.later(5_000) }
    w.later(1_000)
    w.has(dns, 'failed')
    expect(w.cause(redis).kind).toBe('explained')
    w.asked.length = 0
    w.later(10_000)
    return w
  }

  it('runs redis at once when dns is back, and never accuses it on the way up', () => {
    const w = explained()
    w.has(dns, 'ok')
    expect(w.asked).toEqual(['redis'])
    expect(w.cause(redis).kind).toBe('explained')
    w.later(100)
    w.has(redis, 'ok')
    expect(w.cause(redis)).toEqual({ kind: 'none' })
  })

  it('does not accuse redis when it is the first to be back', () => {
    const w = explained()
    w.has(redis, 'ok')
    expect(w.cause(redis)).toEqual({ kind: 'none' })
    w.has(dns, 'ok')
    expect(w.cause(dns)).toEqual({ kind: 'none' })
  })

  it('does not count a run of redis that began before dns was back', () => {
    const w = explained()
    const began = Date.now()
    w.later(2_000)
    w.has(dns, 'ok')
    w.has(redis, 'failed', began)
    expect(w.cause(redis).kind).toBe('explained')
  })

  it('accuses redis when it still fails after dns is back, once dns is known to be well at that time', () => {
    const w = explained()
    w.has(dns, 'ok')
    w.later(100)
    w.asked.length = 0
    w.has(redis, 'failed')
    expect(w.cause(redis)).toEqual({ kind: 'pending' })
    expect(w.asked).toEqual(['dns'])
    w.later(10)
    w.has(dns, 'ok')
    expect(w.asked).toEqual(['dns', 'redis'])
    w.later(10)
    w.has(redis, 'failed')
    expect(w.cause(redis)).toEqual({ kind: 'root' })
  })

  it('does not accuse redis when both came back while dns was being asked', () => {
    const w = broken()
    for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.later(100) }
    expect(w.asked).toEqual(['dns'])
    w.has(dns, 'ok')
    expect(w.cause(redis)).toEqual({ kind: 'pending' })
    expect(w.asked).toEqual(['dns', 'redis'])
    w.has(redis, 'unknown')
    expect(w.cause(redis)).toEqual({ kind: 'pending' })
    w.later(10)
    w.has(redis, 'ok')
    expect(w.cause(redis)).toEqual({ kind: 'none' })
  })

  it('does not count our own trouble as time in which dns could have answered', () => {
    const w = broken()
    for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.later(100) }
    w.later(60_000)
    w.has(redis, 'unknown')
    expect(w.cause(redis)).toEqual({ kind: 'pending' })
    w.has(redis, 'failed')
    expect(w.cause(redis)).toEqual({ kind: 'root' })
  })

  it('does not accuse redis when dns was back for one run only', () => {
    const w = explained()
    w.has(dns, 'ok')
    w.later(100)
    w.has(redis, 'failed')
    for (let run = 0; run < 3; run++) { w.later(10); w.has(dns, 'failed') }
    expect(w.cause(redis)).toMatchObject({ kind: 'explained' })
  })

  it('keeps the root through an unknown run of either', () => {
    const w = explained()
    w.has(dns, 'unknown')
    w.has(redis, 'unknown')
    w.later(5_000)
    w.has(redis, 'failed')
    expect(w.cause(redis).kind).toBe('explained')
  })
})

it('accuses a job whose dependency answers well', () => {
  const w = world([dns, redis])
  for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.later(5_000) }
  w.has(dns, 'ok')
  w.has(redis, 'failed')
  expect(w.cause(redis)).toEqual({ kind: 'root' })
})

it('does not take a good answer from before it was unhealthy for an acquittal of the dependency', () => {
  const w = world([dns, redis])
  w.has(redis, 'ok')
  w.later(5_000)
  // A chance failure, then a good answer of the dependency, then the outage of both.
  w.has(redis, 'failed')
  w.later(1_000)
  w.has(dns, 'ok')
  w.later(4_000)
  for (let run = 0; run < 2; run++) { w.has(redis, 'failed'); w.later(5_000) }
  expect(w.cause(redis)).toEqual({ kind: 'pending' })
  for (let run = 0; run < 3; run++) w.has(dns, 'failed', Date.now() + run)
  expect(w.cause(redis)).toMatchObject({ kind: 'explained' })
})

it('does not let an unknown dependency explain anything', () => {
  const w = world([dns, redis])
  w.has(redis, 'failed')
  w.later(100)
  w.has(dns, 'unknown')
  expect(w.cause(redis)).toEqual({ kind: 'root' })
})

it('does not take an unknown run for an acquittal of a dependency that was failing', () => {
  const w = world([dns, redis])
  w.has(dns, 'ok')
  w.has(redis, 'ok')
  w.later(5_000)
  w.has(dns, 'failed')
  for (let run = 0; run < 3; run++) { w.has(redis, 'failed'); w.later(5_000) }
  w.has(dns, 'unknown')
  expect(w.cause(redis)).toEqual({ kind: 'pending' })
  for (let run = 0; run < 2; run++) { w.later(10); w.has(dns, 'failed') }
  expect(w.cause(redis)).toMatchObject({ kind: 'explained' })
})

it('stops waiting for a dependency that never answers', () => {
  const w = world([dns, redis])
  w.has(redis, 'failed')
  expect(w.cause(redis)).toEqual({ kind: 'pending' })
  w.later(60_000)
  w.has(redis, 'failed')
  expect(w.cause(redis)).toEqual({ kind: 'root' })
})

describe('a dependency with several targets', () => {
  const one = testJob({ name: 'dns', target: 'a:53' })
  const two = testJob({ name: 'dns', target: 'b:53' })

  it('explains only when all of them fail', () => {
    const app = testJob({ name: 'app', dependsOn: [{ probe: 'dns', remote: false }] })
    const w = world([one, two, app])
    w.has(app, 'failed')
    w.later(10)
    w.has(one, 'failed')
    expect(w.cause(app)).toEqual({ kind: 'pending' })
    w.has(two, 'ok')
    w.later(10)
    w.has(app, 'failed')
    expect(w.cause(app)).toEqual({ kind: 'root' })
  })

  it('names the first of them as the root when all fail', () => {
    const app = testJob({ name: 'app', dependsOn: [{ probe: 'dns', remote: false }] })
    const w = world([two, one, app])
    w.has(app, 'failed')
    w.later(10)
    w.has(two, 'failed')
    w.has(one, 'failed')
    expect(w.cause(app)).toMatchObject({ kind: 'explained', root: 'dns/a:53' })
  })

  it('can be asked for one target alone', () => {
    const app = testJob({ name: 'app', dependsOn: [{ probe: 'dns', target: 'b:53', remote: false }] })
    const w = world([one, two, app])
    w.has(one, 'ok')
    w.has(app, 'failed')
    w.later(10)
    w.has(two, 'failed')
    expect(w.cause(app)).toMatchObject({ kind: 'explained', root: 'dns/b:53' })
  })
})

it('follows a chain to its end', () => {
  const link = testJob({ name: 'link', target: 'gw' })
  const name = testJob({ name: 'dns', target: 'a:53', dependsOn: [{ probe: 'link', remote: false }] })
  const app = testJob({ name: 'app', dependsOn: [{ probe: 'dns', remote: false }] })
  const w = world([app, name, link])
  w.has(app, 'failed')
  w.later(10)
  w.has(name, 'failed')
  expect(w.cause(app)).toEqual({ kind: 'pending' })
  w.later(10)
  w.has(link, 'failed')
  expect(w.cause(app)).toMatchObject({ kind: 'explained', root: 'link/gw' })
})

it('names no dependency that a reload has taken away, and waits for the one that came instead', () => {
  const app = testJob({ name: 'app', dependsOn: [{ probe: 'dns', remote: false }] })
  const old = testJob({ name: 'dns', target: 'a:53' })
  const w = world([old, app])
  w.has(app, 'failed')
  w.later(10)
  w.has(old, 'failed')
  expect(w.cause(app)).toMatchObject({ kind: 'explained', root: 'dns/a:53' })
  w.store.remove(old.id)
  const instead = testJob({ name: 'dns', target: 'b:53' })
  w.store.put(instead)
  w.causes.changed()
  expect(w.cause(app)).toEqual({ kind: 'pending' })
  w.later(10)
  w.has(instead, 'failed')
  expect(w.cause(app)).toMatchObject({ kind: 'explained', root: 'dns/b:53' })
  w.store.remove(instead.id)
  w.causes.changed()
  expect(w.cause(app)).toEqual({ kind: 'root' })
})

it('leaves a remote dependency to Alertmanager', () => {
  const app = testJob({ name: 'app', dependsOn: [{ probe: 'elsewhere', remote: true }] })
  const w = world([app])
  w.has(app, 'failed')
  expect(w.cause(app)).toEqual({ kind: 'root' })
})
