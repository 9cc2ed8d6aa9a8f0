import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { discoverySchema } from '../../../src/discover/kubernetes/options.ts'
import { roleSources } from '../../../src/discover/kubernetes/roles.ts'
import { probeTypes } from '../../../src/probes/index.ts'

it('gives others their turns while it reads what tenants have written', async () => {
  const { allow, every, kubernetes } = discoverySchema.parse({ kubernetes: { annotations: true } })
  const rules = { types: new Map(probeTypes.map((type) => [type.type, type])), allow, leastEveryMs: every, secrets: false, domain: 'cluster.local', cluster: undefined }
  const [source] = roleSources(kubernetes!, ['service'], rules, (_role, make) => make())
  // Of a hundred of these each takes several milliseconds.
  const yaml = Array.from({ length: 150 }, (_, index) => `k${index}: {a: [1, 2, "${index}"]}`).join('\n').slice(0, 4_000)
  const items = new Map(Array.from({ length: 100 }, (_, index) => [`shop/s${index}`, source!.watches[0]!.project({
    metadata: { name: `s${index}`, namespace: 'shop', annotations: { 'curlew.dev/probe': 'redis', 'curlew.dev/options': `# ${index}\n${yaml}` } }, spec: { ports: [{ port: 6379 }] },
  })]))
  const context = { cluster: { name: 'room' }, several: false, node: undefined, held: <T>() => items as ReadonlyMap<string, T> }
  let reading = true
  const prepared = source!.prepare!(context).then(() => { reading = false })
  let turns = 0
  for (; reading; turns++) await nextTurn()
  await prepared
  expect(turns).toBeGreaterThan(3)
  const { found, refused } = source!.find(context)
  expect([found.length, refused.length]).toEqual([0, 100])
})

it('leaves unread what is new, not what it has read, however the list is ordered', () => {
  const { allow, every, kubernetes } = discoverySchema.parse({ kubernetes: { annotations: true, quota: 1 } })
  const rules = { types: new Map(probeTypes.map((type) => [type.type, type])), allow, leastEveryMs: every, secrets: false, domain: 'cluster.local', cluster: undefined }
  const [source] = roleSources(kubernetes!, ['service'], rules, (_role, make) => make())
  const service = (name: string, namespace = 'shop') => [`${namespace}/${name}`, source!.watches[0]!.project({
    metadata: { name, namespace, annotations: { 'curlew.dev/probe': 'redis', ...Object.fromEntries(['a', 'b'].map((key) => [`curlew.dev/${key}`, 'x'.repeat(3_000)])) } }, spec: { ports: [{ port: 6379 }] },
  })] as const
  const leftAmong = (...items: readonly (readonly [string, unknown])[]) => source!.find({ cluster: { name: 'room' }, several: false, node: undefined, held: <T>() => new Map(items) as unknown as ReadonlyMap<string, T> })
    .refused.filter(({ message }) => message.startsWith('not read')).map(({ object }) => object)
  expect(leftAmong(service('m'))).toEqual([])
  expect(leftAmong(service('a'), service('m'), service('a', 'db'))).toEqual(['Service shop/a'])
  expect(leftAmong(service('a'), service('b'))).toEqual(['Service shop/b'])
})

it('leaves unread no small object for a large one beside it, and no Node, which is the operator\'s', () => {
  const { allow, every, kubernetes } = discoverySchema.parse({ kubernetes: { annotations: ['service', 'node'], quota: 1 } })
  const rules = { types: new Map(probeTypes.map((type) => [type.type, type])), allow, leastEveryMs: every, secrets: false, domain: 'cluster.local', cluster: undefined }
  for (const [role, namespace, left] of [['service', 'shop', ['Service shop/b']], ['node', undefined, []]] as const) {
    const [source] = roleSources(kubernetes!, [role], rules, (_role, make) => make())
    const items = new Map([['a', 1_000], ['b', 4_000], ['c', 1_000]].map(([name, length]) => [`${namespace}/${name}`, source!.watches[0]!.project({
      metadata: { name, namespace, annotations: { 'curlew.dev/probe': 'redis', ...Object.fromEntries(['x', 'y', 'z'].map((key) => [`curlew.dev/${key}`, 'x'.repeat(Number(length))])) } }, spec: { ports: [{ port: 6379 }] }, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    })]))
    const { refused } = source!.find({ cluster: { name: 'room' }, several: false, node: undefined, held: <T>() => items as ReadonlyMap<string, T> })
    expect(refused.filter(({ message }) => message.startsWith('not read')).map(({ object }) => object)).toEqual(left)
  }
})
