import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cert } from '../../src/probes/cert.ts'
import type { Starttls } from '../../src/probes/lib/starttls.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startMysql, stopMysqlServers, strangersWay, type MysqlServer, type Product } from '../support/mysql-server.ts'
import { eventually } from '../support/process.ts'
import { startDovecot, startExim, startPostgres, startSlapd, startVsftpd, stopStarttlsServers, type StarttlsServer } from '../support/starttls-servers.ts'
import { gaugeOf, probeOnce } from './contract.ts'

const { caFile, chain, expired } = makeCertificates()
const failedWith = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })
const probe = ({ port }: { readonly port: number }, starttls: Starttls | undefined, entry: Record<string, unknown> = {}) =>
  probeOnce(cert, { target: `127.0.0.1:${port}`, ca_file: caFile, server_name: 'localhost', ...(starttls === undefined ? {} : { starttls }), ...entry })

type Servers = Record<Exclude<Starttls, 'mysql'>, StarttlsServer>
let encrypted: Servers
let plain: Servers
const mysqls = {} as Record<Product, MysqlServer> // safe: beforeAll fills it
let withoutTls: MysqlServer

async function startAll(tls: typeof chain | undefined): Promise<Servers> {
  const [smtp, dovecot, ftp, postgres, ldap] = await Promise.all([startExim(tls), startDovecot(tls), startVsftpd(tls), startPostgres(tls), startSlapd(tls)])
  return { smtp, ...dovecot, ftp, postgres, ldap }
}

beforeAll(async () => {
  const few = { args: ['--max-connect-errors=2'] }
  ;[encrypted, plain, mysqls.mysql, mysqls.mariadb, withoutTls] = await Promise.all([
    startAll(chain), startAll(undefined), startMysql('mysql', { ...few, tls: expired }), startMysql('mariadb', { ...few, tls: expired }), startMysql('mariadb', few),
  ])
  // Where nobody may come from anywhere, every greeting is a refusal.
  for (const server of [mysqls.mysql, mysqls.mariadb, withoutTls]) await server.sql("CREATE USER someone@'%' IDENTIFIED BY 'a password'")
}, 60_000)
afterAll(() => Promise.all([stopStarttlsServers(), stopMysqlServers()]))

describe('STARTTLS with a real server', () => {
  const protocols = ['smtp', 'imap', 'pop3', 'ftp', 'postgres', 'ldap'] as const

  it.each(protocols)('%s: the chain is verified, and each of its certificates exported', async (starttls) => {
    const result = await probe(encrypted[starttls], starttls)
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'starttls', 'tls'])
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(2)
    expect(gaugeOf(result, 'probe_ssl_cert_not_after', { file: '', entry: '0', cn: 'localhost' })).toBe(Date.UTC(2099, 11, 31, 23, 59, 59) / 1000)
    expect(gaugeOf(result, 'probe_ssl_cert_not_after', { file: '', entry: '1', cn: 'Curlew Test Intermediate' })).toBeGreaterThan(0)
    // A goodbye that is not answered would take half a second, each time.
    await eventually(async () => (await probe(encrypted[starttls], starttls)).ms < 450, 8_000, 'a run without a wait')
  })

  it.each(protocols)('%s: a wrong name fails, and expiry is exported all the same', async (starttls) => {
    const result = await probe(encrypted[starttls], starttls, { server_name: 'other.test' })
    expect(result).toMatchObject(failedWith('tls', 'mismatch', 'tls_wrong_host'))
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(0)
  })

  it.each(protocols)('%s: a server without TLS', async (starttls) => {
    expect(await probe(plain[starttls], starttls)).toMatchObject(failedWith('tls', 'unsupported', 'starttls_unsupported'))
  })

  it.each<[Starttls, keyof Servers]>([
    ['imap', 'smtp'], ['pop3', 'imap'], ['ftp', 'imap'], ['smtp', 'pop3'], ['mysql', 'smtp'], ['postgres', 'pop3'], ['ldap', 'ftp'], ['ldap', 'imap'],
  ])('%s spoken to %s is the wrong protocol', async (starttls, server) => {
    expect(await probe(encrypted[server], starttls)).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'protocol', code: 'starttls_protocol', message: expect.stringContaining('sent') as string } })
  })

  it('TLS spoken to a port that wants STARTTLS', async () => {
    expect(await probe(encrypted.smtp, undefined)).toMatchObject(failedWith('tls', 'protocol', 'tls_plain_port'))
  })
})

