// Stops an npm script below Node 24 with one sentence. Plain JavaScript that old versions parse.
import { existsSync } from 'node:fs'

const needed = 24
const [major] = process.versions.node.split('.').map(Number)

if (major < needed) {
  // npm puts node_modules/.bin first in PATH, so with the pinned runtime in place this line is never reached through npm.
  const pinned = existsSync(new URL('../node_modules/node/bin/node', import.meta.url))
  const remedy = pinned ? 'run this through npm, which uses the pinned one'
    : existsSync(new URL('../node_modules/node', import.meta.url)) ? 'the pinned one is not there because install scripts were blocked: npm rebuild node --ignore-scripts=false fetches it'
    : 'npm ci brings one'
  process.stderr.write(`curlew: needs Node ${needed} or newer, this is ${process.versions.node}; ${remedy}.\n`)
  process.exit(2)
}
