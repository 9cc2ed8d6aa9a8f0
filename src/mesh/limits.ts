/** How much is answered: so many a second, and so many at once after a pause. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

interface Bucket {
  left: number
  at: number
}

/**
 * Whether a question from an address is answered now. `total` holds for all together, but for addresses that are `genuine`: who
 * forges thousands of them must not use up the answers of the others. At most `addresses` are remembered, the one that has been
 * silent for longest gives way. `now` are milliseconds.
 */
export function createRateLimit(each: Rate, total: Rate, addresses: number, genuine: (address: string) => boolean, now: () => number = () => performance.now()): (address: string) => boolean {
  const all: Bucket = { left: total.burst, at: now() }
  const buckets = new Map<string, Bucket>()

  return (address) => {
    const at = now()
    const own = buckets.get(address) ?? { left: each.burst, at }
    // Put at the end again: the first of the map is the one that has been silent for longest.
    buckets.delete(address)
    buckets.set(address, own)
    if (buckets.size > addresses) {
      const [oldest] = buckets.keys()
      if (oldest !== undefined) buckets.delete(oldest)
    }
    fill(own, each, at)
    fill(all, total, at)
    if (own.left < 1 || (all.left < 1 && !genuine(address))) return false
    own.left--
    all.left = Math.max(0, all.left - 1)
    return true
  }
}

function fill(bucket: Bucket, { perSecond, burst }: Rate, at: number): void {
  bucket.left = Math.min(burst, bucket.left + (at - bucket.at) * perSecond / 1_000)
  bucket.at = at
}
