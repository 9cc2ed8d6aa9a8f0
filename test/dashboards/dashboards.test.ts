import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { FAMILIES } from '../../src/alerts/index.ts'
import { DASHBOARDS } from '../../src/alerts/model.ts'
import { COMMON_LABELS, familiesOf } from '../../src/exporter/families.ts'
import { PROCESS_METRICS } from '../../src/exporter/metrics-page.ts'
import { OWN } from '../../src/exporter/own-metrics.ts'
import { NOTIFY } from '../../src/notify/metrics.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { allOf, dashboards, interpolate, linksOf, panelsOf, type Dashboard } from './model.ts'

const GRAFANA = { __rate_interval: '2m', __range: '3h', __interval: '30s' }
const families = [...familiesOf(probeTypes), ...Object.values(OWN), ...Object.values(NOTIFY)]
/** Every name of a series that Curlew exports, that its rules record, or that Prometheus adds. */
const known = new Set([
  ...families.flatMap(({ name, kind }) => (kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])),
  ...PROCESS_METRICS, ...FAMILIES.flatMap(({ records = [] }) => records.map(({ record }) => record)), 'up', 'ALERTS',
])
const labels = new Set([...COMMON_LABELS, ...families.flatMap((family) => family.labels)])

/** What an expression names, and where it does not parse. */
function read(expr: string) {
  const names: string[] = []
  const errors: string[] = []
  parser.parse(expr).iterate({
    enter(node) {
      const text = expr.slice(node.from, node.to)
      if (node.type.isError) errors.push(`at ${node.from}: ${expr.slice(Math.max(0, node.from - 20), node.from + 20)}`)
      if (node.name === 'VectorSelector') {
        const metric = /^[a-zA-Z_:][\w:]*/.exec(text)?.[0]
        names.push(...metric === undefined ? /^\{__name__=~"([^"]+)"/.exec(text)?.[1]?.split('|') ?? [`no name in ${text}`] : [metric])
      }
    },
  })
  return { names, errors }
}

const expressionsOf = (board: Dashboard) => [
  ...panelsOf(board).flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ...board.annotations.list.map(({ name, expr }) => ({ where: name, expr })),
].map(({ where, expr }) => ({ where, expr: interpolate(expr, { ...allOf(board), ...GRAFANA }) }))

it('are those that alerts lead to', () => {
  expect(dashboards.map(({ uid }) => uid)).toEqual([...DASHBOARDS])
  for (const { dashboard } of FAMILIES.flatMap(({ alerts }) => alerts)) expect(DASHBOARDS).toContain(dashboard)
})

it('the check of expressions finds what is wrong', () => {
  expect(read('sum(rate(probe_success[5m])').errors).not.toEqual([])
  expect(read('max by (phase) ({__name__=~"a|b"}) / nothing:like:it{x="y"}')).toEqual({ names: ['a', 'b', 'nothing:like:it'], errors: [] })
})

