import { z } from 'zod'
import { duration, secret } from '../core/fields.ts'
import type { ChannelType } from './channel.ts'
import { channelTypes } from './channels/index.ts'
import { proxyFields } from '../probes/lib/proxy-options.ts'
import { readMatchers } from './matchers.ts'
import { readTimeInterval } from './time-intervals.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$/
const name = () => z.string('expected a name').regex(NAME, 'expected a name of letters, digits, - and _')

/** Texts that a reader takes apart; what it throws is the sentence of the mistake. */
function readBy<T>(read: (text: string) => T) {
  return z.string().transform((text, context) => {
    try {
      return read(text)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
      return z.NEVER
    }
  })
}

const timezone = () => z.string().refine((zone) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}, 'expected a time zone such as Asia/Shanghai')

const url = () => z.url({ protocol: /^https?$/, error: 'expected a URL such as https://host/path' })

const limits = z.strictObject({
  rates: z.array(z.strictObject({ messages: z.int().min(1).max(1_000_000), per: duration() })).min(1).max(5)
    .describe('at most so many messages in such a time, all of them; what the service documents unless given').optional(),
  size: z.int().min(500).describe("the longest message, in the service's own unit").optional(),
})

/** The keys of every channel. */
export const channelShape = {
  name: name().describe('unique; the `channel` label'),
  limits: limits.describe('rates and size').prefault({}),
  timeout: duration().describe('longest wait for an answer').prefault('10s'),
  deadline: duration().describe('when a message is given up, or handed to the fallback; `notify.deadline` unless given').optional(),
  ...proxyFields,
  ca_file: z.string().describe('a PEM file with the authorities to trust instead of the usual ones').optional(),
  cert_file: z.string().describe('a PEM file with a certificate of our own, where the service asks for one').optional(),
  key_file: z.string().describe('the PEM file with its key').optional(),
}

const mentions = z.record(z.string(), z.array(z.string()).max(50)).describe('whom to call while it fires, by severity (`default` for any other): people, teams, or everyone')

const routeSchema = z.strictObject({
  name: name().describe('unique; the end of its own webhook path. `route-1`, `route-2` … unless given').optional(),
  channel: z.string().describe('the channel to tell').optional(),
  channels: z.array(z.string()).min(1).max(20).describe('several channels to tell').optional(),
  matchers: z.array(readBy(readMatchers)).describe('as Alertmanager writes them, such as severity=~"critical|page": all must match').default([]),
  continue: z.boolean().describe('look at the routes below as well').default(false),
  active_time_intervals: z.array(z.string()).describe('names of time intervals: at other times the route does not match').default([]),
  mute_time_intervals: z.array(z.string()).describe('names of time intervals in which the route does not match').default([]),
  lang: z.enum(['en', 'zh']).describe('language of the messages').default('en'),
  timezone: timezone().describe('time zone of the messages, IANA name; UTC unless given').default('UTC'),
  template: z.string().describe('name of a template; the built-in one unless given').optional(),
  mentions: mentions.default({}),
  fallback: z.string().describe('the channel to use when this one cannot deliver').optional(),
  token: secret().describe('the token of its own webhook path; `notify.token` unless given').optional(),
})

const personSchema = z.record(z.string(), z.string('expected a text; put the value in quotes')).describe('`mobile`, and by channel type the id that the service knows the person by')
const teamSchema = z.strictObject({
  members: z.array(z.string()).min(1).max(100).describe('names of people'),
  rotation: z.strictObject({
    every: duration().describe('how long a turn lasts: 1d, 1w'),
    start: z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$/, 'expected a local time such as 2026-01-05T09:00').describe("when the first member's turn began"),
    timezone: timezone().describe('of `start` and of the days; UTC unless given').default('UTC'),
  }).describe('only one member at a time is called, in turn; all of them unless given').optional(),
})

const templateSchema = z.strictObject({
  title: z.string().max(2_000).describe('the heading, a Liquid template').optional(),
  alert: z.string().max(20_000).describe('one alert, a Liquid template').optional(),
})

/** One entry of `channels:` as the rest of the program sees it; the type's own options stand beside these. */
export interface ChannelConfig extends z.output<z.ZodObject<typeof channelShape>> {
  readonly type: string
}

