import type { Job } from './core/probe.ts'
import type { Scheduler } from './core/scheduler.ts'
import type { Shard } from './core/shard.ts'
import type { Store } from './core/store.ts'
import { shareOf } from './shards.ts'

const FIRST_WINDOW_MS = 30_000
/** New jobs start no faster than one in so many milliseconds, so that a large config does not begin with a burst. */
const FIRST_GAP_MS = 10

/** What a set of jobs has come to. */
export interface Settled {
  /** Targets of all shards, and of this one. */
  readonly expected: number
  readonly owned: number
  /** Everything that runs here, what is borrowed from other shards too. */
  readonly running: readonly Job[]
}

export interface JobSet {
  /** Makes the jobs of a source these and leaves everything that is unchanged alone. */
  apply(source: string, jobs: readonly Job[]): void
  /** As it was last applied. */
  of(source: string): readonly Job[]
  /** The names of those that have jobs. */
  sources(): readonly string[]
  /** Looks anew at which jobs are this process's. */
  settle(): void
  settled(): Settled
}

/** The jobs of all sources, of which those run that are this process's. Of two with one id the one of the older source does. */
export function createJobSet({ store, scheduler, place, onGone, onSettled }: {
  readonly store: Store
  readonly scheduler: Pick<Scheduler, 'put' | 'remove'>
  /** A process that is not active runs nothing. */
  readonly place: { shard(): Shard, active(): boolean }
  readonly onGone: (id: string) => void
  readonly onSettled: (settled: Settled) => void
}): JobSet {
  const sources = new Map<string, readonly Job[]>()
  let settled: Settled = { expected: 0, owned: 0, running: [] }

  function settle() {
    const all = new Map<string, Job>()
    for (const job of [...sources.values()].flat()) if (!all.has(job.id)) all.set(job.id, job)
    const { own, borrowed } = place.active() ? shareOf([...all.values()], place.shard()) : { own: [], borrowed: [] }
    const running = [...own, ...borrowed]
    removeAllBut(new Map(running.map((job) => [job.id, job])))
    for (const { id, fingerprint, node, zone } of running) {
      const old = store.get(id)?.job
      // Where it runs is no part of what it is: nothing of it begins anew.
      if (old?.fingerprint === fingerprint && (old.node !== node || old.zone !== zone)) store.put({ ...old, node, zone })
    }
    start(running.filter((job) => store.get(job.id)?.job.fingerprint !== job.fingerprint))
    settled = { expected: all.size, owned: own.length, running }
    onSettled(settled)
  }

  function removeAllBut(wanted: ReadonlyMap<string, Job>) {
    for (const { job } of [...store.all()]) {
      const next = wanted.get(job.id)
      // Phases and gauges of another type say nothing about this one.
      if (next?.type === job.type) continue
      scheduler.remove(job.id)
      store.remove(job.id)
      if (!next) onGone(job.id)
      job.release()
    }
  }

  function start(changed: readonly Job[]) {
    for (const job of changed) {
      const old = store.get(job.id)?.job
      const state = store.put(job)
      scheduler.put(job, Math.min(state.periodMs, FIRST_WINDOW_MS, changed.length * FIRST_GAP_MS))
      old?.release()
    }
  }

  return {
    apply(source, jobs) {
      if (jobs.length === 0) sources.delete(source)
      else sources.set(source, jobs)
      settle()
    },
    of: (source) => sources.get(source) ?? [],
    sources: () => [...sources.keys()],
    settle,
    settled: () => settled,
  }
}
