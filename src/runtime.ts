import { resolve } from 'node:path'
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { stuckChildren } from './children.ts'
import { ConfigError, instanceId, loadChecked, processName, seriesCount, type Checked } from './checked.ts'
import { configChecksum, type Config } from './config/load.ts'
import type { Top } from './config/schema.ts'
import { isClusterSource, type DiscoveryStatus } from './core/discovery.ts'
import { watchLoop } from './core/loop.ts'
import type { Job } from './core/probe.ts'
import { ALONE, type Share } from './core/shard.ts'
import { createRootCauses } from './core/root-cause.ts'
import { runJob } from './core/run.ts'
import { createScheduler } from './core/scheduler.ts'
import { createStore, type Store } from './core/store.ts'
import { VERSION } from './core/version.ts'
import { createEvidence } from './diagnose/evidence.ts'
import { createExpander } from './each.ts'
import { discoveredJobs, discoverySettings, openDiscovery } from './discovering.ts'
import type { Discovery } from './discover/kubernetes/engine.ts'
import { discoverLocal, localCertificates, localListeners, localMounts } from './discover/local.ts'
import { createExposition, type Exposition } from './exporter/exposition.ts'
import { diagnosisOf } from './exporter/api.ts'
import type { Webhook } from './exporter/http-webhook.ts'
import { createOwnMetrics } from './exporter/own-metrics.ts'
import { createJobSet } from './job-set.ts'
import type { Logger } from './log.ts'
import { createMesh } from './mesh/index.ts'
import type { Forwarding } from './notify/forwarding.ts'
import { createPlace } from './place.ts'
import { probeTypes } from './probes/index.ts'
import { shardOf } from './shards.ts'

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
  readonly share: () => Share
  readonly ready: () => boolean
  readonly webhook: () => Webhook | undefined
  /** What finding targets in clusters has come to; undefined where the config has no section for it. */
  readonly discovery: () => DiscoveryStatus | undefined
  /** Begins to probe. `ownUrl` is where this process answers: without a config it is probed too. */
  start(ownUrl: string): Promise<void>
  /** Loads the config anew; a bad one changes nothing but a metric. One at a time. */
  reload(): Promise<Reloaded>
  /** The one entry of jobs: makes the jobs of a source these and leaves everything that is unchanged alone. */
  apply(source: string, jobs: readonly Job[]): void
  stop(withinMs: number): Promise<void>
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
  let ended = false

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
  const place = createPlace({ pod: processName(), onTurn: () => jobs.settle(), log })
  const jobs = createJobSet({
    store, scheduler, place,
    onGone: evidence.forget,
    onSettled({ expected, owned, running }) {
      metrics.setShare(place.shard(), expected, owned)
      metrics.setLease(place.lease())
      metrics.setTargets(countBy(running, (job) => job.type))
      rootCauses.changed()
    },
  })
  const expander = createExpander(jobs.apply, ({ name, target }, found) => log.warn({ probe: name, target, found }, 'more addresses than targets are made of'))

  const mesh = createMesh({
    count: (protocol, result) => metrics.mesh(protocol, result),
    onTrouble: (sentence) => log.error({ trouble: sentence }, 'the agents of other nodes are not answered'),
    onListening: (address) => log.info({ address }, 'answering the agents of other nodes'),
  })

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
      // An outbox that cannot be had ends a start where forwarding is all there is. Beside probes, and after a reload, it is tried again: they must go on.
      ...(ready || probing ? {} : { onFailed: onFatal }),
    })
    forwarding.configure(notify, notifyRaw, resolve(notify.storage.path ?? stateDirectory ?? 'data'))
  }

  let discovery: Discovery | undefined

  /** Looks at clusters from the first config on that wants it; a later one that does not lets go of all that was found. */
  async function find(loaded: Config): Promise<void> {
    const settings = discoverySettings(loaded, seriesCount(loaded.jobs))
    if (settings) {
      const opened = discovery ?? await openDiscovery({ apply: jobs.apply, seriesOf: (job) => seriesCount([job]), log: (level, fields, message) => log[level](fields, message) })
      // Nobody would stop it.
      if (ended) return
      discovery = opened
      discovery.configure(settings)
    } else {
      discovery?.stop()
      for (const source of jobs.sources()) if (isClusterSource(source)) jobs.apply(source, [])
      discovery = undefined
    }
    metrics.setDiscovery(discovery?.status)
  }

  /** As `loadChecked`; and there must be a shard for this process. */
  async function loadHere(path: string): Promise<Checked> {
    const loaded = await loadChecked(path, authenticated)
    const place = probing ? shardOf(loaded.config?.top.kubernetes?.shards, processName()) : ALONE
    return 'error' in place ? { checksum: loaded.checksum, errors: [`${path}:1:1: ${place.error}`] } : loaded
  }

  async function load(path: string): Promise<Reloaded> {
    let errors: readonly string[]
    try {
      const loaded = await loadHere(path)
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
    if (probing) await place.take(loaded.top.kubernetes, instanceId(loaded.top))
    const wanted = probing ? loaded.jobs : []
    jobs.apply('config', wanted.filter((job) => !job.each))
    expander.set(wanted.filter((job) => job.each))
    await Promise.all([...probing ? [find(loaded)] : [], forward(loaded), mesh.configure(probing ? loaded.top.mesh : undefined)])
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
    const before = jobs.of('local')
    jobs.apply('local', [...before, ...found.filter((job) => !before.some((old) => old.id === job.id))])
    metrics.discovered('local', Date.now())
  }

  const timers: NodeJS.Timeout[] = []
  if (configPath !== undefined) {
    const first = await loadHere(configPath)
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
    share() {
      const lease = place.lease()
      const { expected, owned } = jobs.settled()
      return { active: place.active(), lease: lease?.name, holder: lease?.holder, shard: place.shard(), expected, owned }
    },
    ready: () => ready,
    webhook: () => (config?.notify ? forwarding?.webhook : undefined),
    discovery: () => discovery?.status(),
    async start(url) {
      ownUrl = url
      if (configPath === undefined) {
        discover()
        metrics.reloaded(true, Date.now())
        timers.push(setInterval(discover, REDISCOVER_MS))
      } else {
        // What was read before the port was opened: a pipe can be read once, and a file may be half-written by now.
        if (config) {
          const first = use(config)
          // A reload waits for it, and so does the end.
          last = first.catch(() => {})
          await first
        }
        if (autoReloadMs !== undefined) {
          timers.push(setInterval(() => {
            if (configChecksum(configPath) !== checksum) void reload() // never rejects
          }, Math.min(autoReloadMs, LONGEST_TIMER_MS)))
        }
      }
      ready = true
    },
    reload,
    apply: jobs.apply,
    async stop(withinMs) {
      ready = false
      ended = true
      for (const timer of timers) clearInterval(timer)
      evidence.stop()
      const until = performance.now() + withinMs
      // The runs are aborted before the Lease is given back.
      const idle = scheduler.stop(withinMs)
      // What a reload is about to open would stay open.
      await Promise.race([reloading ?? last, wait(withinMs, undefined, { ref: false })])
      expander.stop()
      discovery?.stop()
      const leftMs = Math.ceil(Math.max(0, until - performance.now()))
      await Promise.all([idle, place.stop(leftMs), forwarding?.stop(leftMs), mesh.stop()])
      for (const { job } of store.all()) job.release()
      loop.stop()
    },
  }
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return counts
}
