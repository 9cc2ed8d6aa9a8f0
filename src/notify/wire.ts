import { lookup as resolve, type LookupAddress } from 'node:dns'
import { Agent as HttpAgent, request as httpRequest, STATUS_CODES, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import ipaddr from 'ipaddr.js'
import { redact } from '../core/secrets.ts'
import { trustOf } from '../probes/lib/tls-context.ts'
import type { Answer, ChannelRequest, DeliveryReason } from './channel.ts'

/** A request that got no answer. Whether the service has taken it is not known, unless it was never sent. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly reason: Extract<DeliveryReason, 'timeout' | 'network' | 'tls' | 'private_destination'>

  constructor(reason: WireError['reason'], message: string) {
    super(redact(message))
    this.reason = reason
  }
}

/** How a service is reached. */
export interface WireOptions {
  readonly timeoutMs: number
  readonly allowPrivate: boolean
  /** The proxy to go through. */
  readonly proxyUrl?: string | undefined
  readonly caFile?: string | undefined
  /** A certificate of our own, with its key. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
}

const MOST_ANSWER_BYTES = 64 * 1024
/** A proxy that does not open its tunnel keeps a connection that only Node knows of: it goes so long after the request. */
const TUNNEL_SPARE_MS = 100

/** Posts a message. Rejects with WireError only. */
export function post({ url, headers, body }: ChannelRequest, options: WireOptions): Promise<Answer> {
  return exchange('POST', url, headers, body, MOST_ANSWER_BYTES, options)
}

/** Reads what another Curlew knows, 1 MB at most. Rejects with WireError only. */
export function get(url: string, headers: Readonly<Record<string, string>>, options: WireOptions): Promise<Answer> {
  return exchange('GET', url, headers, undefined, 1 << 20, options)
}

/**
 * Asks over a connection of its own (one that was kept may be closed by the service just then, and nobody would know whether the
 * message was taken) and follows no redirect.
 */
function exchange(method: 'GET' | 'POST', url: string, headers: Readonly<Record<string, string>>, body: string | undefined, mostBytes: number, options: WireOptions): Promise<Answer> {
  const { timeoutMs, allowPrivate, proxyUrl } = options
  const { protocol, hostname } = new URL(url)
  const literal = hostname.replace(/^\[|\]$/g, '')
  // A name is looked up where it is connected to; behind a proxy that is the proxy's business, but for the one that is never public.
  const isAtHome = isIP(literal) === 0 ? proxyUrl !== undefined && /(?:^|\.)localhost\.?$/.test(literal) : isPrivate(literal)
  if (!allowPrivate && isAtHome) return Promise.reject(refused(literal))
  const secure = protocol === 'https:'
  const via = proxyUrl === undefined ? '' : `through the proxy ${new URL(proxyUrl).host}: `
  const agentOptions = {
    keepAlive: false,
    ...(proxyUrl === undefined ? { lookup: guardedLookup(allowPrivate) } : { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
  }
  return new Promise((settle, reject) => {
    const agent = secure ? new HttpsAgent({ ...agentOptions, ...contextOf(options) }) : new HttpAgent(agentOptions)
    const content = body === undefined ? undefined : Buffer.from(body)
    const outgoing = (secure ? httpsRequest : httpRequest)(url, {
      method, agent, timeout: timeoutMs + TUNNEL_SPARE_MS, headers: { 'User-Agent': 'curlew', ...headers, ...content ? { 'Content-Length': content.length } : {} },
    })
    const done = () => {
      clearTimeout(timer)
      outgoing.destroy()
      agent.destroy()
    }
    const fail = (error: WireError) => { done(); reject(error) }
    // An answer may lie ready: a disk that held us up must not have the message told twice. What has come is read before.
    const timer = setTimeout(() => setImmediate(() => fail(new WireError('timeout', `${via}no answer within ${timeoutMs} ms`))), timeoutMs)
    outgoing.on('error', (error) => fail(error instanceof WireError ? error : wireError(error, via)))
    outgoing.once('response', (response) => {
      // No service asks for a login in this way.
      if (proxyUrl !== undefined && response.statusCode === 407) return fail(new WireError('network', `${via}${tunnelAnswer(407)}`))
      collect(response, mostBytes, (text) => {
        done()
        settle({ status: response.statusCode ?? 0, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)])), body: text })
      }, (error) => fail(wireError(error, via)))
    })
    outgoing.end(content)
  })
}

/** What is trusted and shown, where it is not the usual: made here, for in the middle of a tunnel nobody could catch what a file is wrong with. */
function contextOf({ caFile, certFile, keyFile }: WireOptions): { readonly secureContext?: SecureContext } {
  if ((caFile ?? certFile ?? keyFile) === undefined) return {}
  try {
    return { secureContext: trustOf({ ca_file: caFile, cert_file: certFile, key_file: keyFile, min_version: 'TLS1.2' }).context }
  } catch (error) {
    throw new WireError('tls', error instanceof Error ? error.message : String(error))
  }
}

function collect(response: IncomingMessage, mostBytes: number, done: (text: string) => void, fail: (error: Error) => void): void {
  const chunks: Buffer[] = []
  let bytes = 0
  const finish = () => done(Buffer.concat(chunks).subarray(0, mostBytes).toString())
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= mostBytes) finish()
  })
  response.once('end', finish)
  response.once('error', fail)
  response.once('aborted', () => fail(new Error('the connection was cut in the middle of the answer')))
}

function wireError(error: Error, via: string): WireError {
  // Node's own sentence names the proxy's address, which is secret.
  if ('statusCode' in error && typeof error.statusCode === 'number') return new WireError('network', `${via}${tunnelAnswer(error.statusCode)}`)
  const code = 'code' in error ? String(error.code) : ''
  const tls = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)
  // Node's own advice on what it does not trust is a flag of its own.
  const advice = /^(?:DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code) ? '; ca_file names the authorities that a channel trusts' : ''
  const message = error.message.replace(/; if the root CA is installed locally.*$/, '') + advice
  return new WireError(tls ? 'tls' : 'network', `${via}${code !== '' && !message.includes(code) ? `${code}: ` : ''}${message}`)
}

/** What a proxy says that does not let us through. */
function tunnelAnswer(status: number): string {
  return `it answers ${[status, STATUS_CODES[status]].join(' ').trim()}${status === 407 ? ': the user name and password of proxy_url' : ''}`
}

/** Resolves as usual, but to no address that is not public: a name may point anywhere, at the time of each connection. */
function guardedLookup(allowPrivate: boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      const bad = allowPrivate || error ? undefined : addresses.find(({ address }) => isPrivate(address))
      if (error) callback(error, [])
      else if (bad) callback(refused(`${hostname} (${bad.address})`), [])
      else if (options.all) callback(null, addresses)
      else callback(null, addresses[0]?.address ?? '', addresses[0]?.family)
    })
  }
}

/** Whether an address is one of loopback, of a private network, or of no network. */
export function isPrivate(address: string): boolean {
  const parsed = ipaddr.process(address.split('%')[0] ?? address)
  // An IPv4 address in the last bits (::127.0.0.1) passes for unicast; all public addresses are in 2000::/3 (RFC 4291 2.4, IANA).
  return parsed.range() !== 'unicast' || (parsed instanceof ipaddr.IPv6 && !parsed.match(ipaddr.IPv6.parse('2000::'), 3))
}

function refused(where: string): WireError {
  return new WireError('private_destination', `${where} is not a public address: notify.allow_private_destinations: true permits it`)
}
