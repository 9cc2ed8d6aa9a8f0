import { overall, type Reported } from './outcome.ts'

/** The report as one JSON document; its shape is part of the public interface (`schema_version`). */
export function jsonReport(outcomes: readonly Reported[]): string {
  const results = outcomes.map(({ job, result, explainedBy }) => ({
    id: job.id,
    name: job.name,
    type: job.type,
    target: job.target,
    labels: job.labels,
    status: result.status,
    started_at: new Date(result.startedAt).toISOString(),
    duration_seconds: result.ms / 1000,
    phases: result.phases.map(({ name, ms }) => ({ name, layer: job.phases[name], duration_seconds: ms / 1000 })),
    ...(result.status === 'ok' ? {} : { failure: result.failure }),
    ...(explainedBy === undefined ? {} : { explained_by: explainedBy }),
    gauges: result.gauges,
  }))
  return `${JSON.stringify({ schema_version: 1, status: overall(outcomes), results }, null, 2)}\n`
}
