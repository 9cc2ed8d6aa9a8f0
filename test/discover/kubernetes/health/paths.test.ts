import { expect, it } from 'vitest'
import { MOST_PODS, pathsSource } from '../../../../src/discover/kubernetes/health/paths.ts'
import { findAmong, jobOfFound } from './held.ts'

const service = (name: string, spec: object, namespace = 'shop') => ({ metadata: { name, namespace }, spec })
const slice = (name: string, of: string, ports: unknown, endpoints: unknown, namespace = 'shop', addressType = 'IPv4') => ({
  metadata: { name, namespace, labels: { 'kubernetes.io/service-name': of } }, addressType, ports, endpoints,
})
const SERVICES = [
  service('web', { clusterIP: '10.96.0.10', ports: [{ name: 'http', port: 80 }, { name: 'metrics', port: 9090 }, { name: 'quic', port: 443, protocol: 'UDP' }] }),
  service('tls', { clusterIP: 'fd00::10', ports: [{ port: 443, appProtocol: 'https' }] }),
  service('headless', { clusterIP: 'None', ports: [{ port: 80 }] }),
]
const SLICES = [
  slice('web-1', 'web', [{ name: 'http', port: 8080 }, { name: 'metrics', port: 9091 }], [{ addresses: ['10.244.1.7'], conditions: { ready: true } }, { addresses: ['10.244.1.8'], conditions: { ready: false } }, { addresses: ['10.244.1.9'] }]),
  slice('web-2', 'web', [{ name: 'http', port: 8081 }], [{ addresses: ['fd00::7'], conditions: {} }], 'shop', 'IPv6'),
  slice('web-other', 'web', [{ name: 'http', port: 1 }], [{ addresses: ['10.9.9.9'] }], 'other'),
  slice('tls-1', 'tls', [{ name: '', port: 8443 }], [{ addresses: ['10.244.3.1'] }]),
  slice('headless-1', 'headless', [{ name: '', port: 80 }], Array.from({ length: 15 }, (_, n) => ({ addresses: [`10.244.4.${n + 10}`] }))),
]

/** What is found of Ingresses in a cluster of these Services. */
const findOf = (ingresses: readonly unknown[], slices: readonly unknown[] = SLICES) =>
  findAmong({ '/apis/networking.k8s.io/v1/ingresses': ingresses, '/api/v1/services': SERVICES, '/apis/discovery.k8s.io/v1/endpointslices': slices }, pathsSource({ domain: 'cluster.local', inside: true, quota: 100 }))

const to = (name: string, port: object = { number: 80 }) => ({ service: { name, port } })
const rule = (host: string | undefined, ...paths: readonly (readonly [string, string, object])[]) => ({ ...host === undefined ? {} : { host }, http: { paths: paths.map(([path, pathType, backend]) => ({ path, pathType, backend })) } })

const find = (annotations: Record<string, string>, spec: object) => findOf([{ metadata: { name: 'it', namespace: 'shop', annotations }, spec }])
const HEALTH = { 'curlew.dev/path': '/health' }
const options = ({ entry: { target, service, pods, backend, backend_path: path } }: ReturnType<typeof find>['found'][number]) => ({ target, service, pods, backend, path })

