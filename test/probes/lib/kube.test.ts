import { describe, expect, it } from 'vitest'
import { KUBE_TROUBLES, KubeError, type KubeCall, type KubeClient, type KubeTrouble } from '../../../src/kubernetes/model.ts'
import { probeTypes } from '../../../src/probes/index.ts'
import { KUBE_CODES, KubeFailure, kubeApi, permissionOf } from '../../../src/probes/lib/kube.ts'

const clientOf = (json: KubeClient['json'], rest: Partial<KubeClient> = {}): KubeClient => ({
  cluster: 'test',
  server: () => Promise.resolve('https://10.0.0.1:6443'),
  namespace: () => Promise.resolve('monitoring'),
  json,
  text: () => Promise.reject(new Error('not asked')),
  list: () => Promise.reject(new Error('not asked')),
  credentials: () => Promise.reject(new Error('not asked')),
  close: () => {},
  ...rest,
})
const run = (ms = 2_000) => ({ signal: new AbortController().signal, deadline: performance.now() + ms })
const refusing = (trouble: KubeTrouble) => kubeApi({}, run(), () => clientOf(() => Promise.reject(new KubeError(trouble, 'said so'))))

describe('types that ask a cluster', () => {
  const types = probeTypes.filter(({ options }) => 'kubeconfig' in options.shape)

  it.each(types)('$type loads its client before a run, and lets go of it with the job', ({ load, release }) => {
    expect([load, release]).toEqual([expect.any(Function), expect.any(Function)])
  })

  it('loads nothing for a server that is asked with files of its own', () => {
    const { load } = types.find(({ type }) => type === 'kube-api')!
    expect(load?.({} as never)).toBeUndefined()
  })
})

describe('the API as a run asks it', () => {
  it.each(KUBE_TROUBLES)('takes %s for trouble of ours', async (trouble) => {
    const failure: unknown = await (await refusing(trouble)).json({ path: '/api/v1/nodes/a' }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(KubeFailure)
    const { code } = failure as KubeFailure
    expect(KUBE_CODES[code as keyof typeof KUBE_CODES].layer).toBe('prober')
  })

  it('says which right is missing', async () => {
    await expect((await refusing('forbidden')).json({ path: '/api/v1/nodes/a' })).rejects.toThrow('lacks the right to get nodes: said so')
  })

  it('finds nothing where the API says so, and throws the rest', async () => {
    const nothing = new KubeError('not_found', 'nodes "a" not found', { status: 404, reason: 'NotFound' })
    expect(await (await kubeApi({}, run(), () => clientOf(() => Promise.reject(nothing)))).find({ path: '/api/v1/nodes/a' })).toBeUndefined()
    // What stands in the API's place, or a path that is not the API's: nothing is known of the object.
    await expect((await refusing('not_found')).find({ path: '/api/v1/nodes/a' })).rejects.toMatchObject({ code: 'kube_not_served' })
    await expect((await refusing('server')).find({ path: '/api/v1/nodes/a' })).rejects.toMatchObject({ code: 'kube_unavailable' })
  })

  it('gives every call less time than the run has', async () => {
    const calls: KubeCall[] = []
    const api = await kubeApi({}, run(1_000), () => clientOf((call) => {
      calls.push(call)
      return Promise.resolve({})
    }))
    await api.json({ path: '/a', timeoutMs: 200 })
    await api.json({ path: '/a' })
    expect(calls[0]?.timeoutMs).toBe(200)
    expect(calls[1]?.timeoutMs).toBeLessThanOrEqual(900)
  })

  it('ends a list that hangs as a timeout of the API', async () => {
    const api = await kubeApi({}, run(150), () => clientOf(() => Promise.reject(new Error('not asked')), {
      list: (_selection, _project, signal) => new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new KubeError('timeout', 'aborted')))),
    }))
    await expect(api.list({ path: '/api/v1/nodes' }, () => undefined)).rejects.toMatchObject({ code: 'kube_timeout' })
  })

  it('ends credentials that a plugin does not bring as a timeout, too', async () => {
    const api = await kubeApi({}, run(150), () => clientOf(() => Promise.reject(new Error('not asked')), { credentials: () => new Promise(() => {}) }))
    await expect(api.credentials()).rejects.toMatchObject({ code: 'kube_timeout' })
  })

  it.each([
    ['/api/v1/nodes/a', undefined, 'get nodes'],
    ['/api/v1/nodes?limit=500', undefined, 'list nodes'],
    ['/api/v1/nodes?watch=true', undefined, 'watch nodes'],
    ['/api/v1/namespaces', undefined, 'list namespaces'],
    ['/api/v1/namespaces/shop', undefined, 'get namespaces'],
    ['/api/v1/namespaces/shop/configmaps/a', 'PATCH', 'patch configmaps in namespace shop'],
    ['/api/v1/namespaces/shop/configmaps', 'POST', 'create configmaps in namespace shop'],
    ['/apis/discovery.k8s.io/v1/endpointslices', undefined, 'list endpointslices.discovery.k8s.io'],
    ['/apis/coordination.k8s.io/v1/namespaces/a/leases/b', 'PUT', 'update leases.coordination.k8s.io in namespace a'],
    ['/api/v1/nodes/a/proxy/healthz', undefined, 'get nodes/proxy/healthz'],
    ['/readyz/etcd', undefined, 'get /readyz/etcd'],
  ] as const)('names the right for %s', (path, method, right) => {
    expect(permissionOf({ path, ...(method === undefined ? {} : { method }) })).toBe(right)
  })
})
