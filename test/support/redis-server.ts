import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { SID_REDIS, suiteCommand } from '../../scripts/debian-suite.ts'
import { eventually, freePort, startProcess, temporaryDirectory, type Running } from './process.ts'
import { listens } from './tcp.ts'

export interface RedisServer {
  readonly port: number
  readonly dir: string
  readonly process: Running
  /** Commands of the test's own, as the default user. */
  readonly admin: Redis
  /** Connections beside the admin's, replicas' and masters'. */
  strangers(): Promise<number>
  stop(): Promise<void>
}

export interface Settings {
  /** In a directory of another server, to find its data. */
  readonly dir?: string
  readonly args?: readonly string[]
  /** Of a server that has ended; a free one unless given. */
  readonly port?: number
  /** Lines of its config file. */
  readonly config?: readonly string[]
  /** What the test's own connection logs in with. */
  readonly adminPassword?: string
  /** TLS instead of plain text, without a connection of the test's own. */
  readonly tls?: { readonly certFile: string, readonly keyFile: string, readonly caFile: string }
  readonly sentinel?: boolean
  /** A node of a cluster, without slots. */
  readonly cluster?: boolean
  /** The newest instead of the machine's own. */
  readonly newest?: boolean
}

const started = new Set<RedisServer>()

/** A redis-server on 127.0.0.1 that persists nothing unless told to, ready to take connections. */
export async function startRedis(settings: Settings = {}): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(settings)
    } catch (error) {
      // Whoever asked for a free port at the same moment may have been given the same one.
      if (attempt === 3 || settings.port !== undefined || !String(error).includes('Address already in use')) throw error
    }
  }
}

async function start({ dir = temporaryDirectory().path, port: givenPort, args = [], config: lines = [], adminPassword, tls, sentinel = false, cluster = false, newest = false }: Settings): Promise<RedisServer> {
  const port = givenPort ?? await freePort()
  const config = join(dir, `${port}.conf`)
  writeFileSync(config, lines.map((line) => `${line}\n`).join(''))
  const ports = tls
    ? ['--port', '0', '--tls-port', String(port), '--tls-cert-file', tls.certFile, '--tls-key-file', tls.keyFile, '--tls-ca-cert-file', tls.caFile]
    : ['--port', String(port)]
  const own = sentinel ? ['--sentinel'] : ['--save', '', '--appendonly', 'no']
  // The port of the bus would be the port plus 10000, which may be too high or taken.
  if (cluster) own.push('--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), '--cluster-config-file', `${port}.nodes`)
  // Its title would overwrite its environment, by whose mark the end of a run finds what is left of it.
  const process = await startProcess(newest ? suiteCommand(SID_REDIS, 'redis-server') : 'redis-server', [config, ...ports, '--bind', '127.0.0.1', '--dir', dir, '--daemonize', 'no', '--set-proc-title', 'no', ...own, ...args], {
    // It says so once the port is its own: another server may listen there.
    ready: (output) => output.includes('Running mode=') && listens(port),
  })
  const admin = new Redis({
    host: '127.0.0.1', port, lazyConnect: true, enableReadyCheck: false, protocol: 2, retryStrategy: null,
    ...(adminPassword === undefined ? {} : { password: adminPassword }),
  })
  admin.on('error', () => {})
  const server: RedisServer = {
    port, dir, process, admin,
    async strangers() {
      const list = String(await admin.call('CLIENT', 'LIST', 'TYPE', 'normal'))
      return list.trim().split('\n').length - 1
    },
    async stop() {
      started.delete(server)
      admin.disconnect()
      await process.stop('SIGKILL')
    },
  }
  started.add(server)
  return server
}

/** Stops every server that a test has left running. */
export async function stopRedisServers(): Promise<void> {
  await Promise.all(Array.from(started, (server) => server.stop()))
}

/** Waits until the server has no connection but the test's own. */
export async function noStrangers(server: RedisServer): Promise<void> {
  await eventually(async () => await server.strangers() === 0, 5_000, 'the end of every connection')
}

/** How often each command was called since the server started, or CONFIG RESETSTAT. */
export async function callsOf({ admin }: RedisServer): Promise<Record<string, number>> {
  const stats = String(await admin.info('commandstats'))
  return Object.fromEntries(Array.from(stats.matchAll(/cmdstat_([\w|]+):calls=(\d+)/g), ([, name = '', calls]) => [name, Number(calls)]))
}
