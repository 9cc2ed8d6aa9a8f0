import type { Address } from './resolve.ts'
import type { Route } from './traceroute-route.ts'
import { traceRoute, type TraceOptions } from './traceroute.ts'

export interface RememberedRoute {
  readonly route: Route
  /** How long ago it was traced. */
  readonly ageMs: number
}

/** Traces for evidence: many may ask at once for the same route, while one answer does for all. */
export interface RouteMemory {
  /**
   * The route as it was last traced, when that was within the cooldown, or else as it is now. Waits for a trace of the same
   * route that is under way. Throws what `traceRoute` throws; that is not kept.
   */
  trace(destination: Address, options: TraceOptions): Promise<RememberedRoute>
}

export interface MemoryOptions {
  /** The same destination is not traced again with the same protocol for so long. */
  readonly cooldownMs?: number
  /** How many routes are kept. */
  readonly most?: number
  readonly trace?: typeof traceRoute
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number
}

export function createRouteMemory({ cooldownMs = 60_000, most = 256, trace = traceRoute, now = () => performance.now() }: MemoryOptions = {}): RouteMemory {
  /** The oldest first. */
  const kept = new Map<string, { readonly at: number, readonly route: Promise<Route> }>()
  const drop = () => {
    for (const [key, { at }] of kept) if (kept.size >= most || now() - at >= cooldownMs) kept.delete(key)
  }
  return {
    async trace(destination, options) {
      const key = `${options.protocol} ${destination.ip}`
      for (let known = kept.get(key); known && now() - known.at < cooldownMs; known = kept.get(key)) {
        // Another one's trace may fail of that one's own trouble: it ran out of time, or was stopped.
        const route = await known.route.catch(() => undefined)
        options.signal.throwIfAborted()
        if (route) return { route, ageMs: now() - known.at }
      }
      drop()
      const begun = { at: now(), route: trace(destination, options) }
      kept.set(key, begun)
      try {
        return { route: await begun.route, ageMs: 0 }
      } catch (error) {
        if (kept.get(key) === begun) kept.delete(key)
        throw error
      }
    },
  }
}
