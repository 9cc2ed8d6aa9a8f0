import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe } from 'vitest'
import { serveCurlew, type Served } from '../support/curlew.ts'
import { addressRecord, reply, scriptedDns, type Script } from '../support/dns-servers.ts'
import { mountFaulty } from '../support/fuse.ts'
import { eventually, freePort, startProcess } from '../support/process.ts'
import { startRedis, stopRedisServers } from '../support/redis-server.ts'
import { listening, listens, tcpServer } from '../support/tcp.ts'
import { configFile, ownRows } from './own-row.ts'
import { faultTable, ok, type Entry } from './table.ts'

const STALL = join(import.meta.dirname, 'stall.ts')
const POLL_MS = 250
const cleanups: (() => unknown)[] = []
/** After each row: what wears one out must not wear out the next. */
async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  await stopRedisServers()
}
afterAll(cleanUp)

/** Something that must not outlive its row. */
function kept<T extends { close(): unknown }>(one: T): T {
  cleanups.push(() => one.close())
  return one
}

/** Runs by what came of them, since the start. */
async function runsOf(curlew: Served): Promise<Readonly<Record<'ok' | 'failed' | 'unknown', number>>> {
  const samples = await curlew.samples(/^probe_runs_total\{/)
  const sum = (result: string) => samples.filter((line) => line.includes(`result="${result}"`)).reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  return { ok: sum('ok'), failed: sum('failed'), unknown: sum('unknown') }
}

interface Stress {
  readonly fault: string
  readonly entries: () => Promise<readonly Entry[]> | readonly Entry[]
  /** Goes on until so many runs were well. */
  readonly runs: number
  /** Worn out from the first run on. */
  readonly during?: (curlew: Served) => Promise<unknown>
  /** Also an unknown one is one too many. */
  readonly noUnknown?: true
}

/** `curlew serve` on targets that are well: whatever is the matter beside them, no run may fail. */
function stress({ fault, entries, runs, during, noUnknown }: Stress): void {
  const wanted = `no failure among ${runs} runs${noUnknown ? ', nothing unknown' : ''}`
  ownRows('healthy', [{
    fault, expected: wanted, undo: cleanUp, withinMs: 60_000,
    async look() {
      const curlew = await serveCurlew(['-c', configFile(await entries())])
      try {
        await during?.(curlew)
        await eventually(async () => {
          const asked = performance.now()
          const { ok: well, failed } = await runsOf(curlew)
          if (well >= runs || failed > 0) return true
          // A scrape of two thousand targets is work for both: the scrapes must not be what wears them out.
          await sleep(Math.max(POLL_MS, 4 * (performance.now() - asked)))
          return false
        }, 45_000, `${runs} runs that are well`)
        const { ok: well, failed, unknown } = await runsOf(curlew)
        const why = await curlew.samples(/^probe_failures_total\{/)
        return failed + (noUnknown ? unknown : 0) === 0 ? wanted : [`${failed} failed, ${unknown} unknown and ${well} ok`, ...why.slice(0, 3)].join('; ')
      } finally {
        await curlew.stop('SIGKILL')
      }
    },
  }])
}

const SLOW_MS = 400
const page: RequestListener = (_, answer) => { answer.end('well') }
const resolved: Script = (asked, send) => send(reply(asked, { answers: [addressRecord(asked.name, '192.0.2.1')] }))
const later = (ms: number) => (socket: Socket) => { socket.resume(); setTimeout(() => socket.write('hello\n'), ms) }

describe('healthy', () => {
  stress({
    fault: 'slow, within their timeouts: dns, http, tcp, redis, mount',
    runs: 15,
    async entries() {
      const dns = kept(await scriptedDns((asked, send) => { setTimeout(() => resolved(asked, send), SLOW_MS) }))
      const http = kept(await listening(createHttpServer((request, answer) => { setTimeout(() => page(request, answer), SLOW_MS) })))
      const tcp = kept(await tcpServer(later(SLOW_MS)))
      const redis = await startRedis({ args: ['--enable-debug-command', 'yes'] })
      const stalling = setInterval(() => { redis.admin.call('DEBUG', 'SLEEP', String(SLOW_MS / 1000)).catch(() => {}) }, 2 * SLOW_MS)
      const mount = await mountFaulty()
      mount.suffer({ fsync: { delay_ms: SLOW_MS } })
      cleanups.push(() => mount.stop(), () => clearInterval(stalling))
      const common = { every: '1500ms', timeout: '1500ms' }
      return [
        { ...common, name: 'names', type: 'dns', target: `127.0.0.1:${dns.port}`, query: 'ok.test' },
        { ...common, name: 'pages', type: 'http', target: `http://127.0.0.1:${http.port}/` },
        { ...common, name: 'greetings', type: 'tcp', target: `127.0.0.1:${tcp.port}`, expect: 'hello' },
        { ...common, name: 'caches', type: 'redis', target: `127.0.0.1:${redis.port}` },
        { ...common, name: 'storage', type: 'mount', target: mount.path },
      ]
    },
  })

  stress({
    fault: 'fifty targets, beside processes that take every core',
    runs: 150,
    async entries() {
      const tcp = await Promise.all(Array.from({ length: 20 }, async () => kept(await tcpServer())))
      const http = await Promise.all(Array.from({ length: 20 }, async () => kept(await listening(createHttpServer(page)))))
      const dns = await Promise.all(Array.from({ length: 8 }, async () => kept(await scriptedDns(resolved))))
      const redis = await Promise.all([startRedis(), startRedis()])
      const busy = await Promise.all(Array.from({ length: availableParallelism() }, () => startProcess('sh', ['-c', 'while :; do :; done'], { ready: () => true })))
      cleanups.push(() => Promise.all(busy.map((one) => one.stop('SIGKILL'))))
      const at = (list: readonly { readonly port: number }[], scheme = '') => list.map(({ port }) => `${scheme}127.0.0.1:${port}`)
      const common = { every: '1s', timeout: '1s' }
      return [
        { ...common, name: 'ports', type: 'tcp', targets: at(tcp) },
        { ...common, name: 'pages', type: 'http', targets: at(http, 'http://') },
        { ...common, name: 'names', type: 'dns', targets: at(dns), query: 'ok.test' },
        { ...common, name: 'caches', type: 'redis', targets: at(redis) },
      ]
    },
  })

  stress({
    fault: 'two thousand targets, each asked every second',
    runs: 8_000,
    async entries() {
      const port = await freePort()
      const targets = Array.from({ length: 2_000 }, (_, index) => `127.1.${Math.floor(index / 250)}.${index % 250 + 1}`)
      await Promise.all(targets.map(async (address) => {
        const server = createServer((socket) => { socket.on('error', () => {}); socket.resume() })
        await new Promise<void>((resolve) => { server.listen(port, address, resolve) })
        cleanups.push(() => server.close())
      }))
      return [{ name: 'ports', type: 'tcp', every: '1s', timeout: '1s', targets: targets.map((address) => `${address}:${port}`) }]
    },
  })

  let port: number
  const startRedisThere = () => startProcess('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], { ready: () => listens(port) })
  let restarting: Awaited<ReturnType<typeof startRedisThere>>
  stress({
    fault: 'a server that is restarted between two runs',
    runs: 6, noUnknown: true,
    async entries() {
      port = await freePort()
      restarting = await startRedisThere()
      cleanups.push(() => restarting.stop('SIGKILL'))
      return [{ name: 'caches', type: 'redis', target: `127.0.0.1:${port}`, every: '1s', timeout: '1s' }]
    },
    async during(curlew) {
      for (let round = 0; round < 3; round++) {
        const before = (await runsOf(curlew)).ok
        // Just after a run: the next one is most of a second away.
        await eventually(async () => (await runsOf(curlew)).ok > before)
        await restarting.stop('SIGKILL')
        restarting = await startRedisThere()
      }
    },
  })

  stress({
    fault: 'Curlew is stopped and goes on, again and again',
    runs: 150,
    async entries() {
      const targets = await Promise.all(Array.from({ length: 20 }, async () => kept(await tcpServer(later(100)))))
      return [{ name: 'greetings', type: 'tcp', expect: 'hello', every: '400ms', timeout: '400ms', targets: targets.map((server) => `127.0.0.1:${server.port}`) }]
    },
    async during({ child }) {
      for (let pause = 0; pause < 3; pause++) {
        child.kill('SIGSTOP')
        await sleep(500)
        child.kill('SIGCONT')
        await sleep(300)
      }
    },
  })

  faultTable('healthy', [
    {
      fault: 'the answer comes shortly before the timeout',
      async make() { const { port: greeting } = kept(await tcpServer(later(1_200))); return { probe: { type: 'tcp', target: `127.0.0.1:${greeting}`, expect: 'hello', timeout: '1500ms' } } },
      expected: ok({ duration_seconds: [1.2, 1.5] }), undo: cleanUp,
    },
    {
      fault: 'the event loop stands still for 300 ms, which is bearable',
      async make() { const { port: greeting } = kept(await tcpServer(later(200))); return { probe: { type: 'tcp', target: `127.0.0.1:${greeting}`, expect: 'hello' }, env: { NODE_OPTIONS: `--import=${STALL}`, STALL_MS: '300' } } },
      expected: ok({ duration_seconds: [0.3, 2] }), undo: cleanUp,
    },
  ])
})
