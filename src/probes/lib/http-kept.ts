import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { ProbeFailure } from '../../core/probe.ts'
import { readBody } from './http-body.ts'
import { tlsFailure } from './tls.ts'

/** What a request came to: its status, and the start of its body. */
export interface KeptAnswer {
  readonly status: number
  /** Cut at the limit. */
  readonly text: string
}

/** Requests one after the other on one connection (HTTP/1.1, keep-alive). */
export interface Kept {
  /** Whether the server has left the connection open for another request. */
  usable(): boolean
  /** GET. Rejects with the error of the socket or of Node's parser (`HPE_…`): `keptFailure` knows what it means. */
  get(path: string, headers: Readonly<Record<string, string>>, limit: number): Promise<KeptAnswer>
}

/** Node's agent keeps what it has made itself: this one is given its only connection. */
class OneConnection extends Agent {
  readonly #socket: Socket

  constructor(socket: Socket) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#socket = socket
  }

  override createConnection(): Socket {
    return this.#socket
  }
}

/** Speaks on a connected socket, which the caller destroys. */
export function keptHttp(socket: Socket): Kept {
  const agent = new OneConnection(socket)
  let open = true
  return {
    usable: () => open && !socket.destroyed,
    async get(path, headers, limit) {
      if (socket.destroyed) throw socket.errored ?? Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' })
      // Until the whole answer is read nobody may ask again.
      open = false
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const outgoing = httpRequest({ agent, path, headers, setHost: false })
        outgoing.on('response', resolve)
        outgoing.on('upgrade', (_message, wire) => {
          wire.destroy()
          reject(Object.assign(new Error('another protocol'), { code: 'HPE_UNEXPECTED_UPGRADE' }))
        })
        outgoing.on('error', reject)
        outgoing.end()
      })
      const { bytes, tooLarge } = await readBody(response, limit)
      const { connection } = response.headers
      open = !tooLarge && response.httpVersion === '1.1' && connection?.toLowerCase() !== 'close'
      return { status: response.statusCode ?? 0, text: bytes.toString() }
    },
  }
}

/** What an error of `get` says of the server; `code` is the type's own for what does not speak HTTP/1.1. Any other error is as it was. */
export function keptFailure(error: unknown, code: string, options?: Parameters<typeof tlsFailure>[1]): unknown {
  const secured = tlsFailure(error, options)
  if (secured) return secured
  const cause = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (['HPE_INVALID_EOF_STATE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(cause)) return new ProbeFailure('request_reset', 'the server closed the connection in the middle of an answer')
  return cause.startsWith('HPE_') ? new ProbeFailure(code, `the answer is not HTTP/1.1: ${cause.slice(4).toLowerCase().replaceAll('_', ' ')}`) : error
}
