import { ProbeFailure } from '../../core/probe.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { innerness } from './inner.ts'
import type { Address } from './resolve.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** Cookies of one run: a page that sets more is not followed for them. */
const COOKIES = 50
const LONGEST_COOKIE = 4_096

/** Stands for the address of a target that only a proxy sees: it counts as one of the internet. */
export const UNSEEN = 'a target whose address only the proxy sees'

/** Where an answer sends the client, or undefined. Throws ProbeFailure('http_protocol') when that is no web page. */
export function redirectOf({ status, headers }: Pick<HttpAnswer, 'status' | 'headers'>, from: URL): URL | undefined {
  const location = headers.get('location')?.[0]
  if (!REDIRECTS.has(status) || location === undefined) return undefined
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.port === '0') throw new ProbeFailure('http_protocol', `the answer ${status} redirects to something that is no http or https URL`)
  // Credentials that a server puts into a Location are its own idea.
  url.username = ''
  url.password = ''
  return url
}

/** Whether credentials for one may be sent to the other: the same origin, or its own step from http to https. */
export function mayShareCredentials(origin: URL, other: URL): boolean {
  if (origin.hostname !== other.hostname) return false
  return origin.origin === other.origin || (origin.protocol === 'http:' && other.protocol === 'https:' && origin.port === '' && other.port === '')
}

/** Method and body of the request after a redirect (RFC 9110, 15.4): 303 asks with GET, 301 and 302 turn POST into GET. */
export function afterRedirect(status: number, method: string): { readonly method: string, readonly keepsBody: boolean } {
  const becomesGet = (status === 303 && method !== 'HEAD') || ((status === 301 || status === 302) && method === 'POST')
  return becomesGet ? { method: 'GET', keepsBody: false } : { method, keepsBody: true }
}

/**
 * Refuses a redirect to an address further inside than the target itself: from the internet into a private network, from
 * there to loopback, from anywhere to link-local and metadata addresses. A target decides where it sends clients, and
 * must not make the prober knock at doors that only the prober can reach.
 */
export function refuseInner(from: string, to: readonly Address[]): void {
  const allowed = from === UNSEEN ? 0 : innerness(from)
  const bad = to.find(({ ip }) => innerness(ip) > allowed)
  if (bad) throw new ProbeFailure('http_redirect_refused', `a redirect leads to ${bad.ip}, which is further inside than ${from}; make that page a target if it is meant`)
}

/** The cookies of one run: a page that sets one and redirects to itself is no loop for a client. */
export function cookieJar(): { store(url: URL, headers: HttpAnswer['headers']): void, header(url: URL): string | undefined } {
  const cookies = new Map<string, { readonly host: string, readonly name: string, readonly value: string, readonly secure: boolean }>()
  return {
    store(url, headers) {
      for (const line of headers.get('set-cookie') ?? []) {
        const [, name, value] = /^\s*([^=;\s]+)=([^;]*)/.exec(line) ?? []
        if (name === undefined || value === undefined || line.length > LONGEST_COOKIE || cookies.size >= COOKIES) continue
        cookies.set(`${url.hostname} ${name}`, { host: url.hostname, name, value: value.trim(), secure: /;\s*secure\s*(?:;|$)/i.test(line) })
      }
    },
    header(url) {
      const own = [...cookies.values()].filter(({ host, secure }) => host === url.hostname && (!secure || url.protocol === 'https:'))
      return own.length > 0 ? own.map(({ name, value }) => `${name}=${value}`).join('; ') : undefined
    },
  }
}
