import { expect, it } from 'vitest'
import type { Body } from '../../../src/notify/channel.ts'
import { mattermost } from '../../../src/notify/channels/mattermost.ts'
import { bindEntry, channelContract, type Reading } from '../channel-contract.ts'
import { fakeMattermost, mattermostEntry } from '../fakes/mattermost.ts'
import { block, notice } from '../notices.ts'

interface Message { readonly text?: string, readonly attachments: readonly { readonly text: string, readonly color?: string, readonly fallback?: string }[] }
const messageOf = (body: Body) => body as unknown as Message

/** What the server does to a text before it is Markdown. */
const rewritten = (text: string) => text.replaceAll(/<!(channel|here|all)>/g, '@$1').replaceAll(/<@([A-Za-z0-9]+)>/g, '@user$1').replaceAll(/<([^\n<|>]+)\|([^|\n>]+)>/g, '[$2]($1)')

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' }

const INLINE: readonly [RegExp, (match: RegExpExecArray) => Reading][] = [
  [/^\\([\\`*{}[\]()#$+\-.!_>~|])/, ([, character = '']) => ({ visible: character, active: [] })],
  [/^&(?:#(\d+)|#x([0-9a-f]+)|(amp|lt|gt|quot));/i, ([, decimal, hex, name]) => ({ visible: name === undefined ? String.fromCodePoint(Number.parseInt(decimal ?? hex ?? '0', hex === undefined ? 10 : 16)) : ENTITIES[name]!, active: [] })],
  [/^(`+)([^]*?[^`])\1(?!`)/, ([, , text = '']) => ({ visible: /^ .* $/s.test(text) ? text.slice(1, -1) : text, active: [] })],
  [/^!?\[((?:\\.|[^\]\\])*)\]\(([^)\s]*)\)/, ([, text = '', url]) => ({ visible: inline(text).visible, active: [`link:${url}`, ...inline(text).active] })],
  [/^<?((?:https?:\/\/|www\.)[^\s<>]+)>?/, ([, url = '']) => ({ visible: url, active: [`link:${url}`] })],
  [/^:[\w+-]+:/, () => ({ visible: '', active: ['emoji'] })],
  [/^[@~][a-z0-9][\w.-]*/i, ([name]) => ({ visible: name, active: [`mention:${name}`] })],
  [/^#\p{L}[\p{L}\p{N}_-]*/u, ([tag]) => ({ visible: tag, active: ['hashtag'] })],
  [/^\$[^$\s]+\$/, ([formula]) => ({ visible: formula, active: ['formula'] })],
  ...([['\\*\\*', 'bold'], ['__', 'bold'], ['~~', 'strike'], ['\\*', 'italic'], ['_', 'italic']] as const).map(([mark, name]): [RegExp, (match: RegExpExecArray) => Reading] => [
    new RegExp(`^${mark}(?!\\s)((?:\\\\[^]|(?!${mark})[^\\\\])+)${mark}`), ([, text = '']) => ({ visible: inline(text).visible, active: [name, ...inline(text).active] }),
  ]),
  // HTML is shown and not parsed.
  [/^</, () => ({ visible: '<', active: [] })],
]

function inline(text: string): Reading {
  let visible = ''
  const active: string[] = []
  let rest = text
  while (rest !== '') {
    const found = INLINE.map(([pattern, take]) => ({ match: pattern.exec(rest), take })).find(({ match }) => match)
    const reading = found?.match ? found.take(found.match) : { visible: rest[0]!, active: [] }
    visible += reading.visible
    active.push(...reading.active)
    rest = rest.slice(found?.match?.[0].length ?? 1)
  }
  return { visible, active }
}

function markdown(text: string): Reading {
  const lines = rewritten(text).split(/ {2}\n|\n/).map((line) => {
    const start = /^\s*(?:#{1,6} |> ?|[-*+] |\d+[.)] |\|.*\||(?:[-*_] *){3,}$|=+\s*$)/.exec(line)?.[0]
    const { visible, active } = inline(line)
    return { visible, active: start === undefined ? active : ['block', ...active] }
  })
  return { visible: lines.map(({ visible }) => visible).join('\n'), active: lines.flatMap(({ active }) => active) }
}

function read(body: Body): Reading {
  const { text, attachments } = messageOf(body)
  const readings = [text ?? '', ...attachments.map((attachment) => attachment.text)].map(markdown)
  return { visible: readings.map(({ visible }) => visible).join('\n').replaceAll('\u2060', ''), active: readings.flatMap(({ active }) => active) }
}

const no = (status: number, id: string) => ({ id, message: 'x', detailed_error: '', status_code: status })

channelContract(mattermost, {
  service: async (rate) => {
    const fake = await fakeMattermost(rate)
    return { fake, entry: mattermostEntry(fake) }
  },
  read,
  raw: (text) => ({ attachments: [{ text }] }),
  dangerous: ['@here', '@channel', '@all', '@user123', '<!here>', '<!channel>', '<@U123>', '<http://evil.example/|x>', '[x](http://evil.example/)', '![x](http://evil.example/i.png)', 'http://evil.example/', '**b**', '*b*', '_i_', '~~s~~', '~town-square', '# heading', '#heading', '> quote', '- item', '1. item', '| a | b |', '=====', '***', ':smile:', '$x$'],
  ids: { mattermost: 'ann' },
  secrets: ['xxxxxxxxxxxxxxxxxxxxxxxxxx'],
  verdicts: [
    { body: 'ok', verdict: { outcome: 'sent' } },
    { status: 400, body: no(400, 'web.incoming_webhook.invalid.app_error'), verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 404, body: no(404, 'web.incoming_webhook.channel.app_error'), verdict: { outcome: 'channel_dead', reason: 'gone' } },
    { status: 500, body: no(500, 'web.incoming_webhook.channel.app_error'), verdict: { outcome: 'retry', reason: 'unavailable' } },
    { status: 501, body: no(501, 'web.incoming_webhook.disabled.app_error'), verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 403, body: no(403, 'web.incoming_webhook.permissions.app_error'), verdict: { outcome: 'channel_dead', reason: 'forbidden' } },
    { status: 400, body: no(400, 'web.incoming_webhook.decode.app_error'), verdict: { outcome: 'message_bad', reason: 'rejected' } },
    { status: 400, body: no(400, 'web.incoming_webhook.split_props_length.app_error'), verdict: { outcome: 'message_bad', reason: 'too_large' } },
    { status: 429, headers: { 'retry-after': '1' }, body: 'limit exceeded', verdict: { outcome: 'retry', reason: 'rate_limited', afterMs: 1_000 } },
    { status: 400, body: no(400, 'something.new.app_error'), verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 404, body: '<html>nginx</html>', verdict: { outcome: 'retry', reason: 'protocol' } },
    { status: 502, body: '<html>Bad Gateway</html>', verdict: { outcome: 'retry', reason: 'unavailable' } },
  ],
})

const bound = bindEntry(mattermost, mattermost.example)

it('mentions the names of its directory in the text, and nobody in the attachments', () => {
  const people = [{ name: 'Ann', ids: { mattermost: 'ann' } }, { name: 'Bob', ids: { mattermost: '@bob.b' } }, { name: '@all', ids: {} }]
  expect(messageOf(bound.render(notice({ mentions: people, everyone: true }))).text).toBe('@channel @ann @bob.b `@all`')
  expect(bound.lint(notice({ mentions: people }))).toStrictEqual([expect.stringContaining('@all')])
})

it('gives alerts the colour of their tone', () => {
  const { attachments } = messageOf(bound.render(notice({ title: 't', tone: 'warning', blocks: [block('A'), block('B'), { ...block('C'), tone: 'resolved' }] })))
  expect(attachments).toStrictEqual([
    { fallback: 't', color: '#F79009', text: '**t**' }, { color: '#D92D20', text: '**A**\n\n**B**' }, { color: '#12B76A', text: '**C**' },
  ])
})

it('keeps a URL in a label one that can be copied', () => {
  expect(messageOf(bound.render(notice({ blocks: [block('x', 'see http://a.example/b_c now')] }))).attachments[1]?.text).toBe('**x**  \nsee `http://a.example/b_c` now')
})

it('looks at texts together that show no border between them', () => {
  const lines = [[{ kind: 'text', text: 'ht', style: 'muted' }, { kind: 'text', text: 'tp://evil.example/' }, { kind: 'text', text: ' @', style: 'muted' }, { kind: 'text', text: 'here' }]] as const
  const { visible, active } = read(bound.render(notice({ title: 't', blocks: [{ tone: 'critical', lines }] })))
  expect(visible).toContain('http://evil.example/ @here')
  expect(active.filter((what) => what !== 'bold')).toStrictEqual([])
})
