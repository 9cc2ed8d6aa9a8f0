import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EntriesChanged, LeaseLost, OutboxFull, type Entry, type Lease, type Outbox, type OutboxOptions } from '../../../src/notify/outbox.ts'
import { firing, incomingOf, NOON, OPTIONS, resolved } from './samples.ts'

const REMINDER = 'repeat interval elapsed'
const WHY = { reason: 'deadline', detail: 'it took 15 min' } as const
const names = (entries: readonly Entry[]) => entries.map(({ alert }) => `${alert.labels['alertname']} ${alert.status}`)
const ids = (entries: readonly Entry[]) => entries.map(({ id }) => id)

/** What every outbox must do. `open` gives an empty one each time. */
export function outboxContract(name: string, open: (options?: Partial<OutboxOptions>) => Promise<{ outbox: Outbox, close(): Promise<void> }>): void {
  describe(`${name}: outbox`, () => {
    let outbox: Outbox
    let closers: (() => Promise<void>)[] = []
    const fresh = async (options?: Partial<OutboxOptions>) => {
      const opened = await open(options)
      closers.push(opened.close)
      return opened.outbox
    }
    beforeEach(async () => { outbox = await fresh() })
    afterEach(async () => {
      for (const close of closers) await close()
      closers = []
    })

    const leaseOf = async (box: Outbox, channel = 'ops', now = NOON): Promise<Lease> => {
      const lease = await box.lease(channel, 10_000, now)
      if (!lease) throw new Error('the lease is taken')
      return lease
    }
    const queue = async (channel = 'ops', order: 'age' | 'severity' = 'age') => await outbox.queued(channel, order, 100)
    /** Freezes everything that may be frozen. */
    const freezeAll = async (lease: Lease, parts: readonly string[] = ['{"text":"a"}']) => await outbox.freeze(lease, ids(await queue(lease.channel)), parts, false, NOON)

    describe('accepts', () => {
      it('gives back what it took', async () => {
        const alerts = [firing('a'), resolved('b', 'critical')]
        const incoming = incomingOf(alerts, { reason: 'first notification' })
        expect(await outbox.accept([incoming], NOON)).toEqual({ queued: 2, duplicates: 0, merged: 0 })
        const entries = await queue()
        expect(entries).toMatchObject(alerts.map((alert) => ({ alert, context: incoming.context, route: 'route-1', channel: 'ops', receivedAt: NOON, untold: false })))
        expect(entries.every((entry) => !('fallbackFor' in entry))).toBe(true)
        expect(entries[0]?.notification).toBe(entries[1]?.notification)
      })

      it('drops an equal state within the window, which a duplicate does not renew', async () => {
        await outbox.accept([incomingOf([firing('a')])], NOON)
        expect(await outbox.accept([incomingOf([firing('a')])], NOON + 59_999)).toEqual({ queued: 0, duplicates: 1, merged: 0 })
        expect(await outbox.accept([incomingOf([firing('a')])], NOON + 60_000)).toEqual({ queued: 0, duplicates: 0, merged: 1 })
      })

      it('does not take a clock that was set back for a window', async () => {
        await outbox.accept([incomingOf([firing('a')])], NOON)
        expect(await outbox.accept([incomingOf([firing('a')])], NOON - 60_000)).toMatchObject({ duplicates: 0 })
      })

      it('tells firing, resolved and firing within 30 s as three', async () => {
        const lease = await leaseOf(outbox)
        for (const [index, alert] of [firing('a'), resolved('a'), firing('a')].entries()) {
          expect(await outbox.accept([incomingOf([alert])], NOON + index * 10_000)).toEqual({ queued: 1, duplicates: 0, merged: 0 })
          const message = await freezeAll(lease)
          expect(names(message.entries)).toEqual([`a ${alert.status}`])
          await outbox.partSent(lease, message.id, NOON)
        }
      })

      it('lets the first reminder pass, and drops the same from a second Alertmanager', async () => {
        await outbox.accept([incomingOf([firing('a')], { reason: 'first notification' })], NOON)
        expect(await outbox.accept([incomingOf([firing('a')], { reason: REMINDER })], NOON + 20_000)).toMatchObject({ duplicates: 0 })
        expect(await outbox.accept([incomingOf([firing('a')], { reason: REMINDER })], NOON + 30_000)).toMatchObject({ duplicates: 1 })
        expect(await outbox.accept([incomingOf([firing('a')], { reason: 'new alerts added' })], NOON + 40_000)).toMatchObject({ duplicates: 1 })
        expect(await outbox.accept([incomingOf([firing('a')], { reason: REMINDER })], NOON + 80_000)).toMatchObject({ duplicates: 0 })
      })

      it('takes several channels of a route for one acceptance, and the second Alertmanager in one batch for another', async () => {
        const one = ['ops', 'dev'].map((channel) => incomingOf([firing('a'), firing('b')], { channel }))
        expect(await outbox.accept([...one, ...one], NOON)).toEqual({ queued: 4, duplicates: 4, merged: 0 })
        expect(await outbox.accept(one, NOON + 1)).toEqual({ queued: 0, duplicates: 4, merged: 0 })
        expect(names(await queue('ops'))).toEqual(['a firing', 'b firing'])
        expect(names(await queue('dev'))).toEqual(['a firing', 'b firing'])
      })

      it('keeps routes apart', async () => {
        expect(await outbox.accept([incomingOf([firing('a')]), incomingOf([firing('a')], { route: 'route-2' })], NOON)).toEqual({ queued: 2, duplicates: 0, merged: 0 })
        expect(await outbox.waiting('ops')).toEqual({ entries: 2, notifications: 2 })
      })

      it('tells an alert that comes twice in one notification by its states', async () => {
        const twice = ['ops', 'dev'].map((channel) => incomingOf([firing('a'), firing('a'), resolved('a')], { channel }))
        expect(await outbox.accept(twice, NOON)).toEqual({ queued: 2, duplicates: 2, merged: 2 })
        expect(names(await queue('dev'))).toEqual(['a resolved'])
      })
    })

    describe('merges', () => {
      it('a firing into a firing that still waits, at its place', async () => {
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        const before = await queue()
        await outbox.accept([incomingOf([firing('a', 'critical')], { reason: REMINDER })], NOON + 1_000)
        const after = await queue()
        expect(names(after)).toEqual(['a firing', 'b firing'])
        expect(after[0]).toMatchObject({ receivedAt: NOON, untold: false, alert: { labels: { severity: 'critical' } }, context: { reason: REMINDER } })
        expect(after[0]?.id).not.toBe(before[0]?.id)
        expect(await outbox.waiting('ops')).toEqual({ entries: 2, notifications: 2 })
      })

      it('a resolved into a firing that was never told, and another into that', async () => {
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        expect(await outbox.accept([incomingOf([resolved('a')])], NOON + 1_000)).toEqual({ queued: 0, duplicates: 0, merged: 1 })
        expect(await queue()).toMatchObject([{ alert: { status: 'resolved' }, untold: true }, { alert: { status: 'firing' } }])
        expect(await outbox.accept([incomingOf([resolved('a')])], NOON + 61_000)).toMatchObject({ merged: 1 })
        expect(await queue()).toMatchObject([{ alert: { status: 'resolved' }, untold: true, receivedAt: NOON }, { untold: false }])
      })

      it('no firing into a resolved', async () => {
        await outbox.accept([incomingOf([resolved('a')])], NOON)
        expect(await outbox.accept([incomingOf([firing('a')])], NOON + 1)).toMatchObject({ queued: 1, merged: 0 })
        expect(await outbox.accept([incomingOf([resolved('a')])], NOON + 2)).toMatchObject({ queued: 0, merged: 1 })
        expect(await queue()).toMatchObject([{ untold: false }, { untold: true, alert: { status: 'resolved' } }])
      })

      it('nothing into a message', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a')])], NOON)
        await freezeAll(lease)
        expect(await outbox.accept([incomingOf([resolved('a')])], NOON + 1)).toMatchObject({ queued: 1, merged: 0 })
        const [message] = await outbox.messages('ops')
        expect(names(message?.entries ?? [])).toEqual(['a firing'])
      })

      it('nothing of another route or channel', async () => {
        await outbox.accept([incomingOf([firing('a')])], NOON)
        expect(await outbox.accept([incomingOf([resolved('a')], { route: 'route-2' }), incomingOf([resolved('a')], { route: 'route-3', channel: 'dev' })], NOON)).toMatchObject({ queued: 2 })
      })

      it('so that a text composed before cannot be frozen for what came since', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        const composed = ids(await queue())
        await outbox.accept([incomingOf([resolved('a')])], NOON + 1)
        await expect(outbox.freeze(lease, composed, ['{}'], false, NOON)).rejects.toThrow(EntriesChanged)
        expect(await outbox.messages('ops')).toEqual([])
        expect(await outbox.waiting('ops')).toEqual({ entries: 2, notifications: 2 })
      })
    })

    describe('orders', () => {
      it('holds back what comes after a frozen entry of the same alert, by whatever route', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a')])], NOON)
        const message = await freezeAll(lease)
        await outbox.accept([incomingOf([resolved('a'), firing('b')]), incomingOf([firing('a')], { route: 'route-2' })], NOON + 1)
        expect(names(await queue())).toEqual(['b firing'])
        expect(await outbox.waiting('ops')).toEqual({ entries: 3, notifications: 2 })
        await outbox.partSent(lease, message.id, NOON)
        expect(names(await queue())).toEqual(['a resolved', 'b firing', 'a firing'])
      })

      it('lists the gravest first, then the oldest', async () => {
        await outbox.accept([incomingOf([firing('x', 'unheard-of'), firing('w', 'warning'), firing('c', 'critical'), firing('v', 'warning'), firing('p', 'page')])], NOON)
        expect(names(await queue('ops', 'severity'))).toEqual(['c firing', 'p firing', 'w firing', 'v firing', 'x firing'])
        expect(names(await outbox.queued('ops', 'severity', 2))).toEqual(['c firing', 'p firing'])
        expect(names(await outbox.queued('ops', 'age', 2))).toEqual(['x firing', 'w firing'])
      })

      it('looks beyond any number of held back entries', async () => {
        const lease = await leaseOf(outbox)
        const many = Array.from({ length: 150 }, (_, index) => firing(`a${index}`))
        await outbox.accept([incomingOf(many)], NOON)
        await outbox.freeze(lease, ids(await outbox.queued('ops', 'age', 150)), ['{}'], false, NOON)
        await outbox.accept([incomingOf([...many.map(({ labels }) => resolved(labels['alertname'] ?? '')), firing('b')])], NOON + 1)
        expect(names(await outbox.queued('ops', 'age', 3))).toEqual(['b firing'])
      })
    })

    describe('messages', () => {
      it('keeps parts as they were, and resumes at the first that is not taken', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('b'), firing('a')])], NOON)
        const parts = ['{"text":"一😀"}', '{"text":"\\u0000"}', '[]']
        const waiting = await queue()
        const message = await outbox.freeze(lease, ids(waiting).toReversed(), parts, true, NOON + 5)
        expect(message).toMatchObject({ channel: 'ops', parts, sent: 0, attempts: 0, digest: true })
        expect(message.nextAt).toBeLessThanOrEqual(NOON + 5)
        expect(message.entries).toEqual(waiting)
        expect(await outbox.messages('ops')).toEqual([message])
        expect(await queue()).toEqual([])
        expect(await outbox.waiting('ops')).toEqual({ entries: 0, notifications: 0 })

        await outbox.postpone(lease, message.id, NOON + 9_000)
        await outbox.postpone(lease, message.id, NOON + 20_000)
        expect(await outbox.messages('ops')).toMatchObject([{ sent: 0, attempts: 2, nextAt: NOON + 20_000 }])
        await outbox.partSent(lease, message.id, NOON + 20_001)
        expect(await outbox.messages('ops')).toMatchObject([{ sent: 1, attempts: 0 }])
        await outbox.partSent(lease, message.id, NOON + 20_002, 2)
        await outbox.partSent(lease, message.id, NOON + 20_003, 2)
        expect(await outbox.messages('ops')).toMatchObject([{ sent: 2, entries: waiting }])
        await outbox.partSent(lease, message.id, NOON + 20_004)
        expect(await outbox.messages('ops')).toEqual([])
        expect(await outbox.depths()).toEqual([])
        await outbox.partSent(lease, message.id, NOON + 20_005)
      })

      it('lists the oldest first, each channel its own', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b')]), incomingOf([firing('c')], { channel: 'dev' })], NOON)
        const [a, b] = ids(await queue())
        const second = await outbox.freeze(lease, [b!], ['{}'], false, NOON)
        const third = await outbox.freeze(lease, [a!], ['{}'], false, NOON)
        expect((await outbox.messages('ops')).map(({ id }) => id)).toEqual([second.id, third.id])
        expect(await outbox.messages('dev')).toEqual([])
      })

      it('refuses entries that are in a message, on another channel, dead, named twice or gone', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b'), firing('d')]), incomingOf([firing('c')], { channel: 'dev' })], NOON)
        const [a, b, d] = ids(await queue())
        const [c] = ids(await queue('dev'))
        await outbox.freeze(lease, [a!], ['{}'], false, NOON)
        await outbox.giveUp(lease, [d!], WHY, NOON)
        for (const wrong of [[b!, a!], [b!, c!], [b!, d!], [b!, b!], [b!, 999_999]]) {
          await expect(outbox.freeze(lease, wrong, ['{}'], false, NOON)).rejects.toThrow(EntriesChanged)
        }
        expect(ids(await queue())).toEqual([b])
        expect(await outbox.messages('ops')).toHaveLength(1)
      })
    })

    it('takes a message apart of which nothing is sent, and no other', async () => {
      const lease = await leaseOf(outbox)
      await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
      const before = await queue()
      const message = await freezeAll(lease)
      await outbox.thaw(lease, message.id)
      expect(await outbox.messages('ops')).toEqual([])
      expect(await queue()).toEqual(before)
      const again = await outbox.freeze(lease, ids(before), ['{}', '{}'], false, NOON)
      await outbox.partSent(lease, again.id, NOON)
      await outbox.thaw(lease, again.id)
      expect(await outbox.messages('ops')).toHaveLength(1)
      expect(await queue()).toEqual([])
    })

    it('takes one apart of which a part is sent: what that told is done', async () => {
      const lease = await leaseOf(outbox)
      await outbox.accept([incomingOf([firing('a'), firing('b'), firing('c')])], NOON)
      const before = await queue()
      const message = await outbox.freeze(lease, ids(before), ['{}', '{}'], false, NOON)
      await outbox.partSent(lease, message.id, NOON)
      await outbox.thaw(lease, message.id, ids(before.slice(0, 1)))
      expect(await outbox.messages('ops')).toEqual([])
      expect(await queue()).toEqual(before.slice(1))
      expect(await outbox.depths()).toMatchObject([{ channel: 'ops', waiting: 2, dead: 0 }])
      const rest = await outbox.freeze(lease, ids(before.slice(1)), ['{}', '{}'], false, NOON)
      await outbox.thaw(lease, rest.id, ids(before.slice(1)))
      expect(await outbox.depths()).toEqual([])
    })

    describe('gives up', () => {
      it('entries with the message that they are in', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        const message = await freezeAll(lease)
        await outbox.giveUp(lease, ids(message.entries), WHY, NOON + 7)
        expect(await outbox.messages('ops')).toEqual([])
        expect(await queue()).toEqual([])
        expect(await outbox.dead({ most: 10 })).toEqual(message.entries.map((entry) => ({ ...entry, ...WHY, diedAt: NOON + 7 })))
        expect(await outbox.depths()).toEqual([{ channel: 'ops', waiting: 0, dead: 2 }])
        await outbox.giveUp(lease, ids(message.entries), WHY, NOON + 8)
        expect(await outbox.depths()).toEqual([{ channel: 'ops', waiting: 0, dead: 2 }])
      })

      it('one entry of a message: the others wait again', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b'), firing('c')])], NOON)
        const message = await freezeAll(lease)
        await outbox.giveUp(lease, [message.entries[1]!.id], WHY, NOON)
        expect(names(await queue())).toEqual(['a firing', 'c firing'])
        expect(await outbox.waiting('ops')).toEqual({ entries: 2, notifications: 1 })
      })

      it('to another channel, in the same step and at its end', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a')]), incomingOf([firing('b')], { channel: 'dev', route: 'route-2' })], NOON)
        await outbox.accept([incomingOf([resolved('a')])], NOON + 1)
        const [a] = await queue()
        await outbox.giveUp(lease, [a!.id], { ...WHY, handTo: 'dev' }, NOON + 500)
        const handed = await queue('dev')
        expect(names(handed)).toEqual(['b firing', 'a resolved'])
        const { id, receivedAt, channel, ...same } = a!
        expect(handed[1]).toMatchObject({ ...same, channel: 'dev', fallbackFor: 'ops', receivedAt: NOON + 500, untold: true })
        expect(handed[1]?.id).not.toBe(id)
        expect(await outbox.dead({ channel: 'ops', most: 10 })).toEqual([{ ...same, id, channel, receivedAt, ...WHY, diedAt: NOON + 500, handedTo: 'dev' }])
        expect(await outbox.depths()).toEqual([{ channel: 'dev', waiting: 2, oldestAt: NOON, dead: 0 }, { channel: 'ops', waiting: 0, dead: 1 }])
      })

      it('lists dead entries from where one left off', async () => {
        await outbox.accept([incomingOf([firing('a'), firing('b')]), incomingOf([firing('c')], { channel: 'dev', route: 'route-2' })], NOON)
        for (const channel of ['dev', 'ops']) await outbox.giveUp(await leaseOf(outbox, channel), ids(await queue(channel)), WHY, NOON)
        const all = await outbox.dead({ most: 10 })
        expect(names(all)).toEqual(['a firing', 'b firing', 'c firing'])
        expect(await outbox.dead({ most: 1 })).toEqual(all.slice(0, 1))
        expect(await outbox.dead({ after: all[0]!.id, most: 1 })).toEqual(all.slice(1, 2))
        expect(await outbox.dead({ channel: 'dev', most: 10 })).toEqual(all.slice(2))
        expect(await outbox.dead({ channel: 'nobody', most: 10 })).toEqual([])
      })

      it('sends again on its own channel or another, and forgets', async () => {
        await outbox.accept([incomingOf([firing('a'), firing('b'), firing('c')])], NOON)
        const dead = ids(await queue())
        await outbox.giveUp(await leaseOf(outbox), dead, WHY, NOON)
        expect(await outbox.resend([dead[1]!, 999_999], undefined, NOON + 1)).toBe(1)
        expect(await outbox.resend([dead[0]!], 'dev', NOON + 2)).toBe(1)
        expect(await outbox.resend([dead[0]!], 'dev', NOON + 2)).toBe(0)
        const [own] = await queue()
        expect(own).toMatchObject({ alert: firing('b'), receivedAt: NOON + 1 })
        expect(own?.fallbackFor).toBeUndefined()
        expect(await queue('dev')).toMatchObject([{ alert: firing('a'), fallbackFor: 'ops', channel: 'dev' }])
        expect(await outbox.forget([...dead, own!.id])).toBe(1)
        expect(await outbox.dead({ most: 10 })).toEqual([])
        expect(await outbox.depths()).toMatchObject([{ channel: 'dev', waiting: 1 }, { channel: 'ops', waiting: 1, dead: 0 }])
      })
    })

    describe('is bounded', () => {
      it('refuses what does not fit and writes nothing of it', async () => {
        outbox = await fresh({ entries: 3 })
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        await expect(outbox.accept([incomingOf([firing('c')]), incomingOf([firing('d')], { channel: 'dev' })], NOON)).rejects.toThrow(OutboxFull)
        expect(await outbox.depths()).toEqual([{ channel: 'ops', waiting: 2, oldestAt: NOON, dead: 0 }])
        expect(await outbox.accept([incomingOf([firing('c')])], NOON)).toMatchObject({ queued: 1 })
        expect(await outbox.accept([incomingOf([resolved('c'), firing('a')])], NOON)).toEqual({ queued: 0, duplicates: 1, merged: 1 })
      })

      it('has the oldest dead give way first', async () => {
        outbox = await fresh({ entries: 3 })
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b'), firing('c')])], NOON)
        const [a, b] = ids(await queue())
        await outbox.giveUp(lease, [b!], WHY, NOON + 1)
        await outbox.giveUp(lease, [a!], WHY, NOON + 2)
        await outbox.accept([incomingOf([firing('d')])], NOON + 3)
        expect(names(await outbox.dead({ most: 10 }))).toEqual(['a firing'])
        await expect(outbox.accept([incomingOf([firing('e'), firing('f')])], NOON + 4)).rejects.toThrow(OutboxFull)
        expect(names(await outbox.dead({ most: 10 }))).toEqual(['a firing'])
      })

      it('hands over even when it is full', async () => {
        outbox = await fresh({ entries: 2 })
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        await outbox.giveUp(await leaseOf(outbox), ids(await queue()), { ...WHY, handTo: 'dev' }, NOON)
        expect(names(await queue('dev'))).toEqual(['a firing', 'b firing'])
        expect(await outbox.dead({ most: 10 })).toEqual([])
      })

      it('remembers by name what was said last, whatever is swept', async () => {
        expect(await outbox.recall('a')).toBeUndefined()
        await outbox.remember('a', '1')
        await outbox.remember('b', '')
        await outbox.remember('a', '中 2')
        await outbox.sweep(NOON + 10 * OPTIONS.keepDeadMs)
        expect([await outbox.recall('a'), await outbox.recall('b'), await outbox.recall('c')]).toEqual(['中 2', '', undefined])
      })

      it('sweeps the dead when their time is over', async () => {
        const lease = await leaseOf(outbox)
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        const [a, b] = ids(await queue())
        await outbox.giveUp(lease, [a!], WHY, NOON)
        await outbox.giveUp(lease, [b!], WHY, NOON + 1)
        await outbox.sweep(NOON + OPTIONS.keepDeadMs - 1)
        expect(await outbox.dead({ most: 10 })).toHaveLength(2)
        await outbox.sweep(NOON + OPTIONS.keepDeadMs)
        expect(ids(await outbox.dead({ most: 10 }))).toEqual([b])
        await outbox.sweep(NOON + OPTIONS.keepDeadMs + 1)
        expect(await outbox.depths()).toEqual([])
      })
    })

    describe('counts what a robot sends', () => {
      it('in sliding windows, to the millisecond', async () => {
        const lease = await leaseOf(outbox)
        const rates = [{ messages: 3, perMs: 1_000 }, { messages: 4, perMs: 5_000 }]
        const take = async (at: number) => await outbox.take(lease, 'robot', rates, NOON + at)
        expect(await take(0)).toEqual({ waitMs: 0, left: 2 })
        expect(await take(400)).toEqual({ waitMs: 0, left: 1 })
        expect(await outbox.room('robot', rates, NOON + 400)).toEqual({ waitMs: 0, left: 0 })
        expect(await take(400)).toEqual({ waitMs: 0, left: 0 })
        expect(await take(401)).toEqual({ waitMs: 599, left: 0 })
        expect(await take(999)).toEqual({ waitMs: 1, left: 0 })
        expect(await outbox.room('robot', rates, NOON + 999)).toEqual({ waitMs: 1, left: 0 })
        expect(await take(1_000)).toEqual({ waitMs: 0, left: 0 })
        expect(await take(1_500)).toEqual({ waitMs: 3_500, left: 0 })
        expect(await take(4_999)).toEqual({ waitMs: 1, left: 0 })
        expect(await take(5_000)).toEqual({ waitMs: 0, left: 0 })
        expect(await outbox.room('other', rates, NOON + 5_000)).toEqual({ waitMs: 0, left: 2 })
      })

      it('for all channels that use it, and survives a clock that is set back', async () => {
        const rates = [{ messages: 1, perMs: 1_000 }]
        await outbox.take(await leaseOf(outbox, 'ops'), 'robot', rates, NOON)
        const dev = await leaseOf(outbox, 'dev')
        expect(await outbox.take(dev, 'robot', rates, NOON + 10)).toEqual({ waitMs: 990, left: 0 })
        expect(await outbox.take(dev, 'robot', rates, NOON - 10)).toEqual({ waitMs: 1_010, left: 0 })
        expect(await outbox.take(dev, 'robot', rates, NOON - 3_600_000)).toEqual({ waitMs: 0, left: 0 })
      })

      it('pauses it until the later of two moments', async () => {
        const lease = await leaseOf(outbox)
        await outbox.pause('robot', NOON + 5_000)
        await outbox.pause('robot', NOON + 2_000)
        expect(await outbox.take(lease, 'robot', [{ messages: 9, perMs: 1_000 }], NOON + 1)).toEqual({ waitMs: 4_999, left: 0 })
        await outbox.sweep(NOON + 4_999)
        expect(await outbox.room('robot', [{ messages: 9, perMs: 1_000 }], NOON + 4_999)).toEqual({ waitMs: 1, left: 0 })
        await outbox.sweep(NOON + 5_000)
        expect(await outbox.room('robot', [{ messages: 9, perMs: 1_000 }], NOON + 5_000)).toEqual({ waitMs: 0, left: 8 })
      })
    })

    describe('leases', () => {
      it('a channel to one at a time, until it ends', async () => {
        const first = await outbox.lease('ops', 1_000, NOON)
        expect(await outbox.lease('ops', 1_000, NOON + 999)).toBeUndefined()
        expect(await outbox.lease('dev', 1_000, NOON)).toBeDefined()
        await outbox.renew(first!, 1_000, NOON + 500)
        expect(await outbox.lease('ops', 1_000, NOON + 1_499)).toBeUndefined()
        const second = await outbox.lease('ops', 1_000, NOON + 1_500)
        expect(second?.fence).toBeGreaterThan(first!.fence)
        await outbox.release(first!)
        expect(await outbox.lease('ops', 1_000, NOON + 1_600)).toBeUndefined()
        await outbox.release(second!)
        expect((await outbox.lease('ops', 1_000, NOON + 1_600))?.fence).toBeGreaterThan(second!.fence)
      })

      it('refuses everything from a holder that was overtaken', async () => {
        await outbox.accept([incomingOf([firing('a'), firing('b')])], NOON)
        const old = await leaseOf(outbox)
        const [a, b] = ids(await queue())
        const message = await outbox.freeze(old, [a!], ['{}'], false, NOON)
        const writes = (lease: Lease) => [
          () => outbox.renew(lease, 1_000, NOON), () => outbox.freeze(lease, [b!], ['{}'], false, NOON), () => outbox.take(lease, 'robot', [], NOON),
          () => outbox.partSent(lease, message.id, NOON), () => outbox.postpone(lease, message.id, NOON), () => outbox.thaw(lease, message.id), () => outbox.giveUp(lease, [b!], WHY, NOON),
        ]
        const current = await leaseOf(outbox, 'ops', NOON + 10_000)
        for (const write of writes(old)) await expect(write()).rejects.toThrow(LeaseLost)
        expect(await outbox.messages('ops')).toEqual([message])
        expect(ids(await queue())).toEqual([b])
        await outbox.release(current)
        for (const write of writes(current)) await expect(write()).rejects.toThrow(LeaseLost)
      })

      it('lets a late holder record what the service took, but begin nothing', async () => {
        await outbox.accept([incomingOf([firing('a')])], NOON)
        const lease = await leaseOf(outbox)
        const message = await freezeAll(lease)
        await expect(outbox.take(lease, 'robot', [], NOON + 10_000)).rejects.toThrow(LeaseLost)
        await outbox.partSent(lease, message.id, NOON + 10_001)
        expect(await outbox.messages('ops')).toEqual([])
      })
    })
  })
}
