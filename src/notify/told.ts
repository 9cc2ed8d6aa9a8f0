import { pairWords } from '../words/pairs.ts'
import type { Language } from '../words/language.ts'
import { NOTIFY_WORDS } from '../words/notify.ts'
import { severityRank, type Alert } from './alert.ts'
import type { Findings } from './findings.ts'
import type { Tone } from './notice.ts'
import type { Entry } from './outbox.ts'
import { durationText, latencyText, timeText } from './times.ts'
import { shortLine } from './foreign.ts'

const LONGEST_NAME = 120

/** How and for whom a message is told. */
export interface Telling {
  readonly lang: Language
  readonly timezone: string
  /** ms since 1970. */
  readonly now: number
}

/** An entry with what follows from it, once for title and block. Texts are foreign data on one line. */
export interface Told {
  readonly entry: Entry
  readonly alert: Alert
  readonly findings: Findings | undefined
  readonly firing: boolean
  readonly tone: Tone
  /** 0 is the gravest, resolved ones last. */
  readonly rank: number
  /** The alert's name, or the probe's. */
  readonly name: string
  /** What tells it apart: the target, or some label values. */
  readonly place: string
  /** Labels that name and place show already. */
  readonly shown: ReadonlySet<string>
  /** Layer and reason in words, while or when it was failing. */
  readonly failure: { readonly layer: string, readonly words: string } | undefined
  /** The alert is about a probe that fails, or did. */
  readonly down: boolean
  /** ms since 1970. */
  readonly startedAt: number
  readonly endedAt: number | undefined
}

/** Labels by which people know a thing, best first. */
const PLACES = ['instance', 'node', 'host', 'namespace', 'pod', 'deployment', 'statefulset', 'daemonset', 'persistentvolumeclaim', 'service', 'device', 'mountpoint', 'queue', 'topic', 'database', 'name']
/** Labels that say how something was scraped, not what it is. */
const NOISE: ReadonlySet<string> = new Set(['job', 'prometheus', 'prometheus_replica', 'endpoint', 'replica', 'monitor', 'receive', 'tenant_id'])
/** For an alert of a probe these name the Curlew that was scraped. */
const PROBE_NOISE: ReadonlySet<string> = new Set(['instance', 'pod', 'container', 'service', 'namespace', 'type'])
/** A run may have failed for the last time so long before Prometheus saw it and the alert began. */
const SEEN_LATE_MS = 5 * 60_000

const SEVERITY_TONES: readonly Tone[] = ['critical', 'critical', 'warning', 'info']
const isProbe = ({ labels }: Alert) => Boolean(labels['probe'] && labels['target'])

/** Labels worth showing: not the name, not the severity that the tone tells or that is none, not the noise. */
export function labelsThatMatter(alert: Alert): [string, string][] {
  return Object.entries(alert.labels).filter(([label, value]) => value !== '' && label !== 'alertname' && !NOISE.has(label)
    && !(label === 'severity' && (toneWord(alert) !== 'firing' || value === 'none')) && !(isProbe(alert) && PROBE_NOISE.has(label)))
}

/** Reads entries beside each other: what tells one apart depends on the others. */
export function readEntries(entries: readonly Entry[], findings: ReadonlyMap<string, Findings>, telling: Telling): readonly Told[] {
  const byName = Map.groupBy(entries, ({ alert }) => alert.labels['alertname'] ?? '')
  const apart = new Map(Array.from(byName, ([name, peers]) => [name, differing(peers)]))
  return entries.map((entry) => {
    const { alert } = entry
    const found = findings.get(alert.fingerprint)
    const firing = alert.status === 'firing'
    const failure = failureOf(alert, found)
    const down = failure !== undefined && (firing || found === undefined || (found.failure?.at ?? 0) >= alert.startsAt - SEEN_LATE_MS)
    const endedAt = firing ? undefined : alert.endsAt ?? entry.receivedAt
    return {
      entry, alert, findings: found, firing, down, endedAt,
      ...subjectOf(alert, found, apart.get(alert.labels['alertname'] ?? '') ?? new Set()),
      tone: firing ? SEVERITY_TONES[severityRank(alert.labels)] ?? (alert.labels['severity'] === 'none' ? 'info' : 'warning') : 'resolved',
      rank: firing ? severityRank(alert.labels) : Infinity,
      failure: failure && { layer: shortLine(failure.layer, 40), words: shortLine(pairWords(failure.layer, failure.reason, telling.lang), 80) },
      // The probe knows better than a rule with a `for:` when it broke.
      startedAt: Math.min(alert.startsAt, firing && down ? found?.failingSince ?? Infinity : Infinity),
    }
  })
}

