import type { Alert } from './alert.ts'

/** How urgent a message is: its colour where the service has colours. */
export type Tone = 'critical' | 'warning' | 'info' | 'resolved'

/**
 * A run of text. What it says is data: a channel escapes it, so that no mention, link or markup in a label value works. Only
 * `link` and the styles become markup. No line breaks in it.
 */
export type Span =
  | { readonly kind: 'text', readonly text: string, readonly style?: 'bold' | 'code' | 'muted' }
  | { readonly kind: 'link', readonly text: string, readonly url: string }

export type Line = readonly Span[]

/** One alert: kept in one message where it can be. The first line is its heading. */
export interface Block {
  readonly tone: Tone
  readonly lines: readonly Line[]
  /** For a receiver that is a program. Not there where the alert had to be shortened and this left no room. */
  readonly alert?: Pick<Alert, 'fingerprint' | 'labels' | 'startsAt' | 'endsAt'>
}

/** Somebody who is to be called. `ids` are by channel type (`slack: U123`), and `mobile`. */
export interface Person {
  readonly name: string
  readonly ids: Readonly<Record<string, string>>
}

/** A message before any dialect: what every channel renders, and what is split when it is too long. */
export interface Notice {
  readonly tone: Tone
  /** One plain line. */
  readonly title: string
  /** Below the title: a note, counts. */
  readonly lead: readonly Line[]
  readonly blocks: readonly Block[]
  /** Below the alerts: how many more there are. */
  readonly tail: readonly Line[]
  /** Buttons, or links where the service has no buttons. */
  readonly links: readonly { readonly text: string, readonly url: string }[]
  readonly mentions: readonly Person[]
  /** Everybody in the chat is to be called. */
  readonly everyone: boolean
  /** Which of several messages this is, from 1; a channel shows it in the title. */
  readonly part?: { readonly index: number, readonly count: number }
}
