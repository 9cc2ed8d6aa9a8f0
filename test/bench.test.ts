import { describe, expect, it } from 'vitest'
import { costLine } from '../bench/report.ts'
import { readOptions } from '../bench/options.ts'
import { median, quantile, rounded } from '../bench/stats.ts'

const PARTS = ['tcp', 'dns', 'memory']
const measured = (name: string, micros: readonly number[], lost = 0) => ({ name, micros, probes: 1_000, lost })

describe('the benchmark', () => {
  it.each([
    [[], { json: false, only: [], rounds: 5, seconds: 3, warmUp: true }],
    [['--json', '--only', 'tcp,memory'], { json: true, only: ['tcp', 'memory'], rounds: 5, seconds: 3, warmUp: true }],
    [['--quick'], { json: false, only: [], rounds: 2, seconds: 2, warmUp: false }],
    [['--help'], 'help'],
  ])('reads %j', (argv, options) => {
    expect(readOptions(argv, PARTS)).toEqual(options)
  })

  it('names what it does not measure', () => {
    expect(() => readOptions(['--only', 'tcp,udp'], PARTS)).toThrow('--only: udp: expected some of tcp, dns, memory')
  })

  it('compares medians', () => {
    const curlew = measured('curlew', [90, 100, 140])
    const { text, json } = costLine({ name: 'tcp', aim: 0.15, curlew, scraped: measured('curlew', [96, 106, 146]), peer: measured('blackbox_exporter', [900, 1_000, 1_100]), bare: undefined })
    expect(text).toMatch(/^tcp +100 \(90\.0 to 140\) +106 +blackbox 1000 \(900 to 1100\) +0\.10 +≤0\.15$/)
    expect(json).toMatchObject({ type: 'tcp', curlew_us: 100, peer: 'blackbox_exporter', peer_us: 1_000, ratio: 0.1 })
  })

  it('shows what misses its aim, what a library costs, and what was lost', () => {
    const curlew = measured('curlew', [500], 10)
    const { text, json } = costLine({ name: 'redis', aim: 0.42, curlew, scraped: curlew, peer: measured('blackbox_exporter', [1_000]), bare: measured('ioredis', [200]), node: measured('node', [150]) })
    expect(text.split('\n')).toEqual([
      expect.stringMatching(/0\.50 +>0\.42$/), expect.stringMatching(/^ {2}without ioredis +200 \(200 to 200\) +0\.20$/), expect.stringMatching(/^ {2}Node alone +150 \(150 to 150\) +0\.15$/),
      '  answered, but counted as lost: 1.00 % by curlew, 0.00 % by blackbox_exporter',
    ])
    expect(json).toMatchObject({ library: 'ioredis', curlew_us_without: 200, node_us: 150, curlew_lost: 10 })
  })

  it('has nothing to compare with where there is no peer', () => {
    const curlew = measured('curlew', [50])
    expect(costLine({ name: 'mount', aim: undefined, curlew, scraped: curlew, peer: undefined, bare: undefined }).json).toMatchObject({ peer: null, peer_us: null, ratio: null })
  })

  it('counts as statistics do', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([5, 1, 3], 0.99), quantile([5, 1, 3], 0.5), rounded(1234.5), rounded(0.12345)]).toEqual([2, 2.5, 5, 3, 1230, 0.123])
  })
})
