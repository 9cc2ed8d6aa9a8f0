import { severityRank, type Alert, type NotificationContext } from '../alert.ts'
import type { Incoming } from '../outbox.ts'

/** One alert of one Incoming, with what `accept` decides by. */
export interface Candidate {
  /** Equal for the channels of a route that are to get the same alert of the same notification: one acceptance. */
  readonly acceptance: string
  /** Which Incoming it came with, from 0. */
  readonly item: number
  readonly route: string
  readonly channel: string
  readonly alert: Alert
  readonly context: NotificationContext
  readonly firing: boolean
  readonly reminder: boolean
  readonly rank: number
}

/** Alertmanager's `notification_reason` of a notification that only repeats what was told. */
const REMINDER = 'repeat interval elapsed'

/**
 * The alerts of a batch in the order given. A route that names a channel it has named before is a notification of its own,
 * perhaps the same one from another Alertmanager; until then its channels share one acceptance.
 */
export function candidatesOf(incoming: readonly Incoming[]): Candidate[] {
  const rounds = new Map<string, { round: number, channels: Set<string> }>()
  return incoming.flatMap(({ route, channel, context, alerts }, item) => {
    const current = rounds.get(route) ?? { round: 0, channels: new Set() }
    if (current.channels.has(channel)) {
      current.round += 1
      current.channels.clear()
    }
    current.channels.add(channel)
    rounds.set(route, current)

    const seen = new Map<string, number>()
    return alerts.map((alert): Candidate => {
      const nth = (seen.get(alert.fingerprint) ?? 0) + 1
      seen.set(alert.fingerprint, nth)
      return {
        acceptance: `${route}:${current.round}:${nth}:${alert.fingerprint}`,
        item, route, channel, alert, context,
        firing: alert.status === 'firing', reminder: context.reason === REMINDER, rank: severityRank(alert.labels),
      }
    })
  })
}
