import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { Pair } from './certificates.ts'
import { listening, type TestServer } from './tcp.ts'

export interface TestProxy extends TestServer {
  /** `host:port`. */
  readonly at: string
  /** What it was asked for, in order. */
  readonly requests: { line: string, headers: IncomingMessage['headers'] }[]
}

export interface TestProxyOptions {
  /** `user:password` that it wants. */
  readonly login?: string
  readonly tls?: Pair
}

/** An HTTP proxy on 127.0.0.1: whole URLs and CONNECT. It knows every name as 127.0.0.1; what it cannot reach is 502. */
export async function httpProxy({ login, tls }: TestProxyOptions = {}): Promise<TestProxy> {
  const requests: TestProxy['requests'] = []
  const admits = ({ method, url, headers }: IncomingMessage): boolean => {
    requests.push({ line: `${method} ${url}`, headers })
    return login === undefined || headers['proxy-authorization'] === `Basic ${Buffer.from(login).toString('base64')}`
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    if (!admits(request)) return void response.writeHead(407, { 'Proxy-Authenticate': 'Basic realm="proxy"' }).end()
    const url = new URL(request.url ?? '')
    const { 'proxy-authorization': _, ...headers } = request.headers
    const onward = forward({ host: '127.0.0.1', port: url.port, path: `${url.pathname}${url.search}`, method: request.method, headers: { ...headers, host: url.host } }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.writeHead(502).end())
    request.pipe(onward)
  }
  const server = tls ? createTlsServer({ cert: tls.cert, key: tls.key }, listener) : createServer(listener)
  server.on('tlsClientError', () => {})
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    if (!admits(request)) return client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\n\r\n')
    client.on('error', () => {})
    const onward = connect({ host: '127.0.0.1', port: Number(request.url?.split(':').at(-1)) })
    onward.once('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.write(head)
      client.pipe(onward).pipe(client)
    })
    onward.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
    onward.once('close', () => client.destroySoon())
    client.once('close', () => onward.destroy())
  })
  const counted = await listening(server)
  return { ...counted, at: `127.0.0.1:${counted.port}`, requests }
}
