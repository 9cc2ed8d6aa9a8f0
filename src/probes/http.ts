import { isIP, type Socket } from 'node:net'
import type { SharedCode } from '../core/codes.ts'
import { Endpoint } from '../core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { VERSION } from '../core/version.ts'
import { addressOf, dial, type Resolve } from './lib/dial.ts'
import { isExpected, judge } from './lib/http-checks.ts'
import { exchange, type HttpAnswer, type HttpRequest, type Reading } from './lib/http-exchange.ts'
import { exportAnswer, httpGauges, perHop, type HttpGauge } from './lib/http-gauges.ts'
import { httpOptions, type HttpOptions } from './lib/http-options.ts'
import { afterRedirect, cookieJar, mayShareCredentials, redirectOf, refuseInner, UNSEEN } from './lib/http-redirect.ts'
import { dialProxy, proxyAuthorization, proxyCodes, proxyRefusal, speakingFor } from './lib/http-proxy.ts'
import { proxyRules, type ChooseProxy, type Proxy } from './lib/http-proxy-rules.ts'
import { credentialsOf, endpointOf, printable } from './lib/http-target.ts'
import { resolveHost, type Address } from './lib/resolve.ts'
import { secure, type TlsOptions } from './lib/tls.ts'

const MOST_REDIRECTS = 10
const HARMLESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

const codes = {
  http_status_unexpected: { layer: 'assert', reason: 'mismatch', en: 'The server answers with another status than expected.', zh: '服务器返回的状态码与预期不符。' },
  http_hijacked: { layer: 'assert', reason: 'mismatch', en: 'Another page than expected answers: it may be hijacked on the way, or served by somebody else.', zh: '返回的页面与预期不符：可能在途中被劫持，或由其他服务返回。' },
  http_body_mismatch: { layer: 'assert', reason: 'mismatch', en: 'The body fails a pattern.', zh: '响应正文不符合匹配规则。' },
  http_header_mismatch: { layer: 'assert', reason: 'mismatch', en: 'A header of the answer is missing or fails a pattern.', zh: '响应头缺失或不符合匹配规则。' },
  http_body_too_large: { layer: 'assert', reason: 'mismatch', en: 'The body is larger than body_limit.', zh: '响应正文超过 body_limit。' },
  http_ssl_mismatch: { layer: 'assert', reason: 'mismatch', en: 'The final page came with TLS where none is wanted, or without it.', zh: '最终页面是否使用 TLS 与预期不符。' },
  http_redirect_loop: { layer: 'assert', reason: 'mismatch', en: 'The server redirects again and again.', zh: '服务器不断重定向。' },
  http_redirect_refused: { layer: 'request', reason: 'denied', en: 'A redirect leads to an address that Curlew does not follow it to.', zh: '重定向指向 Curlew 拒绝访问的地址。' },
  http_protocol: { layer: 'request', reason: 'protocol', en: 'The answer is not proper HTTP/1.', zh: '响应不是合法的 HTTP/1。' },
  http_truncated: { layer: 'request', reason: 'reset', en: 'The connection ended in the middle of the answer.', zh: '响应尚未传完连接就断开了。' },
  ...proxyCodes,
} as const

type Context = ProbeContext<'resolve' | 'connect' | 'tls' | 'processing' | 'transfer', HttpGauge, keyof typeof codes | SharedCode>

/** What the next request is, and whether it may carry what is meant for the target alone. */
interface Hop {
  readonly url: URL
  readonly method: string
  readonly body: string | undefined
  readonly trusted: boolean
}

