import { fork } from 'node:child_process'
import { accessSync, constants, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { z } from 'zod'
import { freePort, startProcess, temporaryDirectory } from '../test/support/process.ts'
import { fetchText, sumOf } from './scraping.ts'
import { answerOf } from './targets.ts'

export const BLACKBOX = { name: 'blackbox_exporter', command: 'prometheus-blackbox-exporter' } as const
export const SMOKEPING = { name: 'smokeping_prober', command: 'prometheus-smokeping-prober' } as const
export const ALERTMANAGER = { name: 'Alertmanager', command: 'prometheus-alertmanager' } as const
export type PeerName = typeof BLACKBOX | typeof SMOKEPING

/** What is missing of a peer, as a sentence that says how to have it; undefined when it is there. */
export function missing({ name, command }: PeerName | typeof ALERTMANAGER): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  return found ? undefined : `${name} is not installed, so Curlew is measured alone: as root run apt-get install -y --no-install-recommends ${command}`
}

/** Somebody who probes and whose turn it is, or not. */
export interface Contender {
  readonly pid: number
  go(): Promise<void> | void
  halt(): Promise<void> | void
  /** How many probes it has done, and how many of them were lost although the target answers. */
  progress(): Promise<{ readonly done: number, readonly lost: number }>
  stop(): Promise<void>
}

const progress = z.object({ done: z.number(), lost: z.number() })

/** A blackbox_exporter with one module, and a process that asks it for these targets in turn, as Prometheus does. */
export async function startBlackbox(module: Readonly<Record<string, unknown>>, targets: readonly string[], perSecond: number): Promise<Contender> {
  const [port, dir] = [await freePort(), temporaryDirectory().path]
  const [config, plan] = [join(dir, 'blackbox.yml'), join(dir, 'plan.json')]
  writeFileSync(config, JSON.stringify({ modules: { bench: { timeout: '1500ms', ...module } } }))
  writeFileSync(plan, JSON.stringify({ port, perSecond, module: 'bench', targets }))
  const url = `http://127.0.0.1:${port}/probe?module=bench&target=${encodeURIComponent(targets[0] ?? '')}`
  const running = await startProcess(BLACKBOX.command, [`--config.file=${config}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], {
    ready: () => fetchText(url).then(() => true, () => false),
  })
  const answer = await fetchText(`${url}&debug=true`)
  if (!answer.includes('\nprobe_success 1\n')) throw new Error(`blackbox_exporter does not find its target well:\n${answer}`)

  const driver = await startPaced('driver.ts', plan)
  return {
    ...driver,
    pid: running.pid,
    async stop() {
      await driver.stop()
      await running.stop('SIGKILL')
    },
  }
}

/** What the probes of one kind cost with Node alone, as a plan for `node-alone.ts`. */
export interface BarePlan {
  readonly kind: 'tcp' | 'http' | 'dns' | 'tls'
  readonly hosts: readonly string[]
  readonly port: number
  readonly query?: string
  readonly caFile?: string
}

/** A process that does what a probe does, at the same rate, with Node's own means. */
export function startNodeAlone(plan: BarePlan, perSecond: number): Promise<Contender> {
  const file = join(temporaryDirectory().path, 'plan.json')
  writeFileSync(file, JSON.stringify({ ...plan, perSecond }))
  return startPaced('node-alone.ts', file)
}

/** A process that goes by `atASteadyRate`. */
async function startPaced(script: string, plan: string): Promise<Contender> {
  const child = fork(join(import.meta.dirname, script), [plan], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const tell = async (word: 'go' | 'halt' | 'count') => {
    const answer = answerOf(child)
    child.send(word)
    return progress.parse(await answer)
  }
  await tell('count')
  return {
    pid: child.pid ?? 0,
    async go() { await tell('go') },
    async halt() { await tell('halt') },
    progress: () => tell('count'),
    stop() {
      child.kill('SIGKILL')
      return Promise.resolve()
    },
  }
}

/** A smokeping_prober over UDP sockets that pings each of these hosts once a second. It has no switch, so that it stands still between its turns. */
export async function startSmokeping(hosts: readonly string[]): Promise<Contender> {
  const port = await freePort()
  const metrics = `http://127.0.0.1:${port}/metrics`
  const running = await startProcess(SMOKEPING.command, [
    '--no-privileged', '--ping.interval=1s', `--web.listen-address=127.0.0.1:${port}`, `--config.file=${join(temporaryDirectory().path, 'none.yml')}`, '--log.level=error', ...hosts,
  ], { ready: () => fetchText(metrics).then(() => true, () => false), withinMs: 30_000 })
  return {
    pid: running.pid,
    go() { running.child.kill('SIGCONT') },
    halt() { running.child.kill('SIGSTOP') },
    async progress() {
      const text = await fetchText(metrics)
      const done = sumOf(text, /^smokeping_requests_total\{/)
      return { done, lost: done - sumOf(text, /^smokeping_response_duration_seconds_count\{/) }
    },
    stop: () => running.stop('SIGKILL'),
  }
}
