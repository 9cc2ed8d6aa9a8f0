/** How texts are counted: bytes of UTF-8, Unicode characters, or units of UTF-16. */
export type TextUnit = 'bytes' | 'characters' | 'utf16'

/** Code points of well-formed text, counting half a pair as one. */
function characters(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at += 1) {
    if (isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1))) at += 1
    count += 1
  }
  return count
}

const isHigh = (unit: number) => unit >= 0xD800 && unit <= 0xDBFF
const isLow = (unit: number) => unit >= 0xDC00 && unit <= 0xDFFF

/** The length of a text in a unit. */
export function lengthIn(text: string, unit: TextUnit): number {
  if (unit === 'bytes') return Buffer.byteLength(text)
  return unit === 'characters' ? characters(text) : text.length
}

const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' })

/** A text that can be cut often: `before(offset)` is the longest beginning of at most so many UTF-16 units that ends between two characters as a reader sees them. */
export function cuttable(text: string): { before(offset: number): string } {
  const segments = segmenter.segment(text)
  return { before: (offset) => offset >= text.length ? text : text.slice(0, segments.containing(Math.max(0, offset))?.index ?? 0) }
}

/** The text, or its longest beginning that with `…` behind takes at most `most`; never cut inside a character as a reader sees it. */
export function cutTo(text: string, most: number, unit: TextUnit): string {
  if (lengthIn(text, unit) <= most) return text
  const { before } = cuttable(text)
  let low = 0
  // No unit is larger than UTF-16's: so many units are too many in each of them.
  let high = Math.min(text.length, unit === 'characters' ? most * 2 : most)
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (lengthIn(`${before(middle)}…`, unit) <= most) low = middle
    else high = middle - 1
  }
  const kept = `${before(low)}…`
  return lengthIn(kept, unit) <= most ? kept : ''
}

// Line ends of every kind; each becomes one space.
const LINE_ENDS = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/g
// Controls; overrides and isolates, which show text in another order than it has; and what has no width but splits or hides
// words. The joiners U+200C and U+200D stay: scripts and emoji are built with them.
const UNSEEN = /[\p{Cc}\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]/gu

/** A text of somebody else as one line that shows what it is: no line ends, controls, hidden or reordering characters, no half of a pair. */
export function oneLine(text: string): string {
  return text.toWellFormed().replaceAll('\t', ' ').replaceAll(LINE_ENDS, ' ').replaceAll(UNSEEN, '')
}

/**
 * An http(s) URL that can stand in any dialect's markup, or undefined where it is none: brackets, quotes, bars and stars of
 * its path and query are percent-encoded, and it has no userinfo, which hides where a link leads.
 */
export function linkUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.host === '') return undefined
  url.username = ''
  url.password = ''
  const rest = url.href.slice(url.origin.length).replaceAll(/[()<>[\]{}"'`|\\^*~\s]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
  return url.origin + rest
}
