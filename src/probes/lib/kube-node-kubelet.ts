import type { X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { explain } from '../../core/errors.ts'
import { Endpoint } from '../../core/fields.ts'
import type { ProbeContext } from '../../core/probe.ts'
import type { Failure, Layer } from '../../core/result.ts'
import { orAbort } from '../../core/run.ts'
import { VERSION } from '../../core/version.ts'
import type { Credentials } from '../../kubernetes/model.ts'
import { dial, type dialGauges } from './dial.ts'
import { keptFailure, keptHttp } from './http-kept.ts'
import { KUBE_NODE_CODES, type KubeNodeCode } from './kube-node-codes.ts'
import { shakeHands, type TlsOptions } from './tls.ts'
import type { TlsGauge } from './tls-gauges.ts'

/** The phases in which a kubelet is asked, and whom they blame. */
export const kubeletPhases = { resolve: 'resolve', connect: 'connect', tls: 'tls', request: 'request' } as const satisfies Readonly<Record<string, Layer>>

export type KubeletContext = ProbeContext<keyof typeof kubeletPhases, keyof typeof dialGauges | TlsGauge, never>

/** How much of what `/healthz` answers is read; its list of checks is far shorter. */
const READ_LIMIT = 16 * 1024
/** How much of it a sentence shows. */
const SHOWN = 300

export interface Kubelet {
  /** What is wrong with the way to it or with its answer; undefined where it answered. */
  readonly failure: Failure | undefined
  /** Of `/healthz`; undefined where it gave none, or does not let Curlew ask. */
  readonly healthz: { readonly ok: boolean, readonly said: string } | undefined
  /** It answered, but does not let Curlew ask for its health (401, 403). */
  readonly denied: boolean
  /** It was not shown the token, since its certificate does not verify. */
  readonly withheld: boolean
  readonly certificate: X509Certificate | undefined
  /** The cluster's authority has signed the certificate, which may have expired since. */
  readonly issued: boolean
}

export interface KubeletOptions {
  readonly address: string
  readonly port: number
  readonly credentials: Credentials
  /** The certificate must be valid, of the cluster's authority and for this address. */
  readonly verify: boolean
  /** The token is shown to a kubelet whose certificate is not. */
  readonly tokenToUnverified: boolean
  /** `performance.now()` until which it may take. */
  readonly deadline: number
}

/**
 * Asks a kubelet for its `/healthz`. What is wrong there is returned, since what it means depends on what the API says of the
 * node; only what was raised on our side is thrown.
 */
export async function askKubelet(probe: KubeletContext, { address, port, credentials, verify, tokenToUnverified, deadline }: KubeletOptions): Promise<Kubelet> {
  const late = AbortSignal.timeout(Math.max(1, Math.ceil(deadline - performance.now())))
  const signal = AbortSignal.any([probe.signal, late])
  let at: keyof typeof kubeletPhases = 'connect'
  const held: Parameters<KubeletContext['gauge']>[] = []
  const bounded: KubeletContext = {
    ...probe, signal, deadline,
    phase(name, work) {
      at = name
      return probe.phase(name, () => orAbort(work, signal))
    },
    gauge: (...sample) => { held.push(sample) },
  }
  const tls: TlsOptions = { insecure_skip_verify: false, min_version: 'TLS1.2', pem: { ca: credentials.ca, cert: credentials.cert, key: credentials.key } }
  let certificate: X509Certificate | undefined
  let issued = false
  let socket: Socket | undefined
  try {
    socket = await dial(bounded, new Endpoint(address, port, address), { ip_protocol: 'any', addresses: 'first' })
    const { socket: secured, failure } = await shakeHands(bounded, socket, address, tls, [], ([own]) => { certificate = own })
    socket = secured
    issued = isIssued(secured)
    if (failure && verify) throw failure
    // Whoever took over the machine, or its address, would be somebody with the rights of Curlew.
    const withheld = failure !== undefined && !tokenToUnverified && credentials.token !== undefined
    const answer = await bounded.phase('request', () => healthz(secured, new Endpoint(address, port), withheld ? undefined : credentials.token))
    return { ...answer, withheld, failure: undefined, certificate, issued }
  } catch (error) {
    if (probe.signal.aborted) throw error
    const { status, failure } = late.aborted
      ? { status: 'failed', failure: { layer: kubeletPhases[at], reason: 'timeout' as const, code: `${at}_timeout`, message: 'it does not answer in time' } }
      : explain(error, kubeletPhases[at], KUBE_NODE_CODES)
    if (status === 'unknown') throw error
    return { failure, healthz: undefined, denied: false, withheld: false, certificate, issued }
  } finally {
    socket?.destroy()
    // A kubelet that nobody has issued a certificate signs its own, once, for a year and for ever: that it expires hurts nobody.
    for (const [name, value, labels] of held) if (verify || issued || !name.startsWith('probe_ssl_')) probe.gauge(name, value, labels)
  }
}

/** Whether the chain leads to the cluster's authority; one that has expired does too. */
function isIssued(socket: TLSSocket): boolean {
  const error: unknown = socket.authorizationError
  return socket.authorized || (error instanceof Error ? error.message : error) === 'CERT_HAS_EXPIRED'
}

/** `/healthz` is 200 with `ok`, or 500 with its checks. */
async function healthz(socket: Socket, host: Endpoint, token: string | undefined): Promise<Pick<Kubelet, 'healthz' | 'denied'>> {
  const headers = { 'Host': String(host), 'User-Agent': `Curlew/${VERSION}`, 'Accept': '*/*', 'Connection': 'close', ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }) }
  try {
    const { status, text } = await keptHttp(socket).get('/healthz', headers, READ_LIMIT)
    if (status === 401 || status === 403) return { healthz: undefined, denied: true }
    return { healthz: { ok: status === 200, said: `${status} ${text.trim().replaceAll(/\s+/g, ' ').slice(0, SHOWN)}` }, denied: false }
  } catch (error) {
    throw keptFailure(error, 'kube_node_kubelet_protocol' satisfies KubeNodeCode)
  }
}

/** Whether a certificate is for all of these addresses. */
export function names(certificate: X509Certificate, addresses: readonly string[]): boolean {
  return addresses.length > 0 && addresses.every((address) => isIP(address) !== 0 && certificate.checkIP(address) !== undefined)
}
