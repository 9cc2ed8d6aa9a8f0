import type { RequestListener } from 'node:http'
import { afterAll, describe, expect, it } from 'vitest'
import type { ProbeResult } from '../../src/core/result.ts'
import { kubePath } from '../../src/probes/kube-path.ts'
import { makeCertificates } from '../support/certificates.ts'
import { httpServer, type HttpTestServer } from '../support/http-servers.ts'
import { freePort } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(kubePath)
tcpProbeContract(kubePath, (port) => ({ target: `http://127.0.0.1:${port}/` }), 'kube_path_ingress_refused')

const { good, expired, caFile } = makeCertificates()
const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })

async function kept<T extends TestServer>(server: Promise<T>): Promise<T> {
  servers.push(await server)
  return server
}

const answering = (status: number, body = ''): RequestListener => (_request, response) => { response.writeHead(status).end(body) }
const at = (port: number) => `127.0.0.1:${port}`
/** One server for each status: legs only differ in what they are called. */
const byStatus = new Map<number, Promise<HttpTestServer>>()
async function leg(kind: Leg): Promise<string> {
  if (kind === 'refused') return at(await freePort())
  if (kind === 'silent') return at((await kept(tcpServer())).port)
  if (kind === 'hangs up') return at((await kept(tcpServer((socket) => { socket.once('data', () => socket.destroy()) }))).port)
  if (kind === 'no HTTP') return at((await kept(tcpServer((socket) => { socket.end('SSH-2.0-x\r\n') }))).port)
  const known = byStatus.get(kind) ?? kept(httpServer(answering(kind)))
  byStatus.set(kind, known)
  return at((await known).port)
}
type Leg = number | 'refused' | 'silent' | 'hangs up' | 'no HTTP'

async function walk(pods: readonly Leg[], service: Leg | undefined, ingress: Leg, entry: Record<string, unknown> = {}): Promise<ProbeResult> {
  return probeOnce(kubePath, {
    target: 'http://shop.example.org/health', ingress: [await leg(ingress)], pods: await Promise.all(pods.map(leg)),
    ...service === undefined ? {} : { service: await leg(service) }, timeout: [...pods, service, ingress].includes('silent') ? '300ms' : '2s', ...entry,
  })
}

const messageOf = (result: ProbeResult) => (result.status === 'ok' ? '' : result.failure.message)
const up = (result: ProbeResult) => Object.fromEntries(['pod', 'service', 'ingress'].map((name) => [name, gaugeOf(result, 'probe_kube_path_up', { leg: name })]))

// The table of docs/kube-path.md.
describe('users are served, so the path is well', () => {
  it.each<[string, readonly Leg[], Leg | undefined, number]>([
    ['everything is well', [200, 200], 200, 0],
    ['only the ingress is asked', [], undefined, 0],
    ['one pod fails', [200, 500], 200, 1],
    ['a NetworkPolicy keeps Curlew from pods and Service', ['refused'], 'refused', 1],
    ['a mesh keeps Curlew from the pods', ['hangs up', 403], 200, 1],
    ['pods answer others otherwise', [500], 500, 1],
    ['the Service does not serve Curlew', [200], 'silent', 1],
  ])('%s', async (_what, pods, service, degraded) => {
    const result = await walk(pods, service, 200)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_kube_path_degraded')).toBe(degraded)
  })
})

