import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { SID_KUBECTL, suiteCommand } from '../../scripts/debian-suite.ts'
import { configProblems } from './configs.ts'
import { beyondRestricted, configsOf, deploy, imagesOf, KUSTOMIZATIONS, nameOf, objectsOf, podOf, textOf, type Manifest } from './manifests.ts'
import { schemaProblems } from './published-schemas.ts'

const run = promisify(execFile)
const rendered = new Map<string, Manifest[]>()
const objectsIn = (folder: string) => rendered.get(folder)!

beforeAll(async () => {
  const waiting = [...KUSTOMIZATIONS]
  await Promise.all([1, 2].map(async () => {
    for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
      const { stdout } = await run(suiteCommand(SID_KUBECTL, 'kubectl'), ['kustomize', join(deploy, 'kustomize', folder)], { maxBuffer: 8 * 2 ** 20 })
      rendered.set(folder, objectsOf(stdout))
    }
  }))
}, 60_000)

const agents = KUSTOMIZATIONS.filter((folder) => folder.includes('agents'))
const restricted = KUSTOMIZATIONS.filter((folder) => !folder.includes('agents'))

describe.each(KUSTOMIZATIONS)('%s', (folder) => {
  it('is what the published schemas describe', async () => {
    expect((await Promise.all(objectsIn(folder).map(schemaProblems))).flat()).toEqual([])
  })

  it('names nothing twice, and each namespaced object says where it is', () => {
    const names = objectsIn(folder).map(nameOf)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    const everywhere = ['Namespace', 'ClusterRole', 'ClusterRoleBinding', 'PriorityClass']
    expect(objectsIn(folder).filter(({ kind, metadata }) => everywhere.includes(kind) === (metadata.namespace !== undefined)).map(nameOf)).toEqual([])
  })

  it('has configs without a mistake', () => {
    expect(configsOf(objectsIn(folder)).flatMap(configProblems)).toEqual([])
  })

  it('binds each role to an account that is there, and each pod runs as one', () => {
    const { accounts, bindings, roles } = access(objectsIn(folder))
    expect(bindings.map(({ role }) => role).toSorted()).toEqual(roles.map(({ key }) => key).toSorted())
    for (const { account } of bindings) expect(accounts).toContain(account)
    for (const object of objectsIn(folder)) {
      const pod = podOf(object)
      // The forwarder's overlay is put on the base, which makes the namespace; its account is its own.
      if (pod) expect(accounts).toContain(`${object.metadata.namespace}/${pod.spec.serviceAccountName}`)
    }
  })

  it('never asks for everything, nor for nodes/proxy', () => {
    const rules = access(objectsIn(folder)).roles.flatMap(({ rules: all }) => all)
    expect(JSON.stringify(rules)).not.toMatch(/"\*"|nodes\/proxy|impersonate|escalate|bind"/)
    const writes = rules.filter(({ verbs }) => verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)))
    for (const { verbs, resources, resourceNames } of writes) {
      expect(['leases', 'configmaps']).toEqual(expect.arrayContaining(resources ?? ['?']))
      // Creation cannot be bound to a name; anything else is.
      if (verbs.join() !== 'create') expect(resourceNames).toHaveLength(1)
    }
  })

  it('pins its images, and gives the same memory that it asks for', () => {
    for (const image of imagesOf(objectsIn(folder))) expect(image).toMatch(/^[^:]+(?::\d+\/[^:]+)?:\d+\.\d+\.\d+$/)
    for (const { resources } of objectsIn(folder).flatMap((object) => podOf(object)?.spec.containers ?? [])) {
      expect(resources?.limits).toEqual({ memory: resources?.requests['memory'] })
    }
  })

  it('ends a pod later than Curlew ends, and keeps its state where it may write', () => {
    for (const pod of objectsIn(folder).flatMap((object) => podOf(object) ?? [])) {
      expect(pod.spec.terminationGracePeriodSeconds).toBeGreaterThan(3)
      expect(pod.spec.containers.map(({ securityContext }) => securityContext?.readOnlyRootFilesystem)).toEqual([true])
      expect(JSON.stringify(pod.spec.containers)).toContain('"mountPath":"/var/lib/curlew"')
    }
  })
})

