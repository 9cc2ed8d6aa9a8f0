import type { RequestListener } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe } from 'vitest'
import { makeCertificates } from '../support/certificates.ts'
import { httpProxy, type TestProxy } from '../support/http-proxy.ts'
import { httpServer } from '../support/http-servers.ts'
import { freePort } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { failed, faultTable, type Entry, type Trial } from './table.ts'

const certificates = makeCertificates()
let redis: RedisServer
let proxy: TestProxy
const servers: TestServer[] = []
const keep = async <S extends TestServer>(starting: Promise<S>): Promise<S> => {
  const server = await starting
  servers.push(server)
  return server
}

beforeAll(async () => { [redis, proxy] = await Promise.all([startRedis(), keep(httpProxy({ login: 'prober:of-the-proxy' }))]) })
afterAll(() => Promise.all([redis?.stop(), ...servers.map((server) => server.close())]))

const entry = (target: string, more: Entry = {}): Trial => ({ probe: { type: 'http', target, ...more } })

/** A web server, and what it answers. */
const serving = (answer: RequestListener, more: Entry = {}) => async () => entry((await keep(httpServer(answer))).url, more)
const page = (body: string, more: Entry = {}, headers: Record<string, string> = {}) => serving((_asked, answer) => { answer.writeHead(200, headers).end(body) }, more)
const redirect = (to: (path: string) => string, more: Entry = {}) => serving((asked, answer) => { answer.writeHead(302, { Location: to(asked.url ?? '') }).end() }, more)

/** What does as it likes once it is asked. */
const astray = (talk: (socket: Socket) => void, more: Entry = {}) => async () =>
  entry(`http://127.0.0.1:${(await keep(tcpServer((socket) => { socket.once('data', () => talk(socket)) }))).port}/`, more)
const saying = (text: string, more: Entry = {}) => astray((socket) => { socket.end(text, 'latin1') }, more)
const dripping = (begin: string) => astray((socket) => {
  socket.write(begin)
  const timer = setInterval(() => { socket.write('x') }, 50)
  socket.on('close', () => clearInterval(timer))
}, { timeout: '1s' })

const LOGIN = '<html><title>Welcome to the hotel</title><form>Your room number</form></html>'
const portal: RequestListener = (asked, answer) => {
  if (asked.url === '/login') answer.end(LOGIN)
  else answer.writeHead(302, { Location: '/login' }).end()
}

/** From https to http: what comes last came without TLS. */
async function downgrade(): Promise<Trial> {
  const plain = await keep(httpServer((_asked, answer) => { answer.end('page') }))
  const secure = await keep(httpServer((_asked, answer) => { answer.writeHead(301, { Location: plain.url }).end() }, { pair: certificates.good }))
  return entry(secure.url.replace('localhost', '127.0.0.1'), { ca_file: certificates.caFile, fail_if_not_ssl: true })
}

async function http2Only(): Promise<Trial> {
  return entry(`http://127.0.0.1:${(await keep(listening(createHttp2()))).port}/`)
}

