import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { FAMILIES } from '../../src/alerts/index.ts'
import { groupsOf } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'
import { makeCertificates } from '../support/certificates.ts'
import { serveCurlew } from '../support/curlew.ts'
import { startNamed } from '../support/dns-servers.ts'
import { mountFaulty } from '../support/fuse.ts'
import { httpServer } from '../support/http-servers.ts'
import { startKubeApi } from '../support/kube-api.ts'
import { startMemcached } from '../support/memcached-server.ts'
import { entryOf, furnish } from '../support/mysql-faults.ts'
import { follow, startMysql } from '../support/mysql-server.ts'
import { firing, postAlerts, TOKEN } from '../support/notify.ts'
import type { createOwner } from '../support/owner.ts'
import { freePort, startProcess } from '../support/process.ts'
import { PROMETHEUSES } from '../support/prometheus.ts'
import { startCluster, startPair, startSentinels } from '../support/redis-groups.ts'
import { startRedis } from '../support/redis-server.ts'
import { listening } from '../support/tcp.ts'

type Owner = ReturnType<typeof createOwner>
const { good, expired, caFile } = makeCertificates()

/** Nothing listens there, and no free port is taken by something that starts later. */
const [NOBODY, NOBODY_ELSE] = ['127.0.0.1:1', 'localhost:1']

