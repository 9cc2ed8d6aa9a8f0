import { redis } from '../../src/alerts/catalogue/redis.ts'
import { alertContract, labelsOf } from './promtool.ts'

const alertOf = (type: string, target: string) => ({ job: 'curlew', probe: 'cache', type, target })
const seen = (type: string, target: string, instance = 'curlew-0:9797') => labelsOf('cache', type, target, { instance })
const [SINGLE, BEHIND, CLUSTER] = ['10.0.0.1:6379', 'sentinel-0,sentinel-1/main', 'redis-0,redis-1'] as const
const alertOfOne = alertOf('redis', SINGLE)
const alertOfSentinels = alertOf('redis-sentinel', BEHIND)
const alertOfCluster = alertOf('redis-cluster', CLUSTER)

type Values = Readonly<Record<string, string>>

/** Gauges of a target by their names after `probe_`. */
function gauges(labels: string, values: Values): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, samples]) => [`probe_${name}${labels}`, samples]))
}

const one = (values: Values, instance?: string, target: string = SINGLE) => gauges(seen('redis', target, instance), values)
const behind = (values: Values, instance?: string) => gauges(seen('redis-sentinel', BEHIND, instance), values)
const cluster = (values: Values, instance?: string) => gauges(seen('redis-cluster', CLUSTER, instance), values)

function limited(type: string, target: string, level: string, severity: string, value: number): Record<string, string> {
  return { [`probe_threshold${seen(type, target).replace('}', `,name="${level}",level="${severity}"}`)}`]: `${value}x60` }
}

/** What fails so, and is unhealthy. */
function fails(labels: string, layer: string, reason: string, healthy = '0x60'): Record<string, string> {
  return { [`probe_failure_info${labels.replace('}', `,layer="${layer}",reason="${reason}"}`)}`]: '1x60', [`probe_healthy${labels}`]: healthy }
}

const well = (labels: string) => ({ [`probe_healthy${labels}`]: '1x60' })
const unknown = (labels: string) => ({ [`probe_unknown${labels}`]: '1x60' })

/** Two replicas of one probe, connected to their master or not. */
const replicas = (first: string, second: string) => ({
  ...one({ redis_master_link_up: first }, undefined, '10.0.0.1:6379'), ...one({ redis_master_link_up: second }, undefined, '10.0.0.2:6379'),
})

const master = (target: string, values = '1x60') => ({ [`probe_redis_info${seen('redis', target).replace('}', ',role="master",redis_version="7.0.15",redis_mode="standalone"}')}`]: values })

