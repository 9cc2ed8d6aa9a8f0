import { join } from 'node:path'
import { freePort, startProcess, type Running } from './process.ts'
import { PROMETHEUSES } from './prometheus.ts'
import { listens } from './tcp.ts'
import type { createOwner } from './owner.ts'

export interface PrometheusServer extends Running {
  readonly url: string
  /** What an instant query finds. Throws what Prometheus says of a query that it does not take. */
  query(expr: string): Promise<readonly { readonly metric: Readonly<Record<string, string>>, readonly value: readonly [number, string] }[]>
  /** Its alerts, pending and firing. */
  alerts(): Promise<readonly { readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>>, readonly state: string, readonly activeAt: string }[]>
}

/** A real Prometheus on 127.0.0.1 that scrapes these targets as the job `curlew`, and evaluates these rules, each second. */
export async function startPrometheus(
  owner: ReturnType<typeof createOwner>,
  { targets, rules, alertmanager, labels = {}, relabel = [] }: {
    readonly targets: readonly string[], readonly rules: string, readonly alertmanager?: string,
    /** Of the targets, before `relabel`, a `relabel_configs`, is applied to them. */
    readonly labels?: Readonly<Record<string, string>>, readonly relabel?: readonly object[],
  },
): Promise<PrometheusServer> {
  const { path, write } = owner.place()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const running = await owner.started(startProcess(PROMETHEUSES[0].prometheus, [
    `--config.file=${write('prometheus.yml', {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [write('rules.yml', rules)],
      ...alertmanager === undefined ? {} : { alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] } },
      scrape_configs: [{ job_name: 'curlew', static_configs: [{ targets, labels }], relabel_configs: relabel }],
    })}`,
    `--storage.tsdb.path=${join(path, 'tsdb')}`, `--web.listen-address=127.0.0.1:${port}`, '--rules.alert.resend-delay=1s',
  ], { ready: () => listens(port), withinMs: 20_000 }))
  const data = async (path: string) => {
    const answer = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5_000) })
    const body = await answer.json() as { data?: unknown, error?: string } // safe: Prometheus' API answers so
    if (body.error !== undefined) throw new Error(body.error)
    return body.data
  }
  return {
    ...running, url,
    query: async (expr) => (await data(`/api/v1/query?query=${encodeURIComponent(expr)}`) as { result: Awaited<ReturnType<PrometheusServer['query']>> }).result, // safe: as above
    alerts: async () => (await data('/api/v1/alerts') as { alerts: Awaited<ReturnType<PrometheusServer['alerts']>> }).alerts, // safe: as above
  }
}
