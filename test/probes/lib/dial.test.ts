import { execFile } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { hostPort } from '../../../src/core/fields.ts'
import { defineProbe, type Job } from '../../../src/core/probe.ts'
import { runJob } from '../../../src/core/run.ts'
import { addressesOf, dial, dialFields, dialGauges, type Resolve } from '../../../src/probes/lib/dial.ts'
import type { Address } from '../../../src/probes/lib/resolve.ts'
import { eventually, freePort, startProcess, type Running } from '../../support/process.ts'
import { gaugeOf, jobOf, probeOnce } from '../contract.ts'

/** A probe that only dials; `dialled` says where it arrived. */
let dialled: string | undefined
const dialer = (ips: readonly string[] | Resolve) => defineProbe({
  type: 'dialer', summary: 'for this test', options: z.strictObject({ target: hostPort(), ...dialFields }),
  phases: { resolve: 'resolve', connect: 'connect' }, gauges: dialGauges, codes: {}, schemes: [], fromUrl: () => ({}), example: { target: 'a.test:1' },
  async run(options, probe) {
    const resolve: Resolve = typeof ips === 'function' ? ips : () => Promise.resolve(ips.map((ip): Address => ({ ip, family: ip.includes(':') ? 6 : 4 })))
    const socket = await dial(probe, options.target, options, resolve)
    dialled = socket.remoteAddress
    socket.destroy()
  },
})

/** One listener each on 127.0.0.1 to .3, nothing on .5 and above. */
let port = 0
let open = 0
let accepted: string[] = []
const listeners = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((host) => ({
  host,
  server: createServer((socket) => {
    open++
    accepted.push(host)
    socket.on('error', () => {})
    socket.on('close', () => { open-- })
    socket.resume()
  }),
}))
beforeAll(async () => {
  port = await freePort()
  for (const { host, server } of listeners) await new Promise<void>((resolve) => server.listen(port, host, resolve))
})
afterAll(async () => { for (const { server } of listeners) await new Promise((resolve) => server.close(resolve)) })

const run = async (ips: readonly string[] | Resolve, entry: Record<string, unknown> = {}) => {
  dialled = undefined
  accepted = []
  return probeOnce(dialer(ips), { target: `a.test:${port}`, ...entry })
}
const counts = (result: Awaited<ReturnType<typeof run>>) => ['ok', 'failed', 'untried'].map((state) => gaugeOf(result, 'probe_addresses', { state }))
describe('dial: addresses', () => {
  it('any: goes on to the next address at once when one refuses', async () => {
    const result = await run(['127.0.0.5', '127.0.0.2', '127.0.0.3'])
    expect(result).toMatchObject({ status: 'ok' })
    expect(dialled).toBe('127.0.0.2')
    expect(counts(result)).toEqual([1, 1, 1])
    await eventually(async () => (await run(['127.0.0.5', '127.0.0.2', '127.0.0.3'])).ms < 200, 8_000, 'a run without the stagger')
  })

  it('any: fails when every address fails, and names them', async () => {
    const result = await run(['127.0.0.5', '127.0.0.6'])
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'connect', reason: 'refused', code: 'connect_refused' } })
    expect(result).toHaveProperty('failure.message', expect.stringMatching(/none of the 2 addresses of a\.test:\d+ connects: 127\.0\.0\.5 ECONNREFUSED, 127\.0\.0\.6 ECONNREFUSED/))
    expect(counts(result)).toEqual([0, 2, 0])
    expect(gaugeOf(result, 'probe_ip_protocol')).toBe(4)
  })

  it('first: judges the first address alone', async () => {
    expect(await run(['127.0.0.1', '127.0.0.5'], { addresses: 'first' })).toMatchObject({ status: 'ok' })
    const result = await run(['127.0.0.5', '127.0.0.1'], { addresses: 'first' })
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'connect_refused' } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining('the first of the 2 addresses'))
    expect(counts(result)).toEqual([0, 1, 1])
  })

  it('all: connects to every one and goes on over the first', async () => {
    const result = await run(['127.0.0.2', '127.0.0.1', '127.0.0.3'], { addresses: 'all' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(dialled).toBe('127.0.0.2')
    expect(accepted.toSorted()).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.3'])
    expect(counts(result)).toEqual([3, 0, 0])
    await eventually(() => open === 0)
  })

  it('all: fails for one address, and names it', async () => {
    const result = await run(['127.0.0.1', '127.0.0.5', '127.0.0.2'], { addresses: 'all' })
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'connect_refused' } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining('127.0.0.5 ECONNREFUSED'))
    expect(gaugeOf(result, 'probe_addresses', { state: 'failed' })).toBe(1)
    await eventually(() => open === 0)
  })

  it('all: connects to many in turns', async () => {
    const ips = Array.from({ length: 40 }, (_, index) => `127.0.0.${1 + (index % 3)}`)
    const result = await run(ips, { addresses: 'all' })
    expect(counts(result)).toEqual([40, 0, 0])
    await eventually(() => open === 0)
  })

  it('says nothing of addresses where there is only one', async () => {
    expect(counts(await run(['127.0.0.1']))).toEqual([undefined, undefined, undefined])
  })

  it('lets families take turns', async () => {
    const result = await run(['127.0.0.5', '127.0.0.6', '127.0.0.7', '::1'])
    // Nothing listens on ::1 either; the order of the sentence is the order of the attempts.
    expect(result).toHaveProperty('failure.message', expect.stringMatching(/127\.0\.0\.5 \w+, ::1 \w+, 127\.0\.0\.6/))
  })

  it('leaves no socket behind when the run is aborted or wins late', async () => {
    await run(['127.0.0.1', '127.0.0.2'])
    await eventually(() => open === 0)
    const stop = new AbortController()
    const running = probeOnce(dialer(() => { stop.abort(); return Promise.resolve([{ ip: '127.0.0.1', family: 4 }]) }), { target: `a.test:${port}` }, stop.signal)
    expect(await running).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
    await eventually(() => open === 0)
  })
})

