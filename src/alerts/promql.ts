import { formatDuration } from '../core/fields.ts'
import { MINUTE_MS } from './durations.ts'
import type { Settings, Variant } from './model.ts'

/** `metric{job="curlew",…}`. */
export function of(settings: Settings, metric: string, matchers = ''): string {
  return `${metric}{job=${JSON.stringify(settings.job)}${matchers === '' ? '' : `,${matchers}`}}`
}

/**
 * The last value within a short while (which may end `offsetMs` ago): a restart of Curlew or a scrape that is missing is no end of an outage. What is really
 * over has a newer value.
 */
export function held(settings: Settings, metric: string, matchers = '', offsetMs = 0): string {
  return `last_over_time(${of(settings, metric, matchers)}[${window(settings, 2 * MINUTE_MS)}]${offsetMs > 0 ? ` offset ${formatDuration(offsetMs)}` : ''})`
}

/** A range for counters and averages: as asked for, but at least four scrapes. */
export function window(settings: Settings, ms: number): string {
  return formatDuration(Math.max(ms, 4 * settings.scrapeMs))
}

/** `max without (instance, …) (expr)`: the same target as several Curlews see it is one target. */
export function merged(settings: Settings, operator: 'max' | 'min' | 'sum' | 'avg' | 'count', expr: string, ...more: readonly string[]): string {
  return `${operator} without (${[...settings.vantageLabels, ...more].join(', ')}) (${expr})`
}

/**
 * Targets for which `bad` holds at more than half of the Curlews that have an opinion: those that `all` lists. Its value is how
 * many.
 */
export function majority(settings: Settings, bad: string, all: string): string {
  return `(${merged(settings, 'count', bad)} > 0.5 * ${merged(settings, 'count', all)})`
}

/** As discovery names the ways that clients take to an API, behind the cluster's name where it has one: its Service, by address and by name, and the address of the kubeconfig. */
const API_ENTRANCE = 'probe=~"(?:.+_)?kube-api-(?:service|address)"'
const API_SERVER = 'probe!~"(?:.+_)?kube-api-(?:service|address)"'
const FOUND_API_SERVER = 'probe=~"(?:.+_)?kube-api"'

/**
 * API servers that clients do without: another one of the same probe is well, or, of one that discovery has found, a way that clients take is. Such a way is
 * never among them, nor is one that a config probes alone: nobody knows that it is not a VIP.
 */
export function spareApiServers(settings: Settings): string {
  const all = (matchers: string) => merged(settings, 'count', held(settings, 'probe_healthy', `type="kube-api",${matchers}`))
  const well = (matchers: string) => {
    const healthy = held(settings, 'probe_healthy', `type="kube-api",${matchers}`)
    return majority(settings, `${healthy} == 1`, healthy)
  }
  return `(${all(API_SERVER)} and on (job, cluster, probe) ${well(API_SERVER)}
or ${all(FOUND_API_SERVER)} and on (job, cluster) ${well(API_ENTRANCE)})`
}

/** Slower probes turn unhealthy after one failed run: nothing is waited for on top. Seconds. */
const FAST_S = 60

/**
 * Targets of which most Curlews say that they are unhealthy, in a rule that itself waits for two scrapes: for `forMs` where
 * they are probed each minute or more often, at once where runs are further apart.
 */
export function unhealthy(settings: Settings, matchers: string, forMs: number): string {
  const healthy = held(settings, 'probe_healthy', matchers)
  const soon = majority(settings, `${healthy} == 0`, healthy)
  const rest = forMs - 2 * settings.scrapeMs
  if (rest <= 0) return soon
  // Where a restart left no sample the one before it counts.
  const never = majority(settings, `(max_over_time(${of(settings, 'probe_healthy', matchers)}[${formatDuration(rest)}]) or ${healthy}) == 0`, healthy)
  const sinceThen = merged(settings, 'max', held(settings, 'probe_healthy', matchers, rest))
  const interval = merged(settings, 'max', held(settings, 'probe_interval_seconds', matchers))
  // A Curlew that is gone counts for how long it has been so, not for how it is now; a target that is new has to wait too.
  return `(${soon} and (${never} and ${sinceThen} or ${interval} > ${FAST_S}))`
}

/**
 * The nodes that targets run on, where whoever found them knows: of a target that has just moved nobody does. A `node` that all series of a Curlew have is
 * its own.
 */
function foundOn(settings: Settings, matchers: string): string {
  const others = [...settings.vantageLabels.filter((label) => label !== 'node'), 'host', 'zone']
  const nodes = `max without (${others.join(', ')}) (${held(settings, 'probe_info', `${matchers},node!=""`)} unless ignoring (host, zone) ${held(settings, 'probe_interval_seconds', matchers)})`
  return `(${nodes} and ignoring (node) (count without (node) (${nodes}) == 1))`
}

/**
 * Adds the labels `host` and `node` to targets with these matchers where they are known, to be compared with those of alerts about the network and of nodes. A
 * configured `host` stays: two Curlews may each have their own, and two hosts of one target would fail the whole rule.
 */
export function withHost(settings: Settings, matchers: string, expr: string): string {
  // A target that moves to another zone is still one target.
  const known = merged(settings, 'max', held(settings, 'probe_info', matchers), 'zone')
  const notConfigured = `${known} unless ${merged(settings, 'max', held(settings, 'probe_interval_seconds', matchers), 'zone')}`
  // One that names the node comes before the same one that does not.
  const named = `((${notConfigured}) * ignoring (host, node) group_left (node) (${foundOn(settings, matchers)} * 2) or (${notConfigured}))`
  return `((${expr}) unless ignoring (zone) ${known}) * ignoring (host, node, zone) group_left (host, node) (topk without (host, node) (1, ${named}) > bool 0)
or (${expr}) and ignoring (zone) ${known}
or (${expr}) unless ignoring (host, zone) ${known}`
}

