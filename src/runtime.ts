import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { stuckChildren } from './children.ts'
import { readEntry } from './config/jobs.ts'
import { configChecksum, loadConfig, type Config } from './config/load.ts'
import { diagnosticText } from './config/document.ts'
import type { Top } from './config/schema.ts'
import { watchLoop } from './core/loop.ts'
import type { Job } from './core/probe.ts'
import { createRootCauses } from './core/root-cause.ts'
import { runJob } from './core/run.ts'
import { createScheduler } from './core/scheduler.ts'
import { createStore, type Store } from './core/store.ts'
import { VERSION } from './core/version.ts'
import { createEvidence } from './diagnose/evidence.ts'
import { createExpander } from './each.ts'
import { discoverLocal, localCertificates, localListeners, localMounts, type FoundEntry } from './discover/local.ts'
import { createExposition, type Exposition } from './exporter/exposition.ts'
import { seriesOf } from './exporter/families.ts'
import { diagnosisOf } from './exporter/api.ts'
import type { Webhook } from './exporter/http-webhook.ts'
import { createOwnMetrics } from './exporter/own-metrics.ts'
import type { Logger } from './log.ts'
import type { Forwarding } from './notify/forwarding.ts'
import { probeTypes } from './probes/index.ts'

const HOSTNAME = hostname()
const FIRST_WINDOW_MS = 30_000
/** New jobs start no faster than one in so many milliseconds, so that a large config does not begin with a burst. */
const FIRST_GAP_MS = 10
const REDISCOVER_MS = 60_000
/** The longest time that a timer of Node can wait; a longer one would ring at once, again and again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export interface RuntimeOptions {
  /** A file or directory; without one, what this machine shows is probed. */
  readonly configPath: string | undefined
  readonly autoReloadMs: number | undefined
  /** False where the config's probes are somebody else's: only its section `notify` is in use. */
  readonly probing: boolean
  /** A web-config file asks for a login: `notify` needs no token of its own then. */
  readonly authenticated: boolean
  /** $STATE_DIRECTORY. */
  readonly stateDirectory: string | undefined
  /** Cannot go on; called once, with a sentence. */
  readonly onFatal: (sentence: string) => void
  readonly log: Logger
}

export type Reloaded = { readonly ok: true } | { readonly ok: false, readonly errors: readonly string[] }

export interface Runtime {
  readonly store: Store
  readonly exposition: Exposition
  readonly instance: () => string
  readonly top: () => Top | undefined
  readonly configText: () => string
  readonly ready: () => boolean
  readonly webhook: () => Webhook | undefined
  /** Begins to probe. `ownUrl` is where this process answers: without a config it is probed too. */
  start(ownUrl: string): Promise<void>
  /** Loads the config anew; a bad one changes nothing but a metric. One at a time. */
  reload(): Promise<Reloaded>
  /** The one entry of jobs: makes the jobs of a source these and leaves everything that is unchanged alone. */
  apply(source: string, jobs: readonly Job[]): void
  stop(withinMs: number): Promise<void>
}

/** Unique to this prober: part of every key that it writes. */
export function instanceId(top: Top | undefined): string {
  return top?.instance_id ?? HOSTNAME
}

/** Series that these jobs make at most while nothing fails. */
export function seriesCount(jobs: readonly Job[]): number {
  const byType = new Map(probeTypes.map((type) => [type.type, type]))
  return jobs.reduce((sum, job) => {
    const type = byType.get(job.type)
    return sum + (type ? seriesOf(job, type) : 0)
  }, 0)
}

type Checked = { readonly checksum: string } & ({ readonly config: Config } | { readonly config?: undefined, readonly errors: readonly string[] })

/** Loads a config and holds it against `limits.series` too. */
export async function loadChecked(path: string, authenticated = false): Promise<Checked> {
  const { checksum, config, diagnostics } = await loadConfig(path, { types: probeTypes, authenticated })
  if (!config) return { checksum, errors: diagnostics.map(diagnosticText) }
  const series = seriesCount(config.jobs)
  const most = config.top.limits.series
  if (series > most) return { checksum, errors: [`${path}:1:1: limits.series: expected at most ${most} series, but the probes make ${series}`] }
  return { checksum, config }
}

