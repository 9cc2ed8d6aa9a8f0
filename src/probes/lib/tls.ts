import type { X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { z } from 'zod'
import { canonicalHost } from '../../core/fields.ts'
import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import { fileProblems, trustOf, type TlsOptions, type Trust } from './tls-context.ts'
import { isHandshakeFailure, tlsFailure } from './tls-failure.ts'
import { exportAgreed, exportSent, peerOf, type Peer, type TlsGauge } from './tls-gauges.ts'
import { verify } from './tls-verify.ts'

export { tlsFailure } from './tls-failure.ts'
export { tlsGauges } from './tls-gauges.ts'
export type { TlsOptions } from './tls-context.ts'

/** How long a TLS 1.3 server is given to refuse the client's certificate, or that it has none. */
const LINGER_MS = 200
/** Kept back from the run's time, so that lingering never turns a good run into a timeout. */
const MARGIN_MS = 50

/** Sockets on which a session ticket came: the server has taken the client as it is. It may come with the handshake. */
const accepted = new WeakSet<TLSSocket>()

/** Options that every probe type with TLS spreads into its own; `checkTls` belongs to them. */
export const tlsFields = {
  ca_file: z.string().min(1).describe('PEM file of the authorities to trust; the well-known ones unless given').optional(),
  cert_file: z.string().min(1).describe('PEM file of the client certificate').optional(),
  key_file: z.string().min(1).describe('PEM file of its private key').optional(),
  server_name: z.string().refine((name) => canonicalHost(name) !== undefined, 'expected a host name or an address')
    .describe('name to ask for and to verify; the host of the target unless given').optional(),
  insecure_skip_verify: z.boolean().default(false).describe('do not fail for an untrusted certificate; its gauges are exported all the same'),
  min_version: z.enum(['TLS1.0', 'TLS1.1', 'TLS1.2', 'TLS1.3']).default('TLS1.2').describe('oldest TLS version to speak'),
}

/** For `superRefine` of a type's options: the files must be there, be what they should, and belong together. */
export function checkTls(options: TlsOptions, context: Pick<z.RefinementCtx, 'addIssue'>): void {
  for (const { key, message } of fileProblems(options)) context.addIssue({ code: 'custom', path: [key], message, input: options[key] })
}

/**
 * The TLS handshake on a connected socket; phase `tls`. Exports the gauges even when verification fails, then throws a
 * ProbeFailure of the shared `tls_` codes. `host` is asked for (SNI) and verified unless `server_name` is set. The caller
 * destroys what is returned; an error on it later goes through `tlsFailure`. `alpn`: protocols to offer, most wanted first.
 */
export async function secure(
  probe: ProbeContext<'tls', TlsGauge, never>, socket: Socket, host: string, options: TlsOptions, alpn: readonly string[] = [],
): Promise<TLSSocket> {
  const { socket: secured, failure } = await shakeHands(probe, socket, host, options, alpn)
  if (!failure) return secured
  secured.destroy()
  throw failure
}

/** A finished handshake. */
export interface Handshake {
  readonly socket: TLSSocket
  /** What verification says against it; undefined with `insecure_skip_verify`. */
  readonly failure: ProbeFailure | undefined
}

/**
 * As `secure`, for callers that go on with a connection whose certificate does not verify; only a failed handshake throws.
 * `onSent` is given what the server sent, in its order, the first is its own; also where the handshake fails after that.
 */
export function shakeHands(
  probe: Pick<ProbeContext<'tls', TlsGauge, never>, 'phase' | 'gauge'>, socket: Socket, host: string, options: TlsOptions, alpn: readonly string[] = [],
  onSent: (sent: readonly X509Certificate[]) => void = () => {},
): Promise<Handshake> {
  return probe.phase('tls', async () => {
    const trust = trustOf(options)
    const name = (options.server_name ?? host).replace(/\.$/, '')
    let early: Peer | undefined
    const { secured, identity } = await handshake(socket, name, trust, options, alpn, (peer) => { early = peer }).catch((error: unknown) => {
      if (early) {
        exportSent(probe, early, false)
        onSent(early.sent)
      }
      throw error
    })
    try {
      const peer = early ?? peerOf(secured, identity)
      const chainError = errorOf(secured)
      exportAgreed(probe, secured)
      exportSent(probe, peer, chainError === undefined)
      onSent(peer.sent)
      return { socket: secured, failure: options.insecure_skip_verify ? undefined : verify(peer, chainError, name, trust) }
    } catch (error) {
      secured.destroy()
      throw error
    }
  })
}

/**
 * Waits a moment for a TLS 1.3 server's refusal of the client's certificate, or of a client without one, for callers that
 * would close without reading anything. Ends at once when the server shows that it has accepted the client: it sends a session ticket or
 * data. Throws the failure; belongs to no phase, since the handshake itself is over.
 */
export function awaitRefusal(probe: Pick<ProbeContext, 'signal' | 'deadline'>, socket: TLSSocket, options: TlsOptions): Promise<void> {
  const ms = Math.min(LINGER_MS, probe.deadline - performance.now() - MARGIN_MS)
  if (socket.getProtocol() !== 'TLSv1.3' || ms <= 0 || accepted.has(socket)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown) => {
      clearTimeout(timer)
      probe.signal.removeEventListener('abort', done)
      for (const event of ['session', 'readable', 'end', 'close']) socket.off(event, done)
      socket.off('error', fail)
      if (error === undefined) resolve()
      else reject(error)
    }
    const done = () => settle()
    const fail = (error: Error) => settle(tlsFailure(error, options) ?? error)
    const timer = setTimeout(done, ms)
    probe.signal.addEventListener('abort', done, { once: true })
    for (const event of ['session', 'readable', 'end', 'close']) socket.on(event, done)
    socket.on('error', fail)
  })
}

