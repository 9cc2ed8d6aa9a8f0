import { NOTIFY_WORDS } from '../words/notify.ts'
import type { Language } from '../words/language.ts'
import type { Notice } from './notice.ts'
import type { Entry } from './outbox.ts'
import { webAddress } from './foreign.ts'

export type Link = Notice['links'][number]

/** Where to go from an alert, as the sender says or as Alertmanager's pages are; what is no web address is left out. A resolved alert needs no runbook and no silence. */
export function linksOf({ alert, context }: Entry, lang: Language): readonly Link[] {
  const words = NOTIFY_WORDS[lang].links
  const firing = alert.status === 'firing'
  return [
    ...link(words.runbook, firing ? alert.annotations['runbook_url'] : undefined),
    ...link(words.dashboard, alert.annotations['dashboard_url'] ?? alert.dashboardURL),
    ...link(words.source, alert.generatorURL),
    ...link(words.silence, firing ? alert.silenceURL ?? silenceUrl(context.externalURL, alert.labels) : undefined),
  ]
}

/** One link, or none where there is no web address. */
export function link(text: string, address: string | undefined): readonly Link[] {
  const url = webAddress(address)
  return url === undefined ? [] : [{ text, url }]
}

/** Alertmanager's form for a new silence, filled with matchers for exactly these labels. */
export function silenceUrl(externalURL: string, labels: Readonly<Record<string, string>>): string | undefined {
  if (webAddress(externalURL) === undefined) return undefined
  const matchers = Object.entries(labels).map(([name, value]) => `${/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : quoted(name)}=${quoted(value)}`)
  // Brackets and quotes as well: some of the dialects take them for the end of a link.
  const filter = encodeURIComponent(`{${matchers.join(',')}}`.toWellFormed()).replace(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
  return `${externalURL.replace(/\/+$/, '')}/#/silences/new?filter=${filter}`
}

/** As Alertmanager's matcher syntax quotes: https://prometheus.io/docs/alerting/latest/configuration/#matcher */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
