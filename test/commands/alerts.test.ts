import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { FAMILIES } from '../../src/alerts/index.ts'
import { groupsOf, rulesText } from '../../src/alerts/render.ts'
import { readValues, valuesText } from '../../src/alerts/values.ts'
import { alerts } from '../../src/commands/alerts.ts'
import { UsageError } from '../../src/commands/usage.ts'
import { temporaryDirectory } from '../support/process.ts'

const directory = temporaryDirectory()
afterAll(() => { directory.remove() })

function valuesFile(text: string): string {
  const path = join(directory.path, 'values.yaml')
  writeFileSync(path, text)
  return path
}

async function run(...args: readonly string[]) {
  let out = ''
  const code = await alerts(args, { env: {}, color: false, out: (text) => { out += text }, err: () => {}, signal: new AbortController().signal, onHangup: () => {} })
  return { code, out }
}

const rulesWith = async (text: string) => (await run('rules', '--values', valuesFile(text))).out

describe('the values file', () => {
  it('reads back as the defaults', () => {
    const [shown, none] = [valuesText(FAMILIES), ''].map((text) => {
      const { values } = readValues(FAMILIES, 'values.yaml', text)
      return values && rulesText(groupsOf(FAMILIES, values))
    })
    expect(shown).toContain('alert: DependencyDown\n')
    expect(shown).toBe(none)
  })

  it('shows every number, and what it is', async () => {
    const { code, out } = await run('values')
    expect(code).toBe(0)
    expect(out).toBe(valuesText(FAMILIES))
    const { alerts: shown } = parse(out) as { alerts: Record<string, { thresholds?: Record<string, number> }> } // safe: an object by the test above
    for (const { name, thresholds = {} } of FAMILIES.flatMap((family) => family.alerts)) {
      expect(Object.keys(shown[name]?.thresholds ?? {}), name).toEqual(Object.keys(thresholds))
      for (const { help } of Object.values(thresholds)) expect(out).toContain(` # ${help}\n`)
    }
  })

  it.each([
    ['job: 3', '1:6: job: expected a text; put the value in quotes'],
    ['scrape_interval: soon', '1:18: scrape_interval: expected a duration such as 500ms, 30s or 1h30m'],
    ['vantage_labels: instance', '1:17: vantage_labels: expected a list of labels'],
    ['vantage_labels: []', '1:1: vantage_labels: expected at least one label'],
    ['vantage_labels: [a-b]', '1:18: vantage_labels[0]: expected the name of a label'],
    ['vantage_labels: [target]', '1:18: vantage_labels[0]: expected another label: target has a meaning in the rules'],
    ['labels: { severity: low }', '1:21: labels.severity: expected another label: severity has a meaning in the rules'],
    ['labels: { cluster: east }', '1:20: labels.cluster: expected another label: cluster has a meaning in the rules; external_labels of Prometheus say which cluster it is in'],
    ['labels: { "9": a }', '1:16: labels.9: expected the name of a label'],
    ['alerts:\n  DependencyBudgetBurnFast: { thresholds: { objective: 99.9 } }', '2:56: alerts.DependencyBudgetBurnFast.thresholds.objective: expected less than 1'],
    ['alerts:\n  DependencySlow: { thresholds: { factor: -3 } }', '2:43: alerts.DependencySlow.thresholds.factor: expected a number that is not negative'],
    ['runbook_url: curlew.dev', '1:14: runbook_url: expected a URL that begins with http:// or https:// and does not end in a slash'],
    ['grafana_url: https://grafana/', '1:14: grafana_url: expected a URL that begins with http:// or https:// and does not end in a slash'],
    ['labels: { team: 3 }', '1:17: labels.team: expected a text; put the value in quotes'],
    ['cluster: yes please', '1:10: cluster: expected true or false'],
    ['clusters: true', '1:1: clusters: there is no such key in values file; `curlew alerts values` prints all of them'],
    ['dependency: false', '1:1: dependency: there is no such key in values file; `curlew alerts values` prints all of them'],
    ['- 1', '1:1: expected a mapping'],
    ['alerts: 3', '1:9: alerts: expected a mapping of alerts'],
    ['alerts:\n  MountGone: { for: 1m }', '2:3: alerts.MountGone: there is no such key in alerts; `curlew alerts values` prints all of them'],
    ['alerts:\n  MountHung: 1m', '2:14: alerts.MountHung: expected a mapping'],
    ['alerts:\n  MountHung: { enabled: 0 }', '2:25: alerts.MountHung.enabled: expected true or false'],
    ['alerts:\n  MountHung: { severity: page }', '2:26: alerts.MountHung.severity: expected one of critical, warning, info, none'],
    ['alerts:\n  MountHung: { for: -1m }', '2:21: alerts.MountHung.for: expected a duration such as 0s, 30s or 1h30m'],
    ['alerts:\n  MountHung: { fro: 1m }', '2:16: alerts.MountHung.fro: there is no such key in alerts.MountHung; `curlew alerts values` prints all of them'],
    ['alerts:\n  MountFsyncSlow: { thresholds: { seconds: 1s } }', '2:44: alerts.MountFsyncSlow.thresholds.seconds: expected a number'],
    ['alerts:\n  MountFsyncSlow: { thresholds: { second: 1 } }', '2:35: alerts.MountFsyncSlow.thresholds.second: there is no such key in alerts.MountFsyncSlow.thresholds; `curlew alerts values` prints all of them'],
    ['alerts:\n  MountFsyncSlow: { thresholds: 1 }', '2:33: alerts.MountFsyncSlow.thresholds: expected a mapping of thresholds to numbers'],
    ['job: a\njob: b', '2:1: not valid YAML: this key stands here twice'],
    ['job: [', /^1:\d+: /],
  ])('tells a mistake with its place: %j', async (text, expected) => {
    const path = valuesFile(text)
    const { code, out } = await run('rules', '--values', path)
    expect(code).toBe(2)
    const [line = '', ...more] = out.trimEnd().split('\n')
    expect(more).toEqual([])
    expect(line.startsWith(`${path}:`), line).toBe(true)
    const said = line.slice(path.length + 1)
    if (typeof expected === 'string') expect(said).toBe(expected)
    else expect(said).toMatch(expected)
  })

  it('tells all mistakes at once', async () => {
    const { out } = await run('rules', '--values', valuesFile('job: 3\nalerts:\n  MountHung: { severity: page, fro: 1m }\n'))
    expect(out.trimEnd().split('\n')).toHaveLength(3)
  })
})

