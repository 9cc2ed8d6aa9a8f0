import type { Hop, Route } from './traceroute-route.ts'

/** A route as lines of text, as traceroute(8) prints it, and one that says how it ends. */
export function routeLines(route: Route): readonly string[] {
  const { destination, protocol, maxHops, hops, end } = route
  const silent = end.kind === 'silent' ? [`${range(hops.length + 1, maxHops)}  *`] : []
  return [`traceroute to ${destination}, ${maxHops} hops max, ${protocol}`, ...hops.map(hopLine), ...silent, endText(route)]
}

/** How a route ends, as the end of a sentence. */
export function endText({ end, maxHops }: Pick<Route, 'end' | 'maxHops'>): string {
  switch (end.kind) {
    case 'reached': return `reached in ${end.exact ? '' : 'at most '}${end.hops} ${end.hops === 1 ? 'hop' : 'hops'}`
    case 'unreachable':
    case 'rejected': return `${end.by} (${end.exact ? '' : 'at most '}hop ${end.ttl}) says: ${end.says}`
    case 'loop': return `routing loop: ${[...end.between, end.between[0]].join(' -> ')}`
    case 'silent': return end.after ? `silent after hop ${end.after.ttl} (${end.after.address})` : 'silent, not even the first hop answers'
    case 'too_long': return `not reached within ${maxHops} hops, though routers answer up to the last`
  }
}

function hopLine({ ttl, address, rttMs, others, refusal }: Hop): string {
  const number = String(ttl).padStart(2)
  if (address === undefined || rttMs === undefined) return `${number}  *`
  const besides = others.length === 0 ? '' : `  also ${others.join(', ')}`
  return `${number}  ${address}  ${rttMs.toFixed(3)} ms${refusal === undefined ? '' : `  ${refusal}`}${besides}`
}

function range(from: number, to: number): string {
  return from === to ? String(from).padStart(2) : `${String(from).padStart(2)}-${to}`
}
