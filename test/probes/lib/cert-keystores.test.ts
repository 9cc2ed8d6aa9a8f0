import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import forge from 'node-forge'
import { describe, expect, it } from 'vitest'
import { FileProblem } from '../../../src/probes/lib/cert-codes.ts'
import { isJks, readJks } from '../../../src/probes/lib/cert-jks.ts'
import { pkcs12Reader } from '../../../src/probes/lib/cert-pkcs12.ts'
import { openPkcs12 } from '../../../src/probes/lib/cert-pkcs12-open.ts'

const PASSWORD = 'curlew-fixture'
const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../../fixtures/keystores', name))
const named = (kept: readonly { readonly alias: string, readonly der: Uint8Array }[]) => kept.map(({ alias, der }) => `${alias}: ${new X509Certificate(der).subject.split('CN=')[1]}`)

describe('PKCS#12', () => {
  const [leaf, ca] = ['server: keystore.test', ': Keystore CA']
  it.each<[string, string | undefined, readonly string[]]>([
    ['openssl3.p12', PASSWORD, [leaf, ca]],
    ['legacy-rc2.p12', PASSWORD, [leaf, ca]],
    ['tripledes.p12', PASSWORD, [': keystore.test']],
    ['aes128-sha512.p12', PASSWORD, [': keystore.test']],
    ['unicode.p12', 'пароль-密码', [': keystore.test']],
    ['empty-password.p12', '', [': keystore.test']],
    ['empty-password.p12', undefined, [': keystore.test']],
    ['open.p12', undefined, [': keystore.test']],
    ['open.p12', PASSWORD, [': keystore.test']],
    ['java17.p12', PASSWORD, [leaf, 'CN=Keystore CA,O=Curlew Test: Keystore CA']],
    ['truststore.p12', PASSWORD, ['root-ca: Keystore CA', 'second: keystore.test']],
    ['secret.p12', PASSWORD, ['root-ca: Keystore CA']],
  ])('%s with %s', (name, password, certificates) => {
    const { certificates: found, problem } = openPkcs12(fixture(name), password)
    expect(problem).toBeUndefined()
    expect(named(found)).toEqual(certificates)
  })

  it.each([
    ['openssl3.p12', 'another', 'password'], ['openssl3.p12', undefined, 'password'], ['legacy-rc2.p12', 'another', 'password'], ['java17.p12', '', 'password'], ['unicode.p12', PASSWORD, 'password'],
    ['server.jks', PASSWORD, 'broken'],
  ])('%s does not open with %s', (name, password, kind) => {
    expect(openPkcs12(fixture(name), password)).toMatchObject({ certificates: [], problem: { kind } })
  })

  it('with a MAC of an unknown kind is known by what its password decrypts', () => {
    const bytes = fixture('openssl3.p12')
    const sha256 = Buffer.from('608648016503040201', 'hex')
    bytes[bytes.lastIndexOf(sha256) + sha256.length - 1] = 99
    expect(named(openPkcs12(bytes, PASSWORD).certificates)).toEqual([leaf, ca])
    expect(openPkcs12(bytes, 'another')).toMatchObject({ certificates: [], problem: { kind: 'password' } })
  })

  it('of a hundred million rounds is refused before they begin', () => {
    const pfx = forge.asn1.fromDer(fixture('openssl3.p12').toString('latin1'))
    const mac = (pfx.value as forge.asn1.Asn1[])[2]!.value as forge.asn1.Asn1[]
    mac[2]!.value = forge.asn1.integerToDer(100_000_000).getBytes()
    const began = performance.now()
    expect(openPkcs12(Buffer.from(forge.asn1.toDer(pfx).getBytes(), 'latin1'), PASSWORD)).toMatchObject({ problem: { kind: 'unsupported', message: expect.stringContaining('100000000 rounds') as string } })
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('whatever is done to a file, it is a problem of the file', () => {
    const files = ['openssl3.p12', 'legacy-rc2.p12', 'open.p12', 'java17.p12'].map(fixture)
    fc.assert(fc.property(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(), (file, at, byte, length) => {
      const bytes = Buffer.from(file)
      bytes[at % bytes.length] = byte
      expect(openPkcs12(bytes.subarray(0, length % 3 === 0 ? length % bytes.length : undefined), undefined)).toHaveProperty('certificates')
    }), { numRuns: 60 })
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => { expect(openPkcs12(Buffer.concat([Buffer.from([0x30, 0x82, 1, 0]), bytes]), 'x')).toHaveProperty('problem') }), { numRuns: 200 })
    expect(openPkcs12(Buffer.alloc(1024 * 1024, 0x30), 'x')).toHaveProperty('problem')
  })

  it('is opened on a thread, while others get their turn, and not beyond the deadline', async () => {
    const reader = pkcs12Reader({ deadline: performance.now() + 10_000 })
    let turns = 0
    const ticking = setInterval(() => { turns++ }, 1)
    const { kept } = await reader.read(fixture('java17.p12'), PASSWORD)
    clearInterval(ticking)
    expect(named(kept)).toHaveLength(2)
    expect(turns).toBeGreaterThan(5)
    reader.close()

    const late = pkcs12Reader({ deadline: performance.now() + 31 })
    await expect(late.read(fixture('java17.p12'), PASSWORD)).rejects.toMatchObject({ code: 'prober_starved' })
    late.close()
  })
})

