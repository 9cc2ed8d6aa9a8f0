import dns from 'node:dns'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { clientOver, clusterClient } from '../../src/kubernetes/client.ts'
import { libraries } from '../../src/kubernetes/connection.ts'
import { KubeError, type WatchingClient } from '../../src/kubernetes/model.ts'
import { startKubeApi, type Fault } from '../support/kube-api.ts'
import { createOwner } from '../support/owner.ts'
import { eventually, freePort } from '../support/process.ts'
import { tcpServer } from '../support/tcp.ts'

// What a server that means well does not show; what it does is in cases.ts.
const owner = createOwner()
// The libraries are loaded by the first who asks, which is no part of what is measured here.
beforeAll(libraries)
afterEach(() => owner.end())

async function pair(timeoutMs = 10_000) {
  const api = await owner.started(startKubeApi())
  const client = await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', kubeconfig: api.kubeconfig(), timeoutMs })))
  return { api, client }
}
async function failure(calling: Promise<unknown>): Promise<KubeError> {
  const error = await calling.then(() => undefined, (reason: unknown) => reason)
  if (!(error instanceof KubeError)) throw new Error(`expected a KubeError, got ${String(error)}`)
  return error
}
const nodes = { path: '/api/v1/nodes?limit=5' }
const nameOf = (raw: unknown) => (raw as { metadata: { name: string } }).metadata.name

