import type { Answer, DeliveryReason, Verdict } from '../channel.ts'
import { detail, retryAfter } from './answer.ts'

type Refusal = Exclude<Verdict, { readonly outcome: 'sent' }>

/** An outcome other than `sent`, with what was answered as its detail unless `says` puts it better. */
export function refused(outcome: Refusal['outcome'], reason: DeliveryReason, answer: Answer, says?: string): Refusal {
  return { outcome, reason, detail: detail(says ?? `HTTP ${answer.status}: ${answer.body.slice(0, 1_000)}`) }
}

const LONGEST_WAIT_MS = 3_600_000

/** Told to slow down. `seconds` is the wait that the body asks for; else the header's counts. */
export function tooFast(answer: Answer, seconds?: unknown): Refusal {
  const wait = typeof seconds === 'number' && seconds >= 0 ? { afterMs: Math.min(LONGEST_WAIT_MS, Math.ceil(seconds * 1_000)) } : retryAfter(answer)
  return { ...refused('retry', 'rate_limited', answer), ...wait }
}

/** A value as an object that is no array; undefined where it is none. */
export function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : undefined // safe: an object, and JSON's keys are strings
}
