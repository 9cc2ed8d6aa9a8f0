import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { createOwner } from '../support/owner.ts'
import { eventually } from '../support/process.ts'
import { startPrometheus } from '../support/prometheus-server.ts'
import { templates } from './chart.ts'
import { objectsOf, textOf } from './manifests.ts'

const owner = createOwner()
afterEach(() => owner.end())

const relabeling = z.strictObject({
  sourceLabels: z.array(z.string()).optional(), separator: z.string().optional(), regex: z.string(), targetLabel: z.string().optional(), action: z.string().optional(),
})
const monitored = z.object({ relabelings: z.array(relabeling) })

/** Of a ServiceMonitor or PodMonitor. */
function relabelingsOf(file: string) {
  const [object] = objectsOf(textOf(file))
  const { endpoints = [], podMetricsEndpoints = [] } = z.object({ endpoints: z.array(monitored).optional(), podMetricsEndpoints: z.array(monitored).optional() }).parse(object!['spec'])
  return [...endpoints, ...podMetricsEndpoints].flatMap(({ relabelings }) => relabelings)
}

const service = relabelingsOf('deploy/kustomize/components/prometheus-operator/servicemonitor.yaml')
const pods = relabelingsOf('deploy/kustomize/components/prometheus-operator-agents/podmonitor.yaml')

it('the chart and both monitors relabel alike', () => {
  const [, text] = /define "curlew\.relabelings" -\}\}\n([^]*?)\{\{- end/.exec(templates.get('_helpers.tpl')!)!
  expect(monitored.parse(parse(text!)).relabelings).toEqual(service)
  expect(pods).toEqual(service)
  expect(templates.get('monitoring.yaml')!.match(/include "curlew\.relabelings"/g)).toHaveLength(2)
})

it('a real Prometheus keeps the labels of targets as Curlew says them, and tells Curlews apart by node and pod', async () => {
  const series = 'curlew_discovery_refused{cluster="default",namespace="shop"} 1\nprobe_info{probe="cache",namespace="shop",service="checkout",pod="redis-0",node="worker-2"} 1\n'
  const server = createServer((_, response) => response.setHeader('content-type', 'text/plain; version=0.0.4').end(series))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await owner.opened(Promise.resolve(server))
  // What the operator gives a target before the monitor's own relabelings.
  const labels = { namespace: 'curlew', service: 'curlew', pod: 'curlew-0', container: 'curlew', endpoint: 'http', __meta_kubernetes_pod_node_name: 'worker-1' }
  const relabel = service.map(({ sourceLabels, targetLabel, ...rest }) => ({ ...rest, ...(sourceLabels && { source_labels: sourceLabels }), ...(targetLabel && { target_label: targetLabel }) }))
  const { port } = server.address() as AddressInfo // safe: it listens on TCP
  const prometheus = await startPrometheus(owner, { targets: [`127.0.0.1:${port}`], rules: '{}', labels, relabel })

  const found = await eventually(async () => {
    const result = await prometheus.query('{__name__=~"curlew_discovery_refused|probe_info|up"}')
    expect(result).toHaveLength(3)
    return result
  }, 20_000)
  const where = { job: 'curlew', instance: 'worker-1/curlew-0' }
  expect(found.map(({ metric }) => metric)).toEqual(expect.arrayContaining([
    { __name__: 'up', ...where },
    { __name__: 'curlew_discovery_refused', ...where, cluster: 'default', namespace: 'shop' },
    { __name__: 'probe_info', ...where, probe: 'cache', namespace: 'shop', service: 'checkout', pod: 'redis-0', node: 'worker-2' },
  ]))
}, 40_000)
