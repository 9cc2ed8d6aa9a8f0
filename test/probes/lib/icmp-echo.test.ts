import { describe, expect, it } from 'vitest'
import { explain } from '../../../src/core/errors.ts'
import { PING_CODES } from '../../../src/probes/lib/icmp-codes.ts'
import { figuresOf, refusalOf, type EchoOutcome } from '../../../src/probes/lib/icmp-echo.ts'
import { silenceOf } from '../../../src/probes/lib/icmp-verdict.ts'

describe('ICMP errors', () => {
  it.each([
    [4, 3, 0, 0, 'unreachable', 'network unreachable'],
    [4, 3, 1, 0, 'unreachable', 'host unreachable'],
    [4, 3, 3, 0, 'rejected', 'port unreachable'],
    [4, 3, 4, 1_280, 'too_big', 'fragmentation needed, its MTU is 1280'],
    [4, 3, 4, 0, 'too_big', 'fragmentation needed'],
    [4, 3, 13, 0, 'rejected', 'prohibited by a filter'],
    [4, 3, 99, 0, 'unreachable', 'unreachable, code 99'],
    [4, 11, 0, 0, 'ttl_exceeded', 'TTL exceeded in transit'],
    [4, 11, 1, 0, 'other', 'ICMP error type 11, code 1'],
    [4, 12, 0, 0, 'other', 'ICMP error type 12, code 0'],
    [6, 1, 0, 0, 'unreachable', 'no route to the destination'],
    [6, 1, 1, 0, 'rejected', 'prohibited by a filter'],
    [6, 1, 3, 0, 'unreachable', 'address unreachable'],
    [6, 1, 99, 0, 'unreachable', 'unreachable, code 99'],
    [6, 2, 0, 1_280, 'too_big', 'packet too big, its MTU is 1280'],
    [6, 3, 0, 0, 'ttl_exceeded', 'hop limit exceeded in transit'],
    [6, 4, 1, 0, 'other', 'ICMPv6 error type 4, code 1'],
  ] as const)('of IPv%i with type %i and code %i', (family, type, code, mtu, kind, says) => {
    expect(refusalOf(family, type, code, mtu, '10.0.0.1')).toEqual({ from: '10.0.0.1', kind, says })
  })
})

describe('figures of round-trip times', () => {
  it('are the mean, the extremes and the mean difference between neighbours', () => {
    expect(figuresOf([[1, 4, 2]])).toEqual({ meanMs: 7 / 3, minMs: 1, maxMs: 4, jitterMs: 2.5 })
  })

  it('do not take the distance between two addresses for jitter', () => {
    expect(figuresOf([[1, 2], [101, 103], []])).toEqual({ meanMs: 51.75, minMs: 1, maxMs: 103, jitterMs: 1.5 })
  })

  it('tell no jitter of a single reply, and nothing of none', () => {
    expect(figuresOf([[3]])).toEqual({ meanMs: 3, minMs: 3, maxMs: 3, jitterMs: undefined })
    expect(figuresOf([[], []])).toBeUndefined()
  })
})

describe('silence', () => {
  const nothing: EchoOutcome = { sent: 5, rtts: [], duplicates: 0, replyTtl: undefined, refusal: undefined, unsent: undefined, overflowed: false, proven: true }
  const errno = (code: string) => Object.assign(new Error(`sendmmsg: something (${code})`), { code, syscall: 'sendmmsg' })
  const refusal = (kind: 'unreachable' | 'other') => ({ from: '10.0.0.9', kind, says: 'this' })

  it.each([
    ['a target that is down', {}, 'failed', 'network_timeout', /^no reply to 5 echo requests to 10\.0\.0\.1 with 1400 bytes that may not be fragmented$/],
    ['a run that was too short', { sent: 1 }, 'failed', 'network_timeout', /1 echo request to .*; more than 1 of 5 did not fit into the timeout$/],
    ['an error from the network', { refusal: refusal('unreachable') }, 'failed', 'network_unreachable', /^10\.0\.0\.9 says of 10\.0\.0\.1: this$/],
    ['an error from the network beside one of ours', { refusal: refusal('unreachable'), unsent: errno('EPERM') }, 'failed', 'network_unreachable', /^10\.0\.0\.9/],
    ['an error that nobody expects', { refusal: refusal('other') }, 'failed', 'ping_other', /says/],
    ['no route from here', { sent: 0, unsent: errno('EHOSTUNREACH') }, 'failed', 'network_unreachable', /EHOSTUNREACH/],
    ['a blackhole route', { sent: 0, unsent: errno('EINVAL') }, 'unknown', 'prober_denied', /a route of this machine throws packets to 10\.0\.0\.1 away/],
    ['our own firewall', { sent: 0, unsent: errno('EPERM') }, 'unknown', 'prober_denied', /a firewall of this machine/],
    ['our own firewall, now and then', { sent: 3, unsent: errno('EPERM') }, 'unknown', 'prober_denied', /a firewall of this machine/],
    ['our own MTU', { sent: 0, unsent: errno('EMSGSIZE') }, 'unknown', 'ping_local_mtu', /1400 bytes of data to 10\.0\.0\.1/],
    ['our own queues', { sent: 0 }, 'unknown', 'prober_no_memory', /send buffer/],
    ['packets that we threw away', { overflowed: true }, 'unknown', 'prober_no_memory', /receive buffer/],
    ['sockets that have never worked', { proven: false }, 'unknown', 'ping_self_test', /none from this machine to itself/],
  ] as const)('is judged with %s', (_what, outcome, status, code, message) => {
    const error = silenceOf({ ...nothing, ...outcome }, { address: { ip: '10.0.0.1', family: 4 }, count: 5, payloadSize: 1_400, dontFragment: true })
    expect(explain(error, 'network', PING_CODES)).toMatchObject({ status, failure: { code, message: expect.stringMatching(message) } })
  })
})
