import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export interface TestServer {
  readonly port: number
  /** How many connections were accepted. */
  accepted(): number
  /** Sockets that are open right now. */
  open(): number
  close(): Promise<void>
}

/** Has a server listen on a free port of 127.0.0.1, counts its connections and ends them with it. */
export async function listening(server: Server): Promise<TestServer> {
  const sockets = new Set<Socket>()
  let accepted = 0
  server.on('connection', (socket: Socket) => {
    accepted++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port, // safe: it listens on TCP
    accepted: () => accepted,
    open: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A TCP server on 127.0.0.1 that talks as the test says; else it reads and stays silent (a socket that nobody reads never sees its peer close). */
export function tcpServer(talk: (socket: Socket) => void = (socket) => { socket.resume() }): Promise<TestServer> {
  return listening(createServer(talk))
}

/** Whether something accepts connections on the port. */
export function listens(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}
