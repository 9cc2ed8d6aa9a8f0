import type { DiscoveryStatus } from '../core/discovery.ts'
import { formatDuration } from '../core/fields.ts'
import { redact } from '../core/secrets.ts'
import type { PageWords } from './http-words.ts'

const MOST_REFUSED = 100

/** The section of the status page on what is found in clusters: where from, how fresh, and what is not probed as it asks to be. */
export function discoverySection({ sources, refused, refusedCounts }: DiscoveryStatus, { discovery: words, leftOut: leftOutText, outdated, stale, never, more }: PageWords, now: number, escape: (text: string) => string): string {
  const rows = sources.map(({ cluster, source, targets, freshAt, trouble, leftOut }) => {
    const state = trouble
      ? `<span class="unknown">${outdated(formatDuration(Math.max(1_000, Math.floor((now - trouble.since) / 1_000) * 1_000)), trouble.trouble)}${freshAt === undefined ? never : stale}</span><span class="note">${escape(redact(trouble.message))}</span>`
      : freshAt === undefined ? words.pending : words.upToDate
    const without = leftOut.map((one) => `<span class="note">${leftOutText(escape(source), { ...one, what: escape(one.what) })} (${escape(redact(one.message))})</span>`)
    return `<tr><td>${escape(cluster)}</td><th scope="row">${escape(source)}</th><td>${targets}</td><td>${state}${without.join('')}</td></tr>`
  })
  const shown = refused.slice(0, MOST_REFUSED)
  const rest = refusedCounts.reduce((sum, { count }) => sum + count, 0) - shown.length
  return `<section aria-labelledby="discovery">
<h2 id="discovery">${words.title}</h2>
<div class="wide" role="region" aria-labelledby="discovery" tabindex="0">
${table([words.cluster, words.source, words.targets, words.state], rows)}
</div>
${shown.length === 0 ? '' : `<h3 id="refused">${words.refused}</h3>
<div class="wide" role="region" aria-labelledby="refused" tabindex="0">
${table([words.cluster, words.object, words.problem], shown.map(({ cluster, object, message }) =>
    `<tr><td>${escape(cluster)}</td><th scope="row">${escape(object)}</th><td>${escape(redact(message))}</td></tr>`))}
</div>
${rest > 0 ? `<p>${more(rest)}</p>` : ''}`}
</section>`
}

function table(heads: readonly string[], rows: readonly string[]): string {
  return `<table>
<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>`
}