it.each<[string, Record<string, string>, object, object]>([
  ['a port by number', HEALTH, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { target: 'http://shop.example.org/health', service: '10.96.0.10:80', pods: ['10.244.1.7:8080', '10.244.1.9:8080', '[fd00::7]:8081'] }],
  ['a port by name', HEALTH, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web', { name: 'metrics' })])] }, { service: '10.96.0.10:9090', pods: ['10.244.1.7:9091', '10.244.1.9:9091'] }],
  ['TLS for the host', HEALTH, { tls: [{ hosts: ['shop.example.org'] }], rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { target: 'https://shop.example.org/health' }],
  ['TLS for others', HEALTH, { tls: [{ hosts: ['other.example.org'] }], rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { target: 'http://shop.example.org/health' }],
  ['TLS by a wildcard', HEALTH, { tls: [{ hosts: ['*.example.org'] }], rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { target: 'https://shop.example.org/health' }],
  ['the longest path', HEALTH, { rules: [rule('shop.example.org', ['/', 'Prefix', to('nobody')], ['/health', 'Prefix', to('web')], ['/healthy', 'Prefix', to('nobody')])] }, { service: '10.96.0.10:80' }],
  ['an exact path before a prefix', HEALTH, { rules: [rule('shop.example.org', ['/health', 'Prefix', to('nobody')], ['/health', 'Exact', to('web')])] }, { service: '10.96.0.10:80' }],
  ['a backend that speaks TLS', HEALTH, { rules: [rule('shop.example.org', ['/', 'Prefix', to('tls', { number: 443 })])] }, { service: '[fd00::10]:443', pods: ['10.244.3.1:8443'], backend: 'https' }],
  ['a backend that speaks TLS by annotation', { ...HEALTH, 'nginx.ingress.kubernetes.io/backend-protocol': 'HTTPS' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { service: '10.96.0.10:80', backend: 'https' }],
  ['a backend that speaks something else', { ...HEALTH, 'nginx.ingress.kubernetes.io/backend-protocol': 'GRPC' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { service: undefined, pods: undefined }],
  ['a headless Service: pods alone, and not all of many', HEALTH, { rules: [rule('shop.example.org', ['/', 'Prefix', to('headless')])] }, { service: undefined, pods: Array.from({ length: MOST_PODS }, (_, n) => `10.244.4.${n + 10}:80`) }],
  ['a Service that does not exist', HEALTH, { rules: [rule('shop.example.org', ['/', 'Prefix', to('nobody')])] }, { service: undefined, pods: undefined }],
  ['a path that is rewritten somehow', { ...HEALTH, 'nginx.ingress.kubernetes.io/rewrite-target': '/$1' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { service: undefined, pods: undefined }],
  ['a path that is rewritten as it says', { ...HEALTH, 'nginx.ingress.kubernetes.io/rewrite-target': '/$1', 'curlew.dev/backend-path': '/' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, { service: '10.96.0.10:80', path: '/' }],
  ['a default backend', HEALTH, { defaultBackend: to('web'), rules: [{ host: 'shop.example.org' }] }, { service: '10.96.0.10:80' }],
  ['a query', { 'curlew.dev/path': '/health?deep=1' }, { rules: [rule('shop.example.org', ['/health', 'Exact', to('web')])] }, { target: 'http://shop.example.org/health?deep=1', service: '10.96.0.10:80' }],
])('%s', (_what, annotations, spec, expected) => {
  const { found, refused } = find(annotations, spec)
  expect(refused).toEqual([])
  expect(found).toHaveLength(1)
  expect(options(found[0]!)).toMatchObject(expected)
  expect(found[0]).toMatchObject({ object: 'Ingress shop/it', namespace: 'shop', why: 'annotation curlew.dev/path' })
  expect(jobOfFound(found[0]!)).toMatchObject({ name: 'paths', type: 'kube-path', mode: 'read-only', schedule: { everyMs: 60_000 } })
})

it('from outside the ingress is asked alone, and nothing else is watched', () => {
  const source = pathsSource({ domain: 'cluster.local', inside: false, quota: 100 })
  const ingress = { metadata: { name: 'it', namespace: 'shop', annotations: HEALTH }, spec: { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] } }
  const { found } = findAmong({ '/apis/networking.k8s.io/v1/ingresses': [ingress] }, source)
  expect(found.map(options)).toEqual([{ target: 'http://shop.example.org/health' }])
  expect(source.watches.map(({ selection }) => selection.path)).toEqual(['ingresses', 'httproutes', 'gateways'].map((plural) => expect.stringContaining(`/v1/${plural}`) as unknown))
})

it('an Ingress without the annotation is asked for nothing', () => {
  expect(find({}, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] })).toEqual({ found: [], refused: [] })
})

it('each host is a path of its own', () => {
  const { found } = find(HEALTH, { rules: [rule('a.example.org', ['/', 'Prefix', to('web')]), rule('b.example.org', ['/', 'Prefix', to('web')]), rule('a.example.org', ['/x', 'Prefix', to('web')])] })
  expect(found.map(({ entry }) => entry['target'])).toEqual(['http://a.example.org/health', 'http://b.example.org/health'])
})

it.each<[string, Record<string, string>, object, string]>([
  ['no host', HEALTH, { rules: [rule(undefined, ['/', 'Prefix', to('web')])] }, 'expected a path that a rule with a host takes'],
  ['a wildcard', HEALTH, { rules: [rule('*.example.org', ['/', 'Prefix', to('web')])] }, 'expected a path that a rule with a host takes'],
  ['a path that no rule takes', HEALTH, { rules: [rule('shop.example.org', ['/heal', 'Prefix', to('web')])] }, 'expected a path that a rule with a host takes'],
  ['no path', { 'curlew.dev/path': 'https://CANARY' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, 'curlew.dev/path: expected a path such as /health'],
  ['a line end', { 'curlew.dev/path': '/\r\nHost: x' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, 'curlew.dev/path: expected a path such as /health'],
  ['a long one', { 'curlew.dev/path': `/${'x'.repeat(300)}` }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, 'at most 200'],
  ['a host inside the cluster', HEALTH, { rules: [rule('admin.kube-system.svc.cluster.local', ['/', 'Prefix', to('web')])] }, 'expected a host outside the cluster'],
  ['a host without a domain, as a search list may complete it', HEALTH, { rules: [rule('localhost', ['/', 'Prefix', to('web')])] }, 'expected a host outside the cluster'],
  ['a wrong path behind', { ...HEALTH, 'curlew.dev/backend-path': 'x' }, { rules: [rule('shop.example.org', ['/', 'Prefix', to('web')])] }, 'curlew.dev/backend-path: expected'],
])('%s is refused, of this object alone', (_what, annotations, spec, message) => {
  const { found, refused } = find(annotations, spec)
  expect(found).toEqual([])
  expect(refused).toEqual([{ object: 'Ingress shop/it', namespace: 'shop', message: expect.stringContaining(message) as unknown }])
  expect(JSON.stringify(refused)).not.toContain('CANARY')
})

const ingress = (name: string, namespace: string, created: string, spec: object) => ({ metadata: { name, namespace, creationTimestamp: created, annotations: HEALTH }, spec })
const ONE = { rules: [rule('h0.example.org', ['/', 'Prefix', to('web')])] }

it('a URL is that of the Ingress that had it first: no other namespace takes it by its name', () => {
  const { found, refused } = findOf([ingress('a', 'a-tenant', '2026-02-01T00:00:00Z', ONE), ingress('z', 'shop', '2026-01-01T00:00:00Z', ONE)])
  expect(found).toMatchObject([{ object: 'Ingress shop/z', guard: 'name' }])
  expect(refused).toEqual([{ object: 'Ingress a-tenant/a', namespace: 'a-tenant', message: 'curlew.dev/path: http://h0.example.org/health is asked for already, by Ingress shop/z' }])
})

it('a rollout changes what is asked, and not which probe it is', () => {
  const [before, after] = [SLICES, []].map((slices) => jobOfFound(findOf([ingress('z', 'shop', '', ONE)], slices).found[0]!))
  expect(after!.id).toBe(before!.id)
  expect(after!.fingerprint).not.toBe(before!.fingerprint)
  expect(after!.schedule).toEqual(before!.schedule)
})
