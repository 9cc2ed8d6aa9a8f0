import { HIDDEN } from '../core/secrets.ts'
import type { Language } from '../words/language.ts'
import type { Notification } from './alert.ts'
import { bindChannel, type BoundChannel } from './bind.ts'
import { noticeFor } from './notice-for.ts'
import type { Notice } from './notice.ts'
import type { NotifyConfig } from './options.ts'
import type { Entry, Incoming } from './outbox.ts'
import { planRoutes, routeName } from './routing.ts'
import { split } from './split.ts'

export interface PreviewOptions {
  /** A name of the config. */
  readonly channel: string
  /** All alerts go by this route, told on the channel or not; else those that routing brings to the channel. */
  readonly route: string | undefined
  /** Instead of the route's own. */
  readonly lang: Language | undefined
  /** ms since 1970. */
  readonly now: number
}

/** Entries as the outbox would give them back. */
export function entriesOf({ route, channel, context, alerts }: Incoming, now: number): readonly Entry[] {
  return alerts.map((alert, index) => ({ id: index + 1, notification: 1, route, channel, alert, context, receivedAt: now, untold: false }))
}

/** Each message that a notification would become on a channel, as text for a terminal. No message where no alert goes there. Throws UnknownRoute. */
export function previewTexts(config: NotifyConfig, notification: Notification, { channel: name, route, lang, now }: PreviewOptions): readonly string[] {
  const found = config.channels.find((one) => one.name === name)
  if (!found) throw new Error(`there is no channel ${name}`)
  const channel = bindChannel(found, {})
  const spoken: NotifyConfig = lang === undefined ? config : { ...config, routes: config.routes.map((one) => ({ ...one, lang })) }
  const planned = planRoutes(spoken, notification, route, now)
  const mine = route === undefined ? planned.filter((incoming) => incoming.channel === name) : planned.slice(0, 1).map((incoming) => ({ ...incoming, channel: name }))
  return mine.flatMap((incoming) => {
    const notice = noticeFor(spoken, entriesOf(incoming, now), { findings: new Map(), digest: false, more: 0, now })
    const language = spoken.routes.find((one, index) => routeName(one, index) === incoming.route)?.lang
    return split(notice, channel.fits, language).map((part) => partText(channel, incoming.route, part, now))
  })
}

function partText(channel: BoundChannel, route: string, part: Notice, now: number): string {
  const body = channel.render(part)
  const { url, headers, body: sent } = channel.request(body, now)
  const { index, count } = part.part ?? { index: 1, count: 1 }
  const size = `${channel.measure(body).toLocaleString('en')} of ${channel.size.most.toLocaleString('en')} ${channel.size.unit === 'utf16' ? 'UTF-16 units' : channel.size.unit} of ${channel.size.of}`
  return [
    `${channel.name} (${channel.type}), by route ${route}: ${size}, part ${index} of ${count}`,
    `POST ${new URL(url).origin}/${HIDDEN}`,
    // Names of headers say enough; some of their values are signatures.
    ...Object.entries(headers).map(([name, value]) => `${name}: ${/^content-type$/i.test(name) ? value : HIDDEN}`),
    JSON.stringify(withoutSignature(JSON.parse(sent), body), null, 2),
  ].join('\n')
}

/** What signing added at the top hides its value. */
function withoutSignature(sent: unknown, rendered: Readonly<Record<string, unknown>>): unknown {
  if (typeof sent !== 'object' || sent === null) return sent
  return Object.fromEntries(Object.entries(sent).map(([key, value]: [string, unknown]) => [key, key in rendered ? value : HIDDEN]))
}
