import { prober } from '../../src/alerts/catalogue/prober.ts'
import { alertContract, labelsOf, type Case } from './promtool.ts'

const own = (instance = 'curlew-0:9797', more = '') => `{job="curlew",instance="${instance}"${more}}`
const CURLEW = { job: 'curlew', instance: 'curlew-0:9797' }
const OTHER = 'curlew-1:9797'
const probe = (target: string, instance = 'curlew-0:9797') => labelsOf('cache', 'redis', target, { instance })
const alertOfProbe = { ...CURLEW, probe: 'cache', type: 'redis', target: 'a:1' }
const UP = { [`up${own()}`]: '1x400' }

/** A gauge of Curlew's own that is bad when it is 0, and how it looks in every way. `after` is what `for` is, in minutes. */
function zeroed(metric: string, after: number, fires: Readonly<Record<string, string>> = CURLEW): Case[] {
  const series = (values: string) => ({ [`${metric}${own()}`]: values })
  return [
    { kind: 'fires', what: 'of one of two', series: { ...series('0x30'), [`${metric}${own(OTHER)}`]: '1x30' }, at: '15m', fires: [fires] },
    { kind: 'fires', what: 'through a restart', series: series(`0x${after + 3} _ 0x30`), at: `${after + 4}m`, fires: [fires] },
    { kind: 'quiet', what: 'it is well', series: series('1x30'), at: '15m', fires: [] },
    { kind: 'quiet', what: 'a pod that was replaced', series: { ...series('0x10 stale'), [`${metric}${own(OTHER)}`]: '_x9 1x30' }, at: '15m', fires: [] },
    { kind: 'boundary', what: 'not for long enough yet', series: series('1x5 0x30'), at: `${after + 5}m`, fires: [] },
    { kind: 'boundary', what: 'for just long enough', series: series('1x5 0x30'), at: `${after + 6}m`, fires: [fires] },
  ]
}

/** Whether the next run, at so many seconds, is overdue: Curlew withdraws probe_unknown when it is. */
function due(next: string, unknown: string, instance?: string, target = 'a:1'): Record<string, string> {
  return { [`probe_next_run_timestamp_seconds${probe(target, instance)}`]: next, [`probe_unknown${probe(target, instance)}`]: unknown }
}

/** Runs that were skipped and those that began, counters a minute. */
function skipping(skipped: string, began: string, cause = 'queued'): Record<string, string> {
  return { [`curlew_runs_skipped_total${own(undefined, `,cause="${cause}"`)}`]: skipped, [`curlew_schedule_lag_seconds_count${own()}`]: began }
}

const stalling = (stalls: string, all: string) => ({ [`curlew_event_loop_delay_seconds_bucket${own(undefined, ',le="0.25"')}`]: stalls, [`curlew_event_loop_delay_seconds_count${own()}`]: all })

/** A target whose runs are unknown; `every` in seconds. */
function unknown(values: string, every: number, { healthy = '_', runs = '0', target = 'a:1', instance }: { healthy?: string, runs?: string, target?: string, instance?: string } = {}): Record<string, string> {
  const labels = probe(target, instance)
  return {
    [`probe_unknown${labels}`]: values, [`probe_healthy${labels}`]: healthy, [`probe_interval_seconds${labels}`]: values.includes('stale') ? values.replaceAll('1x', `${every}x`) : `${every}x400`,
    [`probe_runs_total${labels.replace('}', ',result="unknown"}')}`]: runs,
  }
}

