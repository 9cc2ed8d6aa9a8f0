import type { NotifyConfig } from '../options.ts'
import type { OutboxOptions, SharedOutbox, Written } from '../outbox.ts'
import type { FromForwarder } from '../protocol.ts'
import { RedisRefused } from './redis-checks.ts'
import { RedisAway } from './redis-connection.ts'
import { openRedisOutbox } from './redis.ts'

/** How often a Redis that cannot be reached is tried. */
const RETRY_MS = 2_000
/** How long all replicas need to see that it is back, and to say what they keep for it: they look each second, once they look. */
const BACK_MS = RETRY_MS + 3_000
/** What the outbox says of the work itself is no word about Redis. */
const OF_THE_WORK = ['LeaseLost', 'OutboxFull', 'EntriesChanged', 'NotSynced']

/**
 * The outbox that replicas share, on Redis. One that is not to be relied upon is refused at the start, with a sentence; one
 * that cannot be reached, or hangs, is looked for again and again, and every call rejects at once meanwhile. `accept` and
 * `write` never are those that look: somebody waits for their answer. Nothing is composed from one that is just back: what
 * replicas have kept by themselves meanwhile is to be told first.
 */
export async function openShared(redis: NonNullable<NotifyConfig['redis']>, options: OutboxOptions, tell: (line: FromForwarder) => void): Promise<SharedOutbox> {
  let current: SharedOutbox | undefined
  let opening: Promise<SharedOutbox> | undefined
  let awaySince: number | undefined
  let up: boolean | undefined
  let backSince = -Infinity

  function say(isUp: boolean): void {
    if (isUp && up === false) backSince = performance.now()
    if (up !== isUp) tell({ kind: 'shared', up: isUp })
    up = isUp
  }

  /** The Redis; one try at a time. */
  function open(): Promise<SharedOutbox> {
    opening ??= openRedisOutbox(redis, options)
      .then((outbox) => { current = outbox; return outbox })
      .finally(() => { opening = undefined })
    return opening
  }

  async function use<T>(work: (outbox: SharedOutbox) => Promise<T>, mayLook = true): Promise<T> {
    if (awaySince !== undefined && (!mayLook || performance.now() - awaySince < RETRY_MS)) throw new RedisAway('the shared Redis cannot be reached')
    try {
      const result = await work(current ?? await open())
      awaySince = undefined
      say(true)
      return result
    } catch (error) {
      throw noted(error)
    }
  }

  function noted(error: unknown): unknown {
    if (error instanceof RedisAway) awaySince = performance.now()
    if (!(error instanceof Error && OF_THE_WORK.includes(error.name))) say(false)
    return error
  }

  async function write(...args: Parameters<SharedOutbox['write']>): Promise<Written> {
    const { accepted, durable } = await use((outbox) => outbox.write(...args), false)
    return { accepted, durable: durable.catch((error: unknown) => { throw noted(error) }) }
  }

  await use((outbox) => outbox.depths()).catch((error: unknown) => {
    if (error instanceof RedisRefused) throw error
  })

  return {
    accept: (...args) => use((outbox) => outbox.accept(...args), false),
    write,
    lease: (...args) => use((outbox) => outbox.lease(...args)),
    renew: (...args) => use((outbox) => outbox.renew(...args)),
    release: (...args) => use((outbox) => outbox.release(...args)),
    queued: (...args) => use((outbox) => outbox.queued(...args)),
    async waiting(channel) {
      const waiting = await use((outbox) => outbox.waiting(channel))
      return performance.now() - backSince < BACK_MS ? { entries: 0, notifications: 0 } : waiting
    },
    letFirst: (...args) => use((outbox) => outbox.letFirst(...args)),
    messages: (...args) => use((outbox) => outbox.messages(...args)),
    freeze: (...args) => use((outbox) => outbox.freeze(...args)),
    take: (...args) => use((outbox) => outbox.take(...args)),
    room: (...args) => use((outbox) => outbox.room(...args)),
    pause: (...args) => use((outbox) => outbox.pause(...args)),
    partSent: (...args) => use((outbox) => outbox.partSent(...args)),
    postpone: (...args) => use((outbox) => outbox.postpone(...args)),
    thaw: (...args) => use((outbox) => outbox.thaw(...args)),
    giveUp: (...args) => use((outbox) => outbox.giveUp(...args)),
    depths: (...args) => use((outbox) => outbox.depths(...args)),
    dead: (...args) => use((outbox) => outbox.dead(...args)),
    resend: (...args) => use((outbox) => outbox.resend(...args)),
    forget: (...args) => use((outbox) => outbox.forget(...args)),
    recall: (...args) => use((outbox) => outbox.recall(...args)),
    remember: (...args) => use((outbox) => outbox.remember(...args)),
    sweep: (...args) => use((outbox) => outbox.sweep(...args)),
    close: async () => { await current?.close() },
  }
}
