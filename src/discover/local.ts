import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

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
  readonly target: (address: string) => string
  readonly options: Readonly<Record<string, unknown>>
}

/** Never slower than this, and read-only: nobody asked for these probes. */
const COMMON = { every: '60s', mode: 'read-only' } as const

/** A port is only taken for what its process or its well-known number says: an unknown port is never contacted. */
const KINDS: readonly Kind[] = [
  { name: 'local-redis', type: 'redis', processes: /^(redis|valkey|keydb)-server$/, ports: [6379], target: (address) => address, options: {} },
  { name: 'local-memcached', type: 'memcached', processes: /^memcached$/, ports: [11211], target: (address) => address, options: {} },
  {
    name: 'local-http', type: 'http',
    processes: /^(nginx|apache2|httpd|caddy|lighttpd|haproxy|traefik|prometheus|alertmanager|grafana|grafana-server|node_exporter|blackbox_export)$/,
    ports: [80, 8000, 8080, 8081],
    target: (address) => `http://${address}/`,
    // What answers at all is taken for well, but for an error of its own.
    options: { status: ['1xx', '2xx', '3xx', '4xx'], follow_redirects: false },
  },
]

const MOST_LISTENERS = 50

/** Entries for what this machine shows without reaching beyond it: read-only, at 60 s. */
export function discoverLocal({ listeners, ownUrl }: { readonly listeners: readonly Listener[], readonly ownUrl: string | undefined }): FoundEntry[] {
  // Without a target the probe asks every server of resolv.conf; any answer counts, and every server knows localhost.
  const entries: FoundEntry[] = [{ ...COMMON, name: 'resolv-conf', type: 'dns', query: 'localhost.', record: 'A', rcode: 'any', min_answers: 0 }]
  for (const kind of KINDS) {
    const found = listeners
      .filter((listener) => kindOf(listener) === kind)
      .map(({ host, port }) => kind.target(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`))
      .filter((target) => ownUrl === undefined || new URL(ownUrl).host !== new URL(target.includes('://') ? target : `tcp://${target}`).host)
    if (found.length > 0) entries.push({ ...COMMON, ...kind.options, name: kind.name, type: kind.type, targets: found.slice(0, MOST_LISTENERS) })
  }
  // A certificate of its own is for other names than the loopback address.
  if (ownUrl !== undefined) entries.push({ ...COMMON, name: 'curlew', type: 'http', targets: [ownUrl], ...(ownUrl.startsWith('https:') ? { insecure_skip_verify: true } : {}) })
  return entries
}

/** By its process first; a forwarder such as docker-proxy is told by its port, a database server never is. */
function kindOf({ port, process }: Listener): Kind | undefined {
  if (process !== undefined && /^(mysqld|mariadbd|postgres)/.test(process)) return undefined
  return KINDS.find((kind) => process !== undefined && kind.processes.test(process)) ?? KINDS.find((kind) => kind.ports.includes(port))
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
      if (inode !== undefined && inodes.has(inode)) owners.set(inode, read(`${proc}/${pid}/comm`).trim())
    }
  }
  return owners
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
