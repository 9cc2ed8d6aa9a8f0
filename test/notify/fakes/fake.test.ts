import { afterEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/process.ts'
import { fakeService, post, type Fake, type FakeOptions, type FakeSpec } from './fake.ts'

const spec: FakeSpec = {
  path: '/hook', rates: [{ messages: 2, perMs: 60_000 }], counts: 'taken', tooFast: { status: 200, body: { code: 11 } }, taken: { status: 200, body: 'ok' },
  refuse: ({ text }) => text.includes('bad') ? { status: 400, body: 'bad' } : undefined,
}

let fake: Fake
const open = async (changes: Partial<FakeSpec> = {}, options: FakeOptions = { rates: [] }) => { fake = await fakeService({ ...spec, ...changes }, options) }
const send = (body = '{}') => post({ url: fake.url, headers: { 'content-type': 'application/json' }, body })

afterEach(() => fake.close())

describe('a fake service', () => {
  it('keeps what it took, and neither what it refused nor what it failed', async () => {
    await open()
    fake.fail((number) => number === 2 ? { status: 500, body: 'x' } : undefined)
    expect([await send('{"a":1}'), await send(), await send('bad'), await send('{"a":2}')].map(({ status }) => status)).toStrictEqual([200, 500, 400, 200])
    expect(fake.messages.map(({ body }) => body)).toStrictEqual([{ a: 1 }, { a: 2 }])
    expect([fake.requests(), fake.accepted(), fake.answerLost()]).toStrictEqual([4, 2, 0])
  })

  it.each([['reset', 0], ['reset_after_accept', 1]] as const)('%s: %i taken, and its answer lost', async (failure, taken) => {
    await open()
    fake.fail(failure)
    await expect(send()).rejects.toThrow('fetch failed')
    expect([fake.accepted(), fake.answerLost()]).toStrictEqual([taken, taken])
    expect((await send()).status).toBe(200)
    expect(fake.accepted() - fake.answerLost()).toBe(1)
  })

  it.each([['hang', 0], ['hang_after_accept', 1]] as const)('%s: %i taken, and no answer', async (failure, taken) => {
    await open()
    fake.fail(failure)
    const stop = new AbortController()
    const asked = fetch(fake.url, { method: 'POST', body: '{}', signal: stop.signal }).then(() => 'answered', () => 'stopped')
    await eventually(() => fake.requests() === 1)
    stop.abort()
    expect(await asked).toBe('stopped')
    expect([fake.accepted(), fake.answerLost()]).toStrictEqual([taken, taken])
  })

  it('holds its rate over a sliding window, of messages taken or of all', async () => {
    await open({}, {})
    expect([await send(), await send('bad'), await send(), await send()].map(({ body }) => body)).toStrictEqual(['ok', 'bad', 'ok', '{"code":11}'])
    expect(fake.throttled()).toBe(1)
    await fake.close()
    await open({ counts: 'all' }, {})
    expect([await send(), await send('bad'), await send()].map(({ body }) => body)).toStrictEqual(['ok', 'bad', '{"code":11}'])
  })

  it('opens again when the window has moved on', async () => {
    await open({}, { rates: [{ messages: 1, perMs: 100 }] })
    expect((await send()).body).toBe('ok')
    expect((await send()).body).toBe('{"code":11}')
    await eventually(async () => (await send()).body === 'ok')
    expect(fake.accepted()).toBe(2)
  })

  it('takes nothing for its penalty once the rate is passed', async () => {
    await open({ penaltyMs: 200 }, { rates: [{ messages: 1, perMs: 1 }] })
    await eventually(async () => (await Promise.all([send(), send(), send()])).some(({ body }) => body !== 'ok'))
    const refused = Date.now()
    await eventually(async () => (await send()).body === 'ok')
    expect(Date.now() - refused).toBeGreaterThan(150)
  })
})
