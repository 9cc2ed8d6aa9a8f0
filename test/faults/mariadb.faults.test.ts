import { afterAll, beforeAll, describe } from 'vitest'
import { heartbeatTime } from '../../src/probes/lib/mysql-heartbeat.ts'
import { makeCertificates } from '../support/certificates.ts'
import { afterwards, BARE, busyFor, ENDLESS, furnish, hold, holdLock, NO_LAG, on, PASSWORD, prepareTooMany, setGlobal, type Spoil } from '../support/mysql-faults.ts'
import { follow, startMysql, stopMysqlServers, type MysqlServer } from '../support/mysql-server.ts'
import { eventually } from '../support/process.ts'
import { failed, faultTable, ok } from './table.ts'

const { caFile, expired } = makeCertificates()
const HEARTBEAT = { heartbeat: { table: 'probe.heartbeat' } }
let source: MysqlServer
let replica: MysqlServer
const at = on(() => source)
const atReplica = on(() => replica)

beforeAll(async () => {
  // Without a certificate MariaDB 10.11 offers no TLS.
  ;[source, replica] = await Promise.all([startMysql('mariadb'), startMysql('mariadb', { id: 2, args: ['--read-only=1'], tls: expired })])
  await furnish(source)
  await follow(replica, source)
  await inStep()
}, 60_000)
afterAll(stopMysqlServers)

/** Waits until the replica has all that the source has. */
async function inStep(): Promise<void> {
  const [row] = await source.rows('SELECT @@gtid_binlog_pos AS pos')
  await eventually(async () => (await replica.rows(`SELECT MASTER_GTID_WAIT('${String(row?.['pos'])}', 0.2) AS missing`))[0]?.['missing'] === 0, 8_000, 'the replica in step with its source')
}

const ofReplication = async (name: string): Promise<unknown> => (await replica.rows('SHOW ALL SLAVES STATUS'))[0]?.[name]

/** A row that the replica has of its own is in the way of the source's. */
let orders = 0
const conflict: Spoil = async () => {
  const id = ++orders
  afterwards(async () => {
    await replica.sql(`DELETE FROM shop.orders WHERE id = ${id}`, 'START SLAVE')
    await inStep()
  })
  await replica.sql('SET SESSION sql_log_bin = 0', `INSERT INTO shop.orders VALUES (${id})`)
  await source.sql(`INSERT INTO shop.orders VALUES (${id})`)
  await eventually(async () => await ofReplication('Slave_SQL_Running') === 'No')
}

/** A transaction on the replica holds up what it has to apply, for a second so far. */
const behind: Spoil = async () => {
  afterwards(inStep)
  await holdLock(replica, 'BEGIN', 'SELECT * FROM shop.big WHERE id = 1 FOR UPDATE')
  await source.sql('UPDATE shop.big SET v = v + 1 WHERE id = 1')
  await eventually(async () => Number(await ofReplication('Seconds_Behind_Master')) >= 1)
}

const oldHeartbeat: Spoil = async () => {
  await source.sql('DELETE FROM probe.heartbeat', `INSERT INTO probe.heartbeat (ts, server_id) VALUES ('${heartbeatTime(Date.now() - 3_600_000)}', 1)`)
  await inStep()
}

/** A plugin for logins that the replica does not have. */
const otherPlugin: Spoil = async (server) => {
  const root = await hold(server)
  await root.query('SET SESSION sql_log_bin = 0')
  await root.query("INSTALL SONAME 'auth_ed25519'")
  await root.query(`CREATE USER modern@'%' IDENTIFIED VIA ed25519 USING PASSWORD('${PASSWORD}')`)
}

const brokenInit: Spoil = async (server) => {
  afterwards(() => server.sql("SET GLOBAL init_connect = ''"))
  await server.sql("SET GLOBAL init_connect = 'SELECT * FROM no.where'")
}

const onlyOneEach: Spoil = async (server) => {
  await setGlobal(server, 'max_user_connections', 1)
  await hold(server, BARE)
}

