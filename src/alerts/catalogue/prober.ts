import { MINUTE_MS } from '../durations.ts'
import type { AlertSpec, Family, RecordSpec, Settings } from '../model.ts'
import { held, majority, of, ofItsNode, spareApiServers, window } from '../promql.ts'
import { TARGET } from '../templates.ts'
import { deliveries } from './deliveries.ts'
import { running } from './running.ts'

const TEN_MINUTES_MS = 10 * MINUTE_MS
const QUARTER_MS = 15 * MINUTE_MS
/** Long enough for a Curlew that restarts: what was wrong before is not over because it starts. */
const RESTART_MS = 5 * MINUTE_MS

/** Three of their intervals are longer than ten minutes. */
const SLOW_S = 200
/** In ms as the histogram has a bound there. A run during a stall of twice that is unknown. */
const STALL_MS = 250

/**
 * One number for each Curlew, `<number> by (job, instance) (<of>)`, with all labels that its scrapes have; only of those that are
 * scraped now. Curlews of two clusters may have the same instance; a `cluster` that only targets have is none of its Curlew's.
 */
function ofCurlew(settings: Settings, number: 'avg' | 'count', targets: string, beyond = ''): string {
  const by = (matcher: string, labels: string) => `(${of(settings, 'up', matcher)} == 1) * on ${labels} group_left () (${number} by ${labels} (${targets})${beyond})`
  return `${by('cluster=""', '(job, instance)')}\nor\n${by('cluster!=""', '(job, instance, cluster)')}`
}

/**
 * Targets whose next run is late by its timeout, and by how many seconds. Only Curlew knows the timeout: it withdraws what it said
 * of the last run, of which `probe_unknown` is always a part, 60 s after the next one should have ended.
 */
export function overdue(settings: Settings, matchers = ''): string {
  return `time() - ${of(settings, 'probe_next_run_timestamp_seconds', matchers)} > ${Math.max(60, 2 * settings.scrapeMs / 1_000)} unless ${of(settings, 'probe_unknown', matchers)}`
}

/** Clusters to whose API clients have lost a way, which pages by itself. */
const API_DOWN: RecordSpec = {
  record: 'cluster:kube_api_down:targets',
  expr(settings) {
    const healthy = held(settings, 'probe_healthy', 'type="kube-api"')
    return `count by (job, cluster) (${majority(settings, `${healthy} == 0`, healthy)} unless ${spareApiServers(settings)})`
  },
}

/** Types that have to ask the API before they can tell anything. */
export const ASKING = ['kube-cert', 'kube-node'] as const
/** What discovery probes at the slowest is asked every hour: before its next run it cannot know that the API is back. */
const SLOWEST_MS = 65 * MINUTE_MS

/** Without targets that an outage of their API explains: those of a type that asks it, and no others, so that trouble of Curlew's own still shows in the rest. */
function unlessApiDown(settings: Settings): string {
  const asking = `type=~"${ASKING.join('|')}"`
  const unknown = held(settings, 'probe_unknown', asking)
  return `${held(settings, 'probe_unknown')} unless (${unknown} and on (job, cluster) ${held(settings, API_DOWN.record)}
or ${unknown} and on (job, cluster) last_over_time(${of(settings, API_DOWN.record)}[${window(settings, SLOWEST_MS)}]) and ${held(settings, 'probe_interval_seconds', asking)} > ${SLOW_S})`
}

