import { MINUTE_MS } from '../durations.ts'
import type { AlertSpec } from '../model.ts'
import { held, merged } from '../promql.ts'

const TEN_MINUTES_MS = 10 * MINUTE_MS

/** How Curlew runs in a cluster: replicas, shards, discovery. */
export const running: readonly AlertSpec[] = [
  {
    name: 'CurlewNoActiveReplica', severity: 'critical', scope: 'prober', forMs: 2 * MINUTE_MS, dashboard: 'curlew-prober',
    expr: (settings) => `${merged(settings, 'max', held(settings, 'curlew_lease_active'))} == 0`,
    summary: 'No replica of Curlew is active for the Lease {{ $labels.lease }}',
    description: () => 'Replicas of Curlew are up, and all of them stand by: what they share is not probed, and no alert about it will come. Most likely none of them reaches the API to take the Lease {{ $labels.lease }}, or is allowed to; their logs say which.',
  },
  {
    name: 'CurlewTargetsNotProbed', severity: 'critical', scope: 'prober', forMs: TEN_MINUTES_MS, dashboard: 'curlew-prober',
    expr(settings) {
      // Several shards only: a single one without an active replica has an alert of its own, and an agent's targets are nobody else's.
      const of = (metric: string) => held(settings, metric, 'shards!="1"')
      return `${merged(settings, 'max', of('curlew_targets_expected'), 'shard')} - sum without (shard) (${merged(settings, 'max', of('curlew_targets_owned'))}) > 0`
    },
    summary: '{{ $value }} targets are probed by no shard of Curlew',
    description: () => 'Of the {{ $labels.shards }} shards of Curlew at least one is missing or stands by: {{ $value }} targets are not probed, and no alert about them will come. Most likely a pod does not run, or there are fewer replicas than kubernetes.shards.total.',
  },
  {
    name: 'CurlewDiscoveryStale', severity: 'warning', scope: 'prober', forMs: 2 * MINUTE_MS, dashboard: 'curlew-prober',
    thresholds: { age_seconds: { value: 600, help: 'seconds since the targets of a source were last known to be up to date' } },
    expr: (settings, { age_seconds }) => `time() - ${held(settings, 'curlew_discovery_last_success_timestamp_seconds')} > ${age_seconds}`,
    summary: 'Curlew at {{ $labels.instance }} does not see new targets of {{ $labels.source }}',
    description: () => 'The source {{ $labels.source }} was {{ if gt $value 1e9 }}never read{{ else }}last read {{ $value | humanizeDuration }} ago{{ end }} by {{ $labels.instance }}. What it knew then is still probed; what has come since is not, and what has gone may fail. Look whether the API of that cluster answers it, and what it is allowed to read.',
  },
  {
    name: 'CurlewDiscoveryRefused', severity: 'warning', scope: 'prober', forMs: TEN_MINUTES_MS, dashboard: 'curlew-prober',
    expr: (settings) => `${merged(settings, 'max', held(settings, 'curlew_discovery_refused'))} > 0`,
    summary: 'Probes that {{ with $labels.namespace }}the namespace {{ . }}{{ else }}the config{{ end }} asks for are refused',
    description: () => '{{ $value }} annotation(s) or targets {{ with $labels.namespace }}in the namespace {{ . }}{{ else }}that belong to no namespace, found by discovery.kubernetes.health,{{ end }} of the cluster {{ $labels.cluster }} are wrong, not allowed, or beyond the quota: somebody waits for a probe that is not there. The status page of Curlew and its log say which, and what was expected.',
  },
]
