import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { validate } from '../../src/commands/validate.ts'
import { temporaryDirectory } from '../support/process.ts'

const directory = temporaryDirectory()
afterAll(() => { directory.remove() })

it('does not let a config that finds its targets in clusters look like one without any', async () => {
  const config = join(directory.path, 'curlew.yaml')
  writeFileSync(config, 'discovery: { kubernetes: { health: [nodes] } }\n')
  let out = ''
  const code = await validate(['-c', config], { env: {}, color: false, out: (text) => { out += text }, err: () => {}, signal: new AbortController().signal, onHangup: () => {} })
  expect(out).toBe(`${config}: ok, 0 probes, 0 targets, and what is found in clusters (curlew check --plan)\n`)
  expect(code).toBe(0)
})
