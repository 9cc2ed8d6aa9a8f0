import { STEPS, type Diagnosis, type Facts, type Finding, type Step, type StepName } from '../core/diagnosis.ts'
import type { Job } from '../core/probe.ts'
import type { ProbeResult } from '../core/result.ts'
import type { Way } from '../core/way.ts'
import { isOwnGround } from '../probes/lib/inner.ts'
import type { Address } from '../probes/lib/resolve.ts'
import type { RouteMemory } from '../probes/lib/traceroute-memory.ts'
import { secondsSince } from './failure.ts'
import { ping, traceTo } from './network.ts'
import { connectTo, handshakeWith } from './reach.ts'
import { lookUp } from './resolve.ts'
import { factsOf, STEP_OF, verdictOf } from './verdict.ts'

export { createRouteMemory, type RouteMemory } from '../probes/lib/traceroute-memory.ts'

/** Hosts of one target that are looked at. */
const MOST_WAYS = 8
const MOST_ROUTES = 2

export interface WalkOptions {
  readonly signal: AbortSignal
  readonly routes: RouteMemory
  /** The probe's own run, or what it came to. */
  readonly run: () => Promise<ProbeResult> | ProbeResult
  /** Told of each step as soon as it is done. */
  readonly onStep?: (step: Step) => void
}

/**
 * Walks the layers below a target as a person on call would: every name server, a ping, TCP to every address, the route
 * where those leave a doubt, TLS with its certificates, at last the probe itself. Takes some seconds at most for each.
 * Rejects only with the signal's reason.
 */
export async function walk(job: Job, { signal, routes, run, onStep = () => {} }: WalkOptions): Promise<Diagnosis> {
  const began = performance.now()
  const startedAt = new Date().toISOString()
  const steps: Step[] = []
  const look = async (step: StepName, work: () => Promise<readonly Finding[]>): Promise<Step> => {
    const since = performance.now()
    const findings = await work()
    return { step, status: statusOf(step, findings), seconds: secondsSince(since), findings }
  }
  const note = (step: Step) => {
    if (step.findings.length === 0) return
    steps.push(step)
    onStep(step)
  }

  const reached: { readonly way: Way, readonly address: Address }[] = []
  const ways = waysOf(job)
  note(await look('resolve', async () => {
    const looked = await Promise.all(byHost(ways).map(async (way) => ({ way, ...await lookUp(way, signal, job.guard) })))
    reached.push(...ways.flatMap((way) => (looked.find((one) => one.way.host === way.host)?.addresses ?? [])
      // Where the probe does not go the walk does not, either.
      .filter(({ ip }) => job.guard === undefined || !isOwnGround(ip)).map((address) => ({ way, address }))))
    return looked.flatMap(({ findings }) => findings)
  }))
  const hosts = [...new Map(reached.map(({ address }) => [address.ip, address])).values()]
  // Both at once: silence takes a while to prove.
  const [pings, connections] = await Promise.all([
    look('ping', () => Promise.all(hosts.map((address) => ping(address, signal)))),
    look('connect', () => Promise.all(reached.flatMap(({ way: { port, connectable }, address }) => (connectable && port !== undefined ? [connectTo(address, port, signal)] : [])))),
  ])
  note(pings)
  note(connections)
  const doubtful = hosts.filter(({ ip }) => steps.some(({ findings }) => findings.some((finding) => isDoubtful(finding, ip))))
  const reachable = (address: Address, port: number) => steps.some(({ findings }) => findings.some((one) => one.kind === 'connection' && one.address === address.ip && one.port === port && !one.failure))
  note(await look('tls', () => Promise.all(reached.flatMap(({ way: { host, port, tls }, address }) => (
    tls && port !== undefined && reachable(address, port) ? [handshakeWith(address, port, host, tls, signal)] : [])))))

  const result = await run()
  signal.throwIfAborted()
  // Only when it matters: routers answer few packets, and many firewalls let no ping through to a host that is well.
  if (result.status === 'failed') note(await look('route', () => Promise.all(doubtful.slice(0, MOST_ROUTES).map((address) => traceTo(address, routes, signal)))))
  for (const step of ways.length > 0 ? stepsOf(job, result, new Set(steps.map(({ step: name }) => name))) : [wholeOf(job, result)]) note(step)

  const facts = factsOf({ host: job.host ?? job.target, target: job.target, ...meantBy(job, ways) }, steps)
  return {
    schema_version: 1, id: job.id, probe: job.name, type: job.type, target: job.target, started_at: startedAt, seconds: secondsSince(began),
    status: result.status, ...(result.status === 'ok' ? {} : { failure: result.failure }),
    steps: steps.toSorted((a, b) => STEPS.indexOf(a.step) - STEPS.indexOf(b.step)), ...verdictOf(result, steps, facts), facts,
  }
}

