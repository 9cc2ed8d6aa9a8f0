import { z } from 'zod'
import { KubeError, type KubeTrouble } from './model.ts'

/** What a sentence about a call names. */
export interface Called {
  readonly cluster: string
  /** `GET`, `watch`. */
  readonly verb: string
  /** With its query, which no sentence repeats. */
  readonly path: string
  /** `host:port` of the proxy on the way, which may be to blame where there is no answer. */
  readonly by?: string | undefined
}

const LONGEST = 300

/** meta/v1 Status: what the API says of a call that came to nothing. */
const statusObject = z.object({ kind: z.literal('Status'), message: z.string().default(''), reason: z.string().optional() })

const BY_STATUS: Readonly<Record<number, readonly [KubeTrouble, string]>> = {
  401: ['unauthorized', 'the credentials are not accepted (401)'],
  403: ['forbidden', 'not allowed (403)'],
  404: ['not_found', 'not found (404)'],
  409: ['conflict', 'conflict (409)'],
  410: ['gone', 'no longer available (410)'],
  429: ['throttled', 'too many requests (429)'],
}

/** The error for an answer other than 2xx; `retryAfter` is the header's value. */
export function answerError(called: Called, status: number, body: string, retryAfter?: string): KubeError {
  const [trouble, words] = BY_STATUS[status] ?? [status >= 500 ? 'server' : 'protocol', `answered ${status}`]
  const { message, reason } = statusOf(body)
  return new KubeError(trouble, sentence(called, message === '' ? words : `${words}: ${message}`), { status, reason, retryAfterMs: waitOf(retryAfter) })
}

/** The error for a call without a whole answer; the caller knows itself whether its deadline has passed. */
export function networkError(called: Called, error: unknown): KubeError {
  if (error instanceof KubeError) return error
  const { code, message } = about(error)
  const trouble = code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT' ? 'timeout' : isTls(code, message) ? 'tls' : 'unreachable'
  if (code !== undefined && UNTRUSTED.has(code)) return new KubeError('tls', sentence(called, `the server's certificate is not of the authority that the access trusts, a kubeconfig's or the ServiceAccount's ca.crt (${code})`), { cause: error })
  const words = { timeout: 'no connection in time', tls: 'TLS failed', unreachable: 'the connection failed' }[trouble]
  return new KubeError(trouble, sentence(called, `${words}: ${code === undefined || !/^[A-Z]/.test(code) || message.includes(code) ? message : `${code}: ${message}`}`), { cause: error })
}

export function sentence({ cluster, verb, path, by }: Called, what: string): string {
  return `cluster ${cluster}: ${verb} ${path.split('?')[0] ?? path}${by === undefined ? '' : ` by the proxy ${by}`}: ${short(what)}`
}

/** The first line of a text, without what looks like a token, at most 300 characters. */
export function short(text: string): string {
  const line = (text.trim().split(/[\r\n]/)[0] ?? '').replaceAll(/eyJ[\w.-]{10,}|(?<=[Bb]earer )\S+/g, '<hidden>')
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
}

function statusOf(body: string): Omit<z.output<typeof statusObject>, 'kind'> {
  try {
    return statusObject.parse(JSON.parse(body))
  } catch {
    return { message: body.trimStart().startsWith('<') ? '' : body }
  }
}

/** Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
function waitOf(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

function about(error: unknown): { readonly code: string | undefined, readonly message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return about(error.errors[0])
  if (!(error instanceof Error)) return { code: undefined, message: String(error) }
  return { code: 'code' in error && typeof error.code === 'string' ? error.code : undefined, message: error.message }
}

/** For these Node's own sentence recommends a switch of Node's, which would not help here. */
const UNTRUSTED: ReadonlySet<string> = new Set(['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT'])

/** OpenSSL's verdicts on a certificate as Node names them, and errors of the handshake. */
function isTls(code: string | undefined, message: string): boolean {
  return /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|EPROTO|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_|CRL_)/.test(code ?? '')
    || /before secure TLS connection was established/.test(message)
}