describe('users are not served: the innermost leg that is proven broken', () => {
  it.each<[string, readonly Leg[], Leg | undefined, Leg, string, string, string]>([
    ['every pod answers an error', [500, 500], 500, 500, 'kube_path_pod_status', 'assert', 'mismatch'],
    ['and the ingress hides it', [500], 500, 502, 'kube_path_pod_status', 'assert', 'mismatch'],
    ['the only pod is silent', ['silent'], 'silent', 504, 'kube_path_pod_silent', 'request', 'timeout'],
    ['pods speak something else', ['no HTTP'], 'no HTTP', 502, 'kube_path_pod_protocol', 'request', 'protocol'],
    ['no pod listens, and the ingress says so', ['refused', 'refused'], 'refused', 502, 'kube_path_pod_refused', 'connect', 'refused'],
    ['pods hang up on Curlew, and the Service answers an error', ['hangs up'], 500, 500, 'kube_path_service_status', 'assert', 'mismatch'],
    ['no pod listens, the Service is not asked', ['refused'], undefined, 503, 'kube_path_pod_refused', 'connect', 'refused'],
    ['the Service refuses though pods are well', [200, 500], 'refused', 503, 'kube_path_service_refused', 'connect', 'refused'],
    ['the Service leads elsewhere', [200], 404, 404, 'kube_path_service_status', 'assert', 'mismatch'],
    ['the Service is silent though pods are well', [200], 'silent', 504, 'kube_path_service_silent', 'request', 'timeout'],
    ['the Service refuses, pods are not asked', [], 'refused', 503, 'kube_path_service_refused', 'connect', 'refused'],
    ['no rule: the default backend', [200], 200, 404, 'kube_path_no_rule', 'request', 'not_found'],
    ['the controller knows no endpoint', [200], 200, 503, 'kube_path_no_backend', 'request', 'unavailable'],
    ['the controller cannot reach them', [200], 200, 502, 'kube_path_bad_gateway', 'request', 'unavailable'],
    ['the controller gives up', [200], 200, 504, 'kube_path_bad_gateway', 'request', 'unavailable'],
    ['the ingress answers otherwise', [200], 200, 301, 'kube_path_ingress_status', 'assert', 'mismatch'],
    ['no controller', [200], 200, 'refused', 'kube_path_ingress_refused', 'connect', 'refused'],
    ['the controller is silent', [200], 200, 'silent', 'kube_path_ingress_silent', 'request', 'timeout'],
    ['the controller hangs up', [200], 200, 'hangs up', 'kube_path_ingress_reset', 'request', 'reset'],
    // Curlew may only be kept out: what the ingress says for itself counts.
    ['no controller, and Curlew gets nowhere inside', ['refused'], 'refused', 'refused', 'kube_path_ingress_refused', 'connect', 'refused'],
    ['no rule, and Curlew gets nowhere inside', ['refused'], 'refused', 404, 'kube_path_no_rule', 'request', 'not_found'],
    ['an error of the application, and Curlew gets nowhere inside', ['refused'], 'refused', 500, 'kube_path_ingress_status', 'assert', 'mismatch'],
    ['a mesh refuses Curlew, and the ingress has no rule', [403], undefined, 404, 'kube_path_no_rule', 'request', 'not_found'],
    ['pods are closed to Curlew and the Service is well', ['refused'], 200, 503, 'kube_path_no_backend', 'request', 'unavailable'],
    ['listed pods are gone and the Service is well', [500], 200, 503, 'kube_path_no_backend', 'request', 'unavailable'],
  ])('%s', async (_what, pods, service, ingress, code, layer, reason) => {
    const result = await walk(pods, service, ingress)
    expect(result).toMatchObject({ status: 'failed', failure: { code, layer, reason } })
    expect(gaugeOf(result, 'probe_kube_path_degraded')).toBe(0)
    expect(up(result)['ingress']).toBe(0)
  })

  it('a sentence says what each leg did, and phases how long', async () => {
    const result = await walk([200, 500, 'refused'], 'refused', 503)
    expect(messageOf(result)).toMatch(/^2 of 3 pods fail: 127\.0\.0\.1:\d+ answers 500, expected 2xx, 127\.0\.0\.1:\d+ \(connect ECONNREFUSED .*\); the Service 127\.0\.0\.1:\d+ \(connect ECONNREFUSED .*\); the ingress 127\.0\.0\.1:\d+ answers 503, expected 2xx$/)
    expect(gaugeOf(result, 'probe_kube_path_pods', { state: 'ok' })).toBe(1)
    expect(gaugeOf(result, 'probe_kube_path_pods', { state: 'failed' })).toBe(2)
    expect(up(result)).toEqual({ pod: 1, service: 0, ingress: 0 })
    expect(gaugeOf(result, 'probe_kube_path_status_code', { leg: 'ingress' })).toBe(503)
    expect(gaugeOf(result, 'probe_kube_path_status_code', { leg: 'service' })).toBeUndefined()
    expect(result.phases.map(({ name }) => name).sort()).toEqual(['ingress', 'pod', 'service'])
  })

  it('a silent pod takes no time from the others', async () => {
    const result = await walk(['silent', 200], 200, 200)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_kube_path_degraded')).toBe(1)
    const ms = Object.fromEntries(result.phases.map((phase) => [phase.name, phase.ms]))
    expect(ms['service']).toBeLessThan(ms['pod'] ?? 0)
  })
})

