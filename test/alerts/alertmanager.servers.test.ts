import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { SCOPES, SEVERITIES } from '../../src/alerts/model.ts'
import { matches } from '../../src/notify/matchers.ts'
import { startAlertmanager, type Alertmanager } from '../support/alertmanager.ts'
import { eventually } from '../support/process.ts'
import { accepted, EXAMPLE, exampleConfig, inhibitions, type Labels } from './alertmanager-config.ts'

interface Scenario {
  readonly what: string
  /** Labels of alerts that fire together, in clusters of their own; an empty one is none. */
  readonly alerts: readonly Labels[]
  /** Which of them are muted, by index. */
  readonly muted: readonly number[]
}

const down = { alertname: 'DependencyDown', severity: 'critical', scope: 'dependency' }
const redis = { probe: 'cache', target: '10.0.0.1:6379', host: '10.0.0.1', root: 'cache/10.0.0.1:6379' }
const unreachable = { alertname: 'NetworkHostUnreachable', severity: 'critical', scope: 'network', probe: 'hosts' }
const burn = { alertname: 'DependencyBudgetBurnFast', severity: 'critical', scope: 'dependency' }
const apiServer = { alertname: 'KubernetesApiNotReady', scope: 'cluster', probe: 'kube-api', type: 'kube-api', target: 'https://10.0.0.9:6443' }
const mount = (node: string) => ({ probe: 'data', target: '/data', node, instance: `${node}:9797` })

