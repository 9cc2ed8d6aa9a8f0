import { isIP, type Socket } from 'node:net'
import { z } from 'zod'
import type { SharedCode } from '../core/codes.ts'
import { explain } from '../core/errors.ts'
import { Endpoint, hostPort } from '../core/fields.ts'
import { MESH_PORT } from '../core/mesh.ts'
import { defineProbe, type ProbeContext } from '../core/probe.ts'
import { addressesOf, dialFields, dialGauges } from './lib/dial.ts'
import { PING_CODES } from './lib/icmp-codes.ts'
import { figuresOf, type EchoRequest } from './lib/icmp-echo.ts'
import { silenceOf } from './lib/icmp-verdict.ts'
import { loader } from './lib/loader.ts'
import { connectPeer, echoOver } from './lib/mesh-tcp.ts'
import { echoByUdp, type Tally } from './lib/mesh-udp.ts'
import { judge, MESH_CODES, type Heard, type IcmpHeard, type MeshCode } from './lib/mesh-verdict.ts'
import { LONGEST } from './lib/mesh-wire.ts'
import type { Address } from './lib/resolve.ts'

/** What passes every link that there is. */
const SMALL = 56
const APART_MS = 20
const WAIT_MS = 1_000
/** Kept back from the run's time to come to a verdict. */
const MARGIN_MS = 30

/** An agent. Where its node is named the node is what it is called: the address of a pod is another one after each rollout. */
class Peer extends Endpoint {
  readonly name: string

  constructor(name: string, { host, port, ip }: Endpoint) {
    super(isIP(host) === 0 ? host : name, port, isIP(host) === 0 ? ip : host)
    this.name = name
  }

  override at(ip: string): Peer {
    return new Peer(this.name, new Endpoint(this.host, this.port, ip))
  }

  override toString(): string {
    return `${this.name}:${this.port}`
  }
}

const options = z.strictObject({
  target: hostPort(MESH_PORT),
  peer: z.string().regex(/^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/, 'expected the name of a node').describe('the node that the agent runs on: the target is called by it, whatever address the agent has').optional(),
  network: z.enum(['pod', 'host']).default('pod').describe('the network that the agent stands on; for people, it changes nothing'),
  packet_size: z.int().min(SMALL).max(LONGEST).default(1_400).describe('bytes of data in a large packet; IPv4 adds 28 bytes of headers. Small ones, which are sent too, have 56'),
  count: z.int().min(2).max(50).default(5).describe('packets of each size, by ICMP and by UDP'),
  ip_protocol: dialFields.ip_protocol,
}).overwrite((read) => (read.peer === undefined ? read : { ...read, target: new Peer(read.peer, read.target) }))

type Options = z.output<typeof options>

const gauges = {
  probe_ip_protocol: dialGauges.probe_ip_protocol,
  probe_dns_lookup_time_seconds: dialGauges.probe_dns_lookup_time_seconds,
  probe_mesh_icmp: 'Whether pings could be tried from here; where they may not be sent, TCP and UDP are all that is known.',
  probe_mesh_loss_ratio: { help: 'Share of the packets of the last run that were not answered, by protocol (icmp, udp) and size (small, large); absent unless the agent was there all the time.', labels: ['protocol', 'size'], series: 4 },
  probe_mesh_rtt_seconds: { help: 'Mean round-trip time, by protocol (icmp, tcp, udp).', labels: ['protocol'], series: 3 },
  probe_mesh_jitter_seconds: { help: 'Mean difference between the round-trip times of one packet and the next, by protocol (icmp, udp).', labels: ['protocol'], series: 2 },
} as const

type Context = ProbeContext<'resolve' | 'icmp' | 'connect' | 'echo' | 'udp', keyof typeof gauges, MeshCode | SharedCode>

const loadIcmp = loader(() => import('./lib/icmp-backend.ts'))

