import { setTimeout as sleep } from 'node:timers/promises'
import type { Case } from './cases.ts'
import { cpuSeconds } from './cpu.ts'
import { startCurlew, sumOf, type Curlew } from './curlew.ts'
import { BLACKBOX, startBlackbox, type Blackbox } from './peers.ts'
import type { Options } from './options.ts'
import { median } from './stats.ts'

const TARGETS = 1_000
const PER_SECOND = 500
/** How often the 1,000 targets are scraped in the share of a scrape that one probe bears. */
const SCRAPE_EVERY_S = 15
/** After a pause: until what has piled up is done, and caches are warm again. */
const SETTLE_MS = 2_500
/** Before the first turn: until everything has run a few times and is compiled. */
const WARM_UP_MS = 8_000

/** CPU per probe in microseconds, one number for each round. */
export interface Cost {
  readonly name: string
  readonly aim: number | undefined
  readonly curlew: readonly number[]
  /** With the share that one probe has in a scrape of all targets every 15 s. */
  readonly scraped: readonly number[]
  readonly peer: { readonly name: string, readonly micros: readonly number[] } | undefined
}

/** Measures one case: Curlew and blackbox_exporter take turns, each probes 1,000 targets at a steady 500 a second. */
export async function compare(launcher: string, { name, aim, start }: Case, withPeer: boolean, { rounds, seconds }: Options): Promise<Cost> {
  const load = await start(TARGETS)
  const curlew = await startCurlew(launcher, [{ name: 'bench', every: `${TARGETS / PER_SECOND}s`, timeout: '1500ms', ...load.entry, targets: load.targets }])
  const blackbox = withPeer && load.module ? await startBlackbox(load.module, load.targets, PER_SECOND) : undefined
  try {
    const own: number[] = []
    const scraped: number[] = []
    const theirs: number[] = []
    await sleep(WARM_UP_MS)
    for (let round = 0; round < rounds; round++) {
      curlew.resume()
      await sleep(SETTLE_MS)
      const { probe, scrape } = await turnOfCurlew(curlew, seconds)
      own.push(probe)
      scraped.push(probe + scrape / (PER_SECOND * SCRAPE_EVERY_S))
      curlew.pause()
      if (blackbox) theirs.push(await turnOfBlackbox(blackbox, seconds))
    }
    return { name, aim, curlew: own, scraped, peer: blackbox && { name: BLACKBOX.name, micros: theirs } }
  } finally {
    await Promise.all([curlew.stop(), blackbox?.stop(), load.stop()])
  }
}

/** Microseconds of CPU for a probe, and for a scrape. */
async function turnOfCurlew(curlew: Curlew, seconds: number): Promise<{ readonly probe: number, readonly scrape: number }> {
  const before = await curlew.scrape()
  await sleep(200)
  const [began, used] = [performance.now(), cpuSeconds(curlew.pid)]
  await sleep(seconds * 1000)
  const [ended, usedThen] = [performance.now(), cpuSeconds(curlew.pid)]
  const after = await curlew.scrape()
  const [asked, usedAfter] = [performance.now(), cpuSeconds(curlew.pid)]

  const bad = sumOf(after.text, /^probe_runs_total\{.*result="(?:failed|unknown)"/) - sumOf(before.text, /^probe_runs_total\{.*result="(?:failed|unknown)"/)
  if (bad > 0) throw new Error(`${bad} runs did not end well: ${/^probe_failure_info.*$/m.exec(after.text)?.[0] ?? 'unknown ones'}`)
  const runs = sumOf(after.text, /^probe_runs_total\{/) - sumOf(before.text, /^probe_runs_total\{/)
  const perSecond = runs / (after.began - before.began) * 1000
  const persecondCpu = (usedThen - used) / (ended - began)
  return {
    probe: (usedThen - used) * 1e6 / (perSecond * (ended - began) / 1000),
    // What the probes cost meanwhile is none of its.
    scrape: (usedAfter - usedThen - persecondCpu * (asked - ended)) * 1e6,
  }
}

async function turnOfBlackbox(blackbox: Blackbox, seconds: number): Promise<number> {
  await blackbox.go()
  await sleep(SETTLE_MS)
  const [done, used] = [await blackbox.probes(), cpuSeconds(blackbox.pid)]
  await sleep(seconds * 1000)
  const [doneThen, usedThen] = [await blackbox.probes(), cpuSeconds(blackbox.pid)]
  await blackbox.halt()
  return (usedThen - used) * 1e6 / (doneThen - done)
}

/** The ratio of the medians. */
export function ratioOf({ curlew, peer }: Cost): number | undefined {
  return peer && median(curlew) / median(peer.micros)
}
