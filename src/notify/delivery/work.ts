import type { BoundChannel } from '../bind.ts'
import type { Body, DeliveryReason } from '../channel.ts'
import type { Entry, Outbox } from '../outbox.ts'
import type { post } from '../wire.ts'
import type { Halves } from './halves.ts'

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
  /** How long an entry may wait while the channel does not work, ms. */
  readonly deadlineMs: number
  readonly allowPrivate: boolean
  /** The channel to hand an entry of this route to, when this one cannot tell it. */
  fallback(route: string): string | undefined
  /** Looks up what is known and renders; within a second or so, and never fails for want of it. */
  compose(entries: readonly Entry[], how: { readonly digest: boolean, readonly more: number }): Promise<Composed>
  readonly send: typeof post
  on(event: SenderEvent): void
}

/** The work on one channel: what it is done with, and what is remembered from one attempt to the next. */
export interface Work extends SenderDeps {
  /** Of the channel in a row, whatever the message; 0: it works, as far as is known. */
  failures: number
  /** What was wrong at the last of them. */
  lastDetail: string
  readonly halves: Halves
}

/** A message that failed so often is suspected of being the trouble itself: others are tried before it. */
export const SUSPECT_ATTEMPTS = 3
/** Entries that are looked at in one go. */
export const MOST_ENTRIES = 200

/** Reads one of `Message.parts`. */
export function readPart(part: string): Part {
  return JSON.parse(part) as Part // safe: `nextMessage` wrote it
}
