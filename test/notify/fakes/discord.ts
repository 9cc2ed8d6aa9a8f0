import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type Reply } from './fake.ts'

const id = z.string().regex(/^\d+$/)
const embed = z.object({ title: z.string().max(256).default(''), description: z.string().max(4_096).default(''), color: z.int().min(0).max(0xFF_FF_FF).optional() })
const button = z.object({ type: z.literal(2), style: z.literal(5), label: z.string().min(1).max(80), url: z.string().min(1).max(512).regex(/^https?:\/\//) })
const message = z.object({
  content: z.string().max(2_000).default(''),
  embeds: z.array(embed).max(10).default([]),
  components: z.array(z.object({ type: z.literal(1), components: z.array(button).min(1).max(5) })).max(5).default([]),
  allowed_mentions: z.object({ parse: z.array(z.enum(['roles', 'users', 'everyone'])), users: z.array(id).max(100).default([]), roles: z.array(id).max(100).default([]) }).optional(),
})

const invalid = (path: string, code: string, said: string): Reply => ({ status: 400, body: { message: 'Invalid Form Body', code: 50_035, errors: { [path]: { _errors: [{ code, message: said }] } } } })

function problem(body: unknown): Reply | undefined {
  if (body === undefined) return { status: 400, body: { message: 'The request body contains invalid JSON.', code: 50_109 } }
  const { data, error } = message.safeParse(body)
  const issue = error?.issues[0]
  if (!data) return invalid(issue?.path.join('.') ?? '', issue?.code === 'too_big' ? 'BASE_TYPE_MAX_LENGTH' : 'BASE_TYPE_BAD_TYPE', issue?.message ?? '')
  if (data.content === '' && data.embeds.length === 0) return { status: 400, body: { message: 'Cannot send an empty message', code: 50_006 } }
  if (data.embeds.some(({ title, description }) => title + description === '')) return invalid('embeds', 'BASE_TYPE_REQUIRED', 'This field is required')
  const size = data.embeds.reduce((sum, { title, description }) => sum + title.length + description.length, 0)
  return size > 6_000 ? invalid('embeds', 'MAX_EMBED_SIZE_EXCEEDED', 'Embed size exceeds maximum size of 6000') : undefined
}

/** Discord: a webhook. */
export function fakeDiscord(options: FakeOptions = {}): Promise<Fake> {
  return fakeService({
    path: '/api/webhooks',
    rates: [{ messages: 5, perMs: 2_000 }, { messages: 30, perMs: 60_000 }],
    counts: 'all',
    tooFast: {
      status: 429,
      headers: { 'retry-after': '2', 'x-ratelimit-limit': '5', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '1.57', 'x-ratelimit-scope': 'user' },
      body: { message: 'You are being rate limited.', retry_after: 1.57, global: false },
    },
    refuse({ url, headers, text }) {
      const [, , , robot, token] = url.pathname.split('/')
      if (!robot || !/^\d+$/.test(robot)) return { status: 404, body: { message: 'Unknown Webhook', code: 10_015 } }
      if (!token || token.length < 16) return { status: 401, body: { message: 'Invalid Webhook Token', code: 50_027 } }
      return problem(headers['content-type']?.startsWith('application/json') ? parsed(text) : undefined)
    },
    taken: ({ url }) => url.searchParams.get('wait') === 'true' ? { status: 200, body: { id: '1300000000000000000', type: 0, channel_id: '1200000000000000000', webhook_id: '100000000000000000' } } : { status: 204, body: '' },
  }, options)
}

/** The options of a channel that writes to the fake. */
export const discordEntry = ({ url }: Fake) => ({ url: `${url}/123456789012345678/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` })
