import { backoffMs } from './backoff.ts'
import type { BoundChannel } from './bind.ts'
import type { Body, DeliveryReason, Verdict } from './channel.ts'
import { EntriesChanged, LeaseLost, type Entry, type Lease, type Message, type Outbox } from './outbox.ts'
import { WireError } from './wire.ts'
import type { post } from './wire.ts'

/** What happens on a channel, for the metrics and the log. */
export type SenderEvent =
  | { readonly kind: 'delivered', readonly entries: readonly { readonly waitedMs: number }[] }
  | { readonly kind: 'part_sent' }
  | { readonly kind: 'coalesced', readonly entries: number }
  | { readonly kind: 'retried' | 'dead' | 'handed_on', readonly reason: DeliveryReason, readonly entries: number, readonly detail: string }
  /** With the outbox. */
  | { readonly kind: 'trouble', readonly error: unknown }
  /** An error of ours. */
  | { readonly kind: 'bug', readonly error: unknown }

/** One of the bodies that a message is sent as, and the ids of the entries that it tells. */
export interface Part {
  readonly body: Body
  readonly entries: readonly number[]
}

/** A message as it will be sent. */
export interface Composed {
  readonly parts: readonly Part[]
}

export interface SenderDeps {
  readonly outbox: Outbox
  readonly channel: BoundChannel
  readonly deadlineMs: number
  readonly allowPrivate: boolean
  /** The channel to hand an entry of this route to, when this one cannot tell it. */
  fallback(route: string): string | undefined
  /** Looks up what is known and renders; within a second or so, and never fails for want of it. */
  compose(entries: readonly Entry[], how: { readonly digest: boolean, readonly more: number }): Promise<Composed>
  readonly send: typeof post
  on(event: SenderEvent): void
}

export interface Sender {
  /** There may be something to send. */
  wake(): void
  /** Lets the request that is under way end, gives the lease back, and resolves. */
  stop(): Promise<void>
}

/** Alerts in a digest at most. */
export const DIGEST_ALERTS = 20
/** Entries of one notification that are told in one go. */
const MOST_ENTRIES = 200
/** A message that failed so often is suspected of being the trouble itself: others are tried before it. */
const SUSPECT_ATTEMPTS = 3
/** Messages that are under way at a time: the suspect, and one to find out whether it is one. */
const MOST_FROZEN = 2
/** A service that refuses so many alerts, each alone and none taken between, refuses everything: fewer are neighbours of one kind. */
const MOST_REFUSED = 12
/** How often a channel that needs a person is tried. */
const DEAD_RETRY_MS = 60_000
const IDLE_MS = 1_000
/** How long a message may be kept back by a short rate before a digest is better. */
const SOON_MS = 5_000
const LEASE_SPARE_MS = 15_000

/**
 * Tells one channel what waits for it, one message at a time and in order: the only way to know which of two arrived first.
 * Near the limit of its rate many notifications become a digest. A message of which the service may have taken something never changes, but for what it has refused for good.
 */
