import { setTimeout as sleep } from 'node:timers/promises'
import { startCurlew, type Curlew, type Launcher } from './curlew.ts'
import type { Options } from './options.ts'
import { addresses, startTarget, type Delay, type TargetServer } from './targets.ts'

const RATES = [100, 1_000, 3_000]
/** Every target is probed so often, so that a scrape sees one run of each in so many seconds. */
const EVERY_S = 2

/** What was measured minus what the server knows it took, in ms, for each run that was seen. */
export interface LatencyError {
  readonly perSecond: number
  readonly errors: readonly number[]
}

/** The entry that probes a server whose delay is known. */
export function delayedEntry(port: number, targets: number, everySeconds: number): Record<string, unknown> {
  return {
    type: 'tcp', send: 'x', expect: 'ok', every: `${everySeconds}s`, timeout: '1500ms',
    targets: addresses(targets).map((address) => `${address}:${port}`),
  }
}

/** The error of measured latency at several rates, while nothing else happens. */
export async function latencyErrors(launcher: Launcher, { rounds }: Options): Promise<LatencyError[]> {
  const results: LatencyError[] = []
  for (const perSecond of RATES) {
    const server = await startTarget('delay')
    const curlew = await startCurlew(launcher, delayedEntry(server.port, perSecond * EVERY_S, EVERY_S))
    try {
      await sleep(8_000)
      const errors: number[] = []
      for (let round = 0; round < rounds; round++) {
        const since = Date.now()
        await sleep((EVERY_S + 0.5) * 1000)
        errors.push(...await errorsSince(curlew, server, since))
      }
      results.push({ perSecond, errors })
    } finally {
      await curlew.stop()
      server.stop()
    }
  }
  return results
}

/** Scrapes, and returns the errors of the runs that began after `since` (Unix time, ms) and had ended when it was asked. */
export async function errorsSince(curlew: Curlew, server: TargetServer, since: number): Promise<number[]> {
  const asked = Date.now()
  const { text } = await curlew.scrape()
  const delays = Map.groupBy(await server.delays(), ({ address }) => address)
  const began = new Map<string, number>()
  const took = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, address, value] = /^(probe_last_run_timestamp_seconds|probe_tcp_duration_seconds)\{.*target="([\d.]+):\d+"(?!,phase="(?:resolve|connect)").*\} (\S+)$/.exec(line) ?? []
    if (address === undefined) continue
    if (name === 'probe_last_run_timestamp_seconds') began.set(address, Number(value) * 1000)
    else took.set(address, Number(value) * 1000)
  }
  return [...began].flatMap(([address, startedAt]) => {
    const ms = took.get(address)
    const delay = ms === undefined ? undefined : nearest(delays.get(address) ?? [], startedAt)
    return ms === undefined || !delay || startedAt < since || startedAt + ms > asked ? [] : [ms - delay.ms]
  })
}

/** The answer that a run of this start got: the one that the server was asked for next. Both clocks are this machine's. */
function nearest(delays: readonly Delay[], startedAt: number): Delay | undefined {
  return delays.filter(({ at }) => at >= startedAt - 2).toSorted((a, b) => a.at - b.at)[0]
}
