import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startProcess, temporaryDirectory } from '../test/support/process.ts'
import type { Contender } from './peers.ts'
import { fetchText, scrape, sumOf, type Scrape } from './scraping.ts'

const root = join(import.meta.dirname, '..')

/** Curlew as it is started: the installed one, or one from the sources with more probe types. */
export interface Launcher {
  readonly script: string
}

/** Builds the bundle and lays it out as it is installed, without the sources. */
export function installCurlew(): Launcher {
  const home = temporaryDirectory().path
  execFileSync(process.execPath, [join(root, 'scripts', 'build.ts')], { stdio: ['ignore', 'ignore', 'inherit'] })
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(root, part), join(home, part), { recursive: true })
  return { script: join(home, 'bin', 'curlew.js') }
}

const [, NODE_OPTIONS] = /^ENV .*\bNODE_OPTIONS=(\S+)/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8')) ?? []

/** The environment that Curlew is measured in: ours, and what the image sets for Node. */
export const AS_IN_IMAGE = { ...process.env, NODE_OPTIONS }

/** The same program with the probe types of `bare-probes.ts`. */
export const WITH_BARE_PROBES: Launcher = { script: join(import.meta.dirname, 'bare-curlew.ts') }

export interface Curlew extends Contender {
  readonly port: number
  scrape(): Promise<Scrape>
}

/** Starts `curlew serve` with this probe entry, and these sections besides, and waits until it answers. */
export async function startCurlew({ script }: Launcher, entry: Readonly<Record<string, unknown>>, sections: Readonly<Record<string, unknown>> = {}): Promise<Curlew> {
  const port = await freePort()
  const config = join(temporaryDirectory().path, 'curlew.yaml')
  writeFileSync(config, JSON.stringify({ probes: [{ name: 'bench', ...entry }], ...sections, limits: { series: 10_000_000 } }))
  const running = await startProcess(process.execPath, [script, 'serve', '-c', config, '--web.listen-address', `127.0.0.1:${port}`, '--log.level', 'warn'], {
    ready: () => fetchText(`http://127.0.0.1:${port}/metrics`).then(() => true, () => false), withinMs: 60_000, env: AS_IN_IMAGE,
  })
  return {
    pid: running.pid,
    port,
    scrape: () => scrape(port),
    // Its schedule has no switch.
    go() { running.child.kill('SIGCONT') },
    halt() { running.child.kill('SIGSTOP') },
    async progress() {
      const { text } = await scrape(port)
      return { done: sumOf(text, /^probe_runs_total\{/), lost: lostRuns(text) }
    },
    stop: () => running.stop('SIGKILL'),
  }
}

/** Runs that did not end well. */
export function lostRuns(text: string): number {
  return sumOf(text, /^probe_runs_total\{.*result="(?:failed|unknown)"/)
}
