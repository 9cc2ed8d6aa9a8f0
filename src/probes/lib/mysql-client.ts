import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createConnection, type Connection } from 'mysql2'
import { ProbeFailure } from '../../core/probe.ts'
import { mysqlError, mysqlFailure, type Product } from './mysql-codes.ts'
import { wireOn } from './mysql-wire.ts'
import { tlsFailure } from './tls-failure.ts'

/** A row by the lower-case names of its columns; whatever type a value has, it is text here. */
export type Row = ReadonlyMap<string, string | null>

export interface Login {
  readonly username: string
  readonly password: string
  readonly database: string | undefined
  readonly tls: boolean
  readonly cert_file?: string | undefined
}

export interface MysqlClient {
  readonly socket: Socket
  /** Undefined before the greeting. */
  product(): Product | undefined
  /** With TLS: resolves when the server has agreed to it; its handshake comes next, then `moveTo`. */
  agreeOnTls(): Promise<void>
  moveTo(secured: TLSSocket): void
  /** Resolves once the server has let us in. */
  login(): Promise<void>
  /** One at a time. Throws a `ProbeFailure` for an error that the server sent, the error of the socket when it broke. */
  query(sql: string): Promise<readonly Row[]>
  /** The same over the binary protocol: prepared, executed, closed. */
  execute(sql: string, values: readonly string[]): Promise<readonly Row[]>
  /** Whether it is logged in and could take a query. */
  idle(): boolean
  /**
   * Gives up a login that is not over without breaking it off: what is still to be said is said as nobody, without a password.
   * A server counts a client that hangs up before the end of the login towards max_connect_errors, and blocks its whole
   * host; one that it refuses it does not. `over`: the TLS to go on with. Resolves when it is over, at the latest after so many
   * ms, and the connection ended.
   */
  dismiss(withinMs: number, over?: TLSSocket): Promise<void>
  /** It no longer keeps the process alive. */
  unref(): void
  /** Ends the connection: politely when it is idle, else at once. */
  close(): void
}

/** COM_QUIT, and how long the server may take to hang up. */
const QUIT = Buffer.from([1, 0, 0, 0, 1])
const QUIT_MS = 500

/**
 * Ways to log in that mysql2 does not know, or that would send the password as it is, with how many zeros to answer: the
 * server then ends the login with a refusal instead of counting a client that hung up (or, ed25519, gave no signature).
 */
const REFUSED_PLUGINS: Readonly<Record<string, number>> = {
  mysql_clear_password: 0, mysql_old_password: 0, client_ed25519: 64, parsec: 0, dialog: 0, auth_gssapi_client: 0,
  authentication_ldap_sasl_client: 0, authentication_kerberos_client: 0, authentication_oci_client: 0, authentication_webauthn_client: 0,
  authentication_openid_connect_client: 0,
}

