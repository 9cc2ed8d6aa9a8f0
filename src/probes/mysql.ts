import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { hostPort, secret } from '../core/fields.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { dial, dialFields, dialGauges } from './lib/dial.ts'
import { loader } from './lib/loader.ts'
import type { MysqlClient } from './lib/mysql-client.ts'
import { MYSQL_CODES, type MysqlCode } from './lib/mysql-codes.ts'
import { exportFacts, mysqlGauges } from './lib/mysql-gauges.ts'
import { beat, heartbeatAge, quoted } from './lib/mysql-heartbeat.ts'
import { budgetOf, exportStatus, heldBy, keep, leave, letGo } from './lib/mysql-kept.ts'
import { readFacts, readReplication, type Facts } from './lib/mysql-status.ts'
import { checkTls, shakeHands, tlsFields, tlsGauges } from './lib/tls.ts'
import { queryOptions } from './lib/url-query.ts'

const options = z.strictObject({
  target: hostPort(3306),
  login: z.boolean().default(true).describe('false lists the server as unknown and never contacts it, since a connection without a login counts towards max_connect_errors; what is found on this machine has it'),
  username: z.string().min(1).describe('account of the prober; docs/mysql.md has the SQL that makes it').optional(),
  password: secret().describe('its password').optional(),
  database: z.string().min(1).describe('default database of the connection').optional(),
  query: z.string().min(1).max(10_000).default('SELECT 1').describe('what a run asks, in a read-only transaction; its answer is not looked at'),
  heartbeat: z.strictObject({
    table: z.string().regex(/^[\w$]+\.[\w$]+$/, 'expected database.table').describe('table as pt-heartbeat has it, database.table; docs/mysql.md has the SQL'),
  }).describe('where writes are allowed one row is written and read back; elsewhere the newest one is read, and its age exported').optional(),
  prepare: z.boolean().default(false).describe('prepare, execute and close a statement: it fails when the server has no room for more, while queries as text go on'),
  status: z.boolean().default(true).describe('keep a second connection, and read the status of the server over it'),
  tls: z.boolean().default(false).describe('speak TLS; mysqls:// sets it'),
  ...tlsFields,
  ...dialFields,
  // Not every one of them: connecting without a login counts towards max_connect_errors.
  addresses: z.enum(['first', 'any', 'each']).default('any')
    .describe('of several addresses: only the first, the first that connects (a new one every 250 ms), or each is a target of its own'),
}).superRefine((given, context) => {
  if (given.login && given.username === undefined) {
    context.addIssue({ code: 'custom', path: ['username'], message: 'expected username: a connection without a login counts towards max_connect_errors, and the server then blocks the host', input: given.username })
  }
  checkTls(given, context)
})

type Options = z.output<typeof options>

const gauges = { ...dialGauges, ...tlsGauges, ...mysqlGauges }

type Context = ProbeContext<'resolve' | 'connect' | 'tls' | 'auth' | 'request' | 'status', keyof typeof gauges, MysqlCode | SharedCode>

/** How long a server with whom there is no TLS may take to end the login. */
const FAREWELL_MS = 500

/** How long a server lets the kept connection be idle: longer than any usual interval. Of a prober that has vanished its TCP finds out. */
const KEPT_SECONDS = 7 * 86_400

const loadClient = loader(() => import('./lib/mysql-client.ts'))

export const mysql = defineProbe({
  type: 'mysql',
  summary: 'A MySQL or MariaDB server: login and query over a new connection, and its status over a kept one',
  options,
  phases: { resolve: 'resolve', connect: 'connect', tls: 'tls', auth: 'auth', request: 'request', status: 'request' },
  gauges,
  codes: MYSQL_CODES,
  levels: {
    connections_ratio: { gauge: 'probe_mysql_connections_ratio', worse: 'above' },
    prepared_statements_ratio: { gauge: 'probe_mysql_prepared_statements_ratio', worse: 'above' },
    replication_lag: { gauge: 'probe_mysql_replication_lag_seconds', worse: 'above' },
    replication_running: { gauge: 'probe_mysql_replication_running', worse: 'below' },
    heartbeat_age: { gauge: 'probe_mysql_heartbeat_age_seconds', worse: 'above' },
    scan_ratio: { gauge: 'probe_mysql_scan_ratio', worse: 'above' },
  },
  schemes: ['mysql', 'mysqls'],
  fromUrl(url) {
    const database = /^\/?([^/]*)$/.exec(url.pathname)?.[1]
    if (database === undefined) throw new Error('expected the path of the URL to be a database, as in mysql://user@host/database')
    const { heartbeat, ...query } = queryOptions(url)
    return {
      ...query,
      target: url.host,
      ...(heartbeat === undefined ? {} : { heartbeat: { table: heartbeat } }),
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
      ...(database === '' ? {} : { database: decodeURIComponent(database) }),
      ...(url.protocol === 'mysqls:' ? { tls: true } : {}),
    }
  },
  // A connection without a login counts towards max_connect_errors.
  ways: (options) => wayTo(options, undefined, false),
  example: { target: 'mysql.example.org:3306', username: 'prober', password: 'change-me', heartbeat: { table: 'probe.heartbeat' }, prepare: true },

  load: loadClient,

  async run(options, probe) {
    const { username } = options
    if (!options.login || username === undefined) {
      return probe.fail('prober_no_credentials', `not contacted; with an account of its own: {name: mysql, type: mysql, target: "${options.target}", username: prober, password: "\${MYSQL_PASSWORD}"}`)
    }
    const { openMysql } = await loadClient()
    const held = heldBy(options)
    const timeoutMs = probe.deadline - performance.now()
    const { database, tls, cert_file } = options
    const client = openMysql(await connectTo(options, probe), { username, password: options.password?.reveal() ?? '', database, tls, cert_file })
    let kept = false
    try {
      await logIn(client, options, probe)
      held.known = true
      const facts = await probe.phase('request', () => use(client, options, timeoutMs, probe))
      if (options.status && !probe.signal.aborted) {
        kept = keep(held, client, facts)
        await probe.phase('status', () => exportStatus(held, facts, probe))
      } else exportFacts(probe, client.product(), facts, undefined)
    } catch (error) {
      // A full server still tells over the kept connection what fills it.
      if (!probe.signal.aborted) await exportStatus(held, undefined, probe)
      throw error
    } finally {
      if (!kept) leave(held, client)
    }
  },

  release: letGo,
})

