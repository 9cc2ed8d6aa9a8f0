import { certificate } from '../../src/alerts/catalogue/certificate.ts'
import { alertContract, labelsOf, type Case } from './promtool.ts'

const DAY = 86_400
/** Times are as promtool has them: from 1970 on. */
const HALF_HOUR = 1_800
const plus = (labels: string, more: string) => labels.replace('}', `,${more}}`)

const HTTP = labelsOf('web', 'http', 'https://example.org/')
const CERT = labelsOf('mail', 'cert', 'mail.example.org:25')
const SECRET = labelsOf('room-a_certificates', 'kube-cert', 'secret/shop/web-tls')
const filesOn = (node: string) => labelsOf('pki', 'cert', '/etc/kubernetes', { node, instance: `${node}:9797` })
const seenBy = (instance: string, labels = HTTP) => labels.replace('curlew-0:9797', instance)

const http = { job: 'curlew', probe: 'web', type: 'http', target: 'https://example.org/' }
const cert = { job: 'curlew', probe: 'mail', type: 'cert', target: 'mail.example.org:25' }
const secret = { job: 'curlew', probe: 'room-a_certificates', type: 'kube-cert', target: 'secret/shop/web-tls' }
const files = (node: string) => ({ job: 'curlew', probe: 'pki', type: 'cert', target: '/etc/kubernetes', node, instance: `${node}:9797` })

/** A certificate whose expiry reads so, of a probe that runs so often. */
function expiring(labels: string, values: string, every = 60): Record<string, string> {
  return { [`probe_ssl_earliest_cert_expiry${labels}`]: values, [`probe_interval_seconds${labels}`]: `${every}x60` }
}

const inDays = (labels: string, days: number, every?: number) => expiring(labels, `${HALF_HOUR + days * DAY}x60`, every)
const limit = (level: string, days: number, labels = CERT) => ({ [`probe_threshold${plus(labels, `name="expires_in_seconds",level="${level}"`)}`]: `${days * DAY}x60` })
const oneOf = (labels: string, file: string, entry: string, cn: string, seconds: number, name = 'not_after') => ({ [`probe_ssl_cert_${name}${plus(labels, `file="${file}",entry="${entry}",cn="${cn}"`)}`]: `${seconds}x60` })

const STAGES = ['CertificateRenewalDue', 'CertificateRenewalLate', 'CertificateExpiresVerySoon', 'CertificateExpired'] as const
/** Which stage speaks when so many days are left, and which when the config warns at 21 and 5. */
const LEFT: readonly (readonly [number, (typeof STAGES)[number] | undefined, (typeof STAGES)[number] | undefined])[] = [
  [60, undefined, undefined],
  [28, undefined, undefined],
  [27.999, 'CertificateRenewalDue', undefined],
  [21, 'CertificateRenewalDue', undefined],
  [20, 'CertificateRenewalDue', 'CertificateRenewalLate'],
  [14, 'CertificateRenewalDue', 'CertificateRenewalLate'],
  [13.999, 'CertificateRenewalLate', 'CertificateRenewalLate'],
  [5, 'CertificateRenewalLate', 'CertificateRenewalLate'],
  [4, 'CertificateRenewalLate', 'CertificateExpiresVerySoon'],
  [3, 'CertificateRenewalLate', 'CertificateExpiresVerySoon'],
  [2.999, 'CertificateExpiresVerySoon', 'CertificateExpiresVerySoon'],
  [0.0001, 'CertificateExpiresVerySoon', 'CertificateExpiresVerySoon'],
  [-0.002, 'CertificateExpired', 'CertificateExpired'],
  [-30, 'CertificateExpired', 'CertificateExpired'],
]

/** A target of its own for so many days, all of which one case looks at. */
const leaving = (left: number) => labelsOf('mail', 'cert', `${left}:443`)
const all = (series: readonly Readonly<Record<string, string>>[]): Record<string, string> => Object.fromEntries(series.flatMap((one) => Object.entries(one)))

