import { HOUR_MS, MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { anyOf, held, levels, merged, of, oftenEnough, window } from '../promql.ts'
import { lookedUp, TARGET } from '../templates.ts'

/** Growth must go on within this: what grew at the start of the hour and stands still is a cache that has filled up. */
const STILL_MS = 15 * MINUTE_MS

/** A gauge of a target as the Curlew sees it that says most. */
const most = (settings: Settings, metric: string, matchers = '') => merged(settings, 'max', held(settings, metric, matchers))
const running = (settings: Settings) => merged(settings, 'min', held(settings, 'probe_mysql_replication_running'))
/** Targets of a role. Its value is 1. */
const inRole = (settings: Settings, roles: string, series = held) => merged(settings, 'max', series(settings, 'probe_mysql_info', `role=~"${roles}"`), 'product', 'version', 'role')

/** Seconds until no prepared statement has room any more, if it goes on as over the last while; nothing where it does not grow. */
function secondsLeft(settings: Settings, rangeMs: number): string {
  const statements = of(settings, 'probe_mysql_prepared_statements')
  // The gauge of the growth between two runs is a sample of few seconds at each scrape: its mean is mostly noise.
  return `(${held(settings, 'probe_mysql_max_prepared_statements')} - ${held(settings, 'probe_mysql_prepared_statements')}) / (deriv(${statements}[${window(settings, rangeMs)}]) > 0)`
}

export const mysql: Family = {
  name: 'mysql',
  alerts: [
    {
      name: 'MysqlPreparedStatementsHigh', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-mysql',
      thresholds: {
        ratio: { value: 0.8, help: 'open prepared statements over max_prepared_stmt_count; limits: {prepared_statements_ratio: …} on a probe comes first' },
        critical_ratio: { value: 0.95, help: 'the same, where it pages' },
      },
      expr: (settings, { ratio, critical_ratio }) => levels(settings, most(settings, 'probe_mysql_prepared_statements_ratio'), { name: 'prepared_statements_ratio', worse: '>', warning: ratio, critical: critical_ratio }),
      summary: `${TARGET} has almost no room for prepared statements`,
      description: (settings) => `{{ $value | humanizePercentage }} of max_prepared_stmt_count${lookedUp(settings, 'probe_mysql_max_prepared_statements', ' ({{ .Value | humanize }})')} are in use on ${TARGET}. At the limit every service that prepares a statement fails, not only the one that leaks them; queries as text go on.`,
    },
    {
      name: 'MysqlPreparedStatementsLeak', severity: 'warning', scope: 'dependency', forMs: 30 * MINUTE_MS, dashboard: 'curlew-mysql',
      thresholds: {
        hours: { value: 6, help: 'hours until the limit is reached at the growth of the last hour' },
        least_ratio: { value: 0.2, help: 'prepared statements over their limit below which nothing is a leak' },
      },
      expr: (settings, { hours = 0, least_ratio }) => `${merged(settings, 'min', secondsLeft(settings, HOUR_MS))} < ${hours * 3_600}
and ${merged(settings, 'min', secondsLeft(settings, STILL_MS))} < ${hours * 3_600}
and ${most(settings, 'probe_mysql_prepared_statements_ratio')} > ${least_ratio}
and ${oftenEnough(settings, STILL_MS)}`,
      summary: `Something leaks prepared statements on ${TARGET}`,
      description: (settings) => `At the growth of the last hour ${TARGET} reaches max_prepared_stmt_count in {{ $value | humanizeDuration }}${lookedUp(settings, 'probe_mysql_prepared_statements', '; {{ .Value | humanize }} are open now')}. Then every service that prepares a statement fails.`,
    },
    {
      name: 'MysqlConnectionsHigh', severity: 'warning', scope: 'dependency', forMs: 2 * MINUTE_MS, dashboard: 'curlew-mysql',
      thresholds: { ratio: { value: 0.8, help: 'open connections over max_connections; limits: {connections_ratio: …} on a probe comes first' } },
      expr: (settings, { ratio }) => levels(settings, most(settings, 'probe_mysql_connections_ratio'), { name: 'connections_ratio', worse: '>', warning: ratio }),
      summary: `${TARGET} has almost as many connections as it takes`,
      description: (settings) => `{{ $value | humanizePercentage }} of max_connections${lookedUp(settings, 'probe_mysql_max_connections', ' ({{ .Value | humanize }})')} are open on ${TARGET}. At the limit it turns new ones away.`,
    },
    {
      name: 'MysqlUnindexedScans', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-mysql',
      thresholds: {
        scan_ratio: { value: 0.2, help: 'full scans for each SELECT, mean of 5 minutes; limits: {scan_ratio: …} on a probe comes first' },
        rows_per_select: { value: 500, help: 'rows read without an index for each SELECT, mean of 5 minutes: scans of small tables are harmless' },
        rows_per_second: { value: 10_000, help: 'rows read without an index each second, mean of 5 minutes: on an idle server most of what is asked is monitoring, and scans' },
      },
      expr(settings, { scan_ratio, rows_per_select, rows_per_second }) {
        const mean = (metric: string) => merged(settings, 'avg', `avg_over_time(${of(settings, metric)}[${window(settings, 5 * MINUTE_MS)}])`)
        return levels(settings, mean('probe_mysql_scan_ratio'), { name: 'scan_ratio', worse: '>', warning: scan_ratio }).map(({ severity, expr }) => ({
          severity, expr: `(${expr})
and ${mean('probe_mysql_rows_read_without_index_per_select')} > ${rows_per_select}
and ${mean('probe_mysql_rows_read_without_index_per_second')} > ${rows_per_second}`,
        }))
      },
      summary: `Queries without an index keep ${TARGET} busy`,
      description: (settings) => `{{ $value | humanizePercentage }} of the SELECTs on ${TARGET} scan a whole table${lookedUp(settings, 'probe_mysql_rows_read_without_index_per_select', ', {{ .Value | humanize }} rows for each SELECT')}${lookedUp(settings, 'probe_mysql_rows_read_without_index_per_second', ', {{ .Value | humanize }} rows a second')}. The slow log may well be empty: each of them is fast, there are only many.${lookedUp(settings, 'probe_mysql_costliest_digest_share', ' The statement with digest {{ .Labels.digest }} takes {{ .Value | humanizePercentage }} of the statement time.')}`,
    },
    {
      name: 'MysqlReplicationBroken', severity: 'critical', scope: 'dependency', forMs: 2 * MINUTE_MS, dashboard: 'curlew-mysql',
      expr: (settings) => levels(settings, running(settings), { name: 'replication_running', worse: '<', critical: 1 }),
      summary: `Replication to ${TARGET} is broken`,
      description: () => `The replica ${TARGET} does not receive or does not apply what its source sends, or does not know how far behind it is (NULL): its data grow old.`,
    },
    {
      name: 'MysqlReplicationBehind', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-mysql',
      thresholds: { seconds: { value: 60, help: 'seconds behind the source, or age of the newest heartbeat less two intervals of the probe; limits: {replication_lag: …, heartbeat_age: …} on a probe come first' } },
      expr(settings, { seconds }) {
        // A primary that is only read has a heartbeat of whoever writes one, and perhaps nobody does.
        const oldest = `((${seconds} + 2 * ${most(settings, 'probe_interval_seconds')}) * ${inRole(settings, 'replica|read-only|unknown')})`
        const behind = anyOf(
          levels(settings, most(settings, 'probe_mysql_replication_lag_seconds'), { name: 'replication_lag', worse: '>', warning: seconds }),
          levels(settings, most(settings, 'probe_mysql_heartbeat_age_seconds'), { name: 'heartbeat_age', worse: '>', warning: oldest }),
        )
        return behind.map(({ expr, ...variant }) => ({ ...variant, expr: `(${expr})\nunless ${running(settings)} == 0` }))
      },
      summary: `${TARGET} is behind its source`,
      description: () => `What ${TARGET} serves is {{ $value | humanizeDuration }} old, by its lag or by the newest heartbeat.`,
    },
    {
      name: 'MysqlPrimaryReadOnly', severity: 'critical', scope: 'dependency', forMs: 2 * MINUTE_MS, dashboard: 'curlew-mysql',
      // Another role counts as long as it is one: what it was two minutes ago would put off the page by as much.
      expr: (settings) => `${inRole(settings, 'read-only')}
unless ${inRole(settings, 'primary|replica|writable', of)}`,
      summary: `${TARGET} is read-only, and no replica`,
      description: () => `${TARGET} replicates from no other server and takes no writes: a failover that was not finished, or a read_only that was left behind.`,
    },
  ],
}
