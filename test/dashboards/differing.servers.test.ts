import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { familiesOf } from '../../src/exporter/families.ts'
import { OWN } from '../../src/exporter/own-metrics.ts'
import { NOTIFY } from '../../src/notify/metrics.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { createOwner } from '../support/owner.ts'
import { PROMETHEUSES } from '../support/prometheus.ts'
import { allOf, dashboards, interpolate, panelsOf } from './model.ts'

const owner = createOwner()
afterEach(() => owner.end())

const GRAFANA = { __rate_interval: '2m', __range: '3h', __interval: '30s' }
const VALUES = '0+1x20'
const TARGET = { job: 'curlew', type: 'tcp', probe: 'web', target: 'a:1' }

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number]
/** Of one series, or of several. */
type Expected = { readonly expr: string } & ({ readonly labels: string, readonly value: number } | { readonly samples: readonly Sample[] })

const text = (labels: Labels) => `{${Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}}`
/** The queries of a panel while everything is chosen. */
function queriesOf(uid: string, title: string, type: string): readonly string[] {
  const board = dashboards.find((one) => one.uid === uid)!
  const panel = panelsOf(board).find((one) => one.title === title && one.type === type)!
  return panel.targets.map(({ expr }) => interpolate(expr, { ...allOf(board), ...GRAFANA }))
}
const queryOf = (...of: Parameters<typeof queriesOf>) => queriesOf(...of)[0]!

/** Has promtool evaluate the expressions after ten minutes of these series. Throws with what it says of those that are not as expected. */
function evaluate(series: readonly (readonly [name: string, labels: Labels, values?: string])[], expected: readonly Expected[]): string {
  const { path } = owner.place()
  writeFileSync(join(path, 'tests.yml'), stringify({ tests: [{
    interval: '1m',
    input_series: series.map(([name, labels, values = VALUES]) => ({ series: `${name}${text(labels)}`, values })),
    promql_expr_test: expected.map((one) => ({
      expr: one.expr, eval_time: '10m', exp_samples: 'samples' in one ? one.samples.map(([labels, value]) => ({ labels: text(labels), value })) : [{ labels: one.labels, value: one.value }],
    })),
  }] }))
  return execFileSync(PROMETHEUSES[0].promtool, ['test', 'rules', 'tests.yml'], { cwd: path, encoding: 'utf8', stdio: 'pipe' }).trim()
}

it('every query takes two Curlews that say different things of a target, in each label that is no part of its identity', () => {
  const families = [...familiesOf(probeTypes), ...Object.values(OWN), ...Object.values(NOTIFY)]
  const series = families.flatMap(({ name, kind, labels }) => (kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).flatMap((suffix) => ['one', 'two'].map((curlew) => {
    const own = labels.filter((label) => label !== 'le' || suffix === '_bucket').map((label) => [label, label === 'le' ? '+Inf' : curlew])
    return [`${name}${suffix}`, { ...Object.fromEntries(own), ...name.startsWith('probe_') ? TARGET : { job: 'curlew' }, instance: `${curlew}:9797` }] as const
  })))
  const queries = dashboards.flatMap((board) => panelsOf(board).flatMap(({ targets }) => targets.map(({ expr }) => interpolate(expr, { ...allOf(board), type: '.*', probe: 'web', target: 'a:1', ...GRAFANA }))))
  expect(queries.length).toBeGreaterThan(150)
  // Whatever the result is: an expression that cannot be evaluated fails.
  expect(evaluate(series, queries.map((expr) => ({ expr: `count(${expr}) * 0 or vector(0)`, labels: '{}', value: 0 })))).toMatch(/SUCCESS$/)
})

it('what two clusters have of the same name counts as two', () => {
  const explained = (cluster: string, instance: string, root: string) => ['probe_explained_by', { ...TARGET, cluster, instance, root }, '1x20'] as const
  expect(evaluate([explained('a', 'one', 'x/1'), explained('a', 'two', 'x/2'), explained('b', 'three', 'x/1')], [{ expr: queryOf('curlew-overview', 'Explained', 'stat'), labels: '{}', value: 2 }])).toMatch(/SUCCESS$/)
})

