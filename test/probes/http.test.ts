import { createHash } from 'node:crypto'
import type { RequestListener } from 'node:http'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { redact } from '../../src/core/secrets.ts'
import { VERSION } from '../../src/core/version.ts'
import { http } from '../../src/probes/http.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { httpServer, type HttpTestServer } from '../support/http-servers.ts'
import { eventually } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

const certificates = makeCertificates()
const servers: TestServer[] = []
const serve = async (answer: RequestListener, tls?: { pair: Pair, options?: ServerOptions }): Promise<HttpTestServer> => {
  const server = await httpServer(answer, tls)
  servers.push(server)
  return server
}
/** A server that answers every connection with these bytes, once something was asked. */
const bytes = async (answer: string | ((socket: Socket) => void)): Promise<string> => {
  const server = await tcpServer((socket) => { socket.once('data', () => { if (typeof answer === 'string') socket.end(answer, 'latin1'); else answer(socket) }) })
  servers.push(server)
  return `http://127.0.0.1:${server.port}/`
}
const page = (body = 'hello', status = 200, headers: Record<string, string> = {}) => serve((_request, response) => { response.writeHead(status, headers).end(body) })
afterAll(async () => { for (const server of servers) await server.close() })

const probe = (target: string, entry: Record<string, unknown> = {}) => probeOnce(http, { target, ip_protocol: 'ip4', ...entry })
const secureProbe = (target: string, entry: Record<string, unknown> = {}) => probe(target, { ca_file: certificates.caFile, ...entry })
const failed = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const issuesOf = (entry: Record<string, unknown>) => readEntry(http, { name: 'it', type: 'http', ...entry }).issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')

declarationContract(http)
tcpProbeContract(http, (port) => ({ target: `http://127.0.0.1:${port}/` }))
tcpProbeContract(http, (port) => ({ target: `https://127.0.0.1:${port}/` }))

