import { isIP } from 'node:net'
import { RE2JS } from 're2js'
import { z } from 'zod'
import type { Target } from './probe.ts'
import { Secret } from './secrets.ts'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 } as const
const DURATION = /^(?:\d+(?:ms|[smhdwy]))+$/
const LONGEST_MS = 366 * UNITS.d

/** Milliseconds of a Prometheus duration (`500ms`, `30s`, `1h30m`), or undefined. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined
  let ms = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    ms += Number(count) * UNITS[unit as keyof typeof UNITS] // safe: the pattern lists the keys of UNITS
  }
  return ms > 0 && ms <= LONGEST_MS ? ms : undefined
}

/** The shortest Prometheus duration for so many milliseconds: 90000 is `1m30s`. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms)
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / UNITS[unit])
    if (count > 0) text += `${count}${unit}`
    rest -= count * UNITS[unit]
  }
  return text || '0s'
}

const DURATION_WANTED = 'expected a duration such as 500ms, 30s or 1h30m'

/** `500ms`, `30s`, `1h30m`: written as text, read as milliseconds. More than zero, at most 366 days. */
export function duration() {
  return z.string(DURATION_WANTED)
    .meta({ pattern: DURATION.source, examples: ['30s'] })
    .transform((text, context) => {
      const ms = parseDuration(text)
      if (ms !== undefined) return ms
      context.addIssue(DURATION_WANTED)
      return z.NEVER
    })
}

const BYTES = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 } as const

const SIZE_WANTED = 'expected a size such as 64KB or 10MB'

/** `64KB`, `10MB`: powers of 1024, read as bytes. */
export function byteSize() {
  return z.string(SIZE_WANTED)
    .meta({ examples: ['10MB'] })
    .transform((text, context) => {
      const match = /^(\d+)\s*(B|KB|MB|GB)$/.exec(text)
      if (match) return Number(match[1]) * BYTES[match[2] as keyof typeof BYTES] // safe: the pattern lists the keys of BYTES
      context.addIssue(SIZE_WANTED)
      return z.NEVER
    })
}

/** A host and a port. IPv6 hosts stand without brackets; text puts them back. */
export class Endpoint implements Target {
  readonly host: string
  readonly port: number
  readonly ip: string | undefined

  constructor(host: string, port: number, ip?: string) {
    this.host = host
    this.port = port
    this.ip = ip
  }

  at(ip: string): Endpoint {
    return new Endpoint(this.host, this.port, ip)
  }

  toString(): string {
    const shown = this.ip ?? this.host
    return isIP(shown) === 6 ? `[${shown}]:${this.port}` : `${shown}:${this.port}`
  }
}

/** A host without a port. */
export class Host implements Target {
  readonly host: string
  readonly ip: string | undefined

  constructor(host: string, ip?: string) {
    this.host = host
    this.ip = ip
  }

  at(ip: string): Host {
    return new Host(this.host, ip)
  }

  toString(): string {
    return this.ip ?? this.host
  }
}

const HOST_NAME = /^(?=.{1,253}\.?$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i

/** The canonical form of a host name or address, or undefined: lower case, IPv6 compressed, no brackets. */
export function canonicalHost(text: string): string | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (isIP(bare) === 4) return bare
  if (isIP(bare) === 6 && !bare.includes('%')) return new URL(`http://[${bare}]`).hostname.slice(1, -1)
  if (text !== bare || /^[\d.]+$/.test(bare) || !HOST_NAME.test(bare)) return undefined
  return bare.toLowerCase()
}

/** `host`, `host:port`, `[v6]:port` or a bare IPv6 address; undefined when it is none of them. */
export function parseEndpoint(text: string, defaultPort: number | undefined): Endpoint | undefined {
  const [, host, port] = isIP(text) === 6 ? ['', text, undefined] : /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? []
  const canonical = host === undefined ? undefined : canonicalHost(host)
  const number = port === undefined ? defaultPort : Number(port)
  if (canonical === undefined || number === undefined || number < 1 || number > 65_535) return undefined
  return new Endpoint(canonical, number)
}

/** A target `host[:port]`; without `defaultPort` the port must be written. */
export function hostPort(defaultPort?: number) {
  const shape = defaultPort === undefined ? 'host:port' : `host or host:port (port ${defaultPort} unless given)`
  return z.string().transform((text, context) => {
    const endpoint = parseEndpoint(text, defaultPort)
    if (endpoint) return endpoint
    context.addIssue(`expected ${shape}; an IPv6 address with a port stands in brackets`)
    return z.NEVER
  }).describe(shape)
}

/** A target that is a host name or an address, with no port. */
export function hostOnly() {
  return z.string().transform((text, context) => {
    const host = canonicalHost(text)
    if (host !== undefined) return new Host(host)
    context.addIssue('expected a host name or an address, without a port')
    return z.NEVER
  }).describe('host name or address')
}

/** A field whose value must never be shown: it arrives as a `Secret`. */
export function secret() {
  return z.string().meta({ writeOnly: true }).transform((text) => new Secret(text))
}

/** A regular expression of RE2's syntax, which matches in linear time; unanchored. */
export function pattern() {
  return z.string().meta({ format: 'regex' }).transform((text, context) => {
    try {
      return RE2JS.compile(text)
    } catch (error) {
      context.addIssue(`expected a regular expression of RE2's syntax: ${error instanceof Error ? error.message : String(error)}`)
      return z.NEVER
    }
  })
}
