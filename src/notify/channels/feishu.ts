import { z } from 'zod'
import { secret } from '../../core/fields.ts'
import { defineChannel, type Answer, type Verdict } from '../channel.ts'
import { detail, jsonObject, unknownAnswer, wholeNumber, words } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { buttonText, markLine, numberedTitle, type Dialect } from '../lib/markdown.ts'
import { hmacSha256 } from '../lib/sign.ts'
import type { Line, Notice, Person, Tone } from '../notice.ts'
import { linkUrl, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().refine((value) => !value.reveal().includes('?'), "expected the bot's webhook as it is, without ?").describe("the bot's webhook; Lark's stands on open.larksuite.com"),
  secret: secret().describe('the secret of a bot that checks signatures').optional(),
  keyword: z.string().min(1).max(100).describe('one of the keywords of a bot that checks them; added to messages that do not hold it').optional(),
})

const HEADERS: Readonly<Record<Tone, string>> = { critical: 'red', warning: 'orange', info: 'blue', resolved: 'green' }

const entity = (character: string) => `&#${character.codePointAt(0) ?? 0};`

/** Entities, as the service documents: CommonMark takes none of them for markup, wherever they stand. */
const dialect: Dialect = {
  // Inside of a word an underscore is only itself, and five bytes shorter. `:a` may begin an emoji.
  escape: (text) => text.replaceAll(/[&<>`*~[\]\\$]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])|:(?=[A-Za-z]|$)/gu, entity),
  atStart: (text) => text.replace(/^[#+\-=|:]|(?<=^\d{1,9})[.)]/, entity),
  bold: (escaped) => `**${escaped}**`,
  muted: (escaped) => `<font color='grey'>${escaped}</font>`,
  code: (text) => `\`${text}\``,
  link: (text, url) => `[${dialect.escape(text)}](${url})`,
}

/** An open_id (ou_…) or a user_id: custom bots know no others. */
const ID = /^[\w-]{1,64}$/
const idOf = ({ ids: { feishu } }: Person) => feishu !== undefined && ID.test(feishu) && feishu !== 'all' ? feishu : undefined

function markdownOf(notice: Notice): string {
  const lines = (all: readonly Line[]) => all.map((line) => markLine(line, dialect)).join('\n')
  const blocks = notice.blocks.map(({ tone, lines: [heading = [], ...rest] }) => [`<font color='${HEADERS[tone]}'>●</font> ${markLine(heading, dialect)}`, ...rest.map((line) => markLine(line, dialect))].join('\n'))
  const deadLinks = notice.links.filter(({ url }) => linkUrl(url) === undefined).map(({ text }) => markLine([{ kind: 'text', text: buttonText(text) }], dialect)).join('\n')
  const people = [...(notice.everyone ? ['<at id=all></at>'] : []), ...notice.mentions.map((person) => {
    const id = idOf(person)
    return id === undefined ? dialect.escape(oneLine(person.name)) : `<at id=${id}></at>`
  })].join(' ')
  return [lines(notice.lead), ...blocks, lines(notice.tail), deadLinks, people].filter((text) => text !== '').join('\n\n')
}

const buttonsOf = (notice: Notice) => notice.links.flatMap(({ text, url }) => {
  const target = linkUrl(url)
  return target === undefined ? [] : [{ tag: 'button', text: { tag: 'plain_text', content: buttonText(text) }, type: 'default', behaviors: [{ type: 'open_url', default_url: target }] }]
})

const tooFast = { outcome: 'retry', reason: 'rate_limited' } as const
const bad = (reason: 'rejected' | 'too_large') => ({ outcome: 'message_bad', reason }) as const
const dead = (reason: 'unauthorized' | 'forbidden' | 'keyword') => ({ outcome: 'channel_dead', reason }) as const

function meaningOf(code: number, said: string, answer: Answer) {
  switch (code) {
    case 11_232: case 230_020: return tooFast
    case 99_991_400: return { ...tooFast, afterMs: Math.min(3_600, Math.max(1, wholeNumber(answer.headers['x-ogw-ratelimit-reset']) ?? 10)) * 1_000 }
    // One code for two things: only the words tell them apart.
    case 9_499: return /too many/i.test(said) ? tooFast : bad('rejected')
    case 19_001: case 19_021: return dead('unauthorized')
    case 19_022: return dead('forbidden')
    // No message would pass, whatever it says: the robot wants another keyword than the config has.
    case 19_024: return dead('keyword')
    case 19_036: return bad('too_large')
    case 19_002: case 200_621: return bad('rejected')
    // A refusal that nobody here knows is tried again until the deadline: dropped, the message would be lost for a code that is new.
    default: return { outcome: 'retry', reason: 'protocol' } as const
  }
}

function verdict(answer: Answer): Verdict {
  const body = jsonObject(answer.body)
  // Older answers have only StatusCode; the newer code counts where both are there.
  const code = wholeNumber(body?.code ?? body?.StatusCode)
  if (code === undefined) return unknownAnswer(answer)
  if (code === 0) return answer.status === 200 ? { outcome: 'sent' } : unknownAnswer(answer)
  const said = words(body?.msg ?? body?.StatusMessage)
  const meaning = meaningOf(code, said, answer)
  return meaning.reason === 'protocol' && answer.status !== 200 ? unknownAnswer(answer) : { ...meaning, detail: detail(`code ${code}: ${said}`) }
}

export const feishu = defineChannel({
  type: 'feishu',
  summary: 'A Feishu or Lark group, by a custom bot',
  documentation: 'https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot',
  options,
  example: { url: 'https://open.feishu.cn/open-apis/bot/v2/hook/0a1b2c3d-4e5f-6789-abcd-ef0123456789', secret: 'demo-secret-of-a-bot' },
  rates: [{ messages: 5, perMs: 1_000 }, { messages: 100, perMs: 60_000 }],
  // It says 20 KB, of either kind, for the body with its signature: two hundred bytes below the smaller.
  size: { most: 19_800, unit: 'bytes', of: 'the body before it is signed' },

  render({ keyword }, notice) {
    const title = numberedTitle(notice)
    const text = markdownOf(notice)
    const missing = keyword !== undefined && !text.includes(keyword) && !title.includes(keyword)
    return {
      msg_type: 'interactive',
      card: {
        schema: '2.0',
        config: { update_multi: true },
        header: { title: { tag: 'plain_text', content: title }, template: HEADERS[notice.tone] },
        body: { direction: 'vertical', elements: [{ tag: 'markdown', content: missing ? `${text}\n\n${keyword}` : text }, ...buttonsOf(notice)] },
      },
    }
  },

  measure: (body) => Buffer.byteLength(JSON.stringify(body)),

  robot: ({ url }) => url.reveal(),

  request({ url, secret: key }, body, now) {
    const timestamp = String(Math.floor(now / 1_000))
    const signature = key ? { timestamp, sign: hmacSha256(`${timestamp}\n${key.reveal()}`, '') } : {}
    return { url: url.reveal(), headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify({ ...signature, ...body }) }
  },

  verdict,

  lint: (_, { mentions, everyone }) => [
    ...mentions.filter((person) => idOf(person) === undefined).map(({ name }) => `${name} is named but not called: Feishu needs an open_id (ou_…) or a user_id under \`feishu\``),
    ...(everyone ? ['Feishu refuses a card that calls everyone in groups whose owner does not allow that'] : []),
  ],
})
