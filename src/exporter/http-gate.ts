import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { createAuthenticator, createRateLimit, type Principal } from './auth.ts'
import { isForeignOrigin, isLocal } from './http-access.ts'
import { createComparer } from './http-bcrypt.ts'
import { refuse, type Log } from './http-refuse.ts'
import { refusedClient, verifiedClient } from './http-tls.ts'
import type { WebConfigWatch } from './http-web-watch.ts'
import type { Scope } from './web-config-schema.ts'
import type { WebConfig } from './web-config.ts'

export interface GateOptions {
  readonly watch: WebConfigWatch | undefined
  readonly listenHost: string | undefined
  readonly publicStatus: () => boolean
  readonly log: Log
}

/** What a webhook's path says of a request: let in, refused, left to the web-config file, or no such path. */
export type HookAccess = 'allowed' | 'denied' | 'login' | 'unknown'

/** What is known about who sent a request. */
interface Visit {
  /** Who has logged in. */
  readonly principal?: Principal
  /** This machine, or a client with a verified certificate, where no users or tokens are configured. */
  readonly trusted: boolean
}

/**
 * Who may do what.
 * - With users or tokens in the web-config file, every path but /-/healthy and /-/ready (which kubelet asks) needs a
 *   login, from this machine too. `web.public_status: true` still opens /, /api and /config.
 * - Without, everybody may scrape /metrics; the rest is for this machine, for clients with a verified certificate and,
 *   for reading, for everybody when `web.public_status: true`.
 * Whether HTTP or HTTPS is spoken, and whether clients are asked for certificates, stays as it was at the start; a file
 * that changes it is refused with 500 until a restart, so that nobody believes in a lock that is not there.
 */
