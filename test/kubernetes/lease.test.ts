import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createElector } from '../../src/kubernetes/lease.ts'
import { KubeError } from '../../src/kubernetes/model.ts'
import { createWorld, type Conditions, type Way } from './lease-world.ts'

const DURATION = 15_000
/** The longest until an elector that reaches the API has looked: a call that hangs, the wait, and three calls. */
const LOOK = DURATION / 3 + DURATION / 8 * 1.2 + 1_000
/** The longest that nobody is active while somebody reaches the API: the Lease runs out, or its holder has the first word after an outage. */
const TAKE = DURATION + DURATION / 2 + LOOK

/** Nothing is waited for in a simulation, but a busy machine may take its time for it. */
const SIMULATION_MS = 60_000

/** `expect` takes longer than what it looks at, a hundred thousand times. */
function holds(promise: boolean, what: string): void {
  if (!promise) throw new Error(`does not hold: ${what}`)
}

function seeded(seed: number) {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

const calm = (over: Partial<Conditions> = {}): Conditions => ({ way: () => 'open', pausedUntil: () => undefined, wallOff: () => 0, random: seeded(7), ...over })

describe('electors of one Lease', () => {
  it('make one active, which renews every third of the duration, and write what client-go writes', async () => {
    const world = createWorld(3, DURATION, calm())
    await world.until(120_000)
    expect(world.active()).toHaveLength(1)
    expect(world.turns).toHaveLength(1)
    const [holder] = world.active()
    expect(world.electors.map((elector) => elector.holder())).toEqual(Array.from({ length: 3 }, () => `curlew-${holder}`))
    const gaps = world.writes.slice(1).map(({ at }, index) => at - world.writes[index]!.at)
    expect(Math.max(...gaps)).toBeLessThan(DURATION / 3 + 500)
    expect(world.lease()?.spec).toEqual({
      holderIdentity: `curlew-${holder}`, leaseDurationSeconds: 15, leaseTransitions: 0,
      acquireTime: expect.stringMatching(/^2023-11-14T22:13:\d\d\.\d{6}Z$/), renewTime: expect.stringMatching(/^2023-11-14T22:15:\d\d\.\d{6}Z$/),
    })
  })

  it('hand over within the duration when the holder is gone, and at once when it stops', async () => {
    let gone = -1
    const world = createWorld(3, DURATION, calm({ way: (elector) => (elector === gone ? 'away' : 'open'), pausedUntil: (elector) => (elector === gone ? 1e9 : undefined) }))
    await world.until(30_000)
    gone = world.active()[0]!
    await world.until(30_000 + DURATION + DURATION / 8 * 1.2 + 1_000)
    const [second] = world.active().filter((elector) => elector !== gone)
    expect(second).toBeDefined()
    expect(world.lease()?.spec).toMatchObject({ holderIdentity: `curlew-${second}`, leaseTransitions: 1 })
    void world.stop(second!)
    await world.until(world.now() + DURATION / 8 * 1.2 + 1_000)
    const third = [0, 1, 2].find((elector) => elector !== gone && elector !== second)
    expect(world.electors[third!]!.active()).toBe(true)
    expect(world.lease()?.spec.leaseTransitions).toBe(2)
  })

  it('give back no Lease that another one has taken', async () => {
    let cut = -1
    const world = createWorld(2, DURATION, calm({ way: (elector, at) => (elector === cut && at < 90_000 ? 'away' : 'open') }))
    await world.until(30_000)
    cut = world.active()[0]!
    await world.until(89_999)
    const holder = `curlew-${1 - cut}`
    // It goes on as long as it cannot read that another one has it.
    expect([world.active().length, world.lease()?.spec.holderIdentity]).toEqual([2, holder])
    await world.until(90_000)
    void world.stop(cut)
    await world.until(92_000)
    expect(world.lease()?.spec.holderIdentity).toBe(holder)
    expect(world.writes.some(({ at, by }) => by === cut && at > 90_000)).toBe(false)
  })

  it('stay as they are while the API is away from all, and afterwards too', async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1_000, max: 200_000 }), fc.integer({ min: 1, max: 1e9 }), async (ms, seed) => {
      const world = createWorld(3, DURATION, calm({ way: (_elector, at) => (at >= 40_000 && at < 40_000 + ms ? 'away' : 'open'), random: seeded(seed) }))
      await world.until(40_000 + ms + 60_000, () => {
        if (world.now() > 1_000) holds(world.active().length === 1, 'one is active')
      })
      expect(world.turns).toHaveLength(1)
    }), { numRuns: 15 })
  }, SIMULATION_MS)

  it('do not care what the wall clocks say, nor that somebody deletes or empties the Lease', async () => {
    const jumps = seeded(3)
    const world = createWorld(3, DURATION, calm({ wallOff: () => (jumps() - 0.5) * 1e8 }))
    await world.until(60_000)
    world.edit(undefined)
    await world.until(120_000)
    world.edit({ metadata: { name: 'curlew', resourceVersion: '' }, spec: {} })
    await world.until(180_000)
    expect(world.active()).toHaveLength(1)
    expect(world.turns.filter(({ active }) => active).length).toBeLessThanOrEqual(3)
  })

  it('do not wait for a duration that nobody means, and keep what others have put on the Lease', async () => {
    const world = createWorld(1, DURATION, calm())
    world.edit({ metadata: { name: 'curlew', resourceVersion: '', labels: { team: 'a' } } as never, spec: { holderIdentity: 'old', leaseDurationSeconds: 86_400, strategy: 'OldestEmulationVersion' } as never })
    await world.until(50_000)
    expect(world.active()).toEqual([])
    await world.until(70_000)
    expect(world.active()).toEqual([0])
    expect(world.lease()).toMatchObject({ metadata: { labels: { team: 'a' } }, spec: { holderIdentity: 'curlew-0', strategy: 'OldestEmulationVersion', leaseTransitions: 1 } })
  })

  const spell = fc.record({ elector: fc.nat(3), from: fc.nat(200_000), ms: fc.integer({ min: 100, max: 60_000 }), what: fc.constantFrom<Way | 'paused'>('away', 'lost', 'paused', 'paused') })
  const stop = fc.record({ elector: fc.nat(3), at: fc.nat(200_000) })

  it('keep their promises whatever is cut off, lost, paused, stopped, or shows another time', async () => {
    await fc.assert(fc.asyncProperty(fc.array(spell, { maxLength: 8 }), fc.array(stop, { maxLength: 2 }), fc.integer({ min: 1, max: 1e9 }), async (spells, stops, seed) => {
      const random = seeded(seed)
      // The fourth one of a spell is everybody.
      const at = (elector: number, time: number, ...whats: string[]) => spells.find((one) => (one.elector === elector || one.elector === 3) && whats.includes(one.what) && time >= one.from && time < one.from + one.ms)
      const world = createWorld(3, DURATION, {
        way: (elector, time) => (at(elector, time, 'away', 'lost')?.what ?? 'open') as Way,
        pausedUntil(elector, time) {
          const paused = at(elector, time, 'paused')
          return paused && paused.from + paused.ms
        },
        wallOff: () => (random() - 0.5) * 1e7,
        random,
      })
      const fineSince = [0, 0, 0]
      let nobodySince = 0
      const strayedSince: (number | undefined)[] = [undefined, undefined, undefined]
      const look = () => {
        const now = world.now()
        const active = world.active()
        for (const elector of [0, 1, 2]) {
          if (world.stopped.has(elector) || at(elector, now, 'away', 'lost', 'paused')) fineSince[elector] = Infinity
          else if (fineSince[elector] === Infinity) fineSince[elector] = now
          const strays = active.includes(elector) && fineSince[elector] !== Infinity && world.lease()?.spec.holderIdentity !== `curlew-${elector}`
          if (strays) strayedSince[elector] ??= now
          else strayedSince[elector] = undefined
          // Who can learn that another one is active steps down.
          if (strayedSince[elector] !== undefined) holds(now - strayedSince[elector] < 2 * LOOK, 'a second active one steps down')
        }
        // While one can reach the API, not nobody is active for long.
        if (active.length > 0) nobodySince = now
        const longest = Math.max(...fineSince.map((since) => now - Math.max(since, nobodySince)))
        holds(longest < TAKE, 'somebody is active')
      }
      for (const { elector, at: when } of stops.toSorted((a, b) => a.at - b.at)) {
        if (elector === 3) continue
        await world.until(Math.max(when, world.now()), look)
        void world.stop(elector)
      }
      await world.until(300_000, look)

      // A Lease is taken only when it was given back, or has not been renewed for its duration.
      world.writes.forEach(({ at: when, before, holder }, index) => {
        if (before === '' || holder === before || holder === '') return
        expect(when - world.writes[index - 1]!.at).toBeGreaterThanOrEqual(DURATION)
      })
      // Nobody becomes active without having written itself into the Lease just before.
      for (const { at: when, elector, active } of world.turns) {
        if (active) expect(world.writes.some((write) => write.holder === `curlew-${elector}` && write.at <= when)).toBe(true)
      }
    }), { numRuns: 60 })
  }, SIMULATION_MS)
})

