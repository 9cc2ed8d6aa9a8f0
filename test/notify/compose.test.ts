import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Alert } from '../../src/notify/alert.ts'
import { compose, type ComposeInput } from '../../src/notify/compose.ts'
import type { Findings } from '../../src/notify/findings.ts'
import type { Notice } from '../../src/notify/notice.ts'
import type { Entry } from '../../src/notify/outbox.ts'
import { entry, findings, input, MINUTE, NOW, otherAlert, over, probeAlert, shown, texts } from './alerts.ts'
import { HOSTILE, HOSTILE_URLS } from './hostile.ts'

const LANGS = ['en', 'zh'] as const
const both = (entries: readonly Entry[], changes: Partial<ComposeInput> = {}) => Object.fromEntries(
  LANGS.map((lang) => [lang, compose(input(entries, { ...changes, route: { lang, timezone: 'Asia/Shanghai' } }))]),
) as Record<(typeof LANGS)[number], Notice>
const known = (found: Findings): Partial<ComposeInput> => ({ findings: new Map([['probe', found]]) })
const WELL = findings({ status: 'ok', ms: 1.2 })
const slow = (instance: string, labels: Record<string, string>) => { const alert = otherAlert(instance); return { ...alert, labels: { ...alert.labels, ...labels } } }

interface Case {
  readonly name: string
  readonly alerts: readonly Alert[]
  readonly found?: Findings
  readonly untold?: boolean
  readonly en: string
  readonly zh: string
}

