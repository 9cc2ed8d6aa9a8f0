import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { DELIVERY_REASONS } from './channel.ts'
import type { FromForwarder } from './protocol.ts'

/** From a chat that answers at once to one that was down for an hour. */
const DELIVERY_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600]

/** The forwarder's metrics, as they are registered and documented. Alerts are counted once for each channel that they go to. */
export const NOTIFY = {
  up: { name: 'curlew_notify_up', kind: 'gauge', labels: [], help: 'Whether the process that keeps and delivers alerts runs and its outbox is open.' },
  requests: { name: 'curlew_notify_requests_total', kind: 'counter', labels: ['code'], help: 'Requests to the webhook, by the status they were answered with.' },
  received: { name: 'curlew_notify_received_total', kind: 'counter', labels: [], help: 'Alerts in notifications that were answered with 200.' },
  duplicates: { name: 'curlew_notify_duplicates_total', kind: 'counter', labels: [], help: 'Alerts that were dropped: the same state had been accepted within `dedup_window`.' },
  merged: { name: 'curlew_notify_merged_total', kind: 'counter', labels: [], help: 'Alerts that took the place of an earlier state that still waited.' },
  persisted: { name: 'curlew_notify_persisted_total', kind: 'counter', labels: ['channel'], help: 'Alerts that routing found a channel for and that were written durably, duplicates included.' },
  deliveries: { name: 'curlew_notify_deliveries_total', kind: 'counter', labels: ['channel', 'result', 'reason'], help: 'Alerts by what became of them: delivered, retried (will be tried again), fallback (handed to the fallback of their route), dead (given up; `curlew notify dead` shows them). The reason is none where they are delivered.' },
  messages: { name: 'curlew_notify_messages_total', kind: 'counter', labels: ['channel'], help: 'Messages that a chat service has taken; a long notification is several.' },
  coalesced: { name: 'curlew_notify_coalesced_total', kind: 'counter', labels: ['channel'], help: 'Alerts that were put into a digest, because the channel was near the limit of its rate.' },
  rows: { name: 'curlew_notify_outbox_rows', kind: 'gauge', labels: ['channel', 'state'], help: 'Alerts in the outbox: waiting, or dead (given up and kept).' },
  oldest: { name: 'curlew_notify_oldest_pending_seconds', kind: 'gauge', labels: ['channel'], help: 'How long the oldest alert that waits has waited; 0 when none does.' },
  capacity: { name: 'curlew_notify_outbox_capacity_ratio', kind: 'gauge', labels: [], help: 'How full the outbox is, of `storage.entries`: alerts that wait, and dead ones. At 1 the oldest dead ones give way; without any the webhook answers 503.' },
  shared: { name: 'curlew_notify_shared_store_up', kind: 'gauge', labels: [], help: 'Whether the Redis that replicas share can be used; without it the local outbox delivers. No sample without one.' },
  latency: { name: 'curlew_notify_delivery_seconds', kind: 'histogram', labels: ['channel', 'le'], help: 'From the durable write of an alert to the answer of the chat service that has taken it.' },
  lookups: { name: 'curlew_notify_lookups_total', kind: 'counter', labels: ['result'], help: 'Questions for the diagnosis of an alert: found, or none (the message goes without it).' },
} as const

const DELIVERED = { result: 'delivered', reason: 'none' } as const
const OUTCOMES = [DELIVERED, ...['retried', 'fallback', 'dead'].flatMap((result) => DELIVERY_REASONS.map((reason) => ({ result, reason })))]

export interface NotifyMetrics {
  up(up: boolean): void
  request(code: number): void
  /** The config's channels, how many entries it allows, and whether it shares an outbox; each channel has its series from then on. */
  configured(channels: readonly string[], entries: number, shared: boolean): void
  take(line: Extract<FromForwarder, { kind: 'accepted' | 'channel' | 'depths' | 'looked_up' | 'shared' }>): void
}