/** Every kind of target for real, some of them broken, a Curlew that probes them all and delivers alerts, and a Prometheus that scrapes it, as if it were two. */
export async function startPlace(owner: Owner) {
  const { path, write } = owner.place()
  const [redis, mysql, memcached, named, web, mount] = await Promise.all([
    startRedises(), startPairOfMysql(), owner.started(startMemcached(['-m', '8', '-c', '64'])), owner.started(startNamed(path)), startWeb(owner), owner.started(mountFaulty()),
  ])
  const chats = await owner.opened(listening(createServer((request, response) => { request.resume(); response.writeHead(request.url === '/well' ? 200 : 500).end() })))
  const at = (server: { readonly port: number }) => `127.0.0.1:${server.port}`
  const files = join(path, 'certificates')
  const space = join(path, 'space')
  mkdirSync(files)
  mkdirSync(space)
  writeFileSync(join(files, 'good.pem'), good.cert)
  writeFileSync(join(files, 'broken.pem'), '-----BEGIN CERTIFICATE-----\n')
  const kubernetes = await startKubernetes(owner, web.secure.port)
  const meshPort = await freePort()
  mount.suffer({ statfs: { hang: true } })

  const sentinels = `${redis.sentinels.map(at).join(',')}/mymaster`
  const config = write('curlew.yaml', {
    defaults: { every: '500ms', timeout: '400ms', failure_threshold: 1, histogram: true },
    kubernetes: { clusters: [{ name: 'room', kubeconfig: kubernetes.kubeconfig, inside: true }] },
    discovery: { kubernetes: { annotations: true } },
    mesh: { listen: `127.0.0.1:${meshPort}` },
    notify: {
      token: TOKEN, allow_private_destinations: true, redis: { url: `redis://${at(redis.shared)}/0`, durability: 'best-effort' },
      channels: ['well', 'broken'].map((name) => ({ name, type: 'webhook', secret: 'a key that both sides know', url: `http://${at(chats)}/${name}` })),
      routes: [{ channels: ['well', 'broken'] }],
    },
    probes: [
      { name: 'cache', type: 'redis', targets: [at(redis.pair.master), at(redis.pair.replica)], limits: { memory_ratio: { warning: 0.8 } } },
      { name: 'queue', type: 'redis-sentinel', target: sentinels },
      { name: 'feeds', type: 'redis-cluster', target: redis.cluster.map(at).join(',') },
      { name: 'sessions', type: 'memcached', target: at(memcached) },
      ...[mysql.source, mysql.replica].map((server, index) => ({ ...entryOf(server.port), name: `orders-${index}`, heartbeat: { table: 'probe.heartbeat' }, timeout: '2s', every: '2s' })),
      { name: 'names', type: 'dns', target: at(named), query: 'www.good.test' },
      { name: 'strange-names', type: 'dns', target: at(named), query: 'www.strange.test' },
      // The kernel lets nobody broadcast who did not ask for it: trouble of ours.
      { name: 'forbidden', type: 'dns', target: '127.255.255.255:53', query: 'www.good.test' },
      { name: 'kube-dns-upstream', type: 'dns', target: at(named), query: 'www.good.test' },
      { name: 'kube-dns', type: 'kube-dns', target: at(named), domain: 'good.test', external: 'www.good.test' },
      // The first run of each loads the client.
      { name: 'kube-api', type: 'kube-api', target: at(kubernetes), kubeconfig: kubernetes.kubeconfig, every: '2s', timeout: '2s' },
      { name: 'kube-node', type: 'kube-node', target: 'worker-1', kubeconfig: kubernetes.kubeconfig, every: '2s', timeout: '2s' },
      { name: 'this-host', type: 'host', target: 'worker-1', proc: procOf(path) },
      { name: 'mesh', type: 'mesh', target: `127.0.0.1:${meshPort}` },
      { name: 'host', type: 'ping', target: '127.0.0.1', count: 3, packet_interval: '20ms' },
      // The name has it run within 4 s of the start: a route is looked at once a minute at most.
      { name: 'line', type: 'traceroute', target: '127.0.0.1', every: '1m', timeout: '1s' },
      { name: 'page', type: 'http', targets: [`${web.plain.url}/moved`, `https://localhost:${web.secure.port}/`], ca_file: caFile },
      { name: 'error-page', type: 'http', target: `${web.plain.url}/error` },
      { name: 'port', type: 'tcp', target: `two.test:${chats.port}` },
      { name: 'gone', type: 'tcp', target: NOBODY },
      { name: 'upon-gone', type: 'tcp', target: NOBODY_ELSE, depends_on: ['gone'] },
      { name: 'files', type: 'cert', target: files, served: [`localhost:${web.secure.port}`] },
      { name: 'old', type: 'cert', target: `localhost:${web.expired.port}`, ca_file: caFile },
      { name: 'space', type: 'mount', target: space, require_mount: false },
      { name: 'hung', type: 'mount', target: mount.path },
    ],
  })
  const hosts = write('hosts', '127.0.0.1 localhost two.test\n127.0.0.2 two.test\n')
  const curlew = await owner.started(serveCurlew(['-c', config], { cwd: path, wrap: ['unshare', '--mount', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'] }))
  const prometheus = await startPrometheus(owner, path, write, curlew.url)
  return {
    curlew, prometheus,
    /** Single targets that between them show all that the dashboard about one can. */
    examples: [['page', `https://localhost:${web.secure.port}/`], ['upon-gone', NOBODY_ELSE], ['cache', at(redis.pair.master)], ['gone', NOBODY]] as const,
    /** One more alert to deliver, one more prepared statement that nobody closes, and a scan. */
    async stir(round: number) {
      await Promise.all([
        postAlerts(curlew.url, firing(`Stirred${round}`, { probe: 'gone', target: NOBODY })),
        mysql.client.query(`PREPARE leak_${round} FROM 'SELECT ${round}'`).then(() => mysql.client.query('SELECT COUNT(*) FROM big a, big b')),
      ])
    },
  }

  async function startRedises() {
    const [pair, cluster, shared] = await Promise.all([startPair({ args: ['--maxmemory', '100mb'] }), startCluster({ args: ['--maxmemory', '100mb'] }), startRedis()])
    return { pair, cluster, shared, sentinels: await startSentinels(pair.master) }
  }

  async function startPairOfMysql() {
    const [source, replica] = await Promise.all([startMysql('mariadb'), startMysql('mariadb', { id: 2, args: ['--read-only=1'] })])
    await furnish(source)
    await follow(replica, source)
    const client = await source.client()
    // Statements without a default database count for nobody.
    await client.query('USE shop')
    return { source, replica, client }
  }
}

/** As /proc says of a machine at rest, also where this one's kernel has no PSI. */
function procOf(path: string): string {
  const proc = join(path, 'proc')
  for (const directory of ['pressure', 'sys/fs/inotify', '1/fd', '1/fdinfo', '2']) mkdirSync(join(proc, directory), { recursive: true })
  for (const resource of ['memory', 'io']) writeFileSync(join(proc, 'pressure', resource), ['some', 'full'].map((kind) => `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`).join(''))
  for (const [limit, value] of [['instances', 128], ['watches', 8192]]) writeFileSync(join(proc, `sys/fs/inotify/max_user_${limit}`), `${value}\n`)
  writeFileSync(join(proc, 'meminfo'), 'MemTotal: 2000000 kB\nMemAvailable: 1000000 kB\n')
  writeFileSync(join(proc, 'vmstat'), 'workingset_refault_anon 0\nworkingset_refault_file 0\npgmajfault 0\npgscan_kswapd 0\npgscan_direct 0\n')
  writeFileSync(join(proc, '1/fdinfo/3'), 'pos:\t0\n')
  // Without the kernel's own threads it would be a container's.
  writeFileSync(join(proc, '2/comm'), 'kthreadd\n')
  writeFileSync(join(proc, '1/status'), 'Name:\tinit\nUid:\t0\t0\t0\t0\n')
  symlinkSync('anon_inode:inotify', join(proc, '1/fd/3'))
  return proc
}

/** An API server with one node, whose kubelet is some other server that answers 200. */
async function startKubernetes(owner: Owner, kubelet: number) {
  const api = await owner.started(startKubeApi())
  // Nothing of that can be probed, and so it is refused.
  api.put({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'wrong', namespace: 'shop', annotations: { 'curlew.dev/probe': 'none' } }, spec: { ports: [{ port: 80 }] } })
  api.put({
    apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' },
    status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }], conditions: [{ type: 'MemoryPressure', status: 'False' }, { type: 'Ready', status: 'True' }], daemonEndpoints: { kubeletEndpoint: { Port: kubelet } } },
  })
  return { port: api.port, kubeconfig: api.kubeconfig() }
}