describe('the title says the thing', () => {
  it.each<Case>([
    { name: 'a probe that fails', alerts: [probeAlert()], found: findings(), en: 'cache redis-0:6379: connect refused', zh: 'cache redis-0:6379：连接被拒绝' },
    { name: 'a reason of several words', alerts: [probeAlert()], found: findings({ failure: { layer: 'request', reason: 'read_only' } }), en: 'cache redis-0:6379: request read only', zh: 'cache redis-0:6379：请求目标为只读' },
    { name: 'a layer of a newer Curlew', alerts: [probeAlert()], found: findings({ failure: { layer: 'quic', reason: 'lost' } }), en: 'cache redis-0:6379: quic lost', zh: 'cache redis-0:6379：quic lost' },
    { name: 'a probe of which only annotations tell', alerts: [probeAlert({ annotations: { layer: 'tls', reason: 'expired' } })], en: 'cache redis-0:6379: tls expired', zh: 'cache redis-0:6379：TLS已过期或尚未生效' },
    { name: 'a probe of which nothing is known', alerts: [probeAlert()], en: 'cache redis-0:6379: CurlewProbeDown', zh: 'cache redis-0:6379：CurlewProbeDown' },
    { name: 'a probe that answers again while the alert fires', alerts: [probeAlert()], found: WELL, en: 'cache redis-0:6379: CurlewProbeDown', zh: 'cache redis-0:6379：CurlewProbeDown' },
    { name: 'trouble of our own', alerts: [probeAlert()], found: findings({ status: 'unknown', failure: { layer: 'prober', reason: 'starved' } }), en: 'cache redis-0:6379: CurlewProbeDown', zh: 'cache redis-0:6379：CurlewProbeDown' },
    { name: 'another alert', alerts: [otherAlert('api-1')], en: 'HighLatency api-1 prod', zh: 'HighLatency api-1 prod' },
    { name: 'no name', alerts: [{ ...otherAlert('a'), labels: { team: 'web' } }], en: 'alert web', zh: 'alert web' },
    { name: 'a probe that is up again', alerts: [over(probeAlert())], found: WELL, en: 'Resolved: cache redis-0:6379, up again after 4 min', zh: '已恢复：cache redis-0:6379，中断 4 分钟后恢复' },
    { name: 'a probe that is down again by now', alerts: [over(probeAlert())], found: findings(), en: 'Resolved: cache redis-0:6379, up again after 4 min; but it fails again now: connect refused', zh: '已恢复：cache redis-0:6379，中断 4 分钟后恢复；但现在再次失败：连接被拒绝' },
    { name: 'severity none', alerts: [otherAlert('a', { labels: { alertname: 'Watchdog', severity: 'none' } })], en: 'Watchdog', zh: 'Watchdog' },
    { name: 'up again before it was told', alerts: [over(probeAlert())], found: WELL, untold: true, en: 'Resolved: cache redis-0:6379, was down 4 min', zh: '已恢复：cache redis-0:6379，曾中断 4 分钟' },
    { name: 'another alert that is over', alerts: [over(otherAlert('api-1'))], en: 'Resolved: HighLatency api-1 prod, over after 4 min', zh: '已恢复：HighLatency api-1 prod，持续 4 分钟后恢复' },
    { name: 'another alert that came and went', alerts: [over(otherAlert('api-1'))], untold: true, en: 'Resolved: HighLatency api-1 prod, fired for 4 min', zh: '已恢复：HighLatency api-1 prod，曾持续 4 分钟' },
    { name: 'an alert of a probe that was not down', alerts: [over(probeAlert())], found: findings({ status: 'ok', failure: { layer: 'connect', reason: 'refused', at: NOW - 60 * MINUTE } }), en: 'Resolved: cache redis-0:6379: CurlewProbeDown, over after 4 min', zh: '已恢复：cache redis-0:6379：CurlewProbeDown，持续 4 分钟后恢复' },
    { name: 'several of one name', alerts: ['a', 'b', 'c'].map((name) => otherAlert(name)), en: '3 firing: HighLatency a, b, c', zh: '3 条告警：HighLatency a、b、c' },
    { name: 'many of one name', alerts: ['a', 'b', 'c', 'd', 'e'].map((name) => otherAlert(name)), en: '5 firing: HighLatency a, b and 3 others', zh: '5 条告警：HighLatency a、b 及另外 3 个' },
    { name: 'of several names, the gravest first', alerts: [otherAlert('a'), over(otherAlert('b')), probeAlert()], en: '2 firing, 1 resolved: cache redis-0:6379, HighLatency a, HighLatency b', zh: '2 条告警，1 条恢复：cache redis-0:6379、HighLatency a、HighLatency b' },
    { name: 'only resolved', alerts: [over(otherAlert('a')), over(otherAlert('b'))], en: '2 resolved: HighLatency a, b', zh: '2 条恢复：HighLatency a、b' },
    { name: 'alike but for the scrape', alerts: [slow('a', { replica: '1' }), { ...slow('a', { replica: '2' }), fingerprint: 'x' }], en: '2 firing: HighLatency 1, 2', zh: '2 条告警：HighLatency 1、2' },
  ])('$name', ({ alerts, found, untold = false, en, zh }) => {
    const notices = both(alerts.map((alert) => entry(alert, { untold })), found ? known(found) : {})
    expect([notices.en.title, notices.zh.title]).toEqual([en, zh])
  })
})

