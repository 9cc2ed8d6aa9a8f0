import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds } from './cpu.ts'
import { startCurlew, type Curlew } from './curlew.ts'
import { quantile } from './stats.ts'
import { addresses, startTarget, type Delay, type TargetServer } from './targets.ts'
import type { Options } from './options.ts'

const RATES = [100, 1_000, 3_000]
/** Every target runs so often: what a scrape shows are the runs of the last two seconds. */
const EVERY_S = 2
/** The config of the comparison with and without scrapes: so many targets, each so often. */
const SCRAPED = { targets: 10_000, everyS: 10, scrapeEveryS: 5 }
/** Until every target has run twice. */
const WARM_UP_MS = 5_000

/** How much more than the server's own delay was measured, in ms. */
export interface LatencyError {
  readonly perSecond: number
  readonly samples: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** The error of measured latency against a server that knows its delay, at each rate. */
export async function latencyErrors(launcher: string, { rounds }: Options): Promise<LatencyError[]> {
  const found: LatencyError[] = []
  for (const perSecond of RATES) {
    found.push(await withDelays(launcher, perSecond * EVERY_S, EVERY_S, async (curlew, server) => {
      const errors: number[] = []
      for (let round = 0; round < rounds; round++) {
        await server.delays()
        await sleep(EVERY_S * 2_000)
        errors.push(...errorsOf((await curlew.scrape()).text, await server.delays()))
      }
      return statistics(perSecond, errors)
    }))
  }
  return found
}

/** What a scrape of 10,000 targets costs, and the error of latency with scrapes and without, taking turns. */
export interface ScrapeCost {
  readonly cpuMs: number
  readonly tookMs: number
  readonly bytes: number
  readonly without: LatencyError
  readonly with: LatencyError
}

/** Measures `ScrapeCost`. */
export function scrapeCost(launcher: string, { rounds }: Options): Promise<ScrapeCost> {
  const { targets, everyS, scrapeEveryS } = SCRAPED
  return withDelays(launcher, targets, everyS, async (curlew, server) => {
    const errors = { without: [] as number[], with: [] as number[] }
    const costs: { readonly cpuMs: number, readonly tookMs: number, readonly bytes: number }[] = []
    for (let round = 0; round < Math.min(rounds, 3); round++) {
      for (const turn of ['without', 'with'] as const) {
        await server.delays()
        for (let second = 0; second < everyS * 1.5; second += scrapeEveryS) {
          await sleep(scrapeEveryS * 1_000)
          if (turn === 'with') costs.push(await costOf(curlew))
        }
        errors[turn].push(...errorsOf((await curlew.scrape()).text, await server.delays()))
      }
    }
    const perSecond = targets / everyS
    const middle = (figure: (one: typeof costs[number]) => number) => quantile(costs.map(figure), 0.5)
    return {
      cpuMs: middle(({ cpuMs }) => cpuMs), tookMs: middle(({ tookMs }) => tookMs), bytes: middle(({ bytes }) => bytes),
      without: statistics(perSecond, errors.without), with: statistics(perSecond, errors.with),
    }
  })
}

/** CPU of one scrape: what the probes of the same time cost, as a second before shows, is none of its. */
async function costOf(curlew: Curlew): Promise<{ readonly cpuMs: number, readonly tookMs: number, readonly bytes: number }> {
  const [at, before] = [performance.now(), cpuSeconds(curlew.pid)]
  await sleep(1_000)
  const [began, used] = [performance.now(), cpuSeconds(curlew.pid)]
  const { bytes } = await curlew.scrape()
  const [ended, after] = [performance.now(), cpuSeconds(curlew.pid)]
  const tookMs = ended - began
  return { cpuMs: (after - used) * 1_000 - (used - before) * 1_000 / (began - at) * tookMs, tookMs, bytes }
}

async function withDelays<T>(launcher: string, targets: number, everyS: number, measure: (curlew: Curlew, server: TargetServer) => Promise<T>): Promise<T> {
  const server = await startTarget('delay')
  const probe = { name: 'bench', type: 'tcp', send: 'x', expect: '^ok', every: `${everyS}s`, timeout: '1500ms', targets: addresses(targets).map((address) => `${address}:${server.port}`) }
  const curlew = await startCurlew(launcher, [probe])
  try {
    await sleep(WARM_UP_MS + everyS * 2_000)
    return await measure(curlew, server)
  } finally {
    await curlew.stop()
    server.stop()
  }
}

/** For each target's last run: the time that its request was measured to take, less what the server knows it took. */
function errorsOf(text: string, delays: readonly Delay[]): number[] {
  const last = new Map(delays.map((delay) => [delay.address, delay]))
  const began = samples(text, /^probe_last_run_timestamp_seconds\{.*?target="([\d.]+):\d+".*\} (\S+)$/gm)
  const took = samples(text, /^probe_tcp_duration_seconds\{.*?target="([\d.]+):\d+".*phase="request".*\} (\S+)$/gm)
  return [...last.values()].flatMap(({ address, at, ms }) => {
    const [start, seconds] = [began.get(address), took.get(address)]
    // The run that the server answered last may not have ended when the scrape was made.
    if (start === undefined || seconds === undefined || at < start * 1_000 - 1 || at > start * 1_000 + 1_000) return []
    return [seconds * 1_000 - ms]
  })
}

function samples(text: string, pattern: RegExp): Map<string, number> {
  return new Map(Array.from(text.matchAll(pattern), ([, target = '', value]) => [target, Number(value)]))
}

function statistics(perSecond: number, errors: readonly number[]): LatencyError {
  return { perSecond, samples: errors.length, p50: quantile(errors, 0.5), p99: quantile(errors, 0.99), max: quantile(errors, 1) }
}
