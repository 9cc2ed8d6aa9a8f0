import { z } from 'zod'
import { secret } from '../../core/fields.ts'
import { defineChannel, type Answer, type Body, type Verdict } from '../channel.ts'
import type { Line, Notice, Span } from '../notice.ts'
import { jsonObject, unknownAnswer } from '../lib/answer.ts'
import { byWords } from '../lib/code.ts'
import { TONE_SIGNS, numberedTitle } from '../lib/markdown.ts'
import { callable, lintMentions, plainLine, withoutMuted } from '../lib/notices.ts'
import { record, refused, tooFast } from '../lib/refusal.ts'
import { linkUrl, oneLine } from '../text.ts'

const CHAT_WANTED = 'expected a number such as -1001234567890, or the @name of a channel'

const options = z.strictObject({
  token: secret().refine((token) => /^\d+:[\w-]+$/.test(token.reveal()), 'expected a token such as 123456789:AA…').describe('of the bot'),
  chat_id: z.union([z.int(), z.string().regex(/^(?:-?\d+|@\w{4,})$/, CHAT_WANTED)], CHAT_WANTED).describe('the chat, a number or the @name of a channel'),
  message_thread_id: z.int().min(1).describe('a topic of a forum').optional(),
  api_url: z.url({ protocol: /^https?$/, error: 'expected a URL such as https://api.telegram.org' }).describe('where the Bot API is reached').default('https://api.telegram.org'),
})

/** A number, or a user name. */
const MENTION_ID = /^(?:\d{3,20}|@?[A-Za-z]\w{3,31})$/

const MOST = 4_096
/** What is formatted beyond these is shown without its format, and then its links are lost. */
const ENTITIES = 100
/** Formats and link targets together are refused from about 9,500 characters on (github.com/tdlib/telegram-bot-api/issues/165). */
const TARGETS = 8_000

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const attribute = (text: string): string => escape(text).replaceAll('"', '&quot;')
const code = (text: string): string => `<code>${escape(text)}</code>`