/** What every stage must hold to; `days` are in the middle of it. */
function stageCases(name: (typeof STAGES)[number], days: number): Case[] {
  const at = '30m'
  // What has been expired for less than `for` is not looked at here.
  const steady = { at, values: `alerts: { ${name}: { for: 0s } }` }
  const hourly = { every: '1h', values: `{ scrape_interval: 30m, alerts: { ${name}: { for: 0s } } }` }
  const gone = expiring(HTTP, `${DAY * days + 60_000}x2 _x60`)
  return [
    { kind: 'fires', what: 'of an http probe', series: inDays(HTTP, days), at, fires: [http] },
    { kind: 'fires', what: 'of a Secret, whatever Curlew it is that looks', series: { ...inDays(SECRET, days, 3_600), ...inDays(seenBy('curlew-1', SECRET), days, 3_600) }, at, fires: [secret] },
    { kind: 'fires', what: 'of a probe of an hour, and of a cron', series: { ...inDays(HTTP, days, 3_600), ...inDays(CERT, days, DAY) }, at, fires: [http, cert] },
    { kind: 'fires', what: 'once where several Curlews see it', series: { ...inDays(HTTP, days), ...inDays(seenBy('curlew-1'), days), ...inDays(seenBy('curlew-2'), days) }, at, fires: [http] },
    { kind: 'fires', what: 'while it cannot be read, for hours', ...hourly, at: '15h', series: gone, fires: [http] },
    { kind: 'quiet', what: 'when it could not be read for more than a day', ...hourly, at: '29h', series: gone, fires: [] },
    { kind: 'quiet', what: 'of a probe that there is no more', ...hourly, at: '8h', series: { ...gone, [`probe_interval_seconds${HTTP}`]: '60x2' }, fires: [] },
    { kind: 'quiet', what: 'renewed', at: '33m', series: expiring(HTTP, `${HALF_HOUR + days * DAY}x30 ${90 * DAY}x60`), fires: [] },
    { kind: 'quiet', what: 'renewed, as a Curlew that was replaced does not know', at: '33m', series: { ...expiring(HTTP, `${HALF_HOUR + days * DAY}x5 _x60`), ...expiring(seenBy('curlew-1'), `_x10 ${90 * DAY}x60`) }, fires: [] },
    { kind: 'quiet', what: 'renewed, as the last that could be read says', at: '40m', series: { ...expiring(HTTP, `${HALF_HOUR + days * DAY}x5 _x60`), ...expiring(seenBy('curlew-1'), `_x10 ${90 * DAY}x10 _x60`) }, fires: [] },
    { kind: 'fires', what: 'of one server of several behind an address', series: { ...inDays(HTTP, days), ...inDays(seenBy('curlew-1'), 300) }, at, fires: [http] },
    { kind: 'quiet', what: 'renewed, as only one of two could read', at: '33m', series: { ...expiring(HTTP, `${HALF_HOUR + days * DAY}x5 _x60`), ...expiring(seenBy('curlew-1'), `${90 * DAY}x60`) }, fires: [] },
    { kind: 'fires', what: 'on each node where it is in a file', series: { ...inDays(filesOn('a'), days), ...inDays(filesOn('b'), days), ...inDays(filesOn('c'), 300) }, at, fires: [files('a'), files('b')] },
    { kind: 'quiet', what: 'the job of a blackbox_exporter', series: inDays(HTTP.replace('"curlew"', '"blackbox"'), days), at, fires: [] },
    { kind: 'boundary', what: 'in days', ...steady, series: all(LEFT.map(([left]) => inDays(leaving(left), left))), fires: LEFT.flatMap(([left, ours]) => (ours === name ? [{ ...cert, target: `${left}:443` }] : [])) },
    {
      kind: 'boundary', what: 'in days where the config has limits', ...steady, fires: LEFT.flatMap(([left, , theirs]) => (theirs === name ? [{ ...cert, target: `${left}:443` }] : [])),
      series: all(LEFT.map(([left]) => ({ ...inDays(leaving(left), left), ...limit('warning', 21, leaving(left)), ...limit('critical', 5, leaving(left)) }))),
    },
    { kind: 'quiet', what: 'nothing is known', series: { [`probe_interval_seconds${HTTP}`]: '60x60' }, at, fires: [] },
  ]
}

const advice = (name: string, days: number, text: string, summary: string): Case => ({
  kind: 'fires', what: `${name} says which`, at: '30m', fires: [cert],
  series: {
    ...inDays(CERT, days), ...oneOf(CERT, '', '0', 'mail.example.org', HALF_HOUR + days * DAY), ...oneOf(CERT, '', '1', 'An Intermediate', 500 * DAY),
  },
  says: { summary, description: `A certificate of the cert probe mail mail.example.org:25 ${text}` },
})

