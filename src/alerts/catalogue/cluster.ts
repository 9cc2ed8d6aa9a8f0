import { MINUTE_MS } from '../durations.ts'
import type { Family, RecordSpec } from '../model.ts'
import { failing, held, majority, merged, of, unhealthy, window } from '../promql.ts'
import { layerAndReason, lookedUp, TARGET } from '../templates.ts'

const TEN_MINUTES_MS = 10 * MINUTE_MS

const ANSWERS: RecordSpec = {
  record: 'target:kube_dns_request_seconds:mean10m',
  expr: (settings) => merged(settings, 'avg', `avg_over_time(${of(settings, 'probe_kube_dns_duration_seconds', 'phase="request"')}[${window(settings, TEN_MINUTES_MS)}])`, 'phase'),
}

/** What Kubernetes is made of. */
export const cluster: Family = {
  name: 'cluster',
  optional: 'When Kubernetes is configured.',
  records: [ANSWERS],
  alerts: [
    {
      name: 'KubernetesApiNotReady', severity: 'critical', scope: 'cluster', forMs: MINUTE_MS, dashboard: 'curlew-overview',
      expr: (settings, _numbers, forMs) => [{ expr: unhealthy(settings, 'type="kube-api"', forMs), forMs: 2 * settings.scrapeMs }],
      summary: `The API server ${TARGET} is not ready`,
      description: (settings) => `The API server that the probe ${TARGET} asks is not ready${layerAndReason(settings)}. {{ $value }} Curlew(s) see it so. What runs goes on, but nothing is scheduled, moved or healed. Look at its log, at etcd and at its certificates.`,
    },
    {
      name: 'KubernetesNodeAddressChanged', severity: 'critical', scope: 'node', forMs: MINUTE_MS, dashboard: 'curlew-overview',
      // The node that is meant, not that of the Curlew which asks.
      expr: (settings) => `label_replace(${majority(settings, failing(settings, 'type="kube-node"', 'reason="mismatch"'), held(settings, 'probe_healthy', 'type="kube-node"'))}, "node", "$1", "target", "(.+)")`,
      summary: 'The internal address of node {{ $labels.node }} has changed',
      description: (settings) => `Node {{ $labels.node }} has another internal address than before${layerAndReason(settings)}. Certificates, etcd members, mounts and firewall rules name the old one. Give it the old address back, or change what names it.`,
    },
    {
      name: 'KubernetesDnsPodSlow', severity: 'warning', scope: 'cluster', forMs: TEN_MINUTES_MS, dashboard: 'curlew-dns-network',
      thresholds: {
        factor: { value: 3, help: 'times the mean of the other pods of the probe' },
        floor_seconds: { value: 0.02, help: 'seconds below which nothing is slow' },
      },
      expr(settings, { factor, floor_seconds }) {
        const mean = of(settings, ANSWERS.record)
        const all = (operator: string) => `${operator} by (job, cluster, probe) (${mean})`
        const joined = 'on (job, cluster, probe) group_left ()'
        const others = `((${mean} * 0 + ${joined} ${all('sum')}) - ${mean}) / ${joined} (${all('count')} - 1 > 0)`
        return `(${mean} > ${factor} * (${others})) > ${floor_seconds}`
      },
      summary: `The DNS pod ${TARGET} is slower than the others`,
      description: (settings, { factor }) => `The DNS pod ${TARGET} takes {{ $value | humanizeDuration }} to answer in the mean of ten minutes, more than ${factor} times what the others take${lookedUp(settings, 'probe_info', '; it is at {{ .Labels.host }}')}. A share of all look-ups in the cluster waits for it. Look at its CPU limit and its node, or delete the pod.`,
    },
  ],
}
