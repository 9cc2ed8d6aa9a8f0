import { X509Certificate } from 'node:crypto'
import { setImmediate as yieldLoop } from 'node:timers/promises'
import { FileProblem } from './cert-codes.ts'
import type { Files } from './cert-files.ts'
import { isJks, readJks, type Keystore } from './cert-jks.ts'
import { isKubeconfig, readKubeconfig } from './cert-kubeconfig.ts'
import { readPem } from './cert-pem.ts'
import { factsOf, type CertificateFacts } from './cert-facts.ts'
import type { Pkcs12Reader } from './cert-pkcs12.ts'

/** The certificates of one file. */
export interface Contents {
  readonly found: readonly CertificateFacts[]
  readonly problems: readonly FileProblem[]
  /** It is a proper file of another kind: keys, parameters, a config of something else. */
  readonly other: boolean
}

export interface Readers {
  readonly files: Files
  readonly pkcs12: Pkcs12Reader
  readonly password: string | undefined
}

/** Certificates of one file; a bundle of all authorities has 150. */
const MOST_CERTIFICATES = 1_000
/** Parsing so many takes 3 ms: then others get their turn. */
const AT_ONCE = 50

const NOTHING: Contents = { found: [], problems: [], other: true }
/** contentType signedData of PKCS#7. */
const PKCS7 = Buffer.from([0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02])

/** Reads a file of any kind that is known, told by its content and never by its name. Throws FileProblem when it cannot be read at all. */
export async function readCertificates(readers: Readers, path: string): Promise<Contents> {
  const bytes = await readers.files.read(path)
  if (!bytes) return NOTHING
  if (isJks(bytes)) return fromKeystore(path, readJks(bytes, readers.password))
  // Longer than 127 bytes: in a text that begins with the digit 0 a letter follows.
  if (bytes[0] === 0x30 && (bytes[1] ?? 0) >= 0x80) return fromDer(readers, path, bytes)
  const text = bytes.toString('latin1')
  if (text.includes('-----BEGIN ')) return fromPem(path, text)
  return isKubeconfig(text) ? fromKubeconfig(readers, path, bytes.toString()) : { found: [], problems: [], other: bytes.length > 0 && !bytes.includes(0) }
}

/** Every certificate of a PEM text; keys and the like are passed over unread. `path` is what its place is called. */
export function certificatesOfPem(path: string, text: string): Promise<Contents> {
  return fromPem(path, text)
}

async function fromPem(path: string, text: string, name?: string): Promise<Contents> {
  const { certificates, others, cut } = readPem(text)
  const { found, problems } = await parsed(path, certificates.map((pem, index) => ({ entry: entryOf(name, index), source: pem })))
  return { found, problems: cut ? [...problems, new FileProblem('cert_no_certificate', 'a PEM block has no end: the file was cut off')] : problems, other: others > 0 }
}

async function fromDer({ pkcs12, password }: Readers, path: string, bytes: Buffer): Promise<Contents> {
  if (bytes.subarray(0, 40).includes(PKCS7)) throw new FileProblem('cert_unsupported', `${path} is PKCS#7`)
  if (isPkcs12(bytes)) return fromKeystore(path, await pkcs12.read(bytes, password))
  return { ...await parsed(path, [{ entry: '0', source: bytes }]), other: false }
}

/** A certificate begins with a sequence in a sequence, PKCS#12 with its version, the number 3. */
function isPkcs12(bytes: Buffer): boolean {
  const length = bytes[1] ?? 0
  const start = length > 0x80 ? 2 + (length & 0x7f) : 2
  return bytes.subarray(start, start + 3).equals(Buffer.from([0x02, 0x01, 0x03]))
}

async function fromKeystore(path: string, { kept, problems }: Keystore): Promise<Contents> {
  const seen = new Map<string, number>()
  const sources = kept.map(({ alias, der }, index) => {
    const count = seen.get(alias) ?? 0
    seen.set(alias, count + 1)
    return { entry: alias === '' ? String(index) : entryOf(alias, count), source: der }
  })
  const read = await parsed(path, sources)
  return { found: read.found, problems: [...problems, ...read.problems], other: false }
}

async function fromKubeconfig(readers: Readers, path: string, text: string): Promise<Contents> {
  const { parts, problems: broken } = readKubeconfig(text, path)
  const found: CertificateFacts[] = []
  const problems = [...broken]
  for (const { name, pem, path: file } of parts) {
    try {
      const content = pem ?? (await readers.files.read(file ?? ''))?.toString('latin1') ?? ''
      const part = await fromPem(path, content, name)
      found.push(...part.found)
      problems.push(...part.problems)
      if (part.found.length + part.problems.length === 0) problems.push(new FileProblem('cert_no_certificate', `${name} has no certificate${file === undefined ? '' : ` in ${file}`}`))
    } catch (error) {
      if (!(error instanceof FileProblem) || error.code === 'cert_hung') throw error
      problems.push(error)
    }
  }
  return { found, problems, other: true }
}

async function parsed(path: string, sources: readonly { readonly entry: string, readonly source: string | Buffer }[]): Promise<Pick<Contents, 'found' | 'problems'>> {
  const found: CertificateFacts[] = []
  const problems: FileProblem[] = []
  for (const [index, { entry, source }] of sources.slice(0, MOST_CERTIFICATES).entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await yieldLoop()
    const facts = read(source, path, entry)
    if (typeof facts === 'string') problems.push(new FileProblem('cert_no_certificate', `the certificate at ${entry} cannot be read (${facts})`))
    else found.push(facts)
  }
  if (sources.length > MOST_CERTIFICATES) problems.push(new FileProblem('cert_too_many', `${sources.length} certificates, of which the first ${MOST_CERTIFICATES} were read`))
  return { found, problems }
}

/** The certificate, or what its reader says against it. */
function read(source: string | Buffer, path: string, entry: string): CertificateFacts | string {
  try {
    return factsOf(new X509Certificate(source), path, entry) ?? 'its dates are none'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

/** What names a certificate in a file and survives its renewal: its place, or its alias and the place in its chain. */
function entryOf(name: string | undefined, index: number): string {
  if (name === undefined) return String(index)
  return index === 0 ? name : `${name}#${index}`
}