describe('http', () => {
  faultTable('http', [
    { fault: 'it answers 500', make: serving((_asked, answer) => { answer.writeHead(500).end() }), expected: failed('assert', 'mismatch', 'http_status_unexpected', { probe_http_status_code: 500 }) },
    { fault: 'it redirects again and again', make: redirect((path) => `${path}x`), expected: failed('assert', 'mismatch', 'http_redirect_loop', { probe_http_redirects: 11 }) },
    { fault: 'it redirects to the metadata service of a cloud', make: redirect(() => 'http://169.254.169.254/latest/meta-data'), expected: failed('request', 'denied', 'http_redirect_refused') },
    { fault: 'it redirects from https to http', make: downgrade, expected: failed('assert', 'mismatch', 'http_ssl_mismatch', { probe_http_ssl: 0 }) },
    { fault: 'its body is too large', make: page('x'.repeat(5_000), { body_limit: '4KB' }), expected: failed('assert', 'mismatch', 'http_body_too_large') },
    { fault: 'a captive portal answers with 200: no pattern matches', make: page(LOGIN, { body_matches: ['"status":"up"'] }), expected: failed('assert', 'mismatch', 'http_body_mismatch', { probe_http_status_code: 200, probe_failed_due_to_regex: 1 }) },
    { fault: 'a captive portal answers with 200: no marker', make: page(LOGIN, { marker: '"status":"up"' }), expected: failed('assert', 'mismatch', 'http_hijacked', { probe_http_status_code: 200 }) },
    { fault: 'a captive portal redirects to its login', make: serving(portal, { marker: '"status":"up"' }), expected: failed('assert', 'mismatch', 'http_hijacked', { probe_http_redirects: 1 }) },
    { fault: 'an error page comes with 200', make: page('We are down for maintenance', { body_not_matches: ['(?i)maintenance'] }), expected: failed('assert', 'mismatch', 'http_body_mismatch', { probe_failed_due_to_regex: 1 }) },
    { fault: 'a header is missing', make: page('page', { header_matches: [{ header: 'Strict-Transport-Security', pattern: 'max-age' }] }), expected: failed('assert', 'mismatch', 'http_header_mismatch', { probe_failed_due_to_regex: 1 }) },
    { fault: 'its body is not the gzip that its header says', make: page('page', {}, { 'Content-Encoding': 'gzip' }), expected: failed('request', 'protocol', 'http_protocol') },
  ])
})

describe('http: no answer, or half of one', () => {
  faultTable('http', [
    { fault: 'it takes the request and stays silent', make: astray(() => {}, { timeout: '1s' }), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'its headers drip', make: dripping('HTTP/1.1 200 OK\r\nX-Long: '), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'its body drips', make: dripping('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n'), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'it closes in the middle of its body', make: saying('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'), expected: failed('request', 'reset', 'http_truncated') },
    { fault: 'it resets the connection instead of an answer', make: astray((socket) => { socket.resetAndDestroy() }), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'the port speaks SSH', make: saying('SSH-2.0-OpenSSH_9.2p1\r\n'), expected: failed('request', 'protocol', 'http_protocol') },
    { fault: 'the port speaks Redis, which hangs up on a Host header', like: 'a server that closes without an answer', make: () => entry(`http://127.0.0.1:${redis.port}/`), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'the port speaks HTTP/2 only', make: http2Only, expected: failed('request', 'protocol', 'http_protocol') },
  ])
})

describe('http: through a proxy', () => {
  const by = async (target: string | Promise<string>, proxy_url: string): Promise<Trial> => entry(await target, { proxy_url })
  const login = () => `http://prober:of-the-proxy@${proxy.at}`
  const rude = async (answer: string) => `http://127.0.0.1:${(await keep(tcpServer((socket) => { socket.once('data', () => socket.end(answer)) }))).port}`
  const nobody = async (scheme: string) => `${scheme}://shop.test:${await freePort()}/`
  faultTable('http', [
    { fault: 'nothing listens on the port of the proxy', make: async () => by('https://shop.test/', `http://127.0.0.1:${await freePort()}`), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'the proxy wants a login', make: () => by('https://shop.test/', `http://${proxy.at}`), expected: failed('auth', 'denied', 'http_proxy_auth') },
    { fault: 'the proxy does not let us go there', make: async () => by('https://shop.test/', await rude('HTTP/1.1 403 Forbidden\r\n\r\n')), expected: failed('request', 'denied', 'http_proxy_denied') },
    { fault: 'the proxy does not reach the target', make: () => by(nobody('https'), login()), expected: failed('connect', 'unavailable', 'http_proxy_failed') },
    { fault: 'the proxy does not reach the target, without TLS', like: 'a target that answers 502', make: () => by(nobody('http'), login()), expected: failed('assert', 'mismatch', 'http_status_unexpected', { probe_http_status_code: 502 }) },
    { fault: 'the proxy is none, but a web server', make: async () => by('https://shop.test/', await rude('HTTP/1.1 405 Not Allowed\r\n\r\n')), expected: failed('connect', 'protocol', 'http_proxy_protocol') },
  ])
})
