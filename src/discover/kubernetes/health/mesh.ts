import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { z } from 'zod'
import { addressesHere } from '../../../core/interfaces.ts'
import { MESH_PORT } from '../../../core/mesh.ts'
import { inNamespace } from '../../../kubernetes/collections.ts'
import { SERVICE_ACCOUNT_DIRECTORY, ZONE_LABEL } from '../../../kubernetes/well-known.ts'
import type { Found, Source, Watched } from '../source.ts'
import { byText, hostPortText, objectText } from '../names.ts'
import { healthName } from './names.ts'
import { neighboursOf, type RingNode } from './ring.ts'

/** A node that is gone is to page within two minutes. */
const EVERY = '15s'

interface MeshOptions {
  /** How many nodes each one looks at, beside one in another zone; 3 unless given. */
  readonly neighbours?: number | undefined
  /** Where the agents are: this pod's own unless given; all where there is none. */
  readonly namespace?: string | undefined
  /** Addresses of this machine, or of the pod that Curlew runs in; asked for at each look. */
  readonly ownAddresses?: () => ReadonlySet<string> | undefined
}

const nodeShape = z.object({
  metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).nullish() }),
}).transform(({ metadata: { name, labels } }): RingNode => ({ name, zone: labels?.[ZONE_LABEL] }))

const podShape = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string(), deletionTimestamp: z.string().nullish() }),
  spec: z.object({
    nodeName: z.string().min(1), hostNetwork: z.boolean().nullish(),
    containers: z.array(z.object({ ports: z.array(z.object({ name: z.string().nullish(), containerPort: z.int() })).nullish() })),
  }),
  status: z.object({
    podIP: z.string().nullish(), phase: z.string().nullish(),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).nullish(),
  }).nullish(),
}).transform(({ metadata: { name, namespace, deletionTimestamp }, spec: { nodeName, hostNetwork, containers }, status }) => ({
  name, namespace, node: nodeName, network: hostNetwork === true ? 'host' as const : 'pod' as const,
  ip: status?.podIP && isIP(status.podIP) !== 0 ? status.podIP : undefined,
  port: containers.flatMap(({ ports }) => ports ?? []).find((port) => port.name === 'mesh')?.containerPort ?? MESH_PORT,
  ended: status?.phase === 'Failed' || status?.phase === 'Succeeded',
  terminating: deletionTimestamp !== undefined && deletionTimestamp !== null,
  // The kubelet alone says so. `Ready` is taken from the pods of a node that is in trouble, and that one is what is looked for.
  ready: status?.conditions?.some((one) => one.type === 'ContainersReady' && one.status === 'True') ?? false,
}))

type AgentPod = z.output<typeof podShape>

/** Every agent watches them, and each node writes its status at least every five minutes: what they are called and where they stand is enough. */
const NODES: Watched<RingNode> = {
  name: 'mesh-nodes',
  selection: { path: '/api/v1/nodes', fieldSelector: 'spec.unschedulable!=true', metadataOnly: true },
  project: (raw) => nodeShape.safeParse(raw).data,
}
/** A Role in the agents' namespace is enough for it. */
const agentsIn = (namespace: string | undefined): Watched<AgentPod> => ({
  name: 'mesh-agents',
  selection: { path: namespace === undefined ? '/api/v1/pods' : inNamespace('/api/v1/pods', namespace), labelSelector: 'app.kubernetes.io/name=curlew,app.kubernetes.io/component=agent' },
  project(raw) {
    const { data } = podShape.safeParse(raw)
    return data?.ended === false ? data : undefined
  },
})

/**
 * The agents of a few other nodes, from the agent of this one: by a ring on the names of the nodes, which a rollout of the agents
 * leaves as it is. Pods and hosts have networks, and rings, of their own.
 */
export function meshSource({ neighbours = 3, namespace = namespaceHere(), ownAddresses = addressesHere }: MeshOptions = {}): Source {
  const watched = agentsIn(namespace)
  // Where they cannot be listed now, they are those that were.
  let own: ReadonlySet<string> = new Set()
  return {
    name: 'mesh',
    watches: [NODES, watched],
    find(context) {
      const nodes = context.held(NODES)
      const pods = context.held(watched)
      if (context.node === undefined || !nodes || !pods) return { found: [], refused: [] }
      const { node } = context
      const agents = [...pods.values()]
      own = ownAddresses() ?? own
      const rings = ringsOf(agents.filter((pod) => pod.node === node && !pod.terminating), own)
      const members = [...nodes.values()]
      return { found: rings.flatMap((ring) => edgesOf(healthName(context, `mesh-${ring.network}`), node, members, agents.filter((pod) => isOf(ring, pod)), neighbours)), refused: [] }
    },
  }
}

type Ring = Pick<AgentPod, 'namespace' | 'network'>

const isOf = (ring: Ring, pod: AgentPod) => pod.namespace === ring.namespace && pod.network === ring.network

/** The rings that this Curlew is on: that of the pod that has one of its addresses, where the two kinds of agents share the node. */
function ringsOf(here: readonly AgentPod[], own: ReadonlySet<string>): readonly Ring[] {
  const ours = here.filter(({ ip }) => ip !== undefined && own.has(ip))
  const rings = ours.length > 0 ? ours : here
  return rings.filter((pod, index) => rings.findIndex((other) => isOf(pod, other)) === index)
}

function edgesOf(probe: string, node: string, nodes: readonly RingNode[], agents: readonly AgentPod[], count: number): readonly Found[] {
  const byNode = Map.groupBy(agents, (pod) => pod.node)
  const members = nodes.filter(({ name }) => byNode.has(name))
  return neighboursOf(node, members, count).flatMap((peer) => {
    // The edge of an agent that is away waits for the next one: nobody takes its place, or each rollout would move every edge.
    const agent = byNode.get(peer.name)?.filter(isThere).toSorted((a, b) => byText(a.name, b.name))[0]
    return agent ? [edgeTo(probe, peer, agent, node)] : []
  })
}

/** Not while it starts or ends. */
function isThere({ ip, terminating, ready }: AgentPod): boolean {
  return ip !== undefined && !terminating && ready
}

function edgeTo(probe: string, { name: peer, zone }: RingNode, { name, namespace, network, ip = '', port }: AgentPod, node: string): Found {
  return {
    entry: { name: probe, type: 'mesh', target: hostPortText(ip, port), peer, network, every: EVERY, mode: 'read-only', labels: { peer, network } },
    node: peer, zone, object: objectText('Pod', { namespace, name }), why: `next on the ring to node ${node}`,
  }
}

/** Of the pod that this process runs in, as its ServiceAccount has it. */
function namespaceHere(): string | undefined {
  try {
    return readFileSync(`${SERVICE_ACCOUNT_DIRECTORY}/namespace`, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}
