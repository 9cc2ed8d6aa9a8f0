import type { CodeSpec } from '../core/codes.ts'
import type { Diagnosis, Facts, VerdictName } from '../core/diagnosis.ts'
import { meaningOf, type Language } from './language.ts'
import { ROUTE_ENDS } from './routes.ts'
import { pairSentence } from './pairs.ts'

type Sentence = Readonly<Record<Language, (facts: Facts, meaning: string) => string>>

const DOWN = {
  en: 'look whether it is up, and for a firewall that drops everything',
  zh: '请检查主机是否在线，以及是否有丢弃所有数据包的防火墙',
} as const

/** What a diagnosis comes to, in one sentence. `meaning` is what the failure's code stands for. A missing language does not compile. */
const SENTENCES: Readonly<Record<VerdictName, Sentence>> = {
  well: {
    en: ({ host }) => `${host} is well: every layer answers.`,
    zh: ({ host }) => `${host} 正常：各层均有应答。`,
  },
  well_without_ping: {
    en: ({ host }) => `${host} is well. It does not answer ping, which many firewalls forbid.`,
    zh: ({ host }) => `${host} 正常。它不应答 ping，许多防火墙都会禁止 ping。`,
  },
  well_but: {
    en: ({ host, silent, denying, erring, dead }) => `${host} works, but ${[
      ...(silent.length > 0 ? [`${several(silent, 'the name server', 'do')} not answer`] : []),
      ...(denying.length > 0 ? [`${several(denying, 'the name server', 'do')} not know the name`] : []),
      ...(erring.length > 0 ? [`${several(erring, 'the name server', 'answer')} with an error`] : []),
      ...(dead.length > 0 ? [`${several(dead, 'the address', 'do')} not connect`] : []),
    ].join(', and ')}: clients that come to ${silent.length + denying.length + erring.length + dead.length > 1 ? 'them' : 'it'} wait or fail.`,
    zh: ({ host, silent, denying, erring, dead }) => `${host} 可用，但${[
      ...(silent.length > 0 ? [`DNS 服务器 ${list(silent, '、')} 没有应答`] : []),
      ...(denying.length > 0 ? [`DNS 服务器 ${list(denying, '、')} 不认识该域名`] : []),
      ...(erring.length > 0 ? [`DNS 服务器 ${list(erring, '、')} 返回错误`] : []),
      ...(dead.length > 0 ? [`地址 ${list(dead, '、')} 无法连接`] : []),
    ].join('，')}：遇到它的客户端会等待或失败。`,
  },
  ours: {
    en: ({ host }, meaning) => `This is Curlew's own trouble and says nothing about ${host}. ${meaning}`,
    zh: ({ host }, meaning) => `这是 Curlew 自身的问题，不能说明 ${host} 的状况。${meaning}`,
  },
  name_missing: {
    en: ({ reached, denying }) => `${all(denying, 'The name server', 'All name servers')} (${list(denying, 'and')}) ${denying.length > 1 ? 'say' : 'says'} that ${reached} does not exist: look for a typing error, a missing record or a missing search domain.`,
    zh: ({ reached, denying }) => `DNS 服务器（${list(denying, '、')}）${denying.length > 1 ? '都' : ''}称 ${reached} 不存在：请检查拼写、缺失的记录或搜索域。`,
  },
  name_disputed: {
    en: ({ reached, knowing, denying }) => `The name servers disagree: ${list(denying, 'and')} ${denying.length > 1 ? 'deny' : 'denies'} that ${reached} exists, ${list(knowing, 'and')} ${knowing.length > 1 ? 'know' : 'knows'} it. Compare their zones, and the servers in resolv.conf.`,
    zh: ({ reached, knowing, denying }) => `DNS 服务器的应答不一致：${list(denying, '、')} 称 ${reached} 不存在，${list(knowing, '、')} 能解析。请核对各服务器的区域与 resolv.conf。`,
  },
  servers_silent: {
    en: ({ reached, silent }) => `Nobody can look up ${reached}: the name ${silent.length > 1 ? 'servers' : 'server'} ${list(silent, 'and')} ${silent.length > 1 ? 'do' : 'does'} not answer. Look at them, and at the way to their port 53.`,
    zh: ({ reached, silent }) => `无法解析 ${reached}：DNS 服务器 ${list(silent, '、')} 没有应答。请检查这些服务器以及到其 53 端口的网络。`,
  },
  port_dropped: {
    en: ({ reached, port }) => `${reached} answers ping, but ${port === undefined ? 'the port' : `port ${port}`} drops packets: look for a firewall rule or a security group.`,
    zh: ({ reached, port }) => `${reached} 能 ping 通，但${port === undefined ? '端口' : ` ${port} 端口`}丢弃数据包：请检查防火墙规则或安全组。`,
  },
  port_rejected: {
    en: ({ reached, port }) => `${reached} answers ping, but packets to ${port === undefined ? 'the port' : `port ${port}`} are turned back: look for a firewall rule or a security group that rejects them.`,
    zh: ({ reached, port }) => `${reached} 能 ping 通，但发往${port === undefined ? '端口' : ` ${port} 端口`}的数据包被拒绝：请检查拒绝它们的防火墙规则或安全组。`,
  },
  port_closed: {
    en: ({ reached, port }) => `${reached} is up, but nothing listens on ${port === undefined ? 'the port' : `port ${port}`}: look whether the service runs, and on which address it listens.`,
    zh: ({ reached, port }) => `${reached} 在线，但${port === undefined ? '端口上' : ` ${port} 端口`}没有进程监听：请检查服务是否运行，以及监听的地址。`,
  },
  host_gone: {
    en: ({ reached, port }) => `${reached} answers neither ping nor ${port === undefined ? 'anything else' : `port ${port}`}: ${DOWN.en}.`,
    zh: ({ reached, port }) => `${reached} 既不应答 ping，${port === undefined ? '也没有其他应答' : `${port} 端口也没有应答`}：${DOWN.zh}。`,
  },
  route_ends: {
    en: ({ reached, route_end: routeEnd }) => `Packets to ${reached} get lost on the way: ${routeEnd ? ROUTE_ENDS.en(routeEnd) : 'the route does not reach it'}. ${routeEnd?.kind === 'loop' ? 'Look at the routes of these two.' : `Look at the last router that answers, and at what stands behind it; ${DOWN.en}.`}`,
    zh: ({ reached, route_end: routeEnd }) => `发往 ${reached} 的数据包在途中丢失（${routeEnd ? ROUTE_ENDS.zh(routeEnd) : '路由未到达目标'}）：${routeEnd?.kind === 'loop' ? '请检查这两台路由器的路由。' : `请检查最后应答的路由器及其后的设备；${DOWN.zh}。`}`,
  },
  some_addresses_dead: {
    en: ({ reached, alive, dead }) => `Of the addresses of ${reached}, ${list(dead, 'and')} ${dead.length > 1 ? 'do' : 'does'} not connect, while ${list(alive, 'and')} ${alive.length > 1 ? 'do' : 'does'}: repair the dead one, or take it out of DNS.`,
    zh: ({ reached, alive, dead }) => `${reached} 的地址中，${list(dead, '、')} 无法连接，而 ${list(alive, '、')} 可以：请修复失效的地址，或将其从 DNS 中移除。`,
  },
  code: {
    en: ({ host }, meaning) => `${host}: ${meaning}`,
    zh: ({ host }, meaning) => `${host}：${meaning}`,
  },
}

