import { describe, expect, it } from 'vitest'
import { readEntry } from '../../../../src/config/jobs.ts'
import { meshSource } from '../../../../src/discover/kubernetes/health/mesh.ts'
import type { Found, Source } from '../../../../src/discover/kubernetes/source.ts'
import { mesh } from '../../../../src/probes/mesh.ts'
import { selects, type KubeObject } from '../../../support/kube-api-store.ts'

interface NodeFacts { readonly zone?: string, readonly unschedulable?: boolean }
interface PodFacts {
  readonly node: string, readonly ip?: string | null, readonly host?: boolean, readonly ready?: boolean, readonly nodeInTrouble?: boolean, readonly ending?: boolean, readonly namespace?: string, readonly port?: number, readonly phase?: string
}

const node = (name: string, { zone, unschedulable }: NodeFacts = {}) => ({
  metadata: { name, labels: zone === undefined ? null : { 'topology.kubernetes.io/zone': zone } }, spec: unschedulable === undefined ? {} : { unschedulable },
})
const pod = (name: string, { node: on, ip = `10.244.0.${name.length}`, host, ready = true, nodeInTrouble = false, ending, namespace = 'monitoring', port, phase = 'Running' }: PodFacts) => ({
  metadata: { name, namespace, ...ending ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {} },
  spec: { nodeName: on, ...host === undefined ? {} : { hostNetwork: host }, containers: [{ name: 'curlew', ports: port === undefined ? null : [{ name: 'mesh', containerPort: port }] }] },
  status: { phase, podIP: ip, conditions: [{ type: 'Ready', status: ready && !nodeInTrouble ? 'True' : 'False' }, { type: 'ContainersReady', status: ready ? 'True' : 'False' }] },
})

const NAMES = ['w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7']
const NODES = NAMES.map((name) => node(name))
const AGENTS = NAMES.map((name, index) => pod(`agent-${name}`, { node: name, ip: `10.244.0.${index}` }))

/** What the source finds when the API shows these objects. */
function find(source: Source, on: string | undefined, nodes: readonly object[], pods: readonly object[]): readonly Found[] {
  const all: Readonly<Record<string, readonly object[]>> = { '/api/v1/nodes': nodes, '/api/v1/pods': pods }
  const { found, refused } = source.find({
    cluster: { name: 'default' }, several: false, node: on,
    held: ({ selection: { path, fieldSelector = '', metadataOnly }, project }) => new Map((all[path] ?? []).filter((raw) => selects('', fieldSelector)(raw as KubeObject)).flatMap((raw, index) => {
      const projected = project(metadataOnly ? { metadata: (raw as KubeObject).metadata } : raw)
      return projected === undefined ? [] : [[String(index), projected]]
    })),
  })
  expect(refused).toEqual([])
  return found
}

const source = meshSource({ ownAddresses: () => undefined })
const peersOf = (on: string, nodes: readonly object[] = NODES, pods: readonly object[] = AGENTS, from = source) => find(from, on, nodes, pods).map((edge) => edge.node)
/** What the tests below change: the first neighbour of w0. */
const [NEXT = ''] = peersOf('w0') as readonly string[]
const without = (list: typeof AGENTS, on: string) => list.filter(({ spec }) => spec.nodeName !== on)