/** The key of the word for how grave an alert is, or that it is over. */
export function toneWord(alert: Alert): 'critical' | 'error' | 'warning' | 'info' | 'firing' {
  return (['critical', 'error', 'warning', 'info'] as const)[severityRank(alert.labels)] ?? 'firing'
}

/** Layer and reason: what Curlew knows, else what Curlew's own rules write into annotations. */
function failureOf(alert: Alert, findings: Findings | undefined): { readonly layer: string, readonly reason: string } | undefined {
  if (findings) return alert.status === 'firing' && findings.status !== 'failed' ? undefined : findings.failure
  const { layer, reason } = alert.annotations
  return isProbe(alert) && layer && reason ? { layer, reason } : undefined
}

function subjectOf(alert: Alert, findings: Findings | undefined, apart: ReadonlySet<string>): Pick<Told, 'name' | 'place' | 'shown'> {
  const probe = isProbe(alert) ? { name: alert.labels['probe'], target: alert.labels['target'] } : findings && { name: findings.probe, target: findings.target }
  if (probe) return { name: shortLine(probe.name ?? '', LONGEST_NAME) || '?', place: shortLine(probe.target ?? '', LONGEST_NAME), shown: new Set(['probe', 'target']) }
  const keys = keysOfPlace(alert, apart)
  const place = shortLine(keys.map((key) => alert.labels[key] ?? '').join(' '), LONGEST_NAME)
  return { name: shortLine(alert.labels['alertname'] ?? '', LONGEST_NAME) || 'alert', place, shown: new Set() }
}

/** The labels that do not have one value in all of these. */
function differing(entries: readonly Entry[]): ReadonlySet<string> {
  const [first] = entries
  const keys = new Set(entries.flatMap(({ alert }) => Object.keys(alert.labels)))
  return new Set([...keys].filter((key) => entries.some(({ alert }) => alert.labels[key] !== first?.alert.labels[key])))
}

/** The labels in which alerts of its name differ; else those by which people know a thing. */
function keysOfPlace(alert: Alert, differ: ReadonlySet<string>): string[] {
  const matters = labelsThatMatter(alert).map(([key]) => key)
  const known = [...PLACES.filter((key) => alert.labels[key]), ...matters.filter((key) => !PLACES.includes(key))]
  const apart = known.filter((key) => differ.has(key))
  if (apart.length > 0) return apart.slice(0, 3)
  const noisy = Object.keys(alert.labels).filter((key) => NOISE.has(key) && differ.has(key))
  return noisy.length > 0 ? noisy.slice(0, 2) : known.slice(0, 2)
}

/** `cache redis-0:6379: connect refused`: what it is about and what is wrong with it. */
export function headline(told: Told, telling: Telling): string {
  const { name, place, alert, findings } = told
  const words = NOTIFY_WORDS[telling.lang]
  const subject = place ? `${name} ${place}` : name
  const alertname = shortLine(alert.labels['alertname'] ?? '', LONGEST_NAME)
  const ofProbe = isProbe(alert) || findings !== undefined
  const what = told.firing && told.failure ? told.failure.words : ofProbe && !told.down ? alertname : ''
  return what ? `${subject}${words.colon}${what}` : subject
}

/** How long, and while it fires since when: `down 4 min, since 03:12 GMT+8`. */
export function whenText(told: Told, telling: Telling): string {
  const words = NOTIFY_WORDS[telling.lang]
  const { endedAt, startedAt, down } = told
  if (endedAt === undefined) {
    const from = timeText(startedAt, telling)
    const lasts = durationText(telling.now - startedAt, telling.lang)
    return down ? words.down(from, lasts) : words.since(from, lasts)
  }
  return `${lastedText(told, telling)}${words.semicolon}${words.between(timeText(startedAt, telling, 'bare'), timeText(endedAt, telling))}`
}

/** Of what is over: `up again after 4 min`. */
export function lastedText({ endedAt = 0, startedAt, down, entry }: Told, { lang }: Telling): string {
  const words = NOTIFY_WORDS[lang]
  const lasted = durationText(endedAt - startedAt, lang)
  if (entry.untold) return down ? words.wasDown(lasted) : words.hadFired(lasted)
  return down ? words.upAgain(lasted) : words.over(lasted)
}

/** How the probe is at this moment, where the diagnosis knows and it is not what the alert says already. */
export function nowText({ findings, firing, down }: Told, { lang }: Telling): string | undefined {
  const words = NOTIFY_WORDS[lang]
  if (!findings) return undefined
  const took = findings.ms === undefined ? undefined : latencyText(findings.ms)
  if (findings.status === 'ok' && took !== undefined) return firing ? words.answersNow(took) : words.now(took)
  if (findings.status === 'failed' && !firing && down && findings.failure) return words.failsAgain(shortLine(pairWords(findings.failure.layer, findings.failure.reason, lang), 80))
  return undefined
}

