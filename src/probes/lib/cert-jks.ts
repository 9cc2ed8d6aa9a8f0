import { createHash } from 'node:crypto'
import { FileProblem } from './cert-codes.ts'

/** A certificate of a keystore, in DER, under the alias of its entry. */
export interface Kept {
  readonly alias: string
  readonly der: Buffer
}

export interface Keystore {
  readonly kept: readonly Kept[]
  readonly problems: readonly FileProblem[]
}

const MAGIC = { jks: 0xfeed_feed, jceks: 0xcece_cece } as const
const [KEY, TRUSTED, SECRET] = [1, 2, 3]
const DIGEST_BYTES = 20
const LONGEST_CHAIN = 100
const X509 = Buffer.from('\0\x05X.509', 'latin1')

/** Whether these are the first bytes of a JKS or JCEKS keystore. */
export function isJks(bytes: Buffer): boolean {
  if (bytes.length < 4) return false
  const magic = bytes.readUInt32BE(0)
  return magic === MAGIC.jks || magic === MAGIC.jceks
}

/**
 * The certificates of a JKS or JCEKS keystore (sun.security.provider.JavaKeyStore, com.sun.crypto.provider.JceKeyStore).
 * They stand in it unencrypted; private keys are skipped and never decrypted. The password proves that nobody has changed the
 * file: without one that is not checked, with a wrong one the certificates are returned beside the problem.
 * Throws FileProblem when it is no such file.
 */
export function readJks(bytes: Buffer, password: string | undefined): Keystore {
  const end = bytes.length - DIGEST_BYTES
  const version = bytes.length < 12 + DIGEST_BYTES ? 0 : bytes.readUInt32BE(4)
  if (version !== 1 && version !== 2) throw new FileProblem('cert_no_certificate', 'a Java keystore that is cut off, or of an unknown version')
  const whole = bytes.subarray(0, end)
  const kept: Kept[] = []
  const problems: FileProblem[] = []
  const count = bytes.readUInt32BE(8)
  let at = 12
  let secrets = false
  for (let index = 0; index < count; index++) {
    const secret = isSecret(whole, at, version)
    secrets ||= secret
    const entry = secret ? entryAfter(whole, at, version) : entryAt(whole, at, version)
    if (!entry) {
      // Behind a secret key it is not known how many entries follow.
      if (!secrets) problems.push(new FileProblem('cert_no_certificate', `entry ${index + 1} of ${count} of the keystore is broken`))
      break
    }
    kept.push(...entry.kept)
    at = entry.end
  }
  if (password !== undefined && !digestOf(whole, password).equals(bytes.subarray(end))) problems.push(new FileProblem('cert_password', 'the password is wrong, or the keystore was changed'))
  return { kept, problems }
}

function digestOf(content: Buffer, password: string): Buffer {
  const utf16 = Buffer.from(password, 'utf16le').swap16()
  return createHash('sha1').update(utf16).update('Mighty Aphrodite').update(content).digest()
}

interface Entry {
  readonly kept: readonly Kept[]
  readonly end: number
}

/** An entry with certificates, or undefined when none begins there: tag, alias, date, then the key and its chain, or one certificate. */
function entryAt(bytes: Buffer, start: number, version: number): Entry | undefined {
  const reader = readerOf(bytes, start)
  const tag = reader.int(4)
  if (tag !== KEY && tag !== TRUSTED) return undefined
  const alias = reader.take(reader.int(2))
  reader.take(8)
  if (tag === KEY) reader.take(reader.int(4))
  const length = tag === KEY ? reader.int(4) : 1
  if (length > LONGEST_CHAIN) return undefined
  const chain: Buffer[] = []
  while (chain.length < length) {
    if (version === 2 && !reader.take(X509.length).equals(X509)) return undefined
    const der = reader.take(reader.int(4))
    if (der[0] !== 0x30) return undefined
    chain.push(der)
  }
  // Java's modified UTF-8 differs for NUL and beyond the basic plane only.
  return reader.at() > bytes.length ? undefined : { kept: chain.map((der) => ({ alias: alias.toString(), der })), end: reader.at() }
}

/** The next entry with certificates: a secret key is a serialized Java object that does not say how long it is. */
function entryAfter(bytes: Buffer, start: number, version: number): Entry | undefined {
  for (let at = start + 4; at < bytes.length; at++) {
    const entry = entryAt(bytes, at, version)
    if (entry && entry.kept.length > 0) return entry
  }
  return undefined
}

/** JCEKS alone has them, in its second version. */
function isSecret(bytes: Buffer, at: number, version: number): boolean {
  return version === 2 && readerOf(bytes, at).int(4) === SECRET
}

/** Reads on from an offset; beyond the end numbers are 0. */
function readerOf(bytes: Buffer, start: number) {
  let at = start
  const take = (length: number): Buffer => {
    const taken = bytes.subarray(at, at + length)
    at += length
    return taken
  }
  return {
    at: () => at,
    take,
    int(size: 2 | 4): number {
      const taken = take(size)
      return taken.length < size ? 0 : taken.readUIntBE(0, size)
    },
  }
}
