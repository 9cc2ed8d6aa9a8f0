import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, lines, rows, STATE_WORDS, TARGET, YES_IS_BAD, YES_IS_GOOD } from './panels.ts'
import { many, stateOf } from './promql.ts'

const { max, merged, of } = many
const min = (metric: string) => merged('min', of(metric))

export const mysql: Spec = {
  uid: 'curlew-mysql', about: 'targets', types: ['mysql'],
  description: 'MySQL and MariaDB servers: connections, prepared statements, scans and replication.',
  sections: [
    { title: 'State', panels: [
      bands({ title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true, description: 'How most Curlews saw each server.', queries: [{ expr: stateOf(many) }] }),
      rows({
        title: 'Servers', unit: 's', description: 'What answers: product, version and role, and the time since it started. A short one is a restart.',
        labels: ['probe', 'target', 'product', 'version', 'role'], values: ['', 'up for'], sortBy: 'up for', ascending: true,
        queries: [{ expr: max('probe_mysql_info') }, { expr: max('probe_mysql_uptime_seconds') }],
      }),
      bands({ title: 'Refuses writes', unit: 'short', mappings: YES_IS_BAD, toTarget: true, description: 'Whether the server is read-only: right for a replica, an outage for a primary.', queries: [{ expr: max('probe_mysql_read_only') }] }),
      bands({ title: 'Status could be read', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Without its status the panels below have no data from that server: the account lacks a privilege, or the query took too long.', queries: [{ expr: min('probe_mysql_status_read') }] }),
    ] },
    { title: 'Connections', panels: [
      lines({
        title: 'Connections of max_connections', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('MysqlConnectionsHigh', 'ratio')),
        description: 'Open connections over their limit. At the limit new clients get error 1040.', queries: [{ expr: max('probe_mysql_connections_ratio') }],
      }),
      lines({
        title: 'Connections', unit: 'short', min: 0, description: 'Open connections, those that are executing something, the most since the start, and the limit.',
        queries: [['threads_connected', 'open'], ['threads_running', 'running'], ['max_used_connections', 'most'], ['max_connections', 'limit']].map(([metric, what]) => ({ expr: max(`probe_mysql_${metric}`), legend: `${TARGET} ${what}` })),
      }),
    ] },
    { title: 'Prepared statements', panels: [
      lines({
        title: 'Prepared statements of their limit', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('MysqlPreparedStatementsHigh', 'ratio'), numberOf('MysqlPreparedStatementsHigh', 'critical_ratio')),
        description: 'Open prepared statements over max_prepared_stmt_count. At the limit every PREPARE fails with error 1461.', queries: [{ expr: max('probe_mysql_prepared_statements_ratio') }],
      }),
      lines({
        title: 'Prepared statements', unit: 'short', min: 0, description: 'Open prepared statements of all connections, and their limit. A line that only rises is a client that never closes them.',
        queries: [{ expr: max('probe_mysql_prepared_statements'), legend: `${TARGET} open` }, { expr: max('probe_mysql_max_prepared_statements'), legend: `${TARGET} limit` }],
      }),
      lines({
        title: 'Growth of prepared statements', unit: 'cps', toTarget: true, description: 'How many more a second, in the mean of an hour. Above 0 for long it is a leak.',
        queries: [{ expr: merged('avg', `avg_over_time(${of('probe_mysql_prepared_statements_leak_per_second')}[1h])`) }],
      }),
      rows({
        title: 'Time to the limit', unit: 's', sortBy: 'left', ascending: true, decimals: 0, noValue: 'At the growth of the last hour none reaches its limit.',
        steps: [[-Infinity, 'red'], [numberOf('MysqlPreparedStatementsLeak', 'hours') * 3_600, 'green']],
        description: 'When the prepared statements reach their limit at the growth of the last hour; servers that do not grow are not listed.',
        labels: ['cluster', 'probe', 'target'], values: ['left'],
        queries: [{ expr: `(${max('probe_mysql_max_prepared_statements')} - ${max('probe_mysql_prepared_statements')}) / (${merged('avg', `avg_over_time(${of('probe_mysql_prepared_statements_leak_per_second')}[1h])`)} > 0)` }],
      }),
    ] },
    { title: 'Scans', panels: [
      lines({
        title: 'Scans per SELECT', unit: 'percentunit', min: 0, toTarget: true, steps: above(numberOf('MysqlUnindexedScans', 'scan_ratio')), description: 'Full scans of a first table over SELECTs. Small tables are scanned rightly: look at the rows beside it.', queries: [{ expr: max('probe_mysql_scan_ratio') }],
      }),
      lines({
        title: 'Rows read without an index per SELECT', unit: 'short', min: 0, toTarget: true, steps: above(numberOf('MysqlUnindexedScans', 'rows_per_select')), description: 'Rows that scans have read for each SELECT. A step is a query that lost its index, or a new one without.',
        queries: [{ expr: max('probe_mysql_rows_read_without_index_per_select') }],
      }),
      lines({
        title: 'Costliest statement', unit: 'percentunit', min: 0, max: 1, width: 24, description: 'The share of the statement time that the costliest statement took; its digest is looked up in performance_schema.events_statements_summary_by_digest.',
        queries: [{ expr: max('probe_mysql_costliest_digest_share'), legend: `${TARGET} {{digest}}` }],
      }),
    ] },
    { title: 'Replication', panels: [
      bands({ title: 'Replication runs', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'On each replica whether it receives and applies, on every channel.', queries: [{ expr: min('probe_mysql_replication_running') }] }),
      lines({
        title: 'Behind', unit: 's', min: 0, steps: above(numberOf('MysqlReplicationBehind', 'seconds')), toTarget: true,
        description: 'How far each replica is behind, as it says itself; missing while replication does not run.', queries: [{ expr: max('probe_mysql_replication_lag_seconds') }],
      }),
      lines({
        title: 'Age of the heartbeat', unit: 's', min: 0, steps: above(numberOf('MysqlReplicationBehind', 'seconds')), toTarget: true,
        description: 'How far behind by the newest heartbeat row, which sees what a replica does not say of itself.', queries: [{ expr: max('probe_mysql_heartbeat_age_seconds') }],
      }),
    ] },
    { title: 'Time', panels: [
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase took, the mean of these servers.', queries: [{ expr: `avg by (phase) (${of('probe_mysql_duration_seconds')})`, legend: '{{phase}}' }] }),
      lines({ title: 'Duration', unit: 's', min: 0, toTarget: true, description: 'How long the last run took.', queries: [{ expr: max('probe_duration_seconds') }] }),
    ] },
  ],
}
