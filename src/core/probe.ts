import type { z } from 'zod'
import type { CodeSpec, SharedCode } from './codes.ts'
import type { Layer, Reason } from './result.ts'
import type { Way } from './way.ts'

export type Mode = 'read-only' | 'read-write'

/** Keys that the config reads for every probe entry; a type's own options may not reuse them. */
export type CommonKey =
  | 'type' | 'name' | 'targets' | 'every' | 'cron' | 'timezone' | 'run_at_start' | 'timeout' | 'failure_threshold'
  | 'success_threshold' | 'depends_on' | 'labels' | 'mode' | 'limits' | 'fail_on' | 'histogram'

/** What a run is aimed at, once read. */
export interface Target {
  /** The host part as written, when the target is on a network: the join key of `probe_info`. */
  readonly host?: string | undefined
  /** The one address of the host that is meant; certificates and host headers stay the host's. */
  readonly ip?: string | undefined
  readonly port?: number | undefined
  /** The same target at one address of its host. */
  at?(ip: string): Target
  /** The canonical address: scheme, host, port and path; never userinfo, query or fragment. It is the `target` label. */
  toString(): string
}

/**
 * Somebody other than Curlew's own config had a say in where a job leads, a tenant of a cluster. `address`: nothing is
 * connected to that means this machine, its link or its cloud's metadata. `name`: the name is a tenant's free choice too, so
 * it is looked up as it stands, without a search list that would make another namespace's Service of it.
 */
export type Guard = 'address' | 'name'

type OptionShape = { target: z.ZodType<Target> } & { [K in CommonKey]?: never }

/** What a probe type may call while it runs. `P` its phases, `G` its gauges, `C` its codes. */
export interface ProbeContext<P extends string = string, G extends string = string, C extends string = string> {
  /** Aborts on timeout and on shutdown; pass it to everything that waits. */
  readonly signal: AbortSignal
  readonly mode: Mode
  readonly guard?: Guard | undefined
  /** Unique to this prober and job: part of every key or file that a probe writes. */
  readonly owner: string
  /** The same for commands that run once, so that they leave nothing new: for what stays on the target. Two may write it at the same time. */
  readonly lastingOwner: string
  /** `performance.now()` at which the run must have ended. */
  readonly deadline: number
  /** Times `work`, blames the phase's layer for what it throws, and stops waiting when the run is aborted. */
  phase<T>(name: P, work: () => Promise<T> | T): Promise<T>
  /** Says how long a phase took, in ms, where the wire knows better than our clock around the wait: replaces what was timed. */
  took(name: P, ms: number): void
  /** Exports every phase that has not run as 0, as blackbox_exporter does for HTTP and DNS. */
  zeroPhases(): void
  /** Fails with `code` unless `ok`. */
  expect(ok: boolean, code: C, message: string): void
  /** Ends the run as failed. */
  fail(code: C, message: string): never
  gauge(name: G, value: number, labels?: Readonly<Record<string, string>>): void
}

export interface GaugeSpec {
  readonly help: string
  /** Names of its own labels, beside probe, type, target and the configured ones. */
  readonly labels?: readonly string[]
  /** How many label sets one run sets at most; one unless said. */
  readonly series?: number
}

/** A gauge that a limit can be set on. */
export interface LevelSpec {
  /** The gauge (full metric name) the limit is compared with. */
  readonly gauge: string
  /** On which side of the limit it is bad. */
  readonly worse: 'above' | 'below'
}

/** How much of a type one config may ask for. */
export interface Bounds {
  readonly targets: number
  /** The shortest time between two runs; also the default of `every` where that would be shorter. */
  readonly everyMs: number
}

