import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { ProbeResult } from '../../src/core/result.ts'
import { cert } from '../../src/probes/cert.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { freePort, temporaryDirectory } from '../support/process.ts'
import type { TestServer } from '../support/tcp.ts'
import { tlsServer } from '../support/tls.ts'
import { issue, type KeyKind } from '../support/x509.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(cert)
tcpProbeContract(cert, (port) => ({ target: `127.0.0.1:${port}` }))

const made = makeCertificates()
const { caFile, good, chain, expired, notYetValid, wrongHost } = made
const FOREVER = Date.UTC(2099, 11, 31, 23, 59, 59) / 1000
const keystore = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/keystores', name))
const containing = (text: string): unknown => expect.stringContaining(text)
const failedWith = (layer: string, reason: string, code: string, message = '') => ({ status: 'failed', failure: { layer, reason, code, message: containing(message) } })

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })

async function serve(pair: Pick<Pair, 'cert' | 'key'>, options: Parameters<typeof tlsServer>[1] = {}): Promise<string> {
  const server = await tlsServer({ certFile: '', keyFile: '', ...pair }, options)
  servers.push(server)
  return `localhost:${server.port}`
}

/** A directory with these files; a value that begins with `->` is a link. */
function tree(files: Readonly<Record<string, string | Buffer>>, root = temporaryDirectory().path): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    if (typeof content === 'string' && content.startsWith('->')) symlinkSync(content.slice(2), path)
    else writeFileSync(path, content)
  }
  return root
}

const messageOf = (result: ProbeResult) => (result.status === 'ok' ? '' : result.failure.message)

/** The common names by file and entry, as they are exported. */
const exported = (result: ProbeResult, below = '') => result.gauges
  .filter(({ name }) => name === 'probe_ssl_cert_not_after')
  .map(({ labels }) => `${labels?.['file']?.replace(below, '')} ${labels?.['entry']} ${labels?.['cn']}`).sort()

