import forge from 'node-forge'

/** A PKCS#12 file: its certificates in DER, under the alias of their entry, and what kept it from being read whole. */
export interface Pkcs12 {
  readonly certificates: readonly { readonly alias: string, readonly der: Uint8Array }[]
  readonly problem?: { readonly kind: 'password' | 'broken' | 'unsupported', readonly message: string }
}

type Node = forge.asn1.Asn1

/** node-forge's types do not know its ciphers for password-based encryption; lib/pbe.js of 1.4.3. */
interface Ciphers {
  getCipherForPBES2(oid: string, params: Node, password: string): Cipher
  getCipherForPKCS12PBE(oid: string, params: Node, password: string | null): Cipher
}
interface Cipher {
  update(bytes: forge.util.ByteBuffer): void
  finish(): boolean
  readonly output: forge.util.ByteBuffer
}

const OID = {
  data: '1.2.840.113549.1.7.1', encryptedData: '1.2.840.113549.1.7.6', friendlyName: '1.2.840.113549.1.9.20',
  certBag: '1.2.840.113549.1.12.10.1.3', x509: '1.2.840.113549.1.9.22.1', bags: '1.2.840.113549.1.12.10.1.6', pbes2: '1.2.840.113549.1.5.13',
} as const

/** Digests of a MAC, and how many bytes its key has (RFC 7292, appendix B.4). */
const DIGESTS: Readonly<Record<string, { readonly bytes: number, create(): forge.md.MessageDigest }>> = {
  '1.3.14.3.2.26': { bytes: 20, create: () => forge.md.sha1.create() },
  '2.16.840.1.101.3.4.2.1': { bytes: 32, create: () => forge.md.sha256.create() },
  '2.16.840.1.101.3.4.2.2': { bytes: 48, create: () => forge.md.sha384.create() },
  '2.16.840.1.101.3.4.2.3': { bytes: 64, create: () => forge.md.sha512.create() },
}

/** Firefox derives its keys in 600,000 rounds, the most of all that write such files. */
const MOST_ROUNDS = 1_000_000
/** Bags may hold bags. */
const DEEPEST = 8

class Unsupported extends Error {}

/**
 * Reads a PKCS#12 file (RFC 7292), a key store or one of Java's trust stores. node-forge reads the ASN.1 and decrypts; its
 * own walk is not used, for it decrypts every private key too and gives up at an entry that it does not know. Without a
 * password only what was written without one can be decrypted, and the MAC is not checked. Never throws.
 */
export function openPkcs12(bytes: Uint8Array, password: string | undefined): Pkcs12 {
  try {
    const [, authSafe, macData] = childrenOf(parse(Buffer.from(bytes).toString('latin1')))
    const [type, content] = childrenOf(authSafe)
    if (oidOf(type) !== OID.data) throw new Unsupported('the keystore is protected by a certificate instead of a password')
    const safe = bytesOf(childrenOf(content)[0])
    // Programs disagree on what no password is.
    const candidates = password === undefined ? [null, ''] : [password]
    const key = macData === undefined ? candidates.at(-1) : candidates.find((candidate) => fits(macData, safe, candidate))
    return read(safe, key, password !== undefined && key === undefined)
  } catch (error) {
    return { certificates: [], problem: { kind: error instanceof Unsupported ? 'unsupported' : 'broken', message: error instanceof Error ? error.message : String(error) } }
  }
}

/** `key` undefined: what is encrypted stays closed. */
function read(safe: string, key: string | null | undefined, wrong: boolean): Pkcs12 {
  const certificates: { alias: string, der: Uint8Array }[] = []
  let closed = wrong
  for (const info of childrenOf(parse(safe))) {
    const [type, content] = childrenOf(info)
    const [inner] = childrenOf(content)
    if (oidOf(type) === OID.data) collect(parse(bytesOf(inner)), certificates)
    else if (oidOf(type) !== OID.encryptedData) throw new Unsupported('a part of the keystore is encrypted for a certificate instead of a password')
    else {
      const plain = key === undefined ? undefined : decrypt(inner, key)
      if (plain) collect(plain, certificates)
      else closed = true
    }
  }
  return closed ? { certificates, problem: { kind: 'password', message: wrong ? 'the password is wrong, or the keystore was changed' : 'the keystore is encrypted' } } : { certificates }
}

