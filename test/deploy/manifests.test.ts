import { describe, expect, it } from 'vitest'
import { VERSION } from '../../src/core/version.ts'
import { configProblems } from './configs.ts'
import { beyondRestricted, configsOf, imagesOf, nameOf, objectsOf, podOf, textOf, type Manifest } from './manifests.ts'
import { schemaProblems } from './published-schemas.ts'

const deployment = (change: (spec: Record<string, unknown>, container: Record<string, unknown>) => void): Manifest => {
  const [found] = objectsOf(textOf('deploy/all.yaml')).filter(({ kind }) => kind === 'Deployment')
  const spec = (found!['spec'] as { template: { spec: Record<string, unknown> & { containers: Record<string, unknown>[] } } }).template.spec
  change(spec, spec.containers[0]!)
  return found!
}

describe('deploy/all.yaml', () => {
  const objects = objectsOf(textOf('deploy/all.yaml'))

  it('is what the published schemas describe', async () => {
    expect((await Promise.all(objects.map(schemaProblems))).flat()).toEqual([])
  })

  it('names nothing twice', () => {
    const names = objects.map(nameOf)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  })

  it('has a config without a mistake', () => {
    const configs = configsOf(objects)
    expect(configs.map(({ name }) => name)).toEqual(['ConfigMap curlew/curlew'])
    expect(configs.flatMap(configProblems)).toEqual([])
  })

  it('runs this version, which is the one of images.txt and of the chart', () => {
    expect(imagesOf(objects)).toEqual([`curlew:${VERSION}`])
    expect(textOf('deploy/images.txt')).toBe(`curlew:${VERSION}\n`)
    expect(textOf('deploy/helm/curlew/Chart.yaml')).toContain(`\nversion: ${VERSION}\nappVersion: ${VERSION}\n`)
  })

  it('makes the namespace first, and what a pod needs before the pod', () => {
    const kinds = objects.map(({ kind }) => kind)
    expect(kinds[0]).toBe('Namespace')
    expect(kinds.indexOf('Deployment')).toBeGreaterThan(Math.max(...['ServiceAccount', 'ConfigMap', 'RoleBinding', 'ClusterRoleBinding'].map((kind) => kinds.lastIndexOf(kind))))
  })
})

describe('the checks themselves', () => {
  it('see a field that does not exist, and a value of the wrong kind', async () => {
    expect(await schemaProblems(deployment((spec) => { spec['hostnetwork'] = true }))).toEqual(['Deployment curlew/curlew: /spec/template/spec/hostnetwork is not a field'])
    expect((await schemaProblems(deployment((_, container) => { container['args'] = 'serve' }))).join()).toContain('/spec/template/spec/containers/0/args')
  })

  it.each<[string, (spec: Record<string, unknown>, container: Record<string, unknown>) => void]>([
    ['host network', (spec) => { spec['hostNetwork'] = true }],
    ['host PID', (spec) => { spec['hostPID'] = true }],
    ['volume host', (spec) => { spec['volumes'] = [{ name: 'host', hostPath: { path: '/' } }] }],
    ['sysctl net.core.somaxconn', (spec) => { spec['securityContext'] = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, sysctls: [{ name: 'net.core.somaxconn', value: '1' }] } }],
    ['seccomp', (spec) => { spec['securityContext'] = { runAsNonRoot: true } }],
    ['curlew: may be root', (spec) => { spec['securityContext'] = { seccompProfile: { type: 'RuntimeDefault' } } }],
    ['curlew: uid 0', (_, container) => { Object.assign(container['securityContext'] as object, { runAsUser: 0 }) }],
    ['curlew: privilege escalation', (_, container) => { Object.assign(container['securityContext'] as object, { allowPrivilegeEscalation: true }) }],
    ['curlew: capabilities are kept', (_, container) => { Object.assign(container['securityContext'] as object, { capabilities: {} }) }],
    ['curlew: NET_RAW', (_, container) => { Object.assign(container['securityContext'] as object, { capabilities: { drop: ['ALL'], add: ['NET_RAW'] } }) }],
  ])('see what is beyond restricted: %s', (problem, change) => {
    expect(beyondRestricted(podOf(deployment(change))!.spec)).toEqual([problem])
  })

  it('see a config that is wrong', () => {
    expect(configProblems({ name: 'ConfigMap wrong', files: [{ file: 'curlew.yaml', text: 'kubernetes: { leas: {} }\n' }] }).join()).toContain('ConfigMap wrong: curlew.yaml:1: kubernetes')
  })
})
