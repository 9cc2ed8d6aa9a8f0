import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { loadChecked } from '../src/checked.ts'
import { discoverySettings } from '../src/discovering.ts'
import { createLogger } from '../src/log.ts'
import { configChecksum } from '../src/config/load.ts'
import { createRuntime } from '../src/runtime.ts'
import { resultOf, testJob } from './support/jobs.ts'
import { freePort, temporaryDirectory } from './support/process.ts'
import { listens } from './support/tcp.ts'

const directory = temporaryDirectory()
const cleanups: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup()
  directory.remove()
})

function written(name: string, text: string) {
  const path = join(directory.path, name)
  writeFileSync(path, text)
  return path
}

async function runtimeOf(configPath: string) {
  const runtime = await createRuntime({
    configPath, autoReloadMs: undefined, probing: true, authenticated: false, stateDirectory: undefined, log: createLogger('silent'),
    onFatal(sentence) { throw new Error(sentence) },
  })
  cleanups.push(() => runtime.stop(1_000))
  return runtime
}

const cron = (type: string) => `probes:\n  - { name: a, type: ${type}, target: "127.0.0.1:1", cron: "0 3 1 1 *", run_at_start: false }\n`

it('serves what it read at first: a pipe can be read once', async () => {
  const path = written('once.yaml', cron('tcp'))
  const runtime = await runtimeOf(path)
  rmSync(path)
  await runtime.start('http://127.0.0.1:1')
  expect(runtime.store.size()).toBe(1)
})

it('begins anew with a probe that has become one of another type, and keeps one that has not', async () => {
  const path = written('type.yaml', cron('redis'))
  const runtime = await runtimeOf(path)
  await runtime.start('http://127.0.0.1:1')
  const [{ job }] = [...runtime.store.all()] as [NonNullable<ReturnType<typeof runtime.store.get>>]
  runtime.store.record(resultOf(job, 'ok', Date.now()))
  expect(await runtime.reload()).toEqual({ ok: true })
  expect(runtime.store.get(job.id)?.counts.ok).toBe(1)
  writeFileSync(path, cron('tcp'))
  expect(await runtime.reload()).toEqual({ ok: true })
  expect(runtime.store.get(job.id)).toMatchObject({ job: { type: 'tcp' }, last: undefined, counts: { ok: 0 } })
})

it('tells by the files and what they refer to alone whether a config has changed', async () => {
  const secret = written('pw', 'one')
  const path = written('sum.yaml', `probes:\n  - { name: a, type: redis, target: "127.0.0.1:1", password: "\${file:${secret}}" }\n`)
  const before = configChecksum(path)
  expect((await loadChecked(path)).checksum).toBe(before)
  expect(configChecksum(path)).toBe(before)
  writeFileSync(secret, 'two')
  expect(configChecksum(path)).not.toBe(before)
})

it('has a job let go of what it kept when it goes, changes, or everything ends', async () => {
  const runtime = await runtimeOf(written('none.yaml', cron('tcp')))
  const released: string[] = []
  const job = (id: string, fingerprint = id) => testJob({ id, name: id, target: id, fingerprint, schedule: { everyMs: 3_600_000 }, release: () => released.push(`${id} ${fingerprint}`) })
  runtime.apply('test', [job('gone'), job('changes', 'before'), job('stays')])
  runtime.apply('test', [job('changes', 'after'), job('stays')])
  expect(released).toEqual(['gone gone', 'changes before'])
  await runtime.stop(1_000)
  expect(released.toSorted()).toEqual(['changes after', 'changes before', 'gone gone', 'stays stays'])
})

it('answers other nodes where the config says, moves with a reload, and stops with the rest', async () => {
  const [first, second] = [await freePort(), await freePort()]
  const config = (port: number) => `mesh: { listen: "127.0.0.1:${port}" }\n${cron('tcp')}`
  const path = written('mesh.yaml', config(first))
  const runtime = await runtimeOf(path)
  await runtime.start('http://127.0.0.1:1')
  expect([await listens(first), await listens(second)]).toEqual([true, false])
  writeFileSync(path, config(second))
  expect(await runtime.reload()).toEqual({ ok: true })
  expect([await listens(first), await listens(second)]).toEqual([false, true])
  await runtime.stop(1_000)
  expect(await listens(second)).toBe(false)
})

it('closes what a reload opens while everything ends', async () => {
  const [first, second] = [await freePort(), await freePort()]
  const config = (port: number) => `mesh: { listen: "127.0.0.1:${port}" }\n${cron('tcp')}`
  const path = written('ending.yaml', config(first))
  const runtime = await runtimeOf(path)
  await runtime.start('http://127.0.0.1:1')
  writeFileSync(path, config(second))
  const reloaded = runtime.reload()
  await runtime.stop(10_000)
  expect(await reloaded).toEqual({ ok: true })
  expect([await listens(first), await listens(second)]).toEqual([false, false])
})

it('gives each shard the series of the limit', async () => {
  const config = (series: number, total: number) => `limits: { series: ${series} }\nkubernetes: { shards: { total: ${total}, index: 0 } }\ndiscovery: { kubernetes: {} }\n${cron('tcp')}`
  const refused = await loadChecked(written('series.yaml', config(1, 2)))
  const [, made = ''] = /^.+: limits\.series: expected at most 2 series of all shards together, but the probes make (\d+)$/.exec(refused.config ? '' : refused.errors.join()) ?? []
  const half = Math.ceil(Number(made) / 2)
  expect((await loadChecked(written('series.yaml', config(half, 1)))).config).toBeUndefined()
  const { config: taken } = await loadChecked(written('series.yaml', config(half, 2)))
  expect(taken && discoverySettings(taken, 1)?.series).toBe(2 * half - 1)
})
