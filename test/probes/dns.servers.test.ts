import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dns } from '../../src/probes/dns.ts'
import type { RecordType } from '../../src/probes/lib/dns-message.ts'
import { askUdp, encodeQuery } from '../../src/probes/lib/dns-client.ts'
import { resolveHost } from '../../src/probes/lib/resolve.ts'
import { makeCertificates, type Certificates } from '../support/certificates.ts'
import { startDnsmasq, startNamed, startUnbound, ZONE, type RealDns } from '../support/dns-servers.ts'
import { temporaryDirectory } from '../support/process.ts'
import { gaugeOf, probeOnce } from './contract.ts'

const directory = temporaryDirectory()
let certificates: Certificates
let unbound: Awaited<ReturnType<typeof startUnbound>>
let named: RealDns
let dnsmasq: RealDns

beforeAll(async () => {
  certificates = makeCertificates()
  const started = await Promise.allSettled([
    startUnbound(directory.path, { key: certificates.good.keyFile, cert: certificates.good.certFile }), startNamed(directory.path), startDnsmasq(directory.path),
  ])
  if (started[0].status === 'fulfilled') unbound = started[0].value
  if (started[1].status === 'fulfilled') named = started[1].value
  if (started[2].status === 'fulfilled') dnsmasq = started[2].value
  for (const each of started) if (each.status === 'rejected') throw each.reason
})
afterAll(async () => {
  await Promise.all([unbound, named, dnsmasq].map((server) => server?.stop()))
  directory.remove()
})

const ask = (server: RealDns, query: string, entry: Record<string, unknown> = {}) => probeOnce(dns, { target: `127.0.0.1:${server.port}`, query, timeout: '5s', ...entry })
const failure = (code: string, layer: string, reason: string) => ({ status: 'failed', failure: { code, layer, reason } })

describe('unbound', () => {
  it('answers', async () => {
    const hashes = new Set<number | undefined>()
    for (const transport of ['udp', 'tcp']) {
      const result = await ask(unbound, 'ok.test', { transport, min_answers: 2, answers: ['^192\\.0\\.2\\.1$'] })
      expect(result).toMatchObject({ status: 'ok' })
      expect(gaugeOf(result, 'probe_dns_answer_rrs')).toBe(2)
      expect(gaugeOf(result, 'probe_dns_ttl_seconds')).toBeLessThanOrEqual(9)
      hashes.add(gaugeOf(result, 'probe_dns_answer_hash'))
    }
    expect([...hashes]).toEqual([expect.any(Number)])
    expect(await ask(unbound, 'OK.test.', { record: 'AAAA', answers: ['^2001:db8::1$'] })).toMatchObject({ status: 'ok' })
  })

  it('says no in every way', async () => {
    expect(await ask(unbound, 'x.nx.test')).toMatchObject(failure('dns_nxdomain', 'request', 'not_found'))
    expect(await ask(unbound, 'x.nx.test', { rcode: 'NXDOMAIN' })).toMatchObject({ status: 'ok' })
    expect(await ask(unbound, 'ok.test', { rcode: 'NXDOMAIN' })).toMatchObject(failure('dns_unexpected_rcode', 'assert', 'mismatch'))
    expect(await ask(unbound, 'nodata.test')).toMatchObject(failure('dns_too_few_answers', 'assert', 'mismatch'))
    expect(await ask(unbound, 'x.refused.test')).toMatchObject(failure('dns_refused', 'request', 'denied'))
    expect(await ask(unbound, 'servfail.test')).toMatchObject(failure('dns_servfail', 'request', 'other'))
    expect(await ask(unbound, 'x.drop.test', { timeout: '300ms' })).toMatchObject(failure('request_timeout', 'request', 'timeout'))
  })

  it('sends what does not fit into UDP over TCP', async () => {
    const result = await ask(unbound, 'big.test', { record: 'TXT', min_answers: 20, answers: ['^x{100}19$'] })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.find(({ name }) => name === 'connect')?.ms).toBeGreaterThan(0)
  })
})

describe('unbound over TLS', () => {
  const overTls = (entry: Record<string, unknown> = {}) => probeOnce(dns, { target: `127.0.0.1:${unbound.tlsPort}`, query: 'ok.test', transport: 'dot', timeout: '5s', ca_file: certificates.caFile, ...entry })

  it('answers, and shows when its certificate expires', async () => {
    const result = await overTls({ server_name: 'probe.test' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(Date.now() / 1_000)
    expect(result.phases.find(({ name }) => name === 'tls')?.ms).toBeGreaterThan(0)
    expect(await overTls({ ca_file: undefined, insecure_skip_verify: true })).toMatchObject({ status: 'ok' })
  })

  it('is not trusted without the authority or under another name, and says so', async () => {
    const untrusted = await overTls({ ca_file: undefined })
    expect(untrusted).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'untrusted' } })
    expect(gaugeOf(untrusted, 'probe_ssl_earliest_cert_expiry')).toBeGreaterThan(0)
    expect(gaugeOf(untrusted, 'probe_dns_query_succeeded')).toBeUndefined()
    expect(await overTls({ server_name: 'other.test' })).toMatchObject(failure('tls_wrong_host', 'tls', 'mismatch'))
  })

  it('is told from a port that speaks plain DNS', async () => {
    expect(await overTls({ target: `127.0.0.1:${unbound.port}`, timeout: '1s' })).toMatchObject({ status: 'failed', failure: { layer: 'tls' } })
  })
})