describe('the source mesh', () => {
  it('finds entries that the config would take, called by their node', () => {
    const found = find(source, 'w0', [...NODES.slice(0, 1), node('w1', { zone: 'b' })], [AGENTS[0]!, pod('agent-w1', { node: 'w1', ip: 'fd00::1', port: 99 })])
    expect(found).toEqual([{
      entry: { name: 'mesh-pod', type: 'mesh', target: '[fd00::1]:99', peer: 'w1', network: 'pod', every: '15s', mode: 'read-only', labels: { peer: 'w1', network: 'pod' } },
      node: 'w1', zone: 'b', object: 'Pod monitoring/agent-w1', why: 'next on the ring to node w0',
    }])
    const { jobs, issues } = readEntry(mesh, found[0]!.entry, true)
    expect(issues).toEqual([])
    expect(jobs).toMatchObject([{ target: 'w1:99', discovered: true }])
  })

  it('has three neighbours, or as many as are asked for', () => {
    expect(peersOf('w0')).toHaveLength(3)
    expect(peersOf('w0', NODES, AGENTS, meshSource({ neighbours: 5, ownAddresses: () => undefined }))).toHaveLength(5)
  })

  it('is left as it is by a rollout: other names, other addresses', () => {
    const anew = NAMES.map((name, index) => pod(`agent-${name}-x`, { node: name, ip: `10.245.0.${index}` }))
    expect(peersOf('w0', NODES, anew)).toEqual(peersOf('w0'))
  })

  it.each<readonly [string, Partial<PodFacts>]>([
    ['ends', { ending: true }], ['ends, and is not ready any more', { ending: true, ready: false }], ['starts', { ready: false }], ['has no address yet', { ip: null, ready: false }],
  ])('leaves out an agent that %s, and puts nobody in its place', (_, facts) => {
    const left = peersOf('w0', NODES, [...without(AGENTS, NEXT), pod('agent', { node: NEXT, ...facts })])
    expect(left).toEqual(peersOf('w0').slice(1))
  })

  it('takes the new one of two agents of a node', () => {
    const pods = [...without(AGENTS, NEXT), pod('old', { node: NEXT, ending: true }), pod('new', { node: NEXT })]
    expect(find(source, 'w0', NODES, pods)[0]?.object).toBe('Pod monitoring/new')
  })

  it('keeps the agent of a node that is in trouble: it is not ready because of that', () => {
    expect(peersOf('w0', NODES, [...without(AGENTS, NEXT), pod('agent', { node: NEXT, nodeInTrouble: true })])).toEqual(peersOf('w0'))
  })

  it.each<readonly [string, readonly object[], readonly object[]]>([
    ['is drained', NODES.map((one) => (one.metadata.name === NEXT ? node(NEXT, { unschedulable: true }) : one)), AGENTS],
    ['has no agent', NODES, without(AGENTS, NEXT)],
    ['has an agent that was evicted', NODES, [...without(AGENTS, NEXT), pod('gone', { node: NEXT, phase: 'Failed', ready: false })]],
    ['is gone, its pod not yet', NODES.filter(({ metadata }) => metadata.name !== NEXT), AGENTS],
  ])('goes on to the next one past a node that %s', (_, nodes, pods) => {
    const peers = peersOf('w0', nodes, pods)
    expect(peers).toHaveLength(3)
    expect(peers.slice(0, 2)).toEqual(peersOf('w0').slice(1))
  })

  it('finds nothing from a node that is drained, and where no node is told', () => {
    expect(peersOf('w0', NODES.map((one, index) => (index === 0 ? node('w0', { unschedulable: true }) : one)))).toEqual([])
    expect(find(source, undefined, NODES, AGENTS)).toEqual([])
    expect(source.find({ cluster: { name: 'default' }, several: false, node: 'w0', held: () => undefined })).toEqual({ found: [], refused: [] })
  })

  const hosts = NAMES.slice(0, 3).map((name, index) => pod(`host-${name}`, { node: name, ip: `192.168.0.${index}`, host: true }))
  const networks = (own: readonly string[]) => find(meshSource({ ownAddresses: () => new Set(own) }), 'w0', NODES, [...AGENTS, ...hosts]).map(({ entry }) => String(entry['network']))

  it('has a ring for each network, and is on the one that its own pod is on', () => {
    expect(networks(['127.0.0.1', '10.244.0.0'])).toEqual(['pod', 'pod', 'pod'])
    expect(networks(['127.0.0.1', '192.168.0.0'])).toEqual(['host', 'host'])
    expect(networks(['127.0.0.1']).toSorted()).toEqual(['host', 'host', 'pod', 'pod', 'pod'])
  })

  it('stays on its ring while the addresses here cannot be listed', () => {
    let own: ReadonlySet<string> | undefined = new Set(['10.244.0.0'])
    const one = meshSource({ ownAddresses: () => own })
    const before = find(one, 'w0', NODES, [...AGENTS, ...hosts])
    own = undefined
    expect(find(one, 'w0', NODES, [...AGENTS, ...hosts])).toEqual(before)
  })

  it('looks at agents of its own namespace alone: others may bear the label', () => {
    const foreign = NAMES.map((name) => pod(`fake-${name}`, { node: name, namespace: 'tenant', ip: '10.9.9.9' }))
    const found = find(meshSource({ ownAddresses: () => new Set(['10.244.0.0']) }), 'w0', NODES, [...foreign, ...AGENTS])
    expect(found.map(({ object }) => object.split('/')[0])).toEqual(['Pod monitoring', 'Pod monitoring', 'Pod monitoring'])
  })

  it('watches the agents of one namespace where it is told, so that a Role there is enough', () => {
    const paths = (namespace: string | undefined) => meshSource({ namespace }).watches.map(({ selection: { path } }) => path)
    expect(paths('monitoring')).toEqual(['/api/v1/nodes', '/api/v1/namespaces/monitoring/pods'])
    expect(paths(undefined)).toEqual(['/api/v1/nodes', '/api/v1/pods'])
  })

  it('takes no object that is not one', () => {
    expect(source.watches.flatMap(({ project }) => [null, 'x', {}, { metadata: null }, { metadata: { namespace: 'y' }, spec: {} }].map((raw) => project(raw)))
      .filter((projected) => projected !== undefined)).toEqual([])
  })
})
