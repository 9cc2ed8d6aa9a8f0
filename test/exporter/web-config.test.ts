import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { redact } from '../../src/core/secrets.ts'
import { alternativeNames } from '../../src/exporter/http-tls.ts'
import { asksForLogin, checkWebConfig, goDuration, readWebConfig } from '../../src/exporter/web-config.ts'
import { makeCertificates } from '../support/certificates.ts'
import { closeAll, HASH, TOKEN, webFile } from './http-support.ts'

afterEach(closeAll)

const certificates = makeCertificates()
const TLS = `tls_server_config:\n  cert_file: ${certificates.good.certFile}\n  key_file: ${certificates.good.keyFile}\n`
const CA = `  client_ca_file: ${certificates.caFile}\n`
const indent = (text: string) => text.trimEnd().split('\n').map((line) => `    ${line}\n`).join('')
const TOKENS = (entry: string) => `bearer_tokens:\n  - { name: ci, ${entry} }\n`
const FILLED = 'x'.repeat(15)

describe('good web-config files', () => {
  it.each([
    ['empty', ''],
    ['a comment', '# nothing yet\n'],
    ['empty sections', 'tls_server_config:\nbasic_auth_users:\nhttp_server_config:\nrate_limit:\nbearer_tokens:\n'],
    ['an empty tls_server_config', 'tls_server_config: {}\n'],
    ['TLS', TLS],
    ['TLS inline', `tls_server_config:\n  cert: |\n${indent(certificates.good.cert)}  key: |\n${indent(certificates.good.key)}`],
    ['TLS with a chain', `tls_server_config:\n  cert_file: ${certificates.chain.certFile}\n  key_file: ${certificates.chain.keyFile}\n`],
    ['TLS with everything', `${TLS}${CA}  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prober.test]\n  min_version: TLS12\n  max_version: TLS13\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]\n  prefer_server_cipher_suites: false\n  curve_preferences: [X25519, CurveP256]\n`],
    ['an old TLS version', `${TLS}  min_version: TLS10\n`],
    ['suites of TLS 1.3 only', `${TLS}  cipher_suites: [TLS_AES_128_GCM_SHA256]\n`],
    ['NoClientCert', `${TLS}  client_auth_type: NoClientCert\n`],
    ['RequestClientCert', `${TLS}  client_auth_type: RequestClientCert\n`],
    ['RequireAnyClientCert', `${TLS}  client_auth_type: RequireAnyClientCert\n`],
    ['the old name RequireClientCert', `${TLS}  client_auth_type: RequireClientCert\n`],
    ['an empty client_auth_type', `${TLS}  client_auth_type: ""\n`],
    ['VerifyClientCertIfGiven', `${TLS}${CA}  client_auth_type: VerifyClientCertIfGiven\n`],
    ['headers', 'http_server_config:\n  http2: false\n  headers:\n    Content-Security-Policy: "default-src \'self\'"\n    X-Frame-Options: sameorigin\n    X-Content-Type-Options: nosniff\n    X-XSS-Protection: "1"\n    Strict-Transport-Security: max-age=31536000\n'],
    ['users', `basic_auth_users:\n  alice: ${HASH}\n  bob: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n`],
    ['tokens', TOKENS(`token: ${TOKEN}, scopes: [read]`)],
    ['a rate limit', 'rate_limit: { interval: 1s, burst: 20 }\n'],
    ['a rate limit that is off', 'rate_limit: { interval: 0, burst: 0 }\n'],
  ])('%s', (_name, text) => { expect(checkWebConfig(webFile(text))).toEqual([]) })
})

describe('who may post alerts', () => {
  it.each([
    ['users may', `basic_auth_users:\n  alice: ${HASH}\n`, true],
    ['a token for it may', TOKENS(`token: ${TOKEN}, scopes: [read, notify]`), true],
    ['a token for everything may', TOKENS(`token: ${TOKEN}, scopes: [operate]`), true],
    ['a token for reading may not', TOKENS(`token: ${TOKEN}, scopes: [read]`), false],
    ['nobody is asked', 'rate_limit: { interval: 1s, burst: 20 }\n', false],
    ['a file with mistakes is told of elsewhere', 'users: {}\n', true],
  ])('%s', (_name, text, expected) => { expect(asksForLogin(webFile(text))).toBe(expected) })
})

