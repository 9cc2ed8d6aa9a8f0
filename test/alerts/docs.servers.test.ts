import { execFile } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/process.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)

const blocks = (text: string, language: string) => Array.from(text.matchAll(/```(\w+)\n([^]*?)```/g)).flatMap(([, kind, block]) => (kind === language ? [block!] : []))
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8')

describe.each(['docs/alerts.md', 'docs/alerts.zh-CN.md'])('%s', (file) => {
  it('shows commands and files that work', { timeout: 60_000 }, async () => {
    const directory = temporaryDirectory()
    try {
      const yaml = blocks(textOf(file), 'yaml')
      const put = (name: string, begins: RegExp) => { writeFileSync(join(directory.path, name), yaml.find((text) => begins.test(text))!) }
      put('values.yaml', /^job:/)
      put('prometheus.yml', /^rule_files:/)
      writeFileSync(join(directory.path, 'curlew'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'bin', 'curlew.js')}' "$@"\n`)
      chmodSync(join(directory.path, 'curlew'), 0o755)
      const options = { cwd: directory.path, env: { ...process.env, PATH: `${directory.path}:${process.env['PATH']}` } }
      for (const commands of blocks(textOf(file), 'sh')) await run('sh', ['-e', '-c', commands], options)
      await run('promtool', ['check', 'config', 'prometheus.yml'], options)
      const rules = readFileSync(join(directory.path, 'curlew.rules.yml'), 'utf8')
      expect(rules).toContain('team: platform')
      expect(rules).not.toContain('alert: DependencyDownExplained')
      expect(readFileSync(join(directory.path, 'all-values.yaml'), 'utf8')).toBe(textOf('alerts/values.yaml'))
    } finally {
      directory.remove()
    }
  })

  it('has the same examples in both languages', () => {
    for (const language of ['yaml', 'sh']) expect(blocks(textOf(file), language)).toEqual(blocks(textOf('docs/alerts.md'), language))
  })
})