alertContract(redis, {
  RedisMemoryHigh: [
    {
      kind: 'fires', what: 'a server', at: '10m', series: one({ redis_memory_ratio: '0.95x20' }), fires: [alertOfOne],
      says: { summary: 'cache 10.0.0.1:6379 has little memory left', description: 'cache 10.0.0.1:6379 uses 95% of its maxmemory. At the limit it evicts keys, or with noeviction refuses writes.' },
    },
    {
      kind: 'fires', what: 'the master behind sentinels', at: '10m', series: behind({ redis_sentinel_memory_ratio: '0.95x20' }), fires: [alertOfSentinels],
      says: { summary: `cache ${BEHIND} has little memory left`, description: `The master of cache ${BEHIND} uses 95% of its maxmemory. At the limit it evicts keys, or with noeviction refuses writes.` },
    },
    { kind: 'fires', what: 'the fullest master of a cluster', at: '10m', series: cluster({ redis_cluster_memory_ratio: '0.95x20' }), fires: [alertOfCluster] },
    { kind: 'fires', what: 'once for two Curlews', at: '10m', series: { ...one({ redis_memory_ratio: '0.95x20' }), ...one({ redis_memory_ratio: '0.96x20' }, 'curlew-1:9797') }, fires: [alertOfOne] },
    { kind: 'fires', what: 'beyond the limit of the config, and where it pages', at: '10m', series: { ...one({ redis_memory_ratio: '0.7x20' }), ...limited('redis', SINGLE, 'memory_ratio', 'warning', 0.5), ...limited('redis', SINGLE, 'memory_ratio', 'critical', 0.6) }, fires: [alertOfOne, { ...alertOfOne, severity: 'critical' }] },
    { kind: 'quiet', what: 'a cache that evicts whatever it holds', at: '10m', series: { ...one({ redis_memory_ratio: '1x20', redis_evicts_any: '1x20' }), ...behind({ redis_sentinel_memory_ratio: '1x20', redis_sentinel_evicts_any: '1x20' }), ...cluster({ redis_cluster_memory_ratio: '1x20', redis_cluster_evicts_any: '1x20' }) }, fires: [] },
    { kind: 'fires', what: 'such a cache, beyond the limit that the config sets on it', at: '10m', series: { ...one({ redis_memory_ratio: '1x20', redis_evicts_any: '1x20' }), ...limited('redis', SINGLE, 'memory_ratio', 'warning', 0.95) }, fires: [alertOfOne] },
    { kind: 'fires', what: 'one that evicts nothing, or only what has a TTL', at: '10m', series: one({ redis_memory_ratio: '0.95x20', redis_evicts_any: '0x20' }), fires: [alertOfOne] },
    { kind: 'quiet', what: 'within the limit of the config', at: '10m', series: { ...one({ redis_memory_ratio: '1x20' }), ...limited('redis', SINGLE, 'memory_ratio', 'warning', 1.1) }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '10m', series: unknown(seen('redis', SINGLE)), fires: [] },
    { kind: 'boundary', what: 'just at the threshold', at: '10m', series: one({ redis_memory_ratio: '0.9x20' }), fires: [] },
    { kind: 'boundary', what: 'through a restart of Curlew', at: '10m', series: one({ redis_memory_ratio: '0.95x8 _ 0.95x9' }), fires: [alertOfOne] },
  ],
  RedisClientsHigh: [
    {
      kind: 'fires', what: 'close to the limit', at: '5m', series: one({ redis_clients_ratio: '0.95x20' }), fires: [alertOfOne],
      says: { summary: 'cache 10.0.0.1:6379 has almost as many clients as it takes', description: 'cache 10.0.0.1:6379 has 95% of the clients that maxclients allows. At the limit it turns new ones away.' },
    },
    { kind: 'fires', what: 'at the limit, where it tells nothing any more', at: '15m', series: { ...one({ redis_clients_ratio: '0.95x5 _x60' }), ...fails(seen('redis', SINGLE), 'connect', 'overloaded') }, fires: [alertOfOne] },
    { kind: 'fires', what: 'beyond the limit of the config', at: '5m', series: { ...one({ redis_clients_ratio: '0.6x20' }), ...limited('redis', SINGLE, 'clients_ratio', 'critical', 0.5) }, fires: [{ ...alertOfOne, severity: 'critical' }] },
    { kind: 'quiet', what: 'a dead one', at: '5m', series: fails(seen('redis', SINGLE), 'connect', 'refused'), fires: [] },
    { kind: 'quiet', what: 'another type that is overloaded', at: '5m', series: fails(labelsOf('db', 'mysql', '10.0.0.2:3306'), 'connect', 'overloaded'), fires: [] },
    { kind: 'quiet', what: 'unknown', at: '5m', series: unknown(seen('redis', SINGLE)), fires: [] },
    { kind: 'boundary', what: 'just at the threshold', at: '5m', series: one({ redis_clients_ratio: '0.85x20' }), fires: [] },
  ],
  RedisReplicaLinkDown: [
    {
      kind: 'fires', what: 'a replica without its master', at: '10m', series: one({ redis_master_link_up: '0x20' }), fires: [alertOfOne],
      says: { summary: 'cache 10.0.0.1:6379 has lost its master', description: 'The replica cache 10.0.0.1:6379 is not connected to its master: what it serves grows old, and it cannot take over.' },
    },
    {
      kind: 'fires', what: 'one of two replicas that the sentinels know', at: '10m', series: behind({ redis_sentinel_connected_slaves: '1x20', redis_sentinel_replicas: '2x20' }), fires: [alertOfSentinels],
      says: { summary: `cache ${BEHIND} lacks replicas`, description: `Replicas that are connected to the master of cache ${BEHIND}: 1 of 2 that the sentinels know. Without one there is no failover.` },
    },
    {
      kind: 'fires', what: 'a master of a cluster that has lost its own', at: '10m', series: cluster({ redis_cluster_least_replicas: '0x20', redis_cluster_known_nodes: '6x20', redis_cluster_masters: '3x20' }), fires: [alertOfCluster],
      says: { summary: `cache ${CLUSTER} lacks replicas`, description: `Replicas that work, of the master of cache ${CLUSTER} that has the fewest: 0. Without one its slots are lost with it.` },
    },
    { kind: 'fires', what: 'fewer than the config wants', at: '10m', series: { ...cluster({ redis_cluster_least_replicas: '0x20', redis_cluster_known_nodes: '3x20', redis_cluster_masters: '3x20' }), ...limited('redis-cluster', CLUSTER, 'least_replicas', 'critical', 1) }, fires: [{ ...alertOfCluster, severity: 'critical' }] },
    { kind: 'quiet', what: 'replicas that are gone for good, with a limit of the config', at: '10m', series: { ...behind({ redis_sentinel_connected_slaves: '2x20', redis_sentinel_replicas: '5x20' }), ...limited('redis-sentinel', BEHIND, 'connected_slaves', 'warning', 2) }, fires: [] },
    { kind: 'quiet', what: 'a cluster that was meant to have none', at: '10m', series: cluster({ redis_cluster_least_replicas: '0x20', redis_cluster_known_nodes: '3x20', redis_cluster_masters: '3x20' }), fires: [] },
    { kind: 'quiet', what: 'all of them', at: '10m', series: { ...one({ redis_master_link_up: '1x20' }), ...behind({ redis_sentinel_connected_slaves: '2x20', redis_sentinel_replicas: '2x20' }), ...cluster({ redis_cluster_least_replicas: '1x20', redis_cluster_known_nodes: '6x20', redis_cluster_masters: '3x20' }) }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '10m', series: unknown(seen('redis', SINGLE)), fires: [] },
    { kind: 'boundary', what: 'a link that was down for four minutes', at: '12m', series: one({ redis_master_link_up: '1x4 0 0 0 0 1x20' }), fires: [] },
    { kind: 'boundary', what: 'for five', at: '10m', series: one({ redis_master_link_up: '1x4 0x20' }), fires: [alertOfOne] },
  ],
  RedisNoMaster: [
    {
      kind: 'fires', what: 'a master that the sentinels take for down, as it is for us', at: '5m',
      series: { ...behind({ redis_sentinel_master_down: '2x20', redis_sentinel_reachable: '3x20' }), ...fails(seen('redis-sentinel', BEHIND), 'connect', 'refused') }, fires: [alertOfSentinels],
      says: { summary: `cache ${BEHIND} has no master`, description: `The sentinels of cache ${BEHIND} lead to no master that works (connect/refused): clients that ask them cannot write.` },
    },
    { kind: 'fires', what: 'sentinels that name two', at: '5m', series: { ...behind({ redis_sentinel_agreed_ratio: '0.5x20', redis_sentinel_reachable: '2x20' }), ...fails(seen('redis-sentinel', BEHIND), 'assert', 'mismatch') }, fires: [alertOfSentinels] },
    { kind: 'fires', what: 'sentinels that name one that is none', at: '5m', series: { ...behind({ redis_sentinel_agreed_ratio: '1x20' }), ...fails(seen('redis-sentinel', BEHIND), 'assert', 'mismatch') }, fires: [alertOfSentinels] },
    { kind: 'fires', what: 'sentinels that know none', at: '5m', series: fails(seen('redis-sentinel', BEHIND), 'request', 'not_found'), fires: [alertOfSentinels] },
    {
      kind: 'fires', what: 'a cluster that is down', at: '5m', series: { ...cluster({ redis_cluster_state: '0x20', redis_cluster_slots_fail: '5461x20', redis_cluster_slots_pfail: '0x20' }), ...fails(seen('redis-cluster', CLUSTER), 'request', 'unavailable') }, fires: [alertOfCluster],
      says: { summary: `cache ${CLUSTER} has slots without a master`, description: `The cluster cache ${CLUSTER} does not serve all keys (request/unavailable); 5.461k slots have no working master, 0 are suspected.` },
    },
    { kind: 'fires', what: 'slots that fail in a cluster that serves the others', at: '5m', series: cluster({ redis_cluster_state: '1x20', redis_cluster_slots_fail: '5461x20' }), fires: [alertOfCluster] },
    { kind: 'fires', what: 'slots that belong to no node', at: '5m', series: { ...cluster({ redis_cluster_state: '1x20' }), ...fails(seen('redis-cluster', CLUSTER), 'request', 'unavailable') }, fires: [alertOfCluster] },
    { kind: 'fires', what: 'suspected slots where the config wants a warning', at: '5m', series: { ...cluster({ redis_cluster_slots_pfail: '100x20' }), ...limited('redis-cluster', CLUSTER, 'slots_pfail', 'warning', 0) }, fires: [{ ...alertOfCluster, severity: 'warning' }] },
    {
      kind: 'fires', what: 'replicas that have all lost their master', at: '5m', series: replicas('0x20', '0x20'), fires: [{ job: 'curlew', probe: 'cache', type: 'redis' }],
      says: { summary: 'cache has no master', description: 'None of the servers of cache is a master, and 2 replicas have lost theirs: nobody takes writes.' },
    },
    { kind: 'boundary', what: 'a minute after the master of two replicas has died', every: '30s', at: '5m', series: { ...replicas('1x7 0x20', '1x7 0x20'), ...master('10.0.0.3:6379', '1x7 stale') }, fires: [{ job: 'curlew', probe: 'cache', type: 'redis' }] },
    { kind: 'quiet', what: 'replicas of a master that is there', at: '5m', series: { ...replicas('0x20', '0x20'), ...master('10.0.0.3:6379') }, fires: [] },
    { kind: 'quiet', what: 'one of two replicas', at: '5m', series: replicas('0x20', '1x20'), fires: [] },
    { kind: 'quiet', what: 'a master that serves, whatever the sentinels take it for', at: '5m', series: { ...behind({ redis_sentinel_master_down: '3x20', redis_sentinel_reachable: '3x20' }), ...well(seen('redis-sentinel', BEHIND)) }, fires: [] },
    { kind: 'quiet', what: 'a limit of the config on a master that is there', at: '5m', series: { ...behind({ redis_sentinel_agreed_ratio: '1x20', redis_sentinel_connected_slaves: '0x20' }), ...fails(seen('redis-sentinel', BEHIND), 'assert', 'mismatch') }, fires: [] },
    { kind: 'quiet', what: 'no sentinel that can be reached', at: '5m', series: { ...behind({ redis_sentinel_reachable: '0x20' }), ...fails(seen('redis-sentinel', BEHIND), 'connect', 'refused') }, fires: [] },
    { kind: 'quiet', what: 'a single server that does not serve', at: '5m', series: fails(seen('redis', SINGLE), 'request', 'unavailable'), fires: [] },
    { kind: 'quiet', what: 'unknown', at: '5m', series: { ...unknown(seen('redis-cluster', CLUSTER)), ...unknown(seen('redis-sentinel', BEHIND)) }, fires: [] },
    { kind: 'quiet', what: 'a cluster that one of three Curlews is cut off from', at: '5m', series: { ...cluster({ redis_cluster_state: '0x20' }), ...cluster({ redis_cluster_state: '1x20' }, 'b:1'), ...cluster({ redis_cluster_state: '1x20' }, 'c:1') }, fires: [] },
    { kind: 'boundary', what: 'half of the sentinels take it for down', at: '5m', series: { ...behind({ redis_sentinel_master_down: '1x20', redis_sentinel_reachable: '2x20' }), ...fails(seen('redis-sentinel', BEHIND), 'connect', 'refused') }, fires: [] },
    { kind: 'boundary', what: 'a failover of half a minute', every: '15s', at: '3m', series: { ...behind({ redis_sentinel_master_down: '0x8 3 3 0x20', redis_sentinel_reachable: '3x40' }), [`probe_healthy${seen('redis-sentinel', BEHIND)}`]: '1x8 0 0 1x20' }, fires: [] },
  ],
  RedisWritesRefused: [
    {
      kind: 'fires', what: 'OOM, MISCONF or NOREPLICAS', at: '5m', series: fails(seen('redis', SINGLE), 'request', 'overloaded'), fires: [alertOfOne],
      says: {
        summary: 'cache 10.0.0.1:6379 answers, but refuses writes',
        description: 'cache 10.0.0.1:6379 is reached and refuses to write (request/overloaded): overloaded is maxmemory used up (OOM), a save that failed (MISCONF), too few replicas (NOREPLICAS) or a script that blocks it (BUSY); read_only is a master that has become a replica. 1 Curlew(s) see it so.',
      },
    },
    { kind: 'fires', what: 'READONLY', at: '5m', series: fails(seen('redis-sentinel', BEHIND), 'request', 'read_only'), fires: [alertOfSentinels] },
    { kind: 'fires', what: 'one turning into the other is one alert', at: '10m', series: { ...fails(seen('redis', SINGLE), 'request', 'read_only'), [`probe_failure_info${seen('redis', SINGLE).replace('}', ',layer="request",reason="overloaded"}')}`]: '1x5 _x60' }, fires: [alertOfOne] },
    { kind: 'fires', what: 'a master of a cluster', at: '5m', series: fails(seen('redis-cluster', CLUSTER), 'request', 'overloaded'), fires: [alertOfCluster] },
    { kind: 'quiet', what: 'a dead one', at: '5m', series: fails(seen('redis', SINGLE), 'connect', 'refused'), fires: [] },
    { kind: 'quiet', what: 'one that turns clients away', at: '5m', series: fails(seen('redis', SINGLE), 'connect', 'overloaded'), fires: [] },
    { kind: 'quiet', what: 'one that loads, or hangs', at: '5m', series: { ...fails(seen('redis', SINGLE), 'request', 'loading'), ...fails(seen('redis', '10.0.0.2:6379'), 'request', 'timeout') }, fires: [] },
    { kind: 'quiet', what: 'a replica, which is read-only by design and is only read', at: '5m', series: { ...well(seen('redis', SINGLE)), ...one({ redis_master_link_up: '1x20' }) }, fires: [] },
    { kind: 'quiet', what: 'a mount that is read-only', at: '5m', series: fails(labelsOf('data', 'mount', '/data'), 'request', 'read_only'), fires: [] },
    { kind: 'quiet', what: 'a single failed run of a target that is still healthy', at: '5m', series: fails(seen('redis', SINGLE), 'request', 'overloaded', '1x20'), fires: [] },
    { kind: 'quiet', what: 'unknown', at: '5m', series: { ...unknown(seen('redis', SINGLE)), [`probe_failure_info${seen('redis', SINGLE).replace('}', ',layer="prober",reason="overloaded"}')}`]: '1x20' }, fires: [] },
    { kind: 'boundary', what: 'half of two Curlews', at: '5m', series: { ...fails(seen('redis', SINGLE), 'request', 'overloaded'), ...well(seen('redis', SINGLE, 'b:1')) }, fires: [] },
    { kind: 'boundary', what: 'two of three', at: '5m', series: { ...fails(seen('redis', SINGLE), 'request', 'overloaded'), ...fails(seen('redis', SINGLE, 'b:1'), 'request', 'overloaded'), ...well(seen('redis', SINGLE, 'c:1')) }, fires: [alertOfOne] },
  ],
})
