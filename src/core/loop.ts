const PERIOD_MS = 50
const KEPT = 64

export interface LoopWatch {
  /** Milliseconds for which the event loop stood still at worst, at a stretch, since a `performance.now()`. */
  lateSince(since: number): number
  stop(): void
}

/** Watches the event loop with one timer: what a tick comes late by is a time in which nothing could be measured. */
export function watchLoop(onDelay: (seconds: number) => void): LoopWatch {
  const stalls: { from: number, until: number }[] = []
  let due = performance.now() + PERIOD_MS
  const timer = setInterval(() => {
    const now = performance.now()
    const late = Math.max(0, now - due)
    onDelay(late / 1000)
    if (late > PERIOD_MS) {
      stalls.push({ from: due, until: now })
      if (stalls.length > KEPT) stalls.shift()
    }
    due = now + PERIOD_MS
  }, PERIOD_MS)
  timer.unref()

  return {
    lateSince(since) {
      // The tick of a stall that ends just now may come after the callback that asks.
      const current = performance.now() - Math.max(since, due)
      return stalls.reduce((worst, { from, until }) => Math.max(worst, until - Math.max(since, from)), Math.max(0, current))
    },
    stop() {
      clearInterval(timer)
    },
  }
}
