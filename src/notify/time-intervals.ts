import { localTime, type LocalTime } from './local-time.ts'

/** Both ends belong to it. */
interface Range {
  readonly from: number
  readonly to: number
}

/** A part of the calendar; what is absent does not matter. */
export interface TimeInterval {
  /** Minutes of the day; `to` does not belong to it. */
  readonly times?: readonly Range[]
  /** 0 is Sunday. */
  readonly weekdays?: readonly Range[]
  /** Negative ones count from the end of the month, which is -1. */
  readonly daysOfMonth?: readonly Range[]
  /** From 1. */
  readonly months?: readonly Range[]
  readonly years?: readonly Range[]
  /** IANA name; undefined is this machine's. */
  readonly timeZone: string | undefined
}

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']
const KEYS = ['times', 'weekdays', 'days_of_month', 'months', 'years', 'location']
/** So many days are in every month. */
const SHORTEST_MONTH = 28

/** Reads one item of Alertmanager's `time_intervals[].time_intervals`. Throws an Error with a sentence that says where. */
export function readTimeInterval(value: unknown): TimeInterval {
  if (!isMapping(value)) throw new Error('expected a mapping with times, weekdays, days_of_month, months, years, location')
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key))
  if (unknown !== undefined) throw new Error(`unknown key ${unknown}: expected ${KEYS.join(', ')}`)
  const { times, weekdays, days_of_month: days, months, years, location } = value
  return {
    ...(times === undefined ? {} : { times: list(times, 'times', timesOfDay) }),
    ...(weekdays === undefined ? {} : { weekdays: list(weekdays, 'weekdays', (item) => range(item, named(WEEKDAYS, 0), 'a weekday such as monday, or monday:friday')) }),
    ...(days === undefined ? {} : { daysOfMonth: list(days, 'days_of_month', daysOfMonth) }),
    ...(months === undefined ? {} : { months: list(months, 'months', (item) => range(item, (text) => named(MONTHS, 1)(text) ?? whole(text, 1, 12), 'a month such as january or 1, or january:march')) }),
    ...(years === undefined ? {} : { years: list(years, 'years', (item) => range(item, (text) => whole(text, 0, 9999), "a year such as 2026, or '2026:2028'")) }),
    timeZone: zone(location),
  }
}

/** Whether `now` (ms since 1970) belongs to it, by the clock of its location, UTC unless it names one. */
export function isWithin(interval: TimeInterval, now: number): boolean {
  const local = localTime(now, interval.timeZone)
  const inside = (ranges: readonly Range[] | undefined, value: number) => ranges === undefined || ranges.some(({ from, to }) => from <= value && value <= to)
  return (interval.times === undefined || interval.times.some(({ from, to }) => from <= minuteOf(local) && minuteOf(local) < to))
    && inside(interval.weekdays, local.weekday)
    && (interval.daysOfMonth === undefined || inside(interval.daysOfMonth.map((days) => inMonth(days, local)), local.day))
    && inside(interval.months, local.month)
    && inside(interval.years, local.year)
}

function minuteOf({ hour, minute }: LocalTime): number {
  return hour * 60 + minute
}

/** Days that this month does not have are on neither side of the range. */
function inMonth({ from, to }: Range, { year, month }: LocalTime): Range {
  const last = new Date(Date.UTC(year, month, 0)).getUTCDate()
  const fromStart = (day: number) => (day < 0 ? last + day + 1 : day)
  return { from: fromStart(from), to: fromStart(to) }
}

function list<T>(value: unknown, key: string, read: (item: unknown) => T): readonly T[] {
  // Alertmanager takes an empty list for a time that never comes, which nobody means.
  if (!Array.isArray(value) || value.length === 0) throw new Error(`${key}: expected a list with at least one item`)
  return value.map((item: unknown, index) => {
    try {
      return read(item)
    } catch (error) {
      throw new Error(`${key}[${index}]: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  })
}

function timesOfDay(item: unknown): Range {
  const { start_time: start, end_time: end, ...others } = isMapping(item) ? item : {}
  const [from, to] = [clock(start), clock(end)]
  if (from === undefined || to === undefined || Object.keys(others).length > 0) throw new Error('expected {start_time: "09:00", end_time: "17:30"}, with 24:00 for the end of the day')
  if (from >= to) throw new Error('expected an end_time after start_time; write a night as two items, to 24:00 and from 00:00')
  return { from, to }
}

function clock(text: unknown): number | undefined {
  const [, hour, minute] = typeof text === 'string' ? /^((?:[01]\d|2[0-3])(?=:[0-5]\d$)|24(?=:00$)):(\d\d)$/.exec(text) ?? [] : []
  return hour === undefined ? undefined : Number(hour) * 60 + Number(minute)
}

function daysOfMonth(item: unknown): Range {
  const days = range(item, (text) => whole(text, -31, 31) || undefined, "a day such as 1 or -1 (the last), or '1:5'", false)
  // A range from the end of the month to its start is no range in any month; one that is none in the shortest is a mistake too.
  const atLeast = (day: number) => (day < 0 ? SHORTEST_MONTH + day + 1 : day)
  if ((days.from < 0 && days.to > 0) || atLeast(days.from) > atLeast(days.to)) throw new Error('expected a range from an earlier day to a later one')
  return days
}

/** `a` or `a:b`; numbers may stand without quotes. */
function range(item: unknown, read: (text: string) => number | undefined, wanted: string, ordered = true): Range {
  const words = typeof item === 'string' || typeof item === 'number' ? String(item).toLowerCase().split(':') : []
  const [from, to] = words.map(read)
  if (from !== undefined && words.length === 1) return { from, to: from }
  if (from === undefined || to === undefined || words.length > 2) throw new Error(`expected ${wanted}`)
  if (ordered && from > to) throw new Error('expected a range from an earlier one to a later one; write what passes the end as two items')
  return { from, to }
}

function named(names: readonly string[], first: number) {
  return (text: string) => (names.includes(text) ? names.indexOf(text) + first : undefined)
}

function whole(text: string, least: number, most: number): number | undefined {
  const number = /^[+-]?\d{1,4}$/.test(text) ? Number(text) : NaN
  return number >= least && number <= most ? number : undefined
}

/** Go's names: `Local` is this machine's, the empty one UTC. */
function zone(location: unknown): string | undefined {
  if (location === 'Local') return undefined
  if (location === undefined || location === '') return 'UTC'
  try {
    if (typeof location === 'string') return new Intl.DateTimeFormat('en', { timeZone: location }).resolvedOptions().timeZone
  } catch {
    // Told below, with everything that is not even a text.
  }
  throw new Error('location: expected a time zone such as Asia/Shanghai, or Local')
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
