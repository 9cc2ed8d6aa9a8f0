import type { MetricsFormat } from '../../src/exporter/http-negotiate.ts'

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ParsedFamily {
  readonly name: string
  readonly kind: string
  readonly help: string
  readonly samples: readonly Sample[]
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] }

/**
 * Reads an exposition and throws at what Prometheus or the format's text forbids: a family that comes twice or is torn
 * apart, a sample of another family, a series or a label twice, HELP or TYPE missing or out of place, a bad escape, a
 * missing line feed, `# EOF` anywhere but at the end of OpenMetrics.
 */
export function parseExposition(text: string, format: MetricsFormat): Map<string, ParsedFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line has no line feed')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('no # EOF at the end')

  const families = new Map<string, ParsedFamily>()
  const series = new Set<string>()
  let current: { name: string, kind: string, help: string, samples: Sample[] } | undefined
  let help: { name: string, text: string } | undefined
  for (const line of lines) {
    const [, keyword, subject, rest] = /^# (\w+) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line) ?? []
    if (keyword === 'HELP' && subject !== undefined && rest !== undefined) {
      help = { name: subject, text: unescape(rest, format === 'openmetrics') }
    } else if (keyword === 'TYPE' && subject !== undefined && rest !== undefined) {
      if (help?.name !== subject) throw new Error(`TYPE of ${subject} does not follow its HELP`)
      if (families.has(subject)) throw new Error(`${subject} comes twice`)
      current = { name: subject, kind: rest, help: help.text, samples: [] }
      families.set(subject, current)
    } else {
      const sample = parseSample(line)
      if (!current) throw new Error(`a sample before any family: ${line}`)
      const suffixes = current.kind === 'counter' && format === 'openmetrics' ? ['_total'] : SUFFIXES[current.kind] ?? ['']
      if (!suffixes.some((suffix) => sample.name === `${current?.name}${suffix}`)) throw new Error(`not of ${current.kind} ${current.name}: ${line}`)
      const identity = JSON.stringify([sample.name, Object.entries(sample.labels).toSorted(([a], [b]) => (a < b ? -1 : 1))])
      if (series.has(identity)) throw new Error(`series twice: ${line}`)
      series.add(identity)
      current.samples.push(sample)
    }
  }
  for (const { name, samples } of families.values()) if (samples.length === 0) throw new Error(`${name} has no sample`)
  return families
}

function parseSample(line: string): Sample {
  const [, name, labelText, valueText] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line) ?? []
  if (name === undefined || valueText === undefined) throw new Error(`not a sample: ${line}`)
  const labels: Record<string, string> = {}
  let rest = labelText ?? ''
  while (rest !== '') {
    const [whole, label, value] = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\n"])*)"(?:,(?=[a-zA-Z_])|$)/.exec(rest) ?? []
    if (whole === undefined || label === undefined || value === undefined) throw new Error(`bad labels: ${line}`)
    if (label in labels) throw new Error(`label ${label} twice: ${line}`)
    labels[label] = unescape(value, true)
    rest = rest.slice(whole.length)
  }
  if (!/^(?:[+-]Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/.test(valueText)) throw new Error(`not a number: ${line}`)
  return { name, labels, value: Number(valueText.replace('Inf', 'Infinity')) }
}

function unescape(text: string, quotes: boolean): string {
  return text.replace(/\\(.)/g, (_, escaped: string) => {
    if (escaped === 'n') return '\n'
    if (escaped === '\\' || (quotes && escaped === '"')) return escaped
    throw new Error(`bad escape \\${escaped} in ${text}`)
  })
}

/** The values of one metric name by those of its labels that `by` names, joined with a space. */
export function valuesOf(families: ReadonlyMap<string, ParsedFamily>, name: string, ...by: readonly string[]): Record<string, number> {
  const samples = [...families.values()].flatMap((family) => family.samples.filter((sample) => sample.name === name))
  return Object.fromEntries(samples.map(({ labels, value }) => [by.map((label) => labels[label] ?? '').join(' '), value]))
}

/** Everything that is exported about one probe, as `name{own labels}` to value. */
export function seriesOfProbe(families: ReadonlyMap<string, ParsedFamily>, probe: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { samples } of families.values()) {
    for (const { name, labels, value } of samples) {
      if (labels['probe'] !== probe) continue
      const own = Object.entries(labels).filter(([label]) => !['probe', 'type', 'target'].includes(label)).map(([label, text]) => `${label}=${text}`)
      found[own.length > 0 ? `${name}{${own.join(',')}}` : name] = value
    }
  }
  return found
}
