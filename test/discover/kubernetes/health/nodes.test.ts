import { describe, expect, it } from 'vitest'
import { readEntry } from '../../../../src/config/jobs.ts'
import type { Source, SourceContext } from '../../../../src/discover/kubernetes/source.ts'
import { hostSource } from '../../../../src/discover/kubernetes/health/host.ts'
import { nodesSource } from '../../../../src/discover/kubernetes/health/nodes.ts'
import { createWatching, type WatchingOptions } from '../../../../src/discover/kubernetes/watching.ts'
import { probeTypes } from '../../../../src/probes/index.ts'

type Cluster = SourceContext['cluster']

/** What a source finds in what the API has, and the jobs that it comes to. */
function found(source: Source, objects: readonly unknown[], { cluster = { name: 'default' }, several = false, node }: { cluster?: Cluster, several?: boolean, node?: string } = {}) {
  const result = source.find({
    cluster, several, node, server: undefined,
    held: ({ project }) => new Map(objects.flatMap((raw, at) => {
      const item = project(raw)
      return item === undefined ? [] : [[String(at), item]]
    })),
  })
  return result.found.map((one) => {
    const type = probeTypes.find((each) => each.type === one.entry.type)!
    const { jobs, issues } = readEntry(type, one.entry, true)
    expect(issues).toEqual([])
    return { ...one, job: jobs[0]! }
  })
}

const node = (name: string, metadata: object = {}, spec: object = {}) => ({ metadata: { name, ...metadata }, spec })

describe('nodes', () => {
  it('are probed one and all, with their zone', () => {
    const all = found(nodesSource({ inside: true }), [node('worker-1', { labels: { 'topology.kubernetes.io/zone': 'a' } }), node('worker-2')])
    expect(all.map(({ entry, node: of, zone, object }) => [entry.name, entry['target'], of, zone, object])).toEqual([
      ['kube-node', 'worker-1', 'worker-1', 'a', 'Node worker-1'], ['kube-node', 'worker-2', 'worker-2', undefined, 'Node worker-2'],
    ])
    expect(new Set(all.map(({ job }) => job.id)).size).toBe(2)
  })

  it('are left out where no kubelet and no machine is behind them, and where they are no nodes', () => {
    expect(found(nodesSource({ inside: true }), [
      node('virtual-kubelet', { labels: { type: 'virtual-kubelet' } }), node('aci', {}, { taints: [{ key: 'virtual-kubelet.io/provider' }] }),
      node('kwok', { annotations: { 'kwok.x-k8s.io/node': 'fake' } }), {}, null, node('real', {}, { taints: [{ key: 'node-role.kubernetes.io/control-plane' }] }),
    ]).map(({ node: of }) => of)).toEqual(['real'])
  })

  it('of another cluster are asked of that one, under a name of its own', () => {
    const [one] = found(nodesSource({ inside: true }), [node('worker-1')], { cluster: { name: 'Room_A', kubeconfig: '/etc/a', context: 'admin', timeoutMs: 5_000 }, several: true })
    expect(one?.entry).toMatchObject({ name: 'room-a_kube-node', kubeconfig: '/etc/a', context: 'admin' })
    expect(one?.entry).not.toHaveProperty('kubelet')
  })

  it('have no kubelet that could be asked from outside', () => {
    expect(found(nodesSource({ inside: false }), [node('worker-1')])[0]?.entry).toMatchObject({ kubelet: false })
  })
})

describe('the host', () => {
  it('is the node that this Curlew is told to run on', () => {
    expect(found(hostSource(), [])).toEqual([])
    expect(found(hostSource(), [], { node: 'worker-1' })).toMatchObject([{ entry: { type: 'host', target: 'worker-1' }, node: 'worker-1', job: { type: 'host', target: 'worker-1' } }])
  })

  it('asks nothing of the API, so that nothing is waited for', () => {
    const never = (): never => { throw new Error('nothing is to be watched') }
    const watching = createWatching({ client: {} as WatchingOptions['client'], namespaces: undefined, watch: never, onChange: never, onTrouble: never })
    watching.set([hostSource()])
    expect(watching.synced(hostSource())).toBe(true)
    expect(watching.freshAt(hostSource())).toBeGreaterThan(0)
  })
})