describe('the heading of one alert tells how grave it is and since when', () => {
  it.each<Case>([
    { name: 'down', alerts: [probeAlert()], found: findings({ failingSince: NOW - 6 * MINUTE }), en: 'Critical · down 6 min, since 03:10 GMT+8', zh: '严重 · 已中断 6 分钟，始于 03:10 GMT+8' },
    { name: 'firing', alerts: [otherAlert('a')], en: 'Warning · since 03:12 GMT+8, 4 min ago', zh: '警告 · 始于 03:12 GMT+8（4 分钟前）' },
    { name: 'another day', alerts: [otherAlert('a', { startsAt: NOW - 26 * 60 * MINUTE })], en: 'Warning · since 20 Nov 01:16 GMT+8, 1 d 2 h ago', zh: '警告 · 始于 11月20日 01:16 GMT+8（1 天 2 小时前）' },
    { name: 'answers by now', alerts: [probeAlert()], found: WELL, en: 'Critical · since 03:12 GMT+8, 4 min ago; answers now, in 1.2 ms', zh: '严重 · 始于 03:12 GMT+8（4 分钟前）；现在可用，耗时 1.2 ms' },
    { name: 'up again', alerts: [over(probeAlert())], found: WELL, en: 'Resolved · up again after 4 min; from 03:12 to 03:16 GMT+8; now 1.2 ms', zh: '已恢复 · 中断 4 分钟后恢复；03:12 至 03:16 GMT+8；当前 1.2 ms' },
    { name: 'and down again', alerts: [over(probeAlert())], found: findings(), en: 'Resolved · up again after 4 min; from 03:12 to 03:16 GMT+8; but it fails again now: connect refused', zh: '已恢复 · 中断 4 分钟后恢复；03:12 至 03:16 GMT+8；但现在再次失败：连接被拒绝' },
    { name: 'no severity', alerts: [slow('a', { severity: '' })], en: 'Firing · since 03:12 GMT+8, 4 min ago', zh: '触发中 · 始于 03:12 GMT+8（4 分钟前）' },
    { name: 'severity none', alerts: [slow('a', { severity: 'none' })], en: 'Firing · since 03:12 GMT+8, 4 min ago', zh: '触发中 · 始于 03:12 GMT+8（4 分钟前）' },
    { name: 'a page', alerts: [slow('a', { severity: 'page' })], en: 'Critical · since 03:12 GMT+8, 4 min ago', zh: '严重 · 始于 03:12 GMT+8（4 分钟前）' },
  ])('$name', ({ alerts, found, en, zh }) => {
    const notices = both(alerts.map((alert) => entry(alert)), found ? known(found) : {})
    expect([texts(notices.en.blocks[0]!.lines)[0], texts(notices.zh.blocks[0]!.lines)[0]]).toEqual([en, zh])
  })
})

describe('the diagnosis', () => {
  const alike = { count: 7, names: ['a/1', 'b/2'] }
  it('is four lines', () => {
    const { en, zh } = both([entry(probeAlert())], known(findings({ explains: 12, rootCause: true, alike })))
    expect(texts(en.blocks[0]!.lines)).toEqual([
      'Critical · down 4 min, since 03:12 GMT+8', 'Diagnosis: Nothing listens on the port.', 'resolve 1.2 ms, connect 0.4 ms; last 6 runs: ✓✓✓✗✗✗',
      'Root cause: explains 12 others', '7 others fail on connect too: a/1, b/2 and 5 others', 'cluster=prod',
    ])
    expect(texts(zh.blocks[0]!.lines)).toEqual([
      '严重 · 已中断 4 分钟，始于 03:12 GMT+8', '诊断：该端口没有进程监听。', 'resolve 1.2 ms，connect 0.4 ms；最近 6 次：✓✓✓✗✗✗',
      '根因：另有 12 个故障由此引起', '另有 7 个同样在连接层失败：a/1、b/2 及另外 5 个', 'cluster=prod',
    ])
  })

  it.each([
    [findings({ explainedBy: 'dns/10.0.0.2' }), 'Explained by dns/10.0.0.2: look there first', '由 dns/10.0.0.2 引起：请先检查它'],
    [findings({ explains: 1 }), 'Root cause: explains 1 other', '根因：另有 1 个故障由此引起'],
    [findings({ alike: { count: 1, names: ['a/1'] } }), '1 other fails on connect too: a/1', '另有 1 个同样在连接层失败：a/1'],
    [findings({ runs: ['ok'], phases: [] }), 'last 1 run: ✓', '最近 1 次：✓'],
    [findings({ runs: ['unknown', 'failed'], phases: [{ name: 'connect', ms: 1512 }, { name: 'tls', ms: 0 }] }), 'connect 1.5 s; last 2 runs: ?✗', 'connect 1.5 s；最近 2 次：?✗'],
  ])('says %#', (found, en, zh) => {
    const notices = both([entry(probeAlert())], known(found))
    expect(texts(notices.en.blocks[0]!.lines)).toContain(en)
    expect(texts(notices.zh.blocks[0]!.lines)).toContain(zh)
  })

  it('of what is over is what it was', () => {
    const { en, zh } = both([entry(over(probeAlert({ annotations: { summary: 'cache is down' } })))], known(WELL))
    expect(texts(en.blocks[0]!.lines).slice(1)).toEqual(['last 6 runs: ✓✓✓✗✗✗; it was: connect refused', 'cluster=prod'])
    expect(texts(zh.blocks[0]!.lines).slice(1)).toEqual(['最近 6 次：✓✓✓✗✗✗；当时：连接被拒绝', 'cluster=prod'])
  })

  it('quotes of what is over and no probe what it was, since its numbers are not those of now', () => {
    const { en, zh } = both([entry(over(otherAlert('node-0', { annotations: { summary: 'The disk is at 97%\nand fills', description: 'x' } })))])
    expect(texts(en.blocks[0]!.lines).slice(1, 3)).toEqual(['it was: The disk is at 97%', 'and fills'])
    expect(texts(zh.blocks[0]!.lines)[1]).toBe('当时：The disk is at 97%')
  })

  it('accuses nobody when it answers', () => {
    expect(shown(compose(input([entry(probeAlert())], known(WELL))))).not.toContain('Nothing listens')
  })
})

