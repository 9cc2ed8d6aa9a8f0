import { MINUTE_MS } from '../durations.ts'
import type { AlertSpec, Settings } from '../model.ts'
import { held, of, window } from '../promql.ts'

const QUARTER_MS = 15 * MINUTE_MS

const DEAD = 'result="dead"'

/**
 * Alerts given up within 15 minutes: what a counter has gained, and all of one that was not there before. Of a Curlew that runs for
 * longer than it is scraped nobody knows when they were.
 */
function givenUp(settings: Settings): string {
  const dead = of(settings, 'curlew_notify_deliveries_total', DEAD)
  const range = window(settings, QUARTER_MS)
  const before = (metric: string) => `last_over_time(${metric}[${window(settings, 2 * MINUTE_MS)}] offset ${range})`
  const started = `time() - ${of(settings, 'process_start_time_seconds')} < ${Math.max(QUARTER_MS, 4 * settings.scrapeMs) / 1_000}`
  return `sum without (result, reason) ((${dead} unless ${before(dead)} and on (job, instance) (${before(of(settings, 'up'))} or ${started})) or increase(${dead}[${range}]))`
}

/** A template that queries a series of the alert's channel and shows it by `show`, or `?`. */
function shown(settings: Settings, metric: string, show: string, matchers = ''): string {
  const query = `${metric}{job=${JSON.stringify(settings.job)},channel=%q,instance=%q${matchers === '' ? '' : `,${matchers}`}}`
  return `{{ with printf ${JSON.stringify(query)} $labels.channel $labels.instance | query }}{{ with first . }}${show}{{ end }}{{ else }}?{{ end }}`
}

/** The alerts of the forwarder, which is the process of Curlew that brings alerts to chat. */
export const deliveries: readonly AlertSpec[] = [
  {
    name: 'CurlewForwarderDown', severity: 'critical', scope: 'prober', forMs: 2 * MINUTE_MS, dashboard: 'curlew-deliveries',
    expr: (settings) => `${held(settings, 'curlew_notify_up')} == 0`,
    summary: 'The forwarder of Curlew at {{ $labels.instance }} is down',
    description: () => 'The process at {{ $labels.instance }} that keeps and delivers alerts does not run, or cannot open its outbox: no alert reaches a chat through it. Alertmanager gets 503 and tries again for some time.',
  },
  {
    name: 'CurlewDeliveriesFailing', severity: 'critical', scope: 'prober', forMs: MINUTE_MS, dashboard: 'curlew-deliveries',
    thresholds: { pending_seconds: { value: 300, help: 'seconds that the oldest alert of a channel may wait' } },
    expr: (settings, { pending_seconds }) => `${held(settings, 'curlew_notify_oldest_pending_seconds')} > ${pending_seconds}
or
${givenUp(settings)} > 0`,
    summary: 'Alerts do not get through {{ $labels.channel }}',
    description: (settings) => `Someone was not told: the oldest alert for the channel {{ $labels.channel }} at {{ $labels.instance }} has waited for ${shown(settings, 'curlew_notify_oldest_pending_seconds', '{{ .Value | humanizeDuration }}')}, and ${shown(settings, 'curlew_notify_outbox_rows', '{{ .Value | humanize }}', 'state="dead"')} are given up and kept. \`curlew notify dead\` shows what the service answered.`,
  },
  {
    name: 'CurlewOutboxFilling', severity: 'warning', scope: 'prober', forMs: 5 * MINUTE_MS, dashboard: 'curlew-deliveries',
    thresholds: { ratio: { value: 0.8, help: 'share of storage.entries that is taken' } },
    expr: (settings, { ratio }) => `${held(settings, 'curlew_notify_outbox_capacity_ratio')} > ${ratio}`,
    summary: 'The outbox of Curlew at {{ $labels.instance }} fills up',
    description: () => '{{ $value | humanizePercentage }} of the outbox of {{ $labels.instance }} is taken. When it is full the oldest alerts that were given up make room, and without any the webhook refuses new ones.',
  },
  {
    name: 'CurlewSharedStoreDown', severity: 'warning', scope: 'prober', forMs: 5 * MINUTE_MS, dashboard: 'curlew-deliveries',
    expr: (settings) => `${held(settings, 'curlew_notify_shared_store_up')} == 0`,
    summary: 'Curlew at {{ $labels.instance }} cannot use the shared store',
    description: () => 'The Redis that the replicas share does not work for {{ $labels.instance }}: it delivers from its own outbox. Two replicas may send the same alert, and their rate limits do not add up.',
  },
]
