import type { Alert, NotificationContext } from './alert.ts'
import type { DeliveryReason, Rate } from './channel.ts'

/** Alerts of one notification for one channel by one route, as routing decided. */
export interface Incoming {
  /** The name of the route. */
  readonly route: string
  readonly channel: string
  readonly context: NotificationContext
  readonly alerts: readonly Alert[]
}

/** One alert that is to be told on one channel. */
export interface Entry {
  readonly id: number
  /** The notification it came with: entries that share it are told together where there is room. */
  readonly notification: number
  readonly route: string
  readonly channel: string
  readonly alert: Alert
  readonly context: NotificationContext
  /** ms since 1970. */
  readonly receivedAt: number
  /** Its firing was never told: it was still waiting when this resolved. */
  readonly untold: boolean
  /** The channel that should have told it. */
  readonly fallbackFor?: string
}

/** A message that is composed and does not change any more: a retry sends the very same. */
export interface Message {
  readonly id: number
  readonly channel: string
  readonly entries: readonly Entry[]
  /** JSON of each part: its body, unsigned, and which entries it tells. */
  readonly parts: readonly string[]
  /** How many parts the service has taken. */
  readonly sent: number
  /** Failed attempts since the last part that was taken. */
  readonly attempts: number
  /** Not before this, ms since 1970. */
  readonly nextAt: number
  readonly digest: boolean
}

/** Leave to work on a channel, until it expires. Its number fences: what an older holder writes is refused with LeaseLost. */
export interface Lease {
  readonly channel: string
  readonly fence: number
}

export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

/** No room: the sender must try again later. Nothing was written. */
export class OutboxFull extends Error {
  override readonly name = 'OutboxFull'
}

/** Taken, but not known to be on disk: the sender must try again, and is a duplicate then. */
export class NotSynced extends Error {
  override readonly name = 'NotSynced'
}

/**
 * Some of the entries do not wait any more as they did: a newer state has taken a place over (it has an id of its own), or a
 * message has them. Nothing was written; read the queue again.
 */
export class EntriesChanged extends Error {
  override readonly name = 'EntriesChanged'
}

export interface Accepted {
  /** Entries that will be told. */
  readonly queued: number
  /** The same state of the same alert on the same route within the window. */
  readonly duplicates: number
  /** Joined with an entry that was still waiting. */
  readonly merged: number
}

/** An entry that was given up. */
export interface DeadEntry extends Entry {
  readonly reason: DeliveryReason
  readonly detail: string
  /** ms since 1970. */
  readonly diedAt: number
  /** It was handed to this channel instead. */
  readonly handedTo?: string
}

export interface ChannelDepth {
  readonly channel: string
  /** Entries that wait, those in a message included. */
  readonly waiting: number
  /** `receivedAt` of the oldest, ms since 1970. */
  readonly oldestAt?: number
  readonly dead: number
}

export interface OutboxOptions {
  /** How long an equal state counts as a duplicate, ms. */
  readonly dedupMs: number
  /** Entries at most, waiting and dead. The oldest dead ones give way; then there is no room. */
  readonly entries: number
  /** How long a dead entry is kept, ms. */
  readonly keepDeadMs: number
}

/** What one replica keeps while the outbox that it shares is away. */
export interface LocalOutbox extends Outbox {
  /**
   * Ends (resolved) that are kept back: their beginning was not told from here and may wait in the shared outbox. Those
   * of one route and one context, for all its channels.
   */
  heldEnds(): Promise<readonly Entry[]>
  /** Forgets entries that are outside of any message: another outbox has them. */
  drop(ids: readonly number[]): Promise<void>
}

/** Alerts that are written, in the order of the calls. */
export interface Written {
  readonly accepted: Accepted
  /** Resolves when they are durable; rejects when that is not known: whoever sent them must send them again. */
  readonly durable: Promise<void>
}

/** What replicas share. */
export interface SharedOutbox extends Outbox {
  /** `accept` for who has more to write while the disk, which may take a second for each, is waited for. */
  write(incoming: readonly Incoming[], now: number): Promise<Written>
  /** For so many ms nobody composes for a channel from here: what this replica keeps for it by itself is older. 0 takes it back. */
  letFirst(channel: string, replica: string, ms: number): Promise<void>
}

