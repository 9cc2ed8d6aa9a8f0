import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { TLSSocket } from 'node:tls'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Whether a socket's address is this machine talking to itself; IPv4 in IPv6 (`::ffff:127.0.0.1`) too. */
export function isLoopback(address: string | undefined): boolean {
  const bare = address?.split('%')[0] ?? ''
  const family = isIP(bare)
  return family !== 0 && loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6')
}

/** What reverse proxies add. A proxy on this machine that adds none of them looks like a local user: give it a web-config. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via'] as const

/**
 * Whether a person or program on this machine asks, with no proxy in between, by a name of this machine. The name keeps
 * out a web page that has its own name resolve to 127.0.0.1 (DNS rebinding).
 */
export function isLocal(request: IncomingMessage, listenHost: string | undefined): boolean {
  const { socket, headers } = request
  // Both ends: a service mesh hands foreign connections over from a loopback address, to the pod's own.
  if (!isLoopback(socket.remoteAddress) || !isLoopback(socket.localAddress)) return false
  if (FORWARDED.some((name) => headers[name] !== undefined)) return false
  const name = hostName(headers.host)
  return name !== undefined && (name === 'localhost' || isLoopback(name) || name === listenHost?.toLowerCase())
}

/** Whether a web page of another origin sent the request. Behind a proxy that ends TLS the scheme may differ, never the host. */
export function isForeignOrigin(request: IncomingMessage): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return false
  if (host === undefined || !URL.canParse(origin) || !URL.canParse(`http://${host}`)) return true
  const { protocol, host: from } = new URL(origin)
  const secure = request.socket instanceof TLSSocket
  if (protocol !== 'https:' && (protocol !== 'http:' || secure)) return true
  return from !== new URL(`${protocol}//${host}`).host
}

/** The host of a Host header in lower case, without port and brackets; undefined when it is not one. */
function hostName(header: string | undefined): string | undefined {
  if (header === undefined || /[/@\\?#\s]/.test(header) || !URL.canParse(`http://${header}`)) return undefined
  return new URL(`http://${header}`).hostname.replace(/^\[|\]$/g, '')
}
