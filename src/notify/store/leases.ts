import { LeaseLost, type Lease } from '../outbox.ts'

/** Leases of one process. */
export interface Leases {
  take(channel: string, ms: number, now: number): Lease | undefined
  /** Throws LeaseLost when it was released, or taken over after its end; with `now` already at its end. */
  check(lease: Lease, now?: number): void
  renew(lease: Lease, ms: number, now: number): void
  release(lease: Lease): void
}

/**
 * Leases in memory. They are enough where a lock on the directory has made this process the only one that sends: a lease on
 * disk would only make its next life wait for the end of what kill -9 has left behind.
 */
export function memoryLeases(): Leases {
  const held = new Map<string, { fence: number, expiresAt: number }>()
  let fences = 0
  const holder = ({ channel, fence }: Lease, now = -Infinity) => {
    const current = held.get(channel)
    if (current?.fence !== fence || current.expiresAt <= now) throw new LeaseLost(`another one sends on channel ${channel}`)
    return current
  }
  return {
    take(channel, ms, now) {
      const current = held.get(channel)
      if (current && current.expiresAt > now) return undefined
      fences += 1
      held.set(channel, { fence: fences, expiresAt: now + ms })
      return { channel, fence: fences }
    },
    check(lease, now) {
      holder(lease, now)
    },
    renew(lease, ms, now) {
      holder(lease).expiresAt = now + ms
    },
    release({ channel, fence }) {
      if (held.get(channel)?.fence === fence) held.delete(channel)
    },
  }
}
