import { describe, expect, it } from 'vitest'
import { readEntry } from '../../../../src/config/jobs.ts'
import { healthSources } from '../../../../src/discover/kubernetes/health/index.ts'
import { apiSource } from '../../../../src/discover/kubernetes/health/api.ts'
import { dnsSource } from '../../../../src/discover/kubernetes/health/dns.ts'
import type { Source, SourceContext, Watched } from '../../../../src/discover/kubernetes/source.ts'
import { probeTypes } from '../../../../src/probes/index.ts'

/** What a source finds in these objects, by the name of what it watches. */
function find(source: Source, objects: Record<string, readonly unknown[]>, context: Partial<SourceContext> = {}) {
  return source.find({
    cluster: { name: 'default' }, several: false, node: undefined, ...context,
    held: <T>(watched: Watched<T>) => new Map((objects[watched.name] ?? []).flatMap((raw, index) => {
      const projected = watched.project(raw)
      return projected === undefined ? [] : [[String(index), projected]]
    })),
  })
}
const shown = ({ found }: ReturnType<Source['find']>) => found.map(({ entry }) => `${entry.name} ${String(entry['target'])}`)
const apiSlice = { ports: [{ name: 'https', port: 6443, protocol: 'TCP' }], endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true } }, { addresses: ['10.0.0.2'] }] }
const apiService = { spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'], ports: [{ name: 'https', port: 443, targetPort: 6443 }] } }
const api = apiSource({ domain: 'cluster.local', inside: true })

describe('api', () => {
  it('finds each server, the Service by address and name, and what the pod is given, once each', () => {
    const result = find(api, { 'api-endpoints': [apiSlice], 'api-service': [apiService] }, { server: 'https://10.96.0.1:443' })
    expect(shown(result)).toEqual([
      'kube-api 10.0.0.1:6443', 'kube-api 10.0.0.2:6443', 'kube-api-service 10.96.0.1:443', 'kube-api-service [fd00::1]:443', 'kube-api-service kubernetes.default.svc.cluster.local:443',
    ])
    expect(result.found[0]!.entry).toMatchObject({ ca_file: expect.stringMatching(/ca\.crt$/), token_file: expect.stringMatching(/token$/) })
    expect(result.refused).toEqual([])
  })

  it('looks with the login of the kubeconfig, from outside at its address alone', () => {
    const cluster = { name: 'Room.A', kubeconfig: '/etc/curlew/a', context: 'admin' }
    const result = find(api, { 'api-endpoints': [apiSlice], 'api-service': [apiService] }, { cluster, several: true, server: 'https://api.room-a.example' })
    expect(shown(result)).toEqual(['room-a_kube-api 10.0.0.1:6443', 'room-a_kube-api 10.0.0.2:6443', 'room-a_kube-api-service 10.96.0.1:443', 'room-a_kube-api-service [fd00::1]:443', 'room-a_kube-api-service kubernetes.default.svc.cluster.local:443', 'room-a_kube-api-address api.room-a.example:443'])
    expect(result.found.at(-1)!.entry).toMatchObject({ kubeconfig: '/etc/curlew/a', context: 'admin' })
    expect(shown(find(api, { 'api-endpoints': [apiSlice] }, { cluster, server: 'https://10.0.0.2:6443' }))).toHaveLength(2)
    expect(shown(find(apiSource({ domain: 'cluster.local', inside: false }), { 'api-endpoints': [apiSlice], 'api-service': [apiService] }, { cluster, several: true, server: 'https://api.room-a.example' }))).toEqual(['room-a_kube-api-address api.room-a.example:443'])
  })

  it.each([['https://rancher.example/k8s/clusters/c-1', 'proxy'], ['http://127.0.0.1:8001', 'https'], ['nonsense', 'https']])('refuses %s with a sentence', (server, why) => {
    expect(find(api, {}, { server }).refused).toEqual([{ object: 'cluster default', message: expect.stringContaining(why) }])
  })

  it('takes nothing for granted of what the API sends', () => {
    const odd = [null, 'x', {}, { ports: null, endpoints: null }, { ports: [{}], endpoints: [{ addresses: ['10.0.0.1'] }] }, { ports: [{ port: 6443 }], endpoints: null }, { spec: {} }, { spec: { clusterIP: 'None' } }]
    expect(find(api, { 'api-endpoints': odd, 'api-service': odd })).toEqual({ found: [], refused: [] })
  })
})

describe('dns', () => {
  const dns = dnsSource({ domain: 'room-a.example' })
  const slice = {
    ports: [{ name: 'dns-tcp', port: 53, protocol: 'TCP' }, { name: 'dns', port: 53, protocol: 'UDP' }],
    endpoints: [
      { addresses: ['10.244.0.3'], nodeName: 'node-1', zone: 'a', conditions: { ready: true }, targetRef: { kind: 'Pod', name: 'coredns-1' } },
      { addresses: ['10.244.1.5'], nodeName: 'node-2', conditions: { ready: false, terminating: null } },
      { addresses: ['10.244.1.9'], conditions: { ready: false, serving: true, terminating: true } },
    ],
  }
  const corefile = (text: string) => ({ metadata: { name: 'coredns' }, data: { Corefile: text } })

  it('finds each pod that does not end, ready or not, with its node and zone', () => {
    const { found } = find(dns, { 'dns-endpoints': [slice] })
    expect(found).toMatchObject([
      { entry: { name: 'kube-dns', type: 'kube-dns', target: '10.244.0.3:53', domain: 'room-a.example' }, node: 'node-1', zone: 'a', object: 'Pod kube-system/coredns-1', namespace: 'kube-system' },
      { entry: { target: '10.244.1.5:53' }, node: 'node-2', object: 'Service kube-system/kube-dns' },
    ])
    expect(found[0]!.entry).not.toHaveProperty('external')
  })

  it('finds the upstreams as targets of one probe, and asks them for a name outside where one is given', () => {
    const objects = { 'dns-corefile': [corefile('. {\n forward . 10.0.0.53 tls://10.0.0.54 {\n tls_servername dns.example.net\n }\n}\ncorp.example {\n forward . 10.1.1.1\n}')] }
    const entries = (source: Source) => find(source, objects).found.map(({ entry }) => entry)
    expect(entries(dns)).toEqual([
      { name: 'kube-dns-upstream', type: 'dns', mode: 'read-only', target: '10.0.0.53:53', transport: 'udp', query: '.', record: 'NS', rcode: 'any' },
      { name: 'kube-dns-upstream', type: 'dns', mode: 'read-only', target: '10.0.0.54:853', transport: 'dot', query: '.', record: 'NS', rcode: 'any', server_name: 'dns.example.net' },
      { name: 'kube-dns-upstream-corp-example', type: 'dns', mode: 'read-only', target: '10.1.1.1:53', transport: 'udp', query: 'corp.example', record: 'SOA' },
    ])
    expect(entries(dnsSource({ domain: 'cluster.local', external: 'example.org' }))[0]).toEqual({ name: 'kube-dns-upstream', type: 'dns', mode: 'read-only', target: '10.0.0.53:53', transport: 'udp', query: 'example.org' })
  })

  it('says of the node\'s own servers that they are not probed, and refuses nothing for them', () => {
    const { found, refused } = find(dns, { 'dns-endpoints': [slice], 'dns-corefile': [corefile('. {\n forward . /etc/resolv.conf\n}')] })
    expect(found.map(({ why }) => why)).toEqual(Array.from({ length: 2 }, () => expect.stringContaining('/etc/resolv.conf on its node, which are not probed') as string))
    expect(refused).toEqual([])
  })

  it('refuses a Corefile that it cannot read, and finds the pods all the same', () => {
    for (const [text, why] of [['. {', 'ends within braces'], ['x'.repeat(200_000), 'at most'], ['. {\n forward . {$UP}\n}', 'environment variable']] as const) {
      const { found, refused } = find(dns, { 'dns-endpoints': [slice], 'dns-corefile': [corefile(text)] })
      expect(found).toHaveLength(2)
      expect(refused).toEqual([{ object: 'ConfigMap kube-system/coredns', namespace: 'kube-system', message: expect.stringContaining(why) }])
    }
    const many = Array.from({ length: 60 }, (_, index) => `10.0.0.${index}`).join(' ')
    const { found, refused } = find(dns, { 'dns-corefile': [corefile(`. {\n forward . ${many}\n}`)] })
    expect([found.length, refused[0]!.message]).toEqual([50, expect.stringContaining('more than 50')])
  })

  it('takes nothing for granted of what the API sends', () => {
    const odd = [null, {}, { ports: [{ port: 53 }], endpoints: [{ addresses: [] }] }, { ports: [{ port: 53, protocol: 'UDP' }], endpoints: [{ addresses: [] }] }, { data: null }, { data: {} }]
    expect(find(dns, { 'dns-endpoints': odd, 'dns-corefile': odd })).toEqual({ found: [], refused: [] })
  })
})

it('entries are such as the probe types take, in a pod too', () => {
  const objects = {
    'api-endpoints': [apiSlice], 'dns-endpoints': [{ ports: [{ port: 53, protocol: 'UDP' }], endpoints: [{ addresses: ['fd00::3'] }] }],
    'dns-corefile': [{ data: { Corefile: '. {\n forward . 10.0.0.53 tls://10.0.0.54 {\n tls /ca\n }\n}\nb.c. {\n forward . 10.0.0.1 {\n force_tcp\n}\n}' } }],
  }
  for (const name of ['api', 'dns'] as const) {
    const source = healthSources[name]({ domain: 'cluster.local', node: undefined, inside: true, quota: 100, external: 'example.org' })!
    for (const { entry } of find(source, objects, { cluster: { name: 'a', kubeconfig: '/k' }, server: 'https://h:6443' }).found) {
      const type = probeTypes.find((each) => each.type === entry.type)!
      expect(readEntry(type, entry).issues, JSON.stringify(entry)).toEqual([])
    }
  }
})
