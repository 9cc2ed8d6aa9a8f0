import { setTimeout as sleep } from 'node:timers/promises'
import { startAlertmanager } from '../test/support/alertmanager.ts'
import { eventually, freePort, temporaryDirectory } from '../test/support/process.ts'
import { startChat } from './chat.ts'
import type { Launcher } from './curlew.ts'
import { alertOf, notificationOf, postJson } from './notifications.ts'
import { startForwarder } from './notify.ts'
import type { Options } from './options.ts'
import { sumOf } from './scraping.ts'

const TIMES = 100
const QUICK_TIMES = 25
/** Between two: everybody has come to rest. */
const PAUSE_MS = 20

/** How long one alert took from the request that told it until the chat had the message, in ms. */
export interface Delay {
  readonly way: string
  readonly ms: readonly number[]
}

interface Way {
  readonly name: string
  /** Tells an alert of this name. */
  tell(name: string, serial: number): Promise<number>
  /** What its message must hold besides. */
  readonly says?: string
}

/** One alert at a time, by several ways that take turns: to Curlew's webhook, and through an Alertmanager where there is one, without Curlew and with it. */
export async function notifyDelays(launcher: Launcher, withPeer: boolean, { rounds, warmUp }: Options): Promise<Delay[]> {
  const directory = temporaryDirectory()
  const chat = await startChat()
  // Nothing listens there: the probe fails, and its diagnosis goes with the alert.
  const target = `127.0.0.1:${await freePort()}`
  const curlew = await startForwarder(launcher, { type: 'tcp', target, every: '1s' }, chat.url, directory.path)
  const alertmanager = withPeer ? await startAlertmanager(alertmanagerConfig(chat.url, curlew.hook)) : undefined
  const post = (labels: (name: string) => Record<string, string>): Way['tell'] => (name, serial) => postJson(curlew.hook, notificationOf([alertOf(serial, labels(name))]))
  const through = (team: string): Way['tell'] => (name, serial) => {
    const { labels, annotations, generatorURL } = alertOf(serial, { alertname: name, team })
    return postJson(`${alertmanager?.url ?? ''}/api/v2/alerts`, JSON.stringify([{ labels, annotations, generatorURL }]))
  }
  const ways: readonly Way[] = [
    { name: 'webhook to chat', tell: post((alertname) => ({ alertname })) },
    // A message about a probe is headed by the probe, not by the alert's name.
    { name: 'webhook to chat, with the diagnosis', tell: post((alertname) => ({ alertname, probe: 'bench', target, mark: alertname })), says: 'refused' },
    ...alertmanager ? [
      { name: 'Alertmanager to chat', tell: through('native') },
      { name: 'Alertmanager and Curlew to chat', tell: through('curlew') },
    ] : [],
  ]
  try {
    await eventually(async () => sumOf((await curlew.scrape()).text, /^probe_runs_total\{.*result="failed"/) > 3, 20_000, 'a probe that fails')
    const times = new Map(ways.map(({ name }) => [name, new Array<number>()]))
    let serial = 0
    for (let round = warmUp ? -1 : 0; round < rounds; round++) {
      for (const { name, tell, says = '' } of ways) {
        for (let turn = 0; turn < (warmUp ? TIMES : QUICK_TIMES); turn++) {
          await sleep(PAUSE_MS)
          const mark = `Bench${String(++serial).padStart(6, '0')}`
          const arrival = chat.arrival(mark)
          const began = performance.now()
          const [status, { at, body }] = await Promise.all([tell(mark, serial), arrival])
          if (status !== 200) throw new Error(`${name}: the alert was answered with ${status}`)
          if (!body.includes(says)) throw new Error(`${name}: the message does not say ${says}: ${body}`)
          if (round >= 0) times.get(name)?.push(at - began)
        }
      }
    }
    return Array.from(times, ([way, ms]) => ({ way, ms }))
  } finally {
    await Promise.all([alertmanager?.stop(), curlew.stop(), chat.close()])
    directory.remove()
  }
}

/** Every alert is a group of its own, which waits for nobody. */
function alertmanagerConfig(chat: string, hook: string): string {
  return JSON.stringify({
    route: { receiver: 'native', group_by: ['alertname'], group_wait: '0s', routes: [{ receiver: 'curlew', matchers: ['team="curlew"'] }] },
    receivers: [
      { name: 'native', slack_configs: [{ api_url: chat, channel: '#bench', send_resolved: true }] },
      { name: 'curlew', webhook_configs: [{ url: hook, send_resolved: true }] },
    ],
  })
}
