import type { DeliveryReason } from '../channel.ts'
import type { Entry, Lease, Message } from '../outbox.ts'
import { halve } from './halves.ts'
import { MOST_ENTRIES, SUSPECT_ATTEMPTS, type Work } from './work.ts'

/** Why entries are not told; `detail` is one redacted line. */
interface Why {
  readonly reason: DeliveryReason
  readonly detail: string
}

/** Hands entries to their fallback, or to the dead where they have none. */
export async function giveUp(work: Work, lease: Lease, entries: readonly Entry[], { reason, detail }: Why): Promise<void> {
  for (const [handTo, mine] of Map.groupBy(entries, (entry) => fallbackOf(work, entry))) {
    await work.outbox.giveUp(lease, mine.map(({ id }) => id), { reason, detail, ...(handTo === undefined ? {} : { handTo }) }, Date.now())
    work.on({ kind: handTo === undefined ? 'dead' : 'handed_on', reason, entries: mine.length, detail })
  }
}

/** A fallback has none itself: what it cannot tell either is given up. */
export function fallbackOf({ fallback }: Work, { route, fallbackFor }: Entry): string | undefined {
  return fallbackFor === undefined ? fallback(route) : undefined
}

/** For what can never be told as it is: one alert must not take the others with it, so they are tried in halves until it stands alone. */
export async function halveOrGiveUp(work: Work, lease: Lease, entries: readonly Entry[], why: Why): Promise<void> {
  if (!halve(work.halves, entries)) await giveUp(work, lease, entries, why)
}

/** While the channel does not work, gives up what has waited for too long; returns the messages that stay. `now` is ms since 1970. */
export async function giveUpLate(work: Work, lease: Lease, messages: readonly Message[], now: number): Promise<readonly Message[]> {
  const { outbox, channel, deadlineMs, failures, lastDetail } = work
  if (failures === 0) return messages
  const late = ({ receivedAt }: Entry) => now - receivedAt > deadlineMs
  const why: Why = { reason: 'deadline', detail: `not delivered within ${Math.round(deadlineMs / 1000)} s; last: ${lastDetail}` }
  const isOver = ({ attempts, entries }: Message) => attempts > 0 && entries.some(late)
  for (const message of messages.filter(isOver)) await giveUp(work, lease, message.entries, why)
  // One message that the service does not take says nothing about the others.
  if (failures >= SUSPECT_ATTEMPTS) await giveUp(work, lease, (await outbox.queued(channel.name, 'age', MOST_ENTRIES)).filter(late), why)
  return messages.filter((message) => !isOver(message))
}
