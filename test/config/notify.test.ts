import { describe, expect, it } from 'vitest'
import { diagnosticText } from '../../src/config/document.ts'
import { readNotify } from '../../src/config/notify.ts'
import { readConfig } from '../../src/config/load.ts'
import { redact } from '../../src/core/secrets.ts'
import { notifySchema } from '../../src/notify/options.ts'

const HOOK = 'https://hooks.slack.com/services/T0/B0/'
const env = { WEBHOOK_TOKEN: '20261121', SLACK_URL: `${HOOK}hidden-slack-hook-token`, CHAT: 'chat-of-ops' }
const read = (text: string, more: object = {}) => readConfig([{ file: 'c.yaml', text }], { types: [], env, ...more }, readNotify)
const problems = (text: string, more: object = {}) => read(text, more).diagnostics.map(diagnosticText)
const section = (lines: string, channels = `{ name: ops, type: slack, url: "${HOOK}x" }`) => `notify:\n  token: "kept-in-the-file"\n  channels: [${channels}]\n  routes: [{ channel: ops }]\n${lines}`

const LEAST = 'notify:\n  token: "${WEBHOOK_TOKEN}"\n  channels:\n    - { name: "${CHAT}", type: slack, url: "${SLACK_URL}" }\n  routes:\n    - { channel: "${CHAT}", lang: zh }\n'

describe('a file with notify and no probes', () => {
  it('is valid, and what was read can be read once more', () => {
    const { config } = read(LEAST)
    expect(config!.jobs).toEqual([])
    expect(config!.notify!.channels[0]).toMatchObject({ name: 'chat-of-ops', type: 'slack', timeout: 10_000 })
    const again = notifySchema.parse(JSON.parse(JSON.stringify(config!.notifyRaw)))
    expect(again).toEqual(config!.notify)
    expect(again.token!.reveal()).toBe('20261121')
  })

  it('shows none of its secrets, and hides what came through ${} elsewhere', () => {
    const { config } = read(LEAST)
    expect(config!.shown).toBe('notify:\n  token: <secret>\n  channels:\n    - name: ${CHAT}\n      type: slack\n      url: <secret>\n  routes:\n    - channel: ${CHAT}\n      lang: zh\n')
    expect(redact(`POST ${env.SLACK_URL} with 20261121 of chat-of-ops`)).toBe('POST <secret> with <secret> of chat-of-ops')
  })

  it('hides secrets that stand in the file', () => {
    expect(read(section('')).config!.shown).not.toMatch(/kept-in-the-file|hooks\.slack/)
  })
})

it('one without notify and without probes is none', () => {
  expect(problems('web: {}\n')).toEqual(['c.yaml:1:1: probes: expected a list of probes, but the key is missing'])
  expect(read('probes: []\n').config).not.toHaveProperty('notify')
})

