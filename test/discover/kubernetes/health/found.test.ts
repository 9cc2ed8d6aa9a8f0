import { expect, it } from 'vitest'
import { readFound } from '../../../../src/config/discovery.ts'
import { topSchema } from '../../../../src/config/schema.ts'
import type { Job } from '../../../../src/core/probe.ts'
import { runJob } from '../../../../src/core/run.ts'
import { discoverySettings } from '../../../../src/discovering.ts'
import { createDiscovery } from '../../../../src/discover/kubernetes/engine.ts'
import { clusterClient } from '../../../../src/kubernetes/client.ts'
import { createInformer } from '../../../../src/kubernetes/informer.ts'
import { probeTypes } from '../../../../src/probes/index.ts'
import { startKubeApi } from '../../../support/kube-api.ts'

it('an API server is found at each of its addresses and is well there; so are DNS pods and their upstreams, as the config says', async () => {
  const api = await startKubeApi()
  const sources = new Map<string, readonly Job[]>()
  const bugs: unknown[] = []
  const discovery = createDiscovery({
    types: probeTypes, seriesOf: () => 1, client: clusterClient, watch: createInformer,
    read: (entry) => readFound(probeTypes.find(({ type }) => type === entry.type)!, entry),
    apply: (source, jobs) => sources.set(source, jobs),
    log: (level, fields) => { if (level === 'error') bugs.push(fields) },
  })
  try {
    const slice = (service: string, namespace: string, port: object, endpoints: object[]) => api.put({
      apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${service}-1`, namespace, labels: { 'kubernetes.io/service-name': service, 'k8s-app': service } }, ports: [port], endpoints,
    })
    slice('kubernetes', 'default', { name: 'https', port: api.port, protocol: 'TCP' }, [{ addresses: ['127.0.0.1'] }])
    slice('kube-dns', 'kube-system', { name: 'dns', port: 53, protocol: 'UDP' }, [{ addresses: ['10.244.0.3'], nodeName: 'node-1', zone: 'a' }])
    api.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'coredns', namespace: 'kube-system' }, data: { Corefile: '.:53 {\n  forward . 10.0.0.53 10.0.0.54\n}\n' } })
    api.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'other', namespace: 'kube-system' }, data: { Corefile: '.:53 {\n  forward . 192.0.2.1\n}\n' } })
    const kubeconfig = api.kubeconfig({ cluster: { server: `https://localhost:${api.port}` } })
    discovery.configure(discoverySettings({ top: topSchema.parse({ kubernetes: { clusters: [{ name: 'room', kubeconfig, inside: true }] }, discovery: { kubernetes: { health: ['api', 'dns'], external: 'example.org' } } }), jobs: [] }, 0)!)
    await discovery.settled(8_000, AbortSignal.timeout(9_000))

    expect(discovery.refused()).toEqual([])
    const jobs = [...sources.values()].flat()
    expect(jobs.map(({ name, target, labels }) => `${name} ${target} ${labels['cluster']} ${labels['namespace'] ?? ''}`).toSorted()).toEqual([
      `kube-api 127.0.0.1:${api.port} room `, `kube-api-address localhost:${api.port} room `,
      'kube-dns 10.244.0.3:53 room kube-system', 'kube-dns-upstream 10.0.0.53:53 room kube-system', 'kube-dns-upstream 10.0.0.54:53 room kube-system',
    ])
    for (const job of jobs.filter(({ type }) => type === 'kube-api')) {
      expect(await runJob(job, { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })).toMatchObject({ status: 'ok' })
    }
    expect(bugs).toEqual([])
  } finally {
    discovery.stop()
    await api.stop()
  }
})
