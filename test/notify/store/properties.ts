import fc from 'fast-check'
import { expect } from 'vitest'
import type { Lease, Outbox, OutboxOptions } from '../../../src/notify/outbox.ts'
import { modelOutbox } from './model.ts'
import { alertOf, incomingOf, NOON } from './samples.ts'

/** Few names and a small store, so that everything meets everything. */
const OPTIONS: OutboxOptions = { dedupMs: 30, entries: 12, keepDeadMs: 200 }
const CHANNELS = ['ops', 'dev'] as const
const RATES = [{ messages: 2, perMs: 40 }, { messages: 3, perMs: 100 }]

const channel = fc.constantFrom(...CHANNELS)
const alert = fc.record({ name: fc.constantFrom('a', 'b', 'c'), status: fc.constantFrom('firing' as const, 'resolved' as const) })
// Equal labels for equal fingerprints, as Alertmanager has it.
  .map(({ name, status }) => alertOf(name, status, { a: 'warning', b: 'critical', c: 'info' }[name] ?? ''))
const notification = fc.record({
  route: fc.constantFrom(...CHANNELS, 'both'), alerts: fc.array(alert, { minLength: 1, maxLength: 3 }),
  reason: fc.constantFrom('first notification', 'repeat interval elapsed', undefined),
})
const which = fc.nat(20)
const some = fc.array(which, { minLength: 1, maxLength: 4 })

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('accept' as const), notifications: fc.array(notification, { minLength: 1, maxLength: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('freeze' as const), channel, order: fc.constantFrom('age' as const, 'severity' as const), most: fc.integer({ min: 1, max: 3 }), parts: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sent' as const), channel, which, upTo: fc.option(fc.integer({ min: 1, max: 2 })) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('postpone' as const), channel, which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('thaw' as const), channel, which, told: fc.option(fc.nat({ max: 3 })) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('giveUp' as const), channel, from: fc.constantFrom('queue' as const, 'message' as const), some, handTo: fc.option(fc.constantFrom('dev', 'spare')) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resend' as const), some, to: fc.option(fc.constantFrom(...CHANNELS)) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), some }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('take' as const), channel }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lease' as const), channel }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), channel }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** One outbox under test, with the leases that it has given. */
interface Player {
  readonly outbox: Outbox
  readonly leases: Map<string, Lease>
}

/** Random steps of time and deed: after each of them the store and the model must look the same. */
export async function expectSameAsModel(open: () => Promise<{ outbox: Outbox, close(): Promise<void> }>, numRuns: number): Promise<void> {
  const steps = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 25 }), step }), { minLength: 1, maxLength: 60 })
  await fc.assert(fc.asyncProperty(steps, async (sequence) => {
    const { outbox, close } = await open()
    try {
      const players: Player[] = [{ outbox, leases: new Map() }, { outbox: modelOutbox(OPTIONS), leases: new Map() }]
      let now = NOON
      for (const { ms, step: deed } of sequence) {
        now += ms
        const [store, model] = await Promise.all(players.map(async (player) => ({ answer: await play(player, deed, now), ...await look(player.outbox, now) })))
        expect(store).toEqual(model)
      }
    } finally {
      await close()
    }
  }), { numRuns })
}

export const PROPERTY_OPTIONS = OPTIONS

async function play({ outbox, leases }: Player, deed: Step, now: number): Promise<unknown> {
  const leaseOf = async (name: string) => {
    const lease = leases.get(name) ?? await outbox.lease(name, 50, now)
    if (!lease) throw new Error('taken')
    leases.set(name, lease)
    return lease
  }
  const pick = <T>(from: readonly T[], indexes: readonly number[]) => [...new Set(from.length === 0 ? [] : indexes.map((index) => from[index % from.length]!))]
  try {
    switch (deed.kind) {
      case 'accept':
        return await outbox.accept(deed.notifications.flatMap(({ route, alerts, reason }) => (route === 'both' ? CHANNELS : [route])
          .map((to) => incomingOf(alerts, { route, channel: to, ...(reason === undefined ? {} : { reason }) }))), now)
      case 'freeze': {
        const lease = await leaseOf(deed.channel)
        const entries = (await outbox.queued(deed.channel, deed.order, deed.most)).map(({ id }) => id)
        return entries.length === 0 ? undefined : shape(await outbox.freeze(lease, entries, ['{"n":1}', '{"n":2}'].slice(0, deed.parts), false, now))
      }
      case 'sent': {
        const [message] = pick(await outbox.messages(deed.channel), [deed.which])
        return message && await outbox.partSent(await leaseOf(deed.channel), message.id, now, deed.upTo ?? undefined)
      }
      case 'postpone': {
        const [message] = pick(await outbox.messages(deed.channel), [deed.which])
        return message && await outbox.postpone(await leaseOf(deed.channel), message.id, now + 10)
      }
      case 'thaw': {
        const [message] = pick(await outbox.messages(deed.channel), [deed.which])
        return message && await outbox.thaw(await leaseOf(deed.channel), message.id, deed.told === null ? undefined : message.entries.slice(0, deed.told).map(({ id }) => id))
      }
      case 'giveUp': {
        const entries = deed.from === 'queue' ? await outbox.queued(deed.channel, 'age', 10) : (await outbox.messages(deed.channel)).flatMap((message) => message.entries)
        const { handTo } = deed
        return await outbox.giveUp(await leaseOf(deed.channel), pick(entries, deed.some).map(({ id }) => id), { reason: 'gone', detail: 'no such robot', ...(handTo === null ? {} : { handTo }) }, now)
      }
      case 'resend': return await outbox.resend(pick(await outbox.dead({ most: 100 }), deed.some).map(({ id }) => id), deed.to ?? undefined, now)
      case 'forget': return await outbox.forget(pick(await outbox.dead({ most: 100 }), deed.some).map(({ id }) => id))
      case 'take': return await outbox.take(await leaseOf(deed.channel), 'robot', RATES, now)
      case 'pause': return await outbox.pause('robot', now + deed.ms)
      case 'lease': {
        const lease = await outbox.lease(deed.channel, 50, now)
        if (lease) leases.set(deed.channel, lease)
        return lease !== undefined
      }
      case 'release': {
        const lease = leases.get(deed.channel)
        return lease && await outbox.release(lease)
      }
      case 'sweep': return await outbox.sweep(now)
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'LeaseLost' && 'channel' in deed) leases.delete(deed.channel)
    return error instanceof Error ? error.name : error
  }
}

/** Everything that can be asked, without ids: they need not be the same. */
async function look(outbox: Outbox, now: number) {
  const channels = await Promise.all([...CHANNELS, 'spare'].map(async (name) => ({
    age: (await outbox.queued(name, 'age', 100)).map(shape),
    severity: (await outbox.queued(name, 'severity', 3)).map(shape),
    messages: (await outbox.messages(name)).map((message) => ({ ...shape(message), entries: message.entries.map(shape) })),
    waiting: await outbox.waiting(name),
    dead: (await outbox.dead({ channel: name, most: 2 })).map(shape),
  })))
  return { channels, dead: (await outbox.dead({ most: 100 })).map(shape), depths: await outbox.depths(), room: await outbox.room('robot', RATES, now) }
}

function shape<T extends object>(value: T): Omit<T, 'id' | 'notification' | 'entries'> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !['id', 'notification', 'entries'].includes(key))) as Omit<T, 'id' | 'notification' | 'entries'>
}
