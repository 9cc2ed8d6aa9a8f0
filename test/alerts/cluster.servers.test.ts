import { cluster } from '../../src/alerts/catalogue/cluster.ts'
import { alertContract, labelsOf } from './promtool.ts'

const plus = (labels: string, more: string) => labels.replace('}', `,${more}}`)
const from = (instance: string, labels: string) => labels.replace('curlew-0:9797', instance)

const API = labelsOf('api', 'kube-api', 'https://10.0.0.1:6443')
const api = { job: 'curlew', probe: 'api', type: 'kube-api', target: 'https://10.0.0.1:6443' }
const apiAt = (probe: string, number: number) => ({ ...api, probe, target: `https://10.0.0.${number}:6443` })
/** As discovery names them. */
const server = (number: number) => labelsOf('kube-api', 'kube-api', apiAt('', number).target)
const service = (number: number) => labelsOf('kube-api-service', 'kube-api', apiAt('', number).target)
/** How many addresses of the API discovery has, and that one of them is probed. */
const found = (values: string, instance = 'curlew-0:9797') => ({ [`curlew_discovery_targets{job="curlew",instance="${instance}",cluster="a",source="api"}`]: values })
const probed = (number: number, values: string) => ({ [`probe_interval_seconds${plus(server(number), 'cluster="a"')}`]: values })
const NODE = labelsOf('nodes', 'kube-node', 'worker-1')
const node = { job: 'curlew', probe: 'nodes', type: 'kube-node', target: 'worker-1', node: 'worker-1' }

/** A target that fails for this. */
function failing(labels: string, layer: string, reason: string, healthy = '0x60'): Record<string, string> {
  return { [`probe_healthy${labels}`]: healthy, [`probe_failure_info${plus(labels, `layer="${layer}",reason="${reason}"`)}`]: '1x60' }
}

const well = (labels: string) => ({ [`probe_healthy${labels}`]: '1x60' })

const condition = (labels: string, name: string, values: string) => ({ [`probe_kube_node_condition${plus(labels, `condition="${name}"`)}`]: values })

const pod = (name: string) => labelsOf('coredns', 'kube-dns', name, { pod: name })
const slowPod = { job: 'curlew', probe: 'coredns', type: 'kube-dns' }
const asks = (labels: string, seconds: string) => ({ [`probe_kube_dns_duration_seconds${plus(labels, 'phase="request"')}`]: `${seconds}x60`, [`probe_kube_dns_duration_seconds${plus(labels, 'phase="connect"')}`]: '9x60' })

