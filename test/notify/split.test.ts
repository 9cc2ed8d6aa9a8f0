import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Line, Notice } from '../../src/notify/notice.ts'
import { split } from '../../src/notify/split.ts'
import { block, manyAlerts, notice } from './notices.ts'

/** A plain dialect: everything in order, one line each. */
const shown = (part: Notice): string => [
  part.part ? `${part.title} (${part.part.index}/${part.part.count})` : part.title,
  ...[...part.lead, ...part.blocks.flatMap(({ lines }) => lines), ...part.tail].map(textOf),
  ...part.links.map(({ text, url }) => `${text} ${url}`),
  ...part.mentions.map(({ name }) => `@${name}`), ...(part.everyone ? ['@all'] : []),
].join('\n')
const textOf = (line: Line) => line.map((span) => span.kind === 'link' ? `${span.text} ${span.url}` : span.text).join('')
const within = (bytes: number) => (part: Notice) => Buffer.byteLength(shown(part)) <= bytes
const headings = (parts: readonly Notice[]) => parts.map(({ blocks }) => blocks.map(({ lines: [heading] }) => textOf(heading!)))
const lines = (...texts: string[]): readonly Line[] => texts.map((text) => [{ kind: 'text', text }])
const leftOut = (text: string) => [...text.matchAll(/… \[([\d,]+) characters left out\]/g)].map(([, count]) => Number(count!.replaceAll(',', '')))
const characters = (text: string) => [...text].length

