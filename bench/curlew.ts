import { execFileSync } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { freePort, startProcess, temporaryDirectory } from '../test/support/process.ts'

const root = join(import.meta.dirname, '..')

/** Builds the bundle and lays it out as it is installed, without the sources. Returns the launcher's path. */
export function installCurlew(): string {
  const home = temporaryDirectory().path
  execFileSync(process.execPath, [join(root, 'scripts', 'build.ts')], { stdio: ['ignore', 'ignore', 'inherit'] })
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(root, part), join(home, part), { recursive: true })
  return join(home, 'bin', 'curlew.js')
}

export interface Curlew {
  readonly pid: number
  readonly port: number
  /** One scrape as Prometheus does it. The connection is kept, as its is. */
  scrape(): Promise<Scrape>
  /** Stands still until `resume`: its schedule has no other switch. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export interface Scrape {
  readonly text: string
  /** Bytes on the wire, and `performance.now()` at the beginning and the end. */
  readonly bytes: number
  readonly began: number
  readonly ended: number
}

/** Starts `curlew serve` with these probe entries and waits until it answers. */
export async function startCurlew(launcher: string, probes: readonly Record<string, unknown>[]): Promise<Curlew> {
  const port = await freePort()
  const config = join(temporaryDirectory().path, 'curlew.yaml')
  writeFileSync(config, JSON.stringify({ probes, limits: { series: 10_000_000 } }))
  const running = await startProcess(process.execPath, [launcher, 'serve', '-c', config, '--web.listen-address', `127.0.0.1:${port}`, '--log.level', 'warn'], {
    ready: () => scrape(port).then(() => true, () => false), withinMs: 60_000,
  })
  return {
    pid: running.pid,
    port,
    scrape: () => scrape(port),
    pause: () => { running.child.kill('SIGSTOP') },
    resume: () => { running.child.kill('SIGCONT') },
    async stop() {
      await running.stop('SIGKILL')
    },
  }
}

/** Asks for /metrics in gzip; the text is unpacked here, where it costs Curlew nothing. */
export function scrape(port: number): Promise<Scrape> {
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const asking = request({ port, path: '/metrics', headers: { 'Accept-Encoding': 'gzip', 'X-Prometheus-Scrape-Timeout-Seconds': '30' } }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const ended = performance.now()
        const unpack = createGunzip()
        let text = ''
        unpack.setEncoding('utf8').on('data', (part: string) => { text += part }).on('error', reject).on('end', () => resolve({ text, bytes, began, ended }))
        for (const chunk of chunks) unpack.write(chunk)
        unpack.end()
      })
    })
    asking.on('error', reject).end()
  })
}

/** Sum of the samples whose line matches. */
export function sumOf(text: string, pattern: RegExp): number {
  let sum = 0
  for (const line of text.split('\n')) if (pattern.test(line)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  return sum
}
