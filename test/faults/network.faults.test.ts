import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { ADDRESSES, createNetwork, type Network } from '../support/netns.ts'
import { eventually, startProcess, temporaryDirectory } from '../support/process.ts'
import { failed, faultTable, ok, unknown, type Entry, type Fault, type Trial } from './table.ts'

const { r1, r2, b } = ADDRESSES
/** A second address on the last link, where no machine is. */
const NOBODY = '10.9.3.77'
/** Behind a circle of the two routers. */
const CIRCLE = '10.99.0.1'
const PORT = 8080

type Place = 'a' | 'r1' | 'r2' | 'b'
type Making = Pick<Fault, 'make' | 'undo'>

let network: Network

beforeAll(async () => {
  network = createNetwork()
  // A host that is gone is known to be gone after three questions for its address.
  network.r2.sysctl('net.ipv4.neigh.e1.retrans_time_ms', '50')
  network.a.hosts({ 'half.test': [NOBODY, b.ip4] })
  await Promise.all([
    onB('ready', process.execPath, '-e', `require('node:http').createServer((asked, answer) => answer.end(asked.url === '/large' ? 'x'.repeat(20_000) : 'well')).listen(${PORT}, () => console.log('ready'))`),
    onB('started', 'dnsmasq', '-C', '/dev/null', '-k', '-R', '-h', '--user=root', '--log-facility=-', `--pid-file=${join(temporaryDirectory().path, 'dnsmasq.pid')}`,
      `--listen-address=${b.ip4}`, '--bind-interfaces', '--local=/#/', `--host-record=b.test,${b.ip4}`, '--server=/elsewhere.test/#'),
  ])
})
// Whatever runs on the machines ends with them.
afterAll(() => { network?.remove() })

function onB(ready: string, ...command: readonly string[]) {
  const [first = '', ...rest] = [...network.b.enter(), ...command]
  return startProcess(first, rest, { ready: (output) => output.includes(ready) })
}

const fromA = (probe: Entry): Trial => ({ probe, wrap: network.a.enter() })
const tcp = (more: Entry = {}) => () => fromA({ type: 'tcp', target: `${b.ip4}:${PORT}`, ...more })
const ping = (more: Entry = {}) => () => fromA({ type: 'ping', target: b.ip4, count: 3, packet_interval: '20ms', packet_timeout: '500ms', ...more })
const traceroute = (more: Entry = {}) => () => fromA({ type: 'traceroute', target: b.ip4, hop_timeout: '300ms', ...more })
const named = (host: string, more: Entry = {}) => () => {
  network.a.nameServers(b.ip4)
  return tcp({ target: `${host}:${PORT}`, ...more })()
}

/** Rules of a machine's packet filter make it. */
const filtered = (at: Place, hook: 'input' | 'output' | 'forward', rule: string, trial: () => Trial): Making => ({
  make() {
    network[at].nft(hook, rule)
    return trial()
  },
  undo: () => network[at].clearNft(),
})

/** What `ip` does on machines makes it, and takes it back. */
const routed = (trial: () => Trial, ...commands: readonly { at: Place, how: string, back?: string }[]): Making => {
  const run = (step: 'how' | 'back') => {
    for (const { at, [step]: lines = '' } of commands) for (const line of lines.split('; ').filter(Boolean)) network[at].run('ip', ...line.split(' '))
  }
  return {
    make() {
      run('how')
      return trial()
    },
    async undo() {
      run('back')
      // A link is up again when the kernel gets round to it.
      await eventually(() => commands.every(({ at }) => !network[at].run('ip', 'link').includes('NO-CARRIER')))
    },
  }
}

const FORGET_MTU = 'route flush cache'
const NARROW = [
  { at: 'r1', how: 'link set e1 mtu 1280', back: 'link set e1 mtu 1500' },
  { at: 'r2', how: 'link set e0 mtu 1280', back: 'link set e0 mtu 1500' },
  { at: 'a', how: FORGET_MTU, back: FORGET_MTU },
] as const
const ROUND = [
  { at: 'r1', how: 'route add 10.99.0.0/24 via 10.9.2.2', back: 'route del 10.99.0.0/24' },
  { at: 'r2', how: 'route add 10.99.0.0/24 via 10.9.2.1', back: 'route del 10.99.0.0/24' },
] as const
/** Its neighbour forgets it, too, which else takes a while. */
const B_DOWN = [{ at: 'b', how: 'link set e0 down', back: 'link set e0 up; route add default via 10.9.3.1' }, { at: 'r2', how: 'neigh flush dev e1' }] as const
const NO_ROUTE = { at: 'r1', how: 'route del 10.9.3.0/24', back: `route add 10.9.3.0/24 via ${r2.ip4}` } as const
const A_DOWN = { at: 'a', how: 'link set e1 down', back: `link set e1 up; route add default via ${r1.ip4}` } as const

