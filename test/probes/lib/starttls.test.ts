import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { cert } from '../../../src/probes/cert.ts'
import { DIALOGUES, STARTTLS, type Starttls } from '../../../src/probes/lib/starttls.ts'
import { tcpServer, type TestServer } from '../../support/tcp.ts'
import { probeOnce } from '../contract.ts'

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })

async function against(starttls: Starttls, talk: (socket: Socket) => void, entry: Record<string, unknown> = {}) {
  const server = await tcpServer(talk)
  servers.push(server)
  return probeOnce(cert, { target: `127.0.0.1:${server.port}`, starttls, timeout: '400ms', ...entry })
}

type Said = string | Buffer | readonly string[]

/** Says its lines, one for the greeting and one for everything that it hears; in pieces where they are lists. */
const saying = (...lines: readonly Said[]) => (socket: Socket) => {
  const left = [...lines]
  const say = () => {
    const next = left.shift()
    if (next === undefined) return
    if (typeof next === 'string') socket.write(next, 'latin1')
    else if (Buffer.isBuffer(next)) socket.write(next)
    else for (const [index, piece] of next.entries()) setTimeout(() => socket.write(piece, 'latin1'), index * 15)
  }
  if (left[0] !== '') say()
  else left.shift()
  socket.on('data', say)
}

const failure = (layer: string, reason: string, code: string, message?: string) => ({ status: 'failed', failure: { layer, reason, code, ...(message === undefined ? {} : { message: expect.stringContaining(message) as string }) } })
const unsupported = (message?: string) => failure('tls', 'unsupported', 'starttls_unsupported', message)
const overloaded = (message?: string) => failure('connect', 'overloaded', 'starttls_overloaded', message)
const denied = (message?: string) => failure('request', 'denied', 'starttls_denied', message)
const protocol = (message?: string) => failure('request', 'protocol', 'starttls_protocol', message)
const injected = failure('tls', 'protocol', 'starttls_injected', 'also sent')
/** The dialogue has come to the handshake, where the fake is silent. */
const handshake = failure('tls', 'timeout', 'tls_timeout')

