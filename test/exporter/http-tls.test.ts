import { copyFileSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { dirname, join } from 'node:path'
import { connect, type SecureVersion, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { eventually } from '../support/process.ts'
import { basic, BEHIND_PROXY, closeAll, HASH, startSite, webFile } from './http-support.ts'

afterEach(closeAll)

const certificates = makeCertificates()
const { ca, good, client, strangeClient } = certificates
const TLS = `tls_server_config:\n  cert_file: ${good.certFile}\n  key_file: ${good.keyFile}\n`
const MUTUAL = `${TLS}  client_ca_file: ${certificates.caFile}\n  client_auth_type: RequireAndVerifyClientCert\n`
const trust = { ca: ca.cert }
const as = ({ cert, key }: Pair) => ({ ...trust, cert, key })

/** A finished handshake, closed again. */
function handshake(port: number, options: { minVersion?: SecureVersion, maxVersion?: SecureVersion, ciphers?: string }): Promise<{ protocol: string | null, cipher: string }> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ...trust, ...options }, () => {
      resolve({ protocol: socket.getProtocol(), cipher: socket.getCipher().name })
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

describe('TLS', () => {
  it('is spoken, and plain HTTP is not', async () => {
    const site = await startSite({ webConfigFile: webFile(TLS) })
    expect(site.tls).toBe(true)
    expect((await site.get('/metrics', trust)).status).toBe(200)
    expect((await site.get('/', trust)).status).toBe(200)
    expect((await site.get('/', { ...trust, headers: BEHIND_PROXY })).status).toBe(403)
    expect((await site.get('/', { ...trust, headers: { origin: `http://localhost:${site.port}` } })).status).toBe(403)
    expect((await site.get('/', { ...trust, headers: { origin: `https://localhost:${site.port}` } })).status).toBe(200)
    await expect(site.get('/metrics')).rejects.toThrow('certificate')
  })

  it('keeps to the versions and suites of the file', async () => {
    const site = await startSite({ webConfigFile: webFile(`${TLS}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n`) })
    expect(await handshake(site.port, {})).toEqual({ protocol: 'TLSv1.2', cipher: 'ECDHE-ECDSA-AES256-GCM-SHA384' })
    await expect(handshake(site.port, { minVersion: 'TLSv1.3' })).rejects.toThrow('alert protocol version')
    await expect(handshake(site.port, { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' })).rejects.toThrow('handshake failure')
  })

  it('leaves TLS 1.3 on when suites are chosen, as Go does', async () => {
    const site = await startSite({ webConfigFile: webFile(`${TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n`) })
    expect((await handshake(site.port, {})).protocol).toBe('TLSv1.3')
  })

  it('speaks old versions only when told to', async () => {
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    const site = await startSite({ webConfigFile: webFile(TLS) })
    await expect(handshake(site.port, old)).rejects.toThrow('alert protocol version')
    const lenient = await startSite({ webConfigFile: webFile(`${TLS}  min_version: TLS11\n`) })
    expect((await handshake(lenient.port, old)).protocol).toBe('TLSv1.1')
  })

  it('is not held up by a client that never shakes hands', async () => {
    const site = await startSite({ webConfigFile: webFile(TLS) })
    const socket = connectPlain(site.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    expect((await site.get('/-/healthy', trust)).status).toBe(200)
    const gone = new Promise((resolve) => socket.once('close', resolve))
    await site.close(100)
    await gone
  })
})

describe('renewal', () => {
  it('serves a renewed certificate without a restart, and the last good one meanwhile', async () => {
    const file = webFile('tls_server_config: { cert_file: tls.crt, key_file: tls.key }\n')
    const install = (pair: Pair, part: 'tls.crt' | 'tls.key') => copyFileSync(part === 'tls.crt' ? pair.certFile : pair.keyFile, join(dirname(file), part))
    install(good, 'tls.crt')
    install(good, 'tls.key')
    const site = await startSite({ webConfigFile: file })
    const serial = () => new Promise<string>((resolve, reject) => {
      const socket = connect({ port: site.port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.on('error', reject)
    })
    const before = await serial()

    install(certificates.chain, 'tls.crt')
    await eventually(async () => { await serial(); return site.logged.some(({ level }) => level === 'error') })
    expect(await serial()).toBe(before)
    expect((await site.get('/metrics', trust)).status).toBe(200)
    expect(site.logged.at(-1)?.fields).toMatchObject({ problems: [expect.stringContaining('the certificate does not belong to the key')] })

    install(certificates.chain, 'tls.key')
    await eventually(async () => await serial() !== before)
    expect((await site.get('/metrics', trust)).status).toBe(200)
  })

  it('takes a change from HTTPS to HTTP, or to client certificates, for what it is: a restart', async () => {
    const file = webFile(TLS)
    const site = await startSite({ webConfigFile: file })
    writeFileSync(file, `basic_auth_users: { alice: ${HASH} }\n`)
    await eventually(async () => (await site.get('/metrics', trust)).status === 500)
    expect((await site.get('/metrics', trust)).body).toContain('restart it')
    writeFileSync(file, MUTUAL)
    await eventually(async () => { await site.get('/metrics', trust); return site.logged.length >= 2 })
    expect((await site.get('/metrics', trust)).status).toBe(500)
    writeFileSync(file, TLS)
    await eventually(async () => (await site.get('/metrics', trust)).status === 200)
  })
})

describe('client certificates', () => {
  it('are wanted, and count as a login when verified', async () => {
    const site = await startSite({ webConfigFile: webFile(MUTUAL) })
    const statuses = async (options: object) => [(await site.get('/metrics', options)).status, (await site.get('/', options)).status, (await site.get('/-/reload', { method: 'POST', ...options })).status]
    expect(await statuses({ ...as(client), headers: BEHIND_PROXY })).toEqual([200, 200, 200])
    expect(await statuses(trust)).toEqual([403, 403, 403])
    expect(await statuses(as(strangeClient))).toEqual([403, 403, 403])
    expect(await statuses(as(certificates.expired))).toEqual([403, 403, 403])
    expect((await site.get('/', trust)).body).toBe('This server wants a client certificate: send one.\n')
    expect((await site.get('/', as(strangeClient))).body).toContain('not signed by an authority of client_ca')
    // kubelet has no certificate.
    expect((await site.get('/-/healthy', trust)).status).toBe(200)
  })

  it('do not replace the password that the file asks for too', async () => {
    const site = await startSite({ webConfigFile: webFile(`${MUTUAL}basic_auth_users: { alice: ${HASH} }\n`) })
    expect((await site.get('/metrics', as(client))).status).toBe(401)
    expect((await site.get('/metrics', { ...as(client), headers: basic('alice', 'correct horse') })).status).toBe(200)
    expect((await site.get('/metrics', { ...trust, headers: basic('alice', 'correct horse') })).status).toBe(403)
  })

  it('are checked again on a resumed session', async () => {
    const site = await startSite({ webConfigFile: webFile(MUTUAL) })
    for (const [pair, status] of [[client, 200], [strangeClient, 403]] as const) {
      const agent = new Agent({ keepAlive: false, maxCachedSessions: 10, ...as(pair) })
      for (let asked = 0; asked < 3; asked++) expect((await site.get('/', { agent, servername: 'localhost', ...as(pair), headers: BEHIND_PROXY })).status).toBe(status)
      agent.destroy()
    }
  })

  it('may be narrowed down to names', async () => {
    const site = await startSite({ webConfigFile: webFile(`${MUTUAL}  client_allowed_sans: [probe.test]\n`) })
    expect((await site.get('/metrics', as(good))).status).toBe(200)
    const nameless = await site.get('/metrics', as(client))
    expect(nameless.status).toBe(403)
    expect(nameless.body).toContain('client_allowed_sans')
    expect((await site.get('/metrics', as(certificates.wrongHost))).status).toBe(403)
    expect((await site.get('/metrics', as(certificates.unknownCa))).status).toBe(403)
  })

  it.each([
    ['RequestClientCert', '', [200, 200, 200], [403, 403, 403]],
    ['RequireAnyClientCert', '', [403, 200, 200], [403, 403, 403]],
    ['RequireClientCert', '', [403, 200, 200], [403, 403, 403]],
    ['VerifyClientCertIfGiven', `  client_ca_file: ${certificates.caFile}\n`, [200, 403, 200], [403, 403, 200]],
  ])('%s', async (type, more, metrics, page) => {
    const site = await startSite({ webConfigFile: webFile(`${TLS}${more}  client_auth_type: ${type}\n`) })
    const clients = [trust, as(strangeClient), as(client)]
    expect(await Promise.all(clients.map(async (options) => (await site.get('/metrics', options)).status))).toEqual(metrics)
    expect(await Promise.all(clients.map(async (options) => (await site.get('/', { ...options, headers: BEHIND_PROXY })).status))).toEqual(page)
  })
})
