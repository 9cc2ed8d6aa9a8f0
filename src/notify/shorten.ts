import type { Language } from '../words/language.ts'
import type { Line, Span } from './notice.ts'
import { cuttable, lengthIn } from './text.ts'

const LEFT_OUT: Readonly<Record<Language, (count: string) => string>> = {
  en: (count) => `… [${count} characters left out]`,
  zh: (count) => `… [省略 ${count} 个字符]`,
}

/** What stands where so many characters (code points) were left out. */
export const leftOut = (count: number, language: Language): string => LEFT_OUT[language](count.toLocaleString('en-US'))

const marker = (count: number, language: Language): Span => ({ kind: 'text', text: leftOut(count, language), style: 'muted' })

/** A text that is shortened to ever other lengths: what is slow to learn of a long one is learned once. */
function shortenable(text: string, language: Language) {
  const { before } = cuttable(text)
  let whole: number | undefined
  return (most: number): { readonly kept: string, readonly left: number } | undefined => {
    // A marker that takes as much as what it stands for helps nobody.
    if (text.length <= most + LEFT_OUT[language]('1').length) return undefined
    const kept = before(most)
    whole ??= lengthIn(text, 'characters')
    return { kept, left: whole - lengthIn(kept, 'characters') }
  }
}

/** The greatest number up to `most` that passes, 0 where none does. Small ones, or a guess, are tried first: what is far too much is slow to try. */
export function greatest(most: number, passes: (count: number) => boolean, guess = 1): number {
  let low = 0
  let step = Math.max(1, guess)
  let high = most
  while (low < high) {
    const tried = Math.min(step, high)
    if (!passes(tried)) {
      high = tried - 1
      break
    }
    low = tried
    step *= 2
  }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (passes(middle)) low = middle
    else high = middle - 1
  }
  return low
}

/** The longest beginning of a text that passes, with a note of what is left out. */
export function shortenText(text: string, passes: (text: string) => boolean, language: Language): string {
  if (passes(text)) return text
  const shorten = shortenable(text, language)
  const at = (most: number) => {
    const cut = shorten(most)
    return cut ? cut.kept + leftOut(cut.left, language) : text
  }
  return at(greatest(text.length, (most) => passes(at(most))))
}

type Shortener = (most: number) => Line

/** A span at any length. A link too long for it becomes plain text before that is cut: half a URL leads nowhere. */
function spanShortener(span: Span, language: Language): Shortener {
  const shorten = shortenable(span.text, language)
  const plain: Span = span.kind === 'link' ? { kind: 'text', text: span.text } : span
  return (most) => {
    if (span.kind === 'link' && span.text.length + span.url.length <= most) return [span]
    const cut = shorten(most)
    return cut ? [{ ...plain, text: cut.kept }, marker(cut.left, language)] : [plain]
  }
}

const shortener = (line: Line, language: Language): Shortener => {
  const spans = line.map((span) => spanShortener(span, language))
  return (most) => spans.flatMap((span) => span(most))
}

const charactersOf = (line: Line) => line.reduce((sum, { text }) => sum + lengthIn(text, 'characters'), 0)

/** Shorter than this no span is cut while whole lines at the end can go instead: stumps say nothing. */
const STUMP = 40

/**
 * Lines that pass, as much of them as does: the longest spans are cut first, then the last lines go, then the first
 * `headings` lines are cut. Each loss is marked with its count of characters. What passes in no form is returned at its
 * shortest.
 */
export function shortenLines(lines: readonly Line[], headings: number, passes: (lines: readonly Line[]) => boolean, language: Language): readonly Line[] {
  if (passes(lines)) return lines
  const heads = lines.slice(0, headings)
  const rest = lines.slice(headings)
  const shorteners = rest.map((line) => shortener(line, language))
  const longest = (of: readonly Line[]) => Math.max(0, ...of.flat().map((span) => span.text.length + (span.kind === 'link' ? span.url.length : 0)))

  const capped = (most: number) => [...heads, ...shorteners.map((cut) => cut(most))]
  if (passes(capped(STUMP))) {
    const beyond = greatest(Math.max(0, longest(rest) - STUMP), (more) => passes(capped(STUMP + more)), STUMP)
    return capped(STUMP + beyond)
  }

  const cutOff = (kept: number) => {
    const lost = rest.slice(kept)
    return [...heads, ...shorteners.slice(0, kept).map((cut) => cut(STUMP)), ...(lost.length === 0 ? [] : [[marker(lost.reduce((sum, line) => sum + charactersOf(line), 0), language)]])]
  }
  const kept = greatest(rest.length, (count) => passes(cutOff(count)))
  if (kept > 0 || headings === 0 || passes(cutOff(0))) return cutOff(kept)

  const headShorteners = heads.map((line) => shortener(line, language))
  const beheaded = (most: number) => [...headShorteners.map((cut) => cut(most)), ...cutOff(0).slice(heads.length)]
  return beheaded(greatest(longest(heads), (most) => passes(beheaded(most))))
}
