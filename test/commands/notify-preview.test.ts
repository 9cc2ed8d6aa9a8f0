import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { notifyLint } from '../../src/commands/notify-lint.ts'
import { notifyPreview } from '../../src/commands/notify-preview.ts'
import { channelTypes } from '../../src/notify/channels/index.ts'
import type { Io } from '../../src/commands/usage.ts'

const directory = mkdtempSync(join(tmpdir(), 'curlew-preview-'))
afterAll(() => { rmSync(directory, { recursive: true }) })

const file = (name: string, text: string) => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const payload = (...labels: Record<string, string>[]) => file('payload.json', JSON.stringify({
  version: '4', groupKey: '{}:{}', receiver: 'chat', status: 'firing', externalURL: 'http://am.example:9093', groupLabels: {}, truncatedAlerts: 0,
  alerts: labels.map((own) => ({ status: 'firing', labels: { alertname: 'Down', ...own }, annotations: { summary: 'It is down.' }, startsAt: new Date(Date.now() - 300_000).toISOString(), endsAt: '0001-01-01T00:00:00Z', generatorURL: '' })),
}))

const config = (changes: { readonly route?: string, readonly more?: string } = {}) => file('curlew.yaml', `
notify:
  token: webhook-token
  channels:
    - { name: ding, type: dingtalk, url: "https://oapi.dingtalk.com/robot/send?access_token=token-of-ding", secret: SECRET-of-ding }
    - { name: lark, type: feishu, url: "https://open.feishu.cn/open-apis/bot/v2/hook/token-of-lark", secret: secret-of-lark }
    - { name: wecom, type: wecom, url: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=11111111-2222-3333-4444-555555555555" }
    - { name: hook, type: webhook, url: "https://hook.example/token-of-hook", secret: secret-of-hook-1234567890 }
${changes.more ?? ''}
  routes:
    - { matchers: ['team="db"'], channel: wecom, lang: zh }
    - { name: all, channels: [ding, lark, hook]${changes.route ?? ''} }
`)

async function run(command: (args: readonly string[], io: Io) => Promise<number>, ...args: string[]) {
  let out = ''
  const io: Io = { env: {}, color: false, out: (text) => { out += text }, err: () => {}, signal: new AbortController().signal, onHangup: () => {} }
  try {
    return { code: await command(args, io), out }
  } catch (error) {
    return { code: 2, out: error instanceof Error ? error.message : String(error) }
  }
}

