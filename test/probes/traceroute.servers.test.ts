import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { pathHash } from '../../src/probes/lib/traceroute-route.ts'
import { ADDRESSES, createNetwork, type Network, type User } from '../support/netns.ts'

const { r1, r2, b } = ADDRESSES
/** Behind a loop of the two routers. */
const LOOP = { ip4: '10.99.0.1', ip6: 'fd99::1' }
const FAMILIES = ['ip4', 'ip6'] as const

let network: Network

beforeAll(() => {
  network = createNetwork()
  for (const [router, other] of [[network.r1, 'r2'], [network.r2, 'r1']] as const) {
    const via = other === 'r2' ? r2 : { ip4: '10.9.2.1', ip6: 'fd09:2::1' }
    router.run('ip', 'route', 'add', '10.99.0.0/24', 'via', via.ip4)
    router.run('ip', '-6', 'route', 'add', 'fd99::/64', 'via', via.ip6)
  }
})
afterAll(() => { network?.remove() })
afterEach(() => { for (const machine of [network.a, network.r1, network.r2, network.b]) machine.clearNft() })

interface Result {
  readonly status: string
  readonly duration_seconds: number
  readonly failure?: { readonly layer: string, readonly reason: string, readonly code: string, readonly message: string }
  readonly gauges: readonly { readonly name: string, readonly value: number, readonly labels?: Readonly<Record<string, string>> }[]
}

/** `curlew check` of routes from the machine a, all in one process; `options` are a query. */
async function check(routes: readonly (readonly [host: string, options?: string])[], { user = 'root', timeout = '5s' }: { user?: User, timeout?: string } = {}): Promise<Result[]> {
  const urls = routes.map(([host, options = '']) => `traceroute://${host.includes(':') ? `[${host}]` : host}?${options}`)
  const { stdout, stderr } = await network.a.curlew(['check', ...urls, '--timeout', timeout, '-o', 'json'], { user })
  expect(stderr).toBe('')
  const { results } = JSON.parse(stdout) as { results: Result[] }
  expect(results).toHaveLength(routes.length)
  return results
}

const gauge = ({ gauges }: Result, name: string) => gauges.find((one) => one.name === name)?.value
const hops = ({ gauges }: Result) => gauges.filter(({ name }) => name === 'probe_traceroute_hop_rtt_seconds').map(({ labels }) => `${labels!['hop']} ${labels!['address']}`)
const containing = (text: string): unknown => expect.stringContaining(text)
const failed = (layer: string, reason: string, code: string, message: string) => ({ status: 'failed', failure: { layer, reason, code, message: containing(message) } })
const unknown = (reason: string, code: string) => ({ status: 'unknown', failure: { layer: 'prober', reason, code } })

