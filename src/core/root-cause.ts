import type { Job } from './probe.ts'
import { jobName } from './probe.ts'
import type { Cause, JobState, Store, Turn } from './store.ts'

/** Dependencies that one broken job may have run at once. */
const MOST_ASKED = 20
/** Added to what a dependency may take by its own settings before nobody waits for it any longer. */
const GRACE_MS = 10_000

interface Episode {
  /** By dependency id: how often it was asked to run, and how many runs it had had at that time. */
  readonly asked: Map<string, { readonly times: number, readonly runs: number }>
  /** Wall clock, ms: until when dependencies are waited for. */
  readonly until: number
  /** Wall clock, ms: start of the failed run that made the job unhealthy. */
  readonly turnedAt: number
  /** Wall clock, ms: start of the run that cleared the last of the dependencies; the job has been asked to run once since. */
  clearedAt: number | undefined
}

export interface RootCauses {
  /** Takes in that a job has a new result. Call after `store.record`. */
  settled(state: JobState, turn: Turn): void
  /** Looks at every unhealthy job again: dependencies may have come or gone. Call after the job set has changed. */
  changed(): void
}

/**
 * Decides which unhealthy jobs are root causes. A dependency explains a job when all its targets are unhealthy and were
 * still so after the job broke; until that is known the job is pending and accuses nobody. The root is kept for the
 * episode: until the job is healthy, or fails again after its dependency came back.
 */
