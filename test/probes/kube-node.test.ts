import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runJob } from '../../src/core/run.ts'
import { kubeNode } from '../../src/probes/kube-node.ts'
import { startKubeApi, type KubeApi } from '../support/kube-api.ts'
import { freePort } from '../support/process.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { issue } from '../support/x509.ts'
import { declarationContract, gaugeOf, jobOf } from './contract.ts'

declarationContract(kubeNode)

const PATH = 'GET /api/v1/nodes/worker-1'
const times = { from: '20200101000000Z', to: '20450101000000Z' }
const authority = issue({ ...times, subject: '/CN=kubernetes', authority: true })
const issued = issue({ ...times, subject: '/O=system:nodes/CN=system:node:worker-1', names: ['worker-1', '127.0.0.1'] }, authority)
const expired = issue({ ...times, to: '20210101000000Z', subject: '/CN=system:node:worker-1', names: ['127.0.0.1'] }, authority)
const elsewhere = issue({ ...times, subject: '/O=system:nodes/CN=system:node:worker-2', names: ['worker-2', '127.0.0.2'] }, authority)
const selfSigned = issue({ ...times, subject: '/CN=worker-1@1700000000', names: ['worker-1'] })

let api: KubeApi
let kubeconfig: string
const servers: TestServer[] = []
let tokens: (string | undefined)[]

beforeAll(async () => {
  api = await startKubeApi()
  kubeconfig = api.kubeconfig({ cluster: { 'certificate-authority-data': Buffer.from(`${api.ca.cert}\n${authority.cert}`).toString('base64') } })
})
beforeEach(() => { tokens = [] })
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
  api.remove(MAP)
})
afterAll(() => api.stop())

const MAP = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'curlew-node-addresses', namespace: 'default' } }

async function kubelet(answer: RequestListener = (_request, response) => { response.end('ok') }, pair = selfSigned): Promise<number> {
  const server = await listening(createServer({ cert: pair.cert, key: pair.key }, (request, response) => {
    tokens.push(request.headers.authorization)
    answer(request, response)
  }))
  servers.push(server)
  return server.port
}

const says = (status: number, text: string): RequestListener => (_request, response) => { response.writeHead(status).end(text) }

interface Given {
  readonly port: number
  readonly ready?: string
  readonly address?: string
  readonly unschedulable?: boolean
  readonly uid?: string
}

