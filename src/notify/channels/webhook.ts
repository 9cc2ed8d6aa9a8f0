import { createHash, createHmac } from 'node:crypto'
import { z } from 'zod'
import { secret } from '../../core/fields.ts'
import { defineChannel, type Answer, type Body, type Verdict } from '../channel.ts'
import type { Block, Line, Notice } from '../notice.ts'
import { unknownAnswer } from '../lib/answer.ts'
import { secretUrl } from '../lib/fields.ts'
import { numberedTitle } from '../lib/markdown.ts'
import { plainLine } from '../lib/notices.ts'
import { refused } from '../lib/refusal.ts'
import { linkUrl, oneLine } from '../text.ts'

const options = z.strictObject({
  url: secretUrl().describe('where messages are posted to; redirects are not followed'),
  secret: secret().refine((value) => value.reveal().length >= 16, 'expected at least 16 characters').describe('the key of the signature'),
  authorization: secret().refine((value) => /^[\x20-\x7E]+$/.test(value.reveal()), 'expected printable ASCII such as "Bearer …"').describe('the header Authorization, "Bearer …" or "Basic …"').optional(),
})

const spans = (line: Line) => line.map((span) => span.kind === 'link'
  ? { text: oneLine(span.text), url: linkUrl(span.url) ?? '' }
  : { text: oneLine(span.text), ...(span.style ? { style: span.style } : {}) })

const identity = ({ fingerprint, labels, startsAt, endsAt }: NonNullable<Block['alert']>) => ({
  fingerprint, labels, starts_at: new Date(startsAt).toISOString(), ...(endsAt === undefined ? {} : { ends_at: new Date(endsAt).toISOString() }),
})

/** The format of docs/notify-webhook.md: a field may be added within a version, and none changes its meaning. */
function render(_: z.output<typeof options>, notice: Notice): Body {
  const title = numberedTitle(notice)
  return {
    schema_version: 1,
    status: notice.tone === 'resolved' ? 'resolved' : 'firing',
    tone: notice.tone,
    title,
    text: plainText(title, notice),
    lead: notice.lead.map(spans),
    alerts: notice.blocks.map(({ tone, lines, alert }) => ({ status: tone === 'resolved' ? 'resolved' : 'firing', tone, lines: lines.map(spans), ...alert && identity(alert) })),
    tail: notice.tail.map(spans),
    links: notice.links.flatMap(({ text, url }) => {
      const href = linkUrl(url)
      return href === undefined ? [] : [{ text: oneLine(text), url: href }]
    }),
    mentions: notice.mentions.map(({ name, ids }) => ({ name: oneLine(name), ...(ids['webhook'] === undefined ? {} : { id: ids['webhook'] }), ...(ids['mobile'] === undefined ? {} : { mobile: ids['mobile'] }) })),
    mention_everyone: notice.everyone,
    part: notice.part ?? { index: 1, count: 1 },
  }
}

function plainText(title: string, { lead, blocks, tail, links }: Notice): string {
  const paragraphs = [[title, ...lead.map(plainLine)], ...blocks.map(({ lines }) => lines.map(plainLine)), tail.map(plainLine), links.map(({ text, url }) => `${oneLine(text)}: ${oneLine(url)}`)]
  return paragraphs.map((lines) => lines.join('\n')).filter((text) => text !== '').join('\n\n')
}

/** `v1=` and the hexadecimal HMAC-SHA256 of "timestamp.body" (seconds since 1970, the body as it is sent). */
export function signature(key: string, timestamp: string, body: string): string {
  return `v1=${createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex')}`
}

function verdict(answer: Answer): Verdict {
  const { status, body } = answer
  // A receiver answers with any 2xx and any body, or none; a whole page is what a proxy or a guest network shows.
  if (status >= 200 && status < 300) return /^\s*<(?:!doctype\s+html|html)/i.test(body) ? refused('retry', 'protocol', answer) : { outcome: 'sent' }
  if (status >= 300 && status < 400) return refused('channel_dead', 'gone', answer, `HTTP ${status}: redirects are not followed; put the address that it leads to into url`)
  switch (status) {
    case 400: case 422: return refused('message_bad', 'rejected', answer)
    case 413: return refused('message_bad', 'too_large', answer)
    case 401: return refused('channel_dead', 'unauthorized', answer)
    case 403: return refused('channel_dead', 'forbidden', answer)
    case 404: case 410: return refused('channel_dead', 'gone', answer)
    default: return unknownAnswer(answer)
  }
}

export const webhook = defineChannel({
  type: 'webhook',
  summary: 'Any HTTP endpoint: JSON, signed with a key',
  documentation: 'docs/notify-webhook.md',
  options,
  example: { url: 'https://alerts.example.org/curlew', secret: 'XXXXXXXXXXXXXXXXXXXXXXXX' },
  // Ours: an endpoint that is somebody's own has no documented limit.
  rates: [{ messages: 10, perMs: 1_000 }],
  // With its text less than 100 KB, which is as much as frameworks take unless told otherwise.
  size: { most: 48 * 1_024, unit: 'bytes', of: 'the body without its field `text`' },
  render,
  // A text stands in it twice, and is counted once: in what it is made of.
  measure: (body) => Buffer.byteLength(JSON.stringify({ ...body, text: '' })),
  robot: ({ url }) => url.reveal(),
  request({ url, secret: key, authorization }, body, now) {
    const text = JSON.stringify(body)
    const timestamp = String(Math.floor(now / 1_000))
    return {
      url: url.reveal(),
      headers: {
        'content-type': 'application/json',
        'x-curlew-timestamp': timestamp,
        'x-curlew-signature': signature(key.reveal(), timestamp, text),
        'x-curlew-delivery': createHash('sha256').update(text).digest('hex').slice(0, 32),
        ...(authorization ? { authorization: authorization.reveal() } : {}),
      },
      body: text,
    }
  },
  verdict,
})
