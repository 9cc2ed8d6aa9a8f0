import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { DROP_CAUSES, type DropCause } from '../core/diagnosis.ts'
import { MESH_PROTOCOLS, MESH_RESULTS, type MeshProtocol, type MeshResult } from '../core/mesh.ts'
import { clusterSource, type DiscoveryStatus } from '../core/discovery.ts'
import { SKIP_CAUSES, type SkipCause } from '../core/scheduler.ts'
import type { Shard } from '../core/shard.ts'
import type { Family } from './families.ts'

/** Defaults of prom-client that promtool refuses: gauges whose names end in `_total`. The same by type stay. */
const REFUSED_BY_PROMTOOL = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'] as const

/** How often prom-client looks at the event loop, in ms: a hundred times a second unless told, which costs 1 % of a core. */
const NEVER_MS = 2 ** 31 - 1

/** Those of prom-client's gauges of the event loop's lag that are made of our own watch instead; in ns. */
const LOOP_LAG: readonly (readonly [what: string, read: (delays: RecordableHistogram) => number])[] = [
  ['min', ({ min }) => min], ['max', ({ max }) => max], ['mean', ({ mean }) => mean], ['stddev', ({ stddev }) => stddev],
  ['p50', (delays) => delays.percentile(50)], ['p90', (delays) => delays.percentile(90)], ['p99', (delays) => delays.percentile(99)],
]

/** Upper bounds in seconds, for lag and delay alike. */
const DELAY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** The prober's own metrics, as they are registered and documented. */
export const OWN = {
  buildInfo: { name: 'curlew_build_info', kind: 'gauge', labels: ['version'], help: 'The version that runs, constant 1.' },
  reloadOk: { name: 'curlew_config_last_reload_successful', kind: 'gauge', labels: [], help: 'Whether the last attempt to load the configuration succeeded.' },
  reloadAt: { name: 'curlew_config_last_reload_success_timestamp_seconds', kind: 'gauge', labels: [], help: 'When the configuration was last loaded successfully, in Unix time.' },
  targets: { name: 'curlew_targets', kind: 'gauge', labels: ['type'], help: 'Targets by probe type.' },
  expected: { name: 'curlew_targets_expected', kind: 'gauge', labels: ['shard', 'shards'], help: 'Targets that all shards together are to probe, as this one knows them.' },
  owned: { name: 'curlew_targets_owned', kind: 'gauge', labels: ['shard', 'shards'], help: 'Targets that are this shard\'s and that this replica probes: 0 while it stands by. Dependencies of its own that belong to others are not counted.' },
  leaseActive: { name: 'curlew_lease_active', kind: 'gauge', labels: ['lease'], help: 'Whether this replica has the Lease and probes (1) or stands by (0). Only where one is configured.' },
  lag: { name: 'curlew_schedule_lag_seconds', kind: 'histogram', labels: ['le'], help: 'How much later than scheduled runs began.' },
  skipped: { name: 'curlew_runs_skipped_total', kind: 'counter', labels: ['cause'], help: 'Runs that were due and did not take place: overlap (the one before was still running), queued (it still waited for a place), missed (the process slept).' },
  inFlight: { name: 'curlew_probes_in_flight', kind: 'gauge', labels: [], help: 'Runs under way.' },
  queued: { name: 'curlew_probes_queued', kind: 'gauge', labels: [], help: 'Runs that are due and wait for a place under the concurrency limit.' },
  loopDelay: { name: 'curlew_event_loop_delay_seconds', kind: 'histogram', labels: ['le'], help: 'How late the event loop was, sampled all the time.' },
  stuckChildren: { name: 'curlew_stuck_children', kind: 'gauge', labels: [], help: 'Helper processes that hang in a call of the operating system, as on a hung mount.' },
  unmapped: { name: 'curlew_unmapped_errors_total', kind: 'counter', labels: ['type'], help: 'Errors sent by targets that no failure code of the probe type stands for.' },
  evidenceDropped: { name: 'curlew_evidence_dropped_total', kind: 'counter', labels: ['cause'], help: 'Targets that turned unhealthy without evidence being gathered: cooldown (looked at a few minutes ago), busy (too many others at the same time), failed (it came to no end).' },
  mesh: { name: 'curlew_mesh_requests_total', kind: 'counter', labels: ['protocol', 'result'], help: 'Questions of other agents by what was made of them: answered, refused (not a question of an agent, and left without an answer), limited (too many), failed (the answer could not be sent).' },
  discovered: { name: 'curlew_discovery_last_success_timestamp_seconds', kind: 'gauge', labels: ['source'], help: 'When a source of targets was last read successfully, or was last certain to be up to date, in Unix time; `kubernetes:<cluster>:<source>` for what is found in a cluster, 0 until it has been read.' },
  discoveryTargets: { name: 'curlew_discovery_targets', kind: 'gauge', labels: ['cluster', 'source'], help: 'Targets that were found in a cluster and are probed, by this process or by others of its Lease and shards.' },
  discoveryRefused: { name: 'curlew_discovery_refused', kind: 'gauge', labels: ['cluster', 'namespace'], help: 'Wrong annotations, and targets that are left out, by namespace; `other` beyond 200 namespaces.' },
  discoveryErrors: { name: 'curlew_discovery_errors_total', kind: 'counter', labels: ['cluster', 'reason'], help: 'Calls of discovery that a cluster\'s API did not answer as it should.' },
} as const satisfies Readonly<Record<string, Family>>

