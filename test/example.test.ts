import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import { jsonSchema } from '../src/config/schema.ts'
import { VERSION } from '../src/core/version.ts'
import { MOST_PHASES } from '../src/core/history.ts'
import { familiesOf } from '../src/exporter/families.ts'
import { notifySchema } from '../src/notify/options.ts'
import { probeTypes } from '../src/probes/index.ts'

const root = join(import.meta.dirname, '..')
const example = join(root, 'curlew.example.yaml')

const ENVIRONMENT = {
  REDIS_PASSWORD: 'example-password', MYSQL_PASSWORD: 'another-password', BACKUP_TOKEN: 'example-token',
  WEBHOOK_TOKEN: 'example-webhook-token', DINGTALK_TOKEN: 'example-robot', DINGTALK_SECRET: 'SECexample', WECOM_KEY: 'example-key', SLACK_URL: 'https://hooks.slack.com/services/T0/B0/example',
}

it('curlew.example.yaml is valid, and shows every probe type', async () => {
  const loaded = await loadConfig(example, { types: probeTypes, env: ENVIRONMENT })
  expect(loaded.diagnostics).toEqual([])
  const shown = new Set(loaded.config!.jobs.map((job) => job.type))
  expect(probeTypes.map(({ type }) => type).filter((type) => !shown.has(type))).toEqual([])
  for (const secret of Object.values(ENVIRONMENT)) expect(loaded.config!.shown).not.toContain(secret)
})

describe('the JSON Schema', () => {
  // safe: it is a JSON Schema that zod itself has written
  const schema = z.fromJSONSchema(jsonSchema(probeTypes, notifySchema) as Parameters<typeof z.fromJSONSchema>[0])
  const accepts = (text: string) => schema.safeParse(parse(text)).success
  const documented = ['probes', 'notify'].flatMap((page) => Array.from(readFileSync(join(root, `docs/reference/${page}.md`), 'utf8').matchAll(/```yaml\n((?:probes|notify):[^]*?)```/g), ([, text]) => text!))

  it('accepts curlew.example.yaml', () => {
    expect(schema.safeParse(parse(readFileSync(example, 'utf8'))).error).toBeUndefined()
  })

  it.each([
    ...documented,
    'probes: [{ name: a, type: redis, target: x, every: "${EVERY}", timeout: "${T}s", failure_threshold: "${F}", histogram: "${H}", mode: "${M}" }]',
    'limits: { series: "${S}" }\nprobes: []',
    'notify: { channels: [{ name: "${N}", type: slack, timeout: "${T}" }], routes: [{ channel: a, lang: "${L}" }], external_url: "${U}" }',
  ])('accepts %j', (text) => { expect(accepts(text)).toBe(true) })

  it.each([
    'probes: [{ name: a, type: redis, target: x, colour: red }]', 'probes: [{ name: a, type: nope, target: x }]', 'probes: [{ type: redis, target: x }]',
    'probes: [{ name: a, type: redis, target: x, every: never }]', 'probes: [{ name: a, type: redis, target: x, histogram: maybe }]', 'limits: { series: few }\nprobes: []',
    'probe: []', 'notify: {}', 'notify: { channels: [{ name: a, type: nope }], routes: [{ channel: a }] }', 'notify: { channels: [{ name: a, type: slack, colour: red }], routes: [{ channel: a }] }', 'labels: { a-b: c }\nprobes: []', 'probes: [{ name: a, type: redis, target: x, failure_threshold: 0 }]',
  ])('refuses %j', (text) => { expect(accepts(text)).toBe(false) })

  it('has RE2\'s patterns checked by nobody who knows only JavaScript\'s', () => {
    expect(JSON.stringify(jsonSchema(probeTypes, notifySchema))).not.toContain('"format":"regex"')
  })
})

it('the version is the package\'s', () => {
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).toMatchObject({ version: VERSION })
})

it('the registry holds each type and each scheme once, and no name means two things', () => {
  const types = probeTypes.map(({ type }) => type)
  const schemes = probeTypes.flatMap((type) => type.schemes)
  expect(new Set(types).size).toBe(types.length)
  expect(new Set(schemes).size).toBe(schemes.length)
  expect(() => familiesOf(probeTypes)).not.toThrow()
  for (const type of probeTypes) expect(Object.keys(type.phases).length).toBeLessThanOrEqual(MOST_PHASES)
})
