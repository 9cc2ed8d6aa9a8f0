import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Body } from '../../../src/notify/channel.ts'
import { feishu } from '../../../src/notify/channels/feishu.ts'
import { bindEntry, channelContract } from '../channel-contract.ts'
import { fakeFeishu, type FeishuOptions } from '../fakes/feishu.ts'
import { parsed, post } from '../fakes/fake.ts'
import { block, notice } from '../notices.ts'
import { readMarkdown } from '../read-markdown.ts'

const SECRET = 'a-secret-of-a-feishu-bot'
const TOKEN = 'fake-token-of-feishu'

const service = async (options: FeishuOptions = {}, entry: Readonly<Record<string, unknown>> = {}) => {
  const fake = await fakeFeishu({ secret: SECRET, ...options })
  return { fake, entry: { url: fake.url, secret: SECRET, ...entry } }
}

const shape = z.object({ card: z.object({
  header: z.object({ title: z.object({ content: z.string() }), template: z.string() }),
  body: z.object({ elements: z.tuple([z.object({ tag: z.literal('markdown'), content: z.string() })], z.object({ text: z.object({ content: z.string() }), behaviors: z.array(z.object({ default_url: z.string() })) })) }),
}) })
const cardOf = (body: Body) => {
  const { header, body: { elements: [text, ...buttons] } } = shape.parse(body).card
  return { title: header.title.content, template: header.template, text: text.content, buttons: buttons.map((button) => ({ text: button.text.content, url: button.behaviors[0]!.default_url })) }
}

