import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childrenOf, isAlive, processesOn } from '../support/children.ts'
import { runCurlew, serveCurlew, type Served } from '../support/curlew.ts'
import { mountFaulty, type FaultyMount, type Faults } from '../support/fuse.ts'
import { eventually, temporaryDirectory } from '../support/process.ts'
import { lookedAtWhileItRan } from '../support/stalls.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'

const EVERY_MS = 500
const TCP = 20
const HTTP = 10
const directory = temporaryDirectory()
const servers: TestServer[] = []
const running: Served[] = []
let mounts: FaultyMount[]
let config: string

beforeAll(async () => {
  mounts = await Promise.all(Array.from({ length: 4 }, () => mountFaulty()))
  for (let count = 0; count < TCP; count++) servers.push(await tcpServer())
  for (let count = 0; count < HTTP; count++) servers.push(await listening(createServer((_, answer) => answer.end('well'))))
  const targets = (list: readonly string[]) => JSON.stringify(list)
  config = join(directory.path, 'curlew.yaml')
  writeFileSync(config, [
    `defaults: { every: ${EVERY_MS}ms, timeout: ${EVERY_MS}ms }`, 'probes:',
    `  - { name: storage, type: mount, fstype: fuse.faulty, timeout: 1s, every: 1s, targets: ${targets(mounts.map(({ path }) => path))} }`,
    `  - { name: ports, type: tcp, targets: ${targets(servers.slice(0, TCP).map(({ port }) => `127.0.0.1:${port}`))} }`,
    `  - { name: pages, type: http, targets: ${targets(servers.slice(TCP).map(({ port }) => `http://127.0.0.1:${port}/`))} }`, '',
  ].join('\n'))
})
afterAll(async () => {
  for (const one of running) await one.stop('SIGKILL')
  await Promise.all(mounts.map((mount) => mount.stop()))
  for (const server of servers) await server.close()
  directory.remove()
})

const serve = async () => {
  const curlew = await serveCurlew(['-c', config])
  running.push(curlew)
  return curlew
}
const suffer = (faults?: Faults) => { for (const mount of mounts) mount.suffer(faults) }
const hang = () => suffer({ '*': { hang: true } })
const workers = ({ pid }: Served) => childrenOf(pid).filter(({ command }) => command.includes('disk-worker')).map((worker) => worker.pid)
const sum = (samples: readonly string[]) => samples.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
const isWell = (curlew: Served) => eventually(async () => sum(await curlew.samples(/^probe_success\{/)) === mounts.length + TCP + HTTP, 10_000, 'all probes to be well')
const areStuck = (curlew: Served, count: number) => eventually(async () => await curlew.value('curlew_stuck_children') === count, 10_000, `${count} stuck children`)

describe('four mounts that hang at once', () => {
  let curlew: Served
  beforeAll(async () => {
    curlew = await serve()
    await isWell(curlew)
  })

  it('leave thirty other probes, the scrape and the number of processes as they were', { timeout: 30_000 }, async () => {
    hang()
    await areStuck(curlew, 4)
    await eventually(async () => (await curlew.samples(/^probe_failure_info\{probe="storage",.*layer="request",reason="hung"\} 1$/)).length === 4)

    const others = /\{probe="(?:ports|pages)",/
    const measure = async () => ({
      runs: sum(await curlew.samples(/^probe_runs_total\{probe="(?:ports|pages)",.*result="ok"/)),
      bad: sum(await curlew.samples(/^probe_runs_total\{probe="(?:ports|pages)",.*result="(?:failed|unknown)"/)),
      lags: (await curlew.value('curlew_schedule_lag_seconds_count'))!,
      onTime: (await curlew.value('curlew_schedule_lag_seconds_bucket{le="0.1"}'))!,
      skipped: sum(await curlew.samples(/^curlew_runs_skipped_total/)),
    })
    let most = 0
    const threeSeconds = async () => {
      const before = await measure()
      const began = performance.now()
      const scrapes: number[] = []
      while (performance.now() - began < 3_000) {
        const start = performance.now()
        expect((await curlew.get('/metrics')).status).toBe(200)
        scrapes.push(performance.now() - start)
        most = Math.max(most, workers(curlew).length)
        await sleep(200)
      }
      const seconds = (performance.now() - began) / 1_000
      const after = await measure()
      return {
        bad: after.bad - before.bad, skipped: after.skipped - before.skipped,
        areOnTime: (after.onTime - before.onTime) / (after.lags - before.lags) > 0.95,
        // Each ran as often as it should have, give or take one.
        areAll: after.runs - before.runs > (TCP + HTTP) * (seconds * 1_000 / EVERY_MS - 1),
        areScrapesQuick: scrapes.toSorted((a, b) => a - b)[Math.floor(scrapes.length / 2)]! < 100,
      }
    }
    const asTheyWere = { bad: 0, skipped: 0, areOnTime: true, areAll: true, areScrapesQuick: true }
    expect(await lookedAtWhileItRan(threeSeconds, (got) => isDeepStrictEqual(got, asTheyWere), ({ bad }, hasStoodStill) => hasStoodStill && bad === 0)).toEqual(asTheyWere)
    const durations = (await curlew.samples(/^probe_duration_seconds\{/)).filter((line) => others.test(line))
    expect(durations).toHaveLength(TCP + HTTP)
    expect(sum(durations) / durations.length).toBeLessThan(0.05)
    // Four that hang, and those that look at the table of mounts.
    expect(most).toBeLessThanOrEqual(8)
    expect(await curlew.value('curlew_stuck_children')).toBe(4)
  })

  it('are well again by themselves', async () => {
    suffer()
    await areStuck(curlew, 0)
    await isWell(curlew)
    await eventually(() => workers(curlew).length <= 2, 5_000, 'the end of the workers that are not needed')
  })

  it('keep nobody from ending in time', async () => {
    hang()
    await areStuck(curlew, 4)
    const left = workers(curlew)
    const began = performance.now()
    curlew.child.kill('SIGTERM')
    await eventually(() => curlew.child.exitCode !== null || curlew.child.signalCode !== null, 10_000, 'the exit')
    expect(curlew.child.exitCode).toBe(0)
    expect(performance.now() - began).toBeLessThan(4_000)
    suffer()
    await eventually(() => !left.some(isAlive), 5_000, 'the end of the workers')
  })

  it('leave no process behind when Curlew is killed, once they are free', async () => {
    const killed = await serve()
    hang()
    await areStuck(killed, 4)
    const left = workers(killed)
    expect(left.length).toBeGreaterThanOrEqual(4)
    killed.child.kill('SIGKILL')
    await eventually(() => killed.child.signalCode !== null)
    expect(left.filter(isAlive).length).toBeGreaterThanOrEqual(4)
    suffer()
    await eventually(() => !left.some(isAlive), 5_000, 'the end of the workers')
  })
})

it('a check of a mount that hangs ends in time, and leaves neither a process nor a file behind once it is free', async () => {
  const { path, suffer: sufferAlone } = mounts[0]!
  sufferAlone({ fsync: { hang: true } })
  const began = performance.now()
  const { code, stdout } = await runCurlew(['check', `mount://${path}`, '--timeout', '1s'])
  expect(performance.now() - began).toBeLessThan(4_000)
  expect(code).toBe(1)
  expect(stdout).toContain('fsync has not come back')
  const left = processesOn(path)
  expect(left).toHaveLength(1)
  sufferAlone()
  await eventually(() => !isAlive(left[0]!), 5_000, 'the end of the worker')
  expect(readdirSync(path).sort()).toEqual(['known', 'sub'])
})
