import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { checkDiscovery, readFound } from '../../../src/config/discovery.ts'
import { topSchema } from '../../../src/config/schema.ts'
import type { Job } from '../../../src/core/probe.ts'
import { redact } from '../../../src/core/secrets.ts'
import { discoverySettings } from '../../../src/discovering.ts'
import { createDiscovery, type Discovery } from '../../../src/discover/kubernetes/engine.ts'
import { clusterClient } from '../../../src/kubernetes/client.ts'
import { libraries } from '../../../src/kubernetes/connection.ts'
import { createInformer } from '../../../src/kubernetes/informer.ts'
import { probeTypes } from '../../../src/probes/index.ts'
import { testJob } from '../../support/jobs.ts'
import { startKubeApi, type KubeApi } from '../../support/kube-api.ts'
import { eventually } from '../../support/process.ts'

const types = new Map(probeTypes.map((type) => [type.type, type]))
let api: KubeApi
let other: KubeApi | undefined
let discovery: Discovery
/** As the runtime has them, and every call that came. */
let sources: Map<string, readonly Job[]>
let calls: string[]
let lines: { level: string, message: string, fields: Readonly<Record<string, unknown>> }[]

// On a busy machine this takes longer than what is waited for below.
beforeAll(libraries)

beforeEach(async () => {
  api = await startKubeApi({ plain: true })
  sources = new Map()
  calls = []
  lines = []
  discovery = createDiscovery({
    types: probeTypes, seriesOf: () => 10, client: clusterClient, watch: createInformer,
    read: (entry) => readFound(types.get(entry.type)!, entry),
    apply(source, jobs) {
      calls.push(source)
      sources.set(source, jobs)
    },
    log: (level, fields, message) => lines.push({ level, message, fields }),
  })
})
afterEach(async () => {
  const bugs = lines.filter(({ level }) => level === 'error')
  if (bugs.length > 0) throw new Error(`discovery reports errors of its own: ${JSON.stringify(bugs)}`)
  discovery.stop()
  await api.stop()
  await other?.stop()
  other = undefined
})

function configure(section: object, { clusters, jobs = [], labels = {}, series = 1_000_000, top = {} }: { clusters?: readonly object[], jobs?: readonly Job[], labels?: Record<string, string>, series?: number, top?: object } = {}) {
  const parsed = topSchema.parse({
    labels, limits: { series }, discovery: { ...top, kubernetes: section },
    kubernetes: { clusters: clusters ?? [{ name: 'room', kubeconfig: api.kubeconfig(), inside: true }] },
  })
  expect(checkDiscovery(parsed, probeTypes).issues).toEqual([])
  discovery.configure(discoverySettings({ top: parsed, jobs }, 0)!)
}

function service(name: string, annotations: Record<string, string>, { namespace = 'shop', spec = {}, labels = {} }: { namespace?: string, spec?: object, labels?: Record<string, string> } = {}) {
  return api.put({
    apiVersion: 'v1', kind: 'Service',
    metadata: { name, namespace, labels, annotations: Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`curlew.dev/${key}`, value])) },
    spec: { ports: [{ name: 'redis', port: 6379 }], ...spec },
  })
}

const jobs = () => [...sources.values()].flat()
const names = () => jobs().map(({ name }) => name).toSorted()
const problems = () => discovery.refused().map(({ object, message }) => `${object}: ${message}`)
const settled = () => discovery.settled(8_000, AbortSignal.timeout(9_000))

