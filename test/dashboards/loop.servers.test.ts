import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stopMysqlServers } from '../support/mysql-server.ts'
import { createOwner } from '../support/owner.ts'
import { stopRedisServers } from '../support/redis-server.ts'
import { allOf, dashboards, interpolate, panelsOf } from './model.ts'
import { startPlace } from './place.ts'

const WITHIN_MS = 20_000
/** What Grafana makes of its own variables at this pace. */
const GRAFANA = { __rate_interval: '4s', __range: '1m' }
/** Queries without data here, each for a reason. */
const NOT_HERE: Readonly<Record<string, string>> = {}

/** What stock dashboards (14928, 7587) and rules for blackbox_exporter ask. */
const STOCK: readonly string[] = [
  'label_replace(probe_success, "x", "$1", "instance", "(.+)")', 'max by (instance) (probe_success)', 'probe_success == 0', 'avg_over_time(probe_success[30d]) * 100 < 99.9',
  'avg by (instance) (probe_duration_seconds)', 'probe_duration_seconds > bool 1', 'avg_over_time(probe_duration_seconds[1m])',
  ...['resolve', 'connect', 'tls', 'processing', 'transfer'].map((phase) => `probe_http_duration_seconds{phase="${phase}"}`), 'avg by (phase) (probe_http_duration_seconds)', 'sum by (instance) (probe_http_duration_seconds) > bool 1',
  ...['resolve', 'setup', 'rtt'].map((phase) => `probe_icmp_duration_seconds{phase="${phase}"}`), 'avg by (phase) (probe_icmp_duration_seconds)', 'avg_over_time(probe_icmp_duration_seconds[1m]) > bool 1',
  'avg(probe_dns_lookup_time_seconds)', 'max by (instance) (probe_http_redirects)', 'max by (instance) (probe_http_ssl) == 1', 'probe_http_ssl', 'max by (instance) (probe_http_version)',
  'max by (instance) (probe_http_status_code)', 'probe_http_status_code <= 199 or probe_http_status_code >= 400', 'count by (version) (probe_tls_version_info)', 'probe_tls_version_info',
  'min by (instance) (probe_ssl_earliest_cert_expiry) - time()', 'probe_ssl_earliest_cert_expiry - time() < 21 * 24 * 3600', 'round((last_over_time(probe_ssl_earliest_cert_expiry[10m]) - time()) / 86400, 0.1) < 0',
]

const owner = createOwner()
let place: Awaited<ReturnType<typeof startPlace>>

beforeAll(async () => {
  place = await startPlace(owner)
}, 60_000)

afterAll(async () => {
  await owner.end()
  await Promise.all([stopRedisServers(), stopMysqlServers()])
})

/** Every query, by its place, with the ways in which its variables may be chosen: one of them has to have data. */
function everyQuery(): Map<string, readonly string[]> {
  const queries = new Map(STOCK.map((expr) => [`stock: ${expr}`, [expr]]))
  for (const board of dashboards) {
    const all = { ...allOf(board), ...GRAFANA }
    const choices = board.uid === 'curlew-probe' ? place.examples.map(([probe, target]) => ({ ...all, probe, target })) : [all]
    for (const { title, targets } of panelsOf(board)) {
      for (const { refId, expr } of targets) queries.set(`${board.uid}: ${title} ${refId}`, choices.map((values) => interpolate(expr, values)))
    }
  }
  return queries
}

it('every query of every panel has data, and those of stock blackbox dashboards', { timeout: WITHIN_MS + 20_000 }, async () => {
  const waiting = everyQuery()
  expect(waiting.size).toBeGreaterThan(200)
  for (const name of Object.keys(NOT_HERE)) expect(waiting.has(name), name).toBe(true)
  const until = Date.now() + WITHIN_MS
  for (let round = 0; Date.now() < until; round++) {
    await place.stir(round)
    for (const [name, exprs] of waiting) {
      for (const expr of exprs) {
        if ((await place.prometheus.seriesOf(expr)).length === 0) continue
        waiting.delete(name)
        break
      }
    }
    if ([...waiting.keys()].every((name) => name in NOT_HERE)) break
    await sleep(1_000)
  }
  expect([...waiting.entries()].filter(([name]) => !(name in NOT_HERE)).map(([name, exprs]) => `${name}: ${exprs[0]}`)).toEqual([])
  expect([...waiting.keys()]).toEqual(Object.keys(NOT_HERE))
})

it('two Curlews that look at the same target are one line, but where a panel tells them apart', async () => {
  const apart = ['curlew-mounts', 'curlew-prober', 'curlew-deliveries']
  for (const board of dashboards.filter(({ uid }) => !apart.includes(uid))) {
    const [[probe, target]] = place.examples
    for (const { title, targets } of panelsOf(board).filter((panel) => !/Curlew|evidence|Alerts/.test(panel.title))) {
      for (const { expr } of targets) {
        const series = await place.prometheus.seriesOf(interpolate(expr, { ...allOf(board), ...GRAFANA, ...board.uid === 'curlew-probe' ? { probe, target } : {} }))
        expect(series.filter(({ instance }) => instance !== undefined), `${board.uid}: ${title}`).toEqual([])
      }
    }
  }
})

it('alerts are marked where they fire, and can be asked for everywhere', async () => {
  const firing = async (uid: string, chosen: Readonly<Record<string, string>> = {}) => {
    const board = dashboards.find((one) => one.uid === uid)!
    return (await place.prometheus.seriesOf(interpolate(board.annotations.list[0]!.expr, { ...allOf(board), ...chosen }))).length
  }
  for (const { uid } of dashboards) expect(await firing(uid), uid).toBeGreaterThanOrEqual(0)
  expect(await firing('curlew-overview')).toBeGreaterThan(0)
  expect(await firing('curlew-probe', { probe: 'gone', target: '127.0.0.1:1' })).toBe(1)
})

it('a target that is chosen is the only one shown', async () => {
  const [[probe, target]] = place.examples
  const [overview] = dashboards
  const state = panelsOf(overview!).find(({ type }) => type === 'status-history')!
  const chosen = { ...allOf(overview!), ...GRAFANA, probe, target: target.replaceAll('.', '\\\\.') }
  expect(await place.prometheus.seriesOf(interpolate(state.targets[0]!.expr, chosen))).toHaveLength(1)
  expect(await place.prometheus.seriesOf(interpolate(state.targets[0]!.expr, { ...chosen, cluster: 'elsewhere' }))).toEqual([])
})