describe('notes', () => {
  it.each([
    ['a fallback', [entry(otherAlert('a'), { fallbackFor: 'ding' }), entry(otherAlert('b'), { fallbackFor: 'ding' })], {}, 'Sent here because channel ding could not deliver it.', '渠道 ding 无法送达，改由此处发送。'],
    ['alerts that are left out, by the sender or for want of room, once a notification', [entry(otherAlert('a'), { context: { truncatedAlerts: 3 } }), entry(otherAlert('b'), { context: { truncatedAlerts: 3 } }), entry(otherAlert('c'), { notification: 2, context: { truncatedAlerts: 2 } })], {}, '5 more alerts are left out by the sender, and may be firing: <Alertmanager>', '另有 5 条告警被发送方省略，可能仍在触发：<Alertmanager>'],
    ['what follows', [entry(otherAlert('a'))], { more: 37, externalUrl: 'https://curlew.example/x' }, '37 more follow: <Curlew>', '还有 37 条待发送：<Curlew>'],
    ['what follows, and no page', [entry(otherAlert('a'))], { more: 1 }, '1 more follows', '还有 1 条待发送'],
  ])('%s', (_, entries, changes, en, zh) => {
    const notices = both(entries, changes)
    const of = ({ lead, tail }: Notice) => [...texts(lead), ...texts(tail)]
    expect(of(notices.en).filter((line) => line === en)).toHaveLength(1)
    expect(of(notices.zh).filter((line) => line === zh)).toHaveLength(1)
  })

  it('calls whom it is told to call', () => {
    const ann = { name: 'ann', ids: { slack: 'U1' } }
    expect(compose(input([entry(otherAlert('a'))], { people: [ann], everyone: true }))).toMatchObject({ mentions: [ann], everyone: true })
  })
})

