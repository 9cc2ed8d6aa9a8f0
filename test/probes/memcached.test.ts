import type { Socket } from 'node:net'
import fc from 'fast-check'
import { Header } from 'memjs'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { lineFailure, statusFailure } from '../../src/probes/lib/memcached-codes.ts'
import { memcached } from '../../src/probes/memcached.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(memcached)
tcpProbeContract(memcached, (port) => ({ target: `127.0.0.1:${port}` }))

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })

/** Probes a hand-written server. */
async function against(talk: (socket: Socket) => void, entry: Record<string, unknown> = {}) {
  const server = await tcpServer(talk)
  servers.push(server)
  return probeOnce(memcached, { target: `127.0.0.1:${server.port}`, timeout: '500ms', ...entry })
}

const STATS = 'VERSION 1.6.18\r\nSTAT curr_connections 10\r\nSTAT max_connections 40\r\nSTAT bytes 1\r\nSTAT limit_maxbytes 4\r\nSTAT evictions 3\r\nEND\r\nVERSION 1.6.18\r\n'
const [GET, SET, DELETE, LIST, LOGIN] = [0x00, 0x01, 0x04, 0x20, 0x21]

/** A frame of the binary protocol. */
function frame(opcode: number, opaque: number, { status = 0, value = '', extras = '' } = {}): Buffer {
  const head = Header.toBuffer({ magic: 0x81, opcode, keyLength: 0, extrasLength: extras.length, totalBodyLength: extras.length + value.length, opaque, status })
  return Buffer.concat([head, Buffer.from(extras + value)])
}

type Answers = Readonly<Record<number, (opaque: number, value: string) => Buffer | string>>

/** Answers text with `text`, and each binary command by its opcode; SET and GET remember unless told otherwise. */
function script(answers: Answers, text = STATS): (socket: Socket) => void {
  let stored = ''
  const usual: Answers = {
    [SET]: (opaque, value) => { stored = value; return frame(SET, opaque) },
    [GET]: (opaque) => frame(GET, opaque, { value: stored, extras: '\0\0\0\0' }),
    [DELETE]: (opaque) => frame(DELETE, opaque),
    [LIST]: (opaque) => frame(LIST, opaque, { value: 'PLAIN' }),
    [LOGIN]: (opaque) => frame(LOGIN, opaque, { value: 'Authenticated' }),
  }
  return (socket) => {
    socket.on('data', (chunk) => {
      if (chunk[0] !== 0x80) {
        socket.write(text)
        return
      }
      const { opcode, opaque, keyLength, extrasLength } = Header.fromBuffer(chunk)
      const answer = (answers[opcode] ?? usual[opcode])?.(opaque, chunk.toString('latin1', 24 + extrasLength + keyLength))
      if (answer !== undefined) socket.write(answer)
    })
  }
}

const login = { username: 'prober', password: 'some-password' }
const failed = (layer: string, reason: string, code: string) => ({ status: 'failed', failure: { layer, reason, code } })

