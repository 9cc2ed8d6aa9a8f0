import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { isUnpacked, SID_KUBECTL, suiteCommand, unpack } from '../../scripts/debian-suite.ts'
import { runCurlew } from '../support/curlew.ts'
import { realKubeApi, type RealKubeApi } from '../support/kube-apiserver.ts'
import { temporaryDirectory } from '../support/process.ts'
import { configsOf, deploy, KUSTOMIZATIONS, nameOf, objectsOf, podOf, textOf, type Manifest } from './manifests.ts'

let api: RealKubeApi
/** Namespaces of this run, so that a cluster that lives on is not changed beyond them. */
const mark = `-${process.pid}`

beforeAll(async () => {
  if (!isUnpacked(SID_KUBECTL)) unpack(SID_KUBECTL)
  api = await realKubeApi()
  for (const [name, level] of [['curlew', 'restricted'], ['curlew-agents', 'privileged'], ['shop', 'restricted']]) {
    await kubectl(['create', '-f', '-'], stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: `${name}${mark}`, labels: { 'pod-security.kubernetes.io/enforce': level } } }))
  }
}, 120_000)

afterAll(async () => {
  await kubectl(['delete', 'namespace', '--wait=false', `curlew${mark}`, `curlew-agents${mark}`, `shop${mark}`])
  await api.stop()
})

async function kubectl(args: readonly string[], input = ''): Promise<string> {
  const running = promisify(execFile)(suiteCommand(SID_KUBECTL, 'kubectl'), ['--kubeconfig', api.kubeconfig, ...args], { maxBuffer: 8 * 2 ** 20 })
  running.child.stdin?.end(input)
  const { stdout, stderr } = await running
  return `${stdout}${stderr}`.trim()
}

/** Of the kinds that a bare API server knows, in the namespaces of this run. */
async function rendered(folder: string): Promise<Manifest[]> {
  const { stdout } = await promisify(execFile)(suiteCommand(SID_KUBECTL, 'kubectl'), ['kustomize', join(deploy, 'kustomize', folder)], { maxBuffer: 8 * 2 ** 20 })
  return objectsOf(stdout.replaceAll(/^( *namespace: )(curlew|curlew-agents|shop)$/gm, `$1$2${mark}`))
    .filter(({ apiVersion, kind }) => !apiVersion.startsWith('monitoring.') && kind !== 'Namespace')
}

const dryRun = (objects: readonly object[], ...args: string[]) => kubectl([...args, '--dry-run=server', '--validate=strict', '-f', '-'], all(objects))

const all = (objects: readonly object[]) => objects.map((object) => stringify(object)).join('---\n')
/** A whole cluster takes no pod without its account. */
const withAccounts = (objects: readonly Manifest[]) => kubectl(['apply', '--server-side', '-f', '-'], all(objects.filter(({ kind }) => kind === 'ServiceAccount')))

/** The pod that a controller would make of an object; a PriorityClass of a dry run is not there for it. */
function podObject(object: Manifest) {
  const { labels, annotations, spec } = podOf(object)!
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: object.metadata.namespace, labels, annotations }, spec: { ...spec, priorityClassName: undefined } }
}

describe.each(KUSTOMIZATIONS)('%s', (folder) => {
  it('is taken by the API server, and its pods by Pod Security', async () => {
    const objects = await rendered(folder)
    const said = (await dryRun(objects, 'apply', '--server-side')).split('\n')
    expect(said.filter((line) => !line.endsWith('serverside-applied (server dry run)'))).toEqual([])
    expect(said).toHaveLength(objects.length)
    await withAccounts(objects)
    for (const object of objects.filter(podOf)) expect(await dryRun([podObject(object)], 'create'), nameOf(object)).toBe('pod/pod created (server dry run)')
  }, 30_000)
})

it('Pod Security is in force: an agent with a privilege is refused where the prober is', async () => {
  const moved = (await rendered('overlays/agents-host-pid')).map((object) => ({ ...object, metadata: { ...object.metadata, namespace: `curlew${mark}` } }))
  await withAccounts(moved)
  await expect(dryRun([podObject(moved.find(podOf)!)], 'create')).rejects.toThrow(/violates PodSecurity "restricted:latest": host namespaces \(hostPID=true\)/)
})

