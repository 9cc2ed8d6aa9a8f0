import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startProcess, temporaryDirectory, type Running } from './process.ts'

export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly startsAt?: string
  readonly endsAt?: string
}

export interface Alertmanager {
  readonly url: string
  readonly process: Running
  /** Sends alerts as Prometheus does. */
  post(alerts: readonly PostedAlert[]): Promise<void>
  /** What it knows, muted or not. */
  alerts(): Promise<readonly { readonly labels: Readonly<Record<string, string>>, readonly status: { readonly state: string } }[]>
  /** The value of one of its own metrics, summed over its labels. */
  metric(name: string): Promise<number>
  stop(): Promise<void>
}

/** A real Alertmanager on 127.0.0.1, alone, with this config. */
export async function startAlertmanager(config: string): Promise<Alertmanager> {
  const directory = temporaryDirectory()
  const file = join(directory.path, 'alertmanager.yml')
  writeFileSync(file, config)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const process = await startProcess('prometheus-alertmanager', [
    `--config.file=${file}`, `--storage.path=${join(directory.path, 'data')}`, `--web.listen-address=127.0.0.1:${port}`, '--cluster.listen-address=',
  ], { ready: async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok ?? false })
  return {
    url,
    process,
    async post(alerts) {
      const answer = await fetch(`${url}/api/v2/alerts`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(alerts) })
      if (!answer.ok) throw new Error(`Alertmanager took no alerts: ${answer.status} ${await answer.text()}`)
    },
    alerts: async () => await (await fetch(`${url}/api/v2/alerts`)).json() as Awaited<ReturnType<Alertmanager['alerts']>>, // safe: Alertmanager's API answers so
    async metric(name) {
      const text = await (await fetch(`${url}/metrics`)).text()
      return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
    async stop() {
      await process.stop()
      directory.remove()
    },
  }
}