export function createRootCauses(store: Store, runNow: (id: string) => void): RootCauses {
  const episodes = new Map<string, Episode>()
  /** Jobs whose cause is `explained`, so that a recovery need not look at every job there is. */
  const explained = new Map<string, JobState>()
  /** Jobs by probe name; dependents by the probe name they depend on. */
  let byName = new Map<string, JobState[]>()
  let dependents = new Map<string, JobState[]>()

  function set(state: JobState, cause: Cause) {
    state.cause = cause
    if (cause.kind === 'explained') explained.set(state.job.id, state)
    else explained.delete(state.job.id)
    store.touch(state.slot)
  }

  function targetsOf(dependency: Job['dependsOn'][number]): readonly JobState[] {
    const all = byName.get(dependency.probe) ?? []
    return dependency.target === undefined ? all : all.filter((state) => state.job.target === dependency.target)
  }

  /**
   * What one dependency says of a job that has failed since `since` and was unhealthy with the run of `turnedAt`. A good
   * answer clears the dependency only when it is younger than that run: the first failure of a streak may have been chance.
   */
  function verdict(dependency: Job['dependsOn'][number], since: number, turnedAt: number): 'explains' | { readonly clearedAt: number } | { readonly waitFor: readonly JobState[] } {
    const targets = targetsOf(dependency)
    const waitFor: JobState[] = []
    for (const target of targets) {
      const { last, health, cause } = target
      const failed = last?.status === 'failed'
      if (!last || last.startedAt < (failed ? since : turnedAt)) waitFor.push(target)
      // An unknown run is no acquittal of what was failing before it.
      else if (last.status === 'unknown' && (health.healthy === false || health.badInARow > 0)) waitFor.push(target)
      else if (!failed) return { clearedAt: last.status === 'ok' ? last.startedAt : 0 }
      // Failing, but its threshold has not damped it into unhealthy yet; or broken too, and its own root still open.
      else if (health.healthy !== false || cause.kind === 'pending') waitFor.push(target)
    }
    if (waitFor.length > 0) return { waitFor }
    return targets.length > 0 ? 'explains' : { clearedAt: 0 }
  }

  function evaluate(state: JobState) {
    const since = state.health.failingSince ?? state.last?.startedAt ?? 0
    const local = state.job.dependsOn.filter((dependency) => !dependency.remote)
    const turnedAt = episodes.get(state.job.id)?.turnedAt ?? state.last?.startedAt ?? 0
    const waitFor: JobState[] = []
    let clearedAt = 0
    for (const dependency of local) {
      const said = verdict(dependency, since, turnedAt)
      if (said === 'explains') return explain(state, targetsOf(dependency))
      if ('clearedAt' in said) clearedAt = Math.max(clearedAt, said.clearedAt)
      else waitFor.push(...said.waitFor)
    }
    const episode = episodes.get(state.job.id) ?? begin(state, turnedAt, waitFor)
    const { last } = state
    // Only a failure of its own is a reason to stop waiting: an unknown run says nothing new.
    if (last?.status === 'failed' && Date.now() > episode.until) return set(state, { kind: 'root' })
    if (waitFor.length > 0) {
      set(state, { kind: 'pending' })
      for (const target of waitFor) ask(episode, target)
      return
    }
    // A dependency may have come back just after this job failed: it is accused once it fails beside dependencies that are well.
    const asked = episode.clearedAt !== undefined
    episode.clearedAt ??= clearedAt
    if (episode.clearedAt === 0 || (last?.status === 'failed' && last.startedAt >= episode.clearedAt)) return set(state, { kind: 'root' })
    set(state, { kind: 'pending' })
    if (!asked) runNow(state.job.id)
  }

  function begin(state: JobState, turnedAt: number, waitFor: readonly JobState[]): Episode {
    const longest = Math.max(0, ...waitFor.map(({ job }) => job.timeoutMs * job.failureThreshold))
    const episode: Episode = { asked: new Map(), until: Date.now() + longest + GRACE_MS, turnedAt, clearedAt: undefined }
    episodes.set(state.job.id, episode)
    return episode
  }

  /** Runs a dependency at once, as often as its threshold needs to be sure. */
  function ask(episode: Episode, { job, counts }: JobState) {
    const before = episode.asked.get(job.id)
    const runs = counts.ok + counts.failed + counts.unknown
    const answered = before?.runs !== runs
    const times = before?.times ?? 0
    if (!answered || times >= job.failureThreshold || (times === 0 && episode.asked.size >= MOST_ASKED)) return
    episode.asked.set(job.id, { times: times + 1, runs })
    runNow(job.id)
  }

  function explain(state: JobState, targets: readonly JobState[]) {
    const first = targets.toSorted((a, b) => (jobName(a.job) < jobName(b.job) ? -1 : 1))[0]
    if (!first) return
    const { root, rootId } = first.cause.kind === 'explained' ? first.cause : { root: jobName(first.job), rootId: first.job.id }
    set(state, { kind: 'explained', root, rootId, through: targets.map((target) => target.job.id) })
  }

  /** Whether a run that began at `startedAt` saw the end of what explained it: a dependency it went through, or its root, was unhealthy no more. */
  function over(cause: Cause & { kind: 'explained' }, startedAt: number): boolean {
    return [...cause.through, cause.rootId].some((id) => {
      const dependency = store.get(id)
      return dependency === undefined || (dependency.health.healthy !== false && dependency.since <= startedAt)
    })
  }

  function index() {
    byName = Map.groupBy(store.all(), (state) => state.job.name)
    dependents = new Map()
    for (const state of store.all()) {
      for (const { probe, remote } of state.job.dependsOn) {
        if (!remote) dependents.set(probe, [...dependents.get(probe) ?? [], state])
      }
    }
  }

  function judgeAgain(state: JobState): void {
    if (state.health.healthy !== false) {
      episodes.delete(state.job.id)
      if (state.cause.kind !== 'none') set(state, { kind: 'none' })
      return
    }
    const { cause } = state
    if (cause.kind === 'none' || cause.kind === 'pending') evaluate(state)
    else if (cause.kind === 'explained' && state.last?.status === 'failed' && over(cause, state.last.startedAt)) {
      episodes.delete(state.job.id)
      evaluate(state)
    }
  }

  /** Who waits for a job looks again, and who waits for those that no longer do. Ends because dependencies have no circle. */
  function tellDependents(state: JobState) {
    for (const dependent of dependents.get(state.job.name) ?? []) {
      if (dependent.cause.kind !== 'pending') continue
      judgeAgain(dependent)
      if (dependent.cause.kind !== 'pending') tellDependents(dependent)
    }
  }

  return {
    settled(state, turn) {
      judgeAgain(state)
      tellDependents(state)
      if (turn !== 'healthy') return
      for (const { job, cause } of explained.values()) {
        if (cause.kind === 'explained' && (cause.rootId === state.job.id || cause.through.includes(state.job.id))) runNow(job.id)
      }
    },
    changed() {
      index()
      for (const id of episodes.keys()) if (!store.get(id)) episodes.delete(id)
      for (const id of explained.keys()) if (!store.get(id)) explained.delete(id)
      for (const state of [...store.all()]) {
        if (state.health.healthy !== false) continue
        judgeAgain(state)
        tellDependents(state)
      }
    },
  }
}
