import { LAYERS as LAYER_NAMES, REASONS as REASON_NAMES, type Failure, type Layer, type Reason } from '../core/result.ts'
import type { Language } from './language.ts'

/** Layers and reasons in words, for codes that are not known here. */
const LAYERS: Readonly<Record<Layer, { readonly en: string, readonly zh: string }>> = {
  prober: { en: 'Curlew itself', zh: 'Curlew 自身' },
  resolve: { en: 'the look-up of the name', zh: '域名解析' },
  network: { en: 'the network', zh: '网络' },
  connect: { en: 'the connection', zh: '连接' },
  tls: { en: 'TLS', zh: 'TLS' },
  auth: { en: 'the login', zh: '登录' },
  request: { en: 'the request', zh: '请求' },
  assert: { en: 'the answer', zh: '应答内容' },
}

const REASONS: Readonly<Record<Reason, { readonly en: string, readonly zh: string }>> = {
  timeout: { en: 'timed out', zh: '超时' },
  not_found: { en: 'found nothing', zh: '未找到' },
  refused: { en: 'was refused', zh: '被拒绝' },
  unreachable: { en: 'does not reach the target', zh: '无法到达目标' },
  reset: { en: 'was cut off', zh: '被中断' },
  denied: { en: 'was denied', zh: '未获授权' },
  untrusted: { en: 'is not to be trusted', zh: '不受信任' },
  protocol: { en: 'speaks another protocol', zh: '协议不符' },
  mismatch: { en: 'is not what was expected', zh: '与预期不符' },
  expired: { en: 'has expired, or is not valid yet', zh: '已过期或尚未生效' },
  stale: { en: 'is stale', zh: '已失效' },
  full: { en: 'found no room', zh: '空间已满' },
  overloaded: { en: 'met an overload', zh: '过载' },
  unavailable: { en: 'is not available just now', zh: '暂不可用' },
  read_only: { en: 'met something that is read-only', zh: '目标为只读' },
  loading: { en: 'came while the server was loading', zh: '服务器仍在加载' },
  hung: { en: 'hangs', zh: '挂起' },
  unsupported: { en: 'is not supported', zh: '不受支持' },
  starved: { en: 'had no CPU', zh: '缺少 CPU' },
  other: { en: 'failed', zh: '失败' },
}

/** What a pair means, as a sentence. */
export function pairSentence({ layer, reason }: Pick<Failure, 'layer' | 'reason'>, language: Language): string {
  const [where, what] = [LAYERS[layer][language], REASONS[reason][language]]
  return language === 'zh' ? `${where}${what}。` : `${where[0]?.toUpperCase() ?? ''}${where.slice(1)} ${what}.`
}

/** The name of a layer for a person; that of another Curlew which is not known here stays as it is. */
export function layerName(layer: string, language: Language): string {
  const known = LAYER_NAMES.find((name) => name === layer)
  return language === 'zh' && known ? LAYERS[known].zh : layer
}

/** Layer and reason in as few words as a title has room for: `connect refused`. */
export function pairWords(layer: string, reason: string, language: Language): string {
  const known = REASON_NAMES.find((name) => name === reason)
  if (language === 'zh' && known) return `${layerName(layer, language)}${REASONS[known].zh}`
  return `${layer} ${reason.replaceAll('_', ' ')}`
}