describe('the account of the base', () => {
  const roles = async () => (await rendered('base')).filter(({ kind }) => kind.includes('Role') || kind === 'ServiceAccount').map((object) => ({
    ...object, metadata: object.kind === 'ServiceAccount' ? object.metadata : { ...object.metadata, name: `${object.metadata.name}${mark}` },
    ...(object['roleRef'] === undefined ? {} : { roleRef: { ...object['roleRef'], name: `${(object['roleRef'] as { name: string }).name}${mark}` } }),
  }))
  const account = `system:serviceaccount:curlew${mark}:curlew`
  /** kubectl ends with 1 where the answer is no. */
  const may = async (...asked: string[]) => {
    const said = await kubectl(['auth', 'can-i', '--as', account, ...asked]).catch((error: unknown) => String((error as { stdout: unknown }).stdout))
    return /^(?:yes|no)\b/m.exec(said)?.[0]
  }

  beforeAll(async () => { await kubectl(['apply', '--server-side', '-f', '-'], all(await roles())) }, 30_000)
  afterAll(async () => { await kubectl(['delete', '--wait=false', '-f', '-'], all(await roles())) })

  it('may do all that the config of the base asks for, but list Secrets; a Redis is added by one annotation', async () => {
    const home = temporaryDirectory()
    try {
      await kubectl(['create', '-f', '-'], textOf('deploy/examples/annotated-redis.yaml').replace('namespace: shop', `namespace: shop${mark}`))
      const user = { token: await kubectl(['-n', `curlew${mark}`, 'create', 'token', 'curlew']) }
      const access = z.looseObject({ users: z.tuple([z.looseObject({})]) }).parse(parse(readFileSync(api.kubeconfig, 'utf8')))
      writeFileSync(join(home.path, 'kubeconfig'), stringify({ ...access, users: [{ ...access.users[0], user }] }))
      const [config] = configsOf(await rendered('base'))
      writeFileSync(join(home.path, 'curlew.yaml'), config!.files[0]!.text.replace('{ name: default }', `{ name: default, kubeconfig: ${join(home.path, 'kubeconfig')}, inside: true }`))
      const { stdout, stderr } = await runCurlew(['check', '--plan', '-c', join(home.path, 'curlew.yaml')])
      expect(Array.from(`${stdout}${stderr}`.matchAll(/list (\S+): not allowed/g), ([, path]) => path).filter((path) => path !== '/api/v1/secrets')).toEqual([])
      expect(stdout).toContain(`Service shop${mark}/redis, annotation curlew.dev/probe`)
    } finally {
      home.remove()
    }
  }, 30_000)

  it.each([
    'list services -A', 'list nodes', 'get nodes --subresource=healthz', 'get /readyz/etcd', 'get /livez', 'get /metrics/slis',
    'list endpointslices.discovery.k8s.io -n kube-system', 'watch configmaps/coredns -n kube-system', 'list endpointslices.discovery.k8s.io -n default', 'list services/kubernetes -n default',
    'watch apiservices.apiregistration.k8s.io', 'get customresourcedefinitions.apiextensions.k8s.io', 'list validatingwebhookconfigurations.admissionregistration.k8s.io',
    'create leases.coordination.k8s.io -n CURLEW', 'update leases.coordination.k8s.io/curlew -n CURLEW', 'patch configmaps/curlew-node-addresses -n CURLEW',
  ])('may %s', async (asked) => {
    expect(await may(...asked.replace('CURLEW', `curlew${mark}`).split(' '))).toBe('yes')
  })

  it.each([
    'list secrets -A', 'get secrets -n CURLEW', 'list ingresses.networking.k8s.io -A', 'get nodes --subresource=proxy', 'list pods -A', 'create pods --subresource=exec -n CURLEW', 'get /metrics', 'list configmaps -n kube-system',
    'update leases.coordination.k8s.io/another -n CURLEW', 'delete leases.coordination.k8s.io/curlew -n CURLEW', 'patch configmaps/curlew -n CURLEW', 'create deployments.apps -A',
  ])('may not %s', async (asked) => {
    expect(await may(...asked.replace('CURLEW', `curlew${mark}`).split(' '))).toBe('no')
  })
})
