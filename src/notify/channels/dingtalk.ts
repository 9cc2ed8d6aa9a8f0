import { z } from 'zod'
import { secret } from '../../core/fields.ts'
import { defineChannel, type Answer, type Verdict } from '../channel.ts'
import { detail, jsonObject, unknownAnswer, wholeNumber, words } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { buttonText, markLine, numberedTitle, TONE_SIGNS, type Dialect } from '../lib/markdown.ts'
import { hmacSha256 } from '../lib/sign.ts'
import type { Notice, Person } from '../notice.ts'
import { oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe("the robot's webhook, with its access_token"),
  secret: secret().describe('the secret (SEC…) of a robot that checks signatures').optional(),
  keyword: z.string().min(1).max(100).describe('one of the keywords of a robot that checks them; added to messages that do not hold it').optional(),
})

/** Backslashes and entities, as CommonMark has them. An @ that begins a word is shown full width, for the client looks for people in the text. */
const dialect: Dialect = {
  escape: (text) => text
    .replaceAll(/[\\`*_~[\]]/g, '\\$&')
    .replaceAll(/[&<>]/g, (character) => ENTITIES[character] ?? '')
    .replaceAll(/(?<![A-Za-z0-9.-])@(?!\s)/g, '＠'),
  atStart: (text) => text.replace(/^(?=[#+\-=|:!])/, '\\').replace(/^(\d+)(?=[.)])/, '$1\\'),
  bold: (escaped) => `**${escaped}**`,
  muted: (escaped) => escaped,
  // Code is not among what the service promises to show.
  code: (text) => dialect.escape(text),
  link: (text, url) => `[${dialect.escape(text)}](${url})`,
}
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

const LINE = '  \n  '
const PARAGRAPH = '\n\n'

/** `+852-12345678` abroad; ids have no spaces, or the text would not hold them as one word. */
const MOBILE = /^(?:\+\d{1,4}-)?\d{5,15}$/
const USER_ID = /^[\w.-]{1,64}$/

type Call = { readonly kind: 'user' | 'mobile', readonly id: string }

function callOf({ ids: { dingtalk: user, mobile } }: Person): Call | undefined {
  if (user !== undefined && USER_ID.test(user)) return { kind: 'user', id: user }
  return mobile !== undefined && MOBILE.test(mobile) ? { kind: 'mobile', id: mobile } : undefined
}

function textOf(notice: Notice, title: string): string {
  const line = (spans: Notice['lead'][number]) => markLine(spans, dialect)
  const blocks = notice.blocks.map(({ tone, lines: [heading = [], ...rest] }) => [`${TONE_SIGNS[tone]} ${line(heading)}`, ...rest.map(line)].join(LINE))
  const links = notice.links.map(({ text, url }) => markLine([{ kind: 'link', text: buttonText(text), url }], dialect)).join(' · ')
  // People are called only if their number or id stands in the text as well; the client shows their names there.
  const people = notice.mentions.map((person) => {
    const call = callOf(person)
    return call ? `@${call.id}` : dialect.escape(oneLine(person.name))
  }).join(' ')
  return [`#### ${dialect.escape(title)}`, notice.lead.map(line).join(LINE), ...blocks, notice.tail.map(line).join(LINE), links, people].filter((text) => text !== '').join(PARAGRAPH)
}

const dead = (reason: 'unauthorized' | 'gone' | 'forbidden' | 'keyword') => ({ outcome: 'channel_dead', reason }) as const
const bad = (reason: 'too_large' | 'rejected') => ({ outcome: 'message_bad', reason }) as const
/**
 * Too many a minute, and nothing passes for ten. Asked again when the minute is over all the same: a refusal does not lengthen
 * the ban, as far as is known, and ten silent minutes are too many if it was shorter.
 */
const tooFast = { outcome: 'retry', reason: 'rate_limited' } as const

type Meaning = ReturnType<typeof dead> | ReturnType<typeof bad> | { readonly outcome: 'retry', readonly reason: 'rate_limited' | 'unavailable' | 'protocol', readonly afterMs?: number }

/** Codes as the reference lists them; two generations of tables are in use. */
const CODES: Readonly<Record<number, Meaning>> = {
  [-1]: { outcome: 'retry', reason: 'unavailable' },
  130101: tooFast, 410100: tooFast, 90030: tooFast,
  300001: dead('unauthorized'), 300005: dead('unauthorized'), 400101: dead('unauthorized'), 40035: dead('unauthorized'),
  400013: dead('gone'), 400102: dead('gone'), 400106: dead('gone'),
  460101: bad('too_large'), 101002: bad('too_large'),
  400105: bad('rejected'), 430101: bad('rejected'), 430102: bad('rejected'), 430103: bad('rejected'), 430104: bad('rejected'),
}

const SECURITY_SETTINGS = 310_000

function meaningOf(code: number, said: string): Meaning {
  if (/20000 ?bytes/i.test(said)) return bad('too_large')
  if (code !== SECURITY_SETTINGS) return CODES[code] ?? { outcome: 'retry', reason: 'protocol' }
  // One code for all security settings; only the words differ, in English or Chinese.
  // No message would pass, whatever it says: the robot wants another keyword than the config has.
  if (/keyword|关键词/i.test(said)) return dead('keyword')
  return /\bsign|\btimestamp|签名|时间戳/i.test(said) ? dead('unauthorized') : dead('forbidden')
}

function verdict(answer: Answer): Verdict {
  const body = jsonObject(answer.body)
  const code = wholeNumber(body?.errcode)
  if (body && code === undefined && body.punish !== undefined) {
    const seconds = wholeNumber(body.wait) ?? 60
    return { outcome: 'retry', reason: 'rate_limited', afterMs: Math.min(3_600, Math.max(1, seconds)) * 1_000, detail: detail(`the gateway throttles: ${answer.body}`) }
  }
  if (code === undefined || answer.status >= 500 || answer.status === 429 || answer.status === 408) return unknownAnswer(answer)
  if (code === 0) return answer.status === 200 ? { outcome: 'sent' } : unknownAnswer(answer)
  const said = words(body?.errmsg)
  // A refusal that nobody here knows is tried again until the deadline: dropped, the message would be lost for a code that is new.
  return { ...meaningOf(code, said), detail: detail(`errcode ${code}: ${said}`) }
}

export const dingtalk = defineChannel({
  type: 'dingtalk',
  summary: 'A DingTalk group, by a custom robot',
  documentation: 'https://open.dingtalk.com/document/robots/custom-robot-access',
  options,
  example: { url: 'https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef0123456789abcdef', secret: 'SEC000000000000000000000' },
  rates: [{ messages: 20, perMs: 60_000 }],
  // It allows 20,000 and does not say what it counts: a hundred are left for what may be counted beside the text that is sent.
  size: { most: 19_900, unit: 'bytes', of: 'the body' },

  render({ keyword }, notice) {
    const title = numberedTitle(notice)
    const text = textOf(notice, title)
    const calls = notice.mentions.flatMap((person) => callOf(person) ?? [])
    const idsOf = (kind: Call['kind']) => [...new Set(calls.filter((call) => call.kind === kind).map(({ id }) => id))]
    const missing = keyword !== undefined && !text.includes(keyword) && !title.includes(keyword)
    return {
      msgtype: 'markdown',
      // Push messages and the list of chats show the title only.
      markdown: { title: `${TONE_SIGNS[notice.tone]} ${title}`, text: missing ? `${text}${PARAGRAPH}${keyword}` : text },
      at: { atMobiles: idsOf('mobile'), atUserIds: idsOf('user'), isAtAll: notice.everyone },
    }
  },

  measure: (body) => Buffer.byteLength(JSON.stringify(body)),

  robot: ({ url }) => url.reveal(),

  request({ url, secret: key }, body, now) {
    const signed = new URL(url.reveal())
    if (key) {
      signed.searchParams.set('timestamp', String(now))
      signed.searchParams.set('sign', hmacSha256(key.reveal(), `${now}\n${key.reveal()}`))
    }
    return { url: signed.href, headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) }
  },

  verdict,

  lint: (_, { mentions }) => mentions.filter((person) => !callOf(person))
    .map(({ name }) => `${name} is named but not called: DingTalk needs a \`mobile\` (+852-12345678 abroad) or a user id under \`dingtalk\``),
})
