import { Duplex } from 'node:stream'
import { mysqlError, mysqlFailure, productOf, type Product } from './mysql-codes.ts'

/** Three bytes of length and one of sequence stand before every packet. */
const HEADER = 4
/** Greetings have about 100 bytes; what is no MySQL announces millions with its first letters. */
const LARGEST_GREETING = 2 * 1024
const LARGEST_PACKET = 1024 * 1024
/** What may come between two packets of ours: mysql2 keeps all rows of an answer. */
const LARGEST_ANSWER = 4 * 1024 * 1024
const [PROTOCOL_10, ERROR] = [10, 0xff]
/** Of the capabilities, which stand behind the version, the number of the thread, eight bytes of salt and a zero. */
const [CAPABILITIES, CLIENT_SSL] = [1 + 4 + 8 + 1, 0x0800]

export interface Greeting {
  readonly product: Product
  /** Whether it offers TLS. */
  readonly tls: boolean
}

export interface Wire {
  /** For mysql2: whole packets only, in their order. */
  readonly stream: Duplex
  /** What the server has greeted with; undefined before. */
  greeting(): Greeting | undefined
  /** Goes on over another stream, after TLS was agreed on. Until then nothing is read. */
  moveTo(secured: Duplex): void
  /** Lets go of the socket, so that the next bytes are TLS's. Throws `mysql_protocol` when some have come already. */
  pause(): void
}

/**
 * A stream for mysql2 over a socket, which trusts its peer: it takes lengths of up to 16 MB for granted, prints a packet out
 * of order on the console, and gives no code to what its parser throws. The stream is destroyed with a `ProbeFailure` for what
 * the peer sent, else with the error of the socket, and destroys the socket. `onGreeting` is told before mysql2 is.
 */
export function wireOn(socket: Duplex, onGreeting: (greeting: Greeting) => void): Wire {
  let under = socket
  let pieces: Buffer[] = []
  let held = 0
  let need = HEADER
  let answer = 0
  let sequence = 0
  let greeting: Greeting | undefined
  /** Whether the first packet has come: instead of a greeting it may be an error. */
  let begun = false
  let reading = false

  const stream = new Duplex({
    write(chunk: Buffer, _encoding, done) {
      sequence = ((chunk[3] ?? 0) + 1) & 0xff
      answer = 0
      under.write(chunk, () => done())
    },
    // Not before somebody listens: an error line and its end may lie ready.
    read() {
      if (reading) return
      reading = true
      listen()
    },
    destroy(error, done) {
      under.destroy()
      done(error)
    },
  })

  const accept = (packet: Buffer) => {
    const first = packet[HEADER]
    if (!begun) {
      if (packet[3] !== 0 || (first !== PROTOCOL_10 && first !== ERROR)) throw noMysql(packet)
      begun = true
      if (first === PROTOCOL_10) {
        greeting = readGreeting(packet)
        onGreeting(greeting)
      }
    } else if (packet[3] !== sequence) throw unasked(packet, greeting?.product)
    sequence = ((packet[3] ?? 0) + 1) & 0xff
    stream.push(packet)
  }

  const receive = (chunk: Buffer) => {
    pieces.push(chunk)
    held += chunk.length
    answer += chunk.length
    if (answer > LARGEST_ANSWER) throw mysqlFailure('mysql_too_large', `an answer of more than ${LARGEST_ANSWER} bytes`)
    if (held < need) return
    const bytes = Buffer.concat(pieces)
    let at = 0
    for (;;) {
      if (bytes.length - at < HEADER) {
        need = HEADER
        break
      }
      const length = bytes.readUIntLE(at, 3)
      if (!begun && length > LARGEST_GREETING) throw noMysql(bytes)
      if (length > LARGEST_PACKET) throw mysqlFailure('mysql_too_large', `a packet of ${length} bytes`)
      need = HEADER + length
      if (bytes.length - at < need) break
      at += need
      // mysql2 may ask for TLS while it takes the packet.
      held = bytes.length - at
      accept(bytes.subarray(at - need, at))
    }
    pieces = held > 0 ? [bytes.subarray(at)] : []
  }

  const onData = (chunk: Buffer) => {
    if (stream.destroyed) return
    try {
      receive(chunk)
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
  // Whoever waits calls it a reset; core puts it into the layer of the phase.
  const onEnd = () => stream.destroy(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
  const onError = (error: Error) => stream.destroy(error)
  const listen = () => under.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onError)

  return {
    stream,
    greeting: () => greeting,
    pause() {
      under.off('data', onData).off('end', onEnd).off('close', onEnd)
      if (held > 0) throw mysqlFailure('mysql_protocol', 'the server talks on before TLS is agreed on')
    },
    moveTo(secured) {
      under = secured
      listen()
    },
  }
}

function readGreeting(packet: Buffer): Greeting {
  const end = packet.indexOf(0, HEADER + 1)
  if (end < 0 || packet.length < end + CAPABILITIES + 2) throw noMysql(packet)
  return {
    product: productOf(packet.toString('latin1', HEADER + 1, end)),
    tls: (packet.readUInt16LE(end + CAPABILITIES) & CLIENT_SSL) !== 0,
  }
}

/** A server says unasked that it shuts down, or that the connection was idle for too long. */
function unasked(packet: Buffer, product: Product | undefined): Error {
  if (packet[HEADER] !== ERROR || packet.length < HEADER + 3) return mysqlFailure('mysql_protocol', 'a packet out of order')
  const text = packet.toString('utf8', HEADER + 3).replace(/^#.{5}/, '')
  return mysqlError(packet.readUInt16LE(HEADER + 1), text, product)
}

function noMysql(bytes: Buffer): Error {
  return mysqlFailure('mysql_protocol', `expected the greeting of a MySQL server, got ${JSON.stringify(bytes.toString('latin1', 0, 60).split(/[\r\n]/, 1)[0])}`)
}