describe('an endpoint', () => {
  it.each<[string, keyof typeof made, object]>([
    ['a good one', 'good', { status: 'ok' }],
    ['an intermediate that is sent', 'chain', { status: 'ok' }],
    ['expired', 'expired', failedWith('tls', 'expired', 'tls_expired', '2021')],
    ['not yet valid', 'notYetValid', failedWith('tls', 'expired', 'tls_not_yet_valid', '2090')],
    ['for another host', 'wrongHost', failedWith('tls', 'mismatch', 'tls_wrong_host', 'other.test')],
    ['expired and for another host', 'expiredWrongHost', failedWith('tls', 'expired', 'tls_expired', 'other.test')],
    ['self-signed', 'selfSigned', failedWith('tls', 'untrusted', 'tls_self_signed')],
    ['by a stranger', 'unknownCa', failedWith('tls', 'untrusted', 'tls_unknown_ca')],
    ['by a stranger who is sent', 'unknownCaWithRoot', failedWith('tls', 'untrusted', 'tls_unknown_ca')],
    ['without its intermediate', 'missingIntermediate', failedWith('tls', 'untrusted', 'tls_missing_intermediate')],
  ])('%s: expiry is exported whatever the verdict', async (_what, name, expected) => {
    const pair = made[name] as Pair // safe: the table names pairs only
    const result = await probeOnce(cert, { target: await serve(pair), ca_file: caFile })
    expect(result).toMatchObject(expected)
    const expiry = gaugeOf(result, 'probe_ssl_cert_not_after', { file: '', entry: '0' })
    expect(expiry).toBe(name.startsWith('expired') ? Date.UTC(2021, 0, 1) / 1000 : FOREVER)
    expect(gaugeOf(result, 'probe_ssl_cert_not_before', { entry: '0' })).toBe((name === 'notYetValid' ? Date.UTC(2090, 0, 1) : Date.UTC(2020, 0, 1)) / 1000)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(expiry)
    expect(gaugeOf(result, 'probe_ssl_expires_in_seconds')).toBeCloseTo(Number(expiry) - Date.now() / 1000, -1)
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(pair.cert.split('BEGIN').length - 1)
  })

  it.each<[string, Pair, object]>([
    ['trusted or not', made.selfSigned, { status: 'ok' }],
    ['for whomever', made.wrongHost, { status: 'ok' }],
    ['but not expired', expired, failedWith('tls', 'expired', 'tls_expired')],
    ['but not too young', notYetValid, failedWith('tls', 'expired', 'tls_not_yet_valid')],
  ])('may be, with insecure_skip_verify, %s', async (_what, pair, expected) => {
    expect(await probeOnce(cert, { target: await serve(pair), insecure_skip_verify: true })).toMatchObject(expected)
  })

  it.each<KeyKind>(['P-384', 'P-521', 'ed25519', 'rsa', 'rsa-pss'])('with a key of kind %s', async (key) => {
    const own = issue({ subject: '/CN=localhost', from: '20200101000000Z', to: '99991231235959Z', names: ['localhost'], key })
    const ca = join(temporaryDirectory().path, 'ca.pem')
    writeFileSync(ca, own.cert)
    const result = await probeOnce(cert, { target: await serve(own), ca_file: ca })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_ssl_cert_not_after', { cn: 'localhost' })).toBe(253_402_300_799)
  })

  it.each([
    ['names a host all the same', ['localhost'], { status: 'ok' }],
    ['and no host either', undefined, failedWith('tls', 'mismatch', 'tls_wrong_host', 'is for no host, not for localhost')],
  ])('without a subject %s', async (_what, names, expected) => {
    const dates = { from: '20200101000000Z', to: '20991231235959Z' }
    const authority = issue({ subject: '/CN=An authority', authority: true, ...dates })
    const ca = join(temporaryDirectory().path, 'ca.pem')
    writeFileSync(ca, authority.cert)
    const result = await probeOnce(cert, { target: await serve(issue({ subject: '', ...dates, ...(names ? { names } : {}) }, authority)), ca_file: ca })
    expect(result).toMatchObject(expected)
    expect(gaugeOf(result, 'probe_ssl_cert_not_after', { entry: '0', cn: names?.[0] ?? '' })).toBe(FOREVER)
    expect(gaugeOf(result, 'probe_ssl_last_chain_info', { subject: '' })).toBe(1)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('that wants a client certificate shows its own all the same: %s', async (maxVersion) => {
    const target = await serve(chain, { requestCert: true, rejectUnauthorized: true, ca: readFileSync(caFile), maxVersion })
    const result = await probeOnce(cert, { target, ca_file: caFile })
    expect(result).toMatchObject(failedWith('tls', 'denied', 'tls_client_cert_required'))
    expect(gaugeOf(result, 'probe_ssl_cert_not_after', { entry: '0', cn: 'localhost' })).toBe(FOREVER)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(FOREVER)
    const file = join(temporaryDirectory().path, 'served.pem')
    writeFileSync(file, chain.cert)
    const served = await probeOnce(cert, { target: file, served: [target] })
    expect(served).toMatchObject({ status: 'ok' })
    expect(gaugeOf(served, 'probe_ssl_served_matches', { served: target })).toBe(1)
  })

  it('that wants a client certificate is told from one that has expired', async () => {
    const options = { requestCert: true, ca: readFileSync(caFile) }
    expect(await probeOnce(cert, { target: await serve(good, options), ca_file: caFile })).toMatchObject(failedWith('tls', 'denied', 'tls_client_cert_required'))
    const result = await probeOnce(cert, { target: await serve(expired, options), ca_file: caFile })
    expect(result).toMatchObject(failedWith('tls', 'expired', 'tls_expired'))
    expect(await probeOnce(cert, { target: await serve(good, options), ca_file: caFile, cert_file: made.client.certFile, key_file: made.client.keyFile })).toMatchObject({ status: 'ok' })
  })

  it('fails before it expires when fail_on says so', async () => {
    const target = await serve(good)
    const limits = { expires_in_seconds: { warning: 4e9, critical: 3e9 } }
    expect(await probeOnce(cert, { target, ca_file: caFile, limits })).toMatchObject({ status: 'ok' })
    expect(await probeOnce(cert, { target, ca_file: caFile, limits, fail_on: ['expires_in_seconds'] })).toMatchObject(failedWith('assert', 'mismatch', 'limit_exceeded', 'expires_in_seconds'))
  })
})

describe('a target', () => {
  it.each([
    ['example.org:8443', 'example.org:8443'], ['example.org', 'example.org:443'], ['tls://example.org', 'example.org:443'], ['tls://[::1]:636', '[::1]:636'],
    ['tls://mail.example.org?starttls=smtp', 'mail.example.org:25'], ['tls://db.example.org?starttls=mysql', 'db.example.org:3306'], ['TLS://Example.ORG', 'example.org:443'],
    ['/etc//ssl/certs/', '/etc/ssl/certs'], ['cert:///etc/kubernetes?preset=kubeadm', '/etc/kubernetes'], ['cert:///with%20space.pem', '/with space.pem'],
  ])('%s is %s', (target, text) => { expect(jobOf(cert, { target }).target).toBe(text) })

  it.each<[Record<string, unknown>, string]>([
    [{ target: 'relative/path.pem' }, 'target'], [{ target: 'cert://etc/ssl' }, 'three slashes'], [{ target: 'tls://user@example.org' }, 'no user name'], [{ target: 'tls://example.org/path' }, 'without a path'],
    [{ target: '/a.pem', starttls: 'smtp' }, 'starttls: expected an endpoint'], [{ target: '/a.pem', server_name: 'x' }, 'server_name: expected an endpoint'],
    [{ target: 'example.org', preset: 'kubeadm' }, 'preset: expected a file'], [{ target: 'example.org', served: ['x:1'] }, 'served: expected a file'], [{ target: '/a.pem', root: 'host' }, 'root: expected an absolute path'],
    [{ targets: ['/etc/ssl', '/etc/ssl/'] }, 'duplicate target'], [{ targets: ['example.org', 'example.org:443'] }, 'duplicate target'],
  ])('%j is refused', (entry, message) => { expect(() => jobOf(cert, entry)).toThrow(message) })

  it('has a host if it is an endpoint', () => {
    expect(jobOf(cert, { target: 'example.org' }).host).toBe('example.org')
    expect(jobOf(cert, { target: '/etc/ssl' }).host).toBeUndefined()
  })
})

describe('a file', () => {
  const key = good.key
  it.each<[string, string | Buffer, readonly string[]]>([
    ['a chain', chain.cert, ['0 localhost', '1 Curlew Test Intermediate']],
    ['a chain behind its key, as the kubelet keeps it', `${chain.cert}${key}`, ['0 localhost', '1 Curlew Test Intermediate']],
    ['with junk between', `Bag Attributes\n${good.cert}subject=/CN=x\n${key}\n${made.ca.cert}the end`, ['0 localhost', '1 Curlew Test Root']],
    ['with CRLF', good.cert.replaceAll('\n', '\r\n'), ['0 localhost']],
    ['in DER', Buffer.from(good.cert.replace(/-----.*-----|\n/g, ''), 'base64'), ['0 localhost']],
    ['a Java keystore', keystore('server.jks'), ['root-ca Keystore CA', 'server keystore.test', 'server#1 Keystore CA']],
    ['a kubeconfig', kubeconfig(made.ca.cert, good.cert), ['cluster/prod Curlew Test Root', 'user/admin localhost']],
    ['a chain below a text that begins like DER', `0 s:CN = localhost\n${chain.cert}`, ['0 localhost', '1 Curlew Test Intermediate']],
    ['a kubeconfig in JSON', JSON.stringify({ users: [{ name: 7, user: { 'client-certificate-data': Buffer.from(good.cert).toString('base64') } }] }), ['user/7 localhost']],
  ])('%s', async (_what, content, entries) => {
    const dir = tree({ 'file': content })
    const result = await probeOnce(cert, { target: join(dir, 'file') })
    expect(result).toMatchObject({ status: 'ok' })
    expect(exported(result, join(dir, 'file')).map((line) => line.trim())).toEqual(entries)
    expect(gaugeOf(result, 'probe_ssl_cert_file_readable', { file: join(dir, 'file') })).toBe(1)
    expect(result.phases.map(({ name }) => name)).toEqual(['read'])
  })

  const other = (subject: string, more: Partial<Parameters<typeof issue>[0]> = {}) => issue({ subject, from: '20200101000000Z', to: '99991231235959Z', ...more }).cert
  it.each<[string, string, string]>([
    ['without any subject', other(''), ''],
    ['without a common name', other('/O=Curlew Test', { names: ['probe.test'] }), 'probe.test'],
    ['with a negative serial', other('/CN=negative', { serial: Buffer.from([0xff, 1]) }), 'negative'],
    ['with the serial 0', other('/CN=zero', { serial: Buffer.from([0]) }), 'zero'],
    ['for thousands of names', other('/CN=many', { names: Array.from({ length: 2_000 }, (_, n) => `host-${n}.example.org`) }), 'many'],
    ['with two names that hold signs', other('/CN=a, b + c'), 'a\\, b \\+ c'],
    ['Ed25519', other('/CN=ed', { key: 'ed25519' }), 'ed'],
    ['RSA-PSS', other('/CN=pss', { key: 'rsa-pss' }), 'pss'],
  ])('a certificate %s', async (_what, content, cn) => {
    const result = await probeOnce(cert, { target: join(tree({ 'a.pem': content }), 'a.pem') })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.gauges.find(({ name }) => name === 'probe_ssl_cert_info')?.labels).toMatchObject({ entry: '0', cn })
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(253_402_300_799)
  })

  it.each<[string, string | Buffer | undefined, object]>([
    ['missing', undefined, failedWith('request', 'not_found', 'cert_not_found', 'does not exist')],
    ['expired', expired.cert, failedWith('tls', 'expired', 'tls_expired', '2021-01-01T00:00:00Z')],
    ['expired in the middle of a bundle', `${good.cert}${expired.cert}${good.cert}`, failedWith('tls', 'expired', 'tls_expired', '(1)')],
    ['not yet valid', notYetValid.cert, failedWith('tls', 'expired', 'tls_not_yet_valid')],
    ['empty', '', failedWith('request', 'protocol', 'cert_no_certificate', 'holds no certificate')],
    ['a key alone', key, failedWith('request', 'protocol', 'cert_no_certificate')],
    ['something else', 'hello', failedWith('request', 'protocol', 'cert_no_certificate')],
    ['binary', Buffer.alloc(100, 7), failedWith('request', 'protocol', 'cert_no_certificate')],
    ['cut off', good.cert.slice(0, 300), failedWith('request', 'protocol', 'cert_no_certificate', 'cut off')],
    ['broken inside', good.cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA'), failedWith('request', 'protocol', 'cert_no_certificate', 'cannot be read')],
    ['DER that is none', Buffer.from([0x30, 0x82, 0xff, 0xff, 0x30, 0x82]), failedWith('request', 'protocol', 'cert_no_certificate')],
    ['too large', Buffer.alloc(1024 * 1024 + 1, 'x'), failedWith('request', 'unsupported', 'cert_unsupported', '1 MB')],
    ['PKCS#7', Buffer.from('308203060609 2a864886f70d010702'.replace(' ', ''), 'hex'), failedWith('request', 'unsupported', 'cert_unsupported', 'PKCS#7')],
    ['a kubeconfig without certificates', 'apiVersion: v1\nusers: [{ name: a, user: { token: b } }]\n', failedWith('request', 'protocol', 'cert_no_certificate')],
    ['a broken kubeconfig', 'clusters:\n- name: a\n  cluster: {\n', failedWith('request', 'protocol', 'cert_no_certificate', 'broken kubeconfig')],
    ['a kubeconfig of another shape', 'users: 7\n', failedWith('request', 'protocol', 'cert_no_certificate')],
    ['a kubeconfig with bad data', 'users: [{ name: a, user: { client-certificate-data: "AA-A" } }]\n', failedWith('request', 'protocol', 'cert_no_certificate', 'not base64')],
    ['a kubeconfig whose file is missing', 'users:\n- { name: a, user: { client-certificate: b.crt } }\n', failedWith('request', 'not_found', 'cert_not_found', 'b.crt does not exist')],
  ])('%s', async (_what, content, expected) => {
    const dir = tree(content === undefined ? {} : { 'a.pem': content })
    const result = await probeOnce(cert, { target: join(dir, 'a.pem') })
    expect(result).toMatchObject(expected)
    expect(messageOf(result)).toContain(dir)
  })

  it('that is no regular file is not waited for', async () => {
    expect(await probeOnce(cert, { target: '/dev/zero' })).toMatchObject(failedWith('request', 'protocol', 'cert_no_certificate'))
  })

  it('of certificates without end is read as far as a probe looks', async () => {
    const dir = tree({ 'a.pem': good.cert.repeat(1_010), 'b.pem': expired.cert })
    const result = await probeOnce(cert, { target: join(dir, 'a.pem'), timeout: '5s' })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'overloaded', code: 'cert_too_many' } })
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(1_000)
    expect(exported(result).length).toBe(50)
    expect(await probeOnce(cert, { target: dir, timeout: '5s' })).toMatchObject(failedWith('tls', 'expired', 'tls_expired', '1010 certificates'))
  })
})