describe('Pod Security', () => {
  it.each(restricted)('%s: every pod is restricted, and the namespace says so', (folder) => {
    expect(objectsIn(folder).flatMap((object) => podOf(object)?.spec ?? []).flatMap(beyondRestricted)).toEqual([])
    expect(objectsIn(folder).filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata.labels?.['pod-security.kubernetes.io/enforce'] ?? 'none').filter((level) => level !== 'restricted')).toEqual([])
  })

  it('agents without a privilege are restricted too', () => {
    expect(objectsIn('agents').flatMap((object) => podOf(object)?.spec ?? []).flatMap(beyondRestricted)).toEqual([])
  })

  it.each([
    ['agents-host-network', ['host network', 'curlew: NET_RAW', 'curlew: may be root', 'curlew: uid 0']],
    ['agents-host-mounts', ['volume host-mounts']],
    ['agents-host-pid', ['host PID', 'curlew: SYS_PTRACE', 'curlew: DAC_READ_SEARCH', 'curlew: may be root', 'curlew: uid 0']],
    ['agents-host-certificates', ['volume host-kubernetes', 'volume host-kubelet-pki', 'curlew: may be root', 'curlew: uid 0']],
    ['agents-all', ['host network', 'host PID', 'volume host-mounts', 'volume host-kubernetes', 'volume host-kubelet-pki', 'curlew: NET_RAW', 'curlew: SYS_PTRACE', 'curlew: DAC_READ_SEARCH', 'curlew: may be root', 'curlew: uid 0']],
  ])('%s has its privilege and no other', (folder, privileges) => {
    const [pod] = objectsIn(`overlays/${folder}`).flatMap((object) => podOf(object) ?? [])
    expect(beyondRestricted(pod!.spec).toSorted()).toEqual(privileges.toSorted())
  })

  it.each(agents)('%s: a stuck child does not keep the pod, and a pod on the host\'s network sets no sysctl of it', (folder) => {
    const [pod] = objectsIn(folder).flatMap((object) => podOf(object) ?? [])
    expect([pod!.spec.hostPID, pod!.spec.shareProcessNamespace].filter((shared) => shared === true)).toHaveLength(1)
    expect(pod!.spec.securityContext?.sysctls === undefined).toBe(pod!.spec.hostNetwork === true)
    expect(objectsIn(folder).find(({ kind }) => kind === 'Namespace')?.metadata).toMatchObject({ name: 'curlew-agents', labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } })
  })
})

it('all that probes stays out of service meshes', () => {
  for (const object of KUSTOMIZATIONS.flatMap(objectsIn)) {
    const pod = podOf(object)
    if (!pod || pod.labels['app.kubernetes.io/component'] === 'forwarder') continue
    expect(pod.labels).toMatchObject({ 'sidecar.istio.io/inject': 'false', 'istio.io/dataplane-mode': 'none' })
    expect(pod.annotations).toMatchObject({ 'linkerd.io/inject': 'disabled' })
  }
})

it('deploy/all.yaml is what kustomize makes of the base', () => {
  const byName = (objects: readonly Manifest[]) => new Map(objects.map((object) => [nameOf(object), object]))
  expect(byName(objectsOf(textOf('deploy/all.yaml')))).toEqual(byName(objectsIn('base')))
})