describe('several alerts', () => {
  const several = compose(input([entry(otherAlert('a', { generatorURL: 'http://prom/g' })), entry(over(otherAlert('b', { generatorURL: 'http://prom/g' }))), entry(slow('c', { severity: 'critical', team: 'web', generatorURL: '' }))]))

  it('come the gravest first, resolved ones last', () => {
    expect(several.blocks.map(({ tone, lines }) => [tone, texts(lines)[0]])).toEqual([['critical', 'Critical · HighLatency c web'], ['warning', 'Warning · HighLatency a'], ['resolved', 'Resolved · HighLatency b']])
    expect(several.tone).toBe('critical')
  })

  it('begin with what explains the others', () => {
    const alert = (name: string) => otherAlert(name)
    const { blocks } = compose(input([entry(alert('a')), entry(alert('root'))], { findings: new Map([[alert('root').fingerprint, findings({ probe: 'root', explains: 3 })], [alert('a').fingerprint, findings()]]) }))
    expect(texts(blocks[0]!.lines)[0]).toContain('root redis-0:6379')
  })

  it('share labels and links that all have, and keep their own', () => {
    expect(texts(several.lead)).toEqual(['cluster=prod'])
    expect(texts(several.blocks[0]!.lines)).toEqual(['Critical · HighLatency c web', 'since 03:12 GMT+8, 4 min ago', 'c answers slowly', 'instance=c  team=web', '<Silence>'])
    expect(several.links).toEqual([])
    const alike = compose(input(['a', 'b'].map((name) => entry(otherAlert(name, { generatorURL: 'http://prom/g' })))))
    expect(alike.links).toEqual([{ text: 'Source', url: 'http://prom/g' }])
    expect(texts(alike.blocks[0]!.lines).at(-1)).toBe('<Silence>')
  })

  it('of one alert stay in the order in which they happened', () => {
    const { blocks } = compose(input([entry(over(probeAlert())), entry(otherAlert('a')), entry(probeAlert({ startsAt: NOW - MINUTE }))]))
    expect(blocks.map(({ tone }) => tone)).toEqual(['resolved', 'critical', 'warning'])
  })
})

describe('annotations', () => {
  it('are all told, line by line, but for links and what the title says', () => {
    const { blocks, links } = compose(input([entry(otherAlert('a', {
      annotations: { description: 'one\r\ntwo\n\n', summary: 'short', impact: 'no orders', layer: 'tls', __dashboardUid__: 'x', runbook_url: 'https://wiki/r', dashboard_url: 'https://graf/d' },
      generatorURL: 'http://prom/g',
    }))]))
    expect(texts(blocks[0]!.lines).slice(1)).toEqual(['short', 'one', 'two', 'impact: no orders', 'layer: tls', 'instance=a  cluster=prod'])
    expect(links.map(({ text, url }) => [text, url.slice(0, 38)])).toEqual([['Runbook', 'https://wiki/r'], ['Dashboard', 'https://graf/d'], ['Source', 'http://prom/g'], ['Silence', 'http://am.example:9093/#/silences/new?']])
  })

  it('lead only to the web', () => {
    for (const url of HOSTILE_URLS) {
      const { links } = compose(input([entry(otherAlert('a', { annotations: { runbook_url: url, dashboard_url: url }, generatorURL: url }), { context: { externalURL: url } })]))
      for (const link of links) expect(link.url).toMatch(/^http:\/\/good\.example[/:]/)
    }
  })
})

describe('a digest', () => {
  const digest = both([entry(otherAlert('a')), entry(over(otherAlert('b'))), entry(probeAlert())], { ...known(findings({ explains: 12 })), digest: true, more: 37, externalUrl: 'https://curlew.example' })

  it('is short, counted, the gravest first', () => {
    expect(shown(digest.en)).toBe(`2 firing, 1 resolved: cache redis-0:6379, HighLatency a, HighLatency b
3 alerts: Critical 1, Warning 1, Resolved 1
By layer: connect 1, other 1
cluster=prod
Critical · cache redis-0:6379: connect refused · down 4 min, since 03:12 GMT+8
Root cause: explains 12 others
Warning · HighLatency a · since 03:12 GMT+8, 4 min ago
a answers slowly
Resolved · HighLatency b · over after 4 min; from 03:12 to 03:16 GMT+8
37 more follow: <Curlew>
<Alertmanager>`)
    expect(shown(digest.zh)).toContain('共 3 条：严重 1，警告 1，已恢复 1\n按层：连接 1，其他 1\n')
  })

  it('says of what is over how it is now', () => {
    const { en, zh } = both([entry(over(probeAlert())), entry(otherAlert('a'))], { ...known(findings()), digest: true })
    expect(shown(en)).toContain('Resolved · cache redis-0:6379 · up again after 4 min; from 03:12 to 03:16 GMT+8; but it fails again now: connect refused')
    expect(shown(zh)).toContain('；但现在再次失败：连接被拒绝')
  })

  it('takes two lines at most for each of twenty', () => {
    const { blocks } = compose(input(Array.from({ length: 20 }, (_, index) => entry(otherAlert(`a${index}`, { annotations: { summary: 'x\n'.repeat(500), description: 'y' } }))), { digest: true }))
    expect(blocks).toHaveLength(20)
    for (const { lines } of blocks) expect(lines.length).toBeLessThanOrEqual(2)
    expect(texts(blocks[0]!.lines)[1]!.length).toBeLessThanOrEqual(200)
  })
})

