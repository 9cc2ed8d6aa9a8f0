const QUIET_MS = 200
const LONGEST_MS = 1_000

/** Calls `work` once things have been quiet for 200 ms, a second after the first change at the latest; never twice at the same time. */
export function createGather(work: () => Promise<void>): { changed(): void, stop(): void } {
  let timer: NodeJS.Timeout | undefined
  let firstAt: number | undefined
  let busy = false
  let stopped = false

  function arm() {
    if (busy || stopped || firstAt === undefined) return
    clearTimeout(timer)
    timer = setTimeout(() => void run(), Math.max(0, Math.min(QUIET_MS, firstAt + LONGEST_MS - performance.now()))) // `work` never rejects
  }

  async function run() {
    firstAt = undefined
    busy = true
    await work()
    busy = false
    arm()
  }

  return {
    changed() {
      firstAt ??= performance.now()
      arm()
    },
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
