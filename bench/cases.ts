import { makeCertificates } from '../test/support/certificates.ts'
import { freePort, startProcess, temporaryDirectory } from '../test/support/process.ts'
import { listens } from '../test/support/tcp.ts'
import { addresses, startTarget } from './targets.ts'

/** Servers that are running, and how each side probes them. */
export interface Load {
  /** Curlew's entry, but for the targets. */
  readonly entry: Readonly<Record<string, unknown>>
  /** As both sides take them. */
  readonly targets: readonly string[]
  /** blackbox_exporter's module that does the same; without one there is nothing to compare with. */
  readonly module?: Readonly<Record<string, unknown>>
  stop(): Promise<void> | void
}

export interface Case {
  /** The row of the table. */
  readonly name: string
  /** What `--only` calls it; a probe type. */
  readonly type: string
  /** The ratio to the peer that is aimed at. */
  readonly aim?: number
  start(targets: number): Promise<Load>
}

const ip4 = { preferred_ip_protocol: 'ip4' }

export const CASES: readonly Case[] = [
  { name: 'tcp', type: 'tcp', aim: 0.15, start: async (count) => {
    const server = await startTarget('tcp')
    return { entry: { type: 'tcp' }, targets: onPort(server.port, count), module: { prober: 'tcp', tcp: ip4 }, stop: server.stop }
  } },
  { name: 'http', type: 'http', aim: 0.2, start: async (count) => {
    const server = await startTarget('http')
    return { entry: { type: 'http' }, targets: onPort(server.port, count).map((target) => `http://${target}/`), module: { prober: 'http', http: ip4 }, stop: server.stop }
  } },
  { name: 'dns', type: 'dns', aim: 0.08, start: async (count) => {
    const server = await startTarget('dns', String(count))
    const query = 'kubernetes.default.svc.cluster.local'
    return {
      entry: { type: 'dns', query }, targets: onPort(server.port, count),
      module: { prober: 'dns', dns: { ...ip4, query_name: query, query_type: 'A' } }, stop: server.stop,
    }
  } },
  { name: 'tls', type: 'tls', aim: 0.75, start: async (count) => {
    const { caFile, good } = makeCertificates()
    const server = await startTarget('tls', good.certFile, good.keyFile)
    return {
      entry: { type: 'tcp', tls: true, ca_file: caFile, server_name: 'localhost' }, targets: onPort(server.port, count),
      module: { prober: 'tcp', tcp: { ...ip4, tls: true, tls_config: { ca_file: caFile, server_name: 'localhost' } } }, stop: server.stop,
    }
  } },
  { name: 'redis', type: 'redis', aim: 0.42, start: (count) => redis(count, 'read-write', [
    { send: 'ROLE' }, { expect: '^master' }, { send: 'INFO' }, { expect: '^redis_version' },
    { send: 'SET probe:bench bench PX 30000' }, { expect: '^\\+OK' }, { send: 'GET probe:bench' }, { expect: '^bench' }, { send: 'UNLINK probe:bench' }, { expect: '^:' },
  ]) },
  { name: 'redis, read-only', type: 'redis', aim: 0.42, start: (count) => redis(count, 'read-only', [{ send: 'PING' }, { expect: '^\\+PONG' }]) },
  { name: 'memcached', type: 'memcached', aim: 0.35, start: (count) => memcached(count, 'read-write', [
    { send: 'version\r' }, { expect: '^VERSION' }, { send: 'stats\r' }, { expect: '^END' },
    { send: 'set probe:bench 0 60 5\r\nbench\r' }, { expect: '^STORED' }, { send: 'get probe:bench\r' }, { expect: '^bench' }, { send: 'delete probe:bench\r' }, { expect: 'DELETED|NOT_FOUND' },
  ]) },
  { name: 'memcached, read-only', type: 'memcached', aim: 0.35, start: (count) => memcached(count, 'read-only', [{ send: 'version\r' }, { expect: '^VERSION' }]) },
]

async function redis(count: number, mode: string, dialogue: readonly object[]): Promise<Load> {
  const port = await freePort()
  const server = await startProcess('redis-server', ['--port', String(port), '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--dir', temporaryDirectory().path], { ready: () => listens(port) })
  return { entry: { type: 'redis', mode }, targets: onPort(port, count), module: spoken(dialogue), stop: () => server.stop('SIGKILL') }
}

async function memcached(count: number, mode: string, dialogue: readonly object[]): Promise<Load> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const server = await startProcess('memcached', [...user, '-l', '0.0.0.0', '-p', String(port), '-t', '1'], { ready: () => listens(port) })
  return { entry: { type: 'memcached', mode }, targets: onPort(port, count), module: spoken(dialogue), stop: () => server.stop('SIGKILL') }
}

function spoken(dialogue: readonly object[]): Load['module'] & {} {
  return { prober: 'tcp', tcp: { ...ip4, query_response: dialogue } }
}

function onPort(port: number, count: number): string[] {
  return addresses(count).map((address) => `${address}:${port}`)
}