export function createGate({ watch, listenHost, publicStatus, log }: GateOptions) {
  const authenticator = createAuthenticator(createComparer(), (message, fields) => log('warn', message, fields))
  const visits = new WeakMap<Request, Visit>()
  const started = kindOf(watch?.current())
  let limited: { readonly key: string, readonly bucket: ReturnType<typeof createRateLimit> } | undefined

  function isWithinRate(config: WebConfig | undefined): boolean {
    if (!config?.rateLimit) return true
    const key = JSON.stringify(config.rateLimit)
    if (limited?.key !== key) limited = { key, bucket: createRateLimit(config.rateLimit) }
    return limited.bucket.take()
  }

  /** What holds for every path that asks for a login; false where the request has been refused. */
  function prepare(request: Request, response: Response, limited: boolean): { readonly config: WebConfig | undefined } | false {
    const config = watch?.current()
    const no = (status: number, sentence: string) => {
      refuse(request, response, status, sentence)
      return false as const
    }
    if (watch && !config) return no(500, "The web-config file cannot be used: Curlew's log says why.")
    if (kindOf(config) !== started) return no(500, 'The web-config file now wants other TLS settings than Curlew was started with: restart it.')
    if (config) response.set(config.headers)
    if (limited && !isWithinRate(config)) {
      response.set('Retry-After', '1')
      return no(429, 'Too many requests: rate_limit of the web-config file allows no more.')
    }
    const refused = config?.tls && refusedClient(request.socket, config.tls)
    return refused ? no(403, refused) : { config }
  }

  async function enter(request: Request, response: Response, next: NextFunction): Promise<void> {
    const prepared = prepare(request, response, true)
    if (!prepared) return
    const { config } = prepared
    const guard = guardedBy(config)
    if (!guard) {
      const certified = config?.tls !== undefined && verifiedClient(request.socket, config.tls.clientAuth)
      visits.set(request, { trusted: certified || isLocal(request, listenHost) })
      return next()
    }
    const { authorization } = request.headers
    if (authorization === undefined && isStatusPath(request.path) && publicStatus()) {
      visits.set(request, { trusted: false })
      return next()
    }
    const login = await authenticator.login(authorization, request.socket.remoteAddress ?? '', guard)
    if ('principal' in login) {
      visits.set(request, { principal: login.principal, trusted: false })
      return next()
    }
    if (login.status === 401) challenge(response, guard)
    else response.set('Retry-After', login.status === 429 ? '60' : '1')
    refuse(request, response, login.status, login.message)
  }

  /**
   * Lets Alertmanager in, by what the path itself says of the request's Authorization header: `login` leaves it to the
   * web-config file. No rate limit, and never 429: Alertmanager would not come again for it.
   */
  function enterHook(isAllowed: (request: Request) => HookAccess): RequestHandler {
    return async (request, response, next) => {
      const prepared = prepare(request, response, false)
      if (!prepared) return
      const { config } = prepared
      const access = isAllowed(request)
      if (access === 'unknown') return refuse(request, response, 404, 'There is no route of this name under notify.routes.')
      if (access === 'allowed') return next()
      if (access === 'denied') {
        response.set('WWW-Authenticate', ['Bearer realm="curlew"', 'Basic realm="curlew"'])
        return refuse(request, response, 401, 'Send the token of notify.token, or of the route: as a bearer token, or as the password of basic_auth.')
      }
      const guard = guardedBy(config)
      if (!guard) {
        if (config?.tls !== undefined && verifiedClient(request.socket, config.tls.clientAuth)) return next()
        return refuse(request, response, 403, 'Nobody may send alerts: set notify.token, or give Curlew a web-config file with users or tokens.')
      }
      const login = await authenticator.login(request.headers.authorization, request.socket.remoteAddress ?? '', guard)
      if ('principal' in login && login.principal.scopes.has('notify')) return next()
      if ('principal' in login) return refuse(request, response, 403, `The ${login.principal.name} lacks the scope notify: give it in bearer_tokens of the web-config file.`)
      challenge(response, guard)
      refuse(request, response, login.status === 429 ? 401 : login.status, login.message)
    }
  }

  function challenge(response: Response, config: WebConfig): void {
    const realm = 'realm="curlew"'
    response.set('WWW-Authenticate', [...(config.users.size > 0 ? [`Basic ${realm}, charset="UTF-8"`] : []), ...(config.tokens.length > 0 ? [`Bearer ${realm}`] : [])])
  }

  /** Lets a request through to a path that needs the scope. */
  function allow(scope: Scope): RequestHandler {
    return (request, response, next) => {
      if (isForeignOrigin(request)) return refuse(request, response, 403, 'A page of another site sent this request: open Curlew itself.')
      const visit = visits.get(request)
      if (visit?.trusted || visit?.principal?.scopes.has(scope)) return next()
      if (visit?.principal) return refuse(request, response, 403, `The ${visit.principal.name} lacks the scope ${scope}: give it in bearer_tokens of the web-config file.`)
      if (scope === 'read' && publicStatus()) return next()
      refuse(request, response, 403, scope === 'read'
        ? 'Only this machine may read this (as http://localhost): give Curlew a web-config file with users or tokens and log in, or set web.public_status: true.'
        : 'Only this machine may do this (as http://localhost): give Curlew a web-config file with users or tokens and log in.')
    }
  }

  return {
    enter,
    enterHook,
    allow,
    /** For the log: the user, the token or the address. */
    who: (request: Request) => visits.get(request)?.principal?.name ?? request.socket.remoteAddress ?? '',
    close: () => authenticator.close(),
  }
}

/** The config where it asks for a login. */
function guardedBy(config: WebConfig | undefined): WebConfig | undefined {
  return config !== undefined && (config.users.size > 0 || config.tokens.length > 0) ? config : undefined
}

function isStatusPath(path: string): boolean {
  return path === '/' || path === '/config' || path.startsWith('/api/')
}

/** What of the listener cannot change while it runs. */
function kindOf(config: WebConfig | undefined): string {
  return !config?.tls ? 'http' : config.tls.clientAuth === 'NoClientCert' ? 'https' : 'https with client certificates'
}
