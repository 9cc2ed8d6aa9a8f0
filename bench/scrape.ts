import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds } from './cpu.ts'
import { startCurlew, type Curlew, type Launcher } from './curlew.ts'
import { delayedEntry, errorsSince } from './latency.ts'
import type { Options } from './options.ts'
import { startTarget } from './targets.ts'

const TARGETS = 10_000
const EVERY_S = 10
const SCRAPE_EVERY_MS = 5_000

export interface ScrapeCost {
  readonly targets: number
  readonly series: number
  /** CPU of one scrape, how long it took, and what went over the wire. */
  readonly cpuMs: readonly number[]
  readonly ms: readonly number[]
  readonly bytes: number
  /** Errors of measured latency in ms, while nobody scrapes and while Prometheus does, every 5 s. */
  readonly quiet: readonly number[]
  readonly scraped: readonly number[]
}

/** What a scrape of 10,000 targets costs, and what it does to the runs that are under way: windows with and without scrapes take turns. */
export async function scrapeCost(launcher: Launcher, { rounds }: Options): Promise<ScrapeCost> {
  const server = await startTarget('delay')
  const curlew = await startCurlew(launcher, delayedEntry(server.port, TARGETS, EVERY_S))
  try {
    await sleep(2 * EVERY_S * 1000)
    let { text } = await curlew.scrape()
    const series = text.split('\n').filter((line) => line.startsWith('probe_')).length
    text = ''
    const [cpuMs, ms, quiet, scraped]: number[][] = [[], [], [], []]
    let bytes = 0
    for (let round = 0; round < rounds; round++) {
      await sleep(500)
      quiet?.push(...await window(curlew, async () => { await sleep(EVERY_S * 1000) }))
      await sleep(500)
      scraped?.push(...await window(curlew, async () => {
        for (let turn = 0; turn < EVERY_S * 1000 / SCRAPE_EVERY_MS; turn++) {
          const cost = await scrapeOnce(curlew)
          cpuMs?.push(cost.cpuMs)
          ms?.push(cost.ms)
          bytes = cost.bytes
          await sleep(SCRAPE_EVERY_MS - cost.ms)
        }
      }))
    }
    return { targets: TARGETS, series, cpuMs: cpuMs ?? [], ms: ms ?? [], bytes, quiet: quiet ?? [], scraped: scraped ?? [] }
  } finally {
    await curlew.stop()
    server.stop()
  }

  async function window(running: Curlew, pass: () => Promise<void>): Promise<number[]> {
    const since = Date.now()
    await pass()
    return errorsSince(running, server, since)
  }
}

/** A scrape whose text is thrown away: to read it here would keep a core busy that the servers need. */
function scrapeOnce({ port, pid }: Curlew): Promise<{ cpuMs: number, ms: number, bytes: number }> {
  return new Promise((resolve, reject) => {
    const [began, used] = [performance.now(), cpuSeconds(pid)]
    get({ port, path: '/metrics', headers: { 'Accept-Encoding': 'gzip' } }, (response) => {
      let bytes = 0
      response.on('data', (chunk: Buffer) => { bytes += chunk.length })
      response.on('error', reject).on('end', () => resolve({ cpuMs: (cpuSeconds(pid) - used) * 1000, ms: performance.now() - began, bytes }))
    }).on('error', reject)
  })
}
