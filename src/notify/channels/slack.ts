import { z } from 'zod'
import { secret } from '../../core/fields.ts'
import { defineChannel, type Answer, type Body, type DeliveryReason, type Verdict } from '../channel.ts'
import type { Line, Notice, Span } from '../notice.ts'
import { jsonObject, unknownAnswer } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { numberedTitle } from '../lib/markdown.ts'
import { byTone, callable, HEX_COLOURS, lintMentions, plainLine, usableLinks } from '../lib/notices.ts'
import { refused, tooFast } from '../lib/refusal.ts'
import { cutTo, linkUrl, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe('an incoming webhook, https://hooks.slack.com/services/…').optional(),
  token: secret().refine((token) => /^[\x21-\x7E]+$/.test(token.reveal()), 'expected a token such as xoxb-…').describe('of a bot with chat:write, in the place of a webhook').optional(),
  channel_id: z.string().regex(/^[CDG][A-Z0-9]{2,30}$/, 'expected an id such as C0123456789').describe('the channel that the bot writes to').optional(),
  api_url: z.url({ protocol: /^https?$/, error: 'expected a URL such as https://slack.com/api' }).describe('of the Web API, for a bot').default('https://slack.com/api'),
}).superRefine(({ url, token, channel_id }, context) => {
  const bot = token !== undefined && channel_id !== undefined
  const half = token !== undefined || channel_id !== undefined
  if (url === undefined ? !bot : half) context.addIssue('expected either url, or token and channel_id')
})

/** A user, or a user group. */
const MENTION_ID = /^(?:[UW]|S)[A-Z0-9]{2,30}$/
const ID_WANTED = 'an id such as U0123456789, or S0123456789 of a user group'

const HEADER_CHARACTERS = 150
const BUTTON_CHARACTERS = 75
const URL_CHARACTERS = 3_000
const BUTTONS = 25
const MOST = 12_000

type Block = Readonly<Record<string, unknown>>

/** A run of text in a rich_text block. Slack parses nothing in it: no mention, link, markup or emoji. */
function element(span: Span): Block {
  const text = oneLine(span.text)
  if (span.kind === 'link') {
    const url = linkUrl(span.url)
    return url !== undefined && url.length <= URL_CHARACTERS ? { type: 'link', url, text: text || url } : { type: 'text', text: plainLine([span]) }
  }
  const style = span.style === 'bold' || span.style === 'code' ? { style: { [span.style]: true } } : {}
  return { type: 'text', text, ...style }
}

/** Lines as one rich_text block; neighbours without a style are joined, since every element costs room. */
function richText(lines: readonly Line[], more: readonly Block[] = []): Block {
  const elements: Record<string, unknown>[] = []
  const add = (next: Block) => {
    const last = elements.at(-1)
    if (next['text'] === '') return
    if (last?.['type'] === 'text' && next['type'] === 'text' && !last['style'] && !next['style']) last['text'] = `${String(last['text'])}${String(next['text'])}`
    else elements.push({ ...next })
  }
  lines.forEach((line, index) => {
    if (index > 0) add({ type: 'text', text: '\n' })
    line.forEach((span) => add(element(span)))
  })
  more.forEach(add)
  return { type: 'rich_text', elements: [{ type: 'rich_text_section', elements }] }
}

const blankLine: Line = []

function mentionElements(notice: Notice): readonly Block[] {
  const { known, unknown } = callable(notice, 'slack', MENTION_ID)
  return [
    ...(notice.everyone ? [{ type: 'broadcast', range: 'channel' }] : []),
    ...known.map(({ id }) => id.startsWith('S') ? { type: 'usergroup', usergroup_id: id } : { type: 'user', user_id: id }),
    ...unknown.map(({ name }) => ({ type: 'text', text: oneLine(name) })),
  ].flatMap((one, index) => index > 0 ? [{ type: 'text', text: ' ' }, one] : [one])
}

/**
 * Title, lead and mentions as blocks of the message, since Slack notifies nobody for a mention in an attachment; the alerts
 * as attachments, which alone have colours.
 */
function render(channel: z.output<typeof options>, notice: Notice): Body {
  const title = numberedTitle(notice)
  const fits = title.length <= HEADER_CHARACTERS && title !== ''
  const top = [...(fits || title === '' ? [] : [[{ kind: 'text', text: title, style: 'bold' }] as const]), ...notice.lead]
  const mentions = mentionElements(notice)
  const { usable, others } = usableLinks(notice.links, URL_CHARACTERS)
  const buttons = usable.slice(0, BUTTONS).map(({ text, url }) => ({ type: 'button', text: { type: 'plain_text', text: cutTo(oneLine(text), BUTTON_CHARACTERS, 'utf16') || '→', emoji: false }, url }))
  const tail = [...notice.tail, ...others, ...usable.slice(BUTTONS).map((link): Line => [{ kind: 'link', ...link }])]
  const end = [...(tail.length > 0 ? [richText(tail)] : []), ...(buttons.length > 0 ? [{ type: 'actions', elements: buttons }] : [])]
  const runs = byTone(notice.blocks).map(({ tone, blocks }) => ({
    color: HEX_COLOURS[tone],
    blocks: [richText(blocks.flatMap(({ lines }, index) => index > 0 ? [blankLine, ...lines] : lines))],
  }))
  return {
    ...(channel.channel_id === undefined ? {} : { channel: channel.channel_id }),
    // What push notifications show. It is parsed, unlike the blocks.
    text: cutTo(title, HEADER_CHARACTERS, 'utf16').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
    blocks: [
      ...(fits ? [{ type: 'header', text: { type: 'plain_text', text: title, emoji: false } }] : []),
      ...(top.length > 0 ? [richText(top)] : []),
      ...(mentions.length > 0 ? [richText([], mentions)] : []),
    ],
    attachments: [...runs, ...(end.length > 0 ? [{ color: HEX_COLOURS[notice.tone], blocks: end }] : [])],
    unfurl_links: false,
    unfurl_media: false,
  }
}

