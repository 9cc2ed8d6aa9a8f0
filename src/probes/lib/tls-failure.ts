import { ProbeFailure } from '../../core/probe.ts'

/** TLS alerts (RFC 8446, 6; RFC 5246, 7.2) that a code stands for. */
const ALERTS: Readonly<Record<number, { readonly code: string, readonly said: string }>> = {
  42: { code: 'tls_client_cert_refused', said: 'bad_certificate' },
  43: { code: 'tls_client_cert_refused', said: 'unsupported_certificate' },
  44: { code: 'tls_client_cert_refused', said: 'certificate_revoked' },
  45: { code: 'tls_client_cert_refused', said: 'certificate_expired' },
  46: { code: 'tls_client_cert_refused', said: 'certificate_unknown' },
  48: { code: 'tls_client_cert_refused', said: 'unknown_ca' },
  49: { code: 'tls_client_cert_refused', said: 'access_denied' },
  70: { code: 'tls_old_version', said: 'protocol_version' },
  112: { code: 'tls_wrong_host', said: 'unrecognized_name' },
  116: { code: 'tls_client_cert_required', said: 'certificate_required' },
}
const HANDSHAKE_FAILURE = 40

/** Errors by which OpenSSL says that what came is no TLS record at all. */
const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_DATA_LENGTH_TOO_LONG', 'ERR_SSL_BAD_RECORD_TYPE',
  'ERR_SSL_HTTP_REQUEST', 'ERR_SSL_HTTPS_PROXY_REQUEST', 'ERR_SSL_RECORD_TOO_SMALL', 'ERR_SSL_UNKNOWN_PROTOCOL',
])
const OLD: ReadonlySet<string> = new Set(['ERR_SSL_UNSUPPORTED_PROTOCOL', 'ERR_SSL_VERSION_TOO_LOW', 'ERR_SSL_WRONG_SSL_VERSION'])
/** Errors that OpenSSL raises without anything the peer has done. */
const OURS = /^ERR_SSL_(?:INTERNAL_ERROR|MALLOC_FAILURE|NO_PROTOCOLS_AVAILABLE|NO_CIPHERS_AVAILABLE|CRYPTO_LIB|LIBRARY_BUG)$/

/**
 * What an error of a TLS socket says of the target, at any time of its life: with TLS 1.3 a server that wants a client
 * certificate says so only after the client has finished its handshake. Undefined when it is no TLS error (a reset, an
 * error of ours): then it is to be thrown as it is. With the options it can tell a refused client certificate from a
 * missing one where the alert does not.
 */
export function tlsFailure(error: unknown, options?: { readonly cert_file?: string | undefined }): ProbeFailure | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined
  const { code } = error
  if (!code.startsWith('ERR_SSL_') || OURS.test(code)) return undefined
  const alert = alertOf(error)
  const known = alert === undefined ? undefined : ALERTS[alert]
  if (known) {
    const missing = known.code === 'tls_client_cert_refused' && options !== undefined && options.cert_file === undefined
    return new ProbeFailure(missing ? 'tls_client_cert_required' : known.code, `the server sent the TLS alert ${known.said}`)
  }
  if (alert !== undefined) return new ProbeFailure('tls_other', `the server sent the TLS alert ${alert} (${wordsOf(code)})`)
  if (NO_TLS.has(code)) return new ProbeFailure('tls_plain_port', `the answer is not TLS (${wordsOf(code)})`)
  if (OLD.has(code)) return new ProbeFailure('tls_old_version', `the server chose a TLS version below min_version (${wordsOf(code)})`)
  return new ProbeFailure('tls_other', `the TLS handshake failed: ${wordsOf(code)}`)
}

/** Whether the server ended the handshake with `handshake_failure`, which TLS 1.2 sends for a missing client certificate and much else. */
export function isHandshakeFailure(error: unknown): boolean {
  return alertOf(error) === HANDSHAKE_FAILURE
}

/** The number of the alert; OpenSSL puts it at the end of its text, and its names for alerts change between releases. */
function alertOf(error: unknown): number | undefined {
  const number = error instanceof Error ? /SSL alert number (\d+)/.exec(error.message)?.[1] : undefined
  return number === undefined ? undefined : Number(number)
}

function wordsOf(code: string): string {
  return code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')
}
