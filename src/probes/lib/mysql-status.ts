import { ProbeFailure } from '../../core/probe.ts'
import type { MysqlClient, Row } from './mysql-client.ts'

/** What a server says of itself without any privilege. */
export interface Facts {
  readonly version: string
  /** One for each server behind an address: a failover shows in it. */
  readonly identity: string
  readonly readOnly: boolean
  readonly maxConnections: number | undefined
  readonly maxPreparedStatements: number | undefined
}

/** Channels or connections on which the server replicates from others, as one: all of them run, the one furthest behind. */
export interface Replication {
  readonly running: boolean
  /** Undefined when it is not known, which is what NULL means: something is broken. */
  readonly lagSeconds: number | undefined
}

/** Status variables by their lower-case names. `own` is what our own connection has added to them by its queries. */
export interface Counters {
  /** `performance.now()` of the reading. */
  readonly at: number
  readonly all: ReadonlyMap<string, number>
  readonly own: ReadonlyMap<string, number>
}

/** Seconds spent so far in statements, by their digest; `fresh` ones were first seen since the reading before. */
export type Digests = ReadonlyMap<string, { readonly seconds: number, readonly fresh: boolean }>

const COUNTED = ['Com_select', 'Select_scan', 'Handler_read_rnd_next']
const READ = ['Uptime', 'Threads_connected', 'Threads_running', 'Max_used_connections', 'Prepared_stmt_count', ...COUNTED]
/**
 * What one reading adds to the counters of the server: a SHOW STATUS scans what it shows and one row more, and is left out of
 * the session's own counters, in both products (measured on MySQL 9.7 and MariaDB 10.11).
 */
export const ADDED_BY_READING: Readonly<Record<string, number>> = { select_scan: 2, handler_read_rnd_next: READ.length + 1 + COUNTED.length + 1 }
/** Digests that are read: those seen since the reading before, costliest first. */
const MOST_DIGESTS = 100
/** How far back the first reading looks. */
const FIRST_LOOK_SECONDS = 60

/** Throws what the query throws. */
export async function readFacts(client: MysqlClient): Promise<Facts> {
  const [row] = await client.query(`SELECT @@version AS version, CONCAT(@@hostname, ':', @@port, '/', @@server_id) AS identity,
    @@global.read_only AS read_only, @@global.innodb_read_only AS innodb_read_only,
    @@global.max_connections AS max_connections, @@global.max_prepared_stmt_count AS max_prepared_stmt_count`)
  return {
    version: row?.get('version') ?? '',
    identity: row?.get('identity') ?? '',
    readOnly: [row?.get('read_only'), row?.get('innodb_read_only')].some((value) => value !== undefined && value !== null && !['0', 'OFF'].includes(value)),
    maxConnections: numberIn(row, 'max_connections'),
    maxPreparedStatements: numberIn(row, 'max_prepared_stmt_count'),
  }
}

/** Needs no privilege. The tables behind SHOW STATUS differ between the products, and MySQL's have no Com_ counters. */
export async function readCounters(client: MysqlClient): Promise<Counters> {
  const read = async (scope: string, names: readonly string[]) => {
    const rows = await client.query(`SHOW ${scope} STATUS WHERE Variable_name IN (${names.map((name) => `'${name}'`).join(', ')})`)
    return new Map(rows.flatMap((row) => {
      const value = numberIn(row, 'value')
      return value === undefined ? [] : [[(row.get('variable_name') ?? '').toLowerCase(), value] as const]
    }))
  }
  const all = await read('GLOBAL', READ)
  return { at: performance.now(), all, own: await read('SESSION', COUNTED) }
}

/**
 * `none` for a server that replicates from no other one. Needs REPLICATION CLIENT, in MariaDB SLAVE MONITOR; throws
 * `mysql_1227` without.
 */
export async function readReplication(client: MysqlClient): Promise<Replication | 'none'> {
  const rows = client.product() === 'mariadb' ? await client.query('SHOW ALL SLAVES STATUS') : await mysqlReplicas(client)
  if (rows.length === 0) return 'none'
  const channels = rows.map((row) => {
    const thread = (kind: string) => row.get(`replica_${kind}_running`) ?? row.get(`slave_${kind}_running`)
    const lag = numberIn(row, 'seconds_behind_source') ?? numberIn(row, 'seconds_behind_master')
    return { lag, running: thread('io') === 'Yes' && thread('sql') === 'Yes' && lag !== undefined }
  })
  const running = channels.every((channel) => channel.running)
  return { running, lagSeconds: running ? Math.max(...channels.map(({ lag }) => lag ?? 0)) : undefined }
}

/** The words changed in 8.0.22, and the old ones went in 8.4. */
async function mysqlReplicas(client: MysqlClient): Promise<readonly Row[]> {
  try {
    return await client.query('SHOW REPLICA STATUS')
  } catch (error) {
    if (error instanceof ProbeFailure && error.code === 'mysql_1064') return client.query('SHOW SLAVE STATUS')
    throw error
  }
}

/**
 * Statements that had a default database, as those of applications have; the probe's own have none. Needs SELECT on
 * performance_schema.events_statements_summary_by_digest; throws `mysql_1142` without. Empty where performance_schema is off.
 */
export async function readDigests(client: MysqlClient, secondsSince: number | undefined): Promise<Digests> {
  // MariaDB cuts the fraction of a second off.
  const start = `NOW(6) - INTERVAL ${Math.ceil(secondsSince ?? FIRST_LOOK_SECONDS) + 1} SECOND`
  const rows = await client.query(`SELECT DIGEST AS digest, SUM(SUM_TIMER_WAIT) / 1e12 AS seconds, MIN(FIRST_SEEN) >= ${start} AS fresh
    FROM performance_schema.events_statements_summary_by_digest
    WHERE DIGEST IS NOT NULL AND LAST_SEEN >= ${start} AND SCHEMA_NAME NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
    GROUP BY DIGEST ORDER BY seconds DESC LIMIT ${MOST_DIGESTS}`)
  return new Map(rows.map((row) => [row.get('digest') ?? '', { seconds: numberIn(row, 'seconds') ?? 0, fresh: row.get('fresh') === '1' }]))
}

function numberIn(row: Row | undefined, column: string): number | undefined {
  const text = row?.get(column)
  return text !== undefined && text !== null && /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined
}
