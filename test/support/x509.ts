import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** What stands in a certificate; times are OpenSSL's, `20991231235959Z`. */
export interface CertificateRequest {
  /** OpenSSL's form, `/O=Curlew Test/CN=localhost`. */
  readonly subject: string
  readonly from: string
  readonly to: string
  /** An authority: may sign others. */
  readonly authority?: boolean
  /** subjectAltName: host names, or IPv4 addresses. */
  readonly names?: readonly string[]
  /** extendedKeyUsage=clientAuth. */
  readonly forClient?: boolean
  /** authorityInfoAccess: where the certificate of the signer can be had. */
  readonly issuerUrl?: string
  /** P-256 unless given. */
  readonly key?: KeyKind
  /** The content of the serial number, odd ones included; random and positive unless given. */
  readonly serial?: Buffer
}

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'ed25519' | 'rsa' | 'rsa-pss'

/** A private key with its certificate, both as PEM, and what signing others takes. */
export interface Issued {
  readonly cert: string
  readonly key: string
  readonly subject: Buffer
  readonly privateKey: KeyObject
}

/** A new key and its certificate (RFC 5280), signed with SHA-256 (or Ed25519) by `by`, else by itself. No command and no library is needed. */
export function issue(request: CertificateRequest, by?: Issued): Issued {
  const { publicKey, privateKey } = keyPair(request.key ?? 'P-256')
  const signer = by?.privateKey ?? privateKey
  const subject = distinguishedName(request.subject)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const algorithm = SIGNATURES[String(signer.asymmetricKeyType)]!()
  const serial = request.serial ?? randomBytes(16)
  if (!request.serial) serial[0] = 0x40 | (serial[0]! & 0x3f) // positive, and as long as it is
  const body = sequence(
    der(0xa0, integer(2)), der(0x02, serial), algorithm, by?.subject ?? subject,
    sequence(time(request.from), time(request.to)), subject, spki, der(0xa3, sequence(...extensions(request, spki))),
  )
  const cert = sequence(body, algorithm, bits(sign(signer.asymmetricKeyType === 'ed25519' ? null : 'sha256', body, signer)))
  return { cert: pem('CERTIFICATE', cert), key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })), subject, privateKey }
}

/** Algorithm identifiers by the kind of the signing key. */
const SIGNATURES: Readonly<Record<string, () => Buffer>> = {
  ec: () => sequence(oid('1.2.840.10045.4.3.2')), // ecdsa-with-SHA256
  ed25519: () => sequence(oid('1.3.101.112')),
  rsa: () => sequence(oid('1.2.840.113549.1.1.11'), der(0x05, Buffer.alloc(0))), // sha256WithRSAEncryption
  'rsa-pss': () => {
    const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'))
    return sequence(oid('1.2.840.113549.1.1.10'), sequence(der(0xa0, sha256), der(0xa1, sequence(oid('1.2.840.113549.1.1.8'), sha256)), der(0xa2, integer(32))))
  },
}

function keyPair(kind: KeyKind): { publicKey: KeyObject, privateKey: KeyObject } {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519')
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  if (kind === 'rsa-pss') return generateKeyPairSync('rsa-pss', { modulusLength: 2048, hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha256' })
  return generateKeyPairSync('ec', { namedCurve: kind })
}

function extensions({ authority, names, forClient, issuerUrl }: CertificateRequest, spki: Buffer): Buffer[] {
  const list: Buffer[] = []
  const add = (id: string, value: Buffer, critical = false) => list.push(sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value)))
  if (authority) {
    add('2.5.29.19', sequence(der(0x01, Buffer.from([0xff]))), true) // basicConstraints, CA:true
    add('2.5.29.15', der(0x03, Buffer.from([1, 0b0000_0110])), true) // keyUsage: keyCertSign, cRLSign
    add('2.5.29.14', der(0x04, createHash('sha1').update(spki).digest())) // subjectKeyIdentifier
  }
  if (names) add('2.5.29.17', sequence(...names.map((name) => (isIPv4(name) ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name)))))) // subjectAltName
  if (forClient) add('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.2'))) // extendedKeyUsage: clientAuth
  if (issuerUrl) add('1.3.6.1.5.5.7.1.1', sequence(sequence(oid('1.3.6.1.5.5.7.48.2'), der(0x86, Buffer.from(issuerUrl))))) // authorityInfoAccess: caIssuers
  return list
}

const ATTRIBUTES: Readonly<Record<string, string>> = { C: '2.5.4.6', O: '2.5.4.10', CN: '2.5.4.3' }

function distinguishedName(text: string): Buffer {
  return sequence(...text.split('/').slice(1).map((part) => {
    const [name = '', value = ''] = part.split('=')
    return der(0x31, sequence(oid(ATTRIBUTES[name] ?? ''), der(name === 'C' ? 0x13 : 0x0c, Buffer.from(value))))
  }))
}

/** UTCTime until 2049, then GeneralizedTime. */
function time(text: string): Buffer {
  return text < '2050' ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text))
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [40 * first + second, ...rest].flatMap((part) => {
    const digits = [part & 0x7f]
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f))
    return digits
  })
  return der(0x06, Buffer.from(bytes))
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]))
}

function bits(content: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), content]))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

/** Tag, length and content (X.690, definite form). */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function pem(label: string, content: Buffer): string {
  return `-----BEGIN ${label}-----\n${content.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`
}
