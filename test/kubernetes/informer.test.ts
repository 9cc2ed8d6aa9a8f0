import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { clusterClient } from '../../src/kubernetes/client.ts'
import { libraries } from '../../src/kubernetes/connection.ts'
import { createInformer } from '../../src/kubernetes/informer.ts'
import { KubeError, type InformerOptions, type WatchingClient, type WatchOptions } from '../../src/kubernetes/model.ts'
import { startKubeApi } from '../support/kube-api.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'

const owner = createOwner()
// On a busy machine this takes longer than what is waited for below.
beforeAll(libraries)
afterEach(() => owner.end())

const selection = { path: '/api/v1/nodes' }
const nameOf = (raw: unknown) => (raw as { metadata: { name: string } }).metadata.name
const node = (name: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name }, ...more })

/** An informer whose changes and troubles are counted. */
function informed(client: WatchingClient, options: Partial<InformerOptions<string>> = {}) {
  const troubles: (string | undefined)[] = []
  let changes = 0
  const informer = createInformer({ client, selection, project: nameOf, onChange: () => { changes++ }, onTrouble: (trouble) => { troubles.push(trouble?.trouble) }, ...options })
  return { informer, troubles, changes: () => changes, names: () => [...informer.items().keys()].toSorted().join() }
}

describe('against a server', () => {
  async function watching() {
    const api = await owner.started(startKubeApi())
    api.put(node('a'))
    const client = await owner.opened(Promise.resolve(clusterClient({ name: 'room-a', kubeconfig: api.kubeconfig() })))
    const all = informed(client)
    await owner.started(Promise.resolve(all.informer))
    await eventually(() => api.watches().length === 1)
    return { api, client, ...all, asked: () => api.requests().map(({ path }) => (path.includes('watch=true') ? 'watch' : 'list')).join(' ') }
  }

  it('goes on from the last version when a watch ends in peace', async () => {
    const { api, names, troubles, asked } = await watching()
    api.put(node('b'))
    await eventually(() => names() === 'a,b')
    const version = api.version()
    api.watches()[0]?.end()
    await eventually(() => asked() === 'list watch watch')
    expect(api.requests().at(-1)?.path).toContain(`resourceVersion=${version}&`)
    api.put(node('c'))
    await eventually(() => names() === 'a,b,c')
    expect(troubles).toEqual([])
  })

  it('asks for bookmarks and an end, and goes on from a bookmark', async () => {
    const { api, informer, asked } = await watching()
    expect(api.requests().at(-1)?.path).toMatch(/^\/api\/v1\/nodes\?watch=true&allowWatchBookmarks=true&resourceVersion=\d+&timeoutSeconds=(?:9\d|1[0-4]\d|150)$/)
    const fresh = informer.freshAt()
    api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } })
    api.watches()[0]?.bookmark()
    await eventually(() => informer.freshAt() !== fresh)
    api.watches()[0]?.end()
    await eventually(() => asked() === 'list watch watch')
    expect(api.requests().at(-1)?.path).toContain(`resourceVersion=${api.version()}&`)
  })

  it.each(['status', 'event'])('lists anew where the version is too old, said by a %s, and tells of it once', async (how) => {
    const { api, names, changes, troubles, asked } = await watching()
    api.put(node('b'))
    await eventually(() => names() === 'a,b')
    if (how === 'status') api.fault(/watch=true/, { status: 410 }, 1)
    const [open] = api.watches()
    if (how === 'event') open?.send('ERROR', { kind: 'Status', code: 410, message: 'too old' })
    open?.end()
    await eventually(() => asked() === `list watch ${how === 'status' ? 'watch ' : ''}list watch`)
    expect([names(), changes(), troubles]).toEqual(['a,b', 3, []])
  })

  it('keeps what it holds while the API is away, says why, and catches up', async () => {
    const { api, names, informer, troubles } = await watching()
    const end = api.fault('GET', 'drop')
    api.dropConnections()
    await eventually(() => informer.trouble()?.trouble === 'unreachable')
    expect([names(), informer.synced(), troubles]).toEqual(['a', true, ['unreachable']])
    end()
    api.remove(node('a'))
    api.put(node('b'))
    await eventually(() => names() === 'b')
    expect([informer.trouble(), troubles.at(-1)]).toEqual([undefined, undefined])
  })

  it('leaves no socket behind', async () => {
    const { api, client, informer } = await watching()
    informer.stop()
    await eventually(() => api.watches().length === 0)
    client.close()
    await eventually(() => api.sockets() === 0)
    expect(informer.trouble()).toBeUndefined()
  })
})

