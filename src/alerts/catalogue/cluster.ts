import { MINUTE_MS } from '../durations.ts'
import type { Family, RecordSpec, Settings } from '../model.ts'
import { failing, held, majority, merged, of, spareApiServers, unhealthy, window } from '../promql.ts'
import { layerAndReason, lookedUp, TARGET } from '../templates.ts'

const TEN_MINUTES_MS = 10 * MINUTE_MS

const ANSWERS: RecordSpec = {
  record: 'target:kube_dns_request_seconds:mean10m',
  expr: (settings) => merged(settings, 'avg', `avg_over_time(${of(settings, 'probe_kube_dns_duration_seconds', 'phase="request"')}[${window(settings, TEN_MINUTES_MS)}])`, 'phase'),
}

/**
 * Addresses of the API that discovery finds: servers, the Service, the kubeconfig's. From outside it finds that one alone: another Curlew that asks this
 * cluster from there, while the one inside is away, has lost no server.
 */
const API_FOUND: RecordSpec = {
  record: 'cluster:kube_api_found:targets',
  expr: (settings) => `max by (job, cluster) (${held(settings, 'curlew_discovery_targets', 'source="api"')}) > 1`,
}

const NODES = 'type="kube-node"'

/** The node that is meant, not that of the Curlew which asks. */
const ofNode = (expr: string) => `label_replace(${expr}, "node", "$1", "target", "(.+)")`

/** A wrong name in a certificate is a mismatch of the layer tls, and says nothing of where the node is. */
const moved = (settings: Settings) => majority(settings, failing(settings, NODES, 'layer="assert",reason="mismatch"'), held(settings, 'probe_healthy', NODES))

/** A template that says how many addresses of the API of the alert's cluster are well. */
function answering(settings: Settings): string {
  const query = `count(avg by (probe, target) (probe_healthy{job=${JSON.stringify(settings.job)},type="kube-api",cluster=%q}) > 0.5)`
  return `{{ with printf ${JSON.stringify(query)} $labels.cluster | query }}{{ with first . }}{{ .Value }} address(es) of the API of its cluster answer well.{{ end }}{{ else }}No probed address of the API of its cluster answers well.{{ end }}`
}

/** A template that names the API servers that were probed within the last day and are no more. */
function goneServers(settings: Settings): string {
  const one = `probe_interval_seconds{job=${JSON.stringify(settings.job)},type="kube-api",cluster=%q}`
  const query = `max by (target) (last_over_time(${one}[1d])) unless max by (target) (last_over_time(${one}[2m]))`
  return `{{ range $i, $s := printf ${JSON.stringify(query)} $labels.cluster $labels.cluster | query | sortByLabel "target" }}{{ if $i }}, {{ end }}{{ $s.Labels.target }}{{ else }}which ones is not known{{ end }}`
}

/** What Kubernetes is made of. */
export const cluster: Family = {
  name: 'cluster',
  optional: 'When Kubernetes is configured.',
  records: [ANSWERS, API_FOUND],
  alerts: [
    {
      name: 'KubernetesApiNotReady', severity: 'critical', scope: 'cluster', forMs: MINUTE_MS, dashboard: 'curlew-kubernetes',
      expr(settings, _numbers, forMs) {
        const [down, spare, twoScrapes] = [unhealthy(settings, 'type="kube-api"', forMs), spareApiServers(settings), 2 * settings.scrapeMs]
        return [{ expr: `${down}\nunless ${spare}`, forMs: twoScrapes }, { expr: `${down}\nand ${spare}`, severity: 'warning', forMs: twoScrapes }]
      },
      summary: `The API server ${TARGET} is not ready`,
      description: (settings) => `The API server that the probe ${TARGET} asks is not ready${layerAndReason(settings)}. {{ $value }} Curlew(s) see it so. ${answering(settings)} Without a server that clients reach, what runs goes on, but nothing is scheduled, moved or healed. Look at its log, at etcd and at its certificates.`,
    },
    {
      // The others take the address of a dead server out of the endpoints after 15 s, where kube-apiserver runs with its own
      // default (--endpoint-reconciler-type=lease): before its probe has failed long enough, and then it is probed no more.
      name: 'KubernetesApiServerGone', severity: 'warning', scope: 'cluster', forMs: 5 * MINUTE_MS, dashboard: 'curlew-kubernetes',
      expr(settings) {
        const found = of(settings, API_FOUND.record)
        // What was there for most of the day: a control plane that is replaced has one too many for a while.
        return `quantile_over_time(0.5, ${found}[1d]) - ${found} > 0`
      },
      summary: 'An API server of {{ $labels.cluster }} is no longer among its endpoints',
      description: (settings) => `{{ $value }} address(es) of the API of {{ $labels.cluster }} that were there for most of the last day are found no more, and others are still there: ${goneServers(settings)}. Its process or its node is dead, or it was taken away: clients are served, and the spare is lost.`,
    },
    {
      name: 'KubernetesNodeAddressChanged', severity: 'critical', scope: 'node', forMs: MINUTE_MS, dashboard: 'curlew-overview',
      expr: (settings) => ofNode(moved(settings)),
      summary: 'The internal address of node {{ $labels.node }} has changed',
      description: (settings) => `Node {{ $labels.node }} has another internal address than before${layerAndReason(settings)}. Certificates, etcd members, mounts and firewall rules name the old one. Give it the old address back, or change what names it.`,
    },
    {
      name: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', forMs: MINUTE_MS, dashboard: 'curlew-kubernetes',
      expr: (settings, _numbers, forMs) => [{ expr: ofNode(`(${unhealthy(settings, NODES, forMs)} unless ${moved(settings)})`), forMs: 2 * settings.scrapeMs }],
      summary: 'Node {{ $labels.node }} is not ready, or its kubelet does not answer',
      description: (settings) => `Node {{ $labels.node }} fails${layerAndReason(settings)}; {{ $value }} Curlew(s) see it so. The runbook says by layer and reason whether the machine is off, frozen, without a kubelet or not heard by the API. Its pods are moved after five minutes, those with volumes only once the node is known to be off.`,
    },
    {
      name: 'KubernetesNodePressure', severity: 'warning', scope: 'node', forMs: TEN_MINUTES_MS, dashboard: 'curlew-kubernetes',
      expr: (settings) => ofNode(`(${merged(settings, 'max', held(settings, 'probe_kube_node_condition', `${NODES},condition=~"MemoryPressure|DiskPressure|PIDPressure"`))} == 1
unless ignoring (condition) ${merged(settings, 'max', held(settings, 'probe_kube_node_unschedulable', NODES))} == 1)`),
      summary: 'Node {{ $labels.node }} has {{ $labels.condition }}',
      description: () => 'The kubelet of node {{ $labels.node }} reports {{ $labels.condition }} for ten minutes: it evicts pods, takes no new ones, and deletes images. It stays well until what it is short of is gone.',
    },
    {
      name: 'KubernetesDnsPodSlow', severity: 'warning', scope: 'cluster', forMs: TEN_MINUTES_MS, dashboard: 'curlew-kubernetes',
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