describe('a keystore', () => {
  it.each<[string, string | undefined, readonly string[]]>([
    ['openssl3.p12', 'curlew-fixture', ['1 Keystore CA', 'server keystore.test']],
    ['truststore.p12', 'curlew-fixture', ['root-ca Keystore CA', 'second keystore.test']],
    ['secret.jceks', 'curlew-fixture', ['root-ca Keystore CA', 'server keystore.test', 'server#1 Keystore CA']],
    ['open.p12', undefined, ['0 keystore.test']],
    ['empty-password.p12', undefined, ['0 keystore.test']],
    ['server.jks', undefined, ['root-ca Keystore CA', 'server keystore.test', 'server#1 Keystore CA']],
  ])('%s with the password %s', async (name, password, entries) => {
    // Java has given its PKCS#12 files the name .jks since version 9.
    const file = join(tree({ 'a.jks': keystore(name) }), 'a.jks')
    const result = await probeOnce(cert, { target: file, ...(password === undefined ? {} : { password }) })
    expect(result).toMatchObject({ status: 'ok' })
    expect(exported(result, file).map((line) => line.trim())).toEqual(entries)
  })

  it.each([
    ['openssl3.p12', 'wrong-password', 0], ['openssl3.p12', undefined, 0], ['server.jks', 'wrong-password', 3], ['truststore.p12', 'wrong-password', 0],
  ])('%s with the password %s is a matter of the login', async (name, password, readable) => {
    const result = await probeOnce(cert, { target: join(tree({ 'a.jks': keystore(name) }), 'a.jks'), ...(password === undefined ? {} : { password }) })
    expect(result).toMatchObject(failedWith('auth', 'denied', 'cert_password'))
    expect(messageOf(result)).not.toContain('wrong-password')
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(readable)
  })
})