describe('named', () => {
  it('is authoritative for its zone, and for nothing else', async () => {
    expect(await ask(named, 'www.good.test', { recursion_desired: false, answers: ['^192\\.0\\.2\\.2$'] })).toMatchObject({ status: 'ok' })
    expect(await ask(named, 'www.example.org')).toMatchObject(failure('dns_refused', 'request', 'denied'))
    expect(await ask(named, 'www.broken.test')).toMatchObject(failure('dns_servfail', 'request', 'other'))
    expect(await ask(named, 'nothing.good.test')).toMatchObject(failure('dns_nxdomain', 'request', 'not_found'))
  })

  it('shows the serial of its zone', async () => {
    const result = await ask(named, 'good.test', { record: 'SOA', answers: ['^ns\\.good\\.test admin\\.good\\.test 2026010203 60 60 600 5$'] })
    expect(result).toMatchObject({ status: 'ok' })
    expect(gaugeOf(result, 'probe_dns_serial')).toBe(2026010203)
  })

  it('answers ANY and follows CNAMEs', async () => {
    expect(await ask(named, 'good.test', { record: 'ANY', transport: 'tcp', answers: ['^ns\\.good\\.test$', '2026010203'] })).toMatchObject({ status: 'ok' })
    expect(await ask(named, 'alias.good.test', { answers: ['^www\\.good\\.test$', '^192\\.0\\.2\\.2$'] })).toMatchObject({ status: 'ok' })
  })

  it('shows values as dig does, but for final dots and the quotes of TXT', async () => {
    const own: string[] = []
    const theirs: string[] = []
    for (const [label, data] of Object.entries(ZONE)) {
      const type = data.split(' ')[0] as RecordType // safe: ZONE is written with types that can be asked for
      const name = `${label}.good.test`
      const { answers } = await askUdp({ ip: '127.0.0.1', port: named.port }, encodeQuery(name, type), { signal: AbortSignal.timeout(5_000), giveUpAt: performance.now() + 4_000 })
      own.push(...answers.map(({ value }) => `${type} ${value}`))
      const { stdout } = await promisify(execFile)('dig', ['+short', '+nosplit', '+norecurse', '+noedns', ...(UNKNOWN.has(type) ? ['+unknownformat'] : []), '-p', String(named.port), '@127.0.0.1', name, type])
      theirs.push(...stdout.trim().split('\n').map((line) => `${type} ${sameAs(type, line)}`))
    }
    expect(own).toEqual(theirs)
    expect(own.length).toBeGreaterThanOrEqual(Object.keys(ZONE).length)
  })
})

/** Types whose layout is not spelt out. */
const UNKNOWN: ReadonlySet<string> = new Set(['LOC'])

/** A line of dig in our form. */
function sameAs(type: string, line: string): string {
  if (type === 'TXT' || type === 'SPF') return line.slice(1, -1).replaceAll('" "', '').replaceAll('\\"', '"')
  if (UNKNOWN.has(type)) return line.replace(/^(\\# \d+) (.*)$/, (_, head: string, hex: string) => `${head} ${hex.replaceAll(' ', '').toLowerCase()}`)
  return line.replaceAll(/(?<=[a-z0-9])\.(?= |$)/gi, '')
}

describe('dnsmasq', () => {
  it('answers, denies, and refuses what it has no upstream for', async () => {
    expect(await ask(dnsmasq, 'ok.test', { answers: ['^192\\.0\\.2\\.3$'] })).toMatchObject({ status: 'ok' })
    expect(await ask(dnsmasq, 'nx.test')).toMatchObject(failure('dns_nxdomain', 'request', 'not_found'))
    expect(await ask(dnsmasq, 'example.org')).toMatchObject(failure('dns_refused', 'request', 'denied'))
    expect(await ask(dnsmasq, 'localhost', { rcode: 'any' })).toMatchObject({ status: 'ok' })
  })
})

describe('the resolver on real servers', () => {
  const resolve = (host: string, servers: readonly RealDns[], search: readonly string[] = []) => resolveHost(host, {
    ipProtocol: 'any', signal: AbortSignal.timeout(8_000), deadline: performance.now() + 5_000,
    system: { servers: servers.map(({ port }) => ({ ip: '127.0.0.1', port })), search, ndots: 1, timeoutMs: 5_000, attempts: 2, hosts: new Map() },
  })

  it('finds both families, short names, and names behind CNAMEs', async () => {
    expect((await resolve('ok.test', [unbound])).map(({ ip }) => ip).toSorted()).toEqual(['192.0.2.1', '192.0.2.11', '2001:db8::1'])
    expect(await resolve('www', [named], ['broken.test', 'good.test'])).toEqual([{ ip: '192.0.2.2', family: 4 }])
    expect(await resolve('alias.good.test', [named])).toEqual([{ ip: '192.0.2.2', family: 4 }])
  })

  it('asks the next server when one refuses or fails', async () => {
    expect(await resolve('ok.test', [named, dnsmasq])).toEqual([{ ip: '192.0.2.3', family: 4 }])
    expect(await resolve('www.good.test', [dnsmasq, named])).toEqual([{ ip: '192.0.2.2', family: 4 }])
  })

  it('tells missing names from failing servers', async () => {
    await expect(resolve('x.nx.test', [unbound])).rejects.toMatchObject({ code: 'resolve_not_found' })
    await expect(resolve('nodata.test', [unbound])).rejects.toMatchObject({ code: 'resolve_not_found' })
    await expect(resolve('www.broken.test', [named])).rejects.toMatchObject({ code: 'resolve_other' })
  })
})
