import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { afterAll, beforeAll, describe } from 'vitest'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { httpServer } from '../support/http-servers.ts'
import { freePort, startProcess, temporaryDirectory, type Running } from '../support/process.ts'
import { listens, tcpServer, type TestServer } from '../support/tcp.ts'
import { tlsServer } from '../support/tls.ts'
import { issue } from '../support/x509.ts'
import { failed, faultTable, ok, type Entry, type Trial } from './table.ts'

const certificates = makeCertificates()
const { ca, caFile, good, strangeClient } = certificates
const servers: TestServer[] = []
const running: Running[] = []
const keep = async <S extends TestServer>(starting: Promise<S>): Promise<S> => {
  const server = await starting
  servers.push(server)
  return server
}
/** openssl s_server, which says with an alert what it does not accept. */
let strict: Readonly<Record<'tls1_2' | 'tls1_3' | 'named', number>>

beforeAll(async () => {
  const wantsClients = ['-Verify', '2', '-verify_return_error', '-CAfile', ca.certFile]
  const [tls1_2, tls1_3, named] = await Promise.all([
    openssl('-tls1_2', ...wantsClients), openssl('-tls1_3', ...wantsClients),
    openssl('-servername', 'other.test', '-servername_fatal', '-cert2', certificates.wrongHost.certFile, '-key2', certificates.wrongHost.keyFile),
  ])
  strict = { tls1_2, tls1_3, named }
})
afterAll(() => Promise.all([...running.map((one) => one.stop()), ...servers.map((server) => server.close())]))

async function openssl(...args: readonly string[]): Promise<number> {
  const port = await freePort()
  running.push(await startProcess('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', good.certFile, '-key', good.keyFile, '-quiet', ...args], { ready: () => listens(port) }))
  return port
}

