import { watchLoop } from './core/loop.ts'
import type { Job } from './core/probe.ts'
import type { ProbeResult } from './core/result.ts'
import { createRootCauses } from './core/root-cause.ts'
import { runJob } from './core/run.ts'
import { createStore } from './core/store.ts'

export interface Outcome {
  readonly job: Job
  readonly result: ProbeResult
  /** `<probe>/<target>` of the failed dependency that explains a failure. */
  readonly explainedBy: string | undefined
}

export interface RoundOptions {
  readonly signal: AbortSignal
  readonly instance: string
  /** Unique to the command. */
  readonly once: string
  readonly concurrency: number
  readonly lateBoundMs: number
  readonly onOutcome?: (done: number, result: ProbeResult) => void
}

/** Runs every job once, now. One round is one moment: a dependency that fails in it explains its dependents. */
export async function runRound(jobs: readonly Job[], { signal, instance, once, concurrency, lateBoundMs, onOutcome }: RoundOptions): Promise<Outcome[]> {
  const loop = watchLoop(() => {})
  const results = new Map<string, ProbeResult>()
  const waiting = [...jobs]
  async function worker() {
    for (let job = waiting.shift(); job && !signal.aborted; job = waiting.shift()) {
      const result = await runJob(job, { signal, instance, once, lateSince: loop.lateSince, lateBoundMs })
      results.set(job.id, result)
      onOutcome?.(results.size, result)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, jobs.length) }, worker))
  loop.stop()
  for (const job of jobs) job.release()

  const store = createStore()
  const causes = createRootCauses(store, () => {})
  for (const job of jobs) store.put({ ...job, failureThreshold: 1 })
  causes.changed()
  const startedAt = Math.min(...[...results.values()].map((result) => result.startedAt))
  for (const result of results.values()) {
    const recorded = store.record({ ...result, startedAt })
    if (recorded) causes.settled(recorded.state, recorded.turn)
  }
  return jobs.flatMap((job) => {
    const result = results.get(job.id)
    const cause = store.get(job.id)?.cause
    return result ? [{ job, result, explainedBy: cause?.kind === 'explained' ? cause.root : undefined }] : []
  })
}
