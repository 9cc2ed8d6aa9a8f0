import { expect, it } from 'vitest'
import { HIDDEN, redact, taint } from '../../src/core/secrets.ts'

it('replaces a secret as it is and as URLs, JSON and base64 carry it, the longest first', () => {
  taint('p@ss w/rd"x')
  taint('p@ss w/rd"x-and-more')
  for (const form of ['p@ss w/rd"x', 'p%40ss%20w%2Frd%22x', 'p@ss w/rd\\"x', 'cEBzcyB3L3JkIng=', 'p@ss w/rd"x-and-more']) expect(redact(`<${form}>`)).toBe(`<${HIDDEN}>`)
})

it('takes thousands of secrets at once, and one that is no proper text', () => {
  const began = performance.now()
  for (let i = 0; i < 10_000; i++) taint(`one-of-many-${i}`)
  taint('lone\ud800')
  expect(redact('a one-of-many-9999 z lone\ud800')).toBe(`a ${HIDDEN} z ${HIDDEN}`)
  // Sorting them anew for each took a minute.
  expect(performance.now() - began).toBeLessThan(5_000)
})
