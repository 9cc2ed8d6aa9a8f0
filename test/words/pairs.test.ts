import { expect, it } from 'vitest'
import { LAYERS, REASONS } from '../../src/core/result.ts'
import { pairSentence } from '../../src/words/pairs.ts'

it('has a sentence for every layer and reason, in both languages', () => {
  const pairs = LAYERS.flatMap((layer) => REASONS.map((reason) => ({ layer, reason })))
  expect(new Set(pairs.map((pair) => pairSentence(pair, 'en'))).size).toBe(pairs.length)
  for (const pair of pairs) {
    expect(pairSentence(pair, 'en')).toMatch(/^[A-Z][^<>]*\.$/)
    expect(pairSentence(pair, 'zh')).toMatch(/[\u4e00-\u9fff].*。$/)
  }
})