export interface OwnMetrics {
  readonly registry: Registry
  /** The configuration was loaded, or could not be; `at` is wall clock in ms. */
  reloaded(ok: boolean, at: number): void
  /** How many targets each probe type has; a type that is not named has none. */
  setTargets(counts: ReadonlyMap<string, number>): void
  /** How many targets there are, and how many of them are probed here. */
  setShare(shard: Shard, expected: number, owned: number): void
  /** Whether this replica is the active one of its Lease; undefined where there is none. */
  setLease(lease: { readonly name: string, readonly active: boolean } | undefined): void
  /** A run began so many seconds later than scheduled. */
  lag(seconds: number): void
  skipped(cause: SkipCause, count?: number): void
  /** A target of this probe type sent an error that no code stands for. */
  unmapped(type: string): void
  evidenceDropped(cause: DropCause): void
  /** The event loop was late by so many seconds. */
  loopDelay(seconds: number): void
  /** A question came over TCP or UDP. */
  mesh(protocol: MeshProtocol, result: MeshResult): void
  /** A source of targets was read, and has its series from then on; `at` is wall clock in ms. */
  discovered(source: string, at: number): void
  /** What is asked, at each scrape, of what finds targets in clusters; undefined where nothing does. */
  setDiscovery(status: (() => DiscoveryStatus) | undefined): void
}

/**
 * The prober's own metrics and those of its process, in a registry of their own; all of them are there, at 0, from the
 * start. The callbacks are asked at each scrape.
 */
