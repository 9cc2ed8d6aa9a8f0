import type { Job } from '../core/probe.ts'
import { formatValue } from './exposition-format.ts'
import { commonLabels, type AddSample } from './exposition-job.ts'
import type { Family } from './families.ts'

/** Jobs whose lines in a family are joined into one string: with a histogram's 15 lines each still below 1,000. */
const BLOCK_JOBS = 64

/** One series. What stands before the value is written once and stays; the value is formatted when its block is joined. */
interface Cell {
  readonly key: string
  readonly prefix: string
  value: number
}

/** The series of neighbouring slots in one family, and their lines as one string. */
interface Block {
  readonly cells: Cell[][]
  text: string
  /** Lines in `text`. */
  count: number
  stale: boolean
}

interface Column {
  readonly family: Family
  readonly blocks: (Block | undefined)[]
  /** The rendering that last wrote here, and how many samples of its job it has written. */
  rendering: number
  written: number
}

interface Row {
  readonly job: Job
  readonly common: string
  /** The columns that hold series of it. */
  columns: readonly Column[]
}

/** Blocks of one moment. Strings do not change, so a slow reader may take its time. */
export type Snapshot = readonly { readonly family: Family, readonly blocks: readonly { readonly text: string, readonly count: number }[] }[]

export interface Blocks {
  /** Makes the series of a slot those that `render` adds, all in one step; returns how many they are. */
  write(slot: number, job: Job, render: (add: AddSample) => void): number
  clear(slot: number): void
  /** Joins what has changed, one block a step. The value of each step is the number of lines joined; in the end comes everything. */
  join(): Generator<number, Snapshot>
}

/** The per-target series of every slot, by family and block. */
export function createBlocks(families: readonly Family[]): Blocks {
  const columns = new Map<Family['name'], Column>(families.map((family) => [family.name, { family, blocks: [], rendering: 0, written: 0 }]))
  const rows: (Row | undefined)[] = []
  let rendering = 0

  /** Drops the series of a slot in a column from the `keep`th on. */
  function truncate(column: Column, slot: number, keep: number): void {
    const block = column.blocks[Math.floor(slot / BLOCK_JOBS)]
    const cells = block?.cells[slot % BLOCK_JOBS]
    if (!block || !cells || cells.length <= keep) return
    cells.length = keep
    block.stale = true
  }

  function clear(slot: number): void {
    for (const column of rows[slot]?.columns ?? []) truncate(column, slot, 0)
    rows[slot] = undefined
  }

  return {
    clear,

    write(slot, job, render) {
      const before = rows[slot]
      const common = before?.job === job ? before.common : commonLabels(job)
      if (before && before.common !== common) clear(slot)
      const touched: Column[] = []
      let count = 0
      rendering++
      render((family, value, own = '', suffix = '') => {
        const column = columns.get(family.name)
        if (!column) return
        if (column.rendering !== rendering) {
          column.rendering = rendering
          column.written = 0
          touched.push(column)
        }
        const block = column.blocks[Math.floor(slot / BLOCK_JOBS)] ??= { cells: Array.from({ length: BLOCK_JOBS }, () => []), text: '', count: 0, stale: false }
        const cells = block.cells[slot % BLOCK_JOBS] ??= []
        const cell = cells[column.written]
        const key = suffix + own
        if (cell?.key !== key) {
          const base = family.labels.some((label) => label in job.labels) ? commonLabels(job, family.labels) : common
          cells[column.written] = { key, prefix: `${family.name}${suffix}{${base}${own}} `, value }
          block.stale = true
        } else if (cell.value !== value) {
          cell.value = value
          block.stale = true
        }
        column.written++
        count++
      })
      for (const column of touched) truncate(column, slot, column.written)
      for (const column of rows[slot]?.columns ?? []) if (column.rendering !== rendering) truncate(column, slot, 0)
      rows[slot] = { job, common, columns: touched }
      return count
    },

    * join() {
      const snapshot: { family: Family, blocks: { text: string, count: number }[] }[] = []
      for (const { family, blocks } of columns.values()) {
        const filled: { text: string, count: number }[] = []
        for (const [index, block] of blocks.entries()) {
          if (!block) continue
          if (block.stale) {
            joinBlock(block)
            yield block.count
          }
          if (block.count === 0) blocks[index] = undefined
          else filled.push({ text: block.text, count: block.count })
        }
        if (filled.length > 0) snapshot.push({ family, blocks: filled })
      }
      return snapshot
    },
  }
}

function joinBlock(block: Block): void {
  const parts: string[] = []
  for (const cells of block.cells) {
    for (const { prefix, value } of cells) parts.push(prefix, formatValue(value), '\n')
  }
  block.text = parts.join('')
  block.count = parts.length / 3
  block.stale = false
}
