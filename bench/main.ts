// npm run bench: what Curlew costs, beside its peers. docs/benchmark.md says how it measures.
import { insideNamespace } from './namespace.ts'
import { readOptions, USAGE } from './options.ts'
import { CASES } from './cases.ts'
import { compare } from './compare.ts'
import { installCurlew } from './curlew.ts'
import { BLACKBOX, missing } from './peers.ts'

const PARTS = [...new Set(CASES.map(({ type }) => type))]

const outside = insideNamespace()
if (outside !== undefined) process.exit(outside)
const options = readOptions(process.argv.slice(2), PARTS)
if (options === 'help') {
  process.stdout.write(USAGE.replace('%PARTS%', PARTS.join(', ')))
  process.exit()
}
const launcher = installCurlew()
const lacking = missing(BLACKBOX)
if (lacking) process.stderr.write(`curlew bench: ${lacking}\n`)
for (const one of CASES) {
  if (options.only.length > 0 && !options.only.includes(one.type)) continue
  const cost = await compare(launcher, one, !lacking, options)
  console.log(JSON.stringify(cost))
}
