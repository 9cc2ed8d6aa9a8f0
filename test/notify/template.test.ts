import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compose } from '../../src/notify/compose.ts'
import { enclose, readMarkup } from '../../src/notify/markup.ts'
import type { TemplateConfig } from '../../src/notify/options.ts'
import { checkTemplate, TEMPLATE_FILTERS, TEMPLATE_TAGS } from '../../src/notify/template.ts'
import { entry, findings, input, lineText, NOW, otherAlert, over, probeAlert, texts } from './alerts.ts'
import { HOSTILE } from './hostile.ts'

const alerts = [entry(probeAlert()), entry(over(otherAlert('a*b')))]
const known = new Map([['probe', findings({ explains: 2, alike: { count: 1, names: ['a/1'] } })]])
const told = (template: TemplateConfig, changes: { readonly lang?: 'en' | 'zh', readonly digest?: boolean } = {}) =>
  compose(input(alerts, { findings: known, digest: changes.digest ?? false, route: { lang: changes.lang ?? 'en', timezone: 'Asia/Shanghai', template } }))
const firstAlert = (alert: string, lang: 'en' | 'zh' = 'en') => {
  const { blocks, lead } = told({ alert }, { lang })
  return { lines: blocks[0]!.lines, note: texts(lead).filter((line) => line.includes('template')) }
}

describe('fields and filters', () => {
  it.each([
    ['{{ alert.status }} {{ status }} {{ labels.probe }} {{ alert.labels.target }}', ['firing firing cache redis-0:6379']],
    ['{{ startsAt }} {{ startsAt | time }} {{ endsAt }}{{ now | time }}', ['2026-11-20T19:12:00.000Z 03:12 GMT+8 03:16 GMT+8']],
    ['{{ duration }} {{ duration | duration }} {{ finding.seconds | duration }}', ['240 4 min 1.6 ms']],
    ['{{ finding.layer | upcase }}/{{ finding.reason }} {{ finding.code }} {{ finding.status }} {{ finding.sentence.zh }}', ['CONNECT/refused connect_refused failed 该端口没有进程监听。']],
    ['{% for phase in finding.phases %}{{ phase.name }}={{ phase.seconds | duration }} {% endfor %}{{ finding.runs | join: " " }} {{ finding.explains }} {{ finding.alike.names | first }}.', ['resolve=1.2 ms connect=0.4 ms ok ok ok failed failed failed 2 a/1.']],
    ['{{ firing }} {{ resolved }} {{ alerts.size }} {{ receiver }} {{ groupLabels.x | default: "none" }}', ['1 1 2 chat none']],
    ['{% for label in labels %}{% unless label[0] == "job" %}{{ label[0] }}={{ label[1] }}\n{% endunless %}{% endfor %}', ['alertname=CurlewProbeDown', 'probe=cache', 'target=redis-0:6379', 'severity=critical', 'instance=10.1.1.1:9100', 'cluster=prod']],
    ['{% if labels.severity == "critical" %}now{% else %}later{% endif %} {% case status %}{% when "firing" %}!{% endcase %}', ['now !']],
    ['{{ "x" | time }}{{ "x" | duration }}{{ labels | time }}{{ nothing }}ok', ['ok']],
  ])('%s', (template, lines) => {
    const { lines: rendered, note } = firstAlert(template)
    expect(texts(rendered)).toEqual(lines)
    expect(note).toEqual([])
  })

  it('speak the language of the route', () => {
    expect(texts(firstAlert('{{ duration | duration }}', 'zh').lines)).toEqual(['4 分钟'])
  })

  it('make the title of what is first', () => {
    expect(told({ title: '**{{ firing }}** of {{ alerts.size }}\n{{ labels.probe }}' }).title).toBe('1 of 2 cache')
  })

  it('leave a digest to the built-in text', () => {
    const { title, blocks } = told({ title: 'mine', alert: 'mine' }, { digest: true })
    expect(title).not.toContain('mine')
    expect(blocks.flatMap(({ lines }) => texts(lines)).join()).not.toContain('mine')
  })
})

