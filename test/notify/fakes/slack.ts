import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type FakeRequest, type Reply } from './fake.ts'

const text = (most: number) => z.string().min(1).refine((value) => [...value].length <= most)
const url = z.string().max(3_000).regex(/^https?:\/\//)
const plainText = (most: number) => z.strictObject({ type: z.literal('plain_text'), text: text(most), emoji: z.boolean().optional() })
const style = z.strictObject({ bold: z.boolean(), italic: z.boolean(), strike: z.boolean(), code: z.boolean() }).partial().optional()

const element = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text: z.string().min(1), style }),
  z.strictObject({ type: z.literal('link'), url, text: z.string().optional(), style }),
  z.strictObject({ type: z.literal('user'), user_id: z.string().regex(/^[UW][A-Z0-9]+$/), style }),
  z.strictObject({ type: z.literal('usergroup'), usergroup_id: z.string().regex(/^S[A-Z0-9]+$/), style }),
  z.strictObject({ type: z.literal('broadcast'), range: z.enum(['here', 'channel', 'everyone']), style }),
])
const block = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('header'), text: plainText(150) }),
  z.strictObject({ type: z.literal('section'), text: z.strictObject({ type: z.literal('mrkdwn'), text: text(3_000) }) }),
  z.strictObject({ type: z.literal('rich_text'), elements: z.array(z.strictObject({ type: z.literal('rich_text_section'), elements: z.array(element).min(1) })).min(1) }),
  z.strictObject({ type: z.literal('actions'), elements: z.array(z.strictObject({ type: z.literal('button'), text: plainText(75), url })).min(1).max(25) }),
])
const blocks = z.array(block).max(50)
const message = z.object({ text: z.string().default(''), blocks: z.array(z.unknown()).default([]), attachments: z.array(z.looseObject({ blocks: z.array(z.unknown()).default([]) })).default([]) })

/** What Slack's checks say of a body: an error code, or undefined. */
function problem(body: unknown): string | undefined {
  const { data } = message.safeParse(body)
  if (!data) return 'invalid_payload'
  if (data.attachments.length > 100) return 'too_many_attachments'
  if (data.text === '' && data.blocks.length + data.attachments.length === 0) return 'no_text'
  if (JSON.stringify([data.blocks, data.attachments]).length > 13_200) return 'msg_blocks_too_long'
  return [data.blocks, ...data.attachments.map((attachment) => attachment.blocks)].every((list) => blocks.safeParse(list).success) ? undefined : 'invalid_blocks'
}

const isApi = ({ url: { pathname } }: FakeRequest) => pathname.startsWith('/api/')
/** A refusal: plain text with a status by a webhook, JSON with 200 by the Web API. */
const say = (request: FakeRequest, status: number, code: string): Reply => isApi(request) ? { status: 200, body: { ok: false, error: code } } : { status, body: code }

function refuseCaller(request: FakeRequest): Reply | undefined {
  const { url: { pathname }, headers: { authorization }, text: body } = request
  if (!isApi(request)) return /^\/services\/T\w+\/B\w+\/\w+$/.test(pathname) ? undefined : say(request, 404, 'no_service')
  if (pathname !== '/api/chat.postMessage') return say(request, 200, 'unknown_method')
  if (!authorization?.startsWith('Bearer xoxb-')) return say(request, 200, authorization === undefined ? 'not_authed' : 'invalid_auth')
  return z.object({ channel: z.string().regex(/^[CDG]/) }).safeParse(parsed(body)).success ? undefined : say(request, 200, 'channel_not_found')
}

/** Slack: an incoming webhook at /services/…, and chat.postMessage at /api. */
export function fakeSlack(options: FakeOptions = {}): Promise<Fake> {
  return fakeService({
    path: '',
    rates: [{ messages: 1, perMs: 1_000 }],
    counts: 'taken',
    tooFast: { status: 429, headers: { 'retry-after': '1' }, body: { retry_after: 1, ok: false, error: 'rate_limited' } },
    refuse(request) {
      const code = request.headers['content-type']?.startsWith('application/json') ? problem(parsed(request.text)) : 'invalid_payload'
      return refuseCaller(request) ?? (code === undefined ? undefined : say(request, 400, code))
    },
    taken: (request) => isApi(request) ? { status: 200, body: { ok: true, channel: 'C0123456789', ts: '1503435956.000247', message: {} } } : { status: 200, body: 'ok' },
  }, options)
}

/** The options of a channel that writes to the fake, by a webhook. */
export const slackEntry = ({ url: host }: Fake) => ({ url: `${host}/services/T00000000/B00000000/xxxxxxxxxxxxxxxxxxxxxxxx` })

/** The same by a bot. */
export const slackBotEntry = ({ url: host }: Fake) => ({ token: 'xoxb-0000000000-xxxxxxxxxxxx', channel_id: 'C0123456789', api_url: `${host}/api` })
