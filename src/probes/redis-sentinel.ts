import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { secret, type Endpoint } from '../core/fields.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import { wayTo } from '../core/way.ts'
import { dialFields } from './lib/dial.ts'
import { REDIS_CODES, REDIS_SENTINEL_CODES } from './lib/redis-codes.ts'
import { evictsAny, lagBytes, numberOf, ratioOf } from './lib/redis-info.ts'
import { ask, DOWN, flagged, namedMasters, type Answer } from './lib/redis-sentinel.ts'
import { askServer, loadClient, useServer } from './lib/redis-server.ts'
import { optionsOfUrl, servers } from './lib/redis-targets.ts'
import { inWords, ofAny, raise, sorted, visitGauges, visitor, type Visit, type Visitor } from './lib/redis-visit.ts'
import { checkTls, tlsFields } from './lib/tls.ts'

const options = z.strictObject({
  target: servers(26379, { named: true }),
  username: z.string().min(1).describe('ACL user of the master; it needs +role +info +set +get +unlink and the pattern of key_prefix; with mode read-only +role +info +ping; with db also +select').optional(),
  password: secret().describe('password of that user').optional(),
  sentinel_username: z.string().min(1).describe('ACL user of the sentinels; it needs +sentinel|get-master-addr-by-name +sentinel|master +sentinel|ckquorum').optional(),
  sentinel_password: secret().describe('password of that user; none unless given').optional(),
  db: z.int().min(0).default(0).describe('number of the database'),
  key_prefix: z.string().max(200).default('probe:').describe('what the one key that the probe writes begins with'),
  tls: z.boolean().default(false).describe('speak TLS to the master and the sentinels; rediss+sentinel:// sets it'),
  sentinel_tls: z.boolean().describe('speak TLS to the sentinels; as tls unless given').optional(),
  ...tlsFields,
  ip_protocol: dialFields.ip_protocol,
}).superRefine(checkTls)

type Options = z.output<typeof options>

const gauges = {
  ...visitGauges,
  probe_redis_sentinel_configured: 'Sentinels that the target lists.',
  probe_redis_sentinel_reachable: 'Those of them that answered.',
  probe_redis_sentinel_sentinels: 'Sentinels of this master as they know each other, those that are down included.',
  probe_redis_sentinel_agreed_ratio: 'Share of the sentinels that answered which name the same master as most of them do.',
  probe_redis_sentinel_quorum_ok: 'Whether a sentinel sees enough others for the quorum and to authorize a failover (SENTINEL CKQUORUM).',
  probe_redis_sentinel_master_down: 'Sentinels that take the master for down, by themselves (s_down) or together (o_down).',
  probe_redis_sentinel_failover_in_progress: 'Whether a sentinel is in the middle of a failover.',
  probe_redis_sentinel_replicas: 'Replicas that the sentinels know, those that are down included.',
  probe_redis_sentinel_master_info: { help: 'Always 1; the address that the sentinels name as master.', labels: ['address'] },
  probe_redis_sentinel_connected_slaves: 'Replicas that are connected to the master: without one no failover can succeed.',
  probe_redis_sentinel_replication_lag_bytes: 'Replication stream that the slowest connected replica has not acknowledged.',
  probe_redis_sentinel_memory_ratio: 'Memory used over maxmemory on the master; absent without a limit.',
  probe_redis_sentinel_evicts_any: 'Whether the master evicts any key at maxmemory (a policy allkeys-…), so that full is how it works; absent without a limit.',
}

const codes = { ...REDIS_CODES, ...REDIS_SENTINEL_CODES } as const

type Context = ProbeContext<'discover' | 'resolve' | 'connect' | 'tls' | 'auth' | 'request', keyof typeof gauges, keyof typeof codes | SharedCode>

/** How long the others may take once one sentinel has named a master, and the share of the run that is left that they may take. */
const OTHERS_MS = 1_000
const OTHERS_SHARE = 0.5

export const redisSentinel = defineProbe({
  type: 'redis-sentinel',
  summary: 'A Redis master behind Sentinels: what each of them names, and that it is a master which takes a value and returns it',
  options,
  phases: { discover: 'request', resolve: 'resolve', connect: 'connect', tls: 'tls', auth: 'auth', request: 'request' },
  gauges,
  codes,
  levels: {
    reachable: { gauge: 'probe_redis_sentinel_reachable', worse: 'below' },
    quorum_ok: { gauge: 'probe_redis_sentinel_quorum_ok', worse: 'below' },
    connected_slaves: { gauge: 'probe_redis_sentinel_connected_slaves', worse: 'below' },
    replication_lag_bytes: { gauge: 'probe_redis_sentinel_replication_lag_bytes', worse: 'above' },
    memory_ratio: { gauge: 'probe_redis_sentinel_memory_ratio', worse: 'above' },
  },
  schemes: ['redis+sentinel', 'rediss+sentinel'],
  severalHosts: true,
  fromUrl(url, hosts = [url.host]) {
    const [, path = url.pathname, db] = /^(\/[^/]+)\/(\d*)$/.exec(url.pathname) ?? []
    return { ...optionsOfUrl(url), target: `${hosts.join(',')}${path}`, ...(db === undefined || db === '' ? {} : { db: Number(db) }) }
  },
  ways: (options) => options.target.endpoints.flatMap((target) => wayTo({ ...options, target }, options.sentinel_tls ?? options.tls ? options : undefined)),
  example: { target: 'sentinel-0.example.org,sentinel-1.example.org,sentinel-2.example.org/mymaster', key_prefix: 'probe:' },

  load: loadClient,

  async run(options, probe) {
    const visits = visitor(probe, codes, options)
    try {
      const named = await discover(visits, options, probe)
      await useMaster(visits, named, options, probe)
    } finally {
      visits.finish()
    }
  },
})

