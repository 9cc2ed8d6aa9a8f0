import { isIP } from 'node:net'
import { z } from 'zod'
import { OBJECT_NAME } from '../../kubernetes/options.ts'
import type { Target } from '../../core/probe.ts'

/** A node, by its name in the API. Where it is, the API says: it has no host that could be known before. */
export class NodeTarget implements Target {
  readonly node: string

  constructor(node: string) {
    this.node = node
  }

  toString(): string {
    return this.node
  }
}

export function nodeTarget() {
  return z.string().regex(OBJECT_NAME, 'expected the name of a node, as kubectl get nodes shows it').transform((name) => new NodeTarget(name)).describe('name of the node, as kubectl get nodes shows it. Where it was is kept in the ConfigMap curlew-node-addresses of Curlew\'s namespace (get, create, patch); without these rights, or with mode: read-only, in the process until it ends')
}

/** Conditions of which `True` is bad: https://kubernetes.io/docs/reference/node/node-status/#condition */
export const PRESSURES = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'NetworkUnavailable'] as const

const condition = z.object({ type: z.string(), status: z.string(), reason: z.string().nullish(), message: z.string().nullish(), lastTransitionTime: z.string().nullish() })

/** What of a Node object is looked at. */
const nodeObject = z.object({
  metadata: z.object({ uid: z.string().nullish() }),
  spec: z.object({ unschedulable: z.boolean().nullish() }).nullish(),
  status: z.object({
    conditions: z.array(condition).nullish(),
    addresses: z.array(z.object({ type: z.string(), address: z.string() })).nullish(),
    daemonEndpoints: z.object({ kubeletEndpoint: z.object({ Port: z.int().min(0).max(65_535) }).nullish() }).nullish(),
  }).nullish(),
})

export interface NodeFacts {
  readonly uid: string
  /** Nobody is to be scheduled there: cordoned, as a drained node is. */
  readonly unschedulable: boolean
  /** IPs, in the order of the object: the first is the node's main one. */
  readonly addresses: readonly string[]
  /** Of the kubelet. */
  readonly port: number
  readonly ready: { readonly status: 'True' | 'False' | 'Unknown', readonly said: string }
  /** Of the other conditions, those whose state is known. */
  readonly conditions: ReadonlyMap<(typeof PRESSURES)[number], { readonly is: boolean, readonly said: string }>
}

/** Longest text of a condition that a sentence shows. */
const SHOWN = 300
const KUBELET_PORT = 10_250

/** A Node as the API sent it, or undefined where that is none. */
export function nodeFacts(raw: unknown): NodeFacts | undefined {
  const read = nodeObject.safeParse(raw)
  if (!read.success) return undefined
  const { metadata, spec, status } = read.data
  const conditions = new Map((status?.conditions ?? []).map((one) => [one.type, one]))
  const ready = conditions.get('Ready')
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port ?? 0
  return {
    uid: metadata.uid ?? '',
    unschedulable: spec?.unschedulable === true,
    addresses: (status?.addresses ?? []).flatMap(({ type, address }) => (type === 'InternalIP' && isIP(address) !== 0 ? [address] : [])),
    port: port === 0 ? KUBELET_PORT : port,
    ready: {
      status: ready?.status === 'True' ? 'True' : ready?.status === 'Unknown' ? 'Unknown' : 'False',
      said: ready ? saidBy(ready) : 'it has no condition Ready: its kubelet has never reported',
    },
    conditions: new Map(PRESSURES.flatMap((type) => {
      const one = conditions.get(type)
      return one?.status === 'True' || one?.status === 'False' ? [[type, { is: one.status === 'True', said: saidBy(one) }]] : []
    })),
  }
}

function saidBy({ reason, message, lastTransitionTime: since }: z.output<typeof condition>): string {
  const text = [reason, message].filter((part) => typeof part === 'string' && part !== '').join(': ').slice(0, SHOWN).replace(/\.$/, '') // the sentence goes on
  return `${text || 'no reason is given'}${typeof since === 'string' ? `, since ${since}` : ''}`
}
