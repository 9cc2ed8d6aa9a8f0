import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { eventually, freePort, startProcess, temporaryDirectory, type Running } from './process.ts'
import { listens } from './tcp.ts'

export interface MemcachedServer {
  readonly port: number
  readonly process: Running
  stop(): Promise<void>
}

/** A text session of the test's own. */
export interface TextSession {
  /** Sends a line and returns what comes until a line of `last`. */
  ask(line: string, last: RegExp): Promise<string>
  stat(name: string): Promise<string | undefined>
  close(): void
}

const started = new Set<MemcachedServer>()

/** A memcached on 127.0.0.1, ready to take connections. As root it runs as nobody. */
export async function startMemcached(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<MemcachedServer> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const running = await startProcess('memcached', [...user, '-l', '127.0.0.1', '-p', String(port), '-t', '1', ...args], {
    ready: () => listens(port),
    env: { ...process.env, ...env },
  })
  const server: MemcachedServer = {
    port,
    process: running,
    async stop() {
      started.delete(server)
      await running.stop('SIGKILL')
    },
  }
  started.add(server)
  return server
}

/** A memcached that demands SASL, with one user; its name carries the realm. */
export async function startSasl(): Promise<MemcachedServer & { readonly username: string, readonly password: string }> {
  const { path } = temporaryDirectory()
  chmodSync(path, 0o755)
  const database = join(path, 'sasldb')
  writeFileSync(join(path, 'memcached.conf'), `mech_list: plain\nlog_level: 0\npwcheck_method: auxprop\nsasldb_path: ${database}\n`)
  const password = 'sasl-test-password'
  execFileSync('saslpasswd2', ['-p', '-c', '-f', database, '-a', 'memcached', '-u', 'curlew.test', 'prober'], { input: password })
  chmodSync(database, 0o644)
  const server = await startMemcached(['-S'], { SASL_CONF_PATH: path })
  return { ...server, username: 'prober@curlew.test', password }
}

/** The file for `-Y`, readable for nobody. */
export function authFile(): string {
  const { path } = temporaryDirectory()
  chmodSync(path, 0o755)
  const file = join(path, 'auth')
  writeFileSync(file, 'prober:text-password\n')
  chmodSync(file, 0o644)
  return file
}

/** Stops every server that a test has left running. */
export async function stopMemcachedServers(): Promise<void> {
  await Promise.all(Array.from(started, (server) => server.stop()))
}

export async function textSession({ port }: { readonly port: number }): Promise<TextSession> {
  const socket = connect({ host: '127.0.0.1', port })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.on('error', () => {})
  const closed = new Promise<never>((_resolve, reject) => socket.once('close', () => reject(new Error('the session was closed'))))
  closed.catch(() => {})
  const ask = (line: string, last: RegExp) => Promise.race([closed, new Promise<string>((resolve) => {
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString()
      if (!last.test(text)) return
      socket.off('data', onData)
      resolve(text)
    }
    socket.on('data', onData)
    socket.write(`${line}\r\n`)
  })])
  return {
    ask,
    async stat(name) {
      return new RegExp(`^STAT ${name} (\\S+)`, 'm').exec(await ask('stats', /^END\r\n/m))?.[1]
    },
    close: () => socket.destroy(),
  }
}

/** Opens so many connections that are answered, or, without a number, until one is turned away or left waiting. `session` was opened before. */
export async function fill({ port }: MemcachedServer, session: TextSession, count = Infinity): Promise<Socket[]> {
  const held: Socket[] = []
  for (let taken = true; taken && held.length < count;) {
    const socket = connect({ host: '127.0.0.1', port })
    held.push(socket)
    socket.on('error', () => {})
    socket.write('version\r\n')
    let answer: string | undefined
    socket.once('data', (chunk) => { answer = chunk.toString() })
    await eventually(async () => answer !== undefined || await session.stat('accepting_conns') === '0', 5_000, 'an answer')
    taken = answer?.startsWith('VERSION') === true
  }
  return held
}

/**
 * Stores so many values, as long as the probe's and under keys of this length, that a server with `-m 2` is full; returns
 * the last answer. Every slab class gets one page in any case: what is to meet a full one must be of the same length.
 */
export function stuff(session: TextSession, keyLength: number): Promise<string> {
  const set = (n: number, how: string) => `set ${String(n).padStart(keyLength, '-')} 0 0 36${how}\r\n${'x'.repeat(36)}`
  const fillers = Array.from({ length: 20_000 }, (_, n) => set(n, ' noreply')).join('\r\n')
  return session.ask(`${fillers}\r\n${set(999_999, '')}`, /\r\n$/)
}

/** Waits until the server counts no more connections than that. */
export async function noMoreThan(session: TextSession, idle: number): Promise<void> {
  await eventually(async () => Number(await session.stat('curr_connections')) <= idle, 5_000, 'the end of every connection')
}
