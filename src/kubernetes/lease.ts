import { z } from 'zod'
import { inNamespace } from './collections.ts'
import { deadline } from './deadline.ts'
import { KubeError, type KubeClient, type KubeTrouble } from './model.ts'

/** What is read of a Lease (coordination.k8s.io/v1); whatever else it holds is written back as it came. */
const leaseSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({
    holderIdentity: z.string().nullish(),
    leaseDurationSeconds: z.number().nullish(),
    leaseTransitions: z.number().nullish(),
  }).nullish(),
})
type Lease = z.output<typeof leaseSchema>

/** What time is for an elector; another one in tests. */
export interface Clock {
  /** Monotonic, ms. */
  now(): number
  /** Wall clock, ms: for the people who read the Lease, and for nothing else. */
  wall(): number
  /** Ends early, and in peace, when the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

export interface ElectorOptions {
  readonly client: Pick<KubeClient, 'json' | 'namespace'>
  /** The client's own unless given. */
  readonly namespace: string | undefined
  readonly name: string
  /** Unique to this process: a container that starts again under the same name of a pod is another one. */
  readonly identity: string
  /** How long a holder that is gone is waited for. */
  readonly durationMs: number
  /** At each change; `holder` tells the new one by then. Must not throw. */
  readonly onTurn: (active: boolean) => void
  /** When the Lease begins to be out of reach, at each other kind of trouble, and with undefined once it is read again. Must not throw. */
  readonly onTrouble: (trouble: KubeError | undefined) => void
  readonly clock?: Clock
  /** 0 to 1. */
  readonly random?: () => number
}

export interface Elector {
  active(): boolean
  /** The identity in the Lease as it was last seen; undefined where it is free or has not been read. */
  holder(): string | undefined
  /** Gives the Lease back, if this one has it, so that another one need not wait. Never rejects. */
  stop(withinMs: number): Promise<void>
}

/** A Lease that says more was written by something else: a holder that is gone is not waited for longer. */
const LONGEST_MS = 60_000

const systemClock: Clock = {
  now: () => performance.now(),
  wall: Date.now,
  wait: (ms, signal) => new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  }),
}

/**
 * One of several processes is active: it holds a Lease, as client-go's leader election does it. Writes carry the
 * resourceVersion that was read, so that of two that take it one loses. A holder is gone when its Lease has not changed
 * for its duration by the clock of whoever waits. Unlike client-go's, a holder that cannot renew stays active until it
 * reads that another one has the Lease.
 */
