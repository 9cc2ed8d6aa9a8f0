import { setTimeout as sleep } from 'node:timers/promises'
import type { Language } from '../words/language.ts'
import { severityRank, type Alert } from './alert.ts'
import type { BoundChannel } from './bind.ts'
import { createDeadman } from './deadman.ts'
import { createSender, type Sender } from './delivery/sender.ts'
import type { Composed } from './delivery/work.ts'
import type { Findings } from './findings.ts'
import { handOver } from './hand-over.ts'
import { noticeFor } from './notice-for.ts'
import type { Block, Notice } from './notice.ts'
import type { NotifyConfig } from './options.ts'
import { OutboxFull, type Entry, type Incoming, type LocalOutbox, type Outbox, type SharedOutbox, type Written } from './outbox.ts'
import type { FromForwarder } from './protocol.ts'
import { routeName } from './routing.ts'
import { split } from './split.ts'
import { post } from './wire.ts'

const DEPTHS_MS = 1_000
const SWEEP_MS = 30_000
const COMPLAIN_MS = 60_000
/** Alerts of one message whose diagnosis is asked for: whoever is asked probes, too. */
const MOST_LOOKUPS = 20
const BUG = 'an error inside Curlew: alerts of this channel are told with less, or later'

export interface EngineDeps {
  readonly config: NotifyConfig
  /** Those of the config. */
  readonly bound: readonly BoundChannel[]
  /** Where everything is kept; with a shared one it holds what the shared one could not take. */
  readonly local: LocalOutbox
  readonly shared: SharedOutbox | undefined
  /** What is known of the probe of an alert; undefined when there is nothing, or not in time. */
  lookUp(alert: Alert): Promise<Findings | undefined>
  tell(line: FromForwarder): void
}

export interface Engine {
  /** Written when it resolves, in the order of the calls; durable when `durable` does. `received` is how many alerts a webhook took for it. */
  accept(incoming: readonly Incoming[], received: number): Promise<{ readonly durable: Promise<void> }>
  /** The Watchdog has come. Durable when it resolves. */
  heard(): Promise<void>
  /** Ends what is being sent, and nothing more. */
  stop(): Promise<void>
}

