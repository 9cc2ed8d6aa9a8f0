import { expect, it } from 'vitest'
import type { Body } from '../../../src/notify/channel.ts'
import { discord } from '../../../src/notify/channels/discord.ts'
import { bindEntry, channelContract, type Reading } from '../channel-contract.ts'
import { discordEntry, fakeDiscord } from '../fakes/discord.ts'
import { post } from '../fakes/fake.ts'
import { block, notice } from '../notices.ts'

interface Message {
  readonly content?: string
  readonly embeds: readonly { readonly title?: string, readonly description?: string, readonly color?: number }[]
  readonly components?: readonly { readonly components: readonly { readonly label: string, readonly url: string }[] }[]
  readonly allowed_mentions: { readonly parse: readonly string[], readonly users: readonly string[], readonly roles: readonly string[] }
}
const messageOf = (body: Body) => body as unknown as Message

const INLINE: readonly [RegExp, (match: RegExpExecArray) => Reading][] = [
  [/^\\([^0-9A-Za-z\s])/, ([, character = '']) => ({ visible: character, active: [] })],
  [/^(`+)([^]*?[^`])\1(?!`)/, ([, , text = '']) => ({ visible: text.replace(/^ (?= *`)|(?<=` *) $/g, ''), active: [] })],
  [/^<(@[!&]?|#)(\d+)>/, ([whole]) => ({ visible: '', active: [`mention:${whole}`] })],
  [/^@(?:everyone|here)/, ([whole]) => ({ visible: '', active: [`mention:${whole}`] })],
  [/^<a?:\w+:\d+>|^:\w+:/, () => ({ visible: '', active: ['emoji'] })],
  [/^\[((?:\\.|[^\]\\])*)\]\(<?(https?:[^)>\s]*)>?\)/, ([, text = '', url]) => ({ visible: inline(text).visible, active: [`link:${url}`] })],
  [/^<?(https?:\/\/[^\s<>]+)>?/, ([, url = '']) => ({ visible: url, active: [`link:${url}`] })],
  ...([['**', 'bold'], ['__', 'underline'], ['~~', 'strike'], ['||', 'spoiler'], ['*', 'italic'], ['_', 'italic']] as const).map(([mark, name]): [RegExp, (match: RegExpExecArray) => Reading] => {
    const quoted = mark.replaceAll(/[*|]/g, '\\$&')
    return [new RegExp(`^${quoted}((?:\\\\[^]|(?!${quoted})[^\\\\])+)${quoted}`), ([, text = '']) => ({ visible: inline(text).visible, active: [name, ...inline(text).active] })]
  }),
]

function inline(text: string): Reading {
  let visible = ''
  const active: string[] = []
  let rest = text
  while (rest !== '') {
    const found = INLINE.map(([pattern, read]) => ({ match: pattern.exec(rest), read })).find(({ match }) => match)
    const reading = found?.match ? found.read(found.match) : { visible: rest[0]!, active: [] }
    visible += reading.visible
    active.push(...reading.active)
    rest = rest.slice(found?.match?.[0].length ?? 1)
  }
  return { visible, active }
}

/** Discord's Markdown, line by line. */
function markdown(text: string): Reading {
  const lines = text.split('\n').map((line) => {
    const start = /^\s*(?:#{1,3} |-# |>{1,3} ?|[-*] |\d+\. )/.exec(line)?.[0]
    const { visible, active } = inline(line.slice(start?.length ?? 0))
    return { visible, active: start === undefined ? active : ['block', ...active] }
  })
  return { visible: lines.map(({ visible }) => visible).join('\n'), active: lines.flatMap(({ active }) => active) }
}

function read(body: Body): Reading {
  const { content, embeds, components = [] } = messageOf(body)
  const readings = [content ?? '', ...embeds.flatMap(({ title, description }) => [title ?? '', description ?? ''])].map(markdown)
  const buttons = components.flatMap((row) => row.components)
  return {
    visible: [...readings.map(({ visible }) => visible), ...buttons.map(({ label }) => label)].join('\n'),
    active: [...readings.flatMap(({ active }) => active), ...buttons.map(({ url }) => `link:${url}`)],
  }
}

channelContract(discord, {
  service: async (rate) => {
    const fake = await fakeDiscord(rate)
    return { fake, entry: discordEntry(fake) }
  },
  read,
  raw: (text) => ({ embeds: [{ description: text }] }),
  dangerous: ['@everyone', '@here', '<@123456789012345678>', '<@&123456789012345678>', '<#123>', '[x](http://evil.example/)', '<http://evil.example/>', 'http://evil.example/', '**b**', '*b*', '__u__', '_i_', '~~s~~', '||spoiler||', '# heading', '> quote', '- item', '1. item', ':smile:'],
  ids: { discord: '123456789012345678' },
  secrets: ['XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX'],
  takenByStatus: [204],
  verdicts: [
    { body: { id: '1300000000000000000', channel_id: '1' }, verdict: { outcome: 'sent' } },
    { status: 204, body: '', verdict: { outcome: 'sent' } },
    { status: 429, headers: { 'retry-after': '65' }, body: { message: 'You are being rate limited.', retry_after: 64.57, global: false }, verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 64_570 } },
    { status: 429, headers: { 'retry-after': '600' }, body: 'error code: 1015', verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 600_000 } },
    { status: 404, body: { message: 'Unknown Webhook', code: 10_015 }, verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 404, body: '<html>not found</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 401, body: { message: 'Invalid Webhook Token', code: 50_027 }, verdict: { outcome: 'channel_dead', reason: 'unauthorized' } },
    { status: 403, body: { message: 'Missing Permissions', code: 50_013 }, verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 403, body: '<html>Access denied | Cloudflare</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 400, body: { message: 'Webhooks posted to forum channels must have a thread_name or thread_id', code: 220_001 }, verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 400, body: { message: 'Invalid Form Body', code: 50_035, errors: { embeds: { _errors: [{ code: 'MAX_EMBED_SIZE_EXCEEDED' }] } } }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 400, body: { message: 'Invalid Form Body', code: 50_035, errors: { content: { _errors: [{ code: 'BASE_TYPE_REQUIRED' }] } } }, verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 400, body: { message: 'Something new', code: 99_999 }, verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 413, body: { message: 'Request entity too large', code: 40_005 }, verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 502, body: '<html>Bad Gateway</html>', verdict: { outcome: 'retry', reason: 'unavailable' } },
  ],
})

const bound = bindEntry(discord, discord.example)
const people = [{ name: 'Ann', ids: { discord: '123456789012345678' } }, { name: 'On call', ids: { discord: '&223456789012345678' } }, { name: '@everyone', ids: { slack: 'U1' } }]

it('lets ring those who are named and nobody else', () => {
  const { content, allowed_mentions } = messageOf(bound.render(notice({ mentions: people })))
  expect(content).toBe(String.raw`<@123456789012345678> <@&223456789012345678> \@everyone`)
  expect(allowed_mentions).toStrictEqual({ parse: [], users: ['123456789012345678'], roles: ['223456789012345678'] })
  expect(messageOf(bound.render(notice({ everyone: true })))).toMatchObject({ content: '@everyone', allowed_mentions: { parse: ['everyone'], users: [], roles: [] } })
  expect(bound.lint(notice({ mentions: people }))).toStrictEqual([expect.stringContaining('no `discord` id')])
})

it('gives alerts the colour of their tone, in order, and fills embeds', () => {
  const long = 'a'.repeat(1_500)
  const { embeds } = messageOf(bound.render(notice({ title: 't', blocks: [block('A', long), block('B', long), block('C', long), { ...block('D'), tone: 'resolved' }] })))
  expect(embeds.map(({ title, description = '', color }) => [title, description.match(/\*\*([A-D])\*\*/g), color])).toStrictEqual([
    ['t', null, 0xD9_2D_20], [undefined, ['**A**', '**B**'], 0xD9_2D_20], [undefined, ['**C**'], 0xD9_2D_20], [undefined, ['**D**'], 0x12_B7_6A],
  ])
})

it('measures a message as too large for each bound that it breaks', () => {
  const over = (body: Body) => discord.measure(body) > discord.size.most
  expect(over({ embeds: [{ description: 'a'.repeat(4_096) }, { description: 'a'.repeat(1_902) }] })).toBe(false)
  expect(over({ embeds: [{ description: 'a'.repeat(4_097) }] })).toBe(true)
  expect(over({ embeds: Array.from({ length: 11 }, () => ({ description: 'a' })) })).toBe(true)
  expect(over({ content: 'a'.repeat(2_001), embeds: [] })).toBe(true)
})

it('shows a title that is too long for one in the text', () => {
  const title = 'a*'.repeat(100)
  const { embeds: [first] } = messageOf(bound.render(notice({ title })))
  expect(first).not.toHaveProperty('title')
  expect(inline(first?.description ?? '').visible).toBe(title)
})

it('makes a link in the text of a URL that no button takes', () => {
  const url = `http://am.example:9093/#/silences/new?filter=${'x'.repeat(600)}`
  const { embeds, components } = messageOf(bound.render(notice({ links: [{ text: 'Silence', url }] })))
  expect(embeds.at(-1)?.description).toBe(`[Silence](<${url}>)`)
  expect(components).toBeUndefined()
})

it('writes to a thread, and waits for the message', async () => {
  const fake = await fakeDiscord()
  try {
    const own = bindEntry(discord, { ...discordEntry(fake), thread_id: '1200000000000000001' })
    const { body } = await post(own.request(own.render(notice({ links: [{ text: 'Open', url: 'http://alertmanager:9093' }] })), 0))
    expect(JSON.parse(body)).toHaveProperty('id')
    expect(Object.fromEntries(new URL(fake.messages[0]!.url).searchParams)).toStrictEqual({ wait: 'true', with_components: 'true', thread_id: '1200000000000000001' })
  } finally {
    await fake.close()
  }
})

it('looks at texts together that show no border between them', () => {
  const lines = [[{ kind: 'text', text: 'ht', style: 'muted' }, { kind: 'text', text: 'tp://evil.example/' }, { kind: 'text', text: ' @', style: 'muted' }, { kind: 'text', text: 'here' }]] as const
  const { visible, active } = read(bound.render(notice({ title: 't', blocks: [{ tone: 'critical', lines }] })))
  expect(visible).toContain('http://evil.example/ @here')
  expect(active.filter((what) => what !== 'bold')).toStrictEqual([])
})
