import { redact } from '../../core/secrets.ts'
import type { Answer, Verdict } from '../channel.ts'
import { cutTo, oneLine } from '../text.ts'

type Refusal = Exclude<Verdict, { readonly outcome: 'sent' }>

/** What a service said, as one line of at most 200 characters that holds no secret. */
export function detail(said: string): string {
  return cutTo(redact(oneLine(said)).trim(), 200, 'characters') || 'no words'
}

/** The body as a JSON object; undefined where it is none. */
export function jsonObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined // safe: an object, and JSON's keys are strings
  } catch {
    return undefined
  }
}

/** A text of a service's answer; what is none, as JSON. */
export function words(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value)
}

/** A whole number that may be written as text, as some services do; undefined where it is none. */
export function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return Number.isSafeInteger(number) ? Number(number) : undefined
}

const LONGEST_WAIT_MS = 3_600_000

/** `Retry-After` in ms, of seconds or a date; nothing where it is missing or unreadable, an hour at most. */
export function retryAfter({ headers }: Answer, now: number = Date.now()): { readonly afterMs?: number } {
  const text = headers['retry-after']
  if (text === undefined) return {}
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now
  return Number.isFinite(ms) ? { afterMs: Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(ms))) } : {}
}

/**
 * What an answer means whose body is none of the service's: a proxy's page, half an answer, nothing. Never `sent`. It is
 * tried again until the deadline, for it says more of the way than of the message: only a message that is too large stays so.
 */
export function unknownAnswer(answer: Answer): Refusal {
  const said = detail(`HTTP ${answer.status}: ${answer.body}`)
  if (answer.status === 413) return { outcome: 'message_bad', reason: 'too_large', detail: said }
  if (answer.status === 429) return { outcome: 'retry', reason: 'rate_limited', ...retryAfter(answer), detail: said }
  if (answer.status === 408) return { outcome: 'retry', reason: 'timeout', detail: said }
  return { outcome: 'retry', reason: answer.status >= 500 ? 'unavailable' : 'protocol', ...retryAfter(answer), detail: said }
}
