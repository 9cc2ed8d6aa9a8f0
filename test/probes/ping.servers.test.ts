import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { runCurlew } from '../support/curlew.ts'
import { createNetwork, type Network, type User } from '../support/netns.ts'
import { eventually, startProcess, temporaryDirectory } from '../support/process.ts'

const report = z.object({
  results: z.array(z.object({
    target: z.string(), status: z.string(),
    phases: z.array(z.object({ name: z.string(), duration_seconds: z.number() })),
    failure: z.object({ layer: z.string(), reason: z.string(), code: z.string(), message: z.string() }).optional(),
    gauges: z.array(z.object({ name: z.string(), value: z.number(), labels: z.record(z.string(), z.string()).optional() })),
  })),
})
type Result = z.output<typeof report>['results'][number]

const NOBODY_MAY = '65534 65534'
const NONE_MAY = '1 0'

/** Every third packet to it is lost; each kind of socket has its own, since the count is one for all. */
const LOSSY = { root: '10.9.4.12', locked: '10.9.4.13' } as const

let network: Network
let rounds: Record<'root' | 'locked' | 'names', readonly Result[]>

beforeAll(async () => {
  network = createNetwork()
  // Root's group is not in it: root has raw sockets only.
  network.a.sysctl('net.ipv4.ping_group_range', NOBODY_MAY)
  const { a, r1, r2, b } = network
  // Behind b lies a network whose every address is b's, so that each fault has one of its own and a single round meets them all.
  r1.run('ip', 'route', 'add', '10.9.4.0/24', 'via', '10.9.2.2')
  r2.run('ip', 'route', 'add', '10.9.4.0/24', 'via', '10.9.3.2')
  b.run('ip', 'route', 'add', 'local', '10.9.4.0/24', 'dev', 'lo')
  r1.run('ip', '-6', 'route', 'add', 'fd09:4::/64', 'via', 'fd09:2::2')
  r2.run('ip', '-6', 'route', 'add', 'fd09:4::/64', 'via', 'fd09:3::2')
  b.run('ip', '-6', 'route', 'add', 'local', 'fd09:4::/64', 'dev', 'lo')
  r1.run('ip', 'link', 'set', 'e1', 'mtu', '1280')
  r2.run('ip', 'link', 'set', 'e0', 'mtu', '1280')
  r2.nft('forward',
    'ip daddr 10.9.4.11 drop', 'ip daddr 10.9.4.60-10.9.4.63 drop', 'ip6 daddr fd09:4::11 drop',
    'ip daddr 10.9.4.12 numgen inc mod 3 == 0 drop', 'ip daddr 10.9.4.13 numgen inc mod 3 == 0 drop',
    'ip daddr 10.9.4.14 reject with icmp type admin-prohibited', 'ip6 daddr fd09:4::14 reject with icmpv6 type admin-prohibited',
    'ip daddr 10.9.4.15 reject with icmp type host-unreachable',
  )
  r2.run('nft', 'table ip twice { chain forward { type filter hook forward priority 0; ip daddr 10.9.4.16 dup to 10.9.3.2 device "e1"; }; }')
  // The error that names the MTU is lost on its way: of the datagram that it quotes, 10.9.4.21 was the destination.
  r1.nft('output', 'icmp type destination-unreachable @th,192,32 0x0a090415 drop')
  a.nft('output', 'ip daddr 10.9.4.30 drop', 'ip daddr 10.9.4.32 reject with icmp type admin-prohibited', 'ip6 daddr fd09:4::32 reject')
  a.hosts({ 'one-is-dead': ['10.9.4.11', '10.9.4.40'], 'first-is-dead': ['10.9.4.11', '10.9.4.40'], 'most-are-dead': ['10.9.4.60', '10.9.4.61', '10.9.4.62', '10.9.4.63', '10.9.4.64'], 'both-live': ['10.9.4.40', 'fd09:4::40'], 'v6-first': ['fd09:4::11', 'fd09:4::41'] })

  const everyFault = (user: keyof typeof LOSSY) => check(user, [
    '10.9.4.2', '[fd09:4::2]', '10.9.4.3?payload_size=0', '10.9.4.4?payload_size=3', '10.9.4.5?payload_size=20000', '[fd09:4::5]?payload_size=20000',
    '10.9.4.11', '[fd09:4::11]', `${LOSSY[user]}?count=9&packet_interval=20ms`, '10.9.4.14', '[fd09:4::14]', '10.9.4.15', '10.9.4.16',
    '10.9.3.77?packet_timeout=4s', '[fd99::1]', '10.9.4.17?ttl=1', '10.9.4.18?ttl=2', '[fd09:4::17]?ttl=1',
    '10.9.4.20?dont_fragment=true&payload_size=1400', '[fd09:4::20]?dont_fragment=true&payload_size=1400', '10.9.4.21?dont_fragment=true&payload_size=1400',
    '10.9.4.22?dont_fragment=true&payload_size=1252', '10.9.4.23?dont_fragment=true&payload_size=1800', '10.9.4.30', '10.9.4.32', '[fd09:4::32]', '10.9.4.31?count=100&packet_timeout=4s',
  ])
  const [root, locked, ...names] = await Promise.all([
    everyFault('root'), everyFault('locked'),
    check('root', ['one-is-dead?count=1', 'both-live?count=1&addresses=all', 'v6-first?count=1', 'most-are-dead', 'first-is-dead?packet_timeout=4500ms']),
    check('root', ['one-is-dead?count=1&addresses=all']),
    check('root', ['one-is-dead?count=1&addresses=first']),
  ])
  rounds = { root, locked, names: names.flat() }
})
afterAll(() => network.remove())

