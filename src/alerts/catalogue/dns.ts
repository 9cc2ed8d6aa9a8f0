import { HOUR_MS, MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { held, merged, of, oftenEnough, window } from '../promql.ts'
import { layerAndReason, TARGET } from '../templates.ts'

const TEN_MINUTES_MS = 10 * MINUTE_MS

const DNS = 'type="dns"'
const REQUEST_OK = 'probe:dns_request_seconds:ok'
const MEAN_REQUEST = 'target:probe_dns_request_seconds:avg10m'
/** Servers that are asked the same are targets of one probe; whatever other labels they have. */
const SAME_QUESTION = '(job, cluster, probe)'

/**
 * Probes whose servers do not agree, as one Curlew sees them, over a range: neither the lowest nor the highest hash is the same.
 * Of a pool that is shown in parts, in turn, the servers show the same parts soon enough. For probes that run three times in
 * that range, and not as often as a shorter one wants: one server is asked before a change and the other one after it.
 */
function disagreement(settings: Settings, rangeMs: number, moreThanS: number): string {
  const interval = `max by ${SAME_QUESTION} (${held(settings, 'probe_interval_seconds', DNS)})`
  const perCurlew = `(${['job', 'cluster', 'probe', ...settings.vantageLabels].join(', ')})`
  const differing = (over: 'min' | 'max') => {
    const hashes = `${over}_over_time(${of(settings, 'probe_dns_answer_hash')}[${window(settings, rangeMs)}])`
    return `max by ${perCurlew} (${hashes}) != min by ${perCurlew} (${hashes})`
  }
  return `(count by ${SAME_QUESTION} ((${differing('min')}) and (${differing('max')})) and ${interval} > ${moreThanS} <= ${rangeMs / 3_000})`
}

export const dns: Family = {
  name: 'dns',
  records: [
    {
      // What a failed run took is no time of an answer; what fails now and then is DnsServerFailing.
      record: REQUEST_OK,
      expr: (settings) => `${of(settings, 'probe_dns_duration_seconds', 'phase="request"')} and ignoring (phase) ${of(settings, 'probe_success', DNS)} == 1`,
    },
    {
      record: MEAN_REQUEST,
      expr: (settings) => `${merged(settings, 'avg', `avg_over_time(${REQUEST_OK}[${window(settings, TEN_MINUTES_MS)}])`, 'phase')}
and ${oftenEnough(settings, TEN_MINUTES_MS)}`,
    },
  ],
  alerts: [
    {
      name: 'DnsServerFailing', severity: 'warning', scope: 'dependency', forMs: 0, keepFiringMs: TEN_MINUTES_MS, dashboard: 'curlew-dns-network',
      thresholds: {
        ratio: { value: 0.1, help: 'share of the runs of 10 minutes that failed' },
        failures: { value: 2, help: 'failed runs in 10 minutes below which it is chance' },
      },
      expr(settings, { ratio, failures }) {
        const runs = (results: string) => merged(settings, 'sum', `increase(${of(settings, 'probe_runs_total', `${DNS},result=~"${results}"`)}[${window(settings, TEN_MINUTES_MS)}])`, 'result')
        return `${runs('failed')} / ${runs('ok|failed')} >= ${ratio}
and ${runs('failed')} >= ${failures}
and ${oftenEnough(settings, TEN_MINUTES_MS)}`
      },
      summary: `${TARGET} fails to answer some questions`,
      description: (settings) => `The name server ${TARGET} failed {{ $value | humanizePercentage }} of the runs of the last 10 minutes${layerAndReason(settings)}. It may look healthy in between; who asks it waits for a timeout, or gets an error, so often.`,
    },
    {
      name: 'DnsServerSlow', severity: 'warning', scope: 'dependency', forMs: TEN_MINUTES_MS, dashboard: 'curlew-dns-network',
      thresholds: {
        factor: { value: 3, help: 'times the mean of the other servers of the probe' },
        floor_seconds: { value: 0.02, help: 'seconds below which nothing is slow' },
      },
      // m > f * (sum - m) / (n - 1), the sum and the number with the server itself, so multiplied that one alone is not slow.
      expr: (_settings, { factor, floor_seconds }) => `${MEAN_REQUEST} > ${floor_seconds}
and ${MEAN_REQUEST} * on ${SAME_QUESTION} group_left () (count by ${SAME_QUESTION} (${MEAN_REQUEST}) + ${factor} - 1) > on ${SAME_QUESTION} group_left () ${factor} * sum by ${SAME_QUESTION} (${MEAN_REQUEST})`,
      summary: `${TARGET} answers slower than its peers`,
      description: (_settings, { factor }) => `The name server ${TARGET} takes {{ $value | humanizeDuration }} for an answer in the mean of 10 minutes, more than ${factor} times what the other servers of the probe take. The question is the same: look at this server, its upstreams and the way to it.`,
    },
    {
      name: 'DnsAnswersDiffer', severity: 'warning', scope: 'dependency', forMs: TEN_MINUTES_MS, dashboard: 'curlew-dns-network',
      expr: (settings) => `${disagreement(settings, 5 * MINUTE_MS, 0)}
or
${disagreement(settings, 3 * HOUR_MS, 100)}`,
      summary: 'The name servers of {{ $labels.probe }} give different answers',
      description: (settings) => `The servers of the probe {{ $labels.probe }} are asked the same and say different things, as {{ $value }} Curlew(s) see it: ${answersOf(settings)}. Servers with the same number agree. One of them has old data, or answers from another zone.`,
    },
  ],
}

/** A template that names the servers of the alert's probe, each with the hash of its answer. */
function answersOf(settings: Settings): string {
  const query = `max by (target) (probe_dns_answer_hash{job=${JSON.stringify(settings.job)},cluster=%q,probe=%q})`
  return `{{ range $i, $s := printf ${JSON.stringify(query)} $labels.cluster $labels.probe | query | sortByLabel "target" }}{{ if $i }}, {{ end }}{{ $s.Labels.target }} ({{ printf "%.0f" $s.Value }}){{ end }}`
}
