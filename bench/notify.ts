import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, freePort, temporaryDirectory } from '../test/support/process.ts'
import { cpuSeconds } from './cpu.ts'
import { startCurlew, type Curlew, type Launcher } from './curlew.ts'
import { alertOf, notificationOf, postJson } from './notifications.ts'
import type { Options } from './options.ts'
import { sumOf } from './scraping.ts'
import { startTarget } from './targets.ts'

/** Each posts as soon as it has its answer. */
const CLIENTS = 16
const ALERTS = 10
const WARM_UP_MS = 2_000
const LONGEST_DRAIN_MS = 300_000
const SYNCS = 200

export interface Intake {
  readonly clients: number
  readonly alerts: number
  /** Of one body. */
  readonly bytes: number
  /** Notifications that were answered with 200 in a second, for each turn; and delivered, from the first to the last. */
  readonly perSecond: readonly number[]
  readonly deliveredPerSecond: readonly number[]
  /** CPU of both processes for one notification, from the request until the chat has it, in microseconds. */
  readonly micros: readonly number[]
  /** How long answers took, in ms. */
  readonly ms: readonly number[]
  /** How many were told to come again. */
  readonly refused: number
  /** How long the disk of the outbox takes for one write of 4 KB that is synced, in ms. */
  readonly syncMs: readonly number[]
}

/** Where the outbox is, and a channel whose rate does not matter. */
export function notifyTo(url: string, directory: string): Record<string, unknown> {
  return {
    allow_unauthenticated: true, allow_private_destinations: true, storage: { path: directory, entries: 10_000_000 },
    channels: [{ name: 'chat', type: 'slack', url, limits: { rates: [{ messages: 1_000_000, per: '1s' }] } }],
    routes: [{ channel: 'chat' }],
  }
}

/** Starts Curlew and waits until its outbox is open. */
export async function startForwarder(launcher: Launcher, entry: Readonly<Record<string, unknown>>, url: string, directory: string): Promise<Curlew & { readonly hook: string }> {
  const curlew = await startCurlew(launcher, entry, { notify: notifyTo(url, directory) })
  await eventually(async () => sumOf((await curlew.scrape()).text, /^curlew_notify_up /) === 1, 10_000, 'an open outbox')
  return { ...curlew, hook: `http://127.0.0.1:${curlew.port}/webhook/alertmanager` }
}

/** How many notifications Curlew takes while it delivers what it has, and what they cost. Between the turns it delivers all the rest. */
export async function intake(launcher: Launcher, { rounds, seconds, warmUp }: Options): Promise<Intake> {
  const directory = temporaryDirectory()
  const chat = await startTarget('chat')
  const curlew = await startForwarder(launcher, { type: 'tcp', target: `127.0.0.1:${await freePort()}`, every: '10m' }, `http://127.0.0.1:${chat.port}/services/T0/B0/benchmark`, directory.path)
  try {
    let serial = 0
    let refused = 0
    const next = () => notificationOf(Array.from({ length: ALERTS }, () => alertOf(++serial)))

    async function turn(ms: number) {
      const delivered = async () => sumOf((await curlew.scrape()).text, /^curlew_notify_deliveries_total\{.*result="delivered"/)
      const before = await delivered()
      const [began, used] = [performance.now(), cpuSeconds(curlew.pid)]
      const times: number[] = []
      await Promise.all(Array.from({ length: CLIENTS }, async () => {
        while (performance.now() - began < ms) {
          const body = next()
          const asked = performance.now()
          const status = await postJson(curlew.hook, body)
          if (status === 200) times.push(performance.now() - asked)
          else if (status === 503) refused++
          else throw new Error(`the webhook answered ${status}`)
        }
      }))
      const took = performance.now() - began
      if (refused > times.length / 100) throw new Error(`the webhook answered 503 to ${refused} notifications: the disk of ${directory.path} does not keep up`)
      await eventually(async () => await delivered() - before >= times.length * ALERTS, LONGEST_DRAIN_MS, 'all alerts at the chat')
      return { times, took, drained: performance.now() - began, cpu: cpuSeconds(curlew.pid) - used }
    }

    const syncMs = syncTimes(directory.path)
    if (warmUp) await turn(WARM_UP_MS)
    const turns: Awaited<ReturnType<typeof turn>>[] = []
    for (let round = 0; round < rounds; round++) {
      await sleep(500)
      turns.push(await turn(seconds * 1000))
    }
    return {
      clients: CLIENTS, alerts: ALERTS, bytes: next().length,
      perSecond: turns.map(({ times, took }) => times.length / took * 1000),
      deliveredPerSecond: turns.map(({ times, drained }) => times.length / drained * 1000),
      micros: turns.map(({ times, cpu }) => cpu * 1e6 / times.length),
      ms: turns.flatMap(({ times }) => times), refused, syncMs,
    }
  } finally {
    await curlew.stop()
    chat.stop()
    directory.remove()
  }
}

/** What no outbox that writes durably can go below, on this disk. */
function syncTimes(directory: string): number[] {
  const file = openSync(join(directory, 'sync'), 'w')
  const page = Buffer.alloc(4_096, 1)
  const times = Array.from({ length: SYNCS }, () => {
    const began = performance.now()
    writeSync(file, page)
    fdatasyncSync(file)
    return performance.now() - began
  })
  closeSync(file)
  return times
}
