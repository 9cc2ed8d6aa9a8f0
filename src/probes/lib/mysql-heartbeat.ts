import { createHash } from 'node:crypto'
import type { MysqlClient } from './mysql-client.ts'

/**
 * The number under which a prober keeps its one row of a target. pt-heartbeat's table has the server's id as its key; ours are
 * numbers of 2,147,483,648 and more, which nobody gives to a server.
 */
export function heartbeatId(owner: string): number {
  return createHash('sha256').update(owner).digest().readUInt32BE(0) % 2 ** 31 + 2 ** 31
}

/** A time as pt-heartbeat --utc writes it: `2026-01-31T12:00:00.123000`. */
export function heartbeatTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000')
}

/**
 * Writes the prober's row and returns what it holds then, with what was written. Time and id are literals, since what a
 * statement computes would be computed anew on each replica. `table` is quoted already.
 */
export async function beat(client: MysqlClient, table: string, owner: string): Promise<{ written: string, read: string | undefined }> {
  const [id, written] = [heartbeatId(owner), heartbeatTime(Date.now())]
  await client.query('SET SESSION TRANSACTION READ WRITE')
  await client.query(`INSERT INTO ${table} (ts, server_id) VALUES ('${written}', ${id}) ON DUPLICATE KEY UPDATE ts = '${written}'`)
  const [row] = await client.query(`SELECT ts FROM ${table} WHERE server_id = ${id}`)
  return { written, read: row?.get('ts') ?? undefined }
}

/** Seconds since the newest heartbeat of the table, by our own clock; undefined when it has none. */
export async function heartbeatAge(client: MysqlClient, table: string): Promise<number | undefined> {
  const [row] = await client.query(`SELECT MAX(ts) AS ts FROM ${table}`)
  const ms = Date.parse(`${row?.get('ts')?.replace(' ', 'T') ?? ''}Z`)
  return Number.isNaN(ms) ? undefined : Math.max(0, (Date.now() - ms) / 1_000)
}

/** A table written `database.table`, as SQL quotes it. */
export function quoted(table: string): string {
  return table.split('.').map((name) => `\`${name}\``).join('.')
}
