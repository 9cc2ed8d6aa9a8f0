import type { Reading } from './channel-contract.ts'

/** What a kind of Markdown understands. */
export interface Markdown {
  /** A backslash before punctuation makes it a character. */
  readonly backslashes?: boolean
  /** `&lt;` and `&#60;` are characters. */
  readonly entities?: boolean
  /** Patterns of the dialect's own; what is seen in their place is `shown`, a template of `replace`. They come before all others. */
  readonly own?: readonly { readonly pattern: RegExp, readonly active: (match: string) => string, readonly shown?: string }[]
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', nbsp: ' ', sim: '~' }
/** Characters that are no markup any more are kept in a plane of Unicode that nobody uses until the end. */
const HELD = 0xF0000
const hold = (text: string) => Array.from(text, (character) => character.codePointAt(0)! < 0x80 ? String.fromCodePoint(HELD + character.codePointAt(0)!) : character).join('')
const release = (text: string) => text.replaceAll(/[\u{F0000}-\u{F007F}]/gu, (held) => String.fromCodePoint(held.codePointAt(0)! - HELD))

const MARKUP: readonly { readonly pattern: RegExp, readonly active: string, readonly shown: string }[] = [
  { pattern: /(`+)(?!`)([^\n]*?[^`\n])\1(?!`)/g, active: 'code', shown: '$2' },
  { pattern: /<\/?[a-zA-Z][^<>\n]*>|<!--.*?-->/g, active: 'html', shown: '' },
  { pattern: /<([@!#][^<>\n]*)>/g, active: 'mention', shown: '$1' },
  { pattern: /\*\*(?=\S)([^\n]+?)\*\*/g, active: 'bold', shown: '$1' },
  { pattern: /(?<![\p{L}\p{N}])__(?=\S)([^\n]+?)__(?![\p{L}\p{N}])/gu, active: 'bold', shown: '$1' },
  { pattern: /\*(?=[^\s*])([^\n*]+?)\*/g, active: 'italic', shown: '$1' },
  { pattern: /(?<![\p{L}\p{N}])_(?=[^\s_])([^\n]+?)_(?![\p{L}\p{N}])/gu, active: 'italic', shown: '$1' },
  { pattern: /~~?(?=[^\s~])([^\n~]+?)~~?/g, active: 'strike', shown: '$1' },
  { pattern: /^[ \t>]*[-*_](?:[ \t]*[-*_]){2,}[ \t]*$/gm, active: 'rule', shown: '' },
  { pattern: /^[ \t>]*=+[ \t]*$/gm, active: 'heading', shown: '' },
  { pattern: /^[ \t>]*#{1,6}(?=\s|\S)[ \t]*/gm, active: 'heading', shown: '' },
  { pattern: /^[ \t]*>[ \t]*/gm, active: 'quote', shown: '' },
  { pattern: /^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+/gm, active: 'list', shown: '' },
  { pattern: /^[ \t]*\|/gm, active: 'table', shown: '|' },
]

/** Reads Markdown generously: what any client might take for markup is active. It shares nothing with the code that writes it. */
export function readMarkdown(source: string, { backslashes = false, entities = false, own = [] }: Markdown): Reading {
  const active: string[] = []
  let text = source
  // Code first: neither escapes nor tags hold in it.
  text = text.replaceAll(MARKUP[0]!.pattern, (match: string, _ticks: string, inner: string, at: number) => {
    if (backslashes && text[at - 1] === '\\') return match
    active.push('code')
    return hold(inner)
  })
  if (backslashes) text = text.replaceAll(/\\([!-/:-@[-`{-~])/g, (_, character: string) => hold(character))
  if (entities) text = text.replaceAll(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]+));/g, (all, decimal?: string, hex?: string, name?: string) => {
    const character = name !== undefined ? NAMED[name] : String.fromCodePoint(decimal !== undefined ? Number(decimal) : Number.parseInt(hex ?? '0', 16))
    return character === undefined ? all : hold(character)
  })
  for (const { pattern, active: name, shown = '' } of own) {
    for (const [match] of text.matchAll(pattern)) active.push(release(name(match)))
    text = text.replaceAll(pattern, shown)
  }
  text = text.replaceAll(/!\[([^\]\n]*)\]\(([^()\n]*)\)/g, (_, alt: string) => { active.push('image'); return alt })
  text = text.replaceAll(/\[((?:[^[\]\n]|\[[^[\]\n]*\])*)\]\(([^()\s]*)\)/g, (_, label: string, url: string) => { active.push(`link:${release(url)}`); return label })
  text = text.replaceAll(/<(https?:\/\/[^<>\s]*)>/g, (_, url: string) => { active.push(`link:${release(url)}`); return hold(url) })
  text = text.replaceAll(/^\[[^\]\n]+\]:[ \t]*\S+/gm, () => { active.push('definition'); return '' })
  for (const { pattern, active: name, shown } of MARKUP) {
    for (const _ of text.matchAll(pattern)) active.push(name)
    text = text.replaceAll(pattern, shown)
  }
  return { visible: release(text), active }
}
