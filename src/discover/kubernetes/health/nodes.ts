import { z } from 'zod'
import { ZONE_LABEL } from '../../../kubernetes/well-known.ts'
import type { Source, Watched } from '../source.ts'
import { accessOptions, healthName } from './names.ts'

/** Whether Ready is the API's word alone: such nodes have no kubelet and no machine. https://github.com/virtual-kubelet/virtual-kubelet, https://kwok.sigs.k8s.io */
const VIRTUAL = { label: ['type', 'virtual-kubelet'], taint: 'virtual-kubelet.io/', annotation: ['kwok.x-k8s.io/node', 'fake'] } as const

const texts = z.record(z.string(), z.string()).nullish()
const shape = z.object({
  metadata: z.object({ name: z.string(), labels: texts, annotations: texts }),
  spec: z.object({ taints: z.array(z.object({ key: z.string() })).nullish() }).nullish(),
})

interface Held {
  readonly name: string
  readonly zone: string | undefined
}

const nodes: Watched<Held> = {
  name: 'nodes-health',
  selection: { path: '/api/v1/nodes' },
  project(raw) {
    const { data } = shape.safeParse(raw)
    if (!data) return undefined
    const { metadata: { name, labels, annotations }, spec } = data
    const virtual = labels?.[VIRTUAL.label[0]] === VIRTUAL.label[1] || annotations?.[VIRTUAL.annotation[0]] === VIRTUAL.annotation[1]
      || (spec?.taints ?? []).some(({ key }) => key.startsWith(VIRTUAL.taint))
    return virtual ? undefined : { name, zone: labels?.[ZONE_LABEL] }
  },
}

/** Every node of the cluster that is a machine; from outside, what the API says of it. */
export function nodesSource({ inside }: { readonly inside: boolean }): Source {
  return {
    name: 'nodes',
    watches: [nodes],
    find(context) {
      const { cluster } = context
      const found = [...context.held(nodes)?.values() ?? []].map(({ name, zone }) => ({
        // Where they are is written down, so that it is known after a restart: the one source that is not read-only.
        entry: { name: healthName(context, 'kube-node'), type: 'kube-node', target: name, every: '60s', ...inside ? {} : { kubelet: false }, ...accessOptions(cluster) },
        node: name, zone, object: `Node ${name}`, why: 'a node of the cluster',
      }))
      return { found, refused: [] }
    },
  }
}
