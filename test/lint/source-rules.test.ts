import { globSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkSource, MAY_IMPORT } from '../../scripts/source-rules.ts'

const root = new URL('fixtures/', import.meta.url)
const check = (path: string) => checkSource({ path, text: readFileSync(new URL(path, root), 'utf8') }, ['redis'])

const BAD: readonly (readonly [path: string, rule: string])[] = [
  ['src/alerts/bad.ts', 'import-direction'],
  ['src/checked.ts', 'import-direction'],
  ['src/children.ts', 'import-direction'],
  ['src/cli.ts', 'import-direction'],
  ['src/commands/bad.ts', 'import-direction'],
  ['src/config/bad.ts', 'import-direction'],
  ['src/core/bad.ts', 'import-direction'],
  ['src/core/casts.ts', 'unexplained-as'],
  ['src/diagnose/bad.ts', 'import-direction'],
  ['src/discover/bad.ts', 'import-direction'],
  ['src/discovering.ts', 'import-direction'],
  ['src/each.ts', 'import-direction'],
  ['src/exporter/bad.ts', 'import-direction'],
  ['src/exporter/branches.ts', 'type-branch'],
  ['src/job-set.ts', 'import-direction'],
  ['src/kubernetes/bad.ts', 'import-direction'],
  ['src/log.ts', 'import-direction'],
  ['src/mesh/bad.ts', 'import-direction'],
  ['src/notify/bad.ts', 'import-direction'],
  ['src/probes/bad-other.ts', 'import-direction'],
  ['src/probes/bad.ts', 'import-direction'],
  ['src/place.ts', 'import-direction'],
  ['src/replica.ts', 'import-direction'],
  ['src/report/bad.ts', 'import-direction'],
  ['src/report/exits.ts', 'process-exit'],
  ['src/report/switches.ts', 'type-branch'],
  ['src/round.ts', 'import-direction'],
  ['src/runtime.ts', 'import-direction'],
  ['src/shards.ts', 'import-direction'],
  ['src/unlisted/bad.ts', 'import-direction'],
  ['src/words/bad.ts', 'import-direction'],
  ['test/skipped.ts', 'skipped-test'],
]

describe('the rules of scripts/source-rules.ts', () => {
  it.each(BAD)('%s breaks %s and nothing else', (path, rule) => {
    expect(check(path).map((problem) => problem.rule)).toEqual([rule])
  })

  it('say where and what', () => {
    expect(check('src/core/bad.ts')).toEqual([{
      path: 'src/core/bad.ts', line: 1, column: 24, rule: 'import-direction', message: 'core may import nothing of ours, not probes/index.ts',
    }])
  })

  it('leave the other fixtures alone', () => {
    const good = globSync('**/*.ts', { cwd: root }).filter((path) => !BAD.some(([bad]) => bad === path))
    expect(good).toContain('src/commands/good.ts')
    expect(good.flatMap(check)).toEqual([])
  })

  it('are proven by a bad fixture for every room', () => {
    const proven = BAD.filter(([, rule]) => rule === 'import-direction').map(([path]) => path.split('/')[1])
    expect(proven).toEqual(expect.arrayContaining(Object.keys(MAY_IMPORT)))
  })
})
