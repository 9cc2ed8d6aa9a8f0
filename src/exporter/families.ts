import { LATENCY_BUCKETS } from '../core/store.ts'
import type { Job, ProbeType } from '../core/probe.ts'

/** All samples of one metric name. */
export interface Family {
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  /** Names of its own labels, beside `COMMON_LABELS` and the configured ones, which they take precedence over. */
  readonly labels: readonly string[]
}

/** What every per-target series carries, in this order; the configured labels follow. */
export const COMMON_LABELS = ['probe', 'type', 'target'] as const

function family(kind: Family['kind'], name: string, help: string, labels: readonly string[] = []): Family {
  return { name, kind, help, labels }
}

/** The families that every probe type has, in the order of the exposition. */
export const CORE = {
  success: family('gauge', 'probe_success', 'Whether the last run found the target well (1) or not (0); no sample before the first run and while the last one is unknown.'),
  healthy: family('gauge', 'probe_healthy', 'Whether the target is healthy after its thresholds; held through unknown runs for max(3 intervals, 5 minutes), then no sample.'),
  unknown: family('gauge', 'probe_unknown', 'Whether the last run said nothing about the target, because of trouble on the prober\'s own side.'),
  duration: family('gauge', 'probe_duration_seconds', 'How long the last run took.'),
  runs: family('counter', 'probe_runs_total', 'Runs by result (ok, failed, unknown), from registration on.', ['result']),
  failures: family('counter', 'probe_failures_total', 'Failed runs by where and why; a pair appears with its first failure.', ['layer', 'reason']),
  failureInfo: family('gauge', 'probe_failure_info', 'Where and why the last run failed, constant 1; no sample unless it did.', ['layer', 'reason']),
  latency: family('histogram', 'probe_latency_seconds', 'How long successful runs took; opt-in.', ['le']),
  rootCause: family('gauge', 'probe_root_cause', 'Whether the target is unhealthy and no failing dependency explains it; there whenever probe_healthy is.'),
  explainedBy: family('gauge', 'probe_explained_by', 'The failing dependency that explains why the target is unhealthy, constant 1.', ['root']),
  lastRun: family('gauge', 'probe_last_run_timestamp_seconds', 'When the last run began, in Unix time.'),
  nextRun: family('gauge', 'probe_next_run_timestamp_seconds', 'When the next run is due, in Unix time.'),
  interval: family('gauge', 'probe_interval_seconds', 'Time between two runs; of a cron schedule the gap between its next two.'),
  threshold: family('gauge', 'probe_threshold', 'Limits set on the levels of a probe, in the unit of the level.', ['name', 'level']),
  info: family('gauge', 'probe_info', 'The host that the target is on, and the node and zone where it runs, as far as they are known; constant 1.', ['host', 'node', 'zone']),
} as const satisfies Readonly<Record<string, Family>>

/** The family of a type's phases; a type may declare a gauge of that name to set single phases itself. */
export function phaseFamilyName(type: ProbeType): string {
  return `probe_${type.prefix ?? type.type.replaceAll('-', '_')}_duration_seconds`
}

/** The families of a type beside `CORE`: its phases, then its gauges as declared. */
export function familiesOfType(type: ProbeType): readonly Family[] {
  const phases = phaseFamilyName(type)
  const gauges = Object.entries(type.gauges).map(([name, spec]) =>
    typeof spec === 'string' ? family('gauge', name, spec) : family('gauge', name, spec.help, spec.labels))
  if (Object.keys(type.phases).length === 0 || phases in type.gauges) return gauges
  return [family('gauge', phases, 'How long each phase of the last run took.', ['phase']), ...gauges]
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/**
 * Every per-target family once, in the order of the exposition; of several help texts the first counts. Throws when a type
 * takes a name of `CORE`, types disagree on the labels of a name, or Prometheus would refuse it.
 */
export function familiesOf(types: readonly ProbeType[]): readonly Family[] {
  const core = Object.values(CORE)
  const families = new Map<string, Family>()
  for (const type of types) {
    for (const own of familiesOfType(type)) {
      if (core.some(({ name }) => name === own.name)) throw new Error(`${type.type}: ${own.name} is a metric of every type`)
      const wrong = [own.name, ...own.labels].find((name) => !NAME.test(name))
      if (wrong !== undefined) throw new Error(`${type.type}: ${wrong} is not a name that Prometheus accepts`)
      const taken = own.labels.find((label) => COMMON_LABELS.some((common) => common === label))
      if (taken !== undefined) throw new Error(`${type.type}: ${own.name} may not have a label ${taken}, every series has one`)
      const known = families.get(own.name)
      if (known && String(known.labels) !== String(own.labels)) throw new Error(`${type.type}: ${own.name} is declared elsewhere with other labels`)
      families.set(own.name, known ?? own)
    }
  }
  return [...core, ...families.values()]
}

/** Whether there is anything to say in `probe_info`. */
export function hasInfo({ host, node, zone }: Pick<Job, 'host' | 'node' | 'zone'>): boolean {
  return host !== undefined || node !== undefined || zone !== undefined
}

/**
 * The series that a target makes at most while it does not fail. An unhealthy one adds `probe_failure_info`,
 * `probe_explained_by` and one `probe_failures_total` per pair that it has ever failed with.
 */
export function seriesOf(job: Pick<Job, 'host' | 'node' | 'zone' | 'limits' | 'histogram'>, type: ProbeType): number {
  const always = [CORE.success, CORE.healthy, CORE.unknown, CORE.duration, CORE.rootCause, CORE.lastRun, CORE.nextRun, CORE.interval].length
  const results = 3
  const thresholds = job.limits.reduce((sum, limit) => sum + Number(limit.warning !== undefined) + Number(limit.critical !== undefined), 0)
  // Every bucket, the one without a bound, the sum and the count.
  const latency = job.histogram ? LATENCY_BUCKETS.length + 3 : 0
  const gauges = Object.values(type.gauges).reduce((sum, spec) => sum + (typeof spec === 'string' ? 1 : spec.series ?? 1), 0)
  return always + results + thresholds + latency + Number(hasInfo(job)) + Object.keys(type.phases).length + gauges
}