describe('memcached: what only a hand-written server does', () => {
  it.each<[string, Answers, object]>([
    ['answers as memcached does', {}, { status: 'ok' }],
    ['returns another value', { [GET]: (opaque) => frame(GET, opaque, { value: 'something else', extras: '\0\0\0\0' }) }, failed('assert', 'mismatch', 'memcached_wrong_value')],
    ['has lost the key', { [GET]: (opaque) => frame(GET, opaque, { status: 0x01 }) }, failed('assert', 'mismatch', 'memcached_wrong_value')],
    ['has lost the key before its removal', { [DELETE]: (opaque) => frame(DELETE, opaque, { status: 0x01 }) }, { status: 'ok' }],
    ['calls the value too large', { [SET]: (opaque) => frame(SET, opaque, { status: 0x03 }) }, failed('request', 'other', 'memcached_object_too_large')],
    ['is busy', { [SET]: (opaque) => frame(SET, opaque, { status: 0x85 }) }, failed('request', 'overloaded', 'memcached_temporary_failure')],
    ['fails for now', { [SET]: (opaque) => frame(SET, opaque, { status: 0x86 }) }, failed('request', 'overloaded', 'memcached_temporary_failure')],
    ['fails with an unknown status', { [SET]: (opaque) => frame(SET, opaque, { status: 0x99 }) }, failed('request', 'other', 'memcached_other')],
    ['answers another command', { [SET]: (opaque) => frame(DELETE, opaque) }, failed('request', 'protocol', 'memcached_protocol')],
    ['answers with another number', { [SET]: (opaque) => frame(SET, opaque + 1) }, failed('request', 'protocol', 'memcached_protocol')],
    ['answers twice', { [SET]: (opaque) => Buffer.concat([frame(SET, opaque), frame(SET, opaque)]) }, failed('request', 'protocol', 'memcached_protocol')],
    ['announces four gigabytes', { [SET]: () => Buffer.concat([Header.toBuffer({ magic: 0x81, opcode: SET, keyLength: 0, extrasLength: 0, totalBodyLength: 0xffff_ffff }), Buffer.alloc(100)]) }, failed('request', 'protocol', 'memcached_protocol')],
    ['falls back to text', { [SET]: () => 'SERVER_ERROR out of memory storing object\r\n' }, failed('request', 'overloaded', 'memcached_out_of_memory')],
    ['is full in between', { [SET]: () => 'ERROR Too many open connections\r\n' }, failed('connect', 'overloaded', 'memcached_too_many_connections')],
    ['speaks HTTP in between', { [SET]: () => 'HTTP/1.1 400 Bad Request\r\n\r\n' }, failed('request', 'protocol', 'memcached_protocol')],
  ])('a server that %s', async (_name, answers, expected) => {
    expect(await against(script(answers))).toMatchObject(expected)
  })

  it.each<[string, Answers, object]>([
    ['takes it', {}, { status: 'ok' }],
    ['takes any, for it knows no SASL', { [LIST]: (opaque) => frame(LIST, opaque, { status: 0x81 }) }, failed('auth', 'unsupported', 'memcached_no_sasl')],
    ['lists SASL and does not know it', { [LOGIN]: (opaque) => frame(LOGIN, opaque, { status: 0x81 }) }, failed('auth', 'unsupported', 'memcached_no_sasl')],
    ['refuses it', { [LOGIN]: (opaque) => frame(LOGIN, opaque, { status: 0x20 }) }, failed('auth', 'denied', 'memcached_wrong_password')],
    ['wants more of it', { [LOGIN]: (opaque) => frame(LOGIN, opaque, { status: 0x22 }) }, failed('auth', 'other', 'memcached_other')],
  ])('a login to a server that %s', async (_name, answers, expected) => {
    expect(await against(script(answers), login)).toMatchObject(expected)
  })

  it.each([
    ['ERROR Too many open connections\r\n', failed('connect', 'overloaded', 'memcached_too_many_connections')],
    ['ERROR Too many open conn', failed('request', 'other', 'memcached_other')],
    ['CLIENT_ERROR unauthenticated\r\n', failed('auth', 'denied', 'memcached_unauthenticated')],
    ['SERVER_ERROR something new\r\n', failed('request', 'other', 'memcached_other')],
    ['HTTP/1.1 400 Bad Request\r\n\r\n', failed('request', 'protocol', 'memcached_protocol')],
    ['SSH-2.0-OpenSSH_9.2\r\n', failed('request', 'protocol', 'memcached_protocol')],
    ['VERSION 1.6.18\r\nSTAT pid', failed('request', 'reset', 'request_reset')],
    ['VERSION 1.6.18\r\nVERSION 1.6.18 but never the end', failed('request', 'reset', 'request_reset')],
    ['', failed('request', 'reset', 'request_reset')],
  ])('a server that says %j and hangs up', async (line, expected) => {
    expect(await against((socket) => { socket.once('data', () => socket.end(line)) })).toMatchObject(expected)
  })

  it.each([
    ['ERROR Too many open connections\r\n', failed('connect', 'overloaded', 'memcached_too_many_connections')],
    ['HTTP/1.1 400 Bad Request\r\n\r\n', failed('request', 'protocol', 'memcached_protocol')],
    ['', failed('auth', 'reset', 'auth_reset')],
  ])('a login to a server that says %j and hangs up', async (line, expected) => {
    expect(await against((socket) => { socket.once('data', () => socket.end(line)) }, login)).toMatchObject(expected)
  })

  it('a server whose stats never end is cut off', async () => {
    const result = await against((socket) => { socket.once('data', () => socket.write(`VERSION 1.6.18\r\n${'STAT a 1\r\n'.repeat(2_000)}`)) }, { timeout: '1s' })
    expect(result).toMatchObject(failed('request', 'protocol', 'memcached_protocol'))
  })

  it('a slow server is not accused of anything while there is time', async () => {
    const slow = (ms: number) => (socket: Socket) => {
      const answer = script({})
      socket.once('data', (chunk) => setTimeout(() => { answer(socket); socket.emit('data', chunk) }, ms))
    }
    for (const entry of [{}, login, { mode: 'read-only' }]) expect(await against(slow(350), { ...entry, timeout: '1500ms' })).toMatchObject({ status: 'ok' })
    expect(await against(slow(700), { ...login, timeout: '1s' })).toMatchObject({ status: 'ok' })
  })

  it('a proxy without stats is ok, without their gauges', async () => {
    const result = await against(script({}, 'VERSION mcrouter 40\r\nERROR\r\nVERSION mcrouter 40\r\n'))
    expect(result).toMatchObject({ status: 'ok' })
    expect(result.gauges.filter(({ name }) => name.startsWith('probe_memcached_'))).toEqual([{ name: 'probe_memcached_info', value: 1, labels: { version: 'mcrouter 40' } }])
  })

  it('ratios are of what the server says, and levels judge them', async () => {
    const result = await against(script({}))
    expect(gaugeOf(result, 'probe_memcached_connections_ratio')).toBe(0.25)
    expect(gaugeOf(result, 'probe_memcached_memory_ratio')).toBe(0.25)
    for (const [level, critical] of [['connections_ratio', 0.2], ['items_evicted', 2]] as const) {
      expect(await against(script({}), { limits: { [level]: { critical } }, fail_on: [level] })).toMatchObject(failed('assert', 'mismatch', 'limit_exceeded'))
    }
  })

  it('random bytes never make it unknown', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.constantFrom('text', 'binary', 'login'), async (bytes, when) => {
      const result = await against((socket) => {
        if (when === 'binary') socket.on('data', (chunk) => { if (chunk[0] === 0x80) socket.end(bytes); else socket.write(STATS) })
        else socket.once('data', () => socket.end(bytes))
      }, when === 'login' ? login : {})
      expect(result.status).toBe('failed')
    }), { numRuns: 60 })
  })
})

