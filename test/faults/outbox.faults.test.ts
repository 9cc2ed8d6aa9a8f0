import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import type { Fake } from '../notify/fakes/fake.ts'
import { fakeSlack, slackEntry } from '../notify/fakes/slack.ts'
import { childrenOf } from '../support/children.ts'
import { runCurlew, serveCurlew, type Served } from '../support/curlew.ts'
import { mountFaulty, type FaultyMount } from '../support/fuse.ts'
import { firing, postAlerts, TOKEN } from '../support/notify.ts'
import { eventually, temporaryDirectory } from '../support/process.ts'
import { startRedis, stopRedisServers } from '../support/redis-server.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { ownRows } from './own-row.ts'

let disk: FaultyMount
let target: TestServer
let chat: Fake
const running: Served[] = []

beforeAll(async () => {
  ;[disk, target, chat] = await Promise.all([mountFaulty({ cached: true }), tcpServer(), fakeSlack({ rates: [] })])
})
afterEach(async () => {
  disk.suffer()
  chat.fail(() => undefined)
  await Promise.all(running.splice(0).map((one) => one.stop()))
  await stopRedisServers()
})
afterAll(async () => {
  await Promise.all([disk.stop(), target.close(), chat.close()])
})

function configFile(storage: string, more: object = {}): string {
  const file = join(temporaryDirectory().path, 'curlew.yaml')
  writeFileSync(file, JSON.stringify({
    notify: {
      token: TOKEN, allow_private_destinations: true, storage: { path: storage },
      channels: [{ name: 'ops', type: 'slack', ...slackEntry(chat), timeout: '1s', limits: { rates: [{ messages: 100_000, per: '1s' }] } }], routes: [{ channel: 'ops' }], ...more,
    },
    probes: Array.from({ length: 10 }, (_, index) => ({ name: `here-${index}`, type: 'tcp', target: `127.0.0.1:${target.port}`, every: '200ms', timeout: '150ms' })),
  }))
  return file
}

async function serving(config: string): Promise<Served> {
  const one = await serveCurlew(['-c', config])
  running.push(one)
  await eventually(async () => await one.value('curlew_notify_up') === 1, 8_000, 'the outbox')
  return one
}

/** What the webhook answers to an alert of this name, and how long it takes. */
async function post({ url }: Served, name: string): Promise<{ readonly status: number, readonly text: string, readonly ms: number }> {
  const began = performance.now()
  const answer = await postAlerts(url, firing(name))
  return { status: answer.status, text: await answer.text(), ms: performance.now() - began }
}