export const mesh = defineProbe({
  type: 'mesh',
  summary: 'The way to the agent of another node: ICMP, TCP and UDP, with small packets and with large ones. Says which of them does not pass; the agent needs the section mesh in its config',
  options,
  phases: { resolve: 'resolve', icmp: 'network', connect: 'connect', echo: 'request', udp: 'request' },
  gauges,
  codes: MESH_CODES,
  schemes: ['mesh'],
  fromUrl(url) {
    if (url.username !== '' || url.password !== '' || !['', '/'].includes(url.pathname)) throw new Error('expected a host and a port alone, as in mesh://host:9798?peer=node')
    const query = Object.fromEntries(Array.from(url.searchParams, ([key, value]) => [key, ['packet_size', 'count'].includes(key) && /^\d+$/.test(value) ? Number(value) : value]))
    return { ...query, target: url.host }
  },
  example: { target: '10.244.1.7:9798', peer: 'worker-1', network: 'pod' },

  load: loadIcmp,

  async run(options, probe) {
    const { target, packet_size: size, count } = options
    const [address] = target.ip === undefined
      ? await addressesOf(probe, target.host, { ip_protocol: options.ip_protocol, addresses: 'first' })
      : [{ ip: target.ip, family: isIP(target.ip) === 6 ? 6 : 4 } as const]
    const endAt = probe.deadline - MARGIN_MS
    /** A share of what time is left. */
    const until = (share: number, longestMs = Infinity) => performance.now() + Math.min(longestMs, share * Math.max(0, endAt - performance.now()))

    const icmp = await ping(options, probe, address, until(0.3, count * APART_MS + WAIT_MS))
    const socket = await probe.phase('connect', () => connectPeer(address, target.port, until(0.5), probe.signal))
    const connection = socket instanceof Error ? undefined : socket
    try {
      const echoed = connection && await probe.phase('echo', async () => {
        const small = await echoOver(connection, SMALL, until(0.4))
        return { small, large: small.kind === 'echoed' ? await echoOver(connection, size, until(0.5)) : undefined }
      })
      const udp = await probe.phase('udp', () => echoByUdp({ to: address, port: target.port, sizes: [SMALL, size], count, endAt: until(0.9), signal: probe.signal }))
      const heard: Heard = {
        peer: `${address.ip}:${target.port}`, size, icmp, connectError: socket instanceof Error ? socket : undefined,
        small: echoed?.small, large: echoed?.large, stayed: connection !== undefined && echoed?.large?.kind === 'echoed' && await stays(connection, until(1)), udp,
      }
      report(probe, heard)
      const error = judge(heard)
      if (error) throw error
    } finally {
      connection?.destroy()
    }
  },
})

/** Pings of both sizes at the same time; undefined where they may not be sent, or nothing is proven by them. */
async function ping({ packet_size: size, count }: Options, probe: Context, address: Address, endAt: number): Promise<IcmpHeard | undefined> {
  const heard = await probe.phase('icmp', async () => {
    try {
      const { echoerFor } = await loadIcmp()
      const echoer = await echoerFor(address.family, true, endAt)
      const requestOf = (payloadSize: number): EchoRequest => ({
        address, count, intervalMs: APART_MS, timeoutMs: WAIT_MS, payloadSize, dontFragment: true, ttl: 64, endAt, stopped: () => probe.signal.aborted,
      })
      const [small, large] = await Promise.all([SMALL, size].map(async (payloadSize) => {
        const request = requestOf(payloadSize)
        const outcome = await echoer.ping(request)
        const error = outcome.rtts.length > 0 ? undefined : silenceOf(outcome, request)
        return { outcome, error: error && proves(error) ? error : undefined, void: error !== undefined && !proves(error) }
      }))
      if (!small || !large || small.void) return undefined
      return { small: small.outcome, large: large.void ? { sent: 0, rtts: [] } : large.outcome, smallError: small.error, largeError: large.error }
    } catch {
      // What cannot be sent from here says nothing of the peer, and TCP and UDP may still be tried.
      return undefined
    }
  })
  probe.gauge('probe_mesh_icmp', Number(heard !== undefined))
  return heard
}

/** Whether an error says something of the way, and not of this machine. */
function proves(error: Error): boolean {
  return explain(error, 'network', PING_CODES).status === 'failed'
}

/** Whether the agent is still there, over the connection that was open all the while. */
async function stays(connection: Socket, endAt: number): Promise<boolean> {
  return (await echoOver(connection, SMALL, endAt)).kind === 'echoed'
}

function report(probe: Context, { icmp, small, stayed: present, udp }: Heard): void {
  const of = (protocol: 'icmp' | 'udp', tallies: readonly Tally[]) => {
    for (const [index, { sent, rtts }] of tallies.entries()) {
      // An agent that ends in the middle of a run loses packets, too.
      if (present && sent > 0) probe.gauge('probe_mesh_loss_ratio', 1 - rtts.length / sent, { protocol, size: index === 0 ? 'small' : 'large' })
    }
    const figures = figuresOf(tallies.map(({ rtts }) => rtts))
    if (!figures) return
    probe.gauge('probe_mesh_rtt_seconds', figures.meanMs / 1_000, { protocol })
    if (figures.jitterMs !== undefined) probe.gauge('probe_mesh_jitter_seconds', figures.jitterMs / 1_000, { protocol })
  }
  if (icmp) of('icmp', [icmp.small, icmp.large])
  if (small?.kind === 'echoed') probe.gauge('probe_mesh_rtt_seconds', small.ms / 1_000, { protocol: 'tcp' })
  of('udp', udp.tallies)
}
