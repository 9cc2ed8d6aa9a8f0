import type { X509Certificate } from 'node:crypto'
import type { Problem } from './cert-codes.ts'
import { dnsNames, distinguishedName, hex } from './tls-gauges.ts'

/** What is said of a certificate. */
export interface CertificateFacts {
  /** Empty for what a server sent. */
  readonly file: string
  /** Its place in the file or chain. */
  readonly entry: string
  /** Common name, else the first host name, else empty. */
  readonly cn: string
  readonly subject: string
  readonly issuer: string
  readonly serial: string
  readonly fingerprint: string
  /** Unix time, seconds. */
  readonly notBefore: number
  readonly notAfter: number
}

/** Reads a certificate; undefined when its dates cannot be read. */
export function factsOf(certificate: X509Certificate, file: string, entry: string): CertificateFacts | undefined {
  const [notBefore, notAfter] = [certificate.validFromDate.getTime() / 1000, certificate.validToDate.getTime() / 1000]
  if (!Number.isFinite(notBefore) || !Number.isFinite(notAfter)) return undefined
  const serial = hex(certificate.serialNumber)
  return {
    file, entry, serial, notBefore, notAfter,
    cn: /^(?:.* \+ )?CN=(.*?)(?: \+ .*)?$/m.exec(certificate.subject)?.[1] ?? dnsNames(certificate)[0] ?? '',
    subject: distinguishedName(certificate.subject) || `with the serial number ${serial}`,
    issuer: distinguishedName(certificate.issuer),
    fingerprint: certificate.fingerprint256,
  }
}

/** What is wrong with the dates, if anything. */
export function datesProblem({ file, entry, subject, notBefore, notAfter }: CertificateFacts, now = Date.now() / 1000): Problem | undefined {
  const where = file === '' ? '' : `${file}${entry === '0' ? '' : ` (${entry})`}: `
  if (notAfter < now) return { code: 'tls_expired', message: `${where}the certificate ${subject} expired at ${iso(notAfter)}` }
  if (notBefore > now) return { code: 'tls_not_yet_valid', message: `${where}the certificate ${subject} is valid only from ${iso(notBefore)}` }
  return undefined
}

/** Seconds as `2026-01-31T12:00:00Z`. */
export function iso(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}
