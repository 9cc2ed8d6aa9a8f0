import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { z } from 'zod'
import { answerOf } from './targets.ts'

const started = z.object({ kubeconfig: z.string() })

export interface Cluster {
  readonly kubeconfig: string
  /** One endpoint more. */
  add(address: string): void
  stop(): Promise<unknown>
}

/** An API server in a process of its own, with a slice for each address. */
export async function startCluster(addresses: readonly string[], port: number): Promise<Cluster> {
  const child = fork(join(import.meta.dirname, 'cluster-server.ts'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  child.send({ addresses, port })
  const { kubeconfig } = started.parse(await answerOf(child))
  return {
    kubeconfig,
    add: (address) => { child.send({ addresses: [address], port }) },
    stop() {
      child.disconnect()
      return once(child, 'exit')
    },
  }
}
