import type { Registry } from 'prom-client'
import { accessTo, type Access } from './access.ts'
import { createForwarder, type ForwarderDeps, type Received } from './forwarder.ts'
import { createNotifyMetrics } from './metrics.ts'
import type { NotifyConfig } from './options.ts'

/** Less than a kubelet waits unless told otherwise. */
const LONGEST_STOP_MS = 25_000
/** From the end of the longest wait for an answer to the end of the process. */
const SPARE_MS = 1_000

export interface Forwarding {
  /** The section as it was read, and as it was written; `directory` is absolute. */
  configure(config: NotifyConfig, raw: unknown, directory: string): void
  readonly webhook: {
    /** Whether a request with this Authorization header may post to the path of this route. */
    access(route: string | undefined, authorization: string | undefined): Access
    receive(route: string | undefined, body: Buffer): Promise<Received>
    answered(status: number): void
  }
  /** Within so many ms where nothing is being sent; an answer is awaited for as long as its channel allows. */
  stop(withinMs: number): Promise<void>
}

/** The forwarder with its metrics, as the process that owns the HTTP socket sees it: loaded only where a config has one. */
export function createForwarding({ registry, ...deps }: Omit<ForwarderDeps, 'metrics'> & { readonly registry: Registry }): Forwarding {
  const metrics = createNotifyMetrics(registry)
  const forwarder = createForwarder({ ...deps, metrics })
  let current: NotifyConfig | undefined
  return {
    configure(config, raw, directory) {
      current = config
      metrics.configured(config.channels.map(({ name }) => name), config.storage.entries, config.redis !== undefined)
      forwarder.configure(raw, directory)
    },
    webhook: {
      access: (route, authorization) => (current ? accessTo(current, route, authorization) : 'denied'),
      receive: (route, body) => forwarder.receive(route, body),
      answered: (status) => metrics.request(status),
    },
    stop: (withinMs) => forwarder.stop(withinMs, Math.min(LONGEST_STOP_MS, Math.max(withinMs, ...current?.channels.map(({ timeout }) => timeout + SPARE_MS) ?? []))),
  }
}
