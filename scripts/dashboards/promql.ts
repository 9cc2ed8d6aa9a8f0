import { FAMILIES } from '../../src/alerts/index.ts'
import { readValues } from '../../src/alerts/values.ts'

const { values } = readValues(FAMILIES, 'defaults', '')
if (!values) throw new Error('the defaults of the alerts are no valid values')
const { vantageLabels } = values.settings

/** What chooses targets by the variables of a dashboard: several at once, or the one of the dashboard about one target. */
const CHOSEN = {
  many: 'job="$job",cluster=~"$cluster",type=~"$type",probe=~"$probe",target=~"$target"',
  one: 'job="$job",cluster=~"$cluster",probe="$probe",target="$target"',
} as const

/** Expressions over the targets that a dashboard shows. `without` is what differs between two Curlews that look at the same target. */
function targets(chosen: string, without: readonly string[]) {
  const of = (metric: string, matchers = '') => `${metric}{${chosen}${matchers === '' ? '' : `,${matchers}`}}`
  const merged = (operator: string, expr: string, ...more: readonly string[]) => `${operator} without (${[...without, ...more].join(', ')}) (${expr})`
  return {
    of,
    merged,
    max: (metric: string, matchers?: string) => merged('max', of(metric, matchers)),
    min: (metric: string, matchers?: string) => merged('min', of(metric, matchers)),
    avg: (metric: string, matchers?: string) => merged('avg', of(metric, matchers)),
  }
}
export type Targets = ReturnType<typeof targets>

/** The same target as several Curlews see it is one target. */
export const many: Targets = targets(CHOSEN.many, vantageLabels)
/** A mount is another one on every node. */
export const mounts: Targets = targets(CHOSEN.many, vantageLabels.filter((label) => label !== 'instance' && label !== 'node'))
export const one: Targets = targets(CHOSEN.one, vantageLabels)

/** A metric of Curlew itself; its series have no `cluster` where that is a label of targets alone. */
export function own(metric: string, matchers = ''): string {
  return `${metric}{job="$job",cluster=~"$cluster|",instance=~"$instance"${matchers === '' ? '' : `,${matchers}`}}`
}

/** The states of `stateOf`, from the worst to the best. */
export const STATES = { down: 0, explained: 1, unknown: 2, partly: 3, healthy: 4 } as const

/**
 * One number a target for what most of its Curlews say, after `STATES`. What is down stays so while a run says nothing; what
 * was well does not. With a range it is the worst of that.
 */
export function stateOf({ of, merged }: Targets, range?: string): string {
  const read = (operator: 'avg' | 'max', over: 'min' | 'max', metric: string) => merged(operator, range === undefined ? of(metric) : `${over}_over_time(${of(metric)}[${range}])`)
  const [healthy, root, unknown] = [read('avg', 'min', 'probe_healthy'), read('max', 'max', 'probe_root_cause'), read('avg', 'max', 'probe_unknown')]
  return `(${healthy} < 0.5 and ${root} == 1) * 0
or (${healthy} < 0.5) * 0 + ${STATES.explained}
or (${unknown} > 0.5) * 0 + ${STATES.unknown}
or (${healthy} < 1) * 0 + ${STATES.partly}
or ${healthy} * 0 + ${STATES.healthy}`
}

/**
 * Failures by layer and reason. A pair is born with its first failure, which \`increase()\` does not see: a counter that was not
 * there before counts from 0.
 */
export function failuresBy({ of }: Targets, labels: string): string {
  const failures = of('probe_failures_total')
  return `sum by (${labels}) ((increase(${failures}[$__rate_interval]) > 0) or (${failures} unless ${failures} offset $__rate_interval))`
}

/** The share of runs that failed, over a range. */
export function failedShare({ of, merged }: Targets, matchers: string, range: string): string {
  const runs = (results: string) => merged('sum', `rate(${of('probe_runs_total', `${matchers === '' ? '' : `${matchers},`}result=~"${results}"`)}[${range}])`, 'result')
  return `${runs('failed')} / ${runs('ok|failed')}`
}

/** The state of the alerts of these targets; those of others carry a scope of their own, or none. */
export function alerts(matchers: string): string {
  return `ALERTS{alertstate="firing",scope=~"cluster|node|network|dependency|storage|certificate|prober",severity=~"critical|warning",cluster=~"$cluster"${matchers === '' ? '' : `,${matchers}`}}`
}