/** A mysql2 connection on a connected socket: nothing but what is asked for is sent. From here on the socket belongs to it. */
export function openMysql(socket: Socket, login: Login): MysqlClient {
  const tls = Promise.withResolvers<(error?: Error) => void>()
  const loggedIn = Promise.withResolvers<void>()
  let broken: Error | undefined
  let inside = false
  let waiting = 0
  let refusedPlugin: string | undefined
  let secured: TLSSocket | undefined
  const wire = wireOn(socket, ({ tls: offered }) => {
    // mysql2 would hang up.
    if (!login.tls || offered) return
    asNobody(connection)
    tls.reject(new ProbeFailure('tls_plain_port', 'the server does not offer TLS'))
  })
  const { stream } = wire
  const product = () => wire.greeting()?.product

  const connection = createConnection({
    stream,
    user: login.username,
    password: login.password,
    ...(login.database === undefined ? {} : { database: login.database }),
    ...(login.tls ? { ssl: {} } : {}),
    flags: ['-LOCAL_FILES'],
    connectAttributes: { program_name: 'curlew' },
    connectTimeout: 0,
    // Values as bytes, by a parser that is not generated for every query.
    typeCast: false,
    disableEval: true,
    trace: false,
    authPlugins: Object.fromEntries(Object.entries(REFUSED_PLUGINS).map(([name, zeros]) => [name, () => () => {
      refusedPlugin = name
      return Buffer.alloc(zeros)
    }])),
  })
  // mysql2 would verify the certificate by itself, and hide it when that fails: here the caller does the handshake. Only this
  // instance's method is replaced; mysql2 calls it once it has asked the server for TLS, with what goes on after that.
  Object.assign(connection, {
    startTLS(goOn: (error?: Error) => void) {
      try {
        wire.pause()
        tls.resolve(goOn)
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    },
  })

  const cause = (error: Error): Error => {
    const known = causeOf(error, product(), login)
    if (refusedPlugin !== undefined && known instanceof ProbeFailure && known.code === 'mysql_1045') {
      return mysqlFailure('mysql_auth_plugin', `the server wants a login by ${refusedPlugin}`)
    }
    return known
  }
  const fail = (error: Error) => {
    broken ??= cause(error)
    tls.reject(broken)
    loggedIn.reject(broken)
  }
  for (const promise of [tls.promise, loggedIn.promise]) promise.catch(() => {})
  connection.on('error', fail)
  connection.once('connect', () => {
    inside = true
    loggedIn.resolve()
  })
  stream.once('close', () => fail(hungUp()))

  const ask = async <T>(send: (done: (error: Error | null, result: T) => void) => void): Promise<T> => {
    if (broken !== undefined) throw broken
    waiting++
    try {
      return await new Promise<T>((resolve, reject) => {
        send((error, result) => { if (error) reject(cause(error)); else resolve(result) })
      })
    } finally {
      waiting--
    }
  }

  return {
    socket,
    product,
    agreeOnTls: () => tls.promise.then(() => {}),
    moveTo(over) {
      secured = over
      wire.moveTo(over)
      void tls.promise.then((goOn) => goOn())
    },
    login: () => loggedIn.promise,
    async query(sql) {
      return rowsOf(await ask<unknown>((done) => { connection.query(sql, done) }))
    },
    async execute(sql, values) {
      const statement = await ask<Prepared>((done) => { connection.prepare(sql, done) })
      try {
        return rowsOf(await ask<unknown>((done) => { statement.execute([...values], done) }))
      } finally {
        if (broken === undefined) connection.unprepare(sql)
      }
    },
    idle: () => inside && waiting === 0 && broken === undefined && !stream.destroyed,
    async dismiss(withinMs, over) {
      asNobody(connection)
      if (over) this.moveTo(over)
      const timer = Promise.withResolvers<void>()
      const timeout = setTimeout(timer.resolve, withinMs).unref()
      await Promise.race([loggedIn.promise.catch(() => {}), timer.promise])
      clearTimeout(timeout)
      this.close()
    },
    unref() {
      socket.unref()
      secured?.unref()
    },
    close() {
      if (stream.destroyed) return
      if (inside && waiting === 0) {
        stream.write(QUIT)
        const timeout = setTimeout(() => stream.destroy(), QUIT_MS).unref()
        stream.once('close', () => clearTimeout(timeout))
        return
      }
      // A server that hangs has not accepted the connection yet. It counts one that was closed in the meantime, but not one
      // that was reset: of that it cannot tell the address any more.
      if (!wire.greeting()) socket.resetAndDestroy()
      stream.destroy()
    },
  }
}

interface Prepared {
  execute(values: string[], done: (error: Error | null, result: unknown) => void): unknown
}

/** From here on mysql2 says that it is nobody; what has been said stays said. */
function asNobody(connection: Connection): void {
  Object.assign(connection.config, { user: '', password: undefined, database: '', ssl: undefined })
}

/** What an error of mysql2 means: one that the server sent, a broken connection, or bytes that are none of MySQL's. */
function causeOf(error: Error, product: Product | undefined, login: Login): Error {
  if (error instanceof ProbeFailure) return error
  const { code, errno, sqlMessage, fatal } = error as Error & { code?: unknown, errno?: unknown, sqlMessage?: unknown, fatal?: unknown } // safe: unknown, whatever they are
  if (typeof errno === 'number' && typeof sqlMessage === 'string') return mysqlError(errno, sqlMessage, product)
  const refused = tlsFailure(error, login)
  if (refused) return refused
  switch (code) {
    case 'PROTOCOL_CONNECTION_LOST': return hungUp()
    case 'AUTH_SWITCH_PLUGIN_ERROR': return mysqlFailure('mysql_auth_plugin', error.message)
    case 'HANDSHAKE_UNKNOWN_ERROR':
    case 'PROTOCOL_ERROR':
    case 'PROTOCOL_UNEXPECTED_PACKET':
      return mysqlFailure('mysql_protocol', error.message)
  }
  // What mysql2's parser throws, it marks so; errors of the operating system have a code.
  const parsing = fatal === true && (typeof code !== 'string' || code.startsWith('ERR_'))
  return parsing ? mysqlFailure('mysql_protocol', `the server sent what no MySQL sends: ${error.message}`) : error
}

function hungUp(): Error {
  return Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET' })
}

/** What does not return rows returns none. */
function rowsOf(result: unknown): readonly Row[] {
  if (!Array.isArray(result)) return []
  return result.map((row: object) => new Map(Object.entries(row).map(([name, value]) => [name.toLowerCase(), textOf(value)])))
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  // Numbers come so only by the binary protocol.
  return Buffer.isBuffer(value) ? value.toString('utf8') : typeof value === 'string' ? value : JSON.stringify(value)
}
