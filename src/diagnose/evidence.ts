import type { Diagnosis, DropCause, Others } from '../core/diagnosis.ts'
import { jobName } from '../core/probe.ts'
import type { ProbeResult } from '../core/result.ts'
import type { JobState, Store } from '../core/store.ts'
import type { RouteMemory } from './walk.ts'

/** Walks at a time: each opens a handful of sockets, and must not be felt by the probes. */
const AT_ONCE = 2
/** How many may wait: an outage of everything is not understood better by a hundred walks. */
const MOST_WAITING = 20
/** The same target is not looked at again for so long: one that flaps would be looked at all the time. */
const COOLDOWN_MS = 5 * 60_000
/** Much longer, and it is no evidence of that failure any more. */
const LONGEST_MS = 20_000
/** Other probes that are named. */
const MOST_OTHERS = 10

export interface Evidence {
  /** To be told when a job turns unhealthy, with the run that did it. Returns at once. */
  gather(state: JobState, result: ProbeResult): void
  /** Forgets a job that is gone. */
  forget(id: string): void
  /** Ends what is under way. */
  stop(): void
}

export interface EvidenceOptions {
  readonly store: Store
  readonly onDrop: (cause: DropCause) => void
  readonly now?: () => number
}

/** Gathers evidence once for each outage, beside the schedule and bounded, and keeps it with the failure. */
export function createEvidence({ store, onDrop, now = () => performance.now() }: EvidenceOptions): Evidence {
  let routes: RouteMemory | undefined
  const stop = new AbortController()
  const last = new Map<string, number>()
  const waiting: (() => Promise<void>)[] = []
  let running = 0

  const next = () => {
    const work = running < AT_ONCE && !stop.signal.aborted ? waiting.shift() : undefined
    if (!work) return
    running++
    void work().finally(() => {
      running--
      next()
    })
  }

  const look = async ({ job }: JobState, result: ProbeResult) => {
    // Gone while it waited: nobody wants its host to be looked at any more.
    if (!store.get(job.id)) return
    try {
      // Loaded with the first outage: it brings libraries that an idle Curlew does not need.
      const { createRouteMemory, walk } = await import('./walk.ts')
      routes ??= createRouteMemory()
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(LONGEST_MS)])
      const walked = await walk(job, { signal, routes, run: () => result })
      // Asked last: what broke together is not noticed by every probe at the same moment.
      const diagnosis: Diagnosis = { ...walked, others: othersOf(store, job.id, result) }
      store.attach(job.id, result.startedAt, diagnosis)
    } catch {
      if (!stop.signal.aborted) onDrop('failed')
    }
  }

  return {
    gather(state, result) {
      const { id } = state.job
      if (now() - (last.get(id) ?? -Infinity) < COOLDOWN_MS) return onDrop('cooldown')
      if (waiting.length >= MOST_WAITING) return onDrop('busy')
      last.set(id, now())
      waiting.push(() => look(state, result))
      next()
    },
    forget: (id) => void last.delete(id),
    stop() {
      waiting.length = 0
      stop.abort(new Error('Curlew stops'))
    },
  }
}

/** Who else fails now, at the same layer or on the same host: one of them may be the cause of all. */
function othersOf(store: Store, id: string, result: ProbeResult): Others {
  const layer = result.status === 'ok' ? undefined : result.failure.layer
  const host = store.get(id)?.job.host
  const failing = [...store.all()].filter(({ job, last }) => job.id !== id && last?.status === 'failed')
  const atLayer = failing.filter(({ last }) => last && last.status !== 'ok' && last.failure.layer === layer)
  const onHost = failing.filter(({ job }) => host !== undefined && job.host === host)
  const named = (states: readonly JobState[]) => states.slice(0, MOST_OTHERS).map(({ job }) => jobName(job))
  return { same_layer: named(atLayer), same_layer_count: atLayer.length, same_host: named(onHost), same_host_count: onHost.length }
}