describe('what a value changes', () => {
  it('takes a rule away', async () => {
    expect(await rulesWith('alerts: { MountHung: { enabled: false } }')).not.toContain('alert: MountHung')
  })

  it('brings an optional family', async () => {
    expect(await rulesWith('')).not.toContain('alert: KubernetesApiNotReady')
    expect(await rulesWith('cluster: true')).toContain('alert: KubernetesApiNotReady')
  })

  it('changes for, severity, keep_firing_for, numbers, job, labels and addresses', async () => {
    const text = await rulesWith(`
job: probes
runbook_url: https://wiki.example.org/curlew
grafana_url: https://dashboards.example.org
labels: { team: storage }
alerts: { MountFsyncSlow: { for: 7m, severity: info, keep_firing_for: 9m, thresholds: { seconds: 0.25 } } }
`)
    const { groups } = parse(text) as { groups: { rules: { alert?: string, expr: string, for: string, keep_firing_for: string, labels: Record<string, string>, annotations: Record<string, string> }[] }[] } // safe: rules as render.ts writes them
    const rule = groups.flatMap(({ rules }) => rules).find(({ alert }) => alert === 'MountFsyncSlow')
    expect(rule).toMatchObject({ for: '7m', keep_firing_for: '9m', labels: { severity: 'info', scope: 'storage', team: 'storage' } })
    expect(rule?.expr).toMatch(/> 0\.25$/)
    expect(rule?.annotations['runbook_url']).toBe('https://wiki.example.org/curlew/MountFsyncSlow')
    expect(rule?.annotations['dashboard_url']).toMatch(/^https:\/\/dashboards\.example\.org\/d\/curlew-mounts\?/)
    expect(text).not.toContain('job="curlew"')
  })

  it('makes one rule of two that a severity makes equal', async () => {
    const rules = (text: string) => text.split('alert: NetworkHostUnreachable\n').length - 1
    expect(rules(await rulesWith(''))).toBe(2)
    expect(rules(await rulesWith('alerts: { NetworkHostUnreachable: { severity: info } }'))).toBe(1)
  })

  it('keeps for and keep_firing_for at two scrapes, and ranges at four', async () => {
    const text = await rulesWith('{ scrape_interval: 2m, alerts: { MountHung: { for: 1m } } }')
    const { groups } = parse(text) as { groups: { rules: { alert?: string, expr: string, for: string, keep_firing_for: string }[] }[] } // safe: as above
    expect(groups.flatMap(({ rules }) => rules).find(({ alert }) => alert === 'MountHung')).toMatchObject({ for: '4m', keep_firing_for: '4m' })
    // ALERTS has a sample for each evaluation.
    expect(text.replaceAll(/\bALERTS\{[^}]*\}\[\w+\]/g, '')).not.toMatch(/\[[1-7]m\]/)
  })
})

describe('the command', () => {
  it('prints a manifest with the rules', async () => {
    const { code, out } = await run('prometheusrule')
    expect(code).toBe(0)
    const { kind, spec } = parse(out) as { kind: string, spec: unknown } // safe: as render.ts writes it
    expect(kind).toBe('PrometheusRule')
    expect(spec).toEqual(parse((await run('rules')).out))
  })

  it.each([[[]], [['rule']], [['rules', 'values']]])('says what it expected: %j', async (args) => {
    await expect(run(...args)).rejects.toThrow('expected one of rules, prometheusrule, values')
  })

  it('says that a file is not there', async () => {
    await expect(run('rules', '--values', '/nowhere/values.yaml')).rejects.toThrow(UsageError)
  })
})
