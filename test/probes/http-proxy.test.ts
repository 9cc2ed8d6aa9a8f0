import type { RequestListener } from 'node:http'
import { getActiveResourcesInfo } from 'node:process'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { runJob } from '../../src/core/run.ts'
import { redact } from '../../src/core/secrets.ts'
import { http } from '../../src/probes/http.ts'
import { parseNoProxy, parseProxy, proxyRules } from '../../src/probes/lib/http-proxy-rules.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { httpProxy, type TestProxyOptions } from '../support/http-proxy.ts'
import { httpServer } from '../support/http-servers.ts'
import { eventually, freePort } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { gaugeOf, jobOf, probeOnce } from './contract.ts'

const certificates = makeCertificates()
const servers: TestServer[] = []
const keep = async <S extends TestServer>(starting: Promise<S>): Promise<S> => {
  const server = await starting
  servers.push(server)
  return server
}
const serve = (answer: RequestListener = (_request, response) => { response.end('page') }, pair?: Pair) => keep(httpServer(answer, pair && { pair }))
const proxyWith = (options?: TestProxyOptions) => keep(httpProxy(options))
/** A proxy that answers every connection with these bytes. */
const rude = async (answer: string) => `http://127.0.0.1:${(await keep(tcpServer((socket) => { socket.once('data', () => socket.end(answer, 'latin1')) }))).port}`
afterAll(async () => { for (const server of servers) await server.close() })
afterEach(() => { vi.unstubAllEnvs() })

const probe = (target: string, entry: Record<string, unknown> = {}) => probeOnce(http, { target, ca_file: certificates.caFile, ...entry })
const failed = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const issuesOf = (entry: Record<string, unknown>) => readEntry(http, { name: 'it', type: 'http', target: 'http://shop.test/', ...entry }).issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')

const USER = 'prober'
const PASSWORD = 'p@ss:word-of-the-proxy'
const LOGIN = `${USER}:${PASSWORD}`
const USERINFO = `${USER}:${encodeURIComponent(PASSWORD)}`

