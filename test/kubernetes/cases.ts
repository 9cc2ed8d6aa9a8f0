import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { clusterClient } from '../../src/kubernetes/client.ts'
import { createInformer } from '../../src/kubernetes/informer.ts'
import { createElector } from '../../src/kubernetes/lease.ts'
import { KubeError, type KubeTrouble, type Project, type Selection, type WatchEvent, type WatchingClient } from '../../src/kubernetes/model.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'

export interface Server {
  /** Of one who may do everything. */
  readonly kubeconfig: string
  /** A watch of so many seconds has a bookmark before its end: the real one sends it two seconds earlier. */
  readonly bookmarkSeconds: number
  /** Makes versions of events before now too old; what lives on has done that with its first ones by itself. */
  compact(): Promise<unknown>
  /** Where nothing is compacted at will: the same `continue` of the first version. */
  readonly aged?: (token: string) => string
  stop(): unknown
}

/**
 * What any API server does, as far as Curlew relies on it. The project's own and the real one run the same cases, so that
 * tests on the first say something of the second. Everything is made in a namespace of the run.
 */
export function kubeCases(start: () => Promise<Server>): void {
  const owner = createOwner()
  const namespace = `curlew-test-${randomBytes(4).toString('hex')}`
  const inNamespace = (plural: string, root = '/api/v1') => `${root}/namespaces/${namespace}/${plural}`
  const maps = inNamespace('configmaps')
  let server: Server
  let client: WatchingClient

  beforeAll(async () => {
    server = await owner.started(start())
    client = clusterClient({ name: 'test', kubeconfig: server.kubeconfig })
    await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
  }, 90_000)
  afterAll(async () => {
    // Of a cluster that lives on; a namespace takes all that is in it along.
    await client?.json({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` }).catch(() => undefined)
    client?.close()
    await owner.end()
  })

  const create = (path: string, body: object) => client.json({ method: 'POST', path, body })
  const map = (name: string, labels: Readonly<Record<string, string>> = {}, data: Readonly<Record<string, string>> = { a: '1' }) => (
    create(maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data })
  )
  /** Events are listed and watched past the API server's cache. */
  const event = (name: string) => create(inNamespace('events'), { apiVersion: 'v1', kind: 'Event', metadata: { name }, involvedObject: { namespace } })
  const replace = (name: string, metadata: object, data = { a: '2' }) => client.json({ method: 'PUT', path: `${maps}/${name}`, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data } })
  const remove = (name: string) => client.json({ method: 'DELETE', path: `${maps}/${name}` })

  function informed<T>(selection: Selection, project: Project<T>) {
    let changes = 0
    const informer = createInformer({ client, selection, project, onChange: () => { changes++ } })
    onTestFinished(() => informer.stop())
    return { informer, changes: () => changes, names: () => [...informer.items().keys()].map((key) => key.replace(`${namespace}/`, '')).toSorted() }
  }

  describe('a Lease', () => {
    const elector = (identity: string) => {
      const made = createElector({ client, namespace, name: 'curlew', identity, durationMs: 3_000, onTurn: () => {}, onTrouble: () => {} })
      onTestFinished(() => made.stop(1_000))
      return made
    }
    const held = async () => (await client.json({ path: `${inNamespace('leases', '/apis/coordination.k8s.io/v1')}/curlew` }) as { spec: object }).spec

    it('is held by one, given back by it when it stops, and taken by the next', async () => {
      const first = elector('first')
      await eventually(() => first.active())
      expect(await held()).toEqual({
        holderIdentity: 'first', leaseDurationSeconds: 3, leaseTransitions: 0,
        acquireTime: expect.stringMatching(/\.\d{6}Z$/) as string, renewTime: expect.stringMatching(/\.\d{6}Z$/) as string,
      })
      const second = elector('second')
      await eventually(() => second.holder() === 'first')
      await first.stop(1_000)
      await eventually(() => second.active())
      expect(await held()).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 })
      await client.json({ method: 'DELETE', path: `${inNamespace('leases', '/apis/coordination.k8s.io/v1')}/curlew` })
      await eventually(async () => await held().catch(() => undefined))
      expect([second.active(), await held()]).toMatchObject([true, { holderIdentity: 'second' }])
    })
  })

  describe('health', () => {
    it('is told by status codes, of all and of one check', async () => {
      expect(await client.text({ path: '/livez' })).toEqual({ status: 200, text: 'ok' })
      expect(await client.text({ path: '/readyz' })).toEqual({ status: 200, text: 'ok' })
      expect(await client.text({ path: '/readyz/ping' })).toEqual({ status: 200, text: 'ok' })
      // Not below /readyz: OpenShift keeps etcd out of it.
      expect(await client.text({ path: '/livez/etcd' })).toEqual({ status: 200, text: 'ok' })
      expect((await client.text({ path: '/readyz/nonesuch' })).status).toBe(404)
    })

    it('lists its checks', async () => {
      const { status, text } = await client.text({ path: '/readyz?verbose' })
      expect(status).toBe(200)
      expect(text).toMatch(/^\[\+\]ping ok$/m)
      expect(text).toMatch(/^readyz check passed$/m)
      expect((await client.text({ path: '/livez?verbose' })).text).toMatch(/^livez check passed$/m)
    })

    it('is a metric a check', async () => {
      const { status, text } = await client.text({ path: '/metrics/slis' })
      expect(status).toBe(200)
      expect(text).toMatch(/^kubernetes_healthcheck\{name="etcd",type="livez"\} [01]$/m)
    })

    it('names its version', async () => {
      expect(await client.json({ path: '/version' })).toMatchObject({ major: '1', minor: expect.stringMatching(/^\d+/), gitVersion: expect.stringMatching(/^v\d+\.\d+\.\d+/) })
    })
  })

  describe('objects', () => {
    it('are created with a version, once', async () => {
      expect(await map('once')).toMatchObject({
        kind: 'ConfigMap', apiVersion: 'v1', data: { a: '1' },
        metadata: { name: 'once', namespace, resourceVersion: expect.stringMatching(/^\d+$/), uid: expect.stringMatching(/^[-0-9a-f]{36}$/), creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) },
      })
      await expectRefused(map('once'), 'conflict', 409, 'configmaps "once" already exists')
    })

    it('are replaced by whom knows their version', async () => {
      const first = versionOf(await map('replaced'))
      const second = versionOf(await replace('replaced', { resourceVersion: first }))
      expect(second).not.toBe(first)
      await expectRefused(replace('replaced', { resourceVersion: first }), 'conflict', 409, 'Operation cannot be fulfilled on configmaps "replaced": the object has been modified')
      expect(await client.json({ path: `${maps}/replaced` })).toMatchObject({ data: { a: '2' }, metadata: { resourceVersion: second } })
    })

    it('are written without a version by whom does not care', async () => {
      await map('careless')
      expect(await replace('careless', {}, { a: '3' })).toMatchObject({ data: { a: '3' } })
    })

    it('keep their version where nothing changes', async () => {
      const first = versionOf(await map('same', {}, { a: '2' }))
      expect(versionOf(await replace('same', {}))).toBe(first)
    })

    it('are patched by what is merged', async () => {
      await map('patched', { kept: 'yes' }, { a: '1', b: '2' })
      const patched = await client.json({ method: 'PATCH', path: `${maps}/patched`, body: { data: { a: '9', b: null } } })
      expect(patched).toMatchObject({ data: { a: '9' }, metadata: { labels: { kept: 'yes' } } })
      expect(patched).not.toHaveProperty('data.b')
      await expectRefused(client.json({ method: 'PATCH', path: `${maps}/patched`, body: { metadata: { resourceVersion: '1' }, data: { a: '10' } } }), 'conflict', 409, 'the object has been modified')
    })

    it('are not kept after a dry run', async () => {
      await create(`${maps}?dryRun=All`, { metadata: { name: 'dry' }, data: {} })
      await expectRefused(client.json({ path: `${maps}/dry` }), 'not_found', 404, 'configmaps "dry" not found')
    })

    it('are deleted once', async () => {
      await map('deleted')
      await remove('deleted')
      await expectRefused(remove('deleted'), 'not_found', 404, 'configmaps "deleted" not found')
    })

    it('need their namespace', async () => {
      await expectRefused(create('/api/v1/namespaces/curlew-none/configmaps', { metadata: { name: 'x' } }), 'not_found', 404, 'namespaces "curlew-none" not found')
    })

    it('of a kind that is not there are not found', async () => {
      await expectRefused(client.json({ path: '/apis/nonesuch.example.org/v1/things' }), 'not_found', 404, '404 page not found')
      await expectRefused(client.json({ path: inNamespace('nonesuch') }), 'not_found', 404, '')
    })

    it('are called missing by the API itself; of a path that is none of its own it says nothing', async () => {
      await expect(client.json({ path: `${maps}/nobody` })).rejects.toMatchObject({ reason: 'NotFound' })
      await expect(client.json({ path: '/k8s/clusters/c-1/api/v1/nodes/a' })).rejects.toMatchObject({ reason: undefined })
    })
  })

  it('keeps a lease with microseconds, for one holder at a time', async () => {
    const leases = inNamespace('leases', '/apis/coordination.k8s.io/v1')
    const lease = (spec: object, metadata: object = {}) => ({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'one', ...metadata }, spec })
    const spec = { holderIdentity: 'a', leaseDurationSeconds: 15, renewTime: '2026-11-22T01:02:03.456789Z', leaseTransitions: 0 }
    const made = await create(leases, lease(spec))
    expect(made).toMatchObject({ spec })
    const resourceVersion = versionOf(made)
    await client.json({ method: 'PUT', path: `${leases}/one`, body: lease({ ...spec, holderIdentity: 'b' }, { resourceVersion }) })
    await expectRefused(client.json({ method: 'PUT', path: `${leases}/one`, body: lease({ ...spec, holderIdentity: 'c' }, { resourceVersion }) }), 'conflict', 409, 'leases.coordination.k8s.io "one"')
    await expectRefused(create(leases, lease(spec)), 'conflict', 409, 'leases.coordination.k8s.io "one" already exists')
  })

  describe('lists', () => {
    it('come in pages, in the order of names, and whole', async () => {
      const names = Array.from({ length: 510 }, (_, index) => `page-${String(index).padStart(4, '0')}`)
      for (let from = 0; from < names.length; from += 30) await Promise.all(names.slice(from, from + 30).map((name) => map(name, { paged: 'yes' })))
      const { items, resourceVersion } = await client.list({ path: maps, labelSelector: 'paged=yes' }, nameOf)
      expect(items).toEqual(names)
      expect(resourceVersion).toMatch(/^\d+$/)
    }, 30_000)

    it('go on where a page ended, and say so when there is no such place', async () => {
      const first = await client.json({ path: `${maps}?limit=2&labelSelector=paged%3Dyes` })
      expect(first).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1', metadata: { continue: expect.stringMatching(/./) } })
      await expectRefused(client.json({ path: `${maps}?limit=2&continue=nonsense` }), 'protocol', 400, 'continue key is not valid')
    })

    it('cannot go on once their version is too old', async () => {
      for (const name of ['old-a', 'old-b']) await event(name)
      const first = await client.json({ path: `${inNamespace('events')}?limit=1` })
      await event('old-c')
      await server.compact()
      const { metadata: { continue: rest } } = first as { metadata: { continue: string } }
      await expectRefused(client.json({ path: `${inNamespace('events')}?limit=1&continue=${encodeURIComponent(server.aged?.(rest) ?? rest)}` }), 'gone', 410, 'The provided continue parameter is too old')
    })

    it('are empty where there is nothing', async () => {
      expect(await client.list({ path: inNamespace('endpointslices', '/apis/discovery.k8s.io/v1') }, nameOf)).toEqual({ items: [], resourceVersion: expect.stringMatching(/^\d+$/) })
    })

    it('hold objects without their kind', async () => {
      await map('kindless', { kindless: 'yes' })
      const { items: [first] } = await client.list({ path: maps, labelSelector: 'kindless' }, (raw) => raw)
      expect(first).toMatchObject({ metadata: { name: 'kindless' }, data: { a: '1' } })
      expect(first).not.toHaveProperty('kind')
      expect(first).not.toHaveProperty('apiVersion')
    })

    it.each([
      ['app=redis', 'sel-a,sel-b'], ['app==redis,role=master', 'sel-a'], ['app=redis,role!=master', 'sel-b'], ['app in (redis, mysql),role', 'sel-a,sel-b,sel-c'],
      ['app in (mysql),role notin (replica)', 'sel-c'], ['app,!role', 'sel-d'], ['app=none', ''],
    ])('select by labels: %s', async (labelSelector, expected) => {
      const wanted: [string, Record<string, string>][] = [['sel-a', { app: 'redis', role: 'master' }], ['sel-b', { app: 'redis', role: 'replica' }], ['sel-c', { app: 'mysql', role: 'master' }], ['sel-d', { app: 'other' }]]
      for (const [name, labels] of wanted) await replace(name, { labels }).catch(() => map(name, labels))
      expect((await client.list({ path: maps, labelSelector }, nameOf)).items.join(',')).toBe(expected)
    })

    it('select by fields', async () => {
      await map('field')
      expect((await client.list({ path: maps, fieldSelector: 'metadata.name=field' }, nameOf)).items).toEqual(['field'])
      const secrets = inNamespace('secrets')
      await create(secrets, { metadata: { name: 'tls' }, type: 'kubernetes.io/tls', data: { 'tls.crt': 'YQ==', 'tls.key': 'YQ==' } })
      await create(secrets, { metadata: { name: 'opaque' }, type: 'Opaque' })
      expect((await client.list({ path: secrets, fieldSelector: 'type=kubernetes.io/tls' }, nameOf)).items).toEqual(['tls'])
      expect((await client.list({ path: secrets, fieldSelector: 'type!=kubernetes.io/tls,metadata.namespace=x' }, nameOf)).items).toEqual([])
    })

    it('leave contents out where only metadata is asked for', async () => {
      await map('meta', { meta: 'yes' })
      const { items } = await client.list({ path: maps, labelSelector: 'meta=yes', metadataOnly: true }, (raw) => raw)
      expect(items).toHaveLength(1)
      expect(items[0]).toMatchObject({ metadata: { name: 'meta', namespace, labels: { meta: 'yes' } } })
      expect(items[0]).not.toHaveProperty('data')
    })
  })

  describe('watches', () => {
    it('tell what was added, modified and deleted since a version', async () => {
      const { resourceVersion } = await client.list({ path: maps, labelSelector: 'watched' }, nameOf)
      await map('watched', { watched: 'yes' })
      await replace('watched', { labels: { watched: 'yes' } })
      await remove('watched')
      const events = await watched({ path: maps, labelSelector: 'watched' }, resourceVersion, (seen) => seen.some(({ type }) => type === 'DELETED'))
      expect(events.filter(({ type }) => type !== 'BOOKMARK').map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED'])
      const versions = events.map(({ resourceVersion: version }) => Number(version))
      expect(versions).toEqual(versions.toSorted((a, b) => a - b))
      expect(events[0]?.object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1', data: { a: '1' } })
    })

    it('tell of what enters and leaves a selection', async () => {
      const { resourceVersion } = await client.list({ path: maps }, nameOf)
      await map('moving', { side: 'out' })
      await replace('moving', { labels: { side: 'in' } })
      await replace('moving', { labels: { side: 'out' } })
      const events = await watched({ path: maps, labelSelector: 'side=in' }, resourceVersion, (seen) => seen.some(({ type }) => type === 'DELETED'))
      expect(events.filter(({ type }) => type !== 'BOOKMARK').map(({ type }) => type)).toEqual(['ADDED', 'DELETED'])
    })

    it('end in peace after their time, with a bookmark before where anything has changed meanwhile', async () => {
      const { resourceVersion } = await client.list({ path: maps, labelSelector: 'quiet' }, nameOf)
      const events: WatchEvent[] = []
      await client.watch({ path: maps, labelSelector: 'quiet' }, { resourceVersion, seconds: server.bookmarkSeconds, signal: new AbortController().signal, onOpen: () => { void map('loud') }, onEvent: (event) => events.push(event) })
      expect(events.at(-1)).toMatchObject({ type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1' } })
      expect(Number(events.at(-1)?.resourceVersion)).toBeGreaterThan(Number(resourceVersion))
    })

    it('are refused with `gone` where the version is too old', async () => {
      await event('watch-old')
      await server.compact()
      await expectRefused(watched({ path: inNamespace('events') }, '1', () => false), 'gone', 410, 'The resourceVersion for the provided watch is too old.')
    })

    it('leave contents out where only metadata is asked for', async () => {
      const { resourceVersion } = await client.list({ path: maps }, nameOf)
      await map('meta-watched', { 'meta-watched': 'yes' })
      const [event] = await watched({ path: maps, labelSelector: 'meta-watched', metadataOnly: true }, resourceVersion, (seen) => seen.length > 0)
      expect(event).toMatchObject({ type: 'ADDED', object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'meta-watched' } } })
      expect(event?.object).not.toHaveProperty('data')
    })

    async function watched(selection: Selection, resourceVersion: string, enough: (events: readonly WatchEvent[]) => boolean): Promise<readonly WatchEvent[]> {
      const events: WatchEvent[] = []
      const ending = new AbortController()
      const onEvent = (event: WatchEvent) => {
        events.push(event)
        if (enough(events)) ending.abort()
      }
      await client.watch(selection, { resourceVersion, seconds: 5, signal: ending.signal, onOpen: () => {}, onEvent }).catch((error: unknown) => {
        if (!ending.signal.aborted) throw error
      })
      return events
    }
  })

  describe('an informer', () => {
    it('holds what there is and follows what changes', async () => {
      await map('inf-a', { inf: 'yes' })
      const { informer, changes, names } = informed({ path: maps, labelSelector: 'inf=yes' }, dataOf)
      await eventually(() => informer.synced())
      expect(changes()).toBe(1)
      expect(names()).toEqual(['inf-a'])
      await map('inf-b', { inf: 'yes' })
      await eventually(() => names().join() === 'inf-a,inf-b')
      await replace('inf-a', { labels: { inf: 'yes' } }, { a: 'new' })
      await eventually(() => informer.items().get(`${namespace}/inf-a`) === 'new')
      await replace('inf-b', { labels: { inf: 'no' } })
      await eventually(() => names().join() === 'inf-a')
      await remove('inf-a')
      await eventually(() => names().length === 0)
      expect(changes()).toBe(5)
      expect(informer.trouble()).toBeUndefined()
      expect(informer.freshAt()).toBeGreaterThan(Date.now() - 10_000)
    })

    it('leaves out what its projection leaves out, then and later', async () => {
      await map('proj-a', { proj: 'yes' }, { a: 'in' })
      const { informer, names } = informed({ path: maps, labelSelector: 'proj' }, (raw) => (dataOf(raw) === 'in' ? 'in' : undefined))
      await eventually(() => names().length === 1)
      await map('proj-b', { proj: 'yes' }, { a: 'out' })
      await replace('proj-a', { labels: { proj: 'yes' } }, { a: 'out' })
      await eventually(() => names().length === 0)
      await replace('proj-b', { labels: { proj: 'yes' } }, { a: 'in' })
      await eventually(() => names().join() === 'proj-b')
      expect(informer.items().get(`${namespace}/proj-b`)).toBe('in')
    })

    it('names what has no namespace by its name alone', async () => {
      const { names } = informed({ path: '/api/v1/namespaces', fieldSelector: `metadata.name=${namespace}` }, nameOf)
      await eventually(() => names().join() === namespace)
    })
  })

  describe('credentials', () => {
    it('that are wrong are refused, and read anew once their file says others', async () => {
      const { write } = owner.place()
      const account = await tokenOf('renewed')
      const file = write('token', 'eyJhbGciOiJSUzI1NiJ9.bm90aGluZw.bm90aGluZw')
      const other = clusterClient({ name: 'test', kubeconfig: write('kubeconfig', kubeconfigWith(server.kubeconfig, { tokenFile: file })) })
      onTestFinished(() => other.close())
      await expectRefused(other.json({ path: maps }), 'unauthorized', 401, 'Unauthorized')
      write('token', `${account}\n`)
      await expectRefused(other.json({ path: maps }), 'forbidden', 403, `configmaps is forbidden: User "system:serviceaccount:${namespace}:renewed" cannot list resource "configmaps" in API group "" in the namespace "${namespace}"`)
    })

    it('without a right are forbidden, in the server\'s words', async () => {
      const { write } = owner.place()
      const other = clusterClient({ name: 'test', kubeconfig: write('kubeconfig', kubeconfigWith(server.kubeconfig, { token: await tokenOf('nobody') })) })
      onTestFinished(() => other.close())
      await expectRefused(other.list({ path: '/api/v1/nodes' }, nameOf), 'forbidden', 403, 'nodes is forbidden')
      await expectRefused(other.json({ path: '/apis/discovery.k8s.io/v1/endpointslices' }), 'forbidden', 403, 'endpointslices.discovery.k8s.io is forbidden')
      expect((await other.text({ path: '/readyz' })).status).toBe(200)
    })

    async function tokenOf(name: string): Promise<string> {
      await create(inNamespace('serviceaccounts'), { metadata: { name } })
      const made = await create(inNamespace(`serviceaccounts/${name}/token`), { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } })
      return (made as { status: { token: string } }).status.token
    }
  })
}

/** The kubeconfig's cluster, as someone else. */
function kubeconfigWith(file: string, user: object): object {
  const { clusters, contexts, ...rest } = parse(readFileSync(file, 'utf8')) as { clusters: object[], contexts: { name: string, context: object }[] }
  return { ...rest, clusters, users: [{ name: 'other', user }], contexts: contexts.map(({ name, context }) => ({ name, context: { ...context, user: 'other' } })) }
}

/** That a call comes to nothing in this way; the sentence names the cluster and what the server said. */
async function expectRefused(calling: Promise<unknown>, trouble: KubeTrouble, status: number, words: string): Promise<void> {
  const error = await calling.then(() => undefined, (reason: unknown) => reason)
  expect(error).toBeInstanceOf(KubeError)
  expect(error).toMatchObject({ trouble, status, message: expect.stringContaining(words) as string })
  expect(String(error)).toMatch(/^KubeError: cluster test: \S+ \/\S+: /)
}

const nameOf = (raw: unknown) => (raw as { metadata: { name: string } }).metadata.name
const dataOf = (raw: unknown) => (raw as { data?: { a?: string } }).data?.a
const versionOf = (raw: unknown) => (raw as { metadata: { resourceVersion: string } }).metadata.resourceVersion