async function startWeb(owner: Owner) {
  const plain = await owner.opened(httpServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/' }).end()
    else response.writeHead(request.url === '/error' ? 500 : 200).end('a page')
  }))
  const [secure, old] = await Promise.all([good, expired].map((pair) => owner.opened(httpServer((_request, response) => response.end('a page'), { pair }))))
  return { plain, secure: secure!, expired: old! }
}

/** A Prometheus that has known the target since 40 minutes ago: a share of an hour is recorded of none that is younger than half of it. */
function past(path: string, write: (name: string, value: unknown) => string): string {
  const now = Date.now() / 1_000
  const samples = Array.from({ length: 30 }, (_, index) => `probe_runs_total{job="curlew",instance="before",probe="gone",type="tcp",target="${NOBODY}",result="ok"} ${index} ${now - 2_400 + 30 * index}`)
  const data = join(path, 'tsdb')
  execFileSync(PROMETHEUSES[0].promtool, ['tsdb', 'create-blocks-from', 'openmetrics', write('past.txt', ['# TYPE probe_runs counter', ...samples, '# EOF', ''].join('\n')), data], { stdio: 'pipe' })
  return data
}

/** With the shipped rules, at a pace at which they can be waited for. */
async function startPrometheus(owner: Owner, path: string, write: (name: string, value: unknown) => string, curlew: string) {
  const { values } = readValues(FAMILIES, 'values.yaml', '{ scrape_interval: 500ms, alerts: { DependencyDown: { for: 1s } } }')
  if (!values) throw new Error('no values')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  await owner.started(startProcess(PROMETHEUSES[0].prometheus, [
    `--config.file=${write('prometheus.json', {
      global: { scrape_interval: '500ms', evaluation_interval: '500ms' }, rule_files: [write('rules.yml', stringify({ groups: groupsOf(FAMILIES, values) }))],
      // Twice: as two Curlews that look at the same targets.
      scrape_configs: [{ job_name: 'curlew', static_configs: [{ targets: [new URL(curlew).host, `localhost:${new URL(curlew).port}`] }] }],
    })}`, `--storage.tsdb.path=${past(path, write)}`, `--web.listen-address=127.0.0.1:${port}`,
  ], { ready: () => fetch(`${url}/-/ready`).then((response) => response.ok, () => false), withinMs: 20_000 }))
  return {
    url,
    /** The labels of the series that an expression has now. Throws when Prometheus refuses it. */
    async seriesOf(expr: string): Promise<Readonly<Record<string, string>>[]> {
      const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expr }), signal: AbortSignal.timeout(5_000) })
      const answer = await response.json() as { error?: string, data?: { result: { metric: Record<string, string> }[] } } // safe: Prometheus' format
      if (!answer.data) throw new Error(`${answer.error}: ${expr}`)
      return answer.data.result.map(({ metric }) => metric)
    },
  }
}
