import { describe, expect, it } from 'vitest'
import type { Failure } from '../../../src/core/result.ts'
import type { KubeCall } from '../../../src/kubernetes/model.ts'
import { KubeFailure, type KubeApi } from '../../../src/probes/lib/kube.ts'
import { ADDRESSES, compareAddresses, keyOf, type Remembered, type Sight } from '../../../src/probes/lib/kube-node-addresses.ts'
import { findingOf, KUBE_NODE_CODES } from '../../../src/probes/lib/kube-node-codes.ts'
import { nodeFacts } from '../../../src/probes/lib/kube-node-facts.ts'

describe('what is wrong with a node', () => {
  const silent = (layer: Failure['layer'], reason: Failure['reason'], code: string) => ({ failure: { layer, reason, code, message: 'it says nothing' }, healthz: undefined })
  const refuses = silent('connect', 'refused', 'connect_refused')
  const drops = silent('connect', 'timeout', 'connect_timeout')
  const noRoute = silent('network', 'unreachable', 'network_unreachable')
  const hangs = silent('tls', 'timeout', 'tls_timeout')
  const resets = silent('tls', 'reset', 'tls_reset')
  const well = { failure: undefined, healthz: { ok: true, said: '200 ok' } }
  const sick = { failure: undefined, healthz: { ok: false, said: '500 [-]syncloop failed' } }
  const denies = { failure: undefined, healthz: undefined }
  const table: readonly (readonly [string, 'True' | 'False' | 'Unknown', Parameters<typeof findingOf>[1], string | undefined])[] = [
    ['ready, answers', 'True', well, undefined],
    ['ready, not asked', 'True', undefined, undefined],
    ['ready, lets nobody ask', 'True', denies, undefined],
    ['ready, sick', 'True', sick, 'kube_node_kubelet_unhealthy'],
    ['ready, refuses', 'True', refuses, 'kube_node_kubelet_down'],
    ['ready, drops packets', 'True', drops, 'kube_node_kubelet_silent'],
    ['ready, no route', 'True', noRoute, 'network_unreachable'],
    ['ready, accepts and hangs', 'True', hangs, 'kube_node_frozen'],
    ['ready, resets', 'True', resets, 'tls_reset'],
    ['not ready, answers', 'False', well, 'kube_node_not_ready'],
    ['not ready, not asked', 'False', undefined, 'kube_node_not_ready'],
    ['not ready, refuses', 'False', refuses, 'kube_node_kubelet_down'],
    ['not ready, drops packets', 'False', drops, 'kube_node_lost'],
    ['unknown, answers', 'Unknown', well, 'kube_node_heartbeat_lost'],
    ['unknown, not asked', 'Unknown', undefined, 'kube_node_heartbeat_lost'],
    ['unknown, resets', 'Unknown', resets, 'kube_node_heartbeat_lost'],
    ['unknown, refuses', 'Unknown', refuses, 'kube_node_kubelet_down'],
    ['unknown, drops packets', 'Unknown', drops, 'kube_node_lost'],
    ['unknown, no route', 'Unknown', noRoute, 'kube_node_lost'],
    ['unknown, accepts and hangs', 'Unknown', hangs, 'kube_node_frozen'],
  ]
  it.each(table)('%s', (_what, status, kubelet, code) => {
    const finding = findingOf({ ready: { status, said: 'KubeletReady' }, conditions: new Map() }, kubelet)
    expect(finding?.code).toBe(code)
    if (code !== undefined && status !== 'True') expect(finding?.message).toContain(`Ready ${status} (KubeletReady)`)
  })

  it('tells a kubelet that answers from one that does not by the pair, too', () => {
    const pairs = ['kube_node_lost', 'kube_node_frozen', 'kube_node_kubelet_down', 'kube_node_heartbeat_lost', 'kube_node_not_ready'] as const
    expect(new Set(pairs.map((code) => `${KUBE_NODE_CODES[code].layer}/${KUBE_NODE_CODES[code].reason}`)).size).toBe(pairs.length)
  })

  it('takes a pod network that is not set up for a failure, and pressure for a level', () => {
    const facts = (type: string) => nodeFacts({ metadata: { uid: 'a' }, status: { conditions: [{ type: 'Ready', status: 'True' }, { type, status: 'True', reason: 'Because' }] } })!
    expect(findingOf(facts('NetworkUnavailable'), well)).toEqual({ code: 'kube_node_no_network', message: 'Because' })
    expect(findingOf(facts('MemoryPressure'), well)).toBeUndefined()
    expect(facts('MemoryPressure').conditions.get('MemoryPressure')).toMatchObject({ is: true })
  })
})

