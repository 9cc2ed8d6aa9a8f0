// npm run bench: what Curlew costs, beside its peers. docs/benchmark.md says how it measures.
import { CASES } from './cases.ts'
import { compare } from './compare.ts'
import { installCurlew } from './curlew.ts'
import { icmpCost } from './icmp.ts'
import { latencyErrors, scrapeCost } from './latency.ts'
import { footprint } from './memory.ts'
import { insideNamespace } from './namespace.ts'
import { readOptions, USAGE } from './options.ts'
import { BLACKBOX, missing, SMOKEPING } from './peers.ts'
import { costRow, footprintRow, latencyRow, lossRow, scrapeRow, tableHead, type Row } from './report.ts'

const PARTS = [...new Set(CASES.map(({ type }) => type)), 'icmp', 'latency', 'scrape', 'memory']

process.exitCode = insideNamespace() ?? await bench()

async function bench(): Promise<number> {
  let options: ReturnType<typeof readOptions>
  try {
    options = readOptions(process.argv.slice(2), PARTS)
  } catch (error) {
    process.stderr.write(`curlew bench: ${error instanceof Error ? error.message : String(error)}\n`)
    return 2
  }
  if (options === 'help') {
    process.stdout.write(USAGE.replace('%PARTS%', PARTS.join(', ')))
    return 0
  }
  const { json, only } = options
  const wanted = (part: string) => only.length === 0 || only.includes(part)
  const print = ({ json: object, text }: Row) => { process.stdout.write(`${json ? JSON.stringify(object) : text}\n`) }
  const has = (peer: typeof BLACKBOX | typeof SMOKEPING) => {
    const lacking = missing(peer)
    if (lacking !== undefined) process.stderr.write(`curlew bench: ${lacking}\n`)
    return lacking === undefined
  }

  const launcher = installCurlew()
  const cases = CASES.filter(({ type }) => wanted(type))
  if (!json && (cases.length > 0 || wanted('icmp'))) process.stdout.write(`${tableHead()}\n`)
  const withBlackbox = cases.length > 0 && has(BLACKBOX)
  for (const one of cases) print(costRow(await compare(launcher, one, withBlackbox, options)))
  if (wanted('icmp')) {
    const cost = await icmpCost(launcher, has(SMOKEPING), options)
    print(costRow(cost))
    if (!json) process.stdout.write('\n')
    print(lossRow(cost))
  }
  if (wanted('latency')) for (const error of await latencyErrors(launcher, options)) print(latencyRow(error))
  if (wanted('scrape')) print(scrapeRow(await scrapeCost(launcher, options)))
  if (wanted('memory')) print(footprintRow(await footprint(launcher, options)))
  return 0
}
