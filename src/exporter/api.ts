import type { Diagnosis } from '../core/diagnosis.ts'
import { lapse } from '../core/health.ts'
import { jobName, type ProbeType } from '../core/probe.ts'
import { STATUSES, type Failure, type PhaseTiming } from '../core/result.ts'
import { redact } from '../core/secrets.ts'
import type { Share } from '../core/shard.ts'
import type { JobState, Store } from '../core/store.ts'
import { diagnosisSentence } from '../words/diagnosis.ts'
import { meaningOf } from '../words/language.ts'

/** Version of everything under /api/v1; keys are added, never changed. */
export const SCHEMA_VERSION = 1
const USUAL_LIMIT = 100
/** More would hold up the event loop, and with it the measurements. */
const LARGEST_LIMIT = 500
/** Of others that fail alike. */
const MOST_NAMED = 5

/** A query as express's simple parser gives it. */
export type Query = Readonly<Record<string, unknown>>
export type Answer = { readonly status: 200 | 400 | 404, readonly body: object }

const STATES = [...STATUSES, 'none'] as const

/** A page of probes, filtered by `probe`, `target`, `type` and `status` (`none`: has not run yet), in the order of the config. */
export function listProbes(store: Store, types: readonly ProbeType[], share: Share, query: Query): Answer {
  const read = readQuery(query, ['probe', 'target', 'type', 'status', 'limit', 'offset'])
  if ('error' in read) return refused(read.error)
  const { probe, target, type, status, limit: limitText, offset: offsetText } = read.values
  if (type !== undefined && !types.some((known) => known.type === type)) return refused(`type: expected one of ${types.map((known) => known.type).join(', ')}.`)
  if (status !== undefined && !STATES.some((known) => known === status)) return refused(`status: expected one of ${STATES.join(', ')}.`)
  const limit = wholeNumber(limitText ?? String(USUAL_LIMIT))
  if (limit === undefined || limit < 1 || limit > LARGEST_LIMIT) return refused(`limit: expected a number between 1 and ${LARGEST_LIMIT}.`)
  const offset = wholeNumber(offsetText ?? '0')
  if (offset === undefined) return refused('offset: expected a number of probes to leave out.')

  const page: JobState[] = []
  let total = 0
  for (const state of store.all()) {
    const { job } = state
    if (probe !== undefined && job.name !== probe) continue
    if (target !== undefined && job.target !== target) continue
    if (type !== undefined && job.type !== type) continue
    if (status !== undefined && (state.last?.status ?? 'none') !== status) continue
    if (total >= offset && page.length < limit) page.push(state)
    total++
  }
  const now = Date.now()
  return { status: 200, body: { schema_version: SCHEMA_VERSION, replica: replicaJson(share), total, offset, limit, probes: page.map((state) => probeJson(state, now)) } }
}

/** One probe with its history, by id. */
export function probeById(store: Store, id: string): Answer {
  const state = store.get(id)
  return state ? { status: 200, body: { schema_version: SCHEMA_VERSION, probe: historyJson(store, state) } } : notFound(`There is no probe with the id ${id.slice(0, 40)}.`)
}

/** One probe with its history, by `?probe=&target=`; `target` may be left out when the probe has only one. */
export function probeByName(store: Store, query: Query): Answer {
  return byName(store, query, ['probe', 'target'])
}

/** As `probeByName`, for an alert: a probe of whose labels `cluster` and `source_cluster` one is another than asked for is not the one. */
export function diagnosisOf(store: Store, query: Query): Answer {
  return byName(store, query, ['probe', 'target', 'cluster', 'source_cluster'])
}

function byName(store: Store, query: Query, keys: readonly ('probe' | 'target' | 'cluster' | 'source_cluster')[]): Answer {
  const read = readQuery(query, keys)
  if ('error' in read) return refused(read.error)
  const { probe, target, ...labels } = read.values
  if (probe === undefined) return refused('probe: expected the name of a probe.')
  const found = [...store.all()].filter(({ job }) => job.name === probe && (target === undefined || job.target === target)
    && Object.entries(labels).every(([label, value]) => (job.labels[label] ?? value) === value))
  const [state, another] = found
  if (!state) return notFound(target === undefined ? 'There is no probe of this name.' : 'There is no probe of this name with this target.')
  if (another) return refused(`target: the probe has ${found.length} targets, name one.`)
  return probeById(store, state.job.id)
}

/** An error as every path under /api answers it. */
export function errorJson(error: string): object {
  return { schema_version: SCHEMA_VERSION, error }
}

function replicaJson({ active, lease, holder, shard, expected, owned }: Share) {
  return { active, lease: lease ?? null, holder: holder ?? null, shard: shard.index, shards: shard.total, targets_expected: expected, targets_owned: owned }
}

