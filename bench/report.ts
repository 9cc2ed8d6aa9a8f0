import { ratioOf, type Cost } from './compare.ts'
import type { IcmpCost } from './icmp.ts'
import type { LatencyError, ScrapeCost } from './latency.ts'
import { firstMetrics, type Footprint } from './memory.ts'
import { median, rounded } from './stats.ts'

/** Something that was measured: one JSON object, and lines for people. */
export interface Row {
  readonly json: Readonly<Record<string, unknown>>
  readonly text: string
}

const HEAD = ['| probe | Curlew, µs | with its share of a scrape | peer, µs | ratio | aim |', '|---|---|---|---|---|---|'].join('\n')

/** The head of the table of costs. */
export function tableHead(): string {
  return HEAD
}

/** CPU per probe: medians of the rounds, with the least and the most of them. */
export function costRow(cost: Cost): Row {
  const { name, aim, curlew, scraped, peer } = cost
  const ratio = ratioOf(cost)
  const scrapedRatio = peer && median(scraped) / median(peer.micros)
  return {
    json: {
      type: name, curlew_us: rounded(median(curlew)), curlew_with_scrape_us: rounded(median(scraped)),
      ...(peer && ratio !== undefined ? { peer: peer.name, peer_us: rounded(median(peer.micros)), ratio: rounded(ratio, 2) } : {}),
      ...(aim === undefined ? {} : { aim }),
      spread_us: [rounded(Math.min(...curlew)), rounded(Math.max(...curlew))],
    },
    text: `| ${[
      name, spread(curlew), Math.round(median(scraped)),
      peer ? `${spread(peer.micros)} ${peer.name}` : '–',
      ratio === undefined || scrapedRatio === undefined ? '–' : `${rounded(ratio, 2)} (${rounded(scrapedRatio, 2)})`,
      aim ?? '–',
    ].join(' | ')} |`,
  }
}

/** What of the pings counts as lost on loopback. */
export function lossRow({ loss }: IcmpCost): Row {
  const percent = (ratio: number) => `${rounded(ratio * 100, 2)} %`
  return {
    json: { type: 'icmp_false_loss', curlew: loss.curlew, ...(loss.peer === undefined ? {} : { peer: loss.peer }) },
    text: `ICMP, 1,000 targets a second: false loss ${percent(loss.curlew)}${loss.peer === undefined ? '' : `, smokeping_prober ${percent(loss.peer)}`}`,
  }
}

/** The error of measured latency at one rate. */
export function latencyRow({ perSecond, samples, p50, p99, max }: LatencyError): Row {
  return {
    json: { type: 'latency_error', per_second: perSecond, samples, p50_ms: rounded(p50), p99_ms: rounded(p99), max_ms: rounded(max) },
    text: `error of measured latency at ${perSecond} probes a second: median ${rounded(p50)} ms, p99 ${rounded(p99)} ms, worst ${rounded(max)} ms (${samples} runs)`,
  }
}

/** A scrape of 10,000 targets, and what it does to the error. */
export function scrapeRow({ cpuMs, tookMs, bytes, without, with: scraped }: ScrapeCost): Row {
  const ratio = scraped.p99 / without.p99
  return {
    json: {
      type: 'scrape_10000', cpu_ms: rounded(cpuMs), took_ms: rounded(tookMs), bytes, aim: 1.2, p99_ratio: rounded(ratio),
      p99_without_ms: rounded(without.p99), p99_with_ms: rounded(scraped.p99),
    },
    text: `a scrape of 10,000 targets: ${rounded(cpuMs)} ms of CPU, ${rounded(tookMs)} ms, ${Math.round(bytes / 1_000)} KB compressed; scraped every 5 s, the p99 error of latency is ${rounded(scraped.p99)} ms, without ${rounded(without.p99)} ms: ${rounded(ratio)} times (aim 1.2)`,
  }
}

/** Memory, and the time to the first answer. */
export function footprintRow(footprint: Footprint): Row {
  const { restRss, restPss, perThousandTargets, firstMetricsMs } = footprint
  return {
    json: {
      type: 'footprint', rest_rss_mb: rounded(restRss), rest_pss_mb: rounded(restPss), per_1000_targets_mb: rounded(perThousandTargets),
      first_metrics_ms: rounded(firstMetrics(footprint)), first_metrics_spread_ms: [rounded(Math.min(...firstMetricsMs)), rounded(Math.max(...firstMetricsMs))],
    },
    text: `at rest ${Math.round(restRss)} MB (${Math.round(restPss)} MB not shared; aim 90), ${rounded(perThousandTargets, 2)} MB per 1,000 targets; first /metrics after ${spread(firstMetricsMs)} ms (aim 250)`,
  }
}

function spread(numbers: readonly number[]): string {
  return `${Math.round(median(numbers))} (${Math.round(Math.min(...numbers))}-${Math.round(Math.max(...numbers))})`
}
