import { describe, expect, it } from 'vitest'
import { parseSlots, SLOTS, slotOf, tagOf, uncovered } from '../../../src/probes/lib/redis-slots.ts'

describe('slots', () => {
  // The first is the check value of the Redis Cluster specification, the others are CLUSTER KEYSLOT's.
  it.each([
    ['123456789', 0x31c3], ['a', 15_495], ['b', 3_300], ['foo', 12_182], ['x{foo}y', 12_182], ['{foo}{bar}', 12_182],
    ['{}foo', 9_500], ['foo{', 7_673], ['{a{b}c', 13_340], ['', 0],
  ])('of %j is %i', (key, slot) => {
    expect(slotOf(key)).toBe(slot)
  })

  it('has a short tag for each, always the same, that puts any key there', () => {
    for (let slot = 0; slot < SLOTS; slot++) {
      const tag = tagOf(slot)
      expect(slotOf(`probe:{${tag}}curlew:host:0123456789ab`)).toBe(slot)
      expect(tag.length).toBeLessThanOrEqual(4)
    }
    expect(tagOf(5_461)).toBe(tagOf(5_461))
  })
})

describe('CLUSTER SLOTS', () => {
  const node = (host: string | null, port: number, ...more: string[]) => [host, port, 'f'.repeat(40), more]

  it('is read by master, in the order of the slots, with the replicas of each', () => {
    const masters = parseSlots([
      [200, 300, node('10.0.0.1', 1), node('10.0.0.3', 3)],
      [101, 199, node('10.0.0.2', 2)],
      [0, 100, node('10.0.0.1', 1), node('10.0.0.3', 3)],
    ], 'seed')
    expect(masters.map(({ endpoint, ...rest }) => ({ endpoint: String(endpoint), ...rest }))).toEqual([
      { endpoint: '10.0.0.1:1', slots: [[0, 100], [200, 300]], replicas: 1 },
      { endpoint: '10.0.0.2:2', slots: [[101, 199]], replicas: 0 },
    ])
    expect(uncovered(masters)).toBe(SLOTS - 301)
    expect(uncovered(parseSlots([[0, SLOTS - 1, node('h', 1)]], 'seed'))).toBe(0)
    expect(uncovered([])).toBe(SLOTS)
  })

  it.each<[string, string | null, string[], string]>([
    ['an address', '10.0.0.1', [], '10.0.0.1:7000'],
    ['an IPv6 address', '2001:db8::1', [], '[2001:db8::1]:7000'],
    ['a name', 'Node-1.example.org', ['ip', '10.0.0.1'], 'node-1.example.org:7000'],
    ['nothing (an endpoint that is not told)', null, ['ip', '10.0.0.1'], 'seed:7000'],
    ['an empty text (a node that does not know itself)', '', [], 'seed:7000'],
    ['a ? (a name that is not set)', '?', ['ip', '10.0.0.1'], '10.0.0.1:7000'],
    ['a ? and no address', '?', ['ip', ''], 'seed:7000'],
    ['a ? and nothing more', '?', [], 'seed:7000'],
  ])('a node that announces %s', (_name, host, more, expected) => {
    expect(String(parseSlots([[0, 1, node(host, 7000, ...more)]], 'seed')[0]?.endpoint)).toBe(expected)
  })

  it('of Redis 3 has no id and nothing more', () => {
    expect(parseSlots([[0, 1, ['10.0.0.1', 7000]]], 'seed')).toHaveLength(1)
  })

  it.each([[null], ['OK'], [[1]], [[[0]]], [[[0, 1]]], [[[5, 4, node('h', 1)]]], [[[0, SLOTS, node('h', 1)]]], [[[0, 1, node('h', 0)]]], [[[0, 1, node('h', 70_000)]]], [[[0, 1, node('no host', 1)]]]])('is refused as %j', (reply) => {
    expect(() => parseSlots(reply, 'seed')).toThrow('CLUSTER SLOTS is not answered as Redis answers it')
  })
})