describe('a directory', () => {
  it('is read for certificates of every kind, one level deep; one bad file hides no other', async () => {
    const dir = tree({
      'a.pem': good.cert, 'b.crt': expired.cert, 'c.p12': keystore('openssl3.p12'), 'd.jks': keystore('server.jks'), 'e.conf': kubeconfig(made.ca.cert, good.cert), 'f.crt': 'garbage\0',
      'key.pem': good.key, 'nginx.conf': 'server { listen 80; }', 'notes.txt': 'x', 'sub/g.pem': good.cert, '.hidden.pem': 'x', 'dangling.pem': '->nowhere', 'h.pem/i.pem': good.cert,
    })
    const result = await probeOnce(cert, { target: dir, password: 'curlew-fixture' })
    expect(result).toMatchObject(failedWith('tls', 'expired', 'tls_expired', 'b.crt'))
    expect(messageOf(result)).toMatch(/f\.crt: it holds no certificate/)
    expect(messageOf(result)).toMatch(/dangling\.pem is a link to nowhere/)
    const readable = result.gauges.filter(({ name }) => name === 'probe_ssl_cert_file_readable').map(({ labels, value }) => [labels?.['file']?.slice(dir.length + 1), value])
    expect(Object.fromEntries(readable)).toEqual({ 'a.pem': 1, 'b.crt': 1, 'c.p12': 1, 'd.jks': 1, 'e.conf': 1, 'f.crt': 0, 'dangling.pem': 0 })
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(1 + 1 + 2 + 3 + 2)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(Date.UTC(2021, 0, 1) / 1000)
    expect(exported(result, `${dir}/`)).toContain('a.pem 0 localhost')
  })

  it('of a mounted Secret, which lies behind links', async () => {
    const dir = tree({ '..2026_01_01/tls.crt': good.cert, '..2026_01_01/tls.key': good.key, '..data': '->..2026_01_01', 'tls.crt': '->..data/tls.crt', 'tls.key': '->..data/tls.key' })
    const result = await probeOnce(cert, { target: dir })
    expect(result).toMatchObject({ status: 'ok' })
    expect(exported(result, dir)).toEqual(['/tls.crt 0 localhost'])
  })

  it.each([
    ['nothing', {}, 'no file that is named like certificates'], ['no certificate', { 'key.pem': good.key }, 'none of its files'],
  ])('with %s', async (_what, files, message) => {
    expect(await probeOnce(cert, { target: tree(files) })).toMatchObject(failedWith('request', 'protocol', 'cert_no_certificate', message))
  })

  it('with more files than a probe looks at says so, and fails for what is wrong all the same', async () => {
    const dir = tree(Object.fromEntries(Array.from({ length: 203 }, (_, n) => [`${String(n).padStart(3, '0')}.pem`, good.cert])))
    const result = await probeOnce(cert, { target: dir, timeout: '5s' })
    expect(result).toMatchObject({ status: 'unknown', failure: { code: 'cert_too_many' } })
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(200)
    tree({ '100.pem': expired.cert }, dir)
    const failed = await probeOnce(cert, { target: dir, timeout: '5s' })
    expect(failed).toMatchObject(failedWith('tls', 'expired', 'tls_expired', '100.pem'))
    // The one that expires first is among those that have series of their own.
    expect(exported(failed, dir)).toContain('/100.pem 0 localhost')
  })
})

