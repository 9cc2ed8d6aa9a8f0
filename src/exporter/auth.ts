import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { CannotCompare, type Comparer } from './http-bcrypt.ts'
import { costOf, SCOPES, type Scope } from './web-config-schema.ts'
import type { BearerToken, WebConfig } from './web-config.ts'

/** Who is logged in. */
export interface Principal {
  /** For the log: `user alice`, `token ci`. */
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
}

export type Login =
  | { readonly principal: Principal }
  | { readonly status: 401 | 429 | 503, readonly message: string }

export interface Authenticator {
  /** Checks an Authorization header. Whatever is wrong with it, or with the bcrypt thread, is an answer. `address` is the client's, for the limit on failures. */
  login(header: string | undefined, address: string, config: Pick<WebConfig, 'users' | 'tokens'>): Promise<Login>
  close(): Promise<void>
}

const CACHED_RESULTS = 100
const FAILURES_PER_MINUTE = 10
const MINUTE_MS = 60_000
const MOST_ADDRESSES = 1_000
const ALL_SCOPES: ReadonlySet<Scope> = new Set(SCOPES)
/** Salt and digest that no password is known for; an unknown user costs as much time as a known one. */
const NOBODY = 'CurlewCurlewCurlewCurlO7bDkzYxIu3yJm0VtQhR5nWfLsPa2Gc'

/** Authentication with passwords (bcrypt, by `comparer`) and bearer tokens. */
export function createAuthenticator(comparer: Comparer, log: (message: string, fields: Record<string, unknown>) => void): Authenticator {
  const secret = randomBytes(32)
  const digest = (text: string) => createHmac('sha256', secret).update(text).digest()
  const cache = new Map<string, boolean>()
  const running = new Map<string, Promise<boolean>>()
  const failures = createFailureLimit(FAILURES_PER_MINUTE)

  /** One comparison for every equal question that is open, and none for one that was answered. */
  async function matches(user: string, password: string, hash: string): Promise<boolean> {
    const key = digest(JSON.stringify([user, password, hash])).toString('base64')
    const known = cache.get(key)
    if (known !== undefined) {
      cache.delete(key)
      cache.set(key, known)
      return known
    }
    let comparison = running.get(key)
    if (!comparison) {
      comparison = comparer.compare(password, hash).finally(() => running.delete(key))
      running.set(key, comparison)
    }
    const same = await comparison
    cache.set(key, same)
    for (const oldest of cache.keys()) {
      if (cache.size <= CACHED_RESULTS) break
      cache.delete(oldest)
    }
    return same
  }

  const isCached = (user: string, password: string, hash: string) => cache.get(digest(JSON.stringify([user, password, hash])).toString('base64')) === true

  function byToken(given: string, tokens: readonly BearerToken[]): Principal | undefined {
    const wanted = digest(given)
    let found: BearerToken | undefined
    // Every token is compared, so that the time says nothing about which ones exist.
    for (const token of tokens) if (timingSafeEqual(digest(token.token), wanted)) found = token
    return found && { name: `token ${found.name}`, scopes: found.scopes }
  }

  return {
    async login(header, address, { users, tokens }) {
      const ask = users.size > 0 && tokens.length > 0 ? 'a user name and password or a bearer token' : users.size > 0 ? 'a user name and password' : 'a bearer token'
      if (header === undefined) return { status: 401, message: `Log in with ${ask} of the web-config file.` }
      const wrong = (): Login => {
        const count = failures.add(address)
        if (count === 1 || count === FAILURES_PER_MINUTE) log('a login failed', { address, failures: count })
        return count > FAILURES_PER_MINUTE
          ? { status: 429, message: 'Too many failed logins from this address: wait a minute.' }
          : { status: 401, message: `The login is wrong: send ${ask} of the web-config file.` }
      }

      const bearer = /^Bearer +(\S+)$/i.exec(header)?.[1]
      if (bearer !== undefined) {
        const principal = byToken(bearer, tokens)
        return principal ? { principal } : wrong()
      }
      const basic = readBasic(header)
      if (!basic || users.size === 0) return wrong()

      const [first = ''] = users.values()
      const hash = users.get(basic.user)
      const compared = hash ?? `$2b$${String(costOf(first)).padStart(2, '0')}$${NOBODY}`
      // Whoever is logged in already stays so, whatever somebody else behind the same address tries.
      if (failures.isOver(address) && !isCached(basic.user, basic.password, compared)) return wrong()
      try {
        const same = await matches(basic.user, basic.password, compared)
        return same && hash !== undefined ? { principal: { name: `user ${basic.user}`, scopes: ALL_SCOPES } } : wrong()
      } catch (error) {
        if (!(error instanceof CannotCompare)) throw error
        return { status: 503, message: `The password could not be checked (${error.message}): try again.` }
      }
    },
    close: () => comparer.close(),
  }
}

/** User and password of a Basic header (RFC 7617, UTF-8); undefined when it is none. */
function readBasic(header: string): { readonly user: string, readonly password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header)?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** Failed logins per address within a minute that begins with the first one; the oldest address is forgotten first. */
function createFailureLimit(most: number) {
  const counts = new Map<string, { since: number, count: number }>()
  const current = (address: string) => {
    const entry = counts.get(address)
    if (!entry || performance.now() - entry.since < MINUTE_MS) return entry
    counts.delete(address)
    return undefined
  }
  return {
    isOver: (address: string) => (current(address)?.count ?? 0) >= most,
    add(address: string): number {
      const entry = current(address) ?? { since: performance.now(), count: 0 }
      entry.count++
      counts.set(address, entry)
      const [oldest] = counts.keys()
      if (counts.size > MOST_ADDRESSES && oldest !== undefined) counts.delete(oldest)
      return entry.count
    },
  }
}

/** A token bucket over all requests, as exporter-toolkit has it: one more every `intervalMs`, at most `burst` saved up. */
export function createRateLimit({ intervalMs, burst }: { readonly intervalMs: number, readonly burst: number }, now: () => number = () => performance.now()): { take(): boolean } {
  let saved = burst
  let at = now()
  return {
    take() {
      const time = now()
      saved = Math.min(burst, saved + (time - at) / intervalMs)
      at = time
      if (saved < 1) return false
      saved -= 1
      return true
    },
  }
}
