import type { CodeSpec } from '../../core/probe.ts'

export type LegName = 'pod' | 'service' | 'ingress'

interface Fault extends Pick<CodeSpec, 'reason'> {
  readonly layer: NonNullable<CodeSpec['layer']>
  readonly en: string
  readonly zh: string
}

/** What can be wrong with any leg. What the name or TLS is at fault for keeps the shared code. */
const FAULTS = {
  refused: { layer: 'connect', reason: 'refused', en: 'refuses the connection', zh: '拒绝连接' },
  timeout: { layer: 'connect', reason: 'timeout', en: 'does not answer when connected to', zh: '不应答连接请求' },
  unreachable: { layer: 'network', reason: 'unreachable', en: 'cannot be reached', zh: '网络不可达' },
  silent: { layer: 'request', reason: 'timeout', en: 'takes the request and does not answer', zh: '接受请求后没有应答' },
  reset: { layer: 'request', reason: 'reset', en: 'ends the connection before its answer is complete', zh: '在应答完成前断开连接' },
  protocol: { layer: 'request', reason: 'protocol', en: 'does not answer in HTTP', zh: '应答不是合法的 HTTP' },
  status: { layer: 'assert', reason: 'mismatch', en: 'answers with another status than expected', zh: '返回的状态码与预期不符' },
} as const satisfies Readonly<Record<string, Fault>>

export type FaultName = keyof typeof FAULTS

function codesOf<const L extends LegName>(leg: L, en: { readonly who: string, readonly look: string }, zh: { readonly who: string, readonly look: string }): Readonly<Record<`kube_path_${L}_${FaultName}`, CodeSpec>> {
  const entries = Object.entries(FAULTS).map(([name, fault]) => [`kube_path_${leg}_${name}`, {
    layer: fault.layer, reason: fault.reason, en: `${en.who} ${fault.en}: look at ${en.look}.`, zh: `${zh.who}${fault.zh}：请检查${zh.look}。`,
  }])
  return Object.fromEntries(entries) as Readonly<Record<`kube_path_${L}_${FaultName}`, CodeSpec>> // safe: one entry for each name in FAULTS
}

export const KUBE_PATH_CODES = {
  ...codesOf('pod', { who: 'Every pod', look: 'the application, its log and what it depends on' }, { who: '所有 Pod 均', look: '应用、其日志及其依赖' }),
  ...codesOf('service', { who: 'The Service', look: 'its ready endpoints, its port, kube-proxy and NetworkPolicies' }, { who: 'Service ', look: '其就绪端点、端口、kube-proxy 与 NetworkPolicy' }),
  ...codesOf('ingress', { who: 'The ingress', look: 'the ingress controller, its load balancer and its rule' }, { who: 'Ingress ', look: 'Ingress 控制器、其负载均衡与规则' }),
  kube_path_no_rule: { layer: 'request', reason: 'not_found', en: 'The ingress answers 404: it has no rule for this host and path, has not loaded it, or the application has no such page.', zh: 'Ingress 返回 404：没有匹配该主机与路径的规则、规则尚未加载，或应用没有该页面。' },
  kube_path_no_backend: { layer: 'request', reason: 'unavailable', en: 'The ingress answers 503: it knows no endpoint of the Service that is ready; look at what its controller logs.', zh: 'Ingress 返回 503：它没有该 Service 的就绪端点；请查看其控制器日志。' },
  kube_path_bad_gateway: { layer: 'request', reason: 'unavailable', en: 'The ingress answers that it cannot reach the pods: look at NetworkPolicies between it and them, and at the port and protocol of its backend.', zh: 'Ingress 表示无法访问 Pod：请检查二者之间的 NetworkPolicy 以及后端端口与协议。' },
  http_protocol: { layer: 'request', reason: 'protocol', en: 'The answer is not proper HTTP/1.', zh: '响应不是合法的 HTTP/1。' },
  http_truncated: { layer: 'request', reason: 'reset', en: 'The connection ended in the middle of the answer.', zh: '响应尚未传完连接就断开了。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type PathCode = keyof typeof KUBE_PATH_CODES
