import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, temporaryDirectory } from '../test/support/process.ts'
import { memoryMegabytes } from './cpu.ts'
import { AS_IN_IMAGE, startCurlew, type Launcher } from './curlew.ts'
import type { Options } from './options.ts'
import { addresses, startTarget } from './targets.ts'

const [FEW, MANY] = [1_000, 10_000]
const AT_REST_MS = 20_000
const STARTS = 11

export interface Memory {
  /** MB at rest with one slow target. */
  readonly rest: { readonly rss: number, readonly pss: number }
  /** MB more for 1,000 tcp targets more, each of which has run. */
  readonly perThousand: number
}

export async function memory(launcher: Launcher): Promise<Memory> {
  const server = await startTarget('tcp')
  const after = async (targets: number, ms: number) => {
    const curlew = await startCurlew(launcher, { type: 'tcp', every: '10m', targets: addresses(targets).map((address) => `${address}:${server.port}`) })
    await sleep(ms)
    const used = memoryMegabytes(curlew.pid)
    await curlew.stop()
    return used
  }
  try {
    const rest = await after(1, AT_REST_MS)
    // Every target runs once within the first 30 s.
    const [few, many] = [await after(FEW, 30_000 + AT_REST_MS), await after(MANY, 30_000 + AT_REST_MS)]
    return { rest, perThousand: (many.rss - few.rss) / (MANY - FEW) * 1000 }
  } finally {
    server.stop()
  }
}

/** Milliseconds from the start of the process to the first answer of /metrics, several times; the first start, with a cold disk, is left out. */
export async function startTimes({ script }: Launcher, { rounds }: Options): Promise<number[]> {
  const config = join(temporaryDirectory().path, 'curlew.yaml')
  writeFileSync(config, JSON.stringify({ probes: [{ name: 'bench', type: 'tcp', target: '127.0.0.1:1', every: '10m' }] }))
  const times: number[] = []
  for (let start = 0; start < Math.min(STARTS, 2 * rounds + 1); start++) {
    const port = await freePort()
    const began = performance.now()
    const child = spawn(process.execPath, [script, 'serve', '-c', config, '--web.listen-address', `127.0.0.1:${port}`, '--log.level', 'silent'], { stdio: 'ignore', env: AS_IN_IMAGE })
    while (!await answers(port)) await sleep(1)
    times.push(performance.now() - began)
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
  }
  return times.slice(1)
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    get({ port, path: '/metrics' }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
    }).on('error', () => resolve(false))
  })
}
