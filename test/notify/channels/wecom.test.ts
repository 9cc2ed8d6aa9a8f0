import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Body } from '../../../src/notify/channel.ts'
import { wecom } from '../../../src/notify/channels/wecom.ts'
import { split } from '../../../src/notify/split.ts'
import { bindEntry, channelContract } from '../channel-contract.ts'
import { fakeWecom } from '../fakes/wecom.ts'
import { post, type FakeOptions } from '../fakes/fake.ts'
import { block, everywhere, manyAlerts, notice } from '../notices.ts'
import { HOSTILE } from '../hostile.ts'
import { readMarkdown } from '../read-markdown.ts'
import { oneLine } from '../../../src/notify/text.ts'

const KEY = '693a91f6-7abc-4bc4-97a0-0ec2sifa5aaa'

const service = async (options: FakeOptions = {}) => {
  const fake = await fakeWecom({ key: KEY, ...options })
  return { fake, entry: { url: `${fake.url}?key=${KEY}` } }
}

const markdownOf = (body: Body) => z.object({ markdown: z.object({ content: z.string() }) }).parse(body).markdown.content
const textOf = (body: Body) => z.object({ text: z.object({ content: z.string(), mentioned_list: z.array(z.string()), mentioned_mobile_list: z.array(z.string()) }) }).parse(body).text

/** Full-width and other look-alikes of ASCII, which stand where the dialect has no escape. */
const asSeen = (text: string) => text.replaceAll('∗', '*').replaceAll('ˋ', '`').replaceAll('∼', '~').replaceAll(/[！-～]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xFEE0))

