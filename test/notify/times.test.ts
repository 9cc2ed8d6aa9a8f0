import { describe, expect, it } from 'vitest'
import { durationText, latencyText, timeText } from '../../src/notify/times.ts'

const S = 1000
const MIN = 60 * S
const H = 60 * MIN
const D = 24 * H

describe('durations', () => {
  it.each([
    [0, '0 s', '0 秒'], [-5 * MIN, '0 s', '0 秒'], [NaN, '0 s', '0 秒'], [59_999, '59 s', '59 秒'], [MIN, '1 min', '1 分钟'], [4 * MIN + 59 * S, '4 min', '4 分钟'], [H, '1 h', '1 小时'],
    [2 * H + 5 * MIN, '2 h 5 min', '2 小时 5 分钟'], [23 * H + 59 * MIN, '23 h 59 min', '23 小时 59 分钟'], [3 * D, '3 d', '3 天'], [3 * D + 4 * H + 5 * MIN, '3 d 4 h', '3 天 4 小时'],
  ])('%d ms', (ms, en, zh) => { expect([durationText(ms, 'en'), durationText(ms, 'zh')]).toEqual([en, zh]) })

  it.each([[0, '0 ms'], [0.41, '0.4 ms'], [9.96, '10 ms'], [12.4, '12 ms'], [999.4, '999 ms'], [1512, '1.5 s'], [12_345, '12 s']])('%d ms of a run', (ms, text) => { expect(latencyText(ms)).toBe(text) })
})

describe('times', () => {
  const now = Date.UTC(2026, 10, 20, 19, 16)
  it.each([
    [now, 'Asia/Shanghai', '03:16 GMT+8', '03:16 GMT+8'],
    [now, 'UTC', '19:16 UTC', '19:16 UTC'],
    [now, 'America/New_York', '14:16 EST', '14:16 EST'],
    [Date.UTC(2026, 6, 1, 12), 'America/New_York', '1 Jul 08:00 EDT', '7月1日 08:00 EDT'],
    [now - 4 * H, 'Asia/Shanghai', '20 Nov 23:16 GMT+8', '11月20日 23:16 GMT+8'],
    [now - 365 * D, 'UTC', '20 Nov 2025 19:16 UTC', '2025年11月20日 19:16 UTC'],
    [NaN, 'UTC', '?', '?'], [1e18, 'UTC', '?', '?'],
  ])('%d in %s', (at, timezone, en, zh) => { expect([timeText(at, { now, timezone, lang: 'en' }), timeText(at, { now, timezone, lang: 'zh' })]).toEqual([en, zh]) })
})