export const http = defineProbe({
  type: 'http',
  summary: 'A web page or API over HTTP/1: status, headers, body, and that it is the right page',
  options: httpOptions,
  phases: { resolve: 'resolve', connect: 'connect', tls: 'tls', processing: 'request', transfer: 'request' },
  gauges: httpGauges,
  codes,
  schemes: ['http', 'https'],
  fromUrl(url) {
    const { username, password } = credentialsOf(url)
    return {
      target: `${printable(url)}${url.search}`,
      ...(username === '' && password === '' ? {} : { basic_auth: { username, password } }),
    }
  },
  // Behind a proxy, the proxy is what this machine reaches.
  ways(options) {
    const url = options.target.url()
    const proxy = proxyRules(options)(url, options.target.ip)
    return proxy ? wayTo({ target: proxy.endpoint }) : wayTo(options, url.protocol === 'https:' ? options : undefined)
  },
  example: { target: 'https://shop.example.org/health', status: [200], marker: '"status":"up"', body_not_matches: ['(?i)maintenance'] },

  async run(options, probe) {
    // A read-only probe must not change anything, and only the operator knows what a POST does.
    if (probe.mode === 'read-only' && !HARMLESS.has(options.method)) throw new ProbeFailure('prober_denied', `the probe is read-only, and its method is ${options.method}`)
    const { context, restart, flush } = perHop(probe)
    const origin = options.target.url()
    const choose = proxyRules(options)
    const cookies = cookieJar()
    let hop: Hop = { url: origin, method: options.method, body: options.body, trusted: true }
    let redirects = 0
    let innermost: string | undefined
    try {
      for (;;) {
        restart()
        const { answer, from, proxy, next } = await visit(context, options, hop, cookies, choose, innermost)
        innermost ??= from
        if (next) redirects++
        context.gauge('probe_http_redirects', redirects)
        if (!next) {
          const ssl = hop.url.protocol === 'https:'
          exportAnswer(context, answer, ssl)
          check(context, options, answer, ssl, proxy)
          return
        }
        if (redirects > MOST_REDIRECTS) context.fail('http_redirect_loop', `more than ${MOST_REDIRECTS} redirects, the last one to ${printable(next)}`)
        const { method, keepsBody } = afterRedirect(answer.status, hop.method)
        // Once elsewhere, credentials stay at home: whoever sends the client back may have forged the way.
        hop = { url: next, method, body: keepsBody ? hop.body : undefined, trusted: hop.trusted && mayShareCredentials(origin, next) }
      }
    } finally {
      flush()
    }
  },
})

/** What came of one request. */
interface Visit {
  readonly answer: HttpAnswer
  /** The address that gave it, as far as it is known. */
  readonly from: string
  /** The proxy that read the request and may have answered by itself. */
  readonly proxy: Proxy | undefined
  /** Where the answer sends the client. */
  readonly next: URL | undefined
}

/** One request on a connection of its own, through a proxy where `choose` names one for this hop. */
async function visit(probe: Context, options: HttpOptions, hop: Hop, cookies: ReturnType<typeof cookieJar>, choose: ChooseProxy, innermost: string | undefined): Promise<Visit> {
  const { url } = hop
  const endpoint = endpointOf(url)
  const home = endpoint.host === options.target.host
  const pinned = home ? options.target.ip : undefined
  const proxy = choose(url, pinned)
  const guard = (addresses: readonly Address[]) => { if (innermost !== undefined && !home) refuseInner(innermost, addresses) }
  const resolve: Resolve = async (host, how) => {
    const addresses = !proxy && pinned !== undefined ? [addressOf(pinned)] : await resolveHost(host, how)
    probe.zeroPhases()
    if (!proxy) guard(addresses)
    return addresses
  }
  const literal = literalOf(pinned ?? endpoint.host)
  if (proxy && literal) guard([literal])

  const request = requestOf(options, hop, cookies.header(url))
  const ssl = url.protocol === 'https:'
  // A proxy takes the host from the request line and overwrites Host with it (RFC 9112, 3.2.2): another one needs a tunnel.
  const tunnel = ssl || pinned !== undefined || request.headers.get('Host') !== url.host
  const plain = proxy
    ? await dialProxy(probe, proxy, tunnel ? new Endpoint(pinned ?? endpoint.host, endpoint.port) : undefined, options, resolve)
    : await dial(probe, endpoint, options, resolve)
  try {
    const tls = tlsOf(options, hop)
    const socket = ssl ? await secure(probe, plain, nameOf(options, hop, endpoint.host), tls, ['http/1.1']) : plain
    const followed = (status: number, headers: HttpAnswer['headers']) =>
      options.follow_redirects && !options.status.includes(status) ? redirectOf({ status, headers }, url) : undefined
    const reading: Reading = { limit: options.body_limit, wanted: (status, headers) => hop.method !== 'HEAD' && !followed(status, headers), tls }
    const reader = tunnel ? undefined : proxy
    const answer = await (reader
      ? speakingFor(probe, reader, 'no answer to the request, so the proxy or what is behind it is silent', () => askProxy(probe, reader, socket, options, url, request, reading))
      : exchange(probe, socket, request, reading))
    cookies.store(url, answer.headers)
    return { answer, from: proxy ? literal?.ip ?? UNSEEN : plain.remoteAddress ?? endpoint.host, proxy: reader, next: followed(answer.status, answer.headers) }
  } finally {
    plain.destroy()
  }
}