/** The link between the routers takes less than the others; a router that is mute does not say so. */
const narrow = (trial: () => Trial, mute?: 'r1' | 'r2'): Making => {
  const { make, undo } = routed(trial, ...NARROW)
  return {
    make() {
      if (mute) network[mute].nft('output', 'icmp type destination-unreachable drop')
      return make()
    },
    async undo() {
      await undo?.()
      if (mute) network[mute].clearNft()
    },
  }
}

const LOSSY = 'icmp type echo-request numgen inc mod 10 < 3 drop'
const WHOLE_PACKETS = { dont_fragment: true, payload_size: 1_400 } as const
const ONE_OF_TWO = { 'probe_addresses{state="ok"}': 1, 'probe_addresses{state="failed"}': 1 }

describe('hosts and routes', () => {
  faultTable('network', [
    { fault: 'the host is down', ...routed(tcp(), ...B_DOWN), expected: failed('network', 'unreachable', 'network_unreachable') },
    { fault: 'the host is down, asked by ping', ...routed(ping(), ...B_DOWN), expected: failed('network', 'unreachable', 'network_unreachable', { probe_icmp_packet_loss_ratio: 1 }) },
    { fault: 'a router has no route', ...routed(tcp(), NO_ROUTE), expected: failed('network', 'unreachable', 'network_unreachable') },
    { fault: 'a router has no route, asked for the way', ...routed(traceroute(), NO_ROUTE), expected: failed('network', 'unreachable', 'traceroute_unreachable') },
    { fault: 'the way back has no route', like: 'a firewall that drops', ...routed(tcp({ timeout: '1s' }), { at: 'r2', how: 'route del 10.9.1.0/24', back: 'route add 10.9.1.0/24 via 10.9.2.1' }), expected: failed('connect', 'timeout', 'connect_timeout') },
    { fault: 'routers send packets in a circle', like: 'a host farther away than ttl', ...routed(ping({ target: CIRCLE }), ...ROUND), expected: failed('network', 'unreachable', 'ping_ttl_exceeded') },
    { fault: 'routers send packets in a circle, asked for the way', ...routed(traceroute({ target: CIRCLE }), ...ROUND), expected: failed('network', 'unreachable', 'traceroute_loop') },
    { fault: 'packets are larger than a link on the way', ...narrow(ping(WHOLE_PACKETS)), expected: failed('network', 'unsupported', 'ping_too_big') },
    { fault: 'MTU black hole: nobody says that they are too large', like: 'a host that answers no pings', ...narrow(ping(WHOLE_PACKETS), 'r1'), expected: failed('network', 'timeout', 'network_timeout', { probe_icmp_packet_loss_ratio: 1 }) },
    { fault: 'MTU black hole: it connects, but a page does not come', like: 'a server that does not answer', ...narrow(() => fromA({ type: 'http', target: `http://${b.ip4}:${PORT}/large`, timeout: '1s' }), 'r2'), expected: failed('request', 'timeout', 'request_timeout') },
  ])
})

describe('loss and packet filters', () => {
  faultTable('network', [
    { fault: 'every packet is lost', like: 'a host that answers no pings', ...filtered('r2', 'forward', 'icmp type echo-request drop', ping()), expected: failed('network', 'timeout', 'network_timeout', { probe_icmp_packet_loss_ratio: 1 }) },
    { fault: 'every packet is lost, asked for the way', ...filtered('r1', 'forward', `ip daddr ${b.ip4} drop`, traceroute()), expected: failed('network', 'timeout', 'traceroute_silent') },
    { fault: 'three packets of ten are lost', ...filtered('r2', 'forward', LOSSY, ping({ count: 10 })), expected: ok({ probe_icmp_packet_loss_ratio: [0.299, 0.301] }) },
    { fault: 'three packets of ten are lost, and fail_on names that', ...filtered('r2', 'forward', LOSSY, ping({ count: 10, limits: { loss_ratio: { critical: 0.2 } }, fail_on: ['loss_ratio'] })), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_icmp_packet_loss_ratio: [0.299, 0.301] }) },
    { fault: 'a firewall drops what goes to the port', ...filtered('r2', 'forward', `tcp dport ${PORT} drop`, tcp({ timeout: '1s' })), expected: failed('connect', 'timeout', 'connect_timeout') },
    { fault: 'the host rejects the port with a reset', like: 'a port where nothing listens, or our own firewall', ...filtered('b', 'input', `tcp dport ${PORT} reject with tcp reset`, tcp()), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'a firewall rejects the port: admin-prohibited', like: 'a host that cannot be reached', ...filtered('r2', 'forward', `tcp dport ${PORT} reject with icmp type admin-prohibited`, tcp()), expected: failed('network', 'unreachable', 'network_unreachable') },
    { fault: 'a firewall rejects the port: port-unreachable', like: 'a port where nothing listens', ...filtered('r2', 'forward', `tcp dport ${PORT} reject with icmp type port-unreachable`, tcp()), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'a firewall rejects pings', ...filtered('r2', 'forward', 'icmp type echo-request reject with icmp type admin-prohibited', ping()), expected: failed('network', 'unreachable', 'ping_rejected') },
    { fault: 'a firewall rejects, asked for the way', ...filtered('r2', 'forward', `ip daddr ${b.ip4} reject with icmp type admin-prohibited`, traceroute()), expected: failed('network', 'unreachable', 'traceroute_rejected') },
  ])
})

