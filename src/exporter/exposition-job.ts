import { judge, lapse, type Health } from '../core/health.ts'
import type { Job, ProbeType } from '../core/probe.ts'
import { LATENCY_BUCKETS, type JobState } from '../core/store.ts'
import { escapeLabel, escapeSentLabel, formatBound } from './exposition-format.ts'
import { COMMON_LABELS, CORE, familiesOfType, hasInfo, phaseFamilyName, type Family } from './families.ts'

/** How long after a run should have ended its predecessor is still believed: two scrapes. */
const STALE_AFTER_MS = 60_000

/** What is known of a probe type before any run. */
export interface TypeFamilies {
  readonly phases: string
  /** Families of the type's own by full metric name. */
  readonly own: ReadonlyMap<string, Family>
}

export function typeFamilies(type: ProbeType): TypeFamilies {
  return { phases: phaseFamilyName(type), own: new Map(familiesOfType(type).map((family) => [family.name, family])) }
}

/** Takes one sample of the job; `own` is its own labels as text, each after a comma, `suffix` what follows the family's name. */
export type AddSample = (family: Family, value: number, own?: string, suffix?: string) => void

/** `probe="…",type="…",target="…"` and the configured labels, without those whose names `own` takes. */
export function commonLabels(job: Job, own: readonly string[] = []): string {
  const [probe, type, target] = COMMON_LABELS
  const configured = Object.entries(job.labels).filter(([name]) => !own.includes(name))
  return [[probe, job.name], [type, job.type], [target, job.target], ...configured]
    .map(([name, value]) => `${name}="${escapeLabel(value ?? '')}"`).join(',')
}

/**
 * Says everything that is exported about a job at a time (wall clock, ms). Returns until when that is true: after it
 * time alone changes it.
 */
export function renderJob(state: JobState, type: TypeFamilies | undefined, now: number, add: AddSample): number {
  const { job, last } = state
  const staleAt = (state.nextRunAt ?? Infinity) + job.timeoutMs + STALE_AFTER_MS
  const stale = now > staleAt
  const health = lapse(stale ? withMissedRun(state) : state.health, now)

  if (last && !stale) {
    if (last.status !== 'unknown') add(CORE.success, Number(last.status === 'ok'))
    add(CORE.unknown, Number(last.status === 'unknown'))
    add(CORE.duration, seconds(last.ms))
    if (last.status === 'failed') add(CORE.failureInfo, 1, `,layer="${last.failure.layer}",reason="${last.failure.reason}"`)
    if (type) for (const { family, value, own } of samplesOf(last, type)) add(family, value, own)
  }

  if (health.healthy !== undefined) {
    const { cause } = state
    add(CORE.healthy, Number(health.healthy))
    add(CORE.rootCause, Number(!health.healthy && cause.kind === 'root'))
    if (!health.healthy && cause.kind === 'explained') add(CORE.explainedBy, 1, `,root="${escapeLabel(cause.root)}"`)
  }

  for (const [result, runs] of Object.entries(state.counts)) add(CORE.runs, runs, `,result="${result}"`)
  for (const [pair, runs] of state.failures) {
    const [layer, reason] = pair.split(' ')
    add(CORE.failures, runs, `,layer="${layer}",reason="${reason}"`)
  }
  if (state.latency) {
    let below = 0
    state.latency.buckets.forEach((runs, index) => {
      below += runs
      add(CORE.latency, below, `,le="${formatBound(LATENCY_BUCKETS[index] ?? Infinity)}"`, '_bucket')
    })
    add(CORE.latency, seconds(state.latency.sum * 1_000), '', '_sum')
    add(CORE.latency, below, '', '_count')
  }

  if (last) add(CORE.lastRun, last.startedAt / 1_000)
  if (state.nextRunAt !== undefined) add(CORE.nextRun, state.nextRunAt / 1_000)
  add(CORE.interval, state.periodMs / 1_000)
  for (const { name, warning, critical } of job.limits) {
    if (warning !== undefined) add(CORE.threshold, warning, `,name="${escapeLabel(name)}",level="warning"`)
    if (critical !== undefined) add(CORE.threshold, critical, `,name="${escapeLabel(name)}",level="critical"`)
  }
  if (hasInfo(job)) {
    // A configured `host` is on every series of the job, so it is the join key here too.
    const keys = CORE.info.labels.map((label) => [label, job.labels[label] ?? (label === 'host' ? job.host : label === 'node' ? job.node : job.zone)])
    add(CORE.info, 1, keys.map(([label, value]) => (value === undefined ? '' : `,${label}="${escapeLabel(value)}"`)).join(''))
  }

  const lapsesAt = health.healthy === undefined ? Infinity : health.heldUntil
  return stale ? lapsesAt : Math.min(lapsesAt, staleAt)
}

/** The phases and the gauges of a run, a series once (the last sample of it counts), those without a finite value left out. */
function samplesOf(last: NonNullable<JobState['last']>, type: TypeFamilies): Iterable<{ family: Family, value: number, own: string }> {
  const samples = new Map<string, { family: Family, value: number, own: string }>()
  const take = (name: string, value: number, labels: Readonly<Record<string, string>>) => {
    const family = type.own.get(name)
    if (!family || !Number.isFinite(value)) return
    let own = ''
    for (const label of family.labels) own += `,${label}="${escapeSentLabel(labels[label] ?? '')}"`
    samples.set(name + own, { family, value, own })
  }
  for (const { name, ms } of last.phases) take(type.phases, seconds(ms), { phase: name })
  for (const { name, value, labels } of last.gauges) take(name, value, labels ?? {})
  return samples.values()
}

/** A run that did not take place says as much as an unknown one: health is held for as long, then lapses. */
function withMissedRun({ health, job, nextRunAt, periodMs }: JobState): Health {
  const failure = { layer: 'prober', reason: 'other', code: 'prober_aborted', message: 'the run did not take place' } as const
  return judge(health, { job: job.id, startedAt: nextRunAt ?? 0, ms: 0, phases: [], gauges: [], status: 'unknown', failure }, job, periodMs)
}

/** Seconds with nine decimals: the clock tells no more, and the lines are shorter. */
function seconds(ms: number): number {
  return Math.round(ms * 1e6) / 1e9
}
