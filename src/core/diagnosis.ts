import type { Failure, Layer, Status } from './result.ts'

/** The layers in the order in which a person looks at them. */
export const STEPS = ['resolve', 'ping', 'route', 'connect', 'tls', 'login', 'operation'] as const
export type StepName = (typeof STEPS)[number]

/** One thing that was looked at. `failure` is there when it is not well. Times are seconds. */
export type Finding =
  /** What is known of a name without asking anybody. */
  | { readonly kind: 'addresses', readonly host: string, readonly source: 'literal' | 'this_machine', readonly addresses: readonly string[] }
  | { readonly kind: 'name_server', readonly host: string, readonly server: string, readonly seconds: number, readonly addresses: readonly string[], readonly failure?: Failure }
  | { readonly kind: 'ping', readonly address: string, readonly sent: number, readonly received: number, readonly rtt_seconds?: number, readonly failure?: Failure }
  | { readonly kind: 'route', readonly address: string, readonly protocol: string, readonly age_seconds: number, readonly hops: readonly RouteHop[], readonly end?: RouteEnding, readonly failure?: Failure }
  | { readonly kind: 'connection', readonly address: string, readonly port: number, readonly seconds: number, readonly failure?: Failure }
  | { readonly kind: 'handshake', readonly address: string, readonly port: number, readonly seconds: number, readonly version?: string, readonly certificates: readonly SentCertificate[], readonly failure?: Failure }
  /** A phase of the probe itself. */
  | { readonly kind: 'phase', readonly name: string, readonly layer: Layer, readonly seconds: number, readonly failure?: Failure }

export interface RouteHop {
  readonly ttl: number
  /** Absent when nobody answered at this distance. */
  readonly address?: string
  readonly rtt_seconds?: number
}

/**
 * How a route ends: reached after so many hops; refused by the router that is named, or silent behind it (`hop` is its distance,
 * where that is certain); in a circle; or not within the most hops.
 */
export type RouteEnding =
  | { readonly kind: 'reached' | 'too_long', readonly hops: number }
  | { readonly kind: 'unreachable' | 'rejected', readonly address: string, readonly hop?: number }
  | { readonly kind: 'silent', readonly address?: string, readonly hop?: number }
  | { readonly kind: 'loop', readonly between: readonly string[] }

export interface SentCertificate {
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  /** RFC 3339. */
  readonly not_before: string
  readonly not_after: string
}

export interface Step {
  readonly step: StepName
  /** `failed` when nothing of it is well, `partly` when some is. A ping that is not answered breaks nothing by itself. */
  readonly status: Status | 'partly'
  readonly seconds: number
  readonly findings: readonly Finding[]
}

/** Which sentence sums a diagnosis up; `code` stands for the failure's own code. */
export type VerdictName =
  | 'well' | 'well_without_ping' | 'well_but' | 'ours' | 'name_missing' | 'name_disputed' | 'servers_silent' | 'port_dropped' | 'port_rejected' | 'port_closed'
  | 'host_gone' | 'route_ends' | 'some_addresses_dead' | 'code'

/** What the sentences may speak of: one object for all of them. */
export interface Facts {
  /** Who is meant: the host where there is one, else the target. */
  readonly host: string
  /** The host that this machine connects to: another one where there is a proxy. */
  readonly reached: string
  readonly target: string
  /** Its port, where there is only one. */
  readonly port: number | undefined
  /** Name servers that know the name, deny it, are silent, or answer with an error. */
  readonly knowing: readonly string[]
  readonly denying: readonly string[]
  readonly silent: readonly string[]
  readonly erring: readonly string[]
  /** Addresses of the host that connect, and that do not. */
  readonly alive: readonly string[]
  readonly dead: readonly string[]
  /** Where the route ends when it does not reach the host. */
  readonly route_end: RouteEnding | undefined
  /** Fastest round trip of a ping. */
  readonly rtt_seconds: number | undefined
}

/** What the walk through the layers found. Versioned, and plain data: it is kept as evidence and sent to other processes. */
export interface Diagnosis {
  readonly schema_version: 1
  readonly id: string
  readonly probe: string
  readonly type: string
  readonly target: string
  /** RFC 3339. */
  readonly started_at: string
  readonly seconds: number
  readonly status: Status
  /** What the probe itself said; absent when it is ok. */
  readonly failure?: Failure
  readonly steps: readonly Step[]
  /** The first step that breaks. */
  readonly broken?: StepName
  readonly verdict: VerdictName
  readonly facts: Facts
  /** Beside evidence: other probes that fail now. */
  readonly others?: Others
}

/** Why evidence was not gathered: too soon after the last time, too many others broke at the same time, or it took too long. */
export const DROP_CAUSES = ['cooldown', 'busy', 'failed'] as const
export type DropCause = (typeof DROP_CAUSES)[number]

export interface Others {
  /** `<probe>/<target>`, at most a few; the counts are of all. */
  readonly same_layer: readonly string[]
  readonly same_layer_count: number
  readonly same_host: readonly string[]
  readonly same_host_count: number
}
