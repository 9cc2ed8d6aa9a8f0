import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, buckets, lines, number, rows, YES_IS_GOOD } from './panels.ts'
import { own } from './promql.ts'

const INSTANCE = '{{instance}}'
const rate = (metric: string, matchers?: string) => `rate(${own(metric, matchers)}[$__rate_interval])`
const quantileOf = (q: number, metric: string) => `histogram_quantile(${q}, sum by (instance, le) (${rate(`${metric}_bucket`)}))`

export const prober: Spec = {
  uid: 'curlew-prober', about: 'curlew',
  description: 'Curlew itself: whether it runs, is in time, and comes to verdicts. Trouble here is none of the targets.',
  sections: [
    { title: 'Now', panels: [
      number({ title: 'Up', description: 'Curlews that Prometheus can scrape.', unit: 'short', steps: [[-Infinity, 'red'], [1, 'green']], queries: [{ expr: `sum(${own('up')})` }] }),
      number({ title: 'Targets', description: 'Targets of all types, of all Curlews.', unit: 'short', queries: [{ expr: `sum(${own('curlew_targets')})` }] }),
      number({ title: 'Config loaded', description: 'Whether the last attempt to load the configuration succeeded, everywhere.', unit: 'short', mappings: YES_IS_GOOD, queries: [{ expr: `min(${own('curlew_config_last_reload_successful')})` }] }),
      number({ title: 'Overdue targets', description: 'Targets whose next run is overdue by more than a minute.', unit: 'short', steps: [[1, 'red']], queries: [{ expr: `count(time() - ${own('probe_next_run_timestamp_seconds')} > 60) or vector(0)` }] }),
      number({ title: 'Unknown share', description: 'The share of targets whose last run said nothing.', unit: 'percentunit', steps: above(0.1, numberOf('CurlewMostlyUnknown', 'ratio')), queries: [{ expr: `avg(${own('probe_unknown')})` }] }),
      number({ title: 'Stuck helpers', description: 'Helper processes that hang in a call of the operating system, as on a hung mount.', unit: 'short', steps: [[1, 'orange']], queries: [{ expr: `sum(${own('curlew_stuck_children')})` }] }),
      bands({ title: 'Up', unit: 'short', mappings: YES_IS_GOOD, description: 'Whether Prometheus could scrape each Curlew.', queries: [{ expr: own('up'), legend: INSTANCE }] }),
      rows({
        title: 'Curlews', unit: 's', description: 'The version of each, the time since it started, and since its configuration was last loaded well.', labels: ['cluster', 'instance', 'version'], values: ['', 'up for', 'config loaded before'],
        queries: [{ expr: own('curlew_build_info') }, { expr: `time() - ${own('process_start_time_seconds')}` }, { expr: `time() - ${own('curlew_config_last_reload_success_timestamp_seconds')}` }],
      }),
    ] },
    { title: 'Runs', panels: [
      lines({ title: 'Runs', unit: 'ops', stacked: true, min: 0, description: 'Runs a second by what they said.', queries: [{ expr: `sum by (result) (${rate('probe_runs_total')})`, legend: '{{result}}' }] }),
      lines({ title: 'Runs skipped', unit: 'ops', min: 0, description: 'Runs that were due and did not take place: the one before was still running (overlap), they still waited for a place (queued), or the process slept (missed).', queries: [{ expr: `sum by (instance, cause) (${rate('curlew_runs_skipped_total')})`, legend: '{{instance}} {{cause}}' }] }),
      lines({
        title: 'Runs under way and waiting', unit: 'short', min: 0, description: 'Runs under way, and those that are due and wait for a place under the concurrency limit. A queue that stays wants a higher limit or another Curlew.',
        queries: [{ expr: own('curlew_probes_in_flight'), legend: '{{instance}} under way' }, { expr: own('curlew_probes_queued'), legend: '{{instance}} waiting' }],
      }),
      lines({ title: 'Most overdue target', unit: 's', min: 0, description: 'By how much the most overdue target of each Curlew is late; 0 is in time.', queries: [{ expr: `clamp_min(max by (instance) (time() - ${own('probe_next_run_timestamp_seconds')}), 0)`, legend: INSTANCE }] }),
      buckets({ title: 'Late starts', unit: 's', description: 'How much later than scheduled runs began.', queries: [{ expr: `sum by (le) (increase(${own('curlew_schedule_lag_seconds_bucket')}[$__rate_interval]))` }] }),
      lines({ title: 'Late starts, 99 of 100', unit: 's', min: 0, description: 'At most this much later than scheduled 99 of 100 runs began.', queries: [{ expr: quantileOf(0.99, 'curlew_schedule_lag_seconds'), legend: INSTANCE }] }),
      lines({ title: 'Targets by type', unit: 'short', min: 0, stacked: true, description: 'How many targets there are. A step is a change of the config or a discovery.', queries: [{ expr: `sum by (type) (${own('curlew_targets')}) > 0`, legend: '{{type}}' }] }),
      lines({ title: 'Unknown targets', unit: 'short', min: 0, description: 'Targets whose last run said nothing, by type. All types together is the machine of Curlew.', queries: [{ expr: `sum by (instance, type) (${own('probe_unknown')})`, legend: '{{instance}} {{type}}' }] }),
    ] },
    { title: 'Event loop and process', panels: [
      lines({
        title: 'Event loop delay, 99 of 100', unit: 's', min: 0, description: 'How late the event loop was. Runs that are measured while it is later than limits.loop_delay are unknown.',
        queries: [{ expr: quantileOf(0.99, 'curlew_event_loop_delay_seconds'), legend: INSTANCE }],
      }),
      lines({
        title: 'Stalls of the event loop', unit: 'short', min: 0, steps: above(numberOf('CurlewEventLoopStarved', 'stalls')), description: 'How often the process stood still for more than 250 ms within 10 minutes. Look at its CPU limit and at the load of its node.',
        queries: [{ expr: `increase(${own('curlew_event_loop_delay_seconds_count')}[10m]) - ignoring (le) increase(${own('curlew_event_loop_delay_seconds_bucket', 'le="0.25"')}[10m])`, legend: INSTANCE }],
      }),
      lines({ title: 'CPU', unit: 'percentunit', min: 0, description: 'Share of a core.', queries: [{ expr: rate('process_cpu_seconds_total'), legend: INSTANCE }] }),
      lines({ title: 'Memory', unit: 'bytes', min: 0, description: 'Resident memory. A line that only rises is a leak.', queries: [{ expr: own('process_resident_memory_bytes'), legend: INSTANCE }] }),
      lines({
        title: 'File descriptors', unit: 'short', min: 0, description: 'Open file descriptors, and their limit: at it every run is unknown.',
        queries: [{ expr: own('process_open_fds'), legend: '{{instance}} open' }, { expr: own('process_max_fds'), legend: '{{instance}} limit' }], log: true,
      }),
    ] },
    { title: 'Gaps', panels: [
      lines({ title: 'Errors without a code', unit: 'short', min: 0, bars: true, description: 'Errors sent by targets that no failure code of the probe type stands for: worth a report.', queries: [{ expr: `sum by (type) (increase(${own('curlew_unmapped_errors_total')}[$__rate_interval]))`, legend: '{{type}}' }] }),
      lines({ title: 'Evidence dropped', unit: 'short', min: 0, bars: true, description: 'Targets that turned unhealthy without evidence being gathered: looked at a few minutes ago (cooldown), too many at the same time (busy), or it came to no end (failed).', queries: [{ expr: `sum by (cause) (increase(${own('curlew_evidence_dropped_total')}[$__rate_interval]))`, legend: '{{cause}}' }] }),
      lines({ title: 'Helpers that hang', unit: 'short', min: 0, steps: [[1, 'orange']], description: 'Helper processes that hang in a call of the operating system.', queries: [{ expr: own('curlew_stuck_children'), legend: INSTANCE }] }),
      lines({ title: 'Age of discovery', unit: 's', min: 0, description: 'Time since each source of targets was last read; only where Curlew discovers targets.', queries: [{ expr: `time() - ${own('curlew_discovery_last_success_timestamp_seconds')}`, legend: '{{instance}} {{source}}' }] }),
    ] },
  ],
}
