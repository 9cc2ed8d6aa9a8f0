import { createServer } from 'node:http'
import { hostname } from 'node:os'
import { afterAll, beforeAll, describe } from 'vitest'
import { authFile, fill, startMemcached, startSasl, stopMemcachedServers, stuff, textSession, type MemcachedServer, type TextSession } from '../support/memcached-server.ts'
import { freePort } from '../support/process.ts'
import { startRedis, stopRedisServers, type RedisServer } from '../support/redis-server.ts'
import { relayTo, type Between } from '../support/relay.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { failed, faultTable, ok, type Entry, type Trial } from './table.ts'

interface Watched extends MemcachedServer {
  /** Opened before the server was full. */
  readonly session: TextSession
}

/** Of the binary protocol. */
const [GET, SET] = [0x00, 0x01]
/** How many connections each server takes whose connections a row uses up. */
const MOST = ['-c', '40']
/** The key that the probe writes is as long as this: its prefix, then the instance, the run and the job. */
const KEY_LENGTH = `probe:curlew:${hostname()}:01234567:0123456789ab`.length

let plain: Watched
let sasl: Awaited<ReturnType<typeof startSasl>>
let textLogin: MemcachedServer
let textOnly: MemcachedServer
/** Turns connections away once it has 40, or leaves them in the queue. */
let curt: Watched
let patient: Watched
let crowded: Watched
let full: Watched
let evicting: Watched
let redis: RedisServer
const sessions: TextSession[] = []
const others: TestServer[] = []

async function watched(args: readonly string[]): Promise<Watched> {
  const server = await startMemcached(args)
  const session = await textSession(server)
  sessions.push(session)
  return { ...server, session }
}

/** Left without room for one more connection, which the kernel would take into its queue. */
async function startPatient(): Promise<Watched> {
  const args = [...MOST, '-o', 'no_maxconns_fast']
  const [other, server] = await Promise.all([watched(args), watched(args)])
  const fitting = (await fill(other, other.session)).length - 1
  await Promise.all([other.stop(), fill(server, server.session, fitting)])
  return server
}

beforeAll(async () => {
  ;[plain, sasl, textLogin, textOnly, curt, patient, crowded, full, evicting, redis] = await Promise.all([
    watched([]), startSasl(), startMemcached(['-Y', authFile()]), startMemcached(['-B', 'ascii']),
    watched([...MOST, '-o', 'maxconns_fast']), startPatient(), watched([...MOST, '-o', 'maxconns_fast']),
    watched(['-M', '-m', '2']), watched(['-m', '2']), startRedis(),
  ])
  await Promise.all([fill(curt, curt.session), fill(crowded, crowded.session, 20), stuff(full.session, KEY_LENGTH), stuff(evicting.session, KEY_LENGTH)])
})
afterAll(() => {
  for (const session of sessions) session.close()
  return Promise.all([stopMemcachedServers(), stopRedisServers(), ...others.map((server) => server.close())])
})

const at = ({ port }: { readonly port: number }, more: Entry = {}): Trial => ({ probe: { type: 'memcached', target: `127.0.0.1:${port}`, ...more } })
const login: Entry = { username: 'prober', password: 'text-password' }
const failing = (level: string, critical: number): Entry => ({ limits: { [level]: { critical } }, fail_on: [level] })

/** A server until the end of the file. */
async function kept(server: Promise<TestServer>): Promise<TestServer> {
  others.push(await server)
  return server
}

/** The server as it is seen through a relay. */
const through = async (server: MemcachedServer, between: Between) => at(await kept(relayTo(server, between)))
const isCommand = (bytes: Buffer, opcode: number) => bytes[0] === 0x80 && bytes[1] === opcode

/** The command with more than the megabyte that a server takes. None finds the probe's own value too large: -I is a kilobyte at least. */
function padded(bytes: Buffer): Buffer {
  const padding = Buffer.alloc(1_100_000)
  bytes.writeUInt32BE(bytes.readUInt32BE(8) + padding.length, 8)
  return Buffer.concat([bytes, padding])
}