describe('what is found', () => {
  it('is probed soon after it is there, and no more when it is gone', async () => {
    configure({ annotations: true }, { labels: { site: 'north', cluster: 'mine' } })
    await settled()
    expect(names()).toEqual([])
    service('redis', { probe: 'redis' })
    service('plain', {})
    await eventually(() => names().length === 1)
    expect(jobs()).toMatchObject([{ name: 'shop_redis', target: 'redis.shop.svc.cluster.local:6379', labels: { site: 'north', cluster: 'room', namespace: 'shop' } }])
    api.remove({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'redis', namespace: 'shop' } })
    await eventually(() => names().length === 0)
  })

  it('does not disturb what has not changed', async () => {
    service('one', { probe: 'redis' })
    configure({ annotations: true })
    await settled()
    const [before] = jobs()
    service('two', { probe: 'redis' })
    await eventually(() => names().length === 2)
    expect(jobs().find(({ name }) => name === 'shop_one')).toBe(before)
    const applied = calls.length
    // Nothing of this concerns a probe.
    service('one', { probe: 'redis' }, { labels: { irrelevant: 'yes' } })
    service('plain', {})
    await settled()
    expect(calls.length).toBe(applied)
  })

  it('by rules for every role, with names and labels from templates', async () => {
    const meta = (name: string, labels = {}) => ({ name, namespace: 'shop', labels: { app: 'redis', team: 'cart', ...labels } })
    api.put({ apiVersion: 'v1', kind: 'Service', metadata: meta('redis'), spec: { ports: [{ name: 'redis', port: 6379 }] } })
    api.put({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: meta('redis-x7k2', { 'kubernetes.io/service-name': 'redis' }), ports: [{ name: 'redis', port: 6379 }], endpoints: [
      { addresses: ['10.1.0.1'], nodeName: 'a', zone: 'z1', conditions: { ready: true } }, { addresses: ['10.1.0.2'], conditions: { ready: false } }, { addresses: ['10.1.0.3'], conditions: null },
    ] })
    api.put({ apiVersion: 'v1', kind: 'Pod', metadata: meta('redis-0'), spec: { nodeName: 'a', containers: [{ ports: [{ containerPort: 6379 }] }] }, status: { phase: 'Running', podIP: '10.1.0.1' } })
    api.put({ apiVersion: 'v1', kind: 'Pod', metadata: meta('redis-1'), spec: { containers: [] }, status: { phase: 'Pending' } })
    api.put({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: meta('front'), spec: {
      tls: [{ hosts: ['*.example.org'] }],
      rules: [{ host: 'shop.example.org', http: { paths: [{ path: '/cart', pathType: 'Prefix' }, { path: '/a(.*)', pathType: 'ImplementationSpecific' }] } }, { host: '*.example.net' }, { host: 'plain.example.net' }],
    } })
    api.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'a', labels: { app: 'redis' } }, status: { addresses: [{ type: 'Hostname', address: 'a' }, { type: 'InternalIP', address: '192.0.2.7' }] } })
    const labels = { team: '{label:team}', missing: '{label:none}' }
    configure({ rules: [
      { role: 'service', selector: 'app=redis', probe: { type: 'redis', name: 'svc-{namespace}-{name}', target: '{address}:{port:redis}', labels } },
      { role: 'endpointslice', selector: 'app in (redis, valkey)', probe: { type: 'redis', name: 'ep-{name}', target: '{address}:{port:redis}' } },
      { role: 'pod', selector: 'app', probe: { type: 'tcp', name: 'pod-{name}', target: '{address}:6379' } },
      { role: 'ingress', probe: { type: 'http', name: 'in-{name}' } },
      { role: 'node', selector: 'app=redis', probe: { type: 'ping', name: 'node-{name}', target: '{address}' } },
    ] })
    await settled()
    expect(problems()).toEqual([])
    expect(jobs().map(({ name, target }) => `${name} ${target}`).toSorted()).toEqual([
      'ep-redis 10.1.0.1:6379', 'ep-redis 10.1.0.3:6379',
      'in-front http://plain.example.net/', 'in-front https://shop.example.org/', 'in-front https://shop.example.org/cart',
      'node-a 192.0.2.7', 'pod-redis-0 10.1.0.1:6379', 'svc-shop-redis redis.shop.svc.cluster.local:6379',
    ])
    expect(jobs().find(({ name }) => name === 'svc-shop-redis')?.labels).toEqual({ team: 'cart', cluster: 'room', namespace: 'shop' })
    expect(jobs().find(({ name }) => name === 'node-a')?.labels).toEqual({ cluster: 'room' })
  })

  it('asks for nothing but the namespaces that are named, where some are', async () => {
    service('a', { probe: 'redis' }, { namespace: 'shop' })
    service('b', { probe: 'redis' }, { namespace: 'db' })
    service('c', { probe: 'redis' }, { namespace: 'other' })
    configure({ annotations: true, namespaces: ['shop', 'db'] })
    await settled()
    expect(names()).toEqual(['db_b', 'shop_a'])
    expect(api.requests().every(({ path }) => /^\/api\/v1\/namespaces\/(?:shop|db)\/services\?/.test(path))).toBe(true)
  })

  it('one source that may not be asked does not hold up the others', async () => {
    service('a', { probe: 'redis' })
    api.forbid('GET /apis/networking.k8s.io/v1/ingresses')
    configure({ annotations: ['service', 'ingress'] })
    await settled()
    expect(names()).toEqual(['shop_a'])
    expect(discovery.status().sources).toMatchObject([{ source: 'service', targets: 1 }, { source: 'ingress', freshAt: undefined, trouble: { trouble: 'forbidden' } }])
    expect(discovery.status().errors).toContainEqual({ cluster: 'room', trouble: 'forbidden', count: 1 })
    expect(lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('other sources go on') as unknown, fields: { cluster: 'room', source: 'ingress', trouble: 'forbidden' } }])
  })
})

