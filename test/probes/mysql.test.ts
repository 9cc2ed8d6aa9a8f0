import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readEntry } from '../../src/config/jobs.ts'
import { byCode } from '../../src/core/errors.ts'
import { MYSQL_CODES, mysqlError, productOf } from '../../src/probes/lib/mysql-codes.ts'
import { exportDigests, ratesOf, type MysqlGauge } from '../../src/probes/lib/mysql-gauges.ts'
import { heartbeatId, heartbeatTime, quoted } from '../../src/probes/lib/mysql-heartbeat.ts'
import type { Counters } from '../../src/probes/lib/mysql-status.ts'
import { mysql } from '../../src/probes/mysql.ts'
import { freePort } from '../support/process.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { declarationContract, jobOf, probeOnce, tcpProbeContract } from './contract.ts'

const login = { username: 'prober', password: 'prober-password' }
const entry = (port: number) => ({ target: `127.0.0.1:${port}`, ...login })

declarationContract(mysql)
tcpProbeContract(mysql, entry)

const servers: TestServer[] = []
afterAll(async () => { for (const server of servers) await server.close() })

/** Probes a hand-written server. */
async function against(talk: (socket: Socket) => void, more: Record<string, unknown> = {}) {
  const server = await tcpServer(talk)
  servers.push(server)
  return probeOnce(mysql, { ...entry(server.port), timeout: '500ms', ...more })
}

const packet = (sequence: number, payload: Buffer) => Buffer.concat([Buffer.from([payload.length & 0xff, payload.length >> 8 & 0xff, payload.length >> 16, sequence]), payload])
const error = (sequence: number, errno: number, text: string) => packet(sequence, Buffer.concat([Buffer.from([0xff, errno & 0xff, errno >> 8]), Buffer.from(`#HY000${text}`)]))
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0])

/** A greeting as MySQL sends it: protocol 10, version, thread, salt, capabilities (TLS as wanted), plugin. */
function greeting({ version = '8.4.3', tls = false, plugin = 'caching_sha2_password' } = {}): Buffer {
  const tail = Buffer.alloc(31)
  tail.writeUInt16LE(0x0001 | 0x0200 | 0x8000 | 0x0008 | (tls ? 0x0800 : 0), 9)
  tail[11] = 45
  tail.writeUInt16LE(0x0008 | 0x0020, 14)
  tail[16] = 21
  return packet(0, Buffer.concat([Buffer.from([10]), Buffer.from(`${version}\0`), Buffer.from([1, 0, 0, 0]), Buffer.from('12345678'), tail.subarray(8, 31), Buffer.from(`abcdefghijkl\0${plugin}\0`)]))
}

/** Greets, then answers each packet by the next one of the list. */
const script = (...answers: readonly Buffer[]) => (socket: Socket) => {
  const rest = [...answers]
  socket.write(greeting())
  socket.on('data', () => {
    const next = rest.shift()
    if (next) socket.write(next)
  })
}

const containing = (text: string): unknown => expect.stringContaining(text)

