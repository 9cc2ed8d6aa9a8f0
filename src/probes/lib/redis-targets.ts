import { z } from 'zod'
import { parseEndpoint, type Endpoint } from '../../core/fields.ts'
import type { Target } from '../../core/probe.ts'
import { queryOptions } from './url-query.ts'

const MOST_SERVERS = 16

/** What may stand in the path of a URL as it is; Sentinel itself wants letters, digits, `.`, `-` and `_`. */
const NAME = /^[\w.~!$&'()*+;=:-]{1,100}$/

/** Servers that are one target together, and the name that they are asked for. */
export class Servers implements Target {
  /** In the order of their text, each once: whoever writes them in another order means the same. */
  readonly endpoints: readonly Endpoint[]
  readonly name: string
  /** Only where all are on one host: no other host explains that the target fails. */
  readonly host: string | undefined

  constructor(endpoints: readonly Endpoint[], name: string) {
    this.endpoints = [...new Map(endpoints.map((endpoint) => [String(endpoint), endpoint])).values()].toSorted((a, b) => (String(a) < String(b) ? -1 : 1))
    this.name = name
    const [first, ...others] = this.endpoints
    this.host = others.every(({ host }) => host === first?.host) ? first?.host : undefined
  }

  toString(): string {
    return `${this.endpoints.join(',')}${this.name === '' ? '' : `/${this.name}`}`
  }
}

/** A target `host[:port],host[:port],…`, with `/name` behind it when it is `named`. */
export function servers(defaultPort: number, { named }: { readonly named: boolean }) {
  const shape = `host[:port] of one server or of several, with commas between them (port ${defaultPort} unless given)${named ? ', then / and the name of the master' : ''}`
  return z.string().transform((text, context) => {
    const [, list = '', name = ''] = /^([^/]*)(?:\/(.*))?$/s.exec(text) ?? []
    const endpoints = list.split(',').flatMap((one) => parseEndpoint(one, defaultPort) ?? [])
    const whole = endpoints.length === list.split(',').length && (named ? NAME.test(name) : name === '')
    if (whole && endpoints.length <= MOST_SERVERS) return new Servers(endpoints, name)
    context.addIssue(whole ? `expected at most ${MOST_SERVERS} servers` : `expected ${shape}; an IPv6 address with a port stands in brackets`)
    return z.NEVER
  }).describe(shape)
}

/** The options that a URL of Redis sets beside its target: its query, its login, and TLS by its scheme. */
export function optionsOfUrl(url: URL): Record<string, unknown> {
  return {
    ...queryOptions(url),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol.startsWith('rediss') ? { tls: true } : {}),
  }
}