describe.each([
  ['raw sockets', 'root'],
  ['unprivileged sockets', 'locked'],
] as const)('ping through %s', (_kind, user) => {
  const lossy = LOSSY[user]
  const resultOf = (target: string) => {
    const result = rounds[user].find((one) => one.target === target)
    if (!result) throw new Error(`nothing about ${target}`)
    return result
  }

  it.each([
    ['over IPv4', '10.9.4.2'], ['over IPv6', 'fd09:4::2'], ['without data', '10.9.4.3'], ['with less data than a cookie', '10.9.4.4'],
    ['in fragments', '10.9.4.5'], ['with the largest data that fits', '10.9.4.22'],
  ])('is answered behind two routers %s', (_how, target) => {
    const result = resultOf(target)
    expect(result).toMatchObject({ status: 'ok' })
    const gauge = gaugesOf(result)
    expect(gauge('probe_icmp_packets_sent')).toBe(5)
    expect(gauge('probe_icmp_packets_received')).toBe(5)
    expect(gauge('probe_icmp_packet_loss_ratio')).toBe(0)
    expect(gauge('probe_icmp_duplicates')).toBe(0)
    expect(gauge('probe_icmp_reply_hop_limit')).toBe(62)
    expect(gauge('probe_ip_protocol')).toBe(target.includes(':') ? 6 : 4)
    const rtt = result.phases.find(({ name }) => name === 'rtt')?.duration_seconds
    expect(gauge('probe_icmp_rtt_min_seconds')).toBeGreaterThan(0)
    expect(rtt).toBeGreaterThanOrEqual(gauge('probe_icmp_rtt_min_seconds') ?? NaN)
    expect(rtt).toBeLessThanOrEqual(gauge('probe_icmp_rtt_max_seconds') ?? NaN)
    expect(gauge('probe_icmp_rtt_max_seconds')).toBeLessThan(1)
    expect(gauge('probe_icmp_jitter_seconds')).toBeLessThan(1)
  })

  it('measures partial loss, and does not fail for it', () => {
    const result = resultOf(lossy)
    const gauge = gaugesOf(result)
    expect(result.status).toBe('ok')
    expect(gauge('probe_icmp_packets_sent')).toBe(9)
    expect(gauge('probe_icmp_packets_received')).toBe(6)
    expect(gauge('probe_icmp_packet_loss_ratio')).toBeCloseTo(1 / 3)
  })

  it('counts duplicates', () => {
    const result = resultOf('10.9.4.16')
    expect(result.status).toBe('ok')
    expect(gaugesOf(result)('probe_icmp_packets_received')).toBe(5)
    expect(gaugesOf(result)('probe_icmp_duplicates')).toBe(5)
  })

  it.each([
    ['a black hole', '10.9.4.11', 'timeout', 'network_timeout', 'no reply to 5 echo requests to 10.9.4.11 with 56 bytes'],
    ['a black hole over IPv6', 'fd09:4::11', 'timeout', 'network_timeout', 'no reply to 5 echo requests to fd09:4::11'],
    ['a firewall that rejects', '10.9.4.14', 'unreachable', 'ping_rejected', '10.9.2.2 says of 10.9.4.14: prohibited by a filter'],
    ['a firewall that rejects over IPv6', 'fd09:4::14', 'unreachable', 'ping_rejected', 'fd09:2::2 says of fd09:4::14: prohibited by a filter'],
    ['a router that knows the host is gone', '10.9.4.15', 'unreachable', 'network_unreachable', '10.9.2.2 says of 10.9.4.15: host unreachable'],
    ['a host that is down', '10.9.3.77', 'unreachable', 'network_unreachable', '10.9.2.2 says of 10.9.3.77: host unreachable'],
    ['a network without a route', 'fd99::1', 'unreachable', 'network_unreachable', 'fd09:1::2 says of fd99::1: no route to the destination'],
    ['too few hops', '10.9.4.17', 'unreachable', 'ping_ttl_exceeded', '10.9.1.2 says of 10.9.4.17: TTL exceeded in transit'],
    ['too few hops at the second router', '10.9.4.18', 'unreachable', 'ping_ttl_exceeded', '10.9.2.2 says of 10.9.4.18: TTL exceeded in transit'],
    ['too few hops over IPv6', 'fd09:4::17', 'unreachable', 'ping_ttl_exceeded', 'fd09:1::2 says of fd09:4::17: hop limit exceeded in transit'],
    ['a narrow link', '10.9.4.20', 'unsupported', 'ping_too_big', '10.9.1.2 says of 10.9.4.20: fragmentation needed, its MTU is 1280'],
    ['a narrow link over IPv6', 'fd09:4::20', 'unsupported', 'ping_too_big', 'fd09:1::2 says of fd09:4::20: packet too big, its MTU is 1280'],
    ['a narrow link that says nothing', '10.9.4.21', 'timeout', 'network_timeout', 'with 1400 bytes that may not be fragmented'],
  ])('blames the network for %s', (_what, target, reason, code, message) => {
    const result = resultOf(target)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'network', reason, code, message: expect.stringContaining(message) } })
    expect(gaugesOf(result)('probe_icmp_packet_loss_ratio')).toBe(1)
    expect(gaugesOf(result)('probe_icmp_rtt_min_seconds')).toBeUndefined()
  })

  it.each([
    ['packets that are larger than our own MTU', '10.9.4.23', 'unsupported', 'ping_local_mtu', '1800 bytes of data to 10.9.4.23'],
    ['what our own firewall drops', '10.9.4.30', 'denied', 'prober_denied', 'a firewall of this machine drops'],
    ['what our own firewall rejects', '10.9.4.32', 'denied', 'prober_denied', 'a firewall of this machine (10.9.1.1) rejects the echo requests to 10.9.4.32: prohibited by a filter'],
    ['what our own firewall rejects over IPv6', 'fd09:4::32', 'denied', 'prober_denied', 'a firewall of this machine (fd09:1::1) rejects'],
  ])('accuses nobody for %s', (_what, target, reason, code, message) => {
    const result = resultOf(target)
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason, code, message: expect.stringContaining(message) } })
    expect(gaugesOf(result)('probe_icmp_packet_loss_ratio')).toBeUndefined()
  })

  it('gets past the path MTU over IPv6, once the kernels on both sides have found it', () => {
    expect(resultOf('fd09:4::5')).toMatchObject({ status: 'ok' })
    expect(gaugesOf(resultOf('fd09:4::5'))('probe_icmp_packets_received')).toBeGreaterThan(1)
  })

  it('sends only what can be answered before the timeout, and counts no more', () => {
    const result = resultOf('10.9.4.31')
    expect(result.status).toBe('ok')
    const sent = gaugesOf(result)('probe_icmp_packets_sent') ?? NaN
    expect(sent).toBeGreaterThan(5)
    expect(sent).toBeLessThan(30)
    expect(gaugesOf(result)('probe_icmp_packets_received')).toBe(sent)
  })
})