const itself: readonly AlertSpec[] = [
  {
    name: 'CurlewTargetDown', severity: 'critical', scope: 'prober', forMs: 2 * MINUTE_MS, dashboard: 'curlew-prober',
    // As it is now: an agent whose pod is gone is not down, and each rollout leaves one.
      expr: (settings) => ofItsNode(`${of(settings, 'up')} == 0`),
    summary: 'Curlew at {{ $labels.instance }} cannot be scraped',
    description: () => 'Prometheus gets no metrics from {{ $labels.instance }}. What this Curlew watches is not watched: no alert about it will come, and the state of what fires now is not known.',
  },
  {
    name: 'CurlewAbsent', severity: 'critical', scope: 'prober', forMs: 5 * MINUTE_MS, dashboard: 'curlew-prober',
    expr: (settings) => `absent(${of(settings, 'up')})`,
    summary: 'No Curlew is scraped',
    description: () => 'Prometheus has no target of the job {{ $labels.job }}: nothing is watched. Either no Curlew runs, or the scrape config (a ServiceMonitor, its labels) does not find it.',
  },
  {
    name: 'CurlewResultsStale', severity: 'warning', scope: 'prober', forMs: 2 * MINUTE_MS, keepFiringMs: RESTART_MS, dashboard: 'curlew-prober',
    expr: (settings) => ofCurlew(settings, 'count', overdue(settings)),
    summary: 'Probes of Curlew at {{ $labels.instance }} do not run',
    description: (settings) => `{{ $value }} target(s) of {{ $labels.instance }} should have had a run by now, their timeout included, and had none: their state is not known. The latest: {{ range $i, $s := printf ${JSON.stringify(`topk(3, ${overdue(settings, 'instance=%q')})`)} $labels.instance $labels.instance | query }}{{ if $i }}, {{ end }}{{ $s.Labels.probe }} {{ $s.Labels.target }}{{ end }}. Look whether runs queue up (curlew_probes_queued), or whether its host is starved.`,
  },
  {
    name: 'CurlewRunsSkipped', severity: 'warning', scope: 'prober', forMs: 5 * MINUTE_MS, keepFiringMs: RESTART_MS, dashboard: 'curlew-prober',
    thresholds: {
      ratio: { value: 0.01, help: 'share of the runs due in 15 minutes that were skipped' },
      runs: { value: 3, help: 'skipped runs in 15 minutes below which it is chance' },
    },
    expr(settings, { ratio, runs }) {
      const in15m = (metric: string) => `increase(${of(settings, metric)}[${window(settings, QUARTER_MS)}])`
      const skipped = in15m('curlew_runs_skipped_total')
      return `${skipped} / ignoring (cause) group_left () (sum without (cause) (${skipped}) + ${in15m('curlew_schedule_lag_seconds_count')}) > ${ratio}
and ${skipped} >= ${runs}`
    },
    summary: 'Curlew at {{ $labels.instance }} leaves out runs',
    description: () => '{{ $value | humanizePercentage }} of the runs that were due in the last 15 minutes did not take place at {{ $labels.instance }} ({{ $labels.cause }}: {{ if eq $labels.cause "overlap" }}the one before was still running{{ else if eq $labels.cause "queued" }}it still waited for a place{{ else }}the process stood still{{ end }}). Failures are found later than the schedule says.',
  },
  {
    name: 'CurlewEventLoopStarved', severity: 'warning', scope: 'prober', forMs: 2 * MINUTE_MS, keepFiringMs: RESTART_MS, dashboard: 'curlew-prober',
    thresholds: { stalls: { value: 10, help: `times in 10 minutes that the process stood still for more than ${STALL_MS} ms` } },
    expr(settings, { stalls }) {
      const delays = (which: string, matchers?: string) => `increase(${of(settings, `curlew_event_loop_delay_seconds_${which}`, matchers)}[${window(settings, TEN_MINUTES_MS)}])`
      return `${delays('count')} - ignoring (le) ${delays('bucket', `le="${STALL_MS / 1_000}"`)} > ${stalls}`
    },
    summary: 'Curlew at {{ $labels.instance }} is short of CPU time',
    description: () => `The process at {{ $labels.instance }} stood still for more than ${STALL_MS} ms {{ $value | humanize }} times in 10 minutes. Durations are too long then, and runs that it disturbs count as unknown. Look at its CPU limit (throttling) and at the load of its node.`,
  },
  {
    name: 'CurlewConfigReloadFailed', severity: 'warning', scope: 'prober', forMs: 2 * MINUTE_MS, dashboard: 'curlew-prober',
    expr: (settings) => `${held(settings, 'curlew_config_last_reload_successful')} == 0`,
    summary: 'Curlew at {{ $labels.instance }} could not load its config',
    description: () => 'The config was changed and cannot be read: {{ $labels.instance }} goes on with the one before, and would not start again with this one. `curlew validate` and its log name the mistakes.',
  },
  {
    name: 'CurlewMountWorkersStuck', severity: 'warning', scope: 'prober', forMs: TEN_MINUTES_MS, dashboard: 'curlew-prober',
    expr: (settings) => `${held(settings, 'curlew_stuck_children')} > 0`,
    summary: 'Helper processes of Curlew at {{ $labels.instance }} hang',
    description: () => '{{ $value }} helper process(es) of {{ $labels.instance }} hang in a call of the operating system and cannot be ended, most likely on a mount. They end when the mount answers, or with a restart of the node.',
  },
]

