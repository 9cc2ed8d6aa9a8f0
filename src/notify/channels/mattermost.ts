import { z } from 'zod'
import { defineChannel, type Answer, type Body, type DeliveryReason, type Verdict } from '../channel.ts'
import type { Line, Notice } from '../notice.ts'
import { jsonObject, unknownAnswer } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { byWords, codeSpan } from '../lib/code.ts'
import { markLine, numberedTitle, type Dialect } from '../lib/markdown.ts'
import { byTone, callable, HEX_COLOURS, lintMentions, withoutMuted } from '../lib/notices.ts'
import { refused, tooFast } from '../lib/refusal.ts'
import { lengthIn, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe('an incoming webhook, https://host/hooks/…'),
})

/** The name of a user, as it stands behind the @. */
const MENTION_ID = /^@?[a-z0-9][a-z0-9._-]{0,63}$/i

/** What Mattermost keeps of a post's text; of attachments it keeps more. */
const MOST = 16_383

/** Words that the server or a client makes a mention, a link or an emoji by itself. */
const FOUND_BY_ITSELF = /[@~\uFF20]|:\/\/|www\.|:[\w+-]+:|#\p{L}/u
const WORD_JOINER = '\u2060'

/**
 * `&`, `<` and `$` have no backslash in every client, and `<!channel>`, `<@id>` and `<url|text>` are rewritten by the server before
 * anything else: as entities they are shown, and not found.
 */
const escape = (text: string): string => text.replaceAll(/[\\`*_{}[\]()#+\-.!~>|]/g, '\\$&').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('$', '&#36;')

/** With a character that has no width behind what begins something. */
const apart = (text: string): string => escape(text.replaceAll(/[@~#:\uFF20]/g, `$&${WORD_JOINER}`))

const dialect: Dialect = {
  // Nothing is looked for in code, and what is copied from there is what it was. The server rewrites what stands in < > there too.
  escape: (text) => byWords(text, FOUND_BY_ITSELF, escape, (word) => word.includes('<') ? apart(word) : codeSpan(word)),
  // A line of nothing else would make a heading of the one above.
  atStart: (text) => text.replace(/^=/, '&#61;'),
  // The web client takes the next two stars for the end, those in code as well.
  bold: (escaped) => escaped.includes('`') ? escaped : `**${escaped}**`,
  muted: (escaped) => escaped,
  code: codeSpan,
  // Mentions are looked for in the text of a link too, and code cannot stand in it.
  link: (text, url) => `[${apart(text)}](${url})`,
}

// Two blanks at the end: a line break wherever Markdown would join two lines.
const paragraph = (lines: readonly Line[]): string => lines.map((line) => markLine(withoutMuted(line), dialect)).join('  \n')

function render(_: z.output<typeof options>, notice: Notice): Body {
  const { known, unknown } = callable(notice, 'mattermost', MENTION_ID)
  const called = [...(notice.everyone ? ['@channel'] : []), ...known.map(({ id }) => `@${id.replace('@', '')}`), ...unknown.map(({ name }) => dialect.escape(oneLine(name)))]
  const title = numberedTitle(notice)
  const links = notice.links.map(({ text, url }) => markLine([{ kind: 'link', text: text || url, url }], dialect)).join(' · ')
  const above = paragraph([...(title === '' ? [] : [[{ kind: 'text', text: title, style: 'bold' }] as const]), ...notice.lead])
  const below = [paragraph(notice.tail), links].filter((text) => text !== '').join('\n\n')
  const runs = byTone(notice.blocks).map(({ tone, blocks }) => ({ color: HEX_COLOURS[tone], text: blocks.map(({ lines }) => paragraph(lines)).join('\n\n') }))
  const own = HEX_COLOURS[notice.tone]
  return {
    ...(called.length > 0 ? { text: called.join(' ') } : {}),
    attachments: [
      { fallback: title, color: own, text: above },
      ...runs,
      ...(below === '' ? [] : [{ color: own, text: below }]),
    ],
  }
}

const DEAD: Readonly<Record<string, DeliveryReason>> = {
  // 400: no webhook with this key.
  'web.incoming_webhook.invalid.app_error': 'gone',
  'web.incoming_webhook.channel.app_error': 'gone',
  'app.channel.get.existing.app_error': 'gone',
  'api.context.404.app_error': 'gone',
  // 501: webhooks are turned off.
  'web.incoming_webhook.disabled.app_error': 'forbidden',
  'web.incoming_webhook.channel_locked.app_error': 'forbidden',
  'web.incoming_webhook.permissions.app_error': 'forbidden',
  'web.incoming_webhook.user.app_error': 'forbidden',
}
const REJECTED: ReadonlySet<unknown> = new Set(['web.incoming_webhook.text.app_error', 'web.incoming_webhook.parse.app_error', 'web.incoming_webhook.decode.app_error', 'api.webhook.incoming.error'])

/** `ok` as plain text, or JSON with `id`, `message` and `status_code`, which says more than the status. */
function verdict(answer: Answer): Verdict {
  if (answer.status === 200 && answer.body.trim() === 'ok') return { outcome: 'sent' }
  if (answer.status === 429) return tooFast(answer)
  const id = jsonObject(answer.body)?.['id']
  if (answer.status === 413 || id === 'web.incoming_webhook.split_props_length.app_error') return refused('message_bad', 'too_large', answer)
  if (answer.status < 400 || typeof id !== 'string') return unknownAnswer(answer)
  if (REJECTED.has(id)) return refused('message_bad', 'rejected', answer)
  const dead = Object.hasOwn(DEAD, id) ? DEAD[id] : undefined
  // The channel's id is that of a failing database too.
  return dead && (answer.status < 500 || answer.status === 501) ? refused('channel_dead', dead, answer) : unknownAnswer(answer)
}

export const mattermost = defineChannel({
  type: 'mattermost',
  summary: 'A Mattermost channel, by an incoming webhook',
  documentation: 'https://developers.mattermost.com/integrate/webhooks/incoming/',
  options,
  example: { url: 'https://mattermost.example.org/hooks/xxxxxxxxxxxxxxxxxxxxxxxxxx' },
  // What a server allows an address that has its limit turned on and left as it is (RateLimitSettings.PerSec).
  rates: [{ messages: 10, perMs: 1_000 }],
  size: { most: MOST, unit: 'characters', of: 'the text and the attachments as JSON' },
  render,
  measure: ({ text, attachments }) => lengthIn(JSON.stringify([text, attachments]), 'characters'),
  robot: ({ url }) => url.reveal(),
  request: ({ url }, body) => ({ url: url.reveal(), headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  verdict,
  lint: (_, notice) => lintMentions(notice, 'mattermost', MENTION_ID, 'the name of a user'),
})
