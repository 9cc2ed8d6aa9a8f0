import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { temporaryDirectory } from '../support/process.ts'
import { PROMETHEUSES } from '../support/prometheus.ts'

const runbooks = join(import.meta.dirname, '../../docs/runbooks')
const queries = new Set(readdirSync(runbooks).flatMap((file) =>
  Array.from(readFileSync(join(runbooks, file), 'utf8').matchAll(/promtool query (?:instant|range) \S+ '([^']*)'/g), ([, expr]) => expr!)))

it('Prometheus reads every query of the runbooks', () => {
  expect(queries.size).toBeGreaterThan(0)
  const directory = temporaryDirectory()
  try {
    writeFileSync(join(directory.path, 'rules.yml'), stringify({ groups: [{ name: 'g', rules: [...queries].map((expr, index) => ({ record: `query:${index}`, expr })) }] }))
    const said = execFileSync(PROMETHEUSES[0].promtool, ['check', 'rules', 'rules.yml'], { cwd: directory.path, encoding: 'utf8' })
    expect(said).toContain(`${queries.size} rules found`)
  } finally {
    directory.remove()
  }
})
