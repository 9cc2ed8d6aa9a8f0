import { dirname, resolve } from 'node:path'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { z } from 'zod'
import { taint } from '../core/secrets.ts'
import { pathText, readYaml, type YamlText } from '../core/yaml.ts'
import { errorCode, readText, stampOf } from './http-files.ts'
import { canonicalName, CIPHERS, CLIENT_AUTH, contextOptions, CURVES, TLS_VERSIONS, type Cipher, type Curve, type TlsSettings, type TlsVersion } from './http-tls.ts'

export const SCOPES = ['read', 'operate', 'notify'] as const
/** `operate` (reload) implies the others; `notify` is for Alertmanager. */
export type Scope = (typeof SCOPES)[number]

export interface BearerToken {
  readonly name: string
  readonly token: string
  readonly scopes: ReadonlySet<Scope>
}

/** A web-config file, read and checked. */
export interface WebConfig {
  /** Undefined: plain HTTP. */
  readonly tls: TlsSettings | undefined
  /** Sent with every answer but those of /-/healthy and /-/ready. */
  readonly headers: Readonly<Record<string, string>>
  /** User name to bcrypt hash; a user may do everything, as in every program with exporter-toolkit. */
  readonly users: ReadonlyMap<string, string>
  readonly tokens: readonly BearerToken[]
  readonly rateLimit: { readonly intervalMs: number, readonly burst: number } | undefined
}

export interface ReadWebConfig {
  readonly config: WebConfig
  /** The text of the file itself. */
  readonly text: string
  /** One line a mistake, `file:line:column: path: what was expected`. With any, `config` must not be used. */
  readonly issues: readonly string[]
  /** Mistakes of certificates and keys, which are none of the file's text: a renewal may be half done. */
  readonly certificateIssues: readonly string[]
  /** Every file that was read or should have been, with its stamp from just before. */
  readonly stamps: ReadonlyMap<string, string>
}

const SHORTEST_TOKEN = 16
/** bcrypt in JavaScript needs about 60 ms at cost 10 and doubles with each step. */
const HIGHEST_COST = 15

const text = () => z.string('expected a text')
const oneOf = <const T extends readonly string[]>(values: T) => z.enum(values, { error: `expected one of ${values.join(', ')}` })
// safe: Object.keys of a literal gives exactly its keys
const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>) => Object.keys(table) as [K, ...K[]]
const flag = () => z.boolean('expected true or false')

const tlsSchema = z.strictObject({
  cert: text().optional(),
  cert_file: text().optional(),
  key: text().optional(),
  key_file: text().optional(),
  client_ca: text().optional(),
  client_ca_file: text().optional(),
  client_auth_type: z.preprocess((value) => (value === '' ? undefined : value), oneOf(CLIENT_AUTH).optional()),
  client_allowed_sans: z.array(text(), 'expected a list of names').optional(),
  min_version: oneOf(keysOf<TlsVersion>(TLS_VERSIONS)).default('TLS12'),
  max_version: oneOf(keysOf<TlsVersion>(TLS_VERSIONS)).default('TLS13'),
  cipher_suites: z.array(oneOf(keysOf<Cipher>(CIPHERS)), 'expected a list of cipher suites').default([]),
  prefer_server_cipher_suites: flag().default(true),
  curve_preferences: z.array(oneOf(keysOf<Curve>(CURVES)), 'expected a list of curves').default([]),
}, 'expected a mapping')

const headerValue = () => text().regex(/^[\t\x20-\x7e]*$/, 'expected printable ASCII')

