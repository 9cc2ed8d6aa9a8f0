import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Body } from '../../../src/notify/channel.ts'
import { signature, webhook } from '../../../src/notify/channels/webhook.ts'
import { split } from '../../../src/notify/split.ts'
import type { Notice } from '../../../src/notify/notice.ts'
import { bindEntry, channelContract, type Reading } from '../channel-contract.ts'
import { post } from '../fakes/fake.ts'
import { fakeWebhook, WEBHOOK_KEY, webhookEntry } from '../fakes/webhook.ts'
import { block, everywhere, notice } from '../notices.ts'

type Line = readonly { readonly text: string, readonly url?: string }[]
interface Message { readonly title: string, readonly text: string, readonly lead: readonly Line[], readonly alerts: readonly { readonly lines: readonly Line[] }[], readonly tail: readonly Line[], readonly links: readonly { readonly text: string, readonly url: string }[], readonly mentions: readonly { readonly id?: string }[] }

/** Its texts are plain: what is active are the fields for it. */
function read(body: Body): Reading {
  const { title, text, lead, alerts, tail, links, mentions } = body as unknown as Message
  const lines = [...lead, ...alerts.flatMap((alert) => alert.lines), ...tail]
  for (const shown of [title, ...lines.map((line) => line[0]?.text ?? '')]) expect(text).toContain(shown)
  return {
    visible: [title, ...lines.map((line) => line.map((span) => span.text).join('')), ...links.map((link) => link.text)].join('\n'),
    active: [...lines.flat().filter((span) => span.url).map((span) => `link:${span.url}`), ...links.map(({ url }) => `link:${url}`), ...mentions.map(({ id }) => `mention:${id}`)],
  }
}

