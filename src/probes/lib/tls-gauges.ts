import type { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { GaugeSpec, ProbeContext } from '../../core/probe.ts'

/** Gauges that `secure` sets, with blackbox_exporter's names and label formats. */
export const tlsGauges = {
  probe_ssl_earliest_cert_expiry: 'Earliest expiry of the certificates that the servers sent, or that the files of a cert probe or the object of a kube-cert probe hold, as a Unix time.',
  probe_ssl_last_chain_expiry_timestamp_seconds: 'Earliest expiry of the verified chain, its local root included, as a Unix time; absent when the chain does not verify.',
  probe_ssl_last_chain_info: { help: "The server's own certificate.", labels: ['fingerprint_sha256', 'subject', 'issuer', 'subjectalternative', 'serialnumber'] },
  probe_tls_version_info: { help: 'The TLS version that was agreed on.', labels: ['version'] },
  probe_tls_cipher_info: { help: 'The cipher suite that was agreed on, by its IANA name.', labels: ['cipher'] },
} as const satisfies Readonly<Record<string, string | GaugeSpec>>

export type TlsGauge = keyof typeof tlsGauges

/** A server may send a certificate for thousands of names; a label holds so many characters of it. */
const LONGEST_LABEL = 1_000
/** A chain is at most so long; OpenSSL itself refuses more than 100 KB of certificates. */
const LONGEST_CHAIN = 50

/** The order in which Go prints the attributes of a name. */
const ORDER = ['serialNumber', 'CN', 'postalCode', 'street', 'ST', 'L', 'OU', 'O', 'C']
const GO_NAMES: Readonly<Record<string, string>> = { serialNumber: 'SERIALNUMBER', postalCode: 'POSTALCODE', street: 'STREET' }

export interface Peer {
  /** What the server sent, in its order; the first is its own. */
  readonly sent: readonly X509Certificate[]
  /** Earliest expiry, in milliseconds, of the chain that OpenSSL would build from them, with the local root. */
  readonly chainExpiry: number
  /** The server's own one as Node has it for `checkServerIdentity`. */
  readonly identity: DetailedPeerCertificate
}

/**
 * Reads the certificates that a server has sent, once: Node's way to what was sent empties the session. `identity` is what
 * `getPeerCertificate(true)` returned, where somebody has asked already: it is a seventh of what a handshake costs.
 */
export function peerOf(socket: TLSSocket, identity = socket.getPeerCertificate(true)): Peer {
  const chainExpiry = expiryOf(identity)
  const sent: X509Certificate[] = []
  for (let next = socket.getPeerX509Certificate(); next && sent.length < LONGEST_CHAIN; next = next.issuerCertificate) sent.push(next)
  return { sent, chainExpiry, identity }
}

function expiryOf(leaf: DetailedPeerCertificate): number {
  let earliest = Infinity
  let certificate: DetailedPeerCertificate | undefined = leaf
  for (let depth = 0; certificate?.valid_to !== undefined && depth < LONGEST_CHAIN; depth++) {
    earliest = Math.min(earliest, Date.parse(certificate.valid_to))
    // A root is its own issuer.
    certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate
  }
  return earliest
}

/** Exports what a finished handshake has agreed on. */
export function exportAgreed(probe: Pick<ProbeContext<string, TlsGauge>, 'gauge'>, socket: TLSSocket): void {
  probe.gauge('probe_tls_version_info', 1, { version: versionOf(socket.getProtocol()) })
  probe.gauge('probe_tls_cipher_info', 1, { cipher: socket.getCipher().standardName })
}

/** Exports which certificates came, whether or not they verify. */
export function exportSent(probe: Pick<ProbeContext<string, TlsGauge>, 'gauge'>, { sent, chainExpiry }: Peer, verified: boolean): void {
  const [leaf] = sent
  if (!leaf) return
  probe.gauge('probe_ssl_earliest_cert_expiry', Math.min(...sent.map((certificate) => certificate.validToDate.getTime())) / 1000)
  if (verified && Number.isFinite(chainExpiry)) probe.gauge('probe_ssl_last_chain_expiry_timestamp_seconds', chainExpiry / 1000)
  probe.gauge('probe_ssl_last_chain_info', 1, {
    fingerprint_sha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: clipped(distinguishedName(leaf.subject)),
    issuer: clipped(distinguishedName(leaf.issuer)),
    subjectalternative: clipped(dnsNames(leaf).join(',')),
    serialnumber: hex(leaf.serialNumber),
  })
}

/** `TLSv1.3` as blackbox_exporter writes it: `TLS 1.3`. */
function versionOf(protocol: string | null): string {
  const version = /^TLSv(1(?:\.\d)?)$/.exec(protocol ?? '')?.[1]
  if (version === undefined) return 'unknown'
  return `TLS ${version === '1' ? '1.0' : version}`
}

/**
 * OpenSSL's name of several lines in the order of Go's `pkix.Name`, most specific first: `CN=localhost,O=Test`. Attributes
 * that Go prints as numbers follow at the end under OpenSSL's short names. Values are escaped as RFC 2253 says already.
 * An empty name, as public authorities now issue it too, is undefined in Node, whatever its types say.
 */
export function distinguishedName(lines: string | undefined): string {
  const values = new Map<string, string[]>()
  for (const line of lines ? lines.split('\n').flatMap((attributes) => attributes.split(' + ')) : []) {
    const [name, value] = splitOnce(line, '=')
    values.set(name, [...(values.get(name) ?? []), value])
  }
  const names = [...ORDER.filter((name) => values.has(name)), ...[...values.keys()].filter((name) => !ORDER.includes(name)).toReversed()]
  return names.map((name) => (values.get(name) ?? []).map((value) => `${GO_NAMES[name] ?? name}=${value}`).join('+')).join(',')
}

/** The DNS names that a certificate is for, in its order. */
export function dnsNames(certificate: X509Certificate): readonly string[] {
  return alternatives(certificate).flatMap(({ kind, value }) => (kind === 'DNS' ? [value] : []))
}

/** DNS names and addresses that a certificate is for; its common name when it has none of them. */
export function namesOf(certificate: X509Certificate): readonly string[] {
  const names = alternatives(certificate).flatMap(({ kind, value }) => (kind === 'DNS' || kind === 'IP Address' ? [value] : []))
  return names.length > 0 ? names : [distinguishedName(certificate.subject) || 'no host']
}

/** Node writes `DNS:a, IP Address:1.2.3.4`, and a value that could be mistaken as a JSON text. */
function alternatives(certificate: X509Certificate): { kind: string, value: string }[] {
  const parts = (certificate.subjectAltName ?? '').match(/[^:,]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)/g) ?? []
  return parts.map((part) => {
    const [kind, value] = splitOnce(part.trim(), ':')
    return { kind, value: value.startsWith('"') ? String(JSON.parse(value)) : value }
  })
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** A serial number as blackbox_exporter writes it. */
export function hex(serial: string): string {
  return (serial.length % 2 === 0 ? serial : `0${serial}`).toLowerCase()
}

function clipped(text: string): string {
  return text.length <= LONGEST_LABEL ? text : `${text.slice(0, LONGEST_LABEL)}…`
}
