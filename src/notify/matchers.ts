import { RE2JS } from 're2js'

const OPERATORS = ['=~', '!~', '!=', '='] as const

/** One condition on one label. */
export interface Matcher {
  readonly name: string
  readonly operator: (typeof OPERATORS)[number]
  readonly value: string
  /** Of `=~` and `!~`: anchored at both ends. */
  readonly pattern?: RE2JS
}

/** All of them must match. */
export type Matchers = readonly Matcher[]

/**
 * Reads one entry of `matchers:` as Alertmanager does in its default mode: by the classic grammar where that understands it,
 * else by the one with UTF-8 label names. `{}` is no condition at all. Throws an Error with a sentence that says where.
 */
export function readMatchers(text: string): Matchers {
  if (text.trim() === '') throw new Error('expected a matcher such as severity="critical"')
  return readClassic(text) ?? readUtf8(text)
}

/** Whether all match. A label that is not there is the empty text. */
export function matches(matchers: Matchers, labels: Readonly<Record<string, string>>): boolean {
  return matchers.every(({ name, operator, value, pattern }) => {
    const label = Object.hasOwn(labels, name) ? labels[name] ?? '' : ''
    const hit = pattern ? pattern.test(label) : label === value
    return operator.startsWith('!') ? !hit : hit
  })
}

function matcher(name: string, operator: Matcher['operator'], value: string): Matcher {
  return operator.endsWith('~') ? { name, operator, value, pattern: RE2JS.compile(`^(?:${value})$`) } : { name, operator, value }
}

const CLASSIC = /^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)([^]*)$/

/** Undefined where the classic grammar (before Alertmanager 0.27) does not understand the text. */
function readClassic(text: string): Matchers | undefined {
  const parts = splitClassic(text.replace(/^\{/, '').replace(/\}$/, ''))
  const read = parts.map((part) => {
    const [, name = '', operator = '', raw = ''] = CLASSIC.exec(part) ?? []
    const value = name === '' ? undefined : classicValue(raw.trim())
    try {
      return value === undefined ? undefined : matcher(name, operator as Matcher['operator'], value) // safe: the pattern lists the operators
    } catch {
      // The other reader says where.
      return undefined
    }
  })
  return read.every((one) => one !== undefined) ? read : undefined
}

/** At the commas outside of quotes; one at the end is none. */
function splitClassic(text: string): readonly string[] {
  const parts = text.match(/(?:"(?:\\[^]|[^"\\])*"|\\[^]|[^,])+|,/g) ?? []
  const joined: string[] = ['']
  for (const part of parts) {
    if (part === ',') joined.push('')
    else joined[joined.length - 1] = part
  }
  return joined.at(-1)?.trim() === '' ? joined.slice(0, -1) : joined
}

/** A backslash that escapes nothing is one. Undefined where a quote stands inside, or is not closed. */
function classicValue(raw: string): string | undefined {
  const quoted = /^"((?:\\[^]|[^"\\])*)"$/.exec(raw)?.[1]
  const inner = quoted ?? raw
  if (quoted === undefined && /^"|(?<!\\)(?:\\\\)*"/.test(raw)) return undefined
  return inner.replace(/\\([n"\\])/g, (_match, escaped: string) => (escaped === 'n' ? '\n' : escaped))
}

const SPACE = /\p{White_Space}/u
const BARE = /[^\p{White_Space}{}!=~,\\"'`]+/uy
const QUOTED = /"(?:\\[^]|[^"\\])*"/y

/** The grammar since Alertmanager 0.27: names and values are bare words or Go's double-quoted texts. */
function readUtf8(text: string): Matchers {
  const found: Matcher[] = []
  let at = 0
  const fail = (wanted: string, where = at) => new Error(`expected ${wanted} at character ${[...text.slice(0, where)].length + 1} of ${text}`)
  const skip = () => {
    while (SPACE.test(text[at] ?? '')) at++
  }
  const take = (token: string) => {
    skip()
    if (!text.startsWith(token, at)) return false
    at += token.length
    return true
  }
  const word = (wanted: string) => {
    skip()
    const start = at
    const sticky = text[at] === '"' ? QUOTED : BARE
    sticky.lastIndex = at
    const taken = sticky.exec(text)?.[0]
    if (taken === undefined) throw fail(text[at] === '"' ? `the end of the quotes that begin` : wanted)
    at += taken.length
    if (sticky === BARE) return taken
    const plain = unquote(taken.slice(1, -1))
    if (plain === undefined) throw fail('quotes with escapes such as \\" and \\\\ only', start)
    return plain
  }

  const braces = take('{')
  const end = () => {
    skip()
    return braces ? text[at] === '}' : at >= text.length
  }
  while (!end()) {
    const name = word('a label name')
    skip()
    const operator = OPERATORS.find((one) => text.startsWith(one, at))
    if (!operator) throw fail('=, !=, =~ or !~')
    at += operator.length
    skip()
    const valueAt = at
    const value = word('a value')
    try {
      found.push(matcher(name, operator, value))
    } catch (error) {
      throw new Error(`${fail("a regular expression of RE2's syntax", valueAt).message}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    if (!end() && !take(',')) throw fail(braces ? 'a comma or }' : 'a comma')
  }
  if (braces && take('}')) skip()
  if (at < text.length) throw fail('nothing more')
  return found
}

const ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, '"': 34 }
const ESCAPE = /\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|([^\\\n]+)|[^]/gu

/** What Go's `strconv.Unquote` makes of it, or undefined. `\xe6\x97\xa5` is bytes of UTF-8. */
function unquote(inner: string): string | undefined {
  const bytes: Buffer[] = []
  for (const [, simple, hex, octal, short, long, plain] of inner.matchAll(ESCAPE)) {
    const code = short ?? long
    if (plain !== undefined) bytes.push(Buffer.from(plain))
    else if (simple !== undefined) bytes.push(Buffer.of(ESCAPES[simple] ?? 0))
    else if (hex !== undefined) bytes.push(Buffer.of(parseInt(hex, 16)))
    else if (octal !== undefined && parseInt(octal, 8) < 256) bytes.push(Buffer.of(parseInt(octal, 8)))
    else if (code !== undefined && isCharacter(parseInt(code, 16))) bytes.push(Buffer.from(String.fromCodePoint(parseInt(code, 16))))
    else return undefined
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(bytes))
  } catch {
    return undefined
  }
}

function isCharacter(code: number): boolean {
  return code <= 0x10_ff_ff && (code < 0xd8_00 || code > 0xdf_ff)
}
