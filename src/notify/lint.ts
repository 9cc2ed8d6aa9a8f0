import { bindChannel, type BoundChannel } from './bind.ts'
import { channelTypes } from './channels/index.ts'
import { noticeFor } from './notice-for.ts'
import type { NotifyConfig, RouteConfig, TemplateConfig } from './options.ts'
import { entriesOf } from './preview.ts'
import { channelsOf, routeName } from './routing.ts'
import { samplesOf, type Sample } from './samples.ts'
import { split } from './split.ts'
import { openTemplate } from './template.ts'
import { durationText } from './times.ts'
import { readEntries } from './told.ts'

/** Markup of single services, which is shown as it is written: a template's own works on all of them. */
const FOREIGN_MARKUP = /<\/?[a-z][^>\n]*>|^#{1,6} |!\[[^\]\n]*\]\(|^\s*\|.*\|\s*$|<[@!#]|~~/m

const LONG_MS = 60_000

/** What would go wrong, found by rendering samples for every route and channel: one sentence each. `now` is ms since 1970. */
export function lintNotify(config: NotifyConfig, now: number): readonly string[] {
  const templates = Object.entries(config.templates).flatMap(([name, template]) => templateWarnings(template).map((warning) => `template ${name}: ${warning}`))
  const sizes = config.channels.flatMap(({ name, type: of, limits }) => {
    const size = channelTypes.find(({ type }) => type === of)?.size
    return size && limits.size !== undefined && limits.size > size.most ? [`channel ${name}: limits.size is above the ${size.most} ${size.unit} that the service is known to take: it may refuse long messages for good`] : []
  })
  const channels = new Map(config.channels.map((channel) => [channel.name, bindChannel(channel, {})]))
  const told = config.routes.flatMap((route, index) => {
    const name = routeName(route, index)
    const names = [...channelsOf(route), ...route.fallback === undefined ? [] : [route.fallback]]
    return names.flatMap((channelName) => {
      const channel = channels.get(channelName)
      return channel ? routeWarnings(config, route, name, channel, now).map((warning) => `route ${name}, channel ${channelName}: ${warning}`) : []
    })
  })
  return [...new Set([...templates, ...sizes, ...told])]
}

function templateWarnings({ title = '', alert = '' }: TemplateConfig): readonly string[] {
  return [title, alert].flatMap((text) => {
    const [found] = FOREIGN_MARKUP.exec(text.replace(/\{\{[^]*?\}\}|\{%[^]*?%\}/g, '')) ?? []
    return found === undefined ? [] : [`${JSON.stringify(found.slice(0, 40))} is shown as it is written: expected **bold**, \`code\` and [text](https://…), which every service has`]
  })
}

function routeWarnings(config: NotifyConfig, route: RouteConfig, name: string, channel: BoundChannel, now: number): readonly string[] {
  // One of each severity that calls somebody else.
  const severities = ['critical', 'warning', ...Object.keys(route.mentions).filter((key) => key !== 'default')]
  const samples = [...new Set(severities)].flatMap((severity, index) => {
    const all = samplesOf(severity, now)
    return index === 0 ? all : all.slice(0, 1)
  })
  return samples.flatMap((sample) => sampleWarnings(config, route, name, channel, sample, now))
}

function sampleWarnings(config: NotifyConfig, route: RouteConfig, name: string, channel: BoundChannel, { name: sample, notification, digest }: Sample, now: number): readonly string[] {
  const entries = entriesOf({ route: name, channel: channel.name, ...notification }, now)
  const notice = noticeFor(config, entries, { findings: new Map(), digest, more: 0, now })
  const parts = split(notice, channel.fits, route.lang)
  // How long the last part waits for the first ones.
  const waitMs = Math.max(...channel.rates.map(({ messages, perMs }) => Math.floor((parts.length - 1) / messages) * perMs))
  const own = route.template === undefined || digest ? undefined : config.templates[route.template]
  return [
    ...channel.lint(notice),
    ...own ? templateMistake(own, entries, { lang: route.lang, timezone: route.timezone, now }) : [],
    ...parts.some((part) => !channel.fits(part)) ? [`a message of the kind "${sample}" is larger than ${channel.size.most} ${channel.size.unit}, however it is split: raise limits.size`] : [],
    ...waitMs >= LONG_MS ? [`a message of the kind "${sample}" takes ${parts.length} parts, which the rates of the channel stretch over ${durationText(waitMs, 'en')}`] : [],
  ]
}

function templateMistake(template: TemplateConfig, entries: Parameters<typeof readEntries>[0], telling: Parameters<typeof readEntries>[2]): readonly string[] {
  const told = readEntries(entries, new Map(), telling)
  const opened = openTemplate(template, told, telling)
  opened.title()
  for (const one of told) opened.alert(one)
  const mistake = opened.mistake()
  return mistake === undefined ? [] : [`the template fails, and the built-in text stands in for it: ${mistake}`]
}
