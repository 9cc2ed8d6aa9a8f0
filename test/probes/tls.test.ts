import { X509Certificate } from 'node:crypto'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import type { SecureVersion } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { ProbeFailure } from '../../src/core/probe.ts'
import { trustOf } from '../../src/probes/lib/tls-context.ts'
import { tcp } from '../../src/probes/tcp.ts'
import { makeCertificates, type Certificates, type Pair } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { tlsServer } from '../support/tls.ts'
import { gaugeOf, probeOnce, tcpProbeContract } from './contract.ts'

const certificates = makeCertificates()
const servers: TestServer[] = []
const keep = <T extends TestServer>(server: T): T => { servers.push(server); return server }
const directory = temporaryDirectory()
afterAll(async () => {
  for (const server of servers) await server.close()
  directory.remove()
})

const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3']
const only = (version: SecureVersion) => ({ minVersion: version, maxVersion: version })
const probe = (server: { readonly port: number }, entry: Record<string, unknown> = {}) =>
  probeOnce(tcp, { target: `127.0.0.1:${server.port}`, tls: true, ca_file: certificates.caFile, server_name: 'localhost', ...entry })

tcpProbeContract(tcp, (port) => ({ target: `127.0.0.1:${port}`, tls: true }))

describe.each(VERSIONS)('tls: certificates over %s', (version) => {
  const against = async (pair: Pair) => keep(await tlsServer(pair, only(version)))

  it.each<[Exclude<keyof Certificates, 'caFile'>, string, string, string]>([
    ['expired', 'expired', 'tls_expired', 'expired at 2021-01-01T00:00:00Z'],
    ['notYetValid', 'expired', 'tls_not_yet_valid', 'only from 2090-01-01'],
    ['wrongHost', 'mismatch', 'tls_wrong_host', 'is for other.test, not for localhost'],
    ['selfSigned', 'untrusted', 'tls_self_signed', 'signed by itself'],
    ['unknownCa', 'untrusted', 'tls_unknown_ca', 'cannot be told apart'],
    ['unknownCaWithRoot', 'untrusted', 'tls_unknown_ca', 'CN=Stranger Root,O=Stranger, which the server sent'],
    ['missingIntermediate', 'untrusted', 'tls_missing_intermediate', 'same organisation'],
    ['missingPublicIntermediate', 'untrusted', 'tls_missing_intermediate', 'where its issuer is published'],
    ['client', 'untrusted', 'tls_bad_chain', 'purpose'],
    ['expiredWrongHost', 'expired', 'tls_expired', 'also, the certificate is for other.test'],
  ])('%s is tls/%s', async (name, reason, code, words) => {
    const pair = certificates[name]
    const server = await against(pair)
    const result = await probe(server)
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason, code } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining(words))
    const leaf = new X509Certificate(pair.cert)
    expect(gaugeOf(result, 'probe_ssl_last_chain_info', { fingerprint_sha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase() })).toBe(1)
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(leaf.validToDate.getTime() / 1000)
    // A wrong name is no fault of the chain.
    expect(gaugeOf(result, 'probe_ssl_last_chain_expiry_timestamp_seconds') === undefined).toBe(code !== 'tls_wrong_host')

    const skipped = await probe(server, { insecure_skip_verify: true })
    expect(skipped).toMatchObject({ status: 'ok' })
    expect(gaugeOf(skipped, 'probe_ssl_earliest_cert_expiry')).toBe(leaf.validToDate.getTime() / 1000)
  })

  it('accepts a good certificate and a chain with its intermediate', async () => {
    for (const pair of [certificates.good, certificates.chain]) {
      const result = await probe(await against(pair))
      expect(result).toMatchObject({ status: 'ok' })
      expect(gaugeOf(result, 'probe_tls_version_info', { version: version.replace('v', ' ') })).toBe(1)
      expect(result.gauges.find(({ name }) => name === 'probe_tls_cipher_info')?.labels?.['cipher']).toMatch(/^TLS_/)
      expect(gaugeOf(result, 'probe_ssl_last_chain_expiry_timestamp_seconds')).toBe(Date.parse('2099-12-31T23:59:59Z') / 1000)
    }
  })

  it('verifies an address, and asks for it without a name', async () => {
    const server = await against(certificates.good)
    expect(await probe(server, { server_name: '127.0.0.1' })).toMatchObject({ status: 'ok' })
    expect(server.names).toEqual(['false'])
    expect(await probe(server, { server_name: '127.0.0.2' })).toMatchObject({ failure: { code: 'tls_wrong_host' } })
  })

  it('wants a client certificate', async () => {
    const server = keep(await tlsServer(certificates.good, { ...only(version), ca: certificates.ca.cert, requestCert: true, rejectUnauthorized: true }, (socket) => socket.write('hello')))
    const denied = { status: 'failed', failure: { layer: 'tls', reason: 'denied', code: 'tls_client_cert_required' } }
    expect(await probe(server), 'nothing sent, nothing expected').toMatchObject(denied)
    expect(await probe(server, { expect: 'hello' }), 'the alert comes while reading').toMatchObject(denied)
    expect(await probe(server, { send: 'x' }), 'the alert comes after writing').toMatchObject(denied)

    const { client } = certificates
    expect(await probe(server, { cert_file: client.certFile, key_file: client.keyFile, expect: 'hello' })).toMatchObject({ status: 'ok' })
  })
})

