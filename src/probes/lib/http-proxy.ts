import { request, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Endpoint } from '../../core/fields.ts'
import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import { VERSION } from '../../core/version.ts'
import { dial, type dialGauges, type Resolve } from './dial.ts'
import type { Proxy } from './http-proxy-rules.ts'
import { secure, tlsFailure, type TlsOptions } from './tls.ts'

/** A silent proxy is given up so long before the run ends, to say that it was the proxy; later than `dial` gives up. */
const VERDICT_MS = 5

type Context = ProbeContext<'resolve' | 'connect', keyof typeof dialGauges, never>

/** Codes for what a proxy does; `http_proxy_setting` is about this machine. */
export const proxyCodes = {
  http_proxy_auth: { layer: 'auth', reason: 'denied', en: 'The proxy wants a user name and password, or does not accept those it got: check proxy_url.', zh: '代理要求用户名和密码，或不接受所提供的凭据：请检查 proxy_url。' },
  http_proxy_denied: { layer: 'request', reason: 'denied', en: 'The proxy does not let Curlew reach the target: look at its access rules.', zh: '代理不允许 Curlew 访问该目标：请检查代理的访问规则。' },
  http_proxy_failed: { layer: 'connect', reason: 'unavailable', en: 'The proxy says that it cannot reach the target.', zh: '代理表示无法连接到目标。' },
  http_proxy_protocol: { layer: 'connect', reason: 'protocol', en: 'The proxy does not open a tunnel to the target: it may not be a proxy.', zh: '代理没有建立到目标的隧道：它可能不是代理服务器。' },
  http_proxy_setting: { layer: 'prober', reason: 'unsupported', en: 'The environment names a proxy that Curlew cannot use: look at http_proxy and https_proxy.', zh: '环境变量指定的代理无法使用：请检查 http_proxy 与 https_proxy。' },
} as const

/**
 * Connects to a proxy, and through it to `to` where that is given (CONNECT; RFC 9110, 9.3.6); phases `resolve`, of the
 * proxy's name, and `connect`. The proxy's certificate is always verified: whoever trusts a target blindly has not said
 * that his credentials for the proxy may go anywhere. What fails here begins with the proxy's name, since nothing is
 * known of the target then. The caller destroys what is returned.
 */
export async function dialProxy(probe: Context, proxy: Proxy, to: Endpoint | undefined, tls: Pick<TlsOptions, 'ca_file' | 'min_version'>, resolve: Resolve): Promise<Socket> {
  const { endpoint } = proxy
  // The options on addresses are about the target's.
  const plain = await speakingFor(probe, proxy, 'it does not answer', () => dial(probe, endpoint, { ip_protocol: 'any', addresses: 'any' }, resolve))
  try {
    // Its handshake is a part of getting connected, and its certificate is not the target's.
    const own = { ...probe, phase: <T>(_name: string, work: () => Promise<T> | T) => probe.phase('connect', work), took: () => {}, gauge: () => {} }
    const { ca_file, min_version } = tls
    const socket = !proxy.tls ? plain : await speakingFor(probe, proxy, 'it does not answer the TLS handshake', () => secure(own, plain, endpoint.host, { ca_file, min_version, insecure_skip_verify: false }))
    if (to) await speakingFor(probe, proxy, `no answer to CONNECT ${to}, so the proxy or what is behind it is silent`, () => probe.phase('connect', () => openTunnel(socket, proxy, to)))
    return socket
  } catch (error) {
    plain.destroy()
    throw error
  }
}

/** The header that opens the proxy, for a request that it reads itself. */
export function proxyAuthorization({ credentials }: Proxy): Readonly<Record<string, string>> {
  return credentials ? { 'Proxy-Authorization': `Basic ${Buffer.from(credentials.reveal()).toString('base64')}` } : {}
}

/** The failure that a status 407 stands for. */
export function proxyRefusal({ credentials }: Proxy): ProbeFailure {
  return new ProbeFailure('http_proxy_auth', `the answer is 407: ${credentials ? 'user name and password are not accepted' : 'a user name and password are wanted'}`)
}

/** Does `work`, and puts the proxy's name before what it fails with; at the end of the run's time it fails with `silent`. */
export async function speakingFor<T>(probe: Pick<ProbeContext, 'deadline'>, { endpoint }: Proxy, silent: string, work: () => Promise<T>): Promise<T> {
  const lead = `the proxy ${endpoint}`
  const silence = Promise.withResolvers<never>()
  const timer = setTimeout(() => silence.reject(Object.assign(new Error(silent), { code: 'ETIMEDOUT' })), Math.max(0, probe.deadline - performance.now() - VERDICT_MS))
  try {
    return await Promise.race([work(), silence.promise])
  } catch (error) {
    if (error instanceof ProbeFailure) throw new ProbeFailure(error.code, `${lead}: ${error.message}`)
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') throw Object.assign(new Error(`${lead}: ${error.message}`, { cause: error }), { code: error.code })
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function openTunnel(socket: Socket, proxy: Proxy, to: Endpoint): Promise<void> {
  if (socket.destroyed) throw tlsFailure(socket.errored, {}) ?? socket.errored ?? Object.assign(new Error('it closed the connection'), { code: 'ECONNRESET' })
  return new Promise((resolve, reject) => {
    const asking = request({
      createConnection: () => socket,
      method: 'CONNECT',
      path: String(to),
      setHost: false,
      headers: { 'Host': String(to), 'User-Agent': `Curlew/${VERSION}`, ...proxyAuthorization(proxy) },
    })
    // Node says close unless told otherwise, and some proxies would take it at its word.
    asking.removeHeader('Connection')
    asking.on('connect', ({ statusCode: status = 0 }, _socket, head) => {
      const failure = verdictOn(status, proxy, to)
      if (failure) return reject(failure)
      if (head.length > 0) socket.unshift(head)
      resolve()
    })
    asking.on('error', (error) => {
      const code = 'code' in error ? String(error.code) : ''
      // A TLS 1.3 proxy refuses a client late. It gets no client certificate: that one is for the target.
      reject(code.startsWith('HPE_') ? new ProbeFailure('http_proxy_protocol', `the answer to CONNECT ${to} is not HTTP/1`) : tlsFailure(error, {}) ?? error)
    })
    asking.end()
  })
}

function verdictOn(status: number, proxy: Proxy, to: Endpoint): ProbeFailure | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 407) return proxyRefusal(proxy)
  const code = status === 403 ? 'http_proxy_denied' : [502, 503, 504].includes(status) ? 'http_proxy_failed' : 'http_proxy_protocol'
  return new ProbeFailure(code, `the answer to CONNECT ${to} is ${[status, STATUS_CODES[status]].join(' ').trim()}`)
}
