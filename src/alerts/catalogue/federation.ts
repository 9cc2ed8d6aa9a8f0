import { MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { held, merged, of } from '../promql.ts'
import { overdue } from './prober.ts'

const summed = (expr: string) => `sum by (job, cluster, type) (${expr})`
/** Targets for which there is anything in `expr`, however many Curlews see it. */
const counted = (settings: Settings, expr: string) => summed(`${merged(settings, 'max', expr)} * 0 + 1`)
const targets = (settings: Settings) => counted(settings, held(settings, 'probe_interval_seconds'))

/** A handful of numbers for each cluster and type of probe, for another Prometheus to fetch at a slow interval. */
export const federation: Family = {
  name: 'federation',
  everyMs: MINUTE_MS,
  records: [
    { record: 'cluster:curlew_targets:count', expr: targets },
    // As most of the Curlews that look at a target see it.
    { record: 'cluster:curlew_healthy:ratio', expr: (settings) => `avg by (job, cluster, type) (${merged(settings, 'avg', held(settings, 'probe_healthy'))} >= bool 0.5)` },
    { record: 'cluster:curlew_root_causes:count', expr: (settings) => summed(merged(settings, 'max', held(settings, 'probe_root_cause'))) },
    { record: 'cluster:curlew_unknown:count', expr: (settings) => summed(merged(settings, 'min', held(settings, 'probe_unknown'))) },
    { record: 'cluster:curlew_stale:count', expr: (settings) => `${counted(settings, overdue(settings))} or ${targets(settings)} * 0` },
    { record: 'cluster:curlew_up:count', expr: (settings) => `sum by (job, cluster) (${of(settings, 'up')})` },
  ],
  alerts: [],
}
