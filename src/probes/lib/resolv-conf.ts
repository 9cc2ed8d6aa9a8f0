import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { hostname } from 'node:os'

/** A name server's address; `ip` may carry an IPv6 zone (`fe80::1%eth0`). */
export interface Server {
  readonly ip: string
  readonly port: number
}

/** What resolv.conf says, with glibc's defaults and bounds applied. */
export interface ResolvConf {
  /** In the order of the file, at most three; empty when the file names none. */
  readonly servers: readonly Server[]
  /** Without trailing dots, lower case, at most six; `.` is the root. */
  readonly search: readonly string[]
  readonly ndots: number
  readonly timeoutMs: number
  readonly attempts: number
}

/** Host name (lower case, no trailing dot) to its addresses, in the order of the file. */
export type Hosts = ReadonlyMap<string, readonly string[]>

/** What the machine is set up with: all that a resolver needs to know. */
export interface ResolverSystem extends ResolvConf {
  readonly hosts: Hosts
}

// Bounds of glibc's resolv.conf(5): MAXNS, RES_MAXNDOTS, RES_MAXRETRANS and RES_MAXRETRY. MAXDNSRCH was 6 for decades;
// longer lists than that multiply every typo into a storm of questions.
const MAX_SERVERS = 3
const MAX_SEARCH = 6
const MAX_NDOTS = 15
const MAX_TIMEOUT_S = 30
const MAX_ATTEMPTS = 5

/**
 * Reads resolv.conf's text as glibc does: keywords start their line, `domain` and `search` override each other and the
 * last one wins, what is unknown or wrong is skipped. `localDomain` searches when the file has neither.
 */
export function parseResolvConf(text: string, localDomain?: string): ResolvConf {
  const servers: Server[] = []
  let search = localDomain === undefined ? [] : [localDomain]
  let ndots = 1
  let timeout = 5
  let attempts = 2
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.split(/\s+/)
    const [first] = values
    switch (keyword) {
      case 'nameserver':
        if (first !== undefined && isIP(first) !== 0 && servers.length < MAX_SERVERS) servers.push({ ip: first, port: 53 })
        break
      case 'domain':
        if (first) search = [first]
        break
      case 'search':
        search = values.filter((value) => value !== '')
        break
      case 'options':
        for (const option of values) {
          ndots = bounded(option, 'ndots', 0, MAX_NDOTS) ?? ndots
          timeout = bounded(option, 'timeout', 1, MAX_TIMEOUT_S) ?? timeout
          attempts = bounded(option, 'attempts', 1, MAX_ATTEMPTS) ?? attempts
        }
        break
      default:
    }
  }
  return { servers, search: search.slice(0, MAX_SEARCH).map(bare), ndots, timeoutMs: timeout * 1_000, attempts }
}

/** The number of `name:number`, or undefined when it is another option or no number. */
function bounded(option: string, name: string, least: number, most: number): number | undefined {
  const digits = option.startsWith(`${name}:`) ? /^\d+/.exec(option.slice(name.length + 1)) : null
  return digits ? Math.min(Math.max(Number(digits[0]), least), most) : undefined
}

function bare(domain: string): string {
  return domain.toLowerCase().replace(/\.$/, '') || '.'
}

/** Reads a hosts file's text; lines whose address is none are skipped. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [ip, ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (ip === undefined || isIP(ip) === 0) continue
    for (const name of names) {
      const key = bare(name)
      const known = hosts.get(key)
      if (!known) hosts.set(key, [ip])
      else if (!known.includes(ip)) known.push(ip)
    }
  }
  return hosts
}

/** How long a file is believed to be unchanged. */
const CHECK_EVERY_MS = 2_000

/**
 * A reader of the two files. They are read synchronously on purpose: the asynchronous calls share libuv's pool with
 * everything that may hang. A stat of each at most every `checkEveryMs` notices changes. A file that is not there is
 * empty; one that cannot be read throws its errno, unless it could be read before.
 */
export function systemFiles(
  { resolvConf = '/etc/resolv.conf', hosts = '/etc/hosts', checkEveryMs = CHECK_EVERY_MS }:
  { readonly resolvConf?: string, readonly hosts?: string, readonly checkEveryMs?: number } = {},
): () => ResolverSystem {
  const conf = watched(resolvConf, (text) => parseResolvConf(text, localDomain()), checkEveryMs)
  const names = watched(hosts, parseHosts, checkEveryMs)
  return () => ({ ...conf(), hosts: names() })
}

/** The machine's own files. */
export const systemResolver = systemFiles()

/** The part of the host name after its first dot, which glibc searches when resolv.conf does not say. */
function localDomain(): string | undefined {
  const name = hostname()
  const dot = name.indexOf('.')
  return dot < 0 || dot === name.length - 1 ? undefined : name.slice(dot + 1)
}

function watched<T>(path: string, parse: (text: string) => T, checkEveryMs: number): () => T {
  let known: { readonly value: T, readonly stamp: string } | undefined
  let checkedAt = -Infinity
  return () => {
    const now = performance.now()
    if (known && now - checkedAt < checkEveryMs) return known.value
    checkedAt = now
    try {
      const stamp = stampOf(path)
      if (known?.stamp !== stamp) known = { stamp, value: parse(stamp === ABSENT ? '' : readFileSync(path, 'utf8')) }
    } catch (error) {
      if (!known) throw error
    }
    return known.value
  }
}

const ABSENT = 'absent'

/** Differs whenever the file was written or replaced. */
function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat ? `${stat.mtimeMs}:${stat.size}:${stat.ino}` : ABSENT
}