describe('mysql: what only a hand-written server does', () => {
  it.each<[string, (socket: Socket) => void, object]>([
    ['is full', (socket) => socket.end(error(0, 1040, 'Too many connections')), { layer: 'connect', reason: 'overloaded', code: 'mysql_1040' }],
    ['has blocked the host', (socket) => socket.end(error(0, 1129, 'Host is blocked')), { layer: 'connect', reason: 'denied', code: 'mysql_1129' }],
    ['is read-only in between', script(packet(2, OK), error(1, 1290, 'running with the --read-only option')), { layer: 'request', reason: 'read_only', code: 'mysql_1290' }],
    ['fails with an unknown number', script(packet(2, OK), error(1, 3999, 'something happened')), { layer: 'request', reason: 'other', code: 'mysql_other', message: 'error 3999: something happened' }],
    ['fails the login with an unknown number', script(error(2, 3999, 'something happened')), { layer: 'auth', reason: 'other', code: 'mysql_other' }],
    ['shuts down and says so', (socket) => { script(packet(2, OK))(socket); socket.on('data', () => setTimeout(() => socket.write(error(0, 1053, 'Server shutdown in progress')), 30)) }, { layer: 'request', reason: 'unavailable', code: 'mysql_1053' }],
    ['hangs up during the login', (socket) => { socket.write(greeting()); socket.once('data', () => socket.end()) }, { layer: 'auth', reason: 'reset', code: 'auth_reset' }],
    ['hangs up during the query', (socket) => { script(packet(2, OK))(socket); let packets = 0; socket.on('data', () => { if (++packets === 2) socket.end() }) }, { layer: 'request', reason: 'reset', code: 'request_reset' }],
    ['wants the password in clear text', script(packet(2, Buffer.from('\u00femysql_clear_password\0', 'latin1')), error(4, 1045, 'Access denied')), { layer: 'auth', reason: 'unsupported', code: 'mysql_auth_plugin', message: containing('mysql_clear_password') }],
    ['wants a plugin that nobody has', script(packet(2, Buffer.from('\u00fesomething_new\0', 'latin1'))), { layer: 'auth', reason: 'unsupported', code: 'mysql_auth_plugin' }],
    ['sends a key that is none', script(packet(2, Buffer.from([1, 4])), packet(4, Buffer.from([1, 65, 66]))), { layer: 'auth', reason: 'unsupported', code: 'mysql_auth_plugin' }],
    ['sends packets out of order', script(packet(7, OK)), { layer: 'request', reason: 'protocol', code: 'mysql_protocol' }],
    ['speaks HTTP', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), { layer: 'request', reason: 'protocol', code: 'mysql_protocol', message: containing('HTTP/1.1 400') }],
    ['speaks SSH', (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'), { layer: 'request', reason: 'protocol', code: 'mysql_protocol' }],
    ['speaks the X protocol', (socket) => socket.write(Buffer.from([5, 0, 0, 0, 0x0b, 8, 5, 0x1a, 0])), { layer: 'request', reason: 'protocol', code: 'mysql_protocol' }],
    ['greets as an older protocol', (socket) => socket.write(packet(0, Buffer.from('\u00093.20\0'))), { layer: 'request', reason: 'protocol', code: 'mysql_protocol' }],
    ['greets with half a greeting', (socket) => socket.write(packet(0, Buffer.from([10, 56]))), { layer: 'request', reason: 'protocol', code: 'mysql_protocol' }],
    ['announces a packet of 16 MB', script(packet(2, OK), Buffer.from([0xfe, 0xff, 0xff, 1])), { layer: 'request', reason: 'other', code: 'mysql_too_large' }],
    ['waits for the client, as Redis does', (socket) => socket.resume(), { layer: 'auth', reason: 'timeout', code: 'auth_timeout' }],
  ])('a server that %s', async (_name, talk, failure) => {
    expect(await against(talk)).toMatchObject({ status: 'failed', failure })
  })

  it('sends the password to none of them', async () => {
    const plugins = ['mysql_clear_password', 'mysql_old_password', 'dialog', 'something_new', 'toString']
    for (const plugin of plugins) {
      let heard = ''
      await against((socket) => {
        script(packet(2, Buffer.from(`\u00fe${plugin}\0salt\0`, 'latin1')))(socket)
        socket.on('data', (chunk) => { heard += chunk.toString('latin1') })
      }, { timeout: '150ms' })
      expect(heard).toContain('prober')
      expect(heard).not.toContain(login.password)
    }
  })

  it('an endless answer is cut off', async () => {
    // The head of one column; then rows.
    const column = Buffer.from('\u0003def\u0000\u0000\u0000\u0001a\u0000\u000c\u003f\u0000\u0001\u0000\u0000\u0000\u0008\u0000\u0000\u0000\u0000\u0000', 'latin1')
    const row = packet(0, Buffer.concat([Buffer.from([0xfd, 0x00, 0xea, 0x00]), Buffer.alloc(0xea00)]))
    const result = await against((socket) => {
      script(packet(2, OK))(socket)
      let packets = 0
      socket.on('data', () => {
        if (++packets !== 2) return
        socket.write(Buffer.concat([packet(1, Buffer.from([1])), packet(2, column), packet(3, Buffer.from([0xfe, 0, 0, 2, 0]))]))
        for (let n = 4; n < 120; n++) {
          const next = Buffer.from(row)
          next[3] = n
          socket.write(next)
        }
      })
    })
    expect(result).toMatchObject({ status: 'failed', failure: { layer: 'request', code: 'mysql_too_large', message: containing('answer of more than') } })
  })

  it('TLS: a server without it, and one that talks on before it', async () => {
    let heard = ''
    const plain = await against((socket) => {
      script(error(2, 1045, 'Access denied'))(socket)
      socket.on('data', (chunk) => { heard += chunk.toString('latin1') })
    }, { tls: true })
    expect(plain).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'protocol', code: 'tls_plain_port' } })
    // The login is ended, but as nobody: nothing of ours goes over a line without TLS.
    expect(heard).toContain('curlew')
    expect(heard).not.toContain('prober')
    expect(await against((socket) => socket.write(Buffer.concat([greeting({ tls: true }), packet(1, OK)])), { tls: true })).toMatchObject({ status: 'failed', failure: { layer: 'request', reason: 'protocol', code: 'mysql_protocol' } })
    expect(await against((socket) => socket.write(greeting({ tls: true })), { tls: true, timeout: '150ms' })).toMatchObject({ status: 'failed', failure: { layer: 'tls', reason: 'timeout', code: 'tls_timeout' } })
  })

  it('random bytes never make it unknown, neither as greeting nor as answer', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.boolean(), fc.boolean(), async (bytes, greeted, framed) => {
      const payload = Buffer.from(bytes)
      const result = await against((socket) => {
        if (!greeted) return socket.end(framed ? packet(0, Buffer.concat([Buffer.from([10]), payload])) : payload)
        socket.write(greeting())
        socket.once('data', () => socket.end(framed ? packet(2, payload) : payload))
      })
      expect(result.status).toBe('failed')
    }), { numRuns: 60 })
  })
})

