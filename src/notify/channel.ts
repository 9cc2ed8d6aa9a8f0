import type { z } from 'zod'
import type { Notice } from './notice.ts'

/** At most so many messages in so many milliseconds. */
export interface Rate {
  readonly messages: number
  readonly perMs: number
}

/** Why a message was not delivered, this time or for good: a metric label. */
export const DELIVERY_REASONS = [
  // The service: asked to slow down, out of order, its answer is none that is known.
  'rate_limited', 'unavailable', 'protocol',
  // The way to it.
  'timeout', 'network', 'tls', 'private_destination',
  // The robot: token or signature wrong, removed, address or keyword rules.
  'unauthorized', 'gone', 'forbidden', 'keyword',
  // The message.
  'too_large', 'rejected',
  // Ours: it took too long, the channel is not in the config any more.
  'deadline', 'unknown_channel',
] as const
export type DeliveryReason = (typeof DELIVERY_REASONS)[number]

/**
 * What a service's answer means. `retry`: later, `afterMs` at the earliest where the service says so. `channel_dead`: no
 * message can pass until a person mends the robot. `message_bad`: this message never will. `detail` is one redacted line.
 */
export type Verdict =
  | { readonly outcome: 'sent' }
  | { readonly outcome: 'retry' | 'channel_dead' | 'message_bad', readonly reason: DeliveryReason, readonly afterMs?: number, readonly detail: string }

/** A service's answer. `body` is cut at 64 KB; header names are in lower case. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What goes over the wire; always a POST. */
export interface ChannelRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What `render` makes: JSON, unsigned. */
export type Body = Readonly<Record<string, unknown>>

/** Keys of the config that every channel has; a type's own options may not reuse them. */
export type CommonChannelKey = 'name' | 'type' | 'limits' | 'timeout' | 'deadline' | 'proxy_url' | 'no_proxy' | 'proxy_from_environment' | 'ca_file' | 'cert_file' | 'key_file'

interface ChannelSpec<S extends z.ZodObject> {
  readonly type: string
  readonly summary: string
  /** Where the vendor documents limits and errors. */
  readonly documentation: string
  readonly options: S
  /** A config entry that works, without name and type: type-checked, documented and tested. */
  readonly example: z.input<S>
  /** What the service documents, per robot; all of them hold. */
  readonly rates: readonly Rate[]
  /** The largest message, in the unit that the service counts. `of` says what is counted, for people. */
  readonly size: { readonly most: number, readonly unit: 'bytes' | 'characters' | 'utf16', readonly of: string }
  /** Pure. Numbered parts show their number. Long fields inside (a button's text) are cut here, never the blocks' text. */
  render(options: z.output<S>, notice: Notice): Body
  /** How much of `size` a rendered message takes. Bounds inside it that it breaks count as more than `most`. */
  measure(body: Body): number
  /** Whose rate is counted: the robot, as a text that holds its secret (it is hashed before it is kept). */
  robot(options: z.output<S>): string
  /** Signs, at the time of sending (`now` in ms). */
  request(options: z.output<S>, body: Body, now: number): ChannelRequest
  verdict(answer: Answer): Verdict
  /** Mistakes that the service would only tell at the first message, as sentences: a keyword that no message holds, a mention it cannot do. */
  lint?(options: z.output<S>, notice: Notice): readonly string[]
}

/** A channel type as the rest of the program sees it: options already checked, their type forgotten. */
export interface ChannelType extends Omit<ChannelSpec<z.ZodObject>, 'render' | 'robot' | 'request' | 'lint' | 'example'> {
  readonly example: Readonly<Record<string, unknown>>
  render(options: never, notice: Notice): Body
  robot(options: never): string
  request(options: never, body: Body, now: number): ChannelRequest
  lint?(options: never, notice: Notice): readonly string[]
}

type NoCommonKeys = { [K in CommonChannelKey]?: never }

/** Declares a channel type: config, docs, preview, lint and delivery follow from what it says here. */
export function defineChannel<S extends z.ZodObject<z.core.$ZodLooseShape & NoCommonKeys>>(spec: ChannelSpec<S>): ChannelType {
  // Type-checks because methods are bivariant; holds because only `bindChannel` calls them, with what `spec.options` parsed.
  return spec
}
