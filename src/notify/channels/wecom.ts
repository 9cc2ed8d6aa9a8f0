import { z } from 'zod'
import { defineChannel, type Answer, type Verdict } from '../channel.ts'
import { detail, jsonObject, unknownAnswer, wholeNumber, words } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { buttonText, markLine, numberedTitle, type Dialect } from '../lib/markdown.ts'
import type { Line, Notice, Person, Tone } from '../notice.ts'
import { linkUrl, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe("the robot's webhook, with its key"),
})

const COLOURS: Readonly<Record<Tone, string>> = { critical: 'warning', warning: 'warning', info: 'comment', resolved: 'info' }

const inColour = (colour: string, text: string) => `<font color="${colour}">${text}</font>`

const LOOKALIKES: Readonly<Record<string, string>> = {
  '*': '∗', '`': 'ˋ', '_': '＿', '~': '∼', '<': '＜', '>': '＞', '&': '＆', '(': '（', '[': '［', ']': '］', '#': '＃', '-': '－', '+': '＋', '=': '＝', '|': '｜', '.': '．', ')': '）', '!': '！', '\\': '＼',
}
const lookalike = (text: string) => Array.from(text, (character) => LOOKALIKES[character] ?? character).join('')

/**
 * The service documents no way to escape: what would be markup, or is in other Markdown, is shown by characters that look the
 * same. A `<` before a space or a number, an underscore in a word and a bracket that follows none are only themselves.
 */
