import type { Line, Notice, Span, Tone } from '../notice.ts'
import { cutTo, linkUrl, oneLine } from '../text.ts'

/** How a kind of Markdown writes things. What it gets is one line; what it returns is markup. */
export interface Dialect {
  /** Data as itself anywhere in a line. */
  escape(text: string): string
  /** A line of escaped data with what would make a list, a heading or a quote of it escaped. */
  atStart(line: string): string
  bold(escaped: string): string
  muted(escaped: string): string
  /** Of data that is `CODE_SAFE`. */
  code(text: string): string
  link(text: string, url: string): string
}

/** Data that means nothing to a client which looks for markup in code too; `:a` may begin an emoji. */
const CODE_SAFE = /^(?!.*:[A-Za-z])[\p{L}\p{N} .,:;/@=+_-]+$/u

/** Neighbours of one style as one text: what means something only together, `ht` and `tp://x` say, is escaped together. */
export function joined(line: Line): Line {
  return line.reduce<readonly Span[]>((spans, span) => {
    const last = spans.at(-1)
    if (last?.kind !== 'text' || span.kind !== 'text' || last.style !== span.style) return [...spans, span]
    return [...spans.slice(0, -1), { ...span, text: last.text + span.text }]
  }, [])
}

/** A line in a dialect. Spaces in front of it, which make code of it in places, are left out. */
export function markLine(line: Line, dialect: Dialect): string {
  return dialect.atStart(joined(line).reduce((written, span) => join(written, markSpan(span, dialect)), '').trim())
}

function markSpan(span: Span, dialect: Dialect): string {
  // Markup that begins or ends in a space is none: spaces stay outside.
  const text = oneLine(span.text)
  const inner = text.trim()
  if (inner === '') return text
  return `${/^\s*/.exec(text)?.[0]}${markWord(inner, span, dialect)}${/\s*$/.exec(text)?.[0]}`
}

function markWord(text: string, span: Span, dialect: Dialect): string {
  const escaped = dialect.escape(text)
  if (span.kind === 'link') {
    const url = linkUrl(span.url)
    return url === undefined ? escaped : dialect.link(text, url)
  }
  if (span.style === 'bold') return dialect.bold(escaped)
  if (span.style === 'muted') return dialect.muted(escaped)
  return span.style === 'code' && CODE_SAFE.test(text) ? dialect.code(text) : escaped
}

/** Stars next to a letter are no emphasis in CommonMark, so a space goes between. */
function join(written: string, next: string): string {
  const touching = written !== '' && next !== '' && !/\s$/.test(written) && !/^\s/.test(next)
  return touching && (written.endsWith('**') || next.startsWith('**')) ? `${written} ${next}` : written + next
}

/** The title with the number of the part, as one plain line. */
export function numberedTitle({ title, part }: Notice): string {
  return part ? `${oneLine(title)} (${part.index}/${part.count})` : oneLine(title)
}

/** Colours of what a chat cannot colour by itself. */
export const TONE_SIGNS: Readonly<Record<Tone, string>> = { critical: '🔴', warning: '🟠', info: '🔵', resolved: '🟢' }

/** The text of a button or a link below the alerts: long ones are nobody's to read. */
export const buttonText = (text: string): string => cutTo(oneLine(text), 100, 'characters')
