import type { FromForwarder } from './protocol.ts'

type Log = (level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>) => void

/**
 * Says what a person must know of the channels: each alert that is given up or handed on, the first failure of each channel with
 * what the service says, and when it delivers again. The failures between are in the metrics.
 */
export function createTroubleLog(log: Log): (line: Extract<FromForwarder, { kind: 'channel' }>) => void {
  const failing = new Set<string>()
  return ({ channel, event }) => {
    if (event.kind === 'dead') log('error', 'alerts are given up: `curlew notify dead` shows them', { channel, alerts: event.entries, reason: event.reason, detail: event.detail })
    else if (event.kind === 'handed_on') log('warn', 'alerts are handed to the fallback', { channel, alerts: event.entries, reason: event.reason, detail: event.detail })
    else if (event.kind === 'retried' && !failing.has(channel)) {
      failing.add(channel)
      log('warn', 'a channel does not deliver, Curlew tries again', { channel, reason: event.reason, detail: event.detail })
    } else if (event.kind === 'part_sent' && failing.delete(channel)) log('info', 'a channel delivers again', { channel })
  }
}
