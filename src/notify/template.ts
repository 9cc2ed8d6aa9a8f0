import { Liquid, LiquidError, type Template as Parsed } from 'liquidjs'
import type { Alert } from './alert.ts'
import type { Findings } from './findings.ts'
import { enclose, readMarkup, unenclosed } from './markup.ts'
import type { Line } from './notice.ts'
import type { TemplateConfig } from './options.ts'
import { durationText, latencyText, timeText } from './times.ts'
import type { Telling, Told } from './told.ts'

/** What a template may use: no tag that reads files or writes markup of its own, no filter that reads the clock, chance or code. */
export const TEMPLATE_TAGS: readonly string[] = ['assign', 'break', 'capture', 'case', 'comment', 'continue', 'echo', 'for', 'if', 'liquid', 'unless', '#']
export const TEMPLATE_FILTERS: readonly string[] = [
  'append', 'at_least', 'at_most', 'capitalize', 'ceil', 'compact', 'default', 'divided_by', 'downcase', 'first', 'floor', 'join', 'last', 'lstrip', 'map', 'minus',
  'modulo', 'plus', 'prepend', 'remove', 'remove_first', 'replace', 'replace_first', 'reverse', 'round', 'rstrip', 'size', 'slice', 'sort', 'split', 'strip', 'times',
  'truncate', 'truncatewords', 'uniq', 'upcase', 'url_encode', 'where',
]
/** The fields at the top; `docs/notify.md` says what they hold. */
export const TEMPLATE_FIELDS: readonly string[] = [
  'alert', 'status', 'labels', 'annotations', 'startsAt', 'endsAt', 'duration', 'generatorURL', 'finding',
  'alerts', 'firing', 'resolved', 'groupLabels', 'receiver', 'now',
]

/** For each text; more would hold up what else is to be sent. */
const LIMITS = { parseLimit: 20_000, renderLimit: 200, memoryLimit: 200_000 }
const LONGEST_TEXT = 100_000

/** A route's own texts, for the alerts of one message. Undefined where the built-in text is to be used. */
export interface Template {
  title(): string | undefined
  alert(told: Told): readonly Line[] | undefined
  /** The first thing that went wrong. */
  mistake(): string | undefined
}

/** Renders a route's own template; never throws: an alert whose text fails is told by the built-in one. */
export function openTemplate(config: TemplateConfig, told: readonly Told[], telling: Telling): Template {
  const engine = createEngine(telling)
  const parsed = new Map<string, Parsed[]>()
  const shared = sharedFields(told, telling)
  let mistake: string | undefined

  function lines(text: string | undefined, about: Told | undefined): readonly Line[] | undefined {
    if (text === undefined || about === undefined) return undefined
    try {
      const parts = parsed.get(text) ?? engine.parse(unenclosed(text))
      parsed.set(text, parts)
      const fields = alertFields(about.alert, about.findings, telling)
      const output: unknown = engine.renderSync(parts, { ...shared, ...fields, alert: fields })
      if (typeof output !== 'string' || output.length > LONGEST_TEXT) throw new Error(`more than ${LONGEST_TEXT} characters`)
      const read = readMarkup(output)
      if (read.length === 0) throw new Error('it renders to nothing')
      return read
    } catch (error) {
      mistake ??= sentenceOf(error)
      return undefined
    }
  }

  return {
    title: () => lines(config.title, told[0])?.map((line) => line.map((span) => span.text).join('')).join(' '),
    alert: (one) => lines(config.alert, one),
    mistake: () => mistake,
  }
}

/** What is wrong with a template before any alert comes, as a sentence that names line and column; undefined when nothing is. */
export function checkTemplate(text: string): string | undefined {
  const engine = createEngine({ lang: 'en', timezone: 'UTC', now: 0 })
  try {
    const { globals } = engine.parseAndAnalyzeSync(unenclosed(text))
    const unknown = Object.keys(globals).find((name) => !TEMPLATE_FIELDS.includes(name))
    if (unknown === undefined) return undefined
    const { row = 1, col = 1 } = globals[unknown]?.[0]?.location ?? {}
    return `line ${row}, column ${col}: ${unknown}: expected one of ${TEMPLATE_FIELDS.join(', ')}`
  } catch (error) {
    return sentenceOf(error)
  }
}

