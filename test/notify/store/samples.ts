import type { Alert } from '../../../src/notify/alert.ts'
import type { Incoming, OutboxOptions } from '../../../src/notify/outbox.ts'

/** A moment to begin at, ms since 1970. */
export const NOON = Date.UTC(2026, 0, 5, 12)
export const OPTIONS: OutboxOptions = { dedupMs: 60_000, entries: 1_000, keepDeadMs: 3_600_000 }

export function alertOf(name: string, status: Alert['status'] = 'firing', severity = 'warning'): Alert {
  return {
    status, labels: { alertname: name, severity }, annotations: { summary: `${name} ist kaputt: 坏了 😀 "<&>` },
    startsAt: NOON - 60_000, ...(status === 'resolved' ? { endsAt: NOON } : {}), generatorURL: `http://prometheus/graph?g0.expr=${name}`, fingerprint: `fp-${name}`,
  }
}

export const firing = (name: string, severity?: string) => alertOf(name, 'firing', severity)
export const resolved = (name: string, severity?: string) => alertOf(name, 'resolved', severity)

export function incomingOf(alerts: readonly Alert[], { route = 'route-1', channel = 'ops', reason, groupKey = '{}:{}' }: { route?: string, channel?: string, reason?: string, groupKey?: string } = {}): Incoming {
  return {
    route, channel, alerts,
    context: { receiver: 'curlew', groupKey, groupLabels: {}, externalURL: 'http://alertmanager', truncatedAlerts: 0, ...(reason === undefined ? {} : { reason }) },
  }
}
