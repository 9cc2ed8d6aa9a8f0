import { z } from 'zod'
import { ProbeFailure, type CodeSpec, type ProbeContext } from '../../core/probe.ts'
import { orAbort } from '../../core/run.ts'
import { taintPassing } from '../../core/secrets.ts'
import { KubeError, type ClusterAccess, type Credentials, type KubeCall, type KubeClient, type KubeTrouble, type Project, type Selection } from '../../kubernetes/model.ts'
import { loader } from './loader.ts'

/** A call gives up so long before the run does: then it is the API that is blamed, as unknown, and not the target. */
const MARGIN_MS = 100

/** Options that every probe type which asks a cluster spreads into its own; `checkKube` belongs to them. */
export const kubeFields = {
  kubeconfig: z.string().min(1).describe('file that says how the API is reached; the ServiceAccount of the pod that Curlew runs in unless given').optional(),
  context: z.string().min(1).describe('of the kubeconfig; its current context unless given').optional(),
}

export type KubeOptions = z.output<z.ZodObject<typeof kubeFields>>

/** For `superRefine` of a type's options. */
export function checkKube({ kubeconfig, context }: KubeOptions, refinement: Pick<z.RefinementCtx, 'addIssue'>): void {
  if (context !== undefined && kubeconfig === undefined) refinement.addIssue({ code: 'custom', path: ['context'], message: 'expected a kubeconfig beside it', input: context })
}

/**
 * What keeps Curlew from asking the API. All of them are ours, so the result is `unknown`: what the API does not say is
 * no fault of the target. A type that probes the API itself talks to it in its own way, and fails.
 */
