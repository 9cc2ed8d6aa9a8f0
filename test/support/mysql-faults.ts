import type { Connection } from 'mysql2/promise'
import type { Entry, Fault, Trial } from '../faults/table.ts'
import { sqlOfManual, strangersWay, type MysqlServer } from './mysql-server.ts'
import { eventually } from './process.ts'

/** The password of every account that is made here. */
export const PASSWORD = 'change-me'
/** Has no right to see the server's status, but may read the database `shop`. */
export const BARE = { user: 'bare', password: PASSWORD }
/** A query of three minutes that leaves the machine alone, so that the server is not late to end it. */
export const ENDLESS = 'SELECT COUNT(*) FROM shop.big WHERE SLEEP(0.2) = 0'
/** Only a lag that is not there is within this limit: 0 would fail. */
export const NO_LAG = { limits: { replication_lag: { critical: -1 } }, fail_on: ['replication_lag'] }

const undoing: (() => unknown)[] = []

/** Has `undo` do this too, before what it was told earlier. */
export function afterwards(step: () => unknown): void {
  undoing.push(step)
}

/** Undoes all faults that were made here. */
export async function undo(): Promise<void> {
  for (const step of undoing.splice(0).reverse()) await step()
}

/** Does something to a server; may say on which port it is then to be reached, and what happens while Curlew looks. */
export type Spoil = (server: MysqlServer) => Promise<Partial<{ readonly port: number, readonly meanwhile: Trial['meanwhile'] }> | void>

/** How rows about a server are made: by what is done to it, and how it is probed. */
export function on(target: () => MysqlServer): (more?: Entry, spoil?: Spoil) => Pick<Fault, 'make' | 'undo'> {
  return (more = {}, spoil = async () => {}) => ({
    async make() {
      const server = target()
      const { port = server.port, ...rest } = await spoil(server) ?? {}
      return { probe: { ...entryOf(port), ...more }, ...rest }
    },
    undo,
  })
}

/** An entry of the config for the account of the manual. */
export function entryOf(port: number): Entry {
  return { type: 'mysql', target: `127.0.0.1:${port}`, username: 'prober', password: PASSWORD }
}

/** The manual's account and heartbeat, a shop of 900 rows, and accounts that something is wrong with. */
export async function furnish(server: MysqlServer): Promise<void> {
  const account = (name: string, what = '') => `CREATE USER ${name}@'%' IDENTIFIED BY '${PASSWORD}' ${what}`
  await server.sql(
    ...sqlOfManual(server.product),
    'CREATE DATABASE shop; CREATE TABLE shop.big (id int PRIMARY KEY, v int); CREATE TABLE shop.orders (id int PRIMARY KEY)',
    'INSERT INTO shop.big WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i FROM n',
    "CREATE PROCEDURE shop.invented() SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31999, MESSAGE_TEXT = 'what nobody has seen yet'",
    account('bare'), "GRANT SELECT, EXECUTE ON shop.* TO bare@'%'; GRANT SELECT, INSERT, UPDATE ON probe.* TO bare@'%'",
    account('locked', 'ACCOUNT LOCK'), account('expired', 'PASSWORD EXPIRE'), account('secured', 'REQUIRE SSL'),
    account('single', 'WITH MAX_USER_CONNECTIONS 1'), account('rationed', 'WITH MAX_QUERIES_PER_HOUR 1'),
    account('reader'), "GRANT SELECT ON *.* TO reader@'%'",
    account('writer'), `GRANT ${server.product === 'mysql' ? 'REPLICATION CLIENT' : 'SLAVE MONITOR'} ON *.* TO writer@'%'; GRANT SELECT, INSERT, UPDATE ON probe.* TO writer@'%'`,
  )
}

export async function setGlobal(server: MysqlServer, name: string, value: string | number): Promise<void> {
  const [before] = await server.rows(`SELECT @@global.${name} AS was`)
  afterwards(() => server.sql(`SET GLOBAL ${name} = ${String(before?.['was'])}`))
  await server.sql(`SET GLOBAL ${name} = ${value}`)
}

/** A connection that is open until `undo`: root's, unless told whose. */
export async function hold(server: MysqlServer, user?: { readonly user: string, readonly password: string }): Promise<Connection> {
  const connection = await server.client(user)
  afterwards(() => connection.destroy())
  return connection
}

/** Holds a transaction or lock that these statements begin. */
export async function holdLock(server: MysqlServer, ...statements: readonly string[]): Promise<void> {
  const locker = await hold(server)
  for (const statement of statements) await locker.query(statement)
}

/** Holds so many connections of the ten that the server may then have, as far as it lets them in. */
export async function crowd(server: MysqlServer, most: number): Promise<void> {
  await eventually(async () => (await server.rows("SELECT ID FROM information_schema.PROCESSLIST WHERE USER IN ('prober', 'bare')")).length === 0, 5_000, 'the end of earlier connections')
  await setGlobal(server, 'max_connections', 10)
  for (let n = 0; n < most; n++) await hold(server, BARE).catch(() => {})
}

/** Holds as many prepared statements as the server then allows. */
export async function prepareTooMany(server: MysqlServer): Promise<void> {
  const leaking = await hold(server)
  for (let n = 0; n < 3; n++) await leaking.prepare(`SELECT ${n}`)
  await setGlobal(server, 'max_prepared_stmt_count', 3)
}

/** The number of the connection over which the probe waits for an answer to its query. */
export function busyFor(server: MysqlServer): Promise<number> {
  return eventually(async () => {
    const [row] = await server.rows("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER IN ('prober', 'bare') AND INFO REGEXP '^SELECT (SLEEP|COUNT)'")
    return Number(row?.['id'] ?? 0)
  }, 5_000, 'the query of the probe')
}

/** A way to the server as if from a host of its own. */
export async function fromAfar(server: MysqlServer): Promise<{ readonly port: number }> {
  const way = await strangersWay(server)
  afterwards(() => way.close())
  return way
}
