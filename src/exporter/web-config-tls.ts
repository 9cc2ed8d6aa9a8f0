import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { errorCode, readText } from './http-files.ts'
import { canonicalName, contextOptions, type TlsSettings } from './http-tls.ts'
import type { Raw, Report } from './web-config-schema.ts'

/**
 * `tls_server_config` of a web-config file with the certificates and keys that it names; undefined without it, or with a mistake.
 * `near` finds a file that is named; `wrong` is told what is wrong in the text, `wrongFile` what is wrong in certificates and keys.
 */
export function tlsOf(raw: Raw['tls_server_config'] & {} | undefined, near: (path: string) => string, wrong: Report, wrongFile: Report): TlsSettings | undefined {
  if (!raw) return undefined
  const top = 'tls_server_config'
  const { cert, cert_file, key, key_file, client_ca, client_ca_file, client_auth_type, client_allowed_sans } = raw
  const before = [cert, cert_file, key, key_file, client_ca, client_ca_file, client_auth_type].filter((value) => value !== undefined && value !== '')
  if (before.length === 0) {
    if (Object.keys(raw).some((name) => name === 'client_allowed_sans')) wrong([top], 'expected cert_file and key_file: without them there is no TLS')
    return undefined
  }

  let complete = true
  const bad = (name: string, message: string) => { complete = false; wrong(name === '' ? [top] : [top, name], message) }
  const pem = (inline: string | undefined, path: string | undefined, name: string): string | undefined => {
    if (inline && path) bad(name, `expected either ${name} or ${name}_file`)
    if (!path) return inline || undefined
    const read = readText(near(path))
    if ('text' in read) return read.text
    complete = false
    wrongFile([top, `${name}_file`], read.problem)
    return undefined
  }
  const clientAuth = client_auth_type ?? 'NoClientCert'
  const verifies = clientAuth === 'VerifyClientCertIfGiven' || clientAuth === 'RequireAndVerifyClientCert'
  const withCa = Boolean(client_ca ?? client_ca_file)
  if (!cert && !cert_file) bad('', 'expected cert_file (or cert)')
  if (!key && !key_file) bad('', 'expected key_file (or key)')
  if (withCa && clientAuth === 'NoClientCert') bad(client_ca ? 'client_ca' : 'client_ca_file', 'expected client_auth_type too, such as RequireAndVerifyClientCert')
  if (verifies && !withCa) bad('client_auth_type', `${clientAuth} needs client_ca_file: without it any certificate of any public authority would do`)
  if (client_allowed_sans && clientAuth !== 'RequireAndVerifyClientCert' && clientAuth !== 'RequireAnyClientCert' && clientAuth !== 'RequireClientCert') {
    bad('client_allowed_sans', 'expected client_auth_type RequireAndVerifyClientCert')
  }
  if (raw.min_version > raw.max_version) bad('min_version', 'expected at most max_version')

  const material = { cert: pem(cert, cert_file, 'cert'), key: pem(key, key_file, 'key'), ca: pem(client_ca, client_ca_file, 'client_ca') }
  if (!complete || material.cert === undefined || material.key === undefined) return undefined
  const context = {
    cert: material.cert, key: material.key,
    // As in Go, whose pool may hold an intermediate authority without its root.
    ...(material.ca === undefined ? {} : { ca: material.ca, allowPartialTrustChain: true }),
    ...contextOptions({ min: raw.min_version, max: raw.max_version, ciphers: raw.cipher_suites, curves: raw.curve_preferences, serverOrder: raw.prefer_server_cipher_suites }),
  }
  const problem = contextProblem(material.cert, material.key, material.ca, context)
  if (problem) {
    wrongFile([top, problem.about === 'client_ca' ? (client_ca ? 'client_ca' : 'client_ca_file') : cert_file ? 'cert_file' : 'cert'], problem.message)
    return undefined
  }
  return { context, clientAuth, allowedSans: client_allowed_sans && new Set(client_allowed_sans.map(canonicalName)) }
}

/** What OpenSSL has against certificate, key and authority, in our words; it is asked step by step to know which it is. */
function contextProblem(cert: string, key: string, ca: string | undefined, whole: SecureContextOptions): { about: 'cert' | 'client_ca', message: string } | undefined {
  const refuses = (options: SecureContextOptions) => {
    try {
      createSecureContext(options)
      return undefined
    } catch (error) {
      return errorCode(error)
    }
  }
  const certificate = refuses({ cert })
  if (certificate) return { about: 'cert', message: `expected a certificate in PEM form (${certificate})` }
  const privateKey = refuses({ key })
  if (privateKey) return { about: 'cert', message: `its key is no private key in PEM form without a password (${privateKey})` }
  const pair = refuses({ cert, key })
  if (pair) return { about: 'cert', message: `the certificate does not belong to the key (${pair})` }
  if (ca !== undefined && (!/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(ca) || refuses({ ca }))) return { about: 'client_ca', message: 'expected certificates in PEM form' }
  const together = refuses(whole)
  return together ? { about: 'cert', message: `OpenSSL refuses these TLS settings together (${together})` } : undefined
}