describe('mariadb', () => {
  faultTable('mariadb', [
    { fault: 'nobody may have more connections', ...at({ username: 'bare' }, onlyOneEach), expected: failed('auth', 'overloaded', 'mysql_1203') },
    { fault: 'the account does not exist', like: 'a wrong password', ...at({ username: 'nobody' }), expected: failed('auth', 'denied', 'mysql_1045') },
    { fault: 'the account wants TLS', like: 'a wrong password', ...at({ username: 'secured' }), expected: failed('auth', 'denied', 'mysql_1045') },
    { fault: 'the account is locked', ...at({ username: 'locked' }), expected: failed('auth', 'denied', 'mysql_locked') },
    { fault: 'the password has expired', ...at({ username: 'expired' }), expected: failed('auth', 'expired', 'mysql_1820') },
    { fault: 'the account logs in by a plugin that is not spoken', ...at({ username: 'modern' }, otherPlugin), expected: failed('auth', 'unsupported', 'mysql_auth_plugin') },
    { fault: 'the database does not exist', like: 'one that the account may not use', ...at({ database: 'nowhere' }), expected: failed('auth', 'not_found', 'mysql_1044') },
    { fault: 'it is asked for TLS, and has none', ...at({ tls: true, ca_file: caFile }), expected: failed('tls', 'protocol', 'tls_plain_port') },
    { fault: 'its certificate has expired', ...atReplica({ tls: true, ca_file: caFile }), expected: failed('tls', 'expired', 'tls_expired') },
    { fault: 'no room for prepared statements, and we prepare one', ...at({ prepare: true }, prepareTooMany), expected: failed('request', 'overloaded', 'mysql_1461') },
    { fault: 'a statement without end', ...at({ username: 'bare', query: ENDLESS, timeout: '1s' }), expected: failed('request', 'timeout', 'mysql_1969') },
    { fault: 'an ALTER TABLE holds the table', ...at({ username: 'bare', query: 'SELECT COUNT(*) FROM shop.big' }, (server) => holdLock(server, 'LOCK TABLES shop.big WRITE')), expected: failed('request', 'timeout', 'mysql_1205') },
    { fault: 'an error that nobody has seen yet', ...at({ username: 'bare', query: 'CALL shop.invented()' }), expected: failed('request', 'other', 'mysql_other') },
    { fault: 'replication is broken', ...atReplica(NO_LAG, conflict), expected: ok({ probe_mysql_replication_running: 0 }) },
    { fault: 'replication is broken, and fail_on names that', ...atReplica({ limits: { replication_running: { critical: 1 } }, fail_on: ['replication_running'] }, conflict), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'the statement of init_connect fails', ...at({ username: 'bare' }, brokenInit), expected: failed('auth', 'unavailable', 'mysql_1184') },
    { fault: 'the replica is behind', ...atReplica({}, behind), expected: ok({ probe_mysql_replication_running: 1, probe_mysql_replication_lag_seconds: [1, 60] }) },
    { fault: 'the replica is behind, and fail_on names that', ...atReplica({ limits: { replication_lag: { critical: 0.5 } }, fail_on: ['replication_lag'] }, behind), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'the heartbeat is old', ...atReplica(HEARTBEAT, oldHeartbeat), expected: ok({ probe_mysql_read_only: 1, probe_mysql_heartbeat_age_seconds: [3_600, 3_700] }) },
    { fault: 'the heartbeat is old, and fail_on names that', ...atReplica({ ...HEARTBEAT, limits: { heartbeat_age: { critical: 60 } }, fail_on: ['heartbeat_age'] }, oldHeartbeat), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    // The last row: the replica does not come back.
    { fault: 'the server is killed while it works', ...atReplica({ query: 'SELECT SLEEP(1.5)' }, async (server) => ({ meanwhile: async () => { await busyFor(server); server.process.child.kill('SIGKILL') } })), expected: failed('request', 'reset', 'request_reset') },
  ])
})
