import { MappingType } from '@grafana/grafana-foundation-sdk/dashboard'
import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, lines, rows, STATE_WORDS, TARGET, words, YES_IS_GOOD } from './panels.ts'
import { failedShare, many, stateOf } from './promql.ts'

const { avg, max, merged, of } = many
const RCODES = words({ 0: ['NOERROR', 'green'], 2: ['SERVFAIL', 'red'], 3: ['NXDOMAIN', 'orange'], 5: ['REFUSED', 'red'] })

export const dnsNetwork: Spec = {
  uid: 'curlew-dns-network', about: 'targets', types: ['dns', 'ping', 'traceroute', 'tcp', 'http'],
  description: 'Name servers, hosts, routes, TCP ports and web pages.',
  sections: [
    { title: 'State', panels: [
      bands({ title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true, width: 24, height: 9, description: 'How most Curlews saw each target.', queries: [{ expr: stateOf(many) }] }),
    ] },
    { title: 'Name servers', panels: [
      lines({
        title: 'Failed share', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('DnsServerFailing', 'ratio')),
        description: 'The share of runs that failed within 10 minutes. Name servers fail some questions before they fail all.',
        queries: [{ expr: failedShare(many, 'type="dns"', '10m') }],
      }),
      lines({
        title: 'Answer time', unit: 's', min: 0, toTarget: true, description: 'How long each server took to answer. Compare the servers of one probe: one above the others is that server, all together the upstream.',
        queries: [{ expr: avg('probe_dns_duration_seconds', 'phase="request"') }],
      }),
      bands({ title: 'Return code', unit: 'short', mappings: RCODES, toTarget: true, description: 'What the answer said.', queries: [{ expr: max('probe_dns_rcode') }] }),
      bands({ title: 'Answered', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Whether an answer came at all, whatever it said.', queries: [{ expr: merged('min', of('probe_dns_query_succeeded')) }] }),
      bands({
        title: 'Different answers', unit: 'short', mappings: [...words({ 1: ['all agree', 'green'] }), { type: MappingType.RangeToText, options: { from: 2, to: null, result: { text: 'they differ', color: 'red', index: 1 } } }],
        description: 'How many different answers the servers of a probe give to the same question. Ones that change on purpose, in turn, differ all the time.',
        queries: [{ expr: `count by (cluster, probe) (count_values by (cluster, probe) ("answer", ${of('probe_dns_answer_hash')}))`, legend: '{{probe}}' }],
      }),
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase took, the mean of these servers.', queries: [{ expr: `avg by (phase) (${of('probe_dns_duration_seconds')})`, legend: '{{phase}}' }] }),
      lines({
        title: 'Records', unit: 'short', min: 0, description: 'Records in the answer, authority and additional sections.',
        queries: ['answer', 'authority', 'additional'].map((section) => ({ expr: max(`probe_dns_${section}_rrs`), legend: `${TARGET} ${section}` })),
      }),
      lines({ title: 'TTL', unit: 's', min: 0, toTarget: true, description: 'The lowest TTL of the answers: of a caching server it counts down and begins anew.', queries: [{ expr: merged('min', of('probe_dns_ttl_seconds')) }] }),
      lines({ title: 'Look-up of targets\' names', unit: 's', min: 0, toTarget: true, description: 'How long targets of all types waited for the resolver of Curlew\'s own machine.', queries: [{ expr: avg('probe_dns_lookup_time_seconds') }] }),
    ] },
    { title: 'Hosts', panels: [
      lines({
        title: 'Packet loss', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('NetworkPacketLoss', 'loss_ratio')),
        description: 'The share of packets without an answer, the mean of 5 minutes. All hosts together is Curlew\'s own side.',
        queries: [{ expr: merged('avg', `avg_over_time(${of('probe_icmp_packet_loss_ratio')}[5m])`) }],
      }),
      lines({ title: 'Round trip', unit: 's', min: 0, toTarget: true, description: 'The mean round trip of the last run.', queries: [{ expr: avg('probe_icmp_duration_seconds', 'phase="rtt"') }] }),
      lines({
        title: 'Round trip, shortest and longest', unit: 's', min: 0, description: 'A longest far above the shortest is a queue on the way.',
        queries: [{ expr: merged('min', of('probe_icmp_rtt_min_seconds')), legend: `${TARGET} shortest` }, { expr: max('probe_icmp_rtt_max_seconds'), legend: `${TARGET} longest` }],
      }),
      lines({ title: 'Jitter', unit: 's', min: 0, toTarget: true, description: 'How much the round trips of one reply and the next differ.', queries: [{ expr: max('probe_icmp_jitter_seconds') }] }),
      lines({
        title: 'Packets', unit: 'short', min: 0, description: 'Packets of the last run: sent, answered, and answered more than once.',
        queries: [{ expr: max('probe_icmp_packets_sent'), legend: `${TARGET} sent` }, { expr: max('probe_icmp_packets_received'), legend: `${TARGET} answered` }, { expr: max('probe_icmp_duplicates'), legend: `${TARGET} duplicates` }],
      }),
      lines({ title: 'Hop limit of replies', unit: 'short', min: 0, toTarget: true, description: 'A step is another route back.', queries: [{ expr: max('probe_icmp_reply_hop_limit') }] }),
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase took, the mean of these hosts.', queries: [{ expr: `avg by (phase) (${of('probe_icmp_duration_seconds')})`, legend: '{{phase}}' }] }),
    ] },
    { title: 'Routes', panels: [
      lines({ title: 'Hops', unit: 'short', min: 0, toTarget: true, description: 'Distance of the destination in hops.', queries: [{ expr: max('probe_traceroute_hops') }] }),
      lines({
        title: 'Changes of route', unit: 'short', min: 0, bars: true, description: 'How often the addresses on the way changed within 10 minutes. Routers that share the load change it all the time.',
        queries: [{ expr: merged('max', `changes(${of('probe_traceroute_path_hash')}[10m])`) }],
      }),
      rows({
        title: 'Hops now', unit: 's', description: 'What answered at each hop, and its fastest round trip. Routers answer when they have time: only the last one is the latency of the route.',
        labels: ['probe', 'target', 'hop', 'address'], values: ['round trip'], queries: [{ expr: merged('min', of('probe_traceroute_hop_rtt_seconds')) }],
      }),
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase of a trace took, the mean of these routes.', queries: [{ expr: `avg by (phase) (${of('probe_traceroute_duration_seconds')})`, legend: '{{phase}}' }] }),
    ] },
    { title: 'TCP and HTTP', panels: [
      lines({ title: 'TCP phases', unit: 's', stacked: true, min: 0, description: 'How long each phase of a TCP probe took, the mean of these targets.', queries: [{ expr: `avg by (phase) (${of('probe_tcp_duration_seconds')})`, legend: '{{phase}}' }] }),
      lines({ title: 'HTTP phases', unit: 's', stacked: true, min: 0, description: 'How long each phase of a request took, the mean of these targets.', queries: [{ expr: `avg by (phase) (${of('probe_http_duration_seconds')})`, legend: '{{phase}}' }] }),
      rows({
        title: 'HTTP answers', unit: 'short', description: 'Status, version and redirects of the last answers.',
        labels: ['probe', 'target'], values: ['status', 'version', 'redirects', 'over TLS'],
        queries: ['probe_http_status_code', 'probe_http_version', 'probe_http_redirects', 'probe_http_ssl'].map((metric) => ({ expr: max(metric) })),
      }),
      lines({
        title: 'Size of bodies', unit: 'bytes', min: 0, toTarget: true, description: 'Bytes of the final body, decompressed.', queries: [{ expr: max('probe_http_uncompressed_body_length') }],
      }),
      rows({
        title: 'Addresses', unit: 'short', description: 'Addresses of names that have several, by what came of them.',
        labels: ['probe', 'target', 'state'], values: ['addresses'], queries: [{ expr: max('probe_addresses') }],
      }),
      rows({ title: 'IP version', unit: 'short', description: 'The IP version of the address that was used.', labels: ['type', 'probe', 'target'], values: ['IP version'], queries: [{ expr: max('probe_ip_protocol') }] }),
    ] },
  ],
}
