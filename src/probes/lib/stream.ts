import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { RE2JS } from 're2js'

/** What a read came to: the pattern matched, the server ended first, or the limit was reached first. */
export interface Read {
  readonly end: 'match' | 'eof' | 'limit'
  readonly bytes: Buffer
}

/** Up to this size every arrival is matched at once; beyond, a server that sends byte by byte would make it quadratic. */
const SMALL = 1_024
/** A larger answer is matched when it has grown by an eighth, or when nothing has come for so long. */
const QUIET_MS = 10

/**
 * Reads until the pattern matches what has come so far, at most `limit` bytes. Rejects with the socket's error; never
 * settles when the socket is destroyed without one, so the run's signal must be what destroys it.
 */
export function readUntil(socket: Socket, pattern: RE2JS, limit: number): Promise<Read> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let nextTry = 0
    let quiet: NodeJS.Timeout | undefined

    const settle = (end: () => void) => {
      clearTimeout(quiet)
      socket.off('data', onData)
      socket.off('end', onEnd)
      socket.off('error', onError)
      socket.pause()
      end()
    }
    const bytes = () => Buffer.concat(chunks).subarray(0, limit)
    const tryMatch = () => {
      clearTimeout(quiet)
      quiet = undefined
      nextTry = length < SMALL ? 0 : length * 1.125
      const matched = pattern.test(bytes().toString())
      if (matched) settle(() => resolve({ end: 'match', bytes: bytes() }))
      return matched
    }
    const onData = (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length >= limit) {
        if (!tryMatch()) settle(() => resolve({ end: 'limit', bytes: bytes() }))
      } else if (length < SMALL || length >= nextTry) tryMatch()
      else quiet ??= setTimeout(tryMatch, QUIET_MS)
    }
    const onEnd = () => {
      if (!tryMatch()) settle(() => resolve({ end: 'eof', bytes: bytes() }))
    }
    const onError = (error: Error) => settle(() => reject(error))
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onError)
    if (socket.errored) onError(socket.errored)
  })
}

/**
 * The refusal that a connection to itself stands for, if that is what it is. On this machine the kernel may choose the very
 * port that is connected to for our own end: TCP then joins the socket to itself, which proves that nobody listens there.
 * `port` is the one that was connected to.
 */
export function metItself(socket: Socket, port: number): Error | undefined {
  // Each of the four is a call of the operating system; mostly the first one settles it.
  if (socket.localPort !== port || socket.localAddress !== socket.remoteAddress) return undefined
  return Object.assign(new Error(`connect ECONNREFUSED ${socket.remoteAddress}:${port}`), { code: 'ECONNREFUSED' })
}

/** Hands bytes to the kernel; rejects with the socket's error. */
export function send(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(text, (error) => { if (error) reject(error); else resolve() })
  })
}

/**
 * Ends the stream as a client should (close_notify, FIN) without waiting for the server, then frees it. Where all has been
 * sent and TLS has nothing to say, closing the socket sends the same FIN.
 */
export function closePolitely(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => { socket.destroy(); resolve() }
    if (socket.destroyed || (socket.writableLength === 0 && !(socket instanceof TLSSocket))) return done()
    socket.once('close', done)
    socket.end(done)
  })
}