it('rules and dashboards are those of the checkout', () => {
  const objects = objectsIn('overlays/prometheus-operator')
  const [rules] = objectsOf(textOf('alerts/prometheusrule.yaml'))
  expect(objects.find(({ kind }) => kind === 'PrometheusRule')?.['spec']).toEqual(rules!['spec'])
  const dashboards = objects.filter(({ metadata }) => metadata.labels?.['grafana_dashboard'] === '1')
  expect(dashboards.map(({ metadata }) => metadata.name).toSorted()).toEqual(objectsOf(textOf('dashboards/configmap.yaml')).map(({ metadata }) => metadata.name).toSorted())
  // What the operator selects carries the label of kube-prometheus-stack's release.
  for (const object of objects.filter(({ apiVersion }) => apiVersion.startsWith('monitoring'))) expect(object.metadata.labels?.['release']).toBe('kube-prometheus-stack')
})

it('as many shards as pods, and none without a Lease', () => {
  const objects = objectsIn('overlays/shards')
  const [set] = objects.filter(({ kind }) => kind === 'StatefulSet')
  expect(set!['spec']).toMatchObject({ replicas: 3 })
  expect(configsOf(objects)[0]!.files[0]!.text).toMatch(/shards: \{ total: 3 \}/)
  expect(objects.some(({ kind, metadata }) => kind === 'Deployment' || metadata.name.endsWith('lease'))).toBe(false)
})

it('agents with the files of the node look at them, and are else as they were', () => {
  const configOf = (folder: string) => configsOf(objectsIn(folder))[0]!.files.find(({ file }) => file === 'curlew.yaml')!.text.trimEnd()
  expect(configOf('overlays/agents-host-certificates')).toBe(configOf('agents').replace('health: [mesh, host]', 'health: [mesh, host, certificates]'))
  expect(configOf('overlays/agents-host-certificates')).not.toBe(configOf('agents'))
})

it('agents on the network of the host know its address', () => {
  const envOf = (folder: string) => z.array(z.object({ name: z.string(), value: z.string().optional(), valueFrom: z.unknown().optional() }))
    .parse(objectsIn(folder).flatMap((object) => podOf(object)?.spec.containers ?? [])[0]!['env']).find(({ name }) => name === 'MESH_ADDRESS')
  expect(envOf('agents')).toEqual({ name: 'MESH_ADDRESS', value: '' })
  expect(envOf('overlays/agents-all')).toEqual({ name: 'MESH_ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } })
})

it('docs/kubernetes.md tells which feature needs which rule', () => {
  const names = new Set(KUSTOMIZATIONS.flatMap((folder) => access(objectsIn(folder)).roles.map(({ name }) => name.replace(/-host$/, ''))))
  for (const page of ['docs/kubernetes.md', 'docs/kubernetes.zh-CN.md']) {
    const text = textOf(page)
    expect([...names].filter((name) => !text.includes(`| \`${name}\``)), page).toEqual([])
  }
})

const rule = z.strictObject({
  apiGroups: z.array(z.string()).optional(), resources: z.array(z.string()).optional(), resourceNames: z.array(z.string()).optional(),
  nonResourceURLs: z.array(z.string()).optional(), verbs: z.array(z.string()),
})

function access(objects: readonly Manifest[]) {
  const binding = z.object({ roleRef: z.object({ kind: z.string(), name: z.string() }), subjects: z.tuple([z.object({ name: z.string(), namespace: z.string() })]) })
  return {
    accounts: objects.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    roles: objects.filter(({ kind }) => ['Role', 'ClusterRole'].includes(kind)).map((object) => ({ key: nameOf(object), name: object.metadata.name, rules: z.array(rule).parse(object['rules']) })),
    bindings: objects.filter(({ kind }) => kind.endsWith('Binding')).map((object) => {
      const { roleRef, subjects: [subject] } = binding.parse(object)
      return { role: nameOf({ ...object, kind: roleRef.kind, metadata: { name: roleRef.name, ...(roleRef.kind === 'Role' ? { namespace: object.metadata.namespace } : {}) } }), account: `${subject.namespace}/${subject.name}` }
    }),
  }
}
