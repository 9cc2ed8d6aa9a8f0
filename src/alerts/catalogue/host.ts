import { MINUTE_MS } from '../durations.ts'
import type { AlertSpec, Family, Settings, Threshold } from '../model.ts'
import { anyOf, failing, held, levels, merged, nodeLocal } from '../promql.ts'
import { lookedUp } from '../templates.ts'

const HOSTS = 'type="host"'
const FOR_MS = 5 * MINUTE_MS
const HOST = '{{ $labels.target }}'

/** The host is its node, so that an alert of the node can be told to be about the same machine. */
const ofNode = (expr: string) => `label_replace(${expr}, "node", "$1", "target", "(.+)")`
const one = (settings: Settings, expr: string) => merged(nodeLocal(settings), 'max', expr)
const also = (settings: Settings, metric: string, show: string, matchers = '') => lookedUp(settings, metric, show, matchers, ['instance', 'probe', 'target'])

/** A gauge of the probe, its level, and on which side it is bad. */
interface Watched {
  readonly gauge: string
  readonly level: string
  readonly worse: '>' | '<'
}

function beyond(settings: Settings, { gauge, level, worse }: Watched, warning: number | undefined, critical: number | undefined) {
  return levels(nodeLocal(settings), one(settings, held(settings, gauge, HOSTS)), { name: level, worse, warning, critical })
}

/** Both severities in the node's name. */
const named = (variants: ReturnType<typeof levels>) => variants.map((variant) => ({ ...variant, expr: ofNode(`(${variant.expr})`) }))

/** What the kernel hands out up to a limit. */
const LIMITS = ['inotify', 'files', 'pids', 'conntrack'] as const

const stalled = (what: string, warning: number, critical: number): Readonly<Record<string, Threshold>> => ({
  warning: { value: warning, help: `share of a minute in which everything waits for ${what}`, below: 1 },
  critical: { value: critical, help: `share of a minute in which everything waits for ${what}`, below: 1 },
})

const STALLED = stalled('memory', 0.1, 0.3)
const IO = stalled('a disk', 0.3, 0.7)

const thrashing: AlertSpec = {
  name: 'HostThrashing', severity: 'critical', scope: 'node', forMs: MINUTE_MS, dashboard: 'curlew-overview',
  expr: (settings) => ofNode(one(settings, failing(settings, HOSTS, 'layer="request",reason="overloaded"'))),
  summary: `${HOST} stands still for want of memory`,
  description: (settings) => `${HOST} throws out pages that it needs and reads them back${also(settings, 'probe_host_refaults_per_second', ', {{ .Value | humanize }} a second', 'kind="file"')}: everything on it takes seconds or minutes, and soon nobody can log in. Stop what takes the memory while that is possible.`,
}

const memory: AlertSpec = {
  name: 'HostMemoryPressure', severity: 'warning', scope: 'node', forMs: FOR_MS, dashboard: 'curlew-overview',
  thresholds: { ...STALLED, available: { value: 0.03, help: 'share of the memory that is available, below which is a warning', below: 1 } },
  expr: (settings, { warning, critical, available }) => named(anyOf(
    beyond(settings, { gauge: 'probe_host_memory_stalled_ratio', level: 'memory_stalled', worse: '>' }, warning, critical),
    beyond(settings, { gauge: 'probe_host_memory_available_ratio', level: 'memory_available', worse: '<' }, available, undefined),
  )),
  summary: `${HOST} is short of memory`,
  description: (settings) => `${HOST} is short of memory${also(settings, 'probe_host_memory_available_ratio', '; {{ .Value | humanizePercentage }} of it is available')}${also(settings, 'probe_host_memory_stalled_ratio', '; everything waits for it in {{ .Value | humanizePercentage }} of a minute')}. Look for what grows, before the OOM killer chooses or the machine freezes.`,
}

const io: AlertSpec = {
  name: 'HostIoPressure', severity: 'warning', scope: 'node', forMs: 2 * FOR_MS, dashboard: 'curlew-overview', thresholds: IO,
  expr: (settings, { warning, critical }) => named(beyond(settings, { gauge: 'probe_host_io_stalled_ratio', level: 'io_stalled', worse: '>' }, warning, critical)),
  summary: `${HOST} waits for its disks`,
  description: () => `On ${HOST} everything waits for a disk in {{ $value | humanizePercentage }} of a minute. Look for the disk or the mount, and for who keeps it busy.`,
}

const limit: AlertSpec = {
  name: 'HostLimitNear', severity: 'warning', scope: 'node', forMs: FOR_MS, dashboard: 'curlew-overview',
  thresholds: {
    warning: { value: 0.8, help: 'share in use', below: 1 },
    critical: { value: 0.95, help: 'share in use', below: 1 },
  },
  expr: (settings, { warning, critical }) => named(anyOf(...LIMITS.map((level) =>
    beyond(settings, { gauge: `probe_host_${level}_ratio`, level, worse: '>' }, warning, critical)
      .map((variant) => ({ ...variant, expr: `label_replace(${variant.expr}, "limit", "${level}", "", "")` }))))),
  summary: `${HOST} is near a limit of its kernel: {{ $labels.limit }}`,
  description: () => `{{ $value | humanizePercentage }} of the limit on {{ $labels.limit }} is in use on ${HOST}. At the limit: inotify breaks log collection, kubelet and whatever watches files; files and pids stop anything new; conntrack drops packets of new connections.`,
}

/** What freezes a machine. */
export const host: Family = { name: 'host', alerts: [thrashing, memory, io, limit] }
