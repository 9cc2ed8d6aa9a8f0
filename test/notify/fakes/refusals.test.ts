import { describe, expect, it } from 'vitest'
import type { Body, ChannelType } from '../../../src/notify/channel.ts'
import { discord } from '../../../src/notify/channels/discord.ts'
import { mattermost } from '../../../src/notify/channels/mattermost.ts'
import { slack } from '../../../src/notify/channels/slack.ts'
import { teams } from '../../../src/notify/channels/teams.ts'
import { telegram } from '../../../src/notify/channels/telegram.ts'
import { webhook } from '../../../src/notify/channels/webhook.ts'
import { bindEntry } from '../channel-contract.ts'
import { notice } from '../notices.ts'
import { discordEntry, fakeDiscord } from './discord.ts'
import { post, type Fake, type FakeOptions } from './fake.ts'
import { fakeMattermost, mattermostEntry } from './mattermost.ts'
import { fakeSlack, slackBotEntry, slackEntry } from './slack.ts'
import { fakeTeams, teamsEntry } from './teams.ts'
import { fakeTelegram, telegramEntry } from './telegram.ts'
import { fakeWebhook, webhookEntry } from './webhook.ts'

interface Case {
  readonly type: ChannelType
  readonly open: (options: FakeOptions) => Promise<Fake>
  readonly entry: (fake: Fake) => Readonly<Record<string, unknown>>
  /** Bodies that the service refuses, each with the reason that the channel must read. */
  readonly bad: readonly (readonly [string, Body, string])[]
  /** Robots that are none. */
  readonly strangers: readonly (readonly [Readonly<Record<string, unknown>>, string])[]
}

const section = (text: string) => [{ type: 'section', text: { type: 'mrkdwn', text } }]
const card = (changes: object) => ({ type: 'message', attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content: { type: 'AdaptiveCard', version: '1.4', body: [], msteams: {}, ...changes } }] })

const slackBad: Case['bad'] = [
  ['nothing', {}, 'rejected'],
  ['a header of 151 characters', { blocks: [{ type: 'header', text: { type: 'plain_text', text: 'x'.repeat(151) } }] }, 'rejected'],
  ['a section of 3,001', { blocks: section('x'.repeat(3_001)) }, 'rejected'],
  ['51 blocks', { blocks: Array.from({ length: 51 }, () => section('x')).flat() }, 'rejected'],
  ['an element without text', { attachments: [{ blocks: [{ type: 'rich_text', elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text: '' }] }] }] }] }, 'rejected'],
  ['101 attachments', { attachments: Array.from({ length: 101 }, () => ({})) }, 'too_large'],
  ['more than 13,200 characters', { blocks: Array.from({ length: 5 }, () => section('x'.repeat(2_900))).flat() }, 'too_large'],
]

