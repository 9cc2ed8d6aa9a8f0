import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Source, Watched } from '../../../src/discover/kubernetes/source.ts'
import { createWatching } from '../../../src/discover/kubernetes/watching.ts'
import { clusterClient } from '../../../src/kubernetes/client.ts'
import { libraries } from '../../../src/kubernetes/connection.ts'
import { createInformer } from '../../../src/kubernetes/informer.ts'
import type { KubeError } from '../../../src/kubernetes/model.ts'
import { startKubeApi, type KubeApi } from '../../support/kube-api.ts'
import { eventually } from '../../support/process.ts'

let api: KubeApi
// On a busy machine this takes longer than what is waited for below.
beforeAll(libraries)
beforeAll(async () => {
  api = await startKubeApi()
  for (const namespace of ['shop', 'db']) api.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'tls', namespace }, type: 'kubernetes.io/tls' })
  api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' }, spec: {} })
})
afterAll(() => api.stop())

const project = (raw: unknown) => (raw as { metadata: { name: string } }).metadata.name
const services: Watched<string> = { name: 'services', selection: { path: '/api/v1/services' }, project }
const secrets = (optional: boolean): Watched<string> => ({ name: 'secrets', selection: { path: '/api/v1/secrets' }, project, ...optional ? { optional: true } : {} })

async function watching(watches: readonly Watched[], namespaces?: readonly string[]) {
  const client = clusterClient({ name: 'test', kubeconfig: api.kubeconfig() })
  const source: Source = { name: 'it', watches, find: () => ({ found: [], refused: [] }) }
  const troubles: (KubeError | undefined)[] = []
  let changes = 0
  const all = createWatching({ client, namespaces, watch: createInformer, onChange: () => changes++, onTrouble: (trouble) => troubles.push(trouble) })
  all.set([source])
  return { all, source, troubles, changes: () => changes, end: () => { all.stop(); client.close() } }
}

it('a source does without what its role may not list, where it says so, and that is no trouble', async () => {
  api.forbid('GET /api/v1/secrets')
  const { all, source, troubles, end } = await watching([services, secrets(true)])
  try {
    await eventually(() => all.synced(source))
    expect([...all.held(services)?.values() ?? []]).toEqual(['web'])
    expect(all.held(secrets(true))).toBeUndefined()
    expect(all.trouble(source)).toBeUndefined()
    expect(all.leftOut(source)).toEqual([{ what: 'secrets', trouble: 'forbidden', message: expect.stringContaining('not allowed (403)') as unknown }])
    expect(all.freshAt(source)).toBeGreaterThan(0)
    expect(troubles.filter((trouble) => trouble !== undefined)).toEqual([])
  } finally {
    end()
  }
})

it('and that it may not ends the trouble there was with the list before', async () => {
  const outage = api.fault('GET /api/v1/configmaps', { status: 503 })
  const { troubles, end } = await watching([{ ...secrets(true), selection: { path: '/api/v1/configmaps' } }])
  try {
    await eventually(() => troubles.length > 0)
    expect(troubles).toMatchObject([{ trouble: 'server' }])
    outage()
    api.forbid('GET /api/v1/configmaps')
    await eventually(() => troubles.length > 1 && troubles.at(-1) === undefined)
  } finally {
    outage()
    end()
  }
})

it('else it does without as well, and says why', async () => {
  const { all, source, end } = await watching([services, secrets(false)])
  try {
    await eventually(() => all.trouble(source)?.trouble === 'forbidden')
    expect(all.leftOut(source)).toEqual([])
    await eventually(() => all.synced(source))
    expect([...all.held(services)?.values() ?? []]).toEqual(['web'])
  } finally {
    end()
  }
})

it('a namespace whose Role does not allow it hides no other', async () => {
  api.forbid('GET /api/v1/namespaces/db/secrets')
  const { all, source, end } = await watching([secrets(true)], ['shop', 'db'])
  const shared = source.watches[0]
  try {
    await eventually(() => all.synced(source))
    expect([...(shared && all.held(shared))?.keys() ?? []]).toEqual(['shop/tls'])
    expect(all.leftOut(source)).toMatchObject([{ what: 'db/secrets' }])
  } finally {
    end()
  }
})
