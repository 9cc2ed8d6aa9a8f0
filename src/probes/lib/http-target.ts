import { isIP } from 'node:net'
import { z } from 'zod'
import { canonicalHost, Endpoint } from '../../core/fields.ts'
import type { Target } from '../../core/probe.ts'

/** A page. As text it is scheme, host, port and path, without a default port; never user name, query or fragment. */
export class HttpTarget implements Target {
  readonly scheme: 'http:' | 'https:'
  /** IPv6 addresses stand without brackets. */
  readonly host: string
  readonly port: number
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  readonly ip: string | undefined

  constructor(url: URL, ip?: string) {
    this.scheme = url.protocol === 'https:' ? 'https:' : 'http:'
    this.host = hostOf(url)
    this.port = endpointOf(url).port
    this.path = url.pathname
    this.query = url.search
    this.ip = ip
  }

  at(ip: string): HttpTarget {
    return new HttpTarget(this.url(), ip)
  }

  toString(): string {
    const url = this.url()
    if (this.ip !== undefined) url.hostname = isIP(this.ip) === 6 ? `[${this.ip}]` : this.ip
    return printable(url)
  }

  url(): URL {
    return new URL(`${this.scheme}//${isIP(this.host) === 6 ? `[${this.host}]` : this.host}:${this.port}${this.path}${this.query}`)
  }
}

/** What may be shown of a URL. */
export function printable(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

/** Where to connect for a URL; the default port where it has none. */
export function endpointOf(url: URL): Endpoint {
  return new Endpoint(hostOf(url), url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port))
}

/** User name and password of a URL, decoded. Throws an Error with a sentence when they cannot be. */
export function credentialsOf({ username, password }: URL): { readonly username: string, readonly password: string } {
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  } catch {
    throw new Error('expected user name and password of the URL to be percent-encoded')
  }
}

function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

/** A target `http(s)://host[:port]/path?query`; without a scheme it is http. */
export function httpTarget() {
  const shape = 'http(s)://host[:port]/path?query'
  return z.string().transform((text, context) => {
    const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
    const url = URL.canParse(whole) ? new URL(whole) : undefined
    if (!url || !['http:', 'https:'].includes(url.protocol) || url.port === '0' || canonicalHost(url.hostname) === undefined) context.addIssue(`expected ${shape}`)
    else if (url.username !== '' || url.password !== '') context.addIssue('expected no user name or password without a scheme: set basic_auth')
    else return new HttpTarget(url)
    return z.NEVER
  }).describe(shape)
}
