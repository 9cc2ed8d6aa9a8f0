import { dependency } from '../../src/alerts/catalogue/dependency.ts'
import { alertContract, labelsOf, type Case } from './promtool.ts'

const REDIS = labelsOf('cache', 'redis', '10.0.0.1:6379')
const IN_EAST = REDIS.replace('}', ',cluster="east"}')
const alertOfRedis = { job: 'curlew', probe: 'cache', type: 'redis', target: '10.0.0.1:6379' }
const root = 'cache/10.0.0.1:6379'

/** A target that has been down all the time, probed so often (seconds). */
function down(labels: string, every: number, times = 60): Record<string, string> {
  return { [`probe_healthy${labels}`]: `0x${times}`, [`probe_root_cause${labels}`]: `1x${times}`, [`probe_interval_seconds${labels}`]: `${every}x${times}` }
}

/** How a probe of so many seconds looks in scrapes of a minute: counters. */
function runs(labels: string, failedPerMinute: string, okPerMinute: string): Record<string, string> {
  const of = (result: string) => `probe_runs_total${labels.replace('}', `,result="${result}"}`)}`
  return { [of('failed')]: failedPerMinute, [of('ok')]: okPerMinute, [of('unknown')]: '0x5000' }
}

const both = (make: (every: number) => Case): Case[] => [5, 60, 3_600].map(make)

const HTTPS = labelsOf('web', 'http', 'https://example.org/')
const CERT = labelsOf('mail', 'cert', 'mail.example.org:25')
const FILES = labelsOf('pki', 'cert', '/etc/kubernetes', { instance: 'a:1' })
const SECRET = labelsOf('room-a_certificates', 'kube-cert', 'secret/shop/web-tls')
const failingBy = (labels: string, layer: string, reason: string) => ({ [`probe_failure_info${labels.replace('}', `,layer="${layer}",reason="${reason}"}`)}`]: '1x60' })
const left = (labels: string, seconds: number) => ({ [`target:certificate_left:seconds${labels.replace('instance="curlew-0:9797",', '')}`]: `${seconds}x60` })
const web = { job: 'curlew', probe: 'web', type: 'http', target: 'https://example.org/', root: 'web/https://example.org/' }

/** What fails because of its certificate has an alert of its own. */
const CERTIFICATES: readonly Case[] = [
  { kind: 'quiet', what: 'a certificate that has expired', at: '5m', series: { ...down(HTTPS, 5), ...failingBy(HTTPS, 'tls', 'expired'), ...left(HTTPS, -60) }, fires: [] },
  { kind: 'fires', what: 'one that is not valid yet', at: '5m', series: { ...down(HTTPS, 5), ...failingBy(HTTPS, 'tls', 'expired'), ...left(HTTPS, 86_400) }, fires: [web] },
  { kind: 'fires', what: 'a server that is down beside an expired certificate', at: '5m', series: { ...down(HTTPS, 5), ...failingBy(HTTPS, 'connect', 'refused'), ...left(HTTPS, -60) }, fires: [web] },
  { kind: 'quiet', what: 'a certificate that was renewed and is not served yet', at: '5m', series: { ...down(CERT, 60), ...failingBy(CERT, 'assert', 'stale') }, fires: [] },
  { kind: 'quiet', what: 'files of which one was renewed and is not served yet', at: '5m', series: { ...down(FILES, 60), ...failingBy(FILES, 'assert', 'stale') }, fires: [] },
  { kind: 'quiet', what: 'files of which one has expired', at: '5m', series: { ...down(FILES, 60), ...failingBy(FILES, 'tls', 'expired'), [`target:certificate_left:seconds${FILES}`]: '-60x60' }, fires: [] },
  { kind: 'quiet', what: 'an object of the API that is broken', at: '5m', series: { ...down(SECRET, 3_600), ...failingBy(SECRET, 'assert', 'mismatch') }, fires: [] },
  {
    kind: 'fires', what: 'certificates in a file, of the node that has them', at: '5m', series: { ...down(labelsOf('pki', 'cert', '/etc/pki', { instance: 'a:1' }), 60), ...up(labelsOf('pki', 'cert', '/etc/pki', { instance: 'b:1' })), ...up(labelsOf('pki', 'cert', '/etc/pki', { instance: 'c:1' })) },
    fires: [{ job: 'curlew', instance: 'a:1', probe: 'pki', type: 'cert', target: '/etc/pki', root: 'pki//etc/pki' }],
  },
]