interface ProbeSpec<S extends z.ZodObject, P extends string, G extends string, C extends string> {
  readonly type: string
  /** The metric prefix after `probe_`; the type's name with `_` unless a peer's names are borrowed. */
  readonly prefix?: string
  readonly summary: string
  /** Types, defaults, docs and JSON Schema in one; the config takes `target` or `targets` for its `target`. */
  readonly options: S
  /** Each phase and the layer it blames, in the order of a run. */
  readonly phases: Readonly<Record<P, Layer>>
  /** Extra gauges: full metric name to help text. */
  readonly gauges: Readonly<Record<G, string | GaugeSpec>>
  /** The type's own failure codes, beside the shared ones. */
  readonly codes: Readonly<Record<C, CodeSpec>>
  /** Gauges that take a limit: the key under `limits:` and `fail_on:`. */
  readonly levels?: Readonly<Record<string, LevelSpec>>
  /** The default of `every`; 30 s unless given. */
  readonly everyMs?: number
  /** For a type that burdens networks: the config refuses more targets of it, those of cron jobs included, and more frequent runs. */
  readonly bounds?: Bounds
  /** URL schemes that name this type on the command line and in `target`. */
  readonly schemes: readonly string[]
  /** Schemes that a target of this type may have in a config, although they name another type elsewhere: `fromUrl` is given those too. */
  readonly targetSchemes?: readonly string[]
  /** A URL may name several hosts, with commas between them. */
  readonly severalHosts?: true
  /**
   * A URL of one of `schemes` as options; `target` among them. With `severalHosts` the URL has the first host only, and
   * `hosts` are all of them, as written. Throws an Error with a sentence.
   */
  fromUrl(url: URL, hosts?: readonly string[]): Record<string, unknown>
  /** Targets to use when the config names none. */
  defaultTargets?(): readonly string[]
  /** A config entry that works: type-checked, documented and tested. */
  readonly example: z.input<S>
  /** The hosts that the target stands on and how they are reached: where the target's own host and port, over plain TCP, are not all of it. */
  ways?(options: z.output<S>): readonly Way[]
  /** Loads what runs with these options need, once; not part of the time that a run measures. Undefined: nothing. */
  load?(options: z.output<S>): Promise<unknown> | undefined
  run(options: z.output<S>, probe: ProbeContext<P, G, C | SharedCode>): Promise<void>
  /**
   * Lets go of what runs with these very options have kept between them: a connection, say. Must not throw. A run may still
   * be under way, its signal aborted: it must keep nothing then. A later run begins anew.
   */
  release?(options: z.output<S>): void
}

/** A probe type as the rest of the program sees it: options already checked, their type forgotten. */
export interface ProbeType extends Omit<ProbeSpec<z.ZodObject<OptionShape>, string, string, string>, 'run' | 'load' | 'release' | 'ways' | 'example'> {
  readonly example: Readonly<Record<string, unknown>>
  run(options: never, probe: ProbeContext): Promise<void>
  load?(options: never): Promise<unknown> | undefined
  release?(options: never): void
  ways?(options: never): readonly Way[]
}

/** Declares a probe type. Everything else (config, docs, metrics, JSON Schema) follows from what it says here. */
export function defineProbe<
  S extends z.ZodObject<OptionShape>, const P extends string, const G extends string, const C extends string,
>(spec: ProbeSpec<S, P, G, C>): ProbeType {
  // Type-checks because methods are bivariant; holds because only `config/jobs.ts` calls `run`, with what `spec.options` parsed.
  return spec
}

/** Thrown by `probe.fail` and `probe.expect`; may be thrown by shared helpers that have no context at hand. */
export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** Another probe whose failure explains this one's. `remote` ones are left to Alertmanager. */
export interface Dependency {
  readonly probe: string
  readonly target?: string
  readonly remote: boolean
}

export type Schedule =
  | { readonly everyMs: number }
  | { readonly cron: string, readonly timezone: string | undefined, readonly runAtStart: boolean }

/** A limit set on a probe: exported as `probe_threshold`, and failing the run only when `fails`. */
export interface Limit extends LevelSpec {
  readonly name: string
  readonly warning?: number
  readonly critical?: number
  readonly fails: boolean
}

/** A probe bound to one target: all that the scheduler, the store and the exporter know. */
export interface Job {
  /** The first 12 hex digits of SHA-256(probe, NUL, canonical target). */
  readonly id: string
  readonly type: string
  readonly name: string
  readonly target: string
  readonly host: string | undefined
  /** Where the target runs, if whoever found it knows: join keys of `probe_info`. They may change while the job stays the same. */
  readonly node?: string | undefined
  readonly zone?: string | undefined
  readonly guard?: Guard | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly schedule: Schedule
  readonly timeoutMs: number
  readonly failureThreshold: number
  readonly successThreshold: number
  readonly dependsOn: readonly Dependency[]
  readonly mode: Mode
  readonly limits: readonly Limit[]
  readonly histogram: boolean
  /** Curlew found the target by itself: a login that it lacks is no fault of the target. */
  readonly discovered: boolean
  readonly phases: Readonly<Record<string, Layer>>
  readonly codes: Readonly<Record<string, CodeSpec>>
  /** With `addresses: each`: this job is not run itself, but one for each address of the host. */
  readonly each: { readonly host: string, readonly ipProtocol: 'any' | 'ip4' | 'ip6', at(ip: string): Job } | undefined
  /** Hash of everything above, but for where the target runs, and of the options: equal means that nothing has changed. */
  readonly fingerprint: string
  /** Hides what only this job's login says: in what its runs tell, beside all that is hidden everywhere. */
  readonly hide?: ((text: string) => string) | undefined
  /** What has to be loaded before the first run. */
  readonly load: (() => Promise<unknown> | undefined) | undefined
  ways(): readonly Way[]
  run(probe: ProbeContext): Promise<void>
  /** Called when the job will not run again, or not soon: lets go of what its runs have kept between them. */
  release(): void
}

/** `<probe>/<target>`, for people. */
export function jobName(job: Pick<Job, 'name' | 'target'>): string {
  return `${job.name}/${job.target}`
}

export type { CodeSpec, Layer, Reason }
