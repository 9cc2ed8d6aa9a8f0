import { describe, expect, it } from 'vitest'
import { pathText } from '../../src/core/yaml.ts'
import { notifyIssues } from '../../src/notify/rules.ts'
import { makeCertificates } from '../support/certificates.ts'
import { notifyConfig, someChannels } from '../support/notify.ts'

const issues = (section: object, authenticated = false) => notifyIssues(notifyConfig(section), { authenticated }).map(({ path, message }) => `${pathText(path)}: ${message}`)
const NEEDED = ': expected a token, a web-config with users or tokens, or allow_unauthenticated: true to take alerts from anybody who reaches the port'

it('the least section is in order', () => {
  expect(issues({})).toEqual([])
})

describe('tokens', () => {
  it('one is needed', () => {
    expect(issues({ token: undefined })).toEqual([NEEDED])
    expect(issues({ token: undefined, routes: [{ name: 'x', matchers: ['a=b'], channel: 'a', token: 'of its own' }, { channel: 'a' }] })).toEqual([NEEDED])
  })

  it.each([
    ['a web-config asks for a login', { token: undefined }, true],
    ['it says otherwise', { token: undefined, allow_unauthenticated: true }, false],
    ['every route has its own', { token: undefined, routes: [{ channel: 'a', token: 'of its own' }] }, false],
  ])('none is needed where %s', (_name, section, authenticated) => {
    expect(issues(section, authenticated)).toEqual([])
  })

  it('an empty one lets everybody in', () => {
    expect(issues({ token: ' ', routes: [{ channel: 'a', token: '' }] })).toEqual(['token: expected a token that is not empty', 'routes[0].token: expected a token that is not empty'])
  })
})

it('what belongs together in a channel stands together', () => {
  const [a] = someChannels('a')
  expect(issues({ channels: [{ ...a, proxy_url: 'http://proxy.test:3128', proxy_from_environment: true }] })).toEqual(['channels[0].proxy_from_environment: expected either proxy_url or proxy_from_environment'])
  const { caFile, client, good } = makeCertificates()
  expect(issues({ channels: [{ ...a, no_proxy: '10.0.0.0/8', cert_file: client.certFile }] })).toEqual(['channels[0].no_proxy: expected proxy_url beside it', 'channels[0].cert_file: expected key_file beside it'])
  expect(issues({ channels: [{ ...a, key_file: client.keyFile }] })).toEqual(['channels[0].key_file: expected cert_file beside it'])
  expect(issues({ channels: [{ ...a, ca_file: caFile, cert_file: client.certFile, key_file: good.keyFile }] })).toEqual([`channels[0].key_file: expected the private key of the certificate in ${client.certFile}`])
  expect(issues({ channels: [{ ...a, ca_file: client.keyFile }] })).toEqual([`channels[0].ca_file: expected certificates in PEM form in ${client.keyFile}`])
  expect(issues({ curlews: [{ url: 'https://curlew.test', ca_file: '/nonexistent' }] })).toEqual([expect.stringMatching(/^curlews\[0\]\.ca_file: expected a readable file: .*\/nonexistent/)])
})

it.each([
  ['127.0.0.1', true], ['10.1.2.3', true], ['[::1]', true], ['[fd00::1]', true], ['169.254.169.254', true], ['localhost', true], ['93.184.216.34', false], ['chat.example.org', false],
])('a chat on %s is private: %s', (host, isPrivate) => {
  const channels = [{ name: 'a', type: 'webhook', url: `http://${host}:8080/hook`, secret: '0123456789abcdef' }, { name: 'b', type: 'telegram', token: '987654321:AAyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy', chat_id: 1, api_url: `http://${host}/`, proxy_url: 'http://127.0.0.1:3128' }]
  const mistake = 'expected a public address, or notify.allow_private_destinations: true'
  expect(issues({ channels })).toEqual(isPrivate ? [`channels[0].url: ${mistake}`, `channels[1].api_url: ${mistake}`] : [])
  expect(issues({ channels, allow_private_destinations: true })).toEqual([])
})

it.each(['https://user:word@curlew.example', 'https://curlew.example/?x=1', 'https://curlew.example/#x', 'curlew.example:9797'])('another Curlew is not reached at %s', (url) => {
  expect(() => notifyConfig({ curlews: [{ url }] })).toThrow(/expected a URL/)
  expect(notifyConfig({ curlews: [{ url: 'https://curlew.example/prober/' }] }).curlews).toHaveLength(1)
})

