import { mysql } from '../../src/alerts/catalogue/mysql.ts'
import { alertContract, labelsOf } from './promtool.ts'

const TARGET = '10.0.0.2:3306'
const SHOP = labelsOf('shop', 'mysql', TARGET)
const alerted = { job: 'curlew', probe: 'shop', type: 'mysql', target: TARGET }
const unknown = { [`probe_unknown${SHOP}`]: '1x120' }

/** Gauges of the target by their names after `probe_mysql_`, and how often it is probed (seconds). */
function gauges(values: Readonly<Record<string, string>>, every = 15, labels = SHOP): Record<string, string> {
  const named = Object.entries(values).map(([name, samples]) => [`probe_mysql_${name}${labels}`, samples] as const)
  return { ...Object.fromEntries(named), [`probe_interval_seconds${labels}`]: `${every}x200` }
}

function limited(level: string, severity: string, value: number): Record<string, string> {
  return { [`probe_threshold${SHOP.replace('}', `,name="${level}",level="${severity}"}`)}`]: `${value}x120` }
}

function inRole(role: string, samples = '1x120'): Record<string, string> {
  return { [`probe_mysql_info${SHOP.replace('}', `,product="mysql",version="8.4.3",role="${role}"}`)}`]: samples }
}

/** The default limit of prepared statements. */
const MOST = { max_prepared_statements: '16382x200' }
/** As `test/faults` sees the storm at the least: every SELECT reads a table of 900 rows. */
const STORM = { scan_ratio: '0.7x30', rows_read_without_index_per_select: '600x30', rows_read_without_index_per_second: '100000x30' }
/** Another server that one Curlew sees fall behind, and the other not yet. */
const elsewhere = SHOP.replace('curlew-0', 'curlew-1')