export const KUBE_CODES = {
  kube_config: { layer: 'prober', reason: 'not_found', en: 'Curlew does not know how to reach the Kubernetes API: give kubeconfig, or run it in a pod with a ServiceAccount token.', zh: 'Curlew 不知道如何访问 Kubernetes API：请设置 kubeconfig，或在带有 ServiceAccount 令牌的 Pod 中运行。' },
  kube_unreachable: { layer: 'prober', reason: 'unreachable', en: 'The Kubernetes API cannot be reached from Curlew, so nothing is known of the target.', zh: 'Curlew 无法连接 Kubernetes API，因此无法判断目标状态。' },
  kube_timeout: { layer: 'prober', reason: 'timeout', en: 'The Kubernetes API does not answer Curlew in time, so nothing is known of the target.', zh: 'Kubernetes API 未能按时应答 Curlew，因此无法判断目标状态。' },
  kube_tls: { layer: 'prober', reason: 'untrusted', en: 'The certificate of the Kubernetes API is not one that Curlew trusts: look at the authority in the kubeconfig.', zh: 'Curlew 不信任 Kubernetes API 的证书：请检查 kubeconfig 中的 CA。' },
  kube_unauthorized: { layer: 'prober', reason: 'denied', en: 'Curlew has no login that the Kubernetes API accepts: the token or client certificate has expired or is not known, or the credential plugin of the kubeconfig fails or does not answer.', zh: 'Curlew 没有 Kubernetes API 接受的登录凭据：令牌或客户端证书已过期或不被识别，或 kubeconfig 的凭据插件失败或无应答。' },
  kube_forbidden: { layer: 'prober', reason: 'denied', en: 'The role of Curlew does not allow what it has to ask the Kubernetes API: the message names the verb and the resource.', zh: 'Curlew 的角色不允许其所需的 Kubernetes API 请求：消息中列出了缺少的动词与资源。' },
  kube_not_served: { layer: 'prober', reason: 'unsupported', en: 'The Kubernetes API does not know what Curlew asks for: its version is too old or too new for it.', zh: 'Kubernetes API 不提供 Curlew 请求的资源：其版本过旧或过新。' },
  kube_overloaded: { layer: 'prober', reason: 'overloaded', en: 'The Kubernetes API has no time for Curlew (429, or what it read has changed beneath it), so nothing is known of the target.', zh: 'Kubernetes API 过载或数据已变化，拒绝了 Curlew 的请求，因此无法判断目标状态。' },
  kube_unavailable: { layer: 'prober', reason: 'unavailable', en: 'The Kubernetes API answers with an error of its own, so nothing is known of the target.', zh: 'Kubernetes API 返回了自身错误，因此无法判断目标状态。' },
  kube_protocol: { layer: 'prober', reason: 'protocol', en: 'What answers in place of the Kubernetes API does not speak its language: look for a proxy between.', zh: '应答方的响应不符合 Kubernetes API 格式：请检查中间代理。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type KubeCode = keyof typeof KUBE_CODES

const CODE_OF: Readonly<Record<KubeTrouble, KubeCode>> = {
  config: 'kube_config', unreachable: 'kube_unreachable', timeout: 'kube_timeout', tls: 'kube_tls', unauthorized: 'kube_unauthorized', forbidden: 'kube_forbidden',
  not_found: 'kube_not_served', gone: 'kube_overloaded', conflict: 'kube_overloaded', throttled: 'kube_overloaded', server: 'kube_unavailable', protocol: 'kube_protocol',
}

/** A call that came to nothing, with its code; `trouble` for callers to whom a 404 or a conflict is an answer. */
export class KubeFailure extends ProbeFailure {
  readonly trouble: KubeTrouble
  /** Of the API's own Status, where there is one. */
  readonly said: string | undefined

  constructor(trouble: KubeTrouble, message: string, said?: string) {
    super(CODE_OF[trouble], message)
    this.trouble = trouble
    this.said = said
  }
}

/** The API as a run asks it: bounded by the run, and what goes wrong is a KubeFailure. */
export interface KubeApi {
  /** The JSON of a 2xx answer. */
  json(call: KubeCall): Promise<unknown>
  /** The same, or undefined where the API says that there is no such object. Any other 404, of a proxy or of a wrong path to the API, says nothing of it. */
  find(call: KubeCall): Promise<unknown>
  /** Any answer that came, whatever its status. */
  text(call: KubeCall): Promise<{ readonly status: number, readonly text: string }>
  list<T>(selection: Selection, project: Project<T>): Promise<readonly T[]>
  server(): Promise<string>
  namespace(): Promise<string>
  credentials(): Promise<Credentials>
}

const client = loader(() => import('../../kubernetes/client.ts'))

/** For `load` of a declaration: what a call takes, so that no run pays for it. */
export const loadKube = loader(async () => {
  const { libraries } = await import('../../kubernetes/connection.ts')
  return await Promise.all([client(), libraries()])
})

/** The client of each job, by its options. What is the same access shares its connections beneath. */
const held = new WeakMap<KubeOptions, KubeClient>()

/** For `release` of a declaration: the connections end with the last job that uses them. */
export function releaseKube(options: KubeOptions): void {
  held.get(options)?.close()
  held.delete(options)
}

/**
 * The API that these options, of a job, lead to, until `releaseKube`. Its calls belong into a phase whose layer is `prober`.
 * `of`: another client, for tests.
 */
export async function kubeApi(options: KubeOptions, probe: Pick<ProbeContext, 'signal' | 'deadline'>, of?: (access: ClusterAccess) => KubeClient): Promise<KubeApi> {
  const open = of ?? (await client()).clusterClient
  // A run that was ended may get here when its job has been let go of.
  probe.signal.throwIfAborted()
  const { kubeconfig, context } = options
  const shared = held.get(options) ?? await explained('read how the API is reached', () => open({ name: context ?? kubeconfig ?? 'default', kubeconfig, context }))
  held.set(options, shared)
  const leftMs = () => Math.max(1, Math.floor(probe.deadline - performance.now() - MARGIN_MS))
  const bounded = (call: KubeCall): KubeCall => ({ ...call, signal: call.signal ?? probe.signal, timeoutMs: Math.min(call.timeoutMs ?? leftMs(), leftMs()) })
  const json = (call: KubeCall) => explained(permissionOf(call), () => shared.json(bounded(call)))
  /** What has no deadline of its own: a list of many pages, credentials that a plugin fetches. */
  const inTime = async <T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const late = AbortSignal.timeout(leftMs())
    const signal = AbortSignal.any([probe.signal, late])
    try {
      return await explained(what, () => orAbort(() => work(signal), signal))
    } catch (error) {
      throw late.aborted ? new KubeFailure('timeout', `${what}: no answer in the time of a run`) : error
    }
  }
  return {
    json,
    async find(call) {
      try {
        return await json(call)
      } catch (error) {
        if (error instanceof KubeFailure && error.said === 'NotFound') return undefined
        throw error
      }
    },
    text: (call) => explained(permissionOf(call), () => shared.text(bounded(call))),
    list: async (selection, project) => (await inTime(permissionOf({ path: selection.path }), (signal) => shared.list(selection, project, signal))).items,
    server: () => inTime('read how the API is reached', () => shared.server()),
    namespace: () => inTime('read how the API is reached', () => shared.namespace()),
    async credentials() {
      const credentials = await inTime('read the credentials', () => shared.credentials())
      // Whoever is shown the token may say it again.
      if (credentials.token !== undefined) taintPassing(credentials.token)
      return credentials
    },
  }
}

async function explained<T>(what: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    throw new KubeFailure(error.trouble, error.trouble === 'forbidden' ? `the role of Curlew lacks the right to ${what}: ${error.message}` : error.message, error.reason)
  }
}

/** What a role must allow for a call, as its rules name it: `get nodes`, `list endpointslices.discovery.k8s.io in namespace shop`. */
export function permissionOf({ path, method = 'GET' }: Pick<KubeCall, 'path' | 'method'>): string {
  const [plain = '', query = ''] = path.split('?')
  const [, group, namespace, resource, name, sub] = /^\/(?:api|apis\/([^/]+))\/[^/]+(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+)(?:\/(.+))?)?$/.exec(plain) ?? []
  if (resource === undefined) return `${method.toLowerCase()} ${plain}`
  const all = name === undefined ? (new URLSearchParams(query).has('watch') ? 'watch' : 'list') : 'get'
  const verb = { GET: all, POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }[method]
  return `${verb} ${resource}${sub === undefined ? '' : `/${sub}`}${group === undefined ? '' : `.${group}`}${namespace === undefined ? '' : ` in namespace ${namespace}`}`
}
