import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { runCurlew, type Ran } from './curlew.ts'

/** Who runs a command: root, nobody, or nobody who gets no more rights from any file, as in a locked-down container. */
export type User = 'root' | 'nobody' | 'locked'

/** A machine: a network namespace with its own interfaces, routes, firewall and name servers. Linux, as root. */
export interface Machine {
  /** The namespace, for ip(8). */
  readonly name: string
  /** Put before a command, has it run there as this user. */
  enter(user?: User): readonly string[]
  /** Runs a command there to its end; throws with what it printed when it fails. */
  run(command: string, ...args: readonly string[]): string
  /** Runs `curlew` there to its end. */
  curlew(args: readonly string[], options?: { readonly user?: User, readonly env?: NodeJS.ProcessEnv }): Promise<Ran>
  /** Adds rules of nft's language, such as `icmp type echo-request drop`, to what comes in, goes out or passes through. */
  nft(hook: 'input' | 'output' | 'forward', ...rules: readonly string[]): void
  /** Takes every rule of `nft` away. */
  clearNft(): void
  /** Sets a kernel parameter, such as `net.ipv4.ping_group_range`. */
  sysctl(key: string, value: string): void
  /** What stands in its /etc/resolv.conf. */
  nameServers(...ips: readonly string[]): void
  /** What stands in its /etc/hosts, beside localhost. */
  hosts(entries: Readonly<Record<string, readonly string[]>>): void
}

/** a - r1 - r2 - b: between a and b lie two routers, with IPv4 and IPv6 all the way. */
export interface Network {
  readonly a: Machine
  readonly r1: Machine
  readonly r2: Machine
  readonly b: Machine
  /** Ends the machines, and whatever runs on them. */
  remove(): void
}

/** Each link, the addresses at its two ends, and the interfaces there: `e0` towards a, `e1` towards b. */
const LINKS = [
  { left: 'a', right: 'r1', leftEnd: 'e1', rightEnd: 'e0', ip4: '10.9.1', ip6: 'fd09:1:' },
  { left: 'r1', right: 'r2', leftEnd: 'e1', rightEnd: 'e0', ip4: '10.9.2', ip6: 'fd09:2:' },
  { left: 'r2', right: 'b', leftEnd: 'e1', rightEnd: 'e0', ip4: '10.9.3', ip6: 'fd09:3:' },
] as const

/** The addresses of the machines: of a router those that a sees, which are on its side. */
export const ADDRESSES = {
  a: { ip4: '10.9.1.1', ip6: 'fd09:1::1' },
  r1: { ip4: '10.9.1.2', ip6: 'fd09:1::2' },
  r2: { ip4: '10.9.2.2', ip6: 'fd09:2::2' },
  b: { ip4: '10.9.3.2', ip6: 'fd09:3::2' },
} as const

/** Static routes beyond the links: who reaches what over which neighbour. */
const ROUTES = [
  { at: 'a', to4: 'default', to6: 'default', link: 0, side: 2 },
  { at: 'b', to4: 'default', to6: 'default', link: 2, side: 1 },
  { at: 'r1', to4: '10.9.3.0/24', to6: 'fd09:3::/64', link: 1, side: 2 },
  { at: 'r2', to4: '10.9.1.0/24', to6: 'fd09:1::/64', link: 1, side: 1 },
] as const

/** Routers that route, IPv6 addresses that can be used at once, and no bound on errors that are sent. */
const PARAMETERS = [
  'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0',
  'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0',
] as const

const RUN = '/run/netns'
const ETC = '/etc/netns'
let networks = 0

/** A network of its own for a test; `remove()` it in afterAll. What a killed run leaves is swept by the next one. */
export function createNetwork(): Network {
  const prefix = `${prefixOf(process.env['CURLEW_TEST_RUN'] ?? `curlew-tests-${process.pid}-alone`)}${process.pid}-${networks++}-`
  const names = ['a', 'r1', 'r2', 'b'] as const
  try {
    for (const name of names) {
      ip('netns', 'add', prefix + name)
      // Before there are interfaces, which inherit them.
      inside(prefix + name, 'sysctl', ['-qw', ...PARAMETERS])
    }
    for (const { left, right, leftEnd, rightEnd } of LINKS) {
      ip('link', 'add', leftEnd, 'netns', prefix + left, 'type', 'veth', 'peer', 'name', rightEnd, 'netns', prefix + right)
    }
    const machines = names.map((name) => machine(prefix + name))
    for (const name of names) configure(prefix, name)
    const [a, r1, r2, b] = machines
    if (!a || !r1 || !r2 || !b) throw new Error('four names make four machines')
    // The kernel tells IPv6 about new links only once a second.
    a.run('fping', '--quiet', '--retry=100', '--timeout=50', '--backoff=1', ADDRESSES.b.ip4, ADDRESSES.b.ip6)
    return { a, r1, r2, b, remove: () => removeNetworks(prefix) }
  } catch (error) {
    removeNetworks(prefix)
    throw error
  }
}

