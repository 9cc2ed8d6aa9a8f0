import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readEntry } from '../src/config/jobs.ts'
import type { Job } from '../src/core/probe.ts'
import { runJob } from '../src/core/run.ts'
import { createExpander, expanded } from '../src/each.ts'
import { http } from '../src/probes/http.ts'
import { addressOf } from '../src/probes/lib/dial.ts'
import { tcp } from '../src/probes/tcp.ts'
import { tcpServer } from './support/tcp.ts'

const never = new AbortController().signal
const jobOf = (entry: Record<string, unknown>) => readEntry(tcp, { name: 'api', addresses: 'each', every: '10s', ...entry }).jobs[0]!

describe('one target for each address', () => {
  it('has the address as its target, and the name as its host', () => {
    const job = jobOf({ target: 'api.test:443', tls: true })
    const pinned = job.each!.at('192.0.2.7')
    expect(pinned).toMatchObject({ target: '192.0.2.7:443', host: 'api.test', each: undefined })
    expect(pinned.id).not.toBe(job.id)
    expect(job.each!.at('2001:db8::1').target).toBe('[2001:db8::1]:443')
  })

  it('keeps path and scheme of a page', () => {
    const [job] = readEntry(http, { name: 'web', addresses: 'each', target: 'https://web.test/health?x=1' }).jobs
    expect(job!.each!.at('192.0.2.7').target).toBe('https://192.0.2.7/health')
  })

  it.each([['any', 'api.test:1'], ['each', '192.0.2.1:1'], ['each', '[::1]:1']])('is not made for addresses: %s of %s', (addresses, target) => {
    expect(jobOf({ addresses, target }).each).toBeUndefined()
  })

  it('connects to its address without asking for the name', async () => {
    const server = await tcpServer((socket) => socket.end())
    const pinned = jobOf({ target: `no-such-name.invalid:${server.port}` }).each!.at('127.0.0.1')
    const result = await runJob(pinned, { signal: never, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })
    await server.close()
    expect(result.status).toBe('ok')
  })

  it('is made for a round, too; a name that does not resolve stays as it is', async () => {
    const jobs = await expanded([jobOf({ target: 'localhost:1', ip_protocol: 'ip4' }), jobOf({ name: 'plain', addresses: 'any', target: 'x:1' })], never)
    expect(jobs.map((job) => job.target)).toEqual(['127.0.0.1:1', 'x:1'])
  })
})

describe('following a name', () => {
  beforeEach(() => { vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }) })
  afterEach(() => { vi.useRealTimers() })

  function following() {
    const sets = new Map<string, readonly string[]>()
    const tooMany: number[] = []
    let answer: readonly string[] | Error = []
    const expander = createExpander((source, jobs) => sets.set(source, jobs.map((job) => job.target)), (_job, found) => tooMany.push(found), async () => {
      if (answer instanceof Error) throw answer
      return answer.map(addressOf)
    })
    const job = jobOf({ target: 'api.test:1' })
    const settle = () => new Promise((resolve) => setImmediate(resolve))
    return {
      sets, tooMany, job, expander,
      targets: (of: Job = job) => sets.get(`each:${of.id}`),
      async look(next: readonly string[] | Error) {
        answer = next
        if (sets.size === 0) expander.set([job])
        else await vi.advanceTimersByTimeAsync(10_000)
        await settle()
      },
    }
  }

  it('adds what is new at once and removes what three look-ups do not name', async () => {
    const w = following()
    await w.look(['192.0.2.1', '192.0.2.2'])
    expect(w.targets()).toEqual(['192.0.2.1:1', '192.0.2.2:1'])
    await w.look(['192.0.2.2', '192.0.2.3'])
    await w.look(['192.0.2.2'])
    expect(w.targets()).toEqual(['192.0.2.1:1', '192.0.2.2:1', '192.0.2.3:1'])
    await w.look(['192.0.2.2', '192.0.2.3'])
    expect(w.targets()).toEqual(['192.0.2.2:1', '192.0.2.3:1'])
    w.expander.stop()
  })

  it('forgets nothing while the name cannot be resolved', async () => {
    const w = following()
    await w.look(['192.0.2.1'])
    for (let i = 0; i < 5; i++) await w.look(new Error('no name server'))
    expect(w.targets()).toEqual(['192.0.2.1:1'])
    w.expander.stop()
  })

  it('runs the job as it is when the name has never resolved', async () => {
    const w = following()
    await w.look(new Error('no such name'))
    expect(w.targets()).toEqual(['api.test:1'])
    await w.look(['192.0.2.1'])
    expect(w.targets()).toEqual(['192.0.2.1:1'])
    w.expander.stop()
  })

  it('has a cap, and says when it is reached', async () => {
    const w = following()
    await w.look(Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`))
    expect(w.targets()).toHaveLength(64)
    expect(w.tooMany).toEqual([100])
    w.expander.stop()
  })

  it('ends with its job', async () => {
    const w = following()
    await w.look(['192.0.2.1'])
    w.expander.set([])
    expect(w.targets()).toEqual([])
    await w.look(['192.0.2.2'])
    expect(w.targets()).toEqual([])
    w.expander.stop()
  })
})
