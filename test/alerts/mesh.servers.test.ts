import { mesh } from '../../src/alerts/catalogue/mesh.ts'
import { alertContract, labelsOf } from './promtool.ts'

const target = (peer: string, network = 'pod') => ({ job: 'curlew', probe: `mesh-${network}`, type: 'mesh', target: `${peer}:9798`, peer, network })
const edge = (from: string, to: string, network = 'pod', more: Readonly<Record<string, string>> = {}) => {
  const { probe, type, target: at, peer } = target(to, network)
  return labelsOf(probe, type, at, { instance: `${from}:9797`, node: from, pod: `agent-${from}`, peer, network, ...more })
}
const plus = (labels: string, more: string) => labels.replace('}', `,${more}}`)
const well = (...edges: readonly string[]) => Object.fromEntries(edges.map((labels) => [`probe_healthy${labels}`, '1x60']))
const broken = (layer: string, reason: string, edges: readonly string[], healthy = '0x60') => Object.fromEntries(edges.flatMap((labels) => [
  [`probe_healthy${labels}`, healthy], [`probe_failure_info${plus(labels, `layer="${layer}",reason="${reason}"`)}`, '1x60'],
]))
const cut = (...edges: readonly string[]) => broken('network', 'timeout', edges)
const into = (to: string, ...from: readonly string[]) => from.map((one) => edge(one, to))
const outOf = (from: string, ...to: readonly string[]) => to.map((one) => edge(from, one))
const losing = (values: string, labels: string) => ({ [`probe_mesh_loss_ratio${plus(labels, 'protocol="udp",size="small"')}`]: values, ...well(labels), [`probe_success${labels}`]: '1x60' })

const unreachable = { ...target('w9'), node: 'w9' }
const source = (node: string, network = 'pod') => ({ job: 'curlew', network, instance: `${node}:9797`, node })

