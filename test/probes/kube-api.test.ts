import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry, readTarget } from '../../src/config/jobs.ts'
import { parseEndpoint } from '../../src/core/fields.ts'
import { runJob } from '../../src/core/run.ts'
import { clusterClient } from '../../src/kubernetes/client.ts'
import { kubeApiProbe } from '../../src/probes/kube-api.ts'
import { checkNames, MOST_CHECKS } from '../../src/probes/lib/kube-api-checks.ts'
import { proxyOf } from '../../src/probes/lib/kube-api-proxy.ts'
import { startKubeApi } from '../support/kube-api.ts'
import { httpProxy } from '../support/http-proxy.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { freePort, temporaryDirectory } from '../support/process.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { tlsServer } from '../support/tls.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(kubeApiProbe)
tcpProbeContract(kubeApiProbe, (port) => ({ target: `127.0.0.1:${port}` }))

const certificates = makeCertificates()
const directory = temporaryDirectory()
const running: TestServer[] = []
afterAll(async () => {
  for (const server of running) await server.close()
  directory.remove()
})

type Answer = number | readonly [status: number, body: string] | ((request: IncomingMessage, response: ServerResponse) => void)

/** An API server that answers each path as the test says: `ok` for what it does not say, 404 for other checks than those. */
async function api(answers: Record<string, Answer> = {}, pair: Pair = certificates.good): Promise<TestServer & { asked: string[] }> {
  const asked: string[] = []
  const server = createServer({ cert: pair.cert, key: pair.key }, (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const answer = answers[path] ?? (path.startsWith('/metrics') ? 403 : /^\/(?:livez|readyz(?:\/(?:etcd|ping|informer-sync))?)$/.test(path) ? [200, 'ok'] as const : 404)
    if (typeof answer === 'function') return answer(request, response)
    const [status, body] = typeof answer === 'number' ? [answer, '{"kind":"Status"}'] : answer
    response.writeHead(status).end(body)
  })
  server.on('tlsClientError', () => {})
  const started = { asked, ...await listening(server) }
  running.push(started)
  return started
}
const against = async (answers?: Record<string, Answer>, entry: Record<string, unknown> = {}) => {
  const server = await api(answers)
  return { server, result: await probeOnce(kubeApiProbe, { target: `127.0.0.1:${server.port}`, ca_file: certificates.caFile, ...entry }) }
}
const failure = (code: string, layer: string, reason: string, message = '') => ({ status: 'failed', failure: { code, layer, reason, message: expect.stringContaining(message) } })

describe('options', () => {
  it('reads an address and a URL of its own', () => {
    expect(jobOf(kubeApiProbe, { target: '10.0.0.1' }).target).toBe('10.0.0.1:6443')
    expect(readTarget(kubeApiProbe, 'kube-api://[2001:db8::1]:443?token_file=/t')).toEqual({ target: '[2001:db8::1]:443', token_file: '/t' })
    expect(readEntry(kubeApiProbe, { name: 'it', type: 'kube-api', ...readTarget(kubeApiProbe, 'kube-api://h?insecure_skip_verify=true') }).issues).toEqual([])
    expect(() => readTarget(kubeApiProbe, 'kube-api://me@h')).toThrow('no user')
    expect(() => readTarget(kubeApiProbe, 'kube-api://h/k8s')).toThrow('without a path')
  })

  it('takes credentials from one place', () => {
    const { issues } = readEntry(kubeApiProbe, { name: 'it', type: 'kube-api', target: 'a', kubeconfig: '/k', token_file: '/t', ca_file: certificates.caFile })
    expect(issues.map(({ path }) => path.join('.')).toSorted()).toEqual(['ca_file', 'token_file'])
    expect(readEntry(kubeApiProbe, { name: 'it', type: 'kube-api', target: 'a', context: 'c' }).issues.map(({ path }) => path.join('.'))).toEqual(['context'])
  })

  it('does not have a walk call the certificate untrusted that a kubeconfig trusts', () => {
    expect(jobOf(kubeApiProbe, { target: 'a', kubeconfig: '/k' }).ways()).toMatchObject([{ host: 'a', port: 6443, tls: { insecure_skip_verify: true } }])
    expect(jobOf(kubeApiProbe, { target: 'a' }).ways()).toMatchObject([{ tls: { insecure_skip_verify: false } }])
  })
})

