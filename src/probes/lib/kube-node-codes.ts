import type { CodeSpec } from '../../core/probe.ts'
import type { Failure } from '../../core/result.ts'
import type { NodeFacts } from './kube-node-facts.ts'
import type { Kubelet } from './kube-node-kubelet.ts'

/** What a node can be found guilty of: what the API says of it and what its kubelet answers are two findings. */
export const KUBE_NODE_CODES = {
  kube_node_missing: { layer: 'resolve', reason: 'not_found', en: 'The API knows no node of this name: it was deleted, or never joined.', zh: 'API 中不存在该节点：已被删除或从未加入集群。' },
  kube_node_address_changed: { layer: 'assert', reason: 'mismatch', en: 'The node has another internal address than before: certificates, etcd members, mounts and firewall rules name the old one.', zh: '节点的内部地址已改变：证书、etcd 成员、挂载与防火墙规则仍使用旧地址。' },
  kube_node_lost: { layer: 'network', reason: 'timeout', en: 'The API calls the node not ready and its kubelet does not answer: the machine is off, or cut off from the network.', zh: 'API 认为节点未就绪，且其 kubelet 无应答：机器已关机或网络中断。' },
  kube_node_frozen: { layer: 'request', reason: 'hung', en: 'The kernel of the node accepts connections, but its kubelet does not answer them: the machine is frozen or short of memory, CPU or disk; look at its console.', zh: '节点内核可建立连接，但 kubelet 不应答：机器可能卡死，或内存、CPU、磁盘不足；请查看其控制台。' },
  kube_node_kubelet_down: { layer: 'connect', reason: 'refused', en: 'The machine is up, but no kubelet listens on it: look at systemctl status kubelet.', zh: '机器在线，但没有 kubelet 在监听：请检查 systemctl status kubelet。' },
  kube_node_kubelet_silent: { layer: 'connect', reason: 'timeout', en: 'The API calls the node ready, but packets to its kubelet are dropped: a firewall or network policy stands between, or the machine is gone since a moment; kubelet: false leaves the kubelet out.', zh: 'API 认为节点就绪，但发往 kubelet 的数据包被丢弃：中间有防火墙或网络策略，或机器刚刚失联；设置 kubelet: false 可不检查 kubelet。' },
  kube_node_kubelet_protocol: { layer: 'request', reason: 'protocol', en: 'What listens on the port of the kubelet does not answer as a kubelet.', zh: 'kubelet 端口上的服务应答不符合 kubelet 协议。' },
  kube_node_kubelet_unhealthy: { layer: 'request', reason: 'unavailable', en: 'The kubelet itself says that it is not well: look at its log.', zh: 'kubelet 自身健康检查失败：请查看其日志。' },
  kube_node_heartbeat_lost: { layer: 'request', reason: 'stale', en: 'The API hears nothing of the node any more (Ready is Unknown): look at the way of the kubelet to the API, at its client certificate and at its log.', zh: 'API 已收不到该节点的心跳（Ready 为 Unknown）：请检查 kubelet 到 API 的网络、其客户端证书与日志。' },
  kube_node_not_ready: { layer: 'request', reason: 'unavailable', en: 'The kubelet reports that the node is not ready: the message has its reason, most often the container runtime or the network plugin.', zh: 'kubelet 报告节点未就绪：原因见消息，多为容器运行时或网络插件问题。' },
  kube_node_no_network: { layer: 'network', reason: 'unavailable', en: 'The node says that its pod network is not set up (NetworkUnavailable): look at the pod of the network plugin on it.', zh: '节点报告 Pod 网络未配置（NetworkUnavailable）：请检查该节点上的网络插件 Pod。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type KubeNodeCode = keyof typeof KUBE_NODE_CODES

/** A code of this type, or a shared one that the kubelet has failed with. */
export type Finding = Pick<Failure, 'code' | 'message'>

/** What is wrong with a node whose address is as it was, the gravest first; undefined where nothing is. `kubelet` is undefined where it was not asked. */
export function findingOf({ ready, conditions }: Pick<NodeFacts, 'ready' | 'conditions'>, kubelet: Pick<Kubelet, 'failure' | 'healthz'> | undefined): Finding | undefined {
  const failure = kubelet?.failure
  const api = `the API says Ready ${ready.status} (${ready.said})`
  if (failure) {
    const both = `${api}; the kubelet: ${failure.message}`
    const found = (code: KubeNodeCode): Finding => ({ code, message: both })
    if (failure.reason === 'refused') return found('kube_node_kubelet_down')
    if (failure.reason === 'timeout' && failure.layer !== 'connect') return found('kube_node_frozen')
    if (ready.status !== 'True' && (failure.reason === 'timeout' || failure.reason === 'unreachable')) return found('kube_node_lost')
    if (failure.reason === 'timeout') return found('kube_node_kubelet_silent')
    if (ready.status === 'True') return { code: failure.code, message: both }
  }
  const health = kubelet?.healthz
  const answers = health ? `; the kubelet answers ${health.said}` : failure ? `; the kubelet: ${failure.message}` : ''
  if (ready.status === 'Unknown') return { code: 'kube_node_heartbeat_lost', message: `${api}${answers}` }
  if (ready.status === 'False') return { code: 'kube_node_not_ready', message: `${api}${answers}` }
  if (health && !health.ok) return { code: 'kube_node_kubelet_unhealthy', message: `its /healthz answers ${health.said}` }
  const network = conditions.get('NetworkUnavailable')
  return network?.is === true ? { code: 'kube_node_no_network', message: network.said } : undefined
}
