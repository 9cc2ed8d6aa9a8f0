// npm run bench: what Curlew costs, beside its peers. docs/benchmark.md says how it measures.
import { CASES } from './cases.ts'
import { compare } from './compare.ts'
import { installCurlew } from './curlew.ts'
import { discovery } from './discovery.ts'
import { latencyErrors } from './latency.ts'
import { memory, startTimes } from './memory.ts'
import { insideNamespace } from './namespace.ts'
import { intake } from './notify.ts'
import { notifyDelays } from './notify-delay.ts'
import { readOptions, USAGE, type Options } from './options.ts'
import { ALERTMANAGER, BLACKBOX, missing, SMOKEPING } from './peers.ts'
import { COST_TITLE, costLine, delayLine, discoveryLine, intakeLine, latencyLine, memoryLine, scrapeLine, startLine, type Line } from './report.ts'
import { scrapeCost } from './scrape.ts'

const PARTS = [...new Set(CASES.map(({ part }) => part)), 'latency', 'scrape', 'memory', 'start', 'notify', 'discovery']

try {
  const options = readOptions(process.argv.slice(2), PARTS)
  if (options === 'help') process.stdout.write(`${USAGE}  parts: ${PARTS.join(', ')}\n`)
  else process.exitCode = insideNamespace() ?? await bench(options)
} catch (error) {
  process.stderr.write(`curlew bench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
// What is still open belongs to processes that are gone.
process.exit()

async function bench(options: Options): Promise<number> {
  const wanted = (part: string) => options.only.length === 0 || options.only.includes(part)
  const say = (text: string) => { if (!options.json) process.stdout.write(`${text}\n`) }
  const print = ({ text, json }: Line) => { process.stdout.write(`${options.json ? JSON.stringify(json) : text}\n`) }
  const launcher = installCurlew()

  const cases = CASES.filter(({ part }) => wanted(part))
  const lacking = [BLACKBOX, SMOKEPING].filter((peer) => cases.some((test) => test.peer === peer) && missing(peer) !== undefined)
  for (const peer of lacking) process.stderr.write(`curlew bench: ${missing(peer)}\n`)
  if (cases.length > 0) say(COST_TITLE)
  for (const test of cases) print(costLine(await compare(launcher, test, !lacking.some((peer) => peer === test.peer), options)))
  if (wanted('latency')) for (const error of await latencyErrors(launcher, options)) print(latencyLine(error))
  if (wanted('scrape')) print(scrapeLine(await scrapeCost(launcher, options)))
  if (wanted('memory')) print(memoryLine(await memory(launcher)))
  if (wanted('start')) print(startLine(await startTimes(launcher, options)))
  if (wanted('notify')) {
    print(intakeLine(await intake(launcher, options)))
    const lacksPeer = missing(ALERTMANAGER)
    if (lacksPeer !== undefined) process.stderr.write(`curlew bench: ${lacksPeer}\n`)
    for (const delay of await notifyDelays(launcher, lacksPeer === undefined, options)) print(delayLine(delay))
  }
  if (wanted('discovery')) print(discoveryLine(await discovery(launcher, options)))
  return 0
}
