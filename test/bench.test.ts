import { describe, expect, it } from 'vitest'
import { alertOf, notificationOf } from '../bench/notifications.ts'
import { costLine, delayLine, discoveryLine, intakeLine } from '../bench/report.ts'
import { readOptions } from '../bench/options.ts'
import { median, quantile, rounded } from '../bench/stats.ts'
import { readNotification } from '../src/notify/payload.ts'

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

  it('tells what the webhook keeps and delivers', () => {
    const { text, json } = intakeLine({ clients: 16, alerts: 10, bytes: 8_300, perSecond: [500, 600, 700], deliveredPerSecond: [100, 110, 90], micros: [9_000, 9_500, 8_000], ms: [10, 20, 30], refused: 0, syncMs: [0.2, 0.3, 0.25] })
    expect(text.split('\n')).toEqual([
      'notifications of 10 alerts (8.3 KB) from 16 clients: 600 a second kept (500 to 700), 6000 alerts a second',
      '  answered in p50 20 ms, p99 30 ms, worst 30 ms; 0 told to come again; one synced write of 4 KB takes 0.25 ms on this disk',
      '  100 a second delivered; 9000 µs of CPU from request to chat (8000 to 9500)',
    ])
    expect(json).toMatchObject({ type: 'notify_intake', per_second: 600, alerts_per_second: 6_000, p50_ms: 20, p99_ms: 30, delivered_per_second: 100, cpu_us: 9_000, sync_ms: 0.25 })
  })

  it('tells how long an alert takes to the chat', () => {
    const { text, json } = delayLine({ way: 'webhook to chat', ms: [5, 4, 9] })
    expect(text).toBe('webhook to chat: p50 5 ms, p99 9 ms, worst 9 ms (3 alerts)')
    expect(json).toMatchObject({ type: 'notify_delay', way: 'webhook to chat', p50_ms: 5, p99_ms: 9, alerts: 3 })
  })

  it('posts what Alertmanager would, of its size, and no alert twice', () => {
    const body = Buffer.from(notificationOf(Array.from({ length: 10 }, (_, serial) => alertOf(serial, { mark: 'm' }))))
    expect(body.length).toBeGreaterThan(7_500)
    expect(body.length).toBeLessThan(9_000)
    const { alerts } = readNotification(body)
    expect(new Set(alerts.map(({ fingerprint }) => fingerprint)).size).toBe(10)
    expect(alerts[3]).toMatchObject({ status: 'firing', labels: { severity: 'critical', mark: 'm' } })
  })

  it('counts as statistics do', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), quantile([5, 1, 3], 0.99), quantile([5, 1, 3], 0.5), rounded(1234.5), rounded(0.12345)]).toEqual([2, 2.5, 5, 3, 1230, 0.123])
  })

  it('shows what finding targets in a cluster costs', () => {
    const { text, json } = discoveryLine({ endpoints: 10_000, cpuSeconds: 1.67, seconds: 4.2, rss: 250, ms: [100, 200, 300] })
    expect(text.split('\n')).toEqual([
      'discovery of 10000 endpoints: 1.67 s of CPU from the start (aim ≤3), scheduled after 4.2 s, 250 MB RSS (aim ≤300)',
      '  from a new endpoint to its probe: p50 200 ms, p99 300 ms, worst 300 ms (3 times; aim ≤2000)',
    ])
    expect(json).toMatchObject({ type: 'discovery', endpoints: 10_000, cpu_s: 1.67, rss_mb: 250, p50_ms: 200, max_ms: 300 })
  })
})
