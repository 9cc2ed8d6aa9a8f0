import { afterEach, beforeAll, expect, it } from 'vitest'
import { libraries } from '../src/kubernetes/connection.ts'
import { kubernetesSchema } from '../src/kubernetes/options.ts'
import { createLogger } from '../src/log.ts'
import { createPlace } from '../src/place.ts'
import { startKubeApi } from './support/kube-api.ts'
import { createOwner } from './support/owner.ts'
import { eventually } from './support/process.ts'

const owner = createOwner()
// On a busy machine this takes longer than what is waited for below.
beforeAll(libraries)
afterEach(() => owner.end())

it('gives its Lease back when a reload gives it another one, or none', async () => {
  const api = await owner.started(startKubeApi({ plain: true }))
  api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'monitoring' } })
  const kubeconfig = api.kubeconfig()
  const config = (name: string) => kubernetesSchema.parse({ clusters: [{ name: 'here', kubeconfig }], lease: { name, namespace: 'monitoring' } })
  const holder = (name: string) => (api.get({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: 'monitoring' } }) as { spec?: { holderIdentity?: string } } | undefined)?.spec?.holderIdentity?.split('_')[0]
  const place = createPlace({ pod: 'pod', onTurn: () => {}, log: createLogger('silent') })
  expect([place.active(), place.lease()]).toEqual([true, undefined])
  await place.take(config('one'), 'me')
  expect(place.active()).toBe(false)
  await eventually(() => place.active())
  expect([holder('one'), place.lease()]).toEqual(['me', { name: 'one', active: true, holder: 'me' }])
  await place.take(config('one'), 'me')
  // The same again changes nothing.
  expect(place.active()).toBe(true)
  await place.take(config('two'), 'me')
  expect(holder('one')).toBeUndefined()
  await eventually(() => place.active())
  expect(holder('two')).toBe('me')
  await place.take(undefined, 'me')
  expect([holder('two'), place.active(), place.lease()]).toEqual([undefined, true, undefined])
})
