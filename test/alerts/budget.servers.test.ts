import { budget, days } from '../../src/alerts/catalogue/budget.ts'
import { alertContract, labelsOf } from './promtool.ts'

const REDIS = labelsOf('cache', 'redis', '10.0.0.1:6379')
const EDGE = labelsOf('mesh-pod', 'mesh', 'worker-1:9798')
const alertOfRedis = { job: 'curlew', probe: 'cache', type: 'redis', target: '10.0.0.1:6379' }
const ALERT = 'ALERTS{alertname="DependencyDown",alertstate="firing",severity="critical",scope="dependency",cluster="default",root="cache/10.0.0.1:6379",job="curlew",probe="cache",type="redis",target="10.0.0.1:6379"}'

/** How a probe of so many seconds looks in scrapes of a minute: counters. */
function runs(labels: string, failedPerMinute: string, okPerMinute: string): Record<string, string> {
  const of = (result: string) => `probe_runs_total${labels.replace('}', `,result="${result}"}`)}`
  return { [of('failed')]: failedPerMinute, [of('ok')]: okPerMinute, [of('unknown')]: '0x5000' }
}

const up = (labels: string) => ({ [`probe_interval_seconds${labels}`]: '5x600' })

alertContract(budget, {
  DependencyBudgetBurnFast: [
    { kind: 'fires', what: 'a tenth of runs', series: { ...up(REDIS), ...runs(REDIS, '0+1x180', '0+9x180') }, at: '2h', fires: [alertOfRedis] },
    { kind: 'quiet', what: 'one in ten thousand', series: { ...up(REDIS), ...runs(REDIS, '0x60 1x120', '0+100x180') }, at: '2h', fires: [] },
    { kind: 'quiet', what: 'the way to another node', series: { ...up(EDGE), ...runs(EDGE, '0+1x180', '0+9x180') }, at: '2h', fires: [] },
    { kind: 'quiet', what: 'over since half an hour', series: { ...up(REDIS), ...runs(REDIS, '0+3x60 180x120', '0+100x180') }, at: '2h', fires: [] },
    { kind: 'quiet', what: 'a target of the last twenty minutes', series: { ...up(REDIS), ...runs(REDIS, '_x100 0+1x20', '_x100 0+1x20') }, at: '2h', fires: [] },
    { kind: 'quiet', what: 'what is left of an outage that was told', series: { ...up(REDIS), ...runs(REDIS, '0x110 0+12x8 96x100', '0+12x110 1320x8 1320+12x60'), [ALERT]: '_x110 1x9 _x20' }, at: '121m', fires: [] },
    { kind: 'boundary', what: 'just below 14.4 and 6 times', series: { ...up(REDIS), ...runs(REDIS, '0+5x480', '0+995x480') }, at: '8h', fires: [] },
  ],
})

alertContract(days, {
  DependencySlow: [
    { kind: 'fires', what: 'four times its own day', every: '10m', series: { ...lasting('0.02x144 0.08x6') }, at: '25h', fires: [alertOfRedis] },
    { kind: 'quiet', what: 'every hour: one run is no mean', every: '10m', series: { ...lasting('0.02x144 0.08x6', 3_600) }, at: '25h', fires: [] },
    { kind: 'quiet', what: 'below the floor', every: '10m', series: { ...lasting('0.001x144 0.04x6') }, at: '25h', fires: [] },
    { kind: 'quiet', what: 'too few samples', every: '15m', series: { ...lasting('0.02x80 0.2x20') }, at: '22h', fires: [] },
    { kind: 'boundary', what: 'just three times', every: '10m', series: { ...lasting('0.02x144 0.06x6') }, at: '24h10m', fires: [] },
  ],
  DependencyBudgetBurnSlow: [
    { kind: 'fires', what: 'four times for a day', every: '30m', series: { ...up(REDIS), ...runs(REDIS, '0+12x200', '0+2988x200') }, at: '96h', fires: [alertOfRedis] },
    { kind: 'quiet', what: 'nothing', every: '30m', series: { ...up(REDIS), ...runs(REDIS, '0x200', '0+2988x200') }, at: '96h', fires: [] },
    { kind: 'boundary', what: 'just within the budget', every: '30m', series: { ...up(REDIS), ...runs(REDIS, '0+27x200', '0+29973x200') }, at: '96h', fires: [] },
  ],
}, [budget])

function lasting(values: string, every = 5): Record<string, string> {
  return { [`probe_duration_seconds${REDIS}`]: values, [`probe_success${REDIS}`]: '1x400', [`probe_interval_seconds${REDIS}`]: `${every}x400` }
}