describe('curlew notify preview', () => {
  it('leaves out the alert that the deadman listens for, and says so where there is no other', async () => {
    const watched = config({ more: '  deadman: {}' })
    const both = await run(notifyPreview, '-c', watched, '--channel', 'ding', payload({ instance: 'a:1' }, { alertname: 'Watchdog' }))
    expect(both.code).toBe(0)
    expect(both.out).not.toContain('Watchdog')
    const alone = payload({ alertname: 'Watchdog' })
    expect(await run(notifyPreview, '-c', watched, '--channel', 'ding', '--route', 'all', alone)).toMatchObject({ code: 2, out: expect.stringContaining('the deadman of the config listens for this alert') })
    expect((await run(notifyPreview, '-c', config(), '--channel', 'ding', alone)).out).toContain('Watchdog')
  })

  it('prints what would be sent, its size and where, and no secret', async () => {
    const one = payload({ instance: 'a:1', severity: 'critical' })
    for (const channel of ['ding', 'lark', 'hook']) {
      const { code, out } = await run(notifyPreview, '-c', config(), '--channel', channel, one)
      expect(code).toBe(0)
      expect(out).toMatch(/^\w+ \(\w+\), by route all: [\d,]+ of [\d,]+ bytes of .*, part 1 of 1\nPOST https:\/\/[\w.]+\/<secret>\n/)
      expect(out).not.toMatch(/(?:token|secret|SECRET)-of/)
      const body: unknown = JSON.parse(out.slice(out.indexOf('\n{') + 1))
      expect(JSON.stringify(body)).toContain('Down a:1')
    }
  })

  it('hides what signing adds', async () => {
    const { out } = await run(notifyPreview, '-c', config(), '--channel', 'lark', payload({}))
    expect(out).toContain('"timestamp": "<secret>",\n  "sign": "<secret>"')
  })

  it('numbers the parts', async () => {
    const many = payload(...Array.from({ length: 40 }, (_, index) => ({ instance: `db-${index}`, team: 'db' })))
    const { out } = await run(notifyPreview, '-c', config(), '--channel', 'wecom', many)
    const [, count] = /part 1 of (\d+)/.exec(out)!
    expect(Number(count)).toBeGreaterThan(1)
    for (let part = 1; part <= Number(count); part++) expect(out).toContain(`part ${part} of ${count}\n`)
    expect(out).toContain('40 条告警')
  })

  it('takes another route and language when asked', async () => {
    const one = payload({ instance: 'a' })
    expect((await run(notifyPreview, '-c', config(), '--channel', 'wecom', one)).out).toBe('no route brings these alerts to wecom: name one with --route')
    expect((await run(notifyPreview, '-c', config(), '--channel', 'wecom', '--route', 'route-1', one)).out).toContain('触发中')
    expect((await run(notifyPreview, '-c', config(), '--channel', 'wecom', '--route', 'route-1', '--lang', 'en', one)).out).toContain('Firing')
  })

  it.each([
    [['--channel', 'nobody'], '--channel: expected one of ding, lark, wecom, hook'],
    [['--channel', 'ding', '--lang', 'fr'], '--lang: expected en or zh'],
    [['--channel', 'ding', '--route', 'nobody'], '--route: expected one of route-1, all'],
  ])('refuses %j', async (args, message) => { expect(await run(notifyPreview, '-c', config(), ...args, payload({}))).toEqual({ code: 2, out: message }) })

  it('names the place of a template that cannot be read', async () => {
    const bad = config({ route: ', template: mine', more: '  templates:\n    mine: { alert: "{{ lables.alertname }}" }' })
    expect((await run(notifyPreview, '-c', bad, '--channel', 'ding', payload({}))).out).toMatch(/curlew\.yaml:10:20: notify\.templates\.mine\.alert: line 1, column 4: lables: expected one of alert, status, /)
  })

  it('says what is wrong with a payload', async () => {
    expect((await run(notifyPreview, '-c', config(), '--channel', 'ding', file('bad.json', '{"text":"x"}'))).out).toMatch(/^expected the body of Alertmanager's webhook/)
    expect((await run(notifyPreview, '-c', config(), '--channel', 'ding', payload())).out).toMatch(/payload\.json: expected a notification with at least one alert$/)
    expect((await run(notifyPreview, '-c', config(), '--channel', 'ding', join(directory, 'none.json'))).out).toMatch(/none\.json: expected a readable file \(ENOENT\)$/)
    expect((await run(notifyPreview, '-c', config(), '--channel', 'ding')).out).toBe('expected one file with a notification, or - for standard input')
  })
})

describe('curlew notify lint', () => {
  it('is content with a good config', async () => { expect(await run(notifyLint, '-c', config())).toEqual({ code: 0, out: '2 routes and 4 channels: no warnings\n' }) })

  it('is content with every type of channel as it comes', async () => {
    const channels = channelTypes.map(({ type, example }) => ({ ...example, name: type, type }))
    const { out } = await run(notifyLint, '-c', file('types.yaml', JSON.stringify({ notify: { token: 'webhook-token', channels, routes: [{ channels: channels.map(({ name }) => name) }] } })))
    expect(out).toBe(`1 route and ${channels.length} channels: no warnings\n`)
  })

  it.each([
    ['a person whom the service does not know', { route: ', mentions: { critical: [ann] }', more: '  people: { ann: { slack: U123 } }' }, /^route all, channel ding: ann is named but not called/m],
    ['a severity of its own', { route: ', mentions: { page: [ann] }', more: '  people: { ann: { slack: U123 } }' }, /^route all, channel lark: ann is named but not called/m],
    ['markup of one service', { route: ', template: mine', more: '  templates: { mine: { alert: "<font>{{ labels.alertname }}</font>" } }' }, /^template mine: "<font>" is shown as it is written: /m],
    ['a template that fails', { route: ', template: mine', more: '  templates: { mine: { alert: "{% for i in (1..1000000000) %}x{% endfor %}" } }' }, /^route all, channel ding: the template fails, and the built-in text stands in for it: line 1, column 1: /m],
    ['a limit above what the service takes', { more: '    - { name: big, type: wecom, url: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k", limits: { size: 4097 } }' }, /^channel big: limits\.size is above the 4096 bytes/m],
    ['a limit that no message meets', { more: '    - { name: tiny, type: slack, url: "https://hooks.slack.com/services/T0/B0/X0", limits: { size: 500 } }', route: ', fallback: tiny' }, /^route all, channel tiny: a message of the kind "\w+" (?:takes|is larger)/m],
  ])('warns of %s', async (_, changes, warning) => {
    const { code, out } = await run(notifyLint, '-c', config(changes))
    expect(out).toMatch(warning)
    expect(code).toBe(1)
  })
})