/** Adds the label `root`: the target itself, as \`probe_explained_by\` names it. */
export function withRoot(expr: string): string {
  return `label_join(${expr}, "root", "/", "probe", "target")`
}

/**
 * A level, as the probe types declare them, and what counts where the config sets none: a number, or PromQL with the labels of
 * the target. Without one only the config's limit does.
 */
export interface Level {
  readonly name: string
  readonly worse: '>' | '<'
  readonly warning?: number | string | undefined
  readonly critical?: number | string | undefined
  /** Targets that are meant to be beyond these, as PromQL: for them the config's limit alone counts. */
  readonly except?: string
}

/** The rule of a level for one of its two severities. */
type LevelVariant = Variant & { readonly severity: 'warning' | 'critical' }

/** The limit that the config sets on a level of a probe, by target. */
export function limitOf(settings: Settings, name: string, severity: LevelVariant['severity']): string {
  return merged(settings, 'max', held(settings, 'probe_threshold', `name="${name}",level="${severity}"`), 'name', 'level')
}

/**
 * Two rules for a gauge: a warning, and a critical one. A limit that the config sets on the probe (`probe_threshold`) takes the
 * place of the values'. `gauge` has no labels but the target's, and `probe_threshold` not those that are configured as `name` or
 * `level`.
 */
export function levels(settings: Settings, gauge: string, { name, worse, except, ...otherwise }: Level): readonly LevelVariant[] {
  return (['warning', 'critical'] as const).map((severity) => {
    const limit = limitOf(settings, name, severity)
    const ours = otherwise[severity]
    const beyondOurs = ours === undefined ? '' : `
or
((${gauge} unless ignoring (name, level) ${limit}${except === undefined ? '' : ` unless ${except}`}) ${worse} ${ours})`
    return { severity, expr: `(${gauge} ${worse} ignoring (name, level) group_left () ${limit})${beyondOurs}` }
  })
}

/** One rule for each severity that these have: any of them. Of a target that several are true for the first one's value counts. */
export function anyOf<T extends Variant>(...lists: readonly (readonly T[])[]): readonly T[] {
  return [...Map.groupBy(lists.flat(), ({ severity }) => severity).values()].flatMap((same) => {
    const [first] = same
    return first ? [{ ...first, expr: same.map(({ expr }) => expr).join('\nor\n') }] : []
  })
}

/** Targets that run often enough for counters over a range: an interval of at most a sixth of it. */
export function oftenEnough(settings: Settings, rangeMs: number): string {
  return `${merged(settings, 'max', held(settings, 'probe_interval_seconds'))} <= ${Math.floor(Math.max(rangeMs, 4 * settings.scrapeMs) / 6_000)}`
}

/** Alerts that tell of an outage: once they are over, what is left of it in the windows of counters is no news. */
export const OUTAGES = ['DependencyDown', 'DependencyDownExplained', 'NetworkHostUnreachable', 'MountHung', 'MountNotMounted', 'MountReadOnly'] as const

/**
 * Leaves out targets of which one of these alerts has told within a range. An alert always has the label `cluster`, its target
 * may have none, and the target of the same name in another cluster is another one.
 */
export function unlessTold(settings: Settings, alerts: readonly string[], rangeMs: number): string {
  const fired = `max_over_time(${of(settings, 'ALERTS', `alertname=~"${alerts.join('|')}",alertstate="firing"`)}[${window(settings, rangeMs)}])`
  const targets = (...more: readonly string[]) => merged(settings, 'max', fired, 'alertname', 'alertstate', 'severity', 'scope', 'root', ...more)
  return `unless ignoring (${['host', ...Object.keys(settings.labels)].join(', ')}) (${targets()} or ${targets('cluster')})`
}

/**
 * Adds the label `node` to series of Curlews whose instance is `<node>/<pod>`, as the manifests have it, so that an alert of the node can mute what follows
 * from it.
 */
export function ofItsNode(expr: string): string {
  return `label_replace(${expr}, "node", "$1", "instance", "([^/]+)/.+")`
}

/** For what every node has of its own, a mount or a file: two Curlews on two nodes do not look at the same. */
export function nodeLocal(settings: Settings): Settings {
  return { ...settings, vantageLabels: settings.vantageLabels.filter((label) => label !== 'instance' && label !== 'node') }
}

/**
 * What each Curlew has of targets that are unhealthy for this: `why` are matchers of layer and reason. While a run says
 * nothing, as an unknown one of a slow probe, the failures of the last hours speak, if they were all the same.
 */
export function failing(settings: Settings, matchers: string, why: string): string {
  const given = matchers === '' ? why : `${matchers},${why}`
  const anyOf = (operator: string, series: string) => `${operator} without (layer, reason) (${series})`
  const lately = (some: string) => `last_over_time(${of(settings, 'probe_failure_info', some)}[3h])`
  return `(${held(settings, 'probe_healthy', matchers)} == 0 and (
  ${anyOf('max', held(settings, 'probe_failure_info', given))}
  or (${anyOf('max', lately(given))} and ${anyOf('count', lately(matchers))} == 1)
))`
}
