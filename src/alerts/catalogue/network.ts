import { HOUR_MS, MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { held, levels, merged, of, oftenEnough, unhealthy, window, withHost, withRoot } from '../promql.ts'
import { layerAndReason, TARGET } from '../templates.ts'

const TEN_MINUTES_MS = 10 * MINUTE_MS

const PING = 'type="ping"'
/** Often enough for a mean of five minutes. */
const FAST_S = 60
const RTT_OK = 'probe:icmp_rtt_seconds:ok'
const MEAN_LOSS = 'target:probe_icmp_packet_loss_ratio:avg'

const isRoot = (settings: Settings) => `${merged(settings, 'max', held(settings, 'probe_root_cause', PING))} == 1`

export const network: Family = {
  name: 'network',
  records: [{
    // A run without a reply has a round trip of 0.
    record: RTT_OK,
    expr: (settings) => `${of(settings, 'probe_icmp_duration_seconds', 'phase="rtt"')} > 0`,
  }, {
    // One packet of an hourly run says little: a mean of what runs there are in an hour.
    record: MEAN_LOSS,
    expr(settings) {
      const mean = (rangeMs: number) => merged(settings, 'avg', `avg_over_time(${of(settings, 'probe_icmp_packet_loss_ratio')}[${window(settings, rangeMs)}])`)
      const interval = merged(settings, 'max', held(settings, 'probe_interval_seconds', PING))
      return `(${mean(5 * MINUTE_MS)} and ${interval} <= ${FAST_S})
or
(${mean(HOUR_MS)} and ${interval} > ${FAST_S})`
    },
  }],
  alerts: [
    {
      // What is on the host is muted by this: its probes need a run to see that it is back.
      name: 'NetworkHostUnreachable', severity: 'critical', scope: 'network', forMs: MINUTE_MS, keepFiringMs: 2 * MINUTE_MS, dashboard: 'curlew-dns-network',
      expr(settings, _numbers, forMs) {
        const down = unhealthy(settings, PING, forMs)
        const root = withRoot(`(${withHost(settings, PING, `${down} and ${isRoot(settings)}`)})`)
        // It pages nobody, but what is on that host is still not worth an alert.
        const explained = `(${withHost(settings, PING, `${down} unless ${isRoot(settings)}`)})
* ignoring (host, node, root) group_left (root) (topk without (root) (1, ${merged(settings, 'count', held(settings, 'probe_explained_by', PING))}) > bool 0)`
        const twoScrapes = 2 * settings.scrapeMs
        return [{ expr: root, forMs: twoScrapes }, { expr: explained, severity: 'info', forMs: twoScrapes }]
      },
      summary: `The host ${TARGET} cannot be reached`,
      description: (settings) => `The host ${TARGET} answers no ping${layerAndReason(settings)} as {{ $value }} Curlew(s), most of those that look, see it. Alerts about what is on it are muted.{{ if ne $labels.root (printf "%s/%s" $labels.probe $labels.target) }} {{ $labels.root }}, which it depends on, fails too: look there first.{{ end }}`,
    },
    {
      name: 'NetworkPacketLoss', severity: 'warning', scope: 'network', forMs: MINUTE_MS, dashboard: 'curlew-dns-network',
      thresholds: { loss_ratio: { value: 0.05, help: 'share of packets lost, the mean of 5 minutes, where the probe has no limit of its own' } },
      expr: (settings, { loss_ratio }) => levels(settings, MEAN_LOSS, { name: 'loss_ratio', worse: '>', warning: Number(loss_ratio) }),
      summary: `Packets to ${TARGET} get lost`,
      description: () => `{{ $value | humanizePercentage }} of the pings to ${TARGET} were not answered, in the mean of the last 5 minutes (of an hour where it runs less than once a minute). Connections to it stall and retry.`,
    },
    {
      name: 'NetworkRttHigh', severity: 'warning', scope: 'network', forMs: TEN_MINUTES_MS, dashboard: 'curlew-dns-network',
      thresholds: {
        factor: { value: 3, help: 'times its own mean of the last day, where the probe has no limit of its own' },
        floor_seconds: { value: 0.02, help: 'seconds below which no round trip is long' },
        samples: { value: 100, help: 'samples of the last day below which nothing is compared' },
      },
      expr(settings, { factor, floor_seconds, samples }) {
        const range = window(settings, TEN_MINUTES_MS)
        const limits = levels(settings, merged(settings, 'avg', `avg_over_time(${of(settings, 'probe_icmp_rtt_max_seconds')}[${range}])`), { name: 'rtt', worse: '>' })
        const own = `((${merged(settings, 'avg', `avg_over_time(${RTT_OK}[${range}])`, 'phase')}
  > ${factor} * ${merged(settings, 'avg', `avg_over_time(${RTT_OK}[1d] offset 30m) and count_over_time(${RTT_OK}[1d] offset 30m) >= ${samples}`, 'phase')}) > ${floor_seconds}
and ${oftenEnough(settings, TEN_MINUTES_MS)}
unless ignoring (name, level) ${merged(settings, 'max', held(settings, 'probe_threshold', 'name="rtt"'), 'name', 'level')})`
        return limits.map((variant) => (variant.severity === 'warning' ? { ...variant, expr: `${variant.expr}\nor\n${own}` } : variant))
      },
      summary: `Round trips to ${TARGET} take long`,
      description: (_settings, { factor }) => `Pings to ${TARGET} take {{ $value | humanizeDuration }} in the mean of 10 minutes: more than the limit that is set on the probe, or ${factor} times its own mean of the last day where none is.`,
    },
  ],
}
