const LOOK_MS = 25
/** What Curlew calls starved is half a second late. */
const STALL_MS = 300

export interface Stalls {
  /** When this machine went on after it had stood still, ms since 1970. */
  readonly at: readonly number[]
  stop(): void
}

/** A virtual machine now and then gets no CPU for a while. What was looked at meanwhile says nothing of Curlew. */
export function watchStalls(): Stalls {
  const at: number[] = []
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    if (now - last > LOOK_MS + STALL_MS) at.push(Date.now())
    last = now
  }, LOOK_MS)
  return { at, stop: () => clearInterval(timer) }
}

/**
 * Looks, and looks again, three times at most, where it is not as it should be and that may be the machine's doing: never a
 * target that is accused, for that is what Curlew must not do then.
 */
export async function lookedAtWhileItRan<T>(look: () => Promise<T>, isAsExpected: (got: T) => boolean, mayBeTheMachine: (got: T, hasStoodStill: boolean) => boolean): Promise<T> {
  for (let looks = 1; ; looks++) {
    const stalls = watchStalls()
    const got = await look().finally(() => stalls.stop())
    if (isAsExpected(got) || looks === 3 || !mayBeTheMachine(got, stalls.at.length > 0)) return got
  }
}
