import { isIPv6, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import { ldap } from './starttls-ldap.ts'
import { mysql } from './starttls-mysql.ts'
import { starttlsFailure, strange, type StarttlsCode } from './starttls-codes.ts'
import { lineLength, wireOf, type Wire } from './starttls-wire.ts'

export { STARTTLS_CODES } from './starttls-codes.ts'

/** How a protocol turns to TLS and how a client leaves it afterwards. */
export interface Dialogue {
  readonly port: number
  /** Ends when the server is ready for the handshake; throws a ProbeFailure of STARTTLS_CODES. */
  begin(wire: Wire): Promise<void>
  /** Says goodbye over TLS, so that the server counts no broken connection. */
  leave?(wire: Wire): Promise<void>
}

/** The protocols, by the name that the option `starttls` has for them. */
export const DIALOGUES = {
  smtp: { port: 25, begin: smtp, leave: saying('QUIT\r\n') },
  imap: { port: 143, begin: imap, leave: saying('c2 LOGOUT\r\n') },
  pop3: { port: 110, begin: pop3, leave: saying('QUIT\r\n') },
  ftp: { port: 21, begin: ftp, leave: saying('QUIT\r\n') },
  postgres: { port: 5432, begin: postgres },
  mysql,
  ldap,
} as const satisfies Readonly<Record<string, Dialogue>>

export type Starttls = keyof typeof DIALOGUES
export const STARTTLS = ['smtp', 'imap', 'pop3', 'ftp', 'postgres', 'mysql', 'ldap'] as const satisfies readonly Starttls[]

/** A goodbye takes at most so long, and never the run's last moments. */
const GOODBYE_MS = 500
const MARGIN_MS = 50

/** Brings a connected socket to where the TLS handshake begins; phase `starttls`. Destroys the socket when it throws. */
export function startTls(probe: ProbeContext<'starttls', never, never>, socket: Socket, protocol: Starttls): Promise<void> {
  return probe.phase('starttls', async () => {
    const wire = wireOf(socket)
    try {
      await DIALOGUES[protocol].begin(wire)
      // CVE-2011-0411 and its kin: whoever sits in between could have it taken for encrypted.
      if (wire.rest().length > 0) throw starttlsFailure('starttls_injected', 'after the go-ahead for TLS the server also sent', wire.rest())
      wire.release()
    } catch (error) {
      socket.destroy()
      throw error
    }
  })
}

/** Leaves a protocol as its clients do, once TLS is up, whatever came of the certificate. Never rejects, takes 500 ms at most. */
export async function leaveTls(probe: Pick<ProbeContext, 'deadline'>, socket: TLSSocket, protocol: Starttls): Promise<void> {
  const { leave }: Dialogue = DIALOGUES[protocol]
  const ms = Math.min(GOODBYE_MS, probe.deadline - performance.now() - MARGIN_MS)
  if (!leave || ms <= 0) return
  // A server that is slow now is nobody's failure: the certificate has been seen.
  const timer = setTimeout(() => socket.destroy(), ms)
  // What is written while Node still reports a session ticket stays in its buffer.
  await nextTurn()
  const wire = wireOf(socket)
  try {
    await leave(wire)
  } catch (error) {
    if (!(error instanceof ProbeFailure) && !(error instanceof Error && 'code' in error)) throw error
  } finally {
    clearTimeout(timer)
    wire.release()
  }
}

function saying(text: string): (wire: Wire) => Promise<void> {
  return async (wire) => {
    wire.write(text)
    await wire.read(lineLength, (bytes) => strange(bytes, 'a goodbye'))
  }
}

/** RFC 3207. The name is an address literal, which no server can take for somebody else's. */
async function smtp(wire: Wire): Promise<void> {
  welcome(await reply(wire, 'an SMTP greeting'), 220)
  wire.write(`EHLO [${isIPv6(wire.localAddress) ? 'IPv6:' : ''}${wire.localAddress}]\r\n`)
  const hello = await reply(wire, 'an answer to EHLO')
  if (hello.code !== 250 || !/^250[ -]STARTTLS\b/im.test(hello.text)) refuse(hello, 'the answer to EHLO does not offer STARTTLS')
  wire.write('STARTTLS\r\n')
  const ready = await reply(wire, 'an answer to STARTTLS')
  if (ready.code !== 220) refuse(ready, 'the server refuses STARTTLS')
}

/** RFC 4217. */
async function ftp(wire: Wire): Promise<void> {
  welcome(await reply(wire, 'an FTP greeting'), 220)
  wire.write('AUTH TLS\r\n')
  const ready = await reply(wire, 'an answer to AUTH TLS')
  if (ready.code !== 234) refuse(ready, 'the server refuses AUTH TLS')
}

interface Reply {
  readonly code: number
  readonly text: string
}

/** A reply of SMTP or FTP: of several lines, only the last has a space behind its number (RFC 5321, 4.2; RFC 959, 4.2). */
async function reply(wire: Wire, wanted: string): Promise<Reply> {
  let code: string | undefined
  const length = (bytes: Buffer): number | undefined => {
    for (let start = 0; ;) {
      const end = lineLength(bytes.subarray(start))
      if (end === undefined) {
        if (code === undefined && bytes.length >= 4 && !/^[1-5]\d\d[ -]/.test(bytes.toString('latin1', 0, 4))) throw strange(bytes, wanted)
        return undefined
      }
      const line = bytes.toString('latin1', start, start + end)
      code ??= /^([1-5]\d\d)[ \r\n-]/.exec(line)?.[1]
      if (code === undefined) throw strange(bytes, wanted)
      start += end
      if (line.startsWith(code) && line[3] !== '-') return start
    }
  }
  const bytes = await wire.read(length, (first) => strange(first, wanted))
  return { code: Number(code), text: bytes.toString('latin1') }
}

function welcome(greeting: Reply, wanted: number): void {
  if (greeting.code === wanted) return
  const temporary = greeting.code < 500
  throw starttlsFailure(temporary ? 'starttls_overloaded' : 'starttls_denied', 'the server greets with a refusal', greeting.text)
}

/** 421: the service closes, whatever was asked (RFC 5321, 3.8; RFC 959, 4.2). 454: TLS is offered, but not to be had just now (RFC 3207, 4). */
const REFUSALS: Readonly<Record<number, StarttlsCode>> = { 421: 'starttls_overloaded', 454: 'starttls_unavailable' }

function refuse(answer: Reply, what: string): never {
  throw starttlsFailure(REFUSALS[answer.code] ?? 'starttls_unsupported', what, answer.text)
}

/** RFC 9051, 6.2.1. */
async function imap(wire: Wire): Promise<void> {
  const line = async (wanted: string) => (await wire.read(lineLength, (bytes) => strange(bytes, wanted))).toString('latin1')
  const greeting = await line('an IMAP greeting')
  if (/^\* BYE\b/i.test(greeting)) throw starttlsFailure('starttls_overloaded', 'the server says goodbye at once', greeting)
  if (/^\* PREAUTH\b/i.test(greeting)) throw starttlsFailure('starttls_unsupported', 'the connection is logged in from the start, which rules STARTTLS out', greeting)
  if (!/^\* OK\b/i.test(greeting)) throw strange(Buffer.from(greeting, 'latin1'), 'an IMAP greeting')
  wire.write('c1 STARTTLS\r\n')
  for (;;) {
    const answer = await line('an answer to STARTTLS')
    if (/^c1 OK\b/i.test(answer)) return
    if (/^\* BYE\b/i.test(answer)) throw starttlsFailure('starttls_overloaded', 'the server ends the connection instead', answer)
    if (!answer.startsWith('* ')) throw /^c1 (?:NO|BAD)\b/i.test(answer) ? starttlsFailure('starttls_unsupported', 'the server refuses STARTTLS', answer) : strange(Buffer.from(answer, 'latin1'), 'an answer to STARTTLS')
  }
}

/** RFC 2595, 4. */
async function pop3(wire: Wire): Promise<void> {
  const line = async (wanted: string) => {
    const bytes = await wire.read(lineLength, (first) => strange(first, wanted))
    if (!/^(?:\+OK|-ERR)\b/.test(bytes.toString('latin1'))) throw strange(bytes, wanted)
    return bytes.toString('latin1')
  }
  const greeting = await line('a POP3 greeting')
  if (greeting.startsWith('-')) throw starttlsFailure(/^-ERR \[(?:SYS\/TEMP|IN-USE|LOGIN-DELAY)\]/.test(greeting) ? 'starttls_overloaded' : 'starttls_denied', 'the server greets with a refusal', greeting)
  wire.write('STLS\r\n')
  const answer = await line('an answer to STLS')
  if (answer.startsWith('-')) throw starttlsFailure('starttls_unsupported', 'the server refuses STLS', answer)
}

/** SSLRequest: its length and the number 80877103 (PostgreSQL, Message Formats). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
const [YES, NO, ERROR] = [0x53, 0x4e, 0x45]

async function postgres(wire: Wire): Promise<void> {
  wire.write(SSL_REQUEST)
  const wanted = 'S or N of PostgreSQL'
  // One byte only: what follows S in the clear must be seen as what it is.
  const answer = await wire.read((bytes) => (bytes.length === 0 ? undefined : bytes[0] === ERROR ? errorLength(bytes) : 1), (bytes) => strange(bytes, wanted))
  if (answer[0] === YES && wire.rest().toString('latin1').startsWith('SH-')) throw strange(Buffer.concat([answer, wire.rest()]), wanted)
  if (answer[0] === YES) return
  if (answer[0] === NO) throw starttlsFailure('starttls_unsupported', 'PostgreSQL answers N: ssl is off')
  // 53300 is too_many_connections, 57P03 cannot_connect_now. A postmaster that cannot fork sends its text alone.
  if (answer[0] === ERROR) throw starttlsFailure(/\0C(?:53|57P)|fork/.test(answer.toString('latin1')) ? 'starttls_overloaded' : 'starttls_denied', 'PostgreSQL answers with an error', answer.toString('latin1').replace(/[^\x20-\x7e]+/g, ' '))
  throw strange(Buffer.concat([answer, wire.rest()]), wanted)
}

/** Of an ErrorResponse, which has a length; the text of an old one ends with a zero. */
function errorLength(bytes: Buffer): number | undefined {
  if (bytes.length < 5) return undefined
  const length = bytes.readUInt32BE(1)
  if (length < 4096) return length + 1
  const end = bytes.indexOf(0)
  return end < 0 ? undefined : end + 1
}
