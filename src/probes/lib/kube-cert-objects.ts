import { createPrivateKey, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { ProbeFailure, type CodeSpec } from '../../core/probe.ts'
import { readPem } from './cert-pem.ts'
import type { CertKind } from './kube-cert-target.ts'

export const KUBE_CERT_CODES = {
  kube_cert_not_found: { layer: 'request', reason: 'not_found', en: 'The cluster has no such object: look at whatever makes it, and at its name.', zh: '集群中没有该对象：请检查创建它的程序及其名称。' },
  kube_cert_no_certificate: { layer: 'request', reason: 'protocol', en: 'The object holds no certificate where one belongs, or a broken one: look at whatever issues it.', zh: '对象中应有证书的位置没有证书，或证书已损坏：请检查签发程序。' },
  kube_cert_no_bundle: { layer: 'request', reason: 'untrusted', en: 'The API server calls a Service without a bundle of authorities to trust: nothing has put caBundle in, and its calls fail.', zh: 'API server 调用 Service 时没有可信任的 CA：caBundle 未被填入，调用将失败。' },
  kube_cert_no_key: { layer: 'request', reason: 'protocol', en: 'The Secret has no private key that can be read: whatever serves its certificate cannot start or keeps an old one.', zh: 'Secret 中没有可读取的私钥：使用该证书的服务无法启动，或继续使用旧证书。' },
  kube_cert_key_mismatch: { layer: 'assert', reason: 'mismatch', en: 'The private key of the Secret belongs to another certificate than the one beside it: write both anew, together.', zh: 'Secret 中的私钥与证书不匹配：请同时重新写入二者。' },
  kube_cert_too_many: { layer: 'prober', reason: 'overloaded', en: 'The object holds more certificates than one probe looks at.', zh: '对象中的证书数量超过单个探测的上限。' },
} as const satisfies Readonly<Record<string, CodeSpec>>

export interface KubeProblem {
  readonly code: keyof typeof KUBE_CERT_CODES
  readonly message: string
}

/** Certificates that stand together in an object. */
export interface Bundle {
  /** Where: the key of a Secret, the name of a webhook, `caBundle`. */
  readonly place: string
  /** PEM; empty where there is none and none is needed. */
  readonly pem: string
}

export interface ObjectContents {
  readonly bundles: readonly Bundle[]
  readonly problems: readonly KubeProblem[]
}

const base64 = z.string().nullish()
const clientConfig = z.object({ url: z.string().nullish(), caBundle: base64 }).nullish()
const webhooks = z.object({ webhooks: z.array(z.object({ name: z.string(), clientConfig })).nullish() })

// What a schema does not name is dropped here: of a Secret these three keys are ever looked at.
const secret = z.object({ type: z.string().nullish(), data: z.object({ 'tls.crt': base64, 'tls.key': base64, 'ca.crt': base64 }).nullish() })
const apiService = z.object({ spec: z.object({ service: z.object({}).nullish(), insecureSkipTLSVerify: z.boolean().nullish(), caBundle: base64 }) })
const definition = z.object({ spec: z.object({ conversion: z.object({ strategy: z.string().nullish(), webhook: z.object({ clientConfig }).nullish() }).nullish() }) })

const READERS: Readonly<Record<CertKind, (raw: unknown) => ObjectContents>> = {
  secret: (raw) => ofSecret(secret.parse(raw)),
  validatingwebhook: (raw) => ofWebhooks(webhooks.parse(raw)),
  mutatingwebhook: (raw) => ofWebhooks(webhooks.parse(raw)),
  apiservice: (raw) => {
    const { service, insecureSkipTLSVerify: insecure, caBundle } = apiService.parse(raw).spec
    // Without a Service the API server answers by itself.
    return bundleFor('caBundle', caBundle, Boolean(service) && insecure !== true)
  },
  crd: (raw) => {
    const { conversion } = definition.parse(raw).spec
    return conversion?.strategy === 'Webhook' ? bundleFor('conversion', conversion.webhook?.clientConfig?.caBundle, !conversion.webhook?.clientConfig?.url) : { bundles: [], problems: [] }
  },
}

/** What an object holds, as the API's JSON has it. Throws ProbeFailure('kube_protocol') for a shape that is not the API's; of its content nothing is said. */
export function readObject(kind: CertKind, raw: unknown): ObjectContents {
  try {
    return READERS[kind](raw)
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error
    throw new ProbeFailure('kube_protocol', `what the API sends is no ${kind}: ${error.issues.map(({ path }) => path.map(String).join('.')).join(', ')}`)
  }
}

function ofSecret({ type, data }: z.output<typeof secret>): ObjectContents {
  const pem = decoded(data?.['tls.crt'])
  const problems: KubeProblem[] = pem === '' ? [{ code: 'kube_cert_no_certificate', message: 'tls.crt is empty: nothing has issued it yet' }] : []
  const ca = decoded(data?.['ca.crt'])
  const key = data?.['tls.key']
  if (pem !== '' && (type === 'kubernetes.io/tls' || key)) problems.push(...keyProblem(pem, decoded(key)))
  return { bundles: [{ place: 'tls.crt', pem }, { place: 'ca.crt', pem: ca }], problems }
}

/** Whether the key belongs to the first certificate. The only use of a private key: nothing of it leaves this function, what OpenSSL says of it neither. */
function keyProblem(pem: string, key: string): readonly KubeProblem[] {
  const [leaf] = readPem(pem).certificates
  try {
    const certificate = leaf === undefined ? undefined : new X509Certificate(leaf)
    // What is wrong with the certificate is said where it is read.
    if (!certificate) return []
    try {
      return certificate.checkPrivateKey(createPrivateKey(key)) ? [] : [{ code: 'kube_cert_key_mismatch', message: 'tls.key is not the key of the certificate in tls.crt' }]
    } catch {
      return [{ code: 'kube_cert_no_key', message: key === '' ? 'tls.key is empty' : 'tls.key holds no private key that can be read without a passphrase' }]
    }
  } catch {
    return []
  }
}

function ofWebhooks({ webhooks: all }: z.output<typeof webhooks>): ObjectContents {
  const read = (all ?? []).map(({ name, clientConfig: config }) => bundleFor(name, config?.caBundle, !config?.url))
  return { bundles: read.flatMap(({ bundles }) => bundles), problems: read.flatMap(({ problems }) => problems) }
}

/** A caBundle. Where a URL is called, the machine's own authorities may be meant; a certificate of a Service is by none of those. */
function bundleFor(place: string, caBundle: string | null | undefined, needed: boolean): ObjectContents {
  const pem = decoded(caBundle)
  return { bundles: [{ place, pem }], problems: needed && pem.trim() === '' ? [{ code: 'kube_cert_no_bundle', message: `${place} is called as a Service, and has no caBundle` }] : [] }
}

function decoded(text: string | null | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString('latin1')
}
