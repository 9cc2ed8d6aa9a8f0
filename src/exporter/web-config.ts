import { dirname, resolve } from 'node:path'
import { taint } from '../core/secrets.ts'
import { pathText, readYaml, type YamlText } from '../core/yaml.ts'
import { readText, stampOf } from './http-files.ts'
import type { TlsSettings } from './http-tls.ts'
import { SCOPES, webSchema, type Raw, type Report, type Scope } from './web-config-schema.ts'
import { tlsOf } from './web-config-tls.ts'

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
