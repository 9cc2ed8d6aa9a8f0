// Writes everything generated, or with --check tells whether it is fresh. A new artefact is a line in ARTEFACTS.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { FAMILIES } from '../src/alerts/index.ts'
import { DASHBOARDS } from '../src/alerts/model.ts'
import { groupsOf, prometheusRuleText, rulesText } from '../src/alerts/render.ts'
import { readValues, valuesText } from '../src/alerts/values.ts'
import { jsonSchema } from '../src/config/schema.ts'
import { metricsPage } from '../src/exporter/metrics-page.ts'
import { channelTypes } from '../src/notify/channels/index.ts'
import { NOTIFY } from '../src/notify/metrics.ts'
import { notifySchema } from '../src/notify/options.ts'
import { probeTypes } from '../src/probes/index.ts'
import { configMapsText, dashboardText, datasourcesText, providersText } from './dashboards/index.ts'
import { allText, chartRulesText, imagesText } from './deploy.ts'
import { notifyPage } from './reference-notify.ts'
import { configPage, probesPage } from './reference.ts'

interface Artefact {
  readonly path: string
  render(): string
}

const ARTEFACTS: readonly Artefact[] = [
  { path: 'docs/reference/curlew.schema.json', render: () => `${JSON.stringify(jsonSchema(probeTypes, notifySchema), null, 2)}\n` },
  { path: 'docs/reference/configuration.md', render: configPage },
  { path: 'docs/reference/probes.md', render: () => probesPage(probeTypes) },
  { path: 'docs/reference/notify.md', render: () => notifyPage(channelTypes) },
  { path: 'docs/reference/metrics.md', render: () => metricsPage(probeTypes, Object.values(NOTIFY)) },
  { path: 'alerts/values.yaml', render: () => valuesText(FAMILIES) },
  { path: 'alerts/curlew.rules.yml', render: () => rulesText(defaultGroups()) },
  { path: 'alerts/prometheusrule.yaml', render: () => prometheusRuleText(defaultGroups()) },
  ...DASHBOARDS.map((uid) => ({ path: `dashboards/${uid}.json`, render: () => dashboardText(uid) })),
  { path: 'dashboards/configmap.yaml', render: configMapsText },
  { path: 'dashboards/provisioning/datasources.yaml', render: datasourcesText },
  { path: 'dashboards/provisioning/dashboards.yaml', render: providersText },
  { path: 'deploy/all.yaml', render: allText },
  { path: 'deploy/images.txt', render: imagesText },
  { path: 'deploy/helm/curlew/templates/_rules.tpl', render: chartRulesText },
  // A chart reads nothing outside its folder.
  { path: 'deploy/helm/curlew/files/curlew.rules.yml', render: () => rulesText(defaultGroups()) },
  ...DASHBOARDS.map((uid) => ({ path: `deploy/helm/curlew/files/dashboards/${uid}.json`, render: () => JSON.stringify(JSON.parse(dashboardText(uid))) })),
]

function defaultGroups() {
  const { values } = readValues(FAMILIES, 'defaults', FAMILIES.map(({ name, optional }) => (optional === undefined ? '' : `${name}: true\n`)).join(''))
  if (!values) throw new Error('the defaults of the alerts are no valid values')
  return groupsOf(FAMILIES, values)
}

const root = new URL('../', import.meta.url)
const checkOnly = process.argv.includes('--check')

for (const { path, render } of ARTEFACTS) {
  const file = new URL(path, root)
  const fresh = render()
  if (!checkOnly) {
    mkdirSync(dirname(file.pathname), { recursive: true })
    writeFileSync(file, fresh)
    console.log(path)
    continue
  }
  const difference = firstDifference(read(file), fresh)
  if (difference === undefined) continue
  console.error(`${path}:${difference} Run npm run generate.`)
  process.exit(1)
}
if (checkOnly) console.log(`${ARTEFACTS.length} generated files are fresh.`)

function read(file: URL): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function firstDifference(committed: string, fresh: string): string | undefined {
  if (committed === fresh) return undefined
  if (committed === '') return ' is missing.'
  const [theirs, ours] = [committed.split('\n'), fresh.split('\n')]
  const index = ours.findIndex((line, at) => line !== theirs[at])
  const at = index < 0 ? ours.length : index
  return `${at + 1}: is ${JSON.stringify(theirs[at] ?? '')}, should be ${JSON.stringify(ours[at] ?? '')}.`
}