describe('a call', () => {
  it('has its time for itself: what is loaded for it is no delay of the cluster', async () => {
    const connection = {
      load: () => new Promise<void>((resolve) => { setTimeout(resolve, 60) }),
      session: () => Promise.reject(new KubeError('config', 'asked')), destroy: () => {},
    }
    const client = clientOver({ name: 'room-a', timeoutMs: 20 }, connection, () => {})
    for (const asked of [client.json(nodes), client.namespace()]) expect(await failure(asked)).toMatchObject({ trouble: 'config' })
  })

  it.each<[string, Fault, object]>([
    ['403', { status: 403, message: 'nodes is forbidden' }, { trouble: 'forbidden', status: 403, message: 'cluster room-a: GET /api/v1/nodes: not allowed (403): nodes is forbidden' }],
    ['429', { status: 429, retryAfter: '7' }, { trouble: 'throttled', status: 429, retryAfterMs: 7_000 }],
    ['503', { status: 503, retryAfter: '1', message: 'etcd is away' }, { trouble: 'server', status: 503, retryAfterMs: 1_000, message: 'cluster room-a: GET /api/v1/nodes: answered 503: etcd is away' }],
    ['500 of a proxy', { status: 500, body: '<html>Oh</html>' }, { trouble: 'server', message: 'cluster room-a: GET /api/v1/nodes: answered 500' }],
    ['410', { status: 410 }, { trouble: 'gone' }],
    ['302', { status: 302 }, { trouble: 'protocol', message: expect.stringContaining('answered 302') }],
    ['an answer that is not JSON', { status: 200, body: '{"kind": "NodeLi' }, { trouble: 'protocol', message: 'cluster room-a: GET /api/v1/nodes: the answer is not JSON' }],
    ['no answer', 'hang', { trouble: 'timeout', message: 'cluster room-a: GET /api/v1/nodes: no whole answer within 200 ms' }],
    ['a connection that drops', 'drop', { trouble: 'unreachable' }],
    ['a connection that drops in the answer', { cut: 20 }, { trouble: 'unreachable' }],
    ['an answer that stops in the middle', { stall: 20 }, { trouble: 'timeout', message: 'cluster room-a: GET /api/v1/nodes: no whole answer within 200 ms' }],
  ])('says what became of it: %s', async (_, fault, expected) => {
    const { api, client } = await pair()
    api.fault('GET /api/v1/nodes', fault)
    // What answers has time enough on a busy machine too.
    const timeoutMs = fault === 'hang' || (typeof fault === 'object' && 'stall' in fault) ? 200 : 8_000
    expect(await failure(client.json({ ...nodes, timeoutMs }))).toMatchObject(expected)
  })

  it('rejects once, whom it was closed under while it was loading', async () => {
    const { client } = await pair()
    const asked = client.server()
    client.close()
    expect(await failure(asked)).toMatchObject({ trouble: 'unreachable', message: 'cluster room-a: the client was closed' })
  })

  it('is sent again where an idle connection had ended, unless it writes', async () => {
    const { api, client } = await pair()
    api.fault(/\/api\/v1\/n/, 'drop', 1)
    await client.json(nodes)
    expect(api.requests()).toHaveLength(2)
    api.fault('POST', 'drop', 1)
    expect((await failure(client.json({ method: 'POST', path: '/api/v1/namespaces/default/configmaps', body: {} }))).trouble).toBe('unreachable')
    expect(api.requests()).toHaveLength(3)
  })

  it('that nobody answers is unreachable', async () => {
    const { api } = await pair()
    const client = await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', kubeconfig: api.kubeconfig({ cluster: { server: `https://127.0.0.1:${await freePort()}` } }) })))
    expect(await failure(client.json(nodes))).toMatchObject({ trouble: 'unreachable', message: expect.stringContaining('the connection failed: connect ECONNREFUSED') })
  })

  it('to a server by its name needs no thread of libuv\'s pool', async () => {
    const { api } = await pair()
    const lookup = vi.spyOn(dns, 'lookup')
    const client = await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', kubeconfig: api.kubeconfig({ cluster: { server: `https://localhost:${api.port}` } }) })))
    expect(await client.json(nodes)).toMatchObject({ kind: 'NodeList' })
    expect(lookup).not.toHaveBeenCalled()
  })

  it('to a server that accepts and says nothing ends in its own time, not in that of a connection', async () => {
    const { api } = await pair()
    const silent = await owner.opened(tcpServer())
    const client = await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', kubeconfig: api.kubeconfig({ cluster: { server: `https://127.0.0.1:${silent.port}` } }), timeoutMs: 600_000 })))
    expect(await failure(client.json({ ...nodes, timeoutMs: 200 }))).toMatchObject({ trouble: 'timeout', message: 'cluster room-a: GET /api/v1/nodes: no whole answer within 200 ms' })
  })

  it('ends with its caller\'s signal', async () => {
    const { api, client } = await pair()
    api.fault('GET', 'hang')
    const ending = new AbortController()
    const under = failure(client.json({ ...nodes, signal: ending.signal }))
    await eventually(() => api.requests().length === 1)
    ending.abort()
    expect(await under).toMatchObject({ trouble: 'timeout', message: 'cluster room-a: GET /api/v1/nodes: given up before the answer' })
    expect((await failure(client.json({ ...nodes, signal: AbortSignal.abort() }))).trouble).toBe('timeout')
    expect(api.requests()).toHaveLength(1)
  })

  it('as text gives any answer, but not more than 1 MiB', async () => {
    const { api, client } = await pair()
    api.check('etcd', false)
    const { status, text } = await client.text({ path: '/readyz' })
    expect([status, text.includes('[-]etcd failed: reason withheld')]).toEqual([500, true])
    api.fault('GET /big', { status: 200, body: 'x'.repeat(1024 * 1024 + 1) })
    expect(await failure(client.text({ path: '/big' }))).toMatchObject({ trouble: 'protocol', message: expect.stringContaining('longer than 1048576 bytes') })
  })

  it('never says a token, and says no more than a line', async () => {
    const { api, client } = await pair()
    api.fault('GET', { status: 400, message: `bad token Bearer ${api.token()} ${'x'.repeat(1_000)}\nsecond line` })
    const { message } = await failure(client.json(nodes))
    expect(message).not.toContain(api.token())
    expect(message).not.toContain('second')
    expect(message.length).toBeLessThan(400)
  })

  it('with the token of a moment ago is tried with the one of now', async () => {
    const { api } = await pair()
    const file = api.kubeconfig()
    const client = await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', kubeconfig: file })))
    await client.json(nodes)
    api.rotateToken()
    api.kubeconfig({ file })
    const [first, second, listed] = await Promise.all([client.json(nodes), client.json(nodes), client.list({ path: '/api/v1/nodes' }, nameOf)])
    expect([first, second, listed.items]).toMatchObject([{ kind: 'NodeList' }, { kind: 'NodeList' }, []])
  })
})

