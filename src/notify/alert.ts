/** One alert as Alertmanager tells it. Times are ms since 1970. */
export interface Alert {
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: number
  /** Absent while it fires. */
  readonly endsAt?: number
  readonly generatorURL: string
  /** Where Grafana silences it and shows it; Alertmanager says neither. */
  readonly silenceURL?: string
  readonly dashboardURL?: string
  /** Of the labels; made here where the sender gives none. */
  readonly fingerprint: string
}

/** What the alerts of one notification have in common. */
export interface NotificationContext {
  /** Unescaped: Alertmanager sends it as a quoted regular expression. */
  readonly receiver: string
  readonly groupKey: string
  readonly groupLabels: Readonly<Record<string, string>>
  readonly externalURL: string
  /** Alerts that the sender left out. */
  readonly truncatedAlerts: number
  /** `notification_reason`, where the sender gives one. */
  readonly reason?: string
}

export interface Notification {
  readonly context: NotificationContext
  readonly alerts: readonly Alert[]
}

/** Severities in the order in which a person wants to read them; anything else comes last. */
const SEVERITIES = ['critical', 'error', 'warning', 'info'] as const

/** 0 is the gravest. */
export function severityRank({ severity = '' }: Readonly<Record<string, string>>): number {
  const names: readonly string[] = SEVERITIES
  const alias = severity.toLowerCase() === 'page' ? 'critical' : severity.toLowerCase()
  const rank = names.indexOf(alias)
  return rank < 0 ? SEVERITIES.length : rank
}
