import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byteSize, canonicalHost, duration, Endpoint, formatDuration, hostOnly, parseDuration, parseEndpoint, pattern } from '../../src/core/fields.ts'

describe('durations', () => {
  it.each([['500ms', 500], ['30s', 30_000], ['1h30m', 5_400_000], ['2d', 172_800_000], ['1w', 604_800_000]])('%s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })
  it.each(['', '0s', '30', '-1s', '1.5s', '1 s', 's', '1s ', '10y', '1S'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined()
    expect(duration().safeParse(text).success).toBe(false)
  })
  it('comes back from its text', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 366 * 86_400_000 }), (ms) => { expect(parseDuration(formatDuration(ms))).toBe(ms) }))
  })
})

describe('sizes', () => {
  it.each([['64KB', 65_536], ['10MB', 10_485_760], ['1 GB', 1_073_741_824], ['7B', 7]])('%s', (text, bytes) => {
    expect(byteSize().parse(text)).toBe(bytes)
  })
  it.each(['10', '10mb', '1.5MB', 'MB'])('refuses %j', (text) => { expect(byteSize().safeParse(text).success).toBe(false) })
})

describe('endpoints', () => {
  it.each([
    ['redis', 'redis:6379'], ['Redis.Example:1', 'redis.example:1'], ['10.0.0.1', '10.0.0.1:6379'], ['[::1]:7', '[::1]:7'], ['::1', '[::1]:6379'],
    ['2001:DB8:0:0::1', '[2001:db8::1]:6379'], ['[2001:db8::1]', '[2001:db8::1]:6379'], ['_srv.example.com', '_srv.example.com:6379'], ['a.b.', 'a.b.:6379'],
  ])('%s is %s', (text, canonical) => {
    expect(String(parseEndpoint(text, 6379))).toBe(canonical)
  })
  it.each(['', ':1', 'a:0', 'a:65536', 'a:1x', 'a b', '[::1', '::1]', 'http://a', '1.2.3', '256.1.1.1', 'a..b', '-a', 'user@host', 'a/b', '[fe80::1%eth0]:1', `${'a'.repeat(64)}.x`])('refuses %j', (text) => {
    expect(parseEndpoint(text, 6379)).toBeUndefined()
  })
  it('needs a port where there is no usual one', () => {
    expect(parseEndpoint('a', undefined)).toBeUndefined()
    expect(String(parseEndpoint('a:5', undefined))).toBe('a:5')
  })
  it('comes back from its text, whatever the address', () => {
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      const canonical = canonicalHost(host)
      fc.pre(canonical !== undefined)
      const endpoint = new Endpoint(canonical, port)
      expect(String(parseEndpoint(String(endpoint), undefined))).toBe(String(endpoint))
    }))
  })
  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => { parseEndpoint(text, 1) }))
  })
})

describe('hosts', () => {
  it.each([['Example.Org', 'example.org'], ['10.0.0.1', '10.0.0.1'], ['2001:DB8:0::1', '2001:db8::1'], ['[::1]', '::1']])('%s is %s', (text, canonical) => {
    expect(String(hostOnly().parse(text))).toBe(canonical)
  })
  it.each(['', 'a:1', '[::1]:1', 'a/b', '1.2.3'])('refuses %j', (text) => {
    expect(hostOnly().safeParse(text).success).toBe(false)
  })
  it('shows the one address that is meant, and keeps the name', () => {
    const one = hostOnly().parse('example.org').at('10.0.0.1')
    expect({ text: String(one), host: one.host, ip: one.ip }).toEqual({ text: '10.0.0.1', host: 'example.org', ip: '10.0.0.1' })
  })
})

it('matches patterns in linear time', () => {
  const bomb = pattern().parse('^(a+)+$')
  expect(bomb.matcher(`${'a'.repeat(50_000)}b`).find()).toBe(false)
})
