import { createHash } from 'node:crypto'
import { z } from 'zod'
import { inNamespace } from '../../kubernetes/collections.ts'
import { KubeFailure, type KubeApi } from './kube.ts'

/** In Curlew's own namespace: where the nodes were when they were last seen. */
export const ADDRESSES = 'curlew-node-addresses'

const DAY_MS = 86_400_000
/** After so long a node of which nobody renews a key is forgotten: it has left, or Curlew itself was away, which comes back sooner. */
const FORGOTTEN_MS = 30 * DAY_MS
/** Keys in the ConfigMap, the longest of 253 characters: below 1 MiB, which is the most that etcd takes. */
const MOST_KEYS = 2_500
/** Of a key: 253 characters in all, of which the prober's own name takes up to 80. */
const LONGEST_NODE = 160

const configMap = z.object({ data: z.record(z.string(), z.string()).nullish() })
const kept = z.object({ addresses: z.array(z.string()).min(1), uid: z.string(), seen: z.iso.datetime() })

/** A node as it was last seen. */
export interface Seen {
  readonly addresses: readonly string[]
  /** Of the Node object: one that was deleted and has joined anew is another one. */
  readonly uid: string
}

/** What a process remembers of a node between runs. */
export interface Remembered extends Seen {
  /** Wall clock, ms: when it was written. */
  readonly at: number
  /** It stands in the ConfigMap too: when it does so no more, a person has deleted it. */
  readonly stored: boolean
}

export interface Sight extends Seen {
  readonly node: string
  /** Unique to this prober: part of the key. */
  readonly owner: string
  /** Whether the kubelet's certificate was issued for the address that the node has now. */
  readonly reissued: boolean
  readonly mayWrite: boolean
}

export interface Compared {
  /** For the next run. */
  readonly remembered: Remembered
  /** The node had these; `keys` are what holds them, in the ConfigMap of a namespace. */
  readonly changed: { readonly from: readonly string[], readonly keys: readonly string[], readonly namespace: string } | undefined
}

/** The characters that a key may have: https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object */
export function keyOf(node: string, owner: string): string {
  return `${prefixOf(node)}${owner.replaceAll(/[^-.A-Za-z0-9]/g, '.')}`
}

/** No name of a node has `_` in it, so that no prefix begins another one. */
function prefixOf(node: string): string {
  return `${node.length <= LONGEST_NODE ? node : `${node.slice(0, LONGEST_NODE - 13)}.${createHash('sha256').update(node).digest('hex').slice(0, 12)}`}_`
}

/**
 * Compares where a node is with where whoever saw it last has seen it: the pod that a rollout replaced, say. The ConfigMap is
 * read at the first run, while the two differ, and each day; it is written when a day has passed or the address is a new one
 * that is accepted. Where it cannot be read or written, what the process remembers is all there is, and no run fails for it.
 */
export async function compareAddresses(api: KubeApi, sight: Sight, before: Remembered | undefined, now = Date.now()): Promise<Compared> {
  const current: Seen = { addresses: sight.addresses, uid: sight.uid }
  if (before && isSame(before, current) && isOfToday(before, now)) return { remembered: before, changed: undefined }

  const map = await read(api)
  const keys = keysIn(map?.entries.filter(([key]) => key.startsWith(prefixOf(sight.node))) ?? [])
  const [newest] = keys
  const known = newest ?? (map && before?.stored === true ? undefined : before)
  if (known && hasMoved(known, current) && !sight.reissued) {
    const remembered = { addresses: known.addresses, uid: known.uid, at: now, stored: newest !== undefined }
    return { remembered, changed: { from: known.addresses, keys: keys.map(({ key }) => key), namespace: map?.namespace ?? '' } }
  }
  const stands = newest !== undefined && isSame(newest, current)
  if (stands && isOfToday(newest, now)) return { remembered: { ...current, at: newest.at, stored: true }, changed: undefined }
  const stored = map !== undefined && sight.mayWrite && await write(api, map, sight, now)
  return { remembered: { ...current, at: now, stored: stored || stands }, changed: undefined }
}

/** An address more is no move, and a Node that was made anew has not moved. */
function hasMoved(was: Seen, is: Seen): boolean {
  return was.uid === is.uid && was.addresses.some((address) => !is.addresses.includes(address))
}

function isSame(a: Seen, b: Seen): boolean {
  return a.uid === b.uid && a.addresses.length === b.addresses.length && a.addresses.every((address) => b.addresses.includes(address))
}

/** Neither is one from the future, of a clock that was wrong. */
function isOfToday({ at }: { readonly at: number }, now: number): boolean {
  return Math.abs(now - at) < DAY_MS
}

interface StoredKey extends Seen {
  readonly key: string
  readonly at: number
}

interface Stored {
  readonly namespace: string
  readonly path: string
  /** Whether there is a ConfigMap. */
  readonly exists: boolean
  /** As they stand there: of a thousand nodes to read them all for each one would take seconds. */
  readonly entries: readonly (readonly [key: string, text: string])[]
}

/** Those that can be read, the newest first. */
function keysIn(entries: Stored['entries']): readonly StoredKey[] {
  return entries.flatMap(([key, text]) => {
    const value = kept.safeParse(parsed(text)).data
    return value ? [{ key, addresses: value.addresses, uid: value.uid, at: Date.parse(value.seen) }] : []
  }).toSorted((a, b) => b.at - a.at)
}

/** Undefined where it may not or cannot be read. */
async function read(api: KubeApi): Promise<Stored | undefined> {
  return orNothing(async () => {
    const namespace = await api.namespace()
    const path = inNamespace('/api/v1/configmaps', namespace)
    const found = await api.find({ path: `${path}/${ADDRESSES}` })
    return { namespace, path, exists: found !== undefined, entries: Object.entries(configMap.safeParse(found).data?.data ?? {}) }
  })
}

/**
 * A merge patch, so that it meets no other process. The own key takes the place of all others of the node, since it is
 * the newest; those of nodes that have left go with them.
 */
async function write(api: KubeApi, { path, exists, entries }: Stored, { node, owner, addresses, uid }: Sight, now: number): Promise<boolean> {
  const own = keyOf(node, owner)
  const others = keysIn(entries).filter(({ key }) => key !== own)
  const gone = others.filter(({ key, at }, index) => index >= MOST_KEYS - 1 || key.startsWith(prefixOf(node)) || now - at > FORGOTTEN_MS)
  const mine = { [own]: JSON.stringify({ addresses, uid, seen: new Date(now).toISOString() }) }
  const patch = () => api.json({ path: `${path}/${ADDRESSES}`, method: 'PATCH', body: { data: { ...mine, ...Object.fromEntries(gone.map(({ key }) => [key, null])) } } })
  const create = () => api.json({ path, method: 'POST', body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: ADDRESSES }, data: mine } })
  return await orNothing(async () => {
    try {
      await (exists ? patch() : create())
    } catch (error) {
      // Somebody was quicker: it has been made, or deleted, or changed in the same moment.
      if (!(error instanceof KubeFailure) || (error.trouble !== 'conflict' && error.trouble !== 'not_found')) throw error
      await (error.trouble === 'not_found' ? create() : patch())
    }
    return true
  }) === true
}

async function orNothing<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KubeFailure) return undefined
    throw error
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
