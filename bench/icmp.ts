import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startProcess } from '../test/support/process.ts'
import type { Cost } from './compare.ts'
import { cpuSeconds } from './cpu.ts'
import { scrape, startCurlew, sumOf } from './curlew.ts'
import type { Options } from './options.ts'
import { SMOKEPING } from './peers.ts'
import { addresses } from './targets.ts'

const TARGETS = 1_000
const WARM_UP_MS = 8_000

/** What one way of pinging 1,000 targets a second came to. */
interface Turn {
  readonly micros: number
  readonly lossRatio: number
}

export interface IcmpCost extends Cost {
  /** Share of the echo requests that count as lost, though all hosts are on loopback: false loss. */
  readonly loss: { readonly curlew: number, readonly peer: number | undefined }
}

/** Curlew and smokeping_prober, one after the other in each round, ping 1,000 addresses of loopback once a second, over sockets that need no privilege. */
export async function icmpCost(launcher: string, withPeer: boolean, { rounds, seconds }: Options): Promise<IcmpCost> {
  const own: Turn[] = []
  const theirs: Turn[] = []
  for (let round = 0; round < rounds; round++) {
    own.push(await turnOfCurlew(launcher, seconds))
    if (withPeer) theirs.push(await turnOfSmokeping(seconds))
  }
  const micros = (turns: readonly Turn[]) => turns.map((turn) => turn.micros)
  const worst = (turns: readonly Turn[]) => Math.max(...turns.map(({ lossRatio }) => lossRatio))
  return {
    name: 'icmp', aim: 0.1, curlew: micros(own), scraped: micros(own),
    peer: withPeer ? { name: SMOKEPING.name, micros: micros(theirs) } : undefined,
    loss: { curlew: worst(own), peer: withPeer ? worst(theirs) : undefined },
  }
}

async function turnOfCurlew(launcher: string, seconds: number): Promise<Turn> {
  const curlew = await startCurlew(launcher, [{ name: 'bench', type: 'ping', count: 1, every: '1s', timeout: '900ms', packet_timeout: '800ms', targets: addresses(TARGETS) }])
  try {
    return await turn(curlew.pid, curlew.port, seconds, (text) => ({
      sent: sumOf(text, /^probe_runs_total\{/),
      lost: sumOf(text, /^probe_runs_total\{.*result="(?:failed|unknown)"/),
    }))
  } finally {
    await curlew.stop()
  }
}

/** Debian's version takes UDP sockets unless it is told to be privileged. */
async function turnOfSmokeping(seconds: number): Promise<Turn> {
  const port = await freePort()
  const running = await startProcess(SMOKEPING.package, [`--web.listen-address=127.0.0.1:${port}`, '--config.file=', '--ping.interval=1s', '--no-privileged', '--log.level=error', ...addresses(TARGETS)], {
    ready: () => scrape(port).then(() => true, () => false), withinMs: 30_000,
  })
  try {
    let before: { readonly sent: number, readonly answered: number } | undefined
    return await turn(running.pid, port, seconds, (text) => {
      const now = { sent: sumOf(text, /^smokeping_requests_total\{/), answered: sumOf(text, /^smokeping_response_duration_seconds_count\{/) }
      before ??= now
      // What is on its way at the beginning and at the end is no loss.
      return { sent: now.sent, lost: Math.max(0, now.sent - before.sent - (now.answered - before.answered)) }
    })
  } finally {
    await running.stop('SIGKILL')
  }
}

async function turn(pid: number, port: number, seconds: number, read: (text: string) => { readonly sent: number, readonly lost: number }): Promise<Turn> {
  await sleep(WARM_UP_MS)
  const first = await scrape(port)
  const before = read(first.text)
  await sleep(200)
  const [began, used] = [performance.now(), cpuSeconds(pid)]
  await sleep(seconds * 1_000)
  const [ended, usedThen] = [performance.now(), cpuSeconds(pid)]
  const last = await scrape(port)
  const after = read(last.text)
  const perSecond = (after.sent - before.sent) / (last.began - first.began) * 1_000
  return {
    micros: (usedThen - used) * 1e6 / (perSecond * (ended - began) / 1_000),
    lossRatio: (after.lost - before.lost) / (after.sent - before.sent),
  }
}
