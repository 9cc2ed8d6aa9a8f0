import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createLogins } from '../../../src/discover/kubernetes/logins.ts'
import { KubeError, type KubeClient } from '../../../src/kubernetes/model.ts'

beforeEach(() => { vi.useFakeTimers({ toFake: ['setInterval', 'performance'] }) })
afterEach(() => { vi.useRealTimers() })

/** A client whose answer the test says. */
function world(answer: () => unknown) {
  const asked: string[] = []
  let changes = 0
  const client = { async json({ path }: { path: string }) { asked.push(path); return answer() } } as unknown as KubeClient
  const logins = createLogins({ client, onChange: () => { changes++ } })
  return { logins, asked, changes: () => changes }
}

const secret = (password: string) => ({ data: { password: Buffer.from(password).toString('base64'), other: 'aGlkZGVu' } })

it('reads a Secret again every few minutes, and tells when it says something else', async () => {
  let password = 'first-password'
  const { logins, asked, changes } = world(() => secret(password))
  expect(logins.get('shop', 'login')).toEqual({ state: 'pending' })
  await logins.idle()
  const first = logins.get('shop', 'login')
  expect(first).toMatchObject({ state: 'known', username: undefined })
  expect(asked).toEqual(['/api/v1/namespaces/shop/secrets/login'])
  vi.advanceTimersByTime(240_000)
  await logins.idle()
  expect(asked).toHaveLength(2)
  expect(changes()).toBe(1)
  expect(logins.get('shop', 'login')).toBe(first)
  password = 'second-password'
  vi.advanceTimersByTime(240_000)
  await logins.idle()
  expect(changes()).toBe(2)
  const second = logins.get('shop', 'login')
  expect(second).toMatchObject({ state: 'known', version: 2 })
  expect(second.state === 'known' && second.password.reveal()).toBe('second-password')
  logins.keep(new Set())
  vi.advanceTimersByTime(600_000)
  await logins.idle()
  expect(asked).toHaveLength(3)
  logins.stop()
})

it('keeps the last good content while the API is away, and none that was taken away', async () => {
  let answer: () => unknown = () => secret('a-password')
  const { logins } = world(() => answer())
  logins.get('shop', 'login')
  await logins.idle()
  answer = () => { throw new KubeError('unreachable', 'away') }
  vi.advanceTimersByTime(240_000)
  await logins.idle()
  expect(logins.get('shop', 'login')).toMatchObject({ state: 'known' })
  answer = () => { throw new KubeError('not_found', 'gone') }
  vi.advanceTimersByTime(60_000)
  await logins.idle()
  expect(logins.get('shop', 'login')).toEqual({ state: 'refused', message: 'there is no such Secret in the namespace' })
  logins.stop()
})

it.each([
  ['no password', {}, 'expected the Secret to have the key password'],
  ['no data', { data: null }, 'expected the Secret to have the key password'],
  ['an empty one', secret(''), 'expected the Secret to have the key password'],
  ['a huge one', secret('x'.repeat(2_000)), 'expected at most 1024 characters in each key of the Secret'],
  ['nonsense', 'x', 'expected the Secret to have the key password'],
])('%s', async (_what, answer, message) => {
  const { logins } = world(() => answer)
  logins.get('shop', 'login')
  await logins.idle()
  expect(logins.get('shop', 'login')).toEqual({ state: 'refused', message })
  logins.stop()
})
