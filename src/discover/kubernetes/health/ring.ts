import { createHash } from 'node:crypto'
import { byText } from '../names.ts'

export interface RingNode {
  readonly name: string
  readonly zone: string | undefined
}

/**
 * Whom a node looks at: the next `count` nodes on a ring on which each has its place by the hash of its name, and the next one
 * after them that is in another zone, where there is one. So each node has a few edges however many nodes there are, every
 * node is on one circle with all others, and a node that comes or goes changes one edge of those before it. Nothing for a
 * node that is not among them.
 */
export function neighboursOf<T extends RingNode>(name: string, nodes: readonly T[], count: number): readonly T[] {
  const ring = nodes.map((node) => ({ node, place: placeOf(node.name) })).toSorted((a, b) => byText(a.place, b.place)).map(({ node }) => node)
  const at = ring.findIndex((node) => node.name === name)
  const own = ring[at]
  if (!own) return []
  const others = [...ring.slice(at + 1), ...ring.slice(0, at)]
  const elsewhere = own.zone === undefined ? undefined : others.slice(count).find(({ zone }) => zone !== undefined && zone !== own.zone)
  return [...others.slice(0, count), ...elsewhere ? [elsewhere] : []]
}

function placeOf(name: string): string {
  return createHash('sha256').update(name).digest('hex')
}
