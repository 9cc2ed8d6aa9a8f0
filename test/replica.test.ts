import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { instanceId } from '../src/checked.ts'
import { createLogger } from '../src/log.ts'
import { createRuntime } from '../src/runtime.ts'
import { resultOf, testJob } from './support/jobs.ts'
import { startKubeApi, type KubeApi } from './support/kube-api.ts'
import { eventually, temporaryDirectory } from './support/process.ts'

const directory = temporaryDirectory()
const cleanups: (() => Promise<void>)[] = []
let api: KubeApi
beforeAll(async () => {
  api = await startKubeApi({ plain: true })
  api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'monitoring' } })
})
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup()
  await api.stop()
  directory.remove()
})

const PROBES = 'probes:\n  - { name: a, type: tcp, targets: ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "127.0.0.1:5"], cron: "0 3 1 1 *", run_at_start: false }\n'

async function started(name: string, config: string) {
  const configPath = join(directory.path, `${name}.yaml`)
  const write = (text: string) => writeFileSync(configPath, `instance_id: ${name}\n${text}${PROBES}`)
  write(config)
  const log = createLogger('silent')
  const told = vi.spyOn(log, 'info')
  const runtime = await createRuntime({
    configPath, autoReloadMs: undefined, probing: true, authenticated: false, stateDirectory: undefined, log,
    onFatal(sentence) { throw new Error(sentence) },
  })
  await runtime.start('http://127.0.0.1:1')
  let running = true
  const stop = async () => {
    if (running) await runtime.stop(1_000)
    running = false
  }
  cleanups.push(stop)
  const metrics = async () => (await Array.fromAsync(runtime.exposition.render('text'))).join('').split('\n')
  return { ...runtime, stop, write, told, lines: async (start: string) => (await metrics()).filter((line) => line.startsWith(start)) }
}

const cluster = () => `clusters: [{ name: here, kubeconfig: ${api.kubeconfig()} }]`

describe('replicas of one Lease', () => {
  const lease = (name: string) => ({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: 'monitoring' } })
  const config = (name: string, shards = '') => `kubernetes: { ${cluster()}, lease: { name: ${name}, namespace: monitoring, duration: 3s }${shards} }\n`

  it('probe one at a time, take over from one that stops, and step down for another', async () => {
    const alone = config('curlew')
    const first = await started('first', alone)
    await eventually(() => first.share().active)
    expect(first.store.size()).toBe(5)
    expect(await first.lines('curlew_lease_active')).toEqual(['curlew_lease_active{lease="curlew"} 1'])

    // Another cluster to look at is no reason to give the Lease back, and to begin anew with everything.
    first.write(alone.replace(' }], ', ' }, { name: there, kubeconfig: /nowhere }], '))
    expect(await first.reload()).toEqual({ ok: true })
    expect(first.share()).toMatchObject({ active: true, owned: 5 })

    const second = await started('second', config('curlew'))
    await eventually(() => second.share().holder !== undefined)
    expect(second.told).toHaveBeenCalledWith({ lease: 'curlew' }, 'standby until this replica has the lease')
    expect(second.share()).toEqual({ active: false, lease: 'curlew', holder: 'first', shard: { index: 0, total: 1 }, expected: 5, owned: 0 })
    expect({ ready: second.ready(), targets: second.store.size(), series: await second.lines('probe_') }).toEqual({ ready: true, targets: 0, series: [] })
    expect(await second.lines('curlew_lease_active')).toEqual(['curlew_lease_active{lease="curlew"} 0'])
    expect(await second.lines('curlew_targets_')).toEqual(['curlew_targets_expected{shard="0",shards="1"} 5', 'curlew_targets_owned{shard="0",shards="1"} 0'])
    // A reload of a standby is no reason to probe.
    expect(await second.reload()).toEqual({ ok: true })
    expect(second.store.size()).toBe(0)

    await first.stop()
    await eventually(() => second.share().active)
    expect(second.store.size()).toBe(5)
    expect(await second.lines('curlew_targets_owned')).toEqual(['curlew_targets_owned{shard="0",shards="1"} 5'])

    api.put({ ...lease('curlew'), spec: { holderIdentity: 'another_0123456789', leaseDurationSeconds: 30 } })
    await eventually(() => !second.share().active)
    expect({ ...second.share(), targets: second.store.size() }).toMatchObject({ holder: 'another', targets: 0 })
    expect(await second.lines('probe_')).toEqual([])

    // Without a Lease there is nobody to wait for.
    second.write('')
    expect(await second.reload()).toEqual({ ok: true })
    expect(second.share()).toMatchObject({ active: true, lease: undefined, owned: 5 })
    expect(await second.lines('curlew_lease_active')).toEqual([])
  })

  it('have a Lease for each shard', async () => {
    const shards = await Promise.all([0, 1].map((index) => started(`shard-${index}`, config('sharded', `, shards: { total: 2, index: ${index} }`))))
    await eventually(() => shards.every((one) => one.share().active))
    expect(shards.map((one) => one.share().lease)).toEqual(['sharded-0', 'sharded-1'])
    expect(api.get(lease('sharded-1'))).toMatchObject({ spec: { holderIdentity: expect.stringMatching(/^shard-1_/) } })
  })
})

describe('shards', () => {
  it('share the targets, and say how many of them are theirs', async () => {
    const shards = await Promise.all([0, 1, 2].map((index) => started(`alone-${index}`, `kubernetes: { shards: { total: 3, index: ${index} } }\n`)))
    const shares = shards.map((one) => one.share())
    expect(shares.map(({ expected }) => expected)).toEqual([5, 5, 5])
    expect(shares.reduce((sum, { owned }) => sum + owned, 0)).toBe(5)
    expect(new Set(shards.flatMap(({ store }) => [...store.all()].map(({ job }) => job.id))).size).toBe(5)
  })

  it('are told by the number of the pod', async () => {
    process.env['POD_NAME'] = `${'long-'.repeat(20)}curlew-2`
    try {
      const shard = await started('numbered', 'kubernetes: { shards: { total: 3 } }\n')
      expect(shard.share().shard).toEqual({ index: 2, total: 3 })
      expect(instanceId(undefined)).toMatch(/^[a-z-]{56}curlew-2$/)
    } finally {
      delete process.env['POD_NAME']
    }
  })

  it('refuse a config where there is none for the pod', async () => {
    await expect(started('none', 'kubernetes: { shards: { total: 3 } }\n')).rejects.toThrow(/kubernetes\.shards: expected index, or a pod's name/)
  })
})

it('follows a target to another node without beginning anew', async () => {
  const runtime = await started('node', '')
  const job = testJob({ name: 'pod', type: 'tcp', node: 'node-1', zone: 'a', schedule: { everyMs: 3_600_000 }, fingerprint: 'same' })
  runtime.apply('pods', [job])
  runtime.store.record(resultOf(job, 'ok', Date.now()))
  runtime.apply('pods', [{ ...job, node: 'node-2' }])
  expect(await runtime.lines('probe_info{probe="pod"')).toEqual(['probe_info{probe="pod",type="tcp",target="127.0.0.1:1",host="127.0.0.1",node="node-2",zone="a"} 1'])
  expect(runtime.store.get(job.id)?.counts.ok).toBe(1)
})