describe('http: through a proxy', () => {
  it('a page is asked for by its whole URL, and the proxy resolves its name', async () => {
    const [server, proxy] = [await serve(), await proxyWith()]
    const result = await probe(`http://shop.test:${server.port}/a?b=c`, { proxy_url: `http://${proxy.at}`, marker: 'page' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(proxy.requests.map(({ line }) => line)).toEqual([`GET http://shop.test:${server.port}/a?b=c`])
    expect(server.requests).toMatchObject([{ path: '/a?b=c', headers: { host: `shop.test:${server.port}` } }])
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'tls', 'processing', 'transfer'])
    await eventually(() => proxy.open() === 0)
  })

  it.each([['http'], ['https']] as const)('over TLS it is a tunnel through an %s proxy, and the certificate is that of the target', async (scheme) => {
    const server = await serve(undefined, certificates.chain)
    const proxy = await proxyWith(scheme === 'https' ? { tls: certificates.good } : {})
    const result = await probe(`https://probe.test:${server.port}/`, { proxy_url: `${scheme}://${proxy.at}`, fail_if_not_ssl: true })
    expect(result).toMatchObject({ status: 'ok' })
    expect(proxy.requests).toMatchObject([{ line: `CONNECT probe.test:${server.port}`, headers: { host: `probe.test:${server.port}` } }])
    expect(proxy.requests[0]?.headers).not.toHaveProperty('connection')
    expect(server.requests).toMatchObject([{ path: '/', headers: { host: `probe.test:${server.port}` } }])
    expect(result.gauges.filter(({ name }) => name === 'probe_ssl_last_chain_info')).toHaveLength(1)
    await eventually(() => proxy.open() === 0 && server.open() === 0)
  })

  it('over TLS to the proxy a plain page has no certificate', async () => {
    const [server, proxy] = [await serve(), await proxyWith({ tls: certificates.good })]
    const result = await probe(`http://shop.test:${server.port}/`, { proxy_url: `https://${proxy.at}`, fail_if_ssl: true })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeUndefined()
    expect(result.phases.find(({ name }) => name === 'tls')?.ms).toBe(0)
  })

  it('logs in to the proxy, not to the target, and the other way round', async () => {
    const [plain, secure, proxy] = [await serve(), await serve(undefined, certificates.good), await proxyWith({ login: LOGIN })]
    for (const target of [`http://shop.test:${plain.port}/`, `https://probe.test:${secure.port}/`]) {
      expect(await probe(target, { proxy_url: `http://${USERINFO}@${proxy.at}`, bearer_token: 'token-of-the-target' })).toMatchObject({ status: 'ok' })
    }
    for (const { headers } of proxy.requests) expect(headers).toMatchObject({ 'proxy-authorization': `Basic ${Buffer.from(LOGIN).toString('base64')}` })
    expect(proxy.requests[1]?.headers).not.toHaveProperty('authorization')
    for (const { headers } of [...plain.requests, ...secure.requests]) {
      expect(headers).toMatchObject({ authorization: 'Bearer token-of-the-target' })
      expect(headers).not.toHaveProperty('proxy-authorization')
    }
  })

  it('another Host, and one address of the name, need a tunnel', async () => {
    const [server, secure, proxy] = [await serve(), await serve(undefined, certificates.good), await proxyWith()]
    expect(await probe(`http://shop.test:${server.port}/`, { proxy_url: `http://${proxy.at}`, host_header: 'other.test' })).toMatchObject({ status: 'ok' })
    for (const target of [`http://shop.test:${server.port}/`, `https://probe.test:${secure.port}/`]) {
      const job = jobOf(http, { target, proxy_url: `http://${proxy.at}`, addresses: 'each', ca_file: certificates.caFile })
      expect(await runJob(job.each!.at('127.0.0.1'), { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })).toMatchObject({ status: 'ok' })
    }
    expect(proxy.requests.map(({ line }) => line)).toEqual([`CONNECT shop.test:${server.port}`, `CONNECT 127.0.0.1:${server.port}`, `CONNECT 127.0.0.1:${secure.port}`])
    expect([...server.requests, ...secure.requests].map(({ headers }) => headers.host)).toEqual(['other.test', `shop.test:${server.port}`, `probe.test:${secure.port}`])
  })

  it('every hop of a redirect is decided anew', async () => {
    const proxy = await proxyWith()
    const last = await serve()
    const direct = await serve((_request, response) => { response.writeHead(302, { Location: `http://shop.test:${last.port}/last` }).end() })
    const first = await serve((_request, response) => { response.writeHead(302, { Location: `http://127.0.0.1:${direct.port}/direct` }).end() })
    expect(await probe(`http://localhost:${first.port}/`, { proxy_url: `http://${proxy.at}`, no_proxy: '127.0.0.0/8' })).toMatchObject({ status: 'ok' })
    expect(proxy.requests.map(({ line }) => line)).toEqual([`GET http://localhost:${first.port}/`, `GET http://shop.test:${last.port}/last`])
    expect(direct.requests).toHaveLength(1)
  })

  it.each([['http://10.0.0.1/'], ['http://169.254.169.254/latest/meta-data'], ['http://localhost:1/'], ['http://[::1]/']])('a redirect from a name to %s is refused', async (location) => {
    const proxy = await proxyWith()
    const server = await serve((_request, response) => { response.writeHead(302, { Location: location }).end() })
    const target = `http://shop.test:${server.port}/`
    expect(await probe(target, { proxy_url: `http://${proxy.at}` })).toMatchObject(failed('request', 'denied', 'http_redirect_refused'))
    expect(await probe(target, { proxy_url: `http://${proxy.at}`, no_proxy: '10.0.0.1,169.254.169.254,localhost,::1' })).toMatchObject(failed('request', 'denied', 'http_redirect_refused'))
    expect(proxy.requests).toHaveLength(2)
  })

  it('leaves no socket and no timer behind', async () => {
    const [server, proxy] = [await serve(undefined, certificates.good), await proxyWith({ tls: certificates.good })]
    const silent = await keep(tcpServer())
    const held = () => getActiveResourcesInfo().filter((name) => /TCPSocketWrap|TLSWrap|Timeout/.test(name)).length
    const before = held()
    await Promise.all(Array.from({ length: 5 }, async () => {
      await probe(`https://probe.test:${server.port}/`, { proxy_url: `https://${proxy.at}` })
      await probe('https://probe.test/', { proxy_url: `http://127.0.0.1:${silent.port}`, timeout: '100ms' })
    }))
    await eventually(() => proxy.open() + server.open() + silent.open() === 0 && held() <= before)
  })
})