describe('markup', () => {
  it.each([
    ['**b** and `c` and [t](https://x.example/a)', [{ kind: 'text', text: 'b', style: 'bold' }, { kind: 'text', text: ' and ' }, { kind: 'text', text: 'c', style: 'code' }, { kind: 'text', text: ' and ' }, { kind: 'link', text: 't', url: 'https://x.example/a' }]],
    [`**${enclose('**a**')} b** `, [{ kind: 'text', text: '**a** b', style: 'bold' }]],
    [`[${enclose('x](http://evil/)')}](https://x.example/${enclose('?q=a)b c')})`, [{ kind: 'link', text: 'x](http://evil/)', url: 'https://x.example/?q=a%29b%20c' }]],
    [`[run](${enclose('https://wiki.example/r')})`, [{ kind: 'link', text: 'run', url: 'https://wiki.example/r' }]],
    [`[run](${enclose('javascript:alert(1)')})`, [{ kind: 'text', text: 'run' }]],
    ['[run](/etc/passwd)', [{ kind: 'text', text: 'run' }]],
    ['** not bold', [{ kind: 'text', text: '** not bold' }]],
    ['**a', [{ kind: 'text', text: '**a' }]],
    ['*i* _i_ <b> ~s~ # h', [{ kind: 'text', text: '*i* _i_ <b> ~s~ # h' }]],
  ])('%s', (source, spans) => { expect(readMarkup(source)).toEqual([spans]) })

  it('takes values of several lines apart', () => {
    expect(readMarkup(`a ${enclose('b\r\n\n**c**')} d\n\n \n**e**`).map(lineText)).toEqual(['a b', '**c** d', 'e'])
  })

  it('never finds markup in a value', () => {
    fc.assert(fc.property(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' }), fc.string().map((text) => `\u0002**${text}**\u0001`)), (value) => {
      for (const line of readMarkup(`x${enclose(value)}y`)) for (const span of line) expect(span).toEqual({ kind: 'text', text: span.text })
    }))
  })

  it('is read in time, whatever it is', () => {
    const started = performance.now()
    for (const piece of ['[', '**', '*', '`', '](', '[a](', '**a', '\u0001', '[a', '`a**']) readMarkup(piece.repeat(30_000))
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})

describe('values are data', () => {
  const template = '**{{ labels.v }}** `{{ labels.v }}` {{ labels.v }} {% echo labels.v %} {% assign a = labels.v | append: "**" %}{{ a }} {% capture c %}[{{ labels.v }}](https://x/){% endcapture %}{{ c }} {{ labels }} {{ alerts }}'
  it.each(HOSTILE.map((value) => [value]))('%j', (value) => {
    const { blocks } = compose(input([entry(otherAlert('a', { labels: { alertname: 'A', v: value } }))], { route: { lang: 'en', timezone: 'UTC', template: { alert: template } } }))
    for (const line of blocks[0]!.lines) for (const span of line) expect(span.kind).toBe('text')
  })
})

describe('what a template may not', () => {
  it.each([
    ['{% include "/etc/passwd" %}', 'line 1, column 1: tag "include" not found'],
    ['x\n{% render "a" %}', 'line 2, column 1: tag "render" not found'],
    ['{% layout "a" %}', 'line 1, column 1: tag "layout" not found'],
    ['{% tablerow x in alerts %}{% endtablerow %}', 'line 1, column 1: tag "tablerow" not found'],
    ['{% raw %}{{ x }}{% endraw %}', /^line 1, column 1: tag "raw" not found$/],
    ['{{ labels.v | raw }}', 'line 1, column 1: undefined filter: raw'],
    ['{{ labels.v | shout }}', 'line 1, column 1: undefined filter: shout'],
    ['{{ "now" | date: "%s" }}', 'line 1, column 1: undefined filter: date'],
    ['{{ labels | json }}', 'line 1, column 1: undefined filter: json'],
    ['ok\n{{ labels.v', /^line 2, column 1: output "\{\{ labels\.v" not closed$/],
    ['{% if %}', /^line 1, column 6: /],
    ['a\nb {{ lables.v }}', /^line 2, column 6: lables: expected one of alert, status, labels, /],
    ['x'.repeat(20_001), /limit/],
  ])('%j is a mistake', (text, mistake) => {
    const said = checkTemplate(text)
    if (typeof mistake === 'string') expect(said).toBe(mistake)
    else expect(said).toMatch(mistake)
  })

  it.each(['', 'plain', '{{ labels.anything.at.all }}', '{% assign x = 1 %}{{ x }}', '{% for a in alerts %}{{ a.status }}{{ forloop.index }}{% endfor %}', '{% comment %}{{ no }}{% endcomment %}'])('%j is none', (text) => { expect(checkTemplate(text)).toBeUndefined() })

  it('is most of the library', () => {
    expect(TEMPLATE_TAGS).not.toEqual(expect.arrayContaining(['include']))
    for (const filter of TEMPLATE_FILTERS.filter((name) => !['times', 'plus', 'minus'].includes(name))) expect(checkTemplate(`{{ labels.v | ${filter} }}`), filter).toBeUndefined()
  })
})

describe('a template that fails', () => {
  const heading = 'Critical · cache redis-0:6379: connect refused'
  it.each([
    ['unclosed', '{{ labels.v'],
    ['endless', '{% for i in (1..1000000000) %}x{% endfor %}'],
    ['nested', '{% for i in (1..90000) %}{% for j in (1..90000) %}x{% endfor %}{% endfor %}'],
    ['growing', '{% assign x = "aaaaaaaaaa" %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}{{ x }}'],
    ['captured', '{% for i in (1..60) %}{% capture x %}{{ x }}{{ x }}aaaaaaaaaa{% endcapture %}{% endfor %}'],
    ['replaced', '{% assign x = "aaaaaaaaaa" %}{% for i in (1..60) %}{% assign x = x | replace: "a", x %}{% endfor %}{{ x }}'],
    ['too long', `{% for i in (1..2000) %}${'literal '.repeat(100)}{% endfor %}`],
    ['empty', '{% if false %}x{% endif %} \n '],
    ['by type', '{{ labels | append: "x" | times: labels | where: "a" | sort: 1 }}{{ 1 | split: 2 | map: 3 | slice: "a" }}{% if false %}{% endif %}'],
  ])('%s: the built-in text, and a note', (_, alert) => {
    const started = performance.now()
    const { title, blocks, lead } = told({ alert })
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(title).toContain('1 firing, 1 resolved')
    expect(texts(blocks[0]!.lines)[0]).toBe(heading)
    expect(texts(lead)[0]).toMatch(/^The template of this route failed, so this is the built-in text: ./)
    expect(texts(told({ alert }, { lang: 'zh' }).lead)[0]).toMatch(/^该路由的模板渲染失败，已改用内置文本：./)
  })

  it('in the title leaves the alerts as the template has them', () => {
    const { title, blocks } = told({ title: '{{ labels.v', alert: 'mine' })
    expect(title).toBe('1 firing, 1 resolved: cache redis-0:6379, HighLatency a*b prod')
    expect(texts(blocks[0]!.lines)).toEqual(['mine'])
  })

  it('reaches nothing behind the fields', () => {
    expect(texts(firstAlert('{{ labels.constructor.name }}{{ labels.__proto__ }}{{ alert.toString }}{{ finding.phases.constructor }}{{ now.constructor }}.').lines)).toEqual(['.'])
  })
})

it('times are those of the message', () => {
  expect(texts(compose(input(alerts, { now: NOW, route: { lang: 'en', timezone: 'America/New_York', template: { alert: '{{ now | time }}' } } })).blocks[0]!.lines)).toEqual(['14:16 EST'])
})
