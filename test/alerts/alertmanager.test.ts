import { describe, expect, it } from 'vitest'
import { FAMILIES } from '../../src/alerts/index.ts'
import { SCOPES } from '../../src/alerts/model.ts'
import { groupsOf } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'
import { matches, type Matcher } from '../../src/notify/matchers.ts'
import { alternatives, exampleConfig, inhibitions, type Labels } from './alertmanager-config.ts'

/** The fixed labels of every alert that Curlew ships: made once, as all the rules are behind it. */
const SHIPPED = shipped()

function shipped(): readonly Labels[] {
  const read = readValues(FAMILIES, 'values.yaml', FAMILIES.filter(({ optional }) => optional !== undefined).map(({ name }) => `${name}: true\n`).join(''))
  if (!read.values) throw new Error(read.errors.join('\n'))
  return groupsOf(FAMILIES, read.values).flatMap(({ rules }) => rules).filter((rule) => rule['alert'] !== undefined)
    .map(({ alert, labels }) => ({ ...labels as Labels, alertname: alert as string }))
}

const FIXED = ['alertname', 'severity', 'scope']
const onFixed = (matchers: readonly Matcher[]) => matchers.filter(({ name }) => FIXED.includes(name))
const requires = (matchers: readonly Matcher[], label: string) => matchers.some(({ name, operator, value }) => name === label && operator === '!=' && value === '')

describe.each(inhibitions())('inhibition $name', ({ source, target, equal }) => {
  it('never takes a missing label for equal, nor mutes across clusters', () => {
    expect(equal).toContain('cluster')
    for (const side of [source, target]) expect(equal.filter((label) => !requires(side, label))).toEqual([])
  })

  it('has a source and a target among the alerts', () => {
    for (const side of [source, target]) expect(SHIPPED.filter((labels) => matches(onFixed(side), labels))).not.toEqual([])
  })

  it('names alerts and scopes that exist', () => {
    const names = SHIPPED.map(({ alertname }) => alertname ?? '')
    const known = { alertname: names, scope: SCOPES, severity: ['critical', 'warning', 'info', 'none'] }
    const unknown = onFixed([...source, ...target]).filter(({ value }) => value !== '').flatMap((matcher) => {
      const all: readonly string[] = known[matcher.name as keyof typeof known]
      return alternatives(matcher).filter((word) => !all.some((one) => new RegExp(`^${word}$`).test(one)))
    })
    expect(unknown).toEqual([])
  })

  it('mutes no page by anything but pages', () => {
    const of = (side: readonly Matcher[]) => SHIPPED.filter((labels) => matches(onFixed(side), labels))
    const lesser = of(source).filter(({ severity }) => severity !== 'critical').map(({ alertname }) => alertname)
    const pages = of(target).some(({ severity }) => severity === 'critical')
    // What is explained pages by its root, and an API server by this very alert when no other one serves.
    const instead = ['DependencyDownExplained', 'NetworkHostUnreachable', 'KubernetesApiNotReady']
    expect(pages ? lesser.filter((name) => !instead.includes(name ?? '')) : []).toEqual([])
  })
})

it('has a receiver for every route, and leaves none out', () => {
  const { route, receivers } = exampleConfig()
  const used = (one: typeof route): string[] => [...one.receiver === undefined ? [] : [one.receiver], ...(one.routes ?? []).flatMap((child) => used(child as typeof route))]
  expect(new Set(used(route))).toEqual(new Set(receivers.map(({ name }) => name)))
})

it('tells one trouble of a cluster in one message, however many targets or Curlews have it', () => {
  const { route } = exampleConfig()
  const grouped = (one: typeof route): unknown[] => [...one['group_by'] === undefined ? [] : [one['group_by']], ...(one.routes ?? []).flatMap((child) => grouped(child as typeof route))]
  expect(grouped(route)).toEqual([['cluster', 'alertname'], ['cluster', 'root']])
})