/** A target that fails its handshake for this. */
function failing(labels: string, reason: string, layer = 'tls'): Record<string, string> {
  return { [`probe_healthy${labels}`]: '0x60', [`probe_failure_info${plus(labels, `layer="${layer}",reason="${reason}"`)}`]: '1x60', [`probe_interval_seconds${labels}`]: '60x60' }
}

const well = (labels: string) => ({ [`probe_healthy${labels}`]: '1x60' })
const info = (labels: string) => ({ [`probe_ssl_last_chain_info${plus(labels, 'fingerprint_sha256="00",subject="CN=example.org",issuer="CN=An Authority",subjectalternative="example.org",serialnumber="01"')}`]: '1x60' })
const servedBy = (labels: string, served: string, values: string) => ({ [`probe_ssl_served_matches${plus(labels, `served="${served}"`)}`]: values })

const notYet = (labels: string, seconds: number) => oneOf(labels, '', '0', 'example.org', seconds, 'not_before')

alertContract(certificate, {
  CertificateRenewalDue: [
    ...stageCases('CertificateRenewalDue', 20),
    advice('20 days', 20, 'expires in 20d 0h 0m 0s: CN=mail.example.org. If something renews it by itself, it should do so about now; else plan it.', 'A certificate of mail mail.example.org:25 is due for renewal'),
    { kind: 'quiet', what: 'short-lived, as the config says', series: { ...inDays(CERT, 5), ...limit('warning', 2) }, at: '30m', fires: [] },
    { kind: 'fires', what: 'the limit of another', series: { ...inDays(HTTP, 20), ...inDays(CERT, 20), ...limit('warning', 2) }, at: '30m', fires: [http] },
    { kind: 'fires', what: 'in days of the values', values: 'alerts: { CertificateRenewalDue: { thresholds: { due_days: 40 } } }', series: inDays(HTTP, 35), at: '30m', fires: [http] },
  ],
  CertificateRenewalLate: [
    ...stageCases('CertificateRenewalLate', 10),
    advice('10 days', 10, 'expires in 10d 0h 0m 0s: CN=mail.example.org. What should renew it by itself has not: look at its log, or renew it by hand.', 'A certificate of mail mail.example.org:25 should have been renewed'),
    { kind: 'quiet', what: 'short-lived, as the config says', series: { ...inDays(CERT, 5), ...limit('warning', 2) }, at: '30m', fires: [] },
    { kind: 'quiet', what: 'short-lived, and expired', series: { ...inDays(CERT, -1), ...limit('warning', 2) }, at: '30m', fires: [] },
    { kind: 'fires', what: 'short-lived, and late', series: { ...inDays(CERT, 1), ...limit('warning', 2) }, at: '30m', fires: [cert] },
  ],
  CertificateExpiresVerySoon: [
    ...stageCases('CertificateExpiresVerySoon', 2),
    {
      kind: 'fires', what: 'says which, with its file, of many', at: '30m', fires: [files('a')],
      series: {
        ...inDays(filesOn('a'), 2), ...oneOf(filesOn('a'), 'pki/apiserver.crt', '0', 'kube-apiserver', HALF_HOUR + 2 * DAY), ...oneOf(filesOn('a'), 'admin.conf', 'client', 'kubernetes-admin', HALF_HOUR + 2 * DAY + 20),
        ...oneOf(filesOn('a'), 'pki/ca.crt', '0', 'kubernetes', 900 * DAY), ...oneOf(filesOn('b'), 'pki/apiserver.crt', '0', 'kube-apiserver', 300 * DAY),
      },
      says: { summary: 'A certificate of pki /etc/kubernetes on a expires in 2d 0h 0m 0s', description: 'A certificate of the cert probe pki /etc/kubernetes on a expires in 2d 0h 0m 0s: CN=kubernetes-admin in admin.conf, CN=kube-apiserver in pki/apiserver.crt. Renew it now, by hand, and restart or reload what serves it: clients refuse it from then on.' },
    },
    { kind: 'quiet', what: 'short-lived, as the warning of the config says', series: { ...inDays(CERT, 1), ...limit('warning', 2) }, at: '30m', fires: [] },
    { kind: 'fires', what: 'beside an early warning of the config', series: { ...inDays(CERT, 2), ...limit('warning', 60) }, at: '30m', fires: [cert] },
  ],
  CertificateExpired: [
    ...stageCases('CertificateExpired', -1),
    {
      kind: 'fires', what: 'says which, of another type', at: '30m', fires: [http], series: { ...inDays(HTTP, -1), ...info(HTTP) },
      says: { summary: 'A certificate of web https://example.org/ has expired', description: 'A certificate of the http probe web https://example.org/ expired 1d 0h 0m 0s ago (the server shows CN=example.org). Clients that verify it refuse to connect. Renew it, and restart or reload what serves it.' },
    },
  ],
  CertificateNotYetValid: [
    {
      kind: 'fires', what: 'valid tomorrow', at: '10m', fires: [cert], series: notYet(CERT, DAY + 600),
      says: { summary: 'A certificate of mail mail.example.org:25 is not valid yet', description: 'A certificate of mail mail.example.org:25 is valid only in 1d 0h 0m 0s: CN=example.org. Clients refuse it until then. Compare the clock of what issued it, or go back to the one before.' },
    },
    { kind: 'fires', what: 'once where several Curlews see it, and on each node where it is in a file', at: '10m', fires: [cert, files('a'), files('b')], series: { ...notYet(CERT, DAY), ...notYet(seenBy('curlew-1', CERT), DAY), ...notYet(filesOn('a'), DAY), ...notYet(filesOn('b'), DAY) } },
    { kind: 'quiet', what: 'valid', at: '10m', fires: [], series: notYet(CERT, 0) },
    { kind: 'boundary', what: 'valid a moment ago', at: '10m', fires: [], series: notYet(CERT, 480) },
    { kind: 'boundary', what: 'valid in a minute', at: '10m', fires: [cert], series: notYet(CERT, 660) },
  ],
  CertificateUntrusted: [
    {
      kind: 'fires', what: 'of an unknown authority', at: '10m', fires: [http], series: { ...failing(HTTP, 'untrusted'), ...inDays(HTTP, 30), ...info(HTTP) },
      says: { summary: 'The certificate of web https://example.org/ is not trusted', description: 'The certificate that the http probe web https://example.org/ meets has not expired, but does not verify (tls/untrusted): untrusted is its chain, mismatch its name. The server shows CN=example.org by CN=An Authority. Clients that verify it refuse to connect.' },
    },
    { kind: 'fires', what: 'for another name', at: '10m', fires: [http], series: failing(HTTP, 'mismatch') },
    { kind: 'quiet', what: 'expired as well', at: '10m', fires: [], series: { ...failing(HTTP, 'untrusted'), ...inDays(HTTP, -1) } },
    { kind: 'quiet', what: 'refused for another reason', at: '10m', fires: [], series: failing(HTTP, 'expired') },
    { kind: 'quiet', what: 'an answer that is not as expected', at: '10m', fires: [], series: failing(HTTP, 'mismatch', 'assert') },
    { kind: 'quiet', what: 'not looked at', at: '10m', fires: [], series: { [`probe_unknown${HTTP}`]: '1x60' } },
    { kind: 'boundary', what: 'by one of two Curlews, which may lack the authority', at: '10m', fires: [], series: { ...failing(HTTP, 'untrusted'), ...well(seenBy('curlew-1')) } },
    { kind: 'boundary', what: 'by two of three', at: '10m', fires: [http], series: { ...failing(HTTP, 'untrusted'), ...failing(seenBy('curlew-1'), 'untrusted'), ...well(seenBy('curlew-2')) } },
  ],
  CertificateObjectBroken: [
    {
      kind: 'fires', what: 'a key of another certificate', at: '20m', fires: [secret], series: failing(SECRET, 'mismatch', 'assert'),
      says: { summary: 'secret/shop/web-tls is not what whoever uses it needs', description: 'What the Kubernetes API keeps as secret/shop/web-tls is broken (assert/mismatch): request/protocol is a certificate or key that is missing or cannot be read, assert/mismatch a key of another certificate, request/untrusted a Service that is called without a caBundle, request/not_found an object that is gone. What runs with an older one goes on until it is restarted.' },
    },
    { kind: 'fires', what: 'no caBundle', at: '20m', fires: [secret], series: failing(SECRET, 'untrusted', 'request') },
    { kind: 'quiet', what: 'expired, which has an alert of its own', at: '20m', fires: [], series: failing(SECRET, 'expired') },
    { kind: 'quiet', what: 'a server', at: '20m', fires: [], series: failing(CERT, 'mismatch', 'assert') },
    { kind: 'quiet', what: 'well', at: '20m', fires: [], series: well(SECRET) },
    { kind: 'boundary', what: 'by one of two', at: '20m', fires: [], series: { ...failing(SECRET, 'mismatch', 'assert'), ...well(seenBy('curlew-1', SECRET)) } },
    { kind: 'boundary', what: 'a moment before its time', at: '14m', fires: [], series: failing(SECRET, 'mismatch', 'assert') },
  ],
  CertificateOldStillServed: [
    {
      kind: 'fires', what: 'on one node, by one of two servers', at: '20m', fires: [{ ...files('a'), served: '10.0.0.1:6443' }],
      series: { ...servedBy(filesOn('a'), '10.0.0.1:6443', '0x60'), ...servedBy(filesOn('a'), '10.0.0.1:10250', '1x60'), ...servedBy(filesOn('b'), '10.0.0.1:6443', '1x60') },
      says: { summary: '10.0.0.1:6443 does not serve the certificate that is on disk', description: '10.0.0.1:6443 shows a certificate that is none of those in pki /etc/kubernetes on a: it was likely renewed, and the server not restarted or reloaded since. It goes on until the old one expires.' },
    },
    { kind: 'quiet', what: 'the same', at: '20m', fires: [], series: servedBy(filesOn('a'), '10.0.0.1:6443', '1x60') },
    { kind: 'boundary', what: 'reloaded in time', at: '20m', fires: [], series: servedBy(filesOn('a'), '10.0.0.1:6443', '1x5 0x8 1x60') },
    { kind: 'boundary', what: 'reloaded a moment too late', at: '16m', fires: [{ ...files('a'), served: '10.0.0.1:6443' }], series: servedBy(filesOn('a'), '10.0.0.1:6443', '1x5 0x60') },
  ],
  CertificateNotRead: [
    {
      kind: 'fires', what: 'fails for two days', every: '1h', at: '49h', fires: [http], series: { ...failing(HTTP, 'refused', 'connect'), ...expiring(HTTP, `${9 * DAY}x5 _x60`) },
      says: { summary: 'The certificates of web https://example.org/ could not be read for a day', description: 'The http probe web https://example.org/ fails (connect/refused) and has met no certificate for a day. The first of those that it met last expires at 1970-01-10 00:00:00 +0000 UTC: nothing else warns of it now.' },
    },
    { kind: 'fires', what: 'a file on one node', every: '1h', at: '49h', fires: [files('a')], series: { ...failing(filesOn('a'), 'not_found', 'request'), ...expiring(filesOn('a'), `${9 * DAY}x5 _x60`), ...well(filesOn('b')), ...expiring(filesOn('b'), `${9 * DAY}x60`) } },
    { kind: 'quiet', what: 'another Curlew reads it', every: '1h', at: '49h', fires: [], series: { ...failing(HTTP, 'refused', 'connect'), ...expiring(HTTP, `${9 * DAY}x5 _x60`), ...expiring(seenBy('curlew-1'), `${9 * DAY}x60`) } },
    { kind: 'quiet', what: 'well, and without TLS now', every: '1h', at: '49h', fires: [], series: { ...well(HTTP), ...expiring(HTTP, `${9 * DAY}x5 _x60`) } },
    { kind: 'quiet', what: 'unknown', every: '1h', at: '49h', fires: [], series: expiring(HTTP, `${9 * DAY}x5 _x60`) },
    { kind: 'quiet', what: 'never read', every: '1h', at: '49h', fires: [], series: failing(HTTP, 'refused', 'connect') },
    { kind: 'boundary', what: 'for a day', every: '1h', at: '29h', fires: [], series: { ...failing(HTTP, 'refused', 'connect'), ...expiring(HTTP, `${9 * DAY}x5 _x60`) } },
    { kind: 'boundary', what: 'for a little more', every: '1h', at: '31h', fires: [http], series: { ...failing(HTTP, 'refused', 'connect'), ...expiring(HTTP, `${9 * DAY}x5 _x60`) } },
  ],
})
