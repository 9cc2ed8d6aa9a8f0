import { Duplex } from 'node:stream'
import { redisError, redisFailure } from './redis-codes.ts'

/** INFO and ROLE of a server with a thousand replicas take 100 KB; whoever sends more than this is cut off. */
const LARGEST_REPLY = 4 * 1024 * 1024
/** Status, error and length lines. */
const LONGEST_LINE = 16 * 1024
/** CLUSTER SLOTS nests four arrays: ranges, nodes, and what more is known of a node. */
const DEEPEST = 5
/** CLUSTER SLOTS has 13 values for a range with one replica; ioredis takes a second for a million of them. */
const MOST_VALUES = 50_000
/** How the message about more than that begins. */
export const TOO_LARGE = 'a reply of more than'
const [CR, LF] = [13, 10]
const [STATUS, ERROR, INTEGER, BULK, ARRAY] = [0x2b, 0x2d, 0x3a, 0x24, 0x2a]

/**
 * Finds the end of a RESP2 reply that arrives in pieces. The function takes all bytes from the reply's first one on and
 * returns where it ends, or undefined while bytes are missing; it goes on where it stopped the last time. It throws
 * `redis_protocol` for bytes that no Redis sends.
 */
export function replyScanner(): (bytes: Buffer) => number | undefined {
  /** How many values are missing, for each array that is open; the first is the reply itself. */
  const missing = [1]
  let at = 0
  let values = 0

  return (bytes) => {
    while (missing.length > 0) {
      const value = valueAt(bytes, at)
      if (!value || value.end > bytes.length) return undefined
      at = value.end
      values += value.items
      if (values > MOST_VALUES) throw redisFailure('redis_protocol', `${TOO_LARGE} ${MOST_VALUES} values`)
      missing.push((missing.pop() ?? 0) - 1)
      if (value.items > 0) missing.push(value.items)
      if (missing.length > DEEPEST) throw redisFailure('redis_protocol', `arrays nested more than ${DEEPEST} deep`)
      while (missing.at(-1) === 0) missing.pop()
    }
    return at
  }
}

/** Where the value (of an array: its head) at `start` ends, and how many values follow as part of it; undefined while its first line is incomplete. */
function valueAt(bytes: Buffer, start: number): { readonly end: number, readonly items: number } | undefined {
  const type = bytes[start]
  if (type === undefined) return undefined
  if (type !== STATUS && type !== ERROR && type !== INTEGER && type !== BULK && type !== ARRAY) {
    throw redisFailure('redis_protocol', `expected a Redis reply, got ${quote(bytes.subarray(start))}`)
  }
  const newline = bytes.indexOf(LF, start)
  if (newline < 0) {
    if (bytes.length - start > LONGEST_LINE) throw redisFailure('redis_protocol', `a line of more than ${LONGEST_LINE} bytes`)
    return undefined
  }
  if (bytes[newline - 1] !== CR) throw redisFailure('redis_protocol', `expected a Redis reply, got ${quote(bytes.subarray(start))}`)
  const end = newline + 1
  if (type === STATUS || type === ERROR) return { end, items: 0 }

  const text = bytes.toString('latin1', start + 1, newline - 1)
  if (!/^-?\d{1,19}$/.test(text)) throw redisFailure('redis_protocol', `expected a number, got ${quote(bytes.subarray(start))}`)
  const number = Number(text)
  // -1 is the null of RESP2.
  if (type === INTEGER || number === -1) return { end, items: 0 }
  if (number < 0 || number > LARGEST_REPLY) throw redisFailure('redis_protocol', `a reply of length ${text}`)
  return type === BULK ? { end: end + number + 2, items: 0 } : { end, items: number }
}

/** The beginning of what came, fit for a message. */
function quote(bytes: Buffer): string {
  // The content types of TLS: alert and handshake.
  if (bytes[0] === 0x15 || bytes[0] === 0x16) return 'a TLS record (does the port want tls: true?)'
  return JSON.stringify(bytes.toString('latin1', 0, 60).split(/[\r\n]/, 1)[0])
}

/**
 * A stream for ioredis that lets through whole RESP2 replies only, one for each command written. ioredis trusts its
 * peer: its parser has no bounds, and a null reply that nobody asked for is thrown where only the process can catch it.
 * A server that is full or protected sends its error line unasked and hangs up; here that line is not lost.
 * It is destroyed with a `ProbeFailure` for what the peer sent, else with the error of the socket, and destroys the socket.
 */
export function guard(socket: Duplex): Duplex {
  let store = Buffer.allocUnsafe(8 * 1024)
  let length = 0
  let scan = replyScanner()
  let waiting = 0

  const stream = new Duplex({
    write(chunk: Buffer, _encoding, done) {
      waiting++
      socket.write(chunk, () => done())
    },
    read() {},
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })

  const receive = (chunk: Buffer) => {
    if (length + chunk.length > store.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * store.length, length + chunk.length))
      store.copy(larger, 0, 0, length)
      store = larger
    }
    length += chunk.copy(store, length)
    while (length > 0) {
      const end = scan(store.subarray(0, length))
      if (end === undefined) {
        if (length > LARGEST_REPLY) throw redisFailure('redis_protocol', `${TOO_LARGE} ${LARGEST_REPLY} bytes`)
        return
      }
      if (waiting === 0) throw unasked(store.subarray(0, end))
      waiting--
      stream.push(Buffer.from(store.subarray(0, end)))
      store.copy(store, 0, end, length)
      length -= end
      scan = replyScanner()
    }
  }

  socket.on('data', (chunk: Buffer) => {
    if (stream.destroyed) return
    try {
      receive(chunk)
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  })
  // Whoever waits calls it a reset; core puts it into the layer of the phase.
  const hangUp = () => stream.destroy(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
  socket.on('end', hangUp)
  socket.on('close', hangUp)
  socket.on('error', (error) => stream.destroy(error))
  return stream
}

function unasked(reply: Buffer): Error {
  return reply[0] === ERROR
    ? redisError(reply.toString('utf8', 1, reply.length - 2))
    : redisFailure('redis_protocol', `the server talks without being asked: ${quote(reply)}`)
}