describe('split', () => {
  it('returns what fits as it is', () => {
    const whole = manyAlerts(3)
    expect(split(whole, within(10_000))).toStrictEqual([whole])
  })

  it('packs alerts in order, with the lead and mentions first and the tail and links last', () => {
    const parts = split(notice({
      title: 't', lead: lines('lead'), blocks: ['a', 'b', 'c', 'd', 'e'].map((name) => block(name, 'x'.repeat(30))), tail: lines('tail'), links: [{ text: 'l', url: 'https://x/' }],
      mentions: [{ name: 'Ann', ids: {} }], everyone: true,
    }), within(80))
    expect(headings(parts)).toStrictEqual([['a'], ['b', 'c'], ['d', 'e'], []])
    expect(parts.map(({ part }) => part)).toStrictEqual([1, 2, 3, 4].map((index) => ({ index, count: 4 })))
    expect(parts.map(({ lead, mentions, everyone }) => [lead.length, mentions.length, everyone])).toStrictEqual([[1, 1, true], [0, 0, false], [0, 0, false], [0, 0, false]])
    expect(parts.map(({ tail, links }) => [tail.length, links.length])).toStrictEqual([[0, 0], [0, 0], [0, 0], [1, 1]])
  })

  it('takes a message at the last byte whole and splits it one byte later', () => {
    const whole = manyAlerts(20)
    const bytes = Buffer.byteLength(shown(whole))
    expect(split(whole, within(bytes))).toHaveLength(1)
    expect(split(whole, within(bytes - 1))).toHaveLength(2)
  })

  it('gives lead and tail messages of their own before it cuts an alert that fits alone', () => {
    const shape = notice({ title: 't', lead: lines('L'.repeat(60)), blocks: [block('a', 'x'.repeat(80))], tail: lines('T'.repeat(60)) })
    const parts = split(shape, within(100))
    expect(headings(parts)).toStrictEqual([[], ['a'], []])
    expect(leftOut(parts.map(shown).join('\n'))).toStrictEqual([])
    expect(split({ ...shape, blocks: [] }, within(100)).map(({ lead, tail }) => [lead.length, tail.length])).toStrictEqual([[1, 0], [0, 1]])
  })

  it('shortens an alert that is too long to the last character that fits, and keeps lead, tail and links beside it', () => {
    const text = 'x'.repeat(5_000)
    const parts = split(notice({ title: 't', lead: lines('lead'), blocks: [block('a', text)], tail: lines('tail'), links: [{ text: 'l', url: 'https://x/' }] }), within(500))
    expect(parts).toHaveLength(1)
    const all = shown(parts[0]!)
    expect(all).toMatch(/^t\nlead\na\nx+… \[4,\d{3} characters left out\]\ntail\nl https:\/\/x\/$/)
    expect(/x+…/.exec(all)![0].length - 1 + leftOut(all)[0]!).toBe(5_000)
    // The number that it would have had among several is not wider than six characters.
    expect(Buffer.byteLength(all)).toBeGreaterThanOrEqual(500 - 6)
  })

  it('shortens the longest texts first, then leaves out the last lines, and cuts the heading last', () => {
    const cut = (most: number) => shown(split(notice({ title: 't', blocks: [block('heading', 'short', 'y'.repeat(400), ...Array.from({ length: 50 }, (_, index) => `line ${index}`))] }), within(most))[0]!)
    expect(cut(800)).toMatch(/^t\nheading\nshort\ny{200,}… \[\d+ characters left out\]\nline 0\n.*line 49$/s)
    expect(cut(300)).toMatch(/^t\nheading\nshort\ny{40}… \[360 characters left out\]\nline 0\n.*\n… \[\d+ characters left out\]$/s)
    expect(cut(45)).toMatch(/^t\nheading\n… \[[\d,]+ characters left out\]$/)
    const heading = split(notice({ title: 't', blocks: [block('h'.repeat(900), 'text')] }), within(120))
    expect(shown(heading[0]!)).toMatch(/^t\nh+… \[\d+ characters left out\]\n… \[4 characters left out\]$/)
  })

  it('makes plain text of a link before it cuts it, and never cuts a URL', () => {
    const url = `https://example.org/?q=${'q'.repeat(900)}`
    const link: Line = [{ kind: 'link', text: 'graph', url }]
    const [part] = split(notice({ title: 't', blocks: [{ tone: 'critical', lines: [[{ kind: 'text', text: 'h' }], link] }] }), within(300))
    expect(shown(part!)).toBe('t\nh\ngraph')
    const [bottom] = split(notice({ title: 't', blocks: [], links: [{ text: 'graph', url }, { text: 'silence', url: 'https://x/' }] }), within(300))
    expect(bottom!.links).toStrictEqual([{ text: 'silence', url: 'https://x/' }])
    expect(shown(bottom!)).toContain('graph… [923 characters left out]')
  })

  it('shortens a title, lead and tail that leave no room', () => {
    const parts = split(notice({ title: 't'.repeat(900), lead: lines('L'.repeat(900)), blocks: [block('a', 'b')], tail: lines('T'.repeat(900)) }), within(300))
    for (const part of parts) expect(within(300)(part)).toBe(true)
    expect(leftOut(parts[0]!.title)).toHaveLength(1)
    expect(headings(parts).flat()).toStrictEqual(['a'])
    for (const letter of ['L', 'T']) {
      const all = parts.map(shown).join('\n')
      const [, kept, left] = new RegExp(`(${letter}+)… \\[([\\d,]+) c`).exec(all)!
      expect(kept!.length + Number(left)).toBe(900)
    }
  })

  it('says in Chinese what is left out', () => {
    expect(shown(split(notice({ blocks: [block('a', '语'.repeat(2_000))] }), within(600), 'zh')[0]!)).toMatch(/语… \[省略 1,\d{3} 个字符\]$/)
  })

  it('comes to an end where nothing fits', () => {
    expect(split(manyAlerts(3), () => false).length).toBeGreaterThan(2)
  })

  it('loses nothing, whatever the texts and the limit', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
    fc.assert(fc.property(fc.array(fc.array(text, { maxLength: 4 }), { minLength: 1, maxLength: 12 }), fc.array(text, { maxLength: 3 }), fc.integer({ min: 250, max: 2_000 }), (blocks, around, bytes) => {
      const whole = notice({ title: 't', lead: lines(...around), tail: lines(...around), blocks: blocks.map((texts, index) => block(`<${index}>`, ...texts)) })
      const parts = split(whole, within(bytes))
      for (const part of parts) expect(within(bytes)(part)).toBe(true)
      expect(headings(parts).flat()).toStrictEqual(whole.blocks.map((_, index) => `<${index}>`))
      const count = (notices: readonly Notice[]) => notices.flatMap(({ lead, tail, blocks: all }) => [...lead, ...tail, ...all.flatMap((one) => one.lines)]).reduce((sum, line) => {
        const said = textOf(line)
        const markers = [...said.matchAll(/… \[[\d,]+ characters left out\]/g)].reduce((total, [marker]) => total + characters(marker), 0)
        return sum + characters(said) - markers + leftOut(said).reduce((total, left) => total + left, 0)
      }, 0)
      expect(count(parts)).toBe(count([whole]))
    }), { numRuns: 200 })
  })

  it('asks about little more than what fits', () => {
    let asked = 0
    let calls = 0
    const parts = split(manyAlerts(1_000), (part) => {
      calls += 1
      asked += part.blocks.length
      return within(4_096)(part)
    })
    expect(headings(parts).flat()).toHaveLength(1_000)
    expect(asked).toBeLessThan(20_000)
    expect(calls / parts.length).toBeLessThan(10)
  })

  it('asks about little more than what fits of megabytes in one alert', () => {
    let asked = 0
    split(notice({ blocks: [block('a', 'x'.repeat(5_000_000))] }), (part) => {
      asked += shown(part).length
      return within(4_096)(part)
    })
    expect(asked).toBeLessThan(1_000_000)
  })
})
