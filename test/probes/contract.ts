import { getActiveResourcesInfo } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import type { Job, ProbeType } from '../../src/core/probe.ts'
import { SHARED_CODES } from '../../src/core/codes.ts'
import { LAYERS, REASONS, type ProbeResult } from '../../src/core/result.ts'
import { runJob } from '../../src/core/run.ts'
import { freePort } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'

/** A job through the same path as production: a config entry in, a job out. Throws with every mistake. */
export function jobOf(type: ProbeType, entry: Record<string, unknown>): Job {
  const { jobs, issues } = readEntry(type, { name: 'it', type: type.type, timeout: '2s', ...entry })
  if (issues.length > 0) throw new Error(issues.map((issue) => `${issue.path.map(String).join('.')}: ${issue.message}`).join('\n'))
  const [job] = jobs
  if (!job) throw new Error('no job')
  return job
}

/** Runs one probe once, as the scheduler would. `entry` holds `target` and options, and may override `timeout` and `mode`. */
export async function probeOnce(type: ProbeType, entry: Record<string, unknown>, signal = new AbortController().signal): Promise<ProbeResult> {
  const job = jobOf(type, entry)
  // A library takes longer to load than some of the tests give a server, if the machine is busy.
  await job.load?.()
  return runJob(job, { signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })
}

/** The value of a gauge of the run, by full metric name and labels. */
export function gaugeOf(result: ProbeResult, name: string, labels: Record<string, string> = {}): number | undefined {
  return result.gauges.find((gauge) => gauge.name === name && Object.entries(labels).every(([key, value]) => gauge.labels?.[key] === value))?.value
}

/** What every probe type must declare, whatever it speaks. */
export function declarationContract(type: ProbeType): void {
  describe(`${type.type}: declaration`, () => {
    it('has an example that its own schema accepts', () => {
      const { target, ...options } = type.example
      expect(readEntry(type, { name: 'example', type: type.type, ...options, ...(target === undefined ? {} : { target }) }).issues).toEqual([])
    })

    it('uses layers and reasons of the closed lists, and a sentence in both languages', () => {
      for (const [code, spec] of Object.entries(type.codes)) {
        expect(code in SHARED_CODES, `${code} is a shared code`).toBe(false)
        if (spec.layer !== undefined) expect(LAYERS).toContain(spec.layer)
        expect(REASONS).toContain(spec.reason)
        expect(spec.en).toMatch(/\.$/)
        expect(spec.zh).toMatch(/[\u4e00-\u9fff]/)
      }
    })

    it('names its gauges after itself or after a borrowed family', () => {
      const prefix = type.prefix ?? type.type.replaceAll('-', '_')
      for (const name of Object.keys(type.gauges)) {
        expect(name).toMatch(new RegExp(`^probe_(${prefix}|ssl|tls|ip|dns_lookup|addresses|failed_due_to)`))
      }
    })
  })
}

/** What every probe over TCP must do, whatever it speaks. `entry(port)` is a config entry against 127.0.0.1:port; `refused`: its code for that, where it has one of its own. */
export function tcpProbeContract(type: ProbeType, entry: (port: number) => Record<string, unknown>, refused = 'connect_refused'): void {
  describe(`${type.type}: contract`, () => {
    const servers: TestServer[] = []
    const against = async (talk?: Parameters<typeof tcpServer>[0]) => {
      const server = await tcpServer(talk)
      servers.push(server)
      return server
    }
    // The first run loads libraries; it would count as a leak otherwise.
    beforeAll(async () => { await probeOnce(type, entry(await freePort())) })
    afterAll(async () => { for (const server of servers) await server.close() })

    it('blames connect/refused when nobody listens', async () => {
      expect(await probeOnce(type, entry(await freePort()))).toMatchObject({ status: 'failed', failure: { layer: 'connect', reason: 'refused', code: refused } })
    })

    it('times out on a silent server, and blames the phase that waited', async () => {
      const server = await against()
      const result = await probeOnce(type, { ...entry(server.port), timeout: '300ms' })
      expect(result).toMatchObject({ status: 'failed', failure: { reason: 'timeout' } })
      expect(result.ms).toBeGreaterThan(250)
      expect(result.ms).toBeLessThan(900)
      // Phases that were not reached may stand behind it as zeros.
      expect(Math.max(...result.phases.map((phase) => phase.ms))).toBeGreaterThan(150)
    })

    it('does not let a slow drip keep it beyond its timeout', async () => {
      const server = await against((socket) => {
        const drip = setInterval(() => socket.write('x'), 40)
        socket.on('close', () => clearInterval(drip))
      })
      const result = await probeOnce(type, { ...entry(server.port), timeout: '400ms' })
      expect(result.status).toBe('failed')
      expect(result.ms).toBeLessThan(1_000)
    })

    it('calls garbage a failure of the target, never unknown', async () => {
      const server = await against((socket) => socket.end('\u0000\u0001garbage\r\n\r\nmore garbage\r\n'))
      const result = await probeOnce(type, { ...entry(server.port), timeout: '1s' })
      expect(result).toMatchObject({ status: 'failed' })
    })

    it('calls a close without a word a failure of the target', async () => {
      const server = await against((socket) => socket.end())
      expect(await probeOnce(type, { ...entry(server.port), timeout: '1s' })).toMatchObject({ status: 'failed' })
    })

    it('stops at once when asked to, and accuses nobody', async () => {
      const server = await against()
      const stop = new AbortController()
      const running = probeOnce(type, entry(server.port), stop.signal)
      setTimeout(() => stop.abort(), 50)
      const result = await running
      expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', code: 'prober_aborted' } })
      expect(result.ms).toBeLessThan(400)
    })

    it('leaves no socket and no timer behind', async () => {
      const server = await against()
      const held = () => getActiveResourcesInfo().filter((name) => /TCPSocketWrap|TLSWrap|Timeout|UDP/.test(name)).length
      const before = held()
      await Promise.all(Array.from({ length: 10 }, () => probeOnce(type, { ...entry(server.port), timeout: '200ms' })))
      for (let wait = 0; wait < 100 && (server.open() > 0 || held() > before); wait++) await sleep(20)
      expect(server.open()).toBe(0)
      expect(held()).toBeLessThanOrEqual(before)
    })
  })
}