const webSchema = z.strictObject({
  tls_server_config: tlsSchema.nullish(),
  http_server_config: z.strictObject({
    // Taken as everywhere, but HTTP/1.1 is what is spoken: clients agree on it in the TLS handshake.
    http2: flag().optional(),
    headers: z.strictObject({
      'Content-Security-Policy': headerValue().optional(),
      'X-Frame-Options': oneOf(['deny', 'sameorigin']).optional(),
      'X-Content-Type-Options': oneOf(['nosniff']).optional(),
      'X-XSS-Protection': headerValue().optional(),
      'Strict-Transport-Security': headerValue().optional(),
    }, 'expected a mapping').nullish(),
  }, 'expected a mapping').nullish(),
  basic_auth_users: z.record(
    z.string().regex(/^[^:\p{Cc}]{1,256}$/u, 'expected a user name without a colon'),
    text().regex(/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/, { error: 'expected a bcrypt hash, as htpasswd -nBC 10 prints it', abort: true })
      .refine((hash) => costOf(hash) >= 4 && costOf(hash) <= HIGHEST_COST, `expected a bcrypt cost between 4 and ${HIGHEST_COST}: a higher one takes seconds for each login`),
    'expected a mapping of user names to bcrypt hashes',
  ).nullish(),
  bearer_tokens: z.array(z.strictObject({
    name: text().regex(/^[\w.@-]{1,64}$/, 'expected a name of letters, digits, ., _, @ and -'),
    token: text().optional(),
    token_file: text().optional(),
    scopes: z.array(oneOf(SCOPES), 'expected a list of scopes').min(1, 'expected at least one scope'),
  }, 'expected name, token or token_file, and scopes'), 'expected a list of tokens').nullish(),
  rate_limit: z.strictObject({
    interval: z.union([z.literal(0), text()], 'expected a duration such as 1s').optional(),
    burst: z.int('expected a whole number').min(0, 'expected at least 0').optional(),
  }, 'expected a mapping').nullish(),
}, 'expected a mapping')

type Raw = z.output<typeof webSchema>
type Report = (path: readonly PropertyKey[], message: string, atKey?: boolean) => void

/**
 * Reads a web-config file: exporter-toolkit's format, plus
 * `bearer_tokens: [{ name, token | token_file, scopes: [read, operate, notify] }]`. Relative paths start at the file's directory.
 * Synchronous, because it runs before a handshake and before a login. Never throws.
 */
