import { isIP } from 'node:net'
import { nearest } from '../core/nearest.ts'
import { Secret } from '../core/secrets.ts'
import { proxyIssues } from '../probes/lib/proxy-options.ts'
import { fileProblems } from '../probes/lib/tls-context.ts'
import { channelTypes } from './channels/index.ts'
import { EVERYONE } from './mentions.ts'
import type { ChannelConfig, NotifyConfig, RouteConfig } from './options.ts'
import { channelsOf, routeName } from './routing.ts'
import { checkTemplate } from './template.ts'
import { isPrivate } from './wire.ts'

/** A mistake in the section; the path begins inside of it. */
export interface NotifyIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** The mistake is the key at the end of the path, not its value. */
  readonly atKey?: boolean
}

/** The rules between the parts of the section: names that are unique and known, a route for every alert, a token. */
export function notifyIssues(config: NotifyConfig, { authenticated }: { readonly authenticated: boolean }): readonly NotifyIssue[] {
  return [
    ...tokens(config, authenticated),
    ...duplicates('channel', config.channels.map(({ name }) => name), (index) => ['channels', index, 'name']),
    ...duplicates('route', config.routes.map(routeName), (index) => ['routes', index, ...config.routes[index]?.name === undefined ? [] : ['name']]),
    ...duplicates('time interval', config.time_intervals.map(({ name }) => name), (index) => ['time_intervals', index, 'name']),
    ...config.channels.flatMap((channel, index) => [...channelIssues(channel), ...config.allow_private_destinations ? [] : privateIssues(channel)].map(({ key, message }) => ({ path: ['channels', index, key], message }))),
    ...config.curlews.flatMap(({ ca_file }, index) => fileIssues({ ca_file }).map(({ key, message }) => ({ path: ['curlews', index, key], message }))),
    ...config.routes.flatMap((route, index) => routeIssues(config, route).map((issue) => ({ ...issue, path: ['routes', index, ...issue.path] }))),
    ...unreachable(config.routes),
    ...config.deadman?.route === undefined ? [] : unknown('route', config.deadman.route, config.routes.map(routeName), ['deadman', 'route']),
    ...people(config),
    ...templates(config),
  ]
}

function channelIssues({ ca_file, cert_file, key_file, ...channel }: ChannelConfig): readonly { readonly key: string, readonly message: string }[] {
  return [...proxyIssues(channel), ...fileIssues({ ca_file, cert_file, key_file })]
}

/** The files must be there and belong together, as those of probes: at night, in a message that is not sent, is too late. */
function fileIssues(files: Pick<ChannelConfig, 'ca_file'> & Partial<Pick<ChannelConfig, 'cert_file' | 'key_file'>>): ReturnType<typeof fileProblems> {
  return fileProblems({ ...files, min_version: 'TLS1.2' })
}

/** What a name leads to is looked at with each connection; an address says it at once. */
function privateIssues(channel: ChannelConfig): { readonly key: string, readonly message: string }[] {
  return Object.entries(channel).flatMap(([key, value]: [string, unknown]) => {
    const host = key.endsWith('url') && key !== 'proxy_url' ? URL.parse(value instanceof Secret ? value.reveal() : String(value))?.hostname.replace(/^\[|\]$/g, '') ?? '' : ''
    return host === 'localhost' || (isIP(host) !== 0 && isPrivate(host)) ? [{ key, message: 'expected a public address, or notify.allow_private_destinations: true' }] : []
  })
}

function tokens({ token, allow_unauthenticated: open, routes }: NotifyConfig, authenticated: boolean): NotifyIssue[] {
  const needed = !open && !authenticated && token === undefined && routes.some((route) => route.token === undefined)
  const isEmpty = (secret: unknown) => secret instanceof Secret && secret.reveal().trim() === ''
  return [
    ...needed ? [{ path: [], atKey: true, message: 'expected a token, a web-config with users or tokens, or allow_unauthenticated: true to take alerts from anybody who reaches the port' }] : [],
    ...[{ path: ['token'], token }, ...routes.map((route, index) => ({ path: ['routes', index, 'token'], token: route.token }))]
      .filter((one) => isEmpty(one.token)).map(({ path }) => ({ path, message: 'expected a token that is not empty' })),
  ]
}

function duplicates(kind: string, names: readonly string[], path: (index: number) => PropertyKey[]): NotifyIssue[] {
  return names.flatMap((name, index) => (names.indexOf(name) === index ? [] : [{ path: path(index), message: `duplicate ${kind}: ${name}; expected a unique name` }]))
}