function createEngine(telling: Telling): Liquid {
  let written = 0
  const engine = new Liquid({
    ...LIMITS,
    strictFilters: true,
    ownPropertyOnly: true,
    // Nothing to read even if a tag could.
    templates: {},
    outputEscape: (value: unknown) => {
      const text = plainText(value)
      written += text.length
      if (written > LONGEST_TEXT) throw new Error(`more than ${LONGEST_TEXT} characters`)
      return enclose(text)
    },
  })
  for (const name of Object.keys(engine.tags)) if (!TEMPLATE_TAGS.includes(name)) delete engine.tags[name]
  for (const name of Object.keys(engine.filters)) if (!TEMPLATE_FILTERS.includes(name)) engine.unregisterFilter(name)
  engine.registerFilter('time', (value: unknown) => {
    const at = typeof value === 'string' ? Date.parse(value) : NaN
    return Number.isFinite(at) ? timeText(at, telling) : ''
  })
  engine.registerFilter('duration', (seconds: unknown) => {
    if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return ''
    return seconds > 0 && seconds < 1 ? latencyText(seconds * 1000) : durationText(seconds * 1000, telling.lang)
  })
  return engine
}

/** A value as text. An object, the labels say, as `name=value`. */
function plainText(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return value.slice(0, 1_000).map((item: unknown) => (typeof item === 'object' && item !== null ? JSON.stringify(item) : plainText(item))).join(', ')
  if (typeof value === 'object' && value !== null) return plainText(Object.entries(value).map(([name, item]) => `${name}=${typeof item === 'object' ? JSON.stringify(item) : plainText(item)}`))
  return ''
}

/** Times in RFC 3339, durations in seconds. */
function alertFields(alert: Alert, findings: Findings | undefined, { now }: Telling) {
  return {
    status: alert.status,
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: rfc3339(alert.startsAt),
    endsAt: alert.endsAt === undefined ? null : rfc3339(alert.endsAt),
    duration: Math.max(0, ((alert.endsAt ?? now) - alert.startsAt) / 1000),
    generatorURL: alert.generatorURL,
    finding: findings ? findingFields(findings) : null,
  }
}

function findingFields({ probe, target, status, failure, sentence, ms, phases, runs, rootCause, explainedBy, explains, alike }: Findings) {
  return {
    probe, target,
    status: status ?? null,
    layer: failure?.layer ?? null,
    reason: failure?.reason ?? null,
    code: failure?.code ?? null,
    message: failure?.message ?? null,
    sentence: sentence ?? null,
    seconds: ms === undefined ? null : ms / 1000,
    phases: phases.map((phase) => ({ name: phase.name, seconds: phase.ms / 1000 })),
    runs,
    root_cause: rootCause,
    explained_by: explainedBy ?? null,
    explains,
    alike: alike ?? null,
  }
}

function sharedFields(told: readonly Told[], telling: Telling) {
  const [first] = told
  return {
    alerts: told.map(({ alert, findings }) => alertFields(alert, findings, telling)),
    firing: told.filter(({ firing }) => firing).length,
    resolved: told.filter(({ firing }) => !firing).length,
    groupLabels: first?.entry.context.groupLabels ?? {},
    receiver: first?.entry.context.receiver ?? '',
    now: rfc3339(telling.now),
  }
}

function rfc3339(at: number): string | null {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : null
}

/** `line 2, column 5: undefined filter: shout`, from what the library throws. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [first = ''] = error.message.split('\n')
  const place = LiquidError.is(error) ? /^(.*), line:(\d+), col:(\d+)$/.exec(first) : undefined
  return place ? `line ${place[2]}, column ${place[3]}: ${place[1]}` : first
}
