import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { readConfig } from '../../src/config/load.ts'
import { parseTargetUrl, targetUrlText } from '../../src/core/target-url.ts'
import { probeTypes } from '../../src/probes/index.ts'

const USER = 'canary-user'
const PASSWORD = 'canary-password'

describe.each(probeTypes.flatMap((type) => type.schemes.map((scheme) => ({ type, scheme }))))('$scheme://', ({ type, scheme }) => {
  const read = (target: string) => readEntry(type, { name: 'url', type: type.type, target })

  it('never throws, whatever follows, and says in a sentence what is wrong', () => {
    const piece = fc.constantFrom(':', '@', '/', '?', '#', '[', ']', '%', '%zz', '&', '=', ' ', 'a', 'é', '\u0000', '1', '65536', '::1', '..', 'type', 'A', '\\', '"')
    fc.assert(fc.property(fc.oneof(fc.string(), fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''))), (rest) => {
      const { jobs, issues } = read(`${scheme}://${rest}`)
      expect(jobs.length + issues.length).toBeGreaterThan(0)
      for (const { message } of issues) expect(message).not.toMatch(/TypeError|Invalid URL|\bat .*\.ts:\d/)
    }), { numRuns: 300 })
  })

  it('has a target that shows where, and never who, what is asked for, or a fragment', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6().map((ip) => `[${ip}]`))
    let made = 0
    // Some types take no port, and some no host at all.
    const place = fc.oneof(fc.tuple(host, fc.integer({ min: 1, max: 65_535 })).map(([name, port]) => `${name}:${port}`), host, fc.constant(''))
    fc.assert(fc.property(place, fc.constantFrom('', '/', '/name', '/0'), fc.boolean(), fc.constantFrom('', '?ip_protocol=ip4'), (where, path, login, query) => {
      const { jobs } = read(`${scheme}://${login && where !== '' ? `${USER}:${PASSWORD}@` : ''}${where}${path}${query}#${PASSWORD}`)
      made += jobs.length
      for (const job of jobs) {
        expect(job.target).not.toMatch(/canary|@|\?|#|ip_protocol/)
        expect(job.target).toMatch(/^[\x21-\x7e]+$/)
      }
    }), { numRuns: 800 })
    expect(made).toBeGreaterThan(20)
  })

  it('gives the same job for every way to write the same target', () => {
    const idOf = (url: string) => read(url).jobs[0]?.id
    // Some types want a path or a user, some take no port or no host.
    const rest = ['example.org:4242', 'example.org:4242/www.example.com', 'example.org', 'user@example.org', '/data'].find((one) => idOf(`${scheme}://${one}`) !== undefined)
    const ids = [`${scheme}://${rest}`, `${scheme}://${rest?.replace('example', 'EXAMPLE')}`, `${scheme.toUpperCase()}://${rest}`].map(idOf)
    expect(ids[0]).toMatch(/^[0-9a-f]{12}$/)
    expect(new Set(ids).size).toBe(1)
  })
})

describe('several hosts in one URL', () => {
  it.each([
    ['redis+sentinel://h1:1,h2:2/m?key_prefix=x', ['h1:1', 'h2:2'], { host: 'h1:1', pathname: '/m', search: '?key_prefix=x', username: '', password: '' }],
    ['redis+cluster://u:p%40s@h1,[::1]:2', ['h1', '[::1]:2'], { host: 'h1', username: 'u', password: 'p%40s' }],
    ['redis+cluster://:p@s,h0@h1,h2', ['h1', 'h2'], { host: 'h1', password: 'p%40s,h0' }],
    ['redis+cluster://[2001:db8::1]:7000,[2001:db8::2]/', ['[2001:db8::1]:7000', '[2001:db8::2]'], { host: '[2001:db8::1]:7000' }],
    ['redis+cluster://h1', ['h1'], { host: 'h1' }],
    ['redis+cluster://h1?a=b,c#d,e', ['h1'], { host: 'h1', search: '?a=b,c', hash: '#d,e' }],
    ['redis+cluster://h1,h2:x', ['h1', 'h2:x'], { host: 'h1' }],
  ])('%s', (text, hosts, parts) => {
    const parsed = parseTargetUrl(text, true)!
    expect(parsed.hosts).toEqual(hosts)
    expect(parsed.url).toMatchObject(parts)
    // What is written of it is read as the same, with a login that came later too.
    expect(parseTargetUrl(targetUrlText(parsed), true)).toEqual(parsed)
    parsed.url.password = 'word'
    expect(parseTargetUrl(targetUrlText(parsed), true)).toMatchObject({ hosts, url: { ...parts, password: 'word' } })
  })

  it.each(['', 'h1,h2', 'redis+cluster://h1:x,h2', 'redis+cluster://[::1,h2', 'redis+cluster://h1:1:2,h2'])('%j is none', (text) => {
    expect(parseTargetUrl(text, true)).toBeUndefined()
  })

  it('is for types that know of it only', () => {
    expect(parseTargetUrl('redis://h1:1,h2:2')).toBeUndefined()
    expect(parseTargetUrl('redis://u@h1:1/3')).toMatchObject({ hosts: ['h1:1'] })
    const { issues } = readEntry(probeTypes.find(({ type }) => type === 'redis')!, { name: 'url', type: 'redis', target: 'redis://h1,h2' })
    expect(issues).toMatchObject([{ path: ['target'], message: expect.stringContaining('expected host') }])
  })

  it.each([
    'redis+sentinel://prober:canary-password@h1:26379,h2:26379/mymaster', 'redis+cluster://:canary-password@[::1]:7000,h2',
    // An @ in the password that is not encoded; a login at each host, which is the first one with a strange password.
    'redis+cluster://:canary@password@h1,h2', 'redis+cluster://u:canary-1@h1,u:canary-2@h2', 'redis+sentinel://h1,h2/m?sentinel_password=canary-password',
  ])('shows no password in /config, nor in what is said of a mistake: %s', (target) => {
    const text = (more: string) => `probes:\n  - { name: a, type: ${target.includes('sentinel:') ? 'redis-sentinel' : 'redis-cluster'}, target: "${target}"${more} }\n`
    const { config } = readConfig([{ file: 'c.yaml', text: text('') }], { types: probeTypes })
    expect(config!.shown).toContain('<secret>')
    expect(config!.shown).not.toMatch(/canary|password@|-2@/)
    const { diagnostics } = readConfig([{ file: 'c.yaml', text: text(', key_prefix: 1') }], { types: probeTypes })
    expect(diagnostics).toHaveLength(1)
    expect(diagnostics[0]!.message).not.toContain('canary')
  })
})
