import type { Cluster, User } from '@kubernetes/client-node'
import { readFileSync } from 'node:fs'
import type { RequestOptions } from 'node:https'
import { z } from 'zod'
import { killChild, startChild } from '../children.ts'
import { taintPassing } from '../core/secrets.ts'

/** `exec` of a kubeconfig's user: a program that is run for credentials (client.authentication.k8s.io). */
const execSchema = z.object({
  command: z.string().min(1),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string().min(1), value: z.string() })).nullish(),
  apiVersion: z.string().optional(),
  installHint: z.string().optional(),
  provideClusterInfo: z.boolean().optional(),
})

/** What it writes to its standard output. */
const answerSchema = z.object({
  status: z.object({
    token: z.string().min(1).optional(),
    clientCertificateData: z.string().min(1).optional(),
    clientKeyData: z.string().min(1).optional(),
    expirationTimestamp: z.string().optional(),
  }),
})

type Exec = z.output<typeof execSchema>
type Credential = z.output<typeof answerSchema>['status']

/** After so long a plugin that does not answer is killed, ms. Some wait for a person at a browser: there is none here. */
export const PLUGIN_MS = 60_000
/** After its end its output may be open for so long, ms: what it leaves running may hold it for ever. */
const LET_GO_MS = 1_000
/** For so long what it has said is used even if it has expired, ms: where a clock is wrong all of it has. */
const SAID_MS = 10_000
const MOST_BYTES = 1 << 20
/** Options and variables that are named so hold a secret, unless it is a path or too short for one. */
const SECRET_NAME = /(?:secret|token|password|secret[-_]access[-_]key)$/i
const SHORTEST_SECRET = 8

/** A user's credential plugin, in the place of the library's own, which starts it without an owner or an end. */
export interface Plugin {
  isAuthProvider(): boolean
  /** Puts a token or a certificate into the options of a call. */
  applyAuthentication(user: unknown, options: RequestOptions): Promise<void>
  /** Kills it where it runs; it is not started any more. */
  stop(): void
}

/** The `exec` of a user as it is read; undefined where there is none. Throws a sentence. */
export function readExec({ exec }: Pick<User, 'exec'>): Exec | undefined {
  if (exec === undefined || exec === null) return undefined
  const { data, error } = execSchema.safeParse(exec)
  if (!data) throw new Error(`exec${error.issues[0]?.path.map((key) => `.${String(key)}`).join('') ?? ''}: expected a command, and lists args and env`)
  return data
}

/** What it has said is kept until it expires, and for 10 s; whoever wants it asked again makes another. */
export function createPlugin(exec: Exec, cluster: Cluster | null): Plugin {
  /** Ends the one that runs; one session is made at a time, so there is no other. */
  let stop: (() => void) | undefined
  let said: Credential | undefined
  let saidAt = -Infinity
  let stopped = false

  async function credential(): Promise<Credential> {
    const isGood = said && !(Date.parse(said.expirationTimestamp ?? '') <= Date.now())
    if (said && (isGood || performance.now() - saidAt < SAID_MS)) return said
    taintAll(exec)
    said = readAnswer(await run())
    saidAt = performance.now()
    return said
  }

  /** What the program has written. Rejects when it fails, with the last line of its complaint, and after `PLUGIN_MS`. */
  function run(): Promise<string> {
    if (stopped) throw new Error('the client is closed')
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const child = startChild(exec.command, exec.args ?? [], (why) => {
      // One that cannot be started has no output that would close.
      if (child.process.pid === undefined) reject(new PluginMissing([`${exec.command}: ${why}`, exec.installHint ?? []].flat().join('; ')))
    }, { env: environment(exec, cluster), cwd: process.cwd() })
    const kill = (why: string) => {
      killChild(child)
      reject(new Error(why))
    }
    const timer = setTimeout(() => kill(`the credential plugin did not answer within ${PLUGIN_MS / 1000} s`), PLUGIN_MS)
    const chunks: Buffer[] = []
    let bytes = 0
    child.process.stdin.end()
    child.process.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MOST_BYTES) kill('the credential plugin\'s answer is longer than 1 MB')
      else chunks.push(chunk)
    })
    const ended = (code: number | null, signal: NodeJS.Signals | null) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'))
      else reject(new Error(child.complaint().trim().split('\n').at(-1) || `the credential plugin ended with ${signal ?? code}`))
    }
    let held: NodeJS.Timeout | undefined
    child.process.once('close', ended)
    child.process.once('exit', (code, signal) => { held = setTimeout(ended, LET_GO_MS, code, signal) })
    stop = () => kill('the client is closed')
    return promise.finally(() => {
      clearTimeout(timer)
      clearTimeout(held)
      stop = undefined
      // Nobody else would end what it has left in its group; what has left that keeps no pipe of ours.
      killChild(child)
      for (const stream of [child.process.stdout, child.process.stderr]) stream.destroy()
    })
  }

  return {
    isAuthProvider: () => true,
    async applyAuthentication(_user, options) {
      const { token, clientCertificateData: cert, clientKeyData: key } = await credential()
      if (cert !== undefined) Object.assign(options, { cert, key })
      if (token === undefined) return
      taintPassing(token)
      options.headers = { ...options.headers, Authorization: `Bearer ${token}` }
    },
    stop() {
      stopped = true
      stop?.()
    },
  }
}

/** The program is not there, or cannot be run. */
export class PluginMissing extends Error {
  override readonly name = 'PluginMissing'
}

/** Curlew's own, as kubectl gives its own to it; and what the plugin is told: some answer in an old version without it, or ask a person. */
function environment({ env, apiVersion, provideClusterInfo }: Exec, cluster: Cluster | null): NodeJS.ProcessEnv {
  const about = provideClusterInfo && cluster ? { cluster: {
    server: cluster.server, 'tls-server-name': cluster.tlsServerName, 'insecure-skip-tls-verify': cluster.skipTLSVerify || undefined,
    'certificate-authority-data': cluster.caData ?? (cluster.caFile ? readFileSync(cluster.caFile, 'base64') : undefined), 'proxy-url': cluster.proxyUrl,
  } } : {}
  return {
    ...process.env,
    ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { ...about, interactive: false } }),
  }
}

/** Never quotes: it may be a token. */
function readAnswer(text: string): Credential {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new Error('the credential plugin\'s answer is not JSON')
  }
  const { data } = answerSchema.safeParse(json)
  if (!data) throw new Error('the credential plugin\'s answer is no ExecCredential')
  const { token, clientCertificateData, clientKeyData } = data.status
  if (token === undefined && (clientCertificateData === undefined || clientKeyData === undefined)) throw new Error('the credential plugin gave neither a token nor a certificate with its key')
  return data.status
}

/** What a plugin complains of may repeat what it was given. */
function taintAll({ args, env }: Exec): void {
  const all = args ?? []
  const given = [
    ...all.flatMap((arg, index): (readonly [string, string | undefined])[] => {
      const [, name = '', value] = /^--?([^=]+)(?:=(.*))?$/s.exec(arg) ?? []
      return name === '' ? [] : [[name, value ?? all[index + 1]]]
    }),
    ...(env ?? []).map(({ name, value }) => [name, value] as const),
  ]
  for (const [name, value] of given) if (value !== undefined && SECRET_NAME.test(name) && value.length >= SHORTEST_SECRET && !/^(?:-|\.{0,2}\/)/.test(value)) taintPassing(value)
}