describe('JKS and JCEKS', () => {
  const all = ['root-ca: Keystore CA', 'server: keystore.test', 'server: Keystore CA']
  it.each(['server.jks', 'secret.jceks'])('%s', (name) => {
    expect(isJks(fixture(name))).toBe(true)
    const { kept, problems } = readJks(fixture(name), PASSWORD)
    expect(named(kept)).toEqual(all)
    expect(problems).toEqual([])
    expect(readJks(fixture(name), undefined).problems).toEqual([])
    const wrong = readJks(fixture(name), 'another')
    expect(named(wrong.kept)).toEqual(all)
    expect(wrong.problems).toMatchObject([{ code: 'cert_password' }])
  })

  it('of the first version, which has no type before a certificate', () => {
    const der = readJks(fixture('server.jks'), undefined).kept[0]!.der
    const content = Buffer.concat([Buffer.from('feedfeed0000000100000001', 'hex'), Buffer.from('00000002', 'hex'), Buffer.from('\0\x03old'), Buffer.alloc(8), Buffer.from([0, 0, der.length >> 8, der.length & 255]), der])
    const digest = createHash('sha1').update(Buffer.from('geheim', 'utf16le').swap16()).update('Mighty Aphrodite').update(content).digest()
    const { kept, problems } = readJks(Buffer.concat([content, digest]), 'geheim')
    expect(named(kept)).toEqual(['old: Keystore CA'])
    expect(problems).toEqual([])
  })

  it('cut off: what is whole is read', () => {
    const bytes = fixture('server.jks')
    const { kept, problems } = readJks(bytes.subarray(0, 700), undefined)
    expect(named(kept)).toEqual(['root-ca: Keystore CA'])
    expect(problems).toMatchObject([{ code: 'cert_no_certificate', message: 'entry 2 of 2 of the keystore is broken' }])
    expect(() => readJks(bytes.subarray(0, 20), undefined)).toThrow(FileProblem)
  })

  it('whatever is done to a file, it is a problem of the file', () => {
    fc.assert(fc.property(fc.constantFrom(fixture('server.jks'), fixture('secret.jceks')), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 }), (file, at, bytes) => {
      const changed = Buffer.from(file)
      changed.set(bytes.subarray(0, changed.length - (at % changed.length)), at % changed.length)
      try {
        expect(readJks(changed, PASSWORD).kept.length).toBeLessThan(10)
      } catch (error) {
        expect(error).toBeInstanceOf(FileProblem)
      }
    }), { numRuns: 500 })
  })

  it('a file that is full of beginnings takes no time', () => {
    const bytes = Buffer.concat([Buffer.from('cecececE0000000200ffffff00000003', 'hex'), Buffer.alloc(1024 * 1024, Buffer.from('00000001ffff', 'hex'))])
    const began = performance.now()
    expect(readJks(bytes, undefined).kept).toEqual([])
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})
