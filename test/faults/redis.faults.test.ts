import { mkdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { makeCertificates } from '../support/certificates.ts'
import { startMemcached, stopMemcachedServers, type MemcachedServer } from '../support/memcached-server.ts'
import { eventually, freePort } from '../support/process.ts'
import { startPair } from '../support/redis-groups.ts'
import { commandOf } from '../support/redis-script.ts'
import { startRedis, stopRedisServers, type RedisServer } from '../support/redis-server.ts'
import { relayTo, type Between } from '../support/relay.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { failed, faultTable, ok, type Entry, type Fault, type Trial } from './table.ts'

const { good, expired, caFile } = makeCertificates()
const tls = { tls: true, ca_file: caFile }
/** Each row that changes it changes it back. */
let master: RedisServer
/** Wants a login. */
let closed: RedisServer
/** A replica whose master is gone. */
let orphan: RedisServer
let pair: { readonly master: RedisServer, readonly replica: RedisServer }
let overTls: RedisServer
let strict: RedisServer
let outdated: RedisServer
/** Without SET, and with AUTH that runs what the test gives it. */
let odd: RedisServer
let sentinel: RedisServer
let memcached: MemcachedServer
/** A directory with data to load. */
let data: string
const others: TestServer[] = []

beforeAll(async () => {
  const serving = (pairOfFiles: typeof good, clients: 'yes' | 'no') => startRedis({ tls: { ...pairOfFiles, caFile }, args: ['--tls-auth-clients', clients] })
  ;[master, closed, orphan, pair, overTls, strict, outdated, odd, sentinel, memcached, data] = await Promise.all([
    startRedis({ args: ['--busy-reply-threshold', '20'] }),
    startRedis({ args: ['--requirepass', 'open-sesame'], adminPassword: 'open-sesame' }),
    freePort().then((port) => startRedis({ args: ['--replicaof', '127.0.0.1', String(port)] })),
    startPair(),
    serving(good, 'no'), serving(good, 'yes'), serving(expired, 'no'),
    startRedis({ config: ['rename-command SET ""', 'rename-command AUTH ""', 'rename-command FCALL AUTH'] }),
    startRedis({ sentinel: true }),
    startMemcached(),
    writeData(),
  ])
  await Promise.all([
    closed.admin.call('ACL', 'SETUSER', 'blind', 'on', '>blind-password', 'resetchannels', '~probe:*', '-@all', '+role', '+info', '+get', '+unlink'),
    closed.admin.call('ACL', 'SETUSER', 'elsewhere', 'on', '>elsewhere-password', 'resetchannels', '~other:*', '-@all', '+role', '+info', '+set', '+get', '+unlink'),
    closed.admin.call('ACL', 'SETUSER', 'retired', 'off', '>retired-password', '~*', '+@all'),
    odd.admin.call('FUNCTION', 'LOAD', "#!lua name=odd\nredis.register_function('prober', function() return redis.error_reply('MOONPHASE the moon is in the wrong phase') end)"),
  ])
})
afterAll(() => Promise.all([stopRedisServers(), stopMemcachedServers(), ...others.map((server) => server.close())]))

async function writeData(): Promise<string> {
  const server = await startRedis()
  await server.admin.mset(Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`key-${n}`, 'x'.repeat(2_000)])))
  await server.admin.save()
  await server.stop()
  return server.dir
}

const at = ({ port }: { readonly port: number }, more: Entry = {}): Trial => ({ probe: { type: 'redis', target: `127.0.0.1:${port}`, ...more } })
const user = (username: string): Entry => ({ username, password: `${username}-password` })
const failing = (level: string, critical: number): Entry => ({ limits: { [level]: { critical } }, fail_on: [level] })

/** A fault of the master that one setting makes. */
function setting(name: string, wrong: string, right: string): Pick<Fault, 'make' | 'undo'> {
  return {
    async make() {
      await master.admin.config('SET', name, wrong)
      return at(master)
    },
    undo: () => master.admin.config('SET', name, right),
  }
}

/** A server until the end of the file. */
async function kept(server: Promise<TestServer>): Promise<TestServer> {
  others.push(await server)
  return server
}

/** The server as it is seen through a relay. */
const through = async (server: RedisServer, between: Between) => at(await kept(relayTo(server, between)))

/** Something happens on the server just before the probe's command reaches it. */
const justBefore = (server: RedisServer, name: string, happens: (args: readonly string[]) => Promise<unknown>) => through(server, {
  async asked(bytes) {
    const args = commandOf(bytes)
    if (args[0]?.toUpperCase() === name) await happens(args)
  },
})

