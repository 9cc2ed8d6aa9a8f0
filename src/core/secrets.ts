import { inspect } from 'node:util'

/** What stands where a secret stood. */
export const HIDDEN = '<secret>'

/** Shorter values cannot be replaced without making every text unreadable. */
const SHORTEST = 4

const tainted = new Set<string>()
/** Every form of what is tainted, longest first, so that a secret which begins like another leaves no tail behind. Undefined after a new one: a config may bring thousands at once. */
let forms: readonly string[] | undefined

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

/** Has `redact` replace this text, as it is and as URLs and base64 carry it, for the life of the process. */
export function taint(text: string): void {
  if (text.length < SHORTEST) return
  if (tainted.has(text)) return
  tainted.add(text)
  forms = undefined
}

function allForms(): readonly string[] {
  return [...new Set([...tainted].flatMap((text) => [text, encodeURIComponent(text.toWellFormed()), JSON.stringify(text).slice(1, -1), Buffer.from(text).toString('base64')]))]
    .toSorted((a, b) => b.length - a.length)
}

/** The text with every tainted value replaced. Everything that leaves the process as prose passes through here. */
export function redact(text: string): string {
  let clean = text
  forms ??= allForms()
  for (const secret of forms) {
    if (clean.includes(secret)) clean = clean.replaceAll(secret, HIDDEN)
  }
  return clean
}
