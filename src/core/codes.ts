import type { Layer, Reason } from './result.ts'

/**
 * What a failure code means. The layer is that of the phase it happened in unless `layer` moves it.
 * `en` and `zh` say in one sentence what is wrong and where to look first.
 */
export interface CodeSpec {
  readonly layer?: Layer
  readonly reason: Reason
  readonly en: string
  readonly zh: string
  /** The target sent something that no code of the type stands for: counted, so that it gets a code. */
  readonly unmapped?: true
}

/** Codes that any probe type may fail with, whatever it speaks. */
export const SHARED_CODES = {
  resolve_not_found: { layer: 'resolve', reason: 'not_found', en: 'The name does not exist in DNS.', zh: 'DNS 中不存在该域名。' },
  resolve_timeout: { layer: 'resolve', reason: 'timeout', en: 'No name server answered for the name.', zh: '没有任何 DNS 服务器应答该域名的查询。' },
  resolve_other: { layer: 'resolve', reason: 'other', en: 'The name servers answered with an error.', zh: 'DNS 服务器返回了错误。' },
  network_unreachable: { layer: 'network', reason: 'unreachable', en: 'There is no route to the host, or it is down.', zh: '没有到达该主机的路由，或主机已宕机。' },
  connect_refused: { layer: 'connect', reason: 'refused', en: 'The host is up, but nothing listens on the port.', zh: '主机在线，但该端口没有进程监听。' },
  connect_timeout: { layer: 'connect', reason: 'timeout', en: 'Packets to the port are dropped, or the host is gone: look for a firewall rule.', zh: '发往该端口的数据包被丢弃或主机不可达：请检查防火墙规则。' },
  connect_reset: { layer: 'connect', reason: 'reset', en: 'The connection was reset as soon as it was made.', zh: '连接刚建立就被重置。' },
  tls_timeout: { layer: 'tls', reason: 'timeout', en: 'The port accepts connections but does not answer the TLS handshake.', zh: '端口可连接，但不响应 TLS 握手。' },
  tls_reset: { layer: 'tls', reason: 'reset', en: 'The connection was reset during the TLS handshake.', zh: 'TLS 握手期间连接被重置。' },
  tls_expired: { layer: 'tls', reason: 'expired', en: 'A certificate of the chain has expired: renew it.', zh: '证书链中有证书已过期：请续期。' },
  tls_not_yet_valid: { layer: 'tls', reason: 'expired', en: 'A certificate of the chain is not valid yet: compare the clocks.', zh: '证书链中有证书尚未生效：请核对时钟。' },
  tls_wrong_host: { layer: 'tls', reason: 'mismatch', en: 'The certificate is for other host names.', zh: '证书与主机名不匹配。' },
  tls_unknown_ca: { layer: 'tls', reason: 'untrusted', en: 'The certificate is signed by an authority that is not trusted here: set ca_file.', zh: '证书由未受信任的 CA 签发：请设置 ca_file。' },
  tls_self_signed: { layer: 'tls', reason: 'untrusted', en: 'The certificate is self-signed.', zh: '证书是自签名的。' },
  tls_missing_intermediate: { layer: 'tls', reason: 'untrusted', en: 'The server does not send the intermediate certificate.', zh: '服务器没有发送中间证书。' },
  tls_bad_chain: { layer: 'tls', reason: 'untrusted', en: 'A certificate of the chain may not be used for this: its purpose, its constraints or its signature forbid it.', zh: '证书链中有证书不允许用于此用途：用途、约束或签名不符。' },
  tls_client_cert_required: { layer: 'tls', reason: 'denied', en: 'The server wants a client certificate: set cert_file and key_file.', zh: '服务器要求客户端证书：请设置 cert_file 与 key_file。' },
  tls_client_cert_refused: { layer: 'tls', reason: 'denied', en: 'The server does not accept the client certificate, or the lack of one: check cert_file and key_file.', zh: '服务器不接受客户端证书或未收到证书：请检查 cert_file 与 key_file。' },
  tls_plain_port: { layer: 'tls', reason: 'protocol', en: 'The port does not speak TLS.', zh: '该端口不使用 TLS。' },
  tls_old_version: { layer: 'tls', reason: 'protocol', en: 'The server speaks only TLS versions that are too old.', zh: '服务器仅支持过旧的 TLS 版本。' },
  tls_other: { layer: 'tls', reason: 'other', en: 'The TLS handshake failed.', zh: 'TLS 握手失败。', unmapped: true },
  auth_timeout: { layer: 'auth', reason: 'timeout', en: 'The server does not answer the login.', zh: '服务器不响应登录请求。' },
  auth_reset: { layer: 'auth', reason: 'reset', en: 'The server closed the connection during the login.', zh: '登录过程中服务器断开了连接。' },
  request_timeout: { layer: 'request', reason: 'timeout', en: 'The answer does not come in time, though nothing before it failed.', zh: '此前一切正常，但未能按时收到应答。' },
  request_reset: { layer: 'request', reason: 'reset', en: 'The server closed the connection before it answered.', zh: '服务器在应答前断开了连接。' },
  network_timeout: { layer: 'network', reason: 'timeout', en: 'The host does not answer at all.', zh: '主机完全没有应答。' },
  limit_exceeded: { layer: 'assert', reason: 'mismatch', en: 'A level is beyond its limit, and fail_on names it.', zh: '指标超出阈值，且 fail_on 包含该指标。' },
  prober_aborted: { layer: 'prober', reason: 'other', en: 'Curlew stopped the run itself.', zh: 'Curlew 自行中止了本次探测。' },
  prober_starved: { layer: 'prober', reason: 'starved', en: 'Curlew was too busy or paused to measure: give it CPU.', zh: 'Curlew 过于繁忙或被暂停，无法测量：请增加 CPU。' },
  prober_no_files: { layer: 'prober', reason: 'overloaded', en: 'Curlew ran out of file descriptors: raise the nofile limit.', zh: 'Curlew 的文件描述符耗尽：请提高 nofile 限制。' },
  prober_no_memory: { layer: 'prober', reason: 'overloaded', en: 'The machine that runs Curlew is out of memory or buffers.', zh: '运行 Curlew 的机器内存或缓冲区不足。' },
  prober_no_ports: { layer: 'prober', reason: 'overloaded', en: 'The machine that runs Curlew has no local address or port left.', zh: '运行 Curlew 的机器没有可用的本地地址或端口。' },
  prober_denied: { layer: 'prober', reason: 'denied', en: 'The machine that runs Curlew does not let it do this.', zh: '运行 Curlew 的机器不允许此操作。' },
  prober_no_entry: { layer: 'prober', reason: 'denied', en: 'What an object in Kubernetes names leads to loopback, link-local or cloud metadata, where Curlew does not go for others: put it under probes of the config if it is meant.', zh: 'Kubernetes 对象所指的地址是回环、链路本地或云元数据地址，Curlew 不会代他人访问：如确有需要，请写入配置的 probes。' },
  prober_no_network: { layer: 'prober', reason: 'unreachable', en: 'The machine that runs Curlew has no network.', zh: '运行 Curlew 的机器没有可用网络。' },
  prober_no_credentials: { layer: 'prober', reason: 'denied', en: 'Curlew found this by itself and has no login for it: add it to the config with its password.', zh: '该目标由 Curlew 自动发现，但没有登录凭据：请在配置中添加该目标及其密码。' },
  prober_children: { layer: 'prober', reason: 'overloaded', en: 'Curlew already has as many helper processes as it may: most of them wait on hung mounts.', zh: 'Curlew 的辅助进程已达上限：其中大多数正等待挂起的挂载点。' },
  prober_worker_lost: { layer: 'prober', reason: 'other', en: 'A helper process of Curlew ended in the middle of its work: look for the OOM killer.', zh: 'Curlew 的辅助进程在工作中意外结束：请检查 OOM killer。' },
  prober_bug: { layer: 'prober', reason: 'other', en: 'An error inside Curlew: please report it.', zh: 'Curlew 内部错误：请提交问题报告。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type SharedCode = keyof typeof SHARED_CODES
