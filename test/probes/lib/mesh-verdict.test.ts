import { describe, expect, it } from 'vitest'
import { explain } from '../../../src/core/errors.ts'
import { ProbeFailure } from '../../../src/core/probe.ts'
import { judge, MESH_CODES, type Heard, type IcmpHeard } from '../../../src/probes/lib/mesh-verdict.ts'

const errno = (code: string, syscall = 'connect') => Object.assign(new Error(code), { code, syscall, address: '10.0.0.1' })
const all = { sent: 3, rtts: [1, 1, 1] }
const none = { sent: 3, rtts: [] }
const echoed = { kind: 'echoed', ms: 1 } as const
const pings = { small: all, large: all, smallError: undefined, largeError: undefined }
const nobody: IcmpHeard = { small: none, large: none, smallError: new ProbeFailure('network_timeout', 'no reply'), largeError: new ProbeFailure('network_timeout', 'no reply') }
const unreachable: IcmpHeard = { ...nobody, smallError: new ProbeFailure('network_unreachable', '10.0.0.9 says of 10.0.0.1: host unreachable') }
const well: Heard = { peer: '10.0.0.1:9798', size: 1_400, icmp: pings, connectError: undefined, small: echoed, large: echoed, stayed: true, udp: { tallies: [all, all], error: undefined } }
const off = (code: string): Partial<Heard> => ({ connectError: errno(code), small: undefined, large: undefined, stayed: false })
const deaf = { tallies: [none, none], error: undefined }

function verdictOf(more: Partial<Heard>): string {
  const error = judge({ ...well, ...more })
  if (!error) return 'ok'
  const { status, failure } = explain(error, 'request', MESH_CODES)
  return `${status} ${failure.layer}/${failure.reason} ${failure.code}`
}

describe('the verdict of mesh', () => {
  it.each<readonly [string, Partial<Heard>, string]>([
    ['all is well', {}, 'ok'],
    ['pings may not be sent from here', { icmp: undefined }, 'ok'],
    ['pings alone are dropped: nobody suffers', { icmp: nobody }, 'ok'],
    ['large pings alone are dropped', { icmp: { ...pings, large: none, largeError: new ProbeFailure('network_timeout', 'no reply') } }, 'ok'],
    ['a router says that large pings are too large', { icmp: { ...pings, large: none, largeError: new ProbeFailure('ping_too_big', 'its MTU is 1300') } }, 'failed network/mismatch mesh_mtu'],
    ['a router says that large datagrams are too large', { udp: { tallies: [all, all], error: errno('EMSGSIZE', 'send') } }, 'failed network/mismatch mesh_mtu'],
    ['large datagrams are dropped', { udp: { tallies: [all, none], error: undefined } }, 'failed network/mismatch mesh_mtu'],
    ['some large datagrams are lost', { udp: { tallies: [all, { sent: 3, rtts: [1] }], error: undefined } }, 'ok'],
    ['small datagrams are lost', { udp: { tallies: [none, all], error: undefined } }, 'ok'],
    ['large segments are dropped', { large: { kind: 'silent' }, stayed: false }, 'failed network/mismatch mesh_mtu'],
    ['nothing at all', { icmp: nobody, ...off('ETIMEDOUT'), udp: deaf }, 'failed network/timeout network_timeout'],
    ['nothing at all, without pings', { icmp: undefined, ...off('ETIMEDOUT'), udp: deaf }, 'failed network/timeout network_timeout'],
    ['a router says that the host is gone', { icmp: unreachable, ...off('ETIMEDOUT'), udp: deaf }, 'failed network/unreachable network_unreachable'],
    ['the kernel says so', { icmp: unreachable, ...off('EHOSTUNREACH'), udp: deaf }, 'failed network/unreachable network_unreachable'],
    ['the agent is down, its host is not', { ...off('ECONNREFUSED'), udp: { ...deaf, error: errno('ECONNREFUSED', 'recvmsg') } }, 'failed connect/refused connect_refused'],
    ['the agent is down, seen by UDP alone', { icmp: nobody, ...off('ETIMEDOUT'), udp: { ...deaf, error: errno('ECONNREFUSED', 'recvmsg') } }, 'failed connect/refused connect_refused'],
    ['a policy drops the port', { ...off('ETIMEDOUT'), udp: deaf }, 'failed connect/timeout connect_timeout'],
    ['a policy drops TCP', { icmp: nobody, ...off('ETIMEDOUT') }, 'failed connect/timeout connect_timeout'],
    ['a policy rejects TCP', off('EHOSTUNREACH'), 'failed connect/refused mesh_rejected'],
    ['a policy resets TCP', off('ECONNREFUSED'), 'failed connect/refused mesh_rejected'],
    ['a policy drops UDP', { udp: deaf }, 'failed connect/timeout mesh_udp_blocked'],
    ['a policy rejects UDP', { udp: { ...deaf, error: errno('EHOSTUNREACH', 'recvmsg') } }, 'failed connect/refused mesh_udp_rejected'],
    ['the agent ends in the middle', { stayed: false, udp: deaf }, 'failed request/reset request_reset'],
    ['the agent ends while large datagrams are on their way', { stayed: false, udp: { tallies: [all, none], error: undefined } }, 'ok'],
    ['out of file descriptors', off('EMFILE'), 'unknown prober/overloaded prober_no_files'],
    ['our own firewall drops UDP', { udp: { ...deaf, error: errno('EPERM', 'send') } }, 'unknown prober/denied prober_denied'],
  ])('%s', (_, heard, verdict) => {
    expect(verdictOf(heard)).toBe(verdict)
  })
})