let loading: RedisServer | undefined
async function load(): Promise<Trial> {
  loading = await startRedis({ dir: data, args: ['--key-load-delay', '5000', '--loading-process-events-interval-bytes', '1024', '--rdbcompression', 'no'] })
  return at(loading)
}

/** The dump cannot be renamed to a directory, which stops root too. */
const inTheWay = () => join(master.dir, 'dump.rdb')
async function failToSave(): Promise<Trial> {
  mkdirSync(inTheWay())
  await master.admin.config('SET', 'save', '3600 1')
  await master.admin.set('one', 'two')
  await master.admin.bgsave()
  await eventually(async () => (await master.admin.info('persistence')).includes('rdb_last_bgsave_status:err'))
  return at(master)
}
async function saveAgain(): Promise<void> {
  await master.admin.config('SET', 'save', '')
  rmSync(inTheWay(), { recursive: true, force: true })
}

let script: { readonly end: Promise<unknown>, disconnect(): void } | undefined
async function beBusy(): Promise<Trial> {
  const client = master.admin.duplicate()
  client.on('error', () => {})
  script = { end: client.eval('while true do end', 0).catch(String), disconnect: () => client.disconnect() }
  await eventually(() => master.admin.ping().then(() => false, (error) => String(error).includes('BUSY')), 5_000, 'the script')
  return at(master)
}
async function endScript(): Promise<void> {
  await master.admin.script('KILL')
  await script?.end
  script?.disconnect()
}

/** Nine tenths of maxmemory are used. */
async function fillMemory(more: Entry = {}): Promise<Trial> {
  await master.admin.setrange('filler', 20_000_000, 'x')
  const [, used = ''] = /^used_memory:(\d+)/m.exec(await master.admin.info('memory')) ?? []
  await master.admin.config('SET', 'maxmemory', Math.round(Number(used) / 0.9))
  return at(master, more)
}
async function emptyMemory(): Promise<void> {
  await master.admin.config('SET', 'maxmemory', '0')
  await master.admin.del('filler')
}

/** The replica is connected, but takes nothing. */
async function fallBehind(more: Entry = {}): Promise<Trial> {
  pair.replica.process.child.kill('SIGSTOP')
  await pair.master.admin.set('news', 'x'.repeat(1_000_000))
  return at(pair.master, more)
}
const catchUp = () => pair.replica.process.child.kill('SIGCONT')

const stop = (more: Entry = {}) => () => {
  master.process.child.kill('SIGSTOP')
  return at(master, { timeout: '1s', ...more })
}
const goOn = () => master.process.child.kill('SIGCONT')

/** As mariadbd greets; the only one that runs is that of the rows about MySQL. */
const MARIADB = '\x4a\0\0\0\x0a5.5.5-10.11.11-MariaDB\0\x07\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0abcdefghijkl\0mysql_native_password\0'

