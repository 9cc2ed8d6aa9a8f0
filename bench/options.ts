import { parseArgs } from 'node:util'

export interface Options {
  readonly json: boolean
  /** What is measured; empty is everything. */
  readonly only: readonly string[]
  /** How often the two sides take turns, and how long a turn is measured. */
  readonly rounds: number
  readonly seconds: number
  /** Whether everybody runs for a while before it is measured. */
  readonly warmUp: boolean
}

export const USAGE = `Usage: npm run bench -- [options]

Measures what Curlew costs, beside Debian's prometheus-blackbox-exporter and prometheus-smokeping-prober.

  --only LIST   the parts to measure, with commas between them
  --quick       two short rounds instead of five: a look, not a figure to quote
  --json        one JSON object a line
`

const FULL = { rounds: 5, seconds: 3, warmUp: true }
const QUICK = { rounds: 2, seconds: 2, warmUp: false }

/** Reads the command line. Throws an Error with a sentence for what it does not know; `parts` are what `--only` may name. */
export function readOptions(argv: readonly string[], parts: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: { only: { type: 'string', default: '' }, quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) return 'help'
  const only = values.only.split(',').filter((part) => part !== '')
  const strange = only.find((part) => !parts.includes(part))
  if (strange !== undefined) throw new Error(`--only: ${strange}: expected some of ${parts.join(', ')}`)
  return { json: values.json, only, ...(values.quick ? QUICK : FULL) }
}