const CASES: Readonly<Record<string, Case>> = {
  slack: { type: slack, open: fakeSlack, entry: slackEntry, bad: slackBad, strangers: [[{ url: '/services/other' }, 'gone']] },
  'slack bot': {
    type: slack, open: fakeSlack, entry: slackBotEntry, bad: slackBad.map(([name, body, reason]) => [name, { channel: 'C0123456789', ...body }, reason]),
    strangers: [[{ token: 'xoxp-other' }, 'unauthorized'], [{ token: 'none' }, 'unauthorized']],
  },
  teams: {
    type: teams, open: fakeTeams, entry: teamsEntry, strangers: [[{ url: '/workflows/other' }, 'gone'], [{ url: '/workflows/0123456789abcdef/triggers/manual/paths/invoke' }, 'unauthorized']],
    bad: [
      ['another shape', { text: 'x' }, 'rejected'], ['card 1.5', card({ version: '1.5' }), 'rejected'], ['an empty paragraph', card({ body: [{ type: 'RichTextBlock', inlines: [] }] }), 'rejected'],
      ['a mention that does not stand in it', card({ msteams: { entities: [{ type: 'mention', text: '<at>Ann</at>', mentioned: { id: 'a', name: 'Ann' } }] } }), 'rejected'],
      ['28 KB', card({ body: [{ type: 'TextBlock', text: 'x'.repeat(28_672) }] }), 'too_large'],
    ],
  },
  discord: {
    type: discord, open: fakeDiscord, entry: discordEntry, strangers: [[{ url: '/api/webhooks/other/x' }, 'gone'], [{ url: '/api/webhooks/123456789012345678/short' }, 'unauthorized']],
    bad: [
      ['nothing', {}, 'rejected'], ['content of 2,001', { content: 'x'.repeat(2_001) }, 'too_large'], ['a title of 257', { embeds: [{ title: 'x'.repeat(257) }] }, 'too_large'],
      ['a description of 4,097', { embeds: [{ description: 'x'.repeat(4_097) }] }, 'too_large'], ['6,001 in all', { embeds: [{ description: 'x'.repeat(3_000) }, { description: 'x'.repeat(3_001) }] }, 'too_large'],
      ['11 embeds', { embeds: Array.from({ length: 11 }, () => ({ description: 'x' })) }, 'too_large'], ['an empty embed', { embeds: [{}] }, 'rejected'],
      ['an id that is none', { content: 'x', allowed_mentions: { parse: [], users: ['ann'] } }, 'rejected'],
    ],
  },
  telegram: {
    type: telegram, open: fakeTelegram, entry: telegramEntry, strangers: [[{ token: '401000000:AAyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy' }, 'unauthorized'], [{ token: '1:short' }, 'unauthorized'], [{ chat_id: 404 }, 'gone']],
    bad: [
      ['4,097 units', { chat_id: 1, parse_mode: 'HTML', text: 'x'.repeat(4_097) }, 'too_large'], ['no text', { chat_id: 1, parse_mode: 'HTML', text: '<b></b>' }, 'rejected'],
      ...['<b>x', 'x</b>', '<b><code>x</b></code>', '<script>x</script>', 'a < b'].map((text) => [text, { chat_id: 1, parse_mode: 'HTML', text }, 'rejected'] as const),
    ],
  },
  mattermost: {
    type: mattermost, open: fakeMattermost, entry: mattermostEntry, strangers: [[{ url: '/hooks/other' }, 'gone']],
    bad: [['nothing', {}, 'rejected'], ['another shape', { attachments: {} }, 'rejected'], ['a colour that is none', { attachments: [{ text: 'x', color: 'red' }] }, 'rejected'], ['16,384 characters', { text: 'x'.repeat(16_384) }, 'too_large']],
  },
  webhook: { type: webhook, open: fakeWebhook, entry: webhookEntry, strangers: [[{ secret: 'another key than theirs' }, 'unauthorized']], bad: [['another shape', { title: 'x' }, 'rejected']] },
}

describe.each(Object.entries(CASES))('the fake of %s', (_, { type, open, entry, bad, strangers }) => {
  const within = async (use: (fake: Fake) => Promise<void>) => {
    const fake = await open({ rates: [] })
    try {
      await use(fake)
      expect(fake.accepted()).toBe(0)
    } finally {
      await fake.close()
    }
  }

  it('refuses bodies as the service does, and the channel knows why', () => within(async (fake) => {
    const own = bindEntry(type, entry(fake))
    for (const [name, body, reason] of bad) expect([name, type.verdict(await post(own.request(body, Date.now())))]).toMatchObject([name, { outcome: 'message_bad', reason }])
  }))

  it('refuses robots that are none', () => within(async (fake) => {
    for (const [changes, reason] of strangers) {
      const given = { ...entry(fake), ...changes }
      const own = bindEntry(type, 'url' in changes ? { ...given, url: new URL(String(changes['url']), fake.url).href } : given)
      expect([changes, type.verdict(await post(own.request(own.render(notice()), Date.now())))]).toMatchObject([changes, { outcome: 'channel_dead', reason }])
    }
  }))
})