describe('ping beside neighbours that are gone', () => {
  // Without privileges it is bounded by the machine's net.core.wmem_max.
  it('sends every packet, though the kernel still holds those to them', async () => {
    const gone = Array.from({ length: 30 }, (_, index) => `10.9.1.${100 + index}?payload_size=20000`)
    const results = await check('root', [...gone, '10.9.4.2'])
    const well = results.find(({ target }) => target === '10.9.4.2')
    expect(well).toMatchObject({ status: 'ok' })
    expect(gaugesOf(well)('probe_icmp_packets_sent')).toBe(5)
    expect(gaugesOf(well)('probe_icmp_packets_received')).toBe(5)
    expect(new Set(results.filter((result) => result !== well).map(({ status }) => status))).toEqual(new Set(['failed']))
  })
})

describe('ping of a name with several addresses', () => {
  it('goes on to the next address when one is silent', () => {
    expect(rounds.names[0]).toMatchObject({ status: 'ok' })
    expect(addressesOf(rounds.names[0])).toEqual({ ok: 1, failed: 1, untried: 0 })
    expect(rounds.names[2]).toMatchObject({ status: 'ok' })
    expect(gaugesOf(rounds.names[2])('probe_ip_protocol')).toBe(6)
  })

  it('finds the one that answers among many, and when the first is waited for so long that no time would be left', () => {
    expect(rounds.names[3]).toMatchObject({ status: 'ok' })
    expect(addressesOf(rounds.names[3])['ok']).toBe(1)
    expect(rounds.names[4]).toMatchObject({ status: 'ok' })
  })

  it('has every address answer with addresses: all', () => {
    expect(rounds.names[1]).toMatchObject({ status: 'ok' })
    expect(addressesOf(rounds.names[1])).toEqual({ ok: 2, failed: 0, untried: 0 })
    expect(gaugesOf(rounds.names[1])('probe_icmp_packets_received')).toBe(2)
    expect(rounds.names[5]).toMatchObject({ status: 'failed', failure: { code: 'network_timeout', message: expect.stringMatching(/1 of the 2 addresses of one-is-dead answer; .*10\.9\.4\.11/) } })
    expect(addressesOf(rounds.names[5])).toEqual({ ok: 1, failed: 1, untried: 0 })
  })

  it('asks one address only with addresses: first', () => {
    expect(rounds.names[6]).toMatchObject({ status: 'failed', failure: { code: 'network_timeout' } })
  })
})

