import type { Spec } from './frame.ts'
import { certificatesByTimeLeft } from './certificates.ts'
import { numberOf } from './numbers.ts'
import { above, bands, cells, lines, rows, STATE_WORDS, TARGET, words, YES_IS_BAD, YES_IS_GOOD } from './panels.ts'
import { failedShare, many, mounts as apart, stateOf } from './promql.ts'

const { avg, max, min, of } = many
const RCODES = words({ 0: ['NOERROR', 'green'], 2: ['SERVFAIL', 'red'], 3: ['NXDOMAIN', 'blue'], 5: ['REFUSED', 'red'] })
/** As what finds them names their probe, behind the cluster's name where it has one. */
const UPSTREAMS = 'probe=~"(?:.+_)?kube-dns-upstream.*"'
const EDGE = '{{instance}} to {{target}}'
const phase = (metric: string, title: string, name: string, description: string) => lines({ title, unit: 's', min: 0, toTarget: true, description, queries: [{ expr: avg(metric, `phase="${name}"`) }] })

/** A way from node to node: the node that looks, by its label or by an instance that is `<node>/<pod>`, and the agent that it looks at. */
const EDGE_LABELS = ['cluster', 'from', 'probe', 'target'] as const
function edge(operator: 'max' | 'avg', expr: string, ...more: readonly string[]): string {
  return `${operator} by (${[...EDGE_LABELS, ...more].join(', ')}) (label_replace(label_replace(${expr}, "from", "$1", "instance", "([^/]+)(?:/.*)?"), "from", "$1", "node", "(.+)"))`
}
const lossOf = (matchers = '') => `avg_over_time(${apart.of('probe_mesh_loss_ratio', matchers)}[5m])`

/** What is lost at most on an edge, all of it where the edge is broken; with layer and reason while its last run failed. */
function worst(): string {
  const lost = edge('max', `${lossOf()} or (${apart.of('probe_healthy', 'type="mesh"')} == bool 0)`)
  const on = `on (${EDGE_LABELS.join(', ')})`
  // An agent that is replaced may have two reasons for a moment.
  const why = `topk by (${EDGE_LABELS.join(', ')}) (1, ${edge('max', apart.of('probe_failure_info', 'type="mesh"'), 'layer', 'reason')})`
  return `${lost} * ${on} group_left (layer, reason) ${why}\nor ${on} ${lost}`
}

/** Which edge, which protocol, and packets of which size: a row an edge. */
const edges = () => rows({
  title: 'Ways between Curlews, the worst first', unit: 'percentunit', width: 24, height: 10, decimals: 0, steps: above(numberOf('MeshPacketLoss', 'loss_ratio'), 0.5),
  description: 'From a node to the agent of another one. Lost: the worst of the shares beside it, of packets in 5 minutes, or all where the way is broken; layer and reason are those of a run that has just failed. Only large packets lost is the MTU; a protocol without a round trip does not pass. One target in many rows is that node, one "from" its own link.',
  labels: ['cluster', 'from', 'target', 'probe', 'layer', 'reason'], values: ['lost', 'UDP small', 'UDP large', 'ICMP small', 'ICMP large', 'UDP round trip', 'TCP round trip', 'ICMP round trip'],
  units: { 'UDP round trip': 's', 'TCP round trip': 's', 'ICMP round trip': 's' }, sortBy: 'lost', noValue: 'No agent looks at another one.',
  queries: [
    { expr: worst() },
    ...['udp', 'icmp'].flatMap((protocol) => ['small', 'large'].map((size) => ({ expr: edge('max', lossOf(`protocol="${protocol}",size="${size}"`)) }))),
    ...['udp', 'tcp', 'icmp'].map((protocol) => ({ expr: edge('avg', apart.of('probe_mesh_rtt_seconds', `protocol="${protocol}"`)) })),
  ],
})

/** A metric of Curlew itself, which may have no `cluster`. */
const own = (metric: string) => `${metric}{job="$job",cluster=~"$cluster|"}`