it('what the API will not list holds up nothing else of a source, and one that watches nothing is up to date', async () => {
  api.forbid('GET /api/v1/secrets')
  api.put({ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration', metadata: { name: 'policy' }, webhooks: [{ name: 'a.example.org', clientConfig: { caBundle: 'eA==' } }] })
  configure({ health: ['certificates', 'host'] })
  await settled()
  expect(discovery.status().sources).toMatchObject([{ source: 'certificates', targets: 1, trouble: undefined, leftOut: [{ what: 'secrets' }] }, { source: 'host', trouble: undefined }])
  for (const { freshAt } of discovery.status().sources) expect(freshAt).toBeGreaterThan(0)
  expect(jobs().map(({ target }) => target)).toEqual([expect.stringContaining('policy')])
  expect(lines).toEqual([])
  expect(discovery.status().refused).toEqual([])
})

it('a probe is the same one when its object changes, and runs anew', async () => {
  const put = (text: string) => api.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'web', namespace: 'shop' }, type: 'kubernetes.io/tls', data: { 'tls.crt': Buffer.from(text).toString('base64') } })
  put('old')
  configure({ health: ['certificates'] })
  await settled()
  const before = jobs()
  put('new')
  await eventually(() => jobs()[0]?.fingerprint !== before[0]?.fingerprint)
  expect(jobs().map(({ id, target }) => [id, target])).toEqual([[before[0]?.id, 'secret/shop/web']])
})

describe('while the API is away', () => {
  it('the last good list stays; it is told once, and once when it is over', async () => {
    service('a', { probe: 'redis' })
    service('b', { probe: 'redis' })
    configure({ annotations: ['service', 'pod'] })
    await settled()
    const applied = calls.length
    const end = api.fault('GET ', { status: 503 })
    api.dropConnections()
    await eventually(() => discovery.status().sources.every(({ trouble }) => trouble !== undefined))
    await settled()
    expect(names()).toEqual(['shop_a', 'shop_b'])
    expect(calls.length).toBe(applied)
    expect(discovery.status().sources[0]?.freshAt).toBeGreaterThan(0)
    end()
    service('c', { probe: 'redis' })
    await eventually(() => names().length === 3)
    await eventually(() => discovery.status().sources.every(({ trouble }) => trouble === undefined))
    const told = lines.filter(({ message }) => message.startsWith('the cluster can'))
    const kinds = new Set(told.map(({ fields }) => fields['trouble']))
    expect(told.filter(({ level }) => level === 'warn')).toHaveLength(kinds.size)
    // One kind of trouble may have turned into another, which is not the end of it.
    expect(told.findIndex(({ level }) => level === 'info')).toBe(kinds.size)
    expect(told.at(-1)!.level).toBe('info')
  })

  it('what a role does not allow is told of each source, and is not over because the API is away', async () => {
    const denied = [api.fault('GET /api/v1/pods', { status: 403 }), api.fault('GET /api/v1/services', { status: 403 })]
    configure({ annotations: ['service', 'pod'] })
    const told = () => lines.filter(({ message }) => /cannot|again$/.test(message)).map(({ level, fields }) => `${level} ${'source' in fields ? String(fields['source']) : 'all'} ${String(fields['trouble'])}`)
    await eventually(() => told().length === 2)
    expect(told().toSorted()).toEqual(['warn pod forbidden', 'warn service forbidden'])
    for (const end of denied) end()
    const end = api.fault('GET ', { status: 503 })
    await eventually(() => told().length === 3)
    await eventually(() => discovery.status().sources.every(({ trouble }) => trouble?.trouble === 'server'))
    expect(told().slice(2)).toEqual(['warn all server'])
    end()
    await eventually(() => told().length === 4)
    expect(told().at(-1)).toBe('info all server')
  }, 20_000)

  it('nothing is applied before the first list', async () => {
    api.fault('GET ', { status: 500 })
    configure({ annotations: true })
    await settled()
    expect(calls).toEqual([])
  })
})

