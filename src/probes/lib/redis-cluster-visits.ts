import type { Endpoint } from '../../core/fields.ts'
import type { Mode } from '../../core/probe.ts'
import type { RedisClient } from './redis-client.ts'
import { redisFailure, type REDIS_CLUSTER_CODES } from './redis-codes.ts'
import { parseInfo, type Info } from './redis-info.ts'
import { askServer, useServer, withOwnCodes, type RedisLogin } from './redis-server.ts'
import { parseSlots, tagOf, type ClusterMaster } from './redis-slots.ts'
import { AT_ONCE, inParallel, inWords, ofAny, raise, type FailedVisit, type Visit, type Visitor } from './redis-visit.ts'
import { TOO_LARGE } from './redis-wire.ts'

/** Of more masters only so many are visited. */
export const MOST_MASTERS = 100

/** The cluster as one node sees it. */
export interface View {
  readonly seed: Endpoint
  readonly state: string
  /** CLUSTER INFO. */
  readonly info: Info
  readonly masters: readonly ClusterMaster[]
}

/** What came of a master: its INFO, where it was asked. */
export type MasterVisit = Visit<Info | undefined> & { readonly master: ClusterMaster }

type Login = RedisLogin & { readonly tls: boolean }
type Options = Login & { readonly key_prefix: string }
interface About {
  readonly mode: Mode
  readonly owner: string
  readonly deadline: number
}

/**
 * The view of the first of these nodes that takes the cluster for well, else of the first that answers: one node that is
 * cut off is not the cluster. Phases of the run, the last of them `discover`. Throws what says most when none answers.
 */
export async function findView(visits: Visitor, seeds: readonly Endpoint[], login: Login, deadline: number): Promise<View> {
  const failed: FailedVisit[] = []
  let first: View | undefined
  for (const [index, seed] of seeds.entries()) {
    const left = seeds.length - index
    // Whoever is asked last may take all the time: without an answer there is nothing else to do.
    const until = left === 1 ? deadline : performance.now() + (deadline - performance.now()) / (left + 1)
    const visit = await visits.visit(seed, (client) => look(client, seed), { ...loginOf(login), until, phase: 'discover' })
    if (!('value' in visit)) failed.push(visit)
    else if (visit.value.state === 'ok') return visit.value
    else first ??= visit.value
  }
  return first ?? raise(ofAny(failed), `no listed node tells the slot map: ${inWords(failed)}`)
}

function loginOf({ username, password, tls }: Login): Login {
  return { username, password, tls }
}

/** Beginnings of what goes wrong there. A map that is too long for us is Redis's all the same. */
const LOOK_LINES = {
  'ERR This instance has cluster support disabled': 'redis_not_cluster', [TOO_LARGE]: 'redis_cluster_fragmented',
} as const satisfies Readonly<Record<string, keyof typeof REDIS_CLUSTER_CODES>>

function look(client: RedisClient, seed: Endpoint): Promise<View> {
  return withOwnCodes(LOOK_LINES, async () => {
    const info = await clusterInfo(client)
    return { seed, info, state: info.get('cluster_state') ?? '', masters: parseSlots(await client.call('CLUSTER', 'SLOTS'), seed.host) }
  })
}

async function clusterInfo(client: RedisClient): Promise<Info> {
  const text = await client.call('CLUSTER', 'INFO')
  const info = parseInfo(typeof text === 'string' ? text : '')
  if (!info.has('cluster_state')) throw redisFailure('redis_protocol', 'CLUSTER INFO is not answered as Redis answers it')
  return info
}

/**
 * Visits every master, 16 at a time. One that sends clients elsewhere may have lost its slots since the map was read, or be
 * handing over the very slot: its own map is read, since it knows of a change before the others do, and who has slots by it
 * and was not well is visited once more, with another slot.
 */
export async function visitMasters(visits: Visitor, view: View, options: Options, about: About): Promise<readonly MasterVisit[]> {
  const first = await visitAll(visits, view, ({ slots: [[slot]] }) => slot, options, about)
  const away = first.find(isSentAway)?.endpoint
  if (!away) return first

  const again = await visits.visit(away, (client) => look(client, away), loginOf(options))
  if (!('value' in again)) return raise(again, `${away}, asked for its slot map: ${again.explained.failure.message}`)
  const kept = first.filter((one) => !isSentAway(one))
  const masters = again.value.masters.filter(({ endpoint }) => !kept.some((one) => String(one.endpoint) === String(endpoint))).slice(0, MOST_MASTERS - kept.length)
  const second = await visitAll(visits, { ...view, masters }, ({ slots }) => (slots.at(-1) ?? slots[0])[1], options, about)
  return [...kept, ...second]
}

/** Whether the master answered that another one serves the slot. */
export function isSentAway(one: Visit<unknown>): boolean {
  return !('value' in one) && one.explained.failure.code === 'redis_moved'
}

function visitAll(visits: Visitor, { state, masters }: View, slotFor: (master: ClusterMaster) => number, options: Options, about: About): Promise<MasterVisit[]> {
  return inParallel(masters.slice(0, MOST_MASTERS), async (master, waiting) => {
    const now = performance.now()
    // When more wait than are visited at a time, those that hang must leave time for the others.
    const until = now + (about.deadline - now) * Math.min(1, AT_ONCE / waiting)
    const key = `${options.key_prefix}{${tagOf(slotFor(master))}}curlew:${about.owner}`
    // In a cluster that is down every write fails: what can be found out is who does not answer at all.
    const work = (client: RedisClient) => (state === 'ok' ? use(client, key, about.mode) : client.call('PING').then(() => undefined))
    return { ...await visits.visit(master.endpoint, work, { ...loginOf(options), until }), master }
  })
}

async function use(client: RedisClient, key: string, mode: Mode): Promise<Info> {
  const { facts, info } = await askServer(client)
  if (facts.role !== 'master') throw redisFailure('redis_moved', `it is a ${facts.role} now`)
  await useServer(client, facts, mode, key)
  // A write shows whether the master serves its slots; PING does not.
  if (mode === 'read-only' && (await clusterInfo(client)).get('cluster_state') !== 'ok') throw redisFailure('redis_clusterdown', 'its cluster_state is not ok')
  return info
}
