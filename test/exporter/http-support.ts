import { hashSync } from 'bcryptjs'
import { writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { join } from 'node:path'
import type { ProbeType } from '../../src/core/probe.ts'
import { ALONE, type Share } from '../../src/core/shard.ts'
import { createStore, type Store } from '../../src/core/store.ts'
import { startServer, type RunningServer, type ServerDeps } from '../../src/exporter/server.ts'
import { temporaryDirectory } from '../support/process.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Logged {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

export interface TestSite extends RunningServer {
  readonly store: Store
  readonly logged: Logged[]
  /** A request on a connection of its own, by the name localhost. */
  get(path: string, options?: RequestOptions): Promise<Answer>
}

export const TOKEN = 'read-0123456789abcdef'
export const OPERATE_TOKEN = 'operate-0123456789abcdef'
export const HASH = hashSync('correct horse', 4)
export const basic = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` })
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
/** What a proxy on this machine adds: whoever stands behind it is not this machine. */
export const BEHIND_PROXY = { 'x-forwarded-for': '192.0.2.7' }

const open = new Set<RunningServer>()

const directories: ReturnType<typeof temporaryDirectory>[] = []

/** Ends every server and removes every file that a test has made. */
export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((server) => server.close(0)))
  open.clear()
  for (const directory of directories.splice(0)) directory.remove()
}

/** A new web-config file with this text, in a directory of its own. */
export function webFile(text: string): string {
  const directory = temporaryDirectory()
  directories.push(directory)
  const file = join(directory.path, 'web.yml')
  writeFileSync(file, text)
  return file
}

export const ALONE_SHARE: Share = { active: true, lease: undefined, holder: undefined, shard: ALONE, expected: 0, owned: 0 }

// safe: the server reads nothing but the name of a type
const type = { type: 'test' } as ProbeType

/** The real server on a free loopback port. */
export async function startSite(over: Partial<ServerDeps> = {}, host = '127.0.0.1'): Promise<TestSite> {
  const store = over.store ?? createStore()
  const logged: Logged[] = []
  const server = await startServer({
    store, types: [type], render: textOf('probe_success 1\n'), ready: () => true, publicStatus: () => false,
    configText: () => 'probes: []\n', reload: async () => ({ ok: true }), webConfigFile: undefined, webhook: () => undefined, share: () => ALONE_SHARE,
    log: (level, message, fields = {}) => logged.push({ level, message, fields }), ...over,
  }, { host, port: 0 })
  open.add(server)
  return { ...server, store, logged, get: (path, options = {}) => ask(server, path, options) }
}

/** A render function with a fixed text. */
export function textOf(...parts: string[]): ServerDeps['render'] {
  return async function* () { yield* parts }
}

function ask(server: RunningServer, path: string, { headers, ...options }: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = server.tls ? httpsRequest : httpRequest
    const request = send({ host: '127.0.0.1', port: server.port, path, agent: false, headers: { host: `localhost:${server.port}`, ...headers as Record<string, string> }, ...options }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }))
    })
    request.on('error', reject)
    request.end()
  })
}