describe('mysql: errors by number', () => {
  const pairOf = (errno: number, product: 'mysql' | 'mariadb' | undefined) => {
    const { status, failure: { layer, reason, code } } = byCode(mysqlError(errno, 'x', product).code, 'x', 'request', MYSQL_CODES)
    expect(status).toBe('failed')
    return `${layer}/${reason} ${code}`
  }
  it.each([
    [1040, 'connect/overloaded'], [1135, 'connect/overloaded'], [1129, 'connect/denied'], [1130, 'auth/denied'],
    [1203, 'auth/overloaded'], [1226, 'auth/overloaded'], [1045, 'auth/denied'], [1698, 'auth/denied'], [1044, 'auth/not_found'], [1049, 'auth/not_found'],
    [1820, 'auth/expired'], [1862, 'auth/expired'], [1524, 'auth/unsupported'], [1251, 'auth/unsupported'], [1275, 'auth/unsupported'],
    [1142, 'auth/denied'], [1143, 'auth/denied'], [1227, 'auth/denied'], [3159, 'tls/denied'], [1047, 'request/unavailable'], [1053, 'request/unavailable'],
    [1290, 'request/read_only'], [1836, 'request/read_only'], [1792, 'request/read_only'], [1461, 'request/overloaded'], [1041, 'request/overloaded'], [1213, 'request/overloaded'],
    [1205, 'request/timeout'], [1317, 'request/reset'], [1021, 'request/full'], [1114, 'request/full'], [1030, 'request/other'],
    [1046, 'request/not_found'], [1054, 'request/not_found'], [1146, 'request/not_found'], [1064, 'request/unsupported'],
  ])('%i is %s in both', (errno, pair) => {
    for (const product of ['mysql', 'mariadb', undefined] as const) expect(pairOf(errno, product)).toBe(`${pair} mysql_${errno}`)
  })

  it.each([
    [3118, 'mysql', 'auth/denied mysql_locked'], [3118, 'mariadb', 'request/other mysql_other'],
    [4151, 'mariadb', 'auth/denied mysql_locked'], [4151, 'mysql', 'request/other mysql_other'], [4150, 'mariadb', 'auth/denied mysql_blocked'],
    [3955, 'mysql', 'auth/denied mysql_blocked'], [1969, 'mariadb', 'request/timeout mysql_1969'], [1969, 'mysql', 'request/other mysql_other'],
    [3024, 'mysql', 'request/timeout mysql_3024'], [3032, 'mysql', 'request/unavailable mysql_3032'], [4031, 'mysql', 'request/reset mysql_4031'], [4031, 'mariadb', 'request/other mysql_other'],
    [1927, 'mariadb', 'request/reset mysql_1927'], [999, 'mysql', 'request/other mysql_other'],
  ] as const)('%i of %s is %s', (errno, product, pair) => {
    expect(pairOf(errno, product)).toBe(pair)
  })

  it('a message stays a line', () => { expect(mysqlError(1045, 'x'.repeat(9_000), 'mysql').message.length).toBe(300) })

  it.each([['8.4.3', 'mysql'], ['9.7.4-2', 'mysql'], ['5.5.5-10.11.6-MariaDB-1:10.11.6+maria~deb12', 'mariadb'], ['11.4.2-MariaDB', 'mariadb']])('%s is %s', (version, product) => {
    expect(productOf(version)).toBe(product)
  })
})

