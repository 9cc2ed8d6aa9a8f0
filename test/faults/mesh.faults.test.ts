import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { serveCurlew } from '../support/curlew.ts'
import { ADDRESSES, createNetwork, type Network } from '../support/netns.ts'
import { temporaryDirectory } from '../support/process.ts'
import { failed, faultTable, ok, unknown, type Fault, type Trial } from './table.ts'

const PORT = 9798
const WELL = {
  'probe_mesh_loss_ratio{protocol="udp",size="small"}': 0, 'probe_mesh_loss_ratio{protocol="udp",size="large"}': 0,
  'probe_mesh_loss_ratio{protocol="icmp",size="large"}': 0, 'probe_mesh_icmp': 1,
} as const

let network: Network

beforeAll(async () => {
  network = createNetwork()
  network.r2.sysctl('net.ipv4.neigh.e1.retrans_time_ms', '50')
  const file = join(temporaryDirectory().path, 'agent.yaml')
  writeFileSync(file, JSON.stringify({ mesh: { listen: `:${PORT}` }, probes: [] }))
  // The agent of another node; it ends with its machine.
  await serveCurlew(['-c', file], { wrap: network.b.enter() })
})
afterAll(() => { network?.remove() })

const mesh = (more: Readonly<Record<string, unknown>> = {}) => (): Trial => ({
  probe: { type: 'mesh', target: `${ADDRESSES.b.ip4}:${PORT}`, peer: 'b', count: 3, timeout: '3s', ...more }, wrap: network.a.enter(),
})

/** Rules of the packet filter of the router before the peer, or of a machine. */
const filtered = (rules: readonly string[], trial = mesh(), at: 'a' | 'r2' = 'r2', hook: 'forward' | 'output' = 'forward'): Pick<Fault, 'make' | 'undo'> => ({
  make() {
    network[at].nft(hook, ...rules)
    return trial()
  },
  undo: () => network[at].clearNft(),
})

/** The link between the routers takes less than the others; mute ones do not say so, and neither of them cuts up anything. */
const narrow = (mute: boolean): Pick<Fault, 'make' | 'undo'> => {
  const mtu = (size: number) => {
    network.r1.run('ip', 'link', 'set', 'e1', 'mtu', String(size))
    network.r2.run('ip', 'link', 'set', 'e0', 'mtu', String(size))
    for (const at of ['a', 'b'] as const) network[at].run('ip', 'route', 'flush', 'cache')
  }
  return {
    make() {
      if (mute) for (const at of ['r1', 'r2'] as const) network[at].nft('output', 'icmp type destination-unreachable drop')
      mtu(1_280)
      return mesh()()
    },
    undo() {
      mtu(1_500)
      for (const at of ['r1', 'r2'] as const) network[at].clearNft()
    },
  }
}

describe('the way to the agent of another node', () => {
  faultTable('mesh', [
    { fault: 'none: the way is well', make: mesh(), expected: ok(WELL) },
    { fault: 'pings may not be sent from here', make: () => ({ probe: `mesh://${ADDRESSES.b.ip4}:${PORT}?count=3`, wrap: network.a.enter('locked') }), expected: ok({ 'probe_mesh_icmp': 0, 'probe_mesh_loss_ratio{protocol="udp",size="large"}': 0 }) },
    { fault: 'pings are dropped, and nothing else', ...filtered(['icmp type echo-request drop']), expected: ok({ 'probe_mesh_loss_ratio{protocol="icmp",size="small"}': 1, 'probe_mesh_loss_ratio{protocol="udp",size="small"}': 0 }) },
    { fault: 'a smaller MTU on the way, and a router that says so', ...narrow(false), expected: failed('network', 'mismatch', 'mesh_mtu') },
    { fault: 'a smaller MTU on the way, and nobody says so', ...narrow(true), expected: failed('network', 'mismatch', 'mesh_mtu') },
    { fault: 'a policy drops UDP', ...filtered(['meta l4proto udp drop']), expected: failed('connect', 'timeout', 'mesh_udp_blocked', { 'probe_mesh_loss_ratio{protocol="udp",size="small"}': 1 }) },
    { fault: 'a policy drops the port', ...filtered([`th dport ${PORT} drop`]), expected: failed('connect', 'timeout', 'connect_timeout') },
    { fault: 'nothing passes', ...filtered(['drop']), expected: failed('network', 'timeout', 'network_timeout') },
    { fault: 'the node is gone', make: mesh({ target: `10.9.3.77:${PORT}` }), expected: failed('network', 'unreachable', 'network_unreachable') },
    { fault: 'one datagram of three is lost', ...filtered([`udp dport ${PORT} udp length < 1000 numgen inc mod 3 0 drop`]), expected: ok({ 'probe_mesh_loss_ratio{protocol="udp",size="small"}': [0.3, 0.4] }) },
    { fault: 'our own firewall drops UDP', ...filtered(['meta l4proto udp drop'], mesh(), 'a', 'output'), expected: unknown('denied', 'prober_denied') },
  ])
})