const DEAD: Readonly<Record<string, DeliveryReason>> = {
  ...Object.fromEntries([
    'invalid_token', 'invalid_auth', 'not_authed', 'account_inactive', 'token_revoked', 'token_expired', 'missing_scope', 'no_permission', 'not_allowed_token_type', 'org_login_required', 'two_factor_setup_required',
  ].map((code) => [code, 'unauthorized' as const])),
  ...Object.fromEntries([
    'no_service', 'no_service_id', 'no_team', 'no_active_hooks', 'team_disabled', 'channel_not_found', 'channel_is_archived', 'is_archived', 'user_not_found',
  ].map((code) => [code, 'gone' as const])),
  ...Object.fromEntries([
    'action_prohibited', 'not_in_channel', 'access_denied', 'accesslimited', 'ekm_access_denied', 'enterprise_is_restricted', 'posting_to_general_channel_denied', 'restricted_action', 'restricted_action_read_only_channel',
    'restricted_action_thread_only_channel', 'restricted_action_non_threadable_channel', 'method_not_supported_for_channel_type', 'team_access_not_granted', 'channel_type_not_supported',
  ].map((code) => [code, 'forbidden' as const])),
}
const TOO_LARGE: ReadonlySet<string> = new Set(['msg_too_long', 'msg_blocks_too_long', 'too_many_attachments'])
const REJECTED: ReadonlySet<string> = new Set(['invalid_payload', 'invalid_blocks', 'invalid_blocks_format', 'invalid_attachments', 'no_text', 'missing_text_or_fallback_or_attachments', 'invalid_arguments', 'invalid_json'])
const SLOW_DOWN: ReadonlySet<string> = new Set(['ratelimited', 'rate_limited', 'message_limit_exceeded'])
const OUT_OF_ORDER: ReadonlySet<string> = new Set(['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'rollup_error', 'team_added_to_org'])

/** A webhook says `ok` or a code as plain text with a status; the Web API says {"ok":…,"error":…} with 200. */
function verdict(answer: Answer): Verdict {
  const json = jsonObject(answer.body)
  if (answer.status === 200 && (answer.body.trim() === 'ok' || json?.['ok'] === true)) return { outcome: 'sent' }
  if (answer.status === 429) return tooFast(answer, json?.['retry_after'])
  const code = typeof json?.['error'] === 'string' ? json['error'] : answer.body.trim()
  if (SLOW_DOWN.has(code)) return tooFast(answer, json?.['retry_after'])
  if (OUT_OF_ORDER.has(code)) return refused('retry', 'unavailable', answer)
  if (TOO_LARGE.has(code)) return refused('message_bad', 'too_large', answer)
  if (REJECTED.has(code)) return refused('message_bad', 'rejected', answer)
  const dead = Object.hasOwn(DEAD, code) ? DEAD[code] : undefined
  return dead ? refused('channel_dead', dead, answer) : unknownAnswer(answer)
}

export const slack = defineChannel({
  type: 'slack',
  summary: 'A Slack channel, by an incoming webhook or a bot',
  documentation: 'https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks',
  options,
  example: { url: 'https://hooks.slack.com/services/T0000000000/B0000000000/XXXXXXXXXXXXXXXXXXXXXXXX' },
  // Short bursts above it are tolerated, but not promised.
  rates: [{ messages: 1, perMs: 1_000 }],
  // Undocumented: chat.postMessage answers msg_blocks_too_long from about 13,200 characters on, the JSON around the text
  // included (github.com/slackapi/bolt-js/issues/2509 and 2867). Which kind is not said: UTF-16 counts the most.
  size: { most: MOST, unit: 'utf16', of: 'the JSON of blocks and attachments' },
  render,
  measure({ blocks, attachments }) {
    const size = JSON.stringify([blocks, attachments]).length
    // A message takes 100 attachments, and reads badly with more than 20.
    return Array.isArray(attachments) && attachments.length > 20 ? size + MOST : size
  },
  robot: ({ url, token, channel_id }) => url?.reveal() ?? `${token?.reveal() ?? ''} ${channel_id ?? ''}`,
  request({ url, token, api_url }, body) {
    const headers = { 'content-type': 'application/json; charset=utf-8', ...(token ? { authorization: `Bearer ${token.reveal()}` } : {}) }
    return { url: url?.reveal() ?? `${api_url.replace(/\/$/, '')}/chat.postMessage`, headers, body: JSON.stringify(body) }
  },
  verdict,
  lint: (_, notice) => lintMentions(notice, 'slack', MENTION_ID, ID_WANTED),
})
