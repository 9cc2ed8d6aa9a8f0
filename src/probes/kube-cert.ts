import { z } from 'zod'
import { defineProbe, ProbeFailure } from '../core/probe.ts'
import { verdictOf } from './lib/cert-codes.ts'
import { datesProblem, type CertificateFacts } from './lib/cert-facts.ts'
import { exportCertificates, sharedCertGauges } from './lib/cert-gauges.ts'
import { certificatesOfPem } from './lib/cert-read.ts'
import { checkKube, KUBE_CODES, kubeApi, kubeFields, loadKube, releaseKube } from './lib/kube.ts'
import { KUBE_CERT_CODES, readObject, type KubeProblem } from './lib/kube-cert-objects.ts'
import { objectTarget } from './lib/kube-cert-target.ts'

const HOUR_MS = 3_600_000

export const kubeCert = defineProbe({
  type: 'kube-cert',
  summary: 'Certificates that the Kubernetes API keeps: in a TLS Secret, and the authorities by which the API server trusts webhooks, aggregated APIs and conversions. Every expiry is exported whatever else is wrong. Each run reads this one object and forgets it',
  options: z.strictObject({ target: objectTarget(), ...kubeFields }).superRefine(checkKube),
  everyMs: HOUR_MS,
  phases: { ask: 'prober', read: 'request' },
  gauges: sharedCertGauges,
  codes: { ...KUBE_CODES, ...KUBE_CERT_CODES },
  levels: { expires_in_seconds: { gauge: 'probe_ssl_expires_in_seconds', worse: 'below' } },
  // A target is a name in a cluster, and no place in a network.
  schemes: [],
  fromUrl: () => ({}),
  ways: () => [],
  example: { target: 'secret/shop/shop-example-org-tls' },
  load: loadKube,
  release: releaseKube,

  async run(options, probe) {
    const { target } = options
    const raw = await probe.phase('ask', async () => (await kubeApi(options, probe)).find({ path: target.apiPath() }))
    if (raw === undefined) probe.fail('kube_cert_not_found', `${target} does not exist`)
    const { found, problems } = await probe.phase('read', () => certificatesIn(target.kind, raw))
    exportCertificates(probe, found)
    const verdict = verdictOf([...found.flatMap((facts) => datesProblem(facts) ?? []), ...problems])
    if (verdict) throw new ProbeFailure(verdict.code, `${target}: ${verdict.message}`)
  },
})

async function certificatesIn(kind: Parameters<typeof readObject>[0], raw: unknown): Promise<{ found: readonly CertificateFacts[], problems: readonly KubeProblem[] }> {
  const { bundles, problems: first } = readObject(kind, raw)
  const found: CertificateFacts[] = []
  const problems = [...first]
  for (const { place, pem } of bundles) {
    if (pem === '') continue
    const { found: here, problems: bad } = await certificatesOfPem(place, pem)
    found.push(...here)
    problems.push(...bad.map(({ code, message }): KubeProblem => ({ code: code === 'cert_too_many' ? 'kube_cert_too_many' : 'kube_cert_no_certificate', message: `${place}: ${message}` })))
    if (here.length + bad.length === 0) problems.push({ code: 'kube_cert_no_certificate', message: `${place} holds no certificate` })
  }
  return { found, problems }
}