it('a look that is interrupted waits for no Secret', async () => {
  service('redis', { probe: 'redis', secret: 'login' })
  api.fault('GET /api/v1/namespaces/shop/secrets/', 'hang')
  configure({ annotations: true, secrets: true })
  const interrupt = new AbortController()
  const looked = discovery.settled(600_000, interrupt.signal)
  await eventually(() => api.requests().some(({ path }) => path.endsWith('/secrets/login')))
  interrupt.abort(new Error('interrupted'))
  await expect(looked).rejects.toThrow('interrupted')
})

describe('a tenant', () => {
  it('gets the login of a Secret of its own namespace, anew when it changes, and it is shown nowhere', async () => {
    const secret = (password: string, username?: string) => api.put({
      apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace: 'shop' },
      data: { password: Buffer.from(password).toString('base64'), ...(username === undefined ? {} : { username: Buffer.from(username).toString('base64') }) },
    })
    secret('canary-hunter2', 'probe')
    service('redis', { probe: 'redis', secret: 'login' })
    service('denied', { probe: 'redis', secret: 'absent' })
    service('nowhere', { probe: 'ping', secret: 'login' })
    configure({ annotations: true, secrets: true })
    await settled()
    expect(names()).toEqual(['shop_redis'])
    // Its own login failing is a failure again.
    expect(jobs()).toMatchObject([{ discovered: false }])
    expect(problems()).toEqual([
      'Service shop/denied: curlew.dev/secret: there is no such Secret in the namespace',
      'Service shop/nowhere: annotation curlew.dev/probe: the probe type ping logs in nowhere',
    ])
    expect(api.requests().filter(({ path }) => path.includes('/secrets')).map(({ path }) => path)).toEqual(expect.arrayContaining(['/api/v1/namespaces/shop/secrets/login', '/api/v1/namespaces/shop/secrets/absent']))
    expect(api.requests().some(({ path }) => /secrets(?:\?|$)/.test(path))).toBe(false)
    expect(JSON.stringify([discovery.status(), discovery.chosen(), discovery.refused(), lines, [...sources]])).not.toContain('canary-hunter2')
    expect(jobs()[0]?.hide?.('AUTH canary-hunter2')).toBe('AUTH <secret>')
    // A password that is a word hides it nowhere else.
    expect(redact('AUTH canary-hunter2')).toBe('AUTH canary-hunter2')
  })

  it('reaches no other namespace\'s Secret, no other host, and no variable of Curlew\'s', async () => {
    api.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace: 'other' }, data: { password: Buffer.from('stolen-password').toString('base64') } })
    process.env['CURLEW_TEST_CANARY'] = 'canary-of-the-environment'
    service('a', { probe: 'redis', secret: 'login' })
    service('b', { probe: 'redis', secret: '../../other/secrets/login' })
    service('c', { probe: 'http', port: '80', path: '//evil.example/' })
    service('d', { probe: 'http', port: '80', path: '/', options: '{"marker": "${CURLEW_TEST_CANARY}${file:/etc/passwd}"}' })
    service('e', { probe: 'http' }, { spec: { type: 'ExternalName', externalName: 'metadata.example.org' } })
    service('f', { probe: 'http', port: '80', options: '{"follow_redirects": true}' })
    configure({ annotations: true, secrets: true })
    await settled()
    delete process.env['CURLEW_TEST_CANARY']
    expect(jobs().map(({ name, host }) => [name, host])).toEqual([['shop_c', 'c.shop.svc.cluster.local'], ['shop_d', 'd.shop.svc.cluster.local']])
    expect(problems()).toEqual([
      'Service shop/a: curlew.dev/secret: there is no such Secret in the namespace',
      'Service shop/b: curlew.dev/secret: expected the name of a Secret of the same namespace',
      expect.stringContaining('Service shop/e: curlew.dev/probe: what the object names may be anywhere'),
      expect.stringContaining('Service shop/f: curlew.dev/options: follow_redirects: expected one of '),
    ])
    expect(api.requests().some(({ path }) => path.includes('/namespaces/other/'))).toBe(false)
  })

  it('leads a rule nowhere by its labels and annotations', async () => {
    api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'shop', annotations: { where: '.evil.example' } }, spec: {} })
    api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'b', namespace: 'shop', annotations: { where: '/health' } }, spec: {} })
    configure({ rules: [{ role: 'service', probe: { type: 'http', target: 'http://{address}{annotation:where}' } }] })
    await settled()
    expect(jobs().map(({ target }) => target)).toEqual(['http://b.shop.svc.cluster.local/health'])
    expect(problems()).toEqual([expect.stringMatching(/^Service shop\/a: rule 1 .*another host/)])
  })

  it('has a quota; what runs is not pushed out by what is new, and the others are not touched', async () => {
    for (const name of ['m', 'n']) service(name, { probe: 'redis' })
    service('x', { probe: 'redis' }, { namespace: 'db' })
    configure({ annotations: true, quota: 3 })
    await settled()
    for (const name of ['a', 'b', 'c']) service(name, { probe: 'redis' })
    await eventually(() => problems().length > 0)
    await settled()
    expect(names()).toEqual(['db_x', 'shop_a', 'shop_m', 'shop_n'])
    expect(problems()).toEqual(['Namespace shop: more than 3 targets: the rest is left out (discovery.kubernetes.quota)'])
    expect(discovery.status().refusedCounts).toEqual([{ cluster: 'room', namespace: 'shop', count: 2 }])
  })

  it('has no more paths through an ingress than its quota, and leads none of what it chooses to this machine', async () => {
    const hosts = Array.from({ length: 5 }, (_, index) => `h${index}.example.org`)
    api.put({
      apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'front', namespace: 'shop', annotations: { 'curlew.dev/path': '/', 'curlew.dev/probe': 'http' } },
      spec: { rules: hosts.map((host) => ({ host, http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'x', port: { number: 80 } } } }] } })) },
    })
    service('redis', { probe: 'redis' })
    api.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } })
    configure({ health: ['paths'], annotations: ['service', 'ingress'], quota: 3, rules: [{ role: 'node', probe: { type: 'ping', name: 'node-{name}', target: '{address}' } }] })
    await settled()
    expect(jobs().map(({ name, guard }) => `${name} ${guard}`).toSorted()).toEqual(['node-n1 undefined', 'paths name', 'paths name', 'paths name'])
    expect(problems()).toEqual(['Namespace shop: more than 3 targets: the rest is left out (discovery.kubernetes.quota)'])
    configure({ annotations: ['service', 'ingress'] })
    await settled()
    expect(jobs().map(({ name, guard }) => `${name} ${guard}`).toSorted()).toEqual([...hosts.map(() => 'shop_front name'), 'shop_redis address'])
  })

  it('cannot lead a rule into the cluster by the host of an Ingress', async () => {
    api.put({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'front', namespace: 'shop' }, spec: { rules: ['admin.kube-system.svc.cluster.local', 'shop.example.org'].map((host) => ({ host })) } })
    configure({ rules: [{ role: 'ingress', probe: { type: 'http', name: 'in-{name}' } }] })
    await settled()
    expect(jobs().map(({ target, guard }) => [target, guard])).toEqual([['http://shop.example.org/', 'name']])
    expect(problems()).toEqual(['Ingress shop/front: rule 1 of discovery.kubernetes.rules: admin.kube-system.svc.cluster.local: expected a host outside the cluster'])
  })

  it('with 10,000 services costs a line of the log, not the prober', async () => {
    for (let index = 0; index < 10_000; index++) service(`s${index}`, { probe: 'redis', options: index % 2 === 0 ? '{"db": 1}' : '{"password": "x"}' })
    service('x', { probe: 'redis' }, { namespace: 'db' })
    configure({ annotations: true })
    await settled()
    expect(names()).toHaveLength(101)
    expect(names()[0]).toBe('db_x')
    expect(lines.length).toBeLessThan(30)
    expect(discovery.status().refused.length).toBeLessThanOrEqual(500)
    expect(discovery.status().refusedCounts).toEqual([{ cluster: 'room', namespace: 'shop', count: 9_900 }])
  })

  it('with annotations that take long to read hurts its own namespace alone', async () => {
    const yaml = Array.from({ length: 150 }, (_, index) => `k${index}: {a: [1, 2, "${index}"]}`).join('\n').slice(0, 4_000)
    const suffixes = Array.from({ length: 10 }, (_, index) => [[`probe.p${index}`, 'redis'], [`options.p${index}`, `# ${index}\n${yaml}`]]).flat()
    for (let index = 0; index < 25; index++) service(`s${index}`, Object.fromEntries(suffixes) as Record<string, string>)
    service('x', { probe: 'redis' }, { namespace: 'db' })
    configure({ annotations: true, quota: 8 })
    await settled()
    expect(names()).toEqual(['db_x'])
    // Two objects are within the bound: 8 times 10,240 characters.
    expect(problems().filter((problem) => problem.includes('not read: '))).toHaveLength(23)
    expect(problems().find((problem) => problem.includes('not read: '))).toMatch(/^Service shop\/s\d+: not read: the annotations of the namespace's objects have more than 81920 characters/)
  })

  it('has no annotations that fill the memory', async () => {
    service('big', Object.fromEntries([['probe', 'redis'], ...Array.from({ length: 20 }, (_, index) => [`options.p${index}`, 'x'.repeat(4_000)])]) as Record<string, string>)
    service('good', { probe: 'redis' })
    configure({ annotations: true })
    await settled()
    expect(names()).toEqual(['shop_good'])
    expect(problems()).toEqual(['Service shop/big: curlew.dev/: expected at most 65536 characters in all annotations of the object'])
  })

  it('gets a Secret for each target that it may have, and no more', async () => {
    for (const name of ['a', 'b']) {
      api.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' }, data: { password: 'eA==' } })
      service(name, { probe: 'redis', secret: name })
    }
    configure({ annotations: true, secrets: true, quota: 1 })
    await settled()
    expect(problems()).toEqual(['Service shop/b: curlew.dev/secret: expected at most 1 Secrets of one namespace'])
    expect(api.requests().some(({ path }) => path.endsWith('/secrets/b'))).toBe(false)
  })

  it('is told once of a mistake, and again only when it makes another one', async () => {
    service('bad', { probe: 'nonsense' })
    service('good', { probe: 'redis' })
    configure({ annotations: true })
    await settled()
    service('good2', { probe: 'redis' })
    await eventually(() => names().length === 2)
    const told = () => lines.filter(({ message }) => message === 'not probed as it asks to be')
    expect(told()).toMatchObject([{ level: 'warn', fields: { cluster: 'room', object: 'Service shop/bad' } }])
    service('bad', { probe: 'redis', port: 'x' })
    await eventually(() => told().length === 2)
  })

  it('depends on probes of its own namespace, or of the config, and on no circle', async () => {
    service('a', { 'probe': 'redis', 'depends-on': 'b, dns' })
    service('b', { 'probe': 'redis', 'depends-on': 'a' })
    service('c', { 'probe': 'redis', 'depends-on': 'x' })
    service('x', { probe: 'redis' }, { namespace: 'db' })
    configure({ annotations: true }, { jobs: [testJob({ name: 'dns' })] })
    await settled()
    const of = (name: string) => jobs().find((job) => job.name === name)?.dependsOn.map(({ probe }) => probe)
    expect(of('shop_a')).toEqual(['shop_b', 'dns'])
    expect(of('shop_b')).toEqual([])
    expect(of('shop_c')).toEqual([])
    expect(problems()).toEqual(['Service shop/b: curlew.dev/depends-on: a: a circle of dependencies', 'Service shop/c: curlew.dev/depends-on: x: expected a probe of the same namespace or of Curlew\'s config'])
  })
})

