import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import type { DashboardUid } from '../../src/alerts/model.ts'
import { DATASOURCE, type Panel } from './panels.ts'
import { alerts } from './promql.ts'

/** Panels under a heading. */
export interface Section {
  readonly title: string
  readonly panels: readonly Panel[]
}

/** One dashboard. */
export interface Spec {
  readonly uid: DashboardUid
  readonly description: string
  /** Whose variables it has: those of many targets, of one, or of Curlew itself. */
  readonly about: 'targets' | 'target' | 'curlew'
  /** The probe types that it shows; all unless given. */
  readonly types?: readonly string[]
  readonly sections: readonly Section[]
}

const ALL = { text: 'All', value: '$__all', selected: true }
/** Every target has it from its registration on. */
const INFO = 'probe_interval_seconds'

/** In the order of the links. */
export const TITLES: Readonly<Record<DashboardUid, string>> = {
  'curlew-overview': 'Overview', 'curlew-probe': 'Probe', 'curlew-dns-network': 'DNS and network', 'curlew-redis': 'Redis', 'curlew-mysql': 'MySQL',
  'curlew-memcached': 'Memcached', 'curlew-mounts': 'Mounts', 'curlew-certificates': 'Certificates', 'curlew-kubernetes': 'Kubernetes', 'curlew-prober': 'Prober health', 'curlew-deliveries': 'Deliveries',
}

/** The model that Grafana imports. */
export function dashboardOf(spec: Spec): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(`Curlew / ${TITLES[spec.uid]}`)
    .uid(spec.uid).description(spec.description).tags(['curlew']).timezone('browser').refresh('30s').time({ from: 'now-3h', to: 'now' })
    .tooltip(dashboard.DashboardCursorSync.Crosshair).variables(variablesOf(spec)).annotation(alertsShown(spec)).links(linksOf(spec))
  for (const { title, panels } of spec.sections) {
    builder.withRow(new dashboard.RowBuilder(title))
    for (const panel of panels) builder.withPanel(panel)
  }
  const model = builder.build()
  return {
    ...model,
    panels: (model.panels ?? []).map((panel, index) => ({ ...panel, id: index + 1 })),
    links: (model.links ?? []).map(inSight),
    annotations: { list: (model.annotations.list ?? []).map(inSight) },
  }
}

/** Beside the variables: the builders would hide links and annotations in a menu. */
function inSight<T extends { readonly placement?: unknown }>(shown: T): Omit<T, 'placement'> {
  const { placement: _, ...rest } = shown
  return rest
}

function variablesOf({ about, types }: Spec) {
  const query = (name: string, label: string, description: string, expr: string) => new dashboard.QueryVariableBuilder(name)
    .label(label).description(description).datasource(DATASOURCE).query({ query: expr, refId: name }).definition(expr)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged).sort(dashboard.VariableSort.NaturalAsc)
  // Where no series has the label, `.*` matches that there is none.
  const several = (variable: dashboard.QueryVariableBuilder, allValue = '.*') => variable.multi(true).includeAll(true).allValue(allValue).current(ALL)
  const ofTypes = types === undefined ? '' : `,type=~"${types.join('|')}"`
  const cluster = several(query('cluster', 'Cluster', 'Where the targets are; all where no series has the label.', `label_values(${about === 'curlew' ? 'curlew_build_info' : INFO}{job="$job"}, cluster)`))
  const first = [
    new dashboard.DatasourceVariableBuilder('datasource').label('Data source').description('The Prometheus that scrapes Curlew.').type('prometheus'),
    query('job', 'Job', 'The scrape job of Curlew.', 'label_values(curlew_build_info, job)').current({ text: 'curlew', value: 'curlew' }),
    cluster,
  ]
  const inCluster = `job="$job",cluster=~"$cluster"`
  if (about === 'curlew') return [...first, several(query('instance', 'Curlew', 'Which of several Curlews.', `label_values(curlew_build_info{job="$job",cluster=~"$cluster|"}, instance)`))]
  const type = several(query('type', 'Type', 'The probe type.', `label_values(${INFO}{${inCluster}${ofTypes}}, type)`), types?.join('|'))
  const ofType = `${inCluster},type=~"$type"`
  const probe = query('probe', 'Probe', 'The name of the probe in the config.', `label_values(${INFO}{${ofType}}, probe)`)
  const target = (matcher: string) => query('target', 'Target', 'The address of what is probed.', `label_values(${INFO}{${ofType},${matcher}}, target)`)
  if (about === 'targets') return [...first, type, several(probe), several(target('probe=~"$probe"'))]
  return [
    ...first, type, probe, target('probe="$probe"'),
    new dashboard.TextBoxVariableBuilder('curlew').label('Curlew').description('The address of Curlew as your browser reaches it: evidence is read there.').defaultValue('http://localhost:9797'),
  ]
}

function alertsShown({ about }: Spec) {
  const ofTarget = about === 'curlew' ? 'scope="prober"' : about === 'target' ? 'probe=~"$probe|",target=~"$target|"' : 'type=~"$type|",probe=~"$probe|",target=~"$target|"'
  return new dashboard.AnnotationQueryBuilder().name('Alerts').datasource(DATASOURCE).enable(true).iconColor('red')
    .expr(alerts(ofTarget)).titleFormat('{{alertname}}').textFormat('{{probe}} {{target}}').tagKeys('severity,scope').step('60s')
}

/** What a link keeps: what the other dashboard can use. The probe of a Redis is none of MySQL's, and one target is not all. */
function keptBy(from: Spec, to: DashboardUid): readonly string[] {
  const always = ['datasource', 'job', 'cluster']
  if (from.about === 'curlew' || !['curlew-overview', 'curlew-probe'].includes(to)) return always
  return to === 'curlew-probe' ? [...always, 'type'] : [...always, 'type', 'probe', 'target']
}

function linksOf(from: Spec) {
  const links = (Object.keys(TITLES) as DashboardUid[]).filter((uid) => uid !== from.uid).map((uid) => // safe: the keys of TITLES
    new dashboard.DashboardLinkBuilder(TITLES[uid]).type(dashboard.DashboardLinkType.Link).icon('dashboard').tooltip(`Curlew: ${TITLES[uid]}`)
      .url(`/d/${uid}?${keptBy(from, uid).map((name) => `\${${name}:queryparam}`).join('&')}`).keepTime(true).includeVars(false).targetBlank(false))
  if (from.about !== 'target') return links
  const evidence = new dashboard.DashboardLinkBuilder('Evidence').type(dashboard.DashboardLinkType.Link).icon('external link').tooltip('The last failures of this target and what was found when it broke')
    .url('${curlew}/api/v1/probes/lookup?probe=${probe:percentencode}&target=${target:percentencode}').keepTime(false).includeVars(false).targetBlank(true)
  return [...links, evidence]
}