describe.each(dashboards.map((board) => [board.uid, board] as const))('%s', (_, board) => {
  it('has expressions that parse and name what Curlew exports', () => {
    for (const { where, expr } of expressionsOf(board)) {
      const { names, errors } = read(expr)
      expect(errors, `${where}: ${expr}`).toEqual([])
      expect(names.length, `${where}: ${expr}`).toBeGreaterThan(0)
      expect(names.filter((name) => !known.has(name)), `${where}: ${expr}`).toEqual([])
    }
  })

  it('chooses Curlew by its job in every expression', () => {
    for (const { where, expr } of expressionsOf(board)) {
      for (const selector of expr.match(/(?:[\w:]+)?\{[^}]*\}/g) ?? []) {
        expect(/job="curlew"/.test(selector) || selector.startsWith('ALERTS{'), `${where}: ${selector}`).toBe(true)
      }
    }
  })

  it('has panels that do not lie upon each other, with ids of their own and a letter a query', () => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length)
    for (const [index, { gridPos: a, title }] of board.panels.entries()) {
      expect(a.x + a.w, title).toBeLessThanOrEqual(24)
      for (const { gridPos: b, title: other } of board.panels.slice(index + 1)) {
        expect(a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y, `${title} and ${other}`).toBe(true)
      }
    }
    for (const { targets, title } of panelsOf(board)) expect(targets.map(({ refId }) => refId), title).toEqual(targets.map((_one, index) => String.fromCharCode(65 + index)))
  })

  it('asks for one moment where a panel shows one, and for a time else', () => {
    for (const { type, title, targets } of panelsOf(board)) {
      for (const { instant, range, format } of targets) {
        expect({ instant, range }, title).toEqual({ instant: ['stat', 'table'].includes(type), range: !['stat', 'table'].includes(type) })
        expect(format, title).toBe(type === 'table' ? 'table' : type === 'heatmap' ? 'heatmap' : 'time_series')
      }
    }
  })

  it('has thresholds that rise, and labels in legends that are there', () => {
    for (const { title, fieldConfig, targets } of panelsOf(board)) {
      const [first, ...others] = fieldConfig.defaults.thresholds.steps.map(({ value }) => value)
      expect(first, title).toBeNull()
      expect(others, title).toEqual(others.toSorted((a, b) => Number(a) - Number(b)))
      for (const { legendFormat } of targets) {
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(labels.has(label!) || ['instance', 'node', 'cluster'].includes(label!), `${title}: ${label}`).toBe(true)
      }
    }
  })

  it('has the variables, each of which also works where no series has its label', () => {
    const { list } = board.templating
    expect(list.map(({ name }) => name).slice(0, 3)).toEqual(['datasource', 'job', 'cluster'])
    expect(list[0]).toMatchObject({ type: 'datasource', query: 'prometheus' })
    if (!['curlew-prober', 'curlew-deliveries'].includes(board.uid)) expect(list.map(({ name }) => name)).toEqual(expect.arrayContaining(['probe', 'type', 'target']))
    for (const { name, includeAll, allValue, type, datasource } of list) {
      if (type === 'query') expect(datasource, name).toBeDefined()
      if (includeAll) expect(allValue, name).toMatch(name === 'type' ? /^(?:\.\*|[a-z|-]+)$/ : /^\.\*$/)
    }
    const values = { ...allOf(board), ...GRAFANA }
    for (const { query } of list) expect(() => interpolate(typeof query === 'string' ? query : query.query, values)).not.toThrow()
  })

  it('links to dashboards that are there, with their variables, and to Curlew', () => {
    const links = linksOf(board)
    const uids = links.flatMap((url) => /^\/d\/([^?]+)\?/.exec(url)?.[1] ?? [])
    for (const uid of uids) expect(DASHBOARDS).toContain(uid)
    expect(new Set([board.uid, ...uids])).toEqual(new Set(DASHBOARDS))
    for (const url of links) {
      if (url.startsWith('/d/')) expect(url).toContain('${datasource:queryparam}&${job:queryparam}&${cluster:queryparam}')
      else expect(url).toMatch(/^\$\{curlew\}\/api\/v1\/probes\/lookup\?/)
      const names = new Set(board.templating.list.map(({ name }) => name))
      for (const [, name] of url.matchAll(/\$\{(\w+)(?=[:}])/g)) expect(names.has(name!) || name === '__url_time_range', url).toBe(true)
    }
  })
})

it.each(['dashboards.md', 'dashboards.zh-CN.md'])('%s names every dashboard and every variable', (page) => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', page), 'utf8')
  for (const { uid, templating } of dashboards) {
    expect(text).toContain(`| \`${uid}.json\` |`)
    for (const { name } of templating.list) expect(text, uid).toContain(`\`${name}\``)
  }
})

it('ways from node to node stand in one table, the worst first, shares and times in units of their own', () => {
  const board = dashboards.find(({ uid }) => uid === 'curlew-kubernetes')!
  const { type, options, fieldConfig, targets, transformations } = panelsOf(board).find(({ title }) => title.startsWith('Ways between Curlews'))!
  expect({ type, sortBy: options['sortBy'] }).toEqual({ type: 'table', sortBy: [{ displayName: 'lost', desc: true }] })
  const columns = Object.values(transformations?.find(({ id }) => id === 'organize')?.options.renameByName ?? {})
  expect(columns).toHaveLength(targets.length)
  const seconds = fieldConfig.overrides.filter(({ properties }) => properties.some(({ id, value }) => id === 'unit' && value === 's')).map(({ matcher }) => matcher.options)
  expect(fieldConfig.defaults.unit).toBe('percentunit')
  expect(seconds).toEqual(columns.filter((name) => name.endsWith('round trip')))
  for (const { dashboard } of FAMILIES.find(({ name }) => name === 'mesh')!.alerts) expect(dashboard).toBe(board.uid)
})

describe('the ConfigMaps', () => {
  const configMap = z.object({ kind: z.literal('ConfigMap'), metadata: z.object({ name: z.string(), labels: z.object({ grafana_dashboard: z.literal('1') }).loose() }).loose(), data: z.record(z.string(), z.string()) })
  const file = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'dashboards', name), 'utf8')
  const maps = parseAllDocuments(file('configmap.yaml')).map((document) => configMap.parse(document.toJS()))

  it('hold every dashboard, each small enough for kubectl apply, which keeps a copy in an annotation', () => {
    expect(maps.map(({ metadata }) => metadata.name)).toEqual([...DASHBOARDS])
    for (const { metadata: { name }, data } of maps) {
      expect(JSON.parse(data[`${name}.json`]!)).toEqual(JSON.parse(file(`${name}.json`)))
      expect(JSON.stringify(data).length, name).toBeLessThan(250_000)
    }
  })
})