describe('what cannot both be', () => {
  it('of two objects that make the same probe the first by name stays', async () => {
    const labels = { app: 'redis' }
    for (const name of ['b', 'a']) api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop', labels }, spec: {} })
    configure({ rules: [{ role: 'service', selector: 'app=redis', probe: { type: 'redis', name: 'redis', target: 'redis.example.org' } }] })
    await settled()
    expect(jobs()).toHaveLength(1)
    expect(problems()).toEqual(['Service shop/b: redis/redis.example.org:6379 is already the probe of Service shop/a'])
  })

  it('the config\'s own probe stays', async () => {
    service('redis', { probe: 'redis' })
    configure({ annotations: true }, { jobs: [testJob({ name: 'shop_redis' })] })
    await settled()
    expect(jobs()).toEqual([])
    expect(problems()).toEqual(['Service shop/redis: the config has a probe shop_redis, which stays'])
  })

  it('two clusters: each has names of its own, and a rule is told to make some', async () => {
    other = await startKubeApi({ plain: true })
    service('redis', { probe: 'redis' }, { labels: { app: 'redis' } })
    other.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'redis', namespace: 'shop', labels: { app: 'redis' }, annotations: { 'curlew.dev/probe': 'redis' } }, spec: { ports: [{ port: 6379 }] } })
    for (const one of [api, other]) one.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } })
    configure({ health: ['nodes'], annotations: true, rules: [{ role: 'service', selector: 'app', probe: { type: 'tcp', name: 'x-{name}', target: '{address}:1' } }] }, {
      clusters: [{ name: 'a', kubeconfig: api.kubeconfig(), inside: true }, { name: 'b', kubeconfig: other.kubeconfig(), inside: true }],
    })
    await settled()
    expect(jobs().map(({ name, labels }) => `${name} ${labels['cluster']}`).toSorted()).toEqual(['a_kube-node a', 'a_shop_redis a', 'b_kube-node b', 'b_shop_redis b', 'x-redis a'])
    expect(problems()).toEqual(['Service shop/redis: x-redis/redis.shop.svc.cluster.local:1 is already the probe of Service shop/redis in the cluster a: put {cluster} into the name'])
  })

  it('limits of targets and series hold', async () => {
    for (const name of ['a', 'b', 'c']) service(name, { probe: 'redis' })
    configure({ annotations: true, targets: 2 })
    await settled()
    expect(names()).toHaveLength(2)
    configure({ annotations: true }, { series: 15 })
    await settled()
    expect(names()).toHaveLength(1)
    expect(problems()).toEqual(['cluster room: more series than limits.series of the config allows: the rest is left out'])
  })
})