function routeIssues(config: NotifyConfig, route: RouteConfig): NotifyIssue[] {
  const known = config.channels.map(({ name }) => name)
  const intervals = config.time_intervals.map(({ name }) => name)
  const callable = [...Object.keys(config.people), ...Object.keys(config.teams), EVERYONE]
  const told = channelsOf(route)
  const { channel, channels = [], fallback, template } = route
  return [
    ...(channel === undefined) === (route.channels === undefined) ? [{ path: [], message: 'expected either channel or channels' }] : [],
    ...channel === undefined ? [] : unknown('channel', channel, known, ['channel']),
    ...channels.flatMap((name, index) => unknown('channel', name, known, ['channels', index])),
    ...duplicates('channel', channels, (index) => ['channels', index]),
    ...fallback === undefined ? [] : unknown('channel', fallback, known, ['fallback']),
    ...fallback !== undefined && told.includes(fallback) ? [{ path: ['fallback'], message: 'expected another channel than those of the route' }] : [],
    ...template === undefined ? [] : unknown('template', template, Object.keys(config.templates), ['template']),
    ...(['active_time_intervals', 'mute_time_intervals'] as const).flatMap((key) => route[key].flatMap((name, index) => unknown('time interval', name, intervals, [key, index]))),
    ...Object.entries(route.mentions).flatMap(([severity, names]) => names.flatMap((name, index) => unknown('person or team', name, callable, ['mentions', severity, index]))),
  ]
}

/** Every alert needs a route, and every route an alert that reaches it. One with nothing but a name is for its own webhook path. */
function unreachable(routes: readonly RouteConfig[]): NotifyIssue[] {
  const last = routes.findIndex((route) => isCatchAll(route) && !route.continue)
  if (last < 0) {
    return routes.some(isCatchAll) ? [] : [{ path: ['routes'], atKey: true, message: 'expected a last route without matchers and time intervals, so that no alert is lost' }]
  }
  return routes.flatMap((route, index) => (index <= last || (route.name !== undefined && isCatchAll(route))
    ? []
    : [{ path: ['routes', index], message: `no alert comes this far: ${routeName(routes[last] ?? {}, last)} takes them all; expected this route above it, or continue: true there` }]))
}

function templates({ templates: all }: NotifyConfig): NotifyIssue[] {
  return Object.entries(all).flatMap(([name, template]) => (['title', 'alert'] as const).flatMap((key) => {
    const mistake = checkTemplate(template[key] ?? '')
    return mistake === undefined ? [] : [{ path: ['templates', name, key], message: mistake }]
  }))
}

function isCatchAll({ matchers, active_time_intervals: active, mute_time_intervals: mute }: RouteConfig): boolean {
  return matchers.flat().length === 0 && active.length === 0 && mute.length === 0
}

function people({ people: known, teams }: NotifyConfig): NotifyIssue[] {
  const names = Object.keys(known)
  const ids = ['mobile', ...channelTypes.map(({ type }) => type)]
  return [
    ...Object.entries(known).flatMap(([name, person]) => Object.keys(person).filter((key) => !ids.includes(key)).map((key) => ({
      path: ['people', name, key], atKey: true, message: `unknown key: expected one of ${ids.join(', ')}${nearest(key, ids)}`,
    }))),
    ...Object.keys(teams).filter((name) => names.includes(name)).map((name) => ({ path: ['teams', name], atKey: true, message: `expected another name: a person is ${name} too` })),
    ...([['people', names], ['teams', Object.keys(teams)]] as const).flatMap(([key, all]) => (all.includes(EVERYONE) ? [{ path: [key, EVERYONE], atKey: true, message: `expected another name: ${EVERYONE} calls the whole chat` }] : [])),
    ...Object.entries(teams).flatMap(([team, { members, rotation }]) => [
      ...members.flatMap((name, index) => unknown('person', name, names, ['teams', team, 'members', index])),
      ...rotation && !isDate(rotation.start) ? [{ path: ['teams', team, 'rotation', 'start'], message: 'expected a day and a time of the calendar' }] : [],
    ]),
  ]
}

/** The 30th of February has the form of a date. */
function isDate(text: string): boolean {
  const ms = Date.parse(`${text}Z`)
  return Number.isFinite(ms) && new Date(ms).toISOString().startsWith(text)
}

function unknown(kind: string, name: string, known: readonly string[], path: PropertyKey[]): NotifyIssue[] {
  if (known.includes(name)) return []
  const list = known.length === 0 ? 'there is none' : `expected one of ${known.slice(0, 10).join(', ')}${known.length > 10 ? ' …' : ''}`
  return [{ path, message: `unknown ${kind} ${name}: ${list}${nearest(name, known)}` }]
}