alertContract(mesh, {
  NodeUnreachableFromNodes: [
    {
      kind: 'fires', what: 'from all that look, once', at: '5m', fires: [unreachable], series: { ...cut(...into('w9', 'w1', 'w2', 'w3')), ...well(...outOf('w1', 'w2', 'w3'), ...outOf('w2', 'w3', 'w4')) },
      says: {
        summary: 'Node w9 cannot be reached over the pod network',
        description: '3 nodes, most of those that look at w9, get no answer from it over the pod network: neither to pings nor over TCP or UDP. The node is down, or cut off. What is on it is out of reach for the rest of the cluster.',
      },
    },
    { kind: 'fires', what: 'a router says so', at: '5m', fires: [unreachable], series: broken('network', 'unreachable', into('w9', 'w1', 'w2')) },
    { kind: 'quiet', what: 'the agents there are being rolled out', at: '5m', fires: [], series: broken('connect', 'refused', into('w9', 'w1', 'w2', 'w3')) },
    { kind: 'quiet', what: 'a policy drops the port', at: '5m', fires: [], series: broken('connect', 'timeout', into('w9', 'w1', 'w2', 'w3')) },
    { kind: 'quiet', what: 'nothing is known', at: '5m', fires: [], series: Object.fromEntries(into('w9', 'w1', 'w2').map((labels) => [`probe_unknown${labels}`, '1x60'])) },
    { kind: 'quiet', what: 'of another type', at: '5m', fires: [], series: Object.fromEntries(Object.entries(cut(...into('w9', 'w1', 'w2'))).map(([series, values]) => [series.replace('"mesh"', '"tcp"'), values])) },
    { kind: 'boundary', what: 'from the only one that looks', at: '5m', fires: [], series: cut(...into('w9', 'w1')) },
    { kind: 'boundary', what: 'from two of four', at: '5m', fires: [], series: { ...cut(...into('w9', 'w1', 'w2')), ...well(...into('w9', 'w3', 'w4')) } },
    { kind: 'boundary', what: 'from two of three', at: '5m', fires: [unreachable], series: { ...cut(...into('w9', 'w1', 'w2')), ...well(...into('w9', 'w3')) } },
    { kind: 'boundary', what: 'over one of two networks', at: '5m', fires: [unreachable], series: { ...cut(...into('w9', 'w1', 'w2')), ...well(edge('w1', 'w9', 'host'), edge('w2', 'w9', 'host')) } },
  ],
  NodeCannotReach: [
    {
      kind: 'fires', what: 'most of its neighbours, which others reach', at: '5m', fires: [source('w9')],
      series: { ...cut(...outOf('w9', 'w1', 'w2')), ...well(edge('w9', 'w3'), ...into('w1', 'w2', 'w3'), ...into('w2', 'w1', 'w3')) },
    },
    {
      kind: 'fires', what: 'as the manifests call instances', at: '5m', fires: [{ job: 'curlew', network: 'pod', instance: 'w9/agent', node: 'w9' }],
      series: Object.fromEntries(Object.entries({ ...cut(...outOf('w9', 'w1', 'w2')), ...well(...into('w1', 'w2', 'w3'), ...into('w2', 'w1', 'w3')) })
        .map(([series, values]) => [series.replace(/instance="(\w+):9797"/, 'instance="$1/agent"').replace(/,node="\w+"/, ''), values])),
    },
    { kind: 'quiet', what: 'neighbours that nobody reaches', at: '5m', fires: [], series: { ...cut(...outOf('w9', 'w1', 'w2'), edge('w3', 'w1'), edge('w3', 'w2')), ...well(edge('w9', 'w4'), ...outOf('w3', 'w4', 'w5', 'w6')) } },
    { kind: 'quiet', what: 'agents that are down', at: '5m', fires: [], series: broken('connect', 'refused', outOf('w9', 'w1', 'w2', 'w3')) },
    { kind: 'boundary', what: 'its only neighbour', at: '5m', fires: [], series: { ...cut(edge('w9', 'w1')), ...well(edge('w2', 'w1')) } },
    { kind: 'boundary', what: 'two of four', at: '5m', fires: [], series: { ...cut(...outOf('w9', 'w1', 'w2')), ...well(...outOf('w9', 'w3', 'w4'), edge('w3', 'w1'), edge('w3', 'w2')) } },
  ],
  MeshEdgeBroken: [
    {
      kind: 'fires', what: 'one way', at: '10m', fires: [{ ...target('w1'), instance: 'w9:9797', node: 'w9' }], series: { ...broken('connect', 'timeout', [edge('w9', 'w1')]), ...well(edge('w2', 'w1')) },
      says: {
        summary: 'w9 does not reach the agent of w1 over the pod network',
        description: 'The way from w9 to the agent mesh-pod w1:9798 is broken (connect/timeout). connect/refused, request/timeout and request/protocol speak of the agent there; connect/timeout of a policy or firewall; network of the way itself. Where every way to it is broken look there, where every way from here look here.',
      },
    },
    { kind: 'quiet', what: 'well', at: '10m', fires: [], series: well(edge('w9', 'w1')) },
    { kind: 'quiet', what: 'large packets alone', at: '10m', fires: [], series: broken('network', 'mismatch', [edge('w9', 'w1')]) },
    { kind: 'boundary', what: 'for less than five minutes', at: '14m', fires: [], series: broken('connect', 'refused', [edge('w9', 'w1')], '1x9 0x60') },
    { kind: 'boundary', what: 'for five', at: '15m', fires: [{ ...target('w1'), instance: 'w9:9797', node: 'w9' }], series: broken('connect', 'refused', [edge('w9', 'w1')], '1x9 0x60') },
    { kind: 'quiet', what: 'a node that is frozen, of which KubernetesNodeNotReady tells', at: '10m', fires: [], series: { ...broken('request', 'timeout', into('w1', 'w8', 'w9')), [`probe_healthy${labelsOf('kube-node', 'kube-node', 'w1')}`]: '0x60' } },
    { kind: 'boundary', what: 'another node is frozen, this one is well', at: '10m', fires: [{ ...target('w1'), instance: 'w9:9797', node: 'w9' }], series: { ...broken('request', 'timeout', [edge('w9', 'w1')]), [`probe_healthy${labelsOf('kube-node', 'kube-node', 'w1')}`]: '1x60', [`probe_healthy${labelsOf('kube-node', 'kube-node', 'w2')}`]: '0x60' } },
  ],
  MeshPacketsTooLarge: [
    {
      kind: 'fires', what: 'once for a node', at: '10m', fires: [target('w9')], series: { ...broken('network', 'mismatch', into('w9', 'w1', 'w2')), ...well(...into('w9', 'w3')) },
    },
    { kind: 'quiet', what: 'nothing passes', at: '10m', fires: [], series: cut(...into('w9', 'w1', 'w2')) },
    {
      kind: 'fires', what: 'of the node whose link it is, not of those that it looks at', at: '10m', fires: [target('w9')],
      series: { ...broken('network', 'mismatch', [...into('w9', 'w1', 'w2', 'w3'), ...outOf('w9', 'w4', 'w5', 'w6')]), ...well(...into('w4', 'w1', 'w2'), edge('w1', 'w5'), edge('w1', 'w6')) },
    },
    { kind: 'fires', what: 'between two such nodes', at: '10m', fires: [target('w8'), target('w9')], series: broken('network', 'mismatch', [...into('w9', 'w1', 'w8'), ...into('w8', 'w1', 'w9')]) },
    { kind: 'boundary', what: 'for less than two minutes', at: '11m', fires: [], series: broken('network', 'mismatch', into('w9', 'w1'), '1x9 0x60') },
    { kind: 'boundary', what: 'for two', at: '12m', fires: [target('w9')], series: broken('network', 'mismatch', into('w9', 'w1'), '1x9 0x60') },
  ],
  MeshPacketLoss: [
    {
      kind: 'fires', what: 'in the mean of those that look', at: '15m', fires: [target('w9')], series: { ...losing('0.2x60', edge('w1', 'w9')), ...losing('0x60', edge('w2', 'w9')) },
    },
    {
      kind: 'fires', what: 'at the node whose packets get lost, not at those that it looks at', at: '15m', fires: [target('w9')],
      series: Object.assign({}, ...into('w9', 'w1', 'w2', 'w3').map((one) => losing('0.3x60', one)), ...outOf('w9', 'w1', 'w2', 'w3').map((one) => losing('0.3x60', one)), losing('0x60', edge('w2', 'w1')), losing('0x60', edge('w1', 'w2'))),
    },
    {
      kind: 'quiet', what: 'what is left of UDP that was blocked', at: '9m', fires: [],
      series: { ...losing('0x4 1x1 0x50', edge('w1', 'w9')), [`probe_success${edge('w1', 'w9')}`]: '1x4 0x1 1x50' },
    },
    { kind: 'quiet', what: 'none', at: '15m', fires: [], series: losing('0x60', edge('w1', 'w9')) },
    { kind: 'quiet', what: 'UDP is blocked: that is MeshEdgeBroken', at: '15m', fires: [], series: { ...losing('1x60', edge('w1', 'w9')), ...broken('connect', 'timeout', [edge('w1', 'w9')]) } },
    { kind: 'quiet', what: 'an agent that was restarted: there is no sample', at: '15m', fires: [], series: losing('0x7 _x3 0x50', edge('w1', 'w9')) },
    { kind: 'quiet', what: 'pings and large packets alone', at: '15m', fires: [], series: { [`probe_mesh_loss_ratio${plus(edge('w1', 'w9'), 'protocol="icmp",size="small"')}`]: '1x60', [`probe_mesh_loss_ratio${plus(edge('w1', 'w9'), 'protocol="udp",size="large"')}`]: '1x60', ...well(edge('w1', 'w9')) } },
    { kind: 'boundary', what: 'just below the limit', at: '15m', fires: [], series: losing('0.049x60', edge('w1', 'w9')) },
    { kind: 'boundary', what: 'a little more', at: '15m', fires: [target('w9')], series: losing('0.051x60', edge('w1', 'w9')) },
  ],
})