const NAMED: readonly Scenario[] = [
  { what: 'an unreachable host mutes what stands on it and nothing on another', muted: [1], alerts: [{ ...unreachable, target: '10.0.0.1', host: '10.0.0.1' }, { ...down, ...redis }, { ...down, ...redis, target: '10.0.0.2:6379', host: '10.0.0.2', root: 'cache/10.0.0.2:6379' }] },
  { what: 'an unreachable host without its label mutes nothing, nor is anything without it muted', muted: [], alerts: [{ ...unreachable, target: '10.0.0.1' }, { ...down, ...redis }, { ...down, probe: 'other', target: 'a', root: 'other/a' }] },
  { what: 'a host that is down because of another still mutes what stands on it, and is muted by that one', muted: [1, 2], alerts: [{ ...unreachable, target: 'gateway', host: 'gateway', root: 'hosts/gateway' }, { ...unreachable, severity: 'info', target: '10.0.0.1', host: '10.0.0.1', root: 'hosts/gateway' }, { ...down, ...redis }] },
  { what: 'a lossy network mutes nothing', muted: [], alerts: [{ alertname: 'NetworkPacketLoss', severity: 'critical', scope: 'network', probe: 'hosts', target: '10.0.0.1', host: '10.0.0.1' }, { ...down, ...redis }] },
  {
    what: 'the chain from the node down: what is muted still mutes', muted: [1, 2],
    alerts: [
      { alertname: 'KubernetesNodeAddressChanged', severity: 'critical', scope: 'node', node: 'a', probe: 'nodes', target: 'a' },
      { ...unreachable, target: '10.0.0.1', host: '10.0.0.1', node: 'a' }, { ...down, ...redis },
    ],
  },
  {
    what: 'one API server of three that is down hides no node, and pages nobody', muted: [1],
    alerts: [
      { ...apiServer, severity: 'warning' }, { ...down, type: 'kube-api', probe: 'kube-api', target: apiServer.target, root: `kube-api/${apiServer.target}` },
      { alertname: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', node: 'a', probe: 'kube-node', target: 'a' },
      { alertname: 'HostThrashing', severity: 'critical', scope: 'node', node: 'b', probe: 'host', target: 'b', instance: 'agent-b' },
    ],
  },
  {
    what: 'a dead control plane node is one page, that of the node, beside a warning for its API server', muted: [1, 3, 4],
    alerts: [
      { ...apiServer, severity: 'warning' }, { ...down, type: 'kube-api', probe: 'kube-api', target: apiServer.target, root: `kube-api/${apiServer.target}` },
      { alertname: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', node: 'a', probe: 'kube-node', target: 'a' }, { ...down, type: 'kube-node', probe: 'kube-node', target: 'a', root: 'kube-node/a' },
      { alertname: 'CurlewTargetDown', severity: 'critical', scope: 'prober', node: 'a', instance: 'a/agent' },
    ],
  },
  {
    what: 'the last API server that goes: its page mutes its warning, and hides neither a node nor a blind Curlew', muted: [1, 2],
    alerts: [
      { ...apiServer, severity: 'critical' }, { ...apiServer, severity: 'warning' }, { ...down, type: 'kube-api', probe: 'kube-api', target: apiServer.target, root: `kube-api/${apiServer.target}` },
      { alertname: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', node: 'a', probe: 'kube-node', target: 'a' },
      { alertname: 'CurlewMostlyUnknown', severity: 'critical', scope: 'prober', instance: 'a/curlew' },
    ],
  },
  {
    what: 'a node that thrashes: not that it is not ready, nor that it is short of memory, nor what it has of the next one', muted: [1, 2, 3, 5],
    alerts: [
      { alertname: 'HostThrashing', severity: 'critical', scope: 'node', node: 'a', probe: 'host', target: 'a', instance: 'agent-a' }, { alertname: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', node: 'a', probe: 'kube-node', target: 'a' },
      { alertname: 'HostMemoryPressure', severity: 'warning', scope: 'node', node: 'a', probe: 'host', target: 'a', instance: 'agent-a' }, { ...down, probe: 'host', target: 'a', root: 'host/a' },
      { alertname: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', node: 'b', probe: 'kube-node', target: 'b' },
      { alertname: 'HostMemoryPressure', severity: 'critical', scope: 'node', node: 'a', probe: 'host', target: 'a', instance: 'agent-a' },
    ],
  },
  {
    what: 'a node that is gone pages once: not for each neighbour or network, nor for what the API says of it, what is on it, or its agent', muted: [1, 2, 3, 4, 6, 7, 8, 9],
    alerts: [
      ...['host', 'pod'].map((network) => ({ alertname: 'NodeUnreachableFromNodes', severity: 'critical', scope: 'node', node: 'a', peer: 'a', network, probe: `mesh-${network}`, target: 'a:9798' })),
      ...['b', 'c'].map((node) => ({ alertname: 'MeshEdgeBroken', severity: 'warning', scope: 'network', node, peer: 'a', network: 'pod', instance: `${node}:9797`, probe: 'mesh-pod', target: 'a:9798' })),
      { alertname: 'NodeCannotReach', severity: 'critical', scope: 'node', node: 'a', network: 'pod', instance: 'a:9797' },
      { alertname: 'MeshEdgeBroken', severity: 'warning', scope: 'network', node: 'b', peer: 'd', network: 'pod', instance: 'b:9797', probe: 'mesh-pod', target: 'd:9798' },
      { alertname: 'KubernetesNodeNotReady', severity: 'critical', scope: 'node', node: 'a', probe: 'kube-node', target: 'a' }, { ...down, probe: 'kube-node', target: 'a', root: 'kube-node/a' },
      { ...down, ...redis, node: 'a' }, { alertname: 'CurlewTargetDown', severity: 'critical', scope: 'prober', node: 'a', instance: 'a:9797' },
      { ...down, ...redis, target: '10.0.0.2:6379', host: '10.0.0.2', node: 'b', root: 'cache/10.0.0.2:6379' }, { alertname: 'CurlewTargetDown', severity: 'critical', scope: 'prober', instance: 'curlew:9797' },
    ],
  },
  {
    what: 'a shard without an active replica: not that its targets are probed by none', muted: [1],
    alerts: [{ alertname: 'CurlewNoActiveReplica', severity: 'critical', scope: 'prober', lease: 'watch/curlew-1' }, { alertname: 'CurlewTargetsNotProbed', severity: 'critical', scope: 'prober', shards: '3' }],
  },
  {
    what: 'a page for one limit hides no warning of another one', muted: [1, 4],
    alerts: [
      ...['critical', 'warning'].map((severity) => ({ alertname: 'HostLimitNear', severity, scope: 'node', node: 'a', probe: 'host', target: 'a', instance: 'agent-a', limit: 'pids' })),
      { alertname: 'HostLimitNear', severity: 'warning', scope: 'node', node: 'a', probe: 'host', target: 'a', instance: 'agent-a', limit: 'inotify' },
      ...['critical', 'warning'].map((severity) => ({ alertname: 'LimitExceeded', severity, scope: 'dependency', probe: 'way', target: 'x', limit: 'hops' })),
      { alertname: 'LimitExceeded', severity: 'warning', scope: 'dependency', probe: 'way', target: 'x', limit: 'rtt' },
    ],
  },
  { what: 'two roots, each with what it explains', muted: [1], alerts: [{ ...down, ...redis }, { alertname: 'DependencyDownExplained', severity: 'info', scope: 'dependency', probe: 'app', target: 'b', root: redis.root }, { alertname: 'DependencyDownExplained', severity: 'info', scope: 'dependency', probe: 'app', target: 'c', root: 'dns/x' }] },
  { what: 'a host that is the root of what stands on it', muted: [1], alerts: [{ ...unreachable, target: '10.0.0.1', root: 'hosts/10.0.0.1' }, { alertname: 'DependencyDownExplained', severity: 'info', scope: 'dependency', probe: 'app', target: 'b', root: 'hosts/10.0.0.1' }] },
  { what: 'an outage mutes the budget of its own target only', muted: [1], alerts: [{ ...down, ...redis }, { ...burn, probe: 'cache', target: redis.target }, { ...burn, probe: 'cache', target: '10.0.0.2:6379' }] },
  { what: 'an explained outage mutes its budget too', muted: [1], alerts: [{ alertname: 'DependencyDownExplained', severity: 'info', scope: 'dependency', probe: 'app', target: 'b', root: 'dns/x' }, { ...burn, probe: 'app', target: 'b' }] },
  { what: 'a mount that hangs on one node says nothing of the other', muted: [1], alerts: [{ alertname: 'MountHung', severity: 'critical', scope: 'storage', ...mount('a') }, { ...down, ...mount('a'), root: 'data//data' }, { ...down, ...mount('b'), root: 'data//data' }] },
  { what: 'space on two nodes, critical on one', muted: [1], alerts: [{ alertname: 'MountSpaceLow', severity: 'critical', scope: 'storage', ...mount('a') }, { alertname: 'MountSpaceLow', severity: 'warning', scope: 'storage', ...mount('a') }, { alertname: 'MountSpaceLow', severity: 'warning', scope: 'storage', ...mount('b') }] },
  { what: 'a broken replication does not hide that its server dies', muted: [], alerts: [{ alertname: 'MysqlReplicationBroken', severity: 'critical', scope: 'dependency', probe: 'db', target: 'x' }, { ...down, probe: 'db', target: 'x', root: 'db/x' }] },
  { what: 'a warning mutes no page of the same alert', muted: [1], alerts: [{ alertname: 'RedisMemoryHigh', severity: 'critical', scope: 'dependency', probe: 'cache', target: 'a' }, { alertname: 'RedisMemoryHigh', severity: 'warning', scope: 'dependency', probe: 'cache', target: 'a' }] },
  { what: 'a certificate file on two nodes', muted: [1], alerts: [{ alertname: 'CertificateExpired', severity: 'critical', scope: 'certificate', ...mount('a') }, { alertname: 'CertificateRenewalLate', severity: 'warning', scope: 'certificate', ...mount('a') }, { alertname: 'CertificateRenewalLate', severity: 'warning', scope: 'certificate', ...mount('b') }] },
  { what: 'the last stage of a certificate alone', muted: [0, 1, 2], alerts: ['CertificateRenewalDue', 'CertificateRenewalLate', 'CertificateExpiresVerySoon', 'CertificateExpired'].map((alertname, index) => ({ alertname, severity: ['info', 'warning', 'critical', 'critical'][index] ?? '', scope: 'certificate', probe: 'web', target: 'a' })) },
]

/** Two alerts that lack a label: muted only where an inhibition does without it. A label that is missing is never equal. */
function without(what: string, one: Labels, other: Labels): Scenario {
  const mutes = inhibitions().some(({ source, target, equal }) => matches(source, one) && matches(target, other) && equal.every((label) => one[label] && one[label] === other[label]))
  return { what, alerts: [one, other], muted: mutes ? [1] : [] }
}

/** From each inhibition's own matchers: it mutes; not with another value of a label that is to be equal; not where both lack it. */
const MADE: readonly Scenario[] = inhibitions().flatMap(({ name, source, target, equal }) => accepted(source).flatMap((from) => accepted(target).flatMap((to): Scenario[] => {
  const shared = Object.fromEntries(equal.filter((label) => label !== 'cluster').map((label) => [label, label === 'alertname' ? 'RedisMemoryHigh' : 'same']))
  const [one, other]: [Labels, Labels] = [{ alertname: 'Left', ...from, ...shared, cluster: 'own' }, { alertname: 'Right', ...to, ...shared, cluster: 'own' }]
  const what = `${name}, ${one['alertname']} over ${other['alertname']}`
  return [
    { what: `${what}: mutes`, alerts: [one, other], muted: [1] },
    { what: `${what}: in two clusters`, alerts: [{ ...one, cluster: 'east' }, { ...other, cluster: 'west' }], muted: [] },
    ...equal.filter((label) => label !== 'alertname').flatMap((label): Scenario[] => [
      { what: `${what}: another ${label}`, alerts: [one, { ...other, [label]: 'another' }], muted: [] },
      without(`${what}: neither has ${label}`, { ...one, [label]: '' }, { ...other, [label]: '' }),
      { what: `${what}: only the first has ${label}`, alerts: [one, { ...other, [label]: '' }], muted: [] },
      { what: `${what}: only the second has ${label}`, alerts: [{ ...one, [label]: '' }, other], muted: [] },
    ]),
  ]
})))

describe('the shipped configuration in a real Alertmanager', () => {
  let alertmanager: Alertmanager
  const scenarios = [...NAMED, ...MADE]
  const muted = new Map<string, readonly number[]>()

  beforeAll(async () => {
    const { global: _, receivers, ...rest } = exampleConfig()
    // The same routes and inhibitions; its receivers would go to the network.
    alertmanager = await startAlertmanager(stringify({ ...rest, receivers: receivers.map(({ name }) => ({ name })) }))
    const alerts = scenarios.flatMap(({ alerts: own }, number) => own.map((labels, index) => ({ labels: present({ ...labels, cluster: labels['cluster'] === '' ? '' : `c${number}${labels['cluster'] ?? ''}`, case: `${number}.${index}` }) })))
    await alertmanager.post(alerts)
    // They are taken in one after the other: once the last one is muted, all are judged.
    const last = { alertname: 'DependencyFlapping', scope: 'dependency', cluster: 'last', probe: 'last', target: 'last' }
    await alertmanager.post([{ labels: { ...last, alertname: 'DependencyDown', severity: 'critical' } }, { labels: last }])
    await eventually(async () => (await suppressed()).some(({ cluster }) => cluster === 'last'))
    for (const [number, found] of Map.groupBy((await suppressed()).flatMap(({ case: name }) => (name === undefined ? [] : [name.split('.')])), ([first]) => first)) {
      muted.set(String(number), found.map(([, index]) => Number(index)).toSorted((a, b) => a - b))
    }
  })
  afterAll(() => alertmanager.stop())

  async function suppressed(): Promise<readonly Labels[]> {
    const all = await (await fetch(`${alertmanager.url}/api/v2/alerts?active=true&inhibited=true`)).json() as { labels: Labels, status: { inhibitedBy: string[] } }[]
    return all.filter(({ status }) => status.inhibitedBy.length > 0).map(({ labels }) => labels)
  }

  it.each(NAMED.map(({ what }, number) => ({ what, number })))('$what', ({ number }) => {
    expect(muted.get(String(number)) ?? []).toEqual(NAMED[number]?.muted)
  })

  it('mutes by each inhibition what it should, and nothing that lacks a label or has another one', () => {
    const wrong = scenarios.filter(({ muted: wanted }, number) => String(muted.get(String(number)) ?? []) !== String(wanted)).map(({ what }) => what)
    expect(MADE.length).toBeGreaterThan(100)
    expect(wrong).toEqual([])
  })
})

/** A label that is empty is none. */
function present(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
}

describe('amtool', () => {
  it('takes the shipped configuration', () => {
    expect(execFileSync('amtool', ['check-config', EXAMPLE], { encoding: 'utf8', stdio: 'pipe' })).toMatch(/SUCCESS/)
  })

  const receivers = (...labels: readonly string[]) => execFileSync('amtool', ['config', 'routes', 'test', `--config.file=${EXAMPLE}`, ...labels], { encoding: 'utf8', stdio: 'pipe' }).trim()

  it.each(SCOPES)('sends alerts of the scope %s where they belong', (scope) => {
    for (const severity of SEVERITIES) expect(receivers(`scope=${scope}`, `severity=${severity}`), severity).toBe(scope === 'prober' ? 'not-curlew' : 'curlew')
  })

  it('sends the Watchdog out and to Curlew, and what it does not know to Curlew', () => {
    expect(receivers('alertname=Watchdog', 'severity=none', 'scope=prober')).toBe('heartbeat,curlew')
    expect(receivers('alertname=Anything')).toBe('curlew')
  })
})
