import type { KubeConfig, RequestContext } from '@kubernetes/client-node'
import { createHash } from 'node:crypto'
import type { RequestOptions } from 'node:https'
import type { Dispatcher } from 'undici'
import { loadAccess, stampOf, wrong, type Loaded } from './kubeconfig.ts'
import { lookupWithin } from './lookup.ts'
import { KubeError, TIMEOUT_MS, type ClusterAccess, type Credentials } from './model.ts'
import { PLUGIN_MS, PluginMissing } from './plugin.ts'

/** What a call needs: where to, over which connections, and as whom. */
export interface Session {
  readonly server: string
  readonly namespace: string
  readonly dispatcher: Dispatcher
  /** Authorization, and whom to impersonate. */
  readonly headers: Readonly<Record<string, string>>
  readonly credentials: Credentials
}

/** The connections to one cluster, shared by all who have the same access. */
export interface Connection {
  /** Loads what calls are made with: that takes a second where there is little CPU, and must not be blamed on the cluster. */
  load(): Promise<void>
  /** Credentials are looked at again after a quarter of a second; at once for who names the session that was refused (a 401). Rejects with `config` or `unauthorized`. */
  session(refused?: Session): Promise<Session>
  /** Ends every connection. */
  destroy(): void
}

/** How long credentials are believed before the files and plugins they come from are asked again, ms. */
const BELIEVED_MS = 250
/** How long credentials that could not be had are not tried for again, ms: a plugin that fails must not be started by every call. */
const FAILED_MS = 1_000
/** How long a plugin that was asked anew after a 401 is not asked anew for another one, ms: where a login is refused for good, every call would start it. */
const RENEWED_MS = 10_000
/** After this long credentials are no longer waited for, ms: whom the library asks, an OIDC provider, may never answer. */
const LONGEST_LOOK_MS = PLUGIN_MS + 5_000
/** Sockets of one access: every watch takes one, calls at the same time one each. */
const MOST_SOCKETS = 256
/** Shorter than the 60 s after which load balancers forget an idle connection. */
const IDLE_MS = 30_000

type Undici = Awaited<ReturnType<typeof libraries>>[1]

/** Both libraries, loaded by the first call to a cluster. All of the client library would be 6 MB of code and 48 MB of memory: this file of it knows what a kubeconfig says. */
export const libraries = () => Promise.all([import('@kubernetes/client-node/dist/config.js'), import('undici')])

/** Nothing is read and nobody is called before the first session. `prefix` stands before the paths of the ServiceAccount's files. */
export function openConnection(access: ClusterAccess, prefix = ''): Connection {
  let loaded: Loaded & { readonly stamps: string } | undefined
  let current: { readonly print: string, readonly dispatcher: Dispatcher } | undefined
  const retiring = new Set<Dispatcher>()
  let last: { readonly session: Session, readonly at: number } | undefined
  let failed: { readonly error: Error, readonly at: number } | undefined
  let pending: { readonly session: Promise<Session>, readonly at: number } | undefined
  let renewedAt = -Infinity
  let ended = false

  async function look(refused: boolean): Promise<Session> {
    const [{ KubeConfig }, undici] = await libraries()
    if (ended) throw closed()
    if (!loaded || refused || stampsOf(loaded) !== loaded.stamps) {
      const next = loadAccess(() => new KubeConfig(), access, prefix)
      loaded?.plugin?.stop()
      loaded = { ...next, stamps: stampsOf(next) }
    }
    const { kubeconfig, server, namespace } = loaded
    const options = await optionsOf(kubeconfig, access)
    if (ended) throw closed()
    return { server, namespace, dispatcher: await dispatcherFor(undici, kubeconfig, options), headers: headersOf(options), credentials: { ...credentialsOf(options), proxyUrl: kubeconfig.getCurrentCluster()?.proxyUrl || undefined } }
  }

  /** The connections are kept for as long as whom they trust and who they say they are stays the same. */
  async function dispatcherFor(undici: Undici, kubeconfig: KubeConfig, options: RequestOptions): Promise<Dispatcher> {
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options
    const tls = Object.fromEntries(Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }).filter(([, value]) => value !== undefined))
    const { server, proxyUrl } = kubeconfig.getCurrentCluster() ?? {}
    const print = createHash('sha256').update(JSON.stringify([server, proxyUrl, tls])).digest('base64')
    if (current?.print === print) return current.dispatcher
    const dispatcher = await createDispatcher(undici, kubeconfig, proxyUrl, tls, access.timeoutMs)
    if (current) retire(current.dispatcher)
    current = { print, dispatcher }
    return dispatcher
  }

  /** What is under way over the old connections may end there; nothing new begins on them. */
  function retire(dispatcher: Dispatcher): void {
    retiring.add(dispatcher)
    void dispatcher.close().catch(() => undefined).finally(() => retiring.delete(dispatcher))
  }

  const closed = () => wrong(access, 'the client is closed')

  return {
    async load() {
      await libraries()
    },
    session(refused) {
      if (ended) return Promise.reject(closed())
      const now = performance.now()
      // Another call may have met the same 401 and looked already.
      if (last && (refused ? refused !== last.session : now - last.at < BELIEVED_MS)) return Promise.resolve(last.session)
      if (pending && now - pending.at < LONGEST_LOOK_MS) return pending.session
      if (failed && now - failed.at < FAILED_MS) return Promise.reject(failed.error)
      if (refused && loaded?.plugin) {
        if (last && now - renewedAt < RENEWED_MS) return Promise.resolve(last.session)
        renewedAt = now
      }
      const asked = { session: look(refused !== undefined), at: now }
      pending = asked
      const settle = () => {
        if (pending === asked) pending = undefined
      }
      asked.session.then((session) => {
        last = { session, at: performance.now() }
        failed = undefined
        settle()
      }, (error: unknown) => {
        failed = { error: error instanceof Error ? error : new Error(String(error)), at: performance.now() }
        settle()
      })
      return asked.session
    },
    destroy() {
      ended = true
      loaded?.plugin?.stop()
      for (const dispatcher of [...retiring, ...(current ? [current.dispatcher] : [])]) void dispatcher.destroy().catch(() => undefined)
      current = undefined
    },
  }
}

