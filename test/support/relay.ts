import { connect } from 'node:net'
import { tcpServer, type TestServer } from './tcp.ts'

export interface Between {
  /** The address of loopback that the server sees. */
  readonly from?: string
  /** Sees what the client sends; it goes on to the server after that, as it is or as this returns it. */
  readonly asked?: (bytes: Buffer) => Promise<Buffer | void> | Buffer | void
  /** So many bytes of answers pass, then the connection is closed. */
  readonly cut?: number
}

/** A relay on 127.0.0.1 before a real server, for what happens to it, or between it and the client, in the middle of a conversation. */
export function relayTo({ port }: { readonly port: number }, { from = '127.0.0.1', asked = () => {}, cut = Infinity }: Between): Promise<TestServer> {
  return tcpServer((client) => {
    const server = connect({ host: '127.0.0.1', port, localAddress: from })
    const pass = async (bytes: Buffer) => { server.write(await asked(bytes) ?? bytes) }
    let left = cut
    client.on('data', (bytes: Buffer) => { pass(bytes).catch(() => client.destroy()) })
    client.on('close', () => server.destroy())
    server.on('data', (bytes: Buffer) => {
      client.write(bytes.subarray(0, left))
      left -= bytes.length
      if (left <= 0) server.destroy()
    })
    server.on('error', () => {})
    server.on('close', () => client.end())
  })
}
