import type { Language } from '../words/language.ts'
import type { Block, Line, Notice } from './notice.ts'
import { greatest, leftOut, shortenLines, shortenText } from './shorten.ts'

type Fits = (part: Notice) => boolean

/** What stands around the alerts of a part: the first has lead and mentions, the last tail and links. */
type Frame = Pick<Notice, 'lead' | 'tail' | 'links' | 'mentions' | 'everyone'>

const BARE: Frame = { lead: [], tail: [], links: [], mentions: [], everyone: false }

/**
 * The notice as parts that each fit, in order; itself alone if it does. Lossless: every alert is in one part, whole, and only
 * one that alone is too long is shortened, with a note of how many characters are left out; so are a title, lead or tail
 * that leave no room. The lead and the mentions are in the first part, so that nobody is called twice; the tail and the links
 * in the last, the one that a chat shows above its input. Parts are numbered unless there is only one.
 *
 * `ask` must say yes to less of what it said yes to. It is asked a few dozen times for each part, of about as much as fits.
 */
export function split(notice: Notice, ask: Fits, language: Language = 'en'): readonly Notice[] {
  const fits = beginningsFirst(ask)
  if (fits(notice)) return [notice]
  // No number of a part will be wider than this one.
  const widest = Number('9'.repeat(String(notice.blocks.length + 2).length))
  const numbered: Fits = (part) => fits({ ...part, part: { index: widest, count: widest } })
  const whole = withFittingFrame(notice, numbered, language)
  const parts = pack(whole, numbered, language)
  if (parts.length === 1) return parts
  return parts.map((part, index) => ({ ...part, part: { index: index + 1, count: parts.length } }))
}

/** No chat takes a text of so many UTF-16 units, and rendering one takes milliseconds. */
const LONG = 100_000

/** What does not fit with the beginnings of its long lines does not fit at all: a megabyte is rendered only where it may pass. */
function beginningsFirst(fits: Fits): Fits {
  const beginning = (line: Line): Line => line.map((span) => span.text.length > LONG ? { ...span, text: span.text.slice(0, LONG) } : span)
  const isLong = (line: Line) => line.some(({ text }) => text.length > LONG)
  return (part) => {
    const { lead, tail, blocks } = part
    if (![...lead, ...tail, ...blocks.flatMap(({ lines }) => lines)].some(isLong)) return fits(part)
    return fits({ ...part, lead: lead.map(beginning), tail: tail.map(beginning), blocks: blocks.map((block) => ({ ...block, lines: block.lines.map(beginning) })) }) && fits(part)
  }
}

/** The notice with a title, lead, mentions, tail and links that fit when they stand without alerts. */
function withFittingFrame(notice: Notice, fits: Fits, language: Language): Notice {
  const { part: _, ...unnumbered } = notice
  // Twice the title, so that one beside it takes at most half of the room.
  const title = shortenText(notice.title, (text) => fits({ ...unnumbered, ...BARE, blocks: [], title: text + text }), language)
  const bare: Notice = { ...unnumbered, ...BARE, title, blocks: [] }
  const { mentions, everyone } = notice
  const called = mentions.slice(0, greatest(mentions.length, (count) => fits({ ...bare, everyone, mentions: mentions.slice(0, count) }), mentions.length))
  const first: Notice = { ...bare, everyone, mentions: called }
  const lead = shortenLines(notice.lead, 0, (lines) => fits({ ...first, lead: lines }), language)
  const end = withFittingLinks({ ...bare, tail: notice.tail, links: notice.links }, fits, language)
  return { ...first, lead, tail: end.tail, links: end.links, blocks: notice.blocks }
}

/** A URL is whole or not at all: what links leave no room for becomes a line that says so, the longest first. */
function withFittingLinks(end: Notice, fits: Fits, language: Language): Notice {
  if (fits(end)) return end
  const byLength = end.links.toSorted((a, b) => b.url.length - a.url.length)
  const without = (count: number): Notice => {
    const dropped = new Set(byLength.slice(0, count))
    const named = end.links.filter((link) => dropped.has(link)).map(({ text, url }) => [{ kind: 'text', text: `${text}${leftOut(url.length, language)}`, style: 'muted' }] as const)
    return { ...end, tail: named, links: end.links.filter((link) => !dropped.has(link)) }
  }
  const linked = end.links.length - greatest(end.links.length, (kept) => fits(without(end.links.length - kept)))
  const { tail: named, links } = without(linked)
  return { ...end, links, tail: shortenLines([...end.tail, ...named], 0, (tail) => fits({ ...end, links, tail }), language) }
}

/** Packs the alerts into as few parts as their order allows. */
function pack(notice: Notice, fits: Fits, language: Language): readonly Notice[] {
  const { blocks } = notice
  const { lead, mentions, everyone } = notice
  const end = { tail: notice.tail, links: notice.links }
  const make = (frame: Frame, alerts: readonly Block[]): Notice => ({ ...notice, ...frame, blocks: alerts })
  const parts: Notice[] = []
  let frame: Frame = lead.length > 0 || mentions.length > 0 || everyone ? { ...BARE, lead, mentions, everyone } : BARE
  let from = 0
  let guess = 1
  while (from < blocks.length) {
    const rest = blocks.length - from
    const count = greatest(rest, (tried) => fits(make(frame, blocks.slice(from, from + tried))), guess)
    if (count === rest && fits(make({ ...frame, ...end }, blocks.slice(from)))) return [...parts, make({ ...frame, ...end }, blocks.slice(from))]
    if (count > 0) {
      parts.push(make(frame, blocks.slice(from, from + count)))
      from += count
      guess = count
      frame = BARE
      continue
    }
    const block = blocks.slice(from, from + 1)
    if (frame !== BARE && (fits(make(BARE, block)) || !isSmall(make(frame, []), fits))) {
      // Beside this lead the first alert does not fit, and cutting either would lose something.
      parts.push(make(frame, []))
      frame = BARE
      continue
    }
    const last = rest === 1 && isSmall(make({ ...frame, ...end }, []), fits)
    if (last) frame = { ...frame, ...end }
    parts.push(make(frame, block.map((long) => {
      const { alert, ...bare } = long
      const kept = alert && fits(make(frame, [{ ...long, lines: long.lines.slice(0, 1) }])) ? long : bare
      return { ...kept, lines: shortenLines(long.lines, 1, (lines) => fits(make(frame, [{ ...kept, lines }])), language) }
    })))
    if (last) return parts
    from += 1
    frame = BARE
  }
  if (end.tail.length === 0 && end.links.length === 0 && parts.length > 0) return parts
  const together = make({ ...frame, ...end }, [])
  return frame === BARE || fits(together) ? [...parts, together] : [...parts, make(frame, []), make({ ...BARE, ...end }, [])]
}

/** Whether what stands around alerts leaves them at least half of the room. */
function isSmall(frame: Notice, fits: Fits): boolean {
  return fits({ ...frame, lead: [...frame.lead, ...frame.lead], tail: [...frame.tail, ...frame.tail], links: [...frame.links, ...frame.links], mentions: [...frame.mentions, ...frame.mentions] })
}
