import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../test/support/process.ts'
import { startCluster } from './cluster.ts'
import { cpuSeconds, memoryMegabytes } from './cpu.ts'
import { startCurlew, type Launcher } from './curlew.ts'
import type { Options } from './options.ts'
import { addresses, startTarget } from './targets.ts'

const ENDPOINTS = 10_000
const POLL_MS = 5
const PAUSE_MS = 200

export interface Discovered {
  readonly endpoints: number
  /** From the start of the process until all of them are scheduled: CPU of Curlew, its start included, and what the clock says. */
  readonly cpuSeconds: number
  readonly seconds: number
  /** MB then. */
  readonly rss: number
  /** From an endpoint that is written until its probe is scheduled, ms. */
  readonly ms: readonly number[]
}

/** What it costs to find 10,000 endpoints, each in a slice of its own, and how long a new one waits for its probe. */
export async function discovery(launcher: Launcher, { rounds }: Options): Promise<Discovered> {
  const server = await startTarget('tcp')
  const all = addresses(ENDPOINTS + rounds * 10)
  const cluster = await startCluster(all.slice(0, ENDPOINTS), server.port)
  const began = performance.now()
  const curlew = await startCurlew(launcher, { type: 'tcp', target: `127.0.0.1:${server.port}`, every: '10m' }, {
    kubernetes: { clusters: [{ name: 'bench', kubeconfig: cluster.kubeconfig, inside: true }] },
    discovery: {
      kubernetes: { quota: ENDPOINTS, rules: [{ role: 'endpointslice', selector: 'app=bench', probe: { type: 'tcp', name: 'endpoint', target: `{address}:${server.port}`, every: '10m' } }] },
    },
  })
  const scheduled = (address = '') => eventually(async () => {
    const there = await isScheduled(curlew.port, `${address}:${server.port}`)
    if (!there) await sleep(POLL_MS)
    return there
  }, 60_000, `a probe of ${address}`)
  try {
    await scheduled(all[ENDPOINTS - 1])
    const found = { endpoints: ENDPOINTS, seconds: (performance.now() - began) / 1_000, cpuSeconds: cpuSeconds(curlew.pid), rss: memoryMegabytes(curlew.pid).rss }
    const ms: number[] = []
    for (const address of all.slice(ENDPOINTS)) {
      await sleep(PAUSE_MS)
      const written = performance.now()
      cluster.add(address)
      await scheduled(address)
      ms.push(performance.now() - written)
    }
    return { ...found, ms }
  } finally {
    await curlew.stop()
    await cluster.stop()
    server.stop()
  }
}

function isScheduled(port: number, target: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    get({ port, path: `/api/v1/probes/lookup?probe=endpoint&target=${encodeURIComponent(target)}` }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
    }).on('error', reject)
  })
}