function probeJson(state: JobState, now: number) {
  const { job, last, cause } = state
  const explained = cause.kind === 'explained' ? cause : undefined
  return {
    id: job.id,
    name: job.name,
    type: job.type,
    target: job.target,
    labels: job.labels,
    mode: job.mode,
    status: last?.status ?? null,
    since: last ? time(state.since) : null,
    healthy: lapse(state.health, now).healthy ?? null,
    failing_since: time(state.health.failingSince),
    root_cause: cause.kind === 'root',
    cause_pending: cause.kind === 'pending',
    explained_by: explained?.root ?? null,
    explained_by_id: explained?.rootId ?? null,
    explained_through: explained?.through ?? [],
    last_run: last ? { started_at: time(last.startedAt), duration_seconds: seconds(last.ms), phases: phasesJson(last.phases) } : null,
    ...(last && last.status !== 'ok' ? { failure: failureJson(state, last.failure) } : {}),
    next_run: time(state.nextRunAt),
    interval_seconds: seconds(state.periodMs),
    timeout_seconds: seconds(job.timeoutMs),
    runs: { ...state.counts },
  }
}

function historyJson(store: Store, state: JobState) {
  const names = Object.keys(state.job.phases)
  return {
    ...probeJson(state, Date.now()),
    explains: explainsCount(store, state),
    failing_alike: failingAlike(store, state),
    gauges: (state.last?.gauges ?? []).map(({ name, value, labels }) => ({ name, value: Number.isFinite(value) ? value : null, labels: labels ?? {} })),
    history: {
      runs: store.runs(state).map(({ startedAt, ms, status, layer, reason, phases }) => ({
        started_at: time(startedAt),
        duration_seconds: seconds(ms),
        status,
        ...(status === 'ok' ? {} : { layer, reason }),
        phases: names.flatMap((name, index) => {
          const phase = phases[index]
          return phase === undefined || Number.isNaN(phase) ? [] : [{ name, duration_seconds: seconds(phase) }]
        }),
      })),
      minutes: store.minutes(state).map(({ startedAt, count, failed, p50, p95 }) => ({
        started_at: time(startedAt), runs: count, failed, p50_seconds: seconds(p50), p95_seconds: seconds(p95),
      })),
      failures: store.failures(state).map(({ startedAt, ms, status, failure, phases, evidence }) => ({
        started_at: time(startedAt), duration_seconds: seconds(ms), status, failure: failureJson(state, failure), phases: phasesJson(phases),
        ...(evidence ? { evidence: evidenceJson(state, evidence) } : {}),
      })),
    },
  }
}

/** How many others this one is the root cause of. */
function explainsCount(store: Store, { job: { id } }: JobState): number {
  let count = 0
  for (const { cause } of store.all()) if (cause.kind === 'explained' && cause.rootId === id) count++
  return count
}

/** Others whose last run failed on the layer on which this one's did; null when that did not fail. */
function failingAlike(store: Store, { job: { id }, last: mine }: JobState) {
  if (mine?.status !== 'failed') return null
  const names: string[] = []
  let count = 0
  for (const { job, last } of store.all()) {
    if (job.id === id || last?.status !== 'failed' || last.failure.layer !== mine.failure.layer) continue
    count++
    if (names.length < MOST_NAMED) names.push(jobName(job))
  }
  return { count, names }
}

function failureJson({ job }: JobState, { layer, reason, code, message }: Failure) {
  // Redacted once when the run ended; a secret that was read since then counts as well.
  return { layer, reason, code, message: redact(message), sentence: meaningOf(code, job.codes) ?? null }
}

function evidenceJson({ job: { codes } }: JobState, evidence: Diagnosis) {
  return { ...evidence, sentence: { en: diagnosisSentence(evidence, codes, 'en'), zh: diagnosisSentence(evidence, codes, 'zh') } }
}

function phasesJson(phases: readonly PhaseTiming[]) {
  return phases.map(({ name, ms }) => ({ name, duration_seconds: seconds(ms) }))
}

/** RFC 3339 in UTC, from milliseconds. */
function time(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}

/** Seconds to the microsecond, which is as exact as the history is; null where there is no number. */
function seconds(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms * 1000) / 1e6 : null
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

function readQuery<const K extends string>(query: Query, keys: readonly K[]): { readonly values: Partial<Record<K, string>> } | { readonly error: string } {
  const values: Partial<Record<K, string>> = {}
  for (const [name, value] of Object.entries(query)) {
    const key = keys.find((known) => known === name)
    if (key === undefined) return { error: `Unknown parameter ${JSON.stringify(name.slice(0, 40))}: expected ${keys.join(', ')}.` }
    if (typeof value !== 'string') return { error: `${key}: expected one value.` }
    values[key] = value
  }
  return { values }
}

const refused = (message: string): Answer => ({ status: 400, body: errorJson(message) })
const notFound = (message: string): Answer => ({ status: 404, body: errorJson(message) })
