import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { SID_MYSQL, suiteCommand } from '../../scripts/debian-suite.ts'
import { freePort, startProcess, temporaryDirectory, type Running } from './process.ts'
import { listening, type TestServer } from './tcp.ts'

export type Product = 'mysql' | 'mariadb'

export interface MysqlServer {
  readonly product: Product
  readonly port: number
  readonly dir: string
  readonly process: Running
  /** Statements of the test's own, as root over the socket. */
  sql(...statements: string[]): Promise<void>
  rows(query: string): Promise<Record<string, unknown>[]>
  /** A further connection, for the test to hold. */
  client(user?: { readonly user: string, readonly password: string }): Promise<Connection>
  stop(): Promise<void>
}

const run = promisify(execFile)
const started = new Set<MysqlServer>()
const templates = new Map<Product, Promise<string>>()
/** Loopback addresses are their own clients' too; only 127.0.0.1 is in no server's list of hosts. */
export const STRANGER = '127.0.0.5'

/** Debian's mysqld of another suite knows neither where it lies nor who it is. */
const mysqlArgs = [
  `--lc-messages-dir=${suiteCommand(SID_MYSQL, '.')}`, `--character-sets-dir=${suiteCommand(SID_MYSQL, 'charsets')}`,
  '--mysqlx=OFF', '--secure-file-priv=NULL', '--innodb-redo-log-capacity=8M', '--innodb-doublewrite=OFF', '--innodb-buffer-pool-size=16M',
]
const mariadbArgs = ['--innodb-log-file-size=4M', '--innodb-buffer-pool-size=16M', '--performance-schema=ON', '--max-user-connections=1000']

