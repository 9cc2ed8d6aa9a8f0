import type { Job } from './core/probe.ts'
import { ALONE, type Shard } from './core/shard.ts'
import type { KubernetesConfig } from './kubernetes/options.ts'

/** The shard by the config, or by the number at the end of the pod's name; or a sentence that says why there is none. */
export function shardOf(shards: KubernetesConfig['shards'], podName: string): Shard | { readonly error: string } {
  if (!shards) return ALONE
  const { total } = shards
  const index = shards.index ?? Number(/-(\d{1,4})$/.exec(podName)?.[1] ?? Number.NaN)
  if (Number.isNaN(index)) return { error: `kubernetes.shards: expected index, or a pod's name that ends in its number as curlew-0 does; the name is ${podName}` }
  if (index >= total) return { error: `kubernetes.shards: the pod ${podName} has the number ${index}, but total is ${total}: expected as many replicas as total` }
  return { index, total }
}

/** What a shard runs: its own jobs, and those of others that its own depend on. */
export interface Jobs {
  readonly own: readonly Job[]
  readonly borrowed: readonly Job[]
}

/**
 * The share of a shard. A dependency runs in every shard that has a dependent, or the root cause of that one would not be
 * known there; the rules merge what several Curlews see of one target.
 */
export function shareOf(jobs: readonly Job[], { index, total }: Shard): Jobs {
  if (total === 1) return { own: jobs, borrowed: [] }
  const byName = Map.groupBy(jobs, ({ name }) => name)
  const own = jobs.filter(({ id }) => ownerOf(id, total) === index)
  const taken = new Set(own)
  // A set may grow while it is walked: what a borrowed job depends on is borrowed too.
  for (const { dependsOn } of taken) {
    for (const { probe, target, remote } of dependsOn) {
      if (remote) continue
      for (const job of byName.get(probe) ?? []) if (target === undefined || job.target === target) taken.add(job)
    }
  }
  return { own, borrowed: [...taken].slice(own.length) }
}

/** Rendezvous hash: the shard with the highest weight for the id. Another total moves only the jobs of the shards that come or go. */
export function ownerOf(id: string, total: number): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x0100_0193)
  let owner = 0
  let highest = -1
  for (let shard = 0; shard < total; shard++) {
    const weight = mixed(hash ^ Math.imul(shard + 1, 0x9e37_79b1))
    if (weight <= highest) continue
    highest = weight
    owner = shard
  }
  return owner
}

/** The last step of MurmurHash3, 32 bits: every bit of the input moves half of those of the output. */
function mixed(bits: number): number {
  let hash = bits
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
