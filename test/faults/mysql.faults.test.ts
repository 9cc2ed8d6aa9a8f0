import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { z } from 'zod'
import { heartbeatTime } from '../../src/probes/lib/mysql-heartbeat.ts'
import { makeCertificates } from '../support/certificates.ts'
import { serveCurlew } from '../support/curlew.ts'
import { afterwards, BARE, busyFor, crowd, ENDLESS, entryOf, fromAfar, furnish, hold, holdLock, NO_LAG, on, PASSWORD, prepareTooMany, setGlobal, undo, type Spoil } from '../support/mysql-faults.ts'
import { bareConnect, startMysql, stopMysqlServers, STRANGER, type MysqlServer } from '../support/mysql-server.ts'
import { eventually, freePort, temporaryDirectory } from '../support/process.ts'
import { ownRows } from './own-row.ts'
import { failed, faultTable, ok, type Entry } from './table.ts'

const { caFile, good } = makeCertificates()
const HEARTBEAT = { heartbeat: { table: 'probe.heartbeat' } }
let server: MysqlServer
const at = on(() => server)

beforeAll(async () => {
  server = await startMysql('mysql', { tls: good })
  await furnish(server)
}, 60_000)
afterAll(stopMysqlServers)

const setting = (name: string, value: number): Spoil => (mysql) => setGlobal(mysql, name, value)

const blocked: Spoil = async (mysql) => {
  await setGlobal(mysql, 'max_connect_errors', 3)
  afterwards(() => mysql.sql('TRUNCATE TABLE performance_schema.host_cache'))
  for (let n = 0; n < 4; n++) await bareConnect(mysql)
  await eventually(async () => Number((await mysql.rows(`SELECT SUM_CONNECT_ERRORS AS errors FROM performance_schema.host_cache WHERE IP = '${STRANGER}'`))[0]?.['errors']) >= 3)
  return fromAfar(mysql)
}

/** Every account is for the server's own host only. */
const withoutStrangers: Spoil = async (mysql) => {
  const moved = await mysql.rows("SELECT user AS name FROM mysql.user WHERE host = '%'")
  const move = (from: string, to: string) => mysql.sql(`RENAME USER ${moved.map(({ name }) => `'${String(name)}'@'${from}' TO '${String(name)}'@'${to}'`).join(', ')}`)
  afterwards(() => move('localhost', '%'))
  await move('%', 'localhost')
  await mysql.sql('FLUSH PRIVILEGES')
  return fromAfar(mysql)
}

const wrongPasswords: Spoil = async (mysql) => {
  await mysql.sql(`CREATE USER IF NOT EXISTS guessed@'%' IDENTIFIED BY '${PASSWORD}' FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1`)
  await mysql.client({ user: 'guessed', password: 'a-guess' }).catch(() => {})
}

/** Read-only, with a heartbeat of an hour ago: had it been written to, that would be of now. */
const readOnly: Spoil = async (mysql) => {
  afterwards(() => mysql.sql('DELETE FROM probe.heartbeat'))
  await mysql.sql('DELETE FROM probe.heartbeat', `INSERT INTO probe.heartbeat (ts, server_id) VALUES ('${heartbeatTime(Date.now() - 3_600_000)}', 1)`)
  await setGlobal(mysql, 'read_only', 1)
}

/** A trigger puts something else into the heartbeat. */
const otherValue: Spoil = async (mysql) => {
  afterwards(() => mysql.sql('DROP TRIGGER IF EXISTS probe.altered', 'DELETE FROM probe.heartbeat'))
  await mysql.sql('DELETE FROM probe.heartbeat', "CREATE TRIGGER probe.altered BEFORE INSERT ON probe.heartbeat FOR EACH ROW SET NEW.ts = 'moonphase'")
}

const fullTable: Spoil = async (mysql) => {
  const filler = await hold(mysql)
  afterwards(() => filler.query('DROP TABLE probe.full'))
  await filler.query('SET SESSION max_heap_table_size = 16384')
  await filler.query('CREATE TABLE probe.full (ts varchar(26) NOT NULL, server_id int unsigned NOT NULL PRIMARY KEY) ENGINE = MEMORY')
  // What fits stays, and the rest is refused.
  await filler.query("INSERT INTO probe.full SELECT 'x', a.id * 1000 + b.id FROM shop.big a, shop.big b").catch(() => {})
}

const readOnlyInBetween: Spoil = async (mysql) => ({
  async meanwhile() {
    await busyFor(mysql)
    await setGlobal(mysql, 'read_only', 1)
  },
})

const sourceGone: Spoil = async (mysql) => {
  afterwards(() => mysql.sql('STOP REPLICA', 'RESET REPLICA ALL'))
  await mysql.sql(`CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${await freePort()}, SOURCE_USER = 'follower', SOURCE_PASSWORD = 'x'`, 'START REPLICA')
}

