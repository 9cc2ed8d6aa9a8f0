import { createHash } from 'node:crypto'
import type { Alert, Notification } from './alert.ts'

/** The sender's fault, and the same at every repetition. The message is one sentence for it, without anything of the body's values. */
export class BadPayload extends Error {
  override readonly name = 'BadPayload'
}

type Labels = Readonly<Record<string, string>>

/** More than Alertmanager can put into 10 MB. Cut off, they would be lost with a 200. */
const MOST_ALERTS = 60_000
/** Of one alert, or of its annotations. */
const MOST_LABELS = 500
/** UTF-16 units; far above what any chat shows. */
const LONGEST = { name: 1_000, label: 8_000, annotation: 32_000, context: 4_000, url: 8_000, fingerprint: 100 } as const

/**
 * Reads the body of Alertmanager's webhook, version 4, as Alertmanager since 0.25, vmalert's and Grafana's senders write it.
 * What they leave out is made up for: a fingerprint of the labels, `now` (ms) for times that are absent. Of the status only
 * each alert's own is believed: the notification's is computed after the list is cut. Texts that are too long are cut with a
 * mark. Throws BadPayload.
 */
export function readNotification(body: Uint8Array, now: number = Date.now()): Notification {
  const root = parse(body)
  const list = root['alerts']
  if (!Array.isArray(list)) {
    throw new BadPayload('version' in root || 'groupKey' in root
      ? 'expected a list of alerts under alerts'
      : "expected the body of Alertmanager's webhook with version, groupKey and alerts; a custom payload of the webhook_config cannot be read: remove it")
  }
  if (list.length > MOST_ALERTS) throw new BadPayload(`expected at most ${MOST_ALERTS} alerts, got ${list.length}`)
  const alerts = list.map((item: unknown, index) => readAlert(item, `alerts[${index}]`, now))
  const truncated = root['truncatedAlerts']
  return {
    context: {
      receiver: unquoteMeta(textOf(root['receiver'], LONGEST.context)),
      groupKey: textOf(root['groupKey'], LONGEST.context),
      groupLabels: labelsOf(root['groupLabels'] ?? {}, 'groupLabels', LONGEST.label),
      externalURL: urlOf(root['externalURL']),
      truncatedAlerts: typeof truncated === 'number' && Number.isSafeInteger(truncated) && truncated > 0 ? truncated : 0,
      ...(typeof root['notification_reason'] === 'string' && root['notification_reason'] !== '' ? { reason: textOf(root['notification_reason'], LONGEST.context) } : {}),
    },
    alerts,
  }
}

function parse(body: Uint8Array): Record<string, unknown> {
  if (body.length === 0) throw new BadPayload("expected the body of Alertmanager's webhook, got an empty one")
  let root: unknown
  try {
    root = JSON.parse(new TextDecoder().decode(body))
  } catch {
    // The parser's own sentence quotes the text.
    throw new BadPayload("expected the JSON of Alertmanager's webhook, got what is not JSON")
  }
  if (Array.isArray(root)) throw new BadPayload('expected a notification, got a bare list, as Prometheus and vmalert send it to an Alertmanager: put an Alertmanager between, which groups and repeats')
  if (!isMapping(root)) throw new BadPayload("expected the JSON of Alertmanager's webhook, got no mapping")
  return root
}

function readAlert(item: unknown, path: string, now: number): Alert {
  if (!isMapping(item)) throw new BadPayload(`${path}: expected a mapping with labels`)
  if (!isMapping(item['labels']) || Object.keys(item['labels']).length === 0) throw new BadPayload(`${path}: expected labels`)
  const startsAt = timeOf(item['startsAt']) ?? now
  const endsAt = timeOf(item['endsAt'])
  const resolved = item['status'] === 'resolved' || (item['status'] !== 'firing' && endsAt !== undefined && endsAt <= now)
  return {
    status: resolved ? 'resolved' : 'firing',
    labels: labelsOf(item['labels'], `${path}.labels`, LONGEST.label),
    annotations: labelsOf(item['annotations'] ?? {}, `${path}.annotations`, LONGEST.annotation),
    startsAt,
    // Clocks differ; nothing ends before it starts. One in the future means that the sender will say so if it goes on.
    ...(resolved ? { endsAt: Math.max(startsAt, endsAt ?? now) } : {}),
    generatorURL: urlOf(item['generatorURL']),
    ...optionalUrl('silenceURL', item['silenceURL']),
    // Of the panel where there is one: it says more than the whole dashboard.
    ...optionalUrl('dashboardURL', item['panelURL'] || item['dashboardURL']),
    fingerprint: typeof item['fingerprint'] === 'string' && item['fingerprint'] !== '' ? textOf(item['fingerprint'], LONGEST.fingerprint) : fingerprintOf(item['labels']),
  }
}

/** Numbers and true and false are taken as texts, nothing as absent; what has an inside is no label of anybody's. */
function labelsOf(value: unknown, path: string, longest: number): Labels {
  if (!isMapping(value)) throw new BadPayload(`${path}: expected a mapping`)
  const pairs: [string, string][] = []
  for (const [name, text] of Object.entries(value)) {
    if (text === null) continue
    if (typeof text === 'object') throw new BadPayload(`${path}: expected texts, got a list or a mapping`)
    pairs.push([textOf(name, LONGEST.name), textOf(text, longest)])
    if (pairs.length === MOST_LABELS) break
  }
  return Object.fromEntries(pairs)
}

/** Of all labels, before anything is cut: 16 hex digits of SHA-256. */
function fingerprintOf(labels: Readonly<Record<string, unknown>>): string {
  const sorted = Object.entries(labels).filter(([, value]) => value !== null).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16)
}

/** A scalar as a text that UTF-8 can carry, cut with a mark at `longest`. */
function textOf(value: unknown, longest: number): string {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return ''
  const text = String(value)
  if (text.length <= longest) return text.toWellFormed()
  // A pair that is cut in the middle leaves a half, which goes too.
  return `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '').toWellFormed()}… (${text.length - longest} more characters)`
}

/** Empty unless it is one of the web: half a URL leads nowhere, and other schemes have no place in a chat. */
function urlOf(value: unknown): string {
  return typeof value === 'string' && value.length <= LONGEST.url && /^https?:\/\//i.test(value) && URL.canParse(value) ? value.toWellFormed() : ''
}

function optionalUrl<K extends string>(key: K, value: unknown): { readonly [P in K]?: string } {
  const url = urlOf(value)
  return url === '' ? {} : { [key]: url } as { readonly [P in K]?: string } // safe: the only key is K
}

/** Undefined for Go's zero time too, which is in the year 1. */
function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isFinite(ms) && ms > 0 ? ms : undefined
}

/** Takes back Go's `regexp.QuoteMeta`, through which Alertmanager sends the receiver's name. */
function unquoteMeta(text: string): string {
  return text.replace(/\\([\\.+*?()|[\]{}^$])/g, '$1')
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
