import { beforeEach, describe, expect, it } from 'vitest'
import type { Alert } from '../../src/notify/alert.ts'
import { createDeadman, withoutWatchdog } from '../../src/notify/deadman.ts'
import type { Incoming, Outbox } from '../../src/notify/outbox.ts'
import { notifyConfig } from '../support/notify.ts'
import { modelOutbox } from './store/model.ts'
import { firing, incomingOf, NOON, OPTIONS, resolved } from './store/samples.ts'

const MINUTE = 60_000

let elapsed: number
beforeEach(() => { elapsed = 0 })

const away = { recall: () => Promise.reject(new Error('away')), remember: () => Promise.reject(new Error('away')) }

/** One process: what it told as `firing` or `resolved`, by route. */
function started({ local = modelOutbox(OPTIONS), shared, deadman = {}, section = {}, now = () => NOON + elapsed }: { local?: Outbox, shared?: Pick<Outbox, 'recall' | 'remember'>, deadman?: object, section?: object, now?: () => number } = {}) {
  const told: Incoming[] = []
  const made = createDeadman({
    config: notifyConfig({ deadman, ...section }), local, shared, now, uptime: () => elapsed,
    accept: async (incoming) => { told.push(...incoming) },
  })
  if (!made) throw new Error('the config has one')
  return { ...made, local, told, states: () => told.map(({ alerts }) => alerts[0]?.status) }
}

/** Lets time pass as the engine does, for all that run. */
async function pass(ms: number, ...running: readonly ReturnType<typeof started>[]): Promise<void> {
  const step = running[0]?.everyMs ?? ms
  for (const end = elapsed + ms; elapsed < end;) {
    elapsed = Math.min(end, elapsed + step)
    for (const one of running) await one.beat()
  }
}

describe('the silence of the Watchdog', () => {
  it('is told once, after the first within without any history, and its end once', async () => {
    const one = started()
    expect(one.everyMs).toBe(MINUTE)
    await pass(14 * MINUTE, one)
    expect(one.states()).toEqual([])
    await pass(20 * MINUTE, one)
    expect(one.states()).toEqual(['firing'])
    await one.heard()
    await pass(MINUTE, one)
    expect(one.states()).toEqual(['firing', 'resolved'])
    const [begin, end] = one.told.map(({ alerts }) => alerts[0])
    expect(begin).toMatchObject({ labels: { alertname: 'WatchdogSilent', severity: 'critical', scope: 'prober' }, startsAt: NOON + 15 * MINUTE })
    expect(end).toMatchObject({ labels: begin?.labels, fingerprint: begin?.fingerprint, startsAt: begin?.startsAt, endsAt: NOON + elapsed })
    await pass(13 * MINUTE, one)
    expect(one.states()).toHaveLength(2)
    await pass(MINUTE, one)
    expect(one.states()).toEqual(['firing', 'resolved', 'firing'])
  })

  it('is none while it comes in time', async () => {
    const one = started({ deadman: { within: '10m' } })
    for (let round = 0; round < 10; round++) {
      await one.heard()
      await pass(9 * MINUTE, one)
    }
    expect(one.states()).toEqual([])
  })

  it('goes on over restarts, each shorter than within, but is none while no Curlew runs', async () => {
    const local = modelOutbox(OPTIONS)
    const first = started({ local })
    await first.heard()
    await pass(8 * MINUTE, first)
    elapsed += 24 * 60 * MINUTE
    const second = started({ local })
    await pass(6 * MINUTE, second)
    expect(second.states()).toEqual([])
    await pass(2 * MINUTE, second)
    expect(second.states()).toEqual(['firing'])

    const third = started({ local })
    await pass(30 * MINUTE, third)
    expect(third.states()).toEqual([])
    await third.heard()
    await pass(MINUTE, third)
    expect(third.states()).toEqual(['resolved'])
  })

  it('is not forgotten where the Watchdog came just before the end of the process', async () => {
    const local = modelOutbox(OPTIONS)
    const first = started({ local })
    await pass(14 * MINUTE, first)
    await first.heard()
    const second = started({ local })
    await pass(14 * MINUTE, second)
    expect(second.states()).toEqual([])
  })

  it('is not what a process that hung has missed', async () => {
    const one = started()
    await one.heard()
    elapsed += 60 * MINUTE
    await one.beat()
    expect(one.states()).toEqual([])
  })

  it('is over with the Watchdog, whatever the clock says by then', async () => {
    let clock = NOON
    const one = started({ now: () => clock })
    await pass(15 * MINUTE, one)
    clock -= 60 * MINUTE
    await one.heard()
    await pass(MINUTE, one)
    expect(one.states()).toEqual(['firing', 'resolved'])
    expect(one.told[1]?.alerts[0]).toMatchObject({ startsAt: NOON, endsAt: NOON })
  })

  it('is told again where it could not be kept', async () => {
    const refusals = [new Error('full')]
    const told: Incoming[] = []
    const made = createDeadman({
      config: notifyConfig({ deadman: { within: '1ms' } }), local: modelOutbox(OPTIONS), shared: undefined, now: () => NOON, uptime: () => elapsed,
      accept: async (incoming) => {
        const refusal = refusals.pop()
        if (refusal) throw refusal
        told.push(...incoming)
      },
    })
    elapsed = 1
    await expect(made?.beat()).rejects.toThrow('full')
    await made?.beat()
    await made?.beat()
    expect(told).toHaveLength(1)
  })
})