/** Delivers what the outboxes hold to the channels of the config. */
export function createEngine({ config, bound, local, shared, lookUp, tell }: EngineDeps): Engine {
  const channels = new Map(bound.map((channel) => [channel.name, channel]))
  const routes = new Map(config.routes.map((route, index) => [routeName(route, index), route]))
  const outboxes = [local, ...shared ? [shared] : []]
  const stopping = new AbortController()
  const senders = new Map<string, Sender[]>()
  const saidAt = new Map<string, number>()
  for (const channel of channels.values()) senders.set(channel.name, outboxes.map((outbox) => start(outbox, channel)))
  const keepOrder = shared && handOver(local, shared)
  const deadman = createDeadman({ config, local, shared, accept: async (incoming) => (await accept(incoming, 0)).durable, now: () => Date.now(), uptime: () => performance.now() })
  const beats = [every(DEPTHS_MS, tellDepths), every(SWEEP_MS, sweep), ...deadman ? [every(deadman.everyMs, deadman.beat)] : []]

  function start(outbox: Outbox, channel: BoundChannel): Sender {
    return createSender({
      outbox,
      channel,
      deadlineMs: channel.deadlineMs ?? config.deadline,
      allowPrivate: config.allow_private_destinations,
      fallback: (route) => {
        const name = routes.get(route)?.fallback
        return name === channel.name ? undefined : name
      },
      compose: (entries, how) => composeFor(channel, entries, how),
      send: post,
      on(event) {
        if (event.kind === 'trouble') return complain('the outbox cannot be worked on', text(event.error), { channel: channel.name })
        if (event.kind === 'bug') return complain(BUG, stackOf(event.error), { channel: channel.name })
        tell({ kind: 'channel', channel: channel.name, event })
        if (event.kind === 'handed_on') for (const other of senders.values()) for (const sender of other) sender.wake()
      },
    })
  }

  /** An outbox that is away is tried each second, and each channel would say so. */
  function complain(message: string, error: string, fields: { readonly channel?: string } = {}): void {
    const now = performance.now()
    if (now - (saidAt.get(error) ?? -Infinity) < COMPLAIN_MS) return
    if (saidAt.size > 20) saidAt.clear()
    saidAt.set(error, now)
    tell({ kind: 'log', level: 'error', message, fields: { ...fields, error } })
  }

  async function composeFor(channel: BoundChannel, entries: readonly Entry[], { digest, more }: { readonly digest: boolean, readonly more: number }): Promise<Composed> {
    const lang = routes.get(entries[0]?.route ?? '')?.lang
    try {
      const notice = noticeFor(config, entries, { findings: await findingsOf(entries), digest, more, now: Date.now() })
      return { parts: partsOf(notice, entries, channel, lang) }
    } catch (error) {
      // A bug of ours in the texts must not keep alerts from being told.
      complain(BUG, stackOf(error), { channel: channel.name })
      return { parts: partsOf(bareNotice(entries), entries, channel, lang) }
    }
  }

  async function findingsOf(entries: readonly Entry[]): Promise<ReadonlyMap<string, Findings>> {
    const gravest = entries.map(({ alert }) => alert).toSorted((a, b) => severityRank(a.labels) - severityRank(b.labels))
    const alerts = [...new Map(gravest.map((alert) => [alert.fingerprint, alert]))].slice(0, MOST_LOOKUPS)
    const found = await Promise.all(Array.from(alerts, async ([fingerprint, alert]) => ({ fingerprint, findings: await lookUp(alert) })))
    return new Map(found.flatMap(({ fingerprint, findings }) => (findings ? [[fingerprint, findings] as const] : [])))
  }

  /** Repeats until the end, one at a time, whatever it throws. */
  async function every(ms: number, work: () => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await work()
      } catch (error) {
        complain('the outbox cannot be looked at', text(error))
      }
      await sleep(ms, undefined, { signal: stopping.signal }).catch(() => {}) // aborted: the loop ends
    }
  }

  async function tellDepths(): Promise<void> {
    for (const outbox of outboxes) {
      const depths = await outbox.depths()
      tell({ kind: 'depths', depths, local: outbox === local })
      for (const { channel, waiting } of depths) if (waiting > 0 && !channels.has(channel)) await buryUnknown(outbox, channel)
    }
    await keepOrder?.()
  }

  /** What waits for a channel that a reload has taken away. */
  async function buryUnknown(outbox: Outbox, channel: string): Promise<void> {
    const now = Date.now()
    const lease = await outbox.lease(channel, 10_000, now)
    if (!lease) return
    const entries = [...(await outbox.messages(channel)).flatMap((message) => message.entries), ...await outbox.queued(channel, 'age', 500)]
    for (const [handTo, mine] of Map.groupBy(entries, ({ route }) => routes.get(route)?.fallback)) {
      await outbox.giveUp(lease, mine.map(({ id }) => id), { reason: 'unknown_channel', detail: `the config has no channel ${channel}`, ...(handTo === undefined ? {} : { handTo }) }, now)
      tell({ kind: 'channel', channel, event: { kind: handTo === undefined ? 'dead' : 'handed_on', reason: 'unknown_channel', entries: mine.length, detail: 'not in the config any more' } })
    }
    await outbox.release(lease)
  }

  async function sweep(): Promise<void> {
    for (const outbox of outboxes) await outbox.sweep(Date.now())
  }

  return {
    accept,
    heard: async () => deadman?.heard(),
    async stop() {
      stopping.abort()
      await Promise.all([...beats, ...[...senders.values()].flat().map((sender) => sender.stop())])
    },
  }

  async function accept(incoming: readonly Incoming[], received: number): Promise<{ readonly durable: Promise<void> }> {
    const { accepted: { queued: _, ...counts }, durable } = await writeSomewhere(incoming)
    const queued: Record<string, number> = {}
    for (const { channel, alerts } of incoming) queued[channel] = (queued[channel] ?? 0) + alerts.length
    for (const channel of Object.keys(queued)) for (const sender of senders.get(channel) ?? []) sender.wake()
    return { durable: durable.then(() => tell({ kind: 'accepted', received, ...counts, queued })) }
  }

  async function writeSomewhere(incoming: readonly Incoming[]): Promise<Written> {
    if (!shared) return locally(incoming)
    try {
      return await shared.write(incoming, Date.now())
    } catch (error) {
      // There it is told before long, or an earlier state of it is: the local one would tell it twice, or too early.
      if (error instanceof OutboxFull) throw error
      tell({ kind: 'log', level: 'warn', message: 'the shared outbox cannot take alerts, the local one does', fields: { error: text(error) } })
      return locally(incoming)
    }
  }

  async function locally(incoming: readonly Incoming[]): Promise<Written> {
    return { accepted: await local.accept(incoming, Date.now()), durable: Promise.resolve() }
  }
}

/** The alerts of a notice stand in its parts whole and in order. */
function partsOf(notice: Notice, entries: readonly Entry[], { fits, render }: BoundChannel, lang: Language | undefined): Composed['parts'] {
  let next = 0
  return split(notice, fits, lang).map((part) => {
    const told = new Set(notice.blocks.slice(next, next += part.blocks.length).map(({ alert }) => alert))
    return { body: render(part), entries: entries.filter(({ alert }) => told.has(alert)).map(({ id }) => id) }
  })
}

/** What is told when nothing else can be: names and states. */
function bareNotice(entries: readonly Entry[]): Notice {
  const blocks = entries.map(({ alert }): Block => ({
    alert,
    tone: alert.status === 'resolved' ? 'resolved' : 'critical',
    lines: [[{ kind: 'text', text: `${alert.labels['alertname'] ?? alert.fingerprint} ${alert.status}` }], [{ kind: 'text', text: JSON.stringify(alert.labels) }]],
  }))
  return { tone: blocks[0]?.tone ?? 'critical', title: `Alertmanager: ${entries.length}`, lead: [], blocks, tail: [], links: [], mentions: [], everyone: false }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : text(error)
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