describe('a list', () => {
  const selection = { path: '/api/v1/configmaps' }
  const fill = (api: Awaited<ReturnType<typeof pair>>['api'], count: number) => {
    for (let index = 0; index < count; index++) api.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `map-${String(index).padStart(4, '0')}` } })
  }

  it('is asked for 500 at a time, and is one version of what there was', async () => {
    const { api, client } = await pair()
    fill(api, 1_200)
    const version = api.version()
    api.fault(/continue=/, { slow: 60 })
    const listing = client.list(selection, nameOf)
    await eventually(() => api.requests().length > 1)
    api.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'map-9999' } })
    const { items, resourceVersion } = await listing
    expect([items.length, resourceVersion]).toEqual([1_200, version])
    expect(api.requests().map(({ path }) => new URL(path, api.url).searchParams.get('limit'))).toEqual(['500', '500', '500'])
  })

  it('begins again where `continue` is too old, three times', async () => {
    const { api, client } = await pair()
    fill(api, 501)
    const end = api.fault(/continue=/, { status: 410 }, 2)
    expect((await client.list(selection, nameOf)).items).toHaveLength(501)
    expect(api.requests()).toHaveLength(6)
    end()
    api.fault(/continue=/, { status: 410 })
    expect((await failure(client.list(selection, nameOf))).trouble).toBe('gone')
    expect(api.requests()).toHaveLength(12)
  })

  it('may hold nothing, or what is no list', async () => {
    const { api, client } = await pair()
    api.fault('GET', { status: 200, body: '{"metadata":{"resourceVersion":"7"},"items":null}' }, 1)
    expect(await client.list(selection, nameOf)).toEqual({ items: [], resourceVersion: '7' })
    api.fault('GET', { status: 200, body: '{"kind":"Status"}' })
    expect(await failure(client.list(selection, nameOf))).toMatchObject({ trouble: 'protocol', message: 'cluster room-a: list /api/v1/configmaps: the answer is no list of objects' })
  })
})

describe('a watch', () => {
  const watch = (client: WatchingClient, seconds = 5, signal = new AbortController().signal, resourceVersion = '1000') => (
    client.watch({ path: '/api/v1/nodes' }, { resourceVersion, seconds, signal, onOpen: () => {}, onEvent: () => {} })
  )

  it('that is cut in silence is not believed for longer than twice its time', async () => {
    const { api, client } = await pair()
    api.fault(/watch=true/, { stall: 0 })
    expect(await failure(watch(client, 0.2))).toMatchObject({ trouble: 'timeout', message: 'cluster room-a: watch /api/v1/nodes: no whole answer within 400 ms' })
  })

  it('that does not begin is given up after the time of a call', async () => {
    const { api, client } = await pair(150)
    api.fault(/watch=true/, 'hang')
    expect(await failure(watch(client))).toMatchObject({ trouble: 'timeout', message: 'cluster room-a: watch /api/v1/nodes: no answer within 150 ms' })
  })

  it.each<[string, Fault, object]>([
    ['410 as a status', { status: 410 }, { trouble: 'gone' }],
    ['an error in the stream', { status: 200, body: '{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: no leader"}}\n' }, { trouble: 'server', message: 'cluster room-a: watch /api/v1/nodes: answered 500: etcdserver: no leader' }],
    ['a line that is no event', { status: 200, body: '{"type":"ADDED","object":{"kind":"Node"}}\n' }, { trouble: 'protocol', message: 'cluster room-a: watch /api/v1/nodes: a line of the watch is no event' }],
    ['a line that is no JSON', { status: 200, body: 'upstream timed out\n' }, { trouble: 'protocol' }],
    ['half a line', { status: 200, body: '{"type":"ADDED","obj' }, { trouble: 'unreachable', message: expect.stringContaining('in the middle of an event') }],
    ['a line without an end', { status: 200, body: 'x'.repeat(16 * 1024 * 1024 + 1) }, { trouble: 'protocol', message: expect.stringContaining('longer than 16777216 bytes') }],
  ])('says what became of it: %s', async (_, fault, expected) => {
    const { api, client } = await pair()
    api.fault(/watch=true/, fault)
    expect(await failure(watch(client))).toMatchObject(expected)
  })

  it('whose connection drops is trouble, not peace', async () => {
    const { api, client } = await pair()
    const watching = failure(watch(client))
    await eventually(() => api.watches().length === 1)
    api.dropConnections()
    expect((await watching).trouble).toBe('unreachable')
  })
})