/** Each host once. */
function byHost(ways: readonly Way[]): readonly Way[] {
  return [...new Map(ways.map((way) => [way.host, way])).values()]
}

/** The host and port that the walk speaks of: the proxy's where there is one. Of several hosts none is meant more than the others. */
function meantBy(job: Job, ways: readonly Way[]): Pick<Facts, 'reached' | 'port'> {
  const one = new Set(ways.map(({ host, port }) => `${host} ${port}`)).size === 1 ? ways[0] : undefined
  if (!one) return { reached: job.target, port: undefined }
  // A job for one address of a name says nothing about the others.
  return { reached: one.ip === undefined || one.ip === one.host ? one.host : `${one.host} (${one.ip})`, port: one.port }
}

function waysOf(job: Job): readonly Way[] {
  try {
    return job.ways().slice(0, MOST_WAYS)
  } catch {
    // A proxy that the environment names wrongly: the probe itself will say so.
    return []
  }
}

/** Nothing comes back from the host: it may be down, or the way to it. */
function isDoubtful(finding: Finding, ip: string): boolean {
  if (!('address' in finding) || finding.address !== ip || !finding.failure) return false
  const { layer, reason } = finding.failure
  return layer === 'network' || (layer === 'connect' && reason === 'timeout')
}

/** Unknown findings say nothing; where some are well and some are not, it is `partly`. */
function statusOf(step: StepName, findings: readonly Finding[]): Step['status'] {
  if (step === 'route') return findings.some((finding) => finding.kind === 'route' && finding.end?.kind === 'reached') ? 'ok' : findings.every(isOurs) ? 'unknown' : 'failed'
  const known = findings.filter((finding) => !isOurs(finding))
  const bad = known.filter((finding) => ('failure' in finding && finding.failure) || (finding.kind === 'addresses' && finding.addresses.length === 0))
  if (known.length === 0) return 'unknown'
  return bad.length === 0 ? 'ok' : bad.length === known.length ? 'failed' : 'partly'
}

function isOurs(finding: Finding): boolean {
  return 'failure' in finding && finding.failure?.layer === 'prober'
}

/** The phases of the probe itself; the last one is what fails. A run that fails before its first phase has none. */
function phasesOf(job: Job, result: ProbeResult): readonly Extract<Finding, { kind: 'phase' }>[] {
  const phases = result.phases.filter(({ ms }) => ms > 0).map(({ name, ms }) => ({ kind: 'phase' as const, name, layer: job.phases[name] ?? 'prober', seconds: ms / 1_000 }))
  if (result.status === 'ok') return phases
  const { failure, ms } = result
  const last = phases.at(-1) ?? { kind: 'phase', name: job.type, seconds: ms / 1_000 }
  return [...phases.slice(0, -1), { ...last, layer: failure.layer, failure }]
}

/** The steps that only the probe itself has taken. What this walk has looked at already is shown again only where the probe fails. */
function stepsOf(job: Job, result: ProbeResult, taken: ReadonlySet<StepName>): readonly Step[] {
  const phases = phasesOf(job, result).map((phase) => {
    const step = STEP_OF[phase.layer]
    return { phase, step: phase.failure && (taken.has(step) || step === 'ping') ? 'operation' : step }
  })
  return STEPS.filter((name) => !taken.has(name) || name === 'operation')
    .map((step) => stepOf(step, phases.filter((one) => one.step === step).map(({ phase }) => phase), result))
}

/** The one step of a target that is not on a network. */
function wholeOf(job: Job, result: ProbeResult): Step {
  return stepOf('operation', phasesOf(job, result), result)
}

function stepOf(step: StepName, findings: readonly Extract<Finding, { kind: 'phase' }>[], { status }: ProbeResult): Step {
  return { step, status: findings.some(({ failure }) => failure) ? status : 'ok', seconds: findings.reduce((sum, { seconds }) => sum + seconds, 0), findings }
}