/** TLS options and headers, by the library: this reads the files, and runs the plugin. */
async function optionsOf(kubeconfig: KubeConfig, access: ClusterAccess): Promise<RequestOptions> {
  const options: RequestOptions = {}
  try {
    await kubeconfig.applyToHTTPSOptions(options)
    return options
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof PluginMissing || (error instanceof Error && 'code' in error)) throw wrong(access, message)
    throw new KubeError('unauthorized', wrong(access, `no credentials could be had: ${message}`).message)
  }
}

async function createDispatcher(undici: Undici, kubeconfig: KubeConfig, proxyUrl: string | undefined, tls: object, timeoutMs = TIMEOUT_MS): Promise<Dispatcher> {
  if (proxyUrl?.startsWith('socks')) return await socksDispatcher(kubeconfig)
  // A watch holds a connection of HTTP/1.1 for itself: where it is lost, nothing else is.
  const pool = { connections: MOST_SOCKETS, allowH2: false, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS, headersTimeout: 0, bodyTimeout: 0 }
  const socket = { timeout: timeoutMs, lookup: lookupWithin(timeoutMs), keepAlive: true, keepAliveInitialDelay: 30_000 }
  if (proxyUrl) return new undici.ProxyAgent({ ...pool, uri: proxyUrl, requestTls: tls, connect: socket })
  return new undici.Agent({ ...pool, connect: { ...tls, ...socket } })
}

/** The library's own way through a SOCKS proxy, which is not to be had without a call's context. */
async function socksDispatcher(kubeconfig: KubeConfig): Promise<Dispatcher> {
  let dispatcher: Dispatcher | undefined
  const context = { setHeaderParam: () => {}, setDispatcher: (made: Dispatcher) => { dispatcher = made } }
  // safe: these two are all that is called of a context, to hand over headers and the way
  await kubeconfig.applySecurityAuthentication(context as unknown as RequestContext)
  if (!dispatcher) throw new Error('the library knows no way through this proxy')
  return dispatcher
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  // A token's file may end in a newline, which no header may.
  const given = Object.entries(headers ?? {}).map(([name, value]): [string, string] => [name.toLowerCase(), String(value).trim()])
  return { ...basic, ...Object.fromEntries<string>(given) }
}

function credentialsOf(options: RequestOptions): Credentials {
  const text = (value: unknown) => (typeof value === 'string' ? value : Buffer.isBuffer(value) ? value.toString('utf8') : undefined)
  return {
    ca: text(options.ca), cert: text(options.cert), key: text(options.key),
    token: /^Bearer (.+)$/.exec(headersOf(options)['authorization'] ?? '')?.[1],
    insecureSkipVerify: options.rejectUnauthorized === false,
    serverName: options.servername || undefined,
  }
}

function stampsOf({ files }: Loaded): string {
  return files.map(stampOf).join('\n')
}