const stopped: Spoil = async (mysql) => {
  afterwards(() => mysql.process.child.kill('SIGCONT'))
  mysql.process.child.kill('SIGSTOP')
}

/** Each SELECT of the storm scans a table of 900 rows. */
const SCANS = [['probe_mysql_scan_ratio', 0.7, 1], ['probe_mysql_rows_read_without_index_per_select', 600, 1_000], ['probe_mysql_rows_read_without_index_per_second', 20_000, 1e9]] as const
const storms = [
  { fault: 'a storm of queries without an index, none of them slow', more: {}, verdict: 'ok' },
  { fault: 'the same storm, and fail_on names it', more: { limits: { scan_ratio: { critical: 0.2 } }, fail_on: ['scan_ratio'] }, verdict: 'failed assert/mismatch limit_exceeded' },
]

describe('mysql', () => {
  faultTable('mysql', [
    { fault: 'the server is full', ...at({}, (mysql) => crowd(mysql, 12)), expected: failed('connect', 'overloaded', 'mysql_1040') },
    { fault: 'it is nearly full', ...at({}, (mysql) => crowd(mysql, 7)), expected: ok({ probe_mysql_connections_ratio: [0.9, 1], probe_mysql_max_connections: 10 }) },
    { fault: 'it is nearly full, and fail_on names that', ...at({ limits: { connections_ratio: { critical: 0.8 } }, fail_on: ['connections_ratio'] }, (mysql) => crowd(mysql, 7)), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'the account has all connections it may have', ...at({ username: 'single' }, (mysql) => hold(mysql, { user: 'single', password: PASSWORD }).then(() => {})), expected: failed('auth', 'overloaded', 'mysql_1226') },
    { fault: 'the account has asked all it may ask in an hour', ...at({ username: 'rationed' }), expected: failed('auth', 'overloaded', 'mysql_1226') },
    { fault: 'a wrong password', ...at({ password: 'wrong-password' }), expected: failed('auth', 'denied', 'mysql_1045') },
    { fault: 'the account is locked', ...at({ username: 'locked' }), expected: failed('auth', 'denied', 'mysql_locked') },
    { fault: 'somebody guesses the password, which blocks the account', ...at({ username: 'guessed' }, wrongPasswords), expected: failed('auth', 'denied', 'mysql_blocked') },
    { fault: 'the password has expired', ...at({ username: 'expired' }), expected: failed('auth', 'expired', 'mysql_1862') },
    { fault: 'the database does not exist', ...at({ username: 'reader', database: 'nowhere' }), expected: failed('auth', 'not_found', 'mysql_1049') },
    { fault: 'the account may not see if it is a replica', ...at({ username: 'bare', ...HEARTBEAT }), expected: failed('auth', 'denied', 'mysql_1227') },
    { fault: 'broken connections have blocked our host', ...at({}, blocked), expected: failed('connect', 'denied', 'mysql_1129') },
    { fault: 'no account is for our host', ...at({}, withoutStrangers), expected: failed('auth', 'denied', 'mysql_1130') },
    { fault: 'the server wants TLS', ...at({}, setting('require_secure_transport', 1)), expected: failed('tls', 'denied', 'mysql_3159') },
    { fault: 'its certificate is of an unknown authority', ...at({ tls: true }), expected: failed('tls', 'untrusted', 'tls_unknown_ca') },
    { fault: 'its certificate is for another host', ...at({ tls: true, ca_file: caFile, server_name: 'other.test' }), expected: failed('tls', 'mismatch', 'tls_wrong_host') },
    { fault: 'it is in offline_mode', ...at({}, setting('offline_mode', 1)), expected: failed('request', 'unavailable', 'mysql_3032') },
    { fault: 'no room for prepared statements, queries as text go on', ...at({ prepare: false }, prepareTooMany), expected: ok({ probe_mysql_prepared_statements: 3, probe_mysql_prepared_statements_ratio: 1 }) },
    { fault: 'no room for prepared statements, and fail_on names that', ...at({ limits: { prepared_statements_ratio: { critical: 0.9 } }, fail_on: ['prepared_statements_ratio'] }, prepareTooMany), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'no room for prepared statements, and we prepare one', ...at({ prepare: true }, prepareTooMany), expected: failed('request', 'overloaded', 'mysql_1461') },
    { fault: 'read-only: it says so, and is not written to', ...at(HEARTBEAT, readOnly), expected: ok({ probe_mysql_read_only: 1, probe_mysql_heartbeat_age_seconds: [3_600, 3_700] }) },
    { fault: 'it becomes read-only before we write', ...at({ ...HEARTBEAT, query: 'SELECT SLEEP(0.8)' }, readOnlyInBetween), expected: failed('request', 'read_only', 'mysql_1290') },
    { fault: 'somebody holds a lock on the heartbeat', ...at({ ...HEARTBEAT, timeout: '1900ms' }, (mysql) => holdLock(mysql, 'BEGIN', 'SELECT * FROM probe.heartbeat FOR UPDATE')), expected: failed('request', 'timeout', 'mysql_1205') },
    { fault: 'a statement without end', ...at({ username: 'bare', query: ENDLESS, timeout: '1s' }), expected: failed('request', 'timeout', 'mysql_3024') },
    { fault: 'it is slow', ...at({ query: 'SELECT SLEEP(0.6)' }), expected: ok({ duration_seconds: [0.6, 2] }) },
    { fault: 'it is slow, and fail_on names that', ...at({ query: 'SELECT SLEEP(0.6)', limits: { duration: { critical: 0.5 } }, fail_on: ['duration'] }), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'the table does not exist', ...at({ username: 'bare', query: 'SELECT * FROM shop.nothing' }), expected: failed('request', 'not_found', 'mysql_1146') },
    { fault: 'the account may not read the table', ...at({ query: 'SELECT * FROM shop.big' }), expected: failed('auth', 'denied', 'mysql_1142') },
    { fault: 'an error that nobody has seen yet', ...at({ username: 'bare', query: 'CALL shop.invented()' }), expected: failed('request', 'other', 'mysql_other') },
    { fault: 'somebody kills our connection', ...at({ query: 'SELECT SLEEP(1.5)' }, async (mysql) => ({ meanwhile: async () => mysql.sql(`KILL ${await busyFor(mysql)}`) })), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'somebody kills our statement', ...at({ username: 'bare', query: ENDLESS }, async (mysql) => ({ meanwhile: async () => mysql.sql(`KILL QUERY ${await busyFor(mysql)}`) })), expected: failed('request', 'reset', 'mysql_1317') },
    { fault: 'the table of the heartbeat is full', ...at({ username: 'writer', heartbeat: { table: 'probe.full' } }, fullTable), expected: failed('request', 'full', 'mysql_1114') },
    { fault: 'it stores another value than we write', ...at(HEARTBEAT, otherValue), expected: failed('assert', 'mismatch', 'mysql_wrong_value') },
    { fault: 'what it replicates from is gone', ...at(NO_LAG, sourceGone), expected: ok({ probe_mysql_replication_running: 0 }) },
    { fault: 'the process is stopped', like: 'a port that waits for us to speak', ...at({ timeout: '1s' }, stopped), expected: failed('auth', 'timeout', 'auth_timeout') },
  ])

  ownRows('mysql', storms.map(({ fault, more, verdict }) => ({
    fault, expected: `${verdict}, ${SCANS.map(([name, least, most]) => `${name} ${least} to ${most}`).join(', ')}, slow queries 0`,
    look: () => underStorm(more), undo,
  })))
})

