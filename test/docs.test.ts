import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readConfig } from '../src/config/load.ts'
import { readWebConfig } from '../src/exporter/web-config.ts'
import { probeTypes } from '../src/probes/index.ts'

const root = join(import.meta.dirname, '..')
const directory = mkdtempSync(join(tmpdir(), 'curlew-docs-'))
afterAll(() => { rmSync(directory, { recursive: true }) })

const blocks = (file: string) => [...readFileSync(join(root, file), 'utf8').matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text!)
const configs = ['README.md', 'README.zh-CN.md', 'docs/reference/probes.md'].flatMap((file) => blocks(file).filter((text) => /^probes:/m.test(text)).map((text, index) => ({ name: `${file} (${index + 1})`, text })))

describe('every config in the documentation is valid', () => {
  it('there are some', () => { expect(configs.length).toBeGreaterThanOrEqual(2 + probeTypes.length) })

  it.each(configs)('$name', ({ text }) => {
    expect(readConfig([{ file: 'doc.yaml', text }], { types: probeTypes, env: { REDIS_PASSWORD: 'documented' } }).diagnostics).toEqual([])
  })
})

it('the web-config in the documentation is valid but for the files that it names', () => {
  const [text] = blocks('docs/web-config.md')
  const file = join(directory, 'web.yaml')
  writeFileSync(file, text!)
  const { issues, certificateIssues } = readWebConfig(file)
  expect([...issues, ...certificateIssues].filter((issue) => !/expected a readable file|ENOENT|cannot be read/.test(issue))).toEqual([])
})

it.each(['AGENTS.md', 'README.md', 'README.zh-CN.md', 'docs/benchmark.md', 'docs/decisions.md', 'docs/mysql.md', 'docs/web-config.md'])('%s links to nothing that is not there', (file) => {
  const links = [...readFileSync(join(root, file), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => path!)
  for (const link of links) expect(() => readFileSync(join(root, file, '..', link)), link).not.toThrow()
})