/**
 * The one plain sentence of a diagnosis. `codes` are the type's own, when it is known here: another Curlew may have made
 * the diagnosis; without them layer and reason speak.
 */
export function diagnosisSentence({ verdict, facts, failure }: Pick<Diagnosis, 'verdict' | 'facts' | 'failure'>, codes: Readonly<Record<string, CodeSpec>>, language: Language): string {
  const meaning = failure ? meaningOf(failure.code, codes)?.[language] ?? pairSentence(failure, language) : ''
  return SENTENCES[verdict][language](facts, meaning)
}

function list(items: readonly string[], and: string): string {
  if (items.length < 2) return items.join('')
  return and === '、' ? items.join('、') : `${items.slice(0, -1).join(', ')} ${and} ${items.at(-1)}`
}

/** `the address 10.0.0.5 does`, `the addresses 10.0.0.5 and 10.0.0.6 do`. */
function several(items: readonly string[], one: string, verb: 'do' | 'answer'): string {
  return items.length > 1 ? `${one}${one.endsWith('s') ? 'es' : 's'} ${list(items, 'and')} ${verb}` : `${one} ${list(items, 'and')} ${verb}${verb === 'do' ? 'es' : 's'}`
}

function all(items: readonly string[], one: string, several: string): string {
  return items.length > 1 ? several : one
}
