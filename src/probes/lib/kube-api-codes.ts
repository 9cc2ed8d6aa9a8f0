import type { CodeSpec } from '../../core/codes.ts'

/** What an API server may say that is no good. A login that it refuses is ours: the server lives, and nobody can say more. So is a proxy that does not let Curlew through. */
export const KUBE_API_CODES = {
  kube_api_not_live: { layer: 'request', reason: 'unavailable', en: 'The API server says that it does not live (/livez): look at its log; the kubelet restarts it.', zh: 'API server 自报不存活（/livez）：请查看其日志，kubelet 会将其重启。' },
  kube_api_not_ready: { layer: 'request', reason: 'unavailable', en: 'The API server lives but is not ready (/readyz): look at the checks that fail.', zh: 'API server 存活但未就绪（/readyz）：请查看失败的检查项。' },
  kube_api_etcd_down: { layer: 'request', reason: 'unavailable', en: 'The API server cannot use its etcd: look at etcd, its disk and its certificates first.', zh: 'API server 无法使用其 etcd：请先检查 etcd 及其磁盘与证书。' },
  kube_api_overloaded: { layer: 'request', reason: 'overloaded', en: 'The API server turns requests away because it has too many (429): find the client that sends them.', zh: 'API server 请求过多，正在拒绝请求（429）：请找出发送大量请求的客户端。' },
  kube_api_gateway: { layer: 'request', reason: 'unavailable', en: 'What answers is a load balancer that has no API server behind it (502, 503, 504).', zh: '应答的是负载均衡器，其后没有可用的 API server（502、503、504）。' },
  kube_api_not_kubernetes: { layer: 'request', reason: 'protocol', en: 'A web server answers, but no Kubernetes API (1.16 or newer): look at the address.', zh: '应答的是 Web 服务，但不是 Kubernetes API（1.16 及以上）：请检查地址。' },
  kube_api_protocol: { layer: 'request', reason: 'protocol', en: 'What answers over TLS is not HTTP/1.1: look at what listens on the port.', zh: 'TLS 之上的应答不是 HTTP/1.1：请检查该端口上监听的服务。' },
  kube_api_login_refused: { layer: 'prober', reason: 'denied', en: 'The API server answers, but refuses the login of Curlew, or one is needed: anonymous requests are off. Give it a token or a kubeconfig.', zh: 'API server 有应答，但拒绝了 Curlew 的登录，或已关闭匿名请求：请配置令牌或 kubeconfig。' },
  kube_api_proxy: { layer: 'prober', reason: 'unreachable', en: 'The proxy that the kubeconfig names (proxy-url) does not let Curlew through to the API server, so nothing is known of it.', zh: 'kubeconfig 指定的代理（proxy-url）未能让 Curlew 连到 API server，因此无法判断其状态。' },
  kube_api_proxy_failed: { layer: 'connect', reason: 'unavailable', en: 'The proxy that the kubeconfig names (proxy-url) says that it cannot reach the API server.', zh: 'kubeconfig 指定的代理（proxy-url）表示无法连接 API server。' },
  kube_api_proxy_unsupported: { layer: 'prober', reason: 'unsupported', en: 'The API server is behind a proxy that this probe cannot go through (proxy-url): it knows those of HTTP, not SOCKS.', zh: 'API server 位于此探测不支持的代理之后（proxy-url）：支持 HTTP 代理，不支持 SOCKS。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type KubeApiCode = keyof typeof KUBE_API_CODES