describe('tls: what is no certificate', () => {
  it('exports the labels as blackbox_exporter writes them', async () => {
    const result = await probe(keep(await tlsServer(certificates.good)))
    const labels = result.gauges.find(({ name }) => name === 'probe_ssl_last_chain_info')?.labels
    expect(labels).toMatchObject({
      subject: 'CN=localhost,O=Curlew Test,C=DE', issuer: 'CN=Curlew Test Root,O=Curlew Test', subjectalternative: 'localhost,probe.test',
    })
    expect(labels?.['serialnumber']).toMatch(/^(?:[0-9a-f]{2})+$/)
    expect(labels?.['fingerprint_sha256']).toMatch(/^[0-9a-f]{64}$/)
  })

  it('counts the earliest expiry over what was sent, not over what is trusted here', async () => {
    // The root sent along expires with everything else; the leaf alone is what counts when it is first.
    const result = await probe(keep(await tlsServer({ ...certificates.expired, cert: certificates.expired.cert + certificates.ca.cert })))
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(Date.parse('2021-01-01T00:00:00Z') / 1000)
  })

  it.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'], ['a line', '-ERR unknown command\r\n'], ['a banner', 'SSH-2.0-OpenSSH\r\n'], ['binary', '\x4a\x00\x00\x00\x0a5.5.5'],
  ])('calls %s on the port tls/protocol', async (_name, answer) => {
    const server = keep(await tcpServer((socket) => socket.end(Buffer.from(answer, 'latin1'))))
    expect(await probe(server)).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'protocol', code: 'tls_plain_port' } })
  })

  it.each<[string, string, (socket: Socket) => void]>([
    ['a close', 'reset', (socket) => socket.end()],
    ['a reset', 'reset', (socket) => { socket.resetAndDestroy() }],
    ['silence', 'timeout', () => {}],
  ])('calls %s during the handshake tls/%s', async (_name, reason, answer) => {
    const server = keep(await tcpServer((socket) => { socket.once('data', () => answer(socket)) }))
    expect(await probe(server, { timeout: '300ms' })).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason } })
  })

  it('refuses old TLS unless it is allowed', async () => {
    const server = keep(await tlsServer(certificates.good, { ...only('TLSv1'), ciphers: 'DEFAULT:@SECLEVEL=0' }))
    expect(await probe(server)).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'protocol', code: 'tls_old_version' } })
    const result = await probe(server, { min_version: 'TLS1.0' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_tls_version_info', { version: 'TLS 1.0' })).toBe(1)
  })

  it('takes a handshake_failure before any key for what it is: no common ground, not a client certificate', async () => {
    const server = keep(await tcpServer((socket) => { socket.once('data', () => socket.end(Buffer.from('15030300020228', 'hex'))) }))
    expect(await probe(server)).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'other', code: 'tls_other' } })
  })

  it('takes unrecognized_name for a wrong host', async () => {
    const server = keep(await tcpServer((socket) => { socket.once('data', () => socket.end(Buffer.from('15030300020270', 'hex'))) }))
    expect(await probe(server)).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'mismatch', code: 'tls_wrong_host' } })
  })

  it('accuses nobody when its own files are bad, and reads them again when they change', async () => {
    const server = keep(await tlsServer(certificates.good))
    const ca = join(directory.path, 'ca.pem')
    copyFileSync(certificates.caFile, ca)
    expect(await probe(server, { ca_file: ca })).toMatchObject({ status: 'ok' })

    copyFileSync(certificates.unknownCaWithRoot.certFile, ca)
    expect(await probe(server, { ca_file: ca })).toMatchObject({ status: 'failed', failure: { code: 'tls_unknown_ca' } })
  })
})

describe('tls: files that break after the config was read', () => {
  it.each([
    ['is gone', undefined], ['holds no certificate', 'nothing of the kind'], ['holds a broken one', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('is unknown when ca_file %s', (_name, text) => {
    const ca = join(directory.path, `${String(text?.length)}.pem`)
    if (text !== undefined) writeFileSync(ca, text)
    const trust = () => trustOf({ ca_file: ca, min_version: 'TLS1.2' })
    expect(trust).toThrow(ProbeFailure)
    expect(trust).toThrow(expect.objectContaining({ code: 'prober_denied' }))
    expect(trust).toThrow(/^ca_file: expected/)
  })
})
