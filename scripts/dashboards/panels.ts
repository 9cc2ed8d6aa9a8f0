import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline'
import * as statushistory from '@grafana/grafana-foundation-sdk/statushistory'
import * as table from '@grafana/grafana-foundation-sdk/table'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'
import { STATES } from './promql.ts'

export type Panel = Builder<dashboard.Panel>

export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const
/** Where a row or a line leads: the dashboard of its own target. */
const TO_TARGET = (value: (label: string) => string) => `/d/curlew-probe?\${datasource:queryparam}&\${job:queryparam}&\${cluster:queryparam}&var-probe=\${${value('probe')}:percentencode}&var-target=\${${value('target')}:percentencode}&\${__url_time_range}`

export interface Query {
  readonly expr: string
  /** As Grafana's, with `{{label}}`. */
  readonly legend?: string
}

/** What every panel says of itself. */
interface Spec {
  readonly title: string
  /** What is seen, and what to make of it. */
  readonly description: string
  /** Grafana's name of it. */
  readonly unit: string
  readonly queries: readonly Query[]
  /** Of 24 columns. */
  readonly width?: number
  readonly height?: number
  readonly decimals?: number
  readonly min?: number
  readonly max?: number
  /** From which value on which colour holds; green below, unless the first one is -Infinity. */
  readonly steps?: readonly Step[]
  readonly mappings?: readonly dashboard.ValueMapping[]
  /** Whether its series are targets, which have a dashboard of their own. */
  readonly toTarget?: boolean
  readonly noValue?: string
}

export type Step = readonly [from: number, colour: string]

/** A line or a name for each target. */
export const TARGET = '{{probe}} {{target}}'

/** Colours for a gauge that warns at one number and is critical at another. */
export const above = (warning: number, critical?: number): readonly Step[] => [[warning, 'orange'], ...critical === undefined ? [] : [[critical, 'red'] as const]]

/** Words and colours instead of numbers. */
export function words(values: Readonly<Record<string, readonly [text: string, colour: string]>>): readonly dashboard.ValueMapping[] {
  return [{ type: dashboard.MappingType.ValueToText, options: Object.fromEntries(Object.entries(values).map(([value, [text, color]], index) => [value, { text, color, index }])) }]
}

export const YES_IS_GOOD = words({ 1: ['yes', 'green'], 0: ['no', 'red'] })
export const YES_IS_BAD = words({ 0: ['no', 'green'], 1: ['yes', 'red'] })
export const STATE_WORDS = words({
  [STATES.down]: ['down', 'red'], [STATES.explained]: ['down, explained or pending', 'orange'], [STATES.unknown]: ['unknown', 'purple'],
  [STATES.partly]: ['down for some', 'yellow'], [STATES.healthy]: ['healthy', 'green'],
})

/** What the builders of all panels have in common. */
interface Dressed<T> {
  title(text: string): T
  description(text: string): T
  datasource(ref: common.DataSourceRef): T
  unit(unit: string): T
  span(columns: number): T
  height(rows: number): T
  decimals(digits: number): T
  min(value: number): T
  max(value: number): T
  noValue(text: string): T
  mappings(mappings: dashboard.ValueMapping[]): T
  thresholds(thresholds: Builder<dashboard.ThresholdsConfig>): T
  colorScheme(color: Builder<dashboard.FieldColor>): T
  withTarget(target: Builder<Dataquery>): T
}

function dress<T extends Dressed<T>>(panel: T, spec: Spec, { format = PromQueryFormat.TimeSeries, instant = false, width = 12, height = 8 }: { format?: PromQueryFormat, instant?: boolean, width?: number, height?: number } = {}): T {
  panel.title(spec.title).description(spec.description).datasource(DATASOURCE).unit(spec.unit).span(spec.width ?? width).height(spec.height ?? height)
  if (spec.decimals !== undefined) panel.decimals(spec.decimals)
  if (spec.min !== undefined) panel.min(spec.min)
  if (spec.max !== undefined) panel.max(spec.max)
  if (spec.noValue !== undefined) panel.noValue(spec.noValue)
  if (spec.mappings) panel.mappings([...spec.mappings])
  const [first] = spec.steps ?? []
  const steps = [...first?.[0] === -Infinity ? [] : [[-Infinity, 'green'] as const], ...spec.steps ?? []]
  panel.thresholds(new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps.map(([from, color]) => ({ value: from === -Infinity ? null : from, color }))))
  for (const [index, { expr, legend = TARGET }] of spec.queries.entries()) {
    const query = new DataqueryBuilder().refId(String.fromCharCode(65 + index)).datasource(DATASOURCE).expr(expr).legendFormat(legend).format(format)
    panel.withTarget(instant ? query.instant() : query.range())
  }
  return panel
}

const coloured = (mode: dashboard.FieldColorModeId) => new dashboard.FieldColorBuilder().mode(mode)
const legend = (calcs: readonly string[] = []) => new common.VizLegendOptionsBuilder().showLegend(true).placement(common.LegendPlacement.Bottom)
  .displayMode(calcs.length > 0 ? common.LegendDisplayMode.Table : common.LegendDisplayMode.List).calcs([...calcs])
const tooltip = () => new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending)
const linked = (value: (label: string) => string): dashboard.DynamicConfigValue => ({ id: 'links', value: [{ title: 'This target', url: TO_TARGET(value), targetBlank: false }] })
const labelOf = (label: string) => `__field.labels.${label}`

