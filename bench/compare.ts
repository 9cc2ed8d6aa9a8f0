import { setTimeout as sleep } from 'node:timers/promises'
import type { Case } from './cases.ts'
import { cpuSeconds } from './cpu.ts'
import { lostRuns, startCurlew, WITH_BARE_PROBES, type Curlew, type Launcher } from './curlew.ts'
import type { Options } from './options.ts'
import type { Contender } from './peers.ts'
import { sumOf } from './scraping.ts'

/** How often all targets are scraped, in the share of a scrape that one probe bears. */
const SCRAPE_EVERY_S = 15
/** Before each turn: until what has piled up is done, and caches are warm again. */
const SETTLE_MS = 1_500
/** Before the first turn: until everything has run so often that it is compiled. */
const WARM_UP_MS = 15_000

/** CPU of one who probes: microseconds per probe, one number for each round. */
export interface Measured {
  readonly name: string
  readonly micros: readonly number[]
  /** Probes in all rounds, and those that were lost although the target answers. */
  readonly probes: number
  readonly lost: number
}

export interface Cost {
  readonly name: string
  readonly aim: number | undefined
  readonly curlew: Measured
  /** As `curlew`, with the share that one probe has in a scrape of all targets every 15 s. */
  readonly scraped: Measured
  readonly peer: Measured | undefined
  /** Curlew without the library of this name. */
  readonly bare: Measured | undefined
  /** Node alone, with no prober around it. */
  readonly node?: Measured | undefined
}

/** Measures one case: those who probe take turns, at the same steady rate. */
export async function compare(launcher: Launcher, test: Case, withPeer: boolean, { rounds, seconds, warmUp }: Options): Promise<Cost> {
  const { perSecond, targets } = test
  const pace = { every: `${targets / perSecond}s`, timeout: `${Math.min(1_500, targets / perSecond * 900)}ms` }
  const load = await test.start(targets)
  const running: Contender[] = []
  const started = async <T extends Contender>(contender: Promise<T>) => {
    const it = await contender
    running.push(it)
    return it
  }
  try {
    const curlew = await started(startCurlew(launcher, { ...load.entry, ...pace }))
    const bare = test.library !== undefined && load.bare ? await started(startCurlew(WITH_BARE_PROBES, { ...load.bare, ...pace })) : undefined
    const peer = withPeer && test.peer && load.startPeer ? { name: test.peer.name, contender: await started(load.startPeer(perSecond)) } : undefined
    const node = load.startNode ? await started(load.startNode(perSecond)) : undefined
    await node?.go()
    await sleep(warmUp ? WARM_UP_MS : SETTLE_MS)
    for (const contender of running) await contender.halt()

    const [own, scraped, theirs, without, alone]: Turn[][] = [[], [], [], [], []]
    for (let round = 0; round < rounds; round++) {
      await inTurn(curlew, async () => {
        const { probe, scrape } = await turnOfCurlew(curlew, seconds)
        own?.push(probe)
        scraped?.push({ ...probe, micros: probe.micros + scrape / (perSecond * SCRAPE_EVERY_S) })
      })
      if (peer) await inTurn(peer.contender, async () => { theirs?.push(await turn(peer.contender, seconds)) })
      if (node) await inTurn(node, async () => { alone?.push(await turn(node, seconds)) })
      if (bare) await inTurn(bare, async () => { without?.push((await turnOfCurlew(bare, seconds)).probe) })
    }
    return {
      name: test.name, aim: test.aim,
      curlew: sum('curlew', own), scraped: sum('curlew', scraped),
      peer: peer && sum(peer.name, theirs), bare: bare && sum(test.library ?? '', without), node: node && sum('node', alone),
    }
  } finally {
    await Promise.all([...running.map((contender) => contender.stop()), load.stop()])
  }
}

interface Turn {
  readonly micros: number
  readonly probes: number
  readonly lost: number
}

async function inTurn(contender: Contender, work: () => Promise<void>): Promise<void> {
  await contender.go()
  await sleep(SETTLE_MS)
  await work()
  await contender.halt()
}

/** Asking how far it is costs Curlew a scrape, which is no part of this: its rate is taken from in between two, the CPU from within. */
async function turnOfCurlew(curlew: Curlew, seconds: number): Promise<{ readonly probe: Turn, readonly scrape: number }> {
  const before = await curlew.scrape()
  await sleep(200)
  const [began, used] = [performance.now(), cpuSeconds(curlew.pid)]
  await sleep(seconds * 1000)
  const [ended, usedThen] = [performance.now(), cpuSeconds(curlew.pid)]
  const after = await curlew.scrape()
  const [scraped, usedAfter] = [performance.now(), cpuSeconds(curlew.pid)]

  const runs = sumOf(after.text, /^probe_runs_total\{/) - sumOf(before.text, /^probe_runs_total\{/)
  const lost = lostRuns(after.text) - lostRuns(before.text)
  if (lost > runs / 100) throw new Error(`Curlew does not find its target well: ${/^probe_failure_info.*$/m.exec(after.text)?.[0] ?? 'its runs are unknown'}`)
  const probes = runs * (ended - began) / (after.began - before.began)
  const perMs = (usedThen - used) / (ended - began)
  return {
    probe: { micros: (usedThen - used) * 1e6 / probes, probes: runs, lost },
    // The probes meanwhile are none of its.
    scrape: (usedAfter - usedThen - perMs * (scraped - ended)) * 1e6,
  }
}

async function turn(peer: Contender, seconds: number): Promise<Turn> {
  const asked = performance.now()
  const before = await peer.progress()
  const [began, used] = [performance.now(), cpuSeconds(peer.pid)]
  await sleep(seconds * 1000)
  const [ended, usedThen] = [performance.now(), cpuSeconds(peer.pid)]
  const after = await peer.progress()
  const probes = (after.done - before.done) * (ended - began) / (ended - asked)
  return { micros: (usedThen - used) * 1e6 / probes, probes: after.done - before.done, lost: Math.max(0, after.lost - before.lost) }
}

function sum(name: string, turns: readonly Turn[] = []): Measured {
  return {
    name,
    micros: turns.map(({ micros }) => micros),
    probes: turns.reduce((total, { probes }) => total + probes, 0),
    lost: turns.reduce((total, { lost }) => total + lost, 0),
  }
}
