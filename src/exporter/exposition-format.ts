import type { Registry } from 'prom-client'
import type { MetricsFormat } from './http-negotiate.ts'

/** What every OpenMetrics exposition ends with, and the text format never has. */
export const OPENMETRICS_END = '# EOF\n'

/** The longest label value that a target may send, in characters; what is cut off ends in an ellipsis. */
export const LONGEST_SENT_LABEL = 200

interface Header {
  readonly name: string
  readonly kind: string
  readonly help: string
}

/** The HELP and TYPE lines: all that differs between the formats. OpenMetrics names a counter's family without `_total`, and escapes quotes in its help. */
export function formatHeader({ name, kind, help }: Header, format: MetricsFormat): string {
  const family = format === 'openmetrics' && kind === 'counter' ? name.replace(/_total$/, '') : name
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return `# HELP ${family} ${format === 'openmetrics' ? escaped.replaceAll('"', '\\"') : escaped}\n# TYPE ${family} ${kind}\n`
}

const NEEDS_CARE = /[\\"\n\ud800-\udfff]/

/** A label value between its quotes. Halves of surrogate pairs, which UTF-8 cannot carry, become U+FFFD. */
export function escapeLabel(value: string): string {
  if (!NEEDS_CARE.test(value)) return value
  return value.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

/** `escapeLabel` for text that a target sent: at most `LONGEST_SENT_LABEL` characters of it. */
export function escapeSentLabel(value: string): string {
  if (value.length <= LONGEST_SENT_LABEL) return escapeLabel(value)
  // A character takes at most two units, so twice the limit is enough to look at.
  const characters = [...value.slice(0, 2 * LONGEST_SENT_LABEL + 2)]
  if (characters.length <= LONGEST_SENT_LABEL) return escapeLabel(value)
  return `${escapeLabel(characters.slice(0, LONGEST_SENT_LABEL - 1).join(''))}…`
}

/** A sample's value as both formats write it. */
export function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/** A bucket's bound as OpenMetrics' canonical float, `1.0` and not `1`: in both formats, so that a change of format moves no series. */
export function formatBound(bound: number): string {
  return Number.isInteger(bound) && bound < 1e6 ? bound.toFixed(1) : formatValue(bound)
}

/** Everything in a prom-client registry; its own formatter gets OpenMetrics' names wrong after the first scrape in that format. */
export async function formatRegistry(registry: Registry, format: MetricsFormat): Promise<string> {
  let text = ''
  for (const metric of await registry.getMetricsAsJSON()) {
    if (metric.values.length === 0) continue
    text += formatHeader({ name: metric.name, kind: String(metric.type), help: metric.help }, format)
    for (const sample of metric.values) {
      const name = 'metricName' in sample && typeof sample.metricName === 'string' ? sample.metricName : metric.name
      text += `${name}${formatLabels(sample.labels)} ${formatValue(sample.value)}\n`
    }
  }
  return text
}

function formatLabels(labels: Readonly<Record<string, string | number | undefined>>): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(labels)) {
    if (value === undefined) continue
    pairs.push(`${name}="${name === 'le' && typeof value === 'number' ? formatBound(value) : escapeLabel(String(value))}"`)
  }
  // prom-client puts `le` first; it is the last of a series' own labels here.
  if (pairs[0]?.startsWith('le=')) pairs.push(...pairs.splice(0, 1))
  return pairs.length > 0 ? `{${pairs.join(',')}}` : ''
}