describe('names', () => {
  const silent = (trial: () => Trial) => filtered('r2', 'forward', `ip daddr ${NOBODY} drop`, trial)
  const second = (more: Entry = {}) => silent(() => {
    const trial = named('b.test', more)()
    network.a.nameServers(NOBODY, b.ip4)
    return trial
  })
  faultTable('network', [
    { fault: 'the name does not exist', make: named('nowhere.test'), expected: failed('resolve', 'not_found', 'resolve_not_found') },
    { fault: 'no name server answers', ...filtered('b', 'input', 'udp dport 53 drop', named('b.test', { timeout: '1s' })), expected: failed('resolve', 'timeout', 'resolve_timeout') },
    { fault: 'the name server refuses to answer', make: named('www.elsewhere.test'), expected: failed('resolve', 'other', 'resolve_other') },
    { fault: 'the first of two name servers is dead', ...second({ timeout: '4s' }), expected: ok({ probe_dns_lookup_time_seconds: [0.9, 3] }) },
    { fault: 'the first of two is dead, and fail_on names slowness', ...second({ timeout: '4s', limits: { duration: { critical: 0.5 } }, fail_on: ['duration'] }), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'one of two addresses is dead', ...silent(ping({ target: 'half.test' })), expected: ok(ONE_OF_TWO) },
    { fault: 'one of two addresses is dead, and a port is asked for', ...silent(tcp({ target: `half.test:${PORT}` })), expected: ok({ 'probe_addresses{state="ok"}': 1, 'probe_addresses{state="untried"}': 1, 'duration_seconds': [0.25, 2] }) },
    { fault: 'one of two addresses is dead, and all must answer', ...silent(tcp({ target: `half.test:${PORT}`, addresses: 'all', timeout: '1s' })), expected: failed('connect', 'timeout', 'connect_timeout', ONE_OF_TWO) },
  ])
})

describe('trouble of our own', () => {
  faultTable('network', [
    { fault: 'our own interface is down', ...routed(tcp(), A_DOWN), expected: unknown('unreachable', 'prober_no_network') },
    { fault: 'our own interface is down, asked by ping', ...routed(ping(), A_DOWN), expected: unknown('unreachable', 'prober_no_network') },
    { fault: 'our own interface is down, and with it every name server', ...routed(named('b.test'), A_DOWN), expected: unknown('unreachable', 'prober_no_network') },
    { fault: 'our own machine has no route, its interface is up', like: 'a router without a route', ...routed(tcp(), { at: 'a', how: 'route del default', back: `route add default via ${r1.ip4}` }), expected: failed('network', 'unreachable', 'network_unreachable') },
    { fault: 'a route of our own machine prohibits it', ...routed(tcp(), { at: 'a', how: `route add prohibit ${b.ip4}`, back: `route del prohibit ${b.ip4}` }), expected: unknown('denied', 'prober_denied') },
    { fault: 'a route of our own machine throws packets away', ...routed(tcp(), { at: 'a', how: `route add blackhole ${b.ip4}`, back: `route del blackhole ${b.ip4}` }), expected: unknown('denied', 'prober_denied') },
    { fault: 'our own firewall drops pings', ...filtered('a', 'output', `ip daddr ${b.ip4} drop`, ping()), expected: unknown('denied', 'prober_denied') },
    { fault: 'our own firewall rejects pings', ...filtered('a', 'output', `ip daddr ${b.ip4} reject with icmp type admin-prohibited`, ping()), expected: unknown('denied', 'prober_denied') },
    { fault: 'our own firewall drops UDP, asked for the way', ...filtered('a', 'output', `ip daddr ${b.ip4} drop`, traceroute()), expected: unknown('denied', 'prober_denied') },
    { fault: 'our own firewall drops connections', like: 'a firewall anywhere on the way', ...filtered('a', 'output', `ip daddr ${b.ip4} drop`, tcp({ timeout: '1s' })), expected: failed('connect', 'timeout', 'connect_timeout') },
  ])
})