alertContract(dependency, {
  DependencyDown: [
    ...both((every) => ({ kind: 'fires', what: `a target that is probed every ${every} s`, series: down(REDIS, every), at: '2m', fires: [{ ...alertOfRedis, root }] })),
    { kind: 'fires', what: 'a nightly cron, not stacked on a long for', values: 'alerts: { DependencyDown: { for: 1h } }', series: down(REDIS, 86_400, 10), at: '3m', fires: [{ ...alertOfRedis, root }] },
    { kind: 'quiet', what: 'a fast one before its long for is over', values: 'alerts: { DependencyDown: { for: 1h } }', series: { ...down(REDIS, 5, 120), [`probe_healthy${REDIS}`]: '1x20 0x100' }, at: '75m', fires: [] },
    { kind: 'fires', what: 'a fast one after its long for', values: 'alerts: { DependencyDown: { for: 1h } }', series: { ...down(REDIS, 5, 120), [`probe_healthy${REDIS}`]: '1x20 0x100' }, at: '83m', fires: [{ ...alertOfRedis, root }] },
    // Down from the sixth minute on.
    { kind: 'quiet', what: 'one that is scraped often, before its minute is over', every: '15s', values: 'scrape_interval: 15s', series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '1x23 0x20' }, at: '6m45s', fires: [] },
    { kind: 'fires', what: 'one that is scraped often, after its minute', every: '15s', values: 'scrape_interval: 15s', series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '1x23 0x20' }, at: '7m15s', fires: [{ ...alertOfRedis, root }] },
    { kind: 'fires', what: 'one that is scraped often, through a restart of Curlew', every: '15s', values: 'scrape_interval: 15s', series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '1x11 0x11 _x6 0x5', [`probe_root_cause${REDIS}`]: '1x23 _x6 1x5' }, at: '7m', fires: [{ ...alertOfRedis, root }] },
    {
      kind: 'fires', what: 'with its host, layer and reason', at: '5m',
      series: { ...down(REDIS, 5), [`probe_info${REDIS.replace('}', ',host="10.0.0.1"}')}`]: '1x60', [`probe_failure_info${REDIS.replace('}', ',layer="connect",reason="refused"}')}`]: '1x60' },
      fires: [{ ...alertOfRedis, root, host: '10.0.0.1' }],
      says: { summary: 'cache 10.0.0.1:6379 is down', description: 'The redis probe cache 10.0.0.1:6379 fails (connect/refused), and nothing that it depends on explains it. 1 Curlew(s) see it so.' },
    },
    {
      kind: 'fires', what: 'two Curlews that are configured with a host each', at: '5m', series: { ...on('prober-a', 'a'), ...on('prober-b', 'b') },
      fires: [{ ...alertOfRedis, root, host: 'prober-a' }, { ...alertOfRedis, root, host: 'prober-b' }],
    },
    {
      kind: 'fires', what: 'two of which one is configured with a host', at: '5m',
      series: { ...on('prober-a', 'a'), ...down(REDIS, 5), [`probe_info${REDIS.replace('}', ',host="10.0.0.1"}')}`]: '1x60' },
      fires: [{ ...alertOfRedis, root, host: 'prober-a' }, { ...alertOfRedis, root, host: '10.0.0.1' }],
    },
    {
      kind: 'fires', what: 'a pod that has moved to another node and zone', at: '5m', fires: [{ ...alertOfRedis, root, host: '10.0.0.1' }],
      series: { ...down(REDIS, 5), [`probe_info${REDIS.replace('}', ',host="10.0.0.1",node="n1",zone="a"}')}`]: '1x4 stale', [`probe_info${REDIS.replace('}', ',host="10.0.0.1",node="n2",zone="b"}')}`]: '_x4 1x60' },
    },
    {
      kind: 'fires', what: 'with the node that it was found on, as the Curlews of two nodes see it', at: '5m', fires: [{ ...alertOfRedis, root, host: '10.0.0.1', node: 'n1' }],
      series: Object.fromEntries(['a', 'b'].flatMap((pod) => {
        const labels = REDIS.replace('curlew-0:9797', pod).replace('}', `,pod="${pod}"}`)
        return Object.entries({ ...down(labels, 5), [`probe_info${labels.replace('}', ',host="10.0.0.1",node="n1",zone="a"}')}`]: '1x60' })
      })),
    },
    {
      kind: 'fires', what: 'without the nodes of the Curlews that see it', at: '5m', fires: [{ ...alertOfRedis, root, host: '10.0.0.1' }],
      series: Object.fromEntries(['n1', 'n2'].flatMap((node) => {
        const labels = REDIS.replace('curlew-0:9797', node).replace('}', `,node="${node}"}`)
        return Object.entries({ ...down(labels, 5), [`probe_interval_seconds${labels}`]: '30x60', [`probe_info${labels.replace('}', ',host="10.0.0.1"}')}`]: '1x60' })
      })),
    },
    {
      kind: 'fires', what: 'with a zone that is configured', at: '5m', fires: [{ ...alertOfRedis, root, zone: 'a', host: '10.0.0.1' }],
      series: { ...down(REDIS.replace('}', ',zone="a"}'), 5), [`probe_info${REDIS.replace('}', ',zone="a",host="10.0.0.1"}')}`]: '1x60' },
    },
    {
      kind: 'quiet', what: 'one that saw it fail is gone, the one after it sees it well', values: 'alerts: { DependencyDown: { for: 10m } }', at: '10m',
      series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '0x5 stale', ...well('curlew-1') }, fires: [],
    },
    ...([['6m', []], ['6m30s', [{ ...alertOfRedis, root }]]] as const).map(([at, fires]): Case => ({
      kind: 'boundary', what: `a minute is a minute where scrapes are 15 s apart: ${at}`, values: 'scrape_interval: 15s', every: '15s', at, series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '1x20 0x60' }, fires,
    })),
    { kind: 'fires', what: 'through a restart, where scrapes are 15 s apart', values: 'scrape_interval: 15s', every: '15s', at: '6m30s', series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '0x20 _x5 0x60' }, fires: [{ ...alertOfRedis, root }] },
    ...([['8m', []], ['17m', [{ ...alertOfRedis, root }]]] as const).map(([at, fires]): Case => ({
      kind: 'boundary', what: `a new target waits for its long for: ${at}`, values: 'alerts: { DependencyDown: { for: 10m } }', at,
      series: Object.fromEntries(Object.entries(down(REDIS, 5)).map(([name, values]) => [name, `_x5 ${values}`])), fires,
    })),
    {
      kind: 'fires', what: 'a failover resets no long for', values: 'alerts: { DependencyDown: { for: 10m } }', at: '13m',
      series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '1x1 0x5 stale', ...down(seenFrom('curlew-1'), 5), [`probe_healthy${seenFrom('curlew-1')}`]: '_x6 0x30' }, fires: [{ ...alertOfRedis, root }],
    },
    { kind: 'fires', what: 'through a restart of Curlew', series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '0x5 _ 0x5', [`probe_root_cause${REDIS}`]: '1x5 _ 1x5' }, at: '6m', fires: [{ ...alertOfRedis, root }] },
    { kind: 'boundary', what: 'one that left the config is held for two minutes and a minute of keep_firing_for', series: gone(10), at: '13m', fires: [{ ...alertOfRedis, root }] },
    { kind: 'quiet', what: 'one that left the config', series: gone(10), at: '14m', fires: [] },
    { kind: 'quiet', what: 'one that something else explains', series: { ...down(REDIS, 5), [`probe_root_cause${REDIS}`]: '0x60' }, at: '5m', fires: [] },
    { kind: 'quiet', what: 'unknown: no sample', series: { [`probe_unknown${REDIS}`]: '1x60', [`probe_interval_seconds${REDIS}`]: '5x60' }, at: '10m', fires: [] },
    { kind: 'quiet', what: 'the way to another node', series: down(labelsOf('mesh-pod', 'mesh', 'worker-1:9798'), 5), at: '10m', fires: [] },
    { kind: 'quiet', what: 'the job of a blackbox_exporter', series: down(REDIS.replace('"curlew"', '"blackbox"'), 5), at: '10m', fires: [] },
    { kind: 'quiet', what: 'a minority of three Curlews', series: { ...down(REDIS, 5), ...well('curlew-1'), ...well('curlew-2') }, at: '10m', fires: [] },
    { kind: 'boundary', what: 'half of two Curlews is no majority', series: { ...down(REDIS, 5), ...well('curlew-1') }, at: '10m', fires: [] },
    { kind: 'boundary', what: 'two of three are', series: { ...down(REDIS, 5), ...down(seenFrom('curlew-1'), 5), ...well('curlew-2') }, at: '10m', fires: [{ ...alertOfRedis, root }] },
    { kind: 'boundary', what: 'down for less than two scrapes', series: { ...down(REDIS, 5), [`probe_healthy${REDIS}`]: '1x9 0x50' }, at: '10m', fires: [] },
    {
      kind: 'fires', what: 'each node\'s own mount', series: { ...down(labelsOf('data', 'mount', '/data', { node: 'a', instance: 'a:1' }), 60), ...up(labelsOf('data', 'mount', '/data', { node: 'b', instance: 'b:1' })) },
      at: '5m', fires: [{ job: 'curlew', instance: 'a:1', node: 'a', probe: 'data', type: 'mount', target: '/data', root: 'data//data' }],
    },
    ...CERTIFICATES,
  ],
  DependencyDownExplained: [
    {
      kind: 'fires', what: 'what something else explains', at: '5m', series: { ...explained('dns/10.0.0.53:53') }, fires: [{ ...alertOfRedis, root: 'dns/10.0.0.53:53' }],
      says: { summary: 'cache 10.0.0.1:6379 is down because dns/10.0.0.53:53 is', description: 'The redis probe cache 10.0.0.1:6379 fails, and dns/10.0.0.53:53, which it depends on, fails too: look there first.' },
    },
    { kind: 'quiet', what: 'a root cause', series: down(REDIS, 5), at: '5m', fires: [] },
    { kind: 'boundary', what: 'explained for one of two Curlews only, and a root cause for the other', series: { ...explained('dns/10.0.0.53:53'), ...down(seenFrom('curlew-1'), 5) }, at: '5m', fires: [] },
  ],
  DependencyPartiallyUnreachable: [
    {
      kind: 'fires', what: 'one of three', at: '10m', series: { ...down(REDIS, 5), ...well('curlew-1'), ...well('curlew-2') }, fires: [alertOfRedis],
      says: { summary: 'cache 10.0.0.1:6379 cannot be reached from some places', description: 'The redis probe cache 10.0.0.1:6379 fails from a minority of the Curlews: curlew-0:9797. The target itself is likely well; look at those nodes and the network between.' },
    },
    { kind: 'quiet', what: 'a file, which is another one on each node', at: '10m', series: { ...down(labelsOf('pki', 'cert', '/etc/pki', { instance: 'a:1' }), 60), ...up(labelsOf('pki', 'cert', '/etc/pki', { instance: 'b:1' })), ...up(labelsOf('pki', 'cert', '/etc/pki', { instance: 'c:1' })) }, fires: [] },
    { kind: 'quiet', what: 'all of them', series: { ...down(REDIS, 5), ...down(seenFrom('curlew-1'), 5) }, at: '10m', fires: [] },
    { kind: 'boundary', what: 'half of them', series: { ...down(REDIS, 5), ...well('curlew-1') }, at: '10m', fires: [alertOfRedis] },
  ],
  DependencyFlapping: [
    { kind: 'fires', what: 'failures between scrapes, which no gauge shows', series: { ...up(REDIS), ...runs(REDIS, '0x10 1 2 3 4 4x20', '0+11x60') }, at: '16m', fires: [alertOfRedis] },
    { kind: 'fires', what: 'through an outage of the same name in another cluster', series: { ...up(IN_EAST), ...runs(IN_EAST, '0x10 1 2 3 4 4x20', '0+11x60'), ...told('west') }, at: '16m', fires: [{ ...alertOfRedis, cluster: 'east' }] },
    { kind: 'quiet', what: 'what is left of an outage in its own cluster', series: { ...up(IN_EAST), ...runs(IN_EAST, '0x10 1 2 3 4 4x20', '0+11x60'), ...told('east') }, at: '16m', fires: [] },
    { kind: 'quiet', what: 'one of two Curlews sees it down all the time', series: { ...down(REDIS, 5), ...runs(REDIS, '0+12x60', '0x60'), ...well('curlew-1') }, at: '16m', fires: [] },
    { kind: 'quiet', what: 'a probe that is too slow for the window', series: { ...up(REDIS, 600), ...runs(REDIS, '0x10 1 2 3 4 4x20', '0+1x60') }, at: '16m', fires: [] },
    { kind: 'quiet', what: 'what is left of an outage that was told', series: { ...up(REDIS), ...runs(REDIS, '0x10 1 2 3 4 4x20', '0+11x60'), ...told('default') }, at: '16m', fires: [] },
    { kind: 'quiet', what: 'one of three Curlews was cut off for a minute', series: { ...up(REDIS), ...runs(REDIS, '0x10 4 8 12 12x20', '0+11x60'), ...steady('curlew-1'), ...steady('curlew-2') }, at: '16m', fires: [] },
    { kind: 'boundary', what: 'one of two sees it', series: { ...up(REDIS), ...runs(REDIS, '0x10 1 2 3 4 4x20', '0+11x60'), ...steady('curlew-1') }, at: '16m', fires: [alertOfRedis] },
    { kind: 'fires', what: 'two of three see it', series: { ...up(REDIS), ...runs(REDIS, '0x10 1 2 3 4 4x20', '0+11x60'), ...up(seenFrom('curlew-1')), ...runs(seenFrom('curlew-1'), '0x10 1 2 3 4 4x20', '0+11x60'), ...steady('curlew-2') }, at: '16m', fires: [alertOfRedis] },
    {
      kind: 'fires', what: 'a mount of one node, which is another one on each', at: '16m', fires: [{ job: 'curlew', probe: 'data', type: 'mount', target: '/data' }],
      series: Object.assign({}, ...['a', 'b', 'c'].map((instance) => {
        const labels = labelsOf('data', 'mount', '/data', { instance })
        return { ...up(labels), ...runs(labels, instance === 'a' ? '0x10 1 2 3 4 4x20' : '0x60', '0+11x60') }
      })),
    },
    { kind: 'quiet', what: 'what is left of a node that nobody reached', series: { ...up(REDIS), ...runs(REDIS, '0x10 1 2 3 4 4x20', '0+11x60'), ...told('default', 'NodeUnreachableFromNodes') }, at: '16m', fires: [] },
    { kind: 'boundary', what: 'two failures', series: { ...up(REDIS), ...runs(REDIS, '0x10 1 2 2x30', '0+11x60') }, at: '16m', fires: [] },
  ],
})