export function createSender({ outbox, channel, deadlineMs, allowPrivate, fallback, compose, send, on }: SenderDeps): Sender {
  const leaseMs = channel.timeoutMs + LEASE_SPARE_MS
  let lease: Lease | undefined
  let stopped = false
  /** Failures of the channel in a row, whatever the message. */
  let failures = 0
  /** Nothing is tried before this, ms since 1970. */
  let pausedUntil = 0
  let failing = false
  /** What was wrong the last time. */
  let lastDetail = ''
  /** Entries of messages that the service has refused: those of one half go together, until one that is refused stands alone. */
  const halves = new Map<number, number>()
  /** A part that the service has taken and the outbox does not know of yet: a full disk, a Redis that has just gone. */
  let unwritten: { readonly message: Message, readonly sent: number } | undefined
  let lastHalf = 0
  /** Alerts that were refused for good or could not be composed, each alone, since a message was taken. */
  let refusedInRow = 0
  let ring: (() => void) | undefined
  let woken = false

  const running = run()

  async function run(): Promise<void> {
    while (!stopped) {
      let waitMs = IDLE_MS
      try {
        waitMs = await step()
      } catch (error) {
        // What was being composed is out of date already.
        if (error instanceof EntriesChanged) continue
        // After any other error it is still ours, and nobody else could send until it runs out.
        if (error instanceof LeaseLost) lease = undefined
        else on({ kind: 'trouble', error })
      }
      if (waitMs > 0) await rest(waitMs)
    }
    try {
      if (lease && unwritten) await writeDown(lease, unwritten)
      if (lease) await outbox.release(lease)
    } catch {
      // The lease runs out by itself.
    }
  }

  /** Sleeps, but not through a wake. */
  async function rest(ms: number): Promise<void> {
    if (woken || stopped) {
      woken = false
      return
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, IDLE_MS))
      ring = () => { clearTimeout(timer); resolve() }
    })
    ring = undefined
    woken = false
  }

  /** Does the next thing there is to do; returns how long nothing is, ms. */
  async function step(): Promise<number> {
    const now = Date.now()
    lease ??= await outbox.lease(channel.name, leaseMs, now)
    if (!lease) return IDLE_MS
    await outbox.renew(lease, leaseMs, now)
    // Before anything else, or the part would be told again.
    if (unwritten) await writeDown(lease, unwritten)

    const found = await outbox.messages(channel.name)
    const messages = failing ? await giveUpLate(lease, found, now) : found
    if (now < pausedUntil) return pausedUntil - now
    const message = await next(lease, messages, now)
    return message ? deliver(lease, message) : IDLE_MS
  }

  /** The message to try now: one that is under way, else a new one. */
  async function next(held: Lease, messages: readonly Message[], now: number): Promise<Message | undefined> {
    const due = messages.filter(({ nextAt }) => nextAt <= now).toSorted((a, b) => a.attempts - b.attempts || a.id - b.id)[0]
    if (due) return due
    const free = messages.length < MOST_FROZEN && messages.every(({ attempts }) => attempts >= SUSPECT_ATTEMPTS)
    return free ? composeNext(held, now) : undefined
  }

  async function composeNext(held: Lease, now: number): Promise<Message | undefined> {
    const waiting = await outbox.waiting(channel.name)
    if (waiting.entries === 0) return undefined
    const room = await outbox.room(channel.robot, channel.rates, now)
    // What cannot go yet is composed when it can: more may have come by then.
    if (room.waitMs > 0) {
      pausedUntil = now + room.waitMs
      return undefined
    }
    const { soon, spare } = await roomSoon(now)
    if (waiting.notifications === 1 || waiting.notifications <= soon - spare) {
      const queue = await outbox.queued(channel.name, 'age', MOST_ENTRIES)
      const together = inOrder(queue, (entry, oldest) => entry.notification === oldest.notification && entry.route === oldest.route && halves.get(entry.id) === halves.get(oldest.id))
      if (together.length === 0) return undefined
      const parts = await partsOf(held, together, { digest: false, more: 0 })
      if (!parts) return undefined
      if (parts.length <= soon) return freeze(held, together, parts, false)
    }
    const queue = await outbox.queued(channel.name, 'severity', MOST_ENTRIES)
    const chosen = inOrder(queue, (entry, gravest) => entry.route === gravest.route && entry.fallbackFor === gravest.fallbackFor && halves.get(entry.id) === halves.get(gravest.id)).slice(0, DIGEST_ALERTS)
    if (chosen.length === 0) return undefined
    // One alone is told in full, with its diagnosis: a digest of it would only say less.
    const digest = chosen.length > 1
    const parts = await partsOf(held, chosen, { digest, more: waiting.entries - chosen.length })
    if (!parts) return undefined
    if (digest) on({ kind: 'coalesced', entries: chosen.length })
    return freeze(held, chosen, parts, digest)
  }

  /** What entries are told by. One that an error of ours keeps from being told at all is given up: it would keep the others back for ever. */
  async function partsOf(held: Lease, entries: readonly Entry[], how: { readonly digest: boolean, readonly more: number }): Promise<readonly Part[] | undefined> {
    try {
      return (await compose(entries, how)).parts
    } catch (error) {
      on({ kind: 'bug', error })
      if (mayPart(entries)) separate(entries)
      else await giveUp(held, entries, 'rejected', 'an error inside Curlew: its log says more', Date.now())
      return undefined
    }
  }

  /**
   * How many messages may go within a moment that a reader does not mind: at one a second three are told whole, one after the
   * other. Of what a longer rate leaves a quarter is spared for what comes next, which may be graver than what is here.
   */
  async function roomSoon(now: number): Promise<{ readonly soon: number, readonly spare: number }> {
    const [fast, slow] = [channel.rates.filter(({ perMs }) => perMs <= SOON_MS), channel.rates.filter(({ perMs }) => perMs > SOON_MS)]
    const steady = Math.min(...fast.map(({ messages, perMs }) => messages * Math.floor(SOON_MS / perMs)))
    if (slow.length === 0) return { soon: steady, spare: 0 }
    const { waitMs, left } = await outbox.room(channel.robot, slow, now)
    return { soon: Math.min(steady, waitMs > 0 ? 0 : left + 1), spare: Math.floor(Math.min(...slow.map(({ messages }) => messages)) / 4) }
  }

  function freeze(held: Lease, entries: readonly Entry[], parts: readonly Part[], digest: boolean): Promise<Message> {
    return outbox.freeze(held, entries.map(({ id }) => id), parts.map((part) => JSON.stringify(part)), digest, Date.now())
  }

  /** Sends what is left of a message; returns how long to wait, ms. */
  async function deliver(held: Lease, message: Message): Promise<number> {
    for (const [index, part] of message.parts.entries()) {
      if (index < message.sent) continue
      if (stopped) return 0
      const now = Date.now()
      await outbox.renew(held, leaseMs, now)
      const { waitMs } = await outbox.take(held, channel.robot, channel.rates, now)
      if (waitMs > 0) {
        pausedUntil = now + waitMs
        return waitMs
      }
      const verdict = await attempt(part)
      if (verdict.outcome !== 'sent') return failed(held, index === message.sent ? message : { ...message, sent: index, attempts: 0 }, verdict)
      failures = 0
      refusedInRow = 0
      failing = false
      on({ kind: 'part_sent' })
      unwritten = { message, sent: index + 1 }
      await writeDown(held, unwritten)
    }
    return 0
  }

  async function writeDown(held: Lease, { message, sent }: { readonly message: Message, readonly sent: number }): Promise<void> {
    const now = Date.now()
    await outbox.partSent(held, message.id, now, sent)
    unwritten = undefined
    if (sent === message.parts.length) on({ kind: 'delivered', entries: message.entries.map(({ receivedAt }) => ({ waitedMs: now - receivedAt })) })
  }

  async function attempt(part: string): Promise<Verdict> {
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

  async function failed(held: Lease, message: Message, verdict: Exclude<Verdict, { outcome: 'sent' }>): Promise<number> {
    const { outcome, reason, detail } = verdict
    const now = Date.now()
    if (outcome === 'message_bad') {
      await refused(held, message, verdict)
      return 0
    }
    failing = true
    lastDetail = detail
    failures++
    if (outcome === 'channel_dead') {
      const movable = message.entries.filter((entry) => fallbackOf(entry) !== undefined)
      // A part that was taken is not told twice for the sake of the others: the fallback tells all of it.
      if (movable.length === message.entries.length) {
        await giveUp(held, message.entries, reason, detail, now)
        return 0
      }
    }
    // Who is too fast and not told for how long waits until the whole rate is free again.
    const limited = reason === 'rate_limited' ? verdict.afterMs ?? Math.max(...channel.rates.map(({ perMs }) => perMs)) : undefined
    // Some say "at once" each time.
    const waitMs = outcome === 'channel_dead' ? DEAD_RETRY_MS : Math.max(limited ?? verdict.afterMs ?? 0, backoffMs(Math.max(failures, message.attempts + 1)))
    if (limited !== undefined) await outbox.pause(channel.robot, now + limited)
    await outbox.postpone(held, message.id, now + waitMs)
    // A suspect waits for itself; the channel goes on with another one.
    pausedUntil = message.attempts + 1 >= SUSPECT_ATTEMPTS && failures <= message.attempts + 1 ? now + backoffMs(1) : now + waitMs
    on({ kind: 'retried', reason, entries: message.entries.length, detail })
    return pausedUntil - now
  }

  /** Whether entries that cannot be told together are tried in halves; counts those that stand alone. */
  function mayPart(entries: readonly Entry[]): boolean {
    if (entries.length === 1) refusedInRow++
    return entries.length > 1 && refusedInRow < MOST_REFUSED
  }

  /**
   * One alert that the service refuses must not take the others with it: what earlier parts have told is done, what later ones
   * tell waits again, and those of the part that was refused are tried in halves.
   */
  async function refused(held: Lease, message: Message, { reason, detail }: { readonly reason: DeliveryReason, readonly detail: string }): Promise<void> {
    const parts = message.parts.map(readPart)
    const told = new Set(parts.slice(0, message.sent).flatMap(({ entries }) => entries))
    const untold = message.entries.filter(({ id }) => !told.has(id))
    const inPart = untold.filter(({ id }) => parts[message.sent]?.entries.includes(id))
    // A part without alerts, of a lead or links alone, would come again with whichever of them.
    const suspects = inPart.length > 0 ? inPart : untold
    const parting = mayPart(suspects)
    if (parting) separate(suspects)
    const now = Date.now()
    await outbox.thaw(held, message.id, [...told])
    if (told.size > 0) on({ kind: 'delivered', entries: message.entries.filter(({ id }) => told.has(id)).map(({ receivedAt }) => ({ waitedMs: now - receivedAt })) })
    if (!parting && suspects.length > 0) await giveUp(held, suspects, reason, detail, now)
  }

  function separate(entries: readonly Entry[]): void {
    if (halves.size > MOST_ENTRIES * 10) halves.clear()
    const [left, right] = [++lastHalf, ++lastHalf]
    for (const [index, entry] of entries.entries()) halves.set(entry.id, index < entries.length / 2 ? left : right)
  }

  /** While the channel does not work, what has waited for too long goes to the fallback, or to the dead; returns the messages that stay. */
  async function giveUpLate(held: Lease, messages: readonly Message[], now: number): Promise<readonly Message[]> {
    const late = ({ receivedAt }: Entry) => now - receivedAt > deadlineMs
    const detail = `not delivered within ${Math.round(deadlineMs / 1000)} s; last: ${lastDetail}`
    const isOver = ({ attempts, entries }: Message) => attempts > 0 && entries.some(late)
    for (const message of messages.filter(isOver)) await giveUp(held, message.entries, 'deadline', detail, now)
    // One message that the service does not take says nothing about the others.
    if (failures >= SUSPECT_ATTEMPTS) {
      const tooLate = (await outbox.queued(channel.name, 'age', MOST_ENTRIES)).filter(late)
      if (tooLate.length > 0) await giveUp(held, tooLate, 'deadline', detail, now)
    }
    return messages.filter((message) => !isOver(message))
  }

  async function giveUp(held: Lease, entries: readonly Entry[], reason: DeliveryReason, detail: string, now: number): Promise<void> {
    for (const [handTo, mine] of Map.groupBy(entries, fallbackOf)) {
      await outbox.giveUp(held, mine.map(({ id }) => id), { reason, detail, ...(handTo === undefined ? {} : { handTo }) }, now)
      on({ kind: handTo === undefined ? 'dead' : 'handed_on', reason, entries: mine.length, detail })
    }
  }

  /** A fallback has none itself: what it cannot tell either is given up. */
  function fallbackOf({ route, fallbackFor }: Entry): string | undefined {
    return fallbackFor === undefined ? fallback(route) : undefined
  }

  return {
    wake() {
      woken = true
      ring?.()
    },
    stop() {
      stopped = true
      ring?.()
      return running
    },
  }
}

function readPart(part: string): Part {
  return JSON.parse(part) as Part // safe: `freeze` wrote it
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