describe('links', () => {
  it.each<[string, Record<string, string>, object]>([
    ['absolute ones mean the other root', { 'etc/a.pem': '->/var/b.pem', 'var/b.pem': good.cert }, { status: 'ok' }],
    ['of directories too', { 'etc': '->/data/etc', 'data/etc/a.pem': good.cert }, { status: 'ok' }],
    ['nobody gets above the root', { 'etc/a.pem': '->../../../../../../../../var/b.pem', 'var/b.pem': good.cert }, { status: 'ok' }],
    ['a chain of them', { 'etc/a.pem': '->b.pem', 'etc/b.pem': '->./c/../d.pem', 'etc/c/x': '', 'etc/d.pem': '->/etc/e.pem', 'etc/e.pem': good.cert }, { status: 'ok' }],
    ['one that leads nowhere', { 'etc/a.pem': '->/var/gone.pem' }, failedWith('request', 'not_found', 'cert_broken_link', '/etc/a.pem is a link to /var/gone.pem, which does not exist')],
    ['one that leads to itself', { 'etc/a.pem': '->a.pem' }, failedWith('request', 'not_found', 'cert_broken_link', 'back to itself')],
    ['a file where a directory should be', { 'etc': 'x' }, failedWith('request', 'not_found', 'cert_not_found')],
  ])('%s', async (_what, files, expected) => {
    const root = tree(files)
    const result = await probeOnce(cert, { target: '/etc/a.pem', root })
    expect(result).toMatchObject(expected)
    expect(JSON.stringify(result)).not.toContain(root)
  })
})

