import { describe, expect, it } from 'vitest'
import { optionsOfUrl, servers } from '../../../src/probes/lib/redis-targets.ts'

const sentinels = servers(26379, { named: true })
const nodes = servers(6379, { named: false })

describe('several servers as one target', () => {
  it.each([
    ['h1,h2/mymaster', 'h1:26379,h2:26379/mymaster', undefined],
    ['H2:26379,h1,h2/mymaster', 'h1:26379,h2:26379/mymaster', undefined],
    ['h1/my.master-1_x', 'h1:26379/my.master-1_x', 'h1'],
    ['h1:1,h1:2/m', 'h1:1,h1:2/m', 'h1'],
    ['[2001:DB8::1]:1,2001:db8::2/m', '[2001:db8::1]:1,[2001:db8::2]:26379/m', undefined],
    ['192.0.2.1,192.0.2.1:26379/m', '192.0.2.1:26379/m', '192.0.2.1'],
  ])('%s is %s', (text, canonical, host) => {
    const target = sentinels.parse(text)
    expect(String(target)).toBe(canonical)
    expect(target.host).toBe(host)
    expect(String(sentinels.parse(canonical))).toBe(canonical)
  })

  it.each(['', '/', '/m', 'h1', 'h1/', 'h1,/m', ',h1/m', 'h1,,h2/m', 'h1:0/m', 'h1:1:2/m', 'h1 ,h2/m', 'h1/m/3', 'h1/a b', 'h1/é', 'h1/a?b', 'h1/a@b', `h1/${'m'.repeat(101)}`])('%j is none', (text) => {
    expect(sentinels.safeParse(text).error?.issues).toMatchObject([{ message: expect.stringContaining('expected host[:port] of one server or of several') }])
  })

  it('have a name where one is asked for only', () => {
    expect(String(nodes.parse('h2:7001,h1'))).toBe('h1:6379,h2:7001')
    expect(nodes.safeParse('h1/m').success).toBe(false)
  })

  it('are at most 16', () => {
    const list = (count: number) => Array.from({ length: count }, (_, n) => `h${n}`).join(',')
    expect(nodes.parse(list(16)).endpoints).toHaveLength(16)
    expect(nodes.safeParse(list(17)).error?.issues).toMatchObject([{ message: 'expected at most 16 servers' }])
  })
})

it('a URL sets the login, TLS by its scheme, and what its query says', () => {
  expect(optionsOfUrl(new URL('rediss+cluster://u%40x:p%40ss@h1?key_prefix=x:&insecure_skip_verify=true'))).toEqual({
    username: 'u@x', password: 'p@ss', tls: true, key_prefix: 'x:', insecure_skip_verify: true,
  })
  expect(optionsOfUrl(new URL('redis+cluster://h1'))).toEqual({})
})
