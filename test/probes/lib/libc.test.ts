import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { AF_INET, IP_RECVTTL, IP_TTL, SO_ERROR, SO_TIMESTAMPNS, SOCK_DGRAM, SOCK_STREAM, SOL_IP, SOL_SOCKET } from '../../../src/probes/lib/libc-constants.ts'
import { createBatch, decodeAddress, encodeAddress, fixedBuffer, NAME_SIZE } from '../../../src/probes/lib/libc-message.ts'
import { libc, timespecNs } from '../../../src/probes/lib/libc.ts'
import { eventually, freePort } from '../../support/process.ts'

const c = libc()
const open: number[] = []
const udp = () => {
  const fd = c.socket(AF_INET, SOCK_DGRAM, 0)
  open.push(fd)
  return fd
}
afterEach(() => { for (const fd of open.splice(0)) c.close(fd) })

describe('system calls', () => {
  it('send and receive many packets at once, with their senders, stamps and TTLs', async () => {
    const port = await freePort()
    const [here, there] = [udp(), udp()]
    c.setsockopt(here, SOL_SOCKET, SO_TIMESTAMPNS, 1)
    c.setsockopt(here, SOL_IP, IP_RECVTTL, 1)
    c.setsockopt(there, SOL_IP, IP_TTL, 33)
    c.bind(here, encodeAddress('127.0.0.1', port))
    c.bind(there, encodeAddress('127.0.0.2', port))
    const sending = createBatch(c, { slots: 3, dataSize: 4, tail: fixedBuffer(100).fill('t') })
    for (const [slot, text] of ['zero', 'one!', 'two!'].entries()) {
      sending.data.write(text, slot * 4)
      sending.prepare(slot, encodeAddress('127.0.0.1', port), 4, slot * 50)
    }
    const before = c.realtimeNs()
    expect(c.sendmmsg(there, sending, 1, 2)).toBe(2)
    expect(c.sendto(there, Buffer.from('last'), encodeAddress('127.0.0.1', port))).toBe(4)

    const receiving = createBatch(c, { slots: 2, dataSize: 60, controlSize: 128 })
    const text = (slot: number) => receiving.data.toString('latin1', slot * 60, slot * 60 + receiving.length(slot))
    expect(c.recvmmsg(here, receiving)).toBe(2)
    // Until the kernel has begun to stamp packets for this socket, it stamps them when they are read.
    const after = c.realtimeNs()
    expect([text(0), text(1)]).toEqual([`one!${'t'.repeat(50)}`, `two!${'t'.repeat(56)}`])
    for (const slot of [0, 1]) {
      expect(decodeAddress(receiving.names, slot * NAME_SIZE)).toEqual({ ip: '127.0.0.2', port })
      expect(receiving.control.readInt32LE(receiving.findControl(slot, SOL_IP, IP_TTL))).toBe(33)
      const at = timespecNs(receiving.control, receiving.findControl(slot, SOL_SOCKET, SO_TIMESTAMPNS))
      expect(at).toBeGreaterThanOrEqual(before)
      expect(at).toBeLessThanOrEqual(after)
      expect(receiving.findControl(slot, SOL_SOCKET, 1)).toBe(-1)
    }
    // What the last call wrote must not be taken for what this one brings.
    expect(c.recvmmsg(here, receiving)).toBe(1)
    expect(text(0)).toBe('last')
    expect(receiving.findControl(0, SOL_IP, IP_TTL)).toBeGreaterThanOrEqual(0)
  })

  it('never wait', () => {
    const fd = udp()
    c.bind(fd, encodeAddress('127.0.0.1'))
    expect(c.recvmmsg(fd, createBatch(c, { slots: 1, dataSize: 8 }))).toBe(0)
  })

  it('connect in the background, and tell how it went', async () => {
    const fd = c.socket(AF_INET, SOCK_STREAM, 0)
    open.push(fd)
    const connected = c.connect(fd, encodeAddress('127.0.0.1', await freePort()))
    expect(connected).toBe(false)
    await eventually(() => c.getsockopt(fd, SOL_SOCKET, SO_ERROR).readInt32LE() === 111, 2_000, 'ECONNREFUSED')
  })

  it.each([
    ['socket', 'EINVAL', () => c.socket(AF_INET, 99, 0)],
    ['bind', 'EADDRNOTAVAIL', () => c.bind(udp(), encodeAddress('192.0.2.1', 1))],
    ['sendto', 'EDESTADDRREQ', () => c.sendto(udp(), Buffer.from('x'))],
    ['setsockopt', 'ENOPROTOOPT', () => c.setsockopt(udp(), SOL_SOCKET, 9_999, 1)],
    ['close', 'EBADF', () => c.close(99_999)],
  ])('throw what Node would throw for %s', (syscall, code, call) => {
    expect(call).toThrow(expect.objectContaining({ code, syscall, message: expect.stringMatching(`^${syscall}: [a-z ]+.* \\(${code}\\)$`) }))
  })

  it('read the wall clock in ns', async () => {
    // Between two others, because a busy machine may do something else in between.
    const read = () => ({ before: performance.now(), wall: c.realtimeNs() / 1e6, after: performance.now() })
    const first = read()
    await sleep(20)
    const second = read()
    expect(second.wall - first.wall).toBeGreaterThan(second.before - first.after - 0.5)
    expect(second.wall - first.wall).toBeLessThan(second.after - first.before + 0.5)
  })
})

describe('addresses', () => {
  it.each(['127.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', '2001:db8:1:2:3:4:5:6'])('keep %s', (ip) => {
    expect(decodeAddress(encodeAddress(ip, 65_535))).toEqual({ ip, port: 65_535 })
  })

  it('are nothing when they are of no family that we know', () => {
    expect(decodeAddress(Buffer.alloc(NAME_SIZE))).toBeUndefined()
    expect(decodeAddress(Buffer.alloc(8))).toBeUndefined()
    expect(() => encodeAddress('localhost')).toThrow(Error)
  })
})
