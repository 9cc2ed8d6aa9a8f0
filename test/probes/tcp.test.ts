import { afterAll, describe, expect, it } from 'vitest'
import type { Socket } from 'node:net'
import { readEntry } from '../../src/config/jobs.ts'
import { tcp } from '../../src/probes/tcp.ts'
import { makeCertificates } from '../support/certificates.ts'
import { eventually } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { tlsServer } from '../support/tls.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

const certificates = makeCertificates()
const servers: TestServer[] = []
const keep = <T extends TestServer>(server: T): T => { servers.push(server); return server }
const against = async (talk?: (socket: Socket) => void) => keep(await tcpServer(talk))
const at = (server: TestServer) => `127.0.0.1:${server.port}`
afterAll(async () => { for (const server of servers) await server.close() })

const issuesOf = (entry: Record<string, unknown>) => readEntry(tcp, { name: 'it', type: 'tcp', ...entry }).issues.map(({ path, message }) => `${path.join('.')}: ${message}`)

declarationContract(tcp)
tcpProbeContract(tcp, (port) => ({ target: `127.0.0.1:${port}`, expect: '^never comes$' }))

describe('tcp without send and expect', () => {
  it('connects and closes with a FIN, without a byte', async () => {
    let received = 0
    let end: string | undefined
    const server = await against((socket) => {
      socket.on('data', (chunk: Buffer) => { received += chunk.length })
      socket.on('end', () => { end ??= 'fin' })
      socket.on('error', () => { end ??= 'reset' })
    })
    const result = await probeOnce(tcp, { target: at(server) })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect'])
    expect(gaugeOf(result, 'probe_ip_protocol')).toBe(4)
    expect(gaugeOf(result, 'probe_dns_lookup_time_seconds')).toBeLessThan(1)
    expect(gaugeOf(result, 'probe_addresses', { state: 'ok' })).toBeUndefined()
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBeUndefined()
    expect(await eventually(() => end)).toBe('fin')
    expect(received).toBe(0)
  })

  it('is content with a server that closes at once', async () => {
    const server = await against((socket) => socket.end())
    expect(await probeOnce(tcp, { target: at(server) })).toMatchObject({ status: 'ok' })
  })

  it('does the same over TLS', async () => {
    const server = keep(await tlsServer(certificates.good))
    const result = await probeOnce(tcp, { target: `localhost:${server.port}`, ip_protocol: 'ip4', tls: true, ca_file: certificates.caFile })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'tls'])
    await eventually(async () => (await probeOnce(tcp, { target: `localhost:${server.port}`, ip_protocol: 'ip4', tls: true, ca_file: certificates.caFile })).ms < 190, 8_000, 'a run in which the ticket of the server ends the wait for a refusal')
    expect(new Set(server.names)).toEqual(new Set(['localhost']))
    await eventually(() => server.open() === 0)
  })
})