export const kubernetes: Spec = {
  uid: 'curlew-kubernetes', about: 'targets', types: ['kube-api', 'kube-node', 'host', 'kube-dns', 'dns', 'mesh'],
  description: 'What Kubernetes clusters are made of: API servers, nodes, their DNS and its upstreams, the way from node to node, and what was found there.',
  sections: [
    { title: 'State', panels: [
      cells({ title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true, height: 10, description: 'How most Curlews saw each target.', queries: [{ expr: stateOf(many) }] }),
    ] },
    { title: 'API servers', panels: [
      bands({ title: 'API server ready', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Whether each API server says that it is ready, and sees etcd.', queries: [{ expr: min('probe_kube_api_ready') }] }),
      bands({ title: 'API server lives', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Whether it says that it lives; missing where it refuses the login or does not answer.', queries: [{ expr: min('probe_kube_api_live') }] }),
      rows({
        title: 'Checks of API servers', unit: 'short', mappings: YES_IS_GOOD, description: 'Those of etcd always, where the login may ask for them; the others while the server is not ready.', labels: ['cluster', 'probe', 'target', 'check'], values: ['passes'], sortBy: 'passes', ascending: true,
        queries: [{ expr: min('probe_kube_api_check') }],
      }),
      phase('probe_kube_api_duration_seconds', 'Answer time of /readyz', 'readyz', 'How long /readyz took. All servers together is etcd; one is that server.'),
      phase('probe_kube_api_duration_seconds', 'Answer time through etcd', 'etcd', 'How long the checks of etcd took: 2 s is where the API server gives up.'),
      lines({ title: 'API server phases', unit: 's', stacked: true, min: 0, description: 'How long each phase took, the mean of these servers.', queries: [{ expr: `avg by (phase) (${of('probe_kube_api_duration_seconds')})`, legend: '{{phase}}' }] }),
    ] },
    { title: 'Nodes', panels: [
      bands({ title: 'Node ready', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'What the API says of each node; missing while it does not know.', queries: [{ expr: min('probe_kube_node_ready') }] }),
      rows({
        title: 'Conditions of nodes', unit: 'short', mappings: YES_IS_BAD, description: 'Pressures and the like, bad to have.', labels: ['cluster', 'target', 'condition'], values: ['has it'], sortBy: 'has it', queries: [{ expr: max('probe_kube_node_condition') }],
      }),
      bands({ title: 'Kubelet answers', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Whether its kubelet answered, even if only to refuse.', queries: [{ expr: max('probe_kube_node_kubelet_answers') }] }),
      lines({ title: 'Kubelet phases', unit: 's', stacked: true, min: 0, description: 'How long each phase of a node probe took, the mean of these nodes.', queries: [{ expr: `avg by (phase) (${of('probe_kube_node_duration_seconds')})`, legend: '{{phase}}' }] }),
    ] },
    { title: 'Machines', panels: [
      lines({
        title: 'Stands still', unit: 'percentunit', min: 0, max: 1, description: 'The share of the last minute in which nothing went on for want of memory, or of a disk (PSI). The first rises before a server freezes.',
        queries: [{ expr: max('probe_host_memory_stalled_ratio'), legend: `${TARGET} memory` }, { expr: max('probe_host_io_stalled_ratio'), legend: `${TARGET} disk` }],
      }),
      lines({ title: 'inotify of its limit', unit: 'percentunit', min: 0, max: 1, toTarget: true, description: 'Of the user that is nearest to it: at the limit kubelets and log shippers fail.', queries: [{ expr: max('probe_host_inotify_ratio') }] }),
    ] },
    { title: 'DNS', panels: [
      lines({
        title: 'Answer time from memory', unit: 's', min: 0, toTarget: true, steps: above(numberOf('KubernetesDnsPodSlow', 'floor_seconds')),
        description: 'How long each DNS server took for the name of the Kubernetes API. One above the others is that pod or its node.', queries: [{ expr: avg('probe_kube_dns_duration_seconds', 'phase="request"') }],
      }),
      phase('probe_kube_dns_duration_seconds', 'Answer time without the cache', 'miss', 'How long it took for a name of the cluster that nobody has, which is in no cache.'),
      lines({
        title: 'Answer time outside', unit: 's', min: 0, description: 'For a name outside: asked first, maybe of an upstream, and again, from the cache. Only where the probe has a name outside.',
        queries: [{ expr: avg('probe_kube_dns_duration_seconds', 'phase="forward"'), legend: `${TARGET} first` }, { expr: avg('probe_kube_dns_duration_seconds', 'phase="forward_hit"'), legend: `${TARGET} again` }],
      }),
      bands({ title: 'Return code', unit: 'short', mappings: RCODES, description: 'What each question was answered with; a miss should be NXDOMAIN.', queries: [{ expr: max('probe_kube_dns_rcode'), legend: `${TARGET} {{question}}` }] }),
      lines({ title: 'Answer time of upstreams', unit: 's', min: 0, toTarget: true, description: 'The servers to which the Corefile forwards. One above the others is that server, all together the way there.', queries: [{ expr: avg('probe_dns_duration_seconds', `phase="request",${UPSTREAMS}`) }] }),
      lines({
        title: 'Failed share of upstreams', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('DnsServerFailing', 'ratio')), description: 'The share of runs that failed within 10 minutes.',
        queries: [{ expr: failedShare(many, UPSTREAMS, '10m') }],
      }),
    ] },
    { title: 'From node to node', panels: [
      edges(),
      lines({
        title: 'Packet loss between Curlews', unit: 'percentunit', min: 0, max: 1, description: 'From the node of one agent to that of another. One target in all lines is that node, one agent its own; only large packets is the MTU.',
        queries: [{ expr: apart.of('probe_mesh_loss_ratio'), legend: `${EDGE} {{protocol}} {{size}}` }],
      }),
      lines({ title: 'Round trip between Curlews', unit: 's', min: 0, description: 'The mean round trip of the last run.', queries: [{ expr: apart.of('probe_mesh_rtt_seconds'), legend: `${EDGE} {{protocol}}` }] }),
    ] },
    { title: 'Certificates', panels: [certificatesByTimeLeft()] },
    { title: 'Discovery and shards', panels: [
      lines({ title: 'Age of discovery', unit: 's', min: 0, description: 'Time since each source was last certain to know what there is.', queries: [{ expr: `time() - max by (source) (${own('curlew_discovery_last_success_timestamp_seconds')})`, legend: '{{source}}' }] }),
      lines({ title: 'Targets found', unit: 'short', min: 0, description: 'Targets that were found and are probed.', queries: [{ expr: `max by (cluster, source) (${own('curlew_discovery_targets')})`, legend: '{{cluster}} {{source}}' }] }),
      rows({
        title: 'Refused', unit: 'short', description: 'Wrong annotations, and targets that are left out: why stands on the status page and in the log.', labels: ['cluster', 'namespace'], values: ['objects'], sortBy: 'objects',
        noValue: 'Nothing is refused.', queries: [{ expr: `max by (cluster, namespace) (${own('curlew_discovery_refused')})` }],
      }),
      lines({
        title: 'Targets of shards', unit: 'short', min: 0, description: 'What each shard probes, and what all of them should: a sum that is lower is a gap.',
        queries: [{ expr: `max by (shard) (${own('curlew_targets_owned')})`, legend: 'shard {{shard}}' }, { expr: `max(${own('curlew_targets_expected')})`, legend: 'expected of all' }],
      }),
    ] },
  ],
}
