import { withoutWatchdog } from './deadman.ts'
import type { Engine } from './engine.ts'
import type { NotifyConfig } from './options.ts'
import { OutboxFull, type Incoming } from './outbox.ts'
import { BadPayload, readNotification } from './payload.ts'
import type { FromForwarder } from './protocol.ts'
import { planRoutes, UnknownRoute } from './routing.ts'

const COMPLAIN_MS = 60_000

/** A webhook's request that waits for its answer. */
export interface Request {
  readonly id: number
  /** As the path names the route. */
  readonly path: string | undefined
  /** In base64. */
  readonly body: string
}

/** A request that was read. */
interface Planned {
  readonly id: number
  readonly incoming: readonly Incoming[]
  readonly alerts: number
  /** The Watchdog was among them. */
  readonly heard: boolean
}

/** Where the alerts of requests go. */
interface Destination {
  readonly config: NotifyConfig
  readonly engine: Engine
}

/** Reads requests, has their alerts kept in one step, and answers each when they are durable, or with why they are not. */
export type TakeIn = (destination: Destination, requests: readonly Request[]) => Promise<void>

/** `tell` gets the answers, and what there is to complain of. */
export function createIntake(tell: (line: FromForwarder) => void): TakeIn {
  /** What was last said of alerts that could not be kept. */
  let said = { error: '', at: 0 }

  return async function takeIn({ config, engine }, requests) {
    const now = Date.now()
    const good: Planned[] = []
    for (const request of requests) {
      try {
        const notification = readNotification(Buffer.from(request.body, 'base64'))
        const { notification: rest, heard } = withoutWatchdog(config.deadman, notification)
        good.push({ id: request.id, incoming: planRoutes(config, rest, request.path, now), alerts: notification.alerts.length, heard })
      } catch (error) {
        if (error instanceof BadPayload) answer(request.id, 400, error.message)
        else if (error instanceof UnknownRoute) answer(request.id, 404, error.message)
        else {
          // A bug of ours: the others are not to suffer, and Alertmanager comes again.
          tell({ kind: 'log', level: 'error', message: 'a notification could not be read', fields: { error: error instanceof Error ? error.stack ?? error.message : String(error) } })
          answer(request.id, 500, 'An error inside Curlew: its log says more.')
        }
      }
    }
    if (good.length > 0) await keep({ config, engine }, good)
  }

  /** Writes in one step; where there is no room for all, each for itself. */
  async function keep({ config, engine }: Destination, good: readonly Planned[]): Promise<void> {
    const incoming = good.flatMap((one) => one.incoming)
    try {
      // First: what the outbox has no room for was heard all the same.
      if (good.some(({ heard }) => heard)) await engine.heard()
      await engine.accept(incoming, good.reduce((sum, { alerts }) => sum + alerts, 0))
      for (const { id } of good) answer(id, 200, 'ok')
    } catch (error) {
      if (error instanceof OutboxFull && good.length > 1) {
        for (const one of good) await keep({ config, engine }, [one])
        return
      }
      const why = error instanceof OutboxFull ? whyFull(incoming, config.storage.entries) : `The outbox cannot be written: ${error instanceof Error ? error.message : String(error)}.`
      complain(why)
      for (const { id } of good) answer(id, 503, why)
    }
  }

  /** Each Alertmanager comes again with each of its groups: one line a minute says as much. */
  function complain(error: string): void {
    const now = performance.now()
    if (error === said.error && now - said.at < COMPLAIN_MS) return
    said = { error, at: now }
    tell({ kind: 'log', level: 'error', message: 'alerts could not be kept', fields: { error } })
  }

  function answer(id: number, status: number, text: string): void {
    tell({ kind: 'answer', id, status, text })
  }
}

/** `most` is how many entries the outbox may hold. */
function whyFull(incoming: readonly Incoming[], most: number): string {
  const entries = incoming.reduce((sum, { alerts }) => sum + alerts.length, 0)
  return entries > most
    ? `The notification is ${entries} alerts, each counted once a channel, and the outbox never holds more than ${most}: raise storage.entries, or set max_alerts in Alertmanager's webhook_configs.`
    : 'The outbox is full: see curlew notify dead, and the channels that do not deliver.'
}
