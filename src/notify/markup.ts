import type { Line, Span } from './notice.ts'
import { linesOf, webAddress } from './foreign.ts'
import { oneLine } from './text.ts'

/** What encloses a value in the text of a template. No text of a person can hold these: they are taken out first. */
const OPEN = '\u0001'
const CLOSE = '\u0002'
const ENCLOSED = /\u0001([^\u0001\u0002]*)\u0002/g // oxlint-disable-line no-control-regex -- these are why no value can pass for markup
const ENCLOSING = /[\u0001\u0002]/g // oxlint-disable-line no-control-regex -- as above
const MARKUP = /\*\*((?:(?!\*\*).)+)\*\*|`([^`]+)`|\[([^[\]]+)\]\(([^()\s]+)\)/g
const MOST_LINES = 200

/** A value as it may stand between markup: nothing in it will be taken for any. */
export function enclose(value: string): string {
  return `${OPEN}${unenclosed(value)}${CLOSE}`
}

/** The text without the signs that enclose a value. */
export function unenclosed(text: string): string {
  return text.replace(ENCLOSING, '')
}

/**
 * Reads `**bold**`, `` `code` `` and `[text](https://…)`, line by line; blank lines are left out. Values that `enclose` made
 * are text, or part of an address. A link that is no web address is told as its text.
 */
export function readMarkup(source: string): Line[] {
  const values: string[] = []
  // A value is one sign while markup is looked for; one of several lines goes on below with the rest of its line.
  const text = source.replace(ENCLOSED, (_, value: string) => (linesOf(value).map((line) => {
    values.push(line)
    return OPEN
  }).join('\n')))
  let used = 0
  const filled = (part: string) => part.replace(ENCLOSING, (sign) => (sign === OPEN ? values[used++] ?? '' : ''))

  return text.split(/[\r\n]+/).slice(0, MOST_LINES).map((line) => line.trimEnd()).flatMap((line) => {
    const spans: Span[] = []
    let end = 0
    const add = (part: string, style?: 'bold' | 'code') => {
      const clean = oneLine(filled(part))
      if (clean !== '') spans.push({ kind: 'text', text: clean, ...style ? { style } : {} })
    }
    for (const found of line.matchAll(MARKUP)) {
      const [all, bold, code, label = '', address = ''] = found
      if (found.index > end) add(line.slice(end, found.index))
      end = found.index + all.length
      if (bold !== undefined) add(bold, 'bold')
      else if (code !== undefined) add(code, 'code')
      else {
        const shown = oneLine(filled(label))
        const url = webAddress(filled(address))
        if (url === undefined) spans.push({ kind: 'text', text: shown })
        else spans.push({ kind: 'link', text: shown.trim() || url, url })
      }
    }
    add(line.slice(end))
    return spans.some(({ text: said }) => said.trim() !== '') ? [spans] : []
  })
}