/** Lines over time; `stacked` ones are areas, `bars` are counts. */
export function lines(spec: Spec & { readonly stacked?: boolean, readonly bars?: boolean, readonly log?: boolean }): Panel {
  const panel = dress(new timeseries.PanelBuilder(), spec)
    .colorScheme(coloured(dashboard.FieldColorModeId.PaletteClassicByName)).legend(legend(['lastNotNull', 'max'])).tooltip(tooltip()).lineWidth(1).showPoints(common.VisibilityMode.Never)
    .drawStyle(spec.bars ? common.GraphDrawStyle.Bars : common.GraphDrawStyle.Line)
    .fillOpacity(spec.bars ? 80 : spec.stacked ? 30 : 0)
  if (spec.stacked || spec.bars) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal))
  if (spec.steps) panel.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed))
  if (spec.log) panel.scaleDistribution(new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10))
  return spec.toTarget ? panel.overrideByRegexp('.*', [linked(labelOf)]) : panel
}

/** A number, as it is now; or the name of the only series. */
export function number(spec: Spec & { readonly named?: boolean }): Panel {
  return dress(new stat.PanelBuilder(), spec, { instant: true, width: 4, height: 4 })
    .colorScheme(coloured(dashboard.FieldColorModeId.Thresholds)).colorMode(common.BigValueColorMode.Value).graphMode(common.BigValueGraphMode.None)
    .textMode(spec.named ? common.BigValueTextMode.Name : common.BigValueTextMode.Value)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false).fields(''))
}

/** States as bands over time, one a series. */
export function bands(spec: Spec): Panel {
  const panel = dress(new statetimeline.PanelBuilder(), spec)
    .colorScheme(coloured(dashboard.FieldColorModeId.Thresholds)).showValue(common.VisibilityMode.Never).rowHeight(0.85).mergeValues(true).fillOpacity(85)
    .legend(legend()).tooltip(tooltip())
  return spec.toTarget ? panel.overrideByRegexp('.*', [linked(labelOf)]) : panel
}

/** Of more than there is room for Grafana shows none. */
const MOST_CELLS = 120

/** States as cells over time, one row a series: for many. */
export function cells(spec: Spec): Panel {
  const panel = dress(new statushistory.PanelBuilder(), spec, { width: 24, height: 14 })
    .colorScheme(coloured(dashboard.FieldColorModeId.Thresholds)).showValue(common.VisibilityMode.Never).rowHeight(0.85).colWidth(0.95).perPage(50).maxDataPoints(MOST_CELLS).fillOpacity(85)
    .legend(legend()).tooltip(tooltip())
  return spec.toTarget ? panel.overrideByRegexp('.*', [linked(labelOf)]) : panel
}

/** A histogram over time; the query is a sum by `le`. */
export function buckets(spec: Spec): Panel {
  return dress(new heatmap.PanelBuilder(), { ...spec, queries: spec.queries.map((query) => ({ ...query, legend: '{{le}}' })) }, { format: PromQueryFormat.Heatmap })
    .calculate(false).yAxis(new heatmap.YAxisConfigBuilder().unit(spec.unit).axisPlacement(common.AxisPlacement.Left))
    .color(new heatmap.HeatmapColorOptionsBuilder().mode(heatmap.HeatmapColorMode.Scheme).scheme('Oranges').steps(64).reverse(false).fill('dark-orange').exponent(0.5))
    .filterValues(new heatmap.FilterValueRangeBuilder().le(1e-9)).cellGap(1).showValue(common.VisibilityMode.Never)
    .tooltip(new heatmap.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(false)).showLegend()
}

export interface TableSpec extends Spec {
  /** The labels to show, in this order. */
  readonly labels: readonly string[]
  /** What the value of each query is called; empty hides it. */
  readonly values: readonly string[]
  /** Values in a unit of their own, which the steps say nothing of. */
  readonly units?: Readonly<Record<string, string>>
  /** By which value it is sorted, the largest first unless `ascending`. */
  readonly sortBy?: string
  readonly ascending?: boolean
  /** Links of a column beside that to the target. */
  readonly links?: readonly { readonly title: string, readonly url: string }[]
}

/** What holds now, a row a series. */
export function rows(spec: TableSpec): Panel {
  const several = spec.queries.length > 1
  const columns = spec.queries.map((_, index) => (several ? `Value #${String.fromCharCode(65 + index)}` : 'Value'))
  const shown = columns.filter((_, index) => spec.values[index] !== '')
  const order = [...spec.labels, ...shown]
  const panel = dress(new table.PanelBuilder(), spec, { format: PromQueryFormat.Table, instant: true })
    .colorScheme(coloured(dashboard.FieldColorModeId.Thresholds)).cellHeight(common.TableCellHeight.Sm).filterable(true)
  if (several) panel.withTransformation({ id: 'merge', options: {} })
  panel.withTransformation({ id: 'filterFieldsByName', options: { include: { names: order } } })
  panel.withTransformation({ id: 'organize', options: {
    indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
    renameByName: Object.fromEntries(columns.map((name, index) => [name, spec.values[index] ?? ''])),
    excludeByName: {},
  } })
  if (spec.sortBy !== undefined) panel.sortBy([new common.TableSortByFieldStateBuilder().displayName(spec.sortBy).desc(spec.ascending !== true)])
  // Labels of digits would be shown in the unit of the values.
  panel.overrideByRegexp(`^(?:${spec.labels.join('|')})$`, [{ id: 'unit', value: 'string' }])
  for (const value of spec.values.filter((name) => name !== '')) {
    const unit = spec.units?.[value]
    panel.overrideByName(value, [unit === undefined ? { id: 'custom.cellOptions', value: { type: 'color-text' } } : { id: 'unit', value: unit }])
  }
  if (spec.toTarget !== false && spec.labels.includes('target')) panel.overrideByName('target', [linked((label) => `__data.fields.${label}`)])
  if (spec.links) panel.overrideByName(spec.labels[0] ?? '', [{ id: 'links', value: spec.links.map((link) => ({ ...link, targetBlank: true })) }])
  return panel
}
