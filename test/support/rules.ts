import { stringify } from 'yaml'
import { FAMILIES } from '../../src/alerts/index.ts'
import type { AlertSpec } from '../../src/alerts/model.ts'
import { groupsOf, rulesText } from '../../src/alerts/render.ts'
import { readValues } from '../../src/alerts/values.ts'

/** The shipped rules, all or some, with nothing to wait for. */
export function quickRules(wanted: (alert: AlertSpec) => boolean = () => true): string {
  const alerts = FAMILIES.flatMap((family) => family.alerts).map((alert) => [alert.name, { for: '2s', keep_firing_for: '2s', enabled: wanted(alert) }])
  const { values } = readValues(FAMILIES, 'values', stringify({ scrape_interval: '1s', alerts: Object.fromEntries(alerts) }))
  if (!values) throw new Error('the values of this test are none')
  return rulesText(groupsOf(FAMILIES, values))
}