/** Runs that were skipped or not ok, whatever else happens. */
async function troubled(one: Served): Promise<number> {
  const samples = await one.samples(/^(?:curlew_runs_skipped_total|probe_runs_total\{.*result="(?:failed|unknown)")/)
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const told = (name: string) => chat.messages.filter(({ body }) => JSON.stringify(body).includes(name)).length
const arrives = (name: string) => eventually(() => told(name) > 0, 8_000, `${name} in the chat`)

describe('the outbox', () => {
  ownRows('outbox', [
    {
      fault: 'its disk hangs', expected: 'webhook 503 within a second, then 503 at once; healthy 200; 0 runs in trouble; 200 when it is over, and told',
      async look() {
        const curlew = await serving(configFile(join(disk.path, 'sub')))
        disk.suffer({ '*': { hang: true } })
        const first = await post(curlew, 'Hung')
        const second = await post(curlew, 'Hung')
        await eventually(async () => (await curlew.value('probe_runs_total{probe="here-0"')) !== undefined)
        await sleep(2_000)
        const healthy = (await curlew.get('/-/healthy')).status
        const trouble = await troubled(curlew)
        disk.suffer()
        await eventually(async () => (await post(curlew, 'Hung')).status === 200, 8_000, 'a write')
        await arrives('Hung')
        return `webhook ${first.status} ${first.ms < 1_000 ? 'within a second' : `after ${first.ms} ms`}, then ${second.status} ${second.ms < 300 ? 'at once' : `after ${second.ms} ms`}; healthy ${healthy}; ${trouble} runs in trouble; 200 when it is over, and told`
      },
    },
    {
      fault: 'its disk is full', expected: 'webhook 503 no room is left on the disk; 200 when there is room, and told',
      async look() {
        const curlew = await serving(configFile(join(disk.path, 'sub')))
        disk.suffer({ write: { errno: 'ENOSPC' } })
        const { status, text } = await post(curlew, 'Full')
        disk.suffer()
        await eventually(async () => (await post(curlew, 'Full')).status === 200, 8_000, 'a write')
        await arrives('Full')
        return `webhook ${status} ${/no room is left on the disk/.exec(text)?.[0] ?? text}; 200 when there is room, and told`
      },
    },
    {
      fault: 'it is full', expected: 'webhook 503 The outbox is full; 200 when something was told',
      async look() {
        const curlew = await serving(configFile(temporaryDirectory().path, { storage: { path: temporaryDirectory().path, entries: 100 } }))
        chat.fail(() => 'hang')
        let last = await post(curlew, 'Filler0')
        for (let count = 1; count <= 100 && last.status === 200; count++) last = await post(curlew, `Filler${count}`)
        chat.fail(() => undefined)
        await eventually(async () => (await post(curlew, 'Later')).status === 200, 15_000, 'room')
        return `webhook ${last.status} ${/The outbox is full/.exec(last.text)?.[0] ?? last.text}; 200 when something was told`
      },
      withinMs: 30_000,
    },
    {
      fault: 'the process that keeps it is killed', expected: 'webhook 503 until the next one runs; told by that; 0 runs in trouble',
      async look() {
        const curlew = await serving(configFile(temporaryDirectory().path))
        chat.fail(() => 'reset')
        await post(curlew, 'Orphan')
        for (const { pid } of childrenOf(curlew.pid)) process.kill(pid, 'SIGKILL')
        await eventually(async () => await curlew.value('curlew_notify_up') === 0)
        const { status } = await post(curlew, 'Between')
        chat.fail(() => undefined)
        await arrives('Orphan')
        return `webhook ${status} until the next one runs; told by that; ${await troubled(curlew)} runs in trouble`
      },
    },
    {
      fault: 'all of it is killed', expected: 'the process that keeps ends within a second; told by the next Curlew',
      async look() {
        const config = configFile(temporaryDirectory().path)
        const curlew = await serving(config)
        chat.fail(() => 'reset')
        await post(curlew, 'Heirloom')
        const [keeper] = childrenOf(curlew.pid)
        await curlew.stop('SIGKILL')
        await eventually(() => hasEnded(keeper?.pid), 1_000, 'its end')
        chat.fail(() => undefined)
        await serving(config)
        await arrives('Heirloom')
        return 'the process that keeps ends within a second; told by the next Curlew'
      },
    },
    {
      fault: 'it is told to end while a service takes its time', expected: 'waits for the answer; exit 0; told once',
      async look() {
        const waiting: ServerResponse[] = []
        const slow = await listening(createServer((request, response) => { request.resume().on('end', () => waiting.push(response)) }))
        const storage = temporaryDirectory().path
        const config = configFile(storage, { channels: [{ name: 'ops', type: 'webhook', url: `http://127.0.0.1:${slow.port}/`, secret: 'a-secret-that-is-long-enough' }] })
        const first = await serving(config)
        await post(first, 'Slow')
        await eventually(() => waiting.length === 1)
        const ended = once(first.child, 'exit')
        process.kill(first.pid, 'SIGTERM')
        // Longer than anything else may take to end.
        await sleep(4_000)
        const waits = first.child.exitCode === null
        waiting[0]?.end()
        const [code] = await ended
        const second = await serving(config)
        await post(second, 'Another')
        await eventually(() => waiting.length === 2)
        waiting[1]?.end()
        await eventually(async () => await second.value('curlew_notify_deliveries_total{channel="ops",result="delivered"') === 1)
        await slow.close()
        return `${waits ? 'waits' : 'does not wait'} for the answer; exit ${String(code)}; told ${waiting.length === 2 ? 'once' : 'again'}`
      },
      withinMs: 30_000,
    },
    {
      fault: 'another Curlew has it', expected: 'exit 2 another Curlew holds the state directory; the first goes on',
      async look() {
        const config = configFile(temporaryDirectory().path)
        const first = await serving(config)
        const { code, stderr } = await runCurlew(['notify', 'serve', '-c', config, '--web.listen-address', '127.0.0.1:0'])
        const { status } = await post(first, 'Mine')
        return `exit ${code} ${/another Curlew holds the state directory/.exec(stderr)?.[0] ?? stderr}; the first ${status === 200 ? 'goes on' : status}`
      },
      withinMs: 25_000,
    },
    {
      fault: 'the Redis that replicas share is away', expected: 'told once by the two; webhook 200 and told by the local one; shared again when Redis is back',
      async look() {
        const redis = await startRedis({ args: ['--appendonly', 'yes'] })
        const shared = { redis: { url: `redis://127.0.0.1:${redis.port}` } }
        const [one, two] = await Promise.all([serving(configFile(temporaryDirectory().path, { storage: { path: temporaryDirectory().path }, ...shared })), serving(configFile(temporaryDirectory().path, { storage: { path: temporaryDirectory().path }, ...shared }))])
        await Promise.all([post(one, 'Both'), post(two, 'Both')])
        await arrives('Both')
        await redis.process.stop('SIGKILL')
        const { status } = await eventually(async () => {
          const answer = await post(one, 'Alone')
          return answer.status === 200 ? answer : undefined
        }, 8_000, 'the local outbox')
        await arrives('Alone')
        await startRedis({ dir: redis.dir, port: redis.port, args: ['--appendonly', 'yes'] })
        await eventually(async () => {
          await post(one, 'Back')
          return await one.value('curlew_notify_shared_store_up') === 1
        }, 15_000, 'Redis again')
        return `told ${told('Both') === 1 ? 'once' : `${told('Both')} times`} by the two; webhook ${status} and told by the local one; shared again when Redis is back`
      },
      withinMs: 45_000,
    },
  ])
})

/** Gone, or dead and not yet fetched by whoever adopted it. */
function hasEnded(pid: number | undefined): boolean {
  try {
    return /State:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true
  }
}