export function readWebConfig(file: string): ReadWebConfig {
  const empty: WebConfig = { tls: undefined, headers: {}, users: new Map(), tokens: [], rateLimit: undefined }
  const stamps = new Map([[file, stampOf(file)]])
  const source = readText(file)
  if ('problem' in source) return { config: empty, text: '', issues: [`${file}:1:1: ${source.problem}`], certificateIssues: [], stamps }

  const yaml = readYaml(source.text)
  const issues = yaml.errors.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`)
  const certificateIssues: string[] = []
  const into = (list: string[]): Report => (path, message, atKey) => list.push(line(file, yaml, path, message, atKey))
  if (issues.length > 0) return { config: empty, text: source.text, issues, certificateIssues, stamps }

  const parsed = webSchema.safeParse(yaml.value ?? {})
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys') for (const key of issue.keys) into(issues)([...issue.path, key], unknownKey(issue.path, key), true)
      else if (issue.code === 'invalid_key') into(issues)(issue.path, issue.issues[0]?.message ?? 'expected another key', true)
      else into(issues)(issue.path, issue.code === 'invalid_type' && issue.input === undefined && missing(yaml.value, issue.path) ? 'the key is missing' : issue.message)
    }
    return { config: empty, text: source.text, issues, certificateIssues, stamps }
  }

  const raw = parsed.data
  const near = (path: string) => {
    const absolute = resolve(dirname(file), path)
    stamps.set(absolute, stampOf(absolute))
    return absolute
  }
  const users = new Map(Object.entries(raw.basic_auth_users ?? {}))
  for (const hash of users.values()) taint(hash)
  const config: WebConfig = {
    tls: tlsOf(raw.tls_server_config ?? undefined, near, into(issues), into(certificateIssues)),
    headers: Object.fromEntries(Object.entries(raw.http_server_config?.headers ?? {}).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]]))),
    users,
    tokens: tokensOf(raw.bearer_tokens ?? [], near, into(issues)),
    rateLimit: rateLimitOf(raw.rate_limit ?? undefined, into(issues)),
  }
  return { config, text: source.text, issues, certificateIssues, stamps }
}

/** Every mistake in a web-config file and in the files it names, one line each; none when it is good. */
export function checkWebConfig(file: string): string[] {
  const { issues, certificateIssues } = readWebConfig(file)
  return [...issues, ...certificateIssues]
}

/** Whether somebody may post alerts by a login of this web-config file. One with mistakes, which are told elsewhere, counts as such. */
export function asksForLogin(file: string): boolean {
  const { config, issues } = readWebConfig(file)
  return issues.length > 0 || config.users.size > 0 || config.tokens.some(({ scopes }) => scopes.has('notify') || scopes.has('operate'))
}

/** The cost of a bcrypt hash: 2^cost rounds. */
export function costOf(hash: string): number {
  return Number(hash.slice(4, 6))
}

/** Milliseconds of a Go duration (`1s`, `1.5h`, `100ms`, `0`), or undefined. */
export function goDuration(written: string): number | undefined {
  if (written === '0') return 0
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(written)) return undefined
  const units: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
  let ms = 0
  for (const [, count, unit = ''] of written.matchAll(/([\d.]+)([a-zµ]+)/g)) ms += Number(count) * (units[unit] ?? 0)
  return ms
}

function line(file: string, yaml: YamlText, path: readonly PropertyKey[], message: string, atKey = false): string {
  const at = yaml.locate(path, atKey)
  const name = pathText(path)
  return `${file}:${at.line}:${at.column}: ${name === '' ? '' : `${name}: `}${message}`
}

function unknownKey(path: readonly PropertyKey[], key: string): string {
  return path.at(-1) === 'headers' ? `the header ${key} cannot be set here` : 'unknown key'
}

function missing(value: unknown, path: readonly PropertyKey[]): boolean {
  let at: unknown = value
  for (const key of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined
  return at === undefined
}

function tlsOf(raw: Raw['tls_server_config'] & {} | undefined, near: (path: string) => string, wrong: Report, wrongFile: Report): TlsSettings | undefined {
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

function tokensOf(raw: Raw['bearer_tokens'] & {}, near: (path: string) => string, wrong: Report): BearerToken[] {
  const names = new Set<string>()
  const seen = new Set<string>()
  return raw.flatMap(({ name, token, token_file, scopes }, index) => {
    const bad = (key: string | undefined, message: string) => {
      wrong(['bearer_tokens', index, ...(key === undefined ? [] : [key])], message)
      return []
    }
    if (names.has(name)) return bad('name', `another token is called ${name} too`)
    names.add(name)
    if ((token === undefined) === (token_file === undefined)) return bad(undefined, 'expected either token or token_file')
    const key = token === undefined ? 'token_file' : 'token'
    const read = token_file === undefined ? { text: token ?? '' } : readText(near(token_file))
    if ('problem' in read) return bad(key, read.problem)
    const plain = token_file === undefined ? read.text : read.text.trim()
    taint(plain)
    // RFC 6750, section 2.1: what may stand after "Bearer".
    if (!/^[\w.~+/-]+=*$/.test(plain)) return bad(key, 'expected a token of letters, digits, -, ., _, ~, + and /')
    if (plain.length < SHORTEST_TOKEN) return bad(key, `expected a token of at least ${SHORTEST_TOKEN} characters, as openssl rand -hex 32 prints it`)
    if (seen.has(plain)) return bad(key, 'another entry has the same token')
    seen.add(plain)
    return [{ name, token: plain, scopes: new Set<Scope>(scopes.includes('operate') ? SCOPES : scopes) }]
  })
}

function rateLimitOf(raw: Raw['rate_limit'] & {} | undefined, wrong: Report): WebConfig['rateLimit'] {
  const { interval = 0, burst = 0 } = raw ?? {}
  const intervalMs = interval === 0 ? 0 : goDuration(interval)
  if (intervalMs === undefined) wrong(['rate_limit', 'interval'], 'expected a duration such as 1s or 100ms')
  if (!intervalMs) return undefined
  if (burst < 1) wrong(['rate_limit', ...(raw?.burst === undefined ? [] : ['burst'])], 'expected a burst of at least 1, or nothing would be answered')
  return { intervalMs, burst }
}
