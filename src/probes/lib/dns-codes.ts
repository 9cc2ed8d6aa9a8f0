import type { CodeSpec } from '../../core/codes.ts'

/** What `dns-client.ts` throws when only packets came that do not answer the question. */
export const DNS_ANSWER_CODES = {
  dns_wrong_id: { layer: 'request', reason: 'protocol', en: 'Only answers with a wrong id came: a broken name server or middlebox, or an attempt to forge answers.', zh: '只收到 ID 不符的应答：DNS 服务器或中间设备有故障，或有人伪造应答。' },
  dns_wrong_question: { layer: 'request', reason: 'protocol', en: 'Only answers to another question came: a broken name server or middlebox, or an attempt to forge answers.', zh: '只收到针对其他问题的应答：DNS 服务器或中间设备有故障，或有人伪造应答。' },
  dns_garbage: { layer: 'request', reason: 'protocol', en: 'What came back is no DNS answer: look at what listens on the port.', zh: '返回的内容不是 DNS 应答：请检查该端口上监听的是什么服务。' },
} as const satisfies Readonly<Record<string, CodeSpec>>
