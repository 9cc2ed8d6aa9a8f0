import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type Reply } from './fake.ts'

const no = (code: number, description: string, parameters?: object): Reply => ({ status: code, body: { ok: false, error_code: code, description, ...(parameters ? { parameters } : {}) } })

const message = z.object({ chat_id: z.union([z.number(), z.string()]).optional(), text: z.string().default(''), parse_mode: z.literal('HTML').optional(), message_thread_id: z.number().optional() })

const TAGS = new Set(['b', 'strong', 'i', 'em', 'u', 's', 'code', 'pre', 'a', 'tg-spoiler', 'blockquote'])

/** The text that stays when HTML is parsed as the Bot API does, or what is wrong with it. */
export function parseHtml(html: string): { readonly text: string } | { readonly problem: string } {
  const open: string[] = []
  let text = ''
  for (const [whole, slash, name = '', literal] of html.matchAll(/<(\/?)([a-z-]*)(?:\s[^>]*)?>|([^<]|<)/gs)) {
    if (literal === '<') return { problem: `Unsupported start tag "" at byte offset ${text.length}` }
    if (literal !== undefined) {
      text += literal
      continue
    }
    if (!TAGS.has(name)) return { problem: `Unsupported start tag "${name}" at byte offset ${text.length}` }
    if (slash === '') open.push(name)
    else if (open.pop() !== name) return { problem: `Unmatched end tag at byte offset ${text.length}, expected "</${open.at(-1) ?? ''}>", found "${whole}"` }
  }
  if (open.length > 0) return { problem: `Can't find end tag corresponding to start tag "${open.at(-1)}"` }
  return { text: text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&') }
}

/** Telegram: sendMessage of the Bot API, for one bot that knows every chat but 404. */
export function fakeTelegram(options: FakeOptions = {}): Promise<Fake> {
  return fakeService({
    path: '',
    rates: [{ messages: 1, perMs: 1_000 }, { messages: 20, perMs: 60_000 }],
    counts: 'taken',
    tooFast: no(429, 'Too Many Requests: retry after 1', { retry_after: 1 }),
    refuse({ url, text }) {
      const token = /^\/bot([^/]+)\/sendMessage$/.exec(url.pathname)?.[1]
      if (token === undefined || !/^\d+:[\w-]{20,}$/.test(token)) return no(404, 'Not Found')
      if (token.startsWith('401')) return no(401, 'Unauthorized')
      const { data } = message.safeParse(parsed(text))
      if (!data) return no(400, "Bad Request: can't parse JSON object")
      if (data.chat_id === undefined) return no(400, 'Bad Request: chat_id is empty')
      if (data.chat_id === 404) return no(400, 'Bad Request: chat not found')
      const read = data.parse_mode === 'HTML' ? parseHtml(data.text) : { text: data.text }
      if ('problem' in read) return no(400, `Bad Request: can't parse entities: ${read.problem}`)
      if (read.text.trim() === '') return no(400, 'Bad Request: message text is empty')
      if (read.text.length > 4_096) return no(400, 'Bad Request: message is too long')
      return undefined
    },
    taken: { status: 200, body: { ok: true, result: { message_id: 1, date: 1_700_000_000, chat: { id: -1_001_234_567_890, type: 'supergroup' } } } },
  }, options)
}

/** The options of a channel that writes to the fake. */
export const telegramEntry = ({ url }: Fake) => ({ token: '987654321:AAyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy', chat_id: -1_001_234_567_890, api_url: url })