/** Jobs of entries that Curlew found by itself. */
export function discoveredJobs(entries: readonly FoundEntry[]): Job[] {
  return entries.flatMap((entry) => {
    const type = probeTypes.find((known) => known.type === entry.type)
    if (!type) return []
    const { type: _type, ...rest } = entry
    return readEntry(type, rest, true).jobs
  })
}

/** Ties config, jobs, store, metrics and scheduler. Rejects with a ConfigError when the config is bad: its lines are the message. */
export async function createRuntime({ configPath, autoReloadMs, probing, authenticated, stateDirectory, onFatal, log }: RuntimeOptions): Promise<Runtime> {
  const store = createStore()
  const metrics = createOwnMetrics({
    version: VERSION, types: probeTypes.map(({ type }) => type),
    inFlight: () => scheduler.inFlight(), queued: () => scheduler.queued(), stuck: stuckChildren,
  })
  const loop = watchLoop((seconds) => metrics.loopDelay(seconds))
  let config: Config | undefined
  let checksum = ''
  let ready = false
  let ownUrl: string | undefined

  const scheduler = createScheduler({
    concurrency: () => config?.top.limits.concurrency ?? 200,
    run: (job, signal) => runJob(job, {
      signal,
      instance: instanceId(config?.top),
      lateSince: loop.lateSince,
      lateBoundMs: config?.top.limits.loop_delay ?? 500,
      onOddity(kind, { id, name, type, target }, error) {
        if (kind === 'unmapped') metrics.unmapped(type)
        const err = error instanceof Error ? { message: error.message, stack: error.stack } : { message: String(error) }
        log[kind === 'bug' ? 'error' : 'warn']({ id, probe: name, type, target, err }, kind === 'bug' ? 'error inside a probe' : 'answer that no code stands for')
      },
    }),
    onResult(result) {
      const recorded = store.record(result)
      if (!recorded) return
      const { state, turn } = recorded
      rootCauses.settled(state, turn)
      if (turn) {
        const failure = result.status === 'ok' ? {} : result.failure
        log.info({ id: state.job.id, probe: state.job.name, target: state.job.target, ...failure }, turn === 'healthy' ? 'probe is healthy' : 'probe is unhealthy')
        if (turn === 'unhealthy') evidence.gather(state, result)
      }
    },
    onLag: (seconds) => metrics.lag(seconds),
    onSkip: (cause, count) => metrics.skipped(cause, count),
    onNext(id, at) {
      const state = store.get(id)
      if (!state) return
      state.nextRunAt = at
      store.touch(state.slot)
    },
  })
  const evidence = createEvidence({ store, onDrop: (cause) => metrics.evidenceDropped(cause) })
  const rootCauses = createRootCauses(store, (id) => scheduler.runNow(id))
  const exposition = createExposition({ store, types: probeTypes, registry: metrics.registry })
  const sources = new Map<string, readonly Job[]>()

  function apply(source: string, jobs: readonly Job[]) {
    if (jobs.length === 0) sources.delete(source)
    else sources.set(source, jobs)
    const wanted = new Map<string, Job>()
    for (const job of [...sources.values()].flat()) if (!wanted.has(job.id)) wanted.set(job.id, job)
    for (const { job } of [...store.all()]) {
      if (wanted.has(job.id)) continue
      scheduler.remove(job.id)
      store.remove(job.id)
      evidence.forget(job.id)
      job.release()
    }
    for (const { id, type } of wanted.values()) {
      const old = store.get(id)?.job
      if (old === undefined || old.type === type) continue
      // Phases and gauges of another type say nothing about this one.
      scheduler.remove(id)
      store.remove(id)
      old.release()
    }
    const changed = [...wanted.values()].filter((job) => store.get(job.id)?.job.fingerprint !== job.fingerprint)
    for (const job of changed) {
      const old = store.get(job.id)?.job
      const state = store.put(job)
      scheduler.put(job, Math.min(state.periodMs, FIRST_WINDOW_MS, changed.length * FIRST_GAP_MS))
      old?.release()
    }
    metrics.setTargets(countBy([...wanted.values()], (job) => job.type))
    rootCauses.changed()
  }

  const expander = createExpander(apply, ({ name, target }, found) => log.warn({ probe: name, target, found }, 'more addresses than targets are made of'))

  let forwarding: Forwarding | undefined

  /** Starts the forwarder with the first config that has one; a later one without it leaves it what still waits. */
  async function forward({ notify, notifyRaw }: Config): Promise<void> {
    if (!notify) return
    const { createForwarding } = await import('./notify/forwarding.ts')
    forwarding ??= createForwarding({
      registry: metrics.registry,
      lookUp(question) {
        const { status, body } = diagnosisOf(store, { ...question })
        return status === 200 ? body : undefined
      },
      log: (level, message, fields) => log[level](fields, message),
      // What a reload adds must not end the probes.
      // Where it is all there is. Beside probes an outbox that cannot be had is tried again: they must go on.
      ...(ready || probing ? {} : { onFailed: onFatal }),
    })
    forwarding.configure(notify, notifyRaw, resolve(notify.storage.path ?? stateDirectory ?? 'data'))
  }

  async function load(path: string): Promise<Reloaded> {
    let errors: readonly string[]
    try {
      const loaded = await loadChecked(path, authenticated)
      checksum = loaded.checksum
      if (loaded.config) {
        await use(loaded.config)
        return { ok: true }
      }
      errors = loaded.errors
    } catch (error) {
      // A bug of ours in the reader must not end what runs.
      errors = [`${path}:1:1: an error inside Curlew, please report it: ${error instanceof Error ? error.message : String(error)}`]
    }
    metrics.reloaded(false, Date.now())
    return { ok: false, errors }
  }

  async function use(loaded: Config): Promise<void> {
    config = loaded
    const jobs = probing ? loaded.jobs : []
    apply('config', jobs.filter((job) => !job.each))
    expander.set(jobs.filter((job) => job.each))
    await forward(loaded)
    metrics.reloaded(true, Date.now())
  }

  let reloading: Promise<Reloaded> | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** Several signals at once are one reload: reading ten thousand probes takes a second of the event loop. */
  function reload(): Promise<Reloaded> {
    reloading ??= Promise.all([nextTurn(), last]).then(() => {
      reloading = undefined
      const now = reloadNow()
      last = now
      return now
    })
    return reloading
  }

  /** Never rejects. */
  async function reloadNow(): Promise<Reloaded> {
    if (configPath === undefined) {
      discover()
      return { ok: true }
    }
    const reloaded = await load(configPath)
    if (reloaded.ok) log.info({ targets: store.size() }, 'configuration loaded')
    else log.error({ errors: reloaded.errors }, 'configuration not loaded, the old one stays')
    return reloaded
  }

  function discover() {
    const found = discoveredJobs(discoverLocal({ listeners: localListeners(), mounts: localMounts(), certificates: localCertificates(), ownUrl }))
    // What has gone away is just what a person wants to hear of: it stays.
    const before = sources.get('local') ?? []
    apply('local', [...before, ...found.filter((job) => !before.some((old) => old.id === job.id))])
    metrics.discovered('local', Date.now())
  }

  const timers: NodeJS.Timeout[] = []
  if (configPath !== undefined) {
    const first = await loadChecked(configPath, authenticated)
    if (!first.config) {
      loop.stop()
      throw new ConfigError(first.errors)
    }
    config = first.config
    checksum = first.checksum
  }

  return {
    store,
    exposition,
    instance: () => instanceId(config?.top),
    top: () => config?.top,
    configText: () => config?.shown ?? '# no config file: Curlew probes what this machine shows\n',
    ready: () => ready,
    webhook: () => (config?.notify ? forwarding?.webhook : undefined),
    async start(url) {
      ownUrl = url
      if (configPath === undefined) {
        discover()
        metrics.reloaded(true, Date.now())
        timers.push(setInterval(discover, REDISCOVER_MS))
      } else {
        // What was read before the port was opened: a pipe can be read once, and a file may be half-written by now.
        if (config) await use(config)
        if (autoReloadMs !== undefined) {
          timers.push(setInterval(() => {
            if (configChecksum(configPath) !== checksum) void reload() // never rejects
          }, Math.min(autoReloadMs, LONGEST_TIMER_MS)))
        }
      }
      ready = true
    },
    reload,
    apply,
    async stop(withinMs) {
      ready = false
      for (const timer of timers) clearInterval(timer)
      expander.stop()
      evidence.stop()
      await Promise.all([scheduler.stop(withinMs), forwarding?.stop(withinMs)])
      for (const { job } of store.all()) job.release()
      loop.stop()
    },
  }
}

/** Every mistake of a config, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
  }
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return counts
}
