import type { Entry, Lease, Message } from '../outbox.ts'
import { halveOrGiveUp } from './give-up.ts'
import { ofOneHalf } from './halves.ts'
import { MOST_ENTRIES, type Part, type Work } from './work.ts'

/** Alerts in a digest at most. */
export const DIGEST_ALERTS = 20
/** How long a message may be kept back by a short rate before a digest is better. */
const SOON_MS = 5_000

/** What the outbox says of the queue: of how many entries it is, one at least, and of how many notifications. */
interface Waiting {
  readonly entries: number
  readonly notifications: number
}

/**
 * Makes a message of what waits, and freezes it: the oldest notification whole where all that wait may soon be told so, else
 * a digest of the gravest alerts. Undefined where an error of ours keeps it from being composed, or nothing waits any more.
 * Throws EntriesChanged when what waits has changed meanwhile. `now` is ms since 1970.
 */
export async function nextMessage(work: Work, lease: Lease, waiting: Waiting, now: number): Promise<Message | undefined> {
  const { outbox, channel, halves, on } = work
  const { soon, spare } = await roomSoon(work, now)
  if (waiting.notifications === 1 || waiting.notifications <= soon - spare) {
    const queue = await outbox.queued(channel.name, 'age', MOST_ENTRIES)
    const together = inOrder(queue, (entry, oldest) => entry.notification === oldest.notification && entry.route === oldest.route && ofOneHalf(halves, entry, oldest))
    const parts = await partsOf(work, lease, together, { digest: false, more: 0 })
    if (!parts) return undefined
    if (parts.length <= soon) return freeze(work, lease, together, parts, false)
  }
  const queue = await outbox.queued(channel.name, 'severity', MOST_ENTRIES)
  const chosen = inOrder(queue, (entry, gravest) => entry.route === gravest.route && entry.fallbackFor === gravest.fallbackFor && ofOneHalf(halves, entry, gravest)).slice(0, DIGEST_ALERTS)
  // One alone is told in full, with its diagnosis: a digest of it would only say less.
  const digest = chosen.length > 1
  const parts = await partsOf(work, lease, chosen, { digest, more: waiting.entries - chosen.length })
  if (!parts) return undefined
  if (digest) on({ kind: 'coalesced', entries: chosen.length })
  return freeze(work, lease, chosen, parts, digest)
}

/**
 * How many messages may go within a moment that a reader does not mind: at one a second three are told whole, one after the
 * other. Of what a longer rate leaves a quarter is spared for what comes next, which may be graver than what is here.
 */
async function roomSoon({ outbox, channel }: Work, now: number): Promise<{ readonly soon: number, readonly spare: number }> {
  const [fast, slow] = [channel.rates.filter(({ perMs }) => perMs <= SOON_MS), channel.rates.filter(({ perMs }) => perMs > SOON_MS)]
  const steady = Math.min(...fast.map(({ messages, perMs }) => messages * Math.floor(SOON_MS / perMs)))
  if (slow.length === 0) return { soon: steady, spare: 0 }
  const { waitMs, left } = await outbox.room(channel.robot, slow, now)
  return { soon: Math.min(steady, waitMs > 0 ? 0 : left + 1), spare: Math.floor(Math.min(...slow.map(({ messages }) => messages)) / 4) }
}

/** The first entry and those that go with it; none whose alert has an earlier entry that stays behind. */
function inOrder(queue: readonly Entry[], goesWith: (entry: Entry, first: Entry) => boolean): readonly Entry[] {
  const [first] = queue
  const passedOver = new Set<string>()
  return queue.filter((entry) => {
    if (first && goesWith(entry, first) && !passedOver.has(entry.alert.fingerprint)) return true
    passedOver.add(entry.alert.fingerprint)
    return false
  })
}

/** What entries are told by. One that an error of ours keeps from being told at all is given up: it would keep the others back for ever. */
async function partsOf(work: Work, lease: Lease, entries: readonly Entry[], how: { readonly digest: boolean, readonly more: number }): Promise<readonly Part[] | undefined> {
  if (entries.length === 0) return undefined
  try {
    return (await work.compose(entries, how)).parts
  } catch (error) {
    work.on({ kind: 'bug', error })
    await halveOrGiveUp(work, lease, entries, { reason: 'rejected', detail: 'an error inside Curlew: its log says more' })
    return undefined
  }
}

function freeze({ outbox }: Work, lease: Lease, entries: readonly Entry[], parts: readonly Part[], digest: boolean): Promise<Message> {
  return outbox.freeze(lease, entries.map(({ id }) => id), parts.map((part) => JSON.stringify(part)), digest, Date.now())
}