describe('a server that is well', () => {
  it('is live, ready and sees etcd, on one connection', async () => {
    const { server, result } = await against()
    expect(result).toMatchObject({ status: 'ok' })
    expect(server.asked).toEqual(['/livez', '/readyz', '/readyz/etcd', '/readyz/etcd-readiness'])
    expect(server.accepted()).toBe(1)
    expect([gaugeOf(result, 'probe_kube_api_live'), gaugeOf(result, 'probe_kube_api_ready'), gaugeOf(result, 'probe_kube_api_check', { check: 'etcd' })]).toEqual([1, 1, 1])
    expect(gaugeOf(result, 'probe_kube_api_check', { check: 'etcd-readiness' })).toBeUndefined()
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'tls', 'livez', 'readyz', 'etcd'])
  })

  it('is well though nobody may ask for single checks', async () => {
    const { result } = await against({ '/readyz/etcd': 403, '/readyz/etcd-readiness': 403 })
    expect(result.status).toBe('ok')
    expect(result.gauges.filter(({ name }) => name === 'probe_kube_api_check')).toEqual([])
  })

  it('may keep etcd out of its readiness, as on OpenShift: whether it sees etcd is told all the same', async () => {
    const { server, result } = await against({ '/readyz/etcd': 404, '/livez/etcd': 200 })
    expect(server.asked).toEqual(['/livez', '/readyz', '/readyz/etcd', '/livez/etcd', '/readyz/etcd-readiness'])
    expect([result.status, gaugeOf(result, 'probe_kube_api_check', { check: 'etcd' })]).toEqual(['ok', 1])
    expect((await against({ '/readyz/etcd': 404, '/livez/etcd': 500 })).result).toMatchObject(failure('kube_api_etcd_down', 'request', 'unavailable', 'ready, but does not see etcd'))
  })

  it('may close the connection after each answer; nothing is exported twice', async () => {
    const close: Answer = (_request, response) => response.writeHead(200, { connection: 'close' }).end('ok')
    const { server, result } = await against({ '/livez': close, '/readyz': close })
    expect(result.status).toBe('ok')
    expect(server.accepted()).toBe(3)
    expect(result.gauges.filter(({ name }) => name === 'probe_ssl_earliest_cert_expiry')).toHaveLength(1)
  })

  it('is verified as clients do, an address too, and its expiry is exported even so', async () => {
    const server = await api({}, certificates.wrongHost)
    const result = await probeOnce(kubeApiProbe, { target: `127.0.0.1:${server.port}`, ca_file: certificates.caFile })
    expect(result).toMatchObject(failure('tls_wrong_host', 'tls', 'mismatch', '127.0.0.1'))
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(0)
    expect(server.asked).toEqual([])
  })
})

