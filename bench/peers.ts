import { fork } from 'node:child_process'
import { accessSync, constants, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { delimiter, join } from 'node:path'
import { z } from 'zod'
import { freePort, startProcess, temporaryDirectory } from '../test/support/process.ts'

export const BLACKBOX = { name: 'blackbox_exporter', package: 'prometheus-blackbox-exporter' } as const
export const SMOKEPING = { name: 'smokeping_prober', package: 'prometheus-smokeping-prober' } as const
export type Peer = typeof BLACKBOX | typeof SMOKEPING

/** What is missing of a peer, as a sentence that says how to have it; undefined when it is there. */
export function missing({ name, package: command }: Peer): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
  return found ? undefined : `${name} is not installed, so that Curlew is measured alone: as root run apt-get install -y --no-install-recommends ${command}`
}

export interface Blackbox {
  readonly pid: number
  /** Starts to ask for probes at the steady rate. */
  go(): Promise<void>
  halt(): Promise<void>
  /** How many probes have been answered since the start. Throws when one could not be had. */
  probes(): Promise<number>
  stop(): Promise<void>
}

const progress = z.object({ done: z.number(), failed: z.number() })

/** A blackbox_exporter with one module, and a process that asks it for these targets in turn. */
export async function startBlackbox(module: Readonly<Record<string, unknown>>, targets: readonly string[], perSecond: number): Promise<Blackbox> {
  const [port, dir] = [await freePort(), temporaryDirectory().path]
  const [config, plan] = [join(dir, 'blackbox.yml'), join(dir, 'plan.json')]
  writeFileSync(config, JSON.stringify({ modules: { bench: { timeout: '1500ms', ...module } } }))
  writeFileSync(plan, JSON.stringify({ port, perSecond, module: 'bench', targets, gzip: true }))
  const url = `http://127.0.0.1:${port}/probe?module=bench&target=${encodeURIComponent(targets[0] ?? '')}`
  const running = await startProcess(BLACKBOX.package, [`--config.file=${config}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], {
    ready: () => text(url).then(() => true, () => false),
  })
  const answer = await text(`${url}&debug=true`)
  if (!answer.includes('\nprobe_success 1\n')) throw new Error(`blackbox_exporter does not find its target well:\n${answer}`)

  const driver = fork(join(import.meta.dirname, 'driver.ts'), [plan], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const tell = (word: 'go' | 'halt' | 'count') => new Promise<z.output<typeof progress>>((resolve, reject) => {
    driver.once('message', (message) => resolve(progress.parse(message)))
    driver.once('exit', () => reject(new Error('the process that asks blackbox_exporter has ended')))
    driver.send(word)
  })
  await tell('count')
  return {
    pid: running.pid,
    async go() { await tell('go') },
    async halt() { await tell('halt') },
    async probes() {
      const { done, failed } = await tell('count')
      if (failed > 0) throw new Error(`blackbox_exporter did not answer ${failed} of ${done} times`)
      return done
    },
    async stop() {
      driver.kill('SIGKILL')
      await running.stop('SIGKILL')
    },
  }
}

function text(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => { body += part }).on('error', reject).on('end', () => resolve(body))
    }).on('error', reject)
  })
}
