import { z } from 'zod'
import { fakeService, parsed, type Fake, type FakeOptions, type Reply } from './fake.ts'

const refusal = (status: number, code: string, message: string): Reply => ({ status, body: { error: { code, message } } })

const openUrl = z.object({ type: z.literal('Action.OpenUrl'), url: z.string().regex(/^https?:\/\//) })
const textBlock = z.object({ type: z.literal('TextBlock'), text: z.string() })
const richTextBlock = z.object({ type: z.literal('RichTextBlock'), inlines: z.array(z.object({ type: z.literal('TextRun'), text: z.string(), selectAction: openUrl.optional() })).min(1) })
const container = z.object({ type: z.literal('Container'), style: z.enum(['default', 'emphasis', 'good', 'attention', 'warning', 'accent']), items: z.array(z.discriminatedUnion('type', [textBlock, richTextBlock])).min(1) })
const card = z.object({
  type: z.literal('AdaptiveCard'),
  version: z.string().regex(/^1\.[0-4]$/),
  body: z.array(z.discriminatedUnion('type', [textBlock, richTextBlock, container])),
  actions: z.array(openUrl.extend({ title: z.string().min(1) })).optional(),
  msteams: z.object({ entities: z.array(z.object({ type: z.literal('mention'), text: z.string(), mentioned: z.object({ id: z.string(), name: z.string() }) })).optional() }),
}).refine(({ body, msteams: { entities = [] } }) => entities.every(({ text }) => JSON.stringify(body).includes(JSON.stringify(text).slice(1, -1))), 'a mention does not stand in the card')
const message = z.object({ type: z.literal('message'), attachments: z.array(z.unknown()) })
const attachments = z.array(z.object({ contentType: z.literal('application/vnd.microsoft.card.adaptive'), content: card })).length(1)

/** Teams: a workflow with a webhook trigger. A real one posts the card after its answer; this one checks it at once, so that a test sees it. */
export function fakeTeams(options: FakeOptions = {}): Promise<Fake> {
  const path = '/workflows/0123456789abcdef/triggers/manual/paths/invoke'
  return fakeService({
    path,
    rates: [{ messages: 25, perMs: 300_000 }],
    counts: 'taken',
    tooFast: { status: 429, headers: { 'retry-after': '20' }, body: { error: { code: 'WorkflowRunActionThrottled', message: 'Rate limit is exceeded. Try again in 20 seconds.' } } },
    refuse({ url, headers, text }) {
      if (url.pathname !== path) return refusal(404, 'WorkflowNotFound', 'The workflow could not be found.')
      if (!url.searchParams.has('sig')) return refusal(401, 'DirectApiAuthorizationRequired', 'The request must be authenticated only by Shared Access scheme.')
      const { data } = message.safeParse(parsed(text))
      if (!data || !headers['content-type']?.startsWith('application/json')) return refusal(400, 'TriggerInputSchemaMismatch', 'The input body for trigger did not match its schema definition.')
      if (!attachments.safeParse(data.attachments).success) return refusal(400, 'BadRequest', 'Invalid adaptive card')
      return Buffer.byteLength(JSON.stringify(JSON.stringify(data.attachments))) > 28_672 ? refusal(413, 'RequestEntityTooLarge', 'Request Entity too large') : undefined
    },
    taken: { status: 202, body: '' },
  }, options)
}

/** The options of a channel that writes to the fake. */
export const teamsEntry = ({ url }: Fake) => ({ url: `${url}?api-version=2016-06-01&sig=xxxxxxxxxxxxxxxxxxxxxxxx` })
