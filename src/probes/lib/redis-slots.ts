import { canonicalHost, Endpoint } from '../../core/fields.ts'
import type { Reply } from './redis-client.ts'
import { redisFailure } from './redis-codes.ts'

export const SLOTS = 16_384

export type SlotRange = readonly [first: number, last: number]

/** A master of a cluster, as the slot map has it. */
export interface ClusterMaster {
  readonly endpoint: Endpoint
  /** In the order of their numbers, at least one. */
  readonly slots: readonly [SlotRange, ...SlotRange[]]
  /** Replicas that are not marked as failed. */
  readonly replicas: number
}

/**
 * Reads CLUSTER SLOTS: `[first, last, master, replica, …]` for each range, a node being `[host, port, id, more]`. A host
 * that is null or empty is `asked`, the one that was asked (Redis documentation of CLUSTER SLOTS). Throws `redis_protocol`.
 */
export function parseSlots(reply: Reply, asked: string): readonly ClusterMaster[] {
  const masters = new Map<string, { endpoint: Endpoint, slots: [SlotRange, ...SlotRange[]], replicas: number }>()
  for (const range of listOf(reply)) {
    const [first, last, node, ...replicas] = listOf(range)
    if (typeof first !== 'number' || typeof last !== 'number' || first < 0 || first > last || last >= SLOTS) throw unreadable(range)
    const endpoint = endpointOf(node, asked)
    const known = masters.get(String(endpoint))
    if (known) known.slots.push([first, last])
    else masters.set(String(endpoint), { endpoint, slots: [[first, last]], replicas: replicas.length })
  }
  for (const { slots } of masters.values()) slots.sort(([a], [b]) => a - b)
  return [...masters.values()]
}

/** How many slots belong to no master. */
export function uncovered(masters: readonly ClusterMaster[]): number {
  const covered = new Uint8Array(SLOTS)
  for (const { slots } of masters) for (const [first, last] of slots) covered.fill(1, first, last + 1)
  return SLOTS - covered.reduce((sum, one) => sum + one, 0)
}

function endpointOf(node: Reply | undefined, asked: string): Endpoint {
  const [host, port, , more] = listOf(node)
  // `?` stands where the name is wanted but none is announced; the address is then among the rest, after its key.
  const pairs = isList(more) ? more : []
  const text = host === '?' ? pairs[pairs.indexOf('ip') + 1] : host
  const name = text === null || text === undefined || text === '' ? asked : canonicalHost(String(text))
  if (name === undefined || typeof port !== 'number' || port < 1 || port > 65_535) throw unreadable(node)
  return new Endpoint(name, port)
}

function listOf(reply: Reply | undefined): readonly Reply[] {
  if (isList(reply)) return reply
  throw unreadable(reply)
}

function isList(reply: Reply | undefined): reply is readonly Reply[] {
  return Array.isArray(reply)
}

function unreadable(reply: Reply | undefined): Error {
  return redisFailure('redis_protocol', `CLUSTER SLOTS is not answered as Redis answers it: ${JSON.stringify(reply ?? null)}`)
}

const CRC_OF_BYTE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  return crc
})

/** The slot of a key: CRC16 (XMODEM) of its hash tag, the first `{…}` that is not empty, else of the whole key (Redis Cluster specification). */
export function slotOf(key: string): number {
  const tag = /^[^{]*\{([^}]+)\}/.exec(key)?.[1] ?? key
  let crc = 0
  for (const byte of Buffer.from(tag)) crc = ((crc << 8) & 0xffff) ^ (CRC_OF_BYTE[(crc >> 8) ^ byte] ?? 0)
  return crc % SLOTS
}

/** By slot; filled as far as was needed. */
const tags = new Map<number, string>()
let tried = 0

/** A short hash tag in that slot, always the same. The first calls try many: 40 ms for all slots together. */
export function tagOf(slot: number): string {
  for (;;) {
    const known = tags.get(slot)
    if (known !== undefined) return known
    const tag = (tried++).toString(36)
    const its = slotOf(tag)
    if (!tags.has(its)) tags.set(its, tag)
  }
}