function seenFrom(instance: string): string {
  return REDIS.replace('curlew-0:9797', `${instance}:9797`)
}

/** Down for so many minutes, then not there any more. */
function gone(minutes: number): Record<string, string> {
  return Object.fromEntries(Object.entries(down(REDIS, 5, minutes)).map(([name, values]) => [name, `${values} stale`]))
}

/** As a Curlew sees it whose config puts its own host on every series. */
function on(host: string, instance: string): Record<string, string> {
  const labels = labelsOf('cache', 'redis', '10.0.0.1:6379', { instance, host })
  return { ...down(labels, 5), [`probe_info${labels}`]: '1x60' }
}

/** That an alert has told of an outage. */
function told(cluster: string, alertname = 'DependencyDown'): Record<string, string> {
  const labels = { alertname, alertstate: 'firing', severity: 'critical', scope: 'dependency', root, host: '10.0.0.1', cluster, ...alertOfRedis }
  return { [`ALERTS{${Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(',')}}`]: '_x10 1x3 _x20' }
}

function up(labels: string, every = 5): Record<string, string> {
  return { [`probe_healthy${labels}`]: '1x600', [`probe_root_cause${labels}`]: '0x600', [`probe_interval_seconds${labels}`]: `${every}x600` }
}

function well(instance: string): Record<string, string> {
  return up(seenFrom(instance))
}

/** Where nothing failed. */
function steady(instance: string): Record<string, string> {
  return { ...well(instance), ...runs(seenFrom(instance), '0x60', '0+12x60') }
}

function explained(by: string): Record<string, string> {
  return { ...down(REDIS, 5), [`probe_root_cause${REDIS}`]: '0x60', [`probe_explained_by${REDIS.replace('}', `,root="${by}"}`)}`]: '1x60' }
}