describe('ping where no ICMP socket is allowed', () => {
  beforeAll(() => network.a.sysctl('net.ipv4.ping_group_range', NONE_MAY))
  afterAll(() => network.a.sysctl('net.ipv4.ping_group_range', NOBODY_MAY))

  it.concurrent('says what is missing when nothing is allowed', async () => {
    const [result] = await check('locked', ['10.9.4.2'])
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'denied', code: 'ping_denied', message: expect.stringMatching(/net\.ipv4\.ping_group_range.*CAP_NET_RAW.*fping/) } })
  })

  it.concurrent('goes through fping where that may', async () => {
    const [well, silent, rejected, expired] = await check('nobody', ['10.9.4.2?count=3', '10.9.4.11?count=3', '10.9.4.14?count=3', '10.9.4.17?ttl=1&count=3'])
    expect(well).toMatchObject({ status: 'ok' })
    expect(gaugesOf(well)('probe_icmp_packets_received')).toBe(3)
    expect(gaugesOf(well)('probe_icmp_rtt_max_seconds')).toBeLessThan(1)
    expect(silent).toMatchObject({ status: 'failed', failure: { layer: 'network', reason: 'timeout', code: 'network_timeout' } })
    expect(rejected).toMatchObject({ status: 'failed', failure: { code: 'ping_rejected', message: expect.stringContaining('10.9.2.2') } })
    expect(expired).toMatchObject({ status: 'failed', failure: { code: 'ping_ttl_exceeded', message: expect.stringContaining('10.9.1.2') } })
  })

  it.concurrent('leaves no fping behind when it is killed', async () => {
    const directory = temporaryDirectory()
    chmodSync(directory.path, 0o755)
    const config = join(directory.path, 'curlew.yaml')
    writeFileSync(config, 'probes: [{ name: it, type: ping, target: 10.9.4.50, every: 1s, timeout: 1s, packet_timeout: 200ms }]\n')
    const [command = '', ...args] = [...network.a.enter('nobody'), process.execPath, 'bin/curlew.js', 'serve', '-c', config, '--web.listen-address', '127.0.0.1:9797']
    const running = await startProcess(command, args, { ready: (output) => output.includes('"address"'), env: { ...process.env, STATE_DIRECTORY: directory.path } })
    const fpings = () => network.a.run('sh', '-c', `for pid in $(ip netns pids ${network.a.name}); do tr '\\0' ' ' < /proc/$pid/cmdline && echo; done; true`)
      .split('\n').filter((line) => line.startsWith('fping ') && line.includes('10.9.4.50')).length
    try {
      await eventually(() => fpings() === 1, 8_000, 'an fping')
    } finally {
      await running.stop('SIGKILL')
    }
    await eventually(() => fpings() === 0, 5_000, 'the end of fping')
  })
})

