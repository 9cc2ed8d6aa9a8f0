import type { Language } from '../words/language.ts'
import { NOTIFY_WORDS } from '../words/notify.ts'
import { layerName } from '../words/pairs.ts'
import { blockLines, digestLines, labelSpans } from './block.ts'
import type { Findings } from './findings.ts'
import { link, linksOf, type Link } from './links.ts'
import type { Block, Line, Notice, Person, Tone } from './notice.ts'
import type { TemplateConfig } from './options.ts'
import type { Entry } from './outbox.ts'
import { openTemplate, type Template } from './template.ts'
import { headline, labelsThatMatter, lastedText, nowText, readEntries, toneWord, type Telling, type Told } from './told.ts'
import { shortLine } from './foreign.ts'

const LONGEST_TITLE = 200
const TONES: readonly Tone[] = ['critical', 'warning', 'info', 'resolved']

/** What one message is made of. */
export interface ComposeInput {
  /** One at least, all of one route; for a digest at most 20. */
  readonly entries: readonly Entry[]
  readonly route: { readonly lang: Language, readonly timezone: string, readonly template?: TemplateConfig }
  /** By alert fingerprint: what Curlew knows of the probe. */
  readonly findings: ReadonlyMap<string, Findings>
  readonly people: readonly Person[]
  readonly everyone: boolean
  /** Many notifications in one message: an alert takes one line or two. */
  readonly digest: boolean
  /** Alerts that wait and follow in further messages. */
  readonly more: number
  /** Curlew's own page. */
  readonly externalUrl?: string
  /** ms since 1970. */
  readonly now: number
}

/** Says in the route's language what has happened. Pure; whatever alerts and people wrote becomes text that no channel takes for markup. */
export function compose(input: ComposeInput): Notice {
  const { entries, route, digest, now } = input
  const telling: Telling = { lang: route.lang, timezone: route.timezone, now }
  const told = sorted(readEntries(entries, input.findings, telling))
  const words = NOTIFY_WORDS[route.lang]
  // A digest has its own short form: a template is for one alert in full.
  const template = route.template && !digest ? openTemplate(route.template, told, telling) : undefined

  const links = told.map(({ entry }) => linksOf(entry, route.lang))
  const shared = digest ? alertmanagerLink(entries, words) : (links[0] ?? []).filter((one) => links.every((others) => others.some(({ url }) => url === one.url)))
  const common = commonLabels(told)
  const commonNames = new Set(common.map(([name]) => name))
  const blocks = told.map((one, index): Block => {
    const { tone, alert } = one
    if (digest) return { tone, alert, lines: digestLines(one, telling) }
    const own = (links[index] ?? []).filter(({ url }) => !shared.some((each) => each.url === url))
    return { tone, alert, lines: template?.alert(one) ?? blockLines(one, { ...telling, alone: told.length === 1, common: commonNames, links: own }) }
  })
  const title = template?.title() ?? titleOf(told, telling)

  return {
    tone: TONES.find((tone) => told.some((one) => one.tone === tone)) ?? 'info',
    title: shortLine(title, LONGEST_TITLE),
    lead: [...notes(entries, route.lang), ...failedNote(template, route.lang), ...digest ? counts(told, telling) : [], ...common.length > 0 ? [labelSpans(common)] : []],
    blocks,
    tail: input.more > 0 ? [moreLine(input.more, input.externalUrl, route.lang)] : [],
    links: shared,
    mentions: input.people,
    everyone: input.everyone,
  }
}

/**
 * The gravest first, resolved ones last, and of equal ones what explains most others; but what is said of one alert stays in
 * the order in which it happened.
 */
function sorted(told: readonly Told[]): readonly Told[] {
  const places = new Map(told.map((one) => [one.alert.fingerprint, { rank: one.rank, explains: one.findings?.explains ?? 0 }]))
  const place = ({ alert }: Told) => places.get(alert.fingerprint) ?? { rank: 0, explains: 0 }
  return told.toSorted((a, b) => {
    const [one, other] = [place(a), place(b)]
    return one.rank === other.rank ? other.explains - one.explains : one.rank - other.rank
  })
}

