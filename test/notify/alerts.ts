import type { Alert, NotificationContext } from '../../src/notify/alert.ts'
import type { ComposeInput } from '../../src/notify/compose.ts'
import type { Findings } from '../../src/notify/findings.ts'
import type { Line, Notice } from '../../src/notify/notice.ts'
import type { Entry } from '../../src/notify/outbox.ts'

/** 03:16 in Shanghai. */
export const NOW = Date.UTC(2026, 10, 20, 19, 16)
export const MINUTE = 60_000

const context: NotificationContext = { receiver: 'chat', groupKey: '{}:{}', groupLabels: {}, externalURL: 'http://am.example:9093', truncatedAlerts: 0 }

/** An alert of a Curlew probe, firing for four minutes. */
export const probeAlert = (over: Partial<Alert> = {}): Alert => ({
  status: 'firing', labels: { alertname: 'CurlewProbeDown', probe: 'cache', target: 'redis-0:6379', severity: 'critical', job: 'curlew', instance: '10.1.1.1:9100', cluster: 'prod' },
  annotations: {}, startsAt: NOW - 4 * MINUTE, generatorURL: '', fingerprint: 'probe', ...over,
})

/** An alert of anything else. */
export const otherAlert = (instance: string, over: Partial<Alert> = {}): Alert => ({
  status: 'firing', labels: { alertname: 'HighLatency', instance, severity: 'warning', job: 'api', cluster: 'prod' },
  annotations: { summary: `${instance} answers slowly` }, startsAt: NOW - 4 * MINUTE, generatorURL: '', fingerprint: instance, ...over,
})

export const over = (alert: Alert): Alert => ({ ...alert, status: 'resolved', endsAt: NOW })

let id = 0
export const entry = (alert: Alert, changes: Partial<Omit<Entry, 'context'>> & { readonly context?: Partial<NotificationContext> } = {}): Entry => ({
  id: ++id, notification: 1, route: 'ops', channel: 'chat', alert, receivedAt: NOW, untold: false, ...changes, context: { ...context, ...changes.context },
})

export const findings = (changes: Partial<Findings> = {}): Findings => ({
  probe: 'cache', target: 'redis-0:6379', labels: {}, status: 'failed', ms: 1.6, phases: [{ name: 'resolve', ms: 1.2 }, { name: 'connect', ms: 0.4 }],
  failure: { layer: 'connect', reason: 'refused', code: 'connect_refused', at: NOW - MINUTE },
  sentence: { en: 'Nothing listens on the port.', zh: '该端口没有进程监听。' },
  runs: ['ok', 'ok', 'ok', 'failed', 'failed', 'failed'], rootCause: false, explains: 0, ...changes,
})

export const input = (entries: readonly Entry[], changes: Partial<ComposeInput> = {}): ComposeInput => ({
  entries, route: { lang: 'en', timezone: 'Asia/Shanghai' }, findings: new Map(), people: [], everyone: false, digest: false, more: 0, now: NOW, ...changes,
})

export const lineText = (line: Line): string => line.map((span) => (span.kind === 'link' ? `<${span.text}>` : span.text)).join('')
export const texts = (lines: readonly Line[]): string[] => lines.map(lineText)

/** All of a notice as plain text. */
export const shown = ({ title, lead, blocks, tail, links }: Notice): string =>
  [title, ...texts(lead), ...blocks.flatMap(({ lines }) => texts(lines)), ...texts(tail), links.map(({ text }) => `<${text}>`).join(' ')].filter(Boolean).join('\n')
