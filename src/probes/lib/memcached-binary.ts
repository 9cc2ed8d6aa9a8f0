import type { Socket } from 'node:net'
import { Client, Header, Server } from 'memjs'
import { lineFailure, mayBeErrorLine, memcachedFailure, statusFailure } from './memcached-codes.ts'

/** Every method throws a `ProbeFailure` for what the server sent, and the error of the socket when the connection broke. */
export interface BinaryClient {
  /** SASL PLAIN. */
  login(): Promise<void>
  set(key: string, value: string, lifetimeSeconds: number): Promise<void>
  /** The value as text, or undefined when there is none. */
  get(key: string): Promise<string | undefined>
  /** A key that is gone already is no error. */
  delete(key: string): Promise<void>
}

export interface Credentials {
  readonly username: string
  readonly password: string
}

const MAGIC = 0x81
const HEADER_BYTES = 24
/** An answer to what is asked here has some 300 bytes at most. */
const LARGEST = 4 * 1024
const [GET, SET, DELETE, SASL_LIST, SASL_AUTH] = [0x00, 0x01, 0x04, 0x20, 0x21]
const [OK, AUTH_FAILURE, UNKNOWN_COMMAND] = [0x00, 0x20, 0x81]
/** memjs's own timers never matter: the caller destroys the socket long before. */
const NEVER_SECONDS = 86_400

/**
 * A memjs client on a connected socket, for one attempt. memjs believes whatever comes: a text answer breaks it for ever,
 * a buffer has no limit, and a server without SASL counts as a login. So it gets the socket from us, and only frames
 * that answer what it asked. The caller destroys the socket.
 */
export function openMemjs(socket: Socket, credentials: Credentials | undefined): BinaryClient {
  const server = new Server('', 0, credentials?.username, credentials?.password, { timeout: NEVER_SECONDS })
  // memjs would connect by itself here.
  server.sock = (_sasl, go) => go(socket)
  const client = new Client([server], { retries: 1, logger: { log() {} } })

  let broken: Error | undefined
  let received: Buffer = Buffer.alloc(0)
  let expected: readonly number[] = []
  let status = OK
  const fail = (error: Error) => {
    broken ??= error
    socket.destroy()
    server.error(error)
  }
  const hangUp = () => {
    if (received.length > 0 && received[0] !== MAGIC) fail(lineFailure(firstLine(received)))
    else fail(Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' }))
  }

  const read = () => {
    while (received.length > 0) {
      if (received[0] !== MAGIC) {
        if (received.includes('\n') || !mayBeErrorLine(received.toString('latin1'))) throw lineFailure(firstLine(received))
        return
      }
      if (received.length < HEADER_BYTES) return
      const header = Header.fromBuffer(received)
      const end = HEADER_BYTES + header.totalBodyLength
      if (end > LARGEST || header.keyLength + header.extrasLength > header.totalBodyLength) throw memcachedFailure('memcached_protocol', 'an answer with impossible lengths')
      if (!expected.includes(header.opcode)) throw memcachedFailure('memcached_protocol', `an answer to another command (opcode 0x${header.opcode.toString(16)})`)
      if (received.length < end) return
      // Login frames carry no number; all others that of the command.
      if (header.opcode < SASL_LIST && header.opaque !== client.seq) throw memcachedFailure('memcached_protocol', 'an answer with the number of another command')
      status = header.status
      // The password is only sent to a server that lists how to log in.
      if (header.opcode === SASL_LIST && status !== OK) throw status === UNKNOWN_COMMAND ? noSasl() : statusFailure(status, 'the login')
      const frame = received.subarray(0, end)
      received = received.subarray(end)
      expected = header.opcode === SASL_LIST ? [SASL_AUTH] : []
      server.responseHandler(frame)
    }
  }

  socket.on('data', (chunk: Buffer) => {
    if (broken) return
    received = Buffer.concat([received, chunk])
    try {
      if (received.length > LARGEST) throw memcachedFailure('memcached_protocol', `more than ${LARGEST} bytes at once`)
      read()
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })
  socket.on('end', hangUp)
  socket.on('close', hangUp)
  socket.on('error', fail)

  /** Runs one command; memjs's errors are strings and sentences, so that status and `broken` say what happened. */
  const command = async <T>(opcodes: readonly number[], doing: string, work: () => Promise<T>): Promise<T> => {
    if (broken) throw broken
    expected = opcodes
    status = OK
    try {
      return await work()
    } catch (error) {
      throw broken ?? (status === OK ? error : statusFailure(status, doing))
    }
  }

  return {
    async login() {
      try {
        await command([SASL_LIST], 'the login', () => new Promise<void>((resolve, reject) => {
          server.once('authenticated', resolve)
          // Commands are numbered from 1.
          server.onError(0, reject)
          server.listSasl()
        }))
      } catch (error) {
        throw status === AUTH_FAILURE ? memcachedFailure('memcached_wrong_password', 'the login was refused') : error
      }
      // memjs takes every answer but AUTH_FAILURE for a yes.
      if (status !== OK) throw status === UNKNOWN_COMMAND ? noSasl() : statusFailure(status, 'the login')
    },
    async set(key, value, lifetimeSeconds) {
      await command([SET], 'set', () => client.set(key, value, { expires: lifetimeSeconds }))
    },
    async get(key) {
      const { value } = await command([GET], 'get', () => client.get(key))
      return value?.toString()
    },
    async delete(key) {
      await command([DELETE], 'delete', () => client.delete(key))
    },
  }
}

function noSasl() {
  return memcachedFailure('memcached_no_sasl', 'the server does not know the login commands of SASL')
}

function firstLine(bytes: Buffer): string {
  return bytes.toString('latin1').split(/\r?\n/, 1)[0] ?? ''
}
