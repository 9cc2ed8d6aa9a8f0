import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, lines, rows, STATE_WORDS, TARGET, YES_IS_BAD, YES_IS_GOOD } from './panels.ts'
import { many, stateOf } from './promql.ts'

const { avg, max, merged, of } = many
const phasesOf = (title: string, metric: string) => lines({
  title, unit: 's', stacked: true, min: 0, width: 8, description: 'How long each phase took, the mean of these targets.', queries: [{ expr: `avg by (phase) (${of(metric)})`, legend: '{{phase}}' }],
})
const fullest = `${max('probe_redis_memory_ratio')} or ${max('probe_redis_sentinel_memory_ratio')} or ${max('probe_redis_cluster_memory_ratio')}`
const min = (metric: string) => merged('min', of(metric))

export const redis: Spec = {
  uid: 'curlew-redis', about: 'targets', types: ['redis', 'redis-sentinel', 'redis-cluster'],
  description: 'Redis servers, masters behind Sentinels, and clusters.',
  sections: [
    { title: 'State', panels: [
      bands({ title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true, description: 'How most Curlews saw each target.', queries: [{ expr: stateOf(many) }] }),
      rows({
        title: 'Servers', unit: 's', description: 'What answers: its role, mode and version, and the time since it started. A short one is a restart.',
        labels: ['probe', 'target', 'role', 'redis_mode', 'redis_version'], values: ['', 'up for'], sortBy: 'up for', ascending: true,
        queries: [{ expr: max('probe_redis_info') }, { expr: max('probe_redis_uptime_seconds') }],
      }),
    ] },
    { title: 'Memory and clients', panels: [
      lines({
        title: 'Memory of maxmemory', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('RedisMemoryHigh', 'ratio')),
        description: 'Memory used over maxmemory; a server without a limit has no line. Of a cluster it is the fullest master. At the limit writes are refused, or keys evicted.', queries: [{ expr: fullest }],
      }),
      lines({
        title: 'Memory', unit: 'bytes', min: 0, description: 'Memory that Redis has allocated, and its limit; 0 is none.',
        queries: [{ expr: max('probe_redis_memory_used_bytes'), legend: `${TARGET} used` }, { expr: max('probe_redis_memory_max_bytes'), legend: `${TARGET} limit` }],
      }),
      lines({
        title: 'Clients of maxclients', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('RedisClientsHigh', 'ratio')),
        description: 'Client connections over maxclients. At the limit new clients are turned away.', queries: [{ expr: max('probe_redis_clients_ratio') }],
      }),
      lines({
        title: 'Clients', unit: 'short', min: 0, description: 'Client connections, and those of them that wait in a blocking command.',
        queries: [{ expr: max('probe_redis_connected_clients'), legend: `${TARGET} connected` }, { expr: max('probe_redis_blocked_clients'), legend: `${TARGET} blocked` }, { expr: max('probe_redis_max_clients'), legend: `${TARGET} limit` }],
      }),
    ] },
    { title: 'Replication', panels: [
      bands({ title: 'Replicas with their master', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'On each replica whether it is connected to its master. Without it what it answers grows old.', queries: [{ expr: min('probe_redis_master_link_up') }] }),
      lines({
        title: 'Replicas', unit: 'short', min: 0, toTarget: true, description: 'Replicas that are connected to each master.',
        queries: [{ expr: `${min('probe_redis_connected_slaves')} or ${min('probe_redis_sentinel_connected_slaves')}` }],
      }),
      lines({
        title: 'Not applied yet', unit: 'bytes', min: 0, toTarget: true, description: 'Replication stream that the slowest replica has not applied.',
        queries: [{ expr: `${max('probe_redis_replication_lag_bytes')} or ${max('probe_redis_sentinel_replication_lag_bytes')}` }],
      }),
      lines({ title: 'Master last heard', unit: 's', min: 0, toTarget: true, description: 'On each replica the time since it last heard its master; missing while the link is down.', queries: [{ expr: max('probe_redis_master_last_io_seconds') }] }),
    ] },
    { title: 'Sentinels', panels: [
      lines({
        title: 'Sentinels', unit: 'short', min: 0, description: 'Sentinels that the target lists, those that answered, and those that know each other. A failover needs most of them.',
        queries: ['configured', 'reachable', 'sentinels'].map((what) => ({ expr: min(`probe_redis_sentinel_${what}`), legend: `${TARGET} ${what}` })),
      }),
      lines({
        title: 'Agreement on the master', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: [[-Infinity, 'red'], [1, 'green']],
        description: 'The share of the Sentinels that name the same master as most do.', queries: [{ expr: min('probe_redis_sentinel_agreed_ratio') }],
      }),
      bands({
        title: 'Quorum', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Whether enough Sentinels see each other to decide on a failover and to carry it out.', queries: [{ expr: min('probe_redis_sentinel_quorum_ok') }],
      }),
      bands({ title: 'Failover under way', unit: 'short', mappings: YES_IS_BAD, toTarget: true, description: 'Whether a Sentinel is in the middle of a failover.', queries: [{ expr: max('probe_redis_sentinel_failover_in_progress') }] }),
      lines({
        title: 'Master down, as Sentinels say', unit: 'short', min: 0, toTarget: true, steps: [[1, 'red']], description: 'Sentinels that take the master for down.', queries: [{ expr: max('probe_redis_sentinel_master_down') }],
      }),
      rows({
        title: 'Masters', unit: 'short', description: 'The address that the Sentinels name, and the replicas that they know.',
        labels: ['probe', 'target', 'address'], values: ['', 'replicas'], queries: [{ expr: max('probe_redis_sentinel_master_info') }, { expr: max('probe_redis_sentinel_replicas') }],
      }),
    ] },
    { title: 'Clusters', panels: [
      bands({ title: 'Cluster takes commands', unit: 'short', mappings: YES_IS_GOOD, toTarget: true, description: 'Whether the node that was asked takes the cluster for well.', queries: [{ expr: min('probe_redis_cluster_state') }] }),
      bands({ title: 'Masters', unit: 'short', mappings: YES_IS_GOOD, description: 'Whether each master did what was asked of it.', queries: [{ expr: min('probe_redis_cluster_master_up'), legend: '{{probe}} {{master}}' }] }),
      lines({
        title: 'Slots', unit: 'short', min: 0, description: 'Slots that belong to a node and those that are well: all are 16384.',
        queries: ['assigned', 'ok', 'pfail', 'fail'].map((what) => ({ expr: max(`probe_redis_cluster_slots_${what}`), legend: `${TARGET} ${what}` })),
      }),
      lines({
        title: 'Nodes', unit: 'short', min: 0, description: 'Nodes of the cluster, masters with slots, those that answer, and the replicas of the master that has the fewest.',
        queries: [['known_nodes', 'nodes'], ['masters', 'masters'], ['masters_up', 'masters up'], ['least_replicas', 'fewest replicas']].map(([metric, what]) => ({ expr: min(`probe_redis_cluster_${metric}`), legend: `${TARGET} ${what}` })),
      }),
    ] },
    { title: 'Time', panels: [
      lines({ title: 'Answer time', unit: 's', min: 0, toTarget: true, width: 24, description: 'How long the commands of a run took, without the way there.', queries: [{ expr: `${avg('probe_redis_duration_seconds', 'phase="request"')} or ${avg('probe_redis_sentinel_duration_seconds', 'phase="request"')} or ${avg('probe_redis_cluster_duration_seconds', 'phase="request"')}` }] }),
      phasesOf('Phases of servers', 'probe_redis_duration_seconds'),
      phasesOf('Phases behind Sentinels', 'probe_redis_sentinel_duration_seconds'),
      phasesOf('Phases of clusters', 'probe_redis_cluster_duration_seconds'),
    ] },
  ],
}
