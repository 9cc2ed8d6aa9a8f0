import { DAY_MS, HOUR_MS, MINUTE_MS } from '../durations.ts'
import type { Family, Numbers, RecordSpec, Settings } from '../model.ts'
import { held, merged, of, oftenEnough, OUTAGES, unlessTold, window } from '../promql.ts'
import { TARGET } from '../templates.ts'

const DURATION_OK = 'probe:duration_seconds:ok'

/** The windows of an error budget of 30 days, long and short, and how much faster than allowed it burns (the workbook of Google's SREs). */
const WINDOWS = { '5m': 5 * MINUTE_MS, '30m': 30 * MINUTE_MS, '1h': HOUR_MS, '2h': 2 * HOUR_MS, '6h': 6 * HOUR_MS, '1d': DAY_MS, '3d': 3 * DAY_MS } as const
type Window = keyof typeof WINDOWS

const ratioName = (name: Window) => `target:probe_failed:ratio_rate${name}`
const HOURLY = { failed: 'target:probe_failed:rate1h', all: 'target:probe_conclusive:rate1h' } as const

function rateOf(settings: Settings, results: string, rangeMs: number): string {
  return merged(settings, 'sum', `rate(${of(settings, 'probe_runs_total', `result=~"${results}"`)}[${window(settings, rangeMs)}])`, 'result')
}

/** The share of runs that failed. A target that is younger than half a window has none yet: two bad minutes of its first five are no burning month. */
function ratio(name: Window): RecordSpec {
  return {
    record: ratioName(name),
    expr: (settings) => `${rateOf(settings, 'failed', WINDOWS[name])} / ${rateOf(settings, 'ok|failed', WINDOWS[name])}
and ${oftenEnough(settings, WINDOWS[name])}
and ${merged(settings, 'max', held(settings, 'probe_runs_total', 'result="ok"', WINDOWS[name] / 2), 'result')}`,
  }
}

/** The same over days, of what is recorded: to read every sample of 10,000 targets again would take most of a minute. */
function ratioOfDays(name: Window): RecordSpec {
  return {
    record: ratioName(name),
    expr: (settings) => `sum_over_time(${of(settings, HOURLY.failed)}[${name}]) / sum_over_time(${of(settings, HOURLY.all)}[${name}])
and ${oftenEnough(settings, WINDOWS[name])}
and last_over_time(${of(settings, HOURLY.all)}[15m] offset ${WINDOWS[name] / 2 / HOUR_MS}h)`,
  }
}

const OBJECTIVE = { objective: { value: 0.999, help: 'share of runs that must be good over 30 days', below: 1 } }

function burns(numbers: Numbers, pairs: readonly (readonly [Window, Window, string])[], unless = (_short: Window) => ''): string {
  const budget = 1 - (numbers['objective'] ?? 0)
  return pairs.map(([long, short, factor]) => {
    const limit = Number((Number(numbers[factor]) * budget).toPrecision(6))
    // No service is what an agent of another node does: a rollout of agents uses up nobody's budget.
    return `(${ratioName(long)}{type!="mesh"} > ${limit} and ${ratioName(short)} > ${limit}${unless(short)})`
  }).join('\nor\n')
}

/** The share of runs that failed within an hour, as people write it. */
const FAILED_SHARE = 'of runs failed in the last hour'
const share = (name: Window) => `{{ with printf "${ratioName(name)}{cluster=%q,probe=%q,target=%q}" $labels.cluster $labels.probe $labels.target | query }}{{ with first . }}{{ .Value | humanizePercentage }} ${FAILED_SHARE}{{ end }}{{ end }}`

export const budget: Family = {
  name: 'budget',
  records: [
    { record: DURATION_OK, expr: (settings) => `${of(settings, 'probe_duration_seconds')} and ${of(settings, 'probe_success')} == 1` },
    ratio('5m'), ratio('30m'), ratio('1h'), ratio('6h'),
  ],
  alerts: [
    {
      name: 'DependencyBudgetBurnFast', severity: 'critical', scope: 'dependency', forMs: 2 * MINUTE_MS, dashboard: 'curlew-probe',
      thresholds: {
        ...OBJECTIVE,
        hour_factor: { value: 14.4, help: 'times the allowed rate over an hour and five minutes' },
        six_hours_factor: { value: 6, help: 'times the allowed rate over six hours and thirty minutes' },
      },
      expr: (settings, numbers) => burns(numbers, [['1h', '5m', 'hour_factor'], ['6h', '30m', 'six_hours_factor']], (short) => `\n  ${unlessTold(settings, OUTAGES, WINDOWS[short])}`),
      summary: `${TARGET} burns its error budget fast`,
      description: (_settings, { objective }) => `At this rate the failures of the {{ $labels.type }} probe ${TARGET} use up the budget of a month (${objective}) within days. ${share('1h')}.`,
    },
  ],
}

/** What looks back for days: not in the way of what pages. */
export const days: Family = {
  name: 'days',
  everyMs: 5 * MINUTE_MS,
  records: [
    { record: HOURLY.failed, expr: (settings) => rateOf(settings, 'failed', HOUR_MS) },
    { record: HOURLY.all, expr: (settings) => rateOf(settings, 'ok|failed', HOUR_MS) },
    ratio('2h'), ratioOfDays('1d'), ratioOfDays('3d'),
  ],
  alerts: [
    {
      name: 'DependencySlow', severity: 'warning', scope: 'dependency', forMs: 10 * MINUTE_MS, dashboard: 'curlew-probe',
      thresholds: {
        factor: { value: 3, help: 'times its own mean of the last day' },
        floor_seconds: { value: 0.05, help: 'seconds below which nothing is slow' },
        samples: { value: 100, help: 'samples of good runs in the last day below which nothing is compared' },
      },
      expr: (settings, { factor, floor_seconds, samples }) => `(
  ${merged(settings, 'avg', `avg_over_time(${DURATION_OK}[${window(settings, 10 * MINUTE_MS)}])`)}
    > ${factor} * ${merged(settings, 'avg', `avg_over_time(${DURATION_OK}[1d] offset 30m) and count_over_time(${DURATION_OK}[1d] offset 30m) >= ${samples}`)}
) > ${floor_seconds}
and ${oftenEnough(settings, 10 * MINUTE_MS)}`,
      summary: `${TARGET} is slow`,
      description: (_settings, { factor }) => `Good runs of the {{ $labels.type }} probe ${TARGET} take {{ $value | humanizeDuration }} in the mean, more than ${factor} times what they took over the last day.`,
    },
    {
      name: 'DependencyBudgetBurnSlow', severity: 'warning', scope: 'dependency', forMs: 15 * MINUTE_MS, dashboard: 'curlew-probe',
      thresholds: {
        ...OBJECTIVE,
        day_factor: { value: 3, help: 'times the allowed rate over a day and two hours' },
        three_days_factor: { value: 1, help: 'times the allowed rate over three days and six hours' },
      },
      expr: (_settings, numbers) => burns(numbers, [['1d', '2h', 'day_factor'], ['3d', '6h', 'three_days_factor']]),
      summary: `${TARGET} burns its error budget slowly`,
      description: (_settings, { objective }) => `The failures of the {{ $labels.type }} probe ${TARGET} will use up the budget of a month (${objective}) before it is over. ${share('1h')}.`,
    },
  ],
}
