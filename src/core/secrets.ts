import { inspect } from 'node:util'

/** What stands where a secret stood. */
export const HIDDEN = '<secret>'

/** Shorter values cannot be replaced without making every text unreadable. */
const SHORTEST = 4

/** How many secrets that come and go are hidden at a time: a year of hourly tokens would have every text searched for nine thousand. */
const MOST_PASSING = 256
/** So long each of them is hidden at least, however many come after it: longer than it takes from its use until what was said of it is written, ms. */
const PASSING_MS = 600_000

const tainted = new Set<string>()
/** What `taintPassing` was given, the latest last, and when. */
const passing = new Map<string, number>()
/** Every form of what both hold, longest first, so that a secret which begins like another leaves no tail behind. Undefined after a new one: a config may bring thousands at once. */
let forms: readonly string[] | undefined
/** Where `apart` keeps what is tainted while it runs. */
let own: Set<string> | undefined

/** A value from a secret field. It prints as `<secret>` wherever it is printed by accident. */
export class Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
    taint(text)
  }

  /** The plain text, for the wire only. */
  reveal(): string {
    return this.#text
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [inspect.custom](): string {
    return HIDDEN
  }
}

/** Has `redact` replace this text, as it is and as URLs and base64 carry it, for the life of the process; within `apart`, only what that returns. */
export function taint(text: string): void {
  if (text.length < SHORTEST) return
  if (own) {
    own.add(text)
    return
  }
  if (tainted.has(text)) return
  tainted.add(text)
  forms = undefined
}

/**
 * As `taint`, for what is renewed for as long as Curlew runs, as tokens are: it is forgotten ten minutes after its last use,
 * if 256 others have been used since. Call it before each use, so that what is in use never is.
 */
export function taintPassing(text: string): void {
  if (text.length < SHORTEST || tainted.has(text)) return
  const known = passing.delete(text)
  const now = performance.now()
  passing.set(text, now)
  if (known) return
  for (const [oldest, at] of passing) {
    if (passing.size <= MOST_PASSING || now - at < PASSING_MS) break
    passing.delete(oldest)
  }
  forms = undefined
}

/**
 * Does some work whose secrets are not of Curlew's own config. They are hidden by `hide` alone, where its result is spoken
 * of: if a tenant's password is `timeout`, the word stays everywhere else, and it is forgotten with what it belongs to.
 */
export function apart<T>(work: () => T): { readonly made: T, readonly hide: (text: string) => string } {
  const before = own
  const mine = new Set<string>()
  own = mine
  try {
    const made = work()
    const hidden = formsOf(mine)
    return { made, hide: (text) => without(text, hidden) }
  } finally {
    own = before
  }
}

function formsOf(texts: ReadonlySet<string>): readonly string[] {
  return [...new Set([...texts].flatMap((text) => [text, encodeURIComponent(text.toWellFormed()), JSON.stringify(text).slice(1, -1), Buffer.from(text).toString('base64')]))]
    .toSorted((a, b) => b.length - a.length)
}

/** The text with every tainted value replaced. Everything that leaves the process as prose passes through here. */
export function redact(text: string): string {
  forms ??= formsOf(new Set([...tainted, ...passing.keys()]))
  return without(text, forms)
}

function without(text: string, secrets: readonly string[]): string {
  let clean = text
  for (const secret of secrets) {
    if (clean.includes(secret)) clean = clean.replaceAll(secret, HIDDEN)
  }
  return clean
}