/** `dial` ties a socket to the signal it is given; this one may outlive the run. */
async function connectTo(options: Options, probe: Context): Promise<Socket> {
  const dialing = new AbortController()
  const stop = () => dialing.abort(probe.signal.reason)
  probe.signal.addEventListener('abort', stop, { once: true })
  try {
    return await dial({ ...probe, signal: dialing.signal }, options.target, options)
  } finally {
    probe.signal.removeEventListener('abort', stop)
  }
}

/** The server speaks first, so that with TLS the login begins before its handshake. */
async function logIn(client: MysqlClient, options: Options, probe: Context): Promise<void> {
  if (options.tls) {
    let refused: TLSSocket | undefined
    try {
      await probe.phase('auth', () => client.agreeOnTls())
      const { socket, failure } = await shakeHands(probe, client.socket, options.target.host, options)
      if (failure) {
        refused = socket
        throw failure
      }
      client.moveTo(socket)
    } catch (error) {
      if (!probe.signal.aborted) await client.dismiss(Math.min(FAREWELL_MS, budgetOf(probe)), refused)
      throw error
    }
  }
  await probe.phase('auth', () => client.login())
}

async function use(client: MysqlClient, { query, heartbeat, prepare }: Options, timeoutMs: number, probe: Context): Promise<Facts> {
  await client.query(limits(client, Math.floor(budgetOf(probe))))
  await client.query('SET SESSION TRANSACTION READ ONLY')
  const facts = await readFacts(client)
  // Before the query: a statement is closed without an answer, and would still be counted when the status is read.
  if (prepare) {
    const sent = randomUUID()
    const [row] = await client.execute('SELECT ? AS sent', [sent])
    probe.expect(row?.get('sent') === sent, 'mysql_wrong_value', `sent ${sent} to a prepared statement, it returned ${JSON.stringify(row?.get('sent') ?? null).slice(0, 80)}`)
  }
  await client.query(query)
  if (heartbeat) await useHeartbeat(client, quoted(heartbeat.table), facts, timeoutMs, probe)
  return facts
}

/**
 * A server that stands still would go on with a statement long after we have gone. Locks are waited for in whole seconds. With
 * autocommit off (globally, or by init_connect) the heartbeat would never be there, and the kept connection hold its lock. With
 * a wait_timeout below the interval the server would abort that connection between any two runs.
 */
function limits(client: MysqlClient, budgetMs: number): string {
  // 0 would be no limit.
  const ms = Math.max(1, budgetMs)
  const seconds = Math.max(1, Math.floor(ms / 1_000))
  const statement = client.product() === 'mariadb' ? `max_statement_time = ${ms / 1_000}` : `max_execution_time = ${ms}`
  return `SET SESSION autocommit = 1, wait_timeout = ${KEPT_SECONDS}, ${statement}, lock_wait_timeout = ${seconds}, innodb_lock_wait_timeout = ${seconds}`
}

/** A replica is never written to, not even a writable one: so whether it is one must be known first. */
async function useHeartbeat(client: MysqlClient, table: string, { readOnly }: Facts, timeoutMs: number, probe: Context): Promise<void> {
  if (probe.mode === 'read-write' && !readOnly && await readReplication(client) === 'none') {
    const { written, read = '' } = await beat(client, table, probe.lastingOwner)
    // Another command of this prober may have written in between: a newer time, or one that it took within its own timeout.
    // What an earlier run left is older, and what is no time is none of them.
    const isOurs = read === written || Date.parse(`${read}Z`) > Date.parse(`${written}Z`) - timeoutMs
    probe.expect(isOurs, 'mysql_wrong_value', `wrote the heartbeat ${written}, read ${JSON.stringify(read).slice(0, 80)}`)
    return
  }
  const age = await heartbeatAge(client, table)
  if (age !== undefined) probe.gauge('probe_mysql_heartbeat_age_seconds', age)
}
