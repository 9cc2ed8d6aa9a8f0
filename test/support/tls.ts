import { createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { AddressInfo, Socket } from 'node:net'
import type { Pair } from './certificates.ts'
import type { TestServer } from './tcp.ts'

/** A TLS server on 127.0.0.1 that sends this certificate and then talks as the test says. */
export async function tlsServer(pair: Pair, options: TlsOptions = {}, talk: (socket: TLSSocket) => void = () => {}): Promise<TestServer & { names: string[] }> {
  const sockets = new Set<Socket>()
  const names: string[] = []
  let accepted = 0
  const server = createServer({ cert: pair.cert, key: pair.key, ...options }, (socket) => {
    names.push(String(socket.servername))
    socket.on('error', () => {})
    talk(socket)
  })
  server.on('tlsClientError', () => {})
  server.on('connection', (socket: Socket) => {
    accepted++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    names,
    port: (server.address() as AddressInfo).port, // safe: it listens on TCP
    accepted: () => accepted,
    open: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
