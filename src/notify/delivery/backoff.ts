const FIRST_MS = 1_000
const LONGEST_MS = 60_000

/** How long to wait after so many failures in a row (from 1), ms: doubling, and spread over half of it so that many do not come back at once. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 16))
  return Math.round(full / 2 + random() * full / 2)
}
