import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SHARED_CODES } from '../../src/core/codes.ts'
import { watchLoop } from '../../src/core/loop.ts'
import { ProbeFailure, type Job, type ProbeContext } from '../../src/core/probe.ts'
import { runJob, type RunOptions } from '../../src/core/run.ts'
import { Secret, taint } from '../../src/core/secrets.ts'
import { testJob } from '../support/jobs.ts'

const never = new AbortController().signal
const base: RunOptions = { signal: never, instance: 'me', lateSince: () => 0, lateBoundMs: 500 }
const job = (run: (probe: ProbeContext) => Promise<void>, over: Partial<Job> = {}) => testJob({ name: 'j', timeoutMs: 60, run, ...over })
const errno = (code: string) => Object.assign(new Error(`it failed: ${code}`), { code })

describe('guilty only when proven', () => {
  it.each([
    ['EMFILE', 'prober_no_files'], ['ENFILE', 'prober_no_files'], ['ENOMEM', 'prober_no_memory'], ['ENOBUFS', 'prober_no_memory'],
    ['EADDRNOTAVAIL', 'prober_no_ports'], ['EADDRINUSE', 'prober_no_ports'], ['EACCES', 'prober_denied'], ['EPERM', 'prober_denied'],
    ['ERR_INVALID_ARG_TYPE', 'prober_bug'], ['ERR_SOCKET_BAD_PORT', 'prober_bug'], ['EINVAL', 'prober_bug'], ['EWHATEVER', 'prober_bug'],
  ])('%s is ours, and called %s', async (code, called) => {
    const result = await runJob(job((probe) => probe.phase('connect', () => { throw errno(code) })), base)
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', code: called } })
  })

  it.each([
    ['TypeError', () => { (undefined as unknown as string[]).map(String) }],
    ['RangeError', () => { new Array(-1) }],
    ['a plain Error', () => { throw new Error('what') }],
    ['a thrown text', () => { throw 'what' }],
  ])('a bug in a probe (%s) never passes for a sick target, and is told of', async (_what, bug) => {
    const told: string[] = []
    const result = await runJob(job((probe) => probe.phase('request', bug)), { ...base, onOddity: (kind) => told.push(kind) })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'other', code: 'prober_bug' } })
    expect(told).toEqual(['bug'])
  })

  it.each([
    ['ECONNREFUSED', 'request', { layer: 'connect', reason: 'refused', code: 'connect_refused' }],
    ['ECONNRESET', 'request', { layer: 'request', reason: 'reset', code: 'request_reset' }],
    ['ECONNRESET', 'connect', { layer: 'connect', reason: 'reset', code: 'connect_reset' }],
    ['EPIPE', 'request', { layer: 'request', reason: 'reset', code: 'request_reset' }],
    ['ETIMEDOUT', 'connect', { layer: 'connect', reason: 'timeout', code: 'connect_timeout' }],
  ])('%s in phase %s is the target\'s', async (code, phase, failure) => {
    expect(await runJob(job((probe) => probe.phase(phase, () => { throw errno(code) })), base)).toMatchObject({ status: 'failed', failure })
  })

  it('calls a timeout unknown when we took most of its time ourselves, and not when we took little', async () => {
    const silent = job((probe) => probe.phase('request', () => new Promise<never>(() => {})), { timeoutMs: 60 })
    expect(await runJob(silent, { ...base, lateSince: () => 40 })).toMatchObject({ status: 'unknown', failure: { code: 'prober_starved' } })
    expect(await runJob(silent, { ...base, lateSince: () => 20 })).toMatchObject({ status: 'failed', failure: { code: 'request_timeout' } })
    // A probe with several connections finds a moment earlier that one of them is silent.
    const told = job((probe) => probe.phase('request', () => probe.fail('connect_timeout', 'h1 is silent')), { timeoutMs: 60 })
    expect(await runJob(told, { ...base, lateSince: () => 40 })).toMatchObject({ status: 'unknown', failure: { code: 'prober_starved' } })
    expect(await runJob(told, { ...base, lateSince: () => 20 })).toMatchObject({ status: 'failed', failure: { code: 'connect_timeout' } })
  })

  it('waits for a timeout that is longer than a timer of Node', async () => {
    const result = await runJob(job((probe) => probe.phase('request', () => sleep(30)), { timeoutMs: 30 * 86_400_000 }), base)
    expect(result.status).toBe('ok')
  })

  it('takes the layer from the phase unless the code moves it', async () => {
    const codes = { demo_here: { reason: 'denied', en: 'x.', zh: '是。' }, demo_moved: { layer: 'auth', reason: 'denied', en: 'x.', zh: '是。' } } as const
    const failing = (code: string) => runJob(job((probe) => probe.phase('request', () => probe.fail(code, 'no')), { codes }), base)
    expect(await failing('demo_here')).toMatchObject({ failure: { layer: 'request', reason: 'denied', code: 'demo_here', message: 'no' } })
    expect(await failing('demo_moved')).toMatchObject({ failure: { layer: 'auth', reason: 'denied' } })
    expect(await failing('nowhere_listed')).toMatchObject({ status: 'unknown', failure: { code: 'prober_bug' } })
  })

  it('tells of an answer that no code stands for, and still calls it failed', async () => {
    const told: string[] = []
    const codes = { demo_other: { layer: 'request', reason: 'other', unmapped: true, en: 'x.', zh: '是。' } } as const
    const result = await runJob(job(async () => { throw new ProbeFailure('demo_other', 'FROB') }, { codes }), { ...base, onOddity: (kind) => told.push(kind) })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'other' } })
    expect(told).toEqual(['unmapped'])
  })

  it('does not hold a missing login against what Curlew found by itself', async () => {
    const codes = { demo_denied: { layer: 'auth', reason: 'denied', en: 'x.', zh: '是。' } } as const
    const run = async () => { throw new ProbeFailure('demo_denied', 'NOAUTH') }
    expect(await runJob(job(run, { codes }), base)).toMatchObject({ status: 'failed' })
    expect(await runJob(job(run, { codes, discovered: true }), base)).toMatchObject({ status: 'unknown', failure: { reason: 'denied', code: 'prober_no_credentials' } })
    const file = { demo_denied: { layer: 'request', reason: 'denied', en: 'x.', zh: '是。' } } as const
    expect(await runJob(job(run, { codes: file, discovered: true }), base)).toMatchObject({ status: 'unknown', failure: { reason: 'denied', code: 'prober_denied' } })
    const own = async () => { throw new ProbeFailure('prober_no_credentials', 'not contacted') }
    expect(await runJob(job(own, { discovered: true }), base)).toMatchObject({ status: 'unknown', failure: { reason: 'denied', code: 'prober_no_credentials' } })
  })
})

