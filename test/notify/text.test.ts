import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutTo, cuttable, lengthIn, linkUrl, oneLine } from '../../src/notify/text.ts'

describe('lengthIn', () => {
  it.each([['', 0, 0, 0], ['a', 1, 1, 1], ['é', 2, 1, 1], ['语', 3, 1, 1], ['😀', 4, 1, 2], ['\uD83Dx', 4, 2, 2]])('%j is %i bytes, %i characters, %i units', (text, bytes, characters, utf16) => {
    expect([lengthIn(text, 'bytes'), lengthIn(text, 'characters'), lengthIn(text, 'utf16')]).toStrictEqual([bytes, characters, utf16])
  })
})

describe('cutTo', () => {
  it('cuts between characters as a reader sees them', () => {
    expect(cutTo('👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 16, 'characters')).toBe('👩‍👩‍👧‍👦👩‍👩‍👧‍👦')
    expect(cutTo('👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 13, 'characters')).toBe('👩‍👩‍👧‍👦…')
    expect(cutTo('语言语言', 11, 'bytes')).toBe('语言…')
    expect(cutTo('e\u0301e\u0301', 3, 'utf16')).toBe('e\u0301…')
    expect(cutTo('语', 2, 'bytes')).toBe('')
  })

  it('keeps as much as the budget allows, in every unit', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 3, max: 80 }), fc.constantFrom('bytes', 'characters', 'utf16'), (text, most, unit) => {
      const cut = cutTo(text, most, unit)
      expect(lengthIn(cut, unit)).toBeLessThanOrEqual(most)
      if (cut === text) return
      const { before } = cuttable(text)
      const kept = cut.slice(0, -1)
      expect(before(kept.length)).toBe(kept)
      const more = Array.from({ length: 40 }, (_, extra) => before(kept.length + extra + 1)).find((longer) => longer !== kept)
      if (more !== undefined) expect(lengthIn(`${more}…`, unit)).toBeGreaterThan(most)
    }))
  })
})

describe('oneLine', () => {
  it.each([
    ['a\nb\r\nc\td\u2028e', 'a b c d e'], ['rtl\u202Egnp.exe', 'rtlgnp.exe'], ['\u2066x\u2069', 'x'], ['nul\u0000\u0007\u001B[31m', 'nul[31m'], ['@\u200Beveryone\uFEFF', '@everyone'],
    ['lone\uD83D', 'lone\uFFFD'], ['👩‍👩‍👧‍👦', '👩‍👩‍👧‍👦'], ['نمی\u200Cخواهم', 'نمی\u200Cخواهم'],
  ])('%j is %j', (text, line) => expect(oneLine(text)).toBe(line))
})

describe('linkUrl', () => {
  it.each([
    ['https://x.example/a?b=c&d=%20#e', 'https://x.example/a?b=c&d=%20#e'], ['http://[::1]:9090/', 'http://[::1]:9090/'],
    ['http://x.example/a)|*<>"', 'http://x.example/a%29%7C%2A%3C%3E%22'], ['http://user:word@x.example/', 'http://x.example/'],
    ['javascript:alert(1)', undefined], ['ftp://x.example/', undefined], ['//x.example', undefined], ['', undefined],
  ])('%j is %j', (text, url) => expect(linkUrl(text)).toBe(url))
})
