import { expect, it } from 'vitest'
import type { Body } from '../../../src/notify/channel.ts'
import { slack } from '../../../src/notify/channels/slack.ts'
import { bindEntry, channelContract, type Reading } from '../channel-contract.ts'
import { post } from '../fakes/fake.ts'
import { fakeSlack, slackBotEntry, slackEntry } from '../fakes/slack.ts'
import { block, notice } from '../notices.ts'

interface Element { readonly type: string, readonly text?: string, readonly url?: string, readonly style?: Readonly<Record<string, boolean>>, readonly [more: string]: unknown }
interface Part { readonly type: string, readonly text?: { readonly type: string, readonly text: string, readonly emoji?: boolean }, readonly elements?: readonly { readonly elements?: readonly Element[], readonly text?: { readonly text: string }, readonly url?: string }[] }
interface Message { readonly text: string, readonly blocks: readonly Part[], readonly attachments: readonly { readonly color?: string, readonly blocks: readonly Part[] }[] }
const messageOf = (body: Body) => body as unknown as Message

/** mrkdwn: what stands between < and > works, and pairs of marks. */
function mrkdwn(text: string): Reading {
  const active: string[] = []
  const found = text.replaceAll(/<([^>]*)>/g, (_, inside: string) => {
    const [target = '', label = target] = inside.split('|')
    active.push(/^[@!#]/.test(target) ? `mention:${target}` : `link:${target}`)
    return /^[@!#]/.test(target) ? '' : label
  })
  const styled = found.replaceAll(/(?<!\w)([*_~`])([^*_~`\s](?:[^*_~`]*[^*_~`\s])?)\1(?!\w)/g, (_, mark: string, inside: string) => {
    active.push(`style:${mark}`)
    return inside
  })
  return { visible: styled.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'), active }
}

function element({ type, text = '', url, style, ...more }: Element): Reading {
  if (type === 'text') return { visible: text, active: Object.keys(style ?? {}) }
  if (type === 'link') return { visible: text, active: [`link:${url}`] }
  return { visible: '', active: [`mention:${String(more['user_id'] ?? more['usergroup_id'] ?? more['range'])}`] }
}

function part({ type, text, elements = [] }: Part): readonly Reading[] {
  if (type === 'header') return [{ visible: text!.text, active: text!.emoji === false && text!.type === 'plain_text' ? [] : ['emoji'] }]
  if (type === 'section') return [text!.type === 'mrkdwn' ? mrkdwn(text!.text) : { visible: text!.text, active: [] }]
  if (type === 'actions') return elements.map((button) => ({ visible: `${button.text!.text}\n`, active: [`link:${button.url}`] }))
  return elements.flatMap((section) => [...(section.elements ?? []).map(element), { visible: '\n', active: [] }])
}

function read(body: Body): Reading {
  const { text, blocks, attachments } = messageOf(body)
  const readings = [...blocks, ...attachments.flatMap((attachment) => attachment.blocks)].flatMap(part)
  return { visible: readings.map(({ visible }) => visible).join(''), active: [...readings.flatMap(({ active }) => active), ...mrkdwn(text).active.filter((what) => !what.startsWith('style:'))] }
}

const ok = { outcome: 'sent' }

channelContract(slack, {
  service: async (rate) => {
    const fake = await fakeSlack(rate)
    return { fake, entry: slackEntry(fake) }
  },
  read,
  raw: (text) => ({ text: '', blocks: [], attachments: [{ blocks: [{ type: 'section', text: { type: 'mrkdwn', text } }] }] }),
  dangerous: ['<!here>', '<!channel>', '<@U123>', '<!subteam^S123>', '<#C123>', '<http://evil.example/|x>', '*b*', '_i_', '~s~', '`c`'],
  ids: { slack: 'U0123456789' },
  secrets: ['XXXXXXXXXXXXXXXXXXXXXXXX'],
  verdicts: [
    { body: 'ok', verdict: ok },
    { body: { ok: true, channel: 'C1', ts: '1.2' }, verdict: ok },
    { status: 429, headers: { 'retry-after': '30' }, body: { ok: false, error: 'rate_limited' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 30_000 } },
    { status: 429, body: { retry_after: 1, ok: false, error: 'rate_limited' }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 1_000 } },
    { body: { ok: false, error: 'ratelimited' }, verdict: { outcome: 'retry', reason: 'rate_limited' } },
    { body: { ok: false, error: 'internal_error' }, verdict: { outcome: 'retry', reason: 'unavailable' } },
    { status: 500, body: 'rollup_error', verdict: { outcome: 'retry', reason: 'unavailable' } },
    { status: 503, headers: { 'retry-after': '7' }, body: '', verdict: { outcome: 'retry', reason: 'unavailable', afterMs: 7_000 } },
    { status: 404, body: 'no_service', verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 404, body: 'channel_not_found', verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 410, body: 'channel_is_archived', verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 403, body: 'invalid_token', verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { status: 403, body: 'action_prohibited', verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { body: { ok: false, error: 'account_inactive' }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { body: { ok: false, error: 'not_in_channel' }, verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { body: { ok: false, error: 'is_archived' }, verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 400, body: 'invalid_payload', verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { body: { ok: false, error: 'msg_blocks_too_long' }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { body: { ok: false, error: 'something_new' }, verdict: { outcome: 'retry', reason: 'protocol' } },
    { body: { ok: false, error: 'constructor' }, verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 403, body: '<html>blocked by the proxy</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 302, headers: { location: 'http://login.example/' }, body: '', verdict: { outcome: 'retry', reason: 'protocol' } },
  ],
})

const bound = bindEntry(slack, slack.example)
const people = [{ name: 'Ann', ids: { slack: 'U0123456789' } }, { name: 'On call', ids: { slack: 'S0123456789' } }, { name: '<!here>', ids: {} }, { name: 'Bob', ids: { slack: 'bob' } }]

it('mentions users, groups and the channel where Slack notifies them, and says whom it cannot', () => {
  const { blocks } = messageOf(bound.render(notice({ mentions: people, everyone: true })))
  const elements = blocks.at(-1)?.elements?.[0]?.elements?.filter(({ text }) => text !== ' ')
  expect(elements).toStrictEqual([
    { type: 'broadcast', range: 'channel' }, { type: 'user', user_id: 'U0123456789' }, { type: 'usergroup', usergroup_id: 'S0123456789' }, { type: 'text', text: ' <!here> Bob' },
  ])
  expect(bound.lint(notice({ mentions: people }))).toStrictEqual([expect.stringContaining('<!here>'), expect.stringContaining('Bob')])
})

it('gives alerts the colour of their tone, in order', () => {
  const { attachments } = messageOf(bound.render(notice({ tone: 'warning', blocks: [block('A'), block('B'), { ...block('C'), tone: 'resolved' }], links: [{ text: 'Open', url: 'http://alertmanager:9093' }] })))
  expect(attachments.map(({ color, blocks }) => [color, blocks.flatMap(part).map(({ visible }) => visible).join('').trim()])).toStrictEqual([['#D92D20', 'A\nrefused\n\nB\nrefused'], ['#12B76A', 'C'], ['#F79009', 'Open']].map(([color, text]) => [color, text!.replaceAll('\nrefused', '')]))
})

it('shows a title that is too long for a header in bold', () => {
  const { blocks } = messageOf(bound.render(notice({ title: 'x'.repeat(151) })))
  expect(blocks.map(({ type }) => type)).toStrictEqual(['rich_text'])
  expect(read(bound.render(notice({ title: 'x'.repeat(151) }))).visible).toContain('x'.repeat(151))
})

it('takes a webhook or a bot, not half of each', () => {
  const wrong = [{}, { token: 'xoxb-1' }, { channel_id: 'C0123456789' }, { ...slack.example, token: 'xoxb-1', channel_id: 'C0123456789' }]
  for (const entry of wrong) expect(slack.options.safeParse(entry).error?.issues.map(({ message }) => message)).toStrictEqual(['expected either url, or token and channel_id'])
  // No header could carry it: each message would fail as an error of ours.
  for (const token of ['xoxb-1\n', 'xoxb-é', '']) expect(slack.options.safeParse({ token, channel_id: 'C0123456789' }).error?.issues.map(({ message }) => message)).toStrictEqual(['expected a token such as xoxb-…'])
})

it('writes as a bot', async () => {
  const fake = await fakeSlack()
  try {
    const bot = bindEntry(slack, slackBotEntry(fake))
    expect(slack.verdict(await post(bot.request(bot.render(notice()), 0)))).toStrictEqual(ok)
    expect(fake.messages[0]).toMatchObject({ body: { channel: 'C0123456789', text: 'firing: 1' }, headers: { authorization: 'Bearer xoxb-0000000000-xxxxxxxxxxxx' } })
    const stranger = bindEntry(slack, { ...slackBotEntry(fake), token: 'xoxp-wrong' })
    fake.fail(() => undefined)
    expect(slack.verdict(await post(stranger.request(stranger.render(notice()), 0)))).toMatchObject({ outcome: 'retry', reason: 'rate_limited' })
    expect(bot.robot()).not.toBe(stranger.robot())
  } finally {
    await fake.close()
  }
})
