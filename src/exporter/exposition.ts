import type { Registry } from 'prom-client'
import type { ProbeType } from '../core/probe.ts'
import type { Store } from '../core/store.ts'
import { createBlocks, type Snapshot } from './exposition-blocks.ts'
import { formatHeader, formatRegistry, OPENMETRICS_END } from './exposition-format.ts'
import { renderJob, typeFamilies } from './exposition-job.ts'
import { familiesOf } from './families.ts'
import type { MetricsFormat } from './http-negotiate.ts'

/** The longest that a scrape keeps the event loop, give or take one job or block. */
const SLICE_MS = 1

export interface Exposition {
  /**
   * The whole exposition in chunks of some 10 KB; the series of one job are all of one moment. The event loop gets its
   * turn after `yieldEvery` lines (1,000) or 1 ms, whichever comes first. Rejects when a collector of the registry does.
   */
  render(format: MetricsFormat, options?: { readonly yieldEvery?: number }): AsyncIterable<string>
  /** Jobs rendered and blocks joined since the start: what the scrapes have cost. */
  readonly work: { readonly jobs: number, readonly blocks: number }
}

/**
 * Joins the per-target series, read from the store, with the registry's own metrics. Only what has changed since the
 * last scrape is rendered again. Throws when a family would be there twice.
 */
export function createExposition({ store, types, registry, now = Date.now }: {
  readonly store: Store
  readonly types: readonly ProbeType[]
  readonly registry: Registry
  /** Wall clock, ms. */
  readonly now?: () => number
}): Exposition {
  const families = familiesOf(types)
  for (const { name } of registry.getMetricsAsArray()) {
    if (families.some((family) => family.name === name)) throw new Error(`${name} is a per-target family, and in the registry too`)
  }
  const typesByName = new Map(types.map((type) => [type.type, typeFamilies(type)]))
  const blocks = createBlocks(families)
  /** Wall clock, ms, by slot: after it what was rendered is untrue though nobody has touched the slot. */
  const goodUntil: number[] = []
  const touched = new Set<number>(Array.from({ length: store.slots() }, (_, slot) => slot))
  store.onTouch((slot) => { touched.add(slot) })
  const work = { jobs: 0, blocks: 0 }

  /** Returns the number of lines. */
  function renderSlot(slot: number, at: number): number {
    touched.delete(slot)
    work.jobs++
    const state = store.bySlot(slot)
    goodUntil[slot] = Infinity
    if (!state) {
      blocks.clear(slot)
      return 0
    }
    return blocks.write(slot, state.job, (add) => { goodUntil[slot] = renderJob(state, typesByName.get(state.job.type), at, add) })
  }

  /** Renders every job that has changed, then joins; nothing is rendered in between, or a job's series would be of two moments. */
  async function build(yieldEvery: number): Promise<Snapshot> {
    const pace = createPace(yieldEvery)
    const at = now()
    goodUntil.forEach((until, slot) => { if (at > until) touched.add(slot) })
    for (const slot of [...touched]) if (pace.spent(renderSlot(slot, at))) await pace.rest()

    const joining = blocks.join()
    for (let step = joining.next(); ; step = joining.next()) {
      if (step.done) return step.value
      work.blocks++
      if (pace.spent(step.value)) await pace.rest()
    }
  }

  let building: Promise<Snapshot> | undefined
  let waiting: Promise<Snapshot> | undefined

  /** One build at a time. Who comes while one is under way shares the next, because a job may have been removed since it began. */
  function takeSnapshot(yieldEvery: number): Promise<Snapshot> {
    if (!building) {
      building = build(yieldEvery).finally(() => { building = undefined })
      return building
    }
    const after = () => {
      waiting = undefined
      return takeSnapshot(yieldEvery)
    }
    waiting ??= building.then(after, after)
    return waiting
  }

  return {
    work,
    async * render(format, { yieldEvery = 1_000 } = {}) {
      const snapshot = await takeSnapshot(yieldEvery)
      const pace = createPace(yieldEvery)
      for (const { family, blocks: filled } of snapshot) {
        yield formatHeader(family, format)
        for (const { text, count } of filled) {
          yield text
          if (pace.spent(count)) await pace.rest()
        }
      }
      yield await formatRegistry(registry, format) + (format === 'openmetrics' ? OPENMETRICS_END : '')
    },
  }
}

/** Counts what has been done since the event loop last had its turn. */
function createPace(yieldEvery: number) {
  let lines = 0
  let since = performance.now()
  return {
    spent(more: number): boolean {
      lines += more
      return lines >= yieldEvery || performance.now() - since >= SLICE_MS
    },
    async rest(): Promise<void> {
      await new Promise((resolve) => { setImmediate(resolve) })
      lines = 0
      since = performance.now()
    },
  }
}