describe('every mistake has a place and a sentence', () => {
  it.each<[what: string, text: string, expected: string[]]>([
    ['no mapping', 'notify: yes please\n', ['c.yaml:1:9: notify: expected a mapping, got a text']],
    ['nothing', 'notify:\n', ['c.yaml:1:1: notify: expected a mapping, got nothing']],
    ['a key that is none', section('  dedup_windw: 1m\n'), ['c.yaml:5:3: notify.dedup_windw: unknown key; did you mean dedup_window?']],
    ['a key that is none at the top', `notifi: {}\n${section('')}`, ['c.yaml:1:1: notifi: unknown key; did you mean notify?']],
    ['a key that is none, deep', section('  people: { ann: {} }\n  teams: { t: { members: [ann], rotation: { evry: 1d, every: 1d, start: "2026-01-05T09:00" } } }\n'), ['c.yaml:6:45: notify.teams.t.rotation.evry: unknown key; did you mean every?']],
    ['a key of a channel', section('', `{ name: ops, type: slack, url: "${HOOK}x", chanel_id: C0123456789 }`), ['c.yaml:3:89: notify.channels[0].chanel_id: unknown key; did you mean channel_id?']],
    ['a key of another type', section('', `{ name: ops, type: slack, url: "${HOOK}x", thread_id: "123456" }`), ['c.yaml:3:89: notify.channels[0].thread_id: unknown key']],
    ['a rule of a type', section('', '{ name: ops, type: slack }'), ['c.yaml:3:14: notify.channels[0]: expected either url, or token and channel_id']],
    ['a route that the deadman names', section('  deadman: { within: 10m, route: opps }\n').replace('{ channel: ops }', '{ name: ops, channel: ops }'), ['c.yaml:5:34: notify.deadman.route: unknown route opps: expected one of ops; did you mean ops?']],
    ['how long the Watchdog may stay away', section('  deadman: { within: 15 }\n'), ['c.yaml:5:22: notify.deadman.within: expected a duration such as 500ms, 30s or 1h30m']],
    ['a matcher of the deadman', section('  deadman: { match: [cluster], alertname: "" }\n'), ['c.yaml:5:22: notify.deadman.match[0]: expected =, !=, =~ or !~ at character 8 of cluster', 'c.yaml:5:43: notify.deadman.alertname: expected the name of an alert']],
    ['a matcher', section('').replace('channel: ops }', 'matchers: [a], channel: ops }'), ['c.yaml:4:25: notify.routes[0].matchers[0]: expected =, !=, =~ or !~ at character 2 of a']],
    ['a time interval', section('  time_intervals: [{ name: t, time_intervals: [{ weekdays: [mon] }] }]\n'), ['c.yaml:5:48: notify.time_intervals[0].time_intervals[0]: weekdays[0]: expected a weekday such as monday, or monday:friday']],
    ['a number of a person', section('  people: { ann: { mobile: 13800001111 } }\n'), ['c.yaml:5:28: notify.people.ann.mobile: expected a text; put the value in quotes']],
    ['a rule between parts', section('').replace('channel: ops', 'channel: opz'), ['c.yaml:4:23: notify.routes[0].channel: unknown channel opz: expected one of ops; did you mean ops?']],
    ['a Redis that is none', section('  redis: { url: "http://redis:6379" }\n'), ['c.yaml:5:17: notify.redis.url: expected a URL such as redis://host:6379/0, or rediss://']],
    ['too few of a list', section('').replace('channel: ops', 'channels: []'), ['c.yaml:4:14: notify.routes[0].channels: expected at least 1 item']],
    ['too small a number', section('  storage: { entries: 5 }\n'), ['c.yaml:5:23: notify.storage.entries: expected at least 100']],
    ['too long a text', section(`  templates: { t: { title: "${'x'.repeat(2_001)}" } }\n`), ['c.yaml:5:28: notify.templates.t.title: expected at most 2000 characters']],
    ['no routes', section('').replace(/ {2}routes.*\n/, ''), ['c.yaml:1:1: notify.routes: expected a list, but the key is missing']],
    ['no token', section('').replace('token: "kept-in-the-file"', 'allow_unauthenticated: false'), ['c.yaml:1:1: notify: expected a token, a web-config with users or tokens, or allow_unauthenticated: true to take alerts from anybody who reaches the port']],
  ])('%s', (_what, text, expected) => {
    expect(problems(text)).toEqual(expected)
  })

  it('a type that is none, or missing, with those that are', () => {
    expect(problems(section('', '{ name: ops, type: slak, url: x }, { name: b, url: x }'))).toEqual([
      expect.stringMatching(/^c\.yaml:3:33: notify\.channels\[0\]\.type: expected a type: one of .*, slack, .*; did you mean slack\?$/),
      expect.stringMatching(/^c\.yaml:3:49: notify\.channels\[1\]\.type: expected a type: one of .*, slack, .*[^?]$/),
    ])
  })

  it('together with those of the probes, none of them with a secret', () => {
    const found = problems('notify:\n  token: "${WEBHOOK_TOKEN}"\n  channels: [{ name: ops, type: slack, url: "nourl-${WEBHOOK_TOKEN}" }]\n  routes: [{ channel: ops }]\nprobes: [{ name: a }]\n')
    expect(found).toEqual(['c.yaml:3:45: notify.channels[0].url: expected a URL such as https://host/path', expect.stringContaining('c.yaml:5:10: probes[0]: type: expected one of')])
  })
})

it('no token is needed behind a web-config with logins', () => {
  expect(problems(section('').replace('  token: "kept-in-the-file"\n', ''), { authenticated: true })).toEqual([])
})

it('stands in one of several files', () => {
  const texts = [{ file: 'a.yaml', text: section('') }, { file: 'b.yaml', text: 'probes: []\n' }]
  expect(readConfig(texts, { types: [], env }, readNotify).config!.notify!.routes).toHaveLength(1)
  expect(readConfig([...texts, { file: 'c.yaml', text: section('') }], { types: [], env }, readNotify).diagnostics.map(diagnosticText)).toEqual(['c.yaml:1:1: notify: already set in a.yaml'])
})
