import { FAMILIES } from '../../src/alerts/index.ts'

/** The default of a number of an alert, by the names of both. Throws when there is none. */
export function numberOf(alert: string, threshold: string): number {
  const value = FAMILIES.flatMap((family) => family.alerts).find(({ name }) => name === alert)?.thresholds?.[threshold]?.value
  if (value === undefined) throw new Error(`no alert ${alert} has a threshold ${threshold}`)
  return value
}