const looked = z.object({
  probe: z.object({
    status: z.string().nullable(),
    failure: z.object({ layer: z.string(), reason: z.string(), code: z.string() }).optional(),
    gauges: z.array(z.object({ name: z.string(), value: z.number().nullable() })),
  }),
})

/** What `curlew serve` says of the server in a storm: these gauges compare two runs over the same connection. */
async function underStorm(more: Entry): Promise<string> {
  const [busy, file] = [await hold(server, BARE), join(temporaryDirectory().path, 'curlew.yaml')]
  await busy.query('USE shop')
  const slow = async () => Number((await server.rows("SHOW GLOBAL STATUS LIKE 'Slow_queries'"))[0]?.['Value'])
  const slowBefore = await slow()
  writeFileSync(file, JSON.stringify({ probes: [{ name: 'fault', every: '800ms', timeout: '800ms', ...entryOf(server.port), ...more }] }))
  const served = await serveCurlew(['-c', file])
  afterwards(() => served.stop())
  let storming = true
  const storm = async () => { while (storming) await busy.query('SELECT COUNT(*) FROM big WHERE v = 7') }
  const blowing = storm()
  afterwards(() => { storming = false; return blowing })
  const { status, failure, gauges } = await eventually(async () => {
    const { probe } = looked.parse(JSON.parse((await served.get('/api/v1/probes/lookup?probe=fault')).text))
    // The run before may have been half in the calm.
    return probe.gauges.some(({ name, value }) => name === 'probe_mysql_scan_ratio' && value !== null && value >= 0.7) ? probe : undefined
  }, 6_000, 'a run in the storm')
  const levels = SCANS.map(([name, least, most]) => {
    const value = gauges.find((gauge) => gauge.name === name)?.value ?? undefined
    return value !== undefined && value >= least && value <= most ? `${name} ${least} to ${most}` : `${name} ${value ?? 'absent'}`
  })
  return [failure ? `${status} ${failure.layer}/${failure.reason} ${failure.code}` : status, ...levels, `slow queries ${await slow() - slowBefore}`].join(', ')
}
