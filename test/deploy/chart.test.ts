import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { CI, defaults, helmPaths, rendered, templates, valuesProblems } from './chart.ts'
import { configProblems } from './configs.ts'
import { beyondRestricted, configsOf, nameOf, objectsOf, podOf, textOf, type Manifest } from './manifests.ts'
import { schemaProblems } from './published-schemas.ts'

describe('values', () => {
  it('the defaults and every file of ci/ are what the schema says', () => {
    for (const { file, values } of [{ file: 'values.yaml', values: defaults }, ...CI]) expect(valuesProblems(values), file).toEqual([])
  })

  it.each([
    [{ replica: 2 }, 'replica'],
    [{ replicas: 0 }, 'replicas'],
    [{ image: { repository: 'curlew', tag: 'a tag', pullPolicy: 'IfNotPresent' } }, 'image.tag'],
    [{ agents: { hostMounts: ['mnt'] } }, 'agents.hostMounts'],
    [{ check: { targets: ['redis:6379'] } }, 'check.targets'],
  ])('the schema refuses %j', (values, path) => {
    expect(valuesProblems({ ...defaults, ...values }).join('\n')).toContain(path)
  })

  it('the schema describes every value, and every value is used', () => {
    const schema = z.object({ properties: z.record(z.string(), z.unknown()) }).parse(JSON.parse(textOf('deploy/helm/curlew/values.schema.json')))
    expect(Object.keys(schema.properties).filter((name) => name !== 'global').toSorted()).toEqual(Object.keys(defaults).toSorted())
    const used = [...templates.values()].join('\n')
    for (const [name, value] of Object.entries(defaults)) {
      expect(used).toContain(`.Values.${name}`)
      if (typeof value === 'object' && value !== null && !Array.isArray(value) && !['config', 'resources'].includes(name)) for (const key of Object.keys(value)) expect(used, name).toMatch(new RegExp(`(?:\\.Values\\.|\\$)${name}\\.${key}\\b`))
    }
  })

  it.each(CI)('$file: a config without a mistake', ({ file, values }) => {
    const { config, agents, forwarder } = z.object({ config: z.unknown(), agents: z.object({ config: z.unknown() }), forwarder: z.object({ config: z.unknown() }) }).parse(values)
    expect([config, agents.config, forwarder.config].flatMap((one) => configProblems({ name: file, files: [{ file: 'curlew.yaml', text: stringify(one) }] }))).toEqual([])
  })

  it('has the configs of the manifests', () => {
    const plain = (file: string): unknown => parse(configsOf(objectsOf(textOf(file)))[0]!.files[0]!.text)
    expect(defaults['config']).toEqual(plain('deploy/kustomize/base/configmap.yaml'))
    expect(defaults['agents']).toMatchObject({ config: plain('deploy/kustomize/agents/configmap.yaml') })
    expect(defaults['forwarder']).toMatchObject({ config: plain('deploy/kustomize/forwarder/configmap.yaml') })
  })
})

describe('templates', () => {
  it.each([...templates])('%s: every block is closed, and every include is defined', (_, text) => {
    const actions = Array.from(text.matchAll(/\{\{-?\s*(\/\*[^]*?\*\/|[^]*?)\s*-?\}\}/g), ([, action = '']) => action)
    expect(text.replaceAll(/\{\{-?\s*(?:\/\*[^]*?\*\/|[^]*?)\s*-?\}\}/g, '')).not.toMatch(/\{\{|\}\}/)
    let depth = 0
    for (const action of actions) {
      if (/^(?:if|range|with|define)\b/.test(action)) depth++
      if (action === 'end') depth--
      expect(depth, action).toBeGreaterThanOrEqual(0)
    }
    expect(depth).toBe(0)
    const defined = [...templates.values()].flatMap((other) => Array.from(other.matchAll(/define "([^"]+)"/g), ([, name]) => name))
    for (const [, name] of text.matchAll(/include "([^"]+)"/g)) expect(defined).toContain(name)
  })

  it('ask for no value that is not there', () => {
    const asked = [...templates.values()].flatMap((text) => Array.from(text.matchAll(/\.Values\.([a-zA-Z]+)(?:\.([a-zA-Z]+))?/g)))
    expect(asked.length).toBeGreaterThan(40)
    const isThere = ([, name = '', key]: RegExpExecArray) => name in defaults && (key === undefined || key in z.record(z.string(), z.unknown()).parse(defaults[name]))
    expect(asked.filter((match) => !isThere(match)).map(([text]) => text)).toEqual([])
  })
})

/** The patch of a component that has this text. */
function patchOf(component: string, text: string): string {
  const { patches } = z.object({ patches: z.array(z.object({ patch: z.string() })) }).parse(parse(textOf(`deploy/kustomize/components/${component}/kustomization.yaml`)))
  return patches.find(({ patch }) => patch.includes(text))!.patch
}

/** Helm's own labels and those of a release aside, which kustomize has no need of. */
function withoutRelease(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRelease)
  if (typeof value !== 'object' || value === null) return value
  const own = ['app.kubernetes.io/instance', 'app.kubernetes.io/managed-by', 'helm.sh/chart']
  return Object.fromEntries(Object.entries(value).filter(([key]) => !own.includes(key)).map(([key, field]) => [key, key === 'curlew.yaml' ? parse(String(field)) : withoutRelease(field)]))
}
const comparable = (objects: readonly Manifest[]) => new Map(objects.map((object) => [nameOf(object), withoutRelease(object)]))

