import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { canonicalHost, parseEndpoint, type Endpoint } from '../../core/fields.ts'
import { ProbeFailure } from '../../core/probe.ts'
import { Secret, taint } from '../../core/secrets.ts'
import { credentialsOf, endpointOf } from './http-target.ts'

export interface Proxy {
  readonly endpoint: Endpoint
  /** TLS is spoken to the proxy itself. */
  readonly tls: boolean
  /** `user:password` for Proxy-Authorization: Basic. */
  readonly credentials: Secret | undefined
}

export interface ProxyOptions {
  readonly proxy_url?: Secret | undefined
  readonly no_proxy?: string | undefined
  readonly proxy_from_environment: boolean
}

/** The proxy for a page, or undefined when it is asked directly; `ip` is the one address of its host that is meant. */
export type ChooseProxy = (url: URL, ip?: string) => Proxy | undefined

export interface Exemptions {
  /** Whether the host, or the address that it stands for, is asked without the proxy. */
  covers(host: string, port: number, ip?: string): boolean
  /** Which entries are none, counted from 1. */
  readonly bad: readonly number[]
}

/**
 * Which proxy a run uses. The environment is read once, here, by Go's rules (golang.org/x/net/http/httpproxy), but for
 * lower case first as curl has it. Throws ProbeFailure('http_proxy_setting') when the environment names no proxy that
 * can be used.
 */
export function proxyRules({ proxy_url: own, no_proxy: exempt, proxy_from_environment: fromEnvironment }: ProxyOptions, env: NodeJS.ProcessEnv = process.env): ChooseProxy {
  if (own) {
    const proxy = parseProxy(own.reveal())
    const { covers } = parseNoProxy(exempt ?? '')
    return (url, ip) => (isCovered(covers, url, ip) ? undefined : proxy)
  }
  if (!fromEnvironment) return () => undefined

  const plain = proxyOf(env, 'http_proxy')
  const secure = proxyOf(env, 'https_proxy')
  const { covers } = parseNoProxy(variable(env, 'no_proxy')?.text ?? '')
  return (url, ip) => (isLocal(url.hostname) || isCovered(covers, url, ip) ? undefined : url.protocol === 'https:' ? secure : plain)
}

/** A proxy of `http(s)://[user:password@]host[:port]`, or undefined. What is secret in it is tainted. */
export function parseProxy(text: string): Proxy | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol) || url.port === '0' || canonicalHost(url.hostname) === undefined) return undefined
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return undefined
  const proxy = { endpoint: endpointOf(url), tls: url.protocol === 'https:' }
  if (url.username === '' && url.password === '') return { ...proxy, credentials: undefined }
  try {
    const { username, password } = credentialsOf(url)
    if (username.includes(':')) return undefined
    // A token may stand where the name does.
    taint(password === '' ? username : password)
    return { ...proxy, credentials: new Secret(`${username}:${password}`) }
  } catch {
    return undefined
  }
}

/**
 * Reads a `no_proxy`: addresses, networks, names (with what is below them), `.name` or `*.name` (only what is below), each
 * but networks with `:port` if need be, or `*` for everything.
 */
export function parseNoProxy(text: string): Exemptions {
  const bad: number[] = []
  const rules: ((host: string, port: number) => boolean)[] = []
  for (const [index, entry] of text.split(/[\s,]+/).filter((part) => part !== '').entries()) {
    const rule = entry === '*' ? () => true : networkRule(entry) ?? hostRule(entry)
    if (rule) rules.push(rule)
    else bad.push(index + 1)
  }
  return {
    covers: (host, port, ip) => rules.some((rule) => rule(host.replace(/\.$/, ''), port) || (ip !== undefined && rule(ip, port))),
    bad,
  }
}

function networkRule(entry: string): ((host: string) => boolean) | undefined {
  const [base = ''] = entry.split('/')
  if (isIP(base) === 0 || !ipaddr.isValidCIDR(entry)) return undefined
  const [network, bits] = ipaddr.parseCIDR(entry)
  return (host) => {
    const address = isIP(host) === 0 ? undefined : ipaddr.process(host)
    return address?.kind() === network.kind() && address.match(network, bits)
  }
}

function hostRule(entry: string): ((host: string, port: number) => boolean) | undefined {
  const [, below, rest = ''] = /^(\*?\.)?(.*)$/.exec(entry) ?? []
  const alone = canonicalHost(rest)
  const { host, port } = alone === undefined ? parseEndpoint(rest, undefined) ?? {} : { host: alone }
  if (host === undefined || (below !== undefined && isIP(host) !== 0)) return undefined
  const name = host.replace(/\.$/, '')
  return (asked, at) => {
    if (port !== undefined && port !== at) return false
    return (below === undefined && asked === name) || (isIP(name) === 0 && asked.endsWith(`.${name}`))
  }
}

function isCovered(covers: Exemptions['covers'], url: URL, ip: string | undefined): boolean {
  const { host, port } = endpointOf(url)
  return covers(host, port, ip)
}

/** What is on this machine never goes through the environment's proxy, which would look for it on its own. */
function isLocal(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
}

function proxyOf(env: NodeJS.ProcessEnv, name: string): Proxy | undefined {
  const found = variable(env, name)
  if (!found) return undefined
  const proxy = parseProxy(/^[a-z][a-z0-9+.-]*:\/\//i.test(found.text) ? found.text : `http://${found.text}`)
  // A bare host:port is no secret, and a sentence must be able to name it.
  if (!proxy || proxy.credentials) taint(found.text)
  if (!proxy) throw new ProbeFailure('http_proxy_setting', `the environment variable ${found.name} is no http:// or https:// URL of a proxy`)
  return proxy
}

function variable(env: NodeJS.ProcessEnv, name: string): { readonly name: string, readonly text: string } | undefined {
  // A CGI server sets HTTP_PROXY to what a client sent as its header Proxy (CVE-2016-5385).
  const names = name === 'http_proxy' && env['REQUEST_METHOD'] !== undefined ? [name] : [name, name.toUpperCase()]
  for (const key of names) {
    const text = env[key]?.trim()
    if (text !== undefined && text !== '') return { name: key, text }
  }
  return undefined
}
