import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { startKubeApi, type KubeApi } from '../support/kube-api.ts'
import { freePort, temporaryDirectory } from '../support/process.ts'
import { listening, tcpServer, type TestServer } from '../support/tcp.ts'
import { issue } from '../support/x509.ts'
import { failed, faultTable, ok, unknown, type Entry, type Trial } from './table.ts'

const NODE = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } }
const home = temporaryDirectory()
const pair = issue({ from: '20200101000000Z', to: '20450101000000Z', subject: '/CN=worker-1@1700000000', names: ['worker-1'] })
let api: KubeApi
let kubeconfig: string
let well: TestServer
let sick: TestServer
let silent: TestServer
let end: () => void

const kubelet = (status: number, text: string) => listening(createServer({ cert: pair.cert, key: pair.key }, (_request, response) => { response.writeHead(status).end(text) }))

beforeAll(async () => {
  api = await startKubeApi()
  kubeconfig = api.kubeconfig()
  well = await kubelet(200, 'ok')
  sick = await kubelet(500, '[-]syncloop failed: reason withheld')
  silent = await tcpServer()
})
afterAll(async () => {
  await Promise.all([well.close(), sick.close(), silent.close(), api.stop()])
  home.remove()
})

/** The node as the API has it, with its kubelet on a port of this machine. */
function node(port: number, ready: string, more: { readonly address?: string, readonly unschedulable?: boolean } = {}): Trial {
  const { address = '127.0.0.1', unschedulable = false } = more
  api.put({
    ...NODE, spec: { unschedulable },
    status: { addresses: [{ type: 'InternalIP', address }], conditions: [{ type: 'Ready', status: ready, reason: 'OfTheTest' }], daemonEndpoints: { kubeletEndpoint: { Port: port } } },
  })
  return { probe: probe() }
}

const probe = (more: Entry = {}): Entry => ({ type: 'kube-node', target: 'worker-1', kubeconfig, timeout: '3s', ...more })

/** An address that the node had once, in the words that Curlew keeps it in. */
function moved(): Trial {
  const trial = node(well.port, 'True')
  const { metadata } = api.get(NODE) as unknown as { metadata: { uid: string } } // what was just put
  api.put({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'curlew-node-addresses' }, data: { 'worker-1_another': JSON.stringify({ addresses: ['127.0.0.9'], uid: metadata.uid, seen: new Date().toISOString() }) } })
  return trial
}

/** A proc of a kernel, as files. */
function proc(files: Readonly<Record<string, string>>): Trial {
  for (const [path, text] of Object.entries({ meminfo: 'MemTotal: 1000 kB\nMemAvailable: 500 kB\n', ...files })) {
    mkdirSync(join(home.path, path, '..'), { recursive: true })
    writeFileSync(join(home.path, path), text)
  }
  return { probe: { type: 'host', target: 'db-1', proc: home.path } }
}

describe('nodes', () => {
  faultTable('nodes', [
    { fault: 'the kubelet does not run', make: async () => node(await freePort(), 'Unknown'), expected: failed('connect', 'refused', 'kube_node_kubelet_down') },
    { fault: 'the machine is frozen: it accepts and nobody answers', make: () => node(silent.port, 'Unknown'), expected: failed('request', 'hung', 'kube_node_frozen') },
    { fault: 'the kubelet does not reach the API', make: () => node(well.port, 'Unknown'), expected: failed('request', 'stale', 'kube_node_heartbeat_lost') },
    { fault: 'the container runtime hangs', make: () => node(well.port, 'False'), expected: failed('request', 'unavailable', 'kube_node_not_ready', { probe_kube_node_ready: 0 }) },
    { fault: 'the kubelet is not well', make: () => node(sick.port, 'True'), expected: failed('request', 'unavailable', 'kube_node_kubelet_unhealthy', { probe_kube_node_ready: 1 }) },
    { fault: 'it is drained, and off', make: async () => node(await freePort(), 'Unknown', { unschedulable: true }), expected: ok({ probe_kube_node_unschedulable: 1, probe_kube_node_kubelet_answers: 0 }) },
    { fault: 'its internal address is another one', make: moved, expected: failed('assert', 'mismatch', 'kube_node_address_changed') },
    { fault: 'it was deleted', make: () => ({ probe: probe({ target: 'worker-9' }) }), expected: failed('resolve', 'not_found', 'kube_node_missing') },
    { fault: 'the API is away', make: () => ({ probe: probe({ kubeconfig: api.kubeconfig({ cluster: { server: 'https://127.0.0.1:1' } }) }) }), expected: unknown('unreachable', 'kube_unreachable') },
    { fault: 'the role does not allow to look at nodes', make: () => { end = api.fault('GET /api/v1/nodes/', { status: 403 }); return { probe: probe() } }, undo: () => end(), expected: unknown('denied', 'kube_forbidden') },
    { fault: 'a machine is near the limit of its files', make: () => proc({ 'sys/fs/file-nr': '950 0 1000\n' }), expected: ok({ probe_host_files_ratio: 0.95 }) },
    { fault: 'everything waits for memory', make: () => proc({ 'pressure/memory': 'some avg10=90.00 avg60=80.00 avg300=0.00 total=5\nfull avg10=70.00 avg60=60.00 avg300=0.00 total=5\n' }), expected: ok({ probe_host_memory_stalled_ratio: 0.6 }) },
  ])
})
