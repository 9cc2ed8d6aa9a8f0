import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { federation } from '../src/alerts/catalogue/federation.ts'
import { readNotify } from '../src/config/notify.ts'
import { readConfig } from '../src/config/load.ts'
import { FIELDS } from '../src/discover/kubernetes/annotations.ts'
import { DEFAULT_ALLOW, ROLES } from '../src/discover/kubernetes/options.ts'
import { readWebConfig } from '../src/exporter/web-config.ts'
import { channelTypes } from '../src/notify/channels/index.ts'
import { TEMPLATE_FIELDS, TEMPLATE_FILTERS, TEMPLATE_TAGS } from '../src/notify/template.ts'
import { probeTypes } from '../src/probes/index.ts'

const root = join(import.meta.dirname, '..')
const directory = mkdtempSync(join(tmpdir(), 'curlew-docs-'))
afterAll(() => { rmSync(directory, { recursive: true }) })

const blocks = (file: string) => [...readFileSync(join(root, file), 'utf8').matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text!)
const configs = ['README.md', 'README.zh-CN.md', 'docs/reference/probes.md', 'docs/reference/notify.md', 'docs/notify.md', 'docs/notify.zh-CN.md', 'docs/alerts.md', 'docs/alerts.zh-CN.md', 'docs/clusters.md', 'docs/clusters.zh-CN.md', 'docs/kube-path.md', 'docs/kube-path.zh-CN.md', 'docs/discovery.md', 'docs/discovery.zh-CN.md'].flatMap((file) => blocks(file).filter((text) => /^(?:probes|notify|kubernetes|discovery):/m.test(text)).map((text, index) => ({ name: `${file} (${index + 1})`, text: text.startsWith('kubernetes:') ? `${text}probes: []\n` : text })))

/** What the configs take from the environment. */
const documented = { REDIS_PASSWORD: 'documented', WEBHOOK_TOKEN: 'documented', DINGTALK_TOKEN: 'documented', DINGTALK_SECRET: 'SECdocumented', SLACK_HOOK: 'T0/B0/documented' }

describe('every config in the documentation is valid', () => {
  it('there are some', () => { expect(configs.length).toBeGreaterThanOrEqual(3 + probeTypes.length + channelTypes.length) })

  it.each(configs)('$name', ({ text }) => {
    expect(readConfig([{ file: 'doc.yaml', text }], { types: probeTypes, env: documented }, readNotify).diagnostics).toEqual([])
  })

  it.each(blocks('docs/reference/notify.md').filter((text) => /^(?:people|time_intervals):/.test(text)))('a part of the section notify: %j', (text) => {
    const whole = `notify:\n  allow_unauthenticated: true\n  channels: [{ name: ops, type: slack, url: "https://hooks.slack.com/services/T/B/X" }]\n  routes: [{ channel: ops }]\n${text.replaceAll(/^(?=.)/gm, '  ')}`
    expect(readConfig([{ file: 'doc.yaml', text: whole }], { types: probeTypes, env: {} }, readNotify).diagnostics).toEqual([])
  })
})

it('docs/clusters.md has the same examples in both languages, and names every series that is federated', () => {
  expect(blocks('docs/clusters.zh-CN.md')).toEqual(blocks('docs/clusters.md'))
  for (const file of ['docs/clusters.md', 'docs/clusters.zh-CN.md']) {
    const named = Array.from(readFileSync(join(root, file), 'utf8').matchAll(/cluster:curlew_[a-z_]+:[a-z]+/g), ([name]) => name)
    expect(named).toEqual(federation.records?.map(({ record }) => record))
  }
})

it('the web-config in the documentation is valid but for the files that it names', () => {
  const [text] = blocks('docs/web-config.md')
  const file = join(directory, 'web.yaml')
  writeFileSync(file, text!)
  const { issues, certificateIssues } = readWebConfig(file)
  expect([...issues, ...certificateIssues].filter((issue) => !/expected a readable file|ENOENT|cannot be read/.test(issue))).toEqual([])
})

it.each(globSync(['*.md', 'docs/*.md'], { cwd: root }))('%s links to nothing that is not there', (file) => {
  const links = [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?!https?:|#|\{\{)([^)#]+)/g)].map(([, path]) => path!)
  for (const link of links) expect(() => readFileSync(join(root, file, '..', link)), link).not.toThrow()
})

describe.each(['docs/discovery.md', 'docs/discovery.zh-CN.md'])('%s', (file) => {
  const text = readFileSync(join(root, file), 'utf8')

  it('has every annotation, role and option that may be asked for', () => {
    for (const field of FIELDS) expect(text).toContain(`| \`curlew.dev/${field}\` |`)
    for (const role of ROLES) expect(text).toMatch(new RegExp(`^\\| ${role} \\|`, 'm'))
    for (const [type, options] of Object.entries(DEFAULT_ALLOW)) for (const name of [type, ...options]) expect(text).toMatch(new RegExp(`\\b${name}\\b`))
  })
})

describe.each(['docs/notify.md', 'docs/notify.zh-CN.md'])('%s', (file) => {
  const text = readFileSync(join(root, file), 'utf8')
  const named = new Set(Array.from(text.matchAll(/`([^`\n]+)`/g), ([, name]) => name!))

  it('has every field, filter and tag of the templates', () => {
    const fields = TEMPLATE_FIELDS.map((field) => (['labels', 'annotations', 'groupLabels'].includes(field) ? `${field}.NAME` : field))
    for (const name of [...fields, ...TEMPLATE_FILTERS, ...TEMPLATE_TAGS]) expect(named).toContain(name)
  })
})
