import type { Connection } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../src/core/probe.ts'
import type { ProbeResult } from '../../src/core/result.ts'
import { runJob } from '../../src/core/run.ts'
import { heartbeatId } from '../../src/probes/lib/mysql-heartbeat.ts'
import { mysql } from '../../src/probes/mysql.ts'
import { makeCertificates } from '../support/certificates.ts'
import { bareConnect, follow, sqlOfManual, startMysql, stopMysqlServers, STRANGER, strangersWay, type MysqlServer, type Product } from '../support/mysql-server.ts'
import { eventually } from '../support/process.ts'
import type { TestServer } from '../support/tcp.ts'
import { gaugeOf, jobOf } from './contract.ts'

const { caFile, good, expired } = makeCertificates()
const PASSWORD = 'change-me'
const HEARTBEAT = { heartbeat: { table: 'probe.heartbeat' } }
const EVERY_GAUGE = Object.keys(mysql.gauges).filter((name) => name.startsWith('probe_mysql_'))

const servers = new Map<Product, { source: MysqlServer, replica: MysqlServer }>()
const jobs: Job[] = []
const held: Connection[] = []
const relays: TestServer[] = []

beforeAll(async () => {
  await Promise.all((['mysql', 'mariadb'] as const).map(async (product) => {
    const [source, replica] = await Promise.all([startMysql(product, { tls: good }), startMysql(product, { id: 2, args: ['--read-only=1'], tls: expired })])
    servers.set(product, { source, replica })
    // What the manual says, word by word; the replica gets it from its source.
    for (const block of sqlOfManual(product)) await source.sql(block)
    await source.sql(
      'CREATE DATABASE shop; CREATE TABLE shop.big (id int PRIMARY KEY, v int)', `INSERT INTO shop.big WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i FROM n`,
      "CREATE USER locked@'%' IDENTIFIED BY 'change-me' ACCOUNT LOCK; CREATE USER expired@'%' IDENTIFIED BY 'change-me' PASSWORD EXPIRE; CREATE USER secured@'%' IDENTIFIED BY 'change-me' REQUIRE SSL",
      "CREATE USER single@'%' IDENTIFIED BY 'change-me' WITH MAX_USER_CONNECTIONS 1; CREATE USER bare@'%' IDENTIFIED BY 'change-me'; GRANT SELECT, INSERT, UPDATE ON probe.* TO bare@'%'; GRANT SELECT ON shop.* TO bare@'%'",
    )
    await follow(replica, source)
  }))
}, 60_000)

afterEach(async () => {
  for (const job of jobs.splice(0)) job.release()
  for (const connection of held.splice(0)) connection.destroy()
  await Promise.all(relays.splice(0).map((relay) => relay.close()))
})
afterAll(stopMysqlServers)

/** A job whose runs follow each other, as the scheduler would run it. */
function jobFor({ port }: { readonly port: number }, entry: Record<string, unknown> = {}): () => Promise<ProbeResult> {
  const job = jobOf(mysql, { target: `127.0.0.1:${port}`, username: 'prober', password: PASSWORD, timeout: '4s', ...entry })
  jobs.push(job)
  return async () => {
    const result = await runJob(job, { signal: new AbortController().signal, instance: 'test', lateSince: () => 0, lateBoundMs: 500 })
    expect(JSON.stringify(result)).not.toContain(PASSWORD)
    return result
  }
}

const probe = (server: { readonly port: number }, entry: Record<string, unknown> = {}) => jobFor(server, entry)()
const failedWith = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const roleOf = (result: ProbeResult) => result.gauges.find(({ name }) => name === 'probe_mysql_info')?.labels?.['role']
const ownRows = (server: MysqlServer) => server.rows("SELECT ID AS id, COMMAND AS command, STATE AS state FROM information_schema.PROCESSLIST WHERE USER IN ('prober', 'bare')")

