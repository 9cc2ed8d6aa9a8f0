import type { GaugeSpec, ProbeContext } from '../../core/probe.ts'
import type { Product } from './mysql-codes.ts'
import { ADDED_BY_READING, type Counters, type Digests, type Facts, type Replication } from './mysql-status.ts'

export const mysqlGauges = {
  probe_mysql_info: { help: 'Always 1; what answers: product (mysql or mariadb), version and role: replica; of those that replicate from none primary, which takes writes, and read-only, which takes none; and where it is not known from whom it replicates writable or unknown.', labels: ['product', 'version', 'role'] },
  probe_mysql_read_only: 'Whether the server refuses writes (read_only, super_read_only or innodb_read_only).',
  probe_mysql_status_read: "Whether the server's status could be read in this run; without it the gauges below are absent.",
  probe_mysql_uptime_seconds: 'Time since the server started.',
  probe_mysql_threads_connected: 'Open connections.',
  probe_mysql_max_connections: 'The limit of open connections.',
  probe_mysql_connections_ratio: 'Open connections over max_connections.',
  probe_mysql_max_used_connections: 'Most connections that were open at a time since the server started.',
  probe_mysql_threads_running: 'Connections that are executing something.',
  probe_mysql_prepared_statements: 'Prepared statements that are open, of all connections.',
  probe_mysql_max_prepared_statements: 'The limit of open prepared statements (max_prepared_stmt_count).',
  probe_mysql_prepared_statements_ratio: 'Open prepared statements over their limit.',
  probe_mysql_prepared_statements_leak_per_second: 'How fast the number of open prepared statements has grown since the run before; its average over an hour is the leak.',
  probe_mysql_rows_read_without_index_per_select: 'Rows that scans have read for each SELECT since the run before.',
  probe_mysql_rows_read_without_index_per_second: 'Rows that scans have read each second since the run before.',
  probe_mysql_scan_ratio: 'Full scans of a first table over SELECTs, since the run before.',
  probe_mysql_replication_running: 'On a replica: whether it receives and applies, on every channel; NULL for its lag counts as broken.',
  probe_mysql_replication_lag_seconds: 'On a replica: how far behind it is (Seconds_Behind_Source), on its slowest channel; absent while it does not run.',
  probe_mysql_heartbeat_age_seconds: 'Age of the newest heartbeat, where it is read and not written.',
  probe_mysql_costliest_digest_share: { help: 'Share of the statement time since the run before that the costliest statement took; its digest is looked up in performance_schema.events_statements_summary_by_digest.', labels: ['digest'] },
} as const satisfies Readonly<Record<string, string | GaugeSpec>>

export type MysqlGauge = keyof typeof mysqlGauges
type Gauges = Pick<ProbeContext<string, MysqlGauge>, 'gauge'>

/** `replication`: undefined where it is not known; a replica is not to look like a primary then, whether it takes writes or not. */
export function exportFacts(probe: Gauges, product: Product | undefined, { version, readOnly }: Facts, replication: Replication | 'none' | undefined): void {
  const [writable, not] = replication === undefined ? ['writable', 'unknown'] : replication === 'none' ? ['primary', 'read-only'] : ['replica', 'replica']
  probe.gauge('probe_mysql_info', 1, { product: product ?? '', version: version.slice(0, 100), role: readOnly ? not : writable })
  probe.gauge('probe_mysql_read_only', Number(readOnly))
  if (replication === undefined || replication === 'none') return
  probe.gauge('probe_mysql_replication_running', Number(replication.running))
  put(probe, 'probe_mysql_replication_lag_seconds', replication.lagSeconds)
}

