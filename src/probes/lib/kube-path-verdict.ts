import { ProbeFailure } from '../../core/probe.ts'
import { KUBE_PATH_CODES, type FaultName, type LegName, type PathCode } from './kube-path-codes.ts'
import type { LegResult } from './kube-path-leg.ts'

/** What is known of the way from the inside out; a leg that is not asked has no result. */
export interface Legs {
  readonly pods: readonly LegResult[]
  readonly service: LegResult | undefined
  /** At least one. */
  readonly ingresses: readonly LegResult[]
}

/**
 * How much a leg that is not well proves. `broken`: it answered, and wrongly, or took the request and kept silent.
 * `closed`: nothing of its own was heard, which a NetworkPolicy or a mesh that lets only the ingress through looks like too.
 */
type Standing = 'well' | 'broken' | 'closed' | 'unasked'

/** How many pods a sentence names. */
const NAMED = 3
/** What a proxy says of what is behind it (RFC 9110, 15.6). */
const GATEWAY: readonly number[] = [502, 503, 504]
/** An authorization policy of a mesh answers so to whoever is no ingress. */
const FORBIDDEN: readonly number[] = [401, 403]

/** The one failure of a path; undefined while an ingress serves it, whatever the legs behind do: users are served then. */
export function pathVerdict(legs: Legs): Error | undefined {
  const ingress = bestOf(legs.ingresses)
  const { failure } = ingress
  if (!failure) return undefined
  if (failure.layer === 'prober') return new ProbeFailure(failure.code, `the ingress ${ingress.endpoint}: ${failure.message}`)

  const pods = standingOf(legs.pods)
  const service = standingOf(legs.service ? [legs.service] : [])
  const behind = seesTrouble(ingress)
  const said = [podsSaid(legs.pods), legs.service ? `the Service ${legSaid(legs.service)}` : '', `the ingress ${legSaid(ingress)}`].filter((part) => part !== '').join('; ')
  const blame = (leg: LegName, result: LegResult) => new ProbeFailure(codeOf(leg, result), said)

  if (pods === 'broken' && service !== 'well') return blame('pod', mostTelling(legs.pods))
  // Closed to Curlew is no proof by itself: the ingress must say that it gets no further either.
  if (pods === 'closed' && (service === 'closed' || service === 'unasked') && behind) return blame('pod', mostTelling(legs.pods))
  if (legs.service && (service === 'broken' || (service === 'closed' && (pods === 'well' || behind)))) return blame('service', legs.service)
  return blame('ingress', ingress)
}

/** Whether users are served although something behind the ingress is not well. */
export function isDegraded({ pods, service, ingresses }: Legs): boolean {
  const served = bestOf(ingresses).failure === undefined
  return served && [...pods, ...ingresses, ...service ? [service] : []].some(({ failure }) => failure !== undefined && failure.layer !== 'prober')
}

/** One that is well, else one that says something of the target. */
function bestOf(results: readonly LegResult[]): LegResult {
  return results.find(({ failure }) => !failure) ?? mostTelling(results)
}

function mostTelling(results: readonly LegResult[]): LegResult {
  const rank = ({ failure, status }: LegResult) => (failure?.layer === 'prober' ? 2 : status === undefined ? 1 : 0)
  const [first] = results.toSorted((a, b) => rank(a) - rank(b))
  if (!first) throw new TypeError('a leg without a result')
  return first
}

/** Of several, the best: one pod that is well serves. */
function standingOf(results: readonly LegResult[]): Standing {
  const known = results.filter(({ failure }) => failure?.layer !== 'prober')
  if (known.length === 0) return 'unasked'
  if (known.some(({ failure }) => !failure)) return 'well'
  return known.some(isBroken) ? 'broken' : 'closed'
}

function isBroken({ status, failure }: LegResult): boolean {
  if (status !== undefined) return !FORBIDDEN.includes(status)
  return failure?.layer === 'request' && failure.reason !== 'reset'
}

/** Whether an ingress that fails says, by its status or by its silence after the request, that it is not served from behind. */
function seesTrouble({ status, failure }: LegResult): boolean {
  return status === undefined ? failure?.layer === 'request' : GATEWAY.includes(status)
}

function codeOf(leg: LegName, { status, failure }: LegResult): string {
  if (leg === 'ingress' && status === 404) return 'kube_path_no_rule' satisfies PathCode
  if (leg === 'ingress' && status === 503) return 'kube_path_no_backend' satisfies PathCode
  if (leg === 'ingress' && (status === 502 || status === 504)) return 'kube_path_bad_gateway' satisfies PathCode
  const own = status === undefined ? FAULT_OF[`${failure?.layer}/${failure?.reason}`] : 'status'
  const code = own === undefined ? undefined : `kube_path_${leg}_${own}` as const
  // A name that does not resolve and a certificate that has expired keep the code that everybody knows.
  return code !== undefined && code in KUBE_PATH_CODES ? code : failure?.code ?? `kube_path_${leg}_status`
}

const FAULT_OF: Readonly<Record<string, FaultName>> = {
  'connect/refused': 'refused', 'connect/timeout': 'timeout', 'network/unreachable': 'unreachable', 'connect/reset': 'reset',
  'request/timeout': 'silent', 'request/reset': 'reset', 'request/protocol': 'protocol',
}

function podsSaid(pods: readonly LegResult[]): string {
  if (pods.length === 0) return ''
  const failed = pods.filter(({ failure }) => failure !== undefined)
  if (failed.length === 0) return pods.length === 1 ? 'the pod answers well' : `all ${pods.length} pods answer well`
  const more = failed.length > NAMED ? ` and ${failed.length - NAMED} more` : ''
  return `${failed.length} of ${pods.length} pods ${failed.length === 1 ? 'fails' : 'fail'}: ${failed.slice(0, NAMED).map(legSaid).join(', ')}${more}`
}

function legSaid({ endpoint, failure }: LegResult): string {
  return `${endpoint} ${failure ? (failure.code === 'status' ? failure.message : `(${failure.message})`) : 'answers well'}`
}
