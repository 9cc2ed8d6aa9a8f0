import { MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { held, levels, limitOf, merged, of, oftenEnough, window } from '../promql.ts'
import { lookedUp, TARGET } from '../templates.ts'

const RANGE_MS = 10 * MINUTE_MS

/** What a server counts from its start on, over the last while: they are gauges of ours, and begin anew at its restart. */
function counted(settings: Settings, by: 'increase' | 'rate', metric: string): string {
  return `(${merged(settings, 'max', `${by}(${of(settings, metric)}[${window(settings, RANGE_MS)}])`)} and ${oftenEnough(settings, RANGE_MS)})`
}

export const memcached: Family = {
  name: 'memcached',
  alerts: [
    {
      name: 'MemcachedConnectionsRejected', severity: 'warning', scope: 'dependency', forMs: 0, keepFiringMs: 5 * MINUTE_MS, dashboard: 'curlew-memcached',
      thresholds: { rejected: { value: 0, help: 'connections turned away within 10 minutes that are still well' } },
      expr(settings, { rejected }) {
        // One that turns us away, or lets us wait, does not tell how many others.
        const us = merged(settings, 'max', held(settings, 'probe_failure_info', 'type="memcached",layer="connect",reason="overloaded"'), 'layer', 'reason')
        return `${counted(settings, 'increase', 'probe_memcached_connections_rejected')} > ${rejected}
or ${us}`
      },
      summary: `${TARGET} turns connections away`,
      description: (settings) => `${TARGET} has turned away clients within 10 minutes, {{ $value | humanize }} or more${lookedUp(settings, 'probe_memcached_max_connections', ': it takes {{ .Value | humanize }} (-c)')}. Clients treat that as a cache that is down.`,
    },
    {
      name: 'MemcachedEvicting', severity: 'warning', scope: 'dependency', forMs: 15 * MINUTE_MS, dashboard: 'curlew-memcached',
      thresholds: { per_second: { value: 10, help: 'evictions a second, mean of 10 minutes; limits: {items_evicted: …}, a total, on a probe comes first' } },
      expr(settings, { per_second }) {
        const rate = counted(settings, 'rate', 'probe_memcached_items_evicted')
        const total = merged(settings, 'max', held(settings, 'probe_memcached_items_evicted'))
        return levels(settings, total, { name: 'items_evicted', worse: '>' }).map(({ severity, expr }) => ({
          severity,
          expr: severity === 'warning' ? `(${rate} and ${expr})\nor\n((${rate} unless ignoring (name, level) ${limitOf(settings, 'items_evicted', severity)}) > ${per_second})` : `${rate} and ${expr}`,
        }))
      },
      summary: `${TARGET} evicts items`,
      description: (settings) => `${TARGET} removes {{ $value | humanize }} valid items a second to make room for new ones${lookedUp(settings, 'probe_memcached_memory_ratio', ', with {{ .Value | humanizePercentage }} of its memory in use')}: what it should hold does not fit, and more is asked of what lies behind it.`,
    },
    {
      name: 'MemcachedMemoryHigh', severity: 'info', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-memcached',
      thresholds: { ratio: { value: 0.95, help: 'memory of the items over its limit (-m); limits: {memory_ratio: …} on a probe comes first' } },
      expr(settings, { ratio }) {
        const gauge = merged(settings, 'max', held(settings, 'probe_memcached_memory_ratio'))
        const ours = { expr: `(${gauge} unless ignoring (name, level) ${limitOf(settings, 'memory_ratio', 'warning')}) > ${ratio}` }
        return [ours, ...levels(settings, gauge, { name: 'memory_ratio', worse: '>' })]
      },
      summary: `${TARGET} is almost full`,
      description: () => `The items of ${TARGET} take {{ $value | humanizePercentage }} of its memory (-m). A full cache evicts; that is an error only where it evicts what is still needed.`,
    },
  ],
}
