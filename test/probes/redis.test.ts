import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { redisError } from '../../src/probes/lib/redis-codes.ts'
import { evictsAny, lagBytes, parseInfo, parseRole, roleOfInfo } from '../../src/probes/lib/redis-info.ts'
import { replyScanner } from '../../src/probes/lib/redis-wire.ts'
import { redis } from '../../src/probes/redis.ts'
import { bulk, MASTER, script } from '../support/redis-script.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

declarationContract(redis)
tcpProbeContract(redis, (port) => ({ target: `127.0.0.1:${port}` }))

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })

/** Probes a hand-written server. */
async function against(talk: (socket: Socket) => void, entry: Record<string, unknown> = {}) {
  const server = await tcpServer(talk)
  servers.push(server)
  return probeOnce(redis, { target: `127.0.0.1:${server.port}`, timeout: '500ms', ...entry })
}

const containing = (text: string): unknown => expect.stringContaining(text)

describe('redis: what only a hand-written server does', () => {
  it.each<[string, Record<string, string>, object]>([
    ['answers as Redis does', {}, { status: 'ok' }],
    ['returns another value', { GET: bulk('something else') }, { status: 'failed', failure: { layer: 'assert', reason: 'mismatch', code: 'redis_wrong_value' } }],
    ['has lost the key', { GET: '$-1\r\n' }, { status: 'failed', failure: { code: 'redis_wrong_value' } }],
    ['forbids UNLINK', { UNLINK: "-NOPERM this user has no permissions to run the 'unlink' command\r\n" }, { status: 'ok' }],
    ['does not know UNLINK', { UNLINK: "-ERR unknown command 'UNLINK'\r\n" }, { status: 'ok' }],
    ['turns into a replica in between', { SET: "-READONLY You can't write against a read only replica.\r\n" }, { status: 'failed', failure: { layer: 'request', reason: 'read_only', code: 'redis_readonly' } }],
    ['fails with an unknown word', { SET: '-NEWERROR something happened\r\n' }, { status: 'failed', failure: { layer: 'request', reason: 'other', code: 'redis_other', message: 'NEWERROR something happened' } }],
    ['fails with ERR', { SET: '-ERR something happened\r\n' }, { status: 'failed', failure: { code: 'redis_other' } }],
    ['is a proxy without ROLE and INFO', { ROLE: "-ERR unknown command 'ROLE'\r\n", INFO: "-ERR unknown command 'INFO'\r\n" }, { status: 'failed', failure: { layer: 'request', reason: 'unsupported', code: 'redis_unknown_command' } }],
    ['answers ROLE with nonsense', { ROLE: '+OK\r\n' }, { status: 'failed', failure: { code: 'redis_protocol' } }],
    ['answers twice', { ROLE: `${MASTER}$-1\r\n` }, { status: 'failed', failure: { code: 'redis_protocol' } }],
    ['answers in RESP3', { ROLE: '%1\r\n+role\r\n+master\r\n' }, { status: 'failed', failure: { code: 'redis_protocol' } }],
    ['nests arrays without end', { ROLE: '*1\r\n'.repeat(1_000) }, { status: 'failed', failure: { code: 'redis_protocol' } }],
    ['announces a terabyte', { INFO: '$1000000000000\r\n' }, { status: 'failed', failure: { code: 'redis_protocol' } }],
    ['sends a line without end', { ROLE: `+${'x'.repeat(20_000)}` }, { status: 'failed', failure: { code: 'redis_protocol' } }],
  ])('a server that %s', async (_name, answers, expected) => {
    expect(await against(script(answers))).toMatchObject(expected)
  })

  it('a null reply that nobody asked for is the failure of the target, not the end of the process', async () => {
    expect(await against((socket) => { socket.write('$-1\r\n'); socket.resume() })).toMatchObject({ status: 'failed', failure: { code: 'redis_protocol' } })
  })

  it.each([
    ['-ERR max number of clients reached\r\n', { layer: 'connect', reason: 'overloaded', code: 'redis_max_clients' }],
    ['-ERR max number of clients + cluster connections reached\r\n', { layer: 'connect', reason: 'overloaded', code: 'redis_max_clients' }],
    ['-DENIED Redis is running in protected mode because protected mode is enabled\r\n', { layer: 'auth', reason: 'denied', code: 'redis_protected_mode' }],
    ['HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', { layer: 'request', reason: 'protocol', code: 'redis_protocol', message: containing('HTTP/1.1 400') }],
    ['SSH-2.0-OpenSSH_9.2\r\n', { layer: 'request', reason: 'protocol', code: 'redis_protocol' }],
    ['\u0015\u0003\u0001\u0000\u0002\u0002\u0046', { layer: 'request', reason: 'protocol', code: 'redis_protocol', message: containing('TLS') }],
  ])('a server that says %j and hangs up', async (greeting, failure) => {
    for (const password of [undefined, 'some-password']) {
      expect(await against((socket) => socket.end(greeting, 'latin1'), password === undefined ? {} : { password })).toMatchObject({ status: 'failed', failure })
    }
  })

  it('a hang-up in the middle is a reset of the phase', async () => {
    const hangUp = (socket: Socket) => socket.once('data', () => socket.end())
    expect(await against(hangUp)).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'reset', code: 'request_reset' } })
    expect(await against(hangUp, { password: 'some-password' })).toMatchObject({ status: 'failed', failure: { layer: 'auth', reason: 'reset', code: 'auth_reset' } })
  })

  it('random bytes never make it unknown', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.boolean(), async (bytes, asked) => {
      const result = await against((socket) => {
        if (asked) socket.once('data', () => socket.end(bytes))
        else socket.end(bytes)
      })
      expect(result.status).toBe('failed')
    }), { numRuns: 60 })
  })
})