describe('time', () => {
  it('ends a probe that ignores its signal, and blames the phase it hung in', async () => {
    const result = await runJob(job((probe) => probe.phase('request', () => new Promise(() => {}))), base)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'timeout', code: 'request_timeout' } })
    expect(result.phases).toHaveLength(1)
    expect(result.phases[0]!.ms).toBeGreaterThan(50)
  })

  it('does not blame the target when the time ran out in no phase at all', async () => {
    expect(await runJob(job(() => new Promise(() => {})), base)).toMatchObject({ status: 'unknown', failure: { code: 'prober_bug' } })
  })

  it.each([['before', 0], ['while', 10]])('accuses nobody when it is stopped %s it runs', async (_when, ms) => {
    const stop = new AbortController()
    if (ms === 0) stop.abort()
    else setTimeout(() => stop.abort(), ms)
    const result = await runJob(job((probe) => probe.phase('request', () => new Promise(() => {}))), { ...base, signal: stop.signal })
    expect(result).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
  })

  it('tells the probe to stop when its run is over', async () => {
    let seen: AbortSignal | undefined
    await runJob(job(async (probe) => { seen = probe.signal }), base)
    expect(seen!.aborted).toBe(true)
  })

  it('does not measure what has to be loaded first', async () => {
    const result = await runJob(job(async () => {}, { load: () => sleep(400), timeoutMs: 2_000 }), base)
    expect(result.status).toBe('ok')
    expect(result.ms).toBeLessThan(390)
  })

  it('does not wait for ever for what has to be loaded, and not at all once it is stopped', async () => {
    const hung = { load: () => new Promise(() => {}) }
    expect((await runJob(job(async () => {}, hung), base)).status).toBe('ok')
    const stop = new AbortController()
    stop.abort()
    expect(await runJob(job(async () => {}, { ...hung, timeoutMs: 60_000 }), { ...base, signal: stop.signal })).toMatchObject({ failure: { code: 'prober_aborted' } })
  })

  it('does not mind a loader that fails: the run will say it', async () => {
    expect((await runJob(job(async () => {}, { load: () => Promise.reject(new Error('no module')) }), base)).status).toBe('ok')
  })

  it('hides a secret that the target sends back as a label', async () => {
    taint('sent-back-0815')
    const result = await runJob(job(async (probe) => probe.gauge('probe_test_info', 1, { version: 'v sent-back-0815' })), base)
    expect(result.gauges).toEqual([{ name: 'probe_test_info', value: 1, labels: { version: 'v <secret>' } }])
  })

  it('takes no gauge from a probe that goes on after its run', async () => {
    let late: ProbeContext | undefined
    const result = await runJob(job(async (probe) => { late = probe; await probe.phase('request', () => new Promise(() => {})) }), base)
    late!.gauge('probe_test_late', 1)
    expect(result.gauges).toEqual([])
  })

  it('takes the time of a phase from the probe where the wire knows better', async () => {
    const result = await runJob(job(async (probe) => {
      await probe.phase('request', () => sleep(10))
      probe.took('request', 0.25)
    }), base)
    expect(result.phases).toEqual([{ name: 'request', ms: 0.25 }])
  })

  it('adds up a phase that is entered twice', async () => {
    const result = await runJob(job(async (probe) => {
      await probe.phase('request', () => sleep(10))
      await probe.phase('request', () => sleep(10))
    }), base)
    expect(result.phases).toHaveLength(1)
    expect(result.phases[0]!.ms).toBeGreaterThan(18)
  })

  it('calls a result starved when the event loop stood still while it was measured', async () => {
    const loop = watchLoop(() => {})
    await sleep(60)
    const blocked = job(async (probe) => {
      await probe.phase('connect', async () => {
        await sleep(5)
        const until = performance.now() + 300
        while (performance.now() < until);
      })
    }, { timeoutMs: 5_000 })
    const result = await runJob(blocked, { ...base, lateSince: loop.lateSince, lateBoundMs: 150 })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'starved', code: 'prober_starved' } })
    await sleep(120)
    const quiet = await runJob(job(async (probe) => { await probe.phase('connect', () => sleep(5)) }, { timeoutMs: 5_000 }), { ...base, lateSince: loop.lateSince, lateBoundMs: 150 })
    expect(quiet.status).toBe('ok')
    loop.stop()
  })
})