describe('bad web-config files', () => {
  it.each([
    ['an unknown key', 'tls_server_confg: {}\n', '1:1: tls_server_confg: unknown key'],
    ['an unknown key inside', `${TLS}  cert_fil: a\n`, '4:3: tls_server_config.cert_fil: unknown key'],
    ['no mapping', '- a\n', '1:1: expected a mapping'],
    ['a tab', 'rate_limit:\n\tburst: 1\n', '2:1: not valid YAML: expected spaces, found a tab'],
    ['a key twice', 'rate_limit: {}\nrate_limit: {}\n', '2:1: not valid YAML: this key stands here twice'],
    ['an open quote', 'basic_auth_users:\n  a: "hunter2', '2:14: not valid YAML: a character is missing'],
    ['two documents', '{}\n---\n{}\n', '2:1: not valid YAML: expected one document, found ---'],
    ['a certificate without a key', `tls_server_config:\n  cert_file: ${certificates.good.certFile}\n`, '1:1: tls_server_config: expected key_file (or key)'],
    ['a key without a certificate', `tls_server_config:\n  key_file: ${certificates.good.keyFile}\n`, '1:1: tls_server_config: expected cert_file (or cert)'],
    ['only allowed names', 'tls_server_config:\n  client_allowed_sans: [a]\n', '1:1: tls_server_config: expected cert_file and key_file'],
    ['a certificate twice', `${TLS}  cert: x\n`, 'tls_server_config.cert: expected either cert or cert_file'],
    ['a missing certificate', TLS.replace('.sent.pem', '.gone.pem'), /2:14: tls_server_config\.cert_file: cannot read .*\.gone\.pem \(ENOENT\)/],
    ['a directory', `tls_server_config:\n  cert_file: /\n  key_file: ${certificates.good.keyFile}\n`, '2:14: tls_server_config.cert_file: cannot read / (EISDIR)'],
    ['a certificate that is none', `tls_server_config:\n  cert_file: ${certificates.good.keyFile}\n  key_file: ${certificates.good.keyFile}\n`, '2:14: tls_server_config.cert_file: expected a certificate in PEM form'],
    ['a key that is none', `tls_server_config:\n  cert_file: ${certificates.good.certFile}\n  key_file: ${certificates.good.certFile}\n`, 'tls_server_config.cert_file: its key is no private key in PEM form'],
    ['a key of another', `tls_server_config:\n  cert_file: ${certificates.good.certFile}\n  key_file: ${certificates.client.keyFile}\n`, 'tls_server_config.cert_file: the certificate does not belong to the key (ERR_OSSL_X509_KEY_VALUES_MISMATCH)'],
    ['an authority without a policy', `${TLS}${CA}`, "tls_server_config.client_ca_file: expected client_auth_type too"],
    ['an authority that is none', `${TLS}  client_ca_file: ${certificates.good.keyFile}\n  client_auth_type: RequireAndVerifyClientCert\n`, 'tls_server_config.client_ca_file: expected certificates in PEM form'],
    ['a policy without an authority', `${TLS}  client_auth_type: RequireAndVerifyClientCert\n`, '4:21: tls_server_config.client_auth_type: RequireAndVerifyClientCert needs client_ca_file'],
    ['an unknown policy', `${TLS}  client_auth_type: Always\n`, '4:21: tls_server_config.client_auth_type: expected one of NoClientCert, '],
    ['names without a required certificate', `${TLS}${CA}  client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [a]\n`, 'tls_server_config.client_allowed_sans: expected client_auth_type RequireAndVerifyClientCert'],
    ['an unknown version', `${TLS}  min_version: TLS111\n`, '4:16: tls_server_config.min_version: expected one of TLS10, TLS11, TLS12, TLS13'],
    ['versions the wrong way round', `${TLS}  min_version: TLS13\n  max_version: TLS12\n`, 'tls_server_config.min_version: expected at most max_version'],
    ['an unknown suite', `${TLS}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n`, '4:19: tls_server_config.cipher_suites[0]: expected one of TLS_AES_128_GCM_SHA256'],
    ['an unknown curve', `${TLS}  curve_preferences: [CurveP257]\n`, '4:23: tls_server_config.curve_preferences[0]: expected one of CurveP256'],
    ['no truth value', `${TLS}  prefer_server_cipher_suites: maybe\n`, '4:32: tls_server_config.prefer_server_cipher_suites: expected true or false'],
    ['an unknown header', 'http_server_config:\n  headers:\n    X-Other: a\n', '3:5: http_server_config.headers.X-Other: the header X-Other cannot be set here'],
    ['a wrong header value', 'http_server_config:\n  headers:\n    X-Frame-Options: allow\n', '3:22: http_server_config.headers.X-Frame-Options: expected one of deny, sameorigin'],
    ['a header that breaks the line', 'http_server_config:\n  headers:\n    X-XSS-Protection: "1\\r\\nSet-Cookie: a"\n', '3:23: http_server_config.headers.X-XSS-Protection: expected printable ASCII'],
    ['a plain password', 'basic_auth_users:\n  alice: hunter2\n', '2:10: basic_auth_users.alice: expected a bcrypt hash, as htpasswd -nBC 10 prints it'],
    ['a hash that takes for ever', `basic_auth_users:\n  alice: ${HASH.replace('$04$', '$31$')}\n`, '2:10: basic_auth_users.alice: expected a bcrypt cost between 4 and 15'],
    ['a user with a colon', `basic_auth_users:\n  "a:b": ${HASH}\n`, '2:3: basic_auth_users.a:b: expected a user name without a colon'],
    ['a short token', TOKENS(`token: ${FILLED}, scopes: [read]`), '2:24: bearer_tokens[0].token: expected a token of at least 16 characters'],
    ['a token with a blank', TOKENS(`token: "${FILLED} x", scopes: [read]`), 'bearer_tokens[0].token: expected a token of letters, digits'],
    ['a token without scopes', TOKENS(`token: ${TOKEN}`), '2:5: bearer_tokens[0].scopes: the key is missing'],
    ['a token with an unknown scope', TOKENS(`token: ${TOKEN}, scopes: [write]`), 'bearer_tokens[0].scopes[0]: expected one of read, operate'],
    ['no token', TOKENS('scopes: [read]'), '2:5: bearer_tokens[0]: expected either token or token_file'],
    ['two tokens', TOKENS(`token: ${TOKEN}, token_file: a, scopes: [read]`), 'bearer_tokens[0]: expected either token or token_file'],
    ['a token file that is missing', TOKENS('token_file: gone, scopes: [read]'), /bearer_tokens\[0\]\.token_file: cannot read \/.*\/gone \(ENOENT\)/],
    ['a token twice', `${TOKENS(`token: ${TOKEN}, scopes: [read]`)}  - { name: other, token: ${TOKEN}, scopes: [operate] }\n`, 'bearer_tokens[1].token: another entry has the same token'],
    ['a token name twice', `${TOKENS(`token: ${TOKEN}, scopes: [read]`)}  - { name: ci, token: ${TOKEN}x, scopes: [read] }\n`, 'bearer_tokens[1].name: another token is called ci too'],
    ['a bad interval', 'rate_limit: { interval: 1 second, burst: 1 }\n', '1:25: rate_limit.interval: expected a duration such as 1s or 100ms'],
    ['a limit that answers nothing', 'rate_limit: { interval: 1s }\n', '1:1: rate_limit: expected a burst of at least 1'],
    ['a broken burst', 'rate_limit: { interval: 1s, burst: 1.5 }\n', '1:36: rate_limit.burst: expected a whole number'],
  ])('%s', (_name, text, expected) => {
    const file = webFile(text)
    const [mistake = '', ...others] = checkWebConfig(file)
    expect(others).toEqual([])
    expect(mistake.slice(0, file.length + 1)).toBe(`${file}:`)
    if (typeof expected === 'string') expect(mistake).toContain(expected)
    else expect(mistake).toMatch(expected)
    expect(mistake).not.toContain('hunter2')
    expect(mistake).not.toContain(TOKEN)
  })

  it('are reported with every mistake at once', () => {
    expect(checkWebConfig(webFile(`tls_server_config:\n${CA}`)).map((mistake) => mistake.replace(/^.*?yml:/, ''))).toEqual([
      '1:1: tls_server_config: expected cert_file (or cert)',
      '1:1: tls_server_config: expected key_file (or key)',
      '2:19: tls_server_config.client_ca_file: expected client_auth_type too, such as RequireAndVerifyClientCert',
    ])
    expect(checkWebConfig(webFile('a: 1\nrate_limit: { burst: x }\nbasic_auth_users: { u: p }\n'))).toHaveLength(3)
  })

  it('are reported when the file is not there', () => {
    expect(checkWebConfig('/nowhere/web.yml')).toEqual(['/nowhere/web.yml:1:1: cannot read /nowhere/web.yml (ENOENT)'])
  })
})