describe('mysql: rates', () => {
  const reading = (at: number, all: Record<string, number>, own: Record<string, number> = {}): Counters => ({ at, all: new Map(Object.entries(all)), own: new Map(Object.entries(own)) })
  const first = reading(0, { uptime: 100, prepared_stmt_count: 10, com_select: 1_000, select_scan: 50, handler_read_rnd_next: 10_000 }, { com_select: 10, select_scan: 10, handler_read_rnd_next: 5_000 })

  it('are of what the others did between two readings', () => {
    const second = reading(10_000, { uptime: 110, prepared_stmt_count: 60, com_select: 1_102, select_scan: 84, handler_read_rnd_next: 310_513 }, { com_select: 12, select_scan: 12, handler_read_rnd_next: 5_500 })
    expect(ratesOf(second, first)).toEqual({ leakPerSecond: 5, rowsPerSelect: 3_000, rowsPerSecond: 30_000, scanRatio: 0.3 })
  })

  it('are unknown after a restart, after FLUSH STATUS, and when nobody selects', () => {
    const nothing = { leakPerSecond: undefined, rowsPerSelect: undefined, rowsPerSecond: undefined, scanRatio: undefined }
    expect(ratesOf(reading(10_000, { uptime: 5, prepared_stmt_count: 60, com_select: 2_000 }), first)).toEqual(nothing)
    expect(ratesOf(reading(10_000, { uptime: 110, prepared_stmt_count: 10, com_select: 3, select_scan: 1, handler_read_rnd_next: 1 }), first)).toEqual({ ...nothing, leakPerSecond: 0 })
    expect(ratesOf(reading(10_000, { uptime: 110, prepared_stmt_count: 0, com_select: 1_000, select_scan: 60, handler_read_rnd_next: 20_000 }, { com_select: 10, select_scan: 10, handler_read_rnd_next: 5_000 }), first)).toEqual({ ...nothing, leakPerSecond: -1, rowsPerSecond: expect.closeTo(998.7) })
  })

  it('name the costliest digest since the reading before', () => {
    const digests = (rows: Record<string, [number, boolean]>) => new Map(Object.entries(rows).map(([digest, [seconds, fresh]]) => [digest, { seconds, fresh }]))
    const gauges: [string, number, unknown][] = []
    const probe = { gauge: (name: MysqlGauge, value: number, labels?: Readonly<Record<string, string>>) => { gauges.push([name, value, labels]) } }
    exportDigests(probe, digests({ old: [100, false] }), undefined)
    exportDigests(probe, digests({}), digests({ old: [100, false] }))
    expect(gauges).toEqual([])
    // `found` was there all the time, only not among those that were read: nobody knows how much of it is new.
    exportDigests(probe, digests({ old: [101, false], new: [3, true], found: [900, false] }), digests({ old: [100, false] }))
    expect(gauges).toEqual([['probe_mysql_costliest_digest_share', 0.75, { digest: 'new' }]])
  })
})

