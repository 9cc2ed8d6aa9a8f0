import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProbeResult } from '../../src/core/result.ts'
import { kubeCert } from '../../src/probes/kube-cert.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startKubeApi, type KubeApi, type KubeObject } from '../support/kube-api.ts'
import { declarationContract, gaugeOf, jobOf, probeOnce } from './contract.ts'

declarationContract(kubeCert)

const { good, chain, expired, notYetValid, ca, wrongHost } = makeCertificates()
const FOREVER = Date.UTC(2099, 11, 31, 23, 59, 59) / 1000
const base64 = (text: string) => Buffer.from(text).toString('base64')
const failedWith = (layer: string, reason: string, code: string, message = '') => ({ status: 'failed', failure: { layer, reason, code, message: expect.stringContaining(message) as unknown } })

let api: KubeApi
let kubeconfig = ''
beforeAll(async () => {
  api = await startKubeApi()
  kubeconfig = api.kubeconfig()
})
afterAll(() => api.stop())

const probe = (target: string, entry: Record<string, unknown> = {}) => probeOnce(kubeCert, { target, kubeconfig, ...entry })
const exported = (result: ProbeResult) => result.gauges.filter(({ name }) => name === 'probe_ssl_cert_not_after').map(({ labels }) => `${labels?.['file']} ${labels?.['entry']} ${labels?.['cn']}`).sort()

let count = 0
/** A TLS Secret of its own; the target that means it. */
function secret(data: Readonly<Record<string, string>>, type = 'kubernetes.io/tls'): string {
  const name = `tls-${++count}`
  api.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' }, type, data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])) })
  return `secret/shop/${name}`
}

describe('a target', () => {
  it.each([
    'secret/shop/web-tls', 'apiservice/v1beta1.metrics.k8s.io', 'crd/issuers.cert-manager.io',
  ])('%s is on no host, and looked at once an hour', (target) => {
    const job = jobOf(kubeCert, { target })
    expect(job).toMatchObject({ target, host: undefined, schedule: { everyMs: 3_600_000 } })
    expect(job.ways()).toEqual([])
  })

  it.each(['secret/web-tls', 'secret/shop/a/b', 'configmap/shop/x', 'crd/shop/x', 'secret/../x', 'secret/shop/%2e%2e', 'validatingwebhook/A'])('%s is refused', (target) => {
    expect(() => jobOf(kubeCert, { target })).toThrow('expected secret/NAMESPACE/NAME')
  })

  it('takes a context with a kubeconfig only', () => { expect(() => jobOf(kubeCert, { target: 'crd/x', context: 'a' })).toThrow('expected a kubeconfig beside it') })
})

