import type { Cost, Measured } from './compare.ts'
import type { Discovered } from './discovery.ts'
import type { LatencyError } from './latency.ts'
import type { Memory } from './memory.ts'
import type { Intake } from './notify.ts'
import type { Delay } from './notify-delay.ts'
import type { ScrapeCost } from './scrape.ts'
import { median, quantile, rounded } from './stats.ts'

/** One result of the benchmark, as a line of text and as a line of JSON. */
export interface Line {
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

const COLUMNS = [22, 22, 14, 26, 9, 7] as const

export const COST_TITLE = [
  'CPU per probe in microseconds, from schedule to stored result: median (lowest to highest)',
  row(['', 'curlew', 'with scrapes', 'peer', 'ratio', 'aim']),
].join('\n')

/** A row of the table, and under it what Curlew costs without a client library. */
export function costLine({ name, aim, curlew, scraped, peer, bare, node }: Cost): Line {
  const own = median(curlew.micros)
  const ratio = peer && own / median(peer.micros)
  const lines = [row([
    name, spread(curlew), micros(median(scraped.micros)), peer ? `${peer.name.split('_')[0]} ${spread(peer)}` : '',
    ratio === undefined ? '' : ratio.toFixed(2), aim === undefined ? '' : `${ratio !== undefined && ratio > aim ? '>' : '≤'}${aim}`,
  ])]
  const part = (label: string, what: Measured) => row([`  ${label}`, spread(what), '', '', peer ? (median(what.micros) / median(peer.micros)).toFixed(2) : '', ''])
  if (bare) lines.push(part(`without ${bare.name}`, bare))
  if (node) lines.push(part('Node alone', node))
  if (curlew.lost > 0 || (peer && peer.lost > 0)) {
    lines.push(`  answered, but counted as lost: ${share(curlew)} by curlew${peer ? `, ${share(peer)} by ${peer.name}` : ''}`)
  }
  return {
    text: lines.join('\n'),
    json: {
      type: name, curlew_us: rounded(own), peer: peer?.name ?? null, peer_us: peer ? rounded(median(peer.micros)) : null, ratio: ratio === undefined ? null : rounded(ratio), aim: aim ?? null,
      curlew_us_with_scrapes: rounded(median(scraped.micros)), curlew_us_range: range(curlew), peer_us_range: peer ? range(peer) : null,
      curlew_lost: curlew.lost, peer_lost: peer?.lost ?? null, ...(bare ? { library: bare.name, curlew_us_without: rounded(median(bare.micros)), curlew_us_without_range: range(bare) } : {}), ...(node ? { node_us: rounded(median(node.micros)), node_us_range: range(node) } : {}),
    },
  }
}

export function latencyLine({ perSecond, errors }: LatencyError): Line {
  const [p50, p99, max] = quantiles(errors)
  return {
    text: `error of measured latency at ${perSecond} probes a second: p50 ${p50} ms, p99 ${p99} ms, worst ${max} ms (${errors.length} runs)`,
    json: { type: 'latency_error', per_second: perSecond, p50_ms: p50, p99_ms: p99, max_ms: max, runs: errors.length },
  }
}

export function scrapeLine({ targets, series, cpuMs, ms, bytes, quiet, scraped }: ScrapeCost): Line {
  const [calm, busy] = [quantiles(quiet), quantiles(scraped)]
  const ratio = rounded((busy[1] ?? 0) / (calm[1] ?? 0))
  const [cpu, took] = [rounded(median(cpuMs)), rounded(median(ms))]
  return {
    text: [
      `scrape of ${targets} targets, ${series} series: ${cpu} ms of CPU, done in ${took} ms, ${rounded(bytes / 1e6)} MB gzipped`,
      `error of measured latency meanwhile (1000 probes a second, a scrape every 5 s): p99 ${busy[1]} ms, without scrapes ${calm[1]} ms, ratio ${ratio} (aim ≤1.2); worst ${busy[2]} and ${calm[2]} ms`,
    ].join('\n'),
    json: { type: 'scrape', targets, series, cpu_ms: cpu, ms: took, bytes, p99_ms_quiet: calm[1], p99_ms_scraped: busy[1], ratio, aim: 1.2, max_ms_quiet: calm[2], max_ms_scraped: busy[2] },
  }
}

export function memoryLine({ rest, perThousand }: Memory): Line {
  const [rss, pss, more] = [rounded(rest.rss), rounded(rest.pss), rounded(perThousand)]
  return {
    text: `memory at rest: ${rss} MB RSS, ${pss} MB PSS (aim ≤90); ${more} MB for each further 1,000 targets`,
    json: { type: 'memory', rest_rss_mb: rss, rest_pss_mb: pss, per_1000_targets_mb: more, aim: 90 },
  }
}

export function discoveryLine({ endpoints, cpuSeconds, seconds, rss, ms }: Discovered): Line {
  const [cpu, took, memory] = [rounded(cpuSeconds), rounded(seconds), rounded(rss)]
  const [p50, p99, max] = quantiles(ms)
  return {
    text: [
      `discovery of ${endpoints} endpoints: ${cpu} s of CPU from the start (aim ≤3), scheduled after ${took} s, ${memory} MB RSS (aim ≤300)`,
      `  from a new endpoint to its probe: p50 ${p50} ms, p99 ${p99} ms, worst ${max} ms (${ms.length} times; aim ≤2000)`,
    ].join('\n'),
    json: { type: 'discovery', endpoints, cpu_s: cpu, seconds: took, rss_mb: memory, p50_ms: p50, p99_ms: p99, max_ms: max, times: ms.length, aim_cpu_s: 3, aim_rss_mb: 300, aim_ms: 2_000 },
  }
}

export function startLine(times: readonly number[]): Line {
  const middle = rounded(median(times))
  return {
    text: `from the start to the first /metrics: ${middle} ms (${rounded(Math.min(...times))} to ${rounded(Math.max(...times))}; aim ≤250)`,
    json: { type: 'start', first_metrics_ms: middle, range_ms: [rounded(Math.min(...times)), rounded(Math.max(...times))], aim: 250 },
  }
}

export function intakeLine({ clients, alerts, bytes, perSecond, deliveredPerSecond, micros: cpu, ms, refused, syncMs }: Intake): Line {
  const [rate, delivered, cost, sync] = [rounded(median(perSecond)), rounded(median(deliveredPerSecond)), rounded(median(cpu)), rounded(median(syncMs))]
  const [p50, p99, max] = quantiles(ms)
  return {
    text: [
      `notifications of ${alerts} alerts (${rounded(bytes / 1e3, 2)} KB) from ${clients} clients: ${rate} a second kept (${rounded(Math.min(...perSecond))} to ${rounded(Math.max(...perSecond))}), ${rounded(rate * alerts)} alerts a second`,
      `  answered in p50 ${p50} ms, p99 ${p99} ms, worst ${max} ms; ${refused} told to come again; one synced write of 4 KB takes ${sync} ms on this disk`,
      `  ${delivered} a second delivered; ${cost} µs of CPU from request to chat (${rounded(Math.min(...cpu))} to ${rounded(Math.max(...cpu))})`,
    ].join('\n'),
    json: {
      type: 'notify_intake', clients, alerts_each: alerts, bytes, per_second: rate, per_second_range: [rounded(Math.min(...perSecond)), rounded(Math.max(...perSecond))], alerts_per_second: rounded(rate * alerts),
      p50_ms: p50, p99_ms: p99, max_ms: max, refused, sync_ms: sync, delivered_per_second: delivered, cpu_us: cost, cpu_us_range: [rounded(Math.min(...cpu)), rounded(Math.max(...cpu))],
    },
  }
}

export function delayLine({ way, ms }: Delay): Line {
  const [p50, p99, max] = quantiles(ms)
  return {
    text: `${way}: p50 ${p50} ms, p99 ${p99} ms, worst ${max} ms (${ms.length} alerts)`,
    json: { type: 'notify_delay', way, p50_ms: p50, p99_ms: p99, max_ms: max, alerts: ms.length },
  }
}

function quantiles(errors: readonly number[]): number[] {
  return [0.5, 0.99, 1].map((q) => rounded(quantile(errors, q)))
}

function spread({ micros: values }: Measured): string {
  return `${micros(median(values))} (${micros(Math.min(...values))} to ${micros(Math.max(...values))})`
}

function range({ micros: values }: Measured): number[] {
  return [rounded(Math.min(...values)), rounded(Math.max(...values))]
}

function micros(value: number): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0)
}

function share({ lost, probes }: Measured): string {
  return `${(lost / probes * 100).toFixed(2)} %`
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padEnd(COLUMNS[index] ?? 0)).join(' ').trimEnd()
}