describe('memcached: errors', () => {
  it.each([
    ['SERVER_ERROR out of memory storing object', 'memcached_out_of_memory'],
    ['SERVER_ERROR object too large for cache', 'memcached_object_too_large'],
    ['SERVER_ERROR out of order', 'memcached_other'],
    ['ERROR', 'memcached_other'],
    ['220 mail.example.org ESMTP', 'memcached_protocol'],
  ])('%s', (line, code) => {
    expect(lineFailure(line).code).toBe(code)
  })

  it('shows the status that no code stands for', () => {
    expect(statusFailure(0x84, 'set').message).toContain('0x84')
  })
})

describe('memcached: targets', () => {
  const issues = (entry: Record<string, unknown>) => readEntry(memcached, { name: 'it', type: 'memcached', ...entry }).issues

  it('reads everything that a URL says', () => {
    expect(memcached.options.parse(memcached.fromUrl(new URL('memcached://prober%40realm:p%40ss@cache.example.org:11311/?key_prefix=x:&ip_protocol=ip6')))).toMatchObject({
      username: 'prober@realm', key_prefix: 'x:', ip_protocol: 'ip6',
    })
    expect(jobOf(memcached, { target: 'memcached://cache.example.org' }).target).toBe('cache.example.org:11211')
  })

  it('says what is wrong with one', () => {
    expect(issues({ target: 'memcached://cache.example.org/0' })).toHaveLength(1)
    expect(issues({ target: 'cache.example.org', key_prefix: 'with space' })).toMatchObject([{ path: ['key_prefix'] }])
  })
})