describe('a route of three hops', () => {
  it.each(['protocol=udp', 'protocol=icmp', 'protocol=udp&queries=3'])('%s', async (options) => {
    const results = await check([[b.ip4, options], [b.ip6, options]])
    for (const [index, family] of FAMILIES.entries()) {
      const result = results[index]!
      expect(result).toMatchObject({ status: 'ok' })
      expect(hops(result)).toEqual([`1 ${r1[family]}`, `2 ${r2[family]}`, `3 ${b[family]}`])
      for (const { name, value } of result.gauges) if (name === 'probe_traceroute_hop_rtt_seconds') expect(value > 0 && value < 0.5).toBe(true)
      expect(gauge(result, 'probe_traceroute_hops')).toBe(3)
      expect(gauge(result, 'probe_traceroute_path_hash')).toBe(pathHash([r1, r2, b].map((one, at) => ({ ttl: at + 1, address: one[family], rttMs: 0, others: [], refusal: undefined }))))
      expect(result.duration_seconds).toBeLessThan(3)
    }
  })

  it('one of which hides', async () => {
    network.r1.nft('output', 'icmp type time-exceeded drop', 'icmpv6 type time-exceeded drop')
    const results = await check([[b.ip4, 'protocol=udp&hop_timeout=200ms'], [b.ip6, 'protocol=icmp&hop_timeout=200ms']])
    for (const [index, family] of FAMILIES.entries()) {
      expect(results[index]).toMatchObject({ status: 'ok' })
      expect(hops(results[index]!)).toEqual([`2 ${r2[family]}`, `3 ${b[family]}`])
      expect(gauge(results[index]!, 'probe_traceroute_hops')).toBe(3)
    }
  })

  it('one of which hides, as lines of text', () => {
    network.r1.nft('output', 'icmp type time-exceeded drop')
    const source = (name: string) => JSON.stringify(join(import.meta.dirname, '../../src/probes/lib', name))
    const script = `
      import { traceRoute } from ${source('traceroute.ts')}
      import { routeLines } from ${source('traceroute-text.ts')}
      const signal = new AbortController().signal
      const route = await traceRoute({ ip: '${b.ip4}', family: 4 }, { protocol: 'udp', maxHops: 30, queries: 1, hopTimeoutMs: 200, signal, deadline: performance.now() + 3_000 })
      console.log(routeLines(route).join('\\n'))`
    const lines = network.a.run(process.execPath, '--input-type=module', '-e', script).trimEnd().split('\n')
    expect(lines).toEqual([
      `traceroute to ${b.ip4}, 30 hops max, udp`, ' 1  *', expect.stringMatching(/^ 2 {2}10\.9\.2\.2 {2}\d+\.\d{3} ms$/), expect.stringMatching(/^ 3 {2}10\.9\.3\.2 {2}\d+\.\d{3} ms$/), 'reached in 3 hops',
    ])
  })
})

describe('a route that ends before its destination', () => {
  it('in a loop, at a router that knows no way, or after as many hops as are allowed', async () => {
    const results = await check([[LOOP.ip4], [LOOP.ip6, 'protocol=icmp'], ['fd12::1', 'protocol=icmp'], [b.ip4, 'max_hops=2']])
    // A router names its interface towards whom it answers, or the one that the packet came by.
    for (const result of results.slice(0, 2)) {
      expect(result).toMatchObject(failed('network', 'unreachable', 'traceroute_loop', 'routing loop: '))
      expect(result.failure?.message).toMatch(/loop: (?:10\.9|fd09:)[\d.:]* -> (?:10\.9|fd09:)[\d.:]* -> (?:10\.9|fd09:)[\d.:]*$/)
      expect(result.duration_seconds).toBeLessThan(3)
    }
    expect(results[2]).toMatchObject(failed('network', 'unreachable', 'traceroute_unreachable', `fd12::1: ${r1.ip6} (hop 1) says: no route`))
    expect(results[3]).toMatchObject(failed('assert', 'mismatch', 'traceroute_too_long', 'not reached within 2 hops'))
  })

  it('in a black hole behind the first router', async () => {
    network.r1.nft('forward', `ip daddr ${b.ip4} drop`, `ip6 daddr ${b.ip6} drop`)
    const results = await check([[b.ip4, 'protocol=udp&hop_timeout=300ms'], [b.ip6, 'protocol=icmp&hop_timeout=300ms']])
    for (const [index, family] of FAMILIES.entries()) {
      const result = results[index]!
      expect(result).toMatchObject(failed('network', 'timeout', 'traceroute_silent', `silent after hop 1 (${r1[family]})`))
      expect(result.failure?.message.includes('protocol icmp')).toBe(family === 'ip4')
      expect(hops(result)).toEqual([`1 ${r1[family]}`])
      expect(gauge(result, 'probe_traceroute_hops')).toBeUndefined()
      expect(gauge(result, 'probe_traceroute_path_hash')).toBeUndefined()
      expect(result.duration_seconds).toBeLessThan(3)
    }
  })

  it('in a black hole, and says so in the time that the run has', async () => {
    network.r1.nft('forward', `ip daddr ${b.ip4} drop`)
    const [result] = await check([[b.ip4]], { timeout: '2s' })
    expect(result).toMatchObject(failed('network', 'timeout', 'traceroute_silent', `silent after hop 1 (${r1.ip4})`))
  })

  it.each([
    ['admin-prohibited', 'traceroute_rejected', /prohibited/],
    ['port-unreachable', 'traceroute_rejected', /port unreachable/],
    ['host-unreachable', 'traceroute_unreachable', /host unreachable|address unreachable/],
  ])('at a router that rejects with %s', async (kind, code, says) => {
    network.r2.nft('forward', `ip daddr ${b.ip4} reject with icmpx ${kind}`, `ip6 daddr ${b.ip6} reject with icmpx ${kind}`)
    const results = await check([[b.ip4, 'protocol=udp'], [b.ip6, 'protocol=icmp']])
    for (const [index, family] of FAMILIES.entries()) {
      expect(results[index]).toMatchObject(failed('network', 'unreachable', code, `${r2[family]} (hop 2) says: `))
      expect(results[index]?.failure?.message).toMatch(says)
    }
  })

  it('on this machine, without a neighbour or a route to hand packets to', async () => {
    network.a.sysctl('net.ipv4.neigh.e1.retrans_time_ms', '50')
    for (const kind of ['blackhole', 'unreachable']) network.a.run('ip', 'route', 'add', kind, kind === 'blackhole' ? '10.97.0.0/16' : '10.98.0.0/16')
    expect(await check([['10.9.1.77'], ['10.97.0.1'], ['10.98.0.1']])).toMatchObject([
      failed('network', 'unreachable', 'network_unreachable', 'finds no neighbour for 10.9.1.77'),
      { status: 'unknown', failure: { code: 'prober_denied', message: expect.stringContaining('a route of this machine throws packets to 10.97.0.1 away') as string } },
      failed('network', 'unreachable', 'network_unreachable', 'EHOSTUNREACH'),
    ])
  })
})

