import type { Line, Span } from './notice.ts'
import { layerName } from '../words/pairs.ts'
import { NOTIFY_WORDS } from '../words/notify.ts'
import type { Link } from './links.ts'
import { latencyText } from './times.ts'
import { linesOf, shortLine } from './foreign.ts'
import { headline, labelsThatMatter, nowText, toneWord, whenText, type Told, type Telling } from './told.ts'

const LONGEST_VALUE = 300
const MARKS = { ok: '✓', failed: '✗', unknown: '?' } as const
/** Annotations that are shown before all others, or as links. */
const NOT_OTHERS: ReadonlySet<string> = new Set(['summary', 'description', 'message', 'runbook_url', 'dashboard_url'])
/** What Curlew's own rules write for the title. */
const OF_PROBES: ReadonlySet<string> = new Set(['layer', 'reason'])

const text = (value: string, style?: 'bold' | 'code' | 'muted'): Span => ({ kind: 'text', text: value, ...style ? { style } : {} })

interface BlockOptions extends Telling {
  /** The title says what it is already. */
  readonly alone: boolean
  /** Labels that are shown once for all. */
  readonly common: ReadonlySet<string>
  readonly links: readonly Link[]
}

/** The lines of one alert; the first is the heading. */
export function blockLines(told: Told, options: BlockOptions): readonly Line[] {
  const when = timesText(told, options)
  const tone = text(toneOf(told, options), 'bold')
  return [
    ...options.alone ? [[tone, text(` · ${when}`)]] : [[tone, text(' · '), text(headline(told, options), 'bold')], [text(when)]],
    ...annotationLines(told, options).map((line) => [text(line)]),
    ...diagnosisLines(told, options).map((line) => [text(line)]),
    ...labelLine(told, options.common),
    ...linkLine(options.links),
  ]
}

/** One alert of a digest: its heading, and what a person needs beside it where there is something. */
export function digestLines(told: Told, telling: Telling): readonly Line[] {
  const words = NOTIFY_WORDS[telling.lang]
  const { findings, alert, firing } = told
  const said = firing && findings?.explainedBy !== undefined ? words.explainedBy(findings.explainedBy)
    : firing && findings && findings.explains > 0 ? words.explains(findings.explains)
      : alert.annotations['summary'] ?? ''
  const second = shortLine(said, 200)
  return [
    [text(toneOf(told, telling), 'bold'), text(' · '), text(headline(told, telling), 'bold'), text(` · ${timesText(told, telling)}`)],
    ...second && firing ? [[text(second)]] : [],
  ]
}

/** Since when and for how long, and how it is at this moment. */
function timesText(told: Told, telling: Telling): string {
  return [whenText(told, telling), nowText(told, telling) ?? []].flat().join(NOTIFY_WORDS[telling.lang].semicolon)
}

function toneOf({ firing, alert }: Told, { lang }: Telling): string {
  return NOTIFY_WORDS[lang].severities[firing ? toneWord(alert) : 'resolved']
}

/** What people wrote about it. Of what is over only the summary: the rest says what to do; and "is down" would mislead beside "up again". */
function annotationLines({ firing, down, shown, alert: { annotations } }: Told, { lang }: Telling): string[] {
  const { summary = '', description = '', message = '' } = annotations
  // Its numbers are those of the last time that it fired.
  if (!firing) return down ? [] : linesOf(summary).map((line, index) => (index === 0 ? NOTIFY_WORDS[lang].cause(line) : line))
  const others = Object.entries(annotations).filter(([name]) => !NOT_OTHERS.has(name) && !name.startsWith('__') && !(shown.has('probe') && OF_PROBES.has(name)))
  return [...linesOf(summary), ...linesOf(message), ...linesOf(description), ...others.flatMap(([name, value]) => linesOf(`${shortLine(name, 100)}: ${value}`))]
}

/** What Curlew found out, in four lines at most. */
export function diagnosisLines({ findings, firing, down, failure }: Told, { lang }: Telling): string[] {
  if (!findings) return []
  const words = NOTIFY_WORDS[lang]
  const runs = findings.runs.length > 0 ? words.lastRuns(findings.runs.length, findings.runs.map((status) => MARKS[status]).join('')) : ''
  if (!firing) return [[runs, down && failure ? words.cause(failure.words) : ''].filter(Boolean).join(words.semicolon)].filter(Boolean)
  // A phase that the run did not come to took no time.
  const phases = findings.phases.filter(({ ms }) => ms > 0).map(({ name, ms }) => `${name} ${latencyText(ms)}`).join(words.comma)
  const { alike, explains, explainedBy } = findings
  return [
    findings.status !== 'ok' && findings.sentence ? `${words.diagnosis}${words.colon}${findings.sentence[lang]}` : '',
    [phases, runs].filter(Boolean).join(words.semicolon),
    explainedBy === undefined ? explains > 0 ? words.explains(explains) : '' : words.explainedBy(explainedBy),
    alike && alike.count > 0 && findings.failure ? words.alike(alike.count, layerName(findings.failure.layer, lang), names(alike, words)) : '',
  ].filter(Boolean).map((line) => shortLine(line, 1_000))
}

function names({ names: some, count }: { readonly names: readonly string[], readonly count: number }, words: (typeof NOTIFY_WORDS)['en']): string {
  const left = count - some.length
  return `${some.join(words.and)}${left > 0 ? words.andOthers(left) : ''}`
}

/** `name=value` of each label that is neither in the heading nor told once for all. */
function labelLine({ alert, shown }: Told, common: ReadonlySet<string>): readonly Line[] {
  const labels = labelsThatMatter(alert).filter(([name]) => !shown.has(name) && !common.has(name))
  return labels.length > 0 ? [labelSpans(labels)] : []
}

/** Labels as one line of muted text. */
export function labelSpans(labels: readonly (readonly [string, string])[]): Line {
  return [text(labels.map(([name, value]) => `${shortLine(name, 100)}=${shortLine(value, LONGEST_VALUE)}`).join('  '), 'muted')]
}

function linkLine(links: readonly Link[]): readonly Line[] {
  return links.length > 0 ? [links.flatMap(({ text: label, url }, index): Span[] => [...index > 0 ? [text(' · ')] : [], { kind: 'link', text: label, url }])] : []
}