describe('dial: silent addresses', () => {
  const SILENT = '127.0.0.4'
  let silent: Running
  const fillers: Socket[] = []
  beforeAll(async () => {
    // It listens, accepts nothing because it sleeps, and its queue is full: further SYNs are dropped, as by a firewall.
    silent = await startProcess(process.execPath, ['-e', `
      require('net').createServer().listen({ port: ${port}, host: '${SILENT}', backlog: 1 }, () => {
        require('fs').writeSync(1, 'up')
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      })`], { ready: () => true })
    await eventually(() => silent.output() === 'up')
    for (let index = 0; index < 8; index++) fillers.push(connect({ port, host: SILENT }).on('error', () => {}))
    await eventually(() => fillers.some(({ connecting }) => !connecting))
  })
  afterAll(async () => {
    for (const filler of fillers) filler.destroy()
    await silent.stop('SIGKILL')
  })

  it('any: tries the next address beside it after 250 ms', async () => {
    const result = await run([SILENT, '127.0.0.2'])
    expect(result).toMatchObject({ status: 'ok' })
    expect(dialled).toBe('127.0.0.2')
    expect(result.ms).toBeGreaterThan(240)
    expect(result.ms).toBeLessThan(1_000)
    expect(counts(result)).toEqual([1, 0, 1])
  })

  it('any: a refusal tells more than silence, and both are named', async () => {
    const result = await run([SILENT, '127.0.0.5'], { timeout: '600ms' })
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'connect_refused' } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining(`${SILENT} ETIMEDOUT, 127.0.0.5 ECONNREFUSED`))
    expect(counts(result)).toEqual([0, 2, 0])
  })

  it('all: names the silent one', async () => {
    const result = await run(['127.0.0.1', SILENT], { addresses: 'all', timeout: '300ms' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'connect', reason: 'timeout', code: 'connect_timeout' } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining(SILENT))
    expect(counts(result)).toEqual([1, 1, 0])
    await eventually(() => open === 0)
  })

  it('one address: the timeout of the run applies', async () => {
    const result = await run([SILENT], { timeout: '200ms' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'connect', reason: 'timeout' } })
    expect(gaugeOf(result, 'probe_ip_protocol')).toBe(4)
  })
})

