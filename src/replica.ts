import { randomBytes } from 'node:crypto'
import { clusterClient } from './kubernetes/client.ts'
import { createElector } from './kubernetes/lease.ts'
import type { ClusterAccess } from './kubernetes/model.ts'
import type { KubernetesConfig } from './kubernetes/options.ts'
import type { Logger } from './log.ts'
import type { Shard } from './core/shard.ts'

/** One of several processes of which the holder of a Lease is active. */
export interface Replica {
  /** Of the Lease. */
  readonly lease: string
  active(): boolean
  /** The instance that has the Lease, as far as it is known. */
  holder(): string | undefined
  /** Gives the Lease back. Never rejects. */
  stop(withinMs: number): Promise<void>
}

/** Stands by until it has the Lease of its shard. Every turn is told in a line of the log. */
export function startReplica({ cluster, lease, shard, instance, onTurn, log }: {
  /** That of the Lease. */
  readonly cluster: ClusterAccess
  readonly lease: NonNullable<KubernetesConfig['lease']>
  readonly shard: Shard
  readonly instance: string
  readonly onTurn: () => void
  readonly log: Logger
}): Replica {
  const client = clusterClient(cluster)
  const name = shard.total > 1 ? `${lease.name}-${shard.index}` : lease.name
  const readable = (holder: string | undefined) => holder?.replace(/_[0-9a-f]{10}$/, '')
  const elector = createElector({
    client, name, namespace: lease.namespace, durationMs: lease.duration,
    // A container that starts again has the name of the one before, which may still hold the Lease; two hosts may have one name.
    identity: `${instance}_${randomBytes(5).toString('hex')}`,
    onTurn(active) {
      log.info({ lease: name, holder: readable(elector.holder()) }, active ? 'active: this replica probes' : 'standby: another replica probes')
      onTurn()
    },
    onTrouble(trouble) {
      if (!trouble) return log.info({ lease: name }, 'the lease is within reach again')
      log.warn({ lease: name, trouble: trouble.trouble, error: trouble.message }, elector.active() ? 'the lease is out of reach: this replica goes on probing until another one has it' : 'the lease is out of reach: this replica stays standby')
    },
  })
  log.info({ lease: name }, 'standby until this replica has the lease')
  return {
    lease: name,
    active: elector.active,
    holder: () => readable(elector.holder()),
    async stop(withinMs) {
      await elector.stop(withinMs)
      client.close()
    },
  }
}