describe('a request', () => {
  it('asks on every leg for the host and path of the users, and behind the ingress as an ingress would', async () => {
    const seen = await kept(httpServer(answering(200)))
    const result = await probeOnce(kubePath, { target: 'http://shop.example.org/health?deep=1', ingress: [at(seen.port)], service: at(seen.port), pods: [at(seen.port)], backend_path: '/' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(seen.requests.map(({ method, path, headers }) => `${method} ${path} ${headers.host} ${String(headers['x-forwarded-proto'])}`).sort()).toEqual([
      'GET / shop.example.org http', 'GET / shop.example.org http', 'GET /health?deep=1 shop.example.org undefined',
    ])
  })

  it('takes the host that is given, and the statuses', async () => {
    const seen = await kept(httpServer(answering(301)))
    expect(await probeOnce(kubePath, { target: `http://127.0.0.1:${seen.port}/`, host_header: 'other.example.org', status: [301] })).toMatchObject({ status: 'ok' })
    expect(seen.requests.map(({ headers }) => headers.host)).toEqual(['other.example.org'])
  })

  it('over TLS verifies the certificate of the ingress, and exports it', async () => {
    const tls = await kept(httpServer(answering(200), { pair: good }))
    const plain = await kept(httpServer(answering(200)))
    const entry = { target: `https://probe.test/`, ingress: [at(tls.port)], service: at(plain.port), ca_file: caFile }
    const result = await probeOnce(kubePath, entry)
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(0)
    expect(await probeOnce(kubePath, { ...entry, target: 'https://shop.example.org/' })).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'mismatch', code: 'tls_wrong_host' } })
    const old = await kept(httpServer(answering(200), { pair: expired }))
    const late = await probeOnce(kubePath, { ...entry, ingress: [at(old.port)] })
    expect(late).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'expired', code: 'tls_expired' } })
    expect(gaugeOf(late, 'probe_ssl_earliest_cert_expiry')).toBe(Date.UTC(2021, 0, 1) / 1000)
  })

  it('speaks TLS to a backend that does, whatever its certificate', async () => {
    const tls = await kept(httpServer(answering(200), { pair: expired }))
    const plain = await kept(httpServer(answering(200)))
    const result = await probeOnce(kubePath, { target: 'http://shop.example.org/', ingress: [at(plain.port)], service: at(tls.port), pods: [at(tls.port)], backend: 'https' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_kube_path_degraded')).toBe(0)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeUndefined()
  })

  it('is served by one address of several, the others are counted', async () => {
    const result = await probeOnce(kubePath, { target: 'http://shop.example.org/', ingress: [await leg('refused'), await leg(200)] })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_kube_path_ingresses', { state: 'failed' })).toBe(1)
    expect(gaugeOf(result, 'probe_kube_path_degraded')).toBe(1)
  })

  it('to a name that does not exist keeps the code that everybody knows', async () => {
    const result = await probeOnce(kubePath, { target: 'http://nobody.invalid./', pods: [await leg(200)], timeout: '3s' })
    expect(result).toMatchObject({ failure: { layer: 'resolve' } })
  })
})

describe('options', () => {
  it.each<[string, string]>([['https://shop.example.org/health?x=1', 'https://shop.example.org/health'], ['kube-path+https://shop.example.org/', 'https://shop.example.org/'], ['kube-path+http://shop.example.org/a', 'http://shop.example.org/a']])('%s is %s', (target, text) => {
    expect(jobOf(kubePath, { target }).target).toBe(text)
  })

  it('know the hosts on the way', () => {
    expect(jobOf(kubePath, { target: 'https://shop.example.org/' }).ways()).toMatchObject([{ host: 'shop.example.org', port: 443, tls: { server_name: 'shop.example.org' } }])
    expect(jobOf(kubePath, { target: 'http://shop.example.org/', ingress: ['10.0.0.1:80', '10.0.0.2:80'] }).ways()).toMatchObject([{ host: '10.0.0.1', port: 80, tls: undefined }, { host: '10.0.0.2' }])
  })

  it.each<[Record<string, unknown>, string]>([
    [{ pods: Array.from({ length: 21 }, (_, n) => `10.0.0.${n}:80`) }, 'at most 20'], [{ pods: ['10.0.0.1'] }, 'host:port'], [{ backend_path: 'x' }, 'begins with /'], [{ ingress: [] }, 'at least 1'],
  ])('%j is refused', (entry, message) => { expect(() => jobOf(kubePath, { target: 'http://x/', ...entry })).toThrow(message) })
})
