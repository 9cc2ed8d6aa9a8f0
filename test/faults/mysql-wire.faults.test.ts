import { createServer } from 'node:http'
import { afterAll, beforeAll, describe } from 'vitest'
import { entryOf } from '../support/mysql-faults.ts'
import { freePort } from '../support/process.ts'
import { startRedis, stopRedisServers, type RedisServer } from '../support/redis-server.ts'
import { startExim, stopStarttlsServers, type StarttlsServer } from '../support/starttls-servers.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { failed, faultTable, type Entry, type Trial } from './table.ts'

let [redis, mail]: [RedisServer?, StarttlsServer?] = []
let [web, silent, closing]: TestServer[] = []

beforeAll(async () => {
  // An HTTP server that speaks to those who ask nothing, as any does after a while.
  const impatient = createServer({ headersTimeout: 200, connectionsCheckingInterval: 50 })
  ;[redis, mail, web, silent, closing] = await Promise.all([startRedis(), startExim(undefined), listening(impatient), tcpServer(), tcpServer((socket) => socket.end())])
})
afterAll(() => Promise.all([stopRedisServers(), stopStarttlsServers(), web?.close(), silent?.close(), closing?.close()]))

const at = (server: () => { readonly port: number } | undefined, more: Entry = {}) => async (): Promise<Trial> => ({ probe: { ...entryOf(server()?.port ?? await freePort()), timeout: '1s', ...more } })

describe('mysql', () => {
  faultTable('mysql', [
    { fault: 'nothing listens', make: at(() => undefined), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'it accepts, and is silent', make: at(() => silent), expected: failed('auth', 'timeout', 'auth_timeout') },
    { fault: 'it accepts, and hangs up', make: at(() => closing), expected: failed('auth', 'reset', 'auth_reset') },
    { fault: 'the port speaks Redis', like: 'a server that hangs: Redis waits for us to speak', make: at(() => redis), expected: failed('auth', 'timeout', 'auth_timeout') },
    { fault: 'the port speaks Redis, and we expect TLS', like: 'a server that hangs: Redis waits for us to speak', make: at(() => redis, { tls: true }), expected: failed('auth', 'timeout', 'auth_timeout') },
    { fault: 'the port speaks HTTP', make: at(() => web), expected: failed('request', 'protocol', 'mysql_protocol') },
    { fault: 'the port speaks SMTP', make: at(() => mail), expected: failed('request', 'protocol', 'mysql_protocol') },
  ])
})