describe('mysql: the heartbeat', () => {
  it('has a row of its own for each prober and target, away from the ids of servers', () => {
    const ids = Array.from({ length: 100 }, (_, n) => heartbeatId(`prober:${n}`))
    expect(new Set(ids).size).toBe(100)
    expect(heartbeatId('prober:1')).toBe(ids[1])
    for (const id of ids) {
      expect(id).toBeGreaterThanOrEqual(2 ** 31)
      expect(id).toBeLessThan(2 ** 32)
    }
  })

  it('is written as pt-heartbeat --utc writes it', () => {
    expect(heartbeatTime(Date.UTC(2026, 0, 31, 12, 0, 0, 123))).toBe('2026-01-31T12:00:00.123000')
    expect(quoted('probe.heartbeat')).toBe('`probe`.`heartbeat`')
  })
})

describe('mysql: targets', () => {
  const issues = (given: Record<string, unknown>) => readEntry(mysql, { name: 'it', type: 'mysql', ...given }).issues
  const parse = (url: string) => mysql.options.parse(mysql.fromUrl(new URL(url)))

  it('reads everything that a URL says', () => {
    expect(parse('mysqls://prober:p%40ss@db.example.org/shop?prepare=true&heartbeat=probe.heartbeat&status=false&addresses=first&query=SELECT%202')).toMatchObject({
      username: 'prober', database: 'shop', tls: true, prepare: true, status: false, heartbeat: { table: 'probe.heartbeat' }, addresses: 'first', query: 'SELECT 2',
    })
    expect(jobOf(mysql, { target: 'mysql://prober:secret-word@[::1]:3307/shop' }).target).toBe('[::1]:3307')
    expect(jobOf(mysql, { target: 'db.example.org', ...login }).target).toBe('db.example.org:3306')
  })

  it.each<[string, Record<string, unknown>, (string | number)[], string]>([
    ['no user', {}, ['username'], 'expected username'],
    ['no user in a URL', { target: 'mysql://db.example.org' }, ['username'], 'expected username'],
    ['a table without its database', { ...login, heartbeat: { table: 'heartbeat' } }, ['heartbeat', 'table'], 'expected database.table'],
    ['a table that is none', { ...login, heartbeat: { table: 'a.b`; DROP TABLE x' } }, ['heartbeat', 'table'], 'expected database.table'],
    ['every address', { ...login, addresses: 'all' }, ['addresses'], 'expected one of'],
    ['a path', { target: 'mysql://prober@db.example.org/a/b' }, ['target'], 'a database'],
  ])('%s', (_name, given, path, message) => {
    expect(issues({ target: 'db.example.org', ...given })).toMatchObject([{ path, message: containing(message) }])
  })

  it('without a login is listed as unknown, with what to add, and never contacted', async () => {
    const server = await tcpServer()
    servers.push(server)
    const result = await probeOnce(mysql, { target: `127.0.0.1:${server.port}`, login: false })
    expect(result).toMatchObject({ status: 'unknown', failure: { layer: 'prober', reason: 'denied', code: 'prober_no_credentials', message: containing(`target: "127.0.0.1:${server.port}", username:`) } })
    expect(server.accepted()).toBe(0)
    expect(await probeOnce(mysql, { target: `127.0.0.1:${await freePort()}`, login: false })).toMatchObject({ status: 'unknown' })
  })
})
