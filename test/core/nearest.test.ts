import { expect, it } from 'vitest'
import { nearest } from '../../src/core/nearest.ts'

it.each([
  ['reddis', ['dns', 'redis'], '; did you mean redis?'],
  // Two letters that change places are one slip of the fingers, not two.
  ['prot', ['probe', 'port', 'scheme'], '; did you mean port?'],
  ['hots', ['hosts', 'host'], '; did you mean hosts?'],
  ['every', ['timeout', 'target'], ''],
  ['ab', ['cd'], ''],
])('%s of %j: %s', (word, known, sentence) => {
  expect(nearest(word, known)).toBe(sentence)
})
