import { backoffMs } from './backoff.ts'
import type { Verdict } from '../channel.ts'
import type { Lease, Message } from '../outbox.ts'
import { WireError } from '../wire.ts'
import { fallbackOf, giveUp, halveOrGiveUp } from './give-up.ts'
import { readPart, SUSPECT_ATTEMPTS, type Work } from './work.ts'

/** What an attempt has come to, other than a part that the service has taken. */
type Failure = Exclude<Verdict, { outcome: 'sent' }>

/** How often a channel that needs a person is tried. */
const DEAD_RETRY_MS = 60_000

/** Sends one part, once. */
export async function attempt({ channel, send, allowPrivate, on }: Work, part: string): Promise<Verdict> {
  try {
    const request = channel.request(readPart(part).body, Date.now())
    return channel.verdict(await send(request, { ...channel.way(request.url), allowPrivate }))
  } catch (error) {
    if (error instanceof WireError) return { outcome: error.reason === 'private_destination' ? 'channel_dead' : 'retry', reason: error.reason, detail: error.message }
    // A bug of ours must not have the message sent again each second: whether the service has taken it is not known.
    on({ kind: 'bug', error })
    return { outcome: 'retry', reason: 'protocol', detail: 'an error inside Curlew: its log says more' }
  }
}

/** Sees to a message whose next part was not taken; returns until when the channel rests, ms since 1970, or 0: not at all. */
export async function attemptFailed(work: Work, lease: Lease, message: Message, failure: Failure): Promise<number> {
  const { outcome, detail } = failure
  if (outcome === 'message_bad') {
    await refused(work, lease, message, failure)
    return 0
  }
  work.failures++
  work.lastDetail = detail
  // A part that was taken is not told twice for the sake of the others: the fallback tells all of it.
  if (outcome === 'channel_dead' && message.entries.every((entry) => fallbackOf(work, entry) !== undefined)) {
    await giveUp(work, lease, message.entries, failure)
    return 0
  }
  return postpone(work, lease, message, failure)
}

/** What earlier parts have told is done, and what later ones tell waits again: only the alerts of the part that was refused are to blame. */
async function refused(work: Work, lease: Lease, message: Message, failure: Failure): Promise<void> {
  const parts = message.parts.map(readPart)
  const done = new Set(parts.slice(0, message.sent).flatMap(({ entries }) => entries))
  const [told, untold] = [message.entries.filter(({ id }) => done.has(id)), message.entries.filter(({ id }) => !done.has(id))]
  const inPart = untold.filter(({ id }) => parts[message.sent]?.entries.includes(id))
  const now = Date.now()
  await work.outbox.thaw(lease, message.id, [...done])
  if (told.length > 0) work.on({ kind: 'delivered', entries: told.map(({ receivedAt }) => ({ waitedMs: now - receivedAt })) })
  // A part without alerts, of a lead or links alone, would come again with whichever of them.
  await halveOrGiveUp(work, lease, inPart.length > 0 ? inPart : untold, failure)
}

async function postpone({ outbox, channel, failures, on }: Work, lease: Lease, message: Message, { outcome, reason, detail, afterMs }: Failure): Promise<number> {
  const now = Date.now()
  const attempts = message.attempts + 1
  // Who is too fast and not told for how long waits until the whole rate is free again.
  const limitedMs = reason === 'rate_limited' ? afterMs ?? Math.max(...channel.rates.map(({ perMs }) => perMs)) : undefined
  // Some say "at once" each time.
  const waitMs = outcome === 'channel_dead' ? DEAD_RETRY_MS : Math.max(limitedMs ?? afterMs ?? 0, backoffMs(Math.max(failures, attempts)))
  if (limitedMs !== undefined) await outbox.pause(channel.robot, now + limitedMs)
  await outbox.postpone(lease, message.id, now + waitMs)
  on({ kind: 'retried', reason, entries: message.entries.length, detail })
  // A suspect waits for itself; the channel goes on with another one.
  return now + (attempts >= SUSPECT_ATTEMPTS && failures <= attempts ? backoffMs(1) : waitMs)
}