describe('tcp with send and expect', () => {
  it('matches a banner, and stops reading', async () => {
    const server = await against((socket) => socket.write('220 mail.test ESMTP\r\n'))
    const result = await probeOnce(tcp, { target: at(server), expect: '(?i)^220 .*esmtp' })
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.phases.map(({ name }) => name)).toEqual(['resolve', 'connect', 'request'])
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBe(0)
  })

  it('sends the text exactly as it stands', async () => {
    let received = ''
    const server = await against((socket) => socket.on('data', (chunk: Buffer) => { received += chunk.toString(); socket.write('+PONG\r\n') }))
    expect(await probeOnce(tcp, { target: at(server), send: 'PING\r\n', expect: '^\\+PONG' })).toMatchObject({ status: 'ok' })
    expect(received).toBe('PING\r\n')
  })

  it('only sends when nothing is expected', async () => {
    let received = ''
    const server = await against((socket) => socket.on('data', (chunk: Buffer) => { received += chunk.toString() }))
    expect(await probeOnce(tcp, { target: at(server), send: 'hello' })).toMatchObject({ status: 'ok' })
    await eventually(() => received === 'hello')
  })

  it('puts an answer together that arrives in pieces', async () => {
    const server = await against((socket) => {
      const pieces = ['REA', 'DY', ' for ', 'you']
      const timer = setInterval(() => { const piece = pieces.shift(); if (piece === undefined) clearInterval(timer); else socket.write(piece) }, 5)
      socket.on('close', () => clearInterval(timer))
    })
    expect(await probeOnce(tcp, { target: at(server), expect: 'READY for you' })).toMatchObject({ status: 'ok' })
  })

  it('finds a match late in a large answer that stays open', async () => {
    const server = await against((socket) => { socket.write('x'.repeat(40_000)); setTimeout(() => socket.write('done'), 30) })
    expect(await probeOnce(tcp, { target: at(server), expect: 'done$' })).toMatchObject({ status: 'ok' })
  })

  it('fails for another answer, and shows its beginning', async () => {
    const server = await against((socket) => socket.end('554 no service\r\n'))
    const result = await probeOnce(tcp, { target: at(server), expect: '^220 ' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'tcp_unexpected_answer' } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining('554 no service'))
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBe(1)
  })

  it('calls a wait for an answer that does not come request/timeout, not a mismatch', async () => {
    const server = await against((socket) => socket.write('SSH-2.0-other\r\n'))
    const result = await probeOnce(tcp, { target: at(server), expect: '^220 ', timeout: '200ms' })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'timeout' } })
    expect(gaugeOf(result, 'probe_failed_due_to_regex')).toBeUndefined()
  })

  it('calls a close or a reset without a word request/reset', async () => {
    const closes = await against((socket) => socket.end())
    expect(await probeOnce(tcp, { target: at(closes), expect: 'x' })).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'reset' } })
    const resets = await against((socket) => { socket.once('data', () => socket.resetAndDestroy()) })
    expect(await probeOnce(tcp, { target: at(resets), send: 'x', expect: 'x' })).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'reset' } })
  })

  it('gives up after 64 KB, however fast they come', async () => {
    let sent = 0
    const server = await against((socket) => {
      const more = () => { while (!socket.destroyed && socket.write('y'.repeat(8_192))) sent += 8_192 }
      socket.on('drain', more)
      more()
    })
    const result = await probeOnce(tcp, { target: at(server), expect: 'never' })
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'tcp_unexpected_answer' } })
    expect(result).toHaveProperty('failure.message', expect.stringContaining('first 64 KB'))
    await eventually(() => server.open() === 0)
  })

  it('takes linear time for a pattern that ruins a backtracking engine', async () => {
    const server = await against((socket) => socket.end(`${'a'.repeat(60_000)}!`))
    const result = await probeOnce(tcp, { target: at(server), expect: '^(a+)+$' })
    expect(result).toMatchObject({ status: 'failed', failure: { code: 'tcp_unexpected_answer' } })
    expect(result.ms).toBeLessThan(1_000)
  })

  it('talks over TLS', async () => {
    const server = keep(await tlsServer(certificates.good, {}, (socket) => socket.write('* OK IMAP4 ready\r\n')))
    expect(await probeOnce(tcp, { target: at(server), tls: true, ca_file: certificates.caFile, expect: '^\\* OK' })).toMatchObject({ status: 'ok' })
  })
})

describe('tcp as config and URL', () => {
  it('reads URLs', () => {
    expect(String(jobOf(tcp, { target: 'tcp://Example.test:25?expect=%5E220' }).target)).toBe('example.test:25')
    expect(tcp.fromUrl(new URL('tcp+tls://[::1]:993?server_name=a.test'))).toEqual({ target: '[::1]:993', tls: true, server_name: 'a.test' })
    expect(issuesOf({ target: 'tcp://me:secret@host:1' })[0]).not.toContain('secret@')
  })

  it.each([
    [{ target: 'localhost' }, 'target: expected host:port'],
    [{ target: 'tcp://me:word@localhost:1' }, 'expected no user name'],
    [{ target: 'tcp://localhost:1/path' }, 'expected a URL without a path'],
    [{ target: 'localhost:1', expect: '(' }, 'expect: expected a regular expression'],
    [{ target: 'localhost:1', ca_file: certificates.caFile }, 'ca_file: expected tls: true'],
    [{ target: 'localhost:1', tls: true, ca_file: '/does/not/exist' }, 'ca_file: expected a readable file'],
    [{ target: 'localhost:1', tls: true, cert_file: certificates.client.certFile }, 'cert_file: expected key_file beside it'],
  ])('refuses %j', (entry, message) => {
    expect(issuesOf(entry).join('\n')).toContain(message)
  })
})