export function createOwnMetrics({ version, types, inFlight, queued, stuck }: {
  readonly version: string
  /** Names of the probe types. */
  readonly types: readonly string[]
  readonly inFlight: () => number
  readonly queued: () => number
  /** Killed child processes that have not ended. */
  readonly stuck: () => number
}): OwnMetrics {
  const registry = new Registry()
  const registers = [registry]
  const gauge = ({ name, help, labels }: Family) => new Gauge({ name, help, labelNames: labels, registers })
  const reading = ({ name, help }: Family, read: () => number) =>
    new Gauge({ name, help, registers, collect() { this.set(read()) } })
  const counter = ({ name, help, labels }: Family) => new Counter({ name, help, labelNames: labels, registers })
  const histogram = ({ name, help }: Family) => new Histogram({ name, help, buckets: DELAY_BUCKETS, registers })

  gauge(OWN.buildInfo).set({ version }, 1)
  const reloadOk = gauge(OWN.reloadOk)
  const reloadAt = gauge(OWN.reloadAt)
  const targets = gauge(OWN.targets)
  const expected = gauge(OWN.expected)
  const owned = gauge(OWN.owned)
  const leaseActive = gauge(OWN.leaseActive)
  const lag = histogram(OWN.lag)
  const skipped = counter(OWN.skipped)
  reading(OWN.inFlight, inFlight)
  reading(OWN.queued, queued)
  const loopDelay = histogram(OWN.loopDelay)
  reading(OWN.stuckChildren, stuck)
  const unmapped = counter(OWN.unmapped)
  const evidenceDropped = counter(OWN.evidenceDropped)
  const mesh = counter(OWN.mesh)
  const sources = new Map<string, number>()
  let discovery: (() => DiscoveryStatus) | undefined
  const { discovered: readAt, discoveryTargets, discoveryRefused, discoveryErrors } = OWN
  new Gauge({
    name: readAt.name, help: readAt.help, labelNames: readAt.labels, registers,
    collect() {
      this.reset()
      for (const [source, at] of sources) this.set({ source }, at / 1_000)
      for (const one of discovery?.().sources ?? []) this.set({ source: clusterSource(one) }, (one.freshAt ?? 0) / 1_000)
    },
  })
  new Gauge({
    name: discoveryTargets.name, help: discoveryTargets.help, labelNames: discoveryTargets.labels, registers,
    collect() {
      this.reset()
      for (const { cluster, source, targets: count } of discovery?.().sources ?? []) this.set({ cluster, source }, count)
    },
  })
  new Gauge({
    name: discoveryRefused.name, help: discoveryRefused.help, labelNames: discoveryRefused.labels, registers,
    collect() {
      this.reset()
      for (const { cluster, namespace, count } of discovery?.().refusedCounts ?? []) this.set({ cluster, namespace }, count)
    },
  })
  new Counter({
    name: discoveryErrors.name, help: discoveryErrors.help, labelNames: discoveryErrors.labels, registers,
    collect() {
      this.reset()
      for (const { cluster, trouble, count } of discovery?.().errors ?? []) this.inc({ cluster, reason: trouble }, count)
    },
  })

  for (const type of types) {
    targets.set({ type }, 0)
    unmapped.inc({ type }, 0)
  }
  for (const cause of SKIP_CAUSES) skipped.inc({ cause }, 0)
  for (const protocol of MESH_PROTOCOLS) for (const result of MESH_RESULTS) mesh.inc({ protocol, result }, 0)
  for (const cause of DROP_CAUSES) evidenceDropped.inc({ cause }, 0)

  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS })
  for (const name of REFUSED_BY_PROMTOOL) registry.removeSingleMetric(name)
  const delays = createHistogram()
  for (const [what, read] of LOOP_LAG) {
    const name = `nodejs_eventloop_lag_${what}_seconds`
    registry.removeSingleMetric(name)
    reading({ name, kind: 'gauge', labels: [], help: `Delay of the event loop since the last scrape: ${what}.` }, () => {
      const nanoseconds = delays.count === 0 ? 0 : read(delays)
      // They are asked in this order, and all of them in one turn.
      if (what === LOOP_LAG.at(-1)?.[0]) delays.reset()
      return nanoseconds / 1e9
    })
  }

  return {
    registry,
    reloaded(ok, at) {
      reloadOk.set(Number(ok))
      if (ok) reloadAt.set(at / 1_000)
    },
    setTargets(counts) {
      for (const type of types) targets.set({ type }, counts.get(type) ?? 0)
    },
    setShare({ index, total }, all, mine) {
      // Another number of shards is another group.
      for (const one of [expected, owned]) one.reset()
      expected.set({ shard: index, shards: total }, all)
      owned.set({ shard: index, shards: total }, mine)
    },
    setLease(lease) {
      leaseActive.reset()
      if (lease) leaseActive.set({ lease: lease.name }, Number(lease.active))
    },
    lag: (seconds) => lag.observe(seconds),
    skipped: (cause, count = 1) => skipped.inc({ cause }, count),
    unmapped: (type) => unmapped.inc({ type }),
    evidenceDropped: (cause) => evidenceDropped.inc({ cause }),
    loopDelay(seconds) {
      loopDelay.observe(seconds)
      // In ns, of which a histogram wants at least one.
      delays.record(Math.max(1, Math.round(seconds * 1e9)))
    },
    mesh: (protocol, result) => mesh.inc({ protocol, result }),
    discovered: (source, at) => void sources.set(source, at),
    setDiscovery(status) { discovery = status },
  }
}
