import type { Finding, RouteEnding, StepName } from '../core/diagnosis.ts'
import type { Language } from './language.ts'
import { ROUTE_ENDS } from './routes.ts'

/** The words around a diagnosis at a terminal: a language that lacks one does not compile. */
export interface DiagnosisWords {
  readonly steps: Readonly<Record<StepName, string>>
  readonly sources: Readonly<Record<Extract<Finding, { kind: 'addresses' }>['source'], string>>
  readonly noAddress: string
  readonly port: string
  readonly connected: string
  readonly done: string
  nameServer(server: string, host: string): string
  answered(received: number, sent: number, rtt: string): string
  certificate(subject: string, issuer: string, until: string): string
  routeEnd(end: RouteEnding): string
  breaksAt(step: string): string
}

export const DIAGNOSIS_WORDS: Readonly<Record<Language, DiagnosisWords>> = {
  en: {
    steps: { resolve: 'resolve', ping: 'ping', route: 'route', connect: 'connect', tls: 'tls', login: 'login', operation: 'operation' },
    sources: { literal: 'an address', this_machine: 'known to this machine' },
    noAddress: 'no address',
    port: 'port',
    connected: 'connects',
    done: 'done',
    nameServer: (server, host) => `${server} asked for ${host}`,
    answered: (received, sent, rtt) => `${received} of ${sent} answered, ${rtt}`,
    certificate: (subject, issuer, until) => `${subject}, by ${issuer}, until ${until}`,
    routeEnd: ROUTE_ENDS.en,
    breaksAt: (step) => `It breaks at: ${step}`,
  },
  zh: {
    steps: { resolve: '解析', ping: 'ping', route: '路由', connect: '连接', tls: 'TLS', login: '登录', operation: '操作' },
    sources: { literal: '地址', this_machine: '本机已知' },
    noAddress: '没有地址',
    port: '端口',
    connected: '可连接',
    done: '完成',
    nameServer: (server, host) => `向 ${server} 查询 ${host}`,
    answered: (received, sent, rtt) => `${sent} 个中 ${received} 个有应答，${rtt}`,
    certificate: (subject, issuer, until) => `${subject}，由 ${issuer} 签发，有效期至 ${until}`,
    routeEnd: ROUTE_ENDS.zh,
    breaksAt: (step) => `故障所在：${step}`,
  },
}