describe('redis: replies', () => {
  const whole = [MASTER, '+OK\r\n', '-ERR x\r\n', ':-12\r\n', '$-1\r\n', '*-1\r\n', '$0\r\n\r\n', '$5\r\na\r\nb\r\r\n', '*2\r\n*1\r\n:1\r\n*0\r\n', '*2\r\n$3\r\nabc\r\n*2\r\n+x\r\n$-1\r\n']

  it.each(whole)('%j ends where it ends, in however many pieces', (reply) => {
    const scan = replyScanner()
    const bytes = Buffer.from(`${reply}+next`)
    for (let length = 1; length < reply.length; length++) expect(scan(bytes.subarray(0, length))).toBeUndefined()
    expect(scan(bytes)).toBe(reply.length)
  })

  it('that hold more values than ROLE or CLUSTER SLOTS do are refused before a parser has to take them', () => {
    expect(() => replyScanner()(Buffer.from('*1000000\r\n:1\r\n'))).toThrow('more than 50000 values')
    expect(() => replyScanner()(Buffer.from(`*600\r\n${`*100\r\n${':1\r\n'.repeat(100)}`.repeat(600)}`))).toThrow('more than 50000 values')
  })
})

describe('redis: the first word tells', () => {
  it.each([
    ['LOADING Redis is loading the dataset in memory', 'redis_loading'],
    ['LOADING Valkey is loading the dataset in memory', 'redis_loading'],
    ["MOVED 3999 127.0.0.1:6381", 'redis_moved'],
    ['ASK 3999 127.0.0.1:6381', 'redis_moved'],
    ['ERR invalid password', 'redis_wrongpass'],
    ['ERR Client sent AUTH, but no password is set', 'redis_no_password_set'],
    ["ERR wrong number of arguments for 'auth' command", 'redis_no_acl'],
    ["ERR unknown command 'ROLE', with args beginning with: ", 'redis_unknown_command'],
    ['ERR LOADING is no first word here', 'redis_other'],
    ['', 'redis_other'],
  ])('%s', (line, code) => {
    expect(redisError(line).code).toBe(code)
  })
})

