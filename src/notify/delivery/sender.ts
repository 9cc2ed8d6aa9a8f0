import { EntriesChanged, LeaseLost, type Lease, type Message } from '../outbox.ts'
import { attempt, attemptFailed } from './attempt.ts'
import { giveUpLate } from './give-up.ts'
import { noHalves } from './halves.ts'
import { nextMessage } from './next-message.ts'
import { SUSPECT_ATTEMPTS, type SenderDeps, type Work } from './work.ts'

export interface Sender {
  /** There may be something to send. */
  wake(): void
  /** Lets the request that is under way end, gives the lease back, and resolves. */
  stop(): Promise<void>
}

/** Messages that are under way at a time: the suspect, and one to find out whether it is one. */
const MOST_FROZEN = 2
const IDLE_MS = 1_000
const LEASE_SPARE_MS = 15_000

/**
 * Tells one channel what waits for it, one message at a time and in order: the only way to know which of two arrived first.
 * Near the limit of its rate many notifications become a digest. A message of which the service may have taken something never changes, but for what it has refused for good.
 */
export function createSender(deps: SenderDeps): Sender {
  const { outbox, channel, on } = deps
  const work: Work = { ...deps, failures: 0, lastDetail: '', halves: noHalves() }
  const leaseMs = channel.timeoutMs + LEASE_SPARE_MS
  let lease: Lease | undefined
  let stopped = false
  /** Nothing is tried before this, ms since 1970. */
  let pausedUntil = 0
  /** A message of which the service has taken a part that the outbox does not know of yet: a full disk, a Redis that has just gone. */
  let unwritten: Message | undefined
  let ring: (() => void) | undefined
  let woken = false

  const running = run()

  async function run(): Promise<void> {
    while (!stopped) {
      let waitMs = IDLE_MS
      try {
        waitMs = await step()
      } catch (error) {
        // What was being composed is out of date already.
        if (error instanceof EntriesChanged) continue
        // After any other error it is still ours, and nobody else could send until it runs out.
        if (error instanceof LeaseLost) lease = undefined
        else on({ kind: 'trouble', error })
      }
      if (waitMs > 0) await rest(waitMs)
    }
    try {
      if (lease && unwritten) await writeDown(lease, unwritten)
      if (lease) await outbox.release(lease)
    } catch {
      // The lease runs out by itself.
    }
  }

  /** Sleeps, but not through a wake. */
  async function rest(ms: number): Promise<void> {
    if (woken || stopped) {
      woken = false
      return
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, IDLE_MS))
      ring = () => { clearTimeout(timer); resolve() }
    })
    ring = undefined
    woken = false
  }

  /** Does the next thing there is to do; returns how long nothing is, ms. */
  async function step(): Promise<number> {
    const now = Date.now()
    lease ??= await outbox.lease(channel.name, leaseMs, now)
    if (!lease) return IDLE_MS
    await outbox.renew(lease, leaseMs, now)
    // Before anything else, or the part would be told again.
    if (unwritten) await writeDown(lease, unwritten)

    const messages = await giveUpLate(work, lease, await outbox.messages(channel.name), now)
    if (now < pausedUntil) return pausedUntil - now
    const message = await choose(lease, messages, now)
    if (!message) return IDLE_MS
    pausedUntil = await deliver(lease, message)
    return pausedUntil - Date.now()
  }

  /** The message to try now: one that is under way, else a new one. */
  async function choose(held: Lease, messages: readonly Message[], now: number): Promise<Message | undefined> {
    const due = messages.filter(({ nextAt }) => nextAt <= now).toSorted((a, b) => a.attempts - b.attempts || a.id - b.id)[0]
    if (due) return due
    if (messages.length >= MOST_FROZEN || messages.some(({ attempts }) => attempts < SUSPECT_ATTEMPTS)) return undefined
    const waiting = await outbox.waiting(channel.name)
    if (waiting.entries === 0) return undefined
    // What cannot go yet is composed when it can: more may have come by then.
    const { waitMs } = await outbox.room(channel.robot, channel.rates, now)
    if (waitMs > 0) {
      pausedUntil = now + waitMs
      return undefined
    }
    return nextMessage(work, held, waiting, now)
  }

  /** Sends what is left of a message; returns until when the channel rests, ms since 1970, or 0: not at all. */
  async function deliver(held: Lease, message: Message): Promise<number> {
    let left = message
    for (const part of message.parts.slice(message.sent)) {
      if (stopped) break
      const now = Date.now()
      await outbox.renew(held, leaseMs, now)
      const { waitMs } = await outbox.take(held, channel.robot, channel.rates, now)
      if (waitMs > 0) return now + waitMs
      const verdict = await attempt(work, part)
      if (verdict.outcome !== 'sent') return attemptFailed(work, held, left, verdict)
      work.failures = 0
      work.halves.refusedInRow = 0
      on({ kind: 'part_sent' })
      left = { ...left, sent: left.sent + 1, attempts: 0 }
      unwritten = left
      await writeDown(held, left)
    }
    return 0
  }

  async function writeDown(held: Lease, message: Message): Promise<void> {
    const now = Date.now()
    await outbox.partSent(held, message.id, now, message.sent)
    unwritten = undefined
    if (message.sent === message.parts.length) on({ kind: 'delivered', entries: message.entries.map(({ receivedAt }) => ({ waitedMs: now - receivedAt })) })
  }

  return {
    wake() {
      woken = true
      ring?.()
    },
    stop() {
      stopped = true
      ring?.()
      return running
    },
  }
}
