import type { Language } from '../words/language.ts'
import { NOTIFY_WORDS } from '../words/notify.ts'

export const MINUTE = 60_000

/** Making one costs more than a message; there are no more than routes have time zones. */
const formats = new Map<string, Intl.DateTimeFormat>()

function format(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify([locale, options])
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options)
  formats.set(key, known)
  return known
}

/** `03:12 GMT+8`, with the day when it is not that of `now`, and the year when that differs; `bare` without the zone. Times are ms since 1970. */
export function timeText(at: number, { now, timezone, lang }: { readonly now: number, readonly timezone: string, readonly lang: Language }, as?: 'bare'): string {
  if (!Number.isFinite(at) || Math.abs(at) > 8.64e15) return '?'
  const of = (options: Intl.DateTimeFormatOptions, time = at, locale = 'en-GB') => format(locale, { ...options, timeZone: timezone }).format(time)
  const zone = format('en-US', { timeZone: timezone, timeZoneName: 'short' }).formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? timezone
  const clock = `${of({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })}${as === 'bare' ? '' : ` ${zone}`}`
  const day: Intl.DateTimeFormatOptions = { year: 'numeric', month: 'short', day: 'numeric' }
  if (of(day) === of(day, now)) return clock
  const sameYear = of({ year: 'numeric' }) === of({ year: 'numeric' }, now)
  return `${of(sameYear ? { month: 'short', day: 'numeric' } : day, at, lang === 'zh' ? 'zh-CN' : 'en-GB')} ${clock}`
}

/** A duration in at most two units: `4 min`, `2 h 5 min`, `3 d`. Whoever waits is told no seconds beside minutes. */
export function durationText(ms: number, lang: Language): string {
  const { units } = NOTIFY_WORDS[lang]
  const seconds = Number.isFinite(ms) ? Math.max(0, Math.floor(ms / 1000)) : 0
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  const two = (big: string, small: string, rest: number) => (rest > 0 ? `${big} ${rest} ${small}` : big)
  if (minutes < 1) return `${seconds} ${units.s}`
  if (hours < 1) return `${minutes} ${units.min}`
  if (days < 1) return two(`${hours} ${units.h}`, units.min, minutes % 60)
  return two(`${days} ${units.d}`, units.h, hours % 24)
}

/** How long a run took: `0.4 ms`, `12 ms`, `1.5 s`. */
export function latencyText(ms: number): string {
  if (ms >= 1000) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 1 : 0))} s`
  return `${Number(ms.toFixed(ms < 10 ? 1 : 0))} ms`
}
