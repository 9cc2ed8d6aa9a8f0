import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
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
    fc.assert(fc.property(host, fc.integer({ min: 1, max: 65_535 }), fc.constantFrom('', '/', '/name', '/0'), fc.boolean(), fc.constantFrom('', '?ip_protocol=ip4'), (name, port, path, login, query) => {
      const { jobs } = read(`${scheme}://${login ? `${USER}:${PASSWORD}@` : ''}${name}:${port}${path}${query}#${PASSWORD}`)
      made += jobs.length
      for (const job of jobs) {
        expect(job.target).not.toMatch(/canary|@|\?|#|ip_protocol/)
        expect(job.target).toMatch(/^[\x21-\x7e]+$/)
      }
    }), { numRuns: 200 })
    expect(made).toBeGreaterThan(20)
  })

  it('gives the same job for every way to write the same target', () => {
    const path = type.example['query'] === undefined ? '' : '/www.example.com'
    const ids = [`${scheme}://example.org:4242${path}`, `${scheme}://EXAMPLE.org:4242${path}`, `${scheme.toUpperCase()}://example.org:4242${path}`].map((url) => read(url).jobs[0]?.id)
    expect(ids[0]).toMatch(/^[0-9a-f]{12}$/)
    expect(new Set(ids).size).toBe(1)
  })
})
