import type { Job } from './core/probe.ts'
import { resolveHost } from './probes/lib/resolve.ts'

/** Most addresses of one name that become targets of their own. */
const MOST_ADDRESSES = 64
/** An address that this many look-ups in a row did not name is gone. */
const MISSES = 3
const LEAST_LOOKUP_MS = 10_000
const LOOKUP_TIMEOUT_MS = 5_000

/** The jobs of a round: each one of `addresses: each` as one for every address. A name that does not resolve stays one job, which says so. */
export async function expanded(jobs: readonly Job[], signal: AbortSignal): Promise<Job[]> {
  const lists = await Promise.all(jobs.map(async (job) => {
    const ips = job.each ? await lookUp(job.each, signal) : undefined
    return job.each && ips ? ips.map(job.each.at) : [job]
  }))
  return lists.flat()
}

export interface Expander {
  /** Makes these the jobs whose addresses are looked up; the others are forgotten. */
  set(jobs: readonly Job[]): void
  stop(): void
}

interface Followed {
  readonly job: Job
  readonly each: NonNullable<Job['each']>
  /** Look-ups in a row that did not name it, by address. */
  readonly missed: Map<string, number>
  readonly timer: NodeJS.Timeout
}

/**
 * Follows the addresses of jobs with `addresses: each`: `apply` gets one job for each, under a source of its own. Until a
 * name has resolved for the first time, and if it never does, its job runs as it is and tells why.
 */
export function createExpander(
  apply: (source: string, jobs: readonly Job[]) => void, onTooMany: (job: Job, found: number) => void, resolve: typeof resolveHost = resolveHost,
): Expander {
  const followed = new Map<string, Followed>()
  const stop = new AbortController()

  async function follow({ job, each, missed }: Followed) {
    const ips = await lookUp(each, stop.signal, resolve, (found) => onTooMany(job, found))
    if (stop.signal.aborted || followed.get(job.id)?.job !== job) return
    if (ips) {
      for (const ip of missed.keys()) missed.set(ip, (missed.get(ip) ?? 0) + 1)
      for (const ip of ips) missed.set(ip, 0)
      for (const [ip, times] of missed) if (times >= MISSES) missed.delete(ip)
    }
    // In the order of the text, so that two look-ups with the same answer are the same jobs.
    apply(`each:${job.id}`, missed.size === 0 ? [job] : [...missed.keys()].toSorted().map(each.at))
  }

  return {
    set(jobs) {
      const wanted = new Map(jobs.map((job) => [job.id, job]))
      for (const [id, { job, timer }] of followed) {
        if (wanted.get(id)?.fingerprint === job.fingerprint) continue
        clearInterval(timer)
        followed.delete(id)
        if (!wanted.has(id)) apply(`each:${id}`, [])
      }
      for (const job of jobs) {
        if (!job.each || followed.has(job.id)) continue
        const everyMs = Math.max(LEAST_LOOKUP_MS, 'everyMs' in job.schedule ? job.schedule.everyMs : 0)
        const entry: Followed = { job, each: job.each, missed: new Map(), timer: setInterval(() => void follow(entry), everyMs) } // never rejects
        followed.set(job.id, entry)
        void follow(entry) // never rejects
      }
    },
    stop() {
      stop.abort()
      for (const { timer } of followed.values()) clearInterval(timer)
    },
  }
}

/** The addresses of the name, or undefined when it cannot be resolved now. Never rejects. */
async function lookUp(
  { host, ipProtocol }: NonNullable<Job['each']>, signal: AbortSignal, resolve = resolveHost, onTooMany: (found: number) => void = () => {},
): Promise<readonly string[] | undefined> {
  try {
    const addresses = await resolve(host, { ipProtocol, signal: AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]), deadline: performance.now() + LOOKUP_TIMEOUT_MS })
    if (addresses.length > MOST_ADDRESSES) onTooMany(addresses.length)
    return addresses.length === 0 ? undefined : addresses.slice(0, MOST_ADDRESSES).map(({ ip }) => ip)
  } catch {
    // The job itself says why when it is run.
    return undefined
  }
}