/** An API server, and what has to ask it: some nodes every minute, some certificates every hour. */
function apiDown(healthy = '0x60', instance?: string, target = 'https://10.0.0.1:6443'): Record<string, string> {
  const labels = labelsOf('kube-api', 'kube-api', target, instance === undefined ? {} : { instance })
  return { [`probe_healthy${labels}`]: healthy, [`probe_unknown${labels}`]: '0x120' }
}
function asking(nodes: string, certificates = nodes): Record<string, string> {
  const one = (probeName: string, type: string, target: string, every: number, values: string) => {
    const labels = labelsOf(probeName, type, target)
    return { [`probe_unknown${labels}`]: values, [`probe_interval_seconds${labels}`]: `${every}x400` }
  }
  return { ...one('kube-node', 'kube-node', 'a', 60, nodes), ...one('kube-node', 'kube-node', 'b', 60, nodes), ...['a', 'b', 'c'].reduce((all, name) => ({ ...all, ...one('certificates', 'kube-cert', `webhook/${name}`, 3_600, certificates) }), {}) }
}
const inCluster = (cluster: string, series: Record<string, string>) => Object.fromEntries(Object.entries(series).map(([name, values]) => [name.replace('}', `,cluster="${cluster}"}`), values]))

const leased = (values: string, instance?: string, lease = 'curlew-1') => ({ [`curlew_lease_active${own(instance, `,lease="${lease}"`)}`]: values })

/** What a shard knows of and what it has, in one of its replicas. */
function shard(index: number, shards: number, expected: string, owned: string, replica = 'a'): Record<string, string> {
  const labels = own(`curlew-${index}-${replica}:9797`, `,shard="${index}",shards="${shards}"`)
  return { [`curlew_targets_expected${labels}`]: expected, [`curlew_targets_owned${labels}`]: owned }
}

const discovered = (values: string) => ({ [`curlew_discovery_last_success_timestamp_seconds${own(undefined, ',source="kubernetes:a:services"')}`]: values })
const refused = (values: string, instance?: string, namespace = 'shop') => ({ [`curlew_discovery_refused${own(instance, `,cluster="a",namespace="${namespace}"`)}`]: values })

const channel = (metric: string, values: string, more = '', instance?: string) => ({ [`${metric}${own(instance, `,channel="ops"${more}`)}`]: values })
const oldest = (values: string) => channel('curlew_notify_oldest_pending_seconds', values)
const dead = (values: string, instance?: string) => channel('curlew_notify_deliveries_total', values, ',result="dead",reason="denied"', instance)
const OPS = { ...CURLEW, channel: 'ops' }

