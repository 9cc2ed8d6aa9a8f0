import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Body } from '../../../src/notify/channel.ts'
import { dingtalk } from '../../../src/notify/channels/dingtalk.ts'
import { bindEntry, channelContract } from '../channel-contract.ts'
import { fakeDingtalk, type DingtalkOptions } from '../fakes/dingtalk.ts'
import { post } from '../fakes/fake.ts'
import { block, notice } from '../notices.ts'
import { readMarkdown } from '../read-markdown.ts'

const TOKEN = 'c0ffee0123456789c0ffee0123456789'
const SECRET = 'SECdeadbeefdeadbeefdeadbeef'

const service = async (options: DingtalkOptions = {}, entry: Readonly<Record<string, unknown>> = {}) => {
  const fake = await fakeDingtalk({ token: TOKEN, secret: SECRET, ...options })
  return { fake, entry: { url: `${fake.url}?access_token=${TOKEN}`, secret: SECRET, ...entry } }
}

const shape = z.object({
  markdown: z.object({ title: z.string(), text: z.string() }),
  at: z.object({ atMobiles: z.array(z.string()), atUserIds: z.array(z.string()), isAtAll: z.boolean() }),
})
const bodyOf = (body: Body) => shape.parse(body)

channelContract(dingtalk, {
  service,
  read(body) {
    const { markdown, at } = bodyOf(body)
    // Any word that begins with @ is looked up among the people.
    const mentions = { pattern: /(?<![\w.-])@(\S+)/g, active: (match: string) => `mention:${match}`, shown: '@$1' }
    const { visible, active } = readMarkdown(markdown.text, { backslashes: true, entities: true, own: [mentions] })
    return { visible: visible.replaceAll('＠', '@'), active: [...active, ...(at.isAtAll ? ['mention:all'] : [])] }
  },
  raw: (text) => ({ msgtype: 'markdown', markdown: { title: 'x', text: `x\n\n${text}` }, at: { atMobiles: [], atUserIds: [], isAtAll: false } }),
  dangerous: ['**b**', '[x](http://evil.example/)', '![x](http://evil.example/i.png)', '# heading', '- item', '1. item', '> quote', '<font color="red">x</font>', '`c`', '@13800000000', '=====', '----', '<http://evil.example/>'],
  ids: { dingtalk: 'user123', mobile: '13800000000' },
  secrets: [TOKEN, SECRET],
  verdicts: [
    { body: { errcode: 0, errmsg: 'ok' }, verdict: { outcome: 'sent' } },
    { body: { errcode: '0', errmsg: 'ok' }, verdict: { outcome: 'sent' } },
    { status: 500, body: { errcode: 0, errmsg: 'ok' }, verdict: { outcome: 'retry', reason: 'unavailable' } },
    { status: 403, body: { errcode: 0, errmsg: 'ok' }, verdict: { outcome: 'retry', reason: 'protocol' } },
    { body: { errcode: 130_101, errmsg: 'send too fast, exceed 20 times per minute' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { body: { errcode: 410_100, errmsg: '发送速度太快而限流' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { body: { status: 1111, wait: 5, source: 'x5', punish: 'deny', uuid: '0a1b' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 5_000 } },
    { body: { status: 1111, punish: 'deny' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 60_000 } },
    { body: { status: 1111, wait: 1e9, punish: 'deny' }, verdict: { outcome: 'retry', afterMs: 3_600_000 } },
    { body: { errcode: 90_030, errmsg: 'webhook over limit' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { body: { errcode: -1, errmsg: '系统繁忙' }, verdict: { outcome: 'retry', reason: 'unavailable' } },
    { body: { errcode: 310_000, errmsg: 'keywords not in content, more: [https://x]' }, verdict: { outcome: 'channel_dead', reason: 'keyword' } },
    { body: { errcode: 310_000, errmsg: 'description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词;' }, verdict: { outcome: 'channel_dead', reason: 'keyword' } },
    { body: { errcode: 310_000, errmsg: 'sign not match, more: [https://x]' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 310_000, errmsg: 'invalid timestamp, more: [https://x]' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 310_000, errmsg: 'description:机器人发送签名不匹配;solution:请确认签名;link:x' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 310_000, errmsg: 'description:ip 不在白名单;solution:请添加;link:https://open.dingtalk.com/document/assign-an-ip' }, verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { body: { errcode: 310_000, errmsg: 'ip 203.0.113.7 not in whitelist' }, verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { body: { errcode: 300_001, errmsg: 'token is not exist' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 300_005, errmsg: 'token is not exist' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 400_101, errmsg: 'token' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 40_035, errmsg: '缺少参数 access_token' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { errcode: 400_013, errmsg: '群已被解散' }, verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { body: { errcode: 400_102, errmsg: '机器人已停用' }, verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { body: { errcode: 400_106, errmsg: '机器人不存在' }, verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { body: { errcode: 460_101, errmsg: 'message too long, exceed 20000 bytes' }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { body: { errcode: 310_000, errmsg: 'description: body 大小不合法;solution:请保持大小在 20000bytes 以内;' }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { body: { errcode: 101_002, errmsg: 'message is too long' }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    ...[400_105, 430_101, 430_102, 430_103, 430_104].map((errcode) => ({ body: { errcode, errmsg: 'unsafe' }, verdict: { outcome: 'message_bad', reason: 'rejected' } })),
    { body: { errcode: 43_002, errmsg: '需要POST请求' }, verdict: { outcome: 'retry', reason: 'protocol' } },
    { body: { errcode: 999_999, errmsg: 'something new' }, verdict: { outcome: 'retry', reason: 'protocol', detail: 'errcode 999999: something new' } },
  ],
})

describe('dingtalk', () => {
  const example = bindEntry(dingtalk, dingtalk.example)

  it('signs with the time of sending, as the documentation computes it', () => {
    const url = new URL(example.request({}, 1_577_262_236_757).url)
    expect(url.searchParams.get('timestamp')).toBe('1577262236757')
    expect(url.search).toContain('&sign=xOJIB8eNoYWeLy26EMZOlc2RjOJbtPv9HYjm%2BE3uALU%3D')
    const unsigned = bindEntry(dingtalk, { url: 'https://oapi.dingtalk.com/robot/send?access_token=T' })
    expect(unsigned.request({}, 1).url).toBe('https://oapi.dingtalk.com/robot/send?access_token=T')
  })

  it('calls people by user id or mobile, in the text and beside it, and names the others', () => {
    const mentions = [
      { name: 'Ann', ids: { mobile: '13800000000' } }, { name: 'Bo', ids: { dingtalk: 'bo.1', mobile: '13800000001' } }, { name: 'Cy', ids: { mobile: '+852-12345678' } },
      { name: 'Di', ids: { mobile: '138 0000 @everyone' } }, { name: 'Ed', ids: { slack: 'U1' } }, { name: 'Ann', ids: { mobile: '13800000000' } },
    ]
    const { at, markdown } = bodyOf(example.render(notice({ mentions, everyone: true })))
    expect(at).toStrictEqual({ atMobiles: ['13800000000', '+852-12345678'], atUserIds: ['bo.1'], isAtAll: true })
    expect(markdown.text).toContain('\n\n@13800000000 @bo.1 @+852-12345678 Di Ed @13800000000')
    expect(example.lint(notice({ mentions })).map((sentence) => sentence.slice(0, 2))).toStrictEqual(['Di', 'Ed'])
  })

  it('never has a label look like the number of somebody who is called', () => {
    const { markdown } = bodyOf(example.render(notice({ blocks: [block('x', '@13800000000 ops@13800000000')], mentions: [{ name: 'Ann', ids: { mobile: '13800000000' } }] })))
    expect(markdown.text.match(/(?<![\w.-])@13800000000/g)).toHaveLength(1)
    expect(markdown.text).toContain('ops@13800000000')
  })

  it('adds its keyword to messages that do not hold it, as the robot wants it', async () => {
    const keyword = 'prod_告警'
    const { fake, entry } = await service({ keywords: [keyword] }, { keyword })
    try {
      const own = bindEntry(dingtalk, entry)
      for (const shown of [notice(), notice({ title: keyword })]) {
        const body = own.render(shown)
        expect(dingtalk.verdict(await post(own.request(body, Date.now())))).toStrictEqual({ outcome: 'sent' })
        expect(JSON.stringify(body).split(keyword)).toHaveLength(2)
      }
    } finally {
      await fake.close()
    }
  })

  it('is taken with as much as it may have, and refused beyond the limit of the service', async () => {
    const { fake, entry } = await service()
    try {
      const own = bindEntry(dingtalk, entry)
      const sized = (bytes: number) => {
        const shown = (count: number) => own.render(notice({ blocks: [block('x', 'a'.repeat(count))] }))
        return shown(10 + bytes - dingtalk.measure(shown(10)))
      }
      const send = async (bytes: number) => dingtalk.verdict(await post(own.request(sized(bytes), Date.now())))
      expect(await send(dingtalk.size.most)).toStrictEqual({ outcome: 'sent' })
      expect(await send(20_001)).toMatchObject({ outcome: 'message_bad', reason: 'too_large' })
    } finally {
      await fake.close()
    }
  })

  it('is refused for a wrong token or signature, and for a clock an hour off', async () => {
    const { fake, entry } = await service()
    try {
      const ask = async (changes: Readonly<Record<string, unknown>>, now = Date.now()) => {
        const own = bindEntry(dingtalk, { ...entry, ...changes })
        return dingtalk.verdict(await post(own.request(own.render(notice()), now)))
      }
      expect(await ask({ url: `${fake.url}?access_token=other` })).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
      expect(await ask({ secret: 'SECother' })).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
      expect(await ask({}, Date.now() - 3_700_000)).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
      expect(fake.accepted()).toBe(0)
    } finally {
      await fake.close()
    }
  })

  it('reads well', () => {
    expect(bodyOf(example.render(notice({
      title: 'RedisDown: 2 firing', lead: [[{ kind: 'text', text: 'cluster prod-1' }]],
      blocks: [{ tone: 'critical', lines: [[{ kind: 'text', text: 'redis_main', style: 'bold' }, { kind: 'text', text: ': refused' }], [{ kind: 'text', text: 'down 4 min', style: 'muted' }]] }, { ...block('redis-2'), tone: 'resolved' }],
      tail: [[{ kind: 'text', text: '37 more' }]], links: [{ text: 'Silence', url: 'https://am.example.org/#/silences' }, { text: 'no URL', url: 'javascript:x' }],
      part: { index: 1, count: 2 },
    }))).markdown).toStrictEqual({
      title: '🔴 RedisDown: 2 firing (1/2)',
      text: '#### RedisDown: 2 firing (1/2)\n\ncluster prod-1\n\n🔴 **redis\\_main** : refused  \n  down 4 min\n\n🟢 **redis-2**\n\n37 more\n\n[Silence](https://am.example.org/#/silences) · no URL',
    })
  })
})
