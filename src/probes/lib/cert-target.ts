import { z } from 'zod'
import { canonicalHost, Host, parseEndpoint, type Endpoint } from '../../core/fields.ts'
import { parsePath, type PathTarget } from './path-target.ts'

/** An absolute path, `host:port`, or a host alone, whose port the protocol names. */
export function certTarget() {
  const shape = 'host:port of an endpoint (the port may be left out), or the absolute path, without . and .., of a file or directory'
  return z.string().transform((text, context): PathTarget | Endpoint | Host => {
    const path = parsePath(text)
    if (path) return path
    const host = canonicalHost(text)
    if (host !== undefined) return new Host(host)
    const endpoint = parseEndpoint(text, undefined)
    if (endpoint) return endpoint
    context.addIssue(`expected ${shape}; an IPv6 address with a port stands in brackets`)
    return z.NEVER
  }).describe(shape)
}