describe('redis: ROLE and INFO', () => {
  it('reads roles of every kind', () => {
    expect(parseRole(['master', 3, []])).toEqual({ role: 'master' })
    expect(parseRole(['slave', '127.0.0.1', 6379, 'connected', 12])).toEqual({ role: 'replica', linkUp: true })
    expect(parseRole(['slave', '127.0.0.1', 6379, 'sync', -1])).toEqual({ role: 'replica', linkUp: false })
    expect(parseRole(['sentinel', ['mymaster']])).toEqual({ role: 'sentinel' })
    expect(parseRole(['king'])).toBeUndefined()
    expect(parseRole('master')).toBeUndefined()
    expect(roleOfInfo(parseInfo('redis_mode:sentinel\r\n'))).toEqual({ role: 'sentinel' })
    expect(roleOfInfo(parseInfo('# Replication\r\nrole:slave\r\nmaster_link_status:down\r\n'))).toEqual({ role: 'replica', linkUp: false })
    expect(roleOfInfo(parseInfo('role:\r\n'))).toBeUndefined()
  })

  it('takes the slowest online replica for the lag of a master', () => {
    const info = parseInfo('role:master\r\nmaster_repl_offset:1000\r\nslave0:ip=a,port=1,state=online,offset=990,lag=0\r\nslave1:ip=b,port=1,state=online,offset=400,lag=1\r\nslave2:ip=c,port=1,state=wait_bgsave,offset=0,lag=0\r\n')
    expect(lagBytes(info)).toBe(600)
    expect(lagBytes(parseInfo('role:master\r\nmaster_repl_offset:1000\r\n'))).toBeUndefined()
  })

  it('takes what is received and not applied for the lag of a replica', () => {
    expect(lagBytes(parseInfo('role:slave\r\nslave_read_repl_offset:70\r\nslave_repl_offset:50\r\n'))).toBe(20)
    expect(lagBytes(parseInfo('role:slave\r\nslave_repl_offset:50\r\n'))).toBeUndefined()
  })

  it('reads whether any key may be evicted, which only a limit asks for', () => {
    const evicts = (policy: string, limit = 1_000) => evictsAny(parseInfo(`maxmemory:${limit}\r\nmaxmemory_policy:${policy}\r\n`))
    expect(['allkeys-lru', 'allkeys-random', 'noeviction', 'volatile-ttl'].map((policy) => evicts(policy))).toEqual([1, 1, 0, 0])
    expect(evicts('allkeys-lru', 0)).toBeUndefined()
    expect(evictsAny(parseInfo('maxmemory:1000\r\n'))).toBeUndefined()
  })
})

describe('redis: targets', () => {
  const issues = (entry: Record<string, unknown>) => readEntry(redis, { name: 'it', type: 'redis', ...entry }).issues
  const parse = (url: string) => redis.options.parse(redis.fromUrl(new URL(url)))

  it('reads everything that a URL says', () => {
    expect(parse('rediss://prober:p%40ss@cache.example.org/3?key_prefix=x:&insecure_skip_verify=true&addresses=all')).toMatchObject({
      username: 'prober', db: 3, tls: true, key_prefix: 'x:', insecure_skip_verify: true, addresses: 'all',
    })
    expect(parse('redis://:secret-word@cache.example.org')).not.toHaveProperty('username')
    expect(String(jobOf(redis, { target: 'redis://prober:secret-word@[::1]:7000/3?key_prefix=x' }).target)).toBe('[::1]:7000')
    expect(jobOf(redis, { target: 'redis://cache.example.org' }).target).toBe('cache.example.org:6379')
  })

  it('says what is wrong with one', () => {
    expect(issues({ target: 'redis://cache.example.org/three' })).toMatchObject([{ path: ['target'], message: containing('number of a database') }])
    expect(issues({ target: 'redis://cache.example.org?nonsense=1' })).toHaveLength(1)
    expect(issues({ target: 'cache.example.org', db: -1 })).toMatchObject([{ path: ['db'] }])
  })
})
