import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import type { AlertSpec, Family } from '../../src/alerts/model.ts'
import { groupsOf, type Rule } from '../../src/alerts/render.ts'
import { readValues, type Values } from '../../src/alerts/values.ts'
import { temporaryDirectory } from '../support/process.ts'
import { PROMETHEUSES } from '../support/prometheus.ts'

/** A promtool lives for a third of a second, and a quarter of its CPU collects garbage of little size. */
const LESS_COLLECTING = { GOGC: '400' }

export interface Case {
  /** A boundary is the last value that does not fire, or the first that does. */
  readonly kind: 'fires' | 'quiet' | 'boundary'
  readonly what: string
  /** Time between two samples, and two evaluations; 1m unless given. */
  readonly every?: string
  /** Series to values as promtool expands them: `{ 'probe_healthy{…}': '1x5 0x5' }`. */
  readonly series: Readonly<Record<string, string>>
  /** When it is looked at. */
  readonly at: string
  /** Labels of the alerts that fire then, without scope, and without severity and cluster where they are as in the catalogue. */
  readonly fires: readonly Readonly<Record<string, string>>[]
  /** Annotations of the only alert that fires, where they are looked at: each must be one of these. */
  readonly says?: { readonly summary?: string, readonly description?: string }
  /** A values file, YAML. */
  readonly values?: string
}

/** The labels that every series of a target has. */
export function labelsOf(probe: string, type: string, target: string, more: Readonly<Record<string, string>> = {}): string {
  const all = { job: 'curlew', instance: 'curlew-0:9797', probe, type, target, ...more }
  return `{${Object.entries(all).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}}`
}

/**
 * Has promtool evaluate the rules over the series of each case. Every alert of the family needs cases of all three kinds.
 * `recorders` are families whose records it reads too.
 */
export function alertContract(family: Family, cases: Readonly<Record<string, readonly Case[]>>, recorders: readonly Family[] = []): void {
  describe(`the alerts of ${family.name}`, () => {
    it('have cases, and no others do', () => {
      expect(Object.keys(cases).toSorted()).toEqual(family.alerts.map(({ name }) => name).toSorted())
      for (const [name, own] of Object.entries(cases)) expect(new Set(own.map(({ kind }) => kind)), name).toEqual(new Set(['fires', 'quiet', 'boundary']))
    })

    it.each(family.alerts)('$name', { timeout: 60_000 }, async (alert) => {
      expect(await complaints([...recorders, family], alert, cases[alert.name] ?? [])).toEqual([])
    })
  })
}

/** What promtool says of the cases that are not as expected. */
async function complaints(families: readonly Family[], alert: AlertSpec, cases: readonly Case[]): Promise<readonly string[]> {
  const found: string[] = []
  const directory = temporaryDirectory()
  try {
    // The series are text for one moment and one set of rules: a file of tests for each pair of rules and pace.
    for (const [key, mine] of Map.groupBy(cases, ({ values = '', every = '1m', says }) => JSON.stringify([values, every, says !== undefined]))) {
      const [values = '', every = '', withTexts] = JSON.parse(key) as [string, string, boolean] // safe: made above
      const rules = rulesFor(families, alert, values, withTexts)
      writeFileSync(join(directory.path, 'rules.yml'), stringify({ groups: [{ name: 'g', rules }] }))
      writeFileSync(join(directory.path, 'tests.yml'), stringify({ rule_files: ['rules.yml'], evaluation_interval: every, tests: mine.map((one) => testOf(alert, one, every)) }))
      try {
        await promisify(execFile)(PROMETHEUSES[0].promtool, ['test', 'rules', 'tests.yml'], { cwd: directory.path, env: { ...process.env, ...LESS_COLLECTING } })
      } catch (error) {
        const said = error instanceof Error && 'stdout' in error && 'stderr' in error ? `${String(error.stdout)}${String(error.stderr)}` : String(error)
        found.push(said)
      }
    }
    return found
  } finally {
    directory.remove()
  }
}

/** The rules of one alert with what its families record; without annotations, which promtool would compare word by word, unless they are looked at. */
function rulesFor(families: readonly Family[], alert: AlertSpec, text: string, withTexts: boolean): readonly Rule[] {
  const values = valuesOf(families, text)
  return groupsOf(families, values).flatMap(({ rules }) => rules).filter((rule) => rule['record'] !== undefined || rule['alert'] === alert.name)
    .map(({ annotations, ...rule }) => {
      if (!withTexts || typeof annotations !== 'object') return rule
      const { runbook_url: _, dashboard_url: __, ...texts } = annotations
      return { ...rule, annotations: texts }
    })
}

/** With what is optional switched on. */
function valuesOf(families: readonly Family[], text: string): Values {
  const read = readValues(families, 'values.yaml', `${text}\n${families.map(({ name, optional }) => (optional === undefined ? '' : `${name}: true\n`)).join('')}`)
  if (!read.values) throw new Error(read.errors.join('\n'))
  return read.values
}

function testOf(alert: AlertSpec, { what, series, at, fires, says }: Case, every: string) {
  return {
    name: what,
    interval: every,
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [{
      eval_time: at,
      alertname: alert.name,
      exp_alerts: fires.map((labels) => ({ exp_labels: { severity: alert.severity, scope: alert.scope, cluster: 'default', ...labels }, ...says ? { exp_annotations: says } : {} })),
    }],
  }
}
