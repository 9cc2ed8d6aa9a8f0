import { z } from 'zod'
import { defineChannel, type Answer, type Body, type Verdict } from '../channel.ts'
import type { Line, Notice, Span, Tone } from '../notice.ts'
import { jsonObject, unknownAnswer } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { numberedTitle } from '../lib/markdown.ts'
import { callable, lintMentions, plainLine, usableLinks } from '../lib/notices.ts'
import { record, refused, tooFast } from '../lib/refusal.ts'
import { cutTo, linkUrl, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe('of a workflow that posts to a channel or chat when a webhook request is received'),
})

/** A user principal name, or the object id of a user in Entra. */
const MENTION_ID = /^(?:[^\s@<>"]+@[^\s@<>"]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i

const TEXT_COLOURS: Readonly<Record<Tone, string>> = { critical: 'Attention', warning: 'Warning', info: 'Accent', resolved: 'Good' }
const CONTAINER_STYLES: Readonly<Record<Tone, string>> = { critical: 'attention', warning: 'warning', info: 'accent', resolved: 'good' }

const BUTTON_CHARACTERS = 60
const URL_CHARACTERS = 2_000
/** Teams shows so many in a row. */
const BUTTONS = 6

type Json = Readonly<Record<string, unknown>>

/** A run of text. A TextRun is shown as it is, where a TextBlock or a Fact is parsed as Markdown. */
function textRun(span: Span): Json {
  const text = oneLine(span.text)
  if (span.kind === 'link') {
    const url = linkUrl(span.url)
    return url !== undefined && url.length <= URL_CHARACTERS ? { type: 'TextRun', text: text || url, selectAction: { type: 'Action.OpenUrl', url } } : { type: 'TextRun', text: plainLine([span]) }
  }
  const style = span.style === 'bold' ? { weight: 'Bolder' } : span.style === 'code' ? { fontType: 'Monospace' } : span.style === 'muted' ? { isSubtle: true } : {}
  return { type: 'TextRun', text, ...style }
}

function paragraphs(lines: readonly Line[]): readonly Json[] {
  return lines.map((line, index) => ({
    type: 'RichTextBlock',
    ...(index > 0 ? { spacing: 'None' } : {}),
    inlines: line.filter(({ text }) => text !== '').map(textRun),
  })).filter(({ inlines }) => inlines.length > 0)
}

/** Names as they may stand in `<at>` of a TextBlock, which is Markdown: nothing that it could take for markup. */
const plainName = (name: string): string => oneLine(name).replaceAll(/[^\p{L}\p{M}\p{N} .'-]/gu, ' ').trim() || '?'

function render(_: z.output<typeof options>, notice: Notice): Body {
  const title = numberedTitle(notice)
  const { known, unknown } = callable(notice, 'teams', MENTION_ID)
  const mentions = known.map(({ id, person }) => ({ type: 'mention', text: `<at>${plainName(person.name)}</at>`, mentioned: { id, name: plainName(person.name) } }))
  const named = [...mentions.map(({ text }) => text), ...unknown.map(({ name }) => plainName(name))]
  const { usable, others } = usableLinks(notice.links, URL_CHARACTERS)
  const more = [...others, ...usable.slice(BUTTONS).map((link): Line => [{ kind: 'link', ...link }])]
  return {
    type: 'message',
    attachments: [{
      contentType: 'application/vnd.microsoft.card.adaptive',
      contentUrl: null,
      content: {
        $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
        type: 'AdaptiveCard',
        // Clients of Teams leave out cards of 1.5 and above that they do not know.
        version: '1.4',
        fallbackText: cutTo(title, 200, 'characters'),
        body: [
          ...(title === '' ? [] : [{ type: 'RichTextBlock', inlines: [{ type: 'TextRun', text: title, size: 'Medium', weight: 'Bolder', color: TEXT_COLOURS[notice.tone] }] }]),
          ...paragraphs(notice.lead),
          ...(named.length > 0 ? [{ type: 'TextBlock', wrap: true, text: named.join(' ') }] : []),
          ...notice.blocks.map(({ tone, lines }) => ({ type: 'Container', style: CONTAINER_STYLES[tone], items: paragraphs(lines) })),
          ...paragraphs([...notice.tail, ...more]),
        ],
        ...(usable.length > 0 ? { actions: usable.slice(0, BUTTONS).map(({ text, url }) => ({ type: 'Action.OpenUrl', title: cutTo(oneLine(text), BUTTON_CHARACTERS, 'characters') || '→', url })) } : {}),
        msteams: { width: 'Full', ...(mentions.length > 0 ? { entities: mentions } : {}) },
      },
    }],
  }
}

/** What the old connectors put into a body with status 200. */
const CONNECTOR_ERROR = /Microsoft Teams endpoint returned HTTP error (\d{3})/

/**
 * A workflow answers 202 before it posts: what fails after that shows in its runs only. A refusal is JSON with `error.code`;
 * what has no such code comes from somebody on the way. The old connectors answer `1`.
 */
function verdict(answer: Answer): Verdict {
  const { status, body } = answer
  const connector = CONNECTOR_ERROR.exec(body)?.[1]
  if (status < 400 && connector !== undefined) return ofStatus(answer, Number(connector))
  if (status === 202 && !body.trimStart().startsWith('<')) return { outcome: 'sent' }
  if (status === 200 && body.trim() === '1') return { outcome: 'sent' }
  const code = record(jsonObject(answer.body)?.['error'])?.['code']
  if (typeof code !== 'string') return status === 413 ? ofStatus(answer, status) : unknownAnswer(answer)
  // 400, of a flow that is turned off or deleted.
  if (/NotEnabled|Disabled|WorkflowNotFound|TriggerNotFound/.test(code)) return refused('channel_dead', 'gone', answer)
  return ofStatus(answer, status)
}

function ofStatus(answer: Answer, status: number): Verdict {
  if (status === 429) return tooFast(answer)
  if (status === 413) return refused('message_bad', 'too_large', answer)
  if (status === 400 || status === 422) return refused('message_bad', 'rejected', answer)
  if (status === 401) return refused('channel_dead', 'unauthorized', answer)
  if (status === 403) return refused('channel_dead', 'forbidden', answer)
  if (status === 404 || status === 410) return refused('channel_dead', 'gone', answer)
  return status >= 500 ? refused('retry', 'unavailable', answer) : unknownAnswer(answer)
}

export const teams = defineChannel({
  type: 'teams',
  summary: 'A channel or chat of Microsoft Teams, by a workflow with a webhook trigger',
  documentation: 'https://learn.microsoft.com/en-us/connectors/teams/#throttling-limits',
  options,
  example: { url: 'https://prod-00.westeurope.logic.azure.com:443/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sig=XXXXXXXXXXXXXXXXXXXXXXXX' },
  // What is documented of the Teams actions: 25 posts as the flow bot in 300 s, of one connection. Whoever owns several
  // workflows shares them between those. Too many are accepted here and fail in the runs, unseen.
  rates: [{ messages: 25, perMs: 300_000 }],
  // Teams refuses 28,672 bytes of what it makes of a card, not of what was sent: 24,453 bytes became 28,897
  // (github.com/MicrosoftDocs/msteams-docs/issues/11274). A workflow has answered by then, so that there must be room to spare.
  size: { most: 20_480, unit: 'bytes', of: 'the attachments as JSON inside of JSON, as Teams keeps them' },
  render,
  measure: ({ attachments }) => Buffer.byteLength(JSON.stringify(JSON.stringify(attachments))),
  robot: ({ url }) => url.reveal(),
  request: ({ url }, body) => ({ url: url.reveal(), headers: { 'content-type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) }),
  verdict,
  lint: (_, notice) => [
    ...lintMentions(notice, 'teams', MENTION_ID, 'a user principal name such as ann@example.org'),
    ...(notice.everyone ? ['Teams cannot call everyone from a workflow: name people'] : []),
  ],
})