it('what replicas share is counted once, and what each has of its own with the others', () => {
  const rows = (instance: string, shares: boolean) => [
    ...['waiting', 'dead'].map((state) => ['curlew_notify_outbox_rows', { job: 'curlew', instance, channel: 'ops', state }, '7x20'] as const),
    ...shares ? [['curlew_notify_shared_store_up', { job: 'curlew', instance }, '1x20'] as const] : [],
  ]
  const waiting = queryOf('curlew-deliveries', 'Waiting', 'stat')
  expect(evaluate([...rows('one', true), ...rows('two', true)], [{ expr: waiting, labels: '{}', value: 7 }, { expr: queryOf('curlew-deliveries', 'Dead', 'stat'), labels: '{}', value: 7 }])).toMatch(/SUCCESS$/)
  expect(evaluate([...rows('one', false), ...rows('two', false)], [{ expr: waiting, labels: '{}', value: 14 }])).toMatch(/SUCCESS$/)
})

it('ways from node to node say which edge, which protocol and which size, whatever else an agent is called', () => {
  const mesh = (from: Labels, to: string) => ({ job: 'curlew', cluster: 'east', type: 'mesh', probe: 'mesh-pod', target: `${to}:9798`, peer: to, network: 'pod', ...from })
  const run = (labels: Labels, healthy: string, [udpSmall, udpLarge]: readonly string[]) => [
    ['probe_healthy', labels, healthy] as const,
    ...udpSmall === undefined ? [] : [['probe_mesh_loss_ratio', { ...labels, protocol: 'udp', size: 'small' }, udpSmall] as const],
    ...udpLarge === undefined ? [] : [['probe_mesh_loss_ratio', { ...labels, protocol: 'udp', size: 'large' }, udpLarge] as const],
    ...udpSmall === undefined ? [] : ['udp', 'tcp'].map((protocol) => ['probe_mesh_rtt_seconds', { ...labels, protocol }, '0.25x20'] as const),
  ]
  const failed = (labels: Labels, layer: string, reason: string) => ['probe_failure_info', { ...labels, layer, reason }, '1x20'] as const
  // By the instance of the manifests, replaced in the meantime, by a label of Prometheus, and by neither.
  const [old, pod, labelled, plain] = [mesh({ instance: 'a/agent-1' }, 'b'), mesh({ instance: 'a/agent-2' }, 'b'), mesh({ instance: '10.0.0.3:9797', node: 'c' }, 'b'), mesh({ instance: 'd:9797' }, 'a')]
  const [worst, small, large, icmpSmall, icmpLarge, udp, tcp, icmp] = queriesOf('curlew-kubernetes', 'Ways between Curlews, the worst first', 'table')
  const row = (from: string, to: string, more: Labels = {}) => ({ cluster: 'east', from, probe: 'mesh-pod', target: `${to}:9798`, ...more })
  const both: readonly Sample[] = [[row('a', 'b'), 0.25], [row('d:9797', 'a'), 0.25]]
  expect(evaluate([
    ...run(old, '0x20', []), failed(old, 'connect', 'refused'), ...run(pod, '0x20', ['0x20', '1x20']), failed(pod, 'network', 'mismatch'),
    ...run(labelled, '0x20', []), failed(labelled, 'network', 'timeout'), ...run(plain, '1x20', ['0.5x20', '0x20']),
  ], [
    { expr: `(${worst}) unless on (from) label_replace(vector(1), "from", "a", "", "")`, samples: [[row('c', 'b', { layer: 'network', reason: 'timeout' }), 1], [row('d:9797', 'a'), 0.5]] },
    // Which of the two reasons is shown is not said, that it is one row is.
    { expr: `count by (from) ((${worst}) == 1)`, samples: [[{ from: 'a' }, 1], [{ from: 'c' }, 1]] },
    { expr: small!, samples: [[row('a', 'b'), 0], [row('d:9797', 'a'), 0.5]] }, { expr: large!, samples: [[row('a', 'b'), 1], [row('d:9797', 'a'), 0]] },
    ...[icmpSmall, icmpLarge, icmp].map((expr) => ({ expr: expr!, samples: [] })),
    ...[udp, tcp].map((expr) => ({ expr: expr!, samples: both })),
  ])).toMatch(/SUCCESS$/)
})