const dialect: Dialect = {
  escape: (text) => text.replaceAll(/[*`~]|\\(?=u[\da-f]{4})|<(?![\s\d=<])|&(?=#?\w+;|#?\w*$)|(?<=^|\])\(|!(?=\[|$)|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/giu, lookalike),
  atStart: (text) => text.replace(/^(?:[#>|]|[-+=](?=[-+=\s]|$))+|(?<=^\d{1,9})[.)]/, lookalike),
  bold: (escaped) => `**${escaped}**`,
  muted: (escaped) => inColour('comment', escaped),
  code: (text) => `\`${text}\``,
  link: (text, url) => `[${dialect.escape(text).replaceAll(/[[\]]/g, lookalike)}](${url})`,
}

const USER_ID = /^[\w.@-]{1,64}$/
/** With a dash behind the country as DingTalk wants it, too: a directory has one number of a person. */
const MOBILE = /^(?:\+(?:\d{1,4}-)?)?\d{5,15}$/

const userOf = ({ ids: { wecom } }: Person) => wecom !== undefined && USER_ID.test(wecom) ? wecom : undefined
const mobileOf = (person: Person) => userOf(person) === undefined && MOBILE.test(person.ids.mobile ?? '') ? person.ids.mobile?.replace('-', '') : undefined

/** Whether Markdown cannot call them: it knows ids only, no mobiles and not everyone. */
const needsText = ({ mentions, everyone }: Notice) => everyone || mentions.some((person) => mobileOf(person) !== undefined)

const paragraphs = (texts: readonly string[]) => texts.filter((text) => text !== '').join('\n\n')

function markdownOf(notice: Notice): string {
  const lines = (all: readonly Line[], start = '') => all.map((line) => start + markLine(line, dialect)).join('\n')
  const blocks = notice.blocks.map(({ tone, lines: [heading = [], ...rest] }) => `${inColour(COLOURS[tone], '●')} ${markLine(heading, dialect)}${rest.length > 0 ? `\n${lines(rest, '>')}` : ''}`)
  const links = notice.links.map(({ text, url }) => markLine([{ kind: 'link', text: buttonText(text), url }], dialect)).join(' | ')
  const people = notice.mentions.map((person) => {
    const user = userOf(person)
    return user === undefined ? dialect.escape(oneLine(person.name)) : `<@${user}>`
  }).join(' ')
  return paragraphs([`**${inColour(COLOURS[notice.tone], dialect.escape(numberedTitle(notice)))}**`, lines(notice.lead), ...blocks, lines(notice.tail), links, people])
}

/** Plain, for those whom Markdown cannot call. */
function plainOf(notice: Notice): string {
  // `<@id>` calls people in texts too, and the service refuses what looks like a code of Unicode.
  const plain = (text: string) => oneLine(text).replaceAll(/<(?=@|$)|\\(?=u[\da-f]{4})/gi, lookalike)
  const linked = (text: string, url: string | undefined) => url === undefined ? plain(text) : `${plain(text)}: ${url}`
  const lines = (all: readonly Line[]) => all.map((line) => line.map((span) => span.kind === 'link' ? linked(span.text, linkUrl(span.url)) : plain(span.text)).join('')).join('\n')
  const links = notice.links.map(({ text, url }) => linked(buttonText(text), linkUrl(url))).join('\n')
  const uncalled = notice.mentions.filter((person) => userOf(person) === undefined && mobileOf(person) === undefined).map(({ name }) => plain(name)).join(' ')
  return paragraphs([plain(numberedTitle(notice)), lines(notice.lead), ...notice.blocks.map((block) => lines(block.lines)), lines(notice.tail), links, uncalled])
}

const MOST = { markdown: 4_096, text: 2_048 } as const

const tooFast = { outcome: 'retry', reason: 'rate_limited' } as const
const bad = { outcome: 'message_bad', reason: 'rejected' } as const

function meaningOf(code: number, said: string) {
  switch (code) {
    case 45_009: return tooFast
    // Too many at the same moment.
    case 45_033: return { ...tooFast, afterMs: 2_000 }
    case -1: return { outcome: 'retry', reason: 'unavailable' } as const
    // The key is wrong, or the robot was removed.
    case 93_000: return { outcome: 'channel_dead', reason: 'gone' } as const
    case 40_058: return /max length/i.test(said) ? { ...bad, reason: 'too_large' } as const : bad
    case 40_008: case 40_033: case 44_004: return bad
    // A refusal that nobody here knows is tried again until the deadline: dropped, the message would be lost for a code that is new.
    default: return { outcome: 'retry', reason: 'protocol' } as const
  }
}

function verdict(answer: Answer): Verdict {
  const body = jsonObject(answer.body)
  const code = wholeNumber(body?.errcode)
  if (code === undefined || answer.status >= 500 || answer.status === 429 || answer.status === 408) return unknownAnswer(answer)
  if (code === 0) return answer.status === 200 ? { outcome: 'sent' } : unknownAnswer(answer)
  const said = words(body?.errmsg)
  return { ...meaningOf(code, said), detail: detail(`errcode ${code}: ${said}`) }
}

export const wecom = defineChannel({
  type: 'wecom',
  summary: 'A WeCom group, by a group robot',
  documentation: 'https://developer.work.weixin.qq.com/document/path/91770',
  options,
  example: { url: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa' },
  rates: [{ messages: 20, perMs: 60_000 }],
  size: { most: MOST.markdown, unit: 'bytes', of: 'the Markdown; a plain text, which calls everyone and people by mobile, may have half' },

  render(_, notice) {
    if (!needsText(notice)) return { msgtype: 'markdown', markdown: { content: markdownOf(notice) } }
    return {
      msgtype: 'text',
      text: {
        content: plainOf(notice),
        mentioned_list: [...new Set([...notice.mentions.flatMap((person) => userOf(person) ?? []), ...(notice.everyone ? ['@all'] : [])])],
        mentioned_mobile_list: [...new Set(notice.mentions.flatMap((person) => mobileOf(person) ?? []))],
      },
    }
  },

  measure({ markdown, text }) {
    const { content } = z.object({ content: z.string() }).parse(markdown ?? text)
    const bytes = Buffer.byteLength(content)
    return markdown === undefined ? bytes * (MOST.markdown / MOST.text) : bytes
  },

  robot: ({ url }) => url.reveal(),

  request: ({ url }, body) => ({ url: url.reveal(), headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) }),

  verdict,

  lint: (_, notice) => [
    ...notice.mentions.filter((person) => userOf(person) === undefined && mobileOf(person) === undefined).map(({ name }) => `${name} is named but not called: WeCom needs a user id under \`wecom\`, or a \`mobile\``),
    ...(needsText(notice) ? ["WeCom's Markdown calls people by user id only: a message that calls everyone, or somebody by mobile, is sent as plain text of at most 2048 bytes"] : []),
  ],
})