describe('a host with a firewall', () => {
  it('that drops UDP answers to ICMP', async () => {
    network.b.nft('input', 'meta l4proto udp drop')
    const [udp, icmp] = await check([[b.ip4, 'hop_timeout=200ms'], [b.ip6, 'protocol=icmp']])
    expect(udp).toMatchObject(failed('network', 'timeout', 'traceroute_silent', `silent after hop 2 (${r2.ip4}); a host that drops UDP looks the same: protocol icmp may reach it`))
    expect(icmp).toMatchObject({ status: 'ok' })
  })

  it('that rejects is reached', async () => {
    network.b.nft('input', 'meta l4proto { udp, icmp } reject with icmpx admin-prohibited')
    const [result] = await check([[b.ip4]])
    expect(result).toMatchObject({ status: 'ok' })
    expect(gauge(result!, 'probe_traceroute_hops')).toBe(3)
  })
})

describe('trouble of our own', () => {
  it('ICMP needs a permission, and the message names it; UDP needs none', async () => {
    const both = [[b.ip4, 'protocol=icmp'], [b.ip6, 'protocol=icmp'], [r1.ip4, 'protocol=udp']] as const
    const [ip4, ip6, udp] = await check(both, { user: 'nobody' })
    for (const result of [ip4, ip6]) {
      expect(result).toMatchObject(unknown('denied', 'traceroute_denied'))
      expect(result?.failure?.message).toMatch(/net\.ipv4\.ping_group_range.*CAP_NET_RAW/)
    }
    expect(udp).toMatchObject({ status: 'ok' })

    network.a.sysctl('net.ipv4.ping_group_range', '0 2147483647')
    const allowed = await check(both, { user: 'locked' })
    for (const [index, family] of FAMILIES.entries()) expect(hops(allowed[index]!)).toEqual([`1 ${r1[family]}`, `2 ${r2[family]}`, `3 ${b[family]}`])
    expect(allowed[2]).toMatchObject({ status: 'ok' })
  })

  it('a packet filter of this machine is not the fault of the route', async () => {
    network.a.nft('output', 'ip daddr 10.9.3.2 drop', 'ip6 daddr fd09:3::2 meta l4proto udp reject')
    expect(await check([[b.ip4], [b.ip6]])).toMatchObject([unknown('denied', 'prober_denied'), unknown('denied', 'prober_denied')])
  })

  it('nor is the lack of any network', async () => {
    network.a.run('ip', 'link', 'set', 'e1', 'down')
    expect(await check([[b.ip4]])).toMatchObject([unknown('unreachable', 'prober_no_network')])
  })
})
