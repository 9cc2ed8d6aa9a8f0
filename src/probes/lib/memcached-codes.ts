import { ProbeFailure, type CodeSpec } from '../../core/probe.ts'

/** What a memcached server (or whatever answers in its place) can be found guilty of. */
export const MEMCACHED_CODES = {
  memcached_too_many_connections: { layer: 'connect', reason: 'overloaded', en: 'memcached is at its connection limit (-c) and takes no new ones.', zh: 'memcached 已达到连接数上限（-c），不再接受新连接。' },
  memcached_unauthenticated: { layer: 'auth', reason: 'denied', en: 'memcached wants a login: set username and password for SASL; a server with an auth file (-Y) takes text logins only.', zh: 'memcached 要求认证：SASL 请设置 username 与 password；使用认证文件（-Y）的服务器只接受文本登录。' },
  memcached_wrong_password: { layer: 'auth', reason: 'denied', en: 'memcached refuses the SASL login: wrong user name (some want user@realm) or password.', zh: 'memcached 拒绝 SASL 登录：用户名（有时需要 user@realm）或密码错误。' },
  memcached_no_sasl: { layer: 'auth', reason: 'unsupported', en: 'A password is configured here, but memcached runs without SASL: look at what changed on the server.', zh: '此处配置了密码，但 memcached 未启用 SASL：请检查服务器端的变更。' },
  memcached_no_binary: { layer: 'request', reason: 'unsupported', en: 'The server answers in the text protocol only (-B ascii, or a proxy): probe it with mode read-only.', zh: '服务器只支持文本协议（-B ascii 或代理）：请用 mode: read-only 探测。' },
  memcached_out_of_memory: { layer: 'request', reason: 'overloaded', en: 'memcached has no memory left to store anything: it runs with -M, or a slab class got no page.', zh: 'memcached 没有可用于存储的内存：以 -M 运行，或某个 slab 未分到内存页。' },
  memcached_object_too_large: { layer: 'request', reason: 'other', en: 'memcached calls a value of 36 bytes too large: look at its item size limit (-I).', zh: 'memcached 认为 36 字节的值过大：请检查其 item 大小限制（-I）。' },
  memcached_temporary_failure: { layer: 'request', reason: 'overloaded', en: 'memcached, or the proxy in front of it, is too busy to answer.', zh: 'memcached 或其前端代理过于繁忙，无法应答。' },
  memcached_protocol: { layer: 'request', reason: 'protocol', en: 'Something that is not memcached answers on the port.', zh: '该端口上应答的不是 memcached。' },
  memcached_wrong_value: { layer: 'assert', reason: 'mismatch', en: 'memcached does not return what was stored a moment before.', zh: 'memcached 返回的内容与刚写入的不一致。' },
  memcached_other: { reason: 'other', en: 'memcached answered with an error that has no code of its own: see the message.', zh: 'memcached 返回了没有专属代码的错误：请查看消息。', unmapped: true },
} as const satisfies Readonly<Record<string, CodeSpec>>

export type MemcachedCode = keyof typeof MEMCACHED_CODES

const LONGEST_MESSAGE = 300

/** A failure of one of the codes above, with a message of bounded length. */
export function memcachedFailure(code: MemcachedCode, message: string): ProbeFailure {
  return new ProbeFailure(code, message.slice(0, LONGEST_MESSAGE))
}

/** Lines of memcached 1.4 to 1.6 by their beginning; the more special ones first. */
const BY_BEGINNING: readonly (readonly [string, MemcachedCode])[] = [
  ['ERROR Too many open connections', 'memcached_too_many_connections'],
  ['CLIENT_ERROR unauthenticated', 'memcached_unauthenticated'],
  ['CLIENT_ERROR authentication failure', 'memcached_unauthenticated'],
  ['SERVER_ERROR out of memory', 'memcached_out_of_memory'],
  ['SERVER_ERROR object too large', 'memcached_object_too_large'],
  ['ERROR', 'memcached_other'],
  ['CLIENT_ERROR', 'memcached_other'],
  ['SERVER_ERROR', 'memcached_other'],
]

/** The failure that a line of text stands for which is not the answer that was asked for. */
export function lineFailure(line: string): ProbeFailure {
  const code = BY_BEGINNING.find(([beginning]) => line.startsWith(beginning))?.[1]
  return code ? memcachedFailure(code, line) : memcachedFailure('memcached_protocol', `expected an answer of memcached, got ${JSON.stringify(line.slice(0, 60))}`)
}

/** Whether a line that is still incomplete can become an error line of memcached. */
export function mayBeErrorLine(start: string): boolean {
  return BY_BEGINNING.some(([beginning]) => beginning.startsWith(start) || start.startsWith(beginning))
}

/** Status codes of the binary protocol (memcached's protocol_binary.h). */
const BY_STATUS: Readonly<Record<number, readonly [MemcachedCode, string]>> = {
  0x03: ['memcached_object_too_large', 'Too large'],
  0x20: ['memcached_unauthenticated', 'Auth failure'],
  0x82: ['memcached_out_of_memory', 'Out of memory'],
  0x85: ['memcached_temporary_failure', 'Busy'],
  0x86: ['memcached_temporary_failure', 'Temporary failure'],
}

/** The failure that a status of the binary protocol stands for. */
export function statusFailure(status: number, doing: string): ProbeFailure {
  const [code, text] = BY_STATUS[status] ?? ['memcached_other', 'an error']
  return memcachedFailure(code, `${doing} was answered with ${text} (status 0x${status.toString(16).padStart(2, '0')})`)
}
