/** A text between as many backticks as it takes, so that none inside of it ends it: nothing in code is parsed. */
export function codeSpan(text: string): string {
  if (text.trim() === '') return text
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  // Blanks keep a backtick at either end apart from the fence, and are not shown.
  const edge = text.startsWith('`') || text.endsWith('`') ? ' ' : ''
  return `${fence}${edge}${text}${edge}${fence}`
}

/** A text in which the words that a pattern matches are written in another way than the rest. Blanks between words stay. */
export function byWords(text: string, risky: RegExp, rest: (text: string) => string, word: (text: string) => string): string {
  let written = ''
  let plain = ''
  for (const piece of text.split(/(\s+)/)) {
    if (!risky.test(piece)) {
      plain += piece
      continue
    }
    if (plain !== '') written += rest(plain)
    plain = ''
    written += word(piece)
  }
  return plain === '' ? written : written + rest(plain)
}