channelContract(feishu, {
  service,
  read(body) {
    const { title, text, buttons } = cardOf(body)
    const own = [
      { pattern: /<at [^<>]*>(?:[^<>]*<\/at>)?/g, active: (match: string) => `mention:${match}` },
      { pattern: /:[A-Za-z_]+:/g, active: (match: string) => `emoji:${match}` },
    ]
    const { visible, active } = readMarkdown(text, { backslashes: true, entities: true, own })
    return { visible: [title, visible, ...buttons.map((button) => button.text)].join('\n'), active: [...active, ...buttons.map(({ url }) => `link:${url}`)] }
  },
  raw: (text) => ({ card: { header: { title: { content: 'x' }, template: 'red' }, body: { elements: [{ tag: 'markdown', content: `x\n${text}` }] } } }),
  dangerous: ['**b**', '[x](http://evil.example/)', '![x](http://evil.example/i.png)', '# heading', '- item', '1. item', '> quote', '`c`', '<at id=all></at>', '<at id="all"></at>', '<at id=ou_1></at>', '<person id="x"></person>', '~~s~~', '_i_', ':smile:', '=====', '| a | b |', '<a href="http://evil.example/">x</a>'],
  ids: { feishu: 'ou_18eac85d35a26f989317ad4f02e8bbbb' },
  secrets: [TOKEN, SECRET],
  verdicts: [
    { body: { StatusCode: 0, StatusMessage: 'success', code: 0, data: {}, msg: 'success' }, verdict: { outcome: 'sent' } },
    { body: { Extra: null, StatusCode: 0, StatusMessage: 'success' }, verdict: { outcome: 'sent' } },
    { body: { StatusCode: 0, code: 19_001, msg: 'x' }, verdict: { outcome: 'channel_dead' } },
    { status: 500, body: { code: 0 }, verdict: { outcome: 'retry', reason: 'unavailable' } },
    { body: { code: 11_232, data: {}, msg: 'frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { status: 400, body: { code: 9_499, msg: 'too many request', data: {} }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { status: 400, body: { code: 9_499, msg: 'Bad Request', data: {} }, verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 429, headers: { 'x-ogw-ratelimit-reset': '7' }, body: { code: 99_991_400, msg: 'request trigger frequency limit' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 7_000 } },
    { status: 400, body: { code: 99_991_400, msg: 'request trigger frequency limit' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 10_000 } },
    { body: { code: 230_020, msg: 'rate' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { body: { code: 19_001, msg: 'param invalid: incoming webhook access token invalid' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { code: 19_021, msg: 'sign match fail' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { code: 19_022, msg: 'Ip Not Allowed' }, verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { body: { code: 19_024, msg: 'Key Words Not Found' }, verdict: { outcome: 'channel_dead', reason: 'keyword' } },
    { body: { code: 19_036, msg: 'too large' }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { body: { code: 19_002, msg: 'params error, msg_type need' }, verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { body: { code: 200_621, msg: 'parse card json err' }, verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { body: { code: 999_999, msg: 'something new' }, verdict: { outcome: 'retry', reason: 'protocol', detail: 'code 999999: something new' } },
    { status: 503, body: { code: 999_999, msg: 'something new' }, verdict: { outcome: 'retry', reason: 'unavailable' } },
  ],
})

describe('feishu', () => {
  const example = bindEntry(feishu, feishu.example)

  it('signs in the body with the time of sending, as the documentation computes it', () => {
    const signed = bindEntry(feishu, { url: 'https://open.larksuite.com/open-apis/bot/v2/hook/t', secret: 'demo' }).request({ msg_type: 'interactive' }, 1_599_360_473_999)
    expect(parsed(signed.body)).toStrictEqual({ timestamp: '1599360473', sign: 'l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=', msg_type: 'interactive' })
    expect(signed.url).toBe('https://open.larksuite.com/open-apis/bot/v2/hook/t')
    expect(parsed(bindEntry(feishu, { url: 'https://open.larksuite.com/open-apis/bot/v2/hook/t' }).request({ a: 1 }, 1).body)).toStrictEqual({ a: 1 })
  })

  it('wants a URL without a query', () => {
    expect(feishu.options.safeParse({ url: 'https://open.feishu.cn/open-apis/bot/v2/hook/t?x=1' }).error?.issues[0]?.message).toContain('without ?')
  })

  it('calls people by id and everyone, and names the others', () => {
    const mentions = [{ name: 'Ann', ids: { feishu: 'ou_1' } }, { name: 'Bo*', ids: { mobile: '1' } }, { name: 'Cy', ids: { feishu: 'all' } }, { name: 'Di', ids: { feishu: 'x></at><at id=all' } }]
    expect(cardOf(example.render(notice({ mentions, everyone: true }))).text).toMatch(/\n\n<at id=all><\/at> <at id=ou_1><\/at> Bo&#42; Cy Di$/)
    expect(example.lint(notice({ mentions }))).toHaveLength(3)
    expect(example.lint(notice({ everyone: true }))).toHaveLength(1)
  })

  it('adds its keyword to messages that do not hold it, as the bot wants it', async () => {
    const keyword = 'prod_*告警'
    const { fake, entry } = await service({ keywords: [keyword] }, { keyword })
    try {
      const own = bindEntry(feishu, entry)
      for (const shown of [notice(), notice({ title: keyword })]) {
        const body = own.render(shown)
        expect(feishu.verdict(await post(own.request(body, Date.now())))).toStrictEqual({ outcome: 'sent' })
        expect(JSON.stringify(body).split(keyword)).toHaveLength(2)
      }
    } finally {
      await fake.close()
    }
  })

  it('is taken with as much as it may have and a signature, and refused beyond the limit of the service', async () => {
    const { fake, entry } = await service()
    try {
      const own = bindEntry(feishu, entry)
      const shown = (count: number) => own.render(notice({ blocks: [block('x', 'a'.repeat(count))] }))
      const send = async (bytes: number) => feishu.verdict(await post(own.request(shown(10 + bytes - feishu.measure(shown(10))), Date.now())))
      expect(await send(feishu.size.most)).toStrictEqual({ outcome: 'sent' })
      expect(await send(20_001)).toMatchObject({ outcome: 'message_bad', reason: 'too_large' })
    } finally {
      await fake.close()
    }
  })

  it('is refused for a wrong token or signature, and for a clock an hour off', async () => {
    const { fake, entry } = await service()
    try {
      const ask = async (changes: Readonly<Record<string, unknown>>, now = Date.now()) => {
        const own = bindEntry(feishu, { ...entry, ...changes })
        return feishu.verdict(await post(own.request(own.render(notice()), now)))
      }
      expect(await ask({ url: `${fake.url}x` })).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
      expect(await ask({ secret: 'other' })).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
      expect(await ask({}, Date.now() - 3_700_000)).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
    } finally {
      await fake.close()
    }
  })

  it('reads well', () => {
    expect(cardOf(example.render(notice({
      title: 'RedisDown: 2 firing', lead: [[{ kind: 'text', text: 'cluster prod-1' }]],
      blocks: [{ tone: 'critical', lines: [[{ kind: 'text', text: 'redis_main', style: 'bold' }], [{ kind: 'text', text: 'target ', style: 'muted' }, { kind: 'text', text: 'a.example:6379', style: 'code' }]] }, { ...block('redis-2'), tone: 'resolved' }],
      links: [{ text: 'Silence', url: 'https://am.example.org/#/silences' }, { text: 'no URL', url: 'javascript:x' }], part: { index: 1, count: 2 },
    })))).toStrictEqual({
      title: 'RedisDown: 2 firing (1/2)', template: 'red',
      text: "cluster prod-1\n\n<font color='red'>●</font> **redis_main**\n<font color='grey'>target</font> `a.example:6379`\n\n<font color='green'>●</font> **redis-2**\n\nno URL",
      buttons: [{ text: 'Silence', url: 'https://am.example.org/#/silences' }],
    })
  })
})
