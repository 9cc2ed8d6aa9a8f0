import { z } from 'zod'
import { defineChannel, type Answer, type Body, type Verdict } from '../channel.ts'
import type { Line, Notice } from '../notice.ts'
import { jsonObject, unknownAnswer } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { codeSpan } from '../lib/code.ts'
import { markLine, numberedTitle, type Dialect } from '../lib/markdown.ts'
import { byTone, callable, HEX_COLOURS, lintMentions, usableLinks, withoutMuted } from '../lib/notices.ts'
import { refused, tooFast } from '../lib/refusal.ts'
import { cutTo, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe('a webhook, https://discord.com/api/webhooks/…'),
  thread_id: z.string().regex(/^\d{5,20}$/, 'expected the digits of an id').describe('a thread of the channel').optional(),
})

/** A user, or a role with & before it. */
const MENTION_ID = /^&?\d{5,20}$/
const ID_WANTED = 'the digits of an id, with & before those of a role'

const CONTENT = 2_000
const TITLE = 256
const DESCRIPTION = 4_096
const EMBEDS = 10
const ALL_EMBEDS = 6_000
const BUTTONS = 5
const BUTTON_TEXT = 80
const BUTTON_URL = 512

const dialect: Dialect = {
  // The colon keeps URLs from becoming links, and names between two from becoming emoji.
  escape: (text) => text.replaceAll(/[\\`*_~|<>[\]@#]|:(?=[\w/]|$)/g, '\\$&'),
  atStart: (text) => text.replace(/^[-+]|(?<=^\d+)[.)]/, '\\$&'),
  bold: (escaped) => `**${escaped}**`,
  muted: (escaped) => escaped,
  code: codeSpan,
  link: (text, url) => `[${dialect.escape(text)}](<${url}>)`,
}

const paragraph = (lines: readonly Line[]): string => lines.map((line) => markLine(withoutMuted(line), dialect)).join('\n')
const escape = (text: string): string => dialect.atStart(dialect.escape(text))

function render(_: z.output<typeof options>, notice: Notice): Body {
  const title = numberedTitle(notice)
  const escaped = escape(title)
  const fits = escaped.length <= TITLE
  const { known, unknown } = callable(notice, 'discord', MENTION_ID)
  const called = [...(notice.everyone ? ['@everyone'] : []), ...known.map(({ id }) => `<@${id}>`), ...unknown.map(({ name }) => escape(oneLine(name)))]
  const { usable, others } = usableLinks(notice.links, BUTTON_URL)
  const buttons = usable.slice(0, BUTTONS).map(({ text, url }) => ({ type: 2, style: 5, label: cutTo(oneLine(text), BUTTON_TEXT, 'utf16') || '→', url }))
  const above = paragraph([...(fits ? [] : [[{ kind: 'text', text: title, style: 'bold' }] as const]), ...notice.lead])
  const below = paragraph([...notice.tail, ...others, ...usable.slice(BUTTONS).map((link): Line => [{ kind: 'link', ...link }])])
  const runs = byTone(notice.blocks).flatMap(({ tone, blocks }) => packed(blocks.map(({ lines }) => paragraph(lines))).map((description) => ({ description, color: colour(tone) })))
  const own = colour(notice.tone)
  const head = above !== '' || (fits && title !== '') ? [{ ...(fits && title !== '' ? { title: escaped } : {}), ...(above === '' ? {} : { description: above }), color: own }] : []
  return {
    ...(called.length > 0 ? { content: called.join(' ') } : {}),
    embeds: [...head, ...runs, ...(below === '' ? [] : [{ description: below, color: own }])],
    ...(buttons.length > 0 ? { components: [{ type: 1, components: buttons }] } : {}),
    // Nobody else is notified, whatever the texts say.
    allowed_mentions: {
      parse: notice.everyone ? ['everyone'] : [],
      users: [...new Set(known.filter(({ id }) => !id.startsWith('&')).map(({ id }) => id))],
      roles: [...new Set(known.filter(({ id }) => id.startsWith('&')).map(({ id }) => id.slice(1)))],
    },
  }
}

const BETWEEN = '\n\n'

/** Texts joined to as few descriptions as hold them. */
function packed(texts: readonly string[]): readonly string[] {
  const descriptions: string[] = []
  for (const text of texts) {
    const last = descriptions.at(-1)
    if (last !== undefined && last.length + BETWEEN.length + text.length <= DESCRIPTION) descriptions[descriptions.length - 1] = `${last}${BETWEEN}${text}`
    else descriptions.push(text)
  }
  return descriptions
}

const colour = (tone: Notice['tone']): number => Number.parseInt(HEX_COLOURS[tone].slice(1), 16)

function measure({ content, embeds }: Body): number {
  const texts = (Array.isArray(embeds) ? embeds : []).flatMap((embed: { title?: string, description?: string }) => [embed.title ?? '', embed.description ?? ''])
  // With what would stand between: a text that moves to the next embed makes a message no smaller.
  const size = texts.reduce((sum, text) => sum + text.length, BETWEEN.length * Math.max(0, texts.length / 2 - 1))
  const broken = texts.some((text) => text.length > DESCRIPTION) || texts.length / 2 > EMBEDS || (typeof content === 'string' && content.length > CONTENT)
  return broken ? size + ALL_EMBEDS + 1 : size
}

const GONE: ReadonlySet<unknown> = new Set([10_003, 10_015, 50_027])
/** No permission, archived or locked threads, a forum that wants a thread. */
const FORBIDDEN: ReadonlySet<unknown> = new Set([50_001, 50_013, 50_024, 50_083, 160_005, 220_001, 220_002, 220_003])
/** Empty, not of the form, filtered by the server's rules. */
const REJECTED: ReadonlySet<unknown> = new Set([50_006, 50_035, 50_109, 20_009, 200_000, 200_001, 240_000])

/** With `wait=true` the answer to a message that was kept is the message; without it, 204. Refusals are JSON with a code. */
function verdict(answer: Answer): Verdict {
  const { status, body } = answer
  const json = jsonObject(answer.body)
  if (status === 200 && typeof json?.['id'] === 'string' && json['id'] !== '') return { outcome: 'sent' }
  if (status === 204) return { outcome: 'sent' }
  if (status === 429) return tooFast(answer, json?.['retry_after'])
  const code = json?.['code']
  if (status === 413 || code === 40_005) return refused('message_bad', 'too_large', answer)
  if (code === undefined || status < 400 || status >= 500) return unknownAnswer(answer)
  if (status === 401) return refused('channel_dead', 'unauthorized', answer)
  if (GONE.has(code)) return refused('channel_dead', 'gone', answer)
  if (FORBIDDEN.has(code) || status === 403) return refused('channel_dead', 'forbidden', answer)
  if (REJECTED.has(code)) return refused('message_bad', /MAX_LENGTH|MAX_EMBED_SIZE/.test(body) ? 'too_large' : 'rejected', answer)
  return unknownAnswer(answer)
}

export const discord = defineChannel({
  type: 'discord',
  summary: 'A Discord channel or thread, by a webhook',
  documentation: 'https://docs.discord.com/developers/resources/webhook#execute-webhook',
  options,
  example: { url: 'https://discord.com/api/webhooks/100000000000000000/XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX' },
  // Of a webhook and of the webhooks of a channel, as the headers X-RateLimit-* tell them.
  rates: [{ messages: 5, perMs: 2_000 }, { messages: 30, perMs: 60_000 }],
  size: { most: ALL_EMBEDS, unit: 'utf16', of: 'the titles and descriptions of all embeds' },
  render,
  measure,
  robot: ({ url }) => url.reveal(),
  request({ url: secret, thread_id }, body) {
    const url = new URL(secret.reveal())
    url.searchParams.set('wait', 'true')
    // Buttons that are links are taken from every webhook, once asked for.
    if (body['components'] !== undefined) url.searchParams.set('with_components', 'true')
    if (thread_id !== undefined) url.searchParams.set('thread_id', thread_id)
    return { url: url.href, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  },
  verdict,
  lint: (_, notice) => lintMentions(notice, 'discord', MENTION_ID, ID_WANTED),
})
