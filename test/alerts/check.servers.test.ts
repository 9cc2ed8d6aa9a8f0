import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { FAMILIES } from '../../src/alerts/index.ts'
import { groupsOf, rulesText } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'
import { temporaryDirectory } from '../support/process.ts'
import { PROMETHEUSES } from '../support/prometheus.ts'

const directory = temporaryDirectory()
afterAll(() => { directory.remove() })

const all = FAMILIES.flatMap((family) => family.alerts)
const optional = Object.fromEntries(FAMILIES.flatMap(({ name, optional: why }) => (why === undefined ? [] : [[name, true]])))

/** Every value another one than the default. */
const changed = {
  job: 'a "job"', scrape_interval: '90s', vantage_labels: ['instance', 'agent'], runbook_url: 'https://wiki.example.org/%7Ecurlew', grafana_url: 'https://example.org/grafana', labels: { team: 'night {shift}' },
  ...optional,
  alerts: Object.fromEntries(all.map(({ name, severity, forMs, thresholds = {} }) => [name, {
    severity: severity === 'warning' ? 'critical' : 'warning', for: `${forMs / 1_000 + 61}s`, keep_firing_for: '17m', thresholds: Object.fromEntries(Object.entries(thresholds).map(([key, { value }]) => [key, value / 3])),
  }])),
}

describe.each([['by default', {}], ['with what is optional', optional], ['with every value changed', changed]])('the rules %s', (name, values) => {
  const read = readValues(FAMILIES, 'values.yaml', stringify(values))
  if (!read.values) throw new Error(read.errors.join('\n'))
  const groups = groupsOf(FAMILIES, read.values)
  const file = join(directory.path, `${name.replaceAll(' ', '-')}.yml`)
  writeFileSync(file, rulesText(groups))

  it.each(PROMETHEUSES)('pass promtool of the $name Prometheus', async ({ promtool }) => {
    const { stdout } = await promisify(execFile)(promtool, ['check', 'rules', file])
    expect(stdout).toContain(`SUCCESS: ${groups.flatMap(({ rules }) => rules).length} rules found`)
  })
})