/** An empty data directory, made once; servers copy it. */
function templateOf(product: Product): Promise<string> {
  const known = templates.get(product)
  if (known) return known
  const data = join(temporaryDirectory().path, 'data')
  const made = (product === 'mysql'
    ? run(suiteCommand(SID_MYSQL, 'mysqld'), ['--no-defaults', '--user=root', `--datadir=${data}`, ...mysqlArgs, '--initialize-insecure'])
    : run('mariadb-install-db', ['--no-defaults', '--user=root', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=4M'])
  ).then(() => data)
  templates.set(product, made)
  return made
}

/**
 * A server on 127.0.0.1 that looks up the names of its clients as servers do, but in a file: in mounts of its own it sees
 * no name server. Needs root for that.
 */
export async function startMysql(product: Product, { id = 1, args = [], tls }: { id?: number, args?: readonly string[], tls?: { readonly certFile: string, readonly keyFile: string } } = {}): Promise<MysqlServer> {
  const template = await templateOf(product)
  const { path: dir } = temporaryDirectory()
  cpSync(template, join(dir, 'data'), { recursive: true, filter: (path) => !path.endsWith('auto.cnf') })
  writeFileSync(join(dir, 'hosts'), `127.0.0.1 localhost\n${STRANGER} stranger.test\n`)
  writeFileSync(join(dir, 'nsswitch.conf'), 'hosts: files\n')
  mkdirSync(join(dir, 'tmp'))
  const port = await freePort()
  const socketPath = join(dir, 's')
  const command = product === 'mysql' ? suiteCommand(SID_MYSQL, 'mysqld') : 'mariadbd'
  const process = await startProcess('unshare', [
    '--mount', 'sh', '-c', `mount --bind ${dir}/hosts /etc/hosts && mount --bind ${dir}/nsswitch.conf /etc/nsswitch.conf && exec "$@"`, 'sh',
    command, '--no-defaults', '--user=root', `--datadir=${dir}/data`, `--socket=${socketPath}`, `--pid-file=${dir}/pid`, `--tmpdir=${dir}/tmp`, '--bind-address=127.0.0.1', `--port=${port}`,
    `--server-id=${id}`, '--log-bin=bin', '--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0', ...(product === 'mysql' ? mysqlArgs : mariadbArgs),
    ...(tls ? [`--ssl-cert=${tls.certFile}`, `--ssl-key=${tls.keyFile}`] : []), ...args,
  ], { ready: () => existsSync(socketPath) && accepts(socketPath), withinMs: 30_000 })
  const root = await createConnection({ socketPath, user: 'root', multipleStatements: true })
  root.on('error', () => {})
  const server: MysqlServer = {
    product, port, dir, process,
    async sql(...statements) {
      for (const statement of statements) await root.query(statement)
    },
    async rows(query) {
      const [rows] = await root.query<RowDataPacket[]>(query)
      return rows
    },
    async client(user = { user: 'root', password: '' }) {
      const connection = await createConnection({ socketPath, ...user })
      connection.on('error', () => {})
      return connection
    },
    async stop() {
      started.delete(server)
      root.destroy()
      await process.stop('SIGKILL')
    },
  }
  started.add(server)
  return server
}

/** Stops every server that a test has left running. */
export async function stopMysqlServers(): Promise<void> {
  await Promise.all(Array.from(started, (server) => server.stop()))
}

/** Has `replica` follow `source` from its first event on. */
export async function follow(replica: MysqlServer, source: MysqlServer): Promise<void> {
  const [mariadb, at] = [source.product === 'mariadb', `HOST = '127.0.0.1', X_PORT = ${source.port}, X_USER = 'follower', X_PASSWORD = 'follower-password', X_LOG_FILE = 'bin.000001', X_LOG_POS = 4`]
  await source.sql("CREATE USER follower@'%' IDENTIFIED BY 'follower-password'", "GRANT REPLICATION SLAVE ON *.* TO follower@'%'")
  if (mariadb) await replica.sql(`CHANGE MASTER TO MASTER_${at.replaceAll('X_', 'MASTER_')}, MASTER_CONNECT_RETRY = 1`, 'START SLAVE')
  else await replica.sql(`CHANGE REPLICATION SOURCE TO SOURCE_${at.replaceAll('X_', 'SOURCE_')}, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1`, 'START REPLICA')
}

/** What docs/mysql.md has an administrator type, word by word: the account `prober` with the password `change-me`, and the heartbeat's table. */
export function sqlOfManual(product: Product): string[] {
  const docs = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'mysql.md'), 'utf8')
  return [product === 'mysql' ? '### MySQL 8 and 9' : '### MariaDB 10 and 11', '## The heartbeat'].flatMap((heading) => {
    const section = docs.slice(docs.indexOf(`${heading}\n`)).split(/\n##+ /)[0] ?? ''
    return Array.from(section.matchAll(/```sql\n([\s\S]+?)```/g), ([, block]) => block ?? '')
  })
}

/**
 * A port that leads to the server as if from a host of its own, which the server may block: it never blocks 127.0.0.1. Resets
 * go through as resets; what the server says comes later by `lateness()` ms.
 */
export function strangersWay({ port }: { readonly port: number }, lateness: () => number = () => 0): Promise<TestServer> {
  return listening(createServer((inner) => {
    const outer = connect({ host: '127.0.0.1', port, localAddress: STRANGER })
    inner.on('data', (chunk: Buffer) => outer.write(chunk))
    outer.on('data', (chunk: Buffer) => setTimeout(() => { if (!inner.destroyed) inner.write(chunk) }, lateness()))
    for (const [from, to] of [[inner, outer], [outer, inner]] as const) {
      from.on('end', () => setTimeout(() => to.end(), lateness()))
      from.on('error', () => to.resetAndDestroy())
    }
  }))
}

/** Connects as that host without a login, which is what a server counts. */
export async function bareConnect({ port }: { readonly port: number }): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: STRANGER })
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('data', resolve))
  socket.destroy()
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    createConnection({ socketPath, user: 'root' }).then((connection) => { connection.destroy(); resolve(true) }, () => resolve(false))
  })
}
