import { instantOf, wallClock } from './local-time.ts'
import type { Person } from './notice.ts'
import type { NotifyConfig, RouteConfig } from './options.ts'

/** The word among the names of `mentions:` that calls the whole chat. */
export const EVERYONE = 'everyone'

const DAY_MS = 86_400_000

type Team = NotifyConfig['teams'][string]

/** Whom a route calls for a severity at `now` (ms since 1970): each person once, in the order of the config. */
export function mentionsFor(config: NotifyConfig, route: RouteConfig, severity: string, now: number): { readonly people: readonly Person[], readonly everyone: boolean } {
  // A message says Critical of `severity="CRITICAL"` too: whoever reads it must not be the only one.
  const key = Object.keys(route.mentions).find((one) => one.toLowerCase() === severity.toLowerCase()) ?? 'default'
  const names = own(route.mentions, severity) ?? own(route.mentions, key) ?? []
  const called = new Set(names.flatMap((name) => {
    const team = own(config.teams, name)
    return team ? onDuty(team, now) : [name]
  }))
  return {
    people: [...called].flatMap((name) => {
      const ids = own(config.people, name)
      return ids ? [{ name, ids }] : []
    }),
    everyone: names.includes(EVERYONE),
  }
}

/** All members, or the one whose turn it is. */
function onDuty({ members, rotation }: Team, now: number): readonly string[] {
  if (!rotation) return members
  const index = turn(rotation, now) % members.length
  return members.slice(index < 0 ? index + members.length : index).slice(0, 1)
}

/** How many turns have ended since the first one began. Turns of whole days change at the same time of the wall clock all year. */
function turn({ every, start, timezone }: NonNullable<Team['rotation']>, now: number): number {
  const first = Date.parse(`${start}Z`)
  if (every % DAY_MS !== 0) return Math.floor((now - instantOf(first, timezone)) / every)
  const shown = Math.floor((wallClock(now, timezone) - first) / every)
  // A clock that is set back shows the time before the change once more.
  return instantOf(first + (shown + 1) * every, timezone) <= now ? shown + 1 : shown
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
