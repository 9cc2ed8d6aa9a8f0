import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { startAlertmanager } from '../support/alertmanager.ts'
import { serveCurlew } from '../support/curlew.ts'
import { mountFaulty } from '../support/fuse.ts'
import { startMysql, stopMysqlServers } from '../support/mysql-server.ts'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'
import { startPrometheus } from '../support/prometheus-server.ts'
import { startRedis, stopRedisServers } from '../support/redis-server.ts'
import { quickRules } from '../support/rules.ts'
import { listening } from '../support/tcp.ts'

const owner = createOwner()

afterEach(async () => {
  await owner.end()
  await stopRedisServers()
  await stopMysqlServers()
})

interface Posted {
  readonly at: number
  readonly receiver: string
  readonly status: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** Everything that Alertmanager tells anybody. */
async function startReceiver() {
  const posted: Posted[] = []
  const server = await owner.opened(listening(createServer((request, answer) => {
    let text = ''
    request.on('data', (chunk: Buffer) => { text += chunk.toString() })
    request.on('end', () => {
      const { receiver, alerts } = JSON.parse(text) as { receiver: string, alerts: Omit<Posted, 'at' | 'receiver'>[] } // safe: Alertmanager's payload
      for (const alert of alerts) posted.push({ ...alert, receiver, at: Date.now() })
      answer.end()
    })
  })))
  return { posted, url: `http://127.0.0.1:${server.port}/` }
}

interface Route { routes?: Route[], [key: string]: unknown }

/** The shipped example, with every receiver at this address and nothing to wait for. */
function quickRoutes(url: string): string {
  const config = parse(readFileSync(join(import.meta.dirname, '../../alerts/alertmanager.example.yml'), 'utf8')) as { route: Route, receivers: { name: string }[] } // safe: amtool checks it
  const quick = (route: Route): Route => ({ ...route, group_wait: '100ms', group_interval: '1s', ...route.routes ? { routes: route.routes.map(quick) } : {} })
  return stringify({
    ...config,
    global: {},
    route: quick(config.route),
    receivers: config.receivers.map(({ name }) => ({ name, webhook_configs: [{ url, send_resolved: true }] })),
  })
}

it('from a Redis, a MariaDB and a mount that break to the alerts that say so, and back', { timeout: 80_000 }, async () => {
  const { path, write } = owner.place()
  let pageIsUp = true
  const [redis, mariadb, mount, page, receiver] = await Promise.all([startRedis(), startMysql('mariadb'), owner.started(mountFaulty()), owner.opened(listening(createServer((request, answer) => (pageIsUp ? answer.end('well') : request.socket.destroy())))), startReceiver()])
  await mariadb.sql("CREATE USER curlew@'%' IDENTIFIED BY 'secret'", "GRANT USAGE ON *.* TO curlew@'%'")
  const curlew = await owner.started(serveCurlew(['-c', write('curlew.yaml', {
    defaults: { every: '500ms', timeout: '400ms' },
    probes: [
      { name: 'cache', type: 'redis', target: `127.0.0.1:${redis.port}` },
      { name: 'app', type: 'http', target: `http://127.0.0.1:${page.port}/`, depends_on: ['cache'] },
      { name: 'db', type: 'mysql', target: `127.0.0.1:${mariadb.port}`, username: 'curlew', password: 'secret' },
      { name: 'data', type: 'mount', target: mount.path, fstype: 'fuse.faulty', every: '1s', timeout: '900ms' },
    ],
  })], { cwd: path }))
  const alertmanager = await owner.started(startAlertmanager(quickRoutes(receiver.url)))
  const prometheus = await startPrometheus(owner, { targets: [new URL(curlew.url).host], rules: quickRules(), alertmanager: alertmanager.url })
  await eventually(async () => (await prometheus.query('probe_healthy == 1')).length === 4, 15_000, 'four healthy targets')

  const find = (status: string, alertname: string, probe: string) => receiver.posted.find((one) => one.status === status && one.labels['alertname'] === alertname && one.labels['probe'] === probe)
  const told = (status: string, alertname: string, probe: string) => eventually(() => find(status, alertname, probe), 30_000, `${alertname} of ${probe}: ${status}`)

  const brokenAt = Date.now()
  redis.process.child.kill('SIGSTOP')
  pageIsUp = false
  mariadb.process.child.kill('SIGSTOP')
  mount.suffer({ '*': { hang: true } })
  const breaks = [['DependencyDown', 'cache'], ['DependencyDown', 'db'], ['MountHung', 'data']] as const
  const firing = await Promise.all(breaks.map(([alertname, probe]) => told('firing', alertname, probe)))

  expect(firing[0]?.labels).toMatchObject({ severity: 'critical', scope: 'dependency', cluster: 'default', type: 'redis', target: `127.0.0.1:${redis.port}`, root: `cache/127.0.0.1:${redis.port}`, host: '127.0.0.1', job: 'curlew' })
  expect(firing[2]?.labels).toMatchObject({ severity: 'critical', target: mount.path })
  for (const alert of firing) expect(Object.keys(alert.labels)).not.toEqual(expect.arrayContaining(['layer']))
  expect(firing[0]?.annotations['description']).toMatch(/\(\w+\/timeout\)/)

  // What is down because of it is known, and nobody is told.
  const explained = await eventually(async () => (await alertmanager.alerts()).find(({ labels }) => labels['alertname'] === 'DependencyDownExplained'), 15_000, 'the explained one')
  expect(explained).toMatchObject({ labels: { probe: 'app', root: `cache/127.0.0.1:${redis.port}` }, status: { state: 'suppressed' } })

  // A timeout that turns into a refusal is the same alert.
  const activeAt = async () => (await prometheus.alerts()).filter(({ labels }) => labels['alertname'] === 'DependencyDown' && labels['probe'] === 'cache').map((alert) => ({ activeAt: alert.activeAt, refused: alert.annotations['description']?.includes('(connect/refused)') }))
  const before = await activeAt()
  await redis.process.stop('SIGKILL')
  await eventually(async () => (await activeAt())[0]?.refused === true, 10_000, 'a refusal')
  expect(await activeAt()).toEqual([{ activeAt: before[0]?.activeAt, refused: true }])

  const mendedAt = Date.now()
  await startRedis({ port: redis.port })
  pageIsUp = true
  mariadb.process.child.kill('SIGCONT')
  mount.suffer()
  const resolved = await Promise.all(breaks.map(([alertname, probe]) => told('resolved', alertname, probe)))

  // A group tells its other alerts again with each new one.
  const of = (name: string) => receiver.posted.filter(({ labels }) => labels['probe'] === name).map(({ status, labels }) => `${labels['alertname']} ${status}`).filter((text, index, all) => text !== all[index - 1])
  expect(of('cache')).toEqual(['DependencyDown firing', 'DependencyDown resolved'])
  expect(of('app')).toEqual([])
  process.stdout.write(`${['what broke      alert            told after   ended after', ...breaks.map(([alertname, probe], index) =>
    `${probe.padEnd(15)} ${alertname.padEnd(16)} ${seconds(firing[index], brokenAt)}   ${seconds(resolved[index], mendedAt)}`), 'app             DependencyDownExplained: muted by cache'].join('\n')}\n`)
})

function seconds(one: Posted | undefined, since: number): string {
  return `${((Number(one?.at) - since) / 1_000).toFixed(1).padStart(8)} s`
}
