import type { Block, Line, Notice, Person, Span, Tone } from '../notice.ts'
import { linkUrl, oneLine } from '../text.ts'
import { joined } from './markdown.ts'

/** Consecutive alerts of one tone, which share a colour. */
export function byTone(blocks: readonly Block[]): readonly { readonly tone: Tone, readonly blocks: readonly Block[] }[] {
  const runs: { tone: Tone, blocks: Block[] }[] = []
  for (const block of blocks) {
    const last = runs.at(-1)
    if (last?.tone === block.tone) last.blocks.push(block)
    else runs.push({ tone: block.tone, blocks: [block] })
  }
  return runs
}

/** The colours of the tones where a service takes any: red, orange, blue, green. */
export const HEX_COLOURS: Readonly<Record<Tone, string>> = { critical: '#D92D20', warning: '#F79009', info: '#2E90FA', resolved: '#12B76A' }

/** Links for buttons, and lines for the others: links in the text where a button takes no URL of that length, text alone where it is none of the web. */
export function usableLinks(links: Notice['links'], longest: number): { readonly usable: Notice['links'], readonly others: readonly Line[] } {
  const usable: { text: string, url: string }[] = []
  const others: Line[] = []
  for (const { text, url } of links) {
    const href = linkUrl(url)
    if (href !== undefined && href.length <= longest) usable.push({ text, url: href })
    else others.push([href === undefined ? { kind: 'text', text: `${text}: ${url}` } : { kind: 'link', text, url: href }])
  }
  return { usable, others }
}

/** A line for a service that has no muted style: it makes no border between texts, so that what they say together is escaped together. */
export function withoutMuted(line: Line): Line {
  return joined(line.map((span) => span.kind === 'text' && span.style === 'muted' ? { kind: 'text', text: span.text } : span))
}

/** A line as plain text; the URL of a link stands behind its text. */
export function plainLine(line: Line): string {
  return line.map(plainSpan).join('')
}

function plainSpan(span: Span): string {
  const text = oneLine(span.text)
  return span.kind === 'link' && oneLine(span.url) !== text ? `${text} (${oneLine(span.url)})` : text
}

/** People whom a service can call, with their id there, and those whom it does not know: their names are only shown. */
export function callable({ mentions }: Notice, type: string, pattern: RegExp): { readonly known: readonly { readonly id: string, readonly person: Person }[], readonly unknown: readonly Person[] } {
  const known = mentions.flatMap((person) => {
    const id = person.ids[type]
    return id !== undefined && pattern.test(id) ? [{ id, person }] : []
  })
  return { known, unknown: mentions.filter((person) => !known.some((one) => one.person === person)) }
}

/** What `lint` says of people whom the service cannot call. `wanted` says what an id looks like. */
export function lintMentions(notice: Notice, type: string, pattern: RegExp, wanted: string): readonly string[] {
  return callable(notice, type, pattern).unknown.map(({ name, ids }) => ids[type] === undefined
    ? `${name} cannot be called here: notify.people has no \`${type}\` id for them (${wanted})`
    : `${name} cannot be called here: \`${type}\` must be ${wanted}`)
}