describe('a cluster that Curlew is not inside of', () => {
  it('is asked for nothing but what can be reached from outside', async () => {
    service('redis', { probe: 'redis' })
    api.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } })
    const at = (host: string) => ({ spec: { tls: [{ hosts: [host] }], rules: [{ host, http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] } }] } })
    api.put({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'web', namespace: 'shop', annotations: { 'curlew.dev/probe': 'http' } }, ...at('shop.example.org') })
    configure({ annotations: ['service', 'ingress'], health: ['api', 'dns', 'nodes'] }, { clusters: [{ name: 'room', kubeconfig: api.kubeconfig() }] })
    await settled()
    expect(names()).toEqual(['kube-node', 'shop_web'])
    expect([...sources.keys()].toSorted()).toEqual(['kubernetes:room:api', 'kubernetes:room:ingress', 'kubernetes:room:nodes'])
    expect(api.requests().filter(({ path }) => /\/(pods|configmaps)|^\/api\/v1\/services/.test(path))).toEqual([])
  })
})

describe('a reload', () => {
  it('that changes nothing asks nothing anew; one that changes a part replaces that part', async () => {
    service('redis', { probe: 'redis' })
    api.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } })
    const file = api.kubeconfig()
    const clusters = [{ name: 'room', kubeconfig: file, inside: true }]
    configure({ annotations: true }, { clusters })
    await settled()
    // The list is followed by the watch.
    await eventually(() => api.requests().some(({ path }) => path.startsWith('/api/v1/services') && path.includes('watch=')))
    const asked = api.requests().length
    const before = jobs()[0]
    configure({ annotations: true }, { clusters })
    await settled()
    expect(api.requests().length).toBe(asked)
    // What annotations may ask for is no matter of what is watched.
    configure({ annotations: true }, { clusters, top: { every: '10s' } })
    configure({ annotations: true, rules: [{ role: 'node', probe: { type: 'ping', name: 'node-{name}', target: '{address}' } }] }, { clusters })
    await settled()
    expect(names()).toEqual(['node-n1', 'shop_redis'])
    expect(jobs().find(({ name }) => name === 'shop_redis')).toBe(before)
    expect(api.requests().slice(asked).some(({ path }) => path.startsWith('/api/v1/services'))).toBe(false)
    await eventually(() => api.watches().length === 2)
    configure({ rules: [{ role: 'node', probe: { type: 'ping', name: 'node-{name}', target: '{address}' } }] }, { clusters })
    await settled()
    expect(names()).toEqual(['node-n1'])
    // What nobody wants any more is not watched either.
    await eventually(() => api.watches().length === 1)
  })
})