describe('redis', () => {
  faultTable('redis', [
    { fault: 'it loads its data: LOADING', make: load, expected: failed('request', 'loading', 'redis_loading'), undo: () => loading?.stop() },
    { fault: 'it cannot save to disk: MISCONF', make: failToSave, expected: failed('request', 'overloaded', 'redis_misconf'), undo: saveAgain },
    { fault: 'maxmemory is used up: OOM', ...setting('maxmemory', '100kb', '0'), expected: failed('request', 'overloaded', 'redis_oom', { probe_redis_memory_ratio: [1, 1_000] }) },
    { fault: 'the master has no replica to write to: NOREPLICAS', ...setting('min-replicas-to-write', '1', '0'), expected: failed('request', 'overloaded', 'redis_noreplicas', { probe_redis_connected_slaves: 0 }) },
    { fault: 'the master becomes a replica just now: READONLY', make: () => justBefore(master, 'SET', () => master.admin.replicaof('127.0.0.1', pair.master.port)), expected: failed('request', 'read_only', 'redis_readonly'), undo: () => master.admin.replicaof('NO', 'ONE') },
    { fault: 'a script blocks it: BUSY', make: beBusy, expected: failed('request', 'overloaded', 'redis_busy'), undo: endScript },
    { fault: 'the connections are used up: maxclients', ...setting('maxclients', '1', '10000'), expected: failed('connect', 'overloaded', 'redis_max_clients') },
    { fault: 'protected mode, and we come from elsewhere: DENIED', make: () => through(master, { from: '127.0.0.2' }), expected: failed('auth', 'denied', 'redis_protected_mode') },
    { fault: 'somebody else overwrites the value', make: () => justBefore(master, 'GET', ([, key = '']) => master.admin.set(key, 'theirs')), expected: failed('assert', 'mismatch', 'redis_wrong_value') },

    { fault: 'it wants a password: NOAUTH', make: () => at(closed), expected: failed('auth', 'denied', 'redis_noauth') },
    { fault: 'the password is wrong: WRONGPASS', make: () => at(closed, { password: 'closed-sesame' }), expected: failed('auth', 'denied', 'redis_wrongpass') },
    { fault: 'the user is switched off', like: 'a wrong password', make: () => at(closed, user('retired')), expected: failed('auth', 'denied', 'redis_wrongpass') },
    { fault: 'there is a password, but it wants none', make: () => at(master, { password: 'open-sesame' }), expected: failed('auth', 'denied', 'redis_no_password_set') },
    { fault: 'the user may not call SET: NOPERM', make: () => at(closed, user('blind')), expected: failed('auth', 'denied', 'redis_noperm') },
    { fault: 'the user may not touch the key: NOPERM', make: () => at(closed, user('elsewhere')), expected: failed('auth', 'denied', 'redis_noperm') },
    { fault: 'there is no such database', make: () => at(master, { db: 99 }), expected: failed('auth', 'not_found', 'redis_unknown_db') },
    { fault: 'it does not know SET (rename-command)', make: () => at(odd), expected: failed('request', 'unsupported', 'redis_unknown_command') },
    { fault: 'an error that nobody has seen: MOONPHASE', make: () => at(odd, { username: 'prober', password: '0' }), expected: failed('auth', 'other', 'redis_other') },
    { fault: 'a Sentinel answers', make: () => at(sentinel), expected: failed('request', 'unsupported', 'redis_sentinel') },

    { fault: 'a replica without its master that serves no old data', make: () => orphan.admin.config('SET', 'replica-serve-stale-data', 'no').then(() => at(orphan)), expected: failed('request', 'unavailable', 'redis_masterdown', { probe_redis_master_link_up: 0 }), undo: () => orphan.admin.config('SET', 'replica-serve-stale-data', 'yes') },
    { fault: 'a replica without its master', make: () => at(orphan), expected: ok({ probe_redis_master_link_up: 0 }) },
    { fault: 'a replica without its master, and fail_on names that', make: () => at(orphan, failing('master_link_up', 1)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_master_link_up: 0 }) },
    { fault: 'a replica is a megabyte behind', make: () => fallBehind(), expected: ok({ probe_redis_replication_lag_bytes: [1e6, 1e8] }), undo: catchUp },
    { fault: 'a replica is a megabyte behind, and fail_on names that', make: () => fallBehind(failing('replication_lag_bytes', 100_000)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_replication_lag_bytes: [1e6, 1e8] }), undo: catchUp },
    { fault: 'nine tenths of its memory are used', make: () => fillMemory(), expected: ok({ probe_redis_memory_ratio: [0.85, 0.99] }), undo: emptyMemory },
    { fault: 'nine tenths of its memory are used, and fail_on names that', make: () => fillMemory(failing('memory_ratio', 0.8)), expected: failed('assert', 'mismatch', 'limit_exceeded', { probe_redis_memory_ratio: [0.85, 0.99] }), undo: emptyMemory },

    { fault: 'the process is stopped', make: stop(), expected: failed('request', 'timeout', 'request_timeout'), undo: goOn },
    { fault: 'the process is stopped, and there is a password', make: stop({ password: 'open-sesame' }), expected: failed('auth', 'timeout', 'auth_timeout'), undo: goOn },
    { fault: 'nothing listens', make: async () => at({ port: await freePort() }), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'it hangs up in the middle of an answer', make: () => through(master, { cut: 500 }), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'it resets the connection when it is asked', make: async () => at(await kept(tcpServer((socket) => { socket.once('data', () => socket.resetAndDestroy()) }))), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'the port speaks HTTP', make: async () => at(await kept(listening(createServer((_request, response) => { response.end('hello') })))), expected: failed('request', 'protocol', 'redis_protocol') },
    { fault: 'the port speaks Memcached', make: () => at(memcached), expected: failed('request', 'protocol', 'redis_protocol') },
    { fault: 'the port speaks MySQL', make: async () => at(await kept(tcpServer((socket) => { socket.resume().write(MARIADB, 'latin1') }))), expected: failed('request', 'protocol', 'redis_protocol') },

    { fault: 'TLS to a port that speaks none', like: 'a TLS port that does not answer: Redis waits for the end of the line', make: () => at(master, { ...tls, timeout: '1s' }), expected: failed('tls', 'timeout', 'tls_timeout') },
    { fault: 'no TLS to a port that wants it', like: 'a server that resets connections: Redis sends no TLS alert', make: () => at(overTls), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'it wants a client certificate', make: () => at(strict, tls), expected: failed('tls', 'denied', 'tls_client_cert_required') },
    { fault: 'its certificate has expired', make: () => at(outdated, tls), expected: failed('tls', 'expired', 'tls_expired') },
  ])
})
