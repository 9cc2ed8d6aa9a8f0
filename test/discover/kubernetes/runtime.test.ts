import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLogger } from '../../../src/log.ts'
import { createRuntime, type Runtime } from '../../../src/runtime.ts'
import { resultOf } from '../../support/jobs.ts'
import { startKubeApi, type KubeApi } from '../../support/kube-api.ts'
import { eventually, temporaryDirectory } from '../../support/process.ts'

const directory = temporaryDirectory()
const path = join(directory.path, 'curlew.yaml')
let api: KubeApi
let runtime: Runtime

beforeAll(async () => {
  api = await startKubeApi({ plain: true })
  api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'redis', namespace: 'shop', annotations: { 'curlew.dev/probe': 'redis' } }, spec: { ports: [{ port: 6379 }] } })
})
afterAll(async () => {
  await runtime.stop(1_000)
  await api.stop()
  directory.remove()
})

const found = () => `kubernetes: { clusters: [{ name: room, kubeconfig: ${api.kubeconfig()}, inside: true }] }\ndiscovery: { kubernetes: { annotations: true } }\n`
const create = () => createRuntime({
  configPath: path, autoReloadMs: undefined, probing: true, authenticated: false, stateDirectory: undefined, log: createLogger('silent'),
  onFatal(sentence) { throw new Error(sentence) },
})

it('a reload while it starts opens nothing twice, and an end meanwhile opens nothing', async () => {
  writeFileSync(path, found())
  const first = await create()
  await Promise.all([first.start('http://127.0.0.1:1'), first.reload()])
  await eventually(() => api.watches().length === 1)
  await first.stop(1_000)
  await eventually(() => api.watches().length === 0)
  const second = await create()
  const starting = second.start('http://127.0.0.1:1')
  await second.stop(0)
  await starting
  expect(second.discovery()).toBeUndefined()
})

it('what is found enters and leaves beside the config\'s probes, and keeps its state over a reload', async () => {
  const own = 'probes: [{ name: own, type: tcp, target: "127.0.0.1:1", cron: "0 3 1 1 *", run_at_start: false }]\n'
  const write = (text: string) => { writeFileSync(path, text) }
  write(own + found())
  runtime = await create()
  await runtime.start('http://127.0.0.1:1')
  const state = () => [...runtime.store.all()].find(({ job }) => job.name === 'shop_redis')
  await eventually(() => state() !== undefined)
  expect(runtime.discovery()?.sources).toMatchObject([{ cluster: 'room', source: 'service', targets: 1 }])
  runtime.store.record(resultOf(state()!.job, 'ok', Date.now()))
  const before = state()?.counts.ok

  write(`${own.replace('127.0.0.1:1', '127.0.0.1:2')}${found()}`)
  expect(await runtime.reload()).toEqual({ ok: true })
  expect(state()?.counts.ok).toBe(before)

  write(own)
  expect(await runtime.reload()).toEqual({ ok: true })
  expect([...runtime.store.all()].map(({ job }) => job.name)).toEqual(['own'])
  expect(runtime.discovery()).toBeUndefined()
  await eventually(() => api.watches().length === 0)
})