/** SafeContents: bags, of which some hold certificates. Keys stay encrypted, other kinds are passed over. */
function collect(bags: Node, certificates: { alias: string, der: Uint8Array }[], depth = 0): void {
  if (depth > DEEPEST) throw new Unsupported('the keystore nests its entries too deeply')
  for (const bag of childrenOf(bags)) {
    const [kind, value, attributes] = childrenOf(bag)
    const id = oidOf(kind)
    const [content] = childrenOf(value)
    if (id === OID.bags && content) collect(content, certificates, depth + 1)
    if (id !== OID.certBag) continue
    const [certId, der] = childrenOf(content)
    if (oidOf(certId) === OID.x509) certificates.push({ alias: aliasOf(attributes), der: Buffer.from(bytesOf(childrenOf(der)[0]), 'latin1') })
  }
}

function aliasOf(attributes: Node | undefined): string {
  for (const attribute of attributes ? childrenOf(attributes) : []) {
    const [name, values] = childrenOf(attribute)
    // forge has decoded the BMPString.
    if (oidOf(name) === OID.friendlyName) return bytesOf(childrenOf(values)[0])
  }
  return ''
}

/** EncryptedData, decrypted and parsed; undefined when the key does not open it. Throws Unsupported for a cipher that forge lacks. */
function decrypt(data: Node | undefined, key: string | null): Node | undefined {
  const [, algorithm, content] = childrenOf(childrenOf(data)[1])
  const [name, params] = childrenOf(algorithm)
  const oid = oidOf(name)
  const cipher = cipherOf(oid, params, key)
  cipher.update(forge.util.createBuffer(bytesOf(content)))
  try {
    return cipher.finish() ? parse(cipher.output.getBytes()) : undefined
  } catch {
    // The wrong key leaves noise that by chance is padded well.
    return undefined
  }
}

function cipherOf(oid: string, params: Node | undefined, key: string | null): Cipher {
  const { pbe } = forge.pki as unknown as { pbe: Ciphers } // safe: it is there in the pinned version, and the tests use it
  if (!params) throw new Error('an encrypted part without parameters')
  const derivation = oid === OID.pbes2 ? childrenOf(childrenOf(params)[0])[1] : params
  checkRounds(numberOf(childrenOf(derivation)[1]))
  try {
    // PBES2 takes the password as bytes, in UTF-8; PKCS#12's own schemes take it as UTF-16.
    return oid === OID.pbes2 ? pbe.getCipherForPBES2(oid, params, forge.util.encodeUtf8(key ?? '')) : pbe.getCipherForPKCS12PBE(oid, params, key)
  } catch (error) {
    throw new Unsupported(`the keystore is encrypted in a way that is not supported (${oid}): ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Whether the MAC over the content was made with this password. */
function fits(macData: Node, safe: string, password: string | null): boolean {
  const [info, salt, rounds] = childrenOf(macData)
  const [algorithm, wanted] = childrenOf(info)
  const digest = DIGESTS[oidOf(childrenOf(algorithm)[0])]
  // Such as PBMAC1 of RFC 9579: then decryption tells what the password is worth.
  if (!digest) return true
  const count = rounds ? numberOf(rounds) : 1
  checkRounds(count)
  const key = forge.pkcs12.generateKey(password, forge.util.createBuffer(bytesOf(salt)), 3, count, digest.bytes, digest.create())
  const mac = forge.hmac.create()
  mac.start(digest.create(), key)
  mac.update(safe)
  return mac.getMac().getBytes() === bytesOf(wanted)
}

function checkRounds(rounds: number): void {
  if (rounds > MOST_ROUNDS) throw new Unsupported(`the keystore wants ${rounds} rounds of key derivation, more than ${MOST_ROUNDS}`)
}

/** BER, as Windows writes it, and DER. */
function parse(bytes: string): Node {
  return forge.asn1.fromDer(bytes, false)
}

function childrenOf(node: Node | undefined): Node[] {
  if (!node || !Array.isArray(node.value)) throw new Error('not the structure of a PKCS#12 file')
  return node.value
}

/** The content of an OCTET STRING, which BER may have cut into pieces. */
function bytesOf(node: Node | undefined): string {
  if (!node) throw new Error('not the structure of a PKCS#12 file')
  return Array.isArray(node.value) ? node.value.map(bytesOf).join('') : node.value
}

function oidOf(node: Node | undefined): string {
  return forge.asn1.derToOid(bytesOf(node))
}

function numberOf(node: Node | undefined): number {
  const bytes = Buffer.from(bytesOf(node), 'latin1')
  if (bytes.length === 0) throw new Error('an empty number')
  return bytes.length > 6 ? Infinity : bytes.readUIntBE(0, bytes.length)
}