describe('a server that is not well', () => {
  it('is not ready, and the checks are named', async () => {
    const { result } = await against({ '/readyz': 500, '/readyz/informer-sync': 500, '/readyz/shutdown': 500 })
    expect(result).toMatchObject(failure('kube_api_not_ready', 'request', 'unavailable', 'not ready; failing: informer-sync, shutdown'))
    expect([gaugeOf(result, 'probe_kube_api_live'), gaugeOf(result, 'probe_kube_api_ready')]).toEqual([1, 0])
    expect([gaugeOf(result, 'probe_kube_api_check', { check: 'ping' }), gaugeOf(result, 'probe_kube_api_check', { check: 'informer-sync' })]).toEqual([1, 0])
  })

  it('names the checks that its metrics list', async () => {
    const slis = 'kubernetes_healthcheck{name="poststarthook/mine",type="readyz"} 0\nkubernetes_healthcheck{name="other",type="livez"} 0\n'
    const { server, result } = await against({ '/readyz': 500, '/metrics/slis': [200, slis], '/readyz/poststarthook/mine': 500 })
    expect(result).toMatchObject(failure('kube_api_not_ready', 'request', 'unavailable', 'failing: poststarthook/mine'))
    expect(server.asked.slice(4)).toEqual(['/metrics/slis', '/readyz/poststarthook/mine'])
  })

  it('does not see etcd, whatever else fails with it, and even where it calls itself ready', async () => {
    const { result } = await against({ '/livez': 500, '/readyz': 500, '/readyz/etcd': 500, '/readyz/ping': 500 })
    expect(result).toMatchObject(failure('kube_api_etcd_down', 'request', 'unavailable', 'not live; failing: etcd, ping'))
    const { result: late } = await against({ '/readyz/etcd': 500 })
    expect(late).toMatchObject(failure('kube_api_etcd_down', 'request', 'unavailable', 'ready, but does not see etcd'))
    expect(gaugeOf(late, 'probe_kube_api_ready')).toBe(0)
  })

  it('has an etcd that hangs: the run ends with that, not with a timeout', async () => {
    const { result } = await against({ '/readyz': 500, '/readyz/etcd': () => {} }, { timeout: '700ms' })
    expect(result).toMatchObject(failure('kube_api_etcd_down', 'request', 'unavailable', 'failing: etcd'))
  })

  it('does not live', async () => {
    const { result } = await against({ '/livez': 500 })
    expect(result).toMatchObject(failure('kube_api_not_live', 'request', 'unavailable', 'which check fails this login may not ask'))
  })

  it('goes away while its checks are asked for', async () => {
    const { result } = await against({ '/readyz': 500, '/readyz/etcd': (request) => request.socket.destroy() })
    expect(result).toMatchObject(failure('kube_api_not_ready', 'request', 'unavailable'))
  })

  it.each([
    [429, 'kube_api_overloaded', 'request', 'overloaded'], [503, 'kube_api_gateway', 'request', 'unavailable'], [404, 'kube_api_not_kubernetes', 'request', 'protocol'],
    [302, 'kube_api_not_kubernetes', 'request', 'protocol'],
  ])('answers %i', async (status, code, layer, reason) => {
    expect((await against({ '/livez': status })).result).toMatchObject(failure(code, layer, reason, String(status)))
  })

  it('is another web server, or none', async () => {
    expect((await against({ '/livez': [200, '<html>'] })).result).toMatchObject(failure('kube_api_not_kubernetes', 'request', 'protocol'))
    const garbage = await tlsServer(certificates.good, {}, (socket) => socket.end('220 mail.example.org ESMTP\r\n'))
    running.push(garbage)
    expect(await probeOnce(kubeApiProbe, { target: `127.0.0.1:${garbage.port}`, ca_file: certificates.caFile })).toMatchObject(failure('kube_api_protocol', 'request', 'protocol'))
    const cut = await api({ '/livez': (_request, response) => { response.writeHead(200, { 'content-length': 9 }).write('ok'); response.destroy() } })
    expect(await probeOnce(kubeApiProbe, { target: `127.0.0.1:${cut.port}`, ca_file: certificates.caFile })).toMatchObject(failure('request_reset', 'request', 'reset'))
  })
})

describe('logins', () => {
  const token = join(directory.path, 'token')
  writeFileSync(token, 'canary-token-1\n')
  const who: Answer = (request, response) => {
    const given = request.headers.authorization
    response.writeHead(given === 'Bearer canary-token-1' ? 200 : given === undefined ? 403 : 401).end('ok')
  }

  it('has a token', async () => {
    const { result } = await against({ '/livez': who }, { token_file: token })
    expect(result.status).toBe('ok')
  })

  it('never calls a server down that refuses ours', async () => {
    const { result } = await against({ '/livez': who })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'denied', code: 'kube_api_login_refused' } })
    expect(gaugeOf(result, 'probe_kube_api_live')).toBeUndefined()
  })

  it('asks as everybody does when its token is refused', async () => {
    const stale = join(directory.path, 'stale')
    writeFileSync(stale, 'canary-token-0')
    const { result } = await against({ '/livez': (request, response) => response.writeHead(request.headers.authorization === undefined ? 200 : 401).end('ok') }, { token_file: stale })
    expect(result.status).toBe('ok')
  })

  it('has a token that cannot be read, which is ours', async () => {
    const { result } = await against({}, { token_file: join(directory.path, 'none') })
    expect(result).toMatchObject({ status: 'unknown', failure: { code: 'prober_denied', message: expect.stringContaining('token_file') } })
  })
})

