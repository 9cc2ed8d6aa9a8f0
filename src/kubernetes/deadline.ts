/** The end of a call: its time, the caller's signal or the client's. */
export interface Deadline {
  readonly signal: AbortSignal
  /** Whether the time was what ended it. */
  passed(): boolean
  /** From now on the signals alone end it. */
  lift(): void
  /** Must be called at the end, else a timer and listeners stay. */
  clear(): void
}

/** One signal for all that may end a call. AbortSignal.any would hold on to what it follows for as long as that lives. */
export function deadline(ms: number, signals: readonly (AbortSignal | undefined)[]): Deadline {
  const controller = new AbortController()
  let passed = false
  const timer = setTimeout(() => {
    passed = true
    controller.abort()
  }, ms)
  const abort = () => controller.abort()
  for (const signal of signals) {
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort)
  }
  return {
    signal: controller.signal,
    passed: () => passed,
    lift: () => clearTimeout(timer),
    clear() {
      clearTimeout(timer)
      for (const signal of signals) signal?.removeEventListener('abort', abort)
    },
  }
}
