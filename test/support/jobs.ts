import type { Job } from '../../src/core/probe.ts'
import { jobId } from '../../src/config/jobs.ts'
import type { Failure, ProbeResult } from '../../src/core/result.ts'

/** A job for tests of the core: `name` on one target, run by whoever asks. */
export function testJob(over: Partial<Job> & { name: string }): Job {
  const target = over.target ?? '127.0.0.1:1'
  const job: Job = {
    id: jobId(over.name, target), type: 'test', target, host: '127.0.0.1', labels: {}, schedule: { everyMs: 10_000 },
    timeoutMs: 1_000, failureThreshold: 1, successThreshold: 1, dependsOn: [], mode: 'read-only', limits: [], histogram: false, discovered: false, each: undefined, load: undefined,
    phases: { connect: 'connect', request: 'request' }, codes: {}, fingerprint: '', ways: () => [], run: async () => {}, release: () => {}, ...over,
  }
  return over.fingerprint === undefined ? { ...job, fingerprint: JSON.stringify(job) } : job
}

export const REFUSED: Failure = { layer: 'connect', reason: 'refused', code: 'connect_refused', message: 'refused' }

/** A result of a job as a run would give it. */
export function resultOf(job: Pick<Job, 'id'>, status: ProbeResult['status'], startedAt: number, over: Partial<ProbeResult> = {}): ProbeResult {
  const run = { job: job.id, startedAt, ms: 5, phases: [], gauges: [] }
  const failure: Failure = status === 'unknown' ? { layer: 'prober', reason: 'starved', code: 'prober_starved', message: 'late' } : REFUSED
  const result: ProbeResult = status === 'ok' ? { ...run, status } : { ...run, status, failure }
  return Object.assign(result, over)
}
