import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import { decoded, readBody, type Body } from './http-body.ts'
import { tlsFailure, type TlsOptions } from './tls.ts'

export interface HttpRequest {
  /** The request target: a path with its query, or a whole URL for a proxy (RFC 9112, 3.2). */
  readonly path: string
  readonly method: string
  /** Header names as they are written, `Host` among them. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string | undefined
}

export interface HttpAnswer extends Body {
  readonly status: number
  /** 1 or 1.1. */
  readonly version: number
  /** Every value of a header, in lower case. */
  readonly headers: ReadonlyMap<string, readonly string[]>
}

export interface Reading {
  /** Bytes of a body that are read, before and after its content encoding is undone. */
  readonly limit: number
  /** Whether the body of such an answer is read; one that is not counts as empty. */
  readonly wanted: (status: number, headers: HttpAnswer['headers']) => boolean
  readonly tls: Pick<TlsOptions, 'cert_file'>
}

/**
 * One request on a connected socket, which the caller destroys; phases `processing` (until the first byte of the answer)
 * and `transfer`. Throws ProbeFailure `http_protocol` or `http_truncated` for an answer that is none, a TLS failure that
 * arrives late, or the socket's error.
 */
export async function exchange(probe: ProbeContext<'processing' | 'transfer', never, never>, socket: Socket, request: HttpRequest, reading: Reading): Promise<HttpAnswer> {
  if (socket.destroyed) throw socket.errored ?? Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' })
  const firstByte = Promise.withResolvers<void>()
  const response = Promise.withResolvers<IncomingMessage>()
  response.promise.catch(() => {}) // whoever never gets to wait for it has failed already
  let answered = false
  let broken: Error | undefined

  const { path, method, headers, body } = request
  const outgoing = httpRequest({
    createConnection: () => socket,
    method,
    path,
    setHost: false,
    // As forgiving as browsers, curl and Go: line ends without CR, a Content-Length beside chunks. Nobody shares the
    // connection, so that it cannot be used to smuggle anything.
    insecureHTTPParser: true,
    headers: Object.fromEntries(headers),
  })
  outgoing.on('socket', (wire) => wire.once('data', () => {
    answered = true
    firstByte.resolve()
  }))
  // Here already: what follows a complete answer in the same packet is an error of the parser, and no fault of the answer.
  outgoing.on('response', (message) => {
    answered = true
    firstByte.resolve()
    response.resolve(message)
  })
  // 101: what follows is another protocol, and not read.
  outgoing.on('upgrade', (message, wire) => {
    wire.destroy()
    firstByte.resolve()
    response.resolve(message)
  })
  outgoing.on('error', (error) => {
    broken ??= error
    firstByte.reject(error)
    response.reject(error)
  })
  outgoing.end(body)

  try {
    await probe.phase('processing', () => firstByte.promise)
    return await probe.phase('transfer', async () => {
      const message = await response.promise
      const status = message.statusCode ?? 0
      const received = headersOf(message)
      const raw = status !== 101 && reading.wanted(status, received) ? await readBody(message, reading.limit) : { bytes: Buffer.alloc(0), tooLarge: false }
      return { status, version: Number(message.httpVersion), headers: received, ...decoded(raw, message.headers['content-encoding'], reading.limit) }
    })
  } catch (error) {
    throw error instanceof ProbeFailure ? error : failureOf(broken ?? error, answered, reading)
  }
}

function headersOf({ rawHeaders }: IncomingMessage): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, string[]>()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? ''
    const values = headers.get(name)
    if (values) values.push(rawHeaders[index + 1] ?? '')
    else headers.set(name, [rawHeaders[index + 1] ?? ''])
  }
  return headers
}

/** What the target did, or the error as it is: a reset before the first byte is `request_reset` by its errno. */
function failureOf(error: unknown, answered: boolean, { tls }: Reading): unknown {
  const secure = tlsFailure(error, tls)
  if (secure) return secure
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE') return new ProbeFailure('http_protocol', `the answer is not HTTP/1: ${wordsOf(code)}${hintOf(error)}`)
  if (answered && ['HPE_INVALID_EOF_STATE', 'ECONNRESET', 'ECONNABORTED', 'EPIPE'].includes(code)) {
    return new ProbeFailure('http_truncated', 'the connection ended in the middle of the answer')
  }
  return error
}

function wordsOf(code: string): string {
  return code.slice('HPE_'.length).toLowerCase().replaceAll('_', ' ')
}

/** The parser hands out what it stumbled over; a TLS alert says that the port wants https. */
function hintOf(error: unknown): string {
  const packet = error instanceof Error && 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : Buffer.alloc(0)
  if (packet[0] === 0x15 && packet[1] === 0x03) return '; the port speaks TLS, use https://'
  // SETTINGS is the first frame of an HTTP/2 server (RFC 9113, 3.4).
  if (packet.length >= 9 && packet[3] === 0x04 && packet.readUInt32BE(5) === 0) return '; the port speaks HTTP/2 only'
  return ''
}