describe('replicas', () => {
  it('go by what any of them hears, and tell one silence', async () => {
    const shared = modelOutbox(OPTIONS)
    const [a, b] = [started({ shared }), started({ shared })]
    for (let round = 0; round < 4; round++) {
      await a.heard()
      await pass(10 * MINUTE, a, b)
    }
    expect([...a.states(), ...b.states()]).toEqual([])
    await pass(30 * MINUTE, a, b)
    expect([...a.states(), ...b.states()]).toEqual(['firing'])
    // One that has just begun neither tells it again nor takes it for over.
    const fresh = started({ shared })
    await pass(30 * MINUTE, a, b, fresh)
    expect(fresh.states()).toEqual([])
    await b.heard()
    await pass(2 * MINUTE, a, b, fresh)
    expect([...a.states(), ...b.states(), ...fresh.states()]).toEqual(['firing', 'resolved'])
  })

  it('do not let who brings the Watchdog wait for what they share', async () => {
    const hanging = () => new Promise<never>(() => {})
    const one = started({ shared: { recall: hanging, remember: hanging } })
    expect(await Promise.race([one.heard().then(() => 'kept'), new Promise((resolve) => { setTimeout(resolve, 0, 'waits') })])).toBe('kept')
  })

  it('go by what they hear themselves while what they share is away, and agree once it is back', async () => {
    const memory = modelOutbox(OPTIONS)
    let current: Pick<Outbox, 'recall' | 'remember'> = memory
    const shared = { recall: (name: string) => current.recall(name), remember: (name: string, value: string) => current.remember(name, value) }
    const [a, b] = [started({ shared }), started({ shared })]
    await a.heard()
    await pass(MINUTE, a, b)
    current = away
    for (let round = 0; round < 3; round++) {
      await a.heard()
      await pass(10 * MINUTE, a)
    }
    expect(a.states()).toEqual([])
    await pass(20 * MINUTE, a)
    expect(a.states()).toEqual(['firing'])
    current = memory
    await pass(20 * MINUTE, a, b)
    expect([a.states(), b.states()]).toEqual([['firing'], []])
    await b.heard()
    await pass(2 * MINUTE, a, b)
    expect([...a.states(), ...b.states()]).toEqual(['firing', 'resolved'])
  })

  it('say nothing of a silence where Alertmanager never posts to them, while what they share is away', async () => {
    const memory = modelOutbox(OPTIONS)
    let current: Pick<Outbox, 'recall' | 'remember'> = away
    const shared = { recall: (name: string) => current.recall(name), remember: (name: string, value: string) => current.remember(name, value) }
    const [a, b] = [started({ shared }), started({ shared })]
    for (let round = 0; round < 4; round++) {
      await a.heard()
      await pass(5 * MINUTE, a, b)
    }
    expect([a.states(), b.states()]).toEqual([[], []])
    current = memory
    await a.heard()
    await pass(2 * MINUTE, a, b)
    expect([a.states(), b.states()]).toEqual([[], []])
  })
})

describe('what is told', () => {
  const routes = [{ name: 'pages', channel: 'a', matchers: ['severity="critical"'], continue: true, lang: 'zh' }, { name: 'all', channel: 'b' }, { name: 'own', channels: ['b', 'c'] }]

  it('goes down the routes, in the language of each', async () => {
    const one = started({ section: { routes } })
    await pass(15 * MINUTE, one)
    expect(one.told).toMatchObject([
      { route: 'pages', channel: 'a', alerts: [{ annotations: { summary: '已有 15 分钟没有收到 Watchdog：其他告警可能也无法送达。', description: expect.stringContaining('Prometheus') } }] },
      { route: 'all', channel: 'b', alerts: [{ annotations: { summary: 'Nothing heard of Watchdog for 15 min: other alerts may not arrive either.' } }] },
    ])
    await one.heard()
    await pass(MINUTE, one)
    expect(one.told.slice(2).map(({ route, alerts }) => [route, alerts[0]?.status])).toEqual([['pages', 'resolved'], ['all', 'resolved']])
  })

  it('goes by the route that is named, with the labels that it goes by', async () => {
    const one = started({ section: { routes }, deadman: { route: 'own', alertname: 'AlwaysOn', match: ['cluster="prod", job!="x"'] } })
    await pass(15 * MINUTE, one)
    expect(one.told.map(({ route, channel }) => [route, channel])).toEqual([['own', 'b'], ['own', 'c']])
    expect(one.told[0]?.alerts[0]?.labels).toEqual({ alertname: 'WatchdogSilent', severity: 'critical', scope: 'prober', cluster: 'prod' })
  })
})

describe('of a notification', () => {
  const { deadman } = notifyConfig({ deadman: { match: ['severity="warning"'] } })
  const sieved = (...alerts: readonly Alert[]) => {
    const { notification, heard } = withoutWatchdog(deadman, { context: incomingOf([]).context, alerts })
    return { left: notification.alerts.map(({ labels }) => labels['alertname']), heard }
  }

  it('the Watchdog is taken out, and heard while it fires', () => {
    expect(sieved(firing('Watchdog'), firing('a'))).toEqual({ left: ['a'], heard: true })
    expect(sieved(resolved('Watchdog'))).toEqual({ left: [], heard: false })
    expect(sieved(firing('a'))).toEqual({ left: ['a'], heard: false })
  })

  it('one with other labels is an alert as any', () => {
    expect(sieved(firing('Watchdog', 'none'))).toEqual({ left: ['Watchdog'], heard: false })
  })

  it('nothing is taken out without a deadman', () => {
    const notification = { context: incomingOf([]).context, alerts: [firing('Watchdog')] }
    expect(withoutWatchdog(undefined, notification)).toEqual({ notification, heard: false })
    expect(createDeadman({ config: notifyConfig({}), local: away, shared: undefined, accept: () => Promise.resolve(), now: () => 0, uptime: () => 0 })).toBeUndefined()
  })
})
