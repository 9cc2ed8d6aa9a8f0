import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startAlertmanager, type Alertmanager } from '../support/alertmanager.ts'
import { serveCurlew, type Served } from '../support/curlew.ts'
import { eventually, freePort, temporaryDirectory } from '../support/process.ts'
import { watchStalls } from '../support/stalls.ts'
import { fakeDingtalk } from '../notify/fakes/dingtalk.ts'
import { fakeFeishu } from '../notify/fakes/feishu.ts'
import { fakeSlack, slackEntry } from '../notify/fakes/slack.ts'
import { fakeWebhook, webhookEntry } from '../notify/fakes/webhook.ts'
import { fakeWecom } from '../notify/fakes/wecom.ts'
import type { Failure, Fake } from '../notify/fakes/fake.ts'
import { disorders, tellings, unexplainedRepeats } from './told.ts'

// The short form runs with the tests; `npm run chaos` is the long one.
const FULL = process.env['CHAOS'] === 'full'
const { notifications, kills: killCount, forMs } = FULL ? { notifications: 1_000, kills: 30, forMs: 120_000 } : { notifications: 60, kills: 5, forMs: 12_000 }
const ALERTS_EACH = 10
const RESOLVED_EVERY = 3
/** What a channel takes; the fakes enforce it. */
const RATE = { messages: 20, per: '1s', perMs: 1_000 }
const SEED = Number(process.env['CHAOS_SEED'] ?? Date.now() % 1_000_000)
const WAIT_MS = FULL ? 600_000 : 25_000
const MOST_RSS_MB = 350
/** Each service is away for so long once: firings still wait when their ends come, or order could not be lost. */
const OUTAGE_MS = 5_000
const TOKEN = 'token-of-the-webhook-0123456789'
const SECRET = 'SEC0123456789abcdef'

const random = mulberry(SEED)
const directory = temporaryDirectory()
let fakes: Readonly<Record<'dingtalk' | 'wecom' | 'feishu' | 'slack' | 'webhook', Fake>>
let alertmanager: Alertmanager
let curlew: Served | undefined
let port: number
const killedAt: number[] = []
const stalls = watchStalls()
let worstRss = 0
const late: string[] = []
/** The services fail until it is over, so that the end is a matter of seconds. */
let storm = true

beforeAll(async () => {
  const rates = [{ messages: RATE.messages, perMs: RATE.perMs }]
  fakes = {
    dingtalk: await fakeDingtalk({ rates, penaltyMs: 0, secret: SECRET }), wecom: await fakeWecom({ rates }), feishu: await fakeFeishu({ rates, secret: SECRET }),
    slack: await fakeSlack({ rates }), webhook: await fakeWebhook({ rates }),
  }
  for (const fake of Object.values(fakes)) fake.fail(chaos())
  port = await freePort()
  writeFileSync(join(directory.path, 'curlew.yaml'), configText())
  curlew = await start()
  alertmanager = await startAlertmanager(`
route: { receiver: curlew, group_by: [group], group_wait: 100ms, group_interval: 3s, repeat_interval: 4h }
receivers:
  - name: curlew
    webhook_configs:
      - { url: "http://127.0.0.1:${port}/webhook/alertmanager", send_resolved: true, http_config: { authorization: { credentials: ${TOKEN} } } }
`)
}, 30_000)

afterAll(async () => {
  stalls.stop()
  await curlew?.stop('SIGKILL')
  await alertmanager?.stop()
  await Promise.all(Object.values(fakes ?? {}).map((fake) => fake.close()))
  directory.remove()
})

