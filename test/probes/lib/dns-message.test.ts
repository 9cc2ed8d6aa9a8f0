import { decode, type Answer } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeQuery } from '../../../src/probes/lib/dns-client.ts'
import { isQueryName, readAnswer, RECORD_TYPES, type Reading } from '../../../src/probes/lib/dns-message.ts'
import { reply } from '../../support/dns-servers.ts'

const NAME = 'a.test'
const query = encodeQuery(NAME, 'A')
const answerTo = (answers: Answer[]) => reply({ id: query.readUInt16BE(0), name: NAME, type: 'A' }, { answers })
const read = (packet: Buffer) => {
  const reading = readAnswer(query, packet, 'datagram')
  if ('wrong' in reading) throw new Error(reading.detail)
  return reading.message
}
const isReading = (reading: Reading) => ('message' in reading ? reading.message.answers.length <= reading.message.counts.answers : reading.detail !== '')
/** An answer with one record of raw data. */
const raw = (type: number, data: Buffer) => {
  const packet = answerTo([{ name: NAME, type: 'NULL', ttl: 5, data }])
  packet.writeUInt16BE(type, query.length + NAME.length + 2)
  return packet
}

describe('questions', () => {
  it('can be asked for every record type', () => {
    for (const type of RECORD_TYPES) {
      const asked = encodeQuery('example.org.', type)
      expect(decode(asked)).toMatchObject({ type: 'query', flag_rd: true, questions: [{ name: 'example.org', type, class: 'IN' }] })
    }
    expect(encodeQuery('.', 'NS').length).toBe(17)
  })

  it('carry ids that cannot be foreseen', () => {
    const ids = new Set(Array.from({ length: 100 }, () => encodeQuery('a', 'A').readUInt16BE(0)))
    expect(ids.size).toBeGreaterThan(90)
  })

  it('are for names that fit into a message', () => {
    const good = ['.', 'a', 'a.b.', '_sip._tcp.x', '*.x', 'xn--bcher-kva.example', `${'a'.repeat(63)}.b`]
    expect(good.filter((name) => !isQueryName(name))).toEqual([])
    const bad = ['', '..', 'a..b', '.a', 'ä.b', 'a b', `${'a'.repeat(64)}.b`, 'a.'.repeat(127) + 'a']
    expect(bad.filter(isQueryName)).toEqual([])
  })
})

describe('answers', () => {
  it('show unknown types and data byte by byte', () => {
    expect(read(raw(65, Buffer.from([0, 1, 0])))).toMatchObject({ answers: [{ type: 'TYPE65', value: '\\# 3 000100' }] })
    expect(read(raw(10, Buffer.alloc(0)))).toMatchObject({ answers: [{ type: 'NULL', value: '\\# 0' }] })
  })

  it('take a TTL beyond 31 bits for zero', () => {
    expect(read(answerTo([{ name: NAME, type: 'A', ttl: 0x8000_0000, data: '192.0.2.1' }])).answers[0]?.ttl).toBe(0)
  })

  it('escape what does not print in names', () => {
    expect(read(raw(2, Buffer.from([3, 0x61, 0x2e, 0x00, 1, 0x20, 0]))).answers[0]?.value).toBe('a\\.\\000.\\032')
  })

  it('escape control characters in texts', () => {
    expect(read(raw(16, Buffer.from('\x08a\x1b[31m\nb'))).answers[0]?.value).toBe('a\\027[31m\\010b')
    expect(read(raw(16, Buffer.from([6, 0x41, 0xc3, 0xa4, 0xc2, 0x85, 0x42]))).answers[0]?.value).toBe('Aä\\133B')
  })

  it('are refused when a record does not hold what its type wants', () => {
    for (const [type, data] of [[1, [1, 2, 3]], [1, [1, 2, 3, 4, 5]], [28, [1]], [15, [0]], [16, [5, 0x61]], [2, []], [6, [0, 0, 1]], [33, [0, 0, 0, 0, 0, 0, 63]]] as const) {
      expect(readAnswer(query, raw(type, Buffer.from(data)), 'datagram'), `type ${type}`).toMatchObject({ wrong: 'dns_garbage', conclusive: true })
    }
  })

  it('may not send the reader round in circles', () => {
    const packet = answerTo([])
    packet.writeUInt16BE(1, 6)
    const here = packet.length
    for (const pointer of [here, here + 2, 0x3fff]) {
      const looping = Buffer.concat([packet, Buffer.from([0xc0 | (pointer >> 8), pointer & 0xff, 0, 1, 0, 1, 0, 0, 0, 5, 0, 0])])
      expect(readAnswer(query, looping, 'datagram')).toMatchObject({ wrong: 'dns_garbage' })
    }
  })

  it('never make the reader throw, whatever is in them', () => {
    const head = answerTo([])
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(3), fc.nat(3), fc.nat(3), (bytes, ...counts) => {
      const packet = Buffer.concat([head, bytes])
      counts.forEach((count, index) => packet.writeUInt16BE(count, 6 + 2 * index))
      const readings = [readAnswer(query, packet, 'datagram'), readAnswer(query, packet, 'stream'), readAnswer(query, Buffer.from(bytes), 'datagram')]
      expect(readings.every(isReading)).toBe(true)
    }), { numRuns: 2_000 })
  })

  it('never make the reader throw when a good one was damaged', () => {
    const whole = answerTo([
      { name: NAME, type: 'CNAME', ttl: 5, data: 'b.test' }, { name: 'b.test', type: 'MX', ttl: 5, data: { preference: 1, exchange: 'c.test' } },
      { name: 'b.test', type: 'TXT', ttl: 5, data: ['x', 'y'] }, { name: 'b.test', type: 'CAA', ttl: 5, data: { flags: 0, tag: 'issue', value: 'ca.test' } },
      { name: 'b.test', type: 'RRSIG', ttl: 5, data: { typeCovered: 'A', algorithm: 8, labels: 2, originalTTL: 5, expiration: 4e9, inception: 1, keyTag: 1, signersName: 'test', signature: Buffer.from([1]) } },
    ])
    fc.assert(fc.property(fc.nat(whole.length - query.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
      const damaged = Buffer.from(whole)
      damaged[query.length + at] = byte
      expect([readAnswer(query, damaged, 'datagram'), readAnswer(query, whole.subarray(0, length), 'datagram')].every(isReading)).toBe(true)
    }), { numRuns: 2_000 })
  })
})