/**
 * `onEarly`: before TLS 1.3 the server's certificates are there when the handshake can still fail, and cannot be read again later.
 * `identity`: the certificate as Node has read it for a check of its own, when the chain is trusted.
 */
function handshake(
  socket: Socket, name: string, trust: Trust, options: TlsOptions, alpn: readonly string[], onEarly: (peer: Peer) => void,
): Promise<{ readonly secured: TLSSocket, readonly identity: DetailedPeerCertificate | undefined }> {
  if (socket.destroyed) throw socket.errored ?? Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' })
  return new Promise((resolve, reject) => {
    let identity: DetailedPeerCertificate | undefined
    const secured = connect({
      socket,
      secureContext: trust.context,
      // An address is never asked for by name (RFC 6066, 3).
      servername: isIP(name) === 0 ? name : '',
      // Node hides the certificate of a handshake that it ends itself: it is verified here, once it has been read.
      rejectUnauthorized: false,
      checkServerIdentity(_name, certificate) {
        identity = certificate as DetailedPeerCertificate // safe: Node hands over getPeerCertificate(true), whatever its types say
        return undefined
      },
      ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    })
    // In TLS 1.2 the keys are made once the server has said all it wants; a refusal after that can only mean the client.
    let keyed = false
    secured.once('keylog', () => {
      keyed = true
      if (secured.getProtocol() !== 'TLSv1.3') onEarly(peerOf(secured))
    })
    secured.once('session', () => accepted.add(secured))
    secured.once('secureConnect', () => resolve({ secured, identity }))
    secured.on('error', (error) => {
      secured.destroy()
      if (keyed && isHandshakeFailure(error)) reject(clientRefused(options))
      else reject(tlsFailure(error, options) ?? error)
    })
  })
}

function clientRefused({ cert_file: cert }: TlsOptions): ProbeFailure {
  return cert === undefined
    ? new ProbeFailure('tls_client_cert_required', 'the server ended the handshake when it got no client certificate')
    : new ProbeFailure('tls_client_cert_refused', 'the server ended the handshake when it got the client certificate')
}

/** Node's verdict on the chain; its type says Error, what it holds is a code. */
function errorOf(socket: TLSSocket): string | undefined {
  const error: unknown = socket.authorizationError
  if (typeof error === 'string') return error
  return error instanceof Error ? error.message : undefined
}