const unknowns: readonly AlertSpec[] = [
  {
    name: 'CurlewProbeUnknown', severity: 'warning', scope: 'prober', forMs: TEN_MINUTES_MS, keepFiringMs: RESTART_MS, dashboard: 'curlew-probe',
    expr(settings, _numbers, forMs) {
      const range = window(settings, forMs)
      const interval = held(settings, 'probe_interval_seconds')
      const unknown = of(settings, 'probe_unknown')
      // It was there when the range began: a target that is new has not been unknown for so long.
      const fast = `min_over_time(${unknown}[${range}]) == 1 and last_over_time(${unknown}[${window(settings, 2 * MINUTE_MS)}] offset ${range}) == 1 and ${interval} <= ${SLOW_S}`
      // Health is held for three intervals; a target that never had any has its third such run.
      const slow = `${held(settings, 'probe_unknown')} == 1 unless ${held(settings, 'probe_healthy')} and ignoring (result) ${held(settings, 'probe_runs_total', 'result="unknown"')} >= 3 and ${interval} > ${SLOW_S}`
      return [{ expr: `(${fast})\nor\n(${slow})`, forMs: 2 * settings.scrapeMs }]
    },
    summary: `Curlew at {{ $labels.instance }} cannot tell how ${TARGET} is`,
    description: () => `The {{ $labels.type }} probe ${TARGET} has had no result for a while, because of trouble at {{ $labels.instance }} itself: no credentials, no permission, no network, no file handles, or no answer from the Kubernetes API that it has to ask. Nobody would notice if the target failed now. \`curlew check\` on that machine says what is missing.`,
  },
  {
    name: 'CurlewMostlyUnknown', severity: 'critical', scope: 'prober', forMs: TEN_MINUTES_MS, keepFiringMs: RESTART_MS, dashboard: 'curlew-prober',
    thresholds: { ratio: { value: 0.5, help: 'share of the targets of one Curlew whose last run is unknown, without those that an outage of a probed Kubernetes API explains' } },
    expr: (settings, { ratio }) => ofCurlew(settings, 'avg', unlessApiDown(settings), ` > ${ratio}`),
    summary: 'Curlew at {{ $labels.instance }} is blind',
    description: () => '{{ $value | humanizePercentage }} of the targets of {{ $labels.instance }} have an unknown state, because of trouble of its own: its network, its file handles, its CPU time, or a Kubernetes API that does not answer it and that no kube-api probe finds down. No alert about them will come.',
  },
]

const watchdog: AlertSpec = {
  name: 'Watchdog', severity: 'none', scope: 'prober', forMs: 0, dashboard: 'curlew-overview',
  expr: () => 'vector(1)',
  summary: 'Alerts reach you',
  description: () => 'It fires all the time, so that something outside notices when it stops: then Prometheus, Alertmanager or the way from them is broken.',
}

export const prober: Family = { name: 'prober', records: [API_DOWN], alerts: [...itself, ...unknowns, ...running, ...deliveries, watchdog] }
