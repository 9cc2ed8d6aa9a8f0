// A process of its own, whose CPU does not count: asks blackbox_exporter as Prometheus does, on connections that are kept,
// one target after the other at a steady rate.
import { Agent, get } from 'node:http'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { atASteadyRate } from './pace.ts'

const plan = z.object({ port: z.number(), perSecond: z.number(), module: z.string(), targets: z.array(z.string()) })
  .parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')))
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const paths = plan.targets.map((target) => `/probe?module=${plan.module}&target=${encodeURIComponent(target)}`)
const headers = {
  'Accept': 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
  'X-Prometheus-Scrape-Timeout-Seconds': '5',
  'Accept-Encoding': 'gzip',
}
let done = 0
let lost = 0

atASteadyRate(plan.perSecond, 1, (turn) => ask(paths[turn % paths.length] ?? ''), () => ({ done, lost }))

function ask(path: string): void {
  get({ port: plan.port, path, agent, headers }, (response) => {
    response.resume()
    response.on('end', () => {
      done++
      if (response.statusCode !== 200) lost++
    })
  }).on('error', () => {
    done++
    lost++
  })
}
