import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { DASHBOARDS } from '../../src/alerts/model.ts'

const datasource = z.object({ type: z.literal('prometheus'), uid: z.literal('${datasource}') })
const link = z.object({ title: z.string().min(1), url: z.string().min(1) })
const query = z.object({ refId: z.string().regex(/^[A-Z]$/), expr: z.string().min(1), legendFormat: z.string().min(1), format: z.enum(['time_series', 'table', 'heatmap']), instant: z.boolean(), range: z.boolean(), datasource })
const step = z.object({ value: z.number().nullable(), color: z.string().min(1) })
const gridPos = z.object({ h: z.number().int().min(1), w: z.number().int().min(1).max(24), x: z.number().int().min(0), y: z.number().int().min(0) })
const panel = z.object({
  id: z.number().int(), type: z.enum(['timeseries', 'stat', 'table', 'state-timeline', 'status-history', 'heatmap']),
  title: z.string().min(1), description: z.string().min(10), datasource, gridPos, targets: z.array(query).min(1), options: z.record(z.string(), z.unknown()),
  transformations: z.array(z.object({ id: z.enum(['merge', 'filterFieldsByName', 'organize']), options: z.object({ renameByName: z.record(z.string(), z.string()).optional() }).loose() })).optional(),
  fieldConfig: z.object({
    defaults: z.object({ unit: z.string().min(1), thresholds: z.object({ mode: z.literal('absolute'), steps: z.array(step).min(1) }) }).loose(),
    overrides: z.array(z.object({ matcher: z.object({ id: z.string(), options: z.unknown() }), properties: z.array(z.object({ id: z.string(), value: z.unknown() })) })),
  }),
})
const row = z.object({ id: z.number().int(), type: z.literal('row'), title: z.string().min(1), gridPos, collapsed: z.literal(false), panels: z.array(z.never()) })
const variable = z.object({
  name: z.string(), type: z.enum(['datasource', 'query', 'textbox']), label: z.string().min(1), multi: z.boolean(), includeAll: z.boolean(), allValue: z.string().optional(),
  datasource: datasource.optional(), query: z.union([z.string(), z.object({ query: z.string(), refId: z.string() })]), refresh: z.number().optional(),
})
const dashboard = z.object({
  uid: z.string(), title: z.string(), description: z.string().min(10), tags: z.array(z.literal('curlew')).length(1), schemaVersion: z.number(), refresh: z.string(),
  templating: z.object({ list: z.array(variable) }),
  annotations: z.object({ list: z.array(z.object({ name: z.string(), enable: z.literal(true), expr: z.string(), datasource })).length(1) }),
  links: z.array(link.extend({ keepTime: z.boolean() })),
  panels: z.array(z.union([row, panel])),
})

export type Dashboard = z.infer<typeof dashboard>
export type Panel = z.infer<typeof panel>

/** Every dashboard as it is committed. Throws when one is not what Grafana takes. */
export const dashboards: readonly Dashboard[] = DASHBOARDS.map((uid) =>
  dashboard.parse(JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'dashboards', `${uid}.json`), 'utf8'))))

/** Without the headings. */
export function panelsOf({ panels }: Dashboard): readonly Panel[] {
  return panels.flatMap((one) => (one.type === 'row' ? [] : [one]))
}

/** Every link in a dashboard: its own, and those of fields. */
export function linksOf(board: Dashboard): readonly string[] {
  const fields = panelsOf(board).flatMap(({ fieldConfig }) => fieldConfig.overrides).flatMap(({ properties }) => properties).filter(({ id }) => id === 'links')
  return [...board.links, ...fields.flatMap(({ value }) => z.array(link).parse(value))].map(({ url }) => url)
}

/** What each variable is while a dashboard shows all. */
export function allOf({ templating }: Dashboard): Readonly<Record<string, string>> {
  return Object.fromEntries(templating.list.map(({ name, includeAll, allValue }) => [name, includeAll ? allValue ?? '' : name === 'job' ? 'curlew' : '']))
}

/** An expression with its variables replaced, as Grafana does, which leaves the groups of a label_replace. Throws when one is not known. */
export function interpolate(expr: string, values: Readonly<Record<string, string>>): string {
  return expr.replaceAll(/\$([A-Za-z_]\w*)/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`$${name} is no variable, in ${expr}`)
    return value
  })
}