describe('an elector', () => {
  const started = (json: () => Promise<unknown>, namespace = () => Promise.resolve('default')) => {
    const troubles: (string | undefined)[] = []
    const waits: number[] = []
    const elector = createElector({
      client: { json, namespace }, namespace: undefined, name: 'curlew', identity: 'me', durationMs: DURATION,
      onTurn: () => {}, onTrouble: (trouble) => { troubles.push(trouble?.trouble) }, random: () => 0.5,
      clock: { now: () => 0, wall: () => 0, wait: async (ms, signal) => { waits.push(ms); if (waits.length >= 3) await new Promise<void>((resolve) => { signal.addEventListener('abort', () => resolve()) }) } },
    })
    return { elector, troubles, waits }
  }

  it('stands by, tells once, and waits as long as the server asks, where the API refuses', async () => {
    const { elector, troubles, waits } = started(() => Promise.reject(new KubeError('throttled', 'slow down', { retryAfterMs: 7_000 })))
    await expect.poll(() => waits.length).toBe(3)
    await elector.stop(100)
    expect({ active: elector.active(), troubles, waits }).toEqual({ active: false, troubles: ['throttled'], waits: [7_000, 7_000, 7_000] })
  })

  it('tells every kind of trouble once: the one that stays is not hidden by the one that came first', async () => {
    const kinds = ['timeout', 'forbidden', 'timeout'] as const
    let asked = 0
    const { elector, troubles, waits } = started(() => Promise.reject(new KubeError(kinds[Math.min(asked++, 2)]!, 'trouble')))
    await expect.poll(() => waits.length).toBe(3)
    await elector.stop(100)
    expect(troubles).toEqual(['timeout', 'forbidden'])
  })

  it('stops in time although it cannot even learn where its Lease is', async () => {
    const { elector, waits } = started(() => Promise.reject(new Error('not asked')), () => new Promise(() => {}))
    await elector.stop(10)
    expect(waits).toEqual([])
  })

  it('takes an answer that is no Lease for trouble, not for a free one', async () => {
    const { elector, troubles, waits } = started(() => Promise.resolve({ kind: 'Status' }))
    await expect.poll(() => waits.length).toBe(3)
    await elector.stop(100)
    expect({ active: elector.active(), troubles }).toEqual({ active: false, troubles: ['protocol'] })
  })
})
