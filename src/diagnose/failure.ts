import type { CodeSpec } from '../core/codes.ts'
import { explain } from '../core/errors.ts'
import type { Failure, Layer } from '../core/result.ts'
import { redact } from '../core/secrets.ts'

/** What an error says of a layer, ready to be shown. */
export function failureOf(error: unknown, layer: Layer, codes: Readonly<Record<string, CodeSpec>> = {}): Failure {
  const { failure } = explain(error, layer, codes)
  return { ...failure, message: redact(failure.message) }
}

/** Seconds since a `performance.now()`, to the microsecond. */
export function secondsSince(began: number): number {
  return Math.round((performance.now() - began) * 1_000) / 1e6
}