/**
 * What must survive: alerts that wait, messages that are being sent, what was told last, rates. Every call is atomic, and
 * durable when it resolves. `now` is ms since 1970.
 *
 * Rules of `accept`, for each alert by (route, fingerprint), in the order given:
 * - equal status to the last accepted one within `dedupMs` of its acceptance (which a duplicate does not renew), and not the
 *   first reminder ('repeat interval elapsed') after another reason: a duplicate, dropped. Several channels of a route are
 *   one acceptance: all of them get it, or none;
 * - else, where the newest entry of (channel, route, fingerprint) still waits outside of any message: a firing takes over the
 *   place of a firing (merged), a resolved that of a firing (merged, `untold`), a resolved that of a resolved;
 * - else a new entry at the end.
 */
export interface Outbox {
  accept(incoming: readonly Incoming[], now: number): Promise<Accepted>
  /** Leave to send on a channel, for so many ms; undefined while another process has it. */
  lease(channel: string, ms: number, now: number): Promise<Lease | undefined>
  renew(lease: Lease, ms: number, now: number): Promise<void>
  release(lease: Lease): Promise<void>
  /**
   * Entries that may be put into a message: outside of any, and no earlier entry of the same fingerprint on the channel is in
   * one. Ordered by age, or the gravest first (`severityRank`, then age; equal fingerprints have equal labels, so their order
   * holds).
   */
  queued(channel: string, order: 'age' | 'severity', most: number): Promise<readonly Entry[]>
  /** How many entries may be put into messages, and from how many notifications; none while others are to go first. */
  waiting(channel: string): Promise<{ readonly entries: number, readonly notifications: number }>
  /** Messages that are not sent completely, oldest first. */
  messages(channel: string): Promise<readonly Message[]>
  /** Puts entries, which must still be outside of any message and as they were read, into one; else EntriesChanged. */
  freeze(lease: Lease, entries: readonly number[], parts: readonly string[], digest: boolean, now: number): Promise<Message>
  /**
   * Asks to send one message by a robot (its hash). `left` is how many more may follow at once; `waitMs` is 0 when this one
   * is counted and may go now, else nothing was counted.
   */
  take(lease: Lease, robot: string, rates: readonly Rate[], now: number): Promise<{ readonly waitMs: number, readonly left: number }>
  /** What `take` would answer, counting nothing. */
  room(robot: string, rates: readonly Rate[], now: number): Promise<{ readonly waitMs: number, readonly left: number }>
  /** Nobody sends by this robot before `until`. */
  pause(robot: string, until: number): Promise<void>
  /**
   * The service has taken one more part; with the last one the message and its entries are gone. `sent` is how many parts
   * that makes: with it a call whose answer was lost may be repeated.
   */
  partSent(lease: Lease, message: number, now: number, sent?: number): Promise<void>
  postpone(lease: Lease, message: number, nextAt: number): Promise<void>
  /**
   * Takes a message apart: the entries that it has told are done, the others wait again, in their old places. Without `told`
   * only one of which the service has taken no part.
   */
  thaw(lease: Lease, message: number, told?: readonly number[]): Promise<void>
  /** Gives entries up, and the message they are in. With `handTo` each is queued there at the end, in the same step. */
  giveUp(lease: Lease, entries: readonly number[], why: { readonly reason: DeliveryReason, readonly detail: string, readonly handTo?: string }, now: number): Promise<void>
  depths(): Promise<readonly ChannelDepth[]>
  /** Oldest first. */
  dead(filter: { readonly channel?: string, readonly after?: number, readonly most: number }): Promise<readonly DeadEntry[]>
  /** Queues dead entries again, on their own channel or another; returns how many were found. */
  resend(ids: readonly number[], channel: string | undefined, now: number): Promise<number>
  forget(ids: readonly number[]): Promise<number>
  /** What was remembered last under a name; undefined when nothing was. */
  recall(name: string): Promise<string | undefined>
  remember(name: string, value: string): Promise<void>
  /** Drops what is past its time: dead entries, states, rates. Called now and then. */
  sweep(now: number): Promise<void>
  close(): Promise<void>
}