/** `before`: the reading of the run before on the same connection, if there is one. */
export function exportCounters(probe: Gauges, counters: Counters, before: Counters | undefined, { maxConnections, maxPreparedStatements }: Facts): void {
  const now = (name: string) => counters.all.get(name)
  put(probe, 'probe_mysql_uptime_seconds', now('uptime'))
  put(probe, 'probe_mysql_threads_connected', now('threads_connected'))
  put(probe, 'probe_mysql_max_connections', maxConnections)
  put(probe, 'probe_mysql_connections_ratio', over(now('threads_connected'), maxConnections))
  put(probe, 'probe_mysql_max_used_connections', now('max_used_connections'))
  put(probe, 'probe_mysql_threads_running', now('threads_running'))
  put(probe, 'probe_mysql_prepared_statements', now('prepared_stmt_count'))
  put(probe, 'probe_mysql_max_prepared_statements', maxPreparedStatements)
  put(probe, 'probe_mysql_prepared_statements_ratio', over(now('prepared_stmt_count'), maxPreparedStatements))
  if (!before) return
  const { leakPerSecond, rowsPerSelect, rowsPerSecond, scanRatio } = ratesOf(counters, before)
  put(probe, 'probe_mysql_prepared_statements_leak_per_second', leakPerSecond)
  put(probe, 'probe_mysql_rows_read_without_index_per_select', rowsPerSelect)
  put(probe, 'probe_mysql_rows_read_without_index_per_second', rowsPerSecond)
  put(probe, 'probe_mysql_scan_ratio', scanRatio)
}

/** The costliest statement since the reading before. Exports nothing without one, or when nothing was executed. */
export function exportDigests(probe: Gauges, digests: Digests, before: Digests | undefined): void {
  if (!before) return
  const spent = Array.from(digests, ([digest, { seconds, fresh }]) => {
    const earlier = before.get(digest)?.seconds ?? (fresh ? 0 : seconds)
    // A table that was emptied in between begins anew.
    return { digest, seconds: seconds >= earlier ? seconds - earlier : seconds }
  })
  const total = spent.reduce((sum, { seconds }) => sum + seconds, 0)
  const [costliest] = spent.toSorted((a, b) => b.seconds - a.seconds)
  if (costliest && total > 0) probe.gauge('probe_mysql_costliest_digest_share', costliest.seconds / total, { digest: costliest.digest })
}

interface Rates {
  readonly leakPerSecond: number | undefined
  readonly rowsPerSelect: number | undefined
  readonly rowsPerSecond: number | undefined
  readonly scanRatio: number | undefined
}

/**
 * What has happened between two readings; undefined where it cannot be told: after a restart or FLUSH STATUS, or when nobody
 * has selected anything. Our own statements are taken off.
 *
 * The leak is the slope of the number of open statements, not Com_stmt_prepare less Com_stmt_close: statements also end with
 * their connection, which counts as no close, so that the difference shows a leak for every client that prepares and hangs up.
 */
export function ratesOf(now: Counters, before: Counters): Rates {
  const nothing = { leakPerSecond: undefined, rowsPerSelect: undefined, rowsPerSecond: undefined, scanRatio: undefined }
  if ((now.all.get('uptime') ?? 0) < (before.all.get('uptime') ?? 0) || now.at <= before.at) return nothing
  const seconds = (now.at - before.at) / 1_000
  const grown = (name: string) => {
    const [to, from] = [now.all.get(name), before.all.get(name)]
    return to === undefined || from === undefined ? undefined : to - from
  }
  const others = (name: string) => {
    const all = grown(name)
    if (all === undefined || all < 0) return undefined
    const own = (now.own.get(name) ?? 0) - (before.own.get(name) ?? 0) + (ADDED_BY_READING[name] ?? 0)
    return Math.max(0, all - own)
  }
  const selects = others('com_select')
  const rows = others('handler_read_rnd_next')
  return {
    leakPerSecond: over(grown('prepared_stmt_count'), seconds),
    rowsPerSelect: over(rows, selects),
    rowsPerSecond: over(rows, seconds),
    scanRatio: over(others('select_scan'), selects),
  }
}

function over(value: number | undefined, limit: number | undefined): number | undefined {
  return value === undefined || limit === undefined || limit <= 0 ? undefined : value / limit
}

/** What is not known is not exported. */
function put(probe: Gauges, name: MysqlGauge, value: number | undefined): void {
  if (value !== undefined) probe.gauge(name, value)
}
