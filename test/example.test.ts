import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { expect, it } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import { jsonSchema } from '../src/config/schema.ts'
import { VERSION } from '../src/core/version.ts'
import { MOST_PHASES } from '../src/core/history.ts'
import { familiesOf } from '../src/exporter/families.ts'
import { probeTypes } from '../src/probes/index.ts'

const root = join(import.meta.dirname, '..')
const example = join(root, 'curlew.example.yaml')

it('curlew.example.yaml is valid, and shows every probe type', () => {
  const loaded = loadConfig(example, { types: probeTypes, env: { REDIS_PASSWORD: 'example-password', BACKUP_TOKEN: 'example-token' } })
  expect(loaded.diagnostics).toEqual([])
  const shown = new Set(loaded.config!.jobs.map((job) => job.type))
  expect(probeTypes.map(({ type }) => type).filter((type) => !shown.has(type))).toEqual([])
  expect(loaded.config!.shown).not.toContain('example-password')
})

it('the JSON Schema accepts the keys of the example', () => {
  const schema = jsonSchema(probeTypes) as { properties: { probes: { items: { oneOf: { title: string, properties: object }[] } } } & Record<string, object> }
  const content = parse(readFileSync(example, 'utf8')) as { probes: { type: string }[] } & Record<string, unknown>
  for (const key of Object.keys(content)) expect(schema.properties).toHaveProperty(key)
  for (const probe of content.probes) {
    const entry = schema.properties.probes.items.oneOf.find(({ title }) => title === probe.type)
    for (const key of Object.keys(probe)) expect(Object.keys(entry!.properties)).toContain(key)
  }
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
