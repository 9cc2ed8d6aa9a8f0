import { createElector, type Elector } from '../../src/kubernetes/lease.ts'
import { KubeError, type KubeCall } from '../../src/kubernetes/model.ts'

/** What the way to the API is like for an elector at a time: `lost` takes a write in and loses the answer. */
export type Way = 'open' | 'away' | 'lost'

export interface Conditions {
  /** Real time, ms. */
  way(elector: number, at: number): Way
  /** Until when the process stands still, if it does. */
  pausedUntil(elector: number, at: number): number | undefined
  /** How far the wall clock is off. */
  wallOff(elector: number, at: number): number
  /** 0 to 1. */
  random(): number
}

interface LeaseObject {
  metadata: { resourceVersion: string, name: string }
  spec: { holderIdentity?: string, leaseTransitions?: number, renewTime?: string, acquireTime?: string, leaseDurationSeconds?: number }
}

export interface Write {
  readonly at: number
  readonly by: number
  readonly before: string
  readonly holder: string
}

/** Several electors and one Lease in simulated time, with an API that checks the resourceVersion as the real one does. */
export function createWorld(count: number, durationMs: number, conditions: Conditions) {
  let now = 0
  let order = 0
  const queue: { at: number, order: number, run: () => void }[] = []
  const after = (ms: number, run: () => void) => { queue.push({ at: now + ms, order: order++, run }) }
  let lease: LeaseObject | undefined
  let version = 100
  const writes: Write[] = []
  const turns: { at: number, elector: number, active: boolean }[] = []
  const stopped = new Set<number>()

  /** Runs something in the process of an elector: later, where that stands still. */
  function inside(elector: number, run: () => void) {
    const until = conditions.pausedUntil(elector, now)
    if (until === undefined) run()
    else after(until - now, () => inside(elector, run))
  }

  function apply(by: number, { method = 'GET', body }: KubeCall): unknown {
    const sent = structuredClone(body) as LeaseObject
    if (method === 'GET') {
      if (!lease) throw new KubeError('not_found', 'no such Lease')
      return structuredClone(lease)
    }
    if (method === 'POST' ? lease !== undefined : sent.metadata.resourceVersion !== lease?.metadata.resourceVersion) {
      throw lease || method === 'POST' ? new KubeError('conflict', 'it has been modified') : new KubeError('not_found', 'no such Lease')
    }
    writes.push({ at: now, by, before: lease?.spec.holderIdentity ?? '', holder: sent.spec.holderIdentity ?? '' })
    lease = { metadata: { ...sent.metadata, resourceVersion: String(++version) }, spec: sent.spec }
    return structuredClone(lease)
  }

  const clientOf = (elector: number) => ({
    namespace: () => Promise.resolve('monitoring'),
    json: (call: KubeCall) => new Promise<unknown>((resolve, reject) => {
      const fail = (error: Error) => inside(elector, () => reject(error))
      call.signal?.addEventListener('abort', () => reject(new KubeError('timeout', 'aborted')))
      after(call.timeoutMs ?? 10_000, () => fail(new KubeError('timeout', 'no answer')))
      after(1 + conditions.random() * 150, () => {
        const way = conditions.way(elector, now)
        if (way === 'away') return
        let answer: () => void
        try {
          const value = apply(elector, call)
          answer = () => resolve(value)
        } catch (error) {
          answer = () => reject(error)
        }
        if (way === 'open') after(1 + conditions.random() * 150, () => inside(elector, answer))
      })
    }),
  })

  const electors: Elector[] = Array.from({ length: count }, (_, elector) => createElector({
    client: clientOf(elector), namespace: 'monitoring', name: 'curlew', identity: `curlew-${elector}`, durationMs,
    onTurn: (active) => turns.push({ at: now, elector, active }),
    onTrouble: () => {},
    random: conditions.random,
    clock: {
      // Of this machine alone.
      now: () => now + elector * 1e9,
      wall: () => 1_700_000_000_000 + now + conditions.wallOff(elector, now),
      wait: (ms, signal) => new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve())
        after(ms, () => inside(elector, resolve))
      }),
    },
  }))

  return {
    electors, writes, turns, stopped,
    now: () => now,
    lease: () => lease,
    edit: (change: LeaseObject | undefined) => { lease = change && { ...change, metadata: { ...change.metadata, resourceVersion: String(++version) } } },
    active: () => electors.flatMap((elector, index) => (elector.active() ? [index] : [])),
    stop(index: number): Promise<void> {
      stopped.add(index)
      return electors[index]!.stop(1_000)
    },
    /** Lets time go on until then; `look` is called after everything that happens. */
    async until(end: number, look: () => void = () => {}) {
      for (;;) {
        // Everything that waits for what has just happened has its turn.
        for (let turn = 0; turn < 20; turn++) await Promise.resolve()
        look()
        const next = queue.reduce<(typeof queue)[number] | undefined>((first, event) => (!first || event.at < first.at || (event.at === first.at && event.order < first.order) ? event : first), undefined)
        if (!next || next.at > end) break
        queue.splice(queue.indexOf(next), 1)
        now = next.at
        next.run()
      }
      now = end
    },
  }
}
