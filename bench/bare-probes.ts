import { createHash, randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { z } from 'zod'
import { hostPort } from '../src/core/fields.ts'
import { defineProbe, ProbeFailure, type ProbeContext } from '../src/core/probe.ts'
import { dial, dialGauges } from '../src/probes/lib/dial.ts'
import { parseInfo } from '../src/probes/lib/redis-info.ts'
import { replyScanner } from '../src/probes/lib/redis-wire.ts'

const common = {
  summary: 'for the benchmark',
  phases: { resolve: 'resolve', connect: 'connect', request: 'request' },
  gauges: { ...dialGauges, probe_bare_level: { help: 'One of the levels that a server tells.', labels: ['name'], series: 20 } },
  codes: { bare_answer: { layer: 'request', reason: 'protocol', en: 'An unexpected answer.', zh: '应答与预期不符。' } },
  schemes: [], fromUrl: () => ({}), example: { target: '127.0.0.1:1' },
} as const
const ANY = { ip_protocol: 'any', addresses: 'any' } as const

type Context = ProbeContext<'resolve' | 'connect' | 'request', keyof typeof common.gauges, 'bare_answer'>

/** The exchange of the redis probe without ioredis. */
const redis = defineProbe({
  ...common,
  type: 'bare-redis',
  options: z.object({ target: hostPort() }),
  async run({ target }, probe) {
    await exchange(probe, await dial(probe, target, ANY), async (ask) => {
      const reply = async (...words: readonly string[]) => {
        const scan = replyScanner()
        return (await ask(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`, (bytes) => scan(bytes) !== undefined)).toString()
      }
      const [key, nonce] = [`probe:${probe.owner}`, randomUUID()]
      if (!(await reply('ROLE')).includes('master')) probe.fail('bare_answer', 'no master')
      const info = parseInfo(await reply('INFO'))
      for (const name of ['uptime_in_seconds', 'connected_clients', 'maxclients', 'blocked_clients', 'used_memory', 'maxmemory', 'connected_slaves']) {
        probe.gauge('probe_bare_level', Number(info.get(name)), { name })
      }
      await reply('SET', key, nonce, 'PX', '30000')
      if (!(await reply('GET', key)).includes(nonce)) probe.fail('bare_answer', 'another value')
      await reply('UNLINK', key)
    })
  },
})

/** The operations of the memcached probe without memjs: in the text protocol, which needs no second connection. */
const memcached = defineProbe({
  ...common,
  type: 'bare-memcached',
  options: z.object({ target: hostPort() }),
  async run({ target }, probe) {
    await exchange(probe, await dial(probe, target, ANY), async (ask) => {
      const [key, nonce] = [`probe:${probe.owner}`, randomUUID()]
      const stats = (await ask('version\r\nstats\r\n', (bytes) => bytes.includes('\r\nEND\r\n'))).toString()
      for (const [, name = '', value] of stats.matchAll(/^STAT (uptime|curr_connections|max_connections|rejected_connections|bytes|limit_maxbytes|evictions) (\d+)/gm)) {
        probe.gauge('probe_bare_level', Number(value), { name })
      }
      await ask(`set ${key} 0 60 ${nonce.length}\r\n${nonce}\r\n`, endsLine)
      if (!(await ask(`get ${key}\r\n`, (bytes) => bytes.includes('END\r\n'))).includes(nonce)) probe.fail('bare_answer', 'another value')
      await ask(`delete ${key}\r\n`, endsLine)
    })
  },
})

/** Login and query of the mysql probe without mysql2, for an account of mysql_native_password. */
const mysql = defineProbe({
  ...common,
  type: 'bare-mysql',
  options: z.object({ target: hostPort(), username: z.string(), password: z.string() }),
  example: { target: '127.0.0.1:3306', username: 'bench', password: 'bench' },
  async run({ target, username, password }, probe) {
    await exchange(probe, await dial(probe, target, ANY), async (ask) => {
      const greeting = await ask('', isPacket)
      const version = greeting.indexOf(0, 5)
      const salt = Buffer.concat([greeting.subarray(version + 5, version + 13), greeting.subarray(version + 32, version + 44)])
      const response = Buffer.alloc(32)
      response.writeUInt32LE(0x0008_8200) // protocol 4.1, its authentication, a named plugin
      response.writeUInt32LE(0x100_0000, 4)
      response[8] = 45 // utf8mb4
      const login = await ask(packet(1, Buffer.concat([response, Buffer.from(`${username}\0`), Buffer.from([20]), scramble(password, salt), Buffer.from('mysql_native_password\0')])), isPacket)
      if (login[4] !== 0) probe.fail('bare_answer', `the login was answered with ${login.toString('latin1', 7)}`)
      // The end of a result set: one mark after the columns, one after the rows.
      await ask(packet(0, Buffer.from('\x03SELECT 1')), (bytes) => bytes.indexOf('\xfe\0\0', bytes.indexOf('\xfe\0\0', 0, 'latin1') + 1, 'latin1') > 0)
      await ask(packet(0, Buffer.from('\x01')), () => true) // the farewell, which has no answer
    })
  },
})

export const bareProbes = [redis, memcached, mysql]

type Ask = (text: string | Buffer, whole: (bytes: Buffer) => boolean) => Promise<Buffer>

/** Phase `request`: each question is asked when the answer to the one before is whole. */
async function exchange(probe: Context, socket: Socket, work: (ask: Ask) => Promise<void>): Promise<void> {
  let received: Buffer = Buffer.alloc(0)
  let look = () => {}
  let fail: (error: Error) => void = () => {}
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    look()
  })
  socket.on('error', (error) => fail(error))
  socket.on('end', () => fail(new ProbeFailure('request_reset', 'the server hung up')))
  const ask: Ask = (text, whole) => new Promise((resolve, reject) => {
    fail = reject
    look = () => {
      if (!whole(received)) return
      resolve(received)
      received = Buffer.alloc(0)
    }
    if (text.length > 0) socket.write(text)
    look()
  })
  try {
    await probe.phase('request', () => work(ask))
  } finally {
    socket.destroy()
  }
}

function endsLine(bytes: Buffer): boolean {
  return bytes.at(-1) === 0x0a
}

function isPacket(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.length >= 4 + bytes.readUIntLE(0, 3)
}

function packet(number: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(body.length, 0, 3)
  head[3] = number
  return Buffer.concat([head, body])
}

/** SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))), as mysql_native_password has it. */
function scramble(password: string, salt: Buffer): Buffer {
  const sha1 = (...parts: readonly (string | Buffer)[]) => parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest()
  const once = sha1(password)
  const mask = sha1(salt, sha1(once))
  return once.map((byte, index) => byte ^ (mask[index] ?? 0)) as Buffer
}
