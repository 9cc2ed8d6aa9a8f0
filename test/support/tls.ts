import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { Pair } from './certificates.ts'
import { listening, type TestServer } from './tcp.ts'

/** A TLS server on 127.0.0.1 that sends this certificate and then talks as the test says. */
export async function tlsServer(pair: Pair, options: TlsOptions = {}, talk: (socket: TLSSocket) => void = () => {}): Promise<TestServer & { names: string[] }> {
  const names: string[] = []
  const server = createServer({ cert: pair.cert, key: pair.key, ...options }, (socket) => {
    names.push(String(socket.servername))
    socket.on('error', () => {})
    talk(socket)
  })
  server.on('tlsClientError', () => {})
  return { names, ...await listening(server) }
}