describe('dial: whose fault it is', () => {
  it('propagates an error of our own as it is, even when another address failed', async () => {
    // A child with so few file descriptors that the second connection of the run finds none left.
    const source = (path: string) => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url).href)
    const script = `
      import { openSync } from 'node:fs'
      import { z } from ${JSON.stringify(import.meta.resolve('zod'))}
      import { hostPort } from ${source('core/fields.ts')}
      import { defineProbe } from ${source('core/probe.ts')}
      import { runJob } from ${source('core/run.ts')}
      import { readEntry } from ${source('config/jobs.ts')}
      import { dial, dialFields, dialGauges } from ${source('probes/lib/dial.ts')}
      const type = defineProbe({
        type: 'dialer', summary: '', options: z.strictObject({ target: hostPort(), ...dialFields }), gauges: dialGauges,
        phases: { resolve: 'resolve', connect: 'connect' }, codes: {}, schemes: [], fromUrl: () => ({}), example: { target: 'a.test:1' },
        async run(options, probe) {
          await dial(probe, options.target, options, async () => {
            try { for (;;) openSync('/dev/null') } catch {}
            return [{ ip: '127.0.0.1', family: 4 }]
          })
        },
      })
      const [job] = readEntry(type, { name: 'it', type: 'dialer', target: 'a.test:${port}', timeout: '5s' }).jobs
      const result = await runJob(job, { signal: new AbortController().signal, instance: 'it', lateSince: () => 0, lateBoundMs: 1e9 })
      process.stdout.write(result.status + ' ' + result.failure?.code)`
    const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 60; exec "$0" --input-type=module -e "$1"', process.execPath, script])
    expect(stdout).toBe('unknown prober_no_files')
  })

  it('goes nowhere on this machine, its link or its cloud for somebody else, and looks up a name of theirs as it stands', async () => {
    const asked: string[] = []
    const guarded = (ips: readonly string[], guard: Job['guard'], target = `a.test:${port}`) => {
      const resolve: Resolve = (host) => {
        asked.push(host)
        return Promise.resolve(ips.map((ip): Address => ({ ip, family: ip.includes(':') ? 6 : 4 })))
      }
      return runJob({ ...jobOf(dialer(resolve), { target }), guard }, { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })
    }
    accepted = []
    for (const ip of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '0.0.0.0', '169.254.169.254', 'fe80::1', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254', '224.0.0.1']) {
      for (const guard of ['address', 'name'] as const) {
        expect(await guarded(['192.0.2.1', ip], guard)).toMatchObject({ status: 'unknown', failure: { code: 'prober_no_entry', message: `a.test leads to ${ip}` } })
      }
    }
    expect(await guarded(['127.0.0.1'], 'address', `127.0.0.1:${port}`)).toMatchObject({ status: 'unknown' })
    expect(accepted).toEqual([])
    expect(new Set(asked)).toEqual(new Set(['a.test', 'a.test.', '127.0.0.1']))
    expect(await guarded(['127.0.0.1'], undefined)).toMatchObject({ status: 'ok' })
  })

  it('resolves nothing it was not asked for', async () => {
    const result = await run(() => Promise.resolve([]))
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'resolve', reason: 'not_found' } })
  })

  it('hands out addresses alone', async () => {
    const type = defineProbe({
      type: 'dialer', summary: 'for this test', options: z.strictObject({ target: hostPort(), ...dialFields }),
      phases: { resolve: 'resolve' }, gauges: dialGauges, codes: {}, schemes: [], fromUrl: () => ({}), example: { target: 'a.test:1' },
      async run(options, probe) {
        const addresses = await addressesOf(probe, options.target.host, options)
        expect(addresses).toEqual([{ ip: '127.0.0.1', family: 4 }])
      },
    })
    const result = await probeOnce(type, { target: '127.0.0.1:1' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_ip_protocol')).toBe(4)
  })
})