describe('with a kubeconfig', () => {
  it('trusts and logs in as it says', async () => {
    const server = await startKubeApi()
    try {
      const target = `127.0.0.1:${server.port}`
      expect(await probeOnce(kubeApiProbe, { target, kubeconfig: server.kubeconfig(), timeout: '4s' })).toMatchObject({ status: 'ok' })
      server.check('log', false)
      expect(await probeOnce(kubeApiProbe, { target, kubeconfig: server.kubeconfig(), timeout: '4s' })).toMatchObject(failure('kube_api_not_live', 'request', 'unavailable', 'failing: log'))
      expect(await probeOnce(kubeApiProbe, { target, timeout: '4s' })).toMatchObject(failure('tls_unknown_ca', 'tls', 'untrusted'))
    } finally {
      await server.stop()
    }
  })

  it('does not accuse the server of a kubeconfig that is not there', async () => {
    const { server, result } = await against({}, { ca_file: undefined, kubeconfig: join(directory.path, 'none'), timeout: '4s' })
    expect(result).toMatchObject({ status: 'unknown', failure: { code: 'kube_config' } })
    expect(server.accepted()).toBe(0)
  })
})

describe('with a kubeconfig that names another way', () => {
  let files = 0
  const kubeconfig = (cluster: Record<string, unknown>) => {
    const file = join(directory.path, `way-${++files}`)
    writeFileSync(file, JSON.stringify({
      'current-context': 'c', 'contexts': [{ name: 'c', context: { cluster: 'c', user: '' } }],
      'clusters': [{ name: 'c', cluster: { 'certificate-authority': certificates.caFile, ...cluster } }],
    }))
    return file
  }
  const server = (port: number) => `https://127.0.0.1:${port}`
  const through = async (port: number, cluster: Record<string, unknown>, entry: Record<string, unknown> = {}) =>
    probeOnce(kubeApiProbe, { target: `127.0.0.1:${port}`, kubeconfig: kubeconfig({ server: server(port), ...cluster }), timeout: '4s', ...entry })
  const unknown = (code: string, message: string) => ({ status: 'unknown', failure: { layer: 'prober', code, message: expect.stringContaining(message) } })

  it('asks for the name in TLS that it names, as its clients do, unless the probe has another', async () => {
    const { port } = await api({}, certificates.wrongHost)
    expect(await through(port, { 'tls-server-name': 'other.test' })).toMatchObject({ status: 'ok' })
    const client = clusterClient({ name: 'c', kubeconfig: kubeconfig({ 'server': server(port), 'tls-server-name': 'other.test' }) })
    try {
      expect(await client.text({ path: '/livez' })).toMatchObject({ status: 200 })
    } finally {
      client.close()
    }
    expect(await through(port, {})).toMatchObject(failure('tls_wrong_host', 'tls', 'mismatch', '127.0.0.1'))
    expect(await through(port, { 'tls-server-name': 'other.test' }, { server_name: 'probe.test' })).toMatchObject(failure('tls_wrong_host', 'tls', 'mismatch', 'probe.test'))
  })

  it('goes through its proxy, and a walk looks at that', async () => {
    const proxy = await httpProxy({ login: 'me:canary-proxy' })
    running.push(proxy)
    const { port } = await api({}, certificates.wrongHost)
    const entry = { target: `127.0.0.1:${port}`, kubeconfig: kubeconfig({ 'server': server(port), 'proxy-url': `http://me:canary-proxy@${proxy.at}`, 'tls-server-name': 'other.test' }), timeout: '4s' }
    const job = jobOf(kubeApiProbe, entry)
    expect(job.ways()).toMatchObject([{ port }])
    expect(await runJob(job, { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })).toMatchObject({ status: 'ok' })
    expect(proxy.requests.map(({ line }) => line)).toEqual([`CONNECT 127.0.0.1:${port}`])
    expect(job.ways()).toMatchObject([{ host: '127.0.0.1', port: proxy.port }])
    expect(job.ways()[0]?.tls).toBeUndefined()
  })

  it('says what is wrong with an API server behind a proxy as of any other', async () => {
    const proxy = await httpProxy()
    running.push(proxy)
    const { port } = await api({ '/livez': 500 })
    expect(await through(port, { 'proxy-url': `http://${proxy.at}` })).toMatchObject(failure('kube_api_not_live', 'request', 'unavailable'))
    expect(await through((await api({}, certificates.expired)).port, { 'proxy-url': `http://${proxy.at}` })).toMatchObject(failure('tls_expired', 'tls', 'expired'))
  })

  it.each([
    ['https://api.example.org', 'api.example.org', 443, true],
    ['http://api.example.org', 'api.example.org', 80, true],
    ['https://api.example.org:6443', 'api.example.org', 6443, true],
    ['https://[2001:db8::1]:6443', '2001:db8::1', 6443, true],
    ['https://api.example.org', 'api.example.org', 6443, false],
    ['https://api.example.org', '10.0.0.1', 443, false],
  ])('knows %s from other addresses: %s %i', (url, host, port, own) => {
    expect(proxyOf('http://proxy:3128', parseEndpoint(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, undefined)!, url).own).toBe(own)
  })

  it('takes a proxy\'s word for the server that it leads to, and for no other address', async () => {
    const proxy = await httpProxy()
    running.push(proxy)
    const port = await freePort()
    const way = { 'proxy-url': `http://${proxy.at}` }
    expect(await through(port, way)).toMatchObject(failure('kube_api_proxy_failed', 'connect', 'unavailable', `the proxy ${proxy.at}: the answer to CONNECT 127.0.0.1:${port} is 502`))
    expect(await through(port, { ...way, server: 'https://api.example.org' })).toMatchObject(unknown('kube_api_proxy', 'CONNECT'))
  })

  it('accuses nobody of a proxy that is away, refuses, is none, or is of SOCKS', async () => {
    const { port, accepted } = await api()
    const refusing = await httpProxy({ login: 'me:it' })
    const none = await tcpServer((socket) => { socket.once('data', () => socket.end('SSH-2.0-x\r\n')) })
    const silent = await tcpServer()
    running.push(refusing, none, silent)
    expect(await through(port, { 'proxy-url': `http://127.0.0.1:${await freePort()}` })).toMatchObject(unknown('kube_api_proxy', 'the proxy 127.0.0.1'))
    expect(await through(port, { 'proxy-url': `http://${refusing.at}` })).toMatchObject(unknown('kube_api_proxy', '407'))
    expect(await through(port, { 'proxy-url': `http://127.0.0.1:${none.port}` })).toMatchObject(unknown('kube_api_proxy', 'not HTTP/1'))
    expect(await through(port, { 'proxy-url': `http://127.0.0.1:${silent.port}` }, { timeout: '500ms' })).toMatchObject(unknown('kube_api_proxy', 'is silent'))
    expect(await through(port, { 'proxy-url': 'socks5://127.0.0.1:1080' })).toMatchObject(unknown('kube_api_proxy_unsupported', 'not http://'))
    expect(accepted()).toBe(0)
  })
})

describe('names of checks', () => {
  it('are bounded, and never more than a name', () => {
    const many = Array.from({ length: 500 }, (_, index) => `kubernetes_healthcheck{name="c${index}",type="readyz"} 1`).join('\n')
    expect(checkNames(many)).toHaveLength(MOST_CHECKS - 2)
    expect(checkNames('kubernetes_healthcheck{type="readyz",name="a?b c"} 1\nkubernetes_healthcheck{type="readyz",name="etcd"} 1\nkubernetes_healthcheck{type="readyz",name="log"} 1')).toEqual(['log'])
    expect(checkNames(undefined)).toContain('informer-sync')
  })
})
