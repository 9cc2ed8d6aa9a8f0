import { afterEach, expect, it, vi } from 'vitest'
import { apart, HIDDEN, redact, Secret, taint, taintPassing } from '../../src/core/secrets.ts'

afterEach(() => { vi.useRealTimers() })

it('replaces a secret as it is and as URLs, JSON and base64 carry it, the longest first', () => {
  taint('p@ss w/rd"x')
  taint('p@ss w/rd"x-and-more')
  for (const form of ['p@ss w/rd"x', 'p%40ss%20w%2Frd%22x', 'p@ss w/rd\\"x', 'cEBzcyB3L3JkIng=', 'p@ss w/rd"x-and-more']) expect(redact(`<${form}>`)).toBe(`<${HIDDEN}>`)
})

it('keeps the secrets of others apart', () => {
  const { made, hide } = apart(() => new Secret('timeout'))
  expect([made.reveal(), String(made), hide('a timeout, dGltZW91dA=='), redact('a timeout')]).toEqual(['timeout', HIDDEN, `a ${HIDDEN}, ${HIDDEN}`, 'a timeout'])
  expect(() => apart(() => { throw new Error('broken') })).toThrow('broken')
  taint('one-of-the-config')
  expect([hide('one-of-the-config'), redact('one-of-the-config')]).toEqual(['one-of-the-config', HIDDEN])
})

it('forgets tokens that many others have replaced, but none that is in use, and none of the config', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  taint('token-of-the-config')
  for (const token of ['token-of-the-config', 'token-replaced', 'token-in-use']) taintPassing(token)
  for (let i = 0; i < 300; i++) {
    vi.advanceTimersByTime(60_000)
    taintPassing(`token-number-${i}`)
    taintPassing('token-in-use')
    if (i === 200) expect(redact('token-replaced')).toBe(HIDDEN)
  }
  expect(redact('token-of-the-config token-in-use token-number-299 token-number-100 dG9rZW4tbnVtYmVyLTEwMA==')).toBe(Array(5).fill(HIDDEN).join(' '))
  expect(redact('token-replaced token-number-0')).toBe('token-replaced token-number-0')
})

it('forgets none that was used just now, however many others are', () => {
  const tokens = Array.from({ length: 1_000 }, (_, index) => `token-of-cluster-${index}-`)
  for (const token of tokens) taintPassing(token)
  expect(tokens.map((token) => redact(token))).toEqual(tokens.map(() => HIDDEN))
})

it('takes thousands of secrets at once, and one that is no proper text', () => {
  const began = performance.now()
  for (let i = 0; i < 10_000; i++) taint(`one-of-many-${i}`)
  taint('lone\ud800')
  expect(redact('a one-of-many-9999 z lone\ud800')).toBe(`a ${HIDDEN} z ${HIDDEN}`)
  // Sorting them anew for each took a minute.
  expect(performance.now() - began).toBeLessThan(5_000)
})