/** Ends every namespace whose name begins so, what runs in it included. */
function removeNetworks(prefix: string): void {
  const left = listed(RUN).filter((name) => name.startsWith(prefix))
  for (const name of left) {
    for (const pid of execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).split('\n').filter(Boolean)) kill(Number(pid))
    ip('netns', 'del', name)
  }
  for (const name of listed(ETC)) if (name.startsWith(prefix)) rmSync(join(ETC, name), { recursive: true, force: true })
}

/** Ends the networks of a test run, by its directory. */
export function removeNetworksOf(directory: string): void {
  removeNetworks(prefixOf(directory))
}

/** Ends the networks of runs that were killed: their names hold the process that would have done it. */
export function sweepNetworks(): void {
  for (const name of [...listed(RUN), ...listed(ETC)]) {
    const [prefix, owner] = /^curlew-tests-(\d+)-/.exec(name) ?? []
    if (prefix !== undefined && process.getuid?.() === 0 && !existsSync(`/proc/${owner}`)) removeNetworks(prefix)
  }
}

function prefixOf(directory: string): string {
  return `${basename(directory)}-`
}

function configure(prefix: string, name: 'a' | 'r1' | 'r2' | 'b'): void {
  const lines = ['link set lo up']
  for (const { left, right, leftEnd, rightEnd, ip4, ip6 } of LINKS) {
    for (const [end, device, host] of [[left, leftEnd, 1], [right, rightEnd, 2]] as const) {
      if (end !== name) continue
      lines.push(`addr add ${ip4}.${host}/24 dev ${device}`, `addr add ${ip6}:${host}/64 dev ${device} nodad`, `link set ${device} up`)
    }
  }
  for (const { at, to4, to6, link, side } of ROUTES) {
    if (at === name) lines.push(`route add ${to4} via ${LINKS[link].ip4}.${side}`, `-6 route add ${to6} via ${LINKS[link].ip6}:${side}`)
  }
  for (const line of lines) ip('-n', prefix + name, ...line.split(' '))
}

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
const BECOME: Readonly<Record<User, readonly string[]>> = { root: [], nobody: NOBODY, locked: [...NOBODY, '--no-new-privs'] }

function machine(name: string): Machine {
  const enter = (user: User = 'root') => ['ip', 'netns', 'exec', name, ...BECOME[user]]
  const write = (file: string, lines: readonly string[]) => {
    mkdirSync(join(ETC, name), { recursive: true })
    writeFileSync(join(ETC, name, file), lines.map((line) => `${line}\n`).join(''))
  }
  write('resolv.conf', ['# none'])
  return {
    name, enter,
    nameServers(...ips) { write('resolv.conf', ips.map((one) => `nameserver ${one}`)) },
    hosts(entries) { write('hosts', ['127.0.0.1 localhost', '::1 localhost', ...Object.entries(entries).flatMap(([host, ips]) => ips.map((one) => `${one} ${host}`))]) },
    run: (command, ...args) => inside(name, command, args),
    curlew: (args, { user, env } = {}) => runCurlew(args, { wrap: enter(user), ...(env === undefined ? {} : { env }) }),
    nft(hook, ...rules) {
      const chain = `type filter hook ${hook} priority 0; policy accept`
      inside(name, 'nft', ['-f', '-'], `table inet curlew {\nchain ${hook} {\n${[chain, ...rules].join('\n')}\n}\n}\n`)
    },
    clearNft() { inside(name, 'nft', ['flush', 'ruleset']) },
    sysctl(key, value) { inside(name, 'sysctl', ['-qw', `${key}=${value}`]) },
  }
}

function inside(name: string, command: string, args: readonly string[], input?: string): string {
  return execFileSync('ip', ['netns', 'exec', name, command, ...args], { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], ...(input === undefined ? {} : { input }) })
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function listed(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime.
  }
}