describe('http: what a proxy does wrong is not the fault of the target', () => {
  const targets = ['http://shop.test/', 'https://shop.test/']

  it.each(targets)('refuses the connection to %s', async (target) => {
    const at = `127.0.0.1:${await freePort()}`
    const result = await probe(target, { proxy_url: `http://${at}` })
    expect(result).toMatchObject(failed('connect', 'refused', 'connect_refused'))
    expect(result).toHaveProperty('failure.message', expect.stringMatching(`^the proxy ${at}: `))
  })

  it('its name does not exist', async () => {
    const result = await probe('http://shop.test/', { proxy_url: 'http://proxy.invalid:3128' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'resolve', message: expect.stringMatching(/^the proxy proxy\.invalid:3128: /) } })
  })

  it.each([['http://shop.test/', 'http', 'request'], ['https://shop.test/', 'http', 'connect'], ['https://shop.test/', 'https', 'connect']])('is silent about %s as an %s proxy', async (target, scheme, layer) => {
    const at = `127.0.0.1:${(await keep(tcpServer())).port}`
    const result = await probe(target, { proxy_url: `${scheme}://${at}`, timeout: '200ms' })
    expect(result).toMatchObject(failed(layer, 'timeout', `${layer}_timeout`))
    expect(result).toHaveProperty('failure.message', expect.stringMatching(`^the proxy ${at}: .*answer`))
  })

  it.each([['http://shop.test/', 'request'], ['https://shop.test/', 'connect']])('closes without a word about %s', async (target, layer) => {
    const url = await rude('')
    const result = await probe(target, { proxy_url: url })
    expect(result).toMatchObject(failed(layer, 'reset', `${layer}_reset`))
    expect(result).toHaveProperty('failure.message', expect.stringMatching(`^the proxy ${url.slice('http://'.length)}: `))
  })

  it.each([
    [403, 'request', 'denied', 'http_proxy_denied'], [407, 'auth', 'denied', 'http_proxy_auth'], [502, 'connect', 'unavailable', 'http_proxy_failed'], [503, 'connect', 'unavailable', 'http_proxy_failed'],
    [504, 'connect', 'unavailable', 'http_proxy_failed'], [302, 'connect', 'protocol', 'http_proxy_protocol'], [405, 'connect', 'protocol', 'http_proxy_protocol'], [100, 'connect', 'protocol', 'http_proxy_protocol'],
  ])('answers CONNECT with %i', async (status, layer, reason, code) => {
    const result = await probe('https://shop.test/', { proxy_url: await rude(`HTTP/1.1 ${status} X\r\nLocation: http://portal.test/\r\n\r\n`), status: ['2xx', '3xx'] })
    expect(result).toMatchObject(failed(layer, reason, code))
    expect(result).toHaveProperty('failure.message', expect.stringMatching(new RegExp(`^the proxy 127\\.0\\.0\\.1:\\d+: .*${status}`)))
  })

  it.each([['garbage', 'SSH-2.0-OpenSSH\r\n'], ['endless headers', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(10_000)}`]])('answers CONNECT with %s', async (_what, answer) => {
    expect(await probe('https://shop.test/', { proxy_url: await rude(answer) })).toMatchObject(failed('connect', 'protocol', 'http_proxy_protocol'))
  })

  it.each(targets)('wants another login for %s', async (target) => {
    const proxy = await proxyWith({ login: LOGIN })
    const without = await probe(target, { proxy_url: `http://${proxy.at}` })
    expect(without).toMatchObject(failed('auth', 'denied', 'http_proxy_auth'))
    expect(without).toHaveProperty('failure.message', `the proxy ${proxy.at}: the answer is 407: a user name and password are wanted`)
    const wrong = await probe(target, { proxy_url: `http://${USER}:wrong-one@${proxy.at}` })
    expect(wrong).toHaveProperty('failure.message', `the proxy ${proxy.at}: the answer is 407: user name and password are not accepted`)
  })

  it('wants a client certificate, which is for the target only', async () => {
    const { port } = await keep(httpServer(() => {}, { pair: certificates.good, options: { requestCert: true, ca: certificates.ca.cert } }))
    const [cert_file, key_file] = [certificates.client.certFile, certificates.client.keyFile]
    for (const target of targets) {
      const result = await probe(target, { proxy_url: `https://127.0.0.1:${port}`, cert_file, key_file })
      expect(result).toMatchObject({ status: 'failed', failure: { layer: 'tls', code: 'tls_client_cert_required', message: expect.stringMatching(`^the proxy 127.0.0.1:${port}: `) } })
    }
  })

  it('cannot reach the target', async () => {
    const [proxy, port] = [await proxyWith(), await freePort()]
    expect(await probe(`https://shop.test:${port}/`, { proxy_url: `http://${proxy.at}` })).toMatchObject(failed('connect', 'unavailable', 'http_proxy_failed'))
    const plain = await probe(`http://shop.test:${port}/`, { proxy_url: `http://${proxy.at}` })
    expect(plain).toMatchObject(failed('assert', 'mismatch', 'http_status_unexpected'))
    expect(plain).toHaveProperty('failure.message', expect.stringContaining(`; it came by the proxy ${proxy.at}, which may have answered by itself`))
  })

  it('its certificate is not trusted, whatever is said of that of the target', async () => {
    const [server, proxy] = [await serve(undefined, certificates.good), await proxyWith({ tls: certificates.expired, login: LOGIN })]
    const result = await probe(`https://probe.test:${server.port}/`, { proxy_url: `https://${USERINFO}@${proxy.at}`, insecure_skip_verify: true })
    expect(result).toMatchObject(failed('tls', 'expired', 'tls_expired'))
    expect(result).toHaveProperty('failure.message', expect.stringMatching(`^the proxy ${proxy.at}: `))
    expect(proxy.requests).toEqual([])
    const untrusted = await serve(undefined, certificates.selfSigned)
    const honest = await proxyWith({ tls: certificates.good })
    const own = await probe(`https://probe.test:${untrusted.port}/`, { proxy_url: `https://${honest.at}` })
    expect(own).toMatchObject(failed('tls', 'untrusted', 'tls_self_signed'))
    expect(own).toHaveProperty('failure.message', expect.not.stringContaining('proxy'))
  })
})

