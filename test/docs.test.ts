import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readNotify } from '../src/config/notify.ts'
import { readConfig } from '../src/config/load.ts'
import { readWebConfig } from '../src/exporter/web-config.ts'
import { channelTypes } from '../src/notify/channels/index.ts'
import { TEMPLATE_FIELDS, TEMPLATE_FILTERS, TEMPLATE_TAGS } from '../src/notify/template.ts'
import { probeTypes } from '../src/probes/index.ts'

const root = join(import.meta.dirname, '..')
const directory = mkdtempSync(join(tmpdir(), 'curlew-docs-'))
afterAll(() => { rmSync(directory, { recursive: true }) })

const blocks = (file: string) => [...readFileSync(join(root, file), 'utf8').matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text!)
const configs = ['README.md', 'README.zh-CN.md', 'docs/reference/probes.md', 'docs/reference/notify.md', 'docs/notify.md', 'docs/notify.zh-CN.md', 'docs/alerts.md', 'docs/alerts.zh-CN.md'].flatMap((file) => blocks(file).filter((text) => /^(?:probes|notify):/m.test(text)).map((text, index) => ({ name: `${file} (${index + 1})`, text })))

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

it('the web-config in the documentation is valid but for the files that it names', () => {
  const [text] = blocks('docs/web-config.md')
  const file = join(directory, 'web.yaml')
  writeFileSync(file, text!)
  const { issues, certificateIssues } = readWebConfig(file)
  expect([...issues, ...certificateIssues].filter((issue) => !/expected a readable file|ENOENT|cannot be read/.test(issue))).toEqual([])
})

it.each(['AGENTS.md', 'README.md', 'README.zh-CN.md', 'docs/alerts.md', 'docs/alerts.zh-CN.md', 'docs/benchmark.md', 'docs/dashboards.md', 'docs/dashboards.zh-CN.md', 'docs/decisions.md', 'docs/mysql.md', 'docs/notify.md', 'docs/notify.zh-CN.md', 'docs/web-config.md'])('%s links to nothing that is not there', (file) => {
  const links = [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?!https?:|#|\{\{)([^)#]+)/g)].map(([, path]) => path!)
  for (const link of links) expect(() => readFileSync(join(root, file, '..', link)), link).not.toThrow()
})

describe.each(['docs/notify.md', 'docs/notify.zh-CN.md'])('%s', (file) => {
  const text = readFileSync(join(root, file), 'utf8')
  const named = new Set(Array.from(text.matchAll(/`([^`\n]+)`/g), ([, name]) => name!))

  it('has every field, filter and tag of the templates', () => {
    const fields = TEMPLATE_FIELDS.map((field) => (['labels', 'annotations', 'groupLabels'].includes(field) ? `${field}.NAME` : field))
    for (const name of [...fields, ...TEMPLATE_FILTERS, ...TEMPLATE_TAGS]) expect(named).toContain(name)
  })
})
