import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './process.ts'

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

const NAMES = 'subjectAltName=DNS:localhost,DNS:probe.test,IP:127.0.0.1'
let cached: Certificates | undefined

/** Every certificate that the tests need, made with openssl once per process. */
export function makeCertificates(dir: string = join(temporaryDirectory().path, 'certificates')): Certificates {
  cached ??= make(dir)
  return cached
}

function make(dir: string): Certificates {
  mkdirSync(dir, { recursive: true })
  const path = (name: string) => join(dir, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const pair = (name: string, certFiles: readonly string[], keyName = name): Pair => {
    const cert = certFiles.map((file) => readFileSync(path(`${file}.pem`), 'utf8')).join('')
    writeFileSync(path(`${name}.sent.pem`), cert)
    return { certFile: path(`${name}.sent.pem`), keyFile: path(`${keyName}.key`), cert, key: readFileSync(path(`${keyName}.key`), 'utf8') }
  }
  const key = (name: string) => openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path(`${name}.key`))

  /** Signs with `openssl ca`, the only command of OpenSSL 3.0 that takes dates of the past and the future. */
  const sign = (name: string, subject: string, extensions: string, { by, from = '20200101000000Z', to = '20991231235959Z' }: { by?: string, from?: string, to?: string }) => {
    key(name)
    openssl('req', '-new', '-key', path(`${name}.key`), '-subj', subject, '-out', path(`${name}.csr`), '-config', path('openssl.cnf'))
    writeFileSync(path(`${name}.ext`), extensions)
    const signer = by === undefined ? ['-selfsign', '-keyfile', path(`${name}.key`)] : ['-cert', path(`${by}.pem`), '-keyfile', path(`${by}.key`)]
    openssl('ca', '-config', path('openssl.cnf'), '-batch', '-notext', ...signer, '-in', path(`${name}.csr`), '-out', path(`${name}.pem`),
      '-startdate', from, '-enddate', to, '-extfile', path(`${name}.ext`))
  }
  writeFileSync(path('index.txt'), '')
  writeFileSync(path('openssl.cnf'), [
    '[req]', 'distinguished_name=dn', '[dn]', '[ca]', 'default_ca=own', '[own]', `database=${path('index.txt')}`, `new_certs_dir=${dir}`,
    `serial=${path('serial')}`, 'rand_serial=yes', 'default_md=sha256', 'policy=any', 'unique_subject=no', 'preserve=yes', '[any]', 'countryName=optional', 'organizationName=optional', 'commonName=optional', '',
  ].join('\n'))

  const authority = 'basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash'
  sign('ca', '/O=Curlew Test/CN=Curlew Test Root', authority, {})
  sign('stranger', '/O=Stranger/CN=Stranger Root', authority, {})
  sign('intermediate', '/O=Curlew Test/CN=Curlew Test Intermediate', authority, { by: 'ca' })
  sign('good', '/C=DE/O=Curlew Test/CN=localhost', NAMES, { by: 'ca' })
  sign('expired', '/O=Curlew Test/CN=localhost', NAMES, { by: 'ca', to: '20210101000000Z' })
  sign('not-yet-valid', '/O=Curlew Test/CN=localhost', NAMES, { by: 'ca', from: '20900101000000Z' })
  sign('wrong-host', '/O=Curlew Test/CN=other.test', 'subjectAltName=DNS:other.test', { by: 'ca' })
  sign('expired-wrong-host', '/O=Curlew Test/CN=other.test', 'subjectAltName=DNS:other.test', { by: 'ca', to: '20210101000000Z' })
  sign('self-signed', '/O=Curlew Test/CN=localhost', NAMES, {})
  sign('unknown-ca', '/O=Nobody/CN=localhost', NAMES, { by: 'stranger' })
  sign('public', '/O=Nobody/CN=localhost', `${NAMES}\nauthorityInfoAccess=caIssuers;URI:http://127.0.0.1/ca.der`, { by: 'stranger' })
  sign('chain', '/O=Curlew Test/CN=localhost', NAMES, { by: 'intermediate' })
  sign('client', '/O=Curlew Test/CN=prober', 'extendedKeyUsage=clientAuth', { by: 'ca' })
  sign('strange-client', '/O=Stranger/CN=prober', 'extendedKeyUsage=clientAuth', { by: 'stranger' })

  return {
    caFile: path('ca.pem'),
    ca: pair('ca', ['ca']),
    good: pair('good', ['good']),
    expired: pair('expired', ['expired']),
    notYetValid: pair('not-yet-valid', ['not-yet-valid']),
    wrongHost: pair('wrong-host', ['wrong-host']),
    expiredWrongHost: pair('expired-wrong-host', ['expired-wrong-host']),
    selfSigned: pair('self-signed', ['self-signed']),
    unknownCa: pair('unknown-ca', ['unknown-ca']),
    unknownCaWithRoot: pair('unknown-ca-with-root', ['unknown-ca', 'stranger'], 'unknown-ca'),
    chain: pair('chain', ['chain', 'intermediate']),
    missingIntermediate: pair('missing-intermediate', ['chain'], 'chain'),
    missingPublicIntermediate: pair('public', ['public']),
    client: pair('client', ['client']),
    strangeClient: pair('strange-client', ['strange-client']),
  }
}
