import { createHash } from 'node:crypto'
import type { DiscoveryStatus } from '../core/discovery.ts'
import { formatDuration } from '../core/fields.ts'
import { lapse } from '../core/health.ts'
import { redact } from '../core/secrets.ts'
import type { Share } from '../core/shard.ts'
import type { JobState, Store } from '../core/store.ts'
import { meaningOf, type Language } from '../words/language.ts'
import type { Query } from './api.ts'
import { PAGE_WORDS, type PageWords } from './http-words.ts'
import { discoverySection } from './page-discovery.ts'

const ROWS = 100
const REFRESH_S = 15
/** Two usual scrapes beyond the timeout, as the stale rule has it. */
const OVERDUE_MS = 30_000
const ORDER = ['failed', 'unknown', 'none', 'ok'] as const
type Shown = (typeof ORDER)[number]
const MARKS: Readonly<Record<Shown, string>> = { failed: '✖', unknown: '?', none: '…', ok: '✔' }

const STYLE = `
:root { color-scheme: light dark; --edge: #c8ccd2; --failed: #b3261e; --unknown: #8a5300; --ok: #1b6e35; --none: #5b6169 }
@media (prefers-color-scheme: dark) { :root { --edge: #43484f; --failed: #ff9c92; --unknown: #f5bf5d; --ok: #7fd698; --none: #a9b0b8 } }
body { font: 16px/1.45 system-ui, sans-serif; margin: 1rem }
h1 { font-size: 1.3rem; margin: 0 0 .5rem }
h2, h3 { font-size: 1.1rem; margin: 1rem 0 .5rem }
nav ul { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0; margin: .5rem 0 }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
caption { text-align: start; padding: .25rem 0 }
th, td { border-bottom: 1px solid var(--edge); padding: .35rem .6rem; text-align: start; vertical-align: top }
td { overflow-wrap: anywhere; min-width: 5rem }
.target { min-width: 11rem }
.note { display: block; font-size: .85rem }
.failed { color: var(--failed) } .unknown { color: var(--unknown) } .ok { color: var(--ok) } .none { color: var(--none) }
[aria-current] { font-weight: bold }
`

/** The page loads nothing and runs nothing; its one style sheet is named by its hash. */
export const PAGE_CSP = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** Text for HTML, in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')
}

export interface PageInput {
  readonly store: Store
  /** `status`, `page`, `lang`, `refresh=off`; whatever else or makes no sense is passed over, it is a page for people. */
  readonly query: Query
  readonly language: Language
  readonly ready: boolean
  readonly share: Share
  /** Wall clock, ms. */
  readonly now: number
  /** Of what is found in clusters, where something is. */
  readonly discovery?: DiscoveryStatus | undefined
}

/** The status page: 100 probes, failing ones first, in one table. */
export function renderPage({ store, query, language, ready, share, now, discovery }: PageInput): string {
  const words = PAGE_WORDS[language]
  const status = ORDER.find((known) => known === query['status'])
  const refresh = query['refresh'] !== 'off'
  const groups = grouped(store)
  const matching = status ? groups[status] : ORDER.flatMap((name) => groups[name])
  const pages = Math.max(1, Math.ceil(matching.length / ROWS))
  const page = Math.min(pages, Math.max(1, Math.trunc(Number(query['page'])) || 1))
  const link = (over: Readonly<Record<string, string | undefined>>) => {
    const all = { lang: typeof query['lang'] === 'string' ? language : undefined, status, refresh: refresh ? undefined : 'off', page: undefined, ...over }
    const pairs = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]))
    return escapeHtml(pairs.length === 0 ? '/' : `/?${pairs.join('&')}`)
  }
  const filters = [undefined, ...ORDER].map((name) => {
    const count = name ? groups[name].length : store.size()
    return `<li><a href="${link({ status: name })}"${name === status ? ' aria-current="page"' : ''}>${name ? words.status[name] : words.all}: ${count}</a></li>`
  })
  const rows = matching.slice((page - 1) * ROWS, page * ROWS).map((state) => row(state, language, words, now))
  const { columns } = words
  const heads = [columns.state, columns.probe, columns.target, columns.where, columns.message, columns.since, columns.last, columns.duration, columns.explained]
  const other = language === 'zh' ? 'en' : 'zh'

  return `<!DOCTYPE html>
<html lang="${words.htmlLang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${refresh ? `<meta http-equiv="refresh" content="${REFRESH_S}">` : ''}
<title>${groups.failed.length > 0 ? `${words.status.failed} ${groups.failed.length} · ` : ''}${words.title}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${words.title}</h1>
${ready ? '' : `<p role="status" class="unknown"><strong>${words.notReady}</strong></p>`}
${share.active ? '' : `<p role="status"><strong>${words.standby}</strong> ${share.holder === undefined ? words.noHolder : `${words.holder} <strong>${escapeHtml(share.holder)}</strong>`}</p>`}
${share.shard.total === 1 ? '' : `<p>${words.shard(share.shard.index + 1, share.shard.total, share.owned, share.expected)}</p>`}
<nav aria-label="${words.filter}"><ul>${filters.join('')}</ul></nav>
</header>
<main>
${rows.length === 0 ? `<p>${!share.active ? words.standbyEmpty : store.size() === 0 ? words.empty : words.nothingMatches}</p>` : `<div class="wide" role="region" aria-labelledby="caption" tabindex="0">
<table>
<caption id="caption">${words.caption}</caption>
<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</div>`}
${pages === 1 ? '' : `<nav aria-label="${words.pages}"><ul>
${page > 1 ? `<li><a rel="prev" href="${link({ page: String(page - 1) })}">${words.previous}</a></li>` : ''}
<li>${words.page(page, pages)}</li>
${page < pages ? `<li><a rel="next" href="${link({ page: String(page + 1) })}">${words.next}</a></li>` : ''}
</ul></nav>`}
${discovery ? discoverySection(discovery, words, now, escapeHtml) : ''}
</main>
<footer>
<p>${words.asOf} ${timeTag(now)}. ${refresh ? `${words.refreshes} <a href="${link({ refresh: 'off', page: String(page) })}">${words.refreshOff}</a>` : `<a href="${link({ refresh: undefined, page: String(page) })}">${words.refreshOn}</a>`}
· <a href="${link({ lang: other, page: String(page) })}" lang="${PAGE_WORDS[other].htmlLang}" hreflang="${other}">${words.otherLanguage}</a>
· <a href="/metrics">metrics</a> · <a href="/api/v1/probes">API</a> · <a href="/config">config</a></p>
</footer>
</body>
</html>
`
}