describe('what others wrote', () => {
  const value = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 400 }))
  const record = fc.dictionary(fc.oneof(fc.constantFrom('alertname', 'severity', 'probe', 'target', 'instance', 'summary', 'description', 'runbook_url', 'layer', 'reason'), value), value, { maxKeys: 6 })
  const alerts = fc.array(fc.record({ labels: record, annotations: record, firing: fc.boolean(), generatorURL: fc.oneof(value, fc.constantFrom(...HOSTILE_URLS)) }), { minLength: 1, maxLength: 4 })

  it('is text on one line and never anything else', () => {
    fc.assert(fc.property(alerts, value, fc.boolean(), fc.constantFrom(...LANGS), fc.boolean(), (made, foreign, digest, lang, templated) => {
      const entries = made.map(({ labels, annotations, firing, generatorURL }, index) => {
        const alert: Alert = { status: 'firing', labels, annotations, startsAt: NOW - MINUTE, generatorURL, fingerprint: `f${index % 2}` }
        return entry(firing ? alert : over(alert), { context: { externalURL: generatorURL, groupLabels: labels } })
      })
      const found = findings({ probe: foreign, target: foreign, explainedBy: foreign, sentence: { en: foreign, zh: foreign }, alike: { count: 3, names: [foreign] }, failure: { layer: foreign, reason: foreign }, phases: [{ name: foreign, ms: 1 }] })
      const template = { title: '{{ labels.alertname }} {{ finding.layer }}', alert: '**{{ labels.alertname }}** `{{ annotations.summary }}` {{ annotations.description }} {{ labels }} {{ finding.explained_by }} {% capture x %}{{ labels.instance }}{% endcapture %}{{ x }}' }
      const notice = compose(input(entries, { digest, route: { lang, timezone: 'Asia/Shanghai', ...templated ? { template } : {} }, findings: new Map([['f0', found]]) }))
      const allowed = new Set(['Runbook', 'Dashboard', 'Source', 'Silence', 'Alertmanager', '处理手册', '仪表盘', '来源', '静默'])
      const spans = [...notice.lead, ...notice.tail, ...notice.blocks.flatMap(({ lines }) => lines)].flat()
      for (const { text } of [...spans, { text: notice.title }]) expect(text).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Cs}/u)
      for (const link of [...notice.links, ...spans.filter((span) => span.kind === 'link')]) {
        expect(allowed).toContain(link.text)
        expect(link.url).toMatch(/^https?:\/\/[^\s()<>"'`*|[\]]+$/)
      }
      expect(notice.title.length).toBeLessThanOrEqual(200)
      expect(notice.title).not.toBe('')
      expect(notice.blocks).toHaveLength(entries.length)
      for (const { lines } of notice.blocks) expect(lines.length).toBeGreaterThan(0)
    }), { numRuns: 500 })
  })

  it('that is huge makes neither a huge title nor a huge heading', () => {
    const huge = '很长 '.repeat(300_000)
    const { title, blocks } = compose(input([entry(otherAlert(huge)), entry(probeAlert({ labels: { probe: huge, target: huge, severity: huge } }))], known(findings({ explainedBy: huge, sentence: { en: huge, zh: huge } }))))
    expect(title.length).toBeLessThanOrEqual(200)
    for (const { lines } of blocks) expect(texts(lines)[0]!.length).toBeLessThan(500)
    expect(texts(blocks[0]!.lines).every((line) => line.length <= 1_000_000)).toBe(true)
  })
})
