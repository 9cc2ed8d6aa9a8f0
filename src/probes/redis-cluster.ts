import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { secret } from '../core/fields.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { dialFields } from './lib/dial.ts'
import { findView, isSentAway, MOST_MASTERS, visitMasters, type MasterVisit, type View } from './lib/redis-cluster-visits.ts'
import { REDIS_CLUSTER_CODES, REDIS_CODES } from './lib/redis-codes.ts'
import { evictsAny, numberOf, ratioOf } from './lib/redis-info.ts'
import { loadClient } from './lib/redis-server.ts'
import { SLOTS, uncovered, type ClusterMaster } from './lib/redis-slots.ts'
import { optionsOfUrl, servers } from './lib/redis-targets.ts'
import { inWords, mostTelling, raise, visitGauges, visitor, type FailedVisit } from './lib/redis-visit.ts'
import { checkTls, tlsFields } from './lib/tls.ts'

/** How many ranges of slots a sentence names. */
const NAMED_RANGES = 3

const options = z.strictObject({
  target: servers(6379, { named: false }),
  username: z.string().min(1).describe('ACL user; it needs +cluster|info +cluster|slots +role +info +set +get +unlink and the pattern of key_prefix; with mode read-only +ping instead of +set +get +unlink').optional(),
  password: secret().describe('password of the user').optional(),
  key_prefix: z.string().max(200).regex(/^[^{]*$/, 'expected no {: the probe chooses the hash tag').default('probe:').describe('what the one key that the probe writes on each master begins with'),
  tls: z.boolean().default(false).describe('speak TLS; rediss+cluster:// sets it'),
  ...tlsFields,
  ip_protocol: dialFields.ip_protocol,
}).superRefine(checkTls)

const gauges = {
  ...visitGauges,
  probe_redis_cluster_state: 'Whether the node that was asked takes the cluster for well (cluster_state is ok).',
  probe_redis_cluster_known_nodes: 'Nodes that it knows, replicas and those that are down included.',
  probe_redis_cluster_slots_assigned: 'Slots that belong to a node; all are 16384.',
  probe_redis_cluster_slots_ok: 'Slots whose master is not suspected.',
  probe_redis_cluster_slots_pfail: 'Slots whose master the node that was asked cannot reach.',
  probe_redis_cluster_slots_fail: 'Slots whose master most masters cannot reach.',
  probe_redis_cluster_masters: 'Masters that have slots.',
  probe_redis_cluster_masters_up: `Masters that did what was asked of them; at most ${MOST_MASTERS} are asked.`,
  probe_redis_cluster_master_up: { help: 'Whether this master did what was asked of it.', labels: ['master'], series: MOST_MASTERS },
  probe_redis_cluster_least_replicas: 'Replicas, without those that are down, of the master that has the fewest.',
  probe_redis_cluster_memory_ratio: 'Memory used over maxmemory on the fullest master; absent without a limit.',
  probe_redis_cluster_evicts_any: 'Whether every master evicts any key at maxmemory (a policy allkeys-…), so that full is how it works; absent without a limit.',
}

const codes = { ...REDIS_CODES, ...REDIS_CLUSTER_CODES } as const

type Context = ProbeContext<'resolve' | 'connect' | 'tls' | 'auth' | 'discover' | 'request', keyof typeof gauges, keyof typeof codes | SharedCode>

export const redisCluster = defineProbe({
  type: 'redis-cluster',
  summary: 'A Redis Cluster: its state and slots, and on every master a value written, read back and removed',
  options,
  phases: { resolve: 'resolve', connect: 'connect', tls: 'tls', auth: 'auth', discover: 'request', request: 'request' },
  gauges,
  codes,
  levels: {
    slots_pfail: { gauge: 'probe_redis_cluster_slots_pfail', worse: 'above' },
    slots_fail: { gauge: 'probe_redis_cluster_slots_fail', worse: 'above' },
    least_replicas: { gauge: 'probe_redis_cluster_least_replicas', worse: 'below' },
    memory_ratio: { gauge: 'probe_redis_cluster_memory_ratio', worse: 'above' },
  },
  schemes: ['redis+cluster', 'rediss+cluster'],
  severalHosts: true,
  fromUrl(url, hosts = [url.host]) {
    if (!['', '/'].includes(url.pathname)) throw new Error('expected a URL without a path, as in redis+cluster://host,host:7001')
    return { ...optionsOfUrl(url), target: hosts.join(',') }
  },
  ways: (options) => options.target.endpoints.flatMap((target) => wayTo({ ...options, target }, options.tls ? options : undefined)),
  example: { target: 'redis-0.example.org,redis-1.example.org,redis-2.example.org', key_prefix: 'probe:' },

  load: loadClient,

  async run(options, probe) {
    const visits = visitor(probe, codes, options)
    try {
      const view = await findView(visits, options.target.endpoints, options, probe.deadline)
      exportView(view, probe)
      const masters = await probe.phase('request', () => visitMasters(visits, view, options, probe))
      exportMasters(masters, probe)
      judge(view, masters, probe)
    } finally {
      visits.finish()
    }
  },
})

function exportView({ info, state, masters }: View, probe: Context): void {
  probe.gauge('probe_redis_cluster_state', Number(state === 'ok'))
  for (const field of ['known_nodes', 'slots_assigned', 'slots_ok', 'slots_pfail', 'slots_fail'] as const) {
    const value = numberOf(info, `cluster_${field}`)
    if (value !== undefined) probe.gauge(`probe_redis_cluster_${field}`, value)
  }
  probe.gauge('probe_redis_cluster_masters', masters.length)
  if (masters.length > 0) probe.gauge('probe_redis_cluster_least_replicas', Math.min(...masters.map(({ replicas }) => replicas)))
}

function exportMasters(visits: readonly MasterVisit[], probe: Context): void {
  for (const one of visits) probe.gauge('probe_redis_cluster_master_up', Number('value' in one), { master: String(one.endpoint) })
  probe.gauge('probe_redis_cluster_masters_up', visits.filter((one) => 'value' in one).length)
  const infos = visits.flatMap((one) => ('value' in one ? one.value ?? [] : []))
  const ratios = infos.flatMap((info) => ratioOf(info, 'used_memory', 'maxmemory') ?? [])
  if (ratios.length > 0) probe.gauge('probe_redis_cluster_memory_ratio', Math.max(...ratios))
  const evicting = infos.flatMap((info) => evictsAny(info) ?? [])
  if (evicting.length > 0) probe.gauge('probe_redis_cluster_evicts_any', Math.min(...evicting))
}

/** Clients suffer from slots without a node, from a cluster that is down, and from each master that does not serve. */
function judge(view: View, visits: readonly MasterVisit[], probe: Context): void {
  const failed = visits.filter((one): one is FailedVisit & { readonly master: ClusterMaster } => !('value' in one))
  const why = failed.length === 0 ? '' : `${failed.length} of ${visits.length} masters ${failed.length === 1 ? 'fails' : 'fail'}: ${inWords(failed, ({ master }) => `${master.endpoint} (${slotsText(master)})`)}`
  const lost = uncovered(view.masters)
  if (lost > 0) probe.fail('redis_cluster_uncovered', [`${lost} of ${SLOTS} slots belong to no node`, why].filter(Boolean).join('; '))
  if (view.state !== 'ok') probe.fail('redis_clusterdown', [`cluster_state is ${view.state} by ${view.seed}`, why].filter(Boolean).join('; '))
  const worst = mostTelling(failed)
  if (!worst) return
  if (isSentAway(worst)) probe.fail('redis_cluster_redirects', why)
  raise(worst, why)
}

function slotsText({ slots }: ClusterMaster): string {
  const ranges = slots.slice(0, NAMED_RANGES).map(([first, last]) => (first === last ? String(first) : `${first}-${last}`))
  return `slots ${ranges.join(', ')}${slots.length > NAMED_RANGES ? ' …' : ''}`
}