describe('the files of kubeadm', () => {
  const client = made.client.cert
  const controlPlane = {
    'etc/kubernetes/manifests/kube-apiserver.yaml': 'x', 'etc/kubernetes/manifests/etcd.yaml': 'x',
    ...Object.fromEntries(['ca', 'front-proxy-ca', 'etcd/ca'].map((name) => [`etc/kubernetes/pki/${name}.crt`, made.ca.cert])),
    ...Object.fromEntries(['apiserver', 'apiserver-kubelet-client', 'apiserver-etcd-client', 'front-proxy-client', 'etcd/server', 'etcd/peer', 'etcd/healthcheck-client'].map((name) => [`etc/kubernetes/pki/${name}.crt`, good.cert])),
    ...Object.fromEntries(['admin', 'super-admin', 'controller-manager', 'scheduler'].map((name) => [`etc/kubernetes/${name}.conf`, kubeconfig(made.ca.cert, client)])),
    'etc/kubernetes/pki/sa.pub': 'x', 'etc/kubernetes/pki/apiserver.key': good.key,
    'etc/kubernetes/kubelet.conf': `apiVersion: v1\nusers: [{ name: default-auth, user: { client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem } }]\n`,
    'var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem': `${client}${good.key}`,
    'var/lib/kubelet/pki/kubelet-client-current.pem': '->/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem',
    'var/lib/kubelet/pki/kubelet.crt': made.selfSigned.cert,
  }
  const probe = (root: string, entry: Record<string, unknown> = {}) => probeOnce(cert, { target: '/etc/kubernetes', preset: 'kubeadm', root, ...entry })
  const without = (...names: string[]) => Object.fromEntries(Object.entries(controlPlane).filter(([name]) => !names.some((one) => name.includes(one))))

  it('are read on a control plane, those of the kubelet too', async () => {
    const result = await probe(tree(controlPlane))
    expect(result).toMatchObject({ status: 'ok' })
    expect(exported(result)).toEqual([
      ...['admin', 'controller-manager', 'scheduler', 'super-admin'].flatMap((name) => [`/etc/kubernetes/${name}.conf cluster/prod Curlew Test Root`, `/etc/kubernetes/${name}.conf user/admin prober`]),
      '/etc/kubernetes/kubelet.conf user/default-auth prober',
      ...['apiserver', 'apiserver-etcd-client', 'apiserver-kubelet-client', 'etcd/healthcheck-client', 'etcd/peer', 'etcd/server', 'front-proxy-client'].map((name) => `/etc/kubernetes/pki/${name}.crt 0 localhost`),
      ...['ca', 'etcd/ca', 'front-proxy-ca'].map((name) => `/etc/kubernetes/pki/${name}.crt 0 Curlew Test Root`),
      '/var/lib/kubelet/pki/kubelet-client-current.pem 0 prober', '/var/lib/kubelet/pki/kubelet.crt 0 localhost',
    ].sort())
  })

  it.each<[string, Record<string, string>, object]>([
    ['a worker', { 'etc/kubernetes/pki/ca.crt': made.ca.cert, 'etc/kubernetes/kubelet.conf': controlPlane['etc/kubernetes/kubelet.conf'], ...Object.fromEntries(Object.entries(controlPlane).filter(([name]) => name.startsWith('var/'))) }, { status: 'ok' }],
    ['etcd elsewhere', without('etcd.yaml', 'pki/etcd/'), { status: 'ok' }],
    ['no super-admin', without('super-admin'), { status: 'ok' }],
    ['a missing file of a control plane', without('apiserver.crt'), failedWith('request', 'not_found', 'cert_not_found', '/etc/kubernetes/pki/apiserver.crt does not exist')],
    ['a missing file of etcd', without('etcd/peer'), failedWith('request', 'not_found', 'cert_not_found', 'etcd/peer.crt')],
    ['a broken file', { ...controlPlane, 'etc/kubernetes/pki/front-proxy-client.crt': 'oops' }, failedWith('request', 'protocol', 'cert_no_certificate', 'front-proxy-client.crt: it holds no certificate')],
    ['an expired file', { ...controlPlane, 'etc/kubernetes/scheduler.conf': kubeconfig(made.ca.cert, expired.cert) }, failedWith('tls', 'expired', 'tls_expired', '/etc/kubernetes/scheduler.conf (user/admin)')],
    ['a rotation that stopped half-way', without('kubelet-client-current'), failedWith('request', 'not_found', 'cert_not_found', 'kubelet-client-current.pem')],
    ['a serving certificate that is rotated makes the first one history', { ...controlPlane, 'var/lib/kubelet/pki/kubelet.crt': expired.cert, 'var/lib/kubelet/pki/kubelet-server-x.pem': good.cert, 'var/lib/kubelet/pki/kubelet-server-current.pem': '->kubelet-server-x.pem' }, { status: 'ok' }],
    ['another machine', { 'etc/x': '' }, failedWith('request', 'not_found', 'cert_not_found', 'none of the files of kubeadm')],
  ])('on %s', async (_what, files, expected) => {
    const result = await probe(tree(files))
    expect(result).toMatchObject(expected)
  })

  it('are there again a moment after the kubelet has removed its link', async () => {
    const root = tree(controlPlane)
    const current = join(root, 'var/lib/kubelet/pki/kubelet-client-current.pem')
    renameSync(current, `${current}.tmp`)
    const back = setTimeout(() => renameSync(`${current}.tmp`, current), 120)
    try {
      expect(await probe(root)).toMatchObject({ status: 'ok' })
    } finally {
      clearTimeout(back)
    }
  })

  it('are compared with what is served', async () => {
    const root = tree(controlPlane)
    const [current, old, closed] = [await serve(good), await serve(wrongHost), `127.0.0.1:${await freePort()}`]
    const same = await probe(root, { served: [current] })
    expect(same).toMatchObject({ status: 'ok' })
    expect(gaugeOf(same, 'probe_ssl_served_matches', { served: current })).toBe(1)
    // Nothing of the server's own is taken for a file's.
    expect(gaugeOf(same, 'probe_tls_version_info')).toBeUndefined()

    const stale = await probe(root, { served: [closed, old, current] })
    expect(stale).toMatchObject(failedWith('assert', 'stale', 'cert_not_served', `${old} shows CN=other.test`))
    expect(gaugeOf(stale, 'probe_ssl_served_matches', { served: old })).toBe(0)
    expect(gaugeOf(stale, 'probe_ssl_served_matches', { served: current })).toBe(1)

    expect(await probe(root, { served: [closed, current] })).toMatchObject(failedWith('connect', 'refused', 'connect_refused'))
    rmSync(join(root, 'etc/kubernetes/pki/front-proxy-ca.crt'))
    expect(await probe(root, { served: [closed] })).toMatchObject(failedWith('request', 'not_found', 'cert_not_found'))
  })

  it('a renewed certificate that is not served names both serial numbers', async () => {
    const renewed = issue({ subject: '/CN=kube-apiserver', from: '20200101000000Z', to: '20991231235959Z', names: ['localhost'], serial: Buffer.from([0x22]) })
    const before = issue({ subject: '/CN=kube-apiserver', from: '20200101000000Z', to: '20881231235959Z', names: ['localhost'], serial: Buffer.from([0x11]) })
    const dir = tree({ 'apiserver.crt': renewed.cert })
    const result = await probeOnce(cert, { target: dir, served: [await serve(before)] })
    expect(result).toMatchObject(failedWith('assert', 'stale', 'cert_not_served', `shows CN=kube-apiserver with the serial number 11, valid until 2088-12-31T23:59:59Z; in ${dir}/apiserver.crt it has 22 and is valid until 2099-12-31T23:59:59Z`))
  })
})

/** A kubeconfig with one cluster and one user, embedded. */
function kubeconfig(ca: string, client: string): string {
  const data = (pem: string) => Buffer.from(pem).toString('base64')
  return `apiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster:\n    certificate-authority-data: ${data(ca)}\n    server: https://127.0.0.1:6443\nusers:\n- name: admin\n  user:\n    client-certificate-data: ${data(client)}\n    client-key-data: AAAA\n`
}
