import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe } from 'vitest'
import { eventually, freePort } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis-server.ts'
import { tcpServer, type TestServer } from '../support/tcp.ts'
import { failed, faultTable, type Entry, type Trial } from './table.ts'

/** Stopped by a signal: the kernel goes on to accept for it. */
let stopped: RedisServer
const servers: TestServer[] = []
const held: Socket[] = []

beforeAll(async () => {
  stopped = await startRedis({ args: ['--tcp-backlog', '1'] })
  stopped.process.child.kill('SIGSTOP')
  await eventually(() => /\) T /.test(readFileSync(`/proc/${stopped.process.pid}/stat`, 'utf8')))
})
afterAll(async () => {
  for (const socket of held) socket.destroy()
  await Promise.all([stopped?.stop(), ...servers.map((server) => server.close())])
})

const entry = (port: number, more: Entry): Trial => ({ probe: { type: 'tcp', target: `127.0.0.1:${port}`, timeout: '1s', ...more } })
const asking = { send: 'PING\r\n', expect: '^\\+PONG' } as const

/** A server that misbehaves. */
const astray = (talk: (socket: Socket) => void, more: Entry = { expect: '^220 ' }) => async (): Promise<Trial> => {
  const server = await tcpServer(talk)
  servers.push(server)
  return entry(server.port, more)
}

/** Connects until nobody is let in any more. */
async function crowd(port: number): Promise<void> {
  for (let inside = true; inside;) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    held.push(socket)
    inside = await Promise.race([once(socket, 'connect').then(() => true), sleep(300, false)])
  }
}

function drip(socket: Socket): void {
  const timer = setInterval(() => { socket.write('2') }, 50)
  socket.on('close', () => clearInterval(timer))
}

describe('tcp', () => {
  faultTable('tcp', [
    { fault: 'nothing listens on the port', like: 'a firewall that answers with a reset', make: async () => entry(await freePort(), {}), expected: failed('connect', 'refused', 'connect_refused') },
    { fault: 'it accepts and stays silent', make: () => entry(stopped.port, asking), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'it accepts nobody any more, its queue is full', like: 'a firewall that drops', make: async () => { await crowd(stopped.port); return entry(stopped.port, {}) }, expected: failed('connect', 'timeout', 'connect_timeout') },
    { fault: 'it accepts, and resets once it is asked', make: astray((socket) => { socket.once('data', () => socket.resetAndDestroy()) }, asking), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'it accepts, and closes without a word', make: astray((socket) => { socket.end() }), expected: failed('request', 'reset', 'request_reset') },
    { fault: 'another banner than expected', make: astray((socket) => { socket.end('554 no service here\r\n') }), expected: failed('assert', 'mismatch', 'tcp_unexpected_answer', { probe_failed_due_to_regex: 1 }) },
    { fault: 'another banner, and more may come', like: 'a banner that is slow to come', make: astray((socket) => { socket.write('SSH-2.0-OpenSSH_9.2p1\r\n') }), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'its banner drips', make: astray(drip), expected: failed('request', 'timeout', 'request_timeout') },
    { fault: 'it talks and talks, but not what is expected', make: astray((socket) => { socket.write('blah '.repeat(20_000)) }), expected: failed('assert', 'mismatch', 'tcp_unexpected_answer', { probe_failed_due_to_regex: 1 }) },
  ])
})
