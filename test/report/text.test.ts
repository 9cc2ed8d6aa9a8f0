import { expect, it } from 'vitest'
import { printable } from '../../src/report/text.ts'

it('leaves nothing of an answer that drives a terminal or turns its text around', () => {
  const drives = String.fromCodePoint(0x1b, 0x07, 0x9b, 0x0a, 0x202e, 0x2066, 0x2028, 0x200f)
  expect(printable(`a${drives}b 中文 ✓`)).toBe(`a${' '.repeat(8)}b 中文 ✓`)
})
