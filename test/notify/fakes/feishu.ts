import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type FakeRequest, type Reply } from './fake.ts'

const plainText = z.strictObject({ tag: z.literal('plain_text'), content: z.string().min(1) })
const element = z.discriminatedUnion('tag', [
  z.strictObject({ tag: z.literal('markdown'), content: z.string() }),
  z.strictObject({ tag: z.literal('button'), text: plainText, type: z.string(), behaviors: z.array(z.strictObject({ type: z.literal('open_url'), default_url: z.url() })) }),
])
const card = z.strictObject({
  schema: z.literal('2.0'),
  config: z.object({}),
  header: z.strictObject({ title: plainText, template: z.enum(['red', 'orange', 'blue', 'green']) }),
  body: z.strictObject({ direction: z.literal('vertical'), elements: z.array(element).min(1) }),
})
const envelope = z.object({ msg_type: z.literal('interactive'), card: z.unknown(), timestamp: z.string().optional(), sign: z.string().optional() })

const HOUR_S = 3_600

export interface FeishuOptions extends FakeOptions {
  readonly secret?: string
  readonly keywords?: readonly string[]
}

const refusal = (code: number, msg: string, status = 200): Reply => ({ status, body: { code, data: {}, msg } })

/** Feishu's custom bot: path, signature in the body within an hour, size, cards of JSON 2.0, keywords in what is shown. */
export function fakeFeishu({ secret, keywords = [], ...options }: FeishuOptions = {}): Promise<Fake> {
  return fakeService({
    path: '/open-apis/bot/v2/hook/fake-token-of-feishu',
    rates: [{ messages: 5, perMs: 1_000 }, { messages: 100, perMs: 60_000 }],
    counts: 'taken',
    tooFast: refusal(11_232, 'frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]'),
    taken: { status: 200, body: { StatusCode: 0, StatusMessage: 'success', code: 0, data: {}, msg: 'success' } },
    refuse: (request) => refuse(request, secret, keywords),
  }, options)
}

function refuse({ url, text }: FakeRequest, secret: string | undefined, keywords: readonly string[]): Reply | undefined {
  if (!url.pathname.endsWith('/hook/fake-token-of-feishu') || url.search !== '') return refusal(19_001, 'param invalid: incoming webhook access token invalid')
  if (Buffer.byteLength(text) > 20_000) return refusal(19_036, 'message is too large')
  const message = envelope.safeParse(parsed(text)).data
  if (!message) return refusal(19_002, 'params error, msg_type need')
  if (secret !== undefined) {
    const { timestamp = '', sign } = message
    const fresh = /^\d{10}$/.test(timestamp) && Math.abs(Date.now() / 1_000 - Number(timestamp)) <= HOUR_S
    if (!fresh || sign !== createHmac('sha256', `${timestamp}\n${secret}`).digest('base64')) return refusal(19_021, 'sign match fail or timestamp is not within one hour from current time')
  }
  const shown = card.safeParse(message.card).data
  if (!shown) return refusal(200_621, 'parse card json err')
  const words = [shown.header.title.content, ...shown.body.elements.map((part) => part.tag === 'markdown' ? part.content : part.text.content)].join('\n')
  return keywords.length === 0 || keywords.some((keyword) => words.includes(keyword)) ? undefined : refusal(19_024, 'Key Words Not Found')
}
