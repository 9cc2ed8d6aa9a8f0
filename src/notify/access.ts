import { createHash, timingSafeEqual } from 'node:crypto'
import type { NotifyConfig } from './options.ts'
import { routeName } from './routing.ts'

export type Access = 'allowed' | 'denied' | 'login' | 'unknown'

/**
 * Whether a request with this Authorization header may post to the path of a route; undefined is the path of all routes. The
 * token counts as a bearer token and as the password of basic authentication, whatever the user. `login` leaves it to the web-config file.
 */
export function accessTo(config: NotifyConfig, route: string | undefined, authorization: string | undefined): Access {
  const own = route === undefined ? undefined : config.routes.find((one, index) => routeName(one, index) === route)
  const token = own?.token ?? config.token
  const given = credential(authorization)
  if (token && !(given !== undefined && timingSafeEqual(digest(given), digest(token.reveal())))) return 'denied'
  // Only who may post is told which routes there are.
  if (route !== undefined && !own) return 'unknown'
  return token || config.allow_unauthenticated ? 'allowed' : 'login'
}

/** The bearer token, or the password of Basic (RFC 7617). */
function credential(authorization = ''): string | undefined {
  const [, scheme, rest] = /^(Bearer|Basic) +(\S+)$/i.exec(authorization) ?? []
  if (scheme === undefined || rest === undefined) return undefined
  if (scheme.toLowerCase() === 'bearer') return rest
  const text = Buffer.from(rest, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : text.slice(colon + 1)
}

/** Of equal length whatever the text, so that the time says nothing about it. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