/** Registers the forwarder's metrics: only where there is one. */
export function createNotifyMetrics(registry: Registry): NotifyMetrics {
  const registers = [registry]
  const gauge = ({ name, help, labels }: { name: string, help: string, labels: readonly string[] }) => new Gauge({ name, help, labelNames: labels, registers })
  const counter = ({ name, help, labels }: { name: string, help: string, labels: readonly string[] }) => new Counter({ name, help, labelNames: labels, registers })
  const up = gauge(NOTIFY.up)
  const requests = counter(NOTIFY.requests)
  const received = counter(NOTIFY.received)
  const duplicates = counter(NOTIFY.duplicates)
  const merged = counter(NOTIFY.merged)
  const persisted = counter(NOTIFY.persisted)
  const deliveries = counter(NOTIFY.deliveries)
  const messages = counter(NOTIFY.messages)
  const coalesced = counter(NOTIFY.coalesced)
  const rows = gauge(NOTIFY.rows)
  const capacity = gauge(NOTIFY.capacity)
  const latency = new Histogram({ name: NOTIFY.latency.name, help: NOTIFY.latency.help, labelNames: ['channel'], buckets: DELIVERY_BUCKETS, registers })
  const lookups = counter(NOTIFY.lookups)
  let sharedUp: Gauge | undefined
  const oldestAt = new Map<string, number | undefined>()
  // Told once a second, asked whenever: a process that hangs must not look young.
  new Gauge({
    name: NOTIFY.oldest.name, help: NOTIFY.oldest.help, labelNames: NOTIFY.oldest.labels, registers,
    collect() {
      // One that a reload has taken away must not stay at its last age for ever.
      this.reset()
      for (const [channel, at] of oldestAt) this.set({ channel }, at === undefined ? 0 : Math.max(0, (Date.now() - at) / 1_000))
    },
  })
  const depths = new Map<boolean, Extract<FromForwarder, { kind: 'depths' }>['depths']>()
  let most = 1
  let isShared = false

  function showDepths(): void {
    const all = [...depths.values()].flat()
    for (const channel of oldestAt.keys()) {
      const mine = all.filter((depth) => depth.channel === channel)
      const times = mine.flatMap((depth) => (depth.oldestAt === undefined ? [] : [depth.oldestAt]))
      oldestAt.set(channel, times.length === 0 ? undefined : Math.min(...times))
      for (const state of ['waiting', 'dead'] as const) rows.set({ channel, state }, mine.reduce((sum, depth) => sum + depth[state], 0))
    }
    const kept = Array.from(depths.values(), (one) => one.reduce((sum, depth) => sum + depth.waiting + depth.dead, 0))
    capacity.set(Math.max(0, ...kept) / most)
  }

  for (const result of ['found', 'none']) lookups.inc({ result }, 0)
  up.set(0)

  return {
    up: (isUp) => up.set(Number(isUp)),
    request: (code) => requests.inc({ code: String(code) }),
    configured(channels, entries, shared) {
      most = entries
      isShared = shared
      // What a Redis held that a reload has taken away would stand there for ever.
      if (!isShared) {
        depths.delete(false)
        sharedUp?.remove({})
      }
      for (const gone of [...oldestAt.keys()].filter((channel) => !channels.includes(channel))) {
        oldestAt.delete(gone)
        for (const metric of [persisted, messages, coalesced, latency]) metric.remove({ channel: gone })
        for (const state of ['waiting', 'dead']) rows.remove({ channel: gone, state })
        // What is lost with it is told by a series that has been there: a new one is no increase to a rule.
        for (const outcome of OUTCOMES) if (outcome.reason !== 'unknown_channel') deliveries.remove({ channel: gone, ...outcome })
      }
      for (const channel of channels) {
        oldestAt.set(channel, oldestAt.get(channel))
        for (const metric of [persisted, messages, coalesced]) metric.inc({ channel }, 0)
        for (const state of ['waiting', 'dead']) rows.set({ channel, state }, 0)
        latency.zero({ channel })
        // Or the first one that is given up is no increase: a rule would not see it.
        for (const outcome of OUTCOMES) deliveries.inc({ channel, ...outcome }, 0)
      }
      showDepths()
    },
    take(line) {
      switch (line.kind) {
        case 'accepted':
          received.inc(line.received)
          duplicates.inc(line.duplicates)
          merged.inc(line.merged)
          for (const [channel, count] of Object.entries(line.queued)) persisted.inc({ channel }, count)
          break
        case 'depths':
          if (!line.local && !isShared) break
          depths.set(line.local, line.depths)
          showDepths()
          break
        case 'looked_up':
          lookups.inc({ result: line.found ? 'found' : 'none' })
          break
        case 'shared':
          if (!isShared) break
          sharedUp ??= gauge(NOTIFY.shared)
          sharedUp.set(Number(line.up))
          break
        case 'channel': {
          const { channel, event } = line
          // One that a reload has taken away has no series any more, but for what was lost with it.
          if (!oldestAt.has(channel) && !('reason' in event && event.reason === 'unknown_channel')) break
          if (event.kind === 'delivered') {
            deliveries.inc({ channel, ...DELIVERED }, event.entries.length)
            for (const { waitedMs } of event.entries) latency.observe({ channel }, waitedMs / 1_000)
          } else if (event.kind === 'part_sent') messages.inc({ channel })
          else if (event.kind === 'coalesced') coalesced.inc({ channel }, event.entries)
          else deliveries.inc({ channel, result: event.kind === 'handed_on' ? 'fallback' : event.kind, reason: event.reason }, event.entries)
        }
      }
    },
  }
}