function titleOf(told: readonly Told[], telling: Telling): string {
  const [first, ...others] = told
  if (!first) return ''
  const words = NOTIFY_WORDS[telling.lang]
  if (others.length === 0) {
    if (first.firing) return headline(first, telling)
    const again = first.findings?.status === 'failed' ? nowText(first, telling) : undefined
    return `${words.severities.resolved}${words.colon}${headline(first, telling)}${words.comma}${[lastedText(first, telling), again ?? []].flat().join(words.semicolon)}`
  }
  const firing = told.filter((one) => one.firing).length
  const same = told.every(({ name }) => name === first.name)
  const things = [...new Set(told.map((one) => shortLine(same ? one.place : [one.name, one.place].join(' '), 60)))].filter(Boolean)
  const left = things.length - 2
  const list = `${things.slice(0, left === 1 ? 3 : 2).join(words.and)}${left > 1 ? words.andOthers(left) : ''}`
  return `${words.counts(firing, told.length - firing)}${words.colon}${[...same ? [first.name] : [], ...list ? [list] : []].join(' ')}`
}

/** What a reader must know about the message itself. */
function notes(entries: readonly Entry[], lang: Language): readonly Line[] {
  const words = NOTIFY_WORDS[lang]
  const channels = [...new Set(entries.flatMap(({ fallbackFor }) => fallbackFor ?? []))]
  const byNotification = new Map(entries.map(({ notification, context }) => [notification, context.truncatedAlerts]))
  const truncated = [...byNotification.values()].reduce((sum, count) => sum + count, 0)
  return [
    ...channels.map((channel): Line => [{ kind: 'text', text: words.fallback(channel) }]),
    ...truncated > 0 ? [withLink(words.truncated(truncated), words, alertmanagerLink(entries, words))] : [],
  ]
}

function failedNote(template: Template | undefined, lang: Language): readonly Line[] {
  const mistake = template?.mistake()
  return mistake === undefined ? [] : [[{ kind: 'text', text: NOTIFY_WORDS[lang].ownTextFailed(shortLine(mistake, 200)), style: 'muted' }]]
}

/** How many, how grave, and at which layer what fails. */
function counts(told: readonly Told[], { lang }: Telling): readonly Line[] {
  const words = NOTIFY_WORDS[lang]
  const tally = (names: readonly string[]) => [...Map.groupBy(names, (name) => name)].map(([name, all]) => `${name} ${all.length}`).join(words.comma)
  const grave = tally(told.map(({ firing, alert }) => words.severities[firing ? toneWord(alert) : 'resolved']))
  const failing = told.filter(({ firing }) => firing)
  const layers = failing.some(({ failure }) => failure) ? tally(failing.map(({ failure }) => (failure ? layerName(failure.layer, lang) : words.otherLayer))) : ''
  return [
    [{ kind: 'text', text: `${words.total(told.length)}${words.colon}${grave}`, style: 'bold' }],
    ...layers ? [[{ kind: 'text', text: words.layers(layers) } as const]] : [],
  ]
}

/** Labels that all of several alerts share. */
function commonLabels([first, ...others]: readonly Told[]): readonly [string, string][] {
  if (!first || others.length === 0) return []
  return labelsThatMatter(first.alert).filter(([name, value]) => !first.shown.has(name) && others.every(({ alert }) => alert.labels[name] === value))
}

/** Where all of them come from, if that is one place. */
function alertmanagerLink(entries: readonly Entry[], words: (typeof NOTIFY_WORDS)[Language]): readonly Link[] {
  const addresses = [...new Set(entries.map(({ context }) => context.externalURL))]
  return addresses.length === 1 ? link(words.links.alertmanager, addresses[0]) : []
}

function moreLine(more: number, externalUrl: string | undefined, lang: Language): Line {
  const words = NOTIFY_WORDS[lang]
  return withLink(words.more(more), words, link(words.links.curlew, externalUrl))
}

function withLink(text: string, { colon }: (typeof NOTIFY_WORDS)[Language], [first]: readonly Link[]): Line {
  return [{ kind: 'text', text: `${text}${first ? colon : ''}` }, ...first ? [{ kind: 'link', ...first } as const] : []]
}
