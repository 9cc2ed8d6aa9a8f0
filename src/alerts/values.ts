import { z } from 'zod'
import { duration, formatDuration } from '../core/fields.ts'
import { pathText, readYaml } from '../core/yaml.ts'
import { SEVERITIES, type AlertSpec, type Family, type Settings, type Threshold } from './model.ts'

/** What a values file says about one alert; what it leaves out is as in the catalogue. Durations in ms. */
export interface Override {
  readonly enabled?: boolean | undefined
  readonly severity?: AlertSpec['severity'] | undefined
  readonly for?: number | undefined
  readonly keep_firing_for?: number | undefined
  readonly thresholds?: Readonly<Record<string, number | undefined>> | undefined
}

export interface Values {
  readonly settings: Settings
  /** Names of the optional families that are wanted. */
  readonly families: ReadonlySet<string>
  readonly alerts: Readonly<Record<string, Override | undefined>>
}

const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const label = () => z.string('expected the name of a label').regex(labelName, 'expected the name of a label')
/** What the rules give a meaning to: no vantage points differ in it. */
const IDENTITY = ['job', 'probe', 'type', 'target', 'cluster']
/** What every alert or its target has: one text for all of them would make one alert of many, or be overwritten. */
const OURS = [...IDENTITY, 'alertname', 'severity', 'scope', 'instance', 'node', 'host', 'root']
const labelBut = (taken: readonly string[]) => label().refine((name) => !taken.includes(name) && !name.startsWith('__'), {
  error: (issue) => `expected another label: ${String(issue.input)} has a meaning in the rules${issue.input === 'cluster' ? '; external_labels of Prometheus say which cluster it is in' : ''}`,
})
/** Of a threshold. */
const amount = ({ below = Infinity }: Threshold) => z.number('expected a number').min(0, 'expected a number that is not negative').lt(below, `expected less than ${below}`)
const address = () => z.string('expected a URL').regex(/^https?:\/\/\S+[^/\s]$/, 'expected a URL that begins with http:// or https:// and does not end in a slash')
const text = () => z.string('expected a text; put the value in quotes')
const flag = () => z.boolean('expected true or false')
/** Also none. */
const pause = () => z.union([z.literal(0), z.literal('0s').transform(() => 0), duration()], 'expected a duration such as 0s, 30s or 1h30m')

const topShape = {
  job: text().min(1).default('curlew'),
  scrape_interval: duration().default(30_000),
  vantage_labels: z.array(labelBut(IDENTITY), 'expected a list of labels').min(1, 'expected at least one label').default(['instance', 'pod', 'node', 'endpoint', 'container']),
  runbook_url: address().default('https://curlew.dev/runbooks'),
  grafana_url: address().default('https://grafana.example.org'),
  labels: z.record(labelBut(OURS), text(), { error: (issue) => (issue.code === 'invalid_key' ? issue.issues[0]?.message : 'expected a mapping of labels to texts') }).default({}),
}

function schemaOf(families: readonly Family[]) {
  const optional = Object.fromEntries(families.flatMap(({ name, optional: why }) => (why === undefined ? [] : [[name, flag().default(false)] as const])))
  const alerts = Object.fromEntries(families.flatMap((family) => family.alerts).map(({ name, thresholds = {} }) => [name, z.strictObject({
    enabled: flag().optional(),
    severity: z.enum(SEVERITIES, { error: `expected one of ${SEVERITIES.join(', ')}` }).optional(),
    for: pause().optional(),
    keep_firing_for: pause().optional(),
    thresholds: z.strictObject(Object.fromEntries(Object.entries(thresholds).map(([key, threshold]) => [key, amount(threshold).optional()])), 'expected a mapping of thresholds to numbers').optional(),
  }, 'expected a mapping').optional()]))
  return z.strictObject({ ...topShape, ...optional, alerts: z.strictObject(alerts, 'expected a mapping of alerts').default({}) }, 'expected a mapping')
}

/**
 * Reads a values file (YAML). Or every mistake as `file:line:column: path: what was expected`. An empty text is all defaults.
 */
export function readValues(families: readonly Family[], file: string, source: string): { readonly values: Values } | { readonly values?: undefined, readonly errors: readonly string[] } {
  const yaml = readYaml(source)
  if (yaml.errors.length > 0) return { errors: yaml.errors.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`) }
  const parsed = schemaOf(families).safeParse(yaml.value ?? {})
  if (!parsed.success) {
    return {
      errors: parsed.error.issues.flatMap((issue) => {
        const unknown = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : undefined
        return (unknown ?? [issue.path]).map((path) => {
          const { line, column } = yaml.locate(path, unknown !== undefined)
          const parent = issue.path.length === 0 ? 'values file' : issue.path.join('.')
          return `${file}:${line}:${column}: ${path.length === 0 ? '' : `${pathText(path)}: `}${unknown ? `there is no such key in ${parent}; \`curlew alerts values\` prints all of them` : issue.message}`
        })
      }),
    }
  }
  const { job, scrape_interval, vantage_labels, runbook_url, grafana_url, labels, alerts, ...wanted } = parsed.data
  return {
    values: {
      settings: { job, scrapeMs: scrape_interval, vantageLabels: vantage_labels, runbookUrl: runbook_url, grafanaUrl: grafana_url, labels },
      families: new Set(Object.entries(wanted).flatMap(([name, value]) => (value === true ? [name] : []))),
      alerts,
    },
  }
}

/** The values file with every key and its default, to be copied and changed. */
export function valuesText(families: readonly Family[]): string {
  const lines = [
    '# Every value of the alert rules with its default. Keep what you change, leave out the rest, then:',
    '#   curlew alerts rules --values FILE            for Prometheus',
    '#   curlew alerts prometheusrule --values FILE   for prometheus-operator',
    '',
    '# The scrape job of Curlew.', 'job: curlew',
    '# Its longest scrape interval: `for` and `keep_firing_for` are at least two of it, ranges four.', 'scrape_interval: 30s',
    '# What differs between two Curlews that look at the same target.', 'vantage_labels: [instance, pod, node, endpoint, container]',
    '# What /<AlertName> follows.', 'runbook_url: https://curlew.dev/runbooks',
    '# Where the dashboards of dashboards/ are.', 'grafana_url: https://grafana.example.org',
    '# Added to every alert.', 'labels: {}',
    ...families.flatMap(({ name, optional }) => (optional === undefined ? [] : [`# ${optional}`, `${name}: false`])),
    '', 'alerts:',
  ]
  for (const { name, alerts } of families) {
    if (alerts.length > 0) lines.push(`  # ${name}`)
    for (const alert of alerts) {
      lines.push(`  ${alert.name}:`, '    enabled: true', `    severity: ${alert.severity}`, `    for: ${formatDuration(alert.forMs)}`)
      if (alert.keepFiringMs !== undefined) lines.push(`    keep_firing_for: ${formatDuration(alert.keepFiringMs)}`)
      const thresholds = Object.entries(alert.thresholds ?? {})
      if (thresholds.length > 0) lines.push('    thresholds:', ...thresholds.map(([key, { value, help }]) => `      ${key}: ${value} # ${help}`))
    }
  }
  return `${lines.join('\n')}\n`
}
