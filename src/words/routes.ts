import type { RouteEnding } from '../core/diagnosis.ts'
import type { Language } from './language.ts'

/** How a route ends, as a part of a sentence. */
export const ROUTE_ENDS: Readonly<Record<Language, (end: RouteEnding) => string>> = {
  en(end) {
    switch (end.kind) {
      case 'reached': return `it is reached in ${end.hops} ${end.hops === 1 ? 'hop' : 'hops'}`
      case 'too_long': return `it is not reached in ${end.hops} hops`
      case 'unreachable': return `${router(end)} says that it cannot reach it`
      case 'rejected': return `${router(end)} rejects them`
      case 'silent': return end.address === undefined ? 'not even the first router answers' : `nothing answers behind ${router(end)}`
      case 'loop': return `${end.between.join(' and ')} send them round in a circle`
    }
  },
  zh(end) {
    switch (end.kind) {
      case 'reached': return `${end.hops} 跳到达`
      case 'too_long': return `${end.hops} 跳之内未到达`
      case 'unreachable': return `${routerZh(end)}称无法到达`
      case 'rejected': return `${routerZh(end)}拒绝转发`
      case 'silent': return end.address === undefined ? '连第一跳路由器都没有应答' : `${routerZh(end)}之后没有任何应答`
      case 'loop': return `${end.between.join(' 与 ')} 之间循环转发`
    }
  },
}

interface Router {
  readonly address?: string
  readonly hop?: number
}

function router({ address = '', hop }: Router): string {
  return hop === undefined ? address : `${address} (hop ${hop})`
}

function routerZh({ address = '', hop }: Router): string {
  return hop === undefined ? `${address} ` : `${address}（第 ${hop} 跳）`
}