alertContract(prober, {
  CurlewTargetDown: [
    ...zeroed('up', 2),
    { kind: 'quiet', what: 'a pod that was scraped while it ended, and is gone', series: { [`up${own('worker-1/curlew-0')}`]: '1x9 0x1 stale', [`up${own('worker-1/curlew-1')}`]: '_x11 1x30' }, at: '12m', fires: [] },
    { kind: 'fires', what: 'with the node of its instance', series: { [`up${own('worker-1/curlew-0')}`]: '0x30' }, at: '15m', fires: [{ ...CURLEW, instance: 'worker-1/curlew-0', node: 'worker-1' }] },
  ],
  CurlewAbsent: [
    {
      kind: 'fires', what: 'a blackbox_exporter alone', series: { 'up{job="blackbox",instance="b:1"}': '1x30' }, at: '6m', fires: [{ job: 'curlew' }],
      says: { summary: 'No Curlew is scraped', description: 'Prometheus has no target of the job curlew: nothing is watched. Either no Curlew runs, or the scrape config (a ServiceMonitor, its labels) does not find it.' },
    },
    { kind: 'fires', what: 'the job of the values', values: 'job: probes', series: UP, at: '6m', fires: [{ job: 'probes' }] },
    { kind: 'quiet', what: 'one is there, be it down', series: { [`up${own()}`]: '0x30' }, at: '15m', fires: [] },
    { kind: 'boundary', what: 'not for long enough yet', series: { [`up${own()}`]: '1x5 stale' }, at: '10m', fires: [] },
    { kind: 'boundary', what: 'for just long enough', series: { [`up${own()}`]: '1x5 stale' }, at: '11m', fires: [{ job: 'curlew' }] },
  ],
  CurlewResultsStale: [
    {
      kind: 'fires', what: 'a run that does not come', at: '10m', fires: [CURLEW],
      series: { ...UP, ...due('60x30', '0x2 stale'), ...due('90x30', '0x2 stale', undefined, 'b:1'), ...due('0+60x30', '0x30', undefined, 'c:1') },
      says: { summary: 'Probes of Curlew at curlew-0:9797 do not run', description: '2 target(s) of curlew-0:9797 should have had a run by now, their timeout included, and had none: their state is not known. The latest: cache a:1, cache b:1. Look whether runs queue up (curlew_probes_queued), or whether its host is starved.' },
    },
    { kind: 'fires', what: 'the first run does not come either', series: { ...UP, ...due('30x30', '_') }, at: '10m', fires: [CURLEW] },
    { kind: 'fires', what: 'through a restart', series: { [`up${own()}`]: '1x9 0x2 1x30', ...due('60x9 _ _ 690x30', '0x2 stale _x8 0x30') }, at: '12m', fires: [CURLEW] },
    ...[5, 60, 3_600, 86_400].map((every) => ({ kind: 'quiet', what: `on its schedule, every ${every} s`, series: { ...UP, ...due(`${every}+60x30`, '0x30') }, at: '20m', fires: [] } as const)),
    { kind: 'quiet', what: 'a run that may still take its time: its timeout is 20 minutes', series: { ...UP, ...due('60x30', '0x30') }, at: '20m', fires: [] },
    { kind: 'quiet', what: 'a pod that was replaced', series: { [`up${own()}`]: '1x10 stale', ...due('60x10 stale', '0x2 stale'), [`up${own(OTHER)}`]: '_x9 1x30', ...due('_x9 600+60x30', '_x9 0x30', OTHER) }, at: '19m', fires: [] },
    { kind: 'boundary', what: 'not for two minutes yet', series: { ...UP, ...due('60x30', '0x2 stale') }, at: '4m', fires: [] },
    { kind: 'boundary', what: 'for two minutes, a minute after it was due', series: { ...UP, ...due('60x30', '0x2 stale') }, at: '5m', fires: [CURLEW] },
  ],
  CurlewRunsSkipped: [
    {
      kind: 'fires', what: 'one in ten', series: skipping('0+1x60', '0+9x60'), at: '20m', fires: [{ ...CURLEW, cause: 'queued' }],
      says: { summary: 'Curlew at curlew-0:9797 leaves out runs', description: '10% of the runs that were due in the last 15 minutes did not take place at curlew-0:9797 (queued: it still waited for a place). Failures are found later than the schedule says.' },
    },
    { kind: 'fires', what: 'all of them', series: skipping('0+1x60', '0x60', 'overlap'), at: '20m', fires: [{ ...CURLEW, cause: 'overlap' }] },
    { kind: 'fires', what: 'through a restart that begins the counters anew', series: skipping('0+1x20 _ 0+1x30', '0+10x20 _ 0+10x30'), at: '22m', fires: [{ ...CURLEW, cause: 'queued' }] },
    { kind: 'quiet', what: 'none', series: skipping('5x60', '0+10x60'), at: '20m', fires: [] },
    { kind: 'quiet', what: 'two, of hardly any', series: skipping('0x10 2x60', '0 1 2 3 3x60'), at: '18m', fires: [] },
    { kind: 'boundary', what: 'just one in a hundred', series: skipping('0+1x60', '0+99x60'), at: '30m', fires: [] },
    { kind: 'boundary', what: 'a little more', series: skipping('0+1x60', '0+98x60'), at: '30m', fires: [{ ...CURLEW, cause: 'queued' }] },
  ],
  CurlewEventLoopStarved: [
    {
      kind: 'fires', what: 'twice a minute', series: stalling('0+1000x60', '0+1002x60'), at: '20m', fires: [CURLEW],
      says: { summary: 'Curlew at curlew-0:9797 is short of CPU time', description: 'The process at curlew-0:9797 stood still for more than 250 ms 20 times in 10 minutes. Durations are too long then, and runs that it disturbs count as unknown. Look at its CPU limit (throttling) and at the load of its node.' },
    },
    { kind: 'quiet', what: 'never', series: stalling('0+1200x60', '0+1200x60'), at: '20m', fires: [] },
    { kind: 'quiet', what: 'once, long ago', series: stalling('0x10 1000x60', '0x10 1100x60'), at: '40m', fires: [] },
    { kind: 'boundary', what: 'just ten times', series: stalling('0+1000x60', '0+1001x60'), at: '20m', fires: [] },
    { kind: 'boundary', what: 'eleven times', series: stalling('0+1000x10 10000+1000x40', '0+1001x10 10012+1001x40'), at: '20m', fires: [CURLEW] },
  ],
  CurlewConfigReloadFailed: zeroed('curlew_config_last_reload_successful', 2),
  CurlewMountWorkersStuck: [
    { kind: 'fires', what: 'one', series: { [`curlew_stuck_children${own()}`]: '1x30' }, at: '15m', fires: [CURLEW] },
    { kind: 'fires', what: 'through a scrape that is missing', series: { [`curlew_stuck_children${own()}`]: '1x12 _ 1x9' }, at: '13m', fires: [CURLEW] },
    { kind: 'quiet', what: 'none', series: { [`curlew_stuck_children${own()}`]: '0x30' }, at: '15m', fires: [] },
    { kind: 'quiet', what: 'a pod that was replaced', series: { [`curlew_stuck_children${own()}`]: '1x15 stale' }, at: '20m', fires: [] },
    { kind: 'boundary', what: 'not for ten minutes yet', series: { [`curlew_stuck_children${own()}`]: '0x4 1x30' }, at: '14m', fires: [] },
  ],
  CurlewProbeUnknown: [
    ...[5, 60, 200].map((every): Case => ({ kind: 'fires', what: `every ${every} s`, series: unknown('1x60', every), at: '14m', fires: [alertOfProbe] })),
    ...[3_600, 86_400].map((every): Case => ({ kind: 'fires', what: `the third run, every ${every} s`, series: unknown('1x60', every, { runs: '3x60' }), at: '5m', fires: [alertOfProbe] })),
    { kind: 'fires', what: 'one of two, through a restart', series: { ...unknown('1x12 _ 1x30', 5), ...unknown('0x60', 5, { target: 'b:1', healthy: '1x60' }) }, at: '14m', fires: [alertOfProbe] },
    { kind: 'quiet', what: 'no run at all', series: unknown('_x60', 5), at: '30m', fires: [] },
    { kind: 'quiet', what: 'now and then', series: unknown('1x6 0 1x6 0 1x6 0 1x6', 5), at: '27m', fires: [] },
    { kind: 'quiet', what: 'a slow one whose health is still held', series: unknown('1x60', 3_600, { healthy: '1x60', runs: '9x60' }), at: '30m', fires: [] },
    { kind: 'quiet', what: 'a slow one that has just begun', series: unknown('1x60', 3_600, { runs: '2x60' }), at: '30m', fires: [] },
    { kind: 'quiet', what: 'a pod that was replaced', series: unknown('1x20 stale', 5), at: '29m', fires: [] },
    { kind: 'boundary', what: 'not for ten minutes yet', series: unknown('0x5 1x60', 5), at: '15m', fires: [] },
    { kind: 'boundary', what: 'one that is new', series: unknown('_x5 1x60', 5), at: '14m', fires: [] },
    { kind: 'boundary', what: 'for ten minutes and two scrapes', series: unknown('0x5 1x60', 5), at: '17m', fires: [alertOfProbe] },
  ],
  CurlewMostlyUnknown: [
    {
      kind: 'fires', what: 'two of three', series: { ...UP, ...unknown('1x60', 5), ...unknown('1x60', 3_600, { target: 'b:1' }), ...unknown('0x60', 5, { target: 'c:1' }) }, at: '12m', fires: [CURLEW],
      says: { summary: 'Curlew at curlew-0:9797 is blind', description: '66.67% of the targets of curlew-0:9797 have an unknown state, because of trouble of its own: its network, its file handles, its CPU time, or a Kubernetes API that does not answer it and that no kube-api probe finds down. No alert about them will come.' },
    },
    { kind: 'fires', what: 'with what its scrapes are labelled', series: { [`up${own(undefined, ',pod="curlew-0",env="live"')}`]: '1x60', ...unknown('1x60', 5) }, at: '12m', fires: [{ ...CURLEW, pod: 'curlew-0', env: 'live' }] },
    { kind: 'fires', what: 'through a restart', series: { [`up${own()}`]: '1x12 0 1x30', ...unknown('1x12 _ 1x30', 5) }, at: '14m', fires: [CURLEW] },
    {
      kind: 'fires', what: 'one of two in two clusters that have the same instance', at: '12m', fires: [{ ...CURLEW, cluster: 'east' }],
      series: {
        [`up${own(undefined, ',cluster="east"')}`]: '1x60', [`up${own(undefined, ',cluster="west"')}`]: '1x60',
        [`probe_unknown${labelsOf('cache', 'redis', 'a:1', { cluster: 'east' })}`]: '1x60', [`probe_unknown${labelsOf('cache', 'redis', 'a:1', { cluster: 'west' })}`]: '0x60',
      },
    },
    { kind: 'fires', what: 'with a cluster that the config puts on targets alone', series: { ...UP, [`probe_unknown${labelsOf('cache', 'redis', 'a:1', { cluster: 'east' })}`]: '1x60' }, at: '12m', fires: [CURLEW] },
    { kind: 'quiet', what: 'another Curlew\'s', series: { ...UP, ...unknown('0x60', 5), [`up${own(OTHER)}`]: '_', ...unknown('1x60', 5, { instance: OTHER }) }, at: '15m', fires: [] },
    { kind: 'quiet', what: 'of nodes and certificates, while their API is down, which pages', at: '30m', fires: [], series: { ...UP, ...apiDown(), ...asking('1x60') } },
    { kind: 'quiet', what: 'nothing but nodes', at: '30m', fires: [], series: { ...UP, ...apiDown('0x60', OTHER), ...asking('1x60') } },
    { kind: 'quiet', what: 'an API that is back, until what is asked every hour has been asked', at: '80m', fires: [], series: { ...UP, ...apiDown('0x30 1x60', OTHER), ...asking('1x31 0x60', '1x90') } },
    { kind: 'fires', what: 'an hour after it is back', at: '120m', fires: [CURLEW], series: { ...UP, ...apiDown('0x30 1x120', OTHER), ...asking('1x31 0x120', '1x120') } },
    { kind: 'fires', what: 'of nodes that are asked every minute, soon after it is back', at: '45m', fires: [CURLEW], series: { ...UP, ...apiDown('0x30 1x60'), ...asking('1x60', '0x60') } },
    { kind: 'fires', what: 'blind of itself while the API is down: the rest is unknown too', at: '30m', fires: [CURLEW], series: { ...UP, ...apiDown('0x60', OTHER), ...asking('1x60'), ...unknown('1x60', 60) } },
    { kind: 'fires', what: 'blind to an API that others find well', at: '30m', fires: [CURLEW], series: { ...UP, ...apiDown('1x60', OTHER), ...asking('1x60') } },
    { kind: 'fires', what: 'an API that nobody probes', at: '30m', fires: [CURLEW], series: { ...UP, ...asking('1x60') } },
    { kind: 'fires', what: 'an API of which only a spare server is down', at: '30m', fires: [CURLEW], series: { ...UP, ...apiDown(), ...apiDown('1x60', undefined, 'https://10.0.0.2:6443'), ...asking('1x60') } },
    { kind: 'fires', what: 'the API of another cluster', at: '30m', fires: [CURLEW], series: { ...UP, ...inCluster('east', apiDown()), ...inCluster('west', asking('1x60')) } },
    { kind: 'boundary', what: 'half of the rest', at: '30m', fires: [], series: { ...UP, ...apiDown('0x60', OTHER), ...asking('1x60'), ...unknown('1x60', 60), ...unknown('0x60', 60, { target: 'b:1' }) } },
    { kind: 'boundary', what: 'half of them', series: { ...UP, ...unknown('1x60', 5), ...unknown('0x60', 5, { target: 'b:1' }) }, at: '15m', fires: [] },
    { kind: 'boundary', what: 'not for ten minutes yet', series: { ...UP, ...unknown('1x60', 5) }, at: '9m', fires: [] },
  ],
  CurlewNoActiveReplica: [
    {
      kind: 'fires', what: 'all stand by', at: '10m', fires: [{ job: 'curlew', lease: 'curlew-1' }],
      series: { ...leased('0x30'), ...leased('0x30', OTHER), ...leased('1x30', OTHER, 'curlew-0') },
      says: { summary: 'No replica of Curlew is active for the Lease curlew-1', description: 'Replicas of Curlew are up, and all of them stand by: what they share is not probed, and no alert about it will come. Most likely none of them reaches the API to take the Lease curlew-1, or is allowed to; their logs say which.' },
    },
    { kind: 'quiet', what: 'one of two is active', series: { ...leased('0x30'), ...leased('1x30', OTHER) }, at: '15m', fires: [] },
    { kind: 'quiet', what: 'a takeover', series: { ...leased('1x10 stale'), ...leased('0x10 1x20', OTHER) }, at: '14m', fires: [] },
    { kind: 'quiet', what: 'there is no Lease', series: UP, at: '15m', fires: [] },
    { kind: 'boundary', what: 'not for two minutes yet', series: leased('1x5 0x30'), at: '7m', fires: [] },
    { kind: 'boundary', what: 'for two minutes', series: leased('1x5 0x30'), at: '8m', fires: [{ job: 'curlew', lease: 'curlew-1' }] },
  ],
  CurlewTargetsNotProbed: [
    {
      kind: 'fires', what: 'a shard that is not there', at: '15m', fires: [{ job: 'curlew', shards: '3' }], series: { ...shard(0, 3, '90x30', '31x30'), ...shard(2, 3, '90x30', '29x30') },
      says: { summary: '30 targets are probed by no shard of Curlew', description: 'Of the 3 shards of Curlew at least one is missing or stands by: 30 targets are not probed, and no alert about them will come. Most likely a pod does not run, or there are fewer replicas than kubernetes.shards.total.' },
    },
    { kind: 'fires', what: 'one of which all replicas stand by', at: '15m', fires: [{ job: 'curlew', shards: '2' }], series: { ...shard(0, 2, '90x30', '50x30'), ...shard(0, 2, '90x30', '0x30', 'b'), ...shard(1, 2, '90x30', '0x30'), ...shard(1, 2, '90x30', '0x30', 'b') } },
    { kind: 'quiet', what: 'each has its own, at one of two replicas', at: '15m', fires: [], series: { ...shard(0, 2, '90x30', '50x30'), ...shard(0, 2, '90x30', '0x30', 'b'), ...shard(1, 2, '90x30', '0x30'), ...shard(1, 2, '90x30', '40x30', 'b') } },
    { kind: 'quiet', what: 'targets that come and go', at: '20m', fires: [], series: { ...shard(0, 2, '90x10 120x20', '50x10 60x20'), ...shard(1, 2, '90x11 120x20', '40x11 60x20') } },
    { kind: 'quiet', what: 'agents, which share nothing', at: '15m', fires: [], series: { ...shard(0, 1, '9x30', '9x30'), ...shard(0, 1, '50x30', '0x30', 'b') } },
    { kind: 'quiet', what: 'a shard more, one pod after the other', at: '20m', fires: [], series: { ...shard(0, 1, '90x10 stale', '90x10 stale'), ...shard(0, 2, '_x13 90x20', '_x13 50x20'), ...shard(1, 2, '_x9 90x20', '_x9 40x20') } },
    { kind: 'boundary', what: 'not for ten minutes yet', at: '16m', fires: [], series: { ...shard(0, 2, '90x60', '50x60'), ...shard(1, 2, '90x5 stale', '40x5 stale') } },
    { kind: 'boundary', what: 'for ten minutes since its last sample is old', at: '18m', fires: [{ job: 'curlew', shards: '2' }], series: { ...shard(0, 2, '90x60', '50x60'), ...shard(1, 2, '90x5', '40x5') } },
  ],
  CurlewDiscoveryStale: [
    {
      kind: 'fires', what: 'what the API no longer tells', series: discovered('0x60'), at: '20m', fires: [{ ...CURLEW, source: 'kubernetes:a:services' }],
      says: { summary: 'Curlew at curlew-0:9797 does not see new targets of kubernetes:a:services', description: 'The source kubernetes:a:services was last read 20m 0s ago by curlew-0:9797. What it knew then is still probed; what has come since is not, and what has gone may fail. Look whether the API of that cluster answers it, and what it is allowed to read.' },
    },
    {
      kind: 'fires', what: 'one that was never read', series: discovered('-1750000000x60'), at: '5m', fires: [{ ...CURLEW, source: 'kubernetes:a:services' }],
      says: { summary: 'Curlew at curlew-0:9797 does not see new targets of kubernetes:a:services', description: 'The source kubernetes:a:services was never read by curlew-0:9797. What it knew then is still probed; what has come since is not, and what has gone may fail. Look whether the API of that cluster answers it, and what it is allowed to read.' },
    },
    { kind: 'quiet', what: 'up to date', series: discovered('0+60x60'), at: '40m', fires: [] },
    { kind: 'quiet', what: 'a pod that was replaced', series: discovered('0x15 stale'), at: '19m', fires: [] },
    { kind: 'boundary', what: 'just as old as is allowed', series: discovered('-600+60x60'), at: '20m', fires: [] },
    { kind: 'boundary', what: 'a little older', series: discovered('-601+60x60'), at: '20m', fires: [{ ...CURLEW, source: 'kubernetes:a:services' }] },
  ],
  CurlewDiscoveryRefused: [
    {
      kind: 'fires', what: 'two of a namespace, as both replicas see it', series: { ...refused('2x30'), ...refused('2x30', OTHER) }, at: '15m', fires: [{ job: 'curlew', cluster: 'a', namespace: 'shop' }],
      says: { summary: 'Probes that the namespace shop asks for are refused', description: '2 annotation(s) or targets in the namespace shop of the cluster a are wrong, not allowed, or beyond the quota: somebody waits for a probe that is not there. The status page of Curlew and its log say which, and what was expected.' },
    },
    {
      kind: 'fires', what: 'what the config asks for, in no namespace', series: refused('1x30', undefined, ''), at: '15m', fires: [{ job: 'curlew', cluster: 'a' }],
      says: { summary: 'Probes that the config asks for are refused', description: '1 annotation(s) or targets that belong to no namespace, found by discovery.kubernetes.health, of the cluster a are wrong, not allowed, or beyond the quota: somebody waits for a probe that is not there. The status page of Curlew and its log say which, and what was expected.' },
    },
    { kind: 'quiet', what: 'none', series: refused('0x30'), at: '15m', fires: [] },
    { kind: 'boundary', what: 'not for ten minutes yet', series: refused('0x4 1x30'), at: '14m', fires: [] },
    { kind: 'boundary', what: 'for ten minutes', series: refused('0x4 1x30'), at: '15m', fires: [{ job: 'curlew', cluster: 'a', namespace: 'shop' }] },
  ],
  CurlewForwarderDown: zeroed('curlew_notify_up', 2),
  CurlewDeliveriesFailing: [
    {
      kind: 'fires', what: 'one that waits', series: { ...oldest('0+60x60'), ...channel('curlew_notify_outbox_rows', '2x60', ',state="dead"') }, at: '10m', fires: [OPS],
      says: { summary: 'Alerts do not get through ops', description: 'Someone was not told: the oldest alert for the channel ops at curlew-0:9797 has waited for 10m 0s, and 2 are given up and kept. `curlew notify dead` shows what the service answered.' },
    },
    { kind: 'fires', what: 'one that was given up', series: { ...oldest('0x60'), ...dead('0x10 1x50'), [`process_start_time_seconds${own()}`]: '0x60' }, at: '13m', fires: [OPS] },
    { kind: 'fires', what: 'one that was given up before the first scrape', series: { ...oldest('0x60'), ...dead('1x50'), [`process_start_time_seconds${own()}`]: '0x60' }, at: '3m', fires: [OPS] },
    { kind: 'fires', what: 'through a restart', series: oldest('400x6 _ 400x20'), at: '7m', fires: [OPS] },
    { kind: 'quiet', what: 'given up long ago, as a Prometheus sees it that has just started', series: { ...oldest('0x60'), ...dead('9x50'), [`process_start_time_seconds${own()}`]: '-86400x60' }, at: '3m', fires: [] },
    { kind: 'fires', what: 'given up for a reason that is new', series: { ...UP, ...oldest('0x60'), ...dead('_x30 1x50'), [`process_start_time_seconds${own()}`]: '-86400x60' }, at: '33m', fires: [OPS] },
    { kind: 'quiet', what: 'given up long ago', series: { ...oldest('0x60'), ...dead('0x10 1x50') }, at: '30m', fires: [] },
    { kind: 'quiet', what: 'given up long ago, and a gap in the scrapes since', series: { ...oldest('0x60'), ...dead('9x20 stale _ 9x60') }, at: '37m', fires: [] },
    { kind: 'quiet', what: 'a pod that was replaced', series: { ...dead('0x5 1x5 stale'), ...dead('_x10 0x60', OTHER) }, at: '30m', fires: [] },
    { kind: 'boundary', what: 'just the age that is allowed', series: oldest('300x60'), at: '10m', fires: [] },
    { kind: 'boundary', what: 'a little older', series: oldest('301x60'), at: '10m', fires: [OPS] },
  ],
  CurlewOutboxFilling: [
    {
      kind: 'fires', what: 'with numbers', series: { [`curlew_notify_outbox_capacity_ratio${own()}`]: '0.9x30' }, at: '10m', fires: [CURLEW],
      says: { summary: 'The outbox of Curlew at curlew-0:9797 fills up', description: '90% of the outbox of curlew-0:9797 is taken. When it is full the oldest alerts that were given up make room, and without any the webhook refuses new ones.' },
    },
    { kind: 'quiet', what: 'half full', series: { [`curlew_notify_outbox_capacity_ratio${own()}`]: '0.5x30' }, at: '15m', fires: [] },
    { kind: 'boundary', what: 'just as full as is allowed', series: { [`curlew_notify_outbox_capacity_ratio${own()}`]: '0.8x30' }, at: '15m', fires: [] },
  ],
  CurlewSharedStoreDown: [
    ...zeroed('curlew_notify_shared_store_up', 5),
    { kind: 'quiet', what: 'none is configured', series: UP, at: '15m', fires: [] },
  ],
  Watchdog: [
    { kind: 'fires', what: 'whatever happens', series: { [`up${own()}`]: '0x30' }, at: '10m', fires: [{}] },
    { kind: 'quiet', what: 'switched off', values: 'alerts: { Watchdog: { enabled: false } }', series: UP, at: '10m', fires: [] },
    { kind: 'boundary', what: 'from the first moment on', series: UP, at: '0m', fires: [{}] },
  ],
})
