import { randomUUID } from 'node:crypto'
import type { Entry, Incoming, LocalOutbox, SharedOutbox } from './outbox.ts'

/** A replica that has said that it goes first, and then died, keeps the others waiting for so long, ms. */
const FIRST_MS = 5_000

/**
 * Keeps the order between this replica's own outbox, which takes alerts while the shared one is away, and the shared one: call
 * what it returns each second. What is kept here is older than what the shared one takes once it is back, so it goes first. But
 * an end whose beginning is not here may have it there: it moves over. Rejects while the shared one is away, or full; all stays
 * here then.
 */
export function handOver(local: LocalOutbox, shared: SharedOutbox): () => Promise<void> {
  const replica = randomUUID()
  let first: readonly string[] = []

  return async () => {
    const waiting = (await local.depths()).filter((depth) => depth.waiting > 0).map(({ channel }) => channel)
    for (const channel of waiting) await shared.letFirst(channel, replica, FIRST_MS)
    for (const channel of first) if (!waiting.includes(channel)) await shared.letFirst(channel, replica, 0)
    first = waiting
    for (let ends = await local.heldEnds(); ends.length > 0; ends = await local.heldEnds()) {
      await shared.accept(incomingOf(ends), Date.now())
      await local.drop(ends.map(({ id }) => id))
    }
  }
}

/** Of one route and one context: the channels share an acceptance, as they did when it came. */
function incomingOf(ends: readonly Entry[]): readonly Incoming[] {
  return [...Map.groupBy(ends, ({ channel }) => channel).values()].flatMap((entries) => {
    const [first] = entries
    return first ? [{ route: first.route, channel: first.channel, context: first.context, alerts: entries.map(({ alert }) => alert) }] : []
  })
}