/** A request that the proxy itself reads and passes on. */
async function askProxy(probe: Context, proxy: Proxy, socket: Socket, options: HttpOptions, url: URL, request: HttpRequest, reading: Reading): Promise<HttpAnswer> {
  const headers = new Map([...request.headers, ...Object.entries(proxyAuthorization(proxy))])
  const answer = await exchange(probe, socket, { ...request, path: `${url.origin}${request.path}`, headers }, reading)
  if (answer.status === 407 && !isExpected(407, options.status)) throw proxyRefusal(proxy)
  return answer
}

/** The address that a host names by itself, whoever looks it up. */
function literalOf(host: string): Address | undefined {
  if (/^(?:.+\.)?localhost\.?$/.test(host)) return addressOf('127.0.0.1')
  return isIP(host) === 0 ? undefined : addressOf(host)
}

/** Judges the answer, and says in the gauge whether it was a pattern that it failed. */
function check(probe: Context, options: HttpOptions, answer: HttpAnswer, ssl: boolean, proxy: Proxy | undefined): void {
  const patterns = [options.body_matches, options.body_not_matches, options.header_matches, options.header_not_matches].some((list) => list.length > 0)
  let byPattern = false
  try {
    judge(answer, ssl, options)
  } catch (error) {
    if (proxy && error instanceof ProbeFailure && error.code === 'http_status_unexpected') throw new ProbeFailure(error.code, `${error.message}; it came by the proxy ${proxy.endpoint}, which may have answered by itself`)
    byPattern = error instanceof ProbeFailure && ['http_body_mismatch', 'http_header_mismatch'].includes(error.code)
    throw error
  } finally {
    if (patterns && isExpected(answer.status, options.status)) probe.gauge('probe_failed_due_to_regex', byPattern ? 1 : 0)
  }
}

function requestOf(options: HttpOptions, { url, method, body, trusted }: Hop, cookie: string | undefined): HttpRequest {
  const headers = new Map<string, string>()
  const names = new Map<string, string>()
  const set = (name: string, value: string) => {
    headers.delete(names.get(name.toLowerCase()) ?? '')
    names.set(name.toLowerCase(), name)
    headers.set(name, value)
  }
  set('Host', trusted && options.host_header !== undefined ? options.host_header : url.host)
  set('User-Agent', `Curlew/${VERSION}`)
  set('Accept', '*/*')
  set('Accept-Encoding', 'gzip, deflate, br')
  for (const [name, value] of Object.entries(options.headers)) set(name, value)
  if (cookie !== undefined) set('Cookie', cookie)
  if (trusted) {
    const { basic_auth: basic, bearer_token: bearer } = options
    if (basic) set('Authorization', `Basic ${Buffer.from(`${basic.username}:${basic.password.reveal()}`).toString('base64')}`)
    if (bearer) set('Authorization', `Bearer ${bearer.reveal()}`)
    for (const [name, value] of Object.entries(options.secret_headers)) {
      const text = value.reveal()
      set(name, name.toLowerCase() === 'cookie' && cookie !== undefined ? `${text}; ${cookie}` : text)
    }
  }
  return { path: `${url.pathname}${url.search}`, method, headers, body }
}

/** A client certificate and a name to verify are meant for the target alone. */
function tlsOf(options: HttpOptions, { trusted }: Hop): TlsOptions {
  return trusted ? options : { ca_file: options.ca_file, insecure_skip_verify: options.insecure_skip_verify, min_version: options.min_version }
}

/** The name to ask TLS for: that of `host_header`, as a virtual host is chosen by both. */
function nameOf({ host_header: header }: HttpOptions, { trusted }: Hop, host: string): string {
  const name = trusted && header !== undefined && URL.canParse(`https://${header}`) ? new URL(`https://${header}`).hostname : undefined
  return name === undefined ? host : name.replace(/^\[|\]$/g, '')
}
