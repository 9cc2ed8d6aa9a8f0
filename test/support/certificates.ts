import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './process.ts'
import { issue, type CertificateRequest, type Issued } from './x509.ts'

/** A certificate with its key, as files and as PEM text. `cert` holds what a server sends: the leaf, then intermediates. */
export interface Pair {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** The authority that the tests trust, its organisation is Curlew Test. */
  readonly caFile: string
  readonly ca: Pair
  /** For localhost, probe.test and 127.0.0.1, signed by the authority. */
  readonly good: Pair
  readonly expired: Pair
  readonly notYetValid: Pair
  /** For other.test only. */
  readonly wrongHost: Pair
  /** Expired, and for other.test only. */
  readonly expiredWrongHost: Pair
  readonly selfSigned: Pair
  /** Signed by an authority of a stranger, which is not sent. */
  readonly unknownCa: Pair
  /** The same, with the stranger's root sent along. */
  readonly unknownCaWithRoot: Pair
  /** Signed by an intermediate of the authority, which is sent. */
  readonly chain: Pair
  /** The same leaf, the intermediate is not sent. */
  readonly missingIntermediate: Pair
  /** By a stranger's intermediate that is not sent, whose address stands in the leaf (as public authorities do). */
  readonly missingPublicIntermediate: Pair
  /** For a client, signed by the authority. */
  readonly client: Pair
  /** For a client, signed by the stranger. */
  readonly strangeClient: Pair
}

const NAMES = ['localhost', 'probe.test', '127.0.0.1']
let cached: Certificates | undefined

/** Every certificate that the tests need, made once per process. */
export function makeCertificates(dir: string = join(temporaryDirectory().path, 'certificates')): Certificates {
  cached ??= make(dir)
  return cached
}

function make(dir: string): Certificates {
  mkdirSync(dir, { recursive: true })
  const sign = (subject: string, { by, ...about }: Partial<CertificateRequest> & { by?: Issued }) =>
    issue({ subject, from: '20200101000000Z', to: '20991231235959Z', ...about }, by)
  const pair = (name: string, leaf: Issued, ...chain: readonly Issued[]): Pair => {
    const written = { certFile: join(dir, `${name}.sent.pem`), keyFile: join(dir, `${name}.key`), cert: [leaf, ...chain].map(({ cert }) => cert).join(''), key: leaf.key }
    writeFileSync(written.certFile, written.cert)
    writeFileSync(written.keyFile, written.key)
    return written
  }

  const ca = sign('/O=Curlew Test/CN=Curlew Test Root', { authority: true })
  const stranger = sign('/O=Stranger/CN=Stranger Root', { authority: true })
  const intermediate = sign('/O=Curlew Test/CN=Curlew Test Intermediate', { authority: true, by: ca })
  const unknownCa = sign('/O=Nobody/CN=localhost', { names: NAMES, by: stranger })
  const chain = sign('/O=Curlew Test/CN=localhost', { names: NAMES, by: intermediate })
  const root = pair('ca', ca)

  return {
    caFile: root.certFile,
    ca: root,
    good: pair('good', sign('/C=DE/O=Curlew Test/CN=localhost', { names: NAMES, by: ca })),
    expired: pair('expired', sign('/O=Curlew Test/CN=localhost', { names: NAMES, by: ca, to: '20210101000000Z' })),
    notYetValid: pair('not-yet-valid', sign('/O=Curlew Test/CN=localhost', { names: NAMES, by: ca, from: '20900101000000Z' })),
    wrongHost: pair('wrong-host', sign('/O=Curlew Test/CN=other.test', { names: ['other.test'], by: ca })),
    expiredWrongHost: pair('expired-wrong-host', sign('/O=Curlew Test/CN=other.test', { names: ['other.test'], by: ca, to: '20210101000000Z' })),
    selfSigned: pair('self-signed', sign('/O=Curlew Test/CN=localhost', { names: NAMES })),
    unknownCa: pair('unknown-ca', unknownCa),
    unknownCaWithRoot: pair('unknown-ca-with-root', unknownCa, stranger),
    chain: pair('chain', chain, intermediate),
    missingIntermediate: pair('missing-intermediate', chain),
    missingPublicIntermediate: pair('public', sign('/O=Nobody/CN=localhost', { names: NAMES, issuerUrl: 'http://127.0.0.1/ca.der', by: stranger })),
    client: pair('client', sign('/O=Curlew Test/CN=prober', { forClient: true, by: ca })),
    strangeClient: pair('strange-client', sign('/O=Stranger/CN=prober', { forClient: true, by: stranger })),
  }
}
