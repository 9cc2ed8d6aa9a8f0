import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type Reply } from './fake.ts'

const no = (status: number, id: string, message: string): Reply => ({ status, body: { id, message, detailed_error: '', request_id: 'xxxxxxxxxxxxxxxxxxxxxxxxxx', status_code: status } })

const message = z.object({
  text: z.string().default(''),
  attachments: z.array(z.object({ fallback: z.string(), title: z.string(), text: z.string(), color: z.string().regex(/^(?:#[0-9a-f]{3,6}|good|warning|danger)$/i) }).partial()).default([]),
})

/** Mattermost: an incoming webhook. A text that is too long is split by the real one; here it is refused, for ours must not need it. */
export function fakeMattermost(options: FakeOptions = {}): Promise<Fake> {
  return fakeService({
    path: '/hooks',
    rates: [{ messages: 10, perMs: 1_000 }],
    counts: 'all',
    tooFast: { status: 429, headers: { 'retry-after': '1', 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' }, body: 'limit exceeded' },
    refuse({ url, text }) {
      if (!/^\/hooks\/[A-Za-z0-9]{26}$/.test(url.pathname)) return no(400, 'web.incoming_webhook.invalid.app_error', 'Invalid webhook.')
      const { data } = message.safeParse(parsed(text))
      if (!data) return no(400, 'web.incoming_webhook.decode.app_error', 'Unable to decode the incoming webhook payload.')
      if (data.text === '' && data.attachments.length === 0) return no(400, 'web.incoming_webhook.text.app_error', 'No text specified')
      if ([...data.text].length > 16_383 || [...JSON.stringify(data.attachments)].length > 16_383) return no(400, 'web.incoming_webhook.split_props_length.app_error', 'Unable to split webhook props into 760000 character parts.')
      return undefined
    },
    taken: { status: 200, body: 'ok' },
  }, options)
}

/** The options of a channel that writes to the fake. */
export const mattermostEntry = ({ url }: Fake) => ({ url: `${url}/xxxxxxxxxxxxxxxxxxxxxxxxxx` })
