/** Who is woken: `critical` now, `warning` in working hours, `info` nobody; `none` is for the Watchdog. */
export const SEVERITIES = ['critical', 'warning', 'info', 'none'] as const
export type Severity = (typeof SEVERITIES)[number]

/** What is broken, from the widest to the narrowest: a wider one mutes what it explains. */
export const SCOPES = ['cluster', 'node', 'network', 'dependency', 'storage', 'certificate', 'prober'] as const
export type Scope = (typeof SCOPES)[number]

/** The dashboards that alerts lead to, by uid. */
export const DASHBOARDS = [
  'curlew-overview', 'curlew-probe', 'curlew-dns-network', 'curlew-redis', 'curlew-mysql', 'curlew-memcached', 'curlew-mounts', 'curlew-certificates', 'curlew-kubernetes',
  'curlew-prober', 'curlew-deliveries',
] as const
export type DashboardUid = (typeof DASHBOARDS)[number]

/** What holds for all rules, from the values file. Durations in ms. */
export interface Settings {
  /** The scrape job of Curlew: a blackbox_exporter beside it is no business of these rules. */
  readonly job: string
  /** The longest scrape interval of that job. */
  readonly scrapeMs: number
  /** What differs between two Curlews that look at the same target. */
  readonly vantageLabels: readonly string[]
  /** What `/<AlertName>` follows. */
  readonly runbookUrl: string
  /** Grafana's address, without a slash at its end. */
  readonly grafanaUrl: string
  /** Added to every alert. */
  readonly labels: Readonly<Record<string, string>>
}

/** A number that a values file may change. */
export interface Threshold {
  readonly value: number
  /** What it is, with its unit. */
  readonly help: string
  /** What a values file must stay below, where more would mean something else: a share is no percentage. */
  readonly below?: number
}

/** The numbers of an alert as they are used. */
export type Numbers = Readonly<Record<string, number>>

/** One of several rules of an alert: promtool refuses two that have the same labels, so their severities differ. */
export interface Variant {
  readonly expr: string
  readonly severity?: Severity
  /** What is left of the alert's own once the expression has seen to the rest, ms. */
  readonly forMs?: number
}

/** One alert of the catalogue. */
export interface AlertSpec {
  /** UpperCamelCase, and the name of its runbook. */
  readonly name: string
  readonly severity: Severity
  readonly scope: Scope
  /** How long it is true before it fires, ms; never less than two scrapes, but 0 is none. */
  readonly forMs: number
  /** How long it goes on firing when it is not true any more, ms; two scrapes unless given. */
  readonly keepFiringMs?: number
  readonly thresholds?: Readonly<Record<string, Threshold>>
  readonly dashboard: DashboardUid
  /** PromQL; several variants where there are several severities. `forMs` is how long it is to be true. */
  expr(settings: Settings, numbers: Numbers, forMs: number): string | readonly Variant[]
  /** One line, as a template of Prometheus. */
  readonly summary: string
  /** What is known, as a template of Prometheus: the value, and layer and reason by a query. */
  description(settings: Settings, numbers: Numbers): string
}

/** A series that several alerts read. */
export interface RecordSpec {
  readonly record: string
  expr(settings: Settings): string
}

/** The alerts of a kind of target, evaluated together. */
export interface Family {
  /** The name of the rule group after `curlew-`. */
  readonly name: string
  /** Whether a values file must ask for it, and why. */
  readonly optional?: string
  /** How often it is evaluated, ms, where what it reads is much and changes slowly; as all of Prometheus' rules unless given. */
  readonly everyMs?: number
  readonly records?: readonly RecordSpec[]
  readonly alerts: readonly AlertSpec[]
}
