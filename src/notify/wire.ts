import { readFileSync } from 'node:fs'
import { lookup as resolve, type LookupAddress } from 'node:dns'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { redact } from '../core/secrets.ts'
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
  if (!allowPrivate && isIP(literal) !== 0 && isPrivate(literal)) return Promise.reject(refused(literal))
  const secure = protocol === 'https:'
  const agentOptions = {
    keepAlive: false,
    // Behind a proxy the name is the proxy's to resolve.
    ...(proxyUrl === undefined ? { lookup: guardedLookup(allowPrivate) } : { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
  }
  return new Promise((settle, reject) => {
    let files: { readonly ca?: Buffer, readonly cert?: Buffer, readonly key?: Buffer }
    try {
      files = { ...read('ca', options.caFile), ...read('cert', options.certFile), ...read('key', options.keyFile) }
    } catch (error) {
      reject(new WireError('tls', `a file for TLS cannot be read: ${error instanceof Error ? error.message : String(error)}`))
      return
    }
    const agent = secure ? new HttpsAgent({ ...agentOptions, ...files }) : new HttpAgent(agentOptions)
    const content = body === undefined ? undefined : Buffer.from(body)
    const outgoing = (secure ? httpsRequest : httpRequest)(url, {
      method, agent, headers: { 'User-Agent': 'curlew', ...headers, ...content ? { 'Content-Length': content.length } : {} },
    })
    const done = () => {
      clearTimeout(timer)
      outgoing.destroy()
      agent.destroy()
    }
    const fail = (error: WireError) => { done(); reject(error) }
    // An answer may lie ready: a disk that held us up must not have the message told twice. What has come is read before.
    const timer = setTimeout(() => setImmediate(() => fail(new WireError('timeout', `no answer within ${timeoutMs} ms`))), timeoutMs)
    outgoing.on('error', (error) => fail(error instanceof WireError ? error : wireError(error)))
    outgoing.once('response', (response) => {
      collect(response, mostBytes, (text) => {
        done()
        settle({ status: response.statusCode ?? 0, headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)])), body: text })
      }, (error) => fail(wireError(error)))
    })
    outgoing.end(content)
  })
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

/** One file of TLS, where it is named. */
function read<K extends string>(key: K, file: string | undefined): Partial<Record<K, Buffer>> {
  return file === undefined ? {} : { [key]: readFileSync(file) } as Record<K, Buffer> // safe: the one key is K
}

function wireError(error: Error): WireError {
  const code = 'code' in error ? String(error.code) : ''
  const tls = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)
  return new WireError(tls ? 'tls' : 'network', code !== '' && !error.message.includes(code) ? `${code}: ${error.message}` : error.message)
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