channelContract(webhook, {
  service: async (rate) => {
    const fake = await fakeWebhook(rate)
    return { fake, entry: webhookEntry(fake) }
  },
  read,
  raw: () => ({}),
  dangerous: [],
  ids: { webhook: 'ann' },
  fill: 1_000,
  secrets: ['XXXXXXXXXXXXXXXXXXXXXXXX'],
  takenByStatus: [200, 201, 202, 204],
  verdicts: [
    ...[200, 201, 202, 204, 299].map((status) => ({ status, body: status === 204 ? '' : { queued: true }, verdict: { outcome: 'sent' } })),
    { status: 200, body: ' <!DOCTYPE html><html>log in</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 301, headers: { location: 'https://elsewhere.example/' }, body: '', verdict: { outcome: 'channel_dead', reason: 'gone', detail: expect.stringContaining('redirects are not followed') } },
    { status: 308, body: '', verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 400, body: { error: 'x' }, verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 422, body: '', verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 413, body: '', verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 401, body: '', verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { status: 403, body: '', verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 404, body: '', verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 410, body: '', verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 429, headers: { 'retry-after': '17' }, body: '', verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 17_000 } },
    { status: 503, headers: { 'retry-after': '120' }, body: '', verdict: { outcome: 'retry', reason: 'unavailable', afterMs: 120_000 } },
    { status: 408, body: '', verdict: { outcome: 'retry' } },
    { status: 500, body: '', verdict: { outcome: 'retry', reason: 'unavailable' } },
    { status: 418, body: '', verdict: { outcome: 'retry', reason: 'protocol' } },
  ],
})

const bound = bindEntry(webhook, { ...webhook.example, authorization: 'Bearer XXXXXXXXXXXXXXXXXXXXXXXX' })

it('reads a date in Retry-After', () => {
  const verdict = webhook.verdict({ status: 429, headers: { 'retry-after': new Date(Date.now() + 60_000).toUTCString() }, body: '' })
  expect(verdict).toMatchObject({ outcome: 'retry', reason: 'rate_limited' })
  expect('afterMs' in verdict && verdict.afterMs).toBeGreaterThan(50_000)
  expect('afterMs' in verdict && verdict.afterMs).toBeLessThanOrEqual(60_000)
})

it('has the shape of version 1', () => {
  const shown = { ...everywhere('x', 'https://good.example/', { webhook: 'ann', mobile: '13800000000', slack: 'U1' }), part: { index: 2, count: 3 } }
  expect(bound.render(shown)).toStrictEqual({
    schema_version: 1, status: 'firing', tone: 'critical', title: 'title x (2/3)',
    text: 'title x (2/3)\nlead x\n\nheading x\nlabel: x x \nx, x\nx\nlink x (https://good.example/)\n\ntail x\n\nbutton x: https://good.example/',
    lead: [[{ text: 'lead x' }]],
    alerts: [{
      status: 'firing', tone: 'warning', lines: [
        [{ text: 'heading x', style: 'bold' }], [{ text: 'label: ', style: 'muted' }, { text: 'x' }, { text: ' x ' }], [{ text: 'x', style: 'code' }, { text: ', ' }, { text: 'x', style: 'muted' }], [{ text: 'x' }],
        [{ text: 'link x', url: 'https://good.example/' }],
      ],
    }],
    tail: [[{ text: 'tail x' }]], links: [{ text: 'button x', url: 'https://good.example/' }], mentions: [{ name: 'name x', id: 'ann', mobile: '13800000000' }], mention_everyone: false, part: { index: 2, count: 3 },
  })
  expect(bound.render(notice({ tone: 'resolved', blocks: [{ ...block('A'), tone: 'resolved' }] }))).toMatchObject({ status: 'resolved', alerts: [{ status: 'resolved' }], part: { index: 1, count: 1 } })
})

it('says for programs which alert it is, in parts and digests too, as long as that leaves room for its heading', () => {
  const fits = (part: Notice) => webhook.measure(bound.render(part)) <= webhook.size.most
  const alert = { fingerprint: 'f1', labels: { alertname: 'A', severity: 'critical' }, startsAt: 0, endsAt: 60_000 }
  expect(bound.render(notice({ blocks: [{ ...block('A'), alert }] }))).toMatchObject({ alerts: [{ fingerprint: 'f1', labels: alert.labels, starts_at: '1970-01-01T00:00:00.000Z', ends_at: '1970-01-01T00:01:00.000Z' }] })
  const long = { ...block('B'), lines: [[{ kind: 'text' as const, text: 'B' }], [{ kind: 'text' as const, text: 'x'.repeat(100_000) }]] }
  const [withData] = split(notice({ blocks: [{ ...long, alert }] }), fits)
  expect(withData?.blocks[0]?.alert).toEqual(alert)
  const [without] = split(notice({ blocks: [{ ...long, alert: { ...alert, labels: { a: 'y'.repeat(60_000) } } }] }), fits)
  expect(without?.blocks[0]?.alert).toBeUndefined()
  expect(fits(without!)).toBe(true)
})

it('signs at the time of sending, and names equal messages alike', () => {
  const body = bound.render(notice())
  const [first, later] = [bound.request(body, 1_700_000_000_999), bound.request(body, 1_700_000_060_000)]
  expect(first.headers).toMatchObject({ 'x-curlew-timestamp': '1700000000', authorization: 'Bearer XXXXXXXXXXXXXXXXXXXXXXXX' })
  expect(first.headers['x-curlew-signature']).not.toBe(later.headers['x-curlew-signature'])
  expect(first.headers['x-curlew-delivery']).toMatch(/^[0-9a-f]{32}$/)
  expect(later.headers['x-curlew-delivery']).toBe(first.headers['x-curlew-delivery'])
  expect(bound.request(bound.render(notice({ title: 'other' })), 0).headers['x-curlew-delivery']).not.toBe(first.headers['x-curlew-delivery'])
  // Made with: printf '%s' '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
  expect(signature('secret', '1700000000', '{"a":1}')).toBe('v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686')
})

it('is refused with another key', async () => {
  const fake = await fakeWebhook()
  try {
    const stranger = bindEntry(webhook, { ...webhookEntry(fake), secret: 'another key than theirs' })
    expect(webhook.verdict(await post(stranger.request(stranger.render(notice()), Date.now())))).toMatchObject({ outcome: 'channel_dead', reason: 'unauthorized' })
    const late = bindEntry(webhook, webhookEntry(fake))
    expect(webhook.verdict(await post(late.request(late.render(notice()), Date.now() - 600_000)))).toMatchObject({ outcome: 'channel_dead', detail: expect.stringContaining('old timestamp') })
  } finally {
    await fake.close()
  }
})

it('is verified by the code that its page shows', async () => {
  const page = readFileSync(new URL('../../../docs/notify-webhook.md', import.meta.url), 'utf8')
  const code = /```js\n([^]*?)```/.exec(page)?.[1] ?? ''
  const { verify } = await import(`data:text/javascript,${encodeURIComponent(code)}`) as { verify: (headers: Readonly<Record<string, string>>, body: string, secret: string) => boolean }
  const own = bindEntry(webhook, { url: 'https://alerts.example.org/', secret: WEBHOOK_KEY })
  const { headers, body } = own.request(own.render(notice({ title: '告警' })), Date.now())
  expect(verify(headers, body, WEBHOOK_KEY)).toBe(true)
  expect(verify(headers, `${body} `, WEBHOOK_KEY)).toBe(false)
  expect(verify(headers, body, 'another key than theirs')).toBe(false)
  expect(verify({ ...headers, 'x-curlew-signature': '' }, body, WEBHOOK_KEY)).toBe(false)
  const old = own.request(own.render(notice()), Date.now() - 301_000)
  expect(verify(old.headers, old.body, WEBHOOK_KEY)).toBe(false)
})

it('documents every field that it sends', () => {
  const page = readFileSync(new URL('../../../docs/notify-webhook.md', import.meta.url), 'utf8')
  for (const field of Object.keys(bound.render(notice()))) expect(page).toContain(`\`${field}\``)
  for (const header of Object.keys(bound.request(bound.render(notice()), 0).headers).filter((name) => name.startsWith('x-curlew'))) expect(page.toLowerCase()).toContain(header)
})
