import { phaseFamilyName } from '../../src/exporter/families.ts'
import { probeTypes } from '../../src/probes/index.ts'
import type { Spec } from './frame.ts'
import { bands, buckets, lines, number, rows, STATE_WORDS, words } from './panels.ts'
import { alerts, failuresBy, one, stateOf } from './promql.ts'

const { avg, max, merged, of } = one
/** Every type has a metric of its own for its phases. */
const phases = `{__name__=~"${probeTypes.map(phaseFamilyName).join('|')}",phase!="",${of('').slice(1)}`
const LAST_RUN = words({ 0: ['failed', 'red'], 1: ['ok', 'green'], 2: ['unknown', 'purple'] })
const quantile = (q: number) => `histogram_quantile(${q}, ${`sum by (le) (rate(${of('probe_latency_seconds_bucket')}[$__rate_interval]))`})`

export const probe: Spec = {
  uid: 'curlew-probe', about: 'target',
  description: 'One target: its states, how long its runs took and which phase, why they failed, and the way to the evidence.',
  sections: [
    { title: '$probe $target', panels: [
      number({ title: 'State', description: 'What most Curlews say now.', unit: 'short', mappings: STATE_WORDS, queries: [{ expr: stateOf(one) }] }),
      number({ title: 'Curlews that see it down', description: 'How many Curlews find the target unhealthy. A minority points to the way from there.', unit: 'short', steps: [[1, 'red']], queries: [{ expr: `sum(${of('probe_healthy')} == bool 0)` }] }),
      number({ title: 'Last run', description: 'How long ago the last run began, on the Curlew that is furthest behind.', unit: 's', queries: [{ expr: `time() - min(${of('probe_last_run_timestamp_seconds')})` }] }),
      number({ title: 'Interval', description: 'Time between two runs.', unit: 's', queries: [{ expr: `max(${of('probe_interval_seconds')})` }] }),
      number({ title: 'Good runs', description: 'The share of runs over the range shown that were good; unknown ones do not count.', unit: 'percentunit', decimals: 3, queries: [{ expr: `sum(increase(${of('probe_runs_total', 'result="ok"')}[$__range])) / sum(increase(${of('probe_runs_total', 'result=~"ok|failed"')}[$__range]))` }] }),
      number({ title: 'Host', named: true, description: 'The host that the target is on, where it is known.', unit: 'short', queries: [{ expr: `group by (host) (${of('probe_info')})`, legend: '{{host}}' }] }),
      bands({
        title: 'State', unit: 'short', mappings: STATE_WORDS, width: 24, height: 5, description: 'How most Curlews saw the target, after its thresholds.',
        queries: [{ expr: stateOf(one), legend: 'state' }],
      }),
      bands({
        title: 'Last run on each Curlew', unit: 'short', mappings: LAST_RUN, description: 'What each single run said, before any threshold.',
        queries: [{ expr: `(${of('probe_unknown')} == 1) * 2 or ${of('probe_success')}`, legend: '{{instance}}' }],
      }),
      bands({
        title: 'Explained by', unit: 'short', mappings: words({ 1: ['explained', 'orange'] }), description: 'The failing dependency that explained why the target was unhealthy.', noValue: 'Nothing explains it.',
        queries: [{ expr: `max by (root) (${of('probe_explained_by')})`, legend: '{{root}}' }],
      }),
    ] },
    { title: 'Failures', panels: [
      lines({
        title: 'Failures by layer and reason', unit: 'short', bars: true, min: 0, description: 'Failed runs, by the layer that broke and the reason.',
        queries: [{ expr: failuresBy(one, 'layer, reason'), legend: '{{layer}}/{{reason}}' }],
      }),
      rows({
        title: 'Why it fails now, and evidence', unit: 'short', noValue: 'The last run did not fail.', toTarget: false,
        description: 'Where and why the last run failed on each Curlew. The link opens the last failures with the evidence that was gathered when the target broke, at the address in the variable Curlew.',
        labels: ['layer', 'reason', 'instance', 'node'], values: [''], queries: [{ expr: of('probe_failure_info') }],
        links: [{ title: 'Evidence', url: '${curlew}/api/v1/probes/lookup?probe=${probe:percentencode}&target=${target:percentencode}' }],
      }),
      rows({
        title: 'Alerts', unit: 'short', noValue: 'No alert fires.', toTarget: false, description: 'Alerts about this target that fire.',
        labels: ['severity', 'scope', 'alertname', 'cluster'], values: [''], queries: [{ expr: alerts('probe="$probe",target="$target"') }],
      }),
      rows({
        title: 'Limits in the config', unit: 'short', noValue: 'The config sets none: the alert rules\' own numbers count.', toTarget: false,
        description: 'Limits that the config sets on this probe, in the unit of the level: they take the place of the numbers of the alert rules.',
        labels: ['name', 'level'], values: ['limit'], queries: [{ expr: `max by (name, level) (${of('probe_threshold')})` }],
      }),
    ] },
    { title: 'Time', panels: [
      lines({
        title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase of the last run took, one upon the other; the mean of all Curlews. The one that grows is where to look. A phase that was not reached is missing.',
        queries: [{ expr: `avg by (phase) (${phases})`, legend: '{{phase}}' }],
      }),
      lines({ title: 'Duration on each Curlew', unit: 's', min: 0, description: 'How long the last run took. All slow together is the target; one alone is the way from there.', queries: [{ expr: of('probe_duration_seconds'), legend: '{{instance}}' }] }),
      buckets({
        title: 'Latency of good runs', unit: 's', description: 'How the durations of good runs are spread. Needs histogram: true on the probe.',
        queries: [{ expr: `sum by (le) (increase(${of('probe_latency_seconds_bucket')}[$__rate_interval]))` }],
      }),
      lines({
        title: 'Latency quantiles', unit: 's', min: 0, description: 'Half, 95 and 99 of 100 good runs took at most this long. Needs histogram: true on the probe.',
        queries: [0.5, 0.95, 0.99].map((q) => ({ expr: quantile(q), legend: `p${100 * q}` })),
      }),
      lines({ title: 'Runs', unit: 'ops', stacked: true, min: 0, description: 'Runs a second by what they said, of all Curlews.', queries: [{ expr: `sum by (result) (rate(${of('probe_runs_total')}[$__rate_interval]))`, legend: '{{result}}' }] }),
      lines({ title: 'Name look-up and addresses', unit: 's', min: 0, description: 'How long the look-up of the name took, where the target has one.', queries: [{ expr: avg('probe_dns_lookup_time_seconds'), legend: 'look-up' }] }),
      lines({
        title: 'Certificate', unit: 's', description: 'Time until the first certificate of the target expires, where it has any.',
        queries: [{ expr: `${merged('min', of('probe_ssl_earliest_cert_expiry'))} - time()`, legend: 'left' }],
      }),
      lines({ title: 'Overdue', unit: 's', min: 0, description: 'By how much the next run is overdue, on the Curlew that is furthest behind; 0 is in time.', queries: [{ expr: `clamp_min(time() - ${max('probe_next_run_timestamp_seconds')}, 0)`, legend: 'overdue' }] }),
    ] },
  ],
}