describe('ping without a binary module, which has only fping', () => {
  it('does not believe the loss that fping sees on unprivileged sockets', async () => {
    const [result] = await check('locked', ['10.9.4.2'], { NODE_OPTIONS: '--no-addons' })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', code: 'ping_denied', message: expect.stringMatching(/fping: .*this machine does not answer/) } })
  })
})

describe('ping on a machine that answers no pings', () => {
  it('believes silence only once another target has answered', async () => {
    network.a.sysctl('net.ipv4.icmp_echo_ignore_all', '1')
    try {
      const [[alone], together] = await Promise.all([check('locked', ['10.9.4.11']), check('locked', ['10.9.4.11', '10.9.4.2'])])
      expect(alone).toMatchObject({ status: 'unknown', failure: { layer: 'prober', code: 'ping_self_test' } })
      expect(together.map(({ status }) => status)).toEqual(['failed', 'ok'])
    } finally {
      network.a.sysctl('net.ipv4.icmp_echo_ignore_all', '0')
    }
  })
})

/** One round of checks on machine a; the results in the order of the targets. */
async function check(user: User, targets: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Result[]> {
  const { stdout, stderr } = await runCurlew(['check', ...targets.map((target) => `icmp://${target}`), '-o', 'json'], { wrap: network.a.enter(user), env })
  try {
    return report.parse(JSON.parse(stdout)).results
  } catch (error) {
    throw new Error(`${String(error)}\n${stdout}\n${stderr}`, { cause: error })
  }
}

/** The values of a result's gauges by name. */
function gaugesOf(result: Result | undefined): (name: string) => number | undefined {
  return (name) => result?.gauges.findLast((gauge) => gauge.name === name)?.value
}

function addressesOf(result: Result | undefined): Record<string, number> {
  const states = (result?.gauges ?? []).filter(({ name }) => name === 'probe_addresses')
  return Object.fromEntries(states.map(({ labels, value }): [string, number] => [labels?.['state'] ?? '', value]))
}