/** Every job by its last status, in one pass; failing ones that nothing explains come before those that are explained. */
function grouped(store: Store): Record<Shown, JobState[]> {
  const groups: Record<Shown, JobState[]> = { failed: [], unknown: [], none: [], ok: [] }
  const explained: JobState[] = []
  for (const state of store.all()) {
    const status = state.last?.status ?? 'none'
    if (status === 'failed' && state.cause.kind === 'explained') explained.push(state)
    else groups[status].push(state)
  }
  for (const state of explained) groups.failed.push(state)
  return groups
}

function row(state: JobState, language: Language, words: PageWords, now: number): string {
  const { job, last, cause } = state
  const status = last?.status ?? 'none'
  const failure = last && last.status !== 'ok' ? last.failure : undefined
  const sentence = failure && meaningOf(failure.code, job.codes)?.[language]
  const detail = failure && redact(failure.message)
  const overdue = state.nextRunAt !== undefined && now > state.nextRunAt + job.timeoutMs + OVERDUE_MS
  const why = cause.kind === 'explained' ? `<a href="/api/v1/probes/${escapeHtml(cause.rootId)}">${escapeHtml(cause.root)}</a>`
    : cause.kind === 'root' ? words.rootCause : cause.kind === 'pending' ? words.pending : ''
  const note = healthNote(state, words, now)
  return [
    `<tr><td class="${status}"><strong><span aria-hidden="true">${MARKS[status]}</span> ${words.status[status]}</strong>${note === '' ? '' : `<span class="note">${note}</span>`}</td>`,
    `<th scope="row"><a href="/api/v1/probes/${escapeHtml(job.id)}">${escapeHtml(job.name)}</a><span class="note">${escapeHtml(job.type)}</span></th>`,
    `<td class="target">${escapeHtml(job.target)}</td>`,
    `<td>${failure ? `${failure.layer} / ${failure.reason}` : ''}</td>`,
    `<td>${sentence ? escapeHtml(sentence) : ''}${detail ? `<span class="note">${escapeHtml(detail)}</span>` : ''}</td>`,
    `<td>${last ? `${timeTag(state.since)}<span class="note">${words.ago(span(now - state.since))}</span>` : ''}</td>`,
    `<td>${last ? `${timeTag(last.startedAt)}<span class="note">${words.ago(span(now - last.startedAt))}</span>` : ''}${overdue ? `<strong class="note unknown">${words.overdue}</strong>` : ''}</td>`,
    `<td>${last ? duration(last.ms) : ''}</td>`,
    `<td>${why}</td></tr>`,
  ].join('')
}

/** What alert rules go by, where it is not what the last run says. */
function healthNote(state: JobState, words: PageWords, now: number): string {
  const { healthy, goodInARow, badInARow } = lapse(state.health, now)
  if (healthy === undefined || !state.last) return ''
  if (state.last.status === 'unknown') return words.lastKnown(healthy)
  if (state.last.status === 'failed' && healthy) return words.belowThreshold(badInARow, state.job.failureThreshold)
  if (state.last.status === 'ok' && !healthy) return words.recovering(goodInARow, state.job.successThreshold)
  return ''
}

function timeTag(ms: number): string {
  const text = new Date(ms).toISOString()
  return `<time datetime="${text}">${text.slice(0, 19).replace('T', ' ')}Z</time>`
}

/** A time span by its largest units: `42s`, `5m10s`, `3h12m`, `2d4h`. */
function span(ms: number): string {
  const step = ms >= 86_400_000 ? 3_600_000 : ms >= 3_600_000 ? 60_000 : 1_000
  return formatDuration(Math.max(0, Math.floor(ms / step) * step))
}

function duration(ms: number): string {
  return ms < 1 ? `${ms.toFixed(2)} ms` : ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}
