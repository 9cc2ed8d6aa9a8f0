import { isIP } from 'node:net'
import { TLSSocket, type SecureContextOptions, type SecureVersion } from 'node:tls'

/** Go's names of `client_auth_type`; `RequireClientCert` is the old name of `RequireAnyClientCert`. */
export const CLIENT_AUTH = ['NoClientCert', 'RequestClientCert', 'RequireAnyClientCert', 'RequireClientCert', 'VerifyClientCertIfGiven', 'RequireAndVerifyClientCert'] as const
export type ClientAuth = (typeof CLIENT_AUTH)[number]

export const TLS_VERSIONS = { TLS10: 'TLSv1', TLS11: 'TLSv1.1', TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const satisfies Record<string, SecureVersion>
export type TlsVersion = keyof typeof TLS_VERSIONS

/** Go's names of curves (crypto/tls CurveID) and OpenSSL's. */
export const CURVES = { CurveP256: 'P-256', CurveP384: 'P-384', CurveP521: 'P-521', X25519: 'X25519' } as const
export type Curve = keyof typeof CURVES

/** Suites of TLS 1.3: Go does not let them be chosen, so they are always on. */
const TLS13_SUITES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'] as const

/** Go's names (crypto/tls CipherSuites()) and OpenSSL's. */
export const CIPHERS = {
  TLS_AES_128_GCM_SHA256: undefined,
  TLS_AES_256_GCM_SHA384: undefined,
  TLS_CHACHA20_POLY1305_SHA256: undefined,
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
} as const
export type Cipher = keyof typeof CIPHERS

/** What the HTTPS listener needs; a new object whenever anything of it was read again. */
export interface TlsSettings {
  readonly context: SecureContextOptions
  readonly clientAuth: ClientAuth
  readonly allowedSans: ReadonlySet<string> | undefined
}

export interface TlsChoices {
  readonly min: TlsVersion
  readonly max: TlsVersion
  readonly ciphers: readonly Cipher[]
  readonly curves: readonly Curve[]
  readonly serverOrder: boolean
}

/** Node's options for versions, suites and curves given in Go's words. */
export function contextOptions({ min, max, ciphers, curves, serverOrder }: TlsChoices): SecureContextOptions {
  const old = min === 'TLS10' || min === 'TLS11'
  const named = ciphers.flatMap((name) => CIPHERS[name] ?? [])
  const chosen = named.length > 0 ? [...TLS13_SUITES, ...named] : ciphers.length > 0 ? [...TLS13_SUITES] : []
  // OpenSSL 3 refuses TLS 1.0 and 1.1 above security level 0, whatever minVersion says.
  const list = [...(chosen.length > 0 ? chosen : old ? ['DEFAULT'] : []), ...(old ? ['@SECLEVEL=0'] : [])].join(':')
  return {
    minVersion: TLS_VERSIONS[min],
    maxVersion: TLS_VERSIONS[max],
    honorCipherOrder: serverOrder,
    ...(list === '' ? {} : { ciphers: list }),
    ...(curves.length === 0 ? {} : { ecdhCurve: curves.map((name) => CURVES[name]).join(':') }),
  }
}

/**
 * Why this client may not speak, or undefined. It is told in an answer instead of a broken handshake, so that a person
 * reads what is missing and kubelet, which has no certificate, may still ask for /-/healthy.
 */
export function refusedClient(socket: unknown, { clientAuth, allowedSans }: TlsSettings): string | undefined {
  if (clientAuth === 'NoClientCert' || clientAuth === 'RequestClientCert') return undefined
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined
  const given = certificate !== undefined && 'raw' in certificate
  if (!given) return clientAuth === 'VerifyClientCertIfGiven' ? undefined : 'This server wants a client certificate: send one.'
  if (clientAuth.includes('Verify') && !verifiedClient(socket, clientAuth)) return 'The client certificate is not signed by an authority of client_ca, or has expired: send another one.'
  if (allowedSans && !alternativeNames(certificate.subjectaltname ?? '').some((name) => allowedSans.has(name))) return 'The client certificate has no name that client_allowed_sans lists: send another one.'
  return undefined
}

/** Whether the client has proved a certificate of `client_ca`: that counts as a login. */
export function verifiedClient(socket: unknown, clientAuth: ClientAuth): boolean {
  return socket instanceof TLSSocket && (clientAuth === 'VerifyClientCertIfGiven' || clientAuth === 'RequireAndVerifyClientCert') && socket.authorized
}

/** The names in OpenSSL's text form (`DNS:a, IP Address:0:0:0:0:0:0:0:1, URI:"x, y"`), addresses in canonical form. */
export function alternativeNames(text: string): string[] {
  return Array.from(text.matchAll(/(DNS|IP Address|email|URI):("(?:[^"\\]|\\.)*"|[^,]*)/g), ([, kind, raw = '']) => {
    const value = raw.startsWith('"') ? unquoted(raw) : raw.trim()
    return kind === 'IP Address' ? canonicalName(value) : value
  })
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text))
  } catch {
    return text
  }
}

/** A name of `client_allowed_sans` as `alternativeNames` gives it. */
export function canonicalName(text: string): string {
  return isIP(text) === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text
}
