import { stringify } from 'yaml'
import { z } from 'zod'
import { formatDuration } from '../src/core/fields.ts'
import type { ChannelType, Rate } from '../src/notify/channel.ts'
import { channelShape, notifySchema } from '../src/notify/options.ts'
import { page, schemaOf, table, type Property } from './reference.ts'

const TOKEN = 'what-alertmanager-sends'

/** The page with every key of the section `notify` and every channel type: example, options, rates, size. */
export function notifyPage(types: readonly ChannelType[]): string {
  const section = schemaOf(notifySchema)
  const { storage, redis, deadman, curlews, routes, people: _people, teams, time_intervals: intervals, templates, channels: _channels, ...plain } = section.properties ?? {}
  const team = inside(teams)
  return page('Forwarding to chats', [
    'The section `notify` of the config: alerts that Alertmanager posts to `/webhook/alertmanager` go to chats. The least of it, and the other side in Alertmanager:',
    yaml({ notify: { token: TOKEN, channels: [{ name: 'ops', type: types[0]?.type, ...types[0]?.example }], routes: [{ channel: 'ops' }] } }),
    yaml({ receivers: [{ name: 'curlew', webhook_configs: [{ url: 'http://curlew:9797/webhook/alertmanager', send_resolved: true, http_config: { authorization: { credentials: TOKEN } } }] }] }),
    `[Routes](#routes) · [people and teams](#people-and-teams) · [time intervals](#time-intervals) · [templates](#templates) · [deadman](#deadman) · [storage](#storage) · [channels](#channels): ${types.map(({ type }) => `[${type}](#${type})`).join(' · ')}`,
    '## In the section',
    table({ ...section, properties: { ...plain, ...only({ curlews }) } }),
    'Besides: `channels` and `routes`, which are required, `people`, `teams`, `time_intervals`, `templates`, `deadman`, `storage` and `redis`.',
    '## Routes',
    'An alert goes down the list to the first route that matches, and on from there where that says `continue`. The last one takes everything: a config without a route that has neither matchers nor time intervals is refused. What is resolved goes where it goes now and where it went when it began.',
    '`/webhook/alertmanager/NAME` is the path of one route: all that comes there goes to it, whatever its matchers and time intervals. A route with a name and no matchers may stand below the last one, for its path alone.',
    table(inside(routes)),
    '## People and teams',
    '`people` maps a name to ids: `mobile`, and by channel type the one that the service knows the person by. `teams` maps a name to:',
    table(team),
    '### `rotation`',
    'Turns of whole days change at the same time of the wall clock in summer and winter.',
    table(team.properties?.['rotation'] ?? {}),
    yaml({ people: { ann: { mobile: '13800001111', slack: 'U0123456789' }, bob: { mobile: '13800002222' } }, teams: { storage: { members: ['ann', 'bob'], rotation: { every: '1w', start: '2026-01-05T09:00', timezone: 'Asia/Shanghai' } } } }),
    '## Time intervals',
    "Alertmanager's own format, `location` included. Outside of its `active_time_intervals`, and inside of its `mute_time_intervals`, a route does not match, and the next one is looked at.",
    table(inside(intervals)),
    yaml({ time_intervals: [{ name: 'office', time_intervals: [{ weekdays: ['monday:friday'], times: [{ start_time: '09:00', end_time: '18:00' }], location: 'Asia/Shanghai' }] }] }),
    '## Templates',
    'By name:',
    table(inside(templates)),
    '## Deadman',
    'The alert that always fires says that Prometheus and Alertmanager work and reach Curlew. With this section it is not told: its silence is. Of `deadman`:',
    table(deadman ?? {}),
    '## Storage',
    'Of `storage`:',
    table(storage ?? {}),
    'Of `redis`:',
    table(redis ?? {}),
    '## Channels',
    'Of every channel, with `type`:',
    table(schemaOf(z.strictObject(channelShape))),
    'Of `limits`:',
    table(schemaOf(channelShape.limits)),
    ...types.flatMap(typeSections),
  ])
}

function typeSections(type: ChannelType): string[] {
  return [
    `### ${type.type}`,
    `${type.summary}. ${type.documentation.startsWith('https:') ? `[The service's own page](${type.documentation}).` : `See ${type.documentation}.`}`,
    yaml({ notify: { token: TOKEN, channels: [{ name: 'ops', type: type.type, ...type.example }], routes: [{ channel: 'ops' }] } }),
    table(schemaOf(type.options)),
    `At most ${type.rates.map(rateText).join(' and ')}; ${type.size.most} ${UNITS[type.size.unit]} of ${type.size.of}.`,
  ]
}

const UNITS: Readonly<Record<ChannelType['size']['unit'], string>> = { bytes: 'bytes', characters: 'characters', utf16: 'UTF-16 units' }

function rateText({ messages, perMs }: Rate): string {
  return `${messages} ${messages === 1 ? 'message' : 'messages'} in ${formatDuration(perMs)}`
}

/** What the items of a list, or the values of a mapping, look like. */
function inside(property: Property | undefined): Property {
  const values = property?.additionalProperties
  return property?.items ?? (typeof values === 'object' ? values : {})
}

function only(properties: Readonly<Record<string, Property | undefined>>): Readonly<Record<string, Property>> {
  return Object.fromEntries(Object.entries(properties).flatMap(([name, property]) => (property ? [[name, property]] : [])))
}

function yaml(value: unknown): string {
  return `\`\`\`yaml\n${stringify(value, { lineWidth: 0 })}\`\`\``
}
