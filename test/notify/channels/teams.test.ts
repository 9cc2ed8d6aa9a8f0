import { expect, it } from 'vitest'
import type { Body } from '../../../src/notify/channel.ts'
import { teams } from '../../../src/notify/channels/teams.ts'
import { bindEntry, channelContract, type Reading } from '../channel-contract.ts'
import { fakeTeams, teamsEntry } from '../fakes/teams.ts'
import { block, notice } from '../notices.ts'

interface Item { readonly type: string, readonly text?: string, readonly style?: string, readonly items?: readonly Item[], readonly inlines?: readonly { readonly text: string, readonly weight?: string, readonly selectAction?: { readonly url: string } }[] }
interface Card {
  readonly body: readonly Item[]
  readonly actions?: readonly { readonly title: string, readonly url: string }[]
  readonly msteams: { readonly width: string, readonly entities?: readonly { readonly text: string, readonly mentioned: { readonly id: string, readonly name: string } }[] }
}
const cardOf = (body: Body) => (body as unknown as { attachments: [{ content: Card }] }).attachments[0].content

/** A TextBlock: Markdown, and the mentions that the card declares. */
function textBlock(text: string, { msteams: { entities = [] } }: Card): Reading {
  const active: string[] = []
  const take = (name: string, shown: string) => {
    active.push(name)
    return shown
  }
  const visible = text
    .replaceAll(/<at>([^<]*)<\/at>/g, (whole, name: string) => {
      const declared = entities.find((entity) => entity.text === whole)
      return declared ? take(`mention:${declared.mentioned.id}`, name) : whole
    })
    .replaceAll(/!?\[([^\]]*)\]\(([^)]*)\)/g, (_, shown: string, url: string) => take(`link:${url}`, shown))
    .replaceAll(/(\*\*|__|\*|_)(\S(?:.*?\S)?)\1/g, (_, mark: string, shown: string) => take(mark, shown))
    .replaceAll(/^(?:[-*+]|\d+\.) /gm, () => take('list', ''))
    .replaceAll(/\\([\\`*_{}[\]()#+.!-])/g, '$1')
  return { visible, active }
}

function item(one: Item, card: Card): readonly Reading[] {
  if (one.type === 'Container') return one.items!.flatMap((inner) => item(inner, card))
  if (one.type === 'TextBlock') return [textBlock(one.text!, card)]
  const runs = one.inlines!.map(({ text, selectAction }) => ({ visible: text, active: selectAction ? [`link:${selectAction.url}`] : [] }))
  return [{ visible: runs.map(({ visible }) => visible).join(''), active: runs.flatMap(({ active }) => active) }]
}

function read(body: Body): Reading {
  const card = cardOf(body)
  const readings = card.body.flatMap((one) => item(one, card))
  const actions = card.actions ?? []
  return { visible: [...readings.map(({ visible }) => visible), ...actions.map(({ title }) => title)].join('\n'), active: [...readings.flatMap(({ active }) => active), ...actions.map(({ url }) => `link:${url}`)] }
}

const refusal = (code: string, message = 'x') => ({ error: { code, message } })

channelContract(teams, {
  service: async (rate) => {
    const fake = await fakeTeams(rate)
    return { fake, entry: teamsEntry(fake) }
  },
  read,
  raw: (text) => ({ attachments: [{ content: { body: [{ type: 'TextBlock', text }], msteams: { width: 'Full', entities: [{ text: '<at>Ann</at>', mentioned: { id: 'ann@example.org', name: 'Ann' } }] } } }] }),
  dangerous: ['<at>Ann</at>', '[x](http://evil.example/)', '![x](http://evil.example/i.png)', '**b**', '*b*', '_i_', '- item', '1. item'],
  ids: { teams: 'ann@example.org' },
  secrets: ['XXXXXXXXXXXXXXXXXXXXXXXX'],
  takenByStatus: [202],
  verdicts: [
    { status: 202, body: '', verdict: { outcome: 'sent' } },
    { status: 202, body: '<!DOCTYPE html><html>log in</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 200, body: '1', verdict: { outcome: 'sent' } },
    { status: 200, body: 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0', verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { status: 200, body: 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId tcid=0', verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 200, body: 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 503 with ContextId tcid=0', verdict: { outcome: 'retry', reason: 'unavailable' } },
    { status: 400, body: refusal('WorkflowTriggerIsNotEnabled', "The workflow trigger is in state 'Deleted'"), verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 404, body: refusal('WorkflowNotFound'), verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 401, body: refusal('DirectApiAuthorizationRequired'), verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { status: 403, body: refusal('AuthorizationFailed'), verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 400, body: refusal('TriggerInputSchemaMismatch'), verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 413, body: refusal('RequestEntityTooLarge'), verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 429, headers: { 'retry-after': '20' }, body: refusal('WorkflowRunActionThrottled'), verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 20_000 } },
    { status: 409, body: refusal('SomethingNew'), verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 403, body: '<html>blocked by the proxy</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 504, body: refusal('GatewayTimeout'), verdict: { outcome: 'retry', reason: 'unavailable' } },
  ],
})

const bound = bindEntry(teams, teams.example)

it('mentions by entities whose text stands in the card, whatever a name holds', () => {
  const people = [{ name: 'Ann *the* <at>', ids: { teams: 'ann@example.org' } }, { name: '_Bob_', ids: {} }]
  const card = cardOf(bound.render(notice({ mentions: people })))
  const [entity] = card.msteams.entities ?? []
  expect(entity).toStrictEqual({ type: 'mention', text: '<at>Ann  the   at</at>', mentioned: { id: 'ann@example.org', name: 'Ann  the   at' } })
  expect(card.body.find(({ type }) => type === 'TextBlock')?.text).toBe(`${entity?.text} Bob`)
  expect(bound.lint(notice({ mentions: people, everyone: true }))).toStrictEqual([expect.stringContaining('_Bob_'), expect.stringContaining('everyone')])
})

it('gives alerts the colour of their tone and uses the full width', () => {
  const card = cardOf(bound.render(notice({ blocks: [block('A'), { ...block('B'), tone: 'warning' }, { ...block('C'), tone: 'resolved' }] })))
  expect(card.body.filter(({ type }) => type === 'Container').map(({ style }) => style)).toStrictEqual(['attention', 'warning', 'good'])
  expect(card.msteams).toStrictEqual({ width: 'Full' })
})

it('leaves room for what Teams makes of a card', () => {
  const body = bound.render(notice({ blocks: [block('x', '"'.repeat(1_000))] }))
  expect(teams.measure(body)).toBeGreaterThan(Buffer.byteLength(JSON.stringify(body)) + 1_900)
})
