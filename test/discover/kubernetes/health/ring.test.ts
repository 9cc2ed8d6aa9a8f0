import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { neighboursOf, type RingNode } from '../../../../src/discover/kubernetes/health/ring.ts'

const node = fc.record({ name: fc.stringMatching(/^[a-z]{1,3}-\d{1,4}$/), zone: fc.constantFrom('a', 'b', 'c', undefined) })
const cluster = fc.uniqueArray(node, { selector: ({ name }) => name, minLength: 1, maxLength: 40 })
const counts = fc.integer({ min: 1, max: 5 })
const namesOf = (nodes: readonly RingNode[]) => nodes.map(({ name }) => name)
const edges = (of: string, nodes: readonly RingNode[], count: number) => namesOf(neighboursOf(of, nodes, count))

describe('the ring', () => {
  it('gives each node as many neighbours as asked for, at most one more, itself never, nobody twice', () => {
    fc.assert(fc.property(cluster, counts, (nodes, count) => {
      for (const { name } of nodes) {
        const seen = edges(name, nodes, count)
        const least = Math.min(count, nodes.length - 1)
        expect([least, least + 1]).toContain(seen.length)
        expect(new Set([...seen, name]).size).toBe(seen.length + 1)
      }
    }))
  })

  it('gives it one in another zone, wherever there is one', () => {
    fc.assert(fc.property(cluster, counts, (nodes, count) => {
      for (const { name, zone } of nodes) {
        const others = nodes.filter((other) => zone !== undefined && other.zone !== undefined && other.zone !== zone)
        const seen = neighboursOf(name, nodes, count).filter((other) => others.includes(other))
        expect(seen.length > 0).toBe(others.length > 0)
      }
    }))
  })

  it('is one circle through all nodes', () => {
    fc.assert(fc.property(cluster, (nodes) => {
      const [first] = nodes
      const met = new Set<string>()
      for (let at = first?.name; at !== undefined && !met.has(at);) {
        met.add(at)
        at = edges(at, nodes, 1)[0]
      }
      expect(met.size).toBe(nodes.length)
    }))
  })

  it('does not depend on the order in which nodes are told', () => {
    fc.assert(fc.property(cluster, counts, (nodes, count) => {
      for (const { name } of nodes) expect(edges(name, nodes.toReversed(), count)).toEqual(edges(name, nodes, count))
    }))
  })

  it('changes one edge at most of a node when another comes or goes, and those of no more than are before it', () => {
    fc.assert(fc.property(cluster, node, counts, (nodes, newcomer, count) => {
      fc.pre(nodes.every(({ name }) => name !== newcomer.name))
      const grown = [...nodes, newcomer]
      let moved = 0
      for (const { name } of nodes) {
        const [before, after] = [edges(name, nodes, count), edges(name, grown, count)]
        expect(after.filter((other) => !before.includes(other) && other !== newcomer.name)).toEqual([])
        expect(before.filter((other) => !after.includes(other)).length).toBeLessThanOrEqual(1)
        if (after.slice(0, count).includes(newcomer.name)) moved++
      }
      expect(moved).toBe(Math.min(count, nodes.length))
    }))
  })

  it('has nothing for a node that is not on it', () => {
    expect(neighboursOf('x', [{ name: 'a', zone: undefined }], 3)).toEqual([])
  })
})