describe('http: no_proxy', () => {
  it.each([
    ['*', 'http://anything.test/', true], ['', 'http://shop.test/', false], [' , ', 'http://shop.test/', false],
    ['shop.test', 'http://shop.test/', true], ['shop.test', 'http://a.b.shop.test/', true], ['shop.test', 'http://workshop.test/', false], ['SHOP.test.', 'http://shop.test./', true],
    ['.shop.test', 'http://a.shop.test/', true], ['.shop.test', 'http://shop.test/', false], ['*.shop.test', 'http://a.shop.test/', true], ['*.shop.test', 'http://shop.test/', false],
    ['other.test, shop.test', 'http://shop.test/', true], ['other.test shop.test', 'http://shop.test/', true],
    ['shop.test:8080', 'http://shop.test:8080/', true], ['shop.test:8080', 'http://shop.test/', false], ['shop.test:443', 'https://shop.test/', true], ['shop.test:80', 'http://shop.test/', true],
    ['.shop.test:8080', 'http://a.shop.test:8080/', true], ['.shop.test:8080', 'http://a.shop.test/', false],
    ['192.0.2.1', 'http://192.0.2.1/', true], ['192.0.2.1:81', 'http://192.0.2.1/', false], ['2.1', 'http://192.0.2.1/', false],
    ['192.0.2.0/24', 'http://192.0.2.200/', true], ['192.0.2.0/24', 'http://192.0.3.1/', false], ['192.0.2.0/24', 'http://shop.test/', false], ['0.0.0.0/0', 'http://[2001:db8::1]/', false],
    ['2001:db8::/32', 'http://[2001:db8::1]/', true], ['2001:db8::1', 'http://[2001:DB8:0::1]/', true], ['[2001:db8::1]:81', 'http://[2001:db8::1]:81/', true], ['[2001:db8::1]:81', 'http://[2001:db8::1]/', false],
  ])('%j and %s', (text, page, direct) => {
    const choose = proxyRules({ proxy_url: undefined, proxy_from_environment: true }, { http_proxy: 'proxy.test', https_proxy: 'proxy.test', no_proxy: text })
    expect(choose(new URL(page)) === undefined).toBe(direct)
  })

  it('counts for the address that a name stands for', () => {
    const { covers } = parseNoProxy('192.0.2.0/24')
    expect([covers('shop.test', 80, '192.0.2.7'), covers('shop.test', 80, '192.0.3.7'), covers('shop.test', 80)]).toEqual([true, false, false])
  })

  it('names its bad entries', () => {
    expect(parseNoProxy('ok.test,http://x,192.0.2.0/33,a..b,*.192.0.2.1,*x,10/8').bad).toEqual([2, 3, 4, 5, 6, 7])
  })
})