describe('http: a good page', () => {
  it('is asked for as it should be, and measured', async () => {
    const server = await page('hello', 200, { 'Last-Modified': 'Wed, 21 Oct 2015 07:28:00 GMT', 'Content-Length': '5' })
    const result = await probe(`${server.url}/a/b?c=d`)
    expect(result).toMatchObject({ status: 'ok' })
    expect(server.requests).toMatchObject([{ method: 'GET', path: '/a/b?c=d', body: '', headers: { host: `127.0.0.1:${server.port}`, connection: 'close', 'user-agent': `Curlew/${VERSION}` } }])
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'tls', 'processing', 'transfer'])
    expect(result.phases.find(({ name }) => name === 'tls')?.ms).toBe(0)
    const gauges = Object.fromEntries(result.gauges.map(({ name, value }) => [name, value]))
    expect(gauges).toMatchObject({
      probe_http_status_code: 200, probe_http_version: 1.1, probe_http_ssl: 0, probe_http_redirects: 0, probe_http_content_length: 5,
      probe_http_uncompressed_body_length: 5, probe_http_last_modified_timestamp_seconds: 1_445_412_480, probe_ip_protocol: 4,
    })
    expect(gauges).not.toHaveProperty('probe_failed_due_to_regex')
    await eventually(() => server.open() === 0)
  })

  it.each([
    ['line ends without CR', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi'],
    ['a Content-Length beside chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi'],
  ])('is read as browsers read it: %s', async (_what, answer) => {
    expect(await probe(await bytes(answer), { body_matches: ['^hi$'] })).toMatchObject({ status: 'ok' })
  })

  it('ends where the answer says, whatever follows it', async () => {
    expect(await probe(await bytes('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more'), { body_matches: ['^hi$'] })).toMatchObject({ status: 'ok' })
    expect(await probe(await bytes('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'), { method: 'HEAD' }), 'a body to HEAD').toMatchObject({ status: 'ok' })
  })

  it('sends method, headers and body', async () => {
    const server = await page()
    expect(await probe(server.url, { method: 'POST', body: '{"a":1}', headers: { 'Content-Type': 'application/json', 'User-Agent': 'me' }, host_header: 'shop.test' })).toMatchObject({ status: 'ok' })
    expect(server.requests[0]).toMatchObject({ method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json', 'user-agent': 'me', host: 'shop.test', 'content-length': '7' } })
  })

  it('sends no POST while it is read-only, and accuses nobody', async () => {
    const server = await page()
    expect(await probe(server.url, { method: 'POST', mode: 'read-only' })).toMatchObject({ status: 'unknown', failure: { code: 'prober_denied' } })
    expect(server.requests).toEqual([])
  })

  it('is reached over TLS, and the certificate is exported', async () => {
    const server = await serve((_request, response) => { response.end('x') }, { pair: certificates.good })
    const result = await secureProbe(server.url, { fail_if_not_ssl: true })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_http_ssl')).toBe(1)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(Date.parse('2099-12-31T23:59:59Z') / 1000)
    expect(await secureProbe(server.url, { fail_if_ssl: true })).toMatchObject(failed('assert', 'mismatch', 'http_ssl_mismatch'))
    expect(await probe((await page()).url, { fail_if_not_ssl: true })).toMatchObject(failed('assert', 'mismatch', 'http_ssl_mismatch'))
  })

  it('asks TLS for the virtual host, and verifies that', async () => {
    const server = await serve((_request, response) => { response.end('x') }, { pair: certificates.good })
    expect(await secureProbe(`https://127.0.0.1:${server.port}`, { host_header: 'probe.test:443' })).toMatchObject({ status: 'ok' })
    expect(await secureProbe(`https://127.0.0.1:${server.port}`, { host_header: 'other.test' })).toMatchObject(failed('tls', 'mismatch', 'tls_wrong_host'))
  })

  it.each([
    ['gzip', gzipSync('plain text')], ['br', brotliCompressSync('plain text')], ['deflate', deflateSync('plain text')], ['deflate', deflateRawSync('plain text')],
  ])('is decompressed from %s', async (encoding, body) => {
    const server = await serve((_request, response) => { response.writeHead(200, { 'Content-Encoding': encoding }).end(body) })
    const result = await probe(server.url, { marker: 'plain text' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_http_uncompressed_body_length')).toBe(10)
    expect(gaugeOf(result, 'probe_http_content_length')).toBe(-1)
  })

  it.each([204, 304])('has no body with %i, whatever its headers promise', async (status) => {
    expect(await probe(await bytes(`HTTP/1.1 ${status} X\r\nContent-Length: 99999999\r\nContent-Encoding: gzip\r\n\r\n`), { status: [status] })).toMatchObject({ status: 'ok' })
  })

  it('may be a protocol switch', async () => {
    const server = await bytes('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello')
    expect(await probe(server, { status: [101], headers: { Connection: 'Upgrade', Upgrade: 'websocket' } })).toMatchObject({ status: 'ok' })
    expect(await probe(server)).toMatchObject(failed('assert', 'mismatch', 'http_status_unexpected'))
  })
})

describe('http: what a page must be', () => {
  it.each([
    [503, undefined, 'the answer is 503 Service Unavailable, expected 2xx'], [404, ['3xx', 200], 'the answer is 404 Not Found, expected 3xx, 200'], [200, [204], 'the answer is 200 OK'],
  ])('fails for the status %i', async (status, expected, words) => {
    const result = await probe((await page('x', status)).url, { ...(expected ? { status: expected } : {}), body_matches: ['x'] })
    expect(result).toMatchObject(failed('assert', 'mismatch', 'http_status_unexpected'))
    expect(result).toHaveProperty('failure.message', expect.stringContaining(words))
    expect(gaugeOf(result, 'probe_http_status_code')).toBe(status)
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBeUndefined()
  })

  it('fails for patterns of the body', async () => {
    const { url } = await page('<title>Shop</title> all is well')
    const good = await probe(url, { body_matches: ['all is well', '(?i)shop'], body_not_matches: ['maintenance'] })
    expect(good).toMatchObject({ status: 'ok' })
    expect(gaugeOf(good, 'probe_failed_due_to_regex')).toBe(0)
    const result = await probe(url, { body_matches: ['all is well', 'missing'] })
    expect(result).toMatchObject(failed('assert', 'mismatch', 'http_body_mismatch'))
    expect(result).toHaveProperty('failure.message', expect.stringContaining('titled "Shop" does not match missing'))
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBe(1)
    expect(await probe(url, { body_not_matches: ['is well'] })).toMatchObject(failed('assert', 'mismatch', 'http_body_mismatch'))
  })

  it('fails for patterns of headers, any value of a repeated one', async () => {
    const url = await bytes('HTTP/1.1 200 OK\r\nX-A: one\r\nX-A: two\r\nContent-Length: 0\r\n\r\n')
    const check = (name: string, pattern: string, missing = false) => [{ header: name, pattern, allow_missing: missing }]
    expect(await probe(url, { header_matches: check('x-a', '^two$'), header_not_matches: check('X-A', 'three') })).toMatchObject({ status: 'ok' })
    expect(await probe(url, { header_matches: check('X-B', 'x', true), header_not_matches: check('X-B', 'x', true) })).toMatchObject({ status: 'ok' })
    const mismatch = failed('assert', 'mismatch', 'http_header_mismatch')
    expect(await probe(url, { header_matches: check('X-A', '^three$') })).toMatchObject(mismatch)
    expect(await probe(url, { header_not_matches: check('X-A', '^one$') })).toMatchObject(mismatch)
    expect(await probe(url, { header_matches: check('X-B', 'x') })).toMatchObject(mismatch)
    expect(await probe(url, { header_not_matches: check('X-B', 'x') })).toMatchObject(mismatch)
  })

  it('knows a hijacked page with status 200', async () => {
    const { url } = await page('<html><title>Free prizes</title></html>')
    const hijacked = failed('assert', 'mismatch', 'http_hijacked')
    const result = await probe(url, { marker: 'our shop', body_matches: ['our shop'] })
    expect(result).toMatchObject(hijacked)
    expect(result).toHaveProperty('failure.message', expect.stringContaining('titled "Free prizes"'))
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBe(0)
    expect(await probe(url, { body_sha256: '0'.repeat(64) })).toMatchObject(hijacked)
    const own = createHash('sha256').update('<html><title>Free prizes</title></html>').digest('hex').toUpperCase()
    expect(await probe(url, { body_sha256: own, marker: 'prizes' })).toMatchObject({ status: 'ok' })
  })

  it('says that a port wants TLS', async () => {
    const polite = await page('The plain HTTP request was sent to HTTPS port', 400)
    expect(await probe(polite.url)).toHaveProperty('failure.message', expect.stringContaining('use https://'))
    const server = await serve((_request, response) => { response.end() }, { pair: certificates.good })
    const result = await probe(`http://127.0.0.1:${server.port}`)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request' } })
    const alert = await probe(await bytes('\x15\x03\x01\x00\x02\x02\x16'))
    expect(alert).toMatchObject(failed('request', 'protocol', 'http_protocol'))
    expect(alert).toHaveProperty('failure.message', expect.stringContaining('use https://'))
  })
})

describe('http: bodies that are too much', () => {
  it('stops at the limit, whether the length is announced or not', async () => {
    const tooLarge = failed('assert', 'mismatch', 'http_body_too_large')
    const announced = await page('x'.repeat(5_000), 200, { 'Content-Length': '5000' })
    expect(await probe(announced.url, { body_limit: '4KB' })).toMatchObject(tooLarge)
    expect(await probe(announced.url, { body_limit: '5000B' })).toMatchObject({ status: 'ok' })
    let sent = 0
    const endless = await serve((_request, response) => {
      const more = () => { while (!response.destroyed && response.write('y'.repeat(16_384))) sent += 16_384 }
      response.on('drain', more)
      more()
    })
    expect(await probe(endless.url)).toMatchObject(tooLarge)
    await eventually(() => endless.open() === 0)
    expect(sent).toBeLessThan(64 * 2 ** 20)
  })

  it('does not inflate a bomb', async () => {
    for (const [encoding, bomb] of [['gzip', gzipSync(Buffer.alloc(64 * 2 ** 20))], ['br', brotliCompressSync(Buffer.alloc(64 * 2 ** 20))]] as const) {
      const server = await serve((_request, response) => { response.writeHead(200, { 'Content-Encoding': encoding }).end(bomb) })
      const result = await probe(server.url)
      expect(result).toMatchObject(failed('assert', 'mismatch', 'http_body_too_large'))
      expect(result.ms).toBeLessThan(1_000)
    }
  })

  it('takes linear time for patterns that ruin a backtracking engine', async () => {
    const { url } = await page(`${'a'.repeat(500_000)}!`)
    const result = await probe(url, { body_not_matches: ['^(a+)+$', '(x+x+)+y', '(a|aa)+$'] })
    expect(result).toMatchObject({ status: 'ok' })
  })

  it('takes a hundred headers, and calls a flood of them http_protocol', async () => {
    const header = (count: number, size: number) => Array.from({ length: count }, (_, index) => `X-${index}: ${'v'.repeat(size)}\r\n`).join('')
    expect(await probe(await bytes(`HTTP/1.1 200 OK\r\n${header(100, 20)}Content-Length: 0\r\n\r\n`))).toMatchObject({ status: 'ok' })
    expect(await probe(await bytes(`HTTP/1.1 200 OK\r\n${header(100, 1_000)}Content-Length: 0\r\n\r\n`))).toMatchObject(failed('request', 'protocol', 'http_protocol'))
  })
})

describe('http: answers that are none', () => {
  it.each([
    ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', 'reset', 'http_truncated'],
    ['half a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf', 'reset', 'http_truncated'],
    ['half a header', 'HTTP/1.1 200 OK\r\nContent-Le', 'reset', 'http_truncated'],
    ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n', 'protocol', 'http_protocol'],
    ['a banner', 'SSH-2.0-OpenSSH_9.2\r\n', 'protocol', 'http_protocol'],
    ['Redis', "-ERR unknown command 'GET'\r\n", 'protocol', 'http_protocol'],
    ['a bad status', 'HTTP/1.1 abc OK\r\n\r\n', 'protocol', 'http_protocol'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', 'protocol', 'http_protocol'],
    ['wrong gzip', 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello', 'protocol', 'http_protocol'],
    ['wrong brotli', 'HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello', 'protocol', 'http_protocol'],
    ['an unknown encoding', 'HTTP/1.1 200 OK\r\nContent-Encoding: aes\r\nContent-Length: 5\r\n\r\nhello', 'protocol', 'http_protocol'],
    ['HTTP/2 frames', '\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff', 'protocol', 'http_protocol'],
  ])('calls %s what it is', async (_name, answer, reason, code) => {
    expect(await probe(await bytes(answer))).toMatchObject(failed('request', reason, code))
  })

  it('tells a reset before the answer from one within', async () => {
    expect(await probe(await bytes((socket) => { socket.resetAndDestroy() }))).toMatchObject(failed('request', 'reset', 'request_reset'))
    expect(await probe(await bytes((socket) => { socket.end() }))).toMatchObject(failed('request', 'reset', 'request_reset'))
    const within = await bytes((socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'); setTimeout(() => socket.resetAndDestroy(), 30) })
    expect(await probe(within)).toMatchObject(failed('request', 'reset', 'http_truncated'))
  })

  it('blames the phase that a slow answer hangs in', async () => {
    const drip = (text: string) => bytes((socket) => {
      let at = 0
      const timer = setInterval(() => { socket.write(text[at++ % text.length] ?? '') }, 20)
      socket.on('close', () => clearInterval(timer))
    })
    const head = await probe(await drip('HTTP/1.1 200 OK\r\nX-Long-Header: and so on and on and on\r\n'), { timeout: '250ms' })
    expect(head).toMatchObject(failed('request', 'timeout', 'request_timeout'))
    expect(head.phases.find(({ name }) => name === 'transfer')?.ms).toBeGreaterThan(100)
    const body = await probe(await bytes((socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx') }), { timeout: '200ms' })
    expect(body).toMatchObject(failed('request', 'timeout', 'request_timeout'))
    expect(body.gauges.map(({ name }) => name), 'what was reached is exported, once').toEqual(['probe_dns_lookup_time_seconds', 'probe_ip_protocol'])
  })

  it('says that a client certificate is wanted, with TLS 1.2 and 1.3', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const options = { ca: certificates.ca.cert, requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version }
      const server = await serve((_request, response) => { response.end('x') }, { pair: certificates.good, options })
      expect(await secureProbe(server.url)).toMatchObject(failed('tls', 'denied', 'tls_client_cert_required'))
      expect(await secureProbe(server.url, { cert_file: certificates.client.certFile, key_file: certificates.client.keyFile })).toMatchObject({ status: 'ok' })
    }
  })

  it('exports an expired certificate, and zero for phases that did not run', async () => {
    const server = await serve((_request, response) => { response.end('x') }, { pair: certificates.expired })
    const result = await secureProbe(server.url)
    expect(result).toMatchObject(failed('tls', 'expired', 'tls_expired'))
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(Date.parse('2021-01-01T00:00:00Z') / 1000)
    expect(gaugeOf(result, 'probe_http_status_code')).toBeUndefined()
    expect(result.phases.map(({ name, ms }) => [name, ms > 0])).toEqual([['resolve', true], ['connect', true], ['tls', true], ['processing', false], ['transfer', false]])
  })
})

describe('http: config and secrets', () => {
  it.each([
    ['http://Example.test:80/a?b=c#d', 'http://example.test/a'], ['https://example.test', 'https://example.test/'], ['https://example.test:444/', 'https://example.test:444/'],
    ['http://[::1]:8080/x', 'http://[::1]:8080/x'], ['localhost:8080/health', 'http://localhost:8080/health'], ['http://user:pass-word@example.test/', 'http://example.test/'],
  ])('shows %s as %s', (target, shown) => {
    expect(jobOf(http, { target }).target).toBe(shown)
  })

  it('takes user name and password from the URL', async () => {
    const server = await page()
    expect(await probe(server.url.replace('//', '//me:p%40ss-word@'))).toMatchObject({ status: 'ok' })
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:p@ss-word').toString('base64')}`)
  })

  it('hides what a server echoes of a secret', async () => {
    const server = await serve((request, response) => { response.writeHead(200, { 'X-Echo': String(request.headers.authorization) }).end() })
    const result = await probe(server.url, { basic_auth: { username: 'me', password: 'echo-of-a-secret' }, header_matches: [{ header: 'X-Echo', pattern: 'never' }] })
    expect(result).toHaveProperty('failure.message', expect.stringContaining('<secret>'))
    expect(redact(Buffer.from('me:echo-of-a-secret').toString('base64'))).toBe('<secret>')
  })

  it.each([
    [{ target: 'ftp://host/' }, 'not ftp://'], [{ target: 'http://' }, 'expected a URL'], [{ target: 'a b' }, 'expected http(s)://'],
    [{ target: 'me:word@host' }, 'set basic_auth'], [{ target: 'http://%zz:x@host/' }, 'percent-encoded'],
    [{ target: 'http://h', method: 'CONNECT' }, 'method:'], [{ target: 'http://h', status: ['2x'] }, '"2xx"'], [{ target: 'http://h', status: [] }, 'status'],
    [{ target: 'http://h', headers: { Authorization: 'x' } }, 'secret_headers'], [{ target: 'http://h', headers: { Host: 'x' } }, 'host_header'],
    [{ target: 'http://h', headers: { 'X-A': 'a\r\nX-B: c' } }, 'one line'], [{ target: 'http://h', secret_headers: { 'X-A': 'a\nb' } }, 'one line'],
    [{ target: 'http://h', body_limit: '1GB' }, 'at most 10MB'], [{ target: 'http://h', body_matches: ['('] }, 'RE2'], [{ target: 'http://h', body_sha256: 'abc' }, '64 hex'],
    [{ target: 'http://h', bearer_token: 'tokentoken', basic_auth: { username: 'a', password: 'bbbb' } }, 'either basic_auth'], [{ target: 'http://h', body: 'x' }, 'takes a body'],
    [{ target: 'https://h', ca_file: '/does/not/exist' }, 'ca_file'],
  ])('refuses %j', (entry, message) => {
    expect(issuesOf(entry)).toContain(message)
  })
})
