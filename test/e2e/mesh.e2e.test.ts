import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveCurlew, type Served } from '../support/curlew.ts'
import { startKubeApi, type KubeApi } from '../support/kube-api.ts'
import { eventually, temporaryDirectory } from '../support/process.ts'

const directory = temporaryDirectory()
const cleanups: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanup of cleanups.toReversed()) await cleanup()
  directory.remove()
})

const ready = (status: string) => ({ conditions: ['Ready', 'ContainersReady'].map((type) => ({ type, status })) })
const EDGE = 'probe="mesh-pod",type="mesh",target="worker-1:9798",peer="worker-1",network="pod",cluster="default"'

describe('two agents', () => {
  let api: KubeApi
  let agents: readonly Served[]

  const node = (name: string, more: object = {}) => api.put({ apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: more, status: ready('True') })
  const pod = (on: string, podIP: string, status = 'True') => api.put({
    apiVersion: 'v1', kind: 'Pod',
    metadata: { name: `agent-${on}`, namespace: 'curlew-agents', labels: { 'app.kubernetes.io/name': 'curlew', 'app.kubernetes.io/component': 'agent' } },
    spec: { nodeName: on, containers: [{ name: 'curlew', ports: [{ name: 'mesh', containerPort: 9798 }] }] }, status: { phase: 'Running', podIP, ...ready(status) },
  })
  const edges = async (agent: number) => (await agents[agent]?.samples(/^probe_healthy\{.*type="mesh"/)) ?? []

  beforeAll(async () => {
    api = await startKubeApi()
    cleanups.push(() => api.stop())
    for (const [index, name] of ['worker-0', 'worker-1'].entries()) {
      node(name)
      // Loopback has many addresses: each agent its own, with the port that agents have.
      pod(name, `127.77.${process.pid % 250}.${index + 1}`)
    }
    const kubeconfig = api.kubeconfig()
    agents = await Promise.all(['worker-0', 'worker-1'].map((name, index) => {
      const file = join(directory.path, `${name}.yaml`)
      writeFileSync(file, JSON.stringify({
        kubernetes: { clusters: [{ name: 'default', kubeconfig }], node: name }, mesh: { listen: `127.77.${process.pid % 250}.${index + 1}:9798` },
        discovery: { kubernetes: { health: ['mesh'] } }, probes: [],
      }))
      return serveCurlew(['-c', file])
    }))
    cleanups.push(...agents.map((agent) => () => agent.stop()))
  })

  it('find each other and are well, called by their nodes', async () => {
    await eventually(async () => (await edges(0)).length === 1 && (await edges(1)).length === 1, 10_000, 'an edge each way')
    expect(await agents[0]?.value(`probe_success{${EDGE}}`)).toBe(1)
    expect(await agents[0]?.samples(/^probe_info\{.*mesh/)).toEqual([expect.stringContaining('host="worker-1"')])
    expect(await agents[1]?.value('curlew_mesh_requests_total{protocol="udp",result="answered"}')).toBeGreaterThan(0)
  })

  it('leave out a node that is drained, and come back to it', async () => {
    node('worker-1', { unschedulable: true })
    await eventually(async () => (await edges(0)).length === 0, 5_000, 'no edge')
    node('worker-1')
    await eventually(async () => (await edges(0)).length === 1, 10_000, 'the edge again')
  })

  it('begin no series anew for an agent with another address', async () => {
    const before = await agents[0]?.value(`probe_runs_total{${EDGE},result="ok"}`) ?? 0
    pod('worker-1', '127.77.255.1')
    await eventually(async () => (await agents[0]?.value(`probe_success{${EDGE}}`)) === 0, 10_000, 'nobody at the new address')
    expect(await agents[0]?.value(`probe_runs_total{${EDGE},result="ok"}`)).toBeGreaterThanOrEqual(before)
    expect(await agents[0]?.samples(/^probe_failure_info\{.*mesh/)).toEqual([expect.stringContaining('layer="connect",reason="refused"')])
  })
})
