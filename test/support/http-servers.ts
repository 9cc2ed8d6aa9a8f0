import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { Pair } from './certificates.ts'
import { listening, type TestServer } from './tcp.ts'

export interface HttpTestServer extends TestServer {
  /** `http://127.0.0.1:port` or `https://localhost:port`. */
  readonly url: string
  /** What was asked, in order. */
  readonly requests: { method: string, path: string, headers: IncomingMessage['headers'], body: string }[]
}

/** An HTTP server on 127.0.0.1; with a certificate an HTTPS server. */
export async function httpServer(answer: RequestListener, tls?: { pair: Pair, options?: ServerOptions }): Promise<HttpTestServer> {
  const requests: HttpTestServer['requests'] = []
  const listener: RequestListener = (request, response) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: '' }
    requests.push(seen)
    request.on('data', (chunk: Buffer) => { seen.body += chunk.toString() })
    request.on('end', () => answer(request, response))
  }
  const server = tls ? createTlsServer({ cert: tls.pair.cert, key: tls.pair.key, ...tls.options }, listener) : createServer(listener)
  server.on('tlsClientError', () => {})
  const counted = await listening(server)
  return { ...counted, url: tls ? `https://localhost:${counted.port}` : `http://127.0.0.1:${counted.port}`, requests }
}
