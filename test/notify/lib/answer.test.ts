import { describe, expect, it } from 'vitest'
import { detail, jsonObject, retryAfter, unknownAnswer, wholeNumber } from '../../../src/notify/lib/answer.ts'

const answer = (status: number, headers: Readonly<Record<string, string>> = {}, body = 'words') => ({ status, headers, body })

describe('answers', () => {
  it('reads Retry-After as seconds or as a date, an hour at most', () => {
    const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT')
    const after = (text: string) => retryAfter(answer(429, { 'retry-after': text }), now).afterMs
    expect(['34', '0.5', 'Wed, 21 Oct 2026 07:28:30 GMT', 'Wed, 21 Oct 2026 07:00:00 GMT', '999999', 'soon'].map(after)).toStrictEqual([34_000, 500, 30_000, 0, 3_600_000, undefined])
    expect(retryAfter(answer(429))).toStrictEqual({})
  })

  it.each([
    [200, 'retry', 'protocol'], [302, 'retry', 'protocol'], [404, 'retry', 'protocol'], [408, 'retry', 'timeout'], [413, 'message_bad', 'too_large'], [429, 'retry', 'rate_limited'], [503, 'retry', 'unavailable'],
  ])('takes an unknown answer of %i for %s, %s', (status, outcome, reason) => {
    expect(unknownAnswer(answer(status, { 'retry-after': '3' }))).toMatchObject({ outcome, reason, detail: `HTTP ${status}: words` })
  })

  it('keeps the detail to one short line', () => {
    expect(detail(`a\nb ${'c'.repeat(500)}`)).toMatch(/^a b c{195}…$/)
    expect(detail(' \n')).toBe('no words')
  })

  it('takes objects only, and whole numbers also as text', () => {
    expect([jsonObject('{"a":1}'), jsonObject('[1]'), jsonObject('null'), jsonObject('{')]).toStrictEqual([{ a: 1 }, undefined, undefined, undefined])
    expect([0, '0', -1, '', ' ', 1.5, null, 'x', {}].map(wholeNumber)).toStrictEqual([0, 0, -1, undefined, undefined, undefined, undefined, undefined, undefined])
  })
})