it('reads paths from the directory of the file, and strips the line end of a token file', () => {
  const file = webFile('bearer_tokens: [{ name: ci, token_file: token, scopes: [operate] }]\n')
  writeFileSync(join(dirname(file), 'token'), `${TOKEN}\n`)
  const { config, stamps } = readWebConfig(file)
  expect(config.tokens).toEqual([{ name: 'ci', token: TOKEN, scopes: new Set(['read', 'operate', 'notify']) }])
  expect([...stamps.keys()]).toEqual([file, join(dirname(file), 'token')])
})

it('has every token and hash redacted from then on', () => {
  readWebConfig(webFile(`basic_auth_users: { a: ${HASH} }\nbearer_tokens: [{ name: ci, token: only-in-this-test-0123, scopes: [read] }]\n`))
  expect(redact(`x only-in-this-test-0123 y ${HASH}`)).toBe('x <secret> y <secret>')
})

it.each([
  ['1s', 1_000], ['100ms', 100], ['1.5h', 5_400_000], ['1m30s', 90_000], ['0', 0], ['0s', 0], ['.5s', 500], ['250us', 0.25],
  ['', undefined], ['1', undefined], ['1d', undefined], ['s', undefined], ['-1s', undefined], ['1 s', undefined],
])('the Go duration %s is %s ms', (text, ms) => { expect(goDuration(text)).toBe(ms) })

it.each([
  ['', []],
  ['DNS:a.test, DNS:*.b.test', ['a.test', '*.b.test']],
  ['IP Address:127.0.0.1, IP Address:FE80:0:0:0:0:0:0:1', ['127.0.0.1', 'fe80::1']],
  ['email:a@b.test, URI:spiffe://cluster/ns/x', ['a@b.test', 'spiffe://cluster/ns/x']],
  ['DNS:"good.test\\u0000, DNS:evil.test"', ['good.test\0, DNS:evil.test']],
  ['URI:"http://a/x, DNS:trusted.test"', ['http://a/x, DNS:trusted.test']],
])('alternative names %s', (text, names) => { expect(alternativeNames(text)).toEqual(names) })