alertContract(cluster, {
  KubernetesApiNotReady: [
    {
      kind: 'fires', what: 'as most see it', at: '5m', fires: [api], series: { ...failing(API, 'assert', 'mismatch'), ...failing(from('curlew-1', API), 'assert', 'mismatch'), ...well(from('curlew-2', API)) },
      says: {
        summary: 'The API server api https://10.0.0.1:6443 is not ready',
        description: 'The API server that the probe api https://10.0.0.1:6443 asks is not ready (assert/mismatch). 2 Curlew(s) see it so. No probed address of the API of its cluster answers well. Without a server that clients reach, what runs goes on, but nothing is scheduled, moved or healed. Look at its log, at etcd and at its certificates.',
      },
    },
    {
      kind: 'fires', what: 'one of three is a warning', at: '5m', fires: [{ ...apiAt('kube-api', 1), severity: 'warning' }], series: { ...failing(server(1), 'connect', 'timeout'), ...well(server(2)), ...well(server(3)), ...well(service(9)) },
      says: {
        summary: 'The API server kube-api https://10.0.0.1:6443 is not ready',
        description: 'The API server that the probe kube-api https://10.0.0.1:6443 asks is not ready (connect/timeout). 1 Curlew(s) see it so. 3 address(es) of the API of its cluster answer well. Without a server that clients reach, what runs goes on, but nothing is scheduled, moved or healed. Look at its log, at etcd and at its certificates.',
      },
    },
    { kind: 'fires', what: 'two of three, while the third serves', at: '5m', fires: [1, 2].map((number) => ({ ...apiAt('kube-api', number), severity: 'warning' })), series: { ...failing(server(1), 'connect', 'timeout'), ...failing(server(2), 'connect', 'timeout'), ...well(server(3)) } },
    { kind: 'fires', what: 'all of them', at: '5m', fires: [apiAt('kube-api', 1), apiAt('kube-api', 2), apiAt('kube-api-service', 9)], series: { ...failing(server(1), 'connect', 'timeout'), ...failing(server(2), 'connect', 'timeout'), ...failing(service(9), 'connect', 'timeout') } },
    { kind: 'fires', what: 'the Service alone, by its address or by its name', at: '5m', fires: [apiAt('kube-api-service', 9)], series: { ...well(server(1)), ...well(server(2)), ...failing(service(9), 'connect', 'timeout'), ...well(labelsOf('kube-api-service', 'kube-api', 'https://kubernetes.default.svc:443')) } },
    {
      kind: 'fires', what: 'the load balancer of the kubeconfig alone, of one of several clusters', at: '5m', fires: [apiAt('room-a_kube-api-address', 9)],
      series: { ...failing(labelsOf('room-a_kube-api-address', 'kube-api', 'https://10.0.0.9:6443'), 'connect', 'timeout'), ...well(labelsOf('room-a_kube-api', 'kube-api', 'https://10.0.0.1:6443')), ...well(labelsOf('room-a_kube-api', 'kube-api', 'https://10.0.0.2:6443')) },
    },
    { kind: 'fires', what: 'the only server, which clients reach by the Service', at: '5m', fires: [{ ...apiAt('kube-api', 1), severity: 'warning' }], series: { ...failing(server(1), 'connect', 'timeout'), ...well(service(9)) } },
    { kind: 'fires', what: 'one that a config probes alone, and may be a VIP', at: '5m', fires: [apiAt('api', 1)], series: { ...failing(API, 'connect', 'timeout'), ...well(server(2)), ...well(service(9)) } },
    { kind: 'fires', what: 'the others are unknown', at: '5m', fires: [apiAt('kube-api', 1)], series: { ...failing(server(1), 'connect', 'timeout'), [`probe_unknown${server(2)}`]: '1x60' } },
    { kind: 'fires', what: 'the others are of another cluster', at: '5m', fires: [{ ...apiAt('kube-api', 1), cluster: 'one' }], series: { ...failing(plus(server(1), 'cluster="one"'), 'connect', 'timeout'), ...well(plus(server(2), 'cluster="two"')) } },
    { kind: 'fires', what: 'the Service that is well is of another cluster', at: '5m', fires: [{ ...apiAt('kube-api', 1), cluster: 'one' }], series: { ...failing(plus(server(1), 'cluster="one"'), 'connect', 'timeout'), ...well(plus(service(9), 'cluster="two"')) } },
    { kind: 'boundary', what: 'the other one is well for half of those that look', at: '5m', fires: [apiAt('kube-api', 1)], series: { ...failing(server(1), 'connect', 'timeout'), ...well(server(2)), ...failing(from('curlew-1', server(2)), 'connect', 'timeout') } },
    { kind: 'boundary', what: 'the other one goes too: a page after two scrapes', at: '14m', fires: [apiAt('kube-api', 1), apiAt('kube-api', 2)], series: { ...failing(server(1), 'connect', 'timeout'), ...failing(server(2), 'connect', 'timeout', '1x9 0x60') } },
    { kind: 'quiet', what: 'ready', at: '5m', fires: [], series: well(API) },
    { kind: 'quiet', what: 'unknown', at: '5m', fires: [], series: { [`probe_unknown${API}`]: '1x60' } },
    { kind: 'quiet', what: 'another type', at: '5m', fires: [], series: failing(API.replace('kube-api', 'http'), 'assert', 'mismatch') },
    { kind: 'boundary', what: 'for less than two scrapes', at: '10m', fires: [], series: failing(API, 'assert', 'mismatch', '1x9 0x60') },
    { kind: 'boundary', what: 'for two', at: '11m', fires: [api], series: failing(API, 'assert', 'mismatch', '1x9 0x60') },
  ],
  KubernetesApiServerGone: [
    {
      kind: 'fires', what: 'one of three, which is probed no more', every: '5m', at: '520m', fires: [{ job: 'curlew', cluster: 'a' }],
      series: { ...found('5x100 4x20'), ...probed(1, '60x100 stale'), ...probed(2, '60x120') },
      says: {
        summary: 'An API server of a is no longer among its endpoints',
        description: '1 address(es) of the API of a that were there for most of the last day are found no more, and others are still there: https://10.0.0.1:6443. Its process or its node is dead, or it was taken away: clients are served, and the spare is lost.',
      },
    },
    { kind: 'fires', what: 'through a new pod of Curlew, which never saw it', every: '5m', at: '530m', fires: [{ job: 'curlew', cluster: 'a' }], series: { ...found('5x100 4x2 stale'), ...found('_x102 4x20', 'curlew-1:9797') } },
    { kind: 'quiet', what: 'all are there', every: '5m', at: '520m', fires: [], series: found('5x120') },
    { kind: 'quiet', what: 'one is replaced, and both were there for a while', every: '5m', at: '530m', fires: [], series: found('5x97 6x3 5x20') },
    { kind: 'quiet', what: 'a Curlew that starts has not looked yet', every: '5m', at: '520m', fires: [], series: found('5x100 0x20') },
    { kind: 'quiet', what: 'one of two replicas has not looked yet', every: '5m', at: '520m', fires: [], series: { ...found('5x120'), ...found('_x100 0x20', 'curlew-1:9797') } },
    { kind: 'quiet', what: 'the Curlew inside is away, and one outside knows an address', every: '5m', at: '530m', fires: [], series: { ...found('5x100 stale'), ...found('1x120', 'outside:9797') } },
    { kind: 'boundary', what: 'the last of three, and the Service', every: '5m', at: '520m', fires: [{ job: 'curlew', cluster: 'a' }], series: { ...found('5x100 3x20'), ...found('1x120', 'outside:9797') } },
    { kind: 'quiet', what: 'what other sources find', every: '5m', at: '520m', fires: [], series: Object.fromEntries(Object.entries(found('5x100 4x20')).map(([series, values]) => [series.replace('"api"', '"nodes"'), values])) },
    { kind: 'boundary', what: 'not for five minutes yet', every: '5m', at: '505m', fires: [], series: found('5x100 4x20') },
    { kind: 'boundary', what: 'for five minutes', every: '5m', at: '510m', fires: [{ job: 'curlew', cluster: 'a' }], series: found('5x100 4x20') },
    { kind: 'boundary', what: 'for half of the day', every: '5m', at: '30h', fires: [], series: found('5x100 4x300') },
  ],
  KubernetesNodeAddressChanged: [
    {
      kind: 'fires', what: 'seen from two other nodes', at: '5m', fires: [node],
      series: { ...failing(plus(NODE, 'node="worker-2"'), 'assert', 'mismatch'), ...failing(plus(from('curlew-1', NODE), 'node="worker-3"'), 'assert', 'mismatch') },
      says: { summary: 'The internal address of node worker-1 has changed', description: 'Node worker-1 has another internal address than before (assert/mismatch). Certificates, etcd members, mounts and firewall rules name the old one. Give it the old address back, or change what names it.' },
    },
    { kind: 'quiet', what: 'well', at: '5m', fires: [], series: well(NODE) },
    { kind: 'quiet', what: 'fails for another reason', at: '5m', fires: [], series: failing(NODE, 'request', 'timeout') },
    { kind: 'quiet', what: 'its certificate is for another name', at: '5m', fires: [], series: failing(NODE, 'tls', 'mismatch') },
    { kind: 'quiet', what: 'unknown', at: '5m', fires: [], series: { [`probe_unknown${NODE}`]: '1x60' } },
    { kind: 'boundary', what: 'by one of two', at: '5m', fires: [], series: { ...failing(NODE, 'assert', 'mismatch'), ...well(from('curlew-1', NODE)) } },
    { kind: 'boundary', what: 'by two of three', at: '5m', fires: [node], series: { ...failing(NODE, 'assert', 'mismatch'), ...failing(from('curlew-1', NODE), 'assert', 'mismatch'), ...well(from('curlew-2', NODE)) } },
  ],
  KubernetesNodeNotReady: [
    {
      kind: 'fires', what: 'as most see it', at: '5m', fires: [node], series: { ...failing(NODE, 'request', 'hung'), ...failing(from('curlew-1', NODE), 'request', 'hung'), ...well(from('curlew-2', NODE)) },
      says: { summary: 'Node worker-1 is not ready, or its kubelet does not answer', description: 'Node worker-1 fails (request/hung); 2 Curlew(s) see it so. The runbook says by layer and reason whether the machine is off, frozen, without a kubelet or not heard by the API. Its pods are moved after five minutes, those with volumes only once the node is known to be off.' },
    },
    { kind: 'fires', what: 'a wrong name in its certificate is not another address', at: '5m', fires: [node], series: failing(NODE, 'tls', 'mismatch') },
    { kind: 'quiet', what: 'well', at: '5m', fires: [], series: well(NODE) },
    { kind: 'quiet', what: 'its address has changed, which has an alert of its own', at: '5m', fires: [], series: failing(NODE, 'assert', 'mismatch') },
    { kind: 'quiet', what: 'unknown', at: '5m', fires: [], series: { [`probe_unknown${NODE}`]: '1x60' } },
    { kind: 'boundary', what: 'for less than two scrapes', at: '10m', fires: [], series: failing(NODE, 'network', 'timeout', '1x9 0x60') },
    { kind: 'boundary', what: 'for two', at: '11m', fires: [node], series: failing(NODE, 'network', 'timeout', '1x9 0x60') },
  ],
  KubernetesNodePressure: [
    {
      kind: 'fires', what: 'as one of two sees it', at: '15m', fires: [{ ...node, condition: 'DiskPressure' }], series: { ...condition(NODE, 'DiskPressure', '1x60'), ...condition(NODE, 'MemoryPressure', '0x60'), ...condition(from('curlew-1', NODE), 'DiskPressure', '0x60') },
      says: { summary: 'Node worker-1 has DiskPressure', description: 'The kubelet of node worker-1 reports DiskPressure for ten minutes: it evicts pods, takes no new ones, and deletes images. It stays well until what it is short of is gone.' },
    },
    { kind: 'quiet', what: 'no pressure', at: '15m', fires: [], series: condition(NODE, 'PIDPressure', '0x60') },
    { kind: 'quiet', what: 'a network that is not set up fails the probe', at: '15m', fires: [], series: condition(NODE, 'NetworkUnavailable', '1x60') },
    { kind: 'quiet', what: 'cordoned', at: '15m', fires: [], series: { ...condition(NODE, 'DiskPressure', '1x60'), [`probe_kube_node_unschedulable${NODE}`]: '1x60' } },
    { kind: 'boundary', what: 'for less than ten minutes', at: '19m', fires: [], series: condition(NODE, 'DiskPressure', '0x9 1x60') },
    { kind: 'boundary', what: 'for ten', at: '20m', fires: [{ ...node, condition: 'DiskPressure' }], series: { ...condition(NODE, 'DiskPressure', '0x9 1x60'), [`probe_kube_node_unschedulable${NODE}`]: '0x60' } },
  ],
  KubernetesDnsPodSlow: [
    {
      kind: 'fires', what: 'one of three', at: '30m', fires: [{ ...slowPod, target: 'coredns-a' }], series: { ...asks(pod('coredns-a'), '0.2'), ...asks(pod('coredns-b'), '0.01'), ...asks(pod('coredns-c'), '0.02'), [`probe_info${plus(pod('coredns-a'), 'host="10.1.0.7"')}`]: '1x60' },
      says: { summary: 'The DNS pod coredns coredns-a is slower than the others', description: 'The DNS pod coredns coredns-a takes 200ms to answer in the mean of ten minutes, more than 3 times what the others take; it is at 10.1.0.7. A share of all look-ups in the cluster waits for it. Look at its CPU limit and its node, or delete the pod.' },
    },
    { kind: 'quiet', what: 'all of them', at: '30m', fires: [], series: { ...asks(pod('coredns-a'), '0.2'), ...asks(pod('coredns-b'), '0.2') } },
    { kind: 'quiet', what: 'the only one', at: '30m', fires: [], series: asks(pod('coredns-a'), '0.2') },
    { kind: 'quiet', what: 'below the floor', at: '30m', fires: [], series: { ...asks(pod('coredns-a'), '0.019'), ...asks(pod('coredns-b'), '0.001') } },
    { kind: 'quiet', what: 'than those of another cluster', at: '30m', fires: [], series: { ...asks(plus(pod('coredns-a'), 'cluster="one"'), '0.2'), ...asks(plus(pod('coredns-b'), 'cluster="two"'), '0.01') } },
    { kind: 'boundary', what: 'just three times', at: '30m', fires: [], series: { ...asks(pod('coredns-a'), '0.75'), ...asks(pod('coredns-b'), '0.25') } },
    { kind: 'boundary', what: 'a little more', at: '30m', fires: [{ ...slowPod, target: 'coredns-a' }], series: { ...asks(pod('coredns-a'), '0.76'), ...asks(pod('coredns-b'), '0.25') } },
  ],
})
