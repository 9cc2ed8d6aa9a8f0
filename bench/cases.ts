import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificates } from '../test/support/certificates.ts'
import { startMysql } from '../test/support/mysql-server.ts'
import { freePort, startProcess, temporaryDirectory } from '../test/support/process.ts'
import { listens } from '../test/support/tcp.ts'
import { BLACKBOX, SMOKEPING, startBlackbox, startNodeAlone, startSmokeping, type BarePlan, type Contender, type PeerName } from './peers.ts'
import { addresses, startTarget } from './targets.ts'

type Entry = Readonly<Record<string, unknown>>

/** Servers that are running, and how each side probes them. */
export interface Load {
  /** Curlew's probe entry, but for how often. */
  readonly entry: Entry
  /** The same without the client library. */
  readonly bare?: Entry
  startPeer?(perSecond: number): Promise<Contender>
  /** The same exchange with what Node has for it and nothing around it. */
  startNode?(perSecond: number): Promise<Contender>
  stop(): Promise<void> | void
}

export interface Case {
  /** The row of the table. */
  readonly name: string
  /** What `--only` calls it. */
  readonly part: string
  /** How many targets there are, and how many probes a second all of them are. */
  readonly targets: number
  readonly perSecond: number
  readonly peer?: PeerName
  /** The ratio to the peer that is aimed at. */
  readonly aim?: number
  /** The library that `bare` does without. */
  readonly library?: string
  start(targets: number): Promise<Load>
}

const USUAL = { targets: 1_000, perSecond: 500, peer: BLACKBOX } as const
/** Servers that could not bear more. */
const SLOW = { targets: 100, perSecond: 50 } as const
const ip4 = { preferred_ip_protocol: 'ip4' } as const
const PASSWORD = 'benchmark'

