import type { Settings } from './model.ts'

/** The target of an alert, for a summary. */
export const TARGET = '{{ $labels.probe }} {{ $labels.target }}'

/**
 * A template for the layer and the reason of what fails now, by a query: they change during an outage, and would make another
 * alert of it if they were labels. ` (connect/refused)`, or nothing.
 */
export function layerAndReason(settings: Settings): string {
  return lookedUp(settings, 'probe_failure_info', ' ({{ .Labels.layer }}/{{ .Labels.reason }})')
}

/**
 * A template that queries a series of the alert's target and shows the first one by `show`, or nothing. `labels` are those of the
 * alert that the series shares, beside `cluster`, of which an alert has none where its target has none: also `instance` where every
 * Curlew has an alert of its own.
 */
export function lookedUp(settings: Settings, metric: string, show: string, matchers = '', labels: readonly string[] = ['probe', 'target']): string {
  const all = ['cluster', ...labels]
  const query = `${metric}{job=${JSON.stringify(settings.job)},${all.map((label) => `${label}=%q`).join(',')}${matchers === '' ? '' : `,${matchers}`}}`
  return `{{ with printf ${JSON.stringify(query)} ${all.map((label) => `$labels.${label}`).join(' ')} | query }}{{ with first . }}${show}{{ end }}{{ end }}`
}

/** A template that names the Curlews, or their nodes, of the series that a query with the alert's probe and target finds. */
export function namesOf(settings: Settings, metric: string, comparison: string): string {
  const query = `${metric}{job=${JSON.stringify(settings.job)},cluster=%q,probe=%q,target=%q} ${comparison}`
  return `{{ range $i, $s := printf ${JSON.stringify(query)} $labels.cluster $labels.probe $labels.target | query | sortByLabel "instance" }}{{ if $i }}, {{ end }}{{ or $s.Labels.node $s.Labels.instance }}{{ end }}`
}