alertContract(mysql, {
  MysqlPreparedStatementsHigh: [
    {
      kind: 'fires', what: 'close to the limit', at: '10m', series: gauges({ prepared_statements_ratio: '0.85x20', ...MOST }), fires: [alerted],
      says: {
        summary: 'shop 10.0.0.2:3306 has almost no room for prepared statements',
        description: '85% of max_prepared_stmt_count (16.38k) are in use on shop 10.0.0.2:3306. At the limit every service that prepares a statement fails, not only the one that leaks them; queries as text go on.',
      },
    },
    { kind: 'fires', what: 'at the limit, where other services fail', at: '10m', series: gauges({ prepared_statements_ratio: '1x20' }), fires: [alerted, { ...alerted, severity: 'critical' }] },
    { kind: 'fires', what: 'beyond the limit of the config', at: '10m', series: { ...gauges({ prepared_statements_ratio: '0.55x20' }), ...limited('prepared_statements_ratio', 'warning', 0.5) }, fires: [alerted] },
    { kind: 'quiet', what: 'within the limits of the config', at: '10m', series: { ...gauges({ prepared_statements_ratio: '0.97x20' }), ...limited('prepared_statements_ratio', 'warning', 0.98), ...limited('prepared_statements_ratio', 'critical', 0.99) }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '10m', series: unknown, fires: [] },
    { kind: 'boundary', what: 'just at the threshold', at: '10m', series: gauges({ prepared_statements_ratio: '0.8x20' }), fires: [] },
  ],
  MysqlPreparedStatementsLeak: [
    {
      kind: 'fires', what: 'a statement each second', at: '100m', series: gauges({ prepared_statements: '1000+60x120', prepared_statements_ratio: '0.3x120', ...MOST }), fires: [alerted],
      says: {
        summary: 'Something leaks prepared statements on shop 10.0.0.2:3306',
        description: 'At the growth of the last hour shop 10.0.0.2:3306 reaches max_prepared_stmt_count in 2h 36m 22s; 7k are open now. Then every service that prepares a statement fails.',
      },
    },
    { kind: 'quiet', what: 'a restart of the server, after which the services fill their caches of statements', at: '65m', series: gauges({ prepared_statements: '6000x5 0x15 0+600x10 6000x120', prepared_statements_ratio: '0.35x120', ...MOST }), fires: [] },
    { kind: 'quiet', what: 'a new service that fills its cache of statements', at: '65m', series: gauges({ prepared_statements: '0x20 0+600x10 6000x120', prepared_statements_ratio: '0.35x120', ...MOST }), fires: [] },
    { kind: 'quiet', what: 'a restart, which closes them all', at: '100m', series: gauges({ prepared_statements: '6000+10x80 0x60', prepared_statements_ratio: '0.4x120', ...MOST }), fires: [] },
    { kind: 'quiet', what: 'a few of many', at: '100m', series: gauges({ prepared_statements: '100+60x200', prepared_statements_ratio: '0.1x120', max_prepared_statements: '20000x200' }), fires: [] },
    { kind: 'quiet', what: 'unknown: no samples any more', at: '100m', series: gauges({ prepared_statements: '1000+60x40 _x80', prepared_statements_ratio: '0.3x120', ...MOST }), fires: [] },
    { kind: 'quiet', what: 'a probe that is too slow to tell', at: '100m', series: gauges({ prepared_statements: '1000+60x120', prepared_statements_ratio: '0.3x120', ...MOST }, 300), fires: [] },
    // 9720 are left at that rate for six hours: fewer from the 85th minute on.
    { kind: 'boundary', what: 'less than six hours away for 29 minutes', at: '114m', series: gauges({ prepared_statements: '4000+27x120', prepared_statements_ratio: '0.3x120', max_prepared_statements: '16000x200' }), fires: [] },
    { kind: 'boundary', what: 'for half an hour', at: '115m', series: gauges({ prepared_statements: '4000+27x120', prepared_statements_ratio: '0.3x120', max_prepared_statements: '16000x200' }), fires: [alerted] },
  ],
  MysqlConnectionsHigh: [
    {
      kind: 'fires', what: 'close to the limit', at: '5m', series: gauges({ connections_ratio: '0.9x20', max_connections: '151x20' }), fires: [alerted],
      says: { summary: 'shop 10.0.0.2:3306 has almost as many connections as it takes', description: '90% of max_connections (151) are open on shop 10.0.0.2:3306. At the limit it turns new ones away.' },
    },
    { kind: 'fires', what: 'where the config pages', at: '5m', series: { ...gauges({ connections_ratio: '0.9x20' }), ...limited('connections_ratio', 'warning', 0.95), ...limited('connections_ratio', 'critical', 0.85) }, fires: [{ ...alerted, severity: 'critical' }] },
    { kind: 'quiet', what: 'within the limit of the config', at: '5m', series: { ...gauges({ connections_ratio: '0.9x20' }), ...limited('connections_ratio', 'warning', 0.95) }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '5m', series: unknown, fires: [] },
    { kind: 'boundary', what: 'just at the threshold', at: '5m', series: gauges({ connections_ratio: '0.8x20' }), fires: [] },
    { kind: 'boundary', what: 'through a restart of Curlew', at: '5m', series: gauges({ connections_ratio: '0.9 0.9 0.9 0.9 _ 0.9' }), fires: [alerted] },
  ],
  MysqlUnindexedScans: [
    {
      kind: 'fires', what: 'the storm of the fault table', at: '15m',
      series: { ...gauges(STORM), [`probe_mysql_costliest_digest_share${SHOP.replace('}', ',digest="4a7f"}')}`]: '0.93x30' }, fires: [alerted],
      says: {
        summary: 'Queries without an index keep shop 10.0.0.2:3306 busy',
        description: '70% of the SELECTs on shop 10.0.0.2:3306 scan a whole table, 600 rows for each SELECT, 100k rows a second. The slow log may well be empty: each of them is fast, there are only many. The statement with digest 4a7f takes 93% of the statement time.',
      },
    },
    { kind: 'fires', what: 'at midnight, one of four queries a scan of half a million rows', at: '15m', series: gauges({ scan_ratio: '0x4 0.25x30', rows_read_without_index_per_select: '2x4 125000x30', rows_read_without_index_per_second: '500x4 4000000x30' }), fires: [alerted] },
    { kind: 'fires', what: 'beyond the limit of the config', at: '15m', series: { ...gauges({ ...STORM, scan_ratio: '0.1x30' }), ...limited('scan_ratio', 'critical', 0.05) }, fires: [{ ...alerted, severity: 'critical' }] },
    { kind: 'quiet', what: 'within the limit of the config', at: '15m', series: { ...gauges(STORM), ...limited('scan_ratio', 'warning', 0.8) }, fires: [] },
    { kind: 'quiet', what: 'small tables, always scanned', at: '15m', series: gauges({ ...STORM, rows_read_without_index_per_select: '40x30' }), fires: [] },
    { kind: 'quiet', what: 'a report among many queries', at: '15m', series: gauges({ ...STORM, scan_ratio: '0.01x30', rows_read_without_index_per_select: '5000x30' }), fires: [] },
    { kind: 'quiet', what: 'an idle server that a monitor asks now and then', at: '15m', series: gauges({ scan_ratio: '1.5x30', rows_read_without_index_per_select: '698x30', rows_read_without_index_per_second: '2000x30' }), fires: [] },
    { kind: 'quiet', what: 'unknown', at: '15m', series: unknown, fires: [] },
    { kind: 'boundary', what: 'one scan in five', at: '15m', series: gauges({ ...STORM, scan_ratio: '0.2x30' }), fires: [] },
    { kind: 'boundary', what: 'ten thousand rows a second', at: '15m', series: gauges({ ...STORM, rows_read_without_index_per_second: '10000x30' }), fires: [] },
    { kind: 'boundary', what: 'five hundred rows', at: '15m', series: gauges({ ...STORM, rows_read_without_index_per_select: '500x30' }), fires: [] },
  ],
  MysqlReplicationBroken: [
    {
      kind: 'fires', what: 'a thread that stands still, or a lag of NULL', at: '5m', series: gauges({ replication_running: '0x20' }), fires: [alerted],
      says: { summary: 'Replication to shop 10.0.0.2:3306 is broken', description: 'The replica shop 10.0.0.2:3306 does not receive or does not apply what its source sends, or does not know how far behind it is (NULL): its data grow old.' },
    },
    { kind: 'fires', what: 'as a warning too where the config asks for one', at: '5m', series: { ...gauges({ replication_running: '0x20' }), ...limited('replication_running', 'warning', 1) }, fires: [{ ...alerted, severity: 'warning' }, alerted] },
    { kind: 'quiet', what: 'one that runs', at: '5m', series: gauges({ replication_running: '1x20' }), fires: [] },
    { kind: 'quiet', what: 'one that is no replica, or may not say so', at: '5m', series: { ...gauges({ read_only: '1x20' }), ...inRole('unknown') }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '5m', series: unknown, fires: [] },
    { kind: 'boundary', what: 'for a minute, and well again', at: '6m', series: gauges({ replication_running: '1x3 0 1x20' }), fires: [] },
    { kind: 'boundary', what: 'for two minutes', at: '6m', series: gauges({ replication_running: '1x3 0x20' }), fires: [alerted] },
  ],
  MysqlReplicationBehind: [
    {
      kind: 'fires', what: 'ten minutes', at: '10m', series: gauges({ replication_running: '1x20', replication_lag_seconds: '600x20' }), fires: [alerted],
      says: { summary: 'shop 10.0.0.2:3306 is behind its source', description: 'What shop 10.0.0.2:3306 serves is 10m 0s old, by its lag or by the newest heartbeat.' },
    },
    { kind: 'fires', what: 'an old heartbeat, though its own lag is 0', at: '10m', series: { ...gauges({ replication_running: '1x20', replication_lag_seconds: '0x20', heartbeat_age_seconds: '3600x20' }), ...inRole('replica') }, fires: [alerted] },
    { kind: 'fires', what: 'an old heartbeat where the account may not see the lag', at: '10m', series: { ...gauges({ heartbeat_age_seconds: '3600x20' }), ...inRole('unknown') }, fires: [alerted] },
    { kind: 'fires', what: 'where the config pages, once for two Curlews', at: '10m', series: { ...gauges({ replication_lag_seconds: '40x20' }), ...gauges({ replication_lag_seconds: '35x20' }, 15, elsewhere), ...limited('replication_lag', 'critical', 30) }, fires: [{ ...alerted, severity: 'critical' }] },
    { kind: 'quiet', what: 'within the limit of the config', at: '10m', series: { ...gauges({ replication_lag_seconds: '600x20' }), ...limited('replication_lag', 'warning', 3_600) }, fires: [] },
    { kind: 'quiet', what: 'broken: that has an alert of its own', at: '10m', series: { ...gauges({ replication_running: '0x20', heartbeat_age_seconds: '3600x20' }), ...inRole('replica') }, fires: [] },
    { kind: 'quiet', what: 'a primary that is only read, whose heartbeat nobody writes', at: '10m', series: { ...gauges({ heartbeat_age_seconds: '360000x20' }), ...inRole('primary') }, fires: [] },
    { kind: 'quiet', what: 'a heartbeat that is written every ten minutes', at: '10m', series: { ...gauges({ heartbeat_age_seconds: '590x20' }, 600), ...inRole('replica') }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '10m', series: unknown, fires: [] },
    { kind: 'boundary', what: 'just a minute', at: '10m', series: gauges({ replication_lag_seconds: '60x20' }), fires: [] },
    { kind: 'boundary', what: 'a second more', at: '10m', series: gauges({ replication_lag_seconds: '61x20' }), fires: [alerted] },
  ],
  MysqlPrimaryReadOnly: [
    {
      kind: 'fires', what: 'one that was left read-only', at: '10m', series: { ...inRole('primary', '1x3 stale'), ...inRole('read-only', '_x4 1x60') }, fires: [alerted],
      says: { summary: 'shop 10.0.0.2:3306 is read-only, and no replica', description: 'shop 10.0.0.2:3306 replicates from no other server and takes no writes: a failover that was not finished, or a read_only that was left behind.' },
    },
    { kind: 'boundary', what: 'two minutes after it has turned so', every: '30s', at: '7m', series: { ...inRole('primary', '1x9 stale'), ...inRole('read-only', '_x9 1x60') }, fires: [alerted] },
    { kind: 'quiet', what: 'a replica, which is read-only by design', at: '10m', series: { ...gauges({ read_only: '1x60', replication_running: '1x60' }), ...inRole('replica') }, fires: [] },
    { kind: 'quiet', what: 'one of which nobody knows if it is a replica', at: '10m', series: { ...gauges({ read_only: '1x60' }), ...inRole('unknown') }, fires: [] },
    { kind: 'quiet', what: 'a dead one', at: '10m', series: { ...inRole('read-only', '1x3 _x60'), [`probe_healthy${SHOP}`]: '0x60' }, fires: [] },
    { kind: 'boundary', what: 'a replica that is being promoted', at: '6m', series: { ...inRole('replica', '1x2 _x60'), ...inRole('read-only', '_x2 1 1 _x60'), ...inRole('primary', '_x4 1x60') }, fires: [] },
  ],
})
