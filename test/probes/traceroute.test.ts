import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config/load.ts'
import { diagnosticText } from '../../src/config/document.ts'
import { openTrace } from '../../src/probes/lib/traceroute.ts'
import { traceroute } from '../../src/probes/traceroute.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce } from './contract.ts'

declarationContract(traceroute)

const LOCAL = { ip: '127.0.0.1', family: 4 } as const

describe('traceroute: the probe', () => {
  it('finds this machine one hop away', async () => {
    const result = await probeOnce(traceroute, { target: 'localhost', ip_protocol: 'ip4' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'setup', 'trace'])
    expect(gaugeOf(result, 'probe_ip_protocol')).toBe(4)
    expect(gaugeOf(result, 'probe_traceroute_hops')).toBe(1)
    expect(gaugeOf(result, 'probe_traceroute_hop_rtt_seconds', { hop: '1', address: '127.0.0.1' })).toBeLessThan(0.1)
    expect(gaugeOf(result, 'probe_traceroute_path_hash')).toBe(gaugeOf(await probeOnce(traceroute, { target: '127.0.0.1' }), 'probe_traceroute_path_hash'))
  })

  it('fails only for too long a route when a limit is set on it', async () => {
    const limited = (critical: number) => probeOnce(traceroute, { target: '127.0.0.1', limits: { hops: { critical } }, fail_on: ['hops'] })
    expect(await limited(1)).toMatchObject({ status: 'ok' })
    expect(await limited(0)).toMatchObject({ status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'limit_exceeded' } })
  })

  it('accuses nobody when two other traces run all the time', async () => {
    const waiting = { protocol: 'udp', maxHops: 1, queries: 1, hopTimeoutMs: 1_000, signal: new AbortController().signal, deadline: performance.now() + 5_000 } as const
    const others = await Promise.all([openTrace(LOCAL, waiting), openTrace(LOCAL, waiting)])
    try {
      const result = await probeOnce(traceroute, { target: '127.0.0.1', timeout: '1s' })
      expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'overloaded', code: 'traceroute_no_time' } })
      expect(result.ms).toBeLessThan(1_000)

      const stop = new AbortController()
      const stopped = probeOnce(traceroute, { target: '127.0.0.1' }, stop.signal)
      setTimeout(() => stop.abort(), 20)
      expect(await stopped).toMatchObject({ status: 'unknown', failure: { code: 'prober_aborted' } })
    } finally {
      for (const other of others) other.close()
    }
    expect(await probeOnce(traceroute, { target: '127.0.0.1' })).toMatchObject({ status: 'ok' })
  })

  it.each([
    ['traceroute://192.0.2.1', '192.0.2.1'],
    ['traceroute://[2001:DB8::1]?protocol=icmp&max_hops=64&queries=3&hop_timeout=500ms', '2001:db8::1'],
    ['traceroute://Host.Example.org/?ip_protocol=ip6', 'host.example.org'],
  ])('takes %s', (target, expected) => {
    expect(jobOf(traceroute, { target }).target).toBe(expected)
  })

  it.each([
    ['traceroute://host:33434', 'a host alone'], ['traceroute://host/path', 'a host alone'], ['host:80', 'without a port'], ['traceroute://host?max_hops=65', 'max_hops'],
    ['traceroute://host?queries=4', 'queries'], ['traceroute://host?protocol=tcp', 'protocol'], ['traceroute://host?colour=red', 'colour: unknown key'],
  ])('does not take %s', (target, said) => {
    expect(() => jobOf(traceroute, { target })).toThrow(said)
  })

  it('is not for hundreds of targets', () => {
    const config = (count: number, every: string) => readConfig([{ file: 'c.yaml', text: `probes: [{ name: t, type: traceroute, every: ${every}, targets: [${Array.from({ length: count }, (_, index) => `host${index}`).join(', ')}] }]\n` }], { types: [traceroute], env: {} }).diagnostics.map(diagnosticText)
    expect(config(20, '1m')).toEqual([])
    expect(config(300, '1m')).toEqual([expect.stringMatching(/^c\.yaml:1:\d+: probes\[0\]\.targets\[20\]: expected at most 20 targets of type traceroute in a config, there are 300$/)])
    expect(config(1, '30s')).toEqual([expect.stringContaining('probes[0].every: expected at least 1m between two runs of type traceroute')])
  })
})