describe('in time', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  /** A client whose lists and watches are what a test says. */
  function scripted({ list = () => Promise.resolve(['a']), watch }: { list?: () => Promise<string[]>, watch: (options: WatchOptions, nth: number) => Promise<void> }) {
    const calls: [what: string, at: number][] = []
    const began = Date.now()
    const note = (what: string) => { calls.push([what, Date.now() - began]) }
    const unused = () => Promise.reject(new Error('not asked for'))
    const client: WatchingClient = {
      cluster: 'room-a', server: unused, namespace: unused, json: unused, text: unused, credentials: unused, close: () => {},
      async list(_, project) {
        note('list')
        return { items: (await list()).flatMap((name) => project({ metadata: { name } }) ?? []), resourceVersion: '7' }
      },
      async watch(_, options) {
        note('watch')
        await watch(options, calls.filter(([what]) => what === 'watch').length)
      },
    }
    return { client, calls, waits: () => calls.slice(1).map(([, at], index) => at - (calls[index]?.[1] ?? 0)) }
  }
  const away = (options?: { retryAfterMs: number }) => Promise.reject(new KubeError('unreachable', 'away', options))
  const open = ({ onOpen, signal }: WatchOptions) => new Promise<void>((_, reject) => {
    onOpen()
    signal.addEventListener('abort', () => reject(new KubeError('timeout', 'stopped')))
  })

  it('waits longer after each failure, up to a minute, for ever', async () => {
    const { client, waits } = scripted({ list: () => away(), watch: open })
    const { informer, troubles } = informed(client)
    await vi.advanceTimersByTimeAsync(3_600_000)
    const [first, ...rest] = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    expect(first).toBe(1)
    for (const [index, seconds] of [1, ...rest].entries()) {
      expect(waits()[index]).toBeGreaterThanOrEqual(seconds * 500)
      expect(waits()[index]).toBeLessThanOrEqual(seconds * 1_000 + 1)
    }
    expect(waits().length).toBeGreaterThan(60)
    expect(new Set(waits()).size).toBeGreaterThan(10)
    expect(troubles.length).toBe(waits().length + 1)
    expect(informer.synced()).toBe(false)
    informer.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('waits as long as the server asks, but not for a day', async () => {
    const { client, waits } = scripted({ list: () => away({ retryAfterMs: 30_000 }), watch: open })
    informed(client)
    await vi.advanceTimersByTimeAsync(45_000)
    expect(waits()).toEqual([30_000])
    const day = scripted({ list: () => away({ retryAfterMs: 86_400_000 }), watch: open })
    informed(day.client)
    await vi.advanceTimersByTimeAsync(301_000)
    expect(day.waits()).toEqual([300_000])
  })

  it('begins with short waits again once something went well', async () => {
    const { client, waits, calls } = scripted({
      watch: ({ onOpen, onEvent }, nth) => {
        onOpen()
        if (nth === 5) onEvent({ type: 'ADDED', resourceVersion: '8', object: { metadata: { name: 'b' } } })
        return away()
      },
    })
    const { names } = informed(client)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(names()).toBe('a,b')
    expect(calls.map(([what]) => what).slice(0, 6)).toEqual(['list', 'watch', 'watch', 'watch', 'watch', 'watch'])
    // The fifth watch went well for a while: the waits after it are those of a first failure.
    expect(waits()[4]).toBeGreaterThanOrEqual(4_000)
    expect(waits()[5]).toBeLessThanOrEqual(1_001)
  })

  it('does not run in circles where every watch ends, or is too old, at once', async () => {
    const peace = scripted({ watch: ({ onOpen }) => Promise.resolve(onOpen()) })
    const ended = informed(peace.client)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(peace.calls.length).toBeLessThan(25)
    expect(ended.troubles).toEqual([])
    const old = scripted({ watch: () => Promise.reject(new KubeError('gone', 'too old')) })
    const gone = informed(old.client)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(old.calls.length).toBeLessThan(25)
    expect(gone.troubles).toContain('gone')
    ended.informer.stop()
    gone.informer.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('lists at once after an outage in which the version has become too old, and that is no trouble of its own', async () => {
    const { client, calls } = scripted({ watch: (options, nth) => (nth < 6 ? away() : nth === 6 ? Promise.reject(new KubeError('gone', 'too old')) : open(options)) })
    const { informer, troubles } = informed(client)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(calls.slice(-3).map(([what]) => what)).toEqual(['watch', 'list', 'watch'])
    expect(new Set(calls.slice(-3).map(([, at]) => at)).size).toBe(1)
    expect(troubles).toEqual([...Array.from({ length: troubles.length - 1 }, () => 'unreachable'), undefined])
    informer.stop()
  })

  it('is fresh when a list or a watch said so, not when it was only connected', async () => {
    let end = () => {}
    const { client } = scripted({ watch: ({ onOpen }, nth) => (nth > 1 ? new Promise(() => {}) : new Promise((resolve) => { onOpen(); end = resolve })) })
    const { informer } = informed(client)
    const listed = Date.now()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(informer.freshAt()).toBe(listed)
    end()
    await vi.advanceTimersByTimeAsync(1)
    expect(informer.freshAt()).toBe(listed + 100_000)
  })

  it('goes on where its listener throws, and shows that as trouble of its own', async () => {
    let changes = 0
    const { client } = scripted({ watch: open })
    const { informer, names } = informed(client, {
      onChange: () => {
        if (++changes === 1) throw new Error('a bug')
      },
    })
    await vi.advanceTimersByTimeAsync(0)
    expect(informer.trouble()).toMatchObject({ trouble: 'protocol', message: 'cluster room-a: watch /api/v1/nodes: a mistake of Curlew\'s: Error: a bug' })
    await vi.advanceTimersByTimeAsync(2_000)
    expect([changes, names(), informer.trouble()]).toEqual([2, 'a', undefined])
    informer.stop()
  })

  it('goes on where its listener of troubles throws', async () => {
    const { client, calls } = scripted({ list: () => away(), watch: open })
    const { informer } = informed(client, { onTrouble: () => { throw new Error('a bug') } })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(calls.length).toBeGreaterThan(2)
    informer.stop()
  })

  it('stops where it is: in a list, in a watch, in a wait', async () => {
    const listing = scripted({ list: () => new Promise((resolve) => { setTimeout(() => resolve(['late']), 1_000) }), watch: open })
    const watching = scripted({ watch: open })
    const waiting = scripted({ list: () => away(), watch: open })
    const all = [listing, watching, waiting].map(({ client }) => informed(client))
    await vi.advanceTimersByTimeAsync(100)
    for (const { informer } of all) informer.stop()
    const counts = all.map(({ changes, troubles }) => [changes(), troubles.length])
    await vi.advanceTimersByTimeAsync(100_000)
    expect(counts).toEqual([[0, 0], [1, 0], [0, 1]])
    expect(all.map(({ changes, troubles }) => [changes(), troubles.length])).toEqual(counts)
    expect(vi.getTimerCount()).toBe(0)
  })
})