describe('limits', () => {
  const limit = { name: 'lag', gauge: 'probe_test_lag', worse: 'above', warning: 5, critical: 10 } as const
  const measuring = (value: number | undefined, fails: boolean) => runJob(job(async (probe) => { if (value !== undefined) probe.gauge('probe_test_lag', value) }, { limits: [{ ...limit, fails }] }), base)

  it('fails the run only when fail_on names it', async () => {
    expect((await measuring(11, false)).status).toBe('ok')
    expect(await measuring(11, true)).toMatchObject({ status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'limit_exceeded' } })
    expect((await measuring(10, true)).status).toBe('ok')
    expect((await measuring(undefined, true)).status).toBe('ok')
  })

  it('knows which side is worse', async () => {
    const below = { ...limit, worse: 'below', critical: 3, fails: true } as const
    const run = (value: number) => runJob(job(async (probe) => probe.gauge('probe_test_lag', value), { limits: [below] }), base)
    expect((await run(2)).status).toBe('failed')
    expect((await run(4)).status).toBe('ok')
  })
})

it('hides secrets in what it says', async () => {
  const password = new Secret('correct horse battery')
  const result = await runJob(job((probe) => probe.phase('request', () => probe.fail('limit_exceeded', `server said: bad password ${password.reveal()}`))), base)
  expect(JSON.stringify(result)).not.toContain('correct horse')
  expect(`${String(password)} ${JSON.stringify({ password })}`).toBe('<secret> {"password":"<secret>"}')
})

it('hides the login of a job of its own too, in results, labels and logs of oddities', async () => {
  const told: unknown[] = []
  const hide = (text: string) => text.replaceAll('tenants-own', '<secret>')
  const run = (work: (probe: ProbeContext) => Promise<void>) => runJob(job(work, { hide }), { ...base, onOddity: (_kind, _job, error) => told.push(error instanceof Error ? [error.message, error.stack] : error) })
  const result = await run(async (probe) => {
    probe.gauge('probe_test_info', 1, { version: 'tenants-own' })
    probe.fail('limit_exceeded', 'bad tenants-own')
  })
  expect(result).toMatchObject({ failure: { message: 'bad <secret>' }, gauges: [{ labels: { version: '<secret>' } }] })
  await run(() => Promise.reject(new TypeError('no such thing as tenants-own')))
  expect(JSON.stringify(told)).toContain('no such thing as <secret>')
  expect(JSON.stringify(told)).not.toContain('tenants-own')
})

it('says every shared code in both languages', () => {
  for (const [code, { en, zh }] of Object.entries(SHARED_CODES)) {
    expect(en, code).toMatch(/\.$/)
    expect(zh, code).toMatch(/[\u4e00-\u9fff].*。$/)
  }
})