/** A greeting of MySQL 8 with these capabilities. */
const greeting = (capabilities: number) => {
  const payload = Buffer.concat([Buffer.from([10]), Buffer.from('8.0.36\0'), Buffer.alloc(13), Buffer.from([capabilities & 0xff, capabilities >> 8]), Buffer.from([45, 2, 0, 0xff, 0xdf, 21]), Buffer.alloc(40)])
  return Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload])
}
const mysqlError = (number: number, text: string) => Buffer.concat([Buffer.from([text.length + 3, 0, 0, 0, 0xff, number & 0xff, number >> 8]), Buffer.from(text)])
const ldapAnswer = (code: number, tag = 0x78) => Buffer.concat([Buffer.from([0x30, 0x12, 0x02, 0x01, 0x01, tag, 0x0d, 0x0a, 0x01, code, 0x04, 0x00, 0x04, 0x06]), Buffer.from('reason')])
const pgError = (state: string) => {
  const fields = Buffer.from(`SFATAL\0C${state}\0Msorry, too many clients already\0\0`)
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeUInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

describe('a dialogue that', () => {
  it.concurrent.each<[string, Starttls, readonly Said[], object]>([
    ['greets in several lines', 'smtp', ['220-mail.test\r\n220-welcome\r\n220 ESMTP\r\n', '250-mail.test\r\n250-SIZE 1000\r\n250 STARTTLS\r\n', '220 go\r\n'], handshake],
    ['comes in pieces', 'smtp', [['22', '0-mail', '.test\r', '\n220 ESMTP\r\n'], ['250-mail.test\r\n2', '50-starttls\r\n250 HELP\r\n'], '220 go\r\n'], handshake],
    ['does not offer STARTTLS', 'smtp', ['220 mail.test\r\n', '250-mail.test\r\n250 SIZE\r\n'], unsupported('EHLO')],
    ['does not know EHLO', 'smtp', ['220 mail.test\r\n', '502 what?\r\n'], unsupported('502')],
    ['offers STARTTLS but has no certificate', 'smtp', ['220 mail.test\r\n', '250 STARTTLS\r\n', '454 TLS not available\r\n'], failure('tls', 'unavailable', 'starttls_unavailable', '454')],
    ['is full', 'smtp', ['421 too many connections\r\n'], overloaded('too many connections')],
    ['becomes full', 'smtp', ['220 mail.test\r\n', '421 closing\r\n'], overloaded()],
    ['turns us away', 'smtp', ['554 go away\r\n'], denied('go away')],
    ['injects a command', 'smtp', ['220 mail.test\r\n', '250 STARTTLS\r\n', '220 go\r\n250 injected\r\n'], injected],
    ['is POP3', 'smtp', ['+OK POP3 ready\r\n'], protocol('+OK POP3')],
    ['is HTTP', 'smtp', ['', 'HTTP/1.1 400 Bad Request\r\n'], failure('request', 'timeout', 'request_timeout')],
    ['is cut in a line', 'smtp', ['22'], failure('request', 'timeout', 'request_timeout')],
    ['has plain lines between', 'ftp', ['220-welcome\r\n  to this server\r\n220 ready\r\n', '234 go\r\n'], handshake],
    ['does not know AUTH', 'ftp', ['220 ready\r\n', '530 Please login with USER and PASS.\r\n'], unsupported('530')],
    ['is full', 'ftp', ['421 There are too many connected users, please try later.\r\n'], overloaded()],
    ['takes nobody', 'ftp', ['530 No.\r\n'], denied()],
    ['injects a reply', 'ftp', ['220 ready\r\n', '234 go\r\n230 logged in\r\n'], injected],
    ['says more before it agrees', 'imap', ['* OK ready\r\n', '* CAPABILITY IMAP4rev1\r\nc1 OK go\r\n'], handshake],
    ['says no', 'imap', ['* OK ready\r\n', 'c1 BAD no TLS\r\n'], unsupported('no TLS')],
    ['is logged in already', 'imap', ['* PREAUTH ready\r\n'], unsupported('PREAUTH')],
    ['says goodbye', 'imap', ['* BYE too many\r\n'], overloaded('too many')],
    ['says goodbye later', 'imap', ['* OK ready\r\n', '* BYE shutting down\r\n'], overloaded()],
    ['answers another tag', 'imap', ['* OK ready\r\n', 'c2 OK\r\n'], protocol('c2 OK')],
    ['injects an answer', 'imap', ['* OK ready\r\n', 'c1 OK go\r\n* CAPABILITY X\r\n'], injected],
    ['agrees', 'pop3', ['+OK ready\r\n', '+OK go\r\n'], handshake],
    ['says no', 'pop3', ['+OK ready\r\n', '-ERR no\r\n'], unsupported()],
    ['is in trouble', 'pop3', ['-ERR [SYS/TEMP] later\r\n'], overloaded()],
    ['takes nobody', 'pop3', ['-ERR no\r\n'], denied()],
    ['injects an answer', 'pop3', ['+OK ready\r\n', '+OK go\r\n+OK\r\n'], injected],
    ['agrees', 'postgres', ['', 'S'], handshake],
    ['says no', 'postgres', ['', 'N'], unsupported('ssl is off')],
    ['has too many clients', 'postgres', ['', pgError('53300')], overloaded('too many clients')],
    ['fails', 'postgres', ['', pgError('28000')], denied()],
    ['cannot fork', 'postgres', ['', 'Ecould not fork new process for connection: Resource temporarily unavailable\n\0'], overloaded('fork')],
    ['injects a message', 'postgres', ['', 'SR\0\0\0\x08\0\0\0\0'], injected],
    ['is SSH', 'postgres', ['', 'SSH-2.0-OpenSSH_9.2\r\n'], protocol('SSH-2.0')],
    ['is HTTP', 'postgres', ['', 'HTTP/1.1 400 Bad Request\r\n'], protocol('HTTP/1.1 400')],
    ['speaks TLS from the start', 'postgres', ['', '\x15\x03\x01\x00\x02\x02\x46'], protocol('leave out starttls')],
    ['agrees', 'mysql', [greeting(0xffff)], handshake],
    ['has no TLS', 'mysql', [greeting(0xffff & ~0x800), mysqlError(1045, '#28000Access denied')], unsupported('8.0.36')],
    ['is full', 'mysql', [mysqlError(1040, 'Too many connections')], overloaded('1040')],
    ['blocks us', 'mysql', [mysqlError(1129, 'Host is blocked')], denied('1129')],
    ['injects a packet', 'mysql', [Buffer.concat([greeting(0xffff), mysqlError(1045, 'x')])], injected],
    ['has an older protocol', 'mysql', [Buffer.from([5, 0, 0, 0, 9, 1, 1, 1, 1])], protocol()],
    ['is cut', 'mysql', [Buffer.from([5, 0, 0, 0, 10, 1, 1, 1, 1])], protocol()],
    ['is SMTP', 'mysql', ['220 mail.test ESMTP\r\n'], protocol('220 mail.test')],
    ['agrees', 'ldap', ['', ldapAnswer(0)], handshake],
    ['has no TLS', 'ldap', ['', ldapAnswer(2)], unsupported('result 2')],
    ['is busy', 'ldap', ['', ldapAnswer(51)], overloaded('reason')],
    ['answers something else', 'ldap', ['', ldapAnswer(0, 0x61)], protocol()],
    ['has an endless length', 'ldap', ['', Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1])], protocol()],
    ['has no length', 'ldap', ['', Buffer.from([0x30, 0x80, 0, 0])], protocol()],
    ['injects a message', 'ldap', ['', Buffer.concat([ldapAnswer(0), ldapAnswer(0)])], injected],
  ])('%s (%s)', async (_what, starttls, lines, expected) => {
    expect(await against(starttls, saying(...lines))).toMatchObject(expected)
  })
})

