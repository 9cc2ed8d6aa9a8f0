import { MINUTE_MS } from '../durations.ts'
import type { Family, Settings } from '../model.ts'
import { held, majority, merged, nodeLocal, of, oftenEnough, OUTAGES, unhealthy, unlessTold, window, withHost, withRoot } from '../promql.ts'
import { layerAndReason, namesOf, TARGET } from '../templates.ts'

/**
 * Hosts have an alert of their own, which mutes this one for what is on them; the ways between nodes, and objects that hold
 * certificates, have theirs.
 */
const NOT_HOSTS = 'type!~"ping|mesh|kube-cert",target!~"/.*"'
/** A mount, or certificates in a file, are others on every node: no two Curlews look at the same. */
const NODE_LOCAL = 'target=~"/.*"'
const isRoot = (settings: Settings) => `${merged(settings, 'max', held(settings, 'probe_root_cause'))} == 1`

/**
 * Leaves out what fails because of its certificate and has an alert that says so: one that has expired, and one that was renewed
 * and is not served yet, which breaks nothing so far.
 */
function unlessCertificates(settings: Settings): string {
  const failing = (matchers: string) => merged(settings, 'max', held(settings, 'probe_failure_info', matchers), 'layer', 'reason')
  return `unless (${failing('layer="tls",reason="expired"')} and ${of(settings, 'target:certificate_left:seconds')} <= 0)
unless ${failing('type="cert",layer="assert",reason="stale"')}`
}

export const dependency: Family = {
  name: 'dependency',
  alerts: [
    {
      name: 'DependencyDown', severity: 'critical', scope: 'dependency', forMs: MINUTE_MS, dashboard: 'curlew-probe',
      expr(settings, _numbers, forMs) {
        const own = `(${merged(nodeLocal(settings), 'max', `(${held(settings, 'probe_healthy', NODE_LOCAL)} == bool 0) == 1 and ${held(settings, 'probe_root_cause', NODE_LOCAL)} == 1`)}
${unlessCertificates(nodeLocal(settings))})`
        const down = `${unhealthy(settings, NOT_HOSTS, forMs)} and ${isRoot(settings)}\n${unlessCertificates(settings)}`
        return [{ expr: withRoot(`(${withHost(settings, NOT_HOSTS, down)}\nor ${own})`), forMs: 2 * settings.scrapeMs }]
      },
      summary: `${TARGET} is down`,
      description: (settings) => `The {{ $labels.type }} probe ${TARGET} fails${layerAndReason(settings)}, and nothing that it depends on explains it. {{ $value }} Curlew(s) see it so.`,
    },
    {
      name: 'DependencyDownExplained', severity: 'info', scope: 'dependency', forMs: MINUTE_MS, dashboard: 'curlew-probe',
      expr: (settings) => `topk without (root) (1, ${merged(settings, 'count', held(settings, 'probe_explained_by'))})
and ignoring (root) ${unhealthy(settings, NOT_HOSTS, 0)}
unless ignoring (root) ${isRoot(settings)}`,
      summary: `${TARGET} is down because {{ $labels.root }} is`,
      description: (settings) => `The {{ $labels.type }} probe ${TARGET} fails${layerAndReason(settings)}, and {{ $labels.root }}, which it depends on, fails too: look there first.`,
    },
    {
      name: 'DependencyPartiallyUnreachable', severity: 'warning', scope: 'dependency', forMs: 5 * MINUTE_MS, dashboard: 'curlew-probe',
      expr(settings) {
        const healthy = held(settings, 'probe_healthy', 'type!="mesh",target!~"/.*"')
        return `${merged(settings, 'count', `${healthy} == 0`)}
unless ${majority(settings, `${healthy} == 0`, healthy)}`
      },
      summary: `${TARGET} cannot be reached from some places`,
      description: (settings) => `The {{ $labels.type }} probe ${TARGET} fails from a minority of the Curlews: ${namesOf(settings, 'probe_healthy', '== 0')}${layerAndReason(settings)}. The target itself is likely well; look at those nodes and the network between.`,
    },
    {
      name: 'DependencyFlapping', severity: 'warning', scope: 'dependency', forMs: 0, keepFiringMs: 10 * MINUTE_MS, dashboard: 'curlew-probe',
      thresholds: { failures: { value: 3, help: 'failed runs in 15 minutes' } },
      expr(settings, { failures }) {
        // Of each Curlew by itself: one that sees it down all the time is DependencyPartiallyUnreachable.
        const failed = (matchers = '') => `increase(${of(settings, 'probe_runs_total', `result="failed"${matchers}`)}[${window(settings, 15 * MINUTE_MS)}]) and ignoring (result) ${held(settings, 'probe_healthy')} == 1`
        const count = (expr: string) => merged(settings, 'count', expr, 'result')
        // A node that was cut off for a minute brings a failure of everything it asks: others that saw none know better. A path is another one on each node.
        const [all, none] = [failed(',target!~"/.*"'), `(${failed(',target!~"/.*"')}) < ${failures}`]
        return `${merged(settings, 'max', failed(), 'result')} >= ${failures}
and ${oftenEnough(settings, 15 * MINUTE_MS)}
unless (${count(none)} >= 0.5 * ${count(all)}) > 1
${unlessTold(settings, [...OUTAGES, 'DependencyPartiallyUnreachable', 'NodeUnreachableFromNodes', 'MeshEdgeBroken', 'MeshPacketsTooLarge'], 15 * MINUTE_MS)}`
      },
      summary: `${TARGET} fails now and then`,
      description: () => `The {{ $labels.type }} probe ${TARGET} failed {{ printf "%.0f" $value }} times in 15 minutes and was well again in between: too short for an outage, long enough for users to notice.`,
    },
  ],
}
