import { ALONE, type Shard } from './core/shard.ts'
import type { ClusterAccess } from './kubernetes/model.ts'
import { accessesOf, type KubernetesConfig } from './kubernetes/options.ts'
import type { Logger } from './log.ts'
import type { Replica } from './replica.ts'
import { shardOf } from './shards.ts'

/** A replica that no longer takes part has so long to give its Lease back. */
const RELEASE_MS = 2_000

/** What this process is among others: its shard, and whether it is the one of several replicas that probes. */
export interface Place {
  /** Takes the place that a config gives it; the one that it has already is kept. */
  take(kubernetes: KubernetesConfig | undefined, instance: string): Promise<void>
  shard(): Shard
  /** Without a Lease, always. */
  active(): boolean
  lease(): { readonly name: string, readonly active: boolean, readonly holder: string | undefined } | undefined
  /** Gives the Lease back; no turn is told any more. Never rejects. */
  stop(withinMs: number): Promise<void>
}

/** Alone until it is given a place. `onTurn` is called when this replica becomes active, and when it is no longer. */
export function createPlace({ pod, onTurn, log }: { readonly pod: string, readonly onTurn: () => void, readonly log: Logger }): Place {
  let shard: Shard = ALONE
  let replica: Replica & { readonly asked: string } | undefined
  let ended = false

  return {
    async take(kubernetes, instance) {
      const here = shardOf(kubernetes?.shards, pod)
      shard = 'error' in here ? ALONE : here
      const lease = kubernetes?.lease
      const cluster = kubernetes && homeOf(kubernetes)
      const asked = lease && JSON.stringify([cluster, lease, shard, instance])
      if (replica?.asked === asked) return
      await replica?.stop(RELEASE_MS)
      replica = undefined
      if (!lease || !cluster || asked === undefined || ended) return
      const { startReplica } = await import('./replica.ts')
      replica = { asked, ...startReplica({ cluster, lease, shard, instance, onTurn: () => { if (!ended) onTurn() }, log }) }
    },
    shard: () => shard,
    active: () => replica?.active() ?? true,
    lease: () => replica && { name: replica.lease, active: replica.active(), holder: replica.holder() },
    async stop(withinMs) {
      ended = true
      await replica?.stop(withinMs)
    },
  }
}

/** The cluster of the Lease: the one that Curlew runs in, else the first. */
function homeOf(kubernetes: KubernetesConfig): ClusterAccess | undefined {
  const clusters = accessesOf(kubernetes)
  return clusters.find(({ kubeconfig }) => kubeconfig === undefined) ?? clusters[0]
}
