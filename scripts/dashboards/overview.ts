import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { certificatesByTimeLeft } from './certificates.ts'
import { cells, lines, number, rows, STATE_WORDS, type Step } from './panels.ts'
import { alerts, failuresBy, many, stateOf } from './promql.ts'

const { max, merged, of } = many
const objective = numberOf('DependencyBudgetBurnFast', 'objective')
const budget = Number((1 - objective).toPrecision(6))
const objectiveText = `${Number((100 * objective).toPrecision(6))} %`
const [slow, slower] = [numberOf('DependencyBudgetBurnSlow', 'three_days_factor'), numberOf('DependencyBudgetBurnSlow', 'day_factor')]
const [fast, faster] = [numberOf('DependencyBudgetBurnFast', 'six_hours_factor'), numberOf('DependencyBudgetBurnFast', 'hour_factor')]

/** The targets of one kind as a number, 0 where there are none. */
const countOf = (expr: string) => `count(${expr}) or vector(0)`
const CHOSEN_ALERTS = 'type=~"$type|",probe=~"$probe|",target=~"$target|"'
const NONE: readonly Step[] = [[1, 'red']]

export const overview: Spec = {
  uid: 'curlew-overview', about: 'targets',
  description: 'What is broken now, what explains it, and how all targets were.',
  sections: [
    { title: 'Now', panels: [
      number({ title: 'Root causes', description: 'Targets that are unhealthy and that no failing dependency explains. Begin here.', unit: 'short', steps: NONE, queries: [{ expr: countOf(`${max('probe_root_cause')} == 1`) }] }),
      number({ title: 'Explained', description: 'Targets that are unhealthy because another one is: they recover with it.', unit: 'short', steps: [[1, 'orange']], queries: [{ expr: countOf(merged('count', of('probe_explained_by'), 'root')) }] }),
      number({ title: 'Unknown', description: 'Targets whose last run said nothing, because of trouble on Curlew\'s own side. It is no verdict about them.', unit: 'short', steps: [[1, 'purple']], queries: [{ expr: countOf(`${max('probe_unknown')} == 1`) }] }),
      number({ title: 'Targets', description: 'Targets that these variables choose.', unit: 'short', queries: [{ expr: countOf(max('probe_interval_seconds')) }] }),
      number({ title: 'Curlews up', description: 'Curlews that Prometheus can scrape.', unit: 'short', steps: [[-Infinity, 'red'], [1, 'green']], queries: [{ expr: 'sum(up{job="$job"})' }] }),
      number({ title: 'Alerts', description: 'Alerts of these rules that fire, without those for information.', unit: 'short', steps: NONE, queries: [{ expr: countOf(alerts(CHOSEN_ALERTS)) }] }),
    ] },
    { title: 'Broken', panels: [
      rows({
        title: 'Root causes', unit: 'short', width: 24, height: 9, noValue: 'Nothing is broken.',
        description: 'Unhealthy targets that no failing dependency explains, with where and why they fail, and how many Curlews see it so. A row without a layer did well in its last run and is not trusted yet.',
        labels: ['cluster', 'type', 'probe', 'target', 'layer', 'reason'], values: ['Curlews'], sortBy: 'Curlews',
        queries: [{ expr: `(${merged('count', of('probe_failure_info'))} and ignoring (layer, reason) ${max('probe_root_cause')} == 1)
or ignoring (layer, reason) ${merged('count', `${of('probe_root_cause')} == 1`)}` }],
      }),
      rows({
        title: 'Explained', unit: 'short', noValue: 'Nothing is explained by something else.',
        description: 'Unhealthy targets and the failing dependency that explains each. They recover when it does.',
        labels: ['cluster', 'type', 'probe', 'target', 'root'], values: ['Curlews'], queries: [{ expr: merged('count', of('probe_explained_by')) }],
      }),
      rows({
        title: 'Unknown', unit: 'short', noValue: 'Every last run came to a verdict.',
        description: 'Targets whose last run said nothing: Curlew was short of something, or not allowed to. Look at Curlew, not at them.',
        labels: ['cluster', 'type', 'probe', 'target'], values: ['Curlews'], queries: [{ expr: merged('count', `${of('probe_unknown')} == 1`) }],
      }),
      rows({
        title: 'Alerts', unit: 'short', width: 24, noValue: 'No alert fires.', toTarget: true,
        description: 'Alerts that fire, without those for information. The runbook of each says what to do.',
        labels: ['severity', 'scope', 'alertname', 'cluster', 'probe', 'target'], values: [''], queries: [{ expr: alerts(CHOSEN_ALERTS) }],
      }),
    ] },
    { title: 'All targets', panels: [
      cells({
        title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true,
        description: 'How most Curlews saw each target, a cell showing the worst of its time. Down is a root cause; explained has a failing dependency, or waits for the verdict on it; down for some is unhealthy from a minority of the Curlews.',
        queries: [{ expr: stateOf(many, '$__rate_interval') }],
      }),
      lines({
        title: 'Failures by layer and reason', unit: 'short', bars: true, min: 0, description: 'Runs that failed, by where and why. A step in many targets at once is one cause.',
        queries: [{ expr: failuresBy(many, 'layer, reason'), legend: '{{layer}}/{{reason}}' }],
      }),
      lines({ title: 'Duration of runs', unit: 's', log: true, toTarget: true, description: 'How long the last run of each target took, on a logarithmic scale: one line that rises is that target, all together is the way to them.', queries: [{ expr: max('probe_duration_seconds') }] }),
    ] },
    { title: 'Error budget', panels: [
      lines({
        title: 'Burn rate', unit: 'x', min: 0, toTarget: true, steps: [[slow, 'yellow'], [slower, 'orange'], [fast, 'red'], [faster, 'dark-red']],
        description: `How much faster than allowed the failures of the last hour use up the budget of 30 days at ${objectiveText}. At 1 it lasts to the end; ${fast} and ${faster} page, ${slow} and ${slower} make a ticket. Needs the recording rules of Curlew; a target has no line in its first half hour.`,
        queries: [{ expr: `target:probe_failed:ratio_rate1h{job="$job",cluster=~"$cluster",type=~"$type",probe=~"$probe",target=~"$target"} / ${budget}` }],
      }),
      rows({
        title: 'Budget left', unit: 'percentunit', sortBy: 'left', ascending: true, steps: [[-Infinity, 'red'], [0, 'orange'], [0.5, 'green']], decimals: 1,
        description: `Of the failures that ${objectiveText} allows over the range shown, the share that is left; below 0 there were more. Beside it the share of runs that were good. Show 30 days for the budget that alerts watch.`,
        labels: ['cluster', 'type', 'probe', 'target'], values: ['left', 'good'],
        queries: ['left', 'good'].map((what) => {
          const runs = (results: string) => merged('sum', `increase(${of('probe_runs_total', `result=~"${results}"`)}[$__range])`, 'result')
          return { expr: what === 'left' ? `1 - ${runs('failed')} / ${runs('ok|failed')} / ${budget}` : `${runs('ok')} / ${runs('ok|failed')}` }
        }),
      }),
    ] },
    { title: 'Certificates', panels: [certificatesByTimeLeft()] },
  ],
}
