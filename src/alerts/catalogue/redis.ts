import { MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { anyOf, held, levels, majority, merged, of, unhealthy } from '../promql.ts'
import { layerAndReason, lookedUp, TARGET } from '../templates.ts'

const TYPES = 'type=~"redis|redis-sentinel|redis-cluster"'
const GROUPS = 'type=~"redis-sentinel|redis-cluster"'

/** A gauge of a target as the Curlew sees it that says most. */
const most = (settings: Settings, metric: string, matchers = '') => merged(settings, 'max', held(settings, metric, matchers))
const least = (settings: Settings, metric: string) => merged(settings, 'min', held(settings, metric))

/** Unhealthy targets whose last run failed in one of these ways, for most Curlews. */
function failing(settings: Settings, types: string, how: string): string {
  const failed = `max without (layer, reason) (${held(settings, 'probe_failure_info', `${types},${how}`)})`
  return majority(settings, `${failed} and ${held(settings, 'probe_healthy', types)} == 0`, held(settings, 'probe_healthy', types))
}

/** Servers that turn us away because of maxclients tell no ratio: it is 1. */
function clients(settings: Settings): string {
  const full = merged(settings, 'max', held(settings, 'probe_failure_info', `${TYPES},layer="connect",reason="overloaded"`), 'layer', 'reason')
  return `(${most(settings, 'probe_redis_clients_ratio')} or ${full})`
}

/** Sentinels that agree on no master, name one that is none, or take it for down while we cannot use it either. */
function sentinelsWithoutMaster(settings: Settings): string {
  const type = 'type="redis-sentinel"'
  const down = `${held(settings, 'probe_redis_sentinel_master_down')} > 0.5 * ${held(settings, 'probe_redis_sentinel_reachable')}`
  const split = `${held(settings, 'probe_redis_sentinel_agreed_ratio')} < 1`
  const said = merged(settings, 'max', `${down} or ${split}`)
  // What a master answers is exported before anything else about it can be wrong.
  const noMaster = `${failing(settings, type, 'layer="assert",reason="mismatch"')} unless ${most(settings, 'probe_redis_sentinel_connected_slaves')}`
  return `(${said} and ${unhealthy(settings, type, 0)})\nor (${noMaster})`
}

/**
 * Probes of several servers of which none is a master, and all that are replicas have lost theirs. Without the label target.
 * One that was a master two minutes ago is none: it would put off the page by as much.
 */
function orphans(settings: Settings): string {
  const link = most(settings, 'probe_redis_master_link_up')
  return `((${merged(settings, 'count', link, 'target')} >= 2
and ${merged(settings, 'max', link, 'target')} == 0)
unless ${merged(settings, 'max', of(settings, 'probe_redis_info', 'role="master"'), 'target', 'role', 'redis_version', 'redis_mode')})`
}

/** What a cluster says of its slots, for a sentence; nothing where it says nothing. */
function slots(settings: Settings): string {
  const failed = lookedUp(settings, 'probe_redis_cluster_slots_fail', '; {{ .Value | humanize }} slots have no working master')
  return `${failed}${lookedUp(settings, 'probe_redis_cluster_slots_pfail', ', {{ .Value | humanize }} are suspected')}`
}

export const redis: Family = {
  name: 'redis',
  alerts: [
    {
      name: 'RedisMemoryHigh', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-redis',
      thresholds: { ratio: { value: 0.9, help: 'memory used over maxmemory; limits: {memory_ratio: …} on a probe comes first' } },
      expr(settings, { ratio }) {
        const ofEach = (gauge: string) => ['redis', 'redis_sentinel', 'redis_cluster'].map((kind) => held(settings, `probe_${kind}_${gauge}`)).join(' or ')
        const gauge = merged(settings, 'max', ofEach('memory_ratio'))
        // A cache that may evict whatever it holds is full all its life.
        const evicts = `(${merged(settings, 'min', ofEach('evicts_any'))} == 1)`
        return levels(settings, gauge, { name: 'memory_ratio', worse: '>', warning: ratio, except: evicts })
      },
      summary: `${TARGET} has little memory left`,
      description: () => `{{ if eq $labels.type "redis-cluster" }}The fullest master of ${TARGET}{{ else if eq $labels.type "redis-sentinel" }}The master of ${TARGET}{{ else }}${TARGET}{{ end }} uses {{ $value | humanizePercentage }} of its maxmemory. At the limit it evicts keys, or with noeviction refuses writes.`,
    },
    {
      name: 'RedisClientsHigh', severity: 'warning', scope: 'dependency', forMs: 2 * MINUTE_MS, dashboard: 'curlew-redis',
      thresholds: { ratio: { value: 0.85, help: 'clients over maxclients; limits: {clients_ratio: …} on a probe comes first' } },
      expr: (settings, { ratio }) => levels(settings, clients(settings), { name: 'clients_ratio', worse: '>', warning: ratio }),
      summary: `${TARGET} has almost as many clients as it takes`,
      description: () => `${TARGET} has {{ $value | humanizePercentage }} of the clients that maxclients allows. At the limit it turns new ones away.`,
    },
    {
      name: 'RedisReplicaLinkDown', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-redis',
      expr(settings) {
        // Where every master was meant to have one: a cluster without replicas may be meant so.
        const meant = `(${most(settings, 'probe_redis_cluster_known_nodes')} >= bool 2 * ${most(settings, 'probe_redis_cluster_masters')})`
        return anyOf(
          levels(settings, least(settings, 'probe_redis_master_link_up'), { name: 'master_link_up', worse: '<', warning: 1 }),
          levels(settings, least(settings, 'probe_redis_sentinel_connected_slaves'), { name: 'connected_slaves', worse: '<', warning: most(settings, 'probe_redis_sentinel_replicas') }),
          levels(settings, least(settings, 'probe_redis_cluster_least_replicas'), { name: 'least_replicas', worse: '<', warning: meant }),
        )
      },
      summary: `{{ if eq $labels.type "redis" }}${TARGET} has lost its master{{ else }}${TARGET} lacks replicas{{ end }}`,
      description: (settings) => `{{ if eq $labels.type "redis" }}The replica ${TARGET} is not connected to its master: what it serves grows old, and it cannot take over.{{ else if eq $labels.type "redis-sentinel" }}Replicas that are connected to the master of ${TARGET}: {{ $value | humanize }}${lookedUp(settings, 'probe_redis_sentinel_replicas', ' of {{ .Value | humanize }} that the sentinels know')}. Without one there is no failover.{{ else }}Replicas that work, of the master of ${TARGET} that has the fewest: {{ $value | humanize }}. Without one its slots are lost with it.{{ end }}`,
    },
    {
      name: 'RedisNoMaster', severity: 'critical', scope: 'dependency', forMs: MINUTE_MS, dashboard: 'curlew-redis',
      expr(settings) {
        const state = held(settings, 'probe_redis_cluster_state')
        const without = [
          sentinelsWithoutMaster(settings), failing(settings, GROUPS, 'layer="request",reason=~"unavailable|not_found"'), majority(settings, `${state} == 0`, state), orphans(settings),
        ]
        return anyOf(
          levels(settings, most(settings, 'probe_redis_cluster_slots_fail'), { name: 'slots_fail', worse: '>', critical: 0 }),
          levels(settings, most(settings, 'probe_redis_cluster_slots_pfail'), { name: 'slots_pfail', worse: '>' }),
          [{ severity: 'critical', expr: without.join('\nor ') }],
        )
      },
      summary: '{{ $labels.probe }}{{ with $labels.target }} {{ . }}{{ end }} {{ if eq $labels.type "redis-cluster" }}has slots without a master{{ else }}has no master{{ end }}',
      description: (settings) => `{{ if eq $labels.type "redis" }}None of the servers of {{ $labels.probe }} is a master, and {{ $value | humanize }} replicas have lost theirs: nobody takes writes.{{ else if eq $labels.type "redis-sentinel" }}The sentinels of ${TARGET} lead to no master that works${layerAndReason(settings)}: clients that ask them cannot write.{{ else }}The cluster ${TARGET} does not serve all keys${layerAndReason(settings)}${slots(settings)}.{{ end }}`,
    },
    {
      name: 'RedisWritesRefused', severity: 'critical', scope: 'dependency', forMs: MINUTE_MS, dashboard: 'curlew-redis',
      // Nothing is ever written to a replica, so a refusal comes from a master, or from one that has just stopped to be it.
      expr: (settings) => failing(settings, TYPES, 'layer="request",reason=~"overloaded|read_only"'),
      summary: `${TARGET} answers, but refuses writes`,
      description: (settings) => `${TARGET} is reached and refuses to write${layerAndReason(settings)}: overloaded is maxmemory used up (OOM), a save that failed (MISCONF), too few replicas (NOREPLICAS) or a script that blocks it (BUSY); read_only is a master that has become a replica. {{ $value }} Curlew(s) see it so.`,
    },
  ],
}
