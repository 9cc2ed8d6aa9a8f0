import { describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { ping } from '../../src/probes/ping.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce } from './contract.ts'

declarationContract(ping)

const issuesOf = (entry: Record<string, unknown>) => readEntry(ping, { name: 'it', type: 'ping', ...entry }).issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`)

describe('ping: options', () => {
  it.each([
    [{ target: 'host:80' }, /^target: expected a host name or an address, without a port/],
    [{ target: 'host', count: 0 }, /^count: /],
    [{ target: 'host', count: 101 }, /^count: /],
    [{ target: 'host', packet_interval: '5ms' }, /^packet_interval: expected at least 10ms/],
    [{ target: 'host', count: 100, packet_interval: '10s' }, /^packet_interval: expected all packets to be sent within 10m/],
    [{ target: 'host', payload_size: 65_508 }, /^payload_size: /],
    [{ target: 'host', ttl: 0 }, /^ttl: /],
    [{ target: 'icmp://host:7' }, /^target: expected a host alone/],
    [{ target: 'icmp://host/path' }, /^target: expected a host alone/],
    [{ target: 'icmp://someone@host' }, /^target: expected a host alone/],
    [{ target: 'icmp://host?count=many' }, /^target: count: /],
  ])('refuses %j', (entry, message) => {
    expect(issuesOf(entry)).toEqual([expect.stringMatching(message)])
  })

  it.each([
    ['icmp://host.example', 'host.example'], ['ping://127.0.0.1?count=2&payload_size=1400&dont_fragment=true&ttl=3&packet_interval=20ms&ip_protocol=ip4', '127.0.0.1'],
    ['icmp://[FD00::0001]', 'fd00::1'], ['fd00::1', 'fd00::1'],
  ])('takes %s', (target, canonical) => {
    expect(issuesOf({ target })).toEqual([])
    expect(jobOf(ping, { target }).target).toBe(canonical)
  })
})

describe('ping: this machine', () => {
  // Where a test runs, pinging may be forbidden; then the result must say so, and nothing else.
  it.each(['127.0.0.1', 'localhost'])('answers as %s, unless pings are forbidden here', async (target) => {
    const result = await probeOnce(ping, { target, count: 3, packet_interval: '10ms' })
    if (result.status !== 'ok') expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'denied', code: 'ping_denied' } })
    expect(gaugeOf(result, 'probe_icmp_packets_received')).toBe(result.status === 'ok' ? 3 : undefined)
    expect(result.phases.map(({ name }) => name).sort()).toEqual(['resolve', 'rtt', 'setup'])
  })

  it('is not accused when the run is stopped', async () => {
    const stop = new AbortController()
    const running = probeOnce(ping, { target: '127.0.0.1', count: 100, packet_interval: '10ms' }, stop.signal)
    setTimeout(() => stop.abort(), 50)
    expect(await running).toMatchObject({ status: 'unknown', failure: { layer: 'prober' } })
  })
})