describe('http: proxies of the environment', () => {
  const chosen = (env: NodeJS.ProcessEnv, page: string) => {
    const proxy = proxyRules({ proxy_from_environment: true }, env)(new URL(page))
    return proxy && `${proxy.tls ? 'https' : 'http'} ${proxy.endpoint}`
  }

  it.each([
    [{}, 'http://shop.test/', undefined],
    [{ http_proxy: 'http://a.test:1' }, 'http://shop.test/', 'http a.test:1'], [{ http_proxy: 'http://a.test:1' }, 'https://shop.test/', undefined],
    [{ HTTP_PROXY: 'http://a.test:1' }, 'http://shop.test/', 'http a.test:1'], [{ HTTP_PROXY: 'http://a.test:1', REQUEST_METHOD: 'GET' }, 'http://shop.test/', undefined],
    [{ http_proxy: 'http://a.test:1', REQUEST_METHOD: 'GET' }, 'http://shop.test/', 'http a.test:1'],
    [{ HTTPS_PROXY: 'https://b.test', REQUEST_METHOD: 'GET' }, 'https://shop.test/', 'https b.test:443'], [{ https_proxy: 'b.test:2', HTTPS_PROXY: 'c.test' }, 'https://shop.test/', 'http b.test:2'],
    [{ http_proxy: ' ', HTTP_PROXY: 'a.test' }, 'http://shop.test/', 'http a.test:80'],
    [{ http_proxy: 'a.test', NO_PROXY: 'shop.test' }, 'http://shop.test/', undefined], [{ http_proxy: 'a.test', no_proxy: 'x.test', NO_PROXY: 'shop.test' }, 'http://shop.test/', 'http a.test:80'],
    [{ http_proxy: 'a.test' }, 'http://localhost:8080/', undefined], [{ http_proxy: 'a.test' }, 'http://127.1.2.3/', undefined], [{ http_proxy: 'a.test' }, 'http://[::1]/', undefined],
    [{ http_proxy: 'a.test' }, 'http://127.test/', 'http a.test:80'],
  ])('%j for %s: %s', (env, page, expected) => {
    expect(chosen(env, page)).toBe(expected)
  })

  it('are used, and only when that is wanted', async () => {
    const [server, proxy] = [await serve(), await proxyWith({ login: LOGIN })]
    vi.stubEnv('http_proxy', `http://${USERINFO}@${proxy.at}`)
    vi.stubEnv('no_proxy', '')
    vi.stubEnv('NO_PROXY', '')
    expect(await probe(`http://shop.test:${server.port}/`, { proxy_from_environment: true })).toMatchObject({ status: 'ok' })
    expect(await probe(`http://127.0.0.1:${server.port}/`)).toMatchObject({ status: 'ok' })
    expect(proxy.requests).toHaveLength(1)
  })

  it('can be named as they stand there', async () => {
    const at = `127.0.0.1:${await freePort()}`
    vi.stubEnv('http_proxy', at)
    expect(await probe('http://shop.test/', { proxy_from_environment: true })).toHaveProperty('failure.message', expect.stringMatching(`^the proxy ${at}: `))
  })

  it.each(['socks5://a.test:1080', 'http://a.test/path', 'http://a b'])('%s is no proxy, and nobody is accused', async (text) => {
    vi.stubEnv('http_proxy', text)
    const result = await probe('http://shop.test/', { proxy_from_environment: true })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'unsupported', code: 'http_proxy_setting' } })
    expect(result).toHaveProperty('failure.message', expect.not.stringContaining('a.test'))
  })
})