export const CASES: readonly Case[] = [
  { name: 'tcp', part: 'tcp', ...USUAL, aim: 0.15, async start(count) {
    const { port, stop } = await startTarget('tcp')
    return besideNode({ kind: 'tcp', port }, count, versus({ type: 'tcp' }, onPort(port, count), { prober: 'tcp', tcp: ip4 }, stop))
  } },
  { name: 'http', part: 'http', ...USUAL, aim: 0.2, async start(count) {
    const { port, stop } = await startTarget('http')
    return besideNode({ kind: 'http', port }, count, versus({ type: 'http' }, onPort(port, count).map((target) => `http://${target}/`), { prober: 'http', http: ip4 }, stop))
  } },
  { name: 'dns', part: 'dns', ...USUAL, aim: 0.08, async start(count) {
    const { port, stop } = await startTarget('dns', String(count))
    const query = 'kubernetes.default.svc.cluster.local'
    return besideNode({ kind: 'dns', port, query }, count, versus({ type: 'dns', query }, onPort(port, count), { prober: 'dns', dns: { ...ip4, query_name: query, query_type: 'A' } }, stop))
  } },
  { name: 'tls', part: 'tls', ...USUAL, aim: 0.75, async start(count) {
    const { caFile, good } = makeCertificates()
    const { port, stop } = await startTarget('tls', good.certFile, good.keyFile)
    const trust = { ca_file: caFile, server_name: 'localhost' }
    return besideNode({ kind: 'tls', port, caFile }, count, versus({ type: 'tcp', tls: true, ...trust }, onPort(port, count), { prober: 'tcp', tcp: { ...ip4, tls: true, tls_config: trust } }, stop))
  } },
  { name: 'redis', part: 'redis', ...USUAL, aim: 0.42, library: 'ioredis', start: (count) => redis(count, 'read-write', [
    { send: 'ROLE' }, { expect: '^master' }, { send: 'INFO' }, { expect: '^redis_version' }, { send: 'SET probe:bench bench PX 30000' }, { expect: '^\\+OK' },
    { send: 'GET probe:bench' }, { expect: '^bench' }, { send: 'UNLINK probe:bench' }, { expect: '^:' },
  ]) },
  { name: 'redis, read-only', part: 'redis', ...USUAL, aim: 0.42, start: (count) => redis(count, 'read-only', [{ send: 'PING' }, { expect: '^\\+PONG' }]) },
  { name: 'memcached', part: 'memcached', ...USUAL, aim: 0.35, library: 'memjs', start: (count) => memcached(count, 'read-write', [
    { send: 'version\r' }, { expect: '^VERSION' }, { send: 'stats\r' }, { expect: '^END' }, { send: 'set probe:bench 0 60 5\r\nbench\r' }, { expect: '^STORED' },
    { send: 'get probe:bench\r' }, { expect: '^bench' }, { send: 'delete probe:bench\r' }, { expect: 'DELETED|NOT_FOUND' },
  ]) },
  { name: 'memcached, read-only', part: 'memcached', ...USUAL, aim: 0.35, start: (count) => memcached(count, 'read-only', [{ send: 'version\r' }, { expect: '^VERSION' }]) },
  { name: 'ping', part: 'ping', targets: 1_000, perSecond: 1_000, peer: SMOKEPING, aim: 0.1, start(count) {
    const hosts = addresses(count)
    return Promise.resolve({ entry: { type: 'ping', count: 1, packet_timeout: '800ms', targets: hosts }, startPeer: () => startSmokeping(hosts), stop() {} })
  } },
  { name: 'mysql', part: 'mysql', ...SLOW, library: 'mysql2', async start(count) {
    const server = await startMysql('mariadb', { args: ['--bind-address=0.0.0.0', '--max-connections=1000'] })
    await server.sql(`CREATE USER 'prober'@'%' IDENTIFIED BY '${PASSWORD}'`)
    const login = { targets: onPort(server.port, count), username: 'prober', password: PASSWORD }
    return { entry: { type: 'mysql', ...login, status: false }, bare: { type: 'bare-mysql', ...login }, stop: () => server.stop() }
  } },
  { name: 'cert', part: 'cert', ...SLOW, async start(count) {
    const { caFile, good } = makeCertificates()
    const { port, stop } = await startTarget('tls', good.certFile, good.keyFile)
    return { entry: { type: 'cert', targets: onPort(port, count), ca_file: caFile, server_name: 'localhost' }, stop }
  } },
  { name: 'mount', part: 'mount', ...SLOW, start(count) {
    const { path, remove } = temporaryDirectory()
    const targets = Array.from({ length: count }, (_, index) => join(path, String(index)))
    for (const target of targets) mkdirSync(target)
    return Promise.resolve({ entry: { type: 'mount', targets, require_mount: false, mode: 'read-write' }, stop: remove })
  } },
]

function versus(entry: Entry, targets: readonly string[], module: Entry, stop: Load['stop']): Load {
  return { entry: { ...entry, targets }, startPeer: (perSecond) => startBlackbox(module, targets, perSecond), stop }
}

function besideNode(plan: Omit<BarePlan, 'hosts'>, count: number, load: Load): Load {
  return { ...load, startNode: (perSecond) => startNodeAlone({ ...plan, hosts: addresses(count) }, perSecond) }
}

async function redis(count: number, mode: string, dialogue: readonly object[]): Promise<Load> {
  const port = await freePort()
  const server = await startProcess('redis-server', ['--port', String(port), '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--dir', temporaryDirectory().path], { ready: () => listens(port) })
  const targets = onPort(port, count)
  return { ...versus({ type: 'redis', mode }, targets, spoken(dialogue), () => server.stop('SIGKILL')), bare: { type: 'bare-redis', targets } }
}

async function memcached(count: number, mode: string, dialogue: readonly object[]): Promise<Load> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const server = await startProcess('memcached', [...user, '-l', '0.0.0.0', '-p', String(port), '-t', '1'], { ready: () => listens(port) })
  const targets = onPort(port, count)
  return { ...versus({ type: 'memcached', mode }, targets, spoken(dialogue), () => server.stop('SIGKILL')), bare: { type: 'bare-memcached', targets } }
}

/** blackbox_exporter's way to speak a protocol of lines. */
function spoken(dialogue: readonly object[]): Entry {
  return { prober: 'tcp', tcp: { ...ip4, query_response: dialogue } }
}

function onPort(port: number, count: number): string[] {
  return addresses(count).map((address) => `${address}:${port}`)
}