function node({ port, ready = 'True', address = '127.0.0.1', unschedulable, uid }: Given): void {
  api.put({
    apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1', ...(uid === undefined ? {} : { uid }) }, spec: unschedulable === undefined ? {} : { unschedulable },
    status: {
      addresses: [{ type: 'InternalIP', address }, { type: 'Hostname', address: 'worker-1' }],
      conditions: [{ type: 'MemoryPressure', status: 'False' }, { type: 'DiskPressure', status: 'Unknown' }, { type: 'Ready', status: ready, reason: 'KubeletReady', message: 'as it says', lastTransitionTime: '2026-01-01T00:00:00Z' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  })
}

const job = (entry: Record<string, unknown> = {}) => jobOf(kubeNode, { target: 'worker-1', kubeconfig, ...entry })
const run = (one = job()) => runJob(one, { signal: new AbortController().signal, instance: 'prod-1', lateSince: () => 0, lateBoundMs: 500 })
const failed = (layer: string, reason: string, code: string, message: RegExp = /^node worker-1: /) => ({ status: 'failed', failure: { layer, reason, code, message: expect.stringMatching(message) } })
const unknown = (code: string, message: RegExp = /./) => ({ status: 'unknown', failure: { layer: 'prober', code, message: expect.stringMatching(message) } })

describe('a node', () => {
  it('is well when the API and its kubelet say so', async () => {
    node({ port: await kubelet() })
    const result = await run()
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['api', 'resolve', 'connect', 'tls', 'request', 'address'])
    const gauge = (name: string, labels = {}) => gaugeOf(result, `probe_kube_node_${name}`, labels)
    expect([gauge('ready'), gauge('unschedulable'), gauge('kubelet_answers'), gauge('kubelet_allowed'), gauge('address_stored')]).toEqual([1, 0, 1, 1, 1])
    expect([gauge('condition', { condition: 'MemoryPressure' }), gauge('condition', { condition: 'DiskPressure' })]).toEqual([0, undefined])
    expect([gauge('kubelet_cert_expiry_timestamp_seconds'), gauge('kubelet_cert_names_address')]).toEqual([Date.UTC(2045, 0) / 1000, 0])
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeUndefined()
  })

  it('shows its certificate to the certificate alerts where the cluster has issued it', async () => {
    node({ port: await kubelet(undefined, expired) })
    const result = await run()
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(Date.UTC(2021, 0) / 1000)
    expect(gaugeOf(result, 'probe_kube_node_kubelet_cert_names_address')).toBe(1)
    expect(await run(job({ verify_kubelet: true }))).toMatchObject(failed('tls', 'expired', 'tls_expired'))
  })

  it('must have a kubelet that can be verified where that is asked for', async () => {
    node({ port: await kubelet(undefined, issued) })
    expect(await run(job({ verify_kubelet: true }))).toMatchObject({ status: 'ok' })
    node({ port: await kubelet() })
    expect(await run(job({ verify_kubelet: true }))).toMatchObject(failed('tls', 'untrusted', 'tls_self_signed'))
    expect(tokens).toHaveLength(1)
  })

  it.each([
    ['of the cluster\'s authority', issued, true, {}], ['that it signed itself', selfSigned, false, {}], ['that has expired', expired, false, {}],
    ['for another node', elsewhere, false, {}], ['that it signed itself, where that is enough', selfSigned, true, { token_to_unverified: true }],
  ] as const)('with a certificate %s: is the token shown?', async (_what, pair, shown, entry) => {
    node({ port: await kubelet((request, response) => { response.writeHead(request.headers.authorization === undefined ? 401 : 200).end('ok') }, pair) })
    const result = await run(job(entry))
    expect(result).toMatchObject({ status: 'ok' })
    expect(tokens).toEqual([shown ? `Bearer ${api.token()}` : undefined])
    expect([gaugeOf(result, 'probe_kube_node_kubelet_answers'), gaugeOf(result, 'probe_kube_node_kubelet_allowed')]).toEqual([1, shown ? 1 : undefined])
  })

  it('does not show its token where a certificate is wanted instead', async () => {
    node({ port: await kubelet() })
    const own = api.kubeconfig({ user: { 'client-certificate-data': Buffer.from(api.client.cert).toString('base64'), 'client-key-data': Buffer.from(api.client.key).toString('base64') } })
    expect(await run(job({ kubeconfig: own }))).toMatchObject({ status: 'ok' })
    expect(tokens).toEqual([undefined])
  })

  it.each([401, 403])('is judged without its kubelet\'s health where that answers %i', async (status) => {
    node({ port: await kubelet(says(status, 'Forbidden'), issued) })
    const result = await run()
    expect(result).toMatchObject({ status: 'ok' })
    expect([gaugeOf(result, 'probe_kube_node_kubelet_answers'), gaugeOf(result, 'probe_kube_node_kubelet_allowed')]).toEqual([1, 0])
    node({ port: await kubelet(says(status, 'Forbidden')), ready: 'Unknown' })
    expect(await run()).toMatchObject(failed('request', 'stale', 'kube_node_heartbeat_lost'))
  })

  it('fails for what its kubelet finds', async () => {
    node({ port: await kubelet(says(500, '[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed')) })
    expect(await run()).toMatchObject(failed('request', 'unavailable', 'kube_node_kubelet_unhealthy', /500 \[\+\]ping ok \[-\]syncloop failed/))
  })

  it('never has the token in what it says', async () => {
    node({ port: await kubelet((request, response) => { response.writeHead(500).end(`who sent ${request.headers.authorization}?`) }, issued) })
    const result = await run()
    expect(result).toMatchObject(failed('request', 'unavailable', 'kube_node_kubelet_unhealthy', /500 who sent Bearer .+\?/))
    expect(JSON.stringify(result)).not.toContain(api.token())
  })

  it('that is not ready fails as such while its kubelet answers', async () => {
    node({ port: await kubelet(), ready: 'False' })
    const result = await run()
    expect(result).toMatchObject(failed('request', 'unavailable', 'kube_node_not_ready', /Ready False \(KubeletReady: as it says, since 2026-01-01T00:00:00Z\); the kubelet answers 200 ok/))
    expect(gaugeOf(result, 'probe_kube_node_ready')).toBe(0)
    node({ port: await kubelet(), ready: 'Unknown' })
    const lost = await run()
    expect(lost).toMatchObject(failed('request', 'stale', 'kube_node_heartbeat_lost'))
    expect(gaugeOf(lost, 'probe_kube_node_ready')).toBeUndefined()
  })

  it('has no kubelet where nothing listens', async () => {
    node({ port: await freePort(), ready: 'Unknown' })
    const result = await run()
    expect(result).toMatchObject(failed('connect', 'refused', 'kube_node_kubelet_down', /ECONNREFUSED/))
    expect(gaugeOf(result, 'probe_kube_node_kubelet_answers')).toBe(0)
    expect(await run(job({ kubelet: false }))).toMatchObject(failed('request', 'stale', 'kube_node_heartbeat_lost'))
  })

  it.each(['True', 'Unknown'])('is frozen where connections are accepted and nobody answers: Ready %s', async (ready) => {
    const server = await tcpServer()
    servers.push(server)
    node({ port: server.port, ready })
    const result = await run(job({ timeout: '600ms' }))
    expect(result).toMatchObject(failed('request', 'hung', 'kube_node_frozen'))
    expect(result.ms).toBeLessThan(600)
    expect(gaugeOf(result, 'probe_kube_node_ready')).toBe(ready === 'True' ? 1 : undefined)
  })

  it('has something else than a kubelet on its port', async () => {
    const plain = await tcpServer((socket) => { socket.end('SSH-2.0-OpenSSH\r\n') })
    servers.push(plain)
    node({ port: plain.port })
    expect(await run()).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'protocol' } })
    node({ port: await kubelet((request) => { request.socket.end('nonsense\r\n\r\n') }) })
    expect(await run()).toMatchObject(failed('request', 'protocol', 'kube_node_kubelet_protocol'))
  })

  it('has a kubelet that ends in the middle of its answer', async () => {
    node({ port: await kubelet((request) => { request.socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no') }) })
    expect(await run()).toMatchObject(failed('request', 'reset', 'request_reset'))
  })

  it('that is cordoned does not fail', async () => {
    node({ port: await freePort(), ready: 'Unknown', unschedulable: true })
    const result = await run()
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_kube_node_unschedulable')).toBe(1)
  })

  it('may be missing', async () => {
    expect(await run(job({ target: 'worker-9' }))).toMatchObject(failed('resolve', 'not_found', 'kube_node_missing', /no node worker-9/))
  })
})

describe('the API', () => {
  it.each([
    ['is down', 'drop', 'kube_unreachable'], ['fails', { status: 500 }, 'kube_unavailable'], ['refuses the role', { status: 403 }, 'kube_forbidden'],
    ['has no time', { status: 429 }, 'kube_overloaded'], ['sends another thing', { status: 200, body: '{"kind":"Node"}' }, 'kube_protocol'],
  ] as const)('%s: nothing is known of the node', async (_what, fault, code) => {
    node({ port: await kubelet() })
    const end = api.fault(PATH, fault)
    try {
      expect(await run()).toMatchObject(unknown(code, code === 'kube_forbidden' ? /lacks the right to get nodes/ : /./))
    } finally {
      end()
    }
  })

  it('hangs: unknown before the run ends', async () => {
    const end = api.fault(PATH, 'hang')
    const result = await run(job({ timeout: '400ms' }))
    end()
    expect(result).toMatchObject(unknown('kube_timeout'))
  })

  it('refuses the login, or is not known', async () => {
    expect(await run(job({ kubeconfig: api.kubeconfig({ user: { token: 'another' } }) }))).toMatchObject(unknown('kube_unauthorized'))
    expect(await run(job({ kubeconfig: '/nowhere' }))).toMatchObject(unknown('kube_config'))
  })
})

describe('an address that has changed', () => {
  const stored = () => (api.get(MAP) as unknown as { data?: Record<string, string> } | undefined)?.data
  const move = async (address: string, pair = selfSigned) => node({ port: await kubelet(undefined, pair), address, uid: 'u1' })
  const CHANGED = failed('assert', 'mismatch', 'kube_node_address_changed', /^node worker-1 was at 127\.0\.0\.2 and is at 127\.0\.0\.1\. To accept the new address: kubectl -n default patch configmap curlew-node-addresses --type merge -p '\{"data":\{"worker-1_prod-1\.[0-9a-f]{12}":null\}\}'$/)

  it('fails until a person deletes the key, also in a process that is new', async () => {
    await move('127.0.0.2')
    const one = job({ kubelet: false })
    expect(await run(one)).toMatchObject({ status: 'ok' })
    await move('127.0.0.1')
    expect(await run(one)).toMatchObject(CHANGED)
    expect(await run(one)).toMatchObject(CHANGED)
    expect(await run()).toMatchObject(CHANGED)
    api.put({ ...MAP, data: {} })
    expect(await run(one)).toMatchObject({ status: 'ok' })
    expect(Object.values(stored()!)).toEqual([expect.stringContaining('127.0.0.1')])
  })

  it('is accepted once the kubelet\'s certificate names it, and whenever the node joins anew', async () => {
    await move('127.0.0.2')
    expect(await run(job({ kubelet: false }))).toMatchObject({ status: 'ok' })
    await move('127.0.0.1', issued)
    expect(await run()).toMatchObject({ status: 'ok' })
    expect(Object.values(stored()!)).toEqual([expect.stringContaining('127.0.0.1')])
    api.remove({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } })
    node({ port: await kubelet(), address: '127.0.0.3', uid: 'u2' })
    expect(await run(job({ kubelet: false }))).toMatchObject({ status: 'ok' })
  })

  it('is known to the process alone without the right to keep it', async () => {
    const end = api.fault(/configmaps/, { status: 403 })
    try {
      await move('127.0.0.2')
      const one = job({ kubelet: false })
      expect(await run(one)).toMatchObject({ status: 'ok' })
      await move('127.0.0.1')
      const result = await run(one)
      expect(result).toMatchObject(failed('assert', 'mismatch', 'kube_node_address_changed', /restart Curlew/))
      expect(gaugeOf(result, 'probe_kube_node_address_stored')).toBe(0)
    } finally {
      end()
    }
  })

  it('is not written by a probe that only reads', async () => {
    await move('127.0.0.1')
    expect(await run(job({ mode: 'read-only' }))).toMatchObject({ status: 'ok' })
    expect(stored()).toBeUndefined()
  })

  it('says so before all else that is wrong, and nothing while the node is cordoned', async () => {
    await move('127.0.0.2')
    await run(job({ kubelet: false }))
    node({ port: await freePort(), ready: 'False', uid: 'u1' })
    expect(await run()).toMatchObject(CHANGED)
    node({ port: await freePort(), ready: 'False', uid: 'u1', unschedulable: true })
    expect(await run()).toMatchObject({ status: 'ok' })
  })

  it('is one that no interface of the node itself has', async () => {
    await move('127.0.0.1')
    expect(await run(job({ local: true }))).toMatchObject({ status: 'ok' })
    node({ port: await kubelet(), address: '192.0.2.7', uid: 'u2' })
    expect(await run(job({ local: true, kubelet: false }))).toMatchObject(failed('assert', 'mismatch', 'kube_node_address_changed', /at 192\.0\.2\.7, which no interface of it has/))
    node({ port: await freePort(), address: '127.0.0.1', ready: 'False', uid: 'u3' })
    const alone = await run(job({ local: true }))
    expect(alone).toMatchObject({ status: 'ok' })
    expect(gaugeOf(alone, 'probe_kube_node_ready')).toBeUndefined()
  })
})
