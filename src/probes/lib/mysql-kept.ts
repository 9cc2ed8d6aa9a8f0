import { ProbeFailure, type ProbeContext } from '../../core/probe.ts'
import type { MysqlClient } from './mysql-client.ts'
import { exportCounters, exportDigests, exportFacts, type MysqlGauge } from './mysql-gauges.ts'
import { readCounters, readDigests, readFacts, readReplication, type Counters, type Digests, type Facts } from './mysql-status.ts'

/** What the runs of a job have between them. */
export interface Held {
  /** The connection over which the status is read, with what it read last. */
  kept: { readonly client: MysqlClient, readonly facts: Facts, counters?: Counters, digests?: Digests | undefined } | undefined
  /** Whether a login has succeeded: then it is MySQL, and worth being waited for. */
  known: boolean
  /** Logins whose run is over. */
  readonly lingering: Set<MysqlClient>
  /** Nothing is kept any more. */
  released: boolean
}

type StatusProbe = Pick<ProbeContext<string, MysqlGauge>, 'gauge' | 'deadline' | 'signal'>

/** The status of a server that stands still is not worth more of the run's time. */
const LONGEST_STATUS_MS = 2_000
/** Kept back from what is left of a run: so much, but no more than a fifth of it. */
const MARGIN_MS = 100
/** Between runs a peer that has vanished is found out by this. */
const KEEP_ALIVE_MS = 30_000
/** A server that looks up the names of its clients greets them late when its DNS is broken. */
const LINGER_MS = 15_000
const MOST_LINGERING = 3

const byOptions = new WeakMap<object, Held>()

export function heldBy(options: object): Held {
  const held = byOptions.get(options) ?? { kept: undefined, known: false, lingering: new Set(), released: false }
  byOptions.set(options, held)
  return held
}

/** Ends everything that runs with these options have kept. */
export function letGo(options: object): void {
  const held = byOptions.get(options)
  if (!held) return
  byOptions.delete(options)
  held.released = true
  held.kept?.client.close()
  for (const client of held.lingering) client.close()
}

/** How long something may take, in ms, to end before the run does. */
export function budgetOf({ deadline }: Pick<ProbeContext, 'deadline'>): number {
  const left = Math.max(0, deadline - performance.now())
  return Math.max(left - MARGIN_MS, 0.8 * left)
}

/**
 * Makes a connection that has served its run the kept one, unless there is one already to the same server: behind a name
 * or a virtual address it may be another one now. Returns whether it was taken.
 */
export function keep(held: Held, client: MysqlClient, facts: Facts): boolean {
  if (held.released) return false
  if (held.kept?.client.idle() && held.kept.facts.identity === facts.identity) return false
  held.kept?.client.close()
  held.kept = { client, facts }
  client.unref()
  client.socket.setKeepAlive(true, KEEP_ALIVE_MS)
  return true
}

/**
 * Ends the connection of a run. A login that is still under way goes on for a while when the server has proved to be MySQL
 * before: hanging up in the middle would count towards max_connect_errors.
 */
export function leave(held: Held, client: MysqlClient): void {
  if (held.released || !held.known || held.lingering.size >= MOST_LINGERING) {
    client.close()
    return
  }
  client.unref()
  held.lingering.add(client)
  void client.dismiss(LINGER_MS).finally(() => held.lingering.delete(client))
}

/**
 * Reads the status over the kept connection and exports it, within what is left of the run. Never throws: a connection that
 * does not answer is given up, and its gauges are absent. `facts`: what the run's own connection knows already.
 */
export async function exportStatus(held: Held, facts: Facts | undefined, probe: StatusProbe): Promise<void> {
  const { kept } = held
  if (!kept?.client.idle()) {
    held.kept = undefined
    return
  }
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('late')), Math.min(LONGEST_STATUS_MS, budgetOf(probe)))
  try {
    await Promise.race([readAll(kept, facts, probe), late.promise])
    probe.gauge('probe_mysql_status_read', 1)
  } catch {
    probe.gauge('probe_mysql_status_read', 0)
    if (facts) exportFacts(probe, kept.client.product(), facts, undefined)
    kept.client.close()
    if (held.kept === kept) held.kept = undefined
  } finally {
    clearTimeout(timer)
  }
}

async function readAll(kept: NonNullable<Held['kept']>, given: Facts | undefined, probe: StatusProbe): Promise<void> {
  const { client, counters: before } = kept
  const facts = given ?? await readFacts(client)
  const counters = await readCounters(client)
  exportCounters(probe, counters, before, facts)
  kept.counters = counters
  const digests = await ifAllowed(() => readDigests(client, before && (counters.at - before.at) / 1_000))
  if (digests) exportDigests(probe, digests, kept.digests)
  kept.digests = digests
  const replication = await ifAllowed(() => readReplication(client))
  exportFacts(probe, client.product(), facts, replication)
}

/** Undefined where the server refuses: the account may lack the privilege. */
async function ifAllowed<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof ProbeFailure) return undefined
    throw error
  }
}