describe('names', () => {
  it('are unique', () => {
    expect(issues({
      channels: someChannels('a', 'b', 'a'),
      routes: [{ name: 'route-2', matchers: ['x=y'], channel: 'a' }, { matchers: ['x=z'], channels: ['b', 'b'] }, { channel: 'a' }],
      time_intervals: [{ name: 't', time_intervals: [{}] }, { name: 't', time_intervals: [{}] }],
    })).toEqual([
      'channels[2].name: duplicate channel: a; expected a unique name',
      'routes[1]: duplicate route: route-2; expected a unique name',
      'time_intervals[1].name: duplicate time interval: t; expected a unique name',
      'routes[1].channels[1]: duplicate channel: b; expected a unique name',
    ])
  })

  it('that are used exist', () => {
    const route = { channels: ['a', 'x'], fallback: 'y', template: 'z', active_time_intervals: ['ofice'], mute_time_intervals: ['m'], mentions: { critical: ['ann', 'bobb', 'everyone', 'team'] }, continue: true }
    expect(issues({ routes: [route, { channel: 'a' }], people: { ann: {}, bob: {} }, teams: { team: { members: ['ann', 'bop'] } }, time_intervals: [{ name: 'office', time_intervals: [{}] }] })).toEqual([
      'routes[0].channels[1]: unknown channel x: expected one of a, b, c',
      'routes[0].fallback: unknown channel y: expected one of a, b, c',
      'routes[0].template: unknown template z: there is none',
      'routes[0].active_time_intervals[0]: unknown time interval ofice: expected one of office; did you mean office?',
      'routes[0].mute_time_intervals[0]: unknown time interval m: expected one of office',
      'routes[0].mentions.critical[1]: unknown person or team bobb: expected one of ann, bob, team, everyone; did you mean bob?',
      'teams.team.members[1]: unknown person bop: expected one of ann, bob; did you mean bob?',
    ])
  })

  it('of people and teams mean one thing', () => {
    expect(issues({ people: { ann: {}, everyone: {} }, teams: { ann: { members: ['ann'] } } })).toEqual([
      'teams.ann: expected another name: a person is ann too',
      'people.everyone: expected another name: everyone calls the whole chat',
    ])
  })
})

it('a person is known by a mobile, or on a service', () => {
  expect(issues({ people: { ann: { mobil: '1380', slack: 'U1', telephone: '1381' } } })).toEqual([
    'people.ann.mobil: unknown key: expected one of mobile, dingtalk, discord, feishu, mattermost, slack, teams, telegram, webhook, wecom; did you mean mobile?',
    'people.ann.telephone: unknown key: expected one of mobile, dingtalk, discord, feishu, mattermost, slack, teams, telegram, webhook, wecom',
  ])
})

describe('routes', () => {
  it('have a channel or several', () => {
    expect(issues({ routes: [{ matchers: ['a=b'] }, { channel: 'a', channels: ['b'] }] })).toEqual(['routes[0]: expected either channel or channels', 'routes[1]: expected either channel or channels'])
  })

  it('fall back to somebody else', () => {
    expect(issues({ routes: [{ channels: ['a', 'b'], fallback: 'b' }] })).toEqual(['routes[0].fallback: expected another channel than those of the route'])
    expect(issues({ routes: [{ matchers: ['x=y'], channel: 'a', fallback: 'b' }, { channel: 'b', fallback: 'a' }] })).toEqual([])
  })

  it.each([
    ['only matchers', [{ matchers: ['a=b'], channel: 'a' }]],
    ['only some times', [{ channel: 'a', active_time_intervals: ['t'] }]],
    ['not at all times', [{ channel: 'a', mute_time_intervals: ['t'] }]],
  ])('%s: no route for every alert', (_name, routes) => {
    expect(issues({ routes, time_intervals: [{ name: 't', time_intervals: [{}] }] })).toEqual(['routes: expected a last route without matchers and time intervals, so that no alert is lost'])
  })

  it('one that takes all and continues is enough, and so is one with empty matchers', () => {
    expect(issues({ routes: [{ channel: 'a', continue: true }, { matchers: ['a=b'], channel: 'b' }] })).toEqual([])
    expect(issues({ routes: [{ matchers: ['{}'], channel: 'a' }] })).toEqual([])
  })

  it('below one that takes all are never reached, but by a path of their own', () => {
    expect(issues({ routes: [{ name: 'all', channel: 'a' }, { matchers: ['a=b'], channel: 'b' }, { name: 'x', matchers: ['a=b'], channel: 'b' }, { name: 'by-path', channel: 'c' }, { channel: 'c' }] })).toEqual([
      'routes[1]: no alert comes this far: all takes them all; expected this route above it, or continue: true there',
      'routes[2]: no alert comes this far: all takes them all; expected this route above it, or continue: true there',
      'routes[4]: no alert comes this far: all takes them all; expected this route above it, or continue: true there',
    ])
  })
})

it('a rotation begins on a day of the calendar', () => {
  const team = (start: string) => ({ people: { ann: {} }, teams: { t: { members: ['ann'], rotation: { every: '1d', start } } } })
  expect(issues(team('2024-02-29T09:00'))).toEqual([])
  expect(issues(team('2026-02-30T09:00'))).toEqual(['teams.t.rotation.start: expected a day and a time of the calendar'])
  expect(issues(team('2026-13-01T09:00'))).toEqual(['teams.t.rotation.start: expected a day and a time of the calendar'])
})