describe('a TLS Secret', () => {
  it('has every certificate exported, of the chain and of its authorities, and one object is asked for', async () => {
    const target = secret({ 'tls.crt': chain.cert, 'tls.key': chain.key, 'ca.crt': ca.cert })
    const before = api.requests().length
    const result = await probe(target)
    expect(result).toMatchObject({ status: 'ok' })
    expect(exported(result)).toEqual(['ca.crt 0 Curlew Test Root', 'tls.crt 0 localhost', 'tls.crt 1 Curlew Test Intermediate'])
    expect(gaugeOf(result, 'probe_ssl_earliest_cert_expiry')).toBe(FOREVER)
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(3)
    expect(api.requests().slice(before)).toEqual([{ method: 'GET', path: `/api/v1/namespaces/shop/secrets/${target.split('/')[2]}` }])
  })

  it.each<[string, Record<string, string>, object, number]>([
    ['expired', { 'tls.crt': expired.cert, 'tls.key': expired.key }, failedWith('tls', 'expired', 'tls_expired', 'tls.crt: the certificate CN=localhost'), 1],
    ['not yet valid', { 'tls.crt': notYetValid.cert, 'tls.key': notYetValid.key }, failedWith('tls', 'expired', 'tls_not_yet_valid'), 1],
    ['an authority that has expired', { 'tls.crt': good.cert, 'tls.key': good.key, 'ca.crt': `${ca.cert}${expired.cert}` }, failedWith('tls', 'expired', 'tls_expired', 'ca.crt (1)'), 3],
    ['the key of another certificate', { 'tls.crt': good.cert, 'tls.key': wrongHost.key }, failedWith('assert', 'mismatch', 'kube_cert_key_mismatch', 'tls.key is not the key'), 1],
    ['a key that is none', { 'tls.crt': good.cert, 'tls.key': 'hello' }, failedWith('request', 'protocol', 'kube_cert_no_key', 'tls.key holds no private key'), 1],
    ['no key', { 'tls.crt': good.cert, 'tls.key': '' }, failedWith('request', 'protocol', 'kube_cert_no_key', 'tls.key is empty'), 1],
    ['nothing yet', { 'tls.crt': '', 'tls.key': '' }, failedWith('request', 'protocol', 'kube_cert_no_certificate', 'tls.crt is empty'), 0],
    ['garbage', { 'tls.crt': 'garbage', 'tls.key': good.key }, failedWith('request', 'protocol', 'kube_cert_no_certificate', 'tls.crt holds no certificate'), 0],
    ['a certificate that is cut off', { 'tls.crt': `${good.cert}${ca.cert.slice(0, 200)}`, 'tls.key': good.key }, failedWith('request', 'protocol', 'kube_cert_no_certificate', 'cut off'), 1],
    ['a broken authority', { 'tls.crt': good.cert, 'tls.key': good.key, 'ca.crt': ca.cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA') }, failedWith('request', 'protocol', 'kube_cert_no_certificate', 'ca.crt'), 1],
  ])('%s: what can be read is exported all the same', async (_what, data, expected, certificates) => {
    const target = secret(data)
    const result = await probe(target)
    expect(result).toMatchObject(expected)
    expect(result).toMatchObject({ failure: { message: expect.stringContaining(target) as unknown } })
    expect(gaugeOf(result, 'probe_ssl_certificates')).toBe(certificates)
  })

  it('of another type is read for its certificates, its key only if it has one', async () => {
    expect(await probe(secret({ 'tls.crt': good.cert }, 'Opaque'))).toMatchObject({ status: 'ok' })
    expect(await probe(secret({ 'tls.crt': good.cert, 'tls.key': wrongHost.key }, 'Opaque'))).toMatchObject(failedWith('assert', 'mismatch', 'kube_cert_key_mismatch'))
  })

  it('that is not there', async () => { expect(await probe('secret/shop/nobody')).toMatchObject(failedWith('request', 'not_found', 'kube_cert_not_found', 'secret/shop/nobody does not exist')) })

  it.each<[string, Record<string, string>]>([
    ['well', { 'tls.crt': good.cert, 'tls.key': good.key }], ['mismatched', { 'tls.crt': good.cert, 'tls.key': wrongHost.key }], ['broken', { 'tls.crt': good.key, 'tls.key': `${good.key.slice(0, 100)}CANARY` }],
    ['in the wrong place', { 'tls.crt': `${good.cert}${good.key}`, 'tls.key': good.cert, 'ca.crt': good.key }],
  ])('never shows a byte of a key or of a neighbour, %s', async (_what, data) => {
    const result = JSON.stringify(await probe(secret({ ...data, 'password': 'CANARY-of-a-password', 'notes': 'CANARY' })))
    expect(result).not.toContain('CANARY')
    expect(result).not.toContain(base64('CANARY-of-a-password'))
    for (const line of [...good.key.split('\n'), ...wrongHost.key.split('\n')].filter((one) => one.length > 20 && !one.startsWith('---'))) {
      expect(result).not.toContain(line)
      expect(result).not.toContain(base64(line).slice(0, 24))
    }
  })
})

const webhook = (kind: 'Validating' | 'Mutating', name: string, webhooks: unknown): KubeObject => ({ apiVersion: 'admissionregistration.k8s.io/v1', kind: `${kind}WebhookConfiguration`, metadata: { name }, webhooks })
const service = { namespace: 'shop', name: 'hook' }

describe('bundles of authorities', () => {
  it.each<[string, string, unknown, object, readonly string[]]>([
    ['each webhook and each certificate', 'validatingwebhook', [{ name: 'a.example.org', clientConfig: { service, caBundle: base64(`${ca.cert}${good.cert}`) } }, { name: 'b.example.org', clientConfig: { service, caBundle: base64(ca.cert) } }],
      { status: 'ok' }, ['a.example.org 0 Curlew Test Root', 'a.example.org 1 localhost', 'b.example.org 0 Curlew Test Root']],
    ['one that has expired', 'mutatingwebhook', [{ name: 'a', clientConfig: { service, caBundle: base64(expired.cert) } }, { name: 'b', clientConfig: { service, caBundle: base64(ca.cert) } }],
      failedWith('tls', 'expired', 'tls_expired', 'a: the certificate'), ['a 0 localhost', 'b 0 Curlew Test Root']],
    ['a URL may do without', 'validatingwebhook', [{ name: 'a', clientConfig: { url: 'https://hook.example.org' } }], { status: 'ok' }, []],
    ['a Service may not', 'validatingwebhook', [{ name: 'a', clientConfig: { service } }, { name: 'b', clientConfig: { service, caBundle: base64(ca.cert) } }], failedWith('request', 'untrusted', 'kube_cert_no_bundle', 'a is called as a Service'), ['b 0 Curlew Test Root']],
    ['a line end is none', 'mutatingwebhook', [{ name: 'a', clientConfig: { service, caBundle: base64('\n') } }], failedWith('request', 'untrusted', 'kube_cert_no_bundle'), []],
    ['garbage', 'mutatingwebhook', [{ name: 'a', clientConfig: { service, caBundle: base64('garbage') } }], failedWith('request', 'protocol', 'kube_cert_no_certificate', 'a holds no certificate'), []],
    ['no webhook at all', 'mutatingwebhook', null, { status: 'ok' }, []],
  ])('of a webhook: %s', async (_what, kind, webhooks, expected, certificates) => {
    const name = `hook-${++count}`
    api.put(webhook(kind === 'validatingwebhook' ? 'Validating' : 'Mutating', name, webhooks))
    const result = await probe(`${kind}/${name}`)
    expect(result).toMatchObject(expected)
    expect(exported(result)).toEqual(certificates)
  })

  it.each<[string, object, object]>([
    ['with a bundle', { service, caBundle: base64(ca.cert) }, { status: 'ok' }],
    ['that has expired', { service, caBundle: base64(expired.cert) }, failedWith('tls', 'expired', 'tls_expired', 'caBundle')],
    ['that trusts anybody', { service, insecureSkipTLSVerify: true }, { status: 'ok' }],
    ['that the API server serves itself', {}, { status: 'ok' }],
    ['without a bundle', { service }, failedWith('request', 'untrusted', 'kube_cert_no_bundle')],
  ])('of an APIService: %s', async (_what, spec, expected) => {
    const name = `v${++count}.example.org`
    api.put({ apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name }, spec })
    expect(await probe(`apiservice/${name}`)).toMatchObject(expected)
  })

  it.each<[string, object, object]>([
    ['converted by a webhook', { conversion: { strategy: 'Webhook', webhook: { clientConfig: { service, caBundle: base64(expired.cert) } } } }, failedWith('tls', 'expired', 'tls_expired', 'conversion')],
    ['converted by a webhook without a bundle', { conversion: { strategy: 'Webhook', webhook: { clientConfig: { service } } } }, failedWith('request', 'untrusted', 'kube_cert_no_bundle')],
    ['not converted', { conversion: { strategy: 'None' } }, { status: 'ok' }],
    ['old', {}, { status: 'ok' }],
  ])('of a custom resource: %s', async (_what, spec, expected) => {
    const name = `r${++count}.example.org`
    api.put({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name }, spec })
    expect(await probe(`crd/${name}`)).toMatchObject(expected)
  })
})

describe('nobody is accused', () => {
  it.each<[string, Parameters<KubeApi['fault']>[1], string]>([
    ['when the role forbids it', { status: 403, message: 'forbidden' }, 'kube_forbidden'], ['when the API is in trouble', { status: 500, message: 'CANARY' }, 'kube_unavailable'], ['when the API hangs', 'hang', 'kube_timeout'],
    ['when something else answers', { status: 200, body: '<html>' }, 'kube_protocol'], ['when a proxy knows no such path', { status: 404, body: '404 page not found' }, 'kube_not_served'], ['when another object answers', { status: 200, body: '{"webhooks": 7}' }, 'kube_protocol'],
  ])('%s', async (_what, fault, code) => {
    const name = `hook-${++count}`
    const end = api.fault(`GET /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`, fault)
    try {
      expect(await probe(`mutatingwebhook/${name}`, { timeout: '400ms' })).toMatchObject({ status: 'unknown', failure: { layer: 'prober', code } })
    } finally {
      end()
    }
  })

  it('when there is no way to the API', async () => { expect(await probe('crd/x', { kubeconfig: '/nonexistent' })).toMatchObject({ status: 'unknown', failure: { code: 'kube_config' } }) })
})
