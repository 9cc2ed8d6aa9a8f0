import { expect, it } from 'vitest'
import type { Body } from '../../../src/notify/channel.ts'
import { telegram } from '../../../src/notify/channels/telegram.ts'
import { bindEntry, channelContract, type Reading } from '../channel-contract.ts'
import { fakeTelegram, parseHtml, telegramEntry } from '../fakes/telegram.ts'
import { block, notice } from '../notices.ts'

const unescaped = (text: string) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')

/** What Telegram finds in plain text by itself. */
const FOUND = /(?<mention>(?<![\w@])@[A-Za-z]\w{2,31})|(?<hashtag>#[\p{L}\p{N}_]*\p{L}[\p{L}\p{N}_]*)|(?<cashtag>\$[A-Z]{1,8}\b)|(?<command>(?<![\p{L}\p{N}<>/])\/[A-Za-z]\w*)|(?<url>(?:https?:\/\/)?(?:[\p{L}\p{N}-]+\.)+(?:com|org|net|example|exe|\p{L}{2,})\b[^\s<>]*)/gu

/** HTML as the Bot API parses it; nothing is looked for in code and in the text of a link. */
function read(body: Body): Reading {
  const html = String(body['text'])
  if ('problem' in parseHtml(html)) return { visible: '', active: [JSON.stringify(parseHtml(html))] }
  const active: string[] = []
  const open: string[] = []
  let visible = ''
  for (const piece of html.split(/(<[^>]*>)/)) {
    if (!piece.startsWith('<')) {
      const text = unescaped(piece)
      visible += text
      if (!open.some((tag) => tag === 'code' || tag === 'a')) for (const found of text.matchAll(FOUND)) active.push(`${Object.entries(found.groups!).find(([, one]) => one !== undefined)![0]}:${found[0]}`)
      continue
    }
    const [, slash, tag = '', href] = /^<(\/?)([a-z-]+)(?: href="([^"]*)")?>$/.exec(piece) ?? []
    if (slash === '/') open.pop()
    else {
      open.push(tag)
      if (tag === 'a') active.push(href?.startsWith('tg://user?id=') ? `mention:${href}` : `link:${unescaped(href ?? '')}`)
      else if (tag !== 'code' && tag !== 'b') active.push(tag)
    }
  }
  return { visible, active }
}

const no = (code: number, description: string, parameters?: object) => ({ ok: false, error_code: code, description, ...(parameters ? { parameters } : {}) })

channelContract(telegram, {
  service: async (rate) => {
    const fake = await fakeTelegram(rate)
    return { fake, entry: telegramEntry(fake) }
  },
  read,
  raw: (text) => ({ text }),
  dangerous: ['@everyone', '@user123', '#heading', '/start', '$USD', 'http://evil.example/', 'evil.example', '<u>x</u>', '<a href="http://evil.example/">x</a>', '<script>', '</b>'],
  ids: { telegram: '123456789' },
  fill: 400,
  secrets: ['123456789:AAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX'],
  verdicts: [
    { body: { ok: true, result: { message_id: 1 } }, verdict: { outcome: 'sent' } },
    { status: 429, body: no(429, 'Too Many Requests: retry after 34', { retry_after: 34 }), verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 34_000 } },
    { status: 400, body: no(400, "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0"), verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 400, body: no(400, 'Bad Request: message is too long'), verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 400, body: no(400, 'Bad Request: group chat was upgraded to a supergroup chat', { migrate_to_chat_id: -1_001_234_567_890 }), verdict: { outcome: 'channel_dead', reason: 'gone', detail: 'the group became a supergroup: set chat_id to -1001234567890' } },
    { status: 400, body: no(400, 'Bad Request: chat not found'), verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 400, body: no(400, 'Bad Request: message thread not found'), verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 400, body: no(400, 'Bad Request: not enough rights to send text messages to the chat'), verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 400, body: no(400, 'Bad Request: something new'), verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 401, body: no(401, 'Unauthorized'), verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { status: 403, body: no(403, 'Forbidden: bot was kicked from the supergroup chat'), verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 403, body: '<html>blocked by the proxy</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 404, body: no(404, 'Not Found'), verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { status: 502, body: no(502, 'Bad Gateway'), verdict: { outcome: 'retry', reason: 'unavailable' } },
  ],
})

const bound = bindEntry(telegram, telegram.example)

it('mentions by number and by name, and says whom it cannot', () => {
  const people = [{ name: 'Ann <b>', ids: { telegram: '123456789' } }, { name: 'Bob', ids: { telegram: 'bob_ops' } }, { name: '@carol', ids: {} }]
  expect(String(bound.render(notice({ mentions: people }))['text'])).toContain('\n<a href="tg://user?id=123456789">Ann &lt;b&gt;</a> @bob_ops <code>@carol</code>\n')
  expect(bound.lint(notice({ mentions: people, everyone: true }))).toStrictEqual([expect.stringContaining('@carol'), expect.stringContaining('everyone')])
})

it('counts formats and link targets as well, which Telegram bounds', () => {
  const lines = (count: number) => notice({ blocks: [{ tone: 'critical', lines: Array.from({ length: count }, () => [{ kind: 'text', text: 'x', style: 'bold' }]) }] })
  expect(telegram.measure(bound.render(lines(90)))).toBeLessThan(500)
  expect(telegram.measure(bound.render(lines(101)))).toBeGreaterThan(4_096)
  expect(telegram.measure(bound.render(notice({ links: Array.from({ length: 9 }, () => ({ text: 'Open', url: `https://grafana.example.org/?${'q'.repeat(1_000)}` })) })))).toBeGreaterThan(4_096)
})

it('shows the URL of a host that Telegram makes no link of', () => {
  const { text } = bound.render(notice({ blocks: [], links: [{ text: 'Open', url: 'http://alertmanager:9093/#/alerts' }] }))
  expect(text).toBe('🔴 <b>firing: 1</b>\n\n<code>Open (http://alertmanager:9093/#/alerts)</code>')
})

it('looks at texts together that show no border between them', () => {
  const lines = [[{ kind: 'text', text: 'ht', style: 'muted' }, { kind: 'text', text: 'tp://evil.example/' }, { kind: 'text', text: ' @', style: 'muted' }, { kind: 'text', text: 'channel' }]] as const
  expect(read(bound.render(notice({ blocks: [{ tone: 'critical', lines }] })))).toStrictEqual({ visible: '🔴 firing: 1\n\nhttp://evil.example/ @channel', active: [] })
})

it('marks alerts of another tone than the message', () => {
  expect(read(bound.render(notice({ blocks: [block('A'), { ...block('B'), tone: 'resolved' }] }))).visible).toBe('🔴 firing: 1\n\nA\n\n🟢 B')
})

it('shows its token to the service only', () => {
  const { url, headers, body } = bound.request(bound.render(notice()), 0)
  expect(url).toBe('https://api.telegram.org/bot123456789:AAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX/sendMessage')
  expect(JSON.stringify([headers, body])).not.toContain('AAXXX')
})
