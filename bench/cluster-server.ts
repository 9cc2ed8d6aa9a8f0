// A process of its own, whose CPU does not count: an API server with as many EndpointSlices as it is told, each as a controller writes it.
import { z } from 'zod'
import { startKubeApi } from '../test/support/kube-api.ts'

const order = z.object({ addresses: z.array(z.string()), port: z.number() })
const UID = '00000000-0000-4000-8000-000000000000'
const CHANGED = '2026-11-22T01:02:03Z'

const api = await startKubeApi()
let count = 0
let told = false

process.on('message', (message) => {
  const { addresses, port } = order.parse(message)
  for (const address of addresses) api.put(slice(count++, address, port))
  if (!told) process.send?.({ kubeconfig: api.kubeconfig() })
  told = true
})
process.on('disconnect', () => process.exit())

/** 1.6 KB, half of which says who wrote what. */
function slice(index: number, address: string, port: number) {
  const [service, namespace] = [`service-${index}`, `team-${index % 50}`]
  return {
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4',
    metadata: {
      name: `${service}-x7k2p`, generateName: `${service}-`, namespace, generation: 3,
      labels: { 'app': 'bench', 'kubernetes.io/service-name': service, 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': CHANGED },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: service, uid: UID, controller: true, blockOwnerDeletion: true }],
      managedFields: [{
        manager: 'kube-controller-manager', operation: 'Update', apiVersion: 'discovery.k8s.io/v1', time: CHANGED, fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:addressType': {}, 'f:endpoints': {}, 'f:ports': {},
          'f:metadata': { 'f:annotations': { '.': {}, 'f:endpoints.kubernetes.io/last-change-trigger-time': {} }, 'f:generateName': {}, 'f:labels': { '.': {}, 'f:app': {}, 'f:kubernetes.io/service-name': {} }, 'f:ownerReferences': { '.': {} } },
        },
      }],
    },
    endpoints: [{ addresses: [address], conditions: { ready: true, serving: true, terminating: false }, nodeName: `node-${index % 100}`, zone: `zone-${index % 3}`, targetRef: { kind: 'Pod', namespace, name: `${service}-0`, uid: UID } }],
    ports: [{ name: 'main', port, protocol: 'TCP' }],
  }
}
