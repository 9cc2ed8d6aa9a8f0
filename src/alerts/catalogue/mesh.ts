import { MINUTE_MS } from '../durations.ts'
import type { Family, RecordSpec, Settings } from '../model.ts'
import { failing, held, majority, merged, of, ofItsNode, window } from '../promql.ts'
import { lookedUp, TARGET } from '../templates.ts'

const MESH = 'type="mesh"'
/** An agent that is down, or busy, answers for itself: of the network only this speaks. */
const CUT = 'layer="network",reason=~"timeout|unreachable"'
const TOO_LARGE = 'layer="network",reason="mismatch"'
const FIVE_MINUTES_MS = 5 * MINUTE_MS
/** With a few packets a run, a hundred of them. */
const LOSS_MS = 10 * MINUTE_MS
/** Who looks: the labels of a node's Curlew. */
const SOURCE = ['job', 'cluster', 'network', 'instance', 'node']

const edges = (settings: Settings) => held(settings, 'probe_healthy', MESH)
const cut = (settings: Settings) => failing(settings, MESH, CUT)

/** Nodes that most of those which look at them, and two of them at least, cannot reach. */
const cutOff = (settings: Settings) => `${majority(settings, cut(settings), edges(settings))} >= 2`

/**
 * `shown` of edges, without those from a node that most of the others find `bad`: each of its neighbours looks bad from there. Those to such
 * nodes stay, from wherever.
 */
function unlessOfSource(settings: Settings, shown: string, bad: string): string {
  const found = `(${majority(settings, bad, edges(settings))} >= 2)`
  const sources = `max by (job, cluster, network, node) (label_replace(${found}, "node", "$1", "peer", "(.+)"))`
  return `((${ofItsNode(shown)} unless on (job, cluster, network, node) ${sources})
or (${ofItsNode(shown)} and on (job, cluster, network, peer) ${found}))`
}

/** Of runs that were ok: one without any answer has failed, and is no loss that goes on for ten minutes. Small ones by UDP: pings are rationed in places. */
const LOSS: RecordSpec = {
  record: 'edge:mesh_loss_ratio:mean10m',
  expr: (settings) => `max without (protocol, size) (avg_over_time((${of(settings, 'probe_mesh_loss_ratio', 'protocol="udp",size="small"')} and ignoring (protocol, size) ${of(settings, 'probe_success', MESH)} == 1)[${window(settings, LOSS_MS)}:${window(settings, 0)}]))`,
}

/** The Curlew that sees an edge, by its node where Prometheus tells it. */
const FROM = '{{ or $labels.node $labels.instance }}'

/** From node to node, as the agents see it. The label `peer` of a target is its node. */
export const mesh: Family = {
  name: 'mesh',
  records: [LOSS],
  alerts: [
    {
      name: 'NodeUnreachableFromNodes', severity: 'critical', scope: 'node', forMs: MINUTE_MS, dashboard: 'curlew-kubernetes',
      // The node that is meant, not that of the Curlew which asks.
      expr: (settings) => `label_replace(${cutOff(settings)}, "node", "$1", "peer", "(.+)")`,
      summary: 'Node {{ $labels.peer }} cannot be reached over the {{ $labels.network }} network',
      description: () => `{{ $value }} nodes, most of those that look at {{ $labels.peer }}, get no answer from it over the {{ $labels.network }} network: neither to pings nor over TCP or UDP. The node is down, or cut off. What is on it is out of reach for the rest of the cluster.`,
    },
    {
      name: 'NodeCannotReach', severity: 'critical', scope: 'node', forMs: MINUTE_MS, dashboard: 'curlew-kubernetes',
      // Neighbours that nobody reaches are no fault of this one.
      expr(settings) {
        const count = (expr: string) => `count by (${SOURCE.join(', ')}) (${expr})`
        return ofItsNode(`(${count(`${cut(settings)}
  unless on (job, cluster, probe, target) (${cutOff(settings)})`)} > 0.5 * ${count(edges(settings))}) >= 2`)
      },
      summary: `Node ${FROM} cannot reach other nodes over the {{ $labels.network }} network`,
      description: () => `From ${FROM} {{ $value }} of its neighbours, most of them, cannot be reached over the {{ $labels.network }} network, while others reach them. Its own link, its CNI or its routes are broken: pods there time out.`,
    },
    {
      name: 'MeshEdgeBroken', severity: 'warning', scope: 'network', forMs: FIVE_MINUTES_MS, dashboard: 'curlew-kubernetes',
      // A node that is itself found to be broken, frozen say, has a page of its own, which has no label `peer` to mute this by.
      expr(settings) {
        const nodes = held(settings, 'probe_healthy', 'type="kube-node"')
        return `max without (pod, endpoint, container) (${edges(settings)} == 0
unless ${failing(settings, MESH, TOO_LARGE)}
unless on (job, cluster, peer) label_replace(${majority(settings, `${nodes} == 0`, nodes)}, "peer", "$1", "target", "(.+)"))`
      },
      summary: `${FROM} does not reach the agent of {{ $labels.peer }} over the {{ $labels.network }} network`,
      description: (settings) => `The way from ${FROM} to the agent ${TARGET} is broken${lookedUp(settings, 'probe_failure_info', ' ({{ .Labels.layer }}/{{ .Labels.reason }})', '', ['probe', 'target', 'instance'])}. connect/refused, request/timeout and request/protocol speak of the agent there; connect/timeout of a policy or firewall; network of the way itself. Where every way to it is broken look there, where every way from here look here.`,
    },
    {
      name: 'MeshPacketsTooLarge', severity: 'warning', scope: 'network', forMs: 2 * MINUTE_MS, dashboard: 'curlew-kubernetes',
      expr(settings) {
        const bad = failing(settings, MESH, TOO_LARGE)
        return merged(settings, 'count', unlessOfSource(settings, bad, bad))
      },
      summary: 'Large packets do not reach {{ $labels.peer }} over the {{ $labels.network }} network',
      description: () => `Small packets to {{ $labels.peer }} pass and large ones do not, seen from {{ $value }} nodes: the MTU of the {{ $labels.network }} network is set larger than a link takes. Connections are made and then hang: TLS handshakes, large answers, image pulls.`,
    },
    {
      name: 'MeshPacketLoss', severity: 'warning', scope: 'network', forMs: MINUTE_MS, dashboard: 'curlew-kubernetes',
      thresholds: { loss_ratio: { value: 0.05, help: 'share of packets lost, the mean of 10 minutes' } },
      // What is broken altogether has an alert of its own.
      expr(settings, { loss_ratio }) {
        const loss = `(${of(settings, LOSS.record)} and ${edges(settings)} == 1)`
        return `${merged(settings, 'avg', unlessOfSource(settings, loss, `(${loss} > ${loss_ratio})`))} > ${loss_ratio}`
      },
      summary: 'Packets to {{ $labels.peer }} get lost on the {{ $labels.network }} network',
      description: () => `{{ $value | humanizePercentage }} of the datagrams that other nodes send to {{ $labels.peer }} over the {{ $labels.network }} network are not answered, in the mean of the last 10 minutes. Runs in which an agent started or ended do not count.`,
    },
  ],
}
