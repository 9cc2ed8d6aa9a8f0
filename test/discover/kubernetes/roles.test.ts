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