channelContract(wecom, {
  service,
  read(body) {
    const mentions = { pattern: /<@([^<>\s]+)>/g, active: (match: string) => `mention:${match}`, shown: '@$1' }
    const { visible, active } = readMarkdown(markdownOf(body), { entities: true, own: [mentions] })
    return { visible: asSeen(visible), active }
  },
  raw: (text) => ({ msgtype: 'markdown', markdown: { content: `x\n${text}` } }),
  dangerous: ['**b**', '[x](http://evil.example/)', '# heading', '#heading', '> quote', '<font color="warning">x</font>', '`c`', '<@all>', '<@wangqing>', '<a href="http://evil.example/">x</a>'],
  ids: { wecom: 'wangqing' },
  secrets: [KEY],
  verdicts: [
    { body: { errcode: 0, errmsg: 'ok' }, verdict: { outcome: 'sent' } },
    { body: { errcode: 0, errmsg: 'ok. Warning: wrong json format. ' }, verdict: { outcome: 'sent' } },
    { status: 502, body: { errcode: 0, errmsg: 'ok' }, verdict: { outcome: 'retry', reason: 'unavailable' } },
    { body: { errcode: 45_009, errmsg: 'api freq out of limit, hint: [1_2]' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { body: { errcode: 45_033, errmsg: 'api concurrent out of limit' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 2_000 } },
    { body: { errcode: -1, errmsg: 'system busy' }, verdict: { outcome: 'retry', reason: 'unavailable' } },
    { body: { errcode: 93_000, errmsg: 'invalid webhook url, hint: [1_2]' }, verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { body: { errcode: 40_058, errmsg: 'markdown.content exceed max length 4096. invalid Request Parameter, hint: [1_2], from ip: 203.0.113.7' }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { body: { errcode: 40_058, errmsg: 'invalid Request Parameter' }, verdict: { outcome: 'message_bad', reason: 'rejected' } },
    ...[40_008, 40_033, 44_004].map((errcode) => ({ body: { errcode, errmsg: 'refused' }, verdict: { outcome: 'message_bad', reason: 'rejected' } })),
    { body: { errcode: 999_999, errmsg: 'Warning: wrong json format.' }, verdict: { outcome: 'retry', reason: 'protocol' } },
  ],
})

describe('wecom', () => {
  const example = bindEntry(wecom, wecom.example)
  const fits = (shown: Parameters<typeof example.render>[0]) => wecom.measure(example.render(shown)) <= wecom.size.most

  it('sends plain text where Markdown could not call somebody, and says so', () => {
    const mentions = [{ name: 'Ann', ids: { mobile: '13800000000' } }, { name: 'Bo', ids: { wecom: 'bo', mobile: '13800000001' } }, { name: 'Cy', ids: { slack: 'U1' } }, { name: 'Di', ids: { wecom: 'x> <@all' } }]
    const shown = notice({ mentions, links: [{ text: 'Silence', url: 'https://am.example.org/' }] })
    expect(textOf(example.render(shown))).toStrictEqual({
      content: 'firing: 1\n\nRedisDown\nrefused\n\nSilence: https://am.example.org/\n\nCy Di', mentioned_list: ['bo'], mentioned_mobile_list: ['13800000000'],
    })
    expect(example.lint(shown)).toHaveLength(3)
    expect(textOf(example.render(notice({ mentions: [{ name: 'Fu', ids: { mobile: '+852-12345678' } }] }))).mentioned_mobile_list).toStrictEqual(['+85212345678'])
    expect(textOf(example.render(notice({ everyone: true }))).mentioned_list).toStrictEqual(['@all'])
    expect(markdownOf(example.render(notice({ mentions: mentions.slice(1) })))).toMatch(/\n\n<@bo> Cy Di$/)
    expect(example.lint(notice({ mentions: mentions.slice(1, 2) }))).toStrictEqual([])
  })

  it.each(HOSTILE)('has %j call nobody in a plain text', (hostile) => {
    const { content } = textOf(example.render({ ...everywhere(hostile), everyone: true }))
    expect(content).not.toContain('<@')
    expect(asSeen(content)).toContain(oneLine(`heading ${hostile}`))
  })

  it('counts a plain text double, so that the first part fits its smaller limit', () => {
    const [first, second, ...others] = split({ ...manyAlerts(60), everyone: true }, fits)
    const { content } = textOf(example.render(first!))
    expect(Buffer.byteLength(content)).toBeLessThanOrEqual(2_048)
    expect(Buffer.byteLength(content)).toBeGreaterThan(1_500)
    expect(Buffer.byteLength(markdownOf(example.render(second!)))).toBeGreaterThan(2_048)
    expect(others.length).toBeGreaterThan(0)
  })

  it('is taken with 4096 bytes and not with one more, of text with half', async () => {
    const { fake, entry } = await service()
    try {
      const own = bindEntry(wecom, entry)
      const send = async (most: number, everyone: boolean) => {
        const shown = (count: number) => own.render(notice({ everyone, blocks: [block('x', 'a'.repeat(count))] }))
        const factor = everyone ? 2 : 1
        const body = shown(10 + (most - wecom.measure(shown(10))) / factor)
        expect(wecom.measure(body)).toBe(most)
        return wecom.verdict(await post(own.request(body, Date.now())))
      }
      expect(await send(4_096, false)).toStrictEqual({ outcome: 'sent' })
      expect(await send(4_097, false)).toMatchObject({ outcome: 'message_bad', reason: 'too_large' })
      expect(await send(4_096, true)).toStrictEqual({ outcome: 'sent' })
      expect(await send(4_098, true)).toMatchObject({ outcome: 'message_bad', reason: 'too_large' })
    } finally {
      await fake.close()
    }
  })

  it('reads well', () => {
    expect(markdownOf(example.render(notice({
      title: 'RedisDown: 2 firing', lead: [[{ kind: 'text', text: 'cluster prod-1' }]],
      blocks: [{ tone: 'critical', lines: [[{ kind: 'text', text: 'redis_main', style: 'bold' }], [{ kind: 'text', text: 'target ', style: 'muted' }, { kind: 'text', text: 'a:6379', style: 'code' }]] }, { ...block('redis-2'), tone: 'resolved' }],
      links: [{ text: 'Silence', url: 'https://am.example.org/#/silences' }], part: { index: 1, count: 2 },
    })))).toBe('**<font color="warning">RedisDown: 2 firing (1/2)</font>**\n\ncluster prod-1\n\n<font color="warning">●</font> **redis_main**\n><font color="comment">target</font> `a:6379`\n\n<font color="info">●</font> **redis-2**\n\n[Silence](https://am.example.org/#/silences)')
  })
})
