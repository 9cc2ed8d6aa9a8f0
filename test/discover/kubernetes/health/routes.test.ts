import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { pathsSource } from '../../../../src/discover/kubernetes/health/paths.ts'
import type { SourceContext } from '../../../../src/discover/kubernetes/source.ts'
import { createWatching } from '../../../../src/discover/kubernetes/watching.ts'
import { clusterClient } from '../../../../src/kubernetes/client.ts'
import { libraries } from '../../../../src/kubernetes/connection.ts'
import { createInformer } from '../../../../src/kubernetes/informer.ts'
import { eventually } from '../../../support/process.ts'
import { startKubeApi, type KubeApi } from '../../../support/kube-api.ts'
import { findAmong, jobOfFound } from './held.ts'

const GROUP = 'gateway.networking.k8s.io'
const SERVICES = [
  { metadata: { name: 'web', namespace: 'shop' }, spec: { clusterIP: '10.96.0.10', ports: [{ name: 'http', port: 80 }, { name: 'grpc', port: 81, appProtocol: 'kubernetes.io/h2c' }, { name: 'tls', port: 443 }] } },
  { metadata: { name: 'api', namespace: 'db' }, spec: { clusterIP: '10.96.0.20', ports: [{ port: 80 }] } },
  { metadata: { name: 'away', namespace: 'shop' }, spec: { type: 'ExternalName', externalName: 'kubernetes.default.svc', ports: [{ port: 80 }] } },
]
const SLICES = [
  { metadata: { name: 'web-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4', ports: [{ name: 'http', port: 8080 }, { name: 'tls', port: 8443 }], endpoints: [{ addresses: ['10.244.1.7'] }] },
  { metadata: { name: 'api-1', namespace: 'db', labels: { 'kubernetes.io/service-name': 'api' } }, addressType: 'IPv4', ports: [{ name: '', port: 9000 }], endpoints: [{ addresses: ['10.244.2.7'] }] },
]
const HTTP = { name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }
const HTTPS = { name: 'https', port: 443, protocol: 'HTTPS', allowedRoutes: { namespaces: { from: 'All' } } }
const gateway = (listeners: readonly object[], addresses: readonly unknown[] = ['192.0.2.10'], { name = 'gw', namespace = 'infra' } = {}) => ({
  apiVersion: `${GROUP}/v1`, kind: 'Gateway', metadata: { name, namespace },
  spec: { gatewayClassName: 'x', listeners }, status: { addresses: addresses.map((value) => ({ type: 'IPAddress', value })) },
})
const PARENT = { group: GROUP, kind: 'Gateway', namespace: 'infra', name: 'gw' }
const WEB = { name: 'web', port: 80 }
const RULE = { backendRefs: [WEB] }
const route = (spec: object, { annotations = {}, name = 'it', namespace = 'shop', created = '', status }: { annotations?: object, name?: string, namespace?: string, created?: string, status?: object } = {}) => ({
  apiVersion: `${GROUP}/v1`, kind: 'HTTPRoute', metadata: { name, namespace, creationTimestamp: created, annotations: { 'curlew.dev/path': '/health', ...annotations } },
  spec: { parentRefs: [PARENT], hostnames: ['shop.example.org'], rules: [RULE], ...spec }, ...status === undefined ? {} : { status },
})
const path = (value: string, type = 'PathPrefix') => ({ path: { type, value } })

interface Others { readonly gateways?: readonly unknown[], readonly grants?: readonly unknown[], readonly policies?: readonly unknown[], readonly oldPolicies?: readonly unknown[], readonly ingresses?: readonly unknown[], readonly inside?: boolean, readonly quota?: number }
const findOf = (routes: readonly unknown[], { gateways = [gateway([HTTP, HTTPS])], grants = [], policies = [], oldPolicies = [], ingresses = [], inside = true, quota = 100 }: Others = {}) => findAmong({
  '/apis/networking.k8s.io/v1/ingresses': ingresses, '/api/v1/services': SERVICES, '/apis/discovery.k8s.io/v1/endpointslices': SLICES,
  [`/apis/${GROUP}/v1/httproutes`]: routes, [`/apis/${GROUP}/v1/gateways`]: gateways,
  [`/apis/${GROUP}/v1beta1/referencegrants`]: grants, [`/apis/${GROUP}/v1/backendtlspolicies`]: policies, [`/apis/${GROUP}/v1alpha3/backendtlspolicies`]: oldPolicies,
}, pathsSource({ domain: 'cluster.local', inside, quota }))
const optionsOf = ({ entry: { target, ingress, service, pods, backend, backend_path: backendPath } }: ReturnType<typeof findOf>['found'][number]) => ({ target, ingress, service, pods, backend, backendPath })

const LEGS = { service: '10.96.0.10:80', pods: ['10.244.1.7:8080'] }
const ALONE = { service: undefined, pods: undefined }

it.each<[string, object, object, object?]>([
  ['TLS before plain HTTP, at the address of the Gateway', {}, { target: 'https://shop.example.org/health', ingress: ['192.0.2.10:443'], ...LEGS }],
  ['the listener that is named', { parentRefs: [{ ...PARENT, sectionName: 'http' }] }, { target: 'http://shop.example.org/health', ingress: ['192.0.2.10:80'] }],
  ['the port that is named', { parentRefs: [{ ...PARENT, port: 80 }] }, { target: 'http://shop.example.org/health' }],
  ['a port that URLs have to name', {}, { target: 'https://shop.example.org:8443/health', ingress: ['192.0.2.10:8443'] }, { gateways: [gateway([{ ...HTTPS, port: 8443 }])] }],
  ['the host of the listener', { hostnames: [] }, { target: 'https://www.example.org/health' }, { gateways: [gateway([{ ...HTTPS, hostname: 'www.example.org' }])] }],
  ['a host within the listener\'s', {}, { target: 'https://shop.example.org/health' }, { gateways: [gateway([{ ...HTTPS, hostname: '*.example.org' }])] }],
  ['a listener within the route\'s hosts', { hostnames: ['*.example.org'] }, { target: 'https://www.example.org/health' }, { gateways: [gateway([{ ...HTTPS, hostname: 'www.example.org' }])] }],
  ['a listener for other hosts', {}, { target: 'http://shop.example.org/health' }, { gateways: [gateway([{ ...HTTPS, hostname: 'other.example.org' }, HTTP])] }],
  ['a Gateway without an address yet: by the name', {}, { target: 'https://shop.example.org/health', ingress: undefined }, { gateways: [gateway([HTTPS], [])] }],
  ['addresses of the pods\' family', {}, { ingress: ['192.0.2.10:443'] }, { gateways: [gateway([HTTPS], ['2001:db8::1', '192.0.2.10'])] }],
  ['addresses of the only family', {}, { ingress: ['[2001:db8::1]:443'] }, { gateways: [gateway([HTTPS], ['2001:db8::1'])] }],
  ['no more addresses than may be asked', {}, { ingress: Array.from({ length: 8 }, (_, n) => `192.0.2.${n + 1}:443`) }, { gateways: [gateway([HTTPS], Array.from({ length: 20 }, (_, n) => `192.0.2.${n + 1}`))] }],
  ['names as addresses: public ones, and Services beside the Gateway', {}, { ingress: ['lb.example.net:443', 'gw-istio.infra.svc.cluster.local:443'] }, { gateways: [gateway([HTTPS], ['lb.example.net', 'gw-istio.infra.svc', 'vault.security.svc.cluster.local', 'localhost'])] }],
  ['the second parent, where the first has no such listener', { parentRefs: [{ ...PARENT, sectionName: 'none' }, { ...PARENT, name: 'other' }] }, { ingress: ['192.0.2.20:80'] }, { gateways: [gateway([HTTP]), gateway([HTTP], ['192.0.2.20'], { name: 'other' })] }],
  ['a Gateway of its own namespace, which takes no others', { parentRefs: [{ name: 'own' }] }, { ingress: ['192.0.2.30:80'] }, { gateways: [gateway([{ name: 'x', port: 80, protocol: 'HTTP' }], ['192.0.2.30'], { name: 'own', namespace: 'shop' })] }],
  ['the longest path', { rules: [{ backendRefs: [{ name: 'nobody', port: 80 }] }, { matches: [path('/health')], ...RULE }, { matches: [path('/healthy')], backendRefs: [{ name: 'nobody', port: 80 }] }] }, LEGS],
  ['an exact path before a prefix', { rules: [{ matches: [path('/health')], backendRefs: [{ name: 'nobody', port: 80 }] }, { matches: [path('/health', 'Exact')], ...RULE }] }, LEGS],
  ['a rule for GET before one for all', { rules: [{ matches: [path('/')], backendRefs: [{ name: 'nobody', port: 80 }] }, { matches: [{ ...path('/'), method: 'GET' }], ...RULE }] }, LEGS],
  ['rules for other methods and for headers aside', { rules: [{ matches: [{ ...path('/health'), method: 'POST' }, { ...path('/health'), headers: [{ name: 'x', value: 'y' }] }], backendRefs: [{ name: 'nobody', port: 80 }] }, RULE] }, LEGS],
  ['a pattern may take the path: the Gateway alone', { rules: [{ matches: [path('/h.*', 'RegularExpression')], backendRefs: [{ name: 'nobody', port: 80 }] }, RULE] }, { target: 'https://shop.example.org/health', ...ALONE }],
  ['several backends: the Gateway alone', { rules: [{ backendRefs: [WEB, { name: 'canary', port: 80, weight: 1 }] }] }, ALONE],
  ['a backend without weight is none', { rules: [{ backendRefs: [{ name: 'canary', port: 80, weight: 0 }, WEB] }] }, LEGS],
  ['a backend that is no Service', { rules: [{ backendRefs: [{ group: 'x.example', kind: 'Bucket', name: 'web', port: 80 }] }] }, ALONE],
  ['a Service that is a name elsewhere', { rules: [{ backendRefs: [{ name: 'away', port: 80 }] }] }, { service: undefined, pods: [] }],
  ['a backend that speaks HTTP/2 without TLS', { rules: [{ backendRefs: [{ name: 'web', port: 81 }] }] }, ALONE],
  ['a path that is rewritten', { rules: [{ ...RULE, filters: [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } }] }] }, ALONE],
  ['a Host that is rewritten for one backend', { rules: [{ backendRefs: [{ ...WEB, filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'in.example.org' } }] }] }] }, ALONE],
  ['filters that leave the request as it is', { rules: [{ ...RULE, filters: [{ type: 'ResponseHeaderModifier' }, { type: 'RequestMirror' }] }] }, LEGS],
  ['a backend that TLS is spoken to', { rules: [{ backendRefs: [{ name: 'web', port: 443 }] }] }, { service: '10.96.0.10:443', pods: ['10.244.1.7:8443'], backend: 'https' }, { policies: [{ metadata: { name: 'p', namespace: 'shop' }, spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web', sectionName: 'tls' }] } }] }],
  ['a backend that TLS is spoken to, in a cluster before v1 of the policy', { rules: [{ backendRefs: [{ name: 'web', port: 443 }] }] }, { service: '10.96.0.10:443', pods: ['10.244.1.7:8443'], backend: 'https' }, { oldPolicies: [{ metadata: { name: 'p', namespace: 'shop' }, spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web', sectionName: 'tls' }] } }] }],
  ['a TLS policy for another port, and one of another namespace', {}, { backend: undefined }, { policies: [{ metadata: { name: 'p', namespace: 'shop' }, spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web', sectionName: 'tls' }] } }, { metadata: { name: 'p', namespace: 'db' }, spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web' }] } }] }],
  ['from outside, the name alone', {}, { target: 'https://shop.example.org/health', ingress: undefined, ...ALONE }, { inside: false }],
])('%s', (_what, spec, expected, others = {}) => {
  const { found, refused } = findOf([route(spec)], others)
  expect(refused).toEqual([])
  expect(found).toHaveLength(1)
  expect(optionsOf(found[0]!)).toMatchObject(expected)
  expect(found[0]).toMatchObject({ object: 'HTTPRoute shop/it', namespace: 'shop', guard: 'name', why: 'annotation curlew.dev/path' })
  expect(jobOfFound(found[0]!)).toMatchObject({ name: 'paths', type: 'kube-path', mode: 'read-only', schedule: { everyMs: 60_000 } })
})

it('a path that is rewritten as it says is asked for behind the Gateway', () => {
  const rewritten = { rules: [{ ...RULE, filters: [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/' } } }] }] }
  expect(findOf([route(rewritten, { annotations: { 'curlew.dev/backend-path': '/' } })]).found.map(optionsOf)).toMatchObject([{ ...LEGS, backendPath: '/' }])
})

it('a Host that is rewritten is not asked for behind the Gateway, whatever the path there', () => {
  const renamed = { rules: [{ ...RULE, filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'in.example.org' } }] }] }
  expect(findOf([route(renamed, { annotations: { 'curlew.dev/backend-path': '/' } })]).found.map(optionsOf)).toMatchObject([ALONE])
})

const grantOf = (from: object, to: object, namespace = 'db') => ({ metadata: { name: 'g', namespace }, spec: { from: [{ group: GROUP, kind: 'HTTPRoute', namespace: 'shop', ...from }], to: [{ group: '', kind: 'Service', ...to }] } })
it.each<[string, readonly unknown[], boolean]>([
  ['nothing', [], false],
  ['every Service', [grantOf({}, {})], true],
  ['this Service', [grantOf({}, { name: 'api' })], true],
  ['another Service', [grantOf({}, { name: 'other' })], false],
  ['Secrets', [grantOf({}, { kind: 'Secret' })], false],
  ['another namespace', [grantOf({ namespace: 'other' }, {})], false],
  ['another kind', [grantOf({ kind: 'Ingress' }, {})], false],
  ['a Service of the namespace that asks', [grantOf({}, {}, 'shop')], false],
])('a Service of another namespace is asked where its own lets this route in: %s', (_what, grants, isAsked) => {
  const { found } = findOf([route({ rules: [{ backendRefs: [{ name: 'api', namespace: 'db', port: 80 }] }] })], { grants })
  expect(found.map(optionsOf)).toMatchObject([isAsked ? { service: '10.96.0.20:80', pods: ['10.244.2.7:9000'] } : ALONE])
})

const REFUSAL = { parents: [{ parentRef: PARENT, conditions: [{ type: 'Accepted', status: 'False', reason: 'NotAllowedByListeners' }] }] }
const SELECTING = gateway([{ ...HTTP, allowedRoutes: { namespaces: { from: 'Selector', selector: {} } } }])
it.each<[string, unknown, Others, string]>([
  ['a Gateway that is not there', route({ parentRefs: [{ name: 'gw' }] }), {}, 'Gateway shop/gw: is not there, or not in the namespaces'],
  ['a parent that is none', route({ parentRefs: [{ group: '', kind: 'Service', name: 'web' }] }), {}, 'expected a parent that is a Gateway'],
  ['a Gateway that takes its own namespace only', route({}), { gateways: [gateway([{ name: 'http', port: 80, protocol: 'HTTP' }])] }, 'with a listener for HTTP or HTTPS that takes the route'],
  ['a listener that takes no routes', route({}), { gateways: [gateway([{ ...HTTP, allowedRoutes: { namespaces: { from: 'None' } } }])] }, 'with a listener for HTTP or HTTPS that takes the route'],
  ['a host that only ends like the listener\'s', route({ hostnames: ['badexample.org'] }), { gateways: [gateway([{ ...HTTPS, hostname: '*.example.org' }])] }, 'with a listener for HTTP or HTTPS that takes the route'],
  ['a Gateway that selects other namespaces', route({}, { status: REFUSAL }), { gateways: [SELECTING] }, 'with a listener for HTTP or HTTPS that takes the route'],
  ['listeners that pass TLS through', route({}), { gateways: [gateway([{ ...HTTPS, protocol: 'TLS' }])] }, 'with a listener for HTTP or HTTPS'],
  ['a wildcard', route({ hostnames: ['*.example.org'] }), {}, 'a host that is not a wildcard'],
  ['no host', route({ hostnames: [] }), {}, 'a host that is not a wildcard'],
  ['a path that no rule takes', route({ rules: [{ matches: [path('/shop')], ...RULE }] }), {}, 'expected a path that a rule of the route takes'],
  ['a redirect', route({ rules: [{ filters: [{ type: 'RequestRedirect' }] }] }), {}, 'redirects it: expected a route that serves it'],
  ['a host inside the cluster', route({ hostnames: ['admin.kube-system.svc.cluster.local'] }), {}, 'expected a host outside the cluster'],
  ['no path', route({}, { annotations: { 'curlew.dev/path': 'https://CANARY' } }), {}, 'expected a path such as /health'],
])('%s is refused, of this route alone', (_what, wrong, others, message) => {
  const { found, refused } = findOf([wrong, route({ hostnames: ['good.example.org'], parentRefs: [{ ...PARENT, name: 'good' }] }, { name: 'good' })], { ...others, gateways: [...others.gateways ?? [gateway([HTTP, HTTPS])], gateway([HTTP], [], { name: 'good' })] })
  expect(found.map(({ object }) => object)).toEqual(['HTTPRoute shop/good'])
  expect(refused).toEqual([{ object: 'HTTPRoute shop/it', namespace: 'shop', message: expect.stringContaining(message) as unknown }])
  expect(JSON.stringify(refused)).not.toContain('CANARY')
})

it('a Gateway that selects namespaces, and has not said no to this one, is asked', () => {
  const other = { parents: [{ parentRef: PARENT, conditions: [{ type: 'Accepted', status: 'False', reason: 'UnsupportedValue' }] }] }
  expect(findOf([route({}, { status: other })], { gateways: [SELECTING] }).found).toHaveLength(1)
  expect(findOf([route({})], { gateways: [SELECTING] }).found).toHaveLength(1)
})

it('a URL is that of whoever had it first, Ingress or route', () => {
  const ingress = { metadata: { name: 'old', namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z', annotations: { 'curlew.dev/path': '/health' } }, spec: { tls: [{}], rules: [{ host: 'shop.example.org', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] } }] } }
  const { found, refused } = findOf([route({}, { created: '2026-02-01T00:00:00Z' })], { ingresses: [ingress] })
  expect(found.map(({ object }) => object)).toEqual(['Ingress shop/old'])
  expect(refused).toMatchObject([{ object: 'HTTPRoute shop/it', message: 'curlew.dev/path: https://shop.example.org/health is asked for already, by Ingress shop/old' }])
  expect(findOf([route({}, { created: '2025-02-01T00:00:00Z' })], { ingresses: [ingress] }).found.map(({ object }) => object)).toEqual(['HTTPRoute shop/it'])
})

it('a route without the annotation, and one of a cluster whose Gateways may not be listed, is asked for nothing', () => {
  expect(findOf([{ metadata: { name: 'it', namespace: 'shop' }, spec: { parentRefs: [PARENT], hostnames: ['shop.example.org'] } }])).toEqual({ found: [], refused: [] })
  const source = pathsSource({ domain: 'cluster.local', inside: false, quota: 100 })
  expect(findAmong({ '/apis/networking.k8s.io/v1/ingresses': [], [`/apis/${GROUP}/v1/httproutes`]: [route({})] }, source)).toEqual({ found: [], refused: [] })
})

const numbered = (number: number, spec: object = {}, namespace = 'shop') => route({ hostnames: [`n${number}.${namespace}.example.org`], ...spec }, { name: `n${number}`, namespace, created: `2026-01-0${number}T00:00:00Z` })

it('of a namespace four times its quota of URLs are followed, the oldest, and as many objects that come to nothing: no other namespace pays for it', () => {
  const left = { object: 'Namespace shop', namespace: 'shop', message: 'curlew.dev/path: more than 4 URLs, or as many objects that come to nothing: the newest are not followed (discovery.kubernetes.quota)' }
  const objectsOf = ({ found }: ReturnType<typeof findOf>) => found.map(({ object }) => object)
  const many = findOf([5, 4, 3, 2, 1].map((number) => numbered(number)).concat(numbered(9, {}, 'db')), { quota: 1 })
  expect(objectsOf(many)).toEqual([1, 2, 3, 4].map((number) => `HTTPRoute shop/n${number}`).concat('HTTPRoute db/n9'))
  expect(many.refused).toEqual([left])
  const wrong = findOf([1, 2, 3, 4, 5].map((number) => numbered(number, { rules: [] })).concat(numbered(6), numbered(9, {}, 'db')), { quota: 1 })
  expect(objectsOf(wrong)).toEqual(['HTTPRoute db/n9'])
  expect(wrong.refused.map(({ object }) => object)).toEqual([1, 2, 3, 4].map((number) => `HTTPRoute shop/n${number}`).concat('Namespace shop'))
  const hosts = findOf([numbered(1, { hostnames: ['a', 'b', 'c', 'd', 'e'].map((name) => `${name}.example.org`) })], { quota: 1 })
  expect(hosts.found).toHaveLength(4)
  expect(hosts.refused).toEqual([left])
  expect(findOf([1, 2, 3, 4].map((number) => numbered(number)), { quota: 1 }).refused).toEqual([])
})

it('thousands of routes are followed in turns with other work', async () => {
  const source = pathsSource({ domain: 'cluster.local', inside: false, quota: 100 })
  const collections: Readonly<Record<string, readonly unknown[]>> = { '/apis/networking.k8s.io/v1/ingresses': [], [`/apis/${GROUP}/v1/httproutes`]: Array.from({ length: 9 }, (_, number) => numbered(number)), [`/apis/${GROUP}/v1/gateways`]: [gateway([HTTPS])] }
  const context: SourceContext = {
    cluster: { name: 'room' }, several: false, node: undefined,
    held: ({ selection, project }) => new Map(collections[selection.path]?.flatMap((raw, index) => { const item = project(raw); return item === undefined ? [] : [[selection.path.endsWith('gateways') ? 'infra/gw' : String(index), item]] })),
  }
  let turns = 0
  let others = setImmediate(function other() {
    turns++
    others = setImmediate(other)
  })
  let now = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now += 30)
  await source.prepare?.(context).finally(() => clock.mockRestore())
  clearImmediate(others)
  expect(turns).toBeGreaterThanOrEqual(8)
  const { found } = source.find(context)
  expect(found).toHaveLength(9)
  expect(source.find(context).found).toBe(found)
})

let api: KubeApi
beforeAll(async () => {
  await libraries()
  api = await startKubeApi()
})
afterAll(() => api.stop())

/** What is found in the cluster, and what is said of its collections. */
async function follow(done: (found: readonly unknown[]) => boolean) {
  const client = clusterClient({ name: 'room', kubeconfig: api.kubeconfig() })
  const source = pathsSource({ domain: 'cluster.local', inside: true, quota: 100 })
  const troubles: unknown[] = []
  const all = createWatching({ client, namespaces: undefined, watch: createInformer, onChange: () => {}, onTrouble: (trouble) => { if (trouble) troubles.push(trouble) } })
  try {
    all.set([source])
    const find = () => source.find({ cluster: { name: 'room' }, several: false, node: undefined, held: all.held })
    await eventually(() => all.synced(source) && done(find().found))
    return { ...find(), leftOut: all.leftOut(source), trouble: all.trouble(source), troubles }
  } finally {
    all.stop()
    client.close()
  }
}

it('a cluster without the Gateway API has its Ingresses, and nothing is said of what it does not have', async () => {
  api.put({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'it', namespace: 'shop', annotations: { 'curlew.dev/path': '/' } }, spec: { rules: [{ host: 'a.example.org', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] } }] } })
  const end = api.fault(/gateway\.networking\.k8s\.io/, { status: 404, body: '404 page not found\n' })
  const { found, ...said } = await follow((all) => all.length > 0)
  expect(found.map(({ object }) => object)).toEqual(['Ingress shop/it'])
  expect(said).toEqual({ refused: [], leftOut: [], trouble: undefined, troubles: [] })
  end()
})

it('routes are followed as the API serves them; a role that lacks one of the kinds costs the rest nothing', async () => {
  api.put(gateway([HTTPS]))
  api.put(route({ hostnames: ['b.example.org'] }))
  const end = api.fault(/\/backendtlspolicies/, { status: 403 })
  const { found, leftOut } = await follow((all) => all.length > 1)
  expect(found.map(({ entry: { target, ingress } }) => ({ target, ingress }))).toContainEqual({ target: 'https://b.example.org/health', ingress: ['192.0.2.10:443'] })
  expect(leftOut).toMatchObject([{ what: 'backendtlspolicies', trouble: 'forbidden' }])
  end()
})