/** Words that Telegram makes a mention, a hashtag, a command, a price or a link by itself: it looks for none in code. */
const FOUND_BY_ITSELF = /[@#$\uFF20\uFF03]|:\/\/|(?<![\p{L}\p{N}])\/\w|[\p{L}\p{N}_-]\.\p{L}{2}/u

function html(span: Span): string {
  const text = oneLine(span.text)
  if (text.trim() === '') return text
  if (span.kind === 'link') {
    const url = linkUrl(span.url)
    return url === undefined || !isFarHost(url) ? code(plainLine([span])) : `<a href="${attribute(url)}">${escape(text)}</a>`
  }
  if (span.style === 'code') return code(text)
  return byWords(text, FOUND_BY_ITSELF, span.style === 'bold' ? bold : escape, code)
}

// A blank alone is no text that can be bold.
const bold = (text: string): string => text.trim() === '' ? text : `<b>${escape(text)}</b>`

/** Whether Telegram makes a link of it: it shows the text alone where a host has no dot, `http://prometheus:9090` say. */
const isFarHost = (url: string): boolean => /[^.]\.[^.]/.test(new URL(url).hostname)

const paragraph = (lines: readonly Line[]): string => lines.map((line) => withoutMuted(line).map(html).join('')).join('\n')

function render({ chat_id, message_thread_id }: z.output<typeof options>, notice: Notice): Body {
  const { known, unknown } = callable(notice, 'telegram', MENTION_ID)
  const called = [
    ...known.map(({ id, person }) => /^\d/.test(id) ? `<a href="tg://user?id=${id}">${escape(oneLine(person.name) || id)}</a>` : `@${id.replace('@', '')}`),
    ...unknown.map(({ name }) => html({ kind: 'text', text: name })),
  ]
  const links = notice.links.map(({ text, url }): Line => [{ kind: 'link', text: oneLine(text) || url, url }])
  const parts = [
    [`${TONE_SIGNS[notice.tone]} ${html({ kind: 'text', text: numberedTitle(notice), style: 'bold' })}`, ...(notice.lead.length > 0 ? [paragraph(notice.lead)] : [])].join('\n'),
    called.join(' '),
    ...notice.blocks.map(({ tone, lines }) => `${tone === notice.tone ? '' : `${TONE_SIGNS[tone]} `}${paragraph(lines)}`),
    paragraph(notice.tail),
    // In the text and not as buttons: a button with a host of a private network has the whole message refused.
    links.map((line) => paragraph([line])).join(' · '),
  ]
  return {
    chat_id,
    ...(message_thread_id === undefined ? {} : { message_thread_id }),
    text: parts.filter((part) => part.trim() !== '').join('\n\n'),
    parse_mode: 'HTML',
    link_preview_options: { is_disabled: true },
  }
}

/** UTF-16 units of what a reader sees: tags are gone, and each of our four entities is one character. */
function measure({ text }: Body): number {
  const written = String(text)
  const size = written.replaceAll(/<[^>]*>/g, '').replaceAll(/&(?:amp|lt|gt|quot);/g, '.').length
  const targets = [...written.matchAll(/<a href="([^"]*)"/g)].reduce((sum, [, target = '']) => sum + target.length, 0)
  const entities = [...written.matchAll(/<(?:a|b|code)[ >]/g)].length
  return entities > ENTITIES || targets > TARGETS ? size + MOST : size
}

/** {"ok":true,"result":…}, or {"ok":false,"error_code":…,"description":…} with the same number as status. */
function verdict(answer: Answer): Verdict {
  const json = jsonObject(answer.body)
  if (answer.status === 200 && json?.['ok'] === true && record(json['result'])) return { outcome: 'sent' }
  if (json?.['ok'] !== false) return answer.status === 413 ? refused('message_bad', 'too_large', answer) : unknownAnswer(answer)
  const parameters = record(json['parameters'])
  const description = String(json['description'])
  const detail = `${answer.status}: ${description}`
  switch (json['error_code']) {
    case 429: return tooFast(answer, parameters?.['retry_after'])
    case 400: return badRequest(answer, description, parameters?.['migrate_to_chat_id'])
    case 401: return refused('channel_dead', 'unauthorized', answer)
    case 403: return refused('channel_dead', 'forbidden', answer)
    case 404: return refused('channel_dead', 'unauthorized', answer, `${detail}: the token is none of a bot`)
    case 413: return refused('message_bad', 'too_large', answer)
    default: return unknownAnswer(answer)
  }
}

function badRequest(answer: Answer, description: string, newId: unknown): Verdict {
  if (typeof newId === 'number' || typeof newId === 'string') return refused('channel_dead', 'gone', answer, `the group became a supergroup: set chat_id to ${newId}`)
  if (/message is too long|entities_too_long/i.test(description)) return refused('message_bad', 'too_large', answer)
  if (/can't parse entities|text is empty|text must be|ENTITY_|strings must be encoded|can't parse/i.test(description)) return refused('message_bad', 'rejected', answer)
  if (/not enough rights|have no rights|WRITE_FORBIDDEN|RESTRICTED|administrator rights|TOPIC_CLOSED/i.test(description)) return refused('channel_dead', 'forbidden', answer)
  if (/chat not found|thread not found|TOPIC_DELETED|PEER_ID_INVALID|group chat was (?:deactivated|deleted|upgraded)|chat_id is empty/i.test(description)) return refused('channel_dead', 'gone', answer)
  return unknownAnswer(answer)
}

export const telegram = defineChannel({
  type: 'telegram',
  summary: 'A Telegram chat, by a bot',
  documentation: 'https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this',
  options,
  example: { token: '123456789:AAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX', chat_id: -1001234567890 },
  // Of one chat; a bot has 30 a second over all of them.
  rates: [{ messages: 1, perMs: 1_000 }, { messages: 20, perMs: 60_000 }],
  size: { most: MOST, unit: 'utf16', of: 'the text without its tags' },
  render,
  measure,
  robot: ({ token, chat_id }) => `${token.reveal()} ${chat_id}`,
  request: ({ token, api_url }, body) => ({
    url: `${api_url.replace(/\/$/, '')}/bot${token.reveal()}/sendMessage`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }),
  verdict,
  lint: (_, notice) => [
    ...lintMentions(notice, 'telegram', MENTION_ID, 'the number of a user, or a user name'),
    ...(notice.everyone ? ['Telegram has no mention of everyone: name people'] : []),
  ],
})