it('agents mount of the node what the component of kustomize mounts: of the kubelet\'s directory no more than its certificates, and no file, which would be made where there is none', () => {
  const component = textOf('deploy/kustomize/components/agent-host-certificates/kustomization.yaml')
  const mounted = (text: string) => Array.from(text.matchAll(/path: (\/(?:etc\/kubernetes|var\/lib\/kubelet)\S*)\n(?:\s*#.*\n)?\s*type: (\w+)/g), ([, path, type]) => `${path} ${type}`)
  expect(mounted(component)).toEqual(['/etc/kubernetes DirectoryOrCreate', '/var/lib/kubelet/pki DirectoryOrCreate'])
  for (const text of [component, textOf('deploy/helm/curlew/templates/agents.yaml')]) expect(text).not.toMatch(/FileOrCreate|type: ''/)
  expect(mounted(textOf('deploy/helm/curlew/templates/agents.yaml'))).toEqual(mounted(component))
})

// Debian has no helm: where it is on PATH, the chart is rendered as well.
describe.each(helmPaths())('%s template', (helm) => {
  it('makes the objects of deploy/kustomize/base, and of the agents and the forwarder', async () => {
    const base = objectsOf(textOf('deploy/all.yaml')).filter(({ kind }) => kind !== 'Namespace')
    expect(comparable(await rendered(helm, 'curlew'))).toEqual(comparable(base))
    const full = comparable(await rendered(helm, 'curlew', 'parts-values.yaml'))
    for (const folder of ['agents', 'forwarder']) {
      const files = z.object({ resources: z.array(z.string()) }).parse(parse(textOf(`deploy/kustomize/${folder}/kustomization.yaml`))).resources
      for (const [name, object] of comparable(files.flatMap((file) => objectsOf(textOf(`deploy/kustomize/${folder}/${file}`))))) expect(full.get(name), name).toEqual(object)
    }
  })

  it.each(CI)('$file: valid objects, each once, with valid configs', async ({ file }) => {
    const objects = await rendered(helm, 'curlew', file)
    expect((await Promise.all(objects.map(schemaProblems))).flat()).toEqual([])
    expect(new Set(objects.map(nameOf)).size).toBe(objects.length)
    expect(configsOf(objects).flatMap(configProblems)).toEqual([])
    const pods = objects.filter(({ metadata }) => metadata.namespace === 'curlew').flatMap((object) => podOf(object)?.spec ?? [])
    expect(pods.flatMap(beyondRestricted)).toEqual([])
  })

  it('agents look at what they are given: certificates, and the interfaces of the host', async () => {
    const files = configsOf((await rendered(helm, 'curlew', 'agents-values.yaml')).filter(({ metadata }) => metadata.namespace === 'curlew-agents'))[0]!.files
    expect(parse(files.find(({ file }) => file === 'curlew.yaml')!.text)).toMatchObject({ discovery: { kubernetes: { health: ['mesh', 'host', 'certificates'] } } })
    expect(parse(files.find(({ file }) => file === 'node.yaml')!.text)).toEqual(parse(configsOf(objectsOf(patchOf('agent-host-network', 'node.yaml')))[0]!.files[0]!.text))
  })

  it('rules alone bring the right to list Services and what else they may name', async () => {
    const names = (await rendered(helm, 'curlew', 'rules-values.yaml')).filter(({ kind }) => kind === 'ClusterRole').map(({ metadata }) => metadata.name)
    expect(names).toEqual(['curlew-discovery', 'curlew-discovery-roles'])
  })

  it('each shard may have its Lease', async () => {
    const [role] = (await rendered(helm, 'curlew', 'shards-lease-values.yaml')).filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'curlew-lease')
    expect(role!['rules']).toEqual([expect.objectContaining({ verbs: ['create'] }), expect.objectContaining({ resourceNames: ['curlew-0', 'curlew-1'], verbs: ['get', 'update'] })])
  })

  it('a release of another name owns its objects', async () => {
    const names = (await rendered(helm, 'prod')).map(({ metadata }) => metadata.name)
    expect(names.filter((name) => !name.startsWith('prod-curlew'))).toEqual([])
  })
})