export function createElector({ client, namespace, name, identity, durationMs, onTurn, onTrouble, clock = systemClock, random = Math.random }: ElectorOptions): Elector {
  const timeoutMs = durationMs / 3
  const ending = new AbortController()
  let active = false
  /** The Lease as this one has last written it. */
  let mine: Lease | undefined
  /** A write may have got through although its answer did not. */
  let tried = false
  let holder: string | undefined
  /** What the Lease said last, since when by the monotonic clock, when it was last read, and when a time without an answer ended. */
  let spec = ''
  let unchangedSince = 0
  let readAt: number | undefined
  let gapEndedAt = -Infinity
  /** Kinds of trouble since the Lease was last within reach. */
  const troubles = new Set<KubeTrouble>()

  let known = namespace
  const home = async () => (known ??= await client.namespace())

  async function call(method: 'GET' | 'POST' | 'PUT', body: unknown, signal: AbortSignal): Promise<Lease> {
    const collection = inNamespace('/apis/coordination.k8s.io/v1/leases', await home())
    if (method !== 'GET') tried = true
    const path = method === 'POST' ? collection : `${collection}/${encodeURIComponent(name)}`
    const answer = leaseSchema.safeParse(await client.json({ path, method, body, signal, timeoutMs }))
    if (!answer.success) throw new KubeError('protocol', `the Lease ${name} cannot be read: ${z.prettifyError(answer.error)}`)
    return answer.data
  }

  /** As `call`, but undefined for the troubles named. */
  async function unless(troubles: readonly KubeError['trouble'][], method: 'GET' | 'POST' | 'PUT', body: unknown, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await call(method, body, signal)
    } catch (error) {
      if (error instanceof KubeError && troubles.includes(error.trouble)) return undefined
      throw error
    }
  }

  function claimed(old: Lease['spec']): Lease['spec'] {
    const now = microTime(clock.wall())
    const ours = old?.holderIdentity === identity
    return {
      ...old, holderIdentity: identity, leaseDurationSeconds: Math.ceil(durationMs / 1_000), renewTime: now,
      ...(ours ? {} : { acquireTime: now, leaseTransitions: old ? (old.leaseTransitions ?? 0) + 1 : 0 }),
    }
  }

  function turn(now: boolean) {
    if (active === now) return
    active = now
    onTurn(now)
  }

  function wrote(lease: Lease | undefined) {
    mine = lease
    if (!lease) return
    holder = identity
    turn(true)
  }

  function expired(lease: Lease): boolean {
    const now = clock.now()
    if (readAt === undefined || now - readAt > durationMs / 3) gapEndedAt = readAt === undefined ? -Infinity : now
    readAt = now
    const text = JSON.stringify(lease.spec)
    if (text !== spec) {
      spec = text
      unchangedSince = now
    }
    const seconds = lease.spec?.leaseDurationSeconds ?? 0
    const lasts = seconds > 0 ? Math.min(seconds * 1_000, LONGEST_MS) : durationMs
    // After an outage of the API the holder, which could not renew either, has the first word.
    return now >= Math.max(unchangedSince + lasts, gapEndedAt + durationMs / 2)
  }

  /** Renews the Lease, takes it where it is free, or sees who has it. */
  async function attempt(signal: AbortSignal): Promise<void> {
    if (mine) {
      wrote(await unless(['conflict', 'not_found'], 'PUT', { ...mine, spec: claimed(mine.spec) }, signal))
      if (mine) return
    }
    const found = await unless(['not_found'], 'GET', undefined, signal)
    if (!found) {
      return wrote(await unless(['conflict'], 'POST', { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace: await home() }, spec: claimed(undefined) }, signal))
    }
    const other = found.spec?.holderIdentity ?? ''
    const gone = expired(found)
    if (other !== '' && other !== identity && !gone) {
      holder = other
      return turn(false)
    }
    wrote(await unless(['conflict'], 'PUT', { ...found, spec: claimed(found.spec) }, signal))
  }

  function tell(trouble: KubeError | undefined) {
    if (trouble ? troubles.has(trouble.trouble) : troubles.size === 0) return
    if (trouble) troubles.add(trouble.trouble)
    else troubles.clear()
    onTrouble(trouble)
  }

  /** Never rejects. */
  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let soonest = 0
      try {
        await attempt(signal)
        tell(undefined)
      } catch (error) {
        if (signal.aborted) return
        const trouble = error instanceof KubeError ? error : new KubeError('protocol', error instanceof Error ? error.message : String(error))
        soonest = Math.min(trouble.retryAfterMs ?? 0, durationMs)
        tell(trouble)
      }
      const pause = mine && troubles.size === 0 ? durationMs / 3 * (0.8 + 0.2 * random()) : durationMs / 8 * (0.8 + 0.4 * random())
      await clock.wait(Math.max(soonest, pause), signal)
    }
  }

  const running = run(ending.signal)

  return {
    active: () => active,
    holder: () => holder,
    async stop(withinMs) {
      ending.abort(new Error('Curlew is shutting down'))
      const end = deadline(withinMs, [])
      await Promise.race([running, new Promise((resolve) => { end.signal.addEventListener('abort', resolve) })])
      end.clear()
      active = false
      if (!tried) return
      const signal = AbortSignal.timeout(withinMs)
      try {
        // The first write fails where the last one got through without an answer.
        for (const known of [mine, undefined]) {
          const lease = known ?? await call('GET', undefined, signal)
          if (lease.spec?.holderIdentity !== identity) return
          const { holderIdentity: _holder, ...rest } = lease.spec
          if (await unless(['conflict'], 'PUT', { ...lease, spec: { ...rest, leaseDurationSeconds: 1, renewTime: microTime(clock.wall()) } }, signal)) return
        }
      } catch {
        // It runs out by itself.
      }
    },
  }
}

/** As the API wants a MicroTime: RFC 3339 with exactly six decimals. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
