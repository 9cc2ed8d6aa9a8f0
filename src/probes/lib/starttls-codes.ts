import { ProbeFailure, type CodeSpec } from '../../core/probe.ts'

/** What can go wrong between the connection and the TLS handshake, for a type that spreads them into its own codes. */
export const STARTTLS_CODES = {
  starttls_unsupported: { layer: 'tls', reason: 'unsupported', en: 'The server does not offer STARTTLS: look at its TLS settings, and at whatever stands in between and may strip the offer.', zh: '服务器未提供 STARTTLS：请检查其 TLS 配置，以及途中可能剥离该能力的设备。' },
  starttls_overloaded: { layer: 'connect', reason: 'overloaded', en: 'The server turns new connections away because it is full or shutting down.', zh: '服务器已满或正在关闭，拒绝新连接。' },
  starttls_unavailable: { layer: 'tls', reason: 'unavailable', en: 'The server offers STARTTLS but cannot begin it just now: look for its key, its certificate and its log.', zh: '服务器提供 STARTTLS，但目前无法启用：请检查其密钥、证书与日志。' },
  starttls_denied: { layer: 'request', reason: 'denied', en: 'The server turns this client away before TLS begins: look at its access rules and its log.', zh: '服务器在 TLS 开始前就拒绝了该客户端：请检查其访问规则与日志。' },
  starttls_protocol: { layer: 'request', reason: 'protocol', en: 'The port does not speak the protocol that starttls names: check the port, and whether it speaks TLS from the start.', zh: '该端口使用的协议与 starttls 不符：请检查端口，以及它是否直接使用 TLS。' },
  starttls_injected: { layer: 'tls', reason: 'protocol', en: 'More than the answer to STARTTLS arrived before the handshake: what was sent unencrypted could be taken for encrypted. Look for somebody in between, or update the server.', zh: 'STARTTLS 应答之后、握手之前收到了多余的明文数据，可能被误认为加密内容：请检查途中的设备，或升级服务器。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type StarttlsCode = keyof typeof STARTTLS_CODES

/** Servers may send prose of any length; a message stays a line. */
const SHOWN = 120

/** A failure of one of the codes above; `said` is what the server sent, as it came. */
export function starttlsFailure(code: StarttlsCode, what: string, said?: Buffer | string): ProbeFailure {
  const text = said === undefined ? '' : said.toString('latin1').trimEnd()
  return new ProbeFailure(code, text === '' ? what : `${what}: ${JSON.stringify(text.slice(0, SHOWN))}`)
}

/** The failure for bytes that are not of the protocol; TLS from the start and HTTP are named. */
export function strange(bytes: Buffer, wanted: string): ProbeFailure {
  if (bytes[0] === 0x15 && bytes[1] === 0x03) return starttlsFailure('starttls_protocol', `expected ${wanted}, but the port speaks TLS from the start: leave out starttls`)
  return starttlsFailure('starttls_protocol', `expected ${wanted}, but the server sent`, bytes)
}
