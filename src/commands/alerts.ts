import { readFileSync } from 'node:fs'
import { FAMILIES } from '../alerts/index.ts'
import { groupsOf, prometheusRuleText, rulesText } from '../alerts/render.ts'
import { readValues, valuesText } from '../alerts/values.ts'
import { EXIT, readArgs, UsageError, type Io } from './usage.ts'

export const help = `Usage: curlew alerts rules|prometheusrule|values [--values FILE]

Prints the alert rules: for Prometheus (rules), for prometheus-operator (prometheusrule), or every value with its default (values).

  --values FILE   what to change: thresholds, for, severity, enabled, the job, addresses
`

/** `curlew alerts`. */
export async function alerts(args: readonly string[], io: Io): Promise<number> {
  const { values: { values: file }, positionals } = readArgs({ args: [...args], options: { values: { type: 'string' } }, allowPositionals: true })
  const [what, ...more] = positionals
  const render = { rules: rulesText, prometheusrule: prometheusRuleText }
  if (more.length > 0 || (what !== 'values' && what !== 'rules' && what !== 'prometheusrule')) throw new UsageError(`${positionals.join(' ') || 'nothing'}: expected one of rules, prometheusrule, values`)
  if (what === 'values') {
    io.out(valuesText(FAMILIES))
    return EXIT.ok
  }
  const read = readValues(FAMILIES, file ?? 'defaults', file === undefined ? '' : textOf(file))
  if (!read.values) {
    for (const line of read.errors) io.out(`${line}\n`)
    return EXIT.usage
  }
  io.out(render[what](groupsOf(FAMILIES, read.values)))
  return EXIT.ok
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
