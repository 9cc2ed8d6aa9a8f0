import type { Entry } from '../outbox.ts'

/** A service that refuses so many alerts, each alone and none taken between, refuses everything: fewer are neighbours of one kind. */
const MOST_REFUSED = 12
/** Entries whose half is remembered. */
const MOST_REMEMBERED = 2_000

/** Entries that could not be told together: those of one half go together, until the one to blame stands alone. */
export interface Halves {
  /** The half of an entry, by its id. */
  readonly of: Map<number, number>
  last: number
  /** Alerts that were refused for good or could not be composed, each alone, since a message was taken. */
  refusedInRow: number
}

export function noHalves(): Halves {
  return { of: new Map(), last: 0, refusedInRow: 0 }
}

/** Whether both are of one half, or of none: what may be told in one message. */
export function ofOneHalf({ of }: Halves, one: Entry, other: Entry): boolean {
  return of.get(one.id) === of.get(other.id)
}

/** Parts in halves what could not be told together. False: that is no use, for it stands alone, or the service refuses whatever comes. */
export function halve(halves: Halves, entries: readonly Entry[]): boolean {
  if (entries.length === 1) halves.refusedInRow++
  if (entries.length < 2 || halves.refusedInRow >= MOST_REFUSED) return false
  if (halves.of.size > MOST_REMEMBERED) halves.of.clear()
  const [left, right] = [++halves.last, ++halves.last]
  for (const [index, { id }] of entries.entries()) halves.of.set(id, index < entries.length / 2 ? left : right)
  return true
}