describe.each(['mysql', 'mariadb'] as const)('%s', (product) => {
  let source: MysqlServer
  let replica: MysqlServer
  beforeAll(() => {
    const pair = servers.get(product)
    if (!pair) throw new Error('not started')
    ;({ source, replica } = pair)
  })

  /** Sets a global variable for the time of `work`. */
  async function withGlobal<T>(server: MysqlServer, name: string, value: string, work: () => Promise<T>): Promise<T> {
    const [before] = await server.rows(`SELECT @@global.${name} AS was`)
    await server.sql(`SET GLOBAL ${name} = ${value}`)
    try {
      return await work()
    } finally {
      await server.sql(`SET GLOBAL ${name} = ${String(before?.['was'])}`)
    }
  }
  const hold = async (server: MysqlServer, user?: { user: string, password: string }) => {
    const connection = await server.client(user)
    held.push(connection)
    return connection
  }

  it('is ok, and exports every gauge with the grants of the manual', async () => {
    const runs = jobFor(source, { ...HEARTBEAT, prepare: true })
    const onReplica = jobFor(replica, HEARTBEAT)
    const first = await runs()
    expect(first).toMatchObject({ status: 'ok' })
    expect(first.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'auth', 'request', 'status'])
    expect(gaugeOf(first, 'probe_mysql_scan_ratio')).toBeUndefined()
    await eventually(async () => {
      await onReplica()
      return (await replica.rows('SELECT * FROM probe.heartbeat')).length > 0
    }, 5_000, 'the heartbeat on the replica')

    const busy = await hold(source)
    await busy.query('USE shop')
    for (let n = 0; n < 40; n++) await busy.query(`SELECT COUNT(*) FROM big WHERE v = ${n}`)
    const results = [await runs(), await onReplica()]
    for (const result of results) expect(result).toMatchObject({ status: 'ok' })
    const [onSource, following] = results as [ProbeResult, ProbeResult]
    expect(new Set(results.flatMap(({ gauges }) => gauges.map(({ name }) => name)).filter((name) => name.startsWith('probe_mysql_')))).toEqual(new Set(EVERY_GAUGE))

    expect(onSource.gauges.find(({ name }) => name === 'probe_mysql_info')?.labels).toEqual({ product, role: 'primary', version: expect.stringMatching(/^\d+\.\d+/) })
    for (const name of ['read_only', 'prepared_statements', 'prepared_statements_ratio', 'prepared_statements_leak_per_second']) expect(gaugeOf(onSource, `probe_mysql_${name}`), name).toBe(0)
    expect(gaugeOf(onSource, 'probe_mysql_uptime_seconds')).toBeGreaterThanOrEqual(0)
    for (const name of ['threads_connected', 'max_used_connections', 'threads_running', 'max_prepared_statements', 'connections_ratio']) expect(gaugeOf(onSource, `probe_mysql_${name}`), name).toBeGreaterThan(0)
    expect(gaugeOf(onSource, 'probe_mysql_status_read')).toBe(1)
    // The storm: 40 SELECTs of 900 rows each, among a handful of others.
    expect(gaugeOf(onSource, 'probe_mysql_rows_read_without_index_per_select')).toBeGreaterThan(600)
    expect(gaugeOf(onSource, 'probe_mysql_rows_read_without_index_per_second')).toBeGreaterThan(1_000)
    expect(gaugeOf(onSource, 'probe_mysql_scan_ratio')).toBeGreaterThan(0.7)
    expect(gaugeOf(onSource, 'probe_mysql_costliest_digest_share')).toBeGreaterThan(0.5)
    const digest = onSource.gauges.find(({ name }) => name === 'probe_mysql_costliest_digest_share')?.labels?.['digest']
    expect(String((await source.rows(`SELECT DIGEST_TEXT AS text FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST = '${digest}'`))[0]?.['text'])).toContain('big')
    for (const name of ['replication_running', 'replication_lag_seconds', 'heartbeat_age_seconds']) expect(gaugeOf(onSource, `probe_mysql_${name}`), name).toBeUndefined()

    expect(roleOf(following)).toBe('replica')
    expect(gaugeOf(following, 'probe_mysql_read_only')).toBe(1)
    expect(gaugeOf(following, 'probe_mysql_replication_running')).toBe(1)
    expect(gaugeOf(following, 'probe_mysql_replication_lag_seconds')).toBeGreaterThanOrEqual(0)
    expect(gaugeOf(following, 'probe_mysql_heartbeat_age_seconds')).toBeLessThan(10)
  })

  it('sees only the others: on a quiet server nothing is scanned', async () => {
    const runs = jobFor(source)
    await runs()
    await runs()
    const result = await runs()
    expect(gaugeOf(result, 'probe_mysql_scan_ratio')).toBe(0)
    expect(gaugeOf(result, 'probe_mysql_rows_read_without_index_per_select')).toBe(0)
    expect(gaugeOf(result, 'probe_mysql_rows_read_without_index_per_second')).toBe(0)
    expect(gaugeOf(result, 'probe_mysql_costliest_digest_share')).toBeUndefined()
  })

  it('keeps one row and one connection, whose end it survives', async () => {
    await source.sql('DELETE FROM probe.heartbeat')
    const runs = jobFor(source, HEARTBEAT)
    for (let n = 0; n < 3; n++) expect(await runs()).toMatchObject({ status: 'ok' })
    const rows = await source.rows('SELECT server_id FROM probe.heartbeat')
    expect(rows).toEqual([{ server_id: heartbeatId(`test:${jobs.at(-1)?.id}`) }])
    // Commands that run once beside a server leave nothing new. One after the other: the account has three connections.
    for (const once of ['one', 'two']) {
      expect(await runJob(jobs.at(-1)!, { signal: new AbortController().signal, instance: 'test', once, lateSince: () => 0, lateBoundMs: 500 })).toMatchObject({ status: 'ok' })
    }
    expect(await source.rows('SELECT server_id FROM probe.heartbeat')).toEqual(rows)
    const [kept, ...more] = await eventually(async () => {
      const list = await ownRows(source)
      return list.length === 1 ? list : undefined
    })
    expect(more).toEqual([])
    await source.sql(`KILL ${String(kept?.['id'])}`)
    await eventually(async () => (await ownRows(source)).length === 0)
    const next = await runs()
    expect(next).toMatchObject({ status: 'ok' })
    expect(gaugeOf(next, 'probe_mysql_status_read')).toBe(1)
    expect((await ownRows(source)).map(({ id }) => id)).not.toContain(kept?.['id'])
    jobs.at(-1)?.release()
    await eventually(async () => (await ownRows(source)).length === 0, 2_000, 'the end of the kept connection')
  })

  it('autocommit is off: the heartbeat is there all the same, and the kept connection holds nothing', async () => {
    await withGlobal(source, 'autocommit', '0', async () => {
      await source.sql('DELETE FROM probe.heartbeat; COMMIT')
      const runs = jobFor(source, HEARTBEAT)
      for (let n = 0; n < 2; n++) expect(await runs()).toMatchObject({ status: 'ok' })
      expect(await source.rows('SELECT server_id FROM probe.heartbeat')).toHaveLength(1)
      expect(await source.rows('SELECT trx_mysql_thread_id AS id FROM information_schema.INNODB_TRX')).toEqual([])
    })
  })

  it('outlives a short wait_timeout: the rates are there, and no client is counted as aborted', async () => {
    await withGlobal(source, 'wait_timeout', '1', async () => {
      const aborted = () => source.rows("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
      const runs = jobFor(source)
      expect(await runs()).toMatchObject({ status: 'ok' })
      const before = await aborted()
      await eventually(async () => (await source.rows("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'prober' AND TIME >= 2")).length === 1, 4_000, 'two idle seconds')
      expect(gaugeOf(await runs(), 'probe_mysql_prepared_statements_leak_per_second')).toBeDefined()
      expect(await aborted()).toEqual(before)
    })
  })

  it('lacks the privileges: ok, without the gauges they are for; but nothing is written then', async () => {
    const runs = jobFor(source, { username: 'bare' })
    await runs()
    const result = await runs()
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_mysql_status_read')).toBe(1)
    expect(gaugeOf(result, 'probe_mysql_threads_connected')).toBeGreaterThan(0)
    expect(roleOf(result)).toBe('writable')
    expect(gaugeOf(result, 'probe_mysql_costliest_digest_share')).toBeUndefined()
    expect(await probe(source, { username: 'bare', ...HEARTBEAT })).toMatchObject(failedWith('auth', 'denied', 'mysql_1227'))
    expect(await probe(source, { username: 'bare', ...HEARTBEAT, mode: 'read-only' })).toMatchObject({ status: 'ok' })
  })

  it.each<[string, Record<string, unknown>, object]>([
    ['a wrong password', { password: 'wrong-password' }, failedWith('auth', 'denied', 'mysql_1045')],
    ['an unknown user', { username: 'nobody' }, failedWith('auth', 'denied', 'mysql_1045')],
    ['an account for TLS only', { username: 'secured' }, failedWith('auth', 'denied', 'mysql_1045')],
    ['a locked account', { username: 'locked' }, failedWith('auth', 'denied', 'mysql_locked')],
    ['an unknown database', { database: 'nowhere' }, { status: 'failed', failure: { layer: 'auth', reason: 'not_found', code: expect.stringMatching(/^mysql_10(44|49)$/) } }],
    ['a query without a table', { query: 'SELECT * FROM shop.nothing', username: 'prober' }, failedWith('auth', 'denied', 'mysql_1142')],
    ['a query that is none', { query: 'SELEKT 1' }, failedWith('request', 'unsupported', 'mysql_1064')],
    ['a query that writes', { query: 'DELETE FROM probe.heartbeat WHERE server_id = 0', username: 'bare' }, { status: 'failed' }],
    ['a database that may be used', { database: 'probe', query: 'SELECT COUNT(*) FROM heartbeat' }, { status: 'ok' }],
  ])('%s', async (_name, entry, expected) => {
    expect(await probe(source, entry)).toMatchObject(expected)
  })

  it('a query is run in a read-only transaction', async () => {
    expect(await probe(source, { username: 'bare', query: "INSERT INTO probe.heartbeat (ts, server_id) VALUES ('x', 7)" })).toMatchObject(failedWith('request', 'read_only', 'mysql_1792'))
    expect(await source.rows('SELECT * FROM probe.heartbeat WHERE server_id = 7')).toEqual([])
  })

  it('an expired password', async () => {
    expect(await probe(source, { username: 'expired' })).toMatchObject(failedWith('auth', 'expired', product === 'mysql' ? 'mysql_1862' : 'mysql_1820'))
  })

  it('full: connect/overloaded, and the kept connection still says why', async () => {
    const runs = jobFor(source)
    expect(await runs()).toMatchObject({ status: 'ok' })
    await withGlobal(source, 'max_connections', '10', async () => {
      for (;;) {
        const more = await hold(source, { user: 'bare', password: PASSWORD }).catch(() => undefined)
        if (!more) break
      }
      const result = await runs()
      expect(result).toMatchObject(failedWith('connect', 'overloaded', 'mysql_1040'))
      expect(gaugeOf(result, 'probe_mysql_status_read')).toBe(1)
      expect(gaugeOf(result, 'probe_mysql_connections_ratio')).toBeGreaterThanOrEqual(1)
      expect(gaugeOf(result, 'probe_mysql_max_connections')).toBe(10)
    })
  })

  it('a limit of the account, and one of all accounts', async () => {
    await hold(source, { user: 'single', password: PASSWORD })
    expect(await probe(source, { username: 'single' })).toMatchObject(failedWith('auth', 'overloaded', 'mysql_1226'))
    await withGlobal(source, 'max_user_connections', '1', async () => {
      await hold(source, { user: 'bare', password: PASSWORD })
      expect(await probe(source, { username: 'bare' })).toMatchObject(failedWith('auth', 'overloaded', 'mysql_1203'))
    })
  })

  it('no room for prepared statements: the text is well, the binary protocol is not, and the gauge shows it', async () => {
    const leaking = await hold(source)
    for (let n = 0; n < 5; n++) await leaking.prepare(`SELECT ${n}`)
    const runs = jobFor(source)
    await withGlobal(source, 'max_prepared_stmt_count', '6', async () => {
      await runs()
      await leaking.prepare('SELECT 6')
      const result = await runs()
      expect(result).toMatchObject({ status: 'ok' })
      expect(gaugeOf(result, 'probe_mysql_prepared_statements_ratio')).toBe(1)
      expect(gaugeOf(result, 'probe_mysql_prepared_statements_leak_per_second')).toBeGreaterThan(0)
      expect(await probe(source, { prepare: true })).toMatchObject(failedWith('request', 'overloaded', 'mysql_1461'))
    })
  })

  it('TLS wanted by the server', async () => {
    await withGlobal(source, 'require_secure_transport', '1', async () => {
      expect(await probe(source)).toMatchObject(product === 'mysql' ? failedWith('tls', 'denied', 'mysql_3159') : { status: 'failed', failure: { code: expect.stringMatching(/^mysql_(3159|1045)$/) } })
      expect(await probe(source, { tls: true, ca_file: caFile })).toMatchObject({ status: 'ok' })
    })
  })

  it('TLS: works, shows the certificate, and names what is wrong with one', async () => {
    const tls = { tls: true, ca_file: caFile }
    const result = await probe(source, { ...tls, username: 'secured', status: false })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'auth', 'tls', 'request'])
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(Date.now() / 1000)
    expect(await probe(source, { tls: true })).toMatchObject(failedWith('tls', 'untrusted', 'tls_unknown_ca'))
    const cases = [[source, { server_name: 'other.test' }, 'mismatch', 'tls_wrong_host'], [replica, {}, 'expired', 'tls_expired']] as const
    for (const [server, more, reason, code] of cases) {
      const refused = await probe(server, { ...tls, ...more })
      expect(refused).toMatchObject(failedWith('tls', reason, code))
      expect(gaugeOf(refused, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(0)
      expect(await probe(server, { ...tls, ...more, insecure_skip_verify: true })).toMatchObject({ status: 'ok' })
    }
  })

  it('read-only without a source: not written to, and the age of the heartbeat is exported', async () => {
    await source.sql('DELETE FROM probe.heartbeat', "INSERT INTO probe.heartbeat (ts, server_id) VALUES ('2020-01-01T00:00:00.000000', 1)")
    await withGlobal(source, 'read_only', '1', async () => {
      const result = await probe(source, HEARTBEAT)
      expect(result).toMatchObject({ status: 'ok' })
      expect(roleOf(result)).toBe('read-only')
      expect(gaugeOf(result, 'probe_mysql_read_only')).toBe(1)
      expect(gaugeOf(result, 'probe_mysql_heartbeat_age_seconds')).toBeGreaterThan(86_400 * 365)
      expect(await source.rows('SELECT server_id FROM probe.heartbeat')).toEqual([{ server_id: 1 }])
    })
    const limited = await probe(source, { ...HEARTBEAT, mode: 'read-only', limits: { heartbeat_age: { critical: 60 } }, fail_on: ['heartbeat_age'] })
    expect(limited).toMatchObject(failedWith('assert', 'mismatch', 'limit_exceeded'))
  })

  it('a replica whose thread stands still does not run, and its lag is not 0; a writable one is not written to either', async () => {
    await withGlobal(replica, 'read_only', '0', async () => {
      await replica.sql(product === 'mysql' ? 'STOP REPLICA SQL_THREAD' : 'STOP SLAVE SQL_THREAD', 'SET SESSION sql_log_bin = 0', 'DELETE FROM probe.heartbeat')
      const result = await probe(replica, HEARTBEAT)
      expect(result).toMatchObject({ status: 'ok' })
      expect(roleOf(result)).toBe('replica')
      expect(gaugeOf(result, 'probe_mysql_read_only')).toBe(0)
      expect(gaugeOf(result, 'probe_mysql_replication_running')).toBe(0)
      expect(gaugeOf(result, 'probe_mysql_replication_lag_seconds')).toBeUndefined()
      expect(gaugeOf(result, 'probe_mysql_heartbeat_age_seconds')).toBeUndefined()
      expect(await replica.rows('SELECT * FROM probe.heartbeat')).toEqual([])
      // Who may not see that it is a replica does not take it for a primary.
      for (const blind of [{ username: 'bare' }, { status: false }]) expect(roleOf(await probe(replica, blind))).toBe('writable')
    })
    // Nor for one that has been left read-only.
    for (const blind of [{ username: 'bare' }, { status: false }]) expect(roleOf(await probe(replica, blind))).toBe('unknown')
    await replica.sql(product === 'mysql' ? 'START REPLICA SQL_THREAD' : 'START SLAVE SQL_THREAD')
    await eventually(async () => gaugeOf(await probe(replica), 'probe_mysql_replication_running') === 1, 5_000, 'replication')
  })

  it('a lock on the row, and a query without end: the server is told before the run ends, and nothing is left there', async () => {
    const runs = jobFor(source, { ...HEARTBEAT, timeout: '1600ms' })
    expect(await runs()).toMatchObject({ status: 'ok' })
    const locker = await hold(source)
    await locker.query('BEGIN')
    await locker.query('SELECT * FROM probe.heartbeat FOR UPDATE')
    const endless = 'SELECT COUNT(*) FROM big a, big b, big c WHERE a.v + b.v + c.v = 0'
    const [locked, slow] = await Promise.all([runs(), probe(source, { query: endless, username: 'bare', database: 'shop', timeout: '1200ms', status: false })])
    expect(locked).toMatchObject(failedWith('request', 'timeout', 'mysql_1205'))
    expect(gaugeOf(locked, 'probe_mysql_threads_connected')).toBeGreaterThan(0)
    expect(slow).toMatchObject(failedWith('request', 'timeout', product === 'mysql' ? 'mysql_3024' : 'mysql_1969'))
    await eventually(async () => (await ownRows(source)).every(({ command }) => command === 'Sleep'), 2_000, 'the end of every statement')
  })

  const counted = async () => Number((await source.rows(`SELECT SUM_CONNECT_ERRORS AS errors FROM performance_schema.host_cache WHERE IP = '${STRANGER}'`))[0]?.['errors'])

  it('blocked: connect/denied', async () => {
    const way = await strangersWay(source)
    relays.push(way)
    await withGlobal(source, 'max_connect_errors', '3', async () => {
      expect(await probe(way, { status: false })).toMatchObject({ status: 'ok' })
      for (let n = 0; n < 4; n++) await bareConnect(source)
      await eventually(async () => await counted() >= 3, 5_000, 'the server to have counted them')
      expect(await probe(way, { status: false })).toMatchObject(failedWith('connect', 'denied', 'mysql_1129'))
      await source.sql(product === 'mysql' ? 'TRUNCATE TABLE performance_schema.host_cache' : 'FLUSH HOSTS')
      expect(await probe(way, { status: false })).toMatchObject({ status: 'ok' })
    })
  })

  it('is not brought to block us: runs that fail by password, certificate, late greeting or a server that stands still count for nothing', async () => {
    let late = 0
    const way = await strangersWay(source, () => late)
    relays.push(way)
    const known = jobFor(way, { timeout: '500ms', status: false })
    expect(await known()).toMatchObject({ status: 'ok' })

    for (let n = 0; n < 5; n++) {
      expect(await probe(way, { password: 'wrong-password' })).toMatchObject({ failure: { code: 'mysql_1045' } })
      expect(await probe(way, { tls: true })).toMatchObject({ failure: { code: 'tls_unknown_ca' } })
    }
    expect(await counted()).toBe(0)

    // A server that looks for its client's name in vain: the login goes on behind the run.
    late = 700
    for (let n = 0; n < 3; n++) expect(await known()).toMatchObject(failedWith('auth', 'timeout', 'auth_timeout'))
    await eventually(() => way.open() === 0, 5_000, 'the end of late logins')
    expect(await counted()).toBe(0)
    // Without having seen it well nobody waits for it, and it counts.
    expect(await probe(way, { timeout: '400ms' })).toMatchObject(failedWith('auth', 'timeout', 'auth_timeout'))
    await eventually(async () => await counted() === 1)
    late = 0
    expect(await known()).toMatchObject({ status: 'ok' })
    expect(await counted()).toBe(0)

    source.process.child.kill('SIGSTOP')
    const stopped = await Promise.all(Array.from({ length: 10 }, () => probe(way, { timeout: '400ms' })))
    const direct = await probe(source, { timeout: '400ms' })
    source.process.child.kill('SIGCONT')
    for (const result of [...stopped, direct]) expect(result).toMatchObject(failedWith('auth', 'timeout', 'auth_timeout'))
    await eventually(() => way.open() === 0)
    expect(await counted()).toBe(0)
    expect(await known()).toMatchObject({ status: 'ok' })
  })
})

it('a plugin that is not spoken is refused without hanging up', async () => {
  const { source } = servers.get('mariadb') ?? {}
  if (!source) throw new Error('not started')
  await source.sql("INSTALL SONAME 'auth_ed25519'; CREATE USER modern@'%' IDENTIFIED VIA ed25519 USING PASSWORD('change-me')")
  const way = await strangersWay(source)
  relays.push(way)
  expect(await probe(way)).toMatchObject({ status: 'ok' })
  expect(await probe(way, { username: 'modern' })).toMatchObject({ status: 'failed', failure: { layer: 'auth', reason: 'unsupported', code: 'mysql_auth_plugin', message: expect.stringContaining('client_ed25519') } })
  expect(await source.rows(`SELECT CAST(SUM_CONNECT_ERRORS AS INT) AS errors FROM performance_schema.host_cache WHERE IP = '${STRANGER}'`)).toEqual([{ errors: 0 }])
})