const entry = (port: number, more: Entry = {}): Trial => ({ probe: { type: 'tcp', target: `127.0.0.1:${port}`, tls: true, ca_file: caFile, server_name: 'localhost', ...more } })
const showing = (pair: Pair, options: TlsOptions = {}, more: Entry = {}) => async () => entry((await keep(tlsServer(pair, options))).port, more)
/** What does as it likes once it has got the first packet of a handshake. */
const astray = (talk: (socket: Socket) => void, more: Entry = {}) => async () => entry((await keep(tcpServer((socket) => { socket.once('data', () => talk(socket)) }))).port, more)
const old = (version: 'TLSv1' | 'TLSv1.1') => showing(good, { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' })
const strange = { cert_file: strangeClient.certFile, key_file: strangeClient.keyFile }

const DAYS = 86_400
/** A certificate that ends in five days; it vouches for itself. */
async function expiring(more: Entry = {}): Promise<Trial> {
  const end = new Date(Date.now() + 5 * DAYS * 1_000).toISOString().replace(/[-:T]|\.\d+/g, '')
  const pair = issue({ subject: '/O=Curlew Test/CN=localhost', from: '20200101000000Z', to: end, names: ['localhost'] })
  const file = join(temporaryDirectory().path, 'expiring.pem')
  writeFileSync(file, pair.cert)
  const { port } = await keep(tlsServer({ ...pair, certFile: file, keyFile: '' }))
  return { probe: { type: 'cert', target: `127.0.0.1:${port}`, ca_file: file, server_name: 'localhost', ...more } }
}

describe('certificates', () => {
  faultTable('tls', [
    { fault: 'its certificate has expired', make: showing(certificates.expired), expected: failed('tls', 'expired', 'tls_expired', { probe_ssl_earliest_cert_expiry: Date.UTC(2021, 0, 1) / 1_000 }) },
    { fault: 'its certificate is not valid yet', make: showing(certificates.notYetValid), expected: failed('tls', 'expired', 'tls_not_yet_valid') },
    { fault: 'its certificate ends in five days', make: () => expiring(), expected: ok({ probe_ssl_expires_in_seconds: [4.9 * DAYS, 5 * DAYS] }) },
    { fault: 'its certificate ends in five days, and fail_on names that', make: () => expiring({ limits: { expires_in_seconds: { critical: 7 * DAYS } }, fail_on: ['expires_in_seconds'] }), expected: failed('assert', 'mismatch', 'limit_exceeded') },
    { fault: 'its certificate is for another host', make: showing(certificates.wrongHost), expected: failed('tls', 'mismatch', 'tls_wrong_host') },
    { fault: 'it has no certificate for the name that is asked for', make: () => entry(strict.named), expected: failed('tls', 'mismatch', 'tls_wrong_host') },
    { fault: 'its certificate is signed by a stranger', like: 'a missing intermediate', make: showing(certificates.unknownCa), expected: failed('tls', 'untrusted', 'tls_unknown_ca') },
    { fault: 'its certificate is signed by a stranger, who is sent along', make: showing(certificates.unknownCaWithRoot), expected: failed('tls', 'untrusted', 'tls_unknown_ca') },
    { fault: 'its intermediate is missing', make: showing(certificates.missingIntermediate), expected: failed('tls', 'untrusted', 'tls_missing_intermediate') },
    { fault: 'its certificate is signed by itself', make: showing(certificates.selfSigned), expected: failed('tls', 'untrusted', 'tls_self_signed') },
    { fault: 'its certificate is one for clients', make: showing(certificates.client), expected: failed('tls', 'untrusted', 'tls_bad_chain') },
    { fault: 'it wants a client certificate, TLS 1.2', make: () => entry(strict.tls1_2), expected: failed('tls', 'denied', 'tls_client_cert_required') },
    { fault: 'it wants a client certificate, TLS 1.3', make: () => entry(strict.tls1_3), expected: failed('tls', 'denied', 'tls_client_cert_required') },
    { fault: 'it refuses the client certificate, TLS 1.2', make: () => entry(strict.tls1_2, strange), expected: failed('tls', 'denied', 'tls_client_cert_refused') },
    { fault: 'it refuses the client certificate, TLS 1.3', make: () => entry(strict.tls1_3, strange), expected: failed('tls', 'denied', 'tls_client_cert_refused') },
  ])
})

describe('handshakes', () => {
  const plainHttp = (target: string): Trial => ({ probe: { type: 'http', target } })
  faultTable('tls', [
    { fault: 'it speaks TLS 1.0 only', make: old('TLSv1'), expected: failed('tls', 'protocol', 'tls_old_version') },
    { fault: 'it speaks TLS 1.1 only', make: old('TLSv1.1'), expected: failed('tls', 'protocol', 'tls_old_version') },
    { fault: 'no key exchange that both know', make: showing(good, { ecdhCurve: 'X448', minVersion: 'TLSv1.3' }), expected: failed('tls', 'other', 'tls_other') },
    { fault: 'TLS spoken to a plain web server', make: async () => entry((await keep(httpServer((_asked, answer) => { answer.end() }))).port), expected: failed('tls', 'protocol', 'tls_plain_port') },
    { fault: 'plain HTTP spoken to a TLS port, which closes', like: 'a server that closes without an answer', make: async () => plainHttp((await keep(httpServer((_asked, answer) => { answer.end() }, { pair: good }))).url.replace('https', 'http')), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'plain HTTP spoken to a TLS port, which sends an alert', make: async () => plainHttp(`http://127.0.0.1:${(await keep(tcpServer((socket) => { socket.once('data', () => socket.end(Buffer.from('1503010002020a', 'hex'))) }))).port}/`), expected: failed('request', 'protocol', 'http_protocol') },
    { fault: 'it never answers the handshake', like: 'a plain server that waits for a line', make: astray(() => {}, { timeout: '1s' }), expected: failed('tls', 'timeout', 'tls_timeout') },
    { fault: 'it resets the connection in the handshake', make: astray((socket) => { socket.resetAndDestroy() }), expected: failed('tls', 'reset', 'tls_reset') },
    { fault: 'it closes the connection in the handshake', make: astray((socket) => { socket.end() }), expected: failed('tls', 'reset', 'tls_reset') },
  ])
})