function channelSchema(types: readonly ChannelType[]) {
  const [first, ...others] = types.map((type) => type.options.safeExtend({ ...channelShape, type: z.literal(type.type) }).meta({ title: type.type, description: type.summary }))
  if (!first) throw new Error('no channel types are registered')
  return z.discriminatedUnion('type', [first, ...others], { error: `expected a type: one of ${types.map(({ type }) => type).join(', ')}` })
    .transform((channel) => channel as unknown as ChannelConfig) // safe: every alternative holds channelShape and a type
}

const shape = {
  token: secret().describe('what Alertmanager sends as a bearer token, or as the password of basic_auth').optional(),
  allow_unauthenticated: z.boolean().describe('take alerts from anybody who reaches the port').default(false),
  allow_private_destinations: z.boolean().describe('permit chats on private and loopback addresses').default(false),
  storage: z.strictObject({
    path: z.string().describe('the directory of the outbox; $STATE_DIRECTORY, else `data`, unless given').optional(),
    entries: z.int().min(100).max(10_000_000).describe('alerts kept at most, each counted once a channel; then the webhook answers 503').default(200_000),
    keep_dead: duration().describe('how long what was given up is kept').prefault('7d'),
  }).prefault({}),
  redis: z.strictObject({
    url: secret().refine((value) => /^rediss?:$/.test(URL.parse(value.reveal())?.protocol ?? ''), 'expected a URL such as redis://host:6379/0, or rediss://').describe('redis:// or rediss://'),
    prefix: z.string().max(100).describe('of every key').default('curlew:notify:'),
    durability: z.enum(['strict', 'best-effort']).describe('strict refuses a Redis without append-only file, or that evicts').default('strict'),
  }).describe('shares the outbox between several replicas').optional(),
  dedup_window: duration().describe('how long an equal state of an alert counts as a duplicate').prefault('1m'),
  deadline: duration().describe('when a message is given up, or handed to the fallback').prefault('15m'),
  external_url: url().describe('where people reach Curlew: for links in messages').optional(),
  curlews: z.array(z.strictObject({
    url: url().refine((text) => {
      const { username, password, search, hash } = URL.parse(text) ?? {}
      return !username && !password && !search && !hash
    }, 'expected a URL without user, query and fragment; a token goes under token').describe('where it is reached'),
    match: z.array(readBy(readMatchers)).describe('ask it about alerts with these labels only, as matchers are written').default([]),
    token: secret().describe('a token of its web-config with the scope read').optional(),
    ca_file: z.string().describe('a PEM file with the authorities to trust instead of the usual ones').optional(),
  })).max(10).describe('other Curlews that may know the probe of an alert').default([]),
  deadman: z.strictObject({
    alertname: z.string('expected the name of an alert').min(1, 'expected the name of an alert').describe('the alert that always fires').default('Watchdog'),
    match: z.array(readBy(readMatchers)).describe('only one with these labels, as matchers are written').default([]),
    within: duration().describe("how long it may stay away: at least twice the `repeat_interval` of its route in Alertmanager").prefault('15m'),
    route: z.string().describe('the name of the route that tells it; down the routes as any other alert unless given').optional(),
  }).describe('tells when the alert that always fires does not come any more').optional(),
  people: z.record(z.string(), personSchema).describe('who can be mentioned').default({}),
  teams: z.record(z.string(), teamSchema).describe('groups of people').default({}),
  time_intervals: z.array(z.strictObject({
    name: z.string().min(1),
    time_intervals: z.array(z.unknown().transform((value, context) => {
      try {
        return readTimeInterval(value)
      } catch (error) {
        context.addIssue(error instanceof Error ? error.message : String(error))
        return z.NEVER
      }
    })).min(1),
  })).describe('as Alertmanager writes them').default([]),
  templates: z.record(z.string(), templateSchema).describe('own texts').default({}),
  channels: z.array(channelSchema(channelTypes)).min(1, 'expected at least one channel').max(200),
  routes: z.array(routeSchema).min(1, 'expected at least one route').max(500),
}

/** The section `notify:` of the config. Rules between its parts are in `rules.ts`. */
export const notifySchema = z.strictObject(shape)
export type NotifyConfig = z.output<typeof notifySchema>
export type RouteConfig = NotifyConfig['routes'][number]
export type TemplateConfig = z.output<typeof templateSchema>
