import { describe, expect, it } from 'vitest'
import { isKubeconfig, readKubeconfig } from '../../../src/probes/lib/cert-kubeconfig.ts'
import { readPem } from '../../../src/probes/lib/cert-pem.ts'

const block = (label: string, content = 'AAAA') => `-----BEGIN ${label}-----\n${content}\n-----END ${label}-----\n`

describe('PEM', () => {
  it.each<[string, string, object]>([
    ['nothing', '', { certificates: [], others: 0, cut: false }],
    ['certificates under their three names', ['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE'].map((label) => block(label)).join('junk\n'), { certificates: ['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE'].map((label) => block(label).trimEnd()), others: 0, cut: false }],
    ['keys and other things', block('EC PARAMETERS') + block('EC PRIVATE KEY') + block('X509 CRL'), { certificates: [], others: 3, cut: false }],
    ['a block that another one begins in', `-----BEGIN CERTIFICATE-----\nAAAA\n${block('CERTIFICATE', 'BBBB')}`, { certificates: [block('CERTIFICATE', 'BBBB').trimEnd()], others: 0, cut: true }],
    ['a block with another end', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END EC PRIVATE KEY-----', { certificates: [], others: 0, cut: true }],
  ])('%s', (_what, text, expected) => { expect(readPem(text)).toEqual(expected) })

  it('of beginnings only takes no time', () => {
    const began = performance.now()
    expect(readPem('-----BEGIN CERTIFICATE-----\n'.repeat(37_000))).toMatchObject({ certificates: [], cut: true })
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})

describe('kubeconfig', () => {
  it.each<[string, boolean]>([
    ['apiVersion: v1\nclusters: []\n', true], ['{"kind":"Config","users":[]}', true], ['users:\n', true], ['server { listen 80; }', false], ['kind: Pod\nspec: {}\n', false],
  ])('%j looks like one: %s', (text, expected) => { expect(isKubeconfig(text)).toBe(expected) })

  it('data wins over a file, and a relative file is beside it', () => {
    expect(readKubeconfig('clusters: [{ name: a, cluster: { certificate-authority: pki/ca.crt } }]\nusers: [{ name: b, user: { client-certificate: /b.crt, client-certificate-data: Yg== } }, { name: c, user: {} }, { name: d }]', '/etc/kubernetes/x.conf')).toEqual({
      parts: [{ name: 'cluster/a', path: '/etc/kubernetes/pki/ca.crt' }, { name: 'user/b', pem: 'b' }], problems: [],
    })
  })

  it('with more entries than anybody has is not parsed', () => {
    const began = performance.now()
    expect(() => readKubeconfig(`users: [${'{},'.repeat(200_000)}]`, '/x')).toThrow('too many entries')
    expect(performance.now() - began).toBeLessThan(3_000)
  })
})