describe.each(STARTTLS)('%s', (starttls) => {
  it('is blamed for silence in its own phase', async () => {
    const result = await against(starttls, (socket) => { socket.resume() }, { timeout: '200ms' })
    expect(result).toMatchObject(failure('request', 'timeout', 'request_timeout'))
    expect(result.phases.at(-1)?.name).toBe('starttls')
  })

  it('is a reset when the server hangs up', async () => {
    expect(await against(starttls, (socket) => { socket.end(); socket.resume() })).toMatchObject(failure('request', 'reset', 'request_reset'))
  })

  it('reads so much and no more', async () => {
    const result = await against(starttls, (socket) => {
      const more = () => { while (!socket.destroyed && socket.write('* x'.padEnd(4_000, 'x'))); }
      socket.on('drain', more)
      more()
      socket.resume()
    }, { timeout: '2s' })
    expect(result).toMatchObject(protocol())
  })

  it('survives whatever a server sends', async () => {
    const begins = { smtp: '220 ', ftp: '220 ', imap: '* OK', pop3: '+OK', postgres: 'E', mysql: '\x40\0\0\0\x0a', ldap: '\x30' }[starttls]
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.boolean(), async (bytes, well) => {
      const result = await against(starttls, (socket) => { socket.write(begins.slice(0, well ? undefined : 0), 'latin1'); socket.end(bytes); socket.resume() })
      expect(result.status).toBe('failed')
    }), { numRuns: 15 })
  })
})

it('every protocol has its own port', () => {
  expect(new Set(STARTTLS.map((name) => DIALOGUES[name].port)).size).toBe(STARTTLS.length)
})
