import { STEPS, type Facts, type Finding, type Step, type StepName, type VerdictName } from '../core/diagnosis.ts'
import { Endpoint } from '../core/fields.ts'
import type { Failure, Layer, Status } from '../core/result.ts'

/** Where a person looks for what a layer blames. */
export const STEP_OF: Readonly<Record<Layer, StepName>> = {
  resolve: 'resolve', network: 'ping', connect: 'connect', tls: 'tls', auth: 'login', request: 'operation', assert: 'operation', prober: 'operation',
}

/** What is broken and how it is said, from what the probe says and what lies below it. */
export interface Verdict {
  readonly verdict: VerdictName
  readonly broken?: StepName
}

/** The result of the probe itself. */
export interface Said {
  readonly status: Status
  readonly failure?: Failure
}

type Kind<K extends Finding['kind']> = Extract<Finding, { kind: K }>

export function findingsOf<K extends Finding['kind']>(steps: readonly Step[], kind: K): readonly Kind<K>[] {
  return steps.flatMap(({ findings }) => findings).filter((finding): finding is Kind<K> => finding.kind === kind)
}

/** What the sentences may speak of. */
export function factsOf({ host, reached, target, port }: Pick<Facts, 'host' | 'reached' | 'target' | 'port'>, steps: readonly Step[]): Facts {
  const servers = findingsOf(steps, 'name_server')
  const connections = findingsOf(steps, 'connection')
  const names = (found: readonly { readonly server: string }[]) => [...new Set(found.map(({ server }) => server))]
  // Of several ports on one address, as of sentinels, one may be open and the other closed.
  const severalPorts = new Set(connections.map(({ port: one }) => one)).size > 1
  const addresses = (found: readonly { readonly address: string, readonly port: number }[]) => [
    ...new Set(found.map(({ address, port: one }) => (severalPorts ? String(new Endpoint(address, one)) : address))),
  ]
  const rtts = findingsOf(steps, 'ping').flatMap(({ rtt_seconds: rtt }) => rtt ?? [])
  const lost = findingsOf(steps, 'route').find(({ end, hops }) => end && end.kind !== 'reached' && hops.some(({ address }) => address !== undefined))
  return {
    host, reached, target, port,
    knowing: names(servers.filter(({ addresses: found }) => found.length > 0)),
    denying: names(servers.filter(({ failure }) => failure?.reason === 'not_found')),
    silent: names(servers.filter(({ failure }) => failure?.reason === 'timeout')),
    erring: names(servers.filter(({ failure }) => failure?.layer === 'resolve' && failure.reason === 'other')),
    alive: addresses(connections.filter(({ failure }) => !failure)),
    dead: addresses(connections.filter(({ failure }) => failure && failure.layer !== 'prober')),
    route_end: lost?.end,
    rtt_seconds: rtts.length > 0 ? Math.min(...rtts) : undefined,
  }
}

/** The verdict. The probe's own result decides whether anything is wrong; the layers below say where to look. */
export function verdictOf({ status, failure }: Said, steps: readonly Step[], facts: Facts): Verdict {
  if (status === 'unknown') return { verdict: 'ours' }
  if (status === 'ok' || !failure) return { verdict: wellHow(steps, facts) }
  const verdict = wrongHow(failure, steps, facts)
  return { verdict, broken: brokenAt(verdict, failure, steps) }
}

function wellHow(steps: readonly Step[], { silent, denying, erring, dead }: Facts): VerdictName {
  if (silent.length + denying.length + erring.length + dead.length > 0) return 'well_but'
  return isSilent(steps) ? 'well_without_ping' : 'well'
}

function wrongHow({ layer, reason }: Failure, steps: readonly Step[], { knowing, denying, silent, alive, dead, rtt_seconds: rtt, route_end: routeEnd }: Facts): VerdictName {
  if (layer === 'resolve') {
    if (denying.length > 0) return knowing.length > 0 ? 'name_disputed' : 'name_missing'
    return silent.length > 0 && knowing.length === 0 ? 'servers_silent' : 'code'
  }
  // Over UDP a host that is gone shows as a question without an answer.
  const neverMet = layer === 'request' && reason === 'timeout' && !steps.some(({ step, status }) => step === 'connect' && status === 'ok') && isSilent(steps)
  if (layer !== 'connect' && layer !== 'network' && !neverMet) return 'code'
  if (reason !== 'refused' && reason !== 'timeout' && reason !== 'unreachable') return 'code'
  if (alive.length > 0) {
    // Everything connects: the port is open again, or the probe failed further on, at a host that an answer sent it to.
    return dead.length > 0 ? 'some_addresses_dead' : 'code'
  }
  if (reason === 'refused') return 'port_closed'
  if (rtt !== undefined && layer === 'connect') return 'port_dropped'
  if (rtt !== undefined && dead.length > 0) return 'port_rejected'
  if (routeEnd !== undefined) return 'route_ends'
  return isSilent(steps) && reason === 'timeout' ? 'host_gone' : 'code'
}

/** Verdicts that the connections of the walk lead to, whichever layer the probe names. */
const REACHED: readonly VerdictName[] = ['port_dropped', 'port_rejected', 'port_closed', 'some_addresses_dead']

/** Pings were sent, in a way that is known to work, and none was answered. */
function isSilent(steps: readonly Step[]): boolean {
  const pings = findingsOf(steps, 'ping')
  return pings.length > 0 && pings.every(({ received, failure }) => received === 0 && failure?.layer === 'network')
}

function brokenAt(verdict: VerdictName, { layer }: Failure, steps: readonly Step[]): StepName {
  if (verdict === 'host_gone') return 'ping'
  if (verdict === 'route_ends') return 'route'
  if (REACHED.includes(verdict)) return 'connect'
  // Files and mounts have no layers below them, and what is well below is shown to break only by the probe's own run.
  const [own] = steps.filter(({ step }) => step === STEP_OF[layer])
  const blamed = steps.every(({ step }) => step === 'operation') || own?.status === 'ok' ? 'operation' : STEP_OF[layer]
  // A name that no server knows breaks before the probe does; a ping that is not answered breaks nothing.
  const first = STEPS.find((name) => name !== 'ping' && name !== 'route' && steps.some((step) => step.step === name && step.status === 'failed'))
  return first !== undefined && STEPS.indexOf(first) < STEPS.indexOf(blamed) ? first : blamed
}
