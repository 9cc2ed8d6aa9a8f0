import { accessSync, constants, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { networkMounts, parseMountinfo } from '../core/mountinfo.ts'

/** An entry as it would stand under `probes:`. */
export type FoundEntry = Readonly<Record<string, unknown>> & { readonly name: string, readonly type: string }

export interface Listener {
  /** Where to reach it from this machine: `127.0.0.1` or `::1`, or the loopback address it is bound to. */
  readonly host: string
  readonly port: number
  /** Name of the process that listens, where this user may see it. */
  readonly process: string | undefined
}

interface Kind {
  readonly name: string
  readonly type: string
  /** Names as the kernel keeps them: 15 characters. */
  readonly processes: RegExp
  readonly ports: readonly number[]
  /** Whether such a process speaks something else on this port, given all ports of processes of this kind. */
  readonly other?: (port: number, ports: ReadonlySet<number>) => boolean
  /** It may pass connections on to a server of any kind: a well-known port of another kind says more than its name. */
  readonly forwards?: true
  readonly target: (address: string) => string
  readonly options: Readonly<Record<string, unknown>>
}

/** Never slower than this, and read-only: nobody asked for these probes. */
const COMMON = { every: '60s', mode: 'read-only' } as const

/** A port is only taken for what its process or its well-known number says: an unknown port is never contacted. */
const KINDS: readonly Kind[] = [
  {
    name: 'local-redis', type: 'redis', processes: /^(redis|valkey|keydb)-server$/, ports: [6379], target: (address) => address, options: {},
    // The bus of a cluster stands 10,000 above the port of its node; a Sentinel is the same program, but no Redis.
    other: (port, ports) => ports.has(port - 10_000) || port === 26_379,
  },
  { name: 'local-memcached', type: 'memcached', processes: /^memcached$/, ports: [11211], target: (address) => address, options: {} },
  // Listed and never contacted: without a login even a connection does harm. The other ports are the X protocol's and Galera's.
  { name: 'local-mysql', type: 'mysql', processes: /^(mysqld|mariadbd)$/, ports: [3306], target: (address) => address, options: { login: false }, other: (port) => [33_060, 4567, 4568].includes(port) },
  {
    name: 'local-http', type: 'http',
    processes: /^(nginx|apache2|httpd|caddy|lighttpd|traefik|prometheus|alertmanager|grafana|grafana-server|node_exporter|blackbox_export)$/,
    ports: [80, 8000, 8080, 8081],
    target: (address) => `http://${address}/`,
    // What answers at all is taken for well, but for an error of its own.
    options: { status: ['1xx', '2xx', '3xx', '4xx'], follow_redirects: false },
    // Where TLS is spoken, some hang up on a plain request; Alertmanager gossips on 9094.
    other: (port) => [443, 8443, 9094].includes(port),
    forwards: true,
  },
]

const MOST_LISTENERS = 50
const MOST_MOUNTS = 50

interface Shown {
  readonly listeners: readonly Listener[]
  readonly mounts: readonly string[]
  /** What `localCertificates` has found. */
  readonly certificates?: Readonly<Record<string, unknown>> | undefined
  readonly ownUrl: string | undefined
}

/** Entries for what this machine shows without reaching beyond it: read-only, at 60 s. */
export function discoverLocal({ listeners, mounts, certificates, ownUrl }: Shown): FoundEntry[] {
  // Without a target the probe asks every server of resolv.conf; any answer counts, and every server knows localhost.
  const entries: FoundEntry[] = [{ ...COMMON, name: 'resolv-conf', type: 'dns', query: 'localhost.', record: 'A', rcode: 'any', min_answers: 0 }]
  for (const kind of KINDS) {
    const found = listeners
      .filter((listener) => kindOf(listener, listeners) === kind)
      .map(({ host, port }) => kind.target(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`))
      .filter((target) => ownUrl === undefined || new URL(ownUrl).host !== new URL(target.includes('://') ? target : `tcp://${target}`).host)
    if (found.length > 0) entries.push({ ...COMMON, ...kind.options, name: kind.name, type: kind.type, targets: found.slice(0, MOST_LISTENERS) })
  }
  if (mounts.length > 0) entries.push({ ...COMMON, name: 'local-mounts', type: 'mount', targets: mounts.slice(0, MOST_MOUNTS) })
  if (certificates) entries.push({ ...COMMON, every: '10m', name: 'kubeadm', type: 'cert', ...certificates })
  // A certificate of its own is for other names than the loopback address.
  if (ownUrl !== undefined) entries.push({ ...COMMON, name: 'curlew', type: 'http', targets: [ownUrl], ...(ownUrl.startsWith('https:') ? { insecure_skip_verify: true } : {}) })
  return entries
}

/** By its process first; a forwarder such as docker-proxy is told by its port, a PostgreSQL never is. */
function kindOf({ port, process }: Listener, listeners: readonly Listener[]): Kind | undefined {
  if (process?.startsWith('postgres')) return undefined
  const byPort = KINDS.find(({ ports }) => ports.includes(port))
  const kind = KINDS.find((one) => isOf(one, process))
  if (!kind || (kind.forwards && byPort)) return byPort
  return kind.other?.(port, new Set(listeners.filter((one) => isOf(kind, one.process)).map((one) => one.port))) ? undefined : kind
}

function isOf({ processes }: Kind, process: string | undefined): boolean {
  return process !== undefined && processes.test(process)
}

const LISTEN = '0A'

/** TCP listeners that can be reached over loopback, from /proc; empty where there is no /proc. */
export function localListeners(proc = '/proc'): Listener[] {
  const sockets = new Map<string, { host: string, port: number }>()
  for (const file of ['tcp', 'tcp6']) {
    for (const line of read(`${proc}/net/${file}`).split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
      const [hex, port] = local?.split(':') ?? []
      const host = hex === undefined ? undefined : loopbackOf(hex)
      if (state === LISTEN && inode !== undefined && host !== undefined && port !== undefined) sockets.set(inode, { host, port: Number.parseInt(port, 16) })
    }
  }
  const owners = processesOf(proc, new Set(sockets.keys()))
  const seen = new Map<number, Listener>()
  for (const [inode, { host, port }] of sockets) {
    // A server bound to both families is one server.
    if (!seen.has(port)) seen.set(port, { host, port, process: owners.get(inode) })
  }
  return [...seen.values()].toSorted((a, b) => a.port - b.port)
}

/** Where storage of the network is mounted, by the kernel's table: no mount is touched. */
export function localMounts(proc = '/proc'): string[] {
  return networkMounts(parseMountinfo(read(`${proc}/self/mountinfo`)))
}

/** The address to use for a hexadecimal local address of /proc/net/tcp, if it is loopback or any. */
function loopbackOf(hex: string): string | undefined {
  if (/^0+$/.test(hex)) return '127.0.0.1'
  if (hex.length === 8) return hex.endsWith('7F') ? [3, 2, 1, 0].map((byte) => Number.parseInt(hex.slice(byte * 2, byte * 2 + 2), 16)).join('.') : undefined
  return hex === '00000000000000000000000001000000' ? '::1' : undefined
}

function processesOf(proc: string, inodes: ReadonlySet<string>): Map<string, string> {
  const owners = new Map<string, string>()
  for (const pid of list(proc).filter((name) => /^\d+$/.test(name))) {
    for (const fd of list(`${proc}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`${proc}/${pid}/fd/${fd}`))?.[1]
      if (inode !== undefined && inodes.has(inode)) owners.set(inode, nameOf(`${proc}/${pid}`))
    }
  }
  return owners
}

/** As the kernel keeps it; a Sentinel, which is a redis-server to the kernel, says what it is in its title. */
function nameOf(directory: string): string {
  const name = read(`${directory}/comm`).trim()
  return name.endsWith('-server') && read(`${directory}/cmdline`).includes('[sentinel]') ? 'redis-sentinel' : name
}

/** Options for the certificates of a node that kubeadm has set up; undefined on any other machine. */
export function localCertificates(directory = '/etc/kubernetes'): Readonly<Record<string, unknown>> | undefined {
  if (list(`${directory}/pki`).length === 0) return undefined
  // Kubeconfigs are root's alone, as are the kubelet's own; the others everybody may read.
  const all = orEmpty(() => { accessSync(`${directory}/kubelet.conf`, constants.R_OK); return true }, false)
  return all ? { targets: [directory], preset: 'kubeadm' } : { targets: [`${directory}/pki`] }
}

const KUBEADM_FILES: readonly (readonly [directory: string, names: RegExp])[] = [
  ['/etc/kubernetes', /^(?:admin|super-admin|kubelet|controller-manager|scheduler)\.conf$/],
  ['/etc/kubernetes/manifests', /^(?:kube-apiserver|etcd)\.yaml$/],
  ['/etc/kubernetes/pki', /^(?:ca|apiserver.*|front-proxy-.*)\.crt$/],
  ['/var/lib/kubelet/pki', /^kubelet(?:\.crt|-(?:client|server)-.*\.pem)$/],
]

/** Whether the preset `kubeadm` has anything to look at here: on another kind of node it would only fail. What may not be read counts, so that the probe says so. */
export function hasKubeadmFiles(root = ''): boolean {
  return KUBEADM_FILES.some(([directory, wanted]) => {
    try {
      return readdirSync(root + directory).some((name) => wanted.test(name))
    } catch (error) {
      return !(error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code)))
    }
  })
}

// Other users' processes cannot be read, and processes end while they are looked at: both are as if they were not there.
const read = (path: string) => orEmpty(() => readFileSync(path, 'utf8'), '')
const list = (path: string) => orEmpty(() => readdirSync(path), [])
const link = (path: string) => orEmpty(() => readlinkSync(path), '')

function orEmpty<T>(work: () => T, empty: T): T {
  try {
    return work()
  } catch {
    return empty
  }
}