describe('a Node object', () => {
  it('may say next to nothing', () => {
    expect(nodeFacts({ metadata: {} })).toMatchObject({ uid: '', unschedulable: false, addresses: [], port: 10_250, ready: { status: 'False', said: expect.stringContaining('never reported') } })
    expect(nodeFacts({ metadata: {}, spec: null, status: { conditions: null, addresses: null, daemonEndpoints: { kubeletEndpoint: { Port: 0 } } } })).toMatchObject({ port: 10_250 })
  })
  it.each([undefined, null, 'text', {}, { metadata: null }])('%j is none', (raw) => expect(nodeFacts(raw)).toBeUndefined())
  it('has the port of its kubelet, and only internal IPs', () => {
    expect(nodeFacts({ metadata: { uid: 'a' }, status: { addresses: [{ type: 'Hostname', address: 'a' }, { type: 'ExternalIP', address: '1.2.3.4' }, { type: 'InternalIP', address: '10.0.0.1' }, { type: 'InternalIP', address: 'nonsense' }], daemonEndpoints: { kubeletEndpoint: { Port: 10_251 } } } }))
      .toMatchObject({ addresses: ['10.0.0.1'], port: 10_251 })
  })
})

describe('where a node was', () => {
  const NOW = Date.parse('2026-03-01T12:00:00Z')
  const DAY = 86_400_000
  /** A ConfigMap that lives in the test, and who may do what with it. */
  const cluster = (data?: Record<string, string>, rights: readonly string[] = ['GET', 'POST', 'PATCH']) => {
    const held = { data: data && { ...data }, calls: [] as string[] }
    const json = ({ method = 'GET', body }: KubeCall) => {
      held.calls.push(method)
      const { data: given = {} } = (body ?? {}) as { data?: Record<string, string | null> }
      if (!rights.includes(method)) return Promise.reject(new KubeFailure('forbidden', 'no'))
      if (method === 'POST' && held.data) return Promise.reject(new KubeFailure('conflict', 'there is one'))
      if (method !== 'POST' && !held.data) return Promise.reject(new KubeFailure('not_found', 'there is none'))
      if (method !== 'GET') held.data = Object.fromEntries(Object.entries({ ...held.data, ...given }).filter((pair): pair is [string, string] => pair[1] !== null))
      return Promise.resolve({ metadata: { name: ADDRESSES }, data: held.data })
    }
    const api: KubeApi = {
      json,
      find: (call) => json(call).catch((error: unknown) => {
        if (error instanceof KubeFailure && error.trouble === 'not_found') return undefined
        throw error
      }),
      namespace: () => Promise.resolve('monitoring'),
      text: () => Promise.reject(new Error('not asked')),
      list: () => Promise.reject(new Error('not asked')),
      server: () => Promise.reject(new Error('not asked')),
      credentials: () => Promise.reject(new Error('not asked')),
    }
    return { held, api }
  }
  const sight = (address: string, more: Partial<Sight> = {}): Sight => ({ node: 'worker-1', owner: 'me:0123456789ab', addresses: [address], uid: 'u1', reissued: false, mayWrite: true, ...more })
  const value = (address: string, at = NOW, uid = 'u1') => JSON.stringify({ addresses: [address], uid, seen: new Date(at).toISOString() })
  const KEY = 'worker-1_me.0123456789ab'

  it('is written down at first sight, and not asked for again while nothing changes', async () => {
    const { held, api } = cluster()
    const first = await compareAddresses(api, sight('10.0.0.1'), undefined, NOW)
    expect(first).toEqual({ remembered: { addresses: ['10.0.0.1'], uid: 'u1', at: NOW, stored: true }, changed: undefined })
    expect(held.data).toEqual({ [KEY]: value('10.0.0.1') })
    await compareAddresses(api, sight('10.0.0.1'), first.remembered, NOW + 1_000)
    expect(held.calls).toEqual(['GET', 'POST'])
    await compareAddresses(api, sight('10.0.0.1'), first.remembered, NOW + DAY)
    expect(held.data).toEqual({ [KEY]: value('10.0.0.1', NOW + DAY) })
  })

  it('is known to a process that has just started, by another one\'s key too', async () => {
    for (const key of [KEY, 'worker-1_another.0123456789ab']) {
      const { held, api } = cluster({ [key]: value('10.0.0.1'), 'worker-10_me.0123456789ab': value('10.0.0.10') })
      expect((await compareAddresses(api, sight('10.0.0.2'), undefined, NOW)).changed).toEqual({ from: ['10.0.0.1'], keys: [key], namespace: 'monitoring' })
      expect(held.calls).toEqual(['GET'])
    }
  })

  it('is what whoever saw it last has written: a rollout neither forgets nor writes anything', async () => {
    const { held, api } = cluster({ 'worker-1_curlew-7f9-a': value('10.0.0.1', NOW - 100), [KEY]: value('10.0.0.9', NOW - 2 * DAY) })
    expect(await compareAddresses(api, sight('10.0.0.1'), undefined, NOW)).toEqual({ remembered: { addresses: ['10.0.0.1'], uid: 'u1', at: NOW - 100, stored: true }, changed: undefined })
    expect(held.calls).toEqual(['GET'])
    expect((await compareAddresses(api, sight('10.0.0.9'), undefined, NOW)).changed).toEqual({ from: ['10.0.0.1'], keys: ['worker-1_curlew-7f9-a', KEY], namespace: 'monitoring' })
  })

  it('stands once a node: who renews it takes the keys of the others with him', async () => {
    const { held, api } = cluster({ 'worker-1_a': value('10.0.0.1', NOW - DAY), 'worker-1_b': value('10.0.0.1', NOW - 2 * DAY), 'worker-2_a': value('10.0.0.2', NOW - 2 * DAY) })
    await compareAddresses(api, sight('10.0.0.1'), undefined, NOW)
    expect(Object.keys(held.data!).toSorted()).toEqual([KEY, 'worker-2_a'])
  })

  it('is written anew where a clock was wrong', async () => {
    const { held, api } = cluster({ 'worker-1_a': value('10.0.0.1', NOW + 400 * DAY) })
    await compareAddresses(api, sight('10.0.0.1'), undefined, NOW)
    expect(held.data).toEqual({ [KEY]: value('10.0.0.1') })
  })

  it('stays changed until the certificate names the new address, which is then the known one', async () => {
    const { held, api } = cluster({ [KEY]: value('10.0.0.1') })
    let before: Remembered | undefined
    for (let run = 0; run < 3; run++) {
      const { remembered, changed } = await compareAddresses(api, sight('10.0.0.2'), before, NOW + run)
      expect(changed?.from).toEqual(['10.0.0.1'])
      before = remembered
    }
    expect((await compareAddresses(api, sight('10.0.0.2', { reissued: true }), before, NOW)).changed).toBeUndefined()
    expect(held.data).toEqual({ [KEY]: value('10.0.0.2') })
  })

  it('is accepted once a person has deleted the key', async () => {
    const { held, api } = cluster({ [KEY]: value('10.0.0.1') })
    const { remembered } = await compareAddresses(api, sight('10.0.0.2'), undefined, NOW)
    held.data = {}
    expect((await compareAddresses(api, sight('10.0.0.2'), remembered, NOW)).changed).toBeUndefined()
    expect(held.data).toEqual({ [KEY]: value('10.0.0.2') })
  })

  it('does not count for a Node that was made anew, or has one address more', async () => {
    const { api } = cluster({ [KEY]: value('10.0.0.1') })
    expect((await compareAddresses(api, sight('10.0.0.1', { addresses: ['10.0.0.1', 'fd00::1'] }), undefined, NOW)).changed).toBeUndefined()
    expect((await compareAddresses(api, sight('10.0.0.2', { uid: 'u2' }), undefined, NOW)).changed).toBeUndefined()
  })

  it('is kept by the process alone where the ConfigMap is forbidden, and a run never fails for that', async () => {
    for (const rights of [[], ['GET'], ['GET', 'POST']]) {
      const { api } = cluster(rights.length === 2 ? {} : undefined, rights)
      const first = await compareAddresses(api, sight('10.0.0.1'), undefined, NOW)
      expect(first).toMatchObject({ remembered: { stored: false }, changed: undefined })
      expect((await compareAddresses(api, sight('10.0.0.2'), first.remembered, NOW)).changed).toMatchObject({ from: ['10.0.0.1'], keys: [] })
    }
  })

  it('is not written where only reading is allowed', async () => {
    const { held, api } = cluster({})
    const first = await compareAddresses(api, sight('10.0.0.1', { mayWrite: false }), undefined, NOW)
    expect((await compareAddresses(api, sight('10.0.0.2', { mayWrite: false }), first.remembered, NOW)).changed?.from).toEqual(['10.0.0.1'])
    expect(held).toEqual({ data: {}, calls: ['GET', 'GET'] })
  })

  it('meets another process that is quicker', async () => {
    const { held, api } = cluster()
    await Promise.all(['a', 'b'].map((owner) => compareAddresses(api, sight('10.0.0.1', { owner }), undefined, NOW)))
    expect(held.data).toEqual({ 'worker-1_a': value('10.0.0.1'), 'worker-1_b': value('10.0.0.1') })
  })

  it('leaves no keys of nodes that have left, and so many at most; what is no value is not looked at', async () => {
    const old = value('10.0.0.1', NOW - 31 * DAY)
    const { held, api } = cluster({ 'worker-2_gone': old, 'worker-1_odd': 'nonsense', ...Object.fromEntries(Array.from({ length: 3_100 }, (_, at) => [`n${at}_x`, value('10.1.1.1')])) })
    await compareAddresses(api, sight('10.0.0.1'), undefined, NOW)
    expect(held.data?.[KEY]).toBe(value('10.0.0.1'))
    expect(held.data).not.toHaveProperty('worker-2_gone')
    expect(Object.keys(held.data!).length).toBeLessThanOrEqual(2_501)
  })

  it('has keys that Kubernetes takes, of one node each', () => {
    const long = `${'a'.repeat(200)}`
    const keys = [keyOf('worker-1', 'host:ab'), keyOf('worker-1.example.org', 'odd name_@'), keyOf(long, 'x'.repeat(80)), keyOf(`${long}b`, 'x'.repeat(80))]
    for (const key of keys) expect(key).toMatch(/^[-._a-zA-Z0-9]{1,253}$/)
    expect(new Set(keys).size).toBe(keys.length)
  })
})
