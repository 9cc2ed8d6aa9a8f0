import { SID_PROMETHEUS, suiteCommand } from '../../scripts/debian-suite.ts'

/** The Prometheus servers that scrape us, each with its promtool; npm run test:install brings both. */
export const PROMETHEUSES = [
  { name: 'installed', major: 2, prometheus: 'prometheus', promtool: 'promtool' },
  { name: 'current', major: 3, prometheus: suiteCommand(SID_PROMETHEUS, 'prometheus'), promtool: suiteCommand(SID_PROMETHEUS, 'promtool') },
] as const

/** What a Prometheus says in its log about its scrapes, beside that they go on. */
export function scrapeComplaints(log: string): string[] {
  return log.split('\n').filter((line) => /\blevel=(?:warn|error)\b/i.test(line) && line.includes('component="scrape manager"'))
}

/** The first number of the version that it prints when it starts. */
export function majorVersion(log: string): number {
  return Number(/version="\(version=(\d+)/.exec(log)?.[1])
}
