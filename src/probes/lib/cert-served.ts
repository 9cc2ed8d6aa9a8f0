import type { X509Certificate } from 'node:crypto'
import type { Endpoint } from '../../core/fields.ts'
import type { ProbeContext } from '../../core/probe.ts'
import { orAbort } from '../../core/run.ts'
import type { Problem } from './cert-codes.ts'
import { factsOf, iso, type CertificateFacts } from './cert-facts.ts'
import type { CertGauge } from './cert-gauges.ts'
import { KUBEADM_PORTS, type ServedFile } from './cert-kubeadm.ts'
import { dial } from './dial.ts'
import { closePolitely } from './stream.ts'
import { shakeHands } from './tls.ts'

type Context = ProbeContext<'connect' | 'tls' | 'resolve', CertGauge, never>

export interface Unreachable {
  readonly phase: 'connect' | 'tls'
  readonly error: unknown
}

/**
 * Looks whether servers show what is on disk; what is wrong with a certificate itself is not its matter. `files` has the one
 * file that the server on a known port shows; any certificate of `found` will do for every other port. Each server has its share of the
 * time that is left, so that a silent one hides no other. `unreachable` is the first that could not be asked.
 */
export async function compareServed(
  servers: readonly Endpoint[], found: readonly CertificateFacts[], files: ReadonlyMap<number, ServedFile> | undefined, probe: Context,
): Promise<{ readonly stale: readonly Problem[], readonly unreachable: Unreachable | undefined }> {
  const stale: Problem[] = []
  let unreachable: Unreachable | undefined
  for (const [index, server] of servers.entries()) {
    const known = files !== undefined && KUBEADM_PORTS.includes(server.port)
    const own = known ? files.get(server.port) : undefined
    const candidates = known ? found.filter(({ file, entry }) => file === own?.path && entry === '0') : found
    if (candidates.length === 0) continue
    const share = Math.max(0, probe.deadline - performance.now()) / (servers.length - index + 1)
    const outcome = await compare(server, candidates, own?.certain ?? true, probe, share)
    if (outcome && 'error' in outcome) {
      // Whether a node's servers are up is for others to say: from a network of its own, this process cannot even reach those on loopback.
      if (!(known && outcome.phase === 'connect')) unreachable ??= outcome
    } else if (outcome) stale.push(outcome)
  }
  return { stale, unreachable }
}

async function compare(server: Endpoint, candidates: readonly CertificateFacts[], certain: boolean, probe: Context, ms: number): Promise<Problem | Unreachable | undefined> {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(Object.assign(new Error(`${server} does not answer`), { code: 'ETIMEDOUT' })), ms)
  const signal = AbortSignal.any([probe.signal, limit.signal])
  // Its gauges would be taken for those of the files.
  const quiet: Context = { ...probe, signal, deadline: performance.now() + ms, gauge: () => {}, phase: (name, work) => probe.phase(name, () => orAbort(work, signal)) }
  let phase: Unreachable['phase'] = 'connect'
  try {
    const plain = await dial(quiet, server, { ip_protocol: 'any', addresses: 'any' })
    phase = 'tls'
    const sent: X509Certificate[] = []
    const shake = async () => closePolitely((await shakeHands(quiet, plain, server.host, { insecure_skip_verify: true, min_version: 'TLS1.2' }, [], (all) => sent.push(...all))).socket)
    // A server that wants a certificate of its client has shown its own before.
    await shake().catch((error: unknown) => { if (sent.length === 0) throw error })
    const [leaf] = sent
    const shown = leaf && factsOf(leaf, '', '0')
    if (!shown) return undefined
    const same = candidates.some(({ fingerprint }) => fingerprint === shown.fingerprint)
    // Else it may be of a file that this process does not see.
    if (!same && !certain && !candidates.some((own) => isRenewalOf(own, shown))) return undefined
    probe.gauge('probe_ssl_served_matches', Number(same), { served: String(server) })
    if (same) return undefined
    const kept = candidates.find(({ subject }) => subject === shown.subject) ?? (candidates.length === 1 ? candidates[0] : undefined)
    return { code: 'cert_not_served', message: `${server} shows ${shown.subject} with the serial number ${shown.serial}, valid until ${iso(shown.notAfter)}; ${kept ? `in ${kept.file} ${kept.subject === shown.subject ? 'it' : kept.subject} has ${kept.serial} and is valid until ${iso(kept.notAfter)}` : 'none of the files holds a certificate of that name'}` }
  } catch (error) {
    return { phase, error }
  } finally {
    clearTimeout(timer)
    // What is still open goes with it.
    limit.abort()
  }
}

function isRenewalOf(own: CertificateFacts, before: CertificateFacts): boolean {
  return own.subject === before.subject && own.issuer === before.issuer && own.notBefore > before.notBefore
}