const stop = (more: Entry = {}) => () => {
  plain.process.child.kill('SIGSTOP')
  return at(plain, { timeout: '1s', ...more })
}
const goOn = () => plain.process.child.kill('SIGCONT')

describe('memcached', () => {
  faultTable('memcached', [
    { fault: 'too many connections: each is turned away', make: () => at(curt), expected: failed('connect', 'overloaded', 'memcached_too_many_connections') },
    { fault: 'too many connections: they wait in the queue', make: () => at(patient, { timeout: '1s' }), expected: failed('connect', 'overloaded', 'memcached_too_many_connections') },
    { fault: 'too many connections: the queue is full too', like: 'a firewall that drops packets', make: async () => { await fill(patient, patient.session, 1); return at(patient, { timeout: '1s' }) }, expected: failed('connect', 'timeout', 'connect_timeout') },
    { fault: 'half of the connections are taken', make: () => at(crowded), expected: ok({ probe_memcached_connections_ratio: [0.5, 0.9] }) },
    { fault: 'half of the connections are taken, and fail_on names that', make: () => at(crowded, failing('connections_ratio', 0.5)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_memcached_connections_ratio: [0.5, 0.9] }) },

    { fault: 'it wants SASL', make: () => at(sasl), expected: failed('auth', 'denied', 'memcached_unauthenticated') },
    { fault: 'the password is wrong', make: () => at(sasl, { username: sasl.username, password: 'wrong-password' }), expected: failed('auth', 'denied', 'memcached_wrong_password') },
    { fault: 'there is a password, but it has no SASL', make: () => at(plain, login), expected: failed('auth', 'unsupported', 'memcached_no_sasl') },
    { fault: 'it wants a login as text (-Y)', make: () => at(textLogin), expected: failed('auth', 'denied', 'memcached_unauthenticated') },
    { fault: 'it wants a login as text (-Y) and gets one by SASL', make: () => at(textLogin, { ...login, timeout: '1s' }), expected: failed('auth', 'denied', 'memcached_unauthenticated') },
    { fault: 'it speaks text only (-B ascii)', make: () => at(textOnly, { timeout: '1s' }), expected: failed('request', 'unsupported', 'memcached_no_binary') },

    { fault: 'out of memory (-M)', make: () => at(full), expected: failed('request', 'overloaded', 'memcached_out_of_memory') },
    { fault: 'something in between makes the value too large', make: () => through(plain, { asked: (bytes) => (isCommand(bytes, SET) ? padded(bytes) : bytes) }), expected: failed('request', 'other', 'memcached_object_too_large') },
    { fault: 'it has lost the value already', make: () => through(plain, { asked: async (bytes) => { if (isCommand(bytes, GET)) await plain.session.ask('flush_all', /^OK/) } }), expected: failed('assert', 'mismatch', 'memcached_wrong_value') },
    { fault: 'it evicts', make: () => at(evicting), expected: ok({ probe_memcached_items_evicted: [1, 20_000] }) },
    { fault: 'it evicts, and fail_on names that', make: () => at(evicting, failing('items_evicted', 0)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_memcached_items_evicted: [1, 20_000] }) },

    { fault: 'the process is stopped', make: stop(), expected: failed('request', 'timeout', 'request_timeout'), undo: goOn },
    { fault: 'the process is stopped, and there is a password', make: stop(login), expected: failed('auth', 'timeout', 'auth_timeout'), undo: goOn },
    { fault: 'nothing listens', make: async () => at({ port: await freePort() }), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'it hangs up in the middle of an answer', make: () => through(plain, { cut: 200 }), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'it resets the connection when it is asked', make: async () => at(await kept(tcpServer((socket) => { socket.once('data', () => socket.resetAndDestroy()) }))), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'the port speaks HTTP', make: async () => at(await kept(listening(createServer((_request, response) => { response.end('hello') })))), expected: failed('request', 'protocol', 'memcached_protocol') },
    { fault: 'the port speaks Redis', make: () => at(redis), expected: failed('request', 'protocol', 'memcached_protocol') },
    { fault: 'the port speaks Redis, and there is a password', make: () => at(redis, { ...login, timeout: '1s' }), expected: failed('request', 'protocol', 'memcached_protocol') },
  ])
})
