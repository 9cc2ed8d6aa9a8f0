import type { Socket } from 'node:net'

/** A connection before its TLS handshake, read message by message. */
export interface Wire {
  /** Our own address, as it stands in an SMTP address literal. */
  readonly localAddress: string
  write(bytes: string | Uint8Array): void
  /**
   * The next message: `lengthOf` says how long it is, or undefined when more must come first; what it throws ends the read.
   * Rejects with the socket's error, with ECONNRESET when the server ends the connection, and with what `tooLong` makes of
   * the first bytes beyond 16 KB.
   */
  read(lengthOf: (bytes: Buffer) => number | undefined, tooLong: (bytes: Buffer) => Error): Promise<Buffer>
  /** What has arrived beyond the messages read. */
  rest(): Buffer
  /** Leaves the socket as it was, paused, for the next reader. */
  release(): void
}

const MOST_BYTES = 16 * 1024

/** Reads a socket that nobody else reads until `release`. */
export function wireOf(socket: Socket): Wire {
  let bytes: Buffer = Buffer.alloc(0)
  let ended: Error | undefined
  let wake = () => {}
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    // A server that never stops talking must not fill the memory.
    if (bytes.length > MOST_BYTES) socket.pause()
    wake()
  }
  const onEnd = () => {
    ended ??= Object.assign(new Error('the server closed the connection before the TLS handshake'), { code: 'ECONNRESET' })
    wake()
  }
  const onError = (error: Error) => {
    ended ??= error
    wake()
  }
  if (socket.errored) ended = socket.errored
  else if (socket.destroyed) onEnd()
  // Whoever has listened for `readable` before has stopped the flow.
  socket.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError).resume()

  return {
    localAddress: socket.localAddress ?? '127.0.0.1',
    write(data) {
      socket.write(data)
    },
    async read(lengthOf, tooLong) {
      for (;;) {
        const length = lengthOf(bytes)
        if (length !== undefined && length <= bytes.length) {
          const message = bytes.subarray(0, length)
          bytes = bytes.subarray(length)
          return message
        }
        if (bytes.length > MOST_BYTES || (length ?? 0) > MOST_BYTES) throw tooLong(bytes)
        if (ended) throw ended
        await new Promise<void>((resolve) => { wake = resolve })
      }
    },
    rest: () => bytes,
    release() {
      socket.pause()
      socket.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onError)
    },
  }
}

/** How long a line of a text protocol is, with its end. */
export function lineLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(10)
  return end < 0 ? undefined : end + 1
}
