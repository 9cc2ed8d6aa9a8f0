import { expect, it } from 'vitest'
import { judge, lapse, UNJUDGED, type Health } from '../../src/core/health.ts'
import type { Status } from '../../src/core/result.ts'
import { resultOf } from '../support/jobs.ts'

const job = { failureThreshold: 3, successThreshold: 2 }
const EVERY = 10_000

function after(runs: readonly Status[], from: Health = UNJUDGED, firstAt = 0): Health {
  return runs.reduce((health, status, index) => judge(health, resultOf({ id: 'x' }, status, firstAt + index * EVERY), job, EVERY), from)
}

it.each<[readonly Status[], boolean | undefined]>([
  [[], undefined],
  [['unknown'], undefined],
  [['ok'], true],
  [['failed'], false],
  [['unknown', 'failed'], false],
  [['ok', 'failed', 'failed'], true],
  [['ok', 'failed', 'failed', 'failed'], false],
  [['ok', 'failed', 'failed', 'ok', 'failed', 'failed'], true],
  [['ok', 'failed', 'failed', 'unknown', 'failed'], false],
  [['failed', 'ok'], false],
  [['failed', 'ok', 'ok'], true],
  [['failed', 'ok', 'failed', 'ok'], false],
  [['ok', 'unknown'], true],
  [['failed', 'unknown'], false],
])('after %j it is %s', (runs, healthy) => {
  expect(after(runs).healthy).toBe(healthy)
})

it('holds through unknown runs for five minutes or three intervals, then lapses', () => {
  const health = after(['ok', 'unknown'])
  expect(lapse(health, EVERY + 5 * 60_000).healthy).toBe(true)
  expect(lapse(health, EVERY + 5 * 60_000 + 1).healthy).toBeUndefined()
  const slow = judge(after(['ok']), resultOf({ id: 'x' }, 'unknown', 0), job, 3_600_000)
  expect(lapse(slow, 3 * 3_600_000).healthy).toBe(true)
})

it('does not extend the hold with every further unknown run', () => {
  expect(after(['ok', 'unknown', 'unknown', 'unknown']).heldUntil).toBe(after(['ok', 'unknown']).heldUntil)
})

it('is set at once by the first conclusive run after it lapsed', () => {
  const held = after(['ok', 'unknown'])
  expect(judge(held, resultOf({ id: 'x' }, 'failed', 10 * 60_000), job, EVERY).healthy).toBe(false)
})

it('remembers when the streak of failures began', () => {
  expect(after(['ok', 'failed', 'unknown', 'failed']).failingSince).toBe(EVERY)
  expect(after(['failed', 'ok']).failingSince).toBeUndefined()
})
