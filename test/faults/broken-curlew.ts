// Curlew with probe types that are broken: put before its command line, of which the runtime and the launcher are left out.
import { main } from '../../src/cli.ts'
import { hostPort } from '../../src/core/fields.ts'
import { defineProbe, type ProbeType } from '../../src/core/probe.ts'
import { probeTypes } from '../../src/probes/index.ts'
import { z } from 'zod'

const BUGS: Readonly<Record<string, () => unknown>> = {
  'broken-type': () => Object.defineProperty(Object.freeze({}), 'length', {}),
  'broken-callback': () => new Promise(() => { setImmediate(() => { throw new TypeError('in a callback') }) }),
  'broken-range': () => Buffer.alloc(1).readUInt32BE(0),
}

const registry = probeTypes as ProbeType[] // safe: it is an array, which is only declared as one that does not change
for (const [type, bug] of Object.entries(BUGS)) {
  registry.push(defineProbe({
    type, summary: 'An error of ours', options: z.strictObject({ target: hostPort() }), phases: { request: 'request' }, gauges: {}, codes: {},
    schemes: [type], fromUrl: (url) => ({ target: url.host }), example: { target: 'localhost:1' },
    async run(_options, probe) { await probe.phase('request', bug) },
  }))
}
await main(process.argv.slice(4))
