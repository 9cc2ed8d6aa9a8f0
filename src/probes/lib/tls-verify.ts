import type { X509Certificate } from 'node:crypto'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { ProbeFailure } from '../../core/probe.ts'
import { distinguishedName, namesOf, type Peer } from './tls-gauges.ts'
import type { Trust } from './tls-context.ts'

/** How many names of a certificate a sentence shows. */
const NAMED = 5

interface Problem {
  readonly code: string
  readonly message: string
}

/**
 * What is wrong with the certificates, as one failure, or undefined. OpenSSL names one error only and Node adds the host
 * name only when there is none, so both are looked at here. The first of them gives the code: validity, then trust,
 * then the name; what else is wrong stands in the message, so that the next attempt does not fail on it.
 *
 * `chainError` is Node's `authorizationError`; `name` what the certificate must be for.
 */
export function verify({ sent, identity }: Pick<Peer, 'sent' | 'identity'>, chainError: string | undefined, name: string, trust: Trust): ProbeFailure | undefined {
  const [leaf] = sent
  if (!leaf) return new ProbeFailure('tls_other', 'the server sent no certificate')
  if (chainError === 'OUT_OF_MEM') throw Object.assign(new Error('no memory to verify a certificate'), { code: 'ENOMEM' })

  const path = pathOf(sent)
  const problems = [
    ...(chainError === undefined ? [] : datesOf(path, chainError)),
    ...(chainError === undefined ? [] : trustOf(path, chainError, trust)),
    ...nameOf(leaf, identity, name),
  ]
  const [first, ...others] = problems
  if (!first) return undefined
  return new ProbeFailure(first.code, [first.message, ...others.map(({ message }) => `also, ${message}`)].join('; '))
}

/** The certificates from the server's own one upwards; what else it sent has no part in the verdict. */
function pathOf(sent: readonly X509Certificate[]): readonly X509Certificate[] {
  const path = sent.slice(0, 1)
  for (let top = path[0]; top && !isSelfIssued(top);) {
    const below = top
    top = sent.find((candidate) => !path.includes(candidate) && below.checkIssued(candidate))
    if (top) path.push(top)
  }
  return path
}

function datesOf(path: readonly X509Certificate[], chainError: string): Problem[] {
  const now = Date.now()
  const problems = path.flatMap((certificate): Problem[] => {
    const [from, to] = [certificate.validFromDate, certificate.validToDate]
    if (to.getTime() < now) return [{ code: 'tls_expired', message: `the certificate ${describe(certificate)} expired at ${iso(to)}` }]
    if (from.getTime() > now) return [{ code: 'tls_not_yet_valid', message: `the certificate ${describe(certificate)} is valid only from ${iso(from)}; here it is ${iso(new Date(now))}` }]
    return []
  })
  if (problems.length > 0) return problems
  if (chainError === 'CERT_HAS_EXPIRED') return [{ code: 'tls_expired', message: 'the authority that the chain ends at has expired' }]
  if (chainError === 'CERT_NOT_YET_VALID') return [{ code: 'tls_not_yet_valid', message: 'the authority that the chain ends at is not valid yet' }]
  return []
}

function trustOf(path: readonly X509Certificate[], chainError: string, trust: Trust): Problem[] {
  const top = path.at(-1)
  if (!top) return []
  switch (chainError) {
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return []
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return [{ code: 'tls_self_signed', message: `the certificate ${describe(top)} is signed by itself` }]
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return [{ code: 'tls_unknown_ca', message: `the chain ends at ${describe(top)}, which the server sent but ${where(trust)} does not hold` }]
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return [issuerMissing(top, path.length, trust)]
    default:
      return [{ code: 'tls_bad_chain', message: `the chain does not verify: ${chainError.toLowerCase().replaceAll('_', ' ')}` }]
  }
}

/**
 * A certificate that came alone, whose issuer is not at hand, may lack its intermediate or come from an authority that is
 * not trusted: the wire looks the same. Two facts speak for the first: the certificate says where its issuer's
 * certificate can be fetched (public authorities do), or the issuer belongs to the same organisation as one of `ca_file`.
 */
function issuerMissing(top: X509Certificate, length: number, trust: Trust): Problem {
  const issuer = distinguishedName(top.issuer)
  const gap = `${describe(top)} is signed by ${issuer}, which the server did not send and ${where(trust)} does not hold`
  if (length > 1) return { code: 'tls_unknown_ca', message: `${gap} (${length} certificates lead there)` }

  const fetchable = /CA Issuers - URI:/.test(top.infoAccess ?? '')
  const organisation = organisationOf(top.issuer)
  const related = organisation !== undefined && trust.authorities.some(({ subject }) => organisationOf(subject) === organisation)
  if (fetchable || related) {
    return { code: 'tls_missing_intermediate', message: `${gap}: it sent its own certificate only, and ${related ? 'a trusted authority has the same organisation' : 'that one names where its issuer is published'}` }
  }
  return { code: 'tls_unknown_ca', message: `${gap}: either that authority is not trusted here or an intermediate is missing, which cannot be told apart` }
}

function nameOf(leaf: X509Certificate, identity: PeerCertificate, name: string): Problem[] {
  if (checkServerIdentity(name, identity) === undefined) return []
  const names = namesOf(leaf)
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  return [{ code: 'tls_wrong_host', message: `the certificate is for ${names.slice(0, NAMED).join(', ')}${more}, not for ${name}` }]
}

function where(trust: Trust): string {
  return trust.authorities.length > 0 ? 'ca_file' : 'the built-in list of authorities'
}

function organisationOf(subject: string): string | undefined {
  return /^O=(.+)$/m.exec(subject)?.[1]
}

function isSelfIssued(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer
}

function describe(certificate: X509Certificate): string {
  return distinguishedName(certificate.subject) || `with the serial number ${certificate.serialNumber}`
}

function iso(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}
