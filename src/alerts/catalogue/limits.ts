import { MINUTE_MS } from '../durations.ts'
import type { Family } from '../model.ts'
import { anyOf, held, levels, merged } from '../promql.ts'
import { TARGET } from '../templates.ts'

/** Levels of probe types of which nobody can say in general what is too much: the limit of the config alone counts. */
const LEVELS = [
  { gauge: 'probe_redis_replication_lag_bytes', name: 'replication_lag_bytes', worse: '>' },
  { gauge: 'probe_redis_sentinel_replication_lag_bytes', name: 'replication_lag_bytes', worse: '>' },
  { gauge: 'probe_redis_sentinel_reachable', name: 'reachable', worse: '<' },
  { gauge: 'probe_redis_sentinel_quorum_ok', name: 'quorum_ok', worse: '<' },
  { gauge: 'probe_memcached_connections_ratio', name: 'connections_ratio', worse: '>' },
  { gauge: 'probe_icmp_jitter_seconds', name: 'jitter', worse: '>' },
  { gauge: 'probe_traceroute_hops', name: 'hops', worse: '>' },
] as const

export const limits: Family = {
  name: 'limits',
  alerts: [{
    name: 'LimitExceeded', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-probe',
    expr: (settings) => anyOf(...LEVELS.map(({ gauge, name, worse }) =>
      levels(settings, merged(settings, worse === '>' ? 'max' : 'min', held(settings, gauge)), { name, worse })
        .map((variant) => ({ ...variant, expr: `label_replace(${variant.expr}, "limit", "${name}", "", "")` })))),
    summary: `${TARGET} is beyond its limit: {{ $labels.limit }}`,
    description: () => `{{ $labels.limit }} of the {{ $labels.type }} probe ${TARGET} is {{ $value | humanize }}, beyond the limit that the config sets on this probe.`,
  }],
}
