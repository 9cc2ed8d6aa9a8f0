import { describe, expect, it } from 'vitest'
import { certificatesSource, MOST_OBJECTS } from '../../../../src/discover/kubernetes/health/certificates.ts'
import { findAmong, jobOfFound } from './held.ts'

const named = (name: string, more: object = {}, namespace?: string) => ({ metadata: { name, ...namespace === undefined ? {} : { namespace } }, ...more })
const tls = (name: string, namespace: string) => named(name, { type: 'kubernetes.io/tls', data: { 'tls.crt': 'CANARY', 'tls.key': 'CANARY' } }, namespace)
const service = { namespace: 'kube-system', name: 'metrics-server' }
const COLLECTIONS = {
  '/api/v1/secrets': [tls('web-tls', 'shop'), named('broken-tls', { data: null }, 'shop'), tls('a-tls', 'db')],
  '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations': [named('policy')],
  '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations': [named('injector')],
  '/apis/apiregistration.k8s.io/v1/apiservices': [
    named('v1.apps', { spec: { group: 'apps', service: null } }), named('v1beta1.metrics.k8s.io', { spec: { service, caBundle: 'Q0E=' } }),
    named('v1.forgotten.example.org', { spec: { service } }), named('v1.blind.example.org', { spec: { service, insecureSkipTLSVerify: true } }),
  ],
  '/apis/apiextensions.k8s.io/v1/customresourcedefinitions': [named('issuers.cert-manager.io', { spec: { conversion: { strategy: 'Webhook' } } }), named('plain.example.org', { spec: { conversion: { strategy: 'None' } } })],
}

describe('certificates that the API keeps', () => {
  it('are a target each; of Secrets only those for TLS, and only by name', () => {
    const source = certificatesSource({ node: undefined })
    const { found, refused } = findAmong(COLLECTIONS, source)
    expect(refused).toEqual([])
    expect(found.map(({ entry, object, namespace }) => [entry['target'], object, namespace])).toEqual([
      ['validatingwebhook/policy', 'ValidatingWebhookConfiguration policy', undefined], ['mutatingwebhook/injector', 'MutatingWebhookConfiguration injector', undefined],
      ['apiservice/v1.forgotten.example.org', 'APIService v1.forgotten.example.org', undefined], ['apiservice/v1beta1.metrics.k8s.io', 'APIService v1beta1.metrics.k8s.io', undefined],
      ['crd/issuers.cert-manager.io', 'CustomResourceDefinition issuers.cert-manager.io', undefined],
      ['secret/db/a-tls', 'Secret db/a-tls', 'db'], ['secret/shop/broken-tls', 'Secret shop/broken-tls', 'shop'], ['secret/shop/web-tls', 'Secret shop/web-tls', 'shop'],
    ])
    for (const one of found) expect(jobOfFound(one)).toMatchObject({ name: 'certificates', type: 'kube-cert', mode: 'read-only', schedule: { everyMs: 3_600_000 } })
    expect(found[0]?.entry).toMatchObject({ context: 'test', kubeconfig: expect.any(String) as unknown })
    expect(JSON.stringify(found)).not.toMatch(/CANARY|Q0FOQVJZ/)
    expect(source.watches.map(({ selection }) => selection)).toContainEqual({ path: '/api/v1/secrets', fieldSelector: 'type=kubernetes.io/tls', metadataOnly: true })
  })

  it('are looked at anew when they change: a Secret by its version, what is counted in generations by those', () => {
    const revision = (collection: string, more: object) => findAmong({ [collection]: [{ metadata: { name: 'it', namespace: 'shop', ...more } }] }, certificatesSource({ node: undefined })).found[0]?.revision
    const webhooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
    expect(revision('/api/v1/secrets', { resourceVersion: '7' })).not.toBe(revision('/api/v1/secrets', { resourceVersion: '8' }))
    expect(revision(webhooks, { generation: 1, resourceVersion: '7' })).toBe(revision(webhooks, { generation: 1, resourceVersion: '8' }))
  })

  it('that the role may not list hide no others', () => {
    const { '/api/v1/secrets': _, ...others } = COLLECTIONS
    const { found } = findAmong(others, certificatesSource({ node: undefined }))
    expect(found.map(({ entry }) => entry['target'])).not.toContain('secret/shop/web-tls')
    expect(found.length).toBe(5)
  })

  it('are bounded, the authorities of the cluster first, and what is left out is said in a sentence', () => {
    const source = certificatesSource({ node: undefined })
    const many = new Map(Array.from({ length: MOST_OBJECTS + 5 }, (_, n) => [`shop/${n}`, { name: `tls-${n}`, namespace: n === 0 ? 'zoo' : 'shop' }]))
    const { found, refused } = source.find({
      cluster: { name: 'room-a' }, several: false, node: undefined,
      held: (watched) => (watched.name.endsWith('-secret') ? many : watched.name.endsWith('-crd') ? new Map([['x', { name: 'x.example.org', namespace: undefined }]]) : undefined) as never,
    })
    expect(found.length).toBe(MOST_OBJECTS)
    // The namespace that has so many does not hide the ones after it.
    expect(found.some(({ namespace }) => namespace === 'zoo')).toBe(true)
    expect(found[0]?.entry['target']).toBe('crd/x.example.org')
    expect(refused).toEqual([{ object: 'health: certificates', message: `${MOST_OBJECTS + 6} objects hold certificates, of which ${MOST_OBJECTS} are looked at: give discovery.kubernetes.namespaces` }])
  })
})

describe('in an agent', () => {
  it('the files of its node are looked at, and nothing of the API', () => {
    const source = certificatesSource({ node: 'node-1', hasFiles: () => true })
    expect(source.watches).toEqual([])
    const { found } = findAmong({}, source, { node: 'node-1' })
    expect(found).toMatchObject([{ node: 'node-1', entry: { type: 'cert', preset: 'kubeadm', target: '/etc/kubernetes', served: ['127.0.0.1:6443', '127.0.0.1:2379', '127.0.0.1:10250', '127.0.0.1:10257', '127.0.0.1:10259'] } }])
    expect(jobOfFound(found[0]!)).toMatchObject({ name: 'node-certificates', target: '/etc/kubernetes' })
  })

  it('a node that kubeadm has not set up is told in a sentence, and has no probe that could only fail; what was there once is missed', () => {
    let there = false
    const find = () => findAmong({}, source, { node: 'node-1' })
    const source = certificatesSource({ node: 'node-1', hasFiles: () => there })
    expect(find()).toEqual({ found: [], refused: [{ object: 'Node node-1', message: expect.stringContaining('no certificate of kubeadm in /etc/kubernetes') as unknown }] })
    there = true
    expect(find()).toMatchObject({ found: [{ node: 'node-1' }], refused: [] })
    there = false
    expect(find()).toMatchObject({ found: [{ node: 'node-1' }], refused: [] })
  })
})