interface Named {
  readonly master: Endpoint
  /** How many sentinels take it for down. */
  readonly down: number
}

/** The master, as every sentinel that answers names it. */
async function discover(visits: Visitor, options: Options, probe: Context): Promise<Named> {
  const { endpoints, name } = options.target
  const { values: answers, failed } = sorted(await probe.phase('discover', () => askAll(visits, options, probe)))
  probe.gauge('probe_redis_sentinel_configured', endpoints.length)
  probe.gauge('probe_redis_sentinel_reachable', answers.length)
  if (answers.length === 0) {
    const worst = ofAny(failed)
    const hint = worst?.explained.failure.layer === 'auth' ? ' (sentinels have a login of their own: sentinel_username, sentinel_password)' : ''
    raise(worst, `no sentinel names a master: ${inWords(failed)}${hint}`)
  }

  const [most, ...others] = namedMasters(answers)
  if (!most) return probe.fail('redis_no_such_master', `none of the sentinels that answer (${answers.length} of ${endpoints.length}) knows a master ${name}`)
  exportAnswers(answers, most.count, probe)
  if (others.length > 0) {
    return probe.fail('redis_sentinel_split', `the sentinels name different masters: ${[most, ...others].map(({ master, count }) => `${master} (${count})`).join(', ')}`)
  }
  probe.gauge('probe_redis_sentinel_master_info', 1, { address: String(most.master) })
  return { master: most.master, down: flagged(answers, ...DOWN) }
}

/** Asks all sentinels at once; one that hangs is not waited for to the end when another has named a master. */
async function askAll(visits: Visitor, options: Options, probe: Context): Promise<Visit<Answer>[]> {
  const { target, sentinel_username: username, sentinel_password: password } = options
  const enough = new AbortController()
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.all(target.endpoints.map(async (endpoint) => {
      const visit = await visits.visit(endpoint, (client) => ask(client, target.name), { username, password, tls: options.sentinel_tls ?? options.tls, enough: enough.signal })
      if ('value' in visit && visit.value.master) timer ??= setTimeout(() => enough.abort(), Math.min(OTHERS_MS, (probe.deadline - performance.now()) * OTHERS_SHARE))
      return visit
    }))
  } finally {
    clearTimeout(timer)
  }
}

/** What a sentinel may not say (its ACL) is not exported. */
function exportAnswers(answers: readonly Answer[], agreed: number, probe: Context): void {
  probe.gauge('probe_redis_sentinel_agreed_ratio', agreed / answers.length)
  const quorums = answers.flatMap(({ quorum }) => quorum ?? [])
  if (quorums.length > 0) probe.gauge('probe_redis_sentinel_quorum_ok', Number(quorums.includes(true)))

  const known = answers.map(({ about }) => about).filter((about) => about.has('flags'))
  if (known.length === 0) return
  const largest = (field: string) => Math.max(...known.map((about) => numberOf(about, field) ?? 0))
  probe.gauge('probe_redis_sentinel_master_down', flagged(answers, ...DOWN))
  probe.gauge('probe_redis_sentinel_failover_in_progress', Number(flagged(answers, 'failover_in_progress') > 0))
  probe.gauge('probe_redis_sentinel_sentinels', 1 + largest('num-other-sentinels'))
  probe.gauge('probe_redis_sentinel_replicas', largest('num-slaves'))
}

async function useMaster(visits: Visitor, { master, down }: Named, options: Options, probe: Context): Promise<void> {
  const { username, password, db, tls } = options
  const visit = await visits.visit(master, async (client) => {
    const { facts, info } = await askServer(client)
    if (facts.role !== 'master') return probe.fail('redis_sentinel_not_master', `it is a ${facts.role}`)
    const put = (name: keyof typeof gauges, value: number | undefined) => {
      if (value !== undefined) probe.gauge(name, value)
    }
    put('probe_redis_sentinel_connected_slaves', numberOf(info, 'connected_slaves'))
    put('probe_redis_sentinel_replication_lag_bytes', lagBytes(info))
    put('probe_redis_sentinel_memory_ratio', ratioOf(info, 'used_memory', 'maxmemory'))
    put('probe_redis_sentinel_evicts_any', evictsAny(info))
    await useServer(client, facts, probe.mode, `${options.key_prefix}{curlew:${probe.owner}}`)
  }, { username, password, db, tls, phase: 'request' })
  if ('value' in visit) return
  const { layer, message } = visit.explained.failure
  // Sentinel names the address by which it reaches the master itself, which may lead nowhere from here.
  const hint = down > 0 ? ` (sentinels that take it for down too: ${down})`
    : ['resolve', 'network', 'connect'].includes(layer) ? ' (no sentinel takes it for down: behind NAT or in containers it may announce an address that clients cannot reach, see replica-announce-ip)' : ''
  raise(visit, `${master}, named by the sentinels as master of ${options.target.name}: ${message}${hint}`)
}
