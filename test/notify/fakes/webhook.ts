import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions } from './fake.ts'

export const WEBHOOK_KEY = 'a key that both sides know'

const message = z.object({ schema_version: z.literal(1), title: z.string(), text: z.string(), alerts: z.array(z.unknown()) })

/** Somebody's own endpoint: it checks the signature, and that a timestamp is no older than five minutes. */
export function fakeWebhook(options: FakeOptions = {}): Promise<Fake> {
  return fakeService({
    path: '/alerts',
    rates: [{ messages: 10, perMs: 1_000 }],
    counts: 'taken',
    tooFast: { status: 429, headers: { 'retry-after': '1' }, body: { error: 'too many requests' } },
    refuse({ headers, text }) {
      const timestamp = String(headers['x-curlew-timestamp'])
      const wanted = Buffer.from(`v1=${createHmac('sha256', WEBHOOK_KEY).update(`${timestamp}.${text}`).digest('hex')}`)
      const given = Buffer.from(String(headers['x-curlew-signature']))
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return { status: 401, body: { error: 'wrong signature' } }
      if (Math.abs(Date.now() / 1_000 - Number(timestamp)) > 300) return { status: 401, body: { error: 'old timestamp' } }
      return message.safeParse(parsed(text)).success ? undefined : { status: 422, body: { error: 'not a message of version 1' } }
    },
    taken: { status: 202, body: '' },
  }, options)
}

/** The options of a channel that writes to the fake. */
export const webhookEntry = ({ url }: Fake) => ({ url, secret: WEBHOOK_KEY })
