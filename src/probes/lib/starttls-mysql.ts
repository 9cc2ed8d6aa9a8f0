import type { Dialogue } from './starttls.ts'
import { starttlsFailure, strange } from './starttls-codes.ts'
import type { Wire } from './starttls-wire.ts'

const CAPABILITIES = { protocol41: 0x200, ssl: 0x800, secureConnection: 0x8000, pluginAuth: 0x8_0000 } as const
const OURS = CAPABILITIES.protocol41 | CAPABILITIES.secureConnection | CAPABILITIES.pluginAuth
const UTF8MB4 = 45

const ERROR = 0xff
const AUTH_SWITCH = 0xfe
const AUTH_MORE = 0x01
const OK = 0x00
/** Of a login that the server refuses, whatever plugin it asks with. */
const MOST_ROUNDS = 4
/** Not meant to exist. */
const USER = 'curlew'

/** ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_OUT_OF_RESOURCES. */
const FULL: readonly number[] = [1040, 1203, 1041]

/**
 * MySQL and MariaDB. A client that leaves after the handshake without logging in counts as a connection error, and after
 * max_connect_errors (100) of them the server blocks its whole host with error 1129: measured on MariaDB 10.11, whether it left
 * before TLS or after it. A refused login does not count. So the goodbye is a login that is refused, with no password.
 */
export const mysql = {
  port: 3306,
  async begin(wire) {
    const greeting = await packet(wire, 'a MySQL greeting')
    if (greeting[4] === ERROR) throw turnedAway(greeting)
    if (greeting[4] !== 10) throw strange(greeting, 'a MySQL greeting')
    if ((capabilitiesOf(greeting) & CAPABILITIES.ssl) === 0) {
      await login(wire, 1, OURS).catch(() => {})
      throw starttlsFailure('starttls_unsupported', `the server (${versionOf(greeting)}) does not offer TLS`)
    }
    wire.write(framed(1, clientFlags(OURS | CAPABILITIES.ssl)))
  },
  leave: (wire) => login(wire, 2, OURS | CAPABILITIES.ssl),
} as const satisfies Dialogue

/** Logs in as nobody and reads the refusal, so that the server sees a whole conversation. */
async function login(wire: Wire, sequence: number, flags: number): Promise<void> {
  wire.write(framed(sequence, Buffer.concat([clientFlags(flags), Buffer.from(`${USER}\0\0mysql_native_password\0`)])))
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const answer = await packet(wire, 'an answer to the login')
    const kind = answer[4]
    // An anonymous account takes everybody: then a client leaves with COM_QUIT.
    if (kind === OK) wire.write(framed(0, Buffer.from([0x01])))
    if (kind !== AUTH_SWITCH && kind !== AUTH_MORE) return
    wire.write(framed((answer[3] ?? 0) + 1, Buffer.alloc(0)))
  }
}

/** A packet with its head: three bytes of length, one of sequence. Its first byte tells MySQL from what is none. */
function packet(wire: Wire, wanted: string): Promise<Buffer> {
  return wire.read((bytes) => {
    if (bytes.length < 5) return undefined
    const length = bytes.readUIntLE(0, 3)
    if (length === 0 || length > 16 * 1024) throw strange(bytes, wanted)
    return 4 + length
  }, (bytes) => strange(bytes, wanted))
}

function framed(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(payload.length, 0, 3)
  head[3] = sequence
  return Buffer.concat([head, payload])
}

/** What SSLRequest consists of, and what the login begins with: flags, the longest packet, the character set, 23 zeros. */
function clientFlags(flags: number): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32LE(flags, 0)
  bytes.writeUInt32LE(2 ** 24, 4)
  bytes[8] = UTF8MB4
  return bytes
}

function versionOf(greeting: Buffer): string {
  const end = greeting.indexOf(0, 5)
  return greeting.toString('latin1', 5, Math.min(end < 0 ? greeting.length : end, 45))
}

/** The low half stands behind version, thread and salt; what is needed is in it. */
function capabilitiesOf(greeting: Buffer): number {
  const end = greeting.indexOf(0, 5)
  const at = end + 1 + 4 + 8 + 1
  if (end < 0 || greeting.length < at + 2) throw strange(greeting, 'a MySQL greeting')
  return greeting.readUInt16LE(at)
}

/** An error instead of a greeting: number, perhaps an SQL state, text. */
function turnedAway(greeting: Buffer): Error {
  if (greeting.length < 7) return strange(greeting, 'a MySQL greeting')
  const number = greeting.readUInt16LE(5)
  return starttlsFailure(FULL.includes(number) ? 'starttls_overloaded' : 'starttls_denied', `the server answers with error ${number}`, greeting.subarray(7))
}