describe('http: options of proxies', () => {
  it.each([
    [{ proxy_url: 'socks5://a.test' }, 'proxy_url: expected http(s)://'], [{ proxy_url: 'a.test:3128' }, 'proxy_url: '], [{ proxy_url: 'http://a.test/path' }, 'proxy_url: '], [{ proxy_url: 'http://a%3Ab:c@a.test' }, 'proxy_url: '],
    [{ proxy_url: 'http://a:%ff@a.test' }, 'proxy_url: '], [{ proxy_url: 'http://a.test', no_proxy: 'ok.test,10/8' }, 'no_proxy: expected hosts, .domains, addresses, networks or * with commas between them; number 2 is none'],
    [{ no_proxy: 'x.test' }, 'no_proxy: expected proxy_url beside it'], [{ proxy_url: 'http://a.test', proxy_from_environment: true }, 'proxy_from_environment: expected either'],
    [{ proxy_url: 'http://a.test', addresses: 'all' }, 'addresses: '], [{ proxy_from_environment: true, secret_headers: { 'proxy-authorization': 'Basic eA==' } }, 'secret_headers: '],
  ])('%j: %s', (entry, message) => {
    expect(issuesOf(entry)).toContain(message)
  })

  it('hide user name and password in every form', async () => {
    const canary = 'c@nary:of-the-proxy'
    const proxy = await proxyWith({ login: 'someone:else' })
    const userinfo = `prober:${encodeURIComponent(canary)}`
    const { jobs, secrets } = readEntry(http, { name: 'it', type: 'http', target: 'https://shop.test/', proxy_url: `http://${userinfo}@${proxy.at}` })
    expect(secrets).toEqual([['proxy_url']])
    const basic = Buffer.from(`prober:${canary}`).toString('base64')
    const forms = [canary, encodeURIComponent(canary), basic]
    for (const text of [`http://${userinfo}@${proxy.at}`, ...forms]) expect(redact(`it says ${text}!`)).toBe('it says <secret>!')

    const echo = await serve((_request, response) => { response.writeHead(200, { 'X-Echo': `Basic ${basic} ${canary}` }).end() })
    const results = [
      await runJob(jobs[0]!, { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 }),
      await probe('http://shop.test/', { proxy_url: `http://${userinfo}@${proxy.at}` }),
      await probe('http://shop.test/', { proxy_url: `http://${userinfo}@127.0.0.1:${await freePort()}` }),
      await probe('https://shop.test/', { proxy_url: await rude(`HTTP/1.1 500 ${basic}\r\nX: ${canary}\r\n\r\n`).then((url) => url.replace('//', `//${userinfo}@`)) }),
      await probe(echo.url, { proxy_url: `http://${userinfo}@${proxy.at}`, no_proxy: '127.0.0.1', header_not_matches: [{ header: 'X-Echo', pattern: '.' }] }),
    ]
    for (const result of results) {
      expect(result.status).toBe('failed')
      for (const form of forms) expect(JSON.stringify(result)).not.toContain(form)
    }
    expect(parseProxy('http://token-of-proxy@a.test')?.credentials?.reveal()).toBe('token-of-proxy:')
    expect(redact('token-of-proxy')).toBe('<secret>')
  })
})
