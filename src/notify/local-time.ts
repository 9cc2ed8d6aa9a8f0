/** What a clock and a calendar on the wall show. `month` and `day` count from 1, `weekday` 0 is Sunday. */
export interface LocalTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly weekday: number
}

const formats = new Map<string | undefined, Intl.DateTimeFormat>()

/** The local time at `now` (ms since 1970) in an IANA zone; in this machine's where there is none. Throws a RangeError for a zone that is not known. */
export function localTime(now: number, timeZone: string | undefined): LocalTime {
  // Making one takes as long as using it a hundred times; only zones of the config come here.
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' })
  formats.set(timeZone, format)
  const parts = Object.fromEntries(format.formatToParts(now).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts
  return { year, month, day, hour, minute, weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay() }
}

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** What the wall clock shows, as if it stood in Greenwich: ms since 1970, to the minute. Days between two of them are days of the calendar. */
export function wallClock(now: number, timeZone: string): number {
  const { year, month, day, hour, minute } = localTime(now, timeZone)
  return Date.UTC(year, month - 1, day, hour, minute)
}

/** When the wall clock first shows `wall` (as `wallClock` gives it), or where it jumps over that, as much later as it jumps. ms since 1970. */
export function instantOf(wall: number, timeZone: string): number {
  const offset = (at: number) => wallClock(at, timeZone) - Math.floor(at / MINUTE_MS) * MINUTE_MS
  const before = offset(wall - DAY_MS)
  const shown = [before, offset(wall + DAY_MS)].map((one) => wall - one).filter((at) => wallClock(at, timeZone) === wall)
  return shown.length > 0 ? Math.min(...shown) : wall - before
}
