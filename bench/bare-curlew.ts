// Curlew with probe types that do without a client library: for the benchmark only, to see what the library costs.
import { main } from '../src/cli.ts'
import type { ProbeType } from '../src/core/probe.ts'
import { probeTypes } from '../src/probes/index.ts'
import { bareProbes } from './bare-probes.ts'

const registry = probeTypes as ProbeType[]
registry.push(...bareProbes)
await main(process.argv.slice(2))
