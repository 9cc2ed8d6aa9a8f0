import type { Alert, Notification } from './alert.ts'
import { matches } from './matchers.ts'
import type { NotifyConfig, RouteConfig } from './options.ts'
import type { Incoming } from './outbox.ts'
import { isWithin } from './time-intervals.ts'

/** No route has the name that the webhook's path ends in. */
export class UnknownRoute extends Error {
  override readonly name = 'UnknownRoute'
}

/** `route-1`, `route-2` … where the config gives no name; `index` counts from 0. */
export function routeName({ name }: Pick<RouteConfig, 'name'>, index: number): string {
  return name ?? `route-${index + 1}`
}

/** The channels that a route tells, in the order of the config. */
export function channelsOf({ channel, channels }: Pick<RouteConfig, 'channel' | 'channels'>): readonly string[] {
  return channels ?? (channel === undefined ? [] : [channel])
}

/**
 * Which alerts go where: down the routes until one matches that does not continue. With a `path` all of them go to the route
 * of that name, whatever its matchers and time intervals: the sender has decided. What is resolved goes where it goes now
 * and where it went when it began, so that who saw it fire sees it end. Throws UnknownRoute.
 */
export function planRoutes(config: NotifyConfig, notification: Notification, path: string | undefined, now: number): readonly Incoming[] {
  const { context, alerts } = notification
  const routes = config.routes.map((route, index) => ({ route, name: routeName(route, index), alerts: new Array<Alert>() }))
  if (path === undefined) {
    const isOpen = openRoutes(config)
    for (const alert of alerts) {
      const reached = new Set([...alert.status === 'resolved' ? walk(config, alert, alert.startsAt, isOpen) : [], ...walk(config, alert, now, isOpen)])
      for (const one of routes) if (reached.has(one.route)) one.alerts.push(alert)
    }
  } else {
    const named = routes.find(({ name }) => name === path)
    if (!named) throw new UnknownRoute('expected a path that ends in the name of a route')
    named.alerts.push(...alerts)
  }
  return routes.filter((one) => one.alerts.length > 0).flatMap((one) => channelsOf(one.route).map((channel) => ({ route: one.name, channel, context, alerts: one.alerts })))
}

type IsOpen = (route: RouteConfig, at: number) => boolean

function walk({ routes }: NotifyConfig, { labels }: Alert, at: number, isOpen: IsOpen): readonly RouteConfig[] {
  const reached: RouteConfig[] = []
  for (const route of routes) {
    if (!route.matchers.every((matchers) => matches(matchers, labels)) || !isOpen(route, at)) continue
    reached.push(route)
    if (!route.continue) break
  }
  return reached
}

/** Whether the time intervals of a route let it match. */
function openRoutes({ time_intervals: intervals }: NotifyConfig): IsOpen {
  const byName = new Map(intervals.map(({ name, time_intervals: parts }) => [name, parts]))
  // Intervals begin and end with minutes, and most alerts of a notification ask for the same one.
  const known = new Map<string, boolean>()
  const isIn = (name: string, at: number) => {
    const key = `${Math.floor(at / 60_000)} ${name}`
    const answer = known.get(key) ?? byName.get(name)?.some((interval) => isWithin(interval, at)) ?? false
    known.set(key, answer)
    return answer
  }
  const inAny = (names: readonly string[], at: number) => names.some((name) => isIn(name, at))
  return ({ active_time_intervals: active, mute_time_intervals: mute }, at) => (active.length === 0 || inAny(active, at)) && !inAny(mute, at)
}
