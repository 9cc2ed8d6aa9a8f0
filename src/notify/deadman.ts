import { NOTIFY_WORDS } from '../words/notify.ts'
import type { Alert, Notification } from './alert.ts'
import { matches } from './matchers.ts'
import type { NotifyConfig } from './options.ts'
import type { Incoming, Outbox } from './outbox.ts'
import { planRoutes, routeName } from './routing.ts'
import { durationText } from './times.ts'

type DeadmanConfig = NonNullable<NotifyConfig['deadman']>
type Memory = Pick<Outbox, 'recall' | 'remember'>

/** The longest time between two looks, and how many of them fit into `within`. */
const LONGEST_BEAT_MS = 60_000
const BEATS = 15
/** What replicas share: when the Watchdog was heard last, and the alarm. */
const HEARD = 'deadman:heard'
const ALARM = 'deadman:alarm'
/** What each replica keeps by itself. */
const QUIET = 'deadman:quiet'
const OWN_NAME = 'WatchdogSilent'

/** What one replica knows. */
interface Quiet {
  /** How long it has listened in vain. */
  ms: number
  /** When the Watchdog was heard last by any of them, ms since 1970; 0 is never. */
  heard: number
  /** It has come to this replica: one that Alertmanager never posts to cannot tell a silence by itself. */
  here?: true
}

export interface DeadmanDeps {
  readonly config: NotifyConfig
  readonly local: Memory
  readonly shared: Memory | undefined
  /** Durable when it resolves; an equal state within the window for duplicates is told once, whichever replica says it. */
  accept(incoming: readonly Incoming[]): Promise<unknown>
  /** ms since 1970. */
  now(): number
  /** ms that never jump. */
  uptime(): number
}

export interface Deadman {
  /** Call `beat` so often, ms. */
  readonly everyMs: number
  /**
   * The Watchdog has come. Durable when it resolves; the next beat tells the other replicas, as somebody waits for this one and
   * what they share may hang.
   */
  heard(): Promise<void>
  /** Looks whether it has stayed away too long, or is back, and tells so. Rejects when that cannot be kept: call it again. */
  beat(): Promise<void>
}

/** A notification without the Watchdog, which is for the deadman alone, and whether it was there and fires. */
export function withoutWatchdog(deadman: DeadmanConfig | undefined, { context, alerts }: Notification): { readonly notification: Notification, readonly heard: boolean } {
  const isWatchdog = ({ labels }: Alert) => deadman !== undefined && labels['alertname'] === deadman.alertname && deadman.match.every((matchers) => matches(matchers, labels))
  return {
    notification: { context, alerts: alerts.filter((alert) => !isWatchdog(alert)) },
    heard: alerts.some((alert) => alert.status === 'firing' && isWatchdog(alert)),
  }
}

/**
 * Counts for how long it was listened in vain: a time in which no Curlew ran is no silence of the Watchdog, and the clock on the
 * wall may jump. Without a history the count begins at 0. Undefined where the config wants none.
 */
export function createDeadman({ config, local, shared, accept, now, uptime }: DeadmanDeps): Deadman | undefined {
  const { deadman } = config
  if (!deadman) return undefined
  const common = shared ?? local
  const everyMs = Math.min(LONGEST_BEAT_MS, Math.ceil(deadman.within / BEATS))
  let lastBeat = uptime()
  let quiet: Quiet | undefined
  /** Since when a silence is told and not over, ms since 1970; 0 is none. */
  let alarm = 0
  /** The others do not know yet what this replica has heard, or told. */
  let heardAlone = false
  let toldAlone = false

  async function loaded(): Promise<Quiet> {
    const text = quiet ? undefined : await local.recall(QUIET)
    quiet ??= text === undefined ? { ms: 0, heard: 0 } : JSON.parse(text) as Quiet // safe: `beat` and `heard` write nothing else
    return quiet
  }

  /** Undefined while the shared outbox is away: this replica goes by what it hears itself. */
  async function fromAll(): Promise<{ readonly heard: number, readonly alarm: number } | undefined> {
    try {
      return { heard: Number(await common.recall(HEARD) ?? 0), alarm: Number(await common.recall(ALARM) ?? 0) }
    } catch (error) {
      if (!shared) throw error
      return undefined
    }
  }

  return {
    everyMs,
    async heard() {
      const mine = await loaded()
      mine.ms = 0
      mine.here = true
      // A clock that was set back must not have the alarm last until it has caught up.
      mine.heard = Math.max(now(), alarm)
      heardAlone = true
      await local.remember(QUIET, JSON.stringify(mine))
    },
    async beat() {
      const mine = await loaded()
      const up = uptime()
      // A process that hung has heard nothing because of itself.
      mine.ms += Math.min(up - lastBeat, 2 * everyMs)
      lastBeat = up
      const found = await fromAll()
      if (found && heardAlone) {
        const { heard } = mine
        await common.remember(HEARD, String(heard))
        heardAlone = mine.heard !== heard
      } else if (found && found.heard !== mine.heard) Object.assign(mine, { ms: 0, heard: found.heard })
      if (found && (!toldAlone || found.alarm > 0)) alarm = found.alarm
      await local.remember(QUIET, JSON.stringify(mine))

      if (alarm > 0 && mine.heard >= alarm) {
        await accept(incomingOf(config, deadman, { at: alarm, endsAt: Math.max(now(), alarm) }))
        alarm = 0
        toldAlone = true
      } else if (alarm === 0 && mine.ms >= deadman.within && (found || mine.here)) {
        const at = now()
        await accept(incomingOf(config, deadman, { at }))
        alarm = at
        toldAlone = true
      }
      if (!toldAlone || !found) return
      await common.remember(ALARM, String(alarm))
      toldAlone = false
    },
  }
}

/** The deadman's own alert, in the language of each route that tells it. */
function incomingOf(config: NotifyConfig, deadman: DeadmanConfig, { at, endsAt }: { readonly at: number, readonly endsAt?: number }): readonly Incoming[] {
  // Which of several Watchdogs it is, as far as that is a label.
  const which = Object.fromEntries(deadman.match.flat().flatMap(({ name, operator, value }) => (operator === '=' && value !== '' ? [[name, value]] : [])))
  const alert: Alert = {
    status: endsAt === undefined ? 'firing' : 'resolved', ...(endsAt === undefined ? {} : { endsAt }), startsAt: at,
    labels: { ...which, alertname: OWN_NAME, severity: 'critical', scope: 'prober' }, annotations: {}, generatorURL: '', fingerprint: 'curlew-deadman',
  }
  const context = { receiver: 'curlew', groupKey: `{}:{alertname="${OWN_NAME}"}`, groupLabels: { alertname: OWN_NAME }, externalURL: '', truncatedAlerts: 0 }
  const languages = new Map(config.routes.map((route, index) => [routeName(route, index), route.lang]))
  return planRoutes(config, { context, alerts: [alert] }, deadman.route, endsAt ?? at).map((incoming) => {
    const lang = languages.get(incoming.route) ?? 'en'
    return { ...incoming, alerts: [{ ...alert, annotations: NOTIFY_WORDS[lang].deadman(deadman.alertname, durationText(deadman.within, lang)) }] }
  })
}
