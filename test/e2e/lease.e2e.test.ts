import { afterEach, expect, it } from 'vitest'
import { serveCurlew, type Served } from '../support/curlew.ts'
import { startKubeApi } from '../support/kube-api.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'

const owner = createOwner()
afterEach(owner.end)

it('hands the probes over from a replica that is killed within the lease, and from one that stops at once', { timeout: 40_000 }, async () => {
  const api = await owner.started(startKubeApi({ plain: true }))
  api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'monitoring' } })
  const { write } = owner.place()
  const kubeconfig = api.kubeconfig()
  const replica = (name: string) => owner.started(serveCurlew(['-c', write(`${name}.yaml`, {
    instance_id: name,
    kubernetes: { clusters: [{ name: 'here', kubeconfig }], lease: { name: 'curlew', namespace: 'monitoring', duration: '3s' } },
    probes: [{ name: 'api', type: 'tcp', target: `127.0.0.1:${api.port}`, every: '1s' }],
  })]))
  const active = (curlew: Served) => curlew.value('curlew_lease_active{lease="curlew"}')
  const seen = (curlew: Served) => curlew.samples(/^probe_success\{/)
  const holder = () => {
    const { spec } = api.get({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'curlew', namespace: 'monitoring' } }) as { spec?: { holderIdentity?: string } }
    return spec?.holderIdentity?.split('_')[0]
  }

  const first = await replica('first')
  await eventually(async () => (await seen(first)).length === 1)
  expect([await active(first), holder()]).toEqual([1, 'first'])
  const second = await replica('second')
  await eventually(async () => (await second.get('/')).text.includes('Active is <strong>first</strong>'))
  expect([await active(second), await second.samples(/^probe_/), (await second.get('/-/ready')).status]).toEqual([0, [], 200])

  process.kill(first.pid, 'SIGKILL')
  await eventually(async () => (await seen(second)).length === 1)
  expect([await active(second), holder()]).toEqual([1, 'second'])
  expect(second.output()).toContain('active: this replica probes')

  const third = await replica('third')
  await eventually(async () => (await active(third)) === 0)
  await second.stop('SIGTERM')
  // It has not run out: it was given back.
  expect(holder()).not.toBe('second')
  await eventually(async () => (await seen(third)).length === 1)
  expect(holder()).toBe('third')
})
