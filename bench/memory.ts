import { setTimeout as sleep } from 'node:timers/promises'
import { memoryMegabytes } from './cpu.ts'
import { startCurlew } from './curlew.ts'
import { median } from './stats.ts'
import { addresses } from './targets.ts'
import type { Options } from './options.ts'

const REST_MS = 20_000
/** Every target has run once by then. */
const FIRST_RUNS_MS = 45_000
const MANY = 10_000

/** Memory in MB (10^6 bytes), time in ms. */
export interface Footprint {
  readonly restRss: number
  readonly restPss: number
  readonly perThousandTargets: number
  /** From the start of the launcher to the end of the first answer; each of several starts. */
  readonly firstMetricsMs: readonly number[]
}

/** What an idle Curlew takes, what a thousand targets add, and how soon it answers. */
export async function footprint(launcher: string, { rounds }: Options): Promise<Footprint> {
  const firstMetricsMs: number[] = []
  for (let round = 0; round < rounds + 1; round++) {
    const began = performance.now()
    const curlew = await startCurlew(launcher, probesOf(1))
    firstMetricsMs.push(performance.now() - began)
    await curlew.stop()
  }
  const rest = await memoryOf(launcher, 1, REST_MS)
  const many = await memoryOf(launcher, MANY, FIRST_RUNS_MS)
  return {
    restRss: rest.rss, restPss: rest.pss, perThousandTargets: (many.rss - rest.rss) / (MANY / 1_000),
    // The first start fills the caches of the disk and of the compiler.
    firstMetricsMs: firstMetricsMs.slice(1),
  }
}

/** The middle one of the starts. */
export function firstMetrics({ firstMetricsMs }: Footprint): number {
  return median(firstMetricsMs)
}

async function memoryOf(launcher: string, targets: number, afterMs: number): Promise<{ readonly rss: number, readonly pss: number }> {
  const curlew = await startCurlew(launcher, probesOf(targets))
  try {
    await sleep(afterMs)
    return memoryMegabytes(curlew.pid)
  } finally {
    await curlew.stop()
  }
}

/** Nobody listens there: a run is short, and there is one only. */
function probesOf(targets: number): readonly Record<string, unknown>[] {
  return [{ name: 'bench', type: 'tcp', every: '10m', targets: addresses(targets).map((address) => `${address}:9`) }]
}