describe('a server that turns clients away', () => {
  it('because it is full', async () => {
    const server = await startVsftpd(chain, ['max_per_ip=1'])
    // The connection that found it ready may still count.
    const only = await eventually(async () => {
      const socket = connect(server.port, '127.0.0.1')
      const greeting = await new Promise<Buffer>((resolve) => { socket.once('data', resolve) })
      if (greeting.toString().startsWith('220')) return socket
      socket.destroy()
      return undefined
    })
    expect(await probe(server, 'ftp')).toMatchObject(failedWith('connect', 'overloaded', 'starttls_overloaded'))
    only.destroy()
  })

  it.each([
    ['for a while', 'defer', failedWith('connect', 'overloaded', 'starttls_overloaded')],
    ['for good', 'drop', failedWith('request', 'denied', 'starttls_denied')],
  ])('%s', async (_how, verb, expected) => {
    const server = await startExim(chain, ['acl_smtp_connect = all', 'begin acl', 'all:', `  ${verb} message = not you`])
    expect(await probe(server, 'smtp')).toMatchObject(expected)
  })
})

/** A host that leaves without logging in is blocked after max_connect_errors: here after 2. */
describe.each<Product>(['mysql', 'mariadb'])('%s', (product) => {
  it('shows an expired certificate as often as it is asked, and never blocks the host for it', async () => {
    const server = mysqls[product]
    const way = await strangersWay(server)
    try {
      for (let n = 0; n < 5; n++) {
        const result = await probe(way, 'mysql')
        expect(result).toMatchObject(failedWith('tls', 'expired', 'tls_expired'))
        expect(gaugeOf(result, 'probe_ssl_cert_not_after', { entry: '0' })).toBe(Date.UTC(2021, 0, 1) / 1000)
      }
      expect(await server.rows('SELECT SUM_CONNECT_ERRORS AS errors FROM performance_schema.host_cache')).toEqual([{ errors: 0 }])
    } finally {
      await way.close()
    }
  })

  it('blocks those who connect and leave, which is told as what it is', async () => {
    const way = await strangersWay(mysqls[product])
    try {
      for (let n = 0; n < 3; n++) {
        const rude = connect(way.port, '127.0.0.1')
        await new Promise((resolve) => rude.once('data', resolve))
        rude.destroy()
      }
      const result = await eventually(async () => {
        const now = await probe(way, 'mysql')
        return now.status === 'failed' && now.failure.message.includes('1129') ? now : undefined
      })
      expect(result).toMatchObject(failedWith('request', 'denied', 'starttls_denied'))
    } finally {
      await way.close()
    }
  })
})

it('a MariaDB without TLS says so, and does not block the host either', async () => {
  const way = await strangersWay(withoutTls)
  try {
    for (let n = 0; n < 4; n++) expect(await probe(way, 'mysql')).toMatchObject(failedWith('tls', 'unsupported', 'starttls_unsupported'))
  } finally {
    await way.close()
  }
})

it('a MySQL without a free connection is full, not without TLS', async () => {
  const server = mysqls.mariadb
  await server.sql('SET GLOBAL max_connections = 10')
  const held = await Promise.all(Array.from({ length: 12 }, () => server.client().catch(() => undefined)))
  expect(await probe(server, 'mysql')).toMatchObject(failedWith('connect', 'overloaded', 'starttls_overloaded'))
  for (const client of held) client?.destroy()
})
