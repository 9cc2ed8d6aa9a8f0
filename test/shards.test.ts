import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jobId } from '../src/config/jobs.ts'
import { ownerOf, shardOf, shareOf } from '../src/shards.ts'
import { testJob } from './support/jobs.ts'

describe('which shard this is', () => {
  it('is told by the config, else by the pod', () => {
    expect(shardOf(undefined, 'curlew-7f9c4-x2x9z')).toEqual({ index: 0, total: 1 })
    expect(shardOf({ total: 3, index: 2 }, 'curlew-0')).toEqual({ index: 2, total: 3 })
    expect(shardOf({ total: 12 }, 'curlew-room-b-11')).toEqual({ index: 11, total: 12 })
  })

  it('says in a sentence why it is none', () => {
    for (const name of ['curlew', 'curlew-7f9c4-x2x9z', 'curlew1', '']) expect(shardOf({ total: 3 }, name)).toEqual({ error: expect.stringContaining('curlew-0') })
    expect(shardOf({ total: 3 }, 'curlew-3')).toEqual({ error: expect.stringContaining('total is 3') })
  })
})

const ids = Array.from({ length: 4_000 }, (_, index) => jobId('probe', `10.0.0.1:${index}`))

describe('the hash', () => {
  it('gives every shard about its share', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 24 }), (total) => {
      const counts = Array.from({ length: total }, () => 0)
      for (const id of ids) counts[ownerOf(id, total)]!++
      const mean = ids.length / total
      // Five standard deviations of a fair draw.
      for (const count of counts) expect(Math.abs(count - mean)).toBeLessThan(5 * Math.sqrt(mean))
    }), { numRuns: 12 })
  })

  it('moves with one shard more about 1/total of the jobs, and only to the new one', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 23 }), (total) => {
      const moved = ids.filter((id) => ownerOf(id, total) !== ownerOf(id, total + 1))
      expect(moved.every((id) => ownerOf(id, total + 1) === total)).toBe(true)
      const mean = ids.length / (total + 1)
      expect(Math.abs(moved.length - mean)).toBeLessThan(5 * Math.sqrt(mean))
    }), { numRuns: 12 })
  })

  it('is the same in every version: another one would move everything at an upgrade', () => {
    expect(['a1b2c3d4e5f6', '000000000000', 'ffffffffffff'].map((id) => [ownerOf(id, 3), ownerOf(id, 24)])).toMatchInlineSnapshot(`
      [
        [
          1,
          1,
        ],
        [
          0,
          22,
        ],
        [
          2,
          22,
        ],
      ]
    `)
  })
})

describe('the share', () => {
  const dependency = (probe: string, target?: string) => ({ probe, remote: false, ...(target === undefined ? {} : { target }) })
  const all = [
    ...['1', '2', '3', '4'].map((port) => testJob({ name: 'dns', target: `127.0.0.1:${port}` })),
    testJob({ name: 'gateway', dependsOn: [dependency('dns', '127.0.0.1:2')] }),
    ...Array.from({ length: 40 }, (_, index) => testJob({ name: `redis-${index}`, dependsOn: index % 2 === 0 ? [dependency('gateway')] : [{ probe: 'elsewhere', remote: true }] })),
    testJob({ name: 'web', dependsOn: [dependency('dns')] }),
  ]

  it('is everything for one alone', () => {
    expect(shareOf(all, { index: 0, total: 1 })).toEqual({ own: all, borrowed: [] })
  })

  it('covers every job once, and brings to each shard what its jobs depend on, over several steps', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 30 }), (total) => {
      const shares = Array.from({ length: total }, (_, index) => shareOf(all, { index, total }))
      expect(shares.flatMap(({ own }) => own).toSorted((a, b) => all.indexOf(a) - all.indexOf(b))).toEqual(all)
      for (const { own, borrowed } of shares) {
        const here = new Set([...own, ...borrowed])
        expect(here.size).toBe(own.length + borrowed.length)
        const wanted = [...here].flatMap(({ dependsOn }) => dependsOn.filter(({ remote }) => !remote).flatMap(({ probe, target }) => all.filter((job) => job.name === probe && (target === undefined || job.target === target))))
        for (const job of wanted) expect(here).toContain(job)
        for (const job of borrowed) expect(wanted).toContain(job)
      }
    }), { numRuns: 20 })
  })
})
