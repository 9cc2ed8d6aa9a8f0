import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { DELIVERY_REASONS } from '../../src/notify/channel.ts'
import { createNotifyMetrics, NOTIFY } from '../../src/notify/metrics.ts'

function setUp(...channels: readonly string[]) {
  const registry = new Registry()
  const metrics = createNotifyMetrics(registry)
  metrics.configured(channels, 200, true)
  const lines = async (name: string) => (await registry.metrics()).split('\n').filter((line) => line.startsWith(name) && !line.includes('_bucket'))
  return { registry, metrics, lines }
}

describe('the metrics of the forwarder', () => {
  it('are registered as they are documented', () => {
    const { registry, metrics } = setUp()
    metrics.take({ kind: 'shared', up: true })
    const registered = registry.getMetricsAsArray().map(({ name, help, type }) => ({ name, help, kind: String(type) }))
    expect(registered.toSorted(byName)).toEqual(Object.values(NOTIFY).map(({ name, help, kind }) => ({ name, help, kind })).toSorted(byName))
  })

  it('have the labels that are documented', async () => {
    const { registry, metrics } = setUp('ops')
    metrics.request(200)
    metrics.take({ kind: 'shared', up: true })
    for (const kind of ['retried', 'dead', 'handed_on'] as const) metrics.take({ kind: 'channel', channel: 'ops', event: { kind, reason: 'timeout', entries: 1, detail: '' } })
    for (const { name, values } of await registry.getMetricsAsJSON()) {
      const documented = Object.values(NOTIFY).find((family) => family.name === name)?.labels.toSorted()
      expect([...new Set(values.flatMap(({ labels }) => Object.keys(labels)))].toSorted(), name).toEqual(documented)
    }
  })

  it('are there for every channel from the start, and go with it', async () => {
    const { metrics, lines } = setUp('ops', 'dba')
    expect(await lines('curlew_notify_persisted_total')).toEqual(['curlew_notify_persisted_total{channel="ops"} 0', 'curlew_notify_persisted_total{channel="dba"} 0'])
    expect(await lines('curlew_notify_deliveries_total{channel="ops",result="delivered"')).toEqual(['curlew_notify_deliveries_total{channel="ops",result="delivered",reason="none"} 0'])
    expect(await lines('curlew_notify_oldest_pending_seconds')).toEqual(['curlew_notify_oldest_pending_seconds{channel="ops"} 0', 'curlew_notify_oldest_pending_seconds{channel="dba"} 0'])
    // Else a rule would not see the first one that is given up.
    expect(await lines('curlew_notify_deliveries_total{channel="ops",result="dead"')).toEqual(DELIVERY_REASONS.map((reason) => `curlew_notify_deliveries_total{channel="ops",result="dead",reason="${reason}"} 0`))
    metrics.configured(['dba'], 200, true)
    // What was under way when the channel went must not bring it back.
    metrics.take({ kind: 'channel', channel: 'ops', event: { kind: 'delivered', entries: [{ waitedMs: 1 }] } })
    // Alerts that are lost with it would be no increase of a series that begins with them.
    expect((await lines('curlew_notify_')).filter((line) => line.includes('"ops"'))).toEqual(['retried', 'fallback', 'dead'].map((result) => `curlew_notify_deliveries_total{channel="ops",result="${result}",reason="unknown_channel"} 0`))
    expect(await lines('curlew_notify_outbox_rows')).toEqual(['curlew_notify_outbox_rows{channel="dba",state="waiting"} 0', 'curlew_notify_outbox_rows{channel="dba",state="dead"} 0'])
  })

  it('count alerts once for each channel that they go to', async () => {
    const { metrics, lines } = setUp('ops', 'dba')
    metrics.take({ kind: 'accepted', received: 3, duplicates: 1, merged: 0, queued: { ops: 3, dba: 2 } })
    metrics.take({ kind: 'channel', channel: 'ops', event: { kind: 'part_sent' } })
    metrics.take({ kind: 'channel', channel: 'ops', event: { kind: 'delivered', entries: [{ waitedMs: 300 }, { waitedMs: 700 }] } })
    metrics.take({ kind: 'channel', channel: 'dba', event: { kind: 'dead', reason: 'deadline', entries: 2, detail: '' } })
    expect(await lines('curlew_notify_received_total')).toEqual(['curlew_notify_received_total 3'])
    expect(await lines('curlew_notify_persisted_total')).toEqual(['curlew_notify_persisted_total{channel="ops"} 3', 'curlew_notify_persisted_total{channel="dba"} 2'])
    expect(await lines('curlew_notify_messages_total{channel="ops"}')).toEqual(['curlew_notify_messages_total{channel="ops"} 1'])
    expect(await lines('curlew_notify_delivery_seconds_sum')).toEqual(expect.arrayContaining(['curlew_notify_delivery_seconds_sum{channel="ops"} 1']))
    expect(await lines('curlew_notify_deliveries_total{channel="dba",result="dead",reason="deadline"}')).toEqual(['curlew_notify_deliveries_total{channel="dba",result="dead",reason="deadline"} 2'])
  })

  it('add up the outboxes, and measure age and room when they are asked', async () => {
    const { metrics, lines } = setUp('ops')
    metrics.take({ kind: 'depths', local: true, depths: [{ channel: 'ops', waiting: 4, oldestAt: Date.now() - 60_000, dead: 1 }] })
    metrics.take({ kind: 'depths', local: false, depths: [{ channel: 'ops', waiting: 40, oldestAt: Date.now() - 5_000, dead: 10 }] })
    expect(await lines('curlew_notify_outbox_rows')).toEqual(['curlew_notify_outbox_rows{channel="ops",state="waiting"} 44', 'curlew_notify_outbox_rows{channel="ops",state="dead"} 11'])
    // The fuller one is the one that refuses.
    expect(await lines('curlew_notify_outbox_capacity_ratio')).toEqual(['curlew_notify_outbox_capacity_ratio 0.25'])
    const [oldest] = await lines('curlew_notify_oldest_pending_seconds')
    expect(Number(oldest?.split(' ').at(-1))).toBeCloseTo(60, 0)
  })

  it('forgets a channel that a reload has taken away, but not the alerts that were lost with it', async () => {
    const registry = new Registry()
    const metrics = createNotifyMetrics(registry)
    metrics.configured(['old', 'new'], 100, false)
    metrics.take({ kind: 'channel', channel: 'old', event: { kind: 'retried', reason: 'network', entries: 1, detail: '' } })
    metrics.configured(['new'], 100, false)
    metrics.take({ kind: 'channel', channel: 'old', event: { kind: 'delivered', entries: [{ waitedMs: 1 }] } })
    metrics.take({ kind: 'channel', channel: 'old', event: { kind: 'dead', reason: 'unknown_channel', entries: 3, detail: '' } })
    expect((await registry.metrics()).split('\n').filter((line) => line.includes('"old"') && !line.endsWith(' 0'))).toEqual(['curlew_notify_deliveries_total{channel="old",result="dead",reason="unknown_channel"} 3'])
  })

  it('forget what a shared store held that a reload has taken away, whatever it still tells', async () => {
    const { metrics, lines } = setUp('ops')
    const shared = { kind: 'depths', local: false, depths: [{ channel: 'ops', waiting: 40, oldestAt: Date.now() - 60_000, dead: 10 }] } as const
    metrics.take({ kind: 'shared', up: true })
    metrics.take({ kind: 'depths', local: true, depths: [{ channel: 'ops', waiting: 4, dead: 1 }] })
    metrics.take(shared)
    metrics.configured(['ops'], 200, false)
    metrics.take(shared)
    metrics.take({ kind: 'shared', up: false })
    expect(await lines('curlew_notify_outbox_rows')).toEqual(['curlew_notify_outbox_rows{channel="ops",state="waiting"} 4', 'curlew_notify_outbox_rows{channel="ops",state="dead"} 1'])
    expect(await lines('curlew_notify_oldest_pending_seconds')).toEqual(['curlew_notify_oldest_pending_seconds{channel="ops"} 0'])
    expect(await lines('curlew_notify_shared_store_up')).toEqual([])
    metrics.configured(['ops'], 200, true)
    metrics.take({ kind: 'shared', up: true })
    expect(await lines('curlew_notify_shared_store_up')).toEqual(['curlew_notify_shared_store_up 1'])
  })

  it('say nothing of a shared store where there is none', async () => {
    const { metrics, lines } = setUp('ops')
    expect(await lines('curlew_notify_shared_store_up')).toEqual([])
    metrics.take({ kind: 'shared', up: false })
    expect(await lines('curlew_notify_shared_store_up')).toEqual(['curlew_notify_shared_store_up 0'])
  })
})

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}