it(`tells every alert on every channel, in order and not twice, while services fail and Curlew is killed (seed ${SEED})`, { timeout: WAIT_MS + forMs + 60_000 }, async () => {
  const end = Date.now() + forMs
  await Promise.all([fire(), killAgainAndAgain(end)])
  storm = false

  const all = ids()
  const over = all.filter(({ group }) => group % RESOLVED_EVERY === 0).map(({ id }) => id)
  for (const [name, { messages }] of Object.entries(fakes)) {
    await eventually(() => {
      const told = tellings(messages)
      const seen = new Set(told.map(({ id }) => id))
      const ended = new Set(told.flatMap(({ id, status }) => (status === 'resolved' ? [id] : [])))
      const missing = [...all.filter(({ id }) => !seen.has(id)).map(({ id }) => id), ...over.filter((id) => !ended.has(id))]
      if (missing.length > 0) throw new Error(`${missing.length} alerts are missing on ${name}, such as ${missing.slice(0, 3).join(', ')}`)
      return true
    }, WAIT_MS, `every alert on ${name}`)
  }
  // What would still be told twice comes now.
  await eventually(async () => (await curlew?.samples(/^curlew_notify_outbox_rows\{.*state="waiting"/))?.every((line) => line.endsWith(' 0')), 15_000, 'empty queues')

  for (const [name, fake] of Object.entries(fakes)) process.stdout.write(`${summary(name, fake)}\n`)
  for (const [name, { messages }] of Object.entries(fakes)) {
    expect(unexplainedRepeats(messages, [...killedAt, ...stalls.at]), name).toEqual([])
    expect(disorders(messages), name).toEqual([])
    expect(messages.length, `${name}: fewer messages than alerts`).toBeLessThan(notifications * ALERTS_EACH)
  }
  await lookAtProbes()
  expect(killedAt.length).toBe(killCount)
  expect(late).toEqual([])
  expect(worstRss).toBeLessThan(MOST_RSS_MB)
  expect(await alertmanager.metric('alertmanager_notifications_total')).toBeGreaterThanOrEqual(notifications)
})

/** What a person wants to know of a run that was long. */
function summary(name: string, fake: Fake): string {
  const told = tellings(fake.messages)
  const states = new Set(told.map(({ id, status }) => `${id} ${status}`)).size
  return `${name}: ${states} states of ${notifications * ALERTS_EACH} alerts in ${fake.accepted()} messages of ${fake.requests()} requests; ${fake.answerLost()} answers lost, ${killedAt.length} kills, ${told.length - states} states told again`
}

function ids() {
  return Array.from({ length: notifications }, (_, group) => Array.from({ length: ALERTS_EACH }, (__, index) => ({ group, id: `c${String(group).padStart(5, '0')}-${String(index).padStart(2, '0')}` }))).flat()
}

/** Posts the groups over the whole time, and ends every third of them a while later. */
async function fire(): Promise<void> {
  const byGroup = Map.groupBy(ids(), ({ group }) => group)
  const alerts = (group: number, endsAt?: string) => (byGroup.get(group) ?? []).map(({ id }, index) => ({
    labels: { alertname: id, group: `g${group}`, severity: ['critical', 'warning', 'info'][index % 3] ?? 'info' },
    annotations: { summary: `something broke at ${index}, 数据库连接失败` },
    ...(endsAt === undefined ? { endsAt: new Date(Date.now() + 3_600_000).toISOString() } : { endsAt }),
  }))
  const gap = forMs * 0.8 / notifications
  for (let group = 0; group < notifications; group++) {
    await alertmanager.post(alerts(group))
    const old = group - Math.ceil(2_000 / gap)
    if (old >= 0 && old % RESOLVED_EVERY === 0) await alertmanager.post(alerts(old, new Date().toISOString()))
    await sleep(gap)
  }
  for (let group = Math.max(0, notifications - Math.ceil(2_000 / gap)); group < notifications; group++) {
    if (group % RESOLVED_EVERY === 0) await alertmanager.post(alerts(group, new Date().toISOString()))
  }
}

async function killAgainAndAgain(end: number): Promise<void> {
  const gap = (end - Date.now()) / killCount
  for (let count = 0; count < killCount; count++) {
    await sleep(gap * (0.6 + random() * 0.4))
    await lookAtProbes()
    killedAt.push(Date.now())
    // Now the whole of it, now the process that keeps and delivers alone, which is started again.
    if (count % 2 === 0) {
      await curlew?.stop('SIGKILL')
      curlew = await start()
    } else {
      for (const child of childrenOf(curlew?.pid ?? 0)) process.kill(child, 'SIGKILL')
    }
  }
}

/** No probe was skipped or late, and memory is bounded. */
async function lookAtProbes(): Promise<void> {
  if (!curlew) return
  for (const line of await curlew.samples(/^curlew_runs_skipped_total/)) if (!line.endsWith(' 0')) late.push(line)
  const [inTime = '', count = ''] = await curlew.samples(/^curlew_schedule_lag_seconds_(?:bucket\{le="0.5"\}|count)/)
  if (inTime.split(' ').at(-1) !== count.split(' ').at(-1)) late.push(`${inTime}, ${count}`)
  for (const pid of [curlew.pid, ...childrenOf(curlew.pid)]) worstRss = Math.max(worstRss, rssMb(pid))
}

function start(): Promise<Served> {
  return serveCurlew(['-c', join(directory.path, 'curlew.yaml'), '--web.listen-address', `127.0.0.1:${port}`], { cwd: directory.path })
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function rssMb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024
  } catch {
    return 0
  }
}

function chaos(): () => Failure | undefined {
  const table: readonly (readonly [number, Failure])[] = [
    [0.04, { status: 500, body: 'internal error' }], [0.03, { status: 429, body: '', headers: { 'retry-after': '1' } }],
    [0.02, 'hang'], [0.02, 'hang_after_accept'], [0.03, 'reset'], [0.03, 'reset_after_accept'], [0.03, 'too_fast'],
  ]
  const awayFrom = Date.now() + forMs * (0.2 + 0.4 * random())
  return () => {
    if (!storm) return undefined
    if (Date.now() > awayFrom && Date.now() < awayFrom + OUTAGE_MS) return 'reset'
    let roll = random()
    return table.find(([share]) => (roll -= share) < 0)?.[1]
  }
}

/** A small generator whose numbers a seed repeats. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function configText(): string {
  const { dingtalk, wecom, feishu, slack, webhook } = fakes
  const channel = (type: keyof typeof fakes, options: object) => ({ name: type, type, ...options, timeout: '500ms', limits: { rates: [{ messages: RATE.messages, per: RATE.per }] } })
  return JSON.stringify({
    notify: {
      token: TOKEN,
      allow_private_destinations: true,
      storage: { path: 'state' },
      channels: [
        channel('dingtalk', { url: `${dingtalk.url}?access_token=fake-token-of-dingtalk`, secret: SECRET }), channel('wecom', { url: `${wecom.url}?key=fake-key-of-wecom` }),
        channel('feishu', { url: `${feishu.url}`, secret: SECRET }), channel('slack', slackEntry(slack)), channel('webhook', webhookEntry(webhook)),
      ],
      routes: [{ channels: Object.keys(fakes) }],
    },
    probes: Array.from({ length: 20 }, (_, index) => ({ name: `here-${index}`, type: 'tcp', every: '1s', timeout: '900ms', target: new URL(webhook.url).host })),
  })
}
