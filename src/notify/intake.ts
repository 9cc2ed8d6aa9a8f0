import { setImmediate as nextTurn } from 'node:timers/promises'
import { withoutWatchdog } from './deadman.ts'
import type { Engine } from './engine.ts'
import type { NotifyConfig } from './options.ts'
import { OutboxFull, type Incoming } from './outbox.ts'
import { BadPayload, readNotification } from './payload.ts'
import type { FromForwarder } from './protocol.ts'
import { planRoutes, UnknownRoute } from './routing.ts'

const COMPLAIN_MS = 60_000
/** When a disk that is synced every second is no longer waited for: just before forwarder.ts would take this process for one that hangs. */
const ANSWER_MS = 850
/** What comes in is gathered for so long times the writes that wait for a disk, ms: fourteen of them wait at most, then, for one that is synced every second. */
const GATHER_MS = 10

/** A webhook's request that waits for its answer. */
export interface Request {
  readonly id: number
  /** As the path names the route. */
  readonly path: string | undefined
  /** In base64. */
  readonly body: string
  /** When it came: `performance.now()`. */
  readonly at: number
}

/** A request that was read. */
interface Planned extends Pick<Request, 'id' | 'at'> {
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

export interface Intake {
  /** Reads requests and writes their alerts in one step. Each is answered when they are durable, which may be later, or with why they are not. */
  takeIn(destination: Destination, requests: readonly Request[]): Promise<void>
  /** Resolves when the next write shall begin, with all that has come in by then. */
  gathered(): Promise<void>
  /** Resolves when all that were taken in are answered. */
  answered(): Promise<void>
}

/** `tell` gets the answers, and what there is to complain of. */
export function createIntake(tell: (line: FromForwarder) => void): Intake {
  /** What was last said of alerts that could not be kept. */
  let said = { error: '', at: 0 }
  const open = new Set<Promise<void>>()

  async function takeIn({ config, engine }: Destination, requests: readonly Request[]): Promise<void> {
    const now = Date.now()
    const good: Planned[] = []
    for (const request of requests) {
      try {
        const notification = readNotification(Buffer.from(request.body, 'base64'))
        const { notification: rest, heard } = withoutWatchdog(config.deadman, notification)
        good.push({ id: request.id, at: request.at, incoming: planRoutes(config, rest, request.path, now), alerts: notification.alerts.length, heard })
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
      const { durable } = await engine.accept(incoming, good.reduce((sum, { alerts }) => sum + alerts, 0))
      const waitedMs = performance.now() - Math.min(...good.map(({ at }) => at))
      const late = setTimeout(() => answerAll(503, 'The disk of the Redis that replicas share has not kept it yet: try again.'), Math.max(0, ANSWER_MS - waitedMs))
      const settled = durable.then(() => answerAll(200, 'ok'), refuse).finally(() => {
        clearTimeout(late)
        open.delete(settled)
      })
      open.add(settled)
    } catch (error) {
      if (error instanceof OutboxFull && good.length > 1) {
        for (const one of good) await keep({ config, engine }, [one])
        return
      }
      refuse(error)
    }

    function refuse(error: unknown): void {
      const why = error instanceof OutboxFull ? whyFull(incoming, config.storage.entries) : `The outbox cannot be written: ${error instanceof Error ? error.message : String(error)}.`
      complain(why)
      answerAll(503, why)
    }

    function answerAll(status: number, text: string): void {
      for (const { id } of good) answer(id, status, text)
    }
  }

  /** Each Alertmanager comes again with each of its groups: one line a minute says as much. */
  function complain(error: string): void {
    const now = performance.now()
    if (error === said.error && now - said.at < COMPLAIN_MS) return
    said = { error, at: now }
    tell({ kind: 'log', level: 'error', message: 'alerts could not be kept', fields: { error } })
  }

  return {
    takeIn,
    // At least a turn: all that lies ready is read before the disk is waited for.
    gathered: () => (open.size === 0 ? nextTurn() : new Promise((resolve) => { setTimeout(resolve, open.size * GATHER_MS) })),
    answered: async () => void await Promise.all(open),
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
