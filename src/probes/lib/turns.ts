/** How many may do a thing at a time; the others wait in the order of their arrival. */
export interface Turns {
  /** Resolves with true once it is one's turn, which must be ended, or with false when `until` (of performance.now()) comes first. Rejects when aborted. */
  take(until: number, signal: AbortSignal): Promise<boolean>
  end(): void
}

export function createTurns(most: number): Turns {
  const waiting: (() => void)[] = []
  let taken = 0
  return {
    take(until, signal) {
      if (signal.aborted) return Promise.reject(signal.reason)
      if (taken < most) {
        taken++
        return Promise.resolve(true)
      }
      return new Promise((resolve, reject) => {
        const leave = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          const place = waiting.indexOf(go)
          if (place >= 0) waiting.splice(place, 1)
        }
        // The turn is handed on: it stays taken.
        const go = () => { leave(); resolve(true) }
        const onAbort = () => { leave(); reject(signal.reason) }
        const timer = setTimeout(() => { leave(); resolve(false) }, Math.max(0, until - performance.now()))
        signal.addEventListener('abort', onAbort, { once: true })
        waiting.push(go)
      })
    },
    end() {
      const next = waiting[0]
      if (next) next()
      else taken--
    },
  }
}
