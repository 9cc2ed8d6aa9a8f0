import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, DEFAULT_CIPHERS, type SecureContext, type SecureVersion } from 'node:tls'
import { ProbeFailure } from '../../core/probe.ts'
import type { TlsOptions } from '../../core/way.ts'

export type { TlsOptions }

/** What a set of options comes to: shared by every probe that has the same. */
export interface Trust {
  readonly context: SecureContext
  /** The authorities of `ca_file`; empty when the built-in ones are trusted. */
  readonly authorities: readonly X509Certificate[]
}

export interface FileProblem {
  readonly key: 'ca_file' | 'cert_file' | 'key_file'
  readonly message: string
}

type FileOptions = Pick<TlsOptions, 'ca_file' | 'cert_file' | 'key_file' | 'min_version' | 'pem'>

/**
 * X25519 first: with OpenSSL's own list a client offers a post-quantum share too, which doubles the CPU of a handshake
 * (1,141 against 583 us measured), and nothing a probe says needs to stay secret for decades.
 */
const GROUPS = 'X25519:P-256:P-384:P-521'
const VERSIONS: Readonly<Record<TlsOptions['min_version'], SecureVersion>> = { 'TLS1.0': 'TLSv1', 'TLS1.1': 'TLSv1.1', 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' }
/** Sets of options that are kept; reloads leave old ones behind. */
const KEPT = 500
const PEM_CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

const cache = new Map<string, Trust & { readonly stamp: string }>()

/**
 * The shared context of these options; its files are read again when they have changed. Throws
 * ProbeFailure('prober_denied') when a file cannot be used: that is our trouble, and no run may fail for it.
 */
export function trustOf(options: FileOptions): Trust {
  const { pem } = options
  // Of text only the hash: a key must not lie about in a cache.
  const key = JSON.stringify([options.ca_file, options.cert_file, options.key_file, options.min_version, pem && createHash('sha256').update(JSON.stringify([pem.ca, pem.cert, pem.key])).digest('hex')])
  const stamp = stampOf(options)
  const known = cache.get(key)
  if (known?.stamp === stamp) return known

  const { files, problems } = readFiles(options)
  const [problem] = problems
  if (problem) throw new ProbeFailure('prober_denied', `${problem.key}: ${problem.message}`)
  const trust = { stamp, authorities: files.authorities, context: contextOf(options, files) }
  cache.delete(key)
  cache.set(key, trust)
  for (const oldest of cache.keys()) {
    if (cache.size <= KEPT) break
    cache.delete(oldest)
  }
  return trust
}

/** Everything that is wrong with the files of these options, for a check before the first run. */
export function fileProblems(options: FileOptions): readonly FileProblem[] {
  return readFiles(options).problems
}

interface Files {
  readonly authorities: readonly X509Certificate[]
  readonly ca: readonly string[]
  readonly cert: string | undefined
  readonly key: string | undefined
}

function contextOf(options: FileOptions, { ca, cert, key }: Files): SecureContext {
  const old = options.min_version === 'TLS1.0' || options.min_version === 'TLS1.1'
  return createSecureContext({
    minVersion: VERSIONS[options.min_version],
    ecdhCurve: GROUPS,
    // OpenSSL 3 refuses the signatures of TLS 1.0 and 1.1 (SHA-1) at its usual security level.
    ...(old ? { ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=0` } : {}),
    ...(ca.length > 0 ? { ca: [...ca] } : {}),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  })
}

/** Changes whenever one of the files does; a Kubernetes mount swaps them behind a symbolic link, so the inode counts too. */
function stampOf({ ca_file: ca, cert_file: cert, key_file: key }: FileOptions): string {
  return [ca, cert, key].map((path) => {
    const stat = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })
    return stat ? `${stat.mtimeMs}/${stat.size}/${stat.ino}` : ''
  }).join(' ')
}

function readFiles(options: FileOptions): { files: Files, problems: readonly FileProblem[] } {
  const problems: FileProblem[] = []
  const { pem } = options
  const texts = pem && { ca_file: pem.ca, cert_file: pem.cert, key_file: pem.key }
  const named = (key: FileProblem['key']) => (texts ? 'the text that was given' : options[key])
  const read = (key: FileProblem['key']): string | undefined => {
    if (texts) return texts[key]
    const path = options[key]
    if (path === undefined) return undefined
    try {
      if (!statSync(path).isFile()) problems.push({ key, message: `expected a file: ${path} is none` })
      else return readFileSync(path, 'utf8')
    } catch (error) {
      problems.push({ key, message: `expected a readable file: ${reasonOf(error)}` })
    }
    return undefined
  }
  const certificates = (key: FileProblem['key'], text: string | undefined): X509Certificate[] => {
    if (text === undefined) return []
    const blocks = text.match(PEM_CERTIFICATE) ?? []
    if (blocks.length === 0) problems.push({ key, message: `expected certificates in PEM form in ${named(key)}` })
    try {
      return blocks.map((block) => new X509Certificate(block))
    } catch (error) {
      problems.push({ key, message: `expected certificates in PEM form in ${named(key)}: ${reasonOf(error)}` })
      return []
    }
  }

  const ca = read('ca_file')
  const authorities = certificates('ca_file', ca)
  if (options.cert_file !== undefined && options.key_file === undefined) problems.push({ key: 'cert_file', message: 'expected key_file beside it' })
  if (options.key_file !== undefined && options.cert_file === undefined) problems.push({ key: 'key_file', message: 'expected cert_file beside it' })
  const cert = read('cert_file')
  const key = read('key_file')
  const [leaf] = certificates('cert_file', cert)
  const privateKey = key === undefined ? undefined : privateKeyOf(key)
  if (typeof privateKey === 'string') problems.push({ key: 'key_file', message: `expected a private key in PEM form without a passphrase in ${named('key_file')}: ${privateKey}` })
  else if (leaf && privateKey && !leaf.checkPrivateKey(privateKey)) problems.push({ key: 'key_file', message: `expected the private key of the certificate in ${named('cert_file')}` })

  return { files: { authorities, ca: ca?.match(PEM_CERTIFICATE) ?? [], cert, key }, problems }
}

/** The key, or why it cannot be read; never a word of what the file holds. */
function privateKeyOf(pem: string): KeyObject | string {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    return reasonOf(error)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
