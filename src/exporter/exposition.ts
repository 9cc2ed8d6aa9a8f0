import type { Registry } from 'prom-client'
import type { Job, ProbeType } from '../core/probe.ts'
import type { Store } from '../core/store.ts'
import { formatHeader, formatRegistry, OPENMETRICS_END, type Format } from './exposition-format.ts'
import { commonLabels, renderJob, typeFamilies } from './exposition-lines.ts'
import { familiesOf, type Family } from './families.ts'

/** Jobs whose lines in a family are joined into one string: with a histogram's 15 lines each still below 1,000. */
const BLOCK_JOBS = 64
/** The longest that a scrape keeps the event loop, give or take one job or block. */
const SLICE_MS = 1
const CHUNK_CHARACTERS = 65_536

/** The lines of neighbouring slots in one family, and all of them as one string. */
interface Block {
  readonly lines: string[]
  text: string
  /** Lines in `text`. */
  count: number
  stale: boolean
}

interface Column {
  readonly family: Family
  readonly blocks: (Block | undefined)[]
}

/** What is remembered of a slot from one rendering to the next. */
interface Row {
  readonly job: Job
  readonly common: string
  /** Names of the families that hold lines of it. */
  readonly families: readonly string[]
  /** Wall clock, ms: after it the lines are untrue though nobody has touched the slot. */
  readonly goodUntil: number
}

/** The blocks of one moment. Strings do not change, so a slow reader may take its time. */
type Snapshot = readonly { readonly family: Family, readonly blocks: readonly { readonly text: string, readonly count: number }[] }[]

export interface Exposition {
  /**
   * The whole exposition in chunks of some 64 KB; the series of one job are all of one moment. The event loop gets its
   * turn after `yieldEvery` lines (1,000) or 1 ms, whichever comes first. Rejects when a collector of the registry does.
   */
  render(format: Format, options?: { readonly yieldEvery?: number }): AsyncIterable<string>
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
  const columns = new Map<string, Column>(familiesOf(types).map((family) => [family.name, { family, blocks: [] }]))
  for (const { name } of registry.getMetricsAsArray()) {
    if (columns.has(name)) throw new Error(`${name} is a per-target family, and in the registry too`)
  }
  const typesByName = new Map(types.map((type) => [type.type, typeFamilies(type)]))
  const rows: (Row | undefined)[] = []
  const touched = new Set<number>(Array.from({ length: store.slots() }, (_, slot) => slot))
  store.onTouch((slot) => { touched.add(slot) })
  const work = { jobs: 0, blocks: 0 }

  const write = (slot: number, name: string, text: string) => {
    const column = columns.get(name)
    if (!column) return
    const index = Math.floor(slot / BLOCK_JOBS)
    const block = column.blocks[index] ??= { lines: Array.from({ length: BLOCK_JOBS }, () => ''), text: '', count: 0, stale: false }
    if (block.lines[slot % BLOCK_JOBS] === text) return
    block.lines[slot % BLOCK_JOBS] = text
    block.stale = true
  }

  /** Renders every family of a slot, or clears them all when its job is gone. Returns the number of lines. */
  function renderSlot(slot: number, at: number): number {
    touched.delete(slot)
    work.jobs++
    const state = store.bySlot(slot)
    const before = rows[slot]
    if (!state) {
      for (const name of before?.families ?? []) write(slot, name, '')
      rows[slot] = undefined
      return 0
    }
    const common = before?.job === state.job ? before.common : commonLabels(state.job)
    const { families, count, goodUntil } = renderJob(state, typesByName.get(state.job.type), common, at)
    for (const name of before?.families ?? []) if (!families.has(name)) write(slot, name, '')
    for (const [name, text] of families) write(slot, name, text)
    rows[slot] = { job: state.job, common, families: [...families.keys()], goodUntil }
    return count
  }

  /** Brings the lines up to date, then joins them; nothing is rendered in between, or a job's series would be of two moments. */
  async function build(yieldEvery: number): Promise<Snapshot> {
    const pace = createPace(yieldEvery)
    const at = now()
    rows.forEach((row, slot) => { if (row && at > row.goodUntil) touched.add(slot) })
    for (const slot of [...touched]) if (pace.spent(renderSlot(slot, at))) await pace.rest()

    const snapshot: { family: Family, blocks: { text: string, count: number }[] }[] = []
    for (const { family, blocks } of columns.values()) {
      const filled: { text: string, count: number }[] = []
      for (const [index, block] of blocks.entries()) {
        if (!block) continue
        if (block.stale) {
          join(block)
          work.blocks++
          if (pace.spent(block.count)) await pace.rest()
        }
        if (block.count === 0) blocks[index] = undefined
        else filled.push({ text: block.text, count: block.count })
      }
      if (filled.length > 0) snapshot.push({ family, blocks: filled })
    }
    return snapshot
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
      let chunk = ''
      for (const { family, blocks } of snapshot) {
        chunk += formatHeader(family, format)
        for (const { text, count } of blocks) {
          chunk += text
          if (chunk.length >= CHUNK_CHARACTERS) {
            yield chunk
            chunk = ''
          }
          if (pace.spent(count)) await pace.rest()
        }
      }
      yield chunk + await formatRegistry(registry, format) + (format === 'openmetrics' ? OPENMETRICS_END : '')
    },
  }
}

function join(block: Block): void {
  block.text = block.lines.join('')
  block.count = 0
  for (let end = block.text.indexOf('\n'); end >= 0; end = block.text.indexOf('\n', end + 1)) block.count++
  block.stale = false
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
