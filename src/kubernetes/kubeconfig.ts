import type { KubeConfig } from '@kubernetes/client-node'
import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { readYaml } from '../core/yaml.ts'
import { short } from './errors.ts'
import { KubeError, type ClusterAccess } from './model.ts'
import { createPlugin, readExec, type Plugin } from './plugin.ts'
import { SERVICE_ACCOUNT_DIRECTORY } from './well-known.ts'

export interface Loaded {
  readonly kubeconfig: KubeConfig
  readonly server: string
  readonly namespace: string
  /** What it was read from, and what it points to: a change of one of them means to load anew. */
  readonly files: readonly string[]
  /** Runs for as long as what was loaded is in use. */
  readonly plugin: Plugin | undefined
}

/** What the library leaves out of a user: kubectl's name of a token's file is `tokenFile`. */
const users = z.object({ users: z.array(z.object({ name: z.string(), user: z.object({ tokenFile: z.string().optional() }).nullish() })).nullish() })

/** Logins by programs that the library would run while the event loop waits; kubectl has dropped them for `exec` in 1.26. */
const DROPPED: Readonly<Record<string, string>> = { gcp: 'gke-gcloud-auth-plugin', azure: 'kubelogin' }

const anyProvider = z.object({ name: z.string(), config: z.object({ exec: z.unknown().optional() }).nullish() })

/** How the library keeps that a token stands in a file. */
const fileProvider = z.object({ config: z.object({ tokenFile: z.string() }) })

/** Reads the kubeconfig, or finds the pod's ServiceAccount below `prefix`. Throws KubeErrors of trouble `config`. */
export function loadAccess(create: () => KubeConfig, access: ClusterAccess, prefix: string): Loaded {
  const kubeconfig = create()
  if (access.kubeconfig === undefined) loadPod(kubeconfig, access, prefix)
  else loadFile(kubeconfig, access, access.kubeconfig)

  const context = kubeconfig.getContextObject(kubeconfig.getCurrentContext())
  const cluster = kubeconfig.getCurrentCluster()
  const where = access.kubeconfig ?? 'the ServiceAccount'
  if (!context) throw wrong(access, `${where} has no context ${kubeconfig.getCurrentContext() ?? '(current-context is not set)'}`)
  if (!cluster) throw wrong(access, `${where}: context ${context.name} names the cluster ${context.cluster}, which is not there`)
  if (!URL.canParse(cluster.server) || !/^https?:/.test(cluster.server)) throw wrong(access, `${where}: expected an http or https URL as server of ${cluster.name}`)
  if (cluster.proxyUrl && !isProxy(cluster.proxyUrl)) throw wrong(access, `${where}: expected http://, https:// or socks5:// with a host and no path as proxy-url of ${cluster.name}`)
  if (context.user && !kubeconfig.getCurrentUser()) throw wrong(access, `${where}: context ${context.name} names the user ${context.user}, who is not there`)
  // Without a user the library leaves out the CA, and it refuses http:// (kubectl proxy) unless it may skip a verification that http has none of.
  if (!kubeconfig.getCurrentUser()) {
    kubeconfig.users = [...kubeconfig.users, { name: 'nobody' }]
    kubeconfig.contexts = kubeconfig.contexts.map((known) => (known.name === context.name ? { ...known, user: 'nobody' } : known))
  }
  if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true })

  const plugin = ownPlugin(kubeconfig, access)
  const user = kubeconfig.getCurrentUser()
  const { data: provider } = fileProvider.safeParse(user?.authProvider)
  const files = [access.kubeconfig, cluster.caFile, user?.certFile, user?.keyFile, provider?.config.tokenFile]
  return {
    kubeconfig,
    server: cluster.server,
    namespace: context.namespace?.trim() || 'default',
    plugin,
    files: files.filter((file): file is string => typeof file === 'string' && file !== ''),
  }
}

function loadPod(kubeconfig: KubeConfig, access: ClusterAccess, prefix: string): void {
  for (const name of ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT']) {
    if (!process.env[name]) throw wrong(access, `${name} is not set: outside a pod a kubeconfig is needed`)
  }
  readable(access, `${prefix}${SERVICE_ACCOUNT_DIRECTORY}/token`, 'the token of the ServiceAccount (automountServiceAccountToken must not be false)')
  kubeconfig.loadFromCluster(prefix)
}

function loadFile(kubeconfig: KubeConfig, access: ClusterAccess, file: string): void {
  const { value, errors: [error] } = readYaml(readable(access, file, 'the kubeconfig'))
  if (error) throw wrong(access, `${file}:${error.line}: ${error.message}`)
  if (typeof value !== 'object' || value === null) throw wrong(access, `${file} is no kubeconfig`)
  const tokens = users.safeParse(value)
  if (!tokens.success) throw wrong(access, `${file} is no kubeconfig: its users are not as expected`)
  const at = (path: string) => resolve(dirname(file), path)
  try {
    kubeconfig.loadFromString(JSON.stringify(value))
    kubeconfig.makePathsAbsolute(dirname(resolve(file)))
  } catch (error_) {
    throw wrong(access, `${file}: ${error_ instanceof Error ? error_.message : String(error_)}`)
  }
  for (const { name, user } of tokens.data.users ?? []) {
    const tokenFile = user?.tokenFile
    if (!tokenFile) continue
    kubeconfig.users = kubeconfig.users.map((known) => (known.name === name ? { ...known, token: '', authProvider: { name: 'tokenFile', config: { tokenFile: at(tokenFile) } } } : known))
  }
  if (access.context !== undefined) kubeconfig.setCurrentContext(access.context)
}

/** Never quotes: it may hold a password. */
function isProxy(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(text)
  try {
    decodeURIComponent(`${username}:${password}`)
  } catch {
    return false
  }
  return ['http:', 'https:', 'socks5:', 'socks5h:', 'socks4:', 'socks4a:'].includes(protocol) && hostname !== '' && ['', '/'].includes(pathname) && search === '' && hash === ''
}

/** The current user's plugin in the place of the library's. */
function ownPlugin(kubeconfig: KubeConfig, access: ClusterAccess): Plugin | undefined {
  const user = kubeconfig.getCurrentUser()
  const file = access.kubeconfig
  if (!user || file === undefined) return undefined
  const { data: provider } = anyProvider.safeParse(user.authProvider)
  if (provider && (provider.name in DROPPED || provider.config?.exec !== undefined)) {
    throw wrong(access, `${file}: user ${user.name}: auth-provider ${provider.name} is one that kubectl has dropped too: expected exec${provider.name in DROPPED ? ` with ${DROPPED[provider.name]}` : ''}`)
  }
  let exec: ReturnType<typeof readExec>
  try {
    exec = readExec(user)
  } catch (error) {
    throw wrong(access, `${file}: user ${user.name}: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (!exec) return undefined
  kubeconfig.users = kubeconfig.users.map((known) => (known.name === user.name ? { ...known, exec: undefined } : known))
  const command = exec.command.includes('/') ? resolve(dirname(file), exec.command) : exec.command
  const plugin = createPlugin({ ...exec, command }, kubeconfig.getCurrentCluster())
  kubeconfig.addAuthenticator(plugin)
  return plugin
}

/** When a file was written, to see that it is another one; undefined where there is none. */
export function stampOf(file: string): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true })
  return stat && `${stat.mtimeNs} ${stat.size} ${stat.ino}`
}

function readable(access: ClusterAccess, file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw wrong(access, `${what} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export function wrong(access: ClusterAccess, what: string): KubeError {
  return new KubeError('config', `cluster ${access.name}: ${short(what)}`)
}
