import { cutTo, linkUrl, oneLine } from './text.ts'

const LONGEST_ADDRESS = 2_000

/** A text of somebody else as lines that show what they are; blank ones are left out. */
export function linesOf(text: string): string[] {
  return text.split(/[\r\n\v\f\u0085\u2028\u2029]+/).map((line) => oneLine(line).trimEnd()).filter((line) => line.trim() !== '')
}

/** A text of somebody else as one line of at most so many characters, with `…` where it was cut. */
export function shortLine(text: string, most: number): string {
  // What is far behind the cut need not be looked at: it may be megabytes.
  return cutTo(linesOf(text.slice(0, most * 4)).map((line) => line.trim()).join(' '), most, 'utf16')
}

/** The address as a link may have it, else undefined: http or https, and not longer than services take. */
export function webAddress(text: string | undefined): string | undefined {
  if (text === undefined || text.length > LONGEST_ADDRESS) return undefined
  const url = linkUrl(text.trim())
  return url !== undefined && url.length <= LONGEST_ADDRESS ? url : undefined
}
