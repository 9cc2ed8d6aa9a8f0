import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { bands, lines, rows, STATE_WORDS, YES_IS_GOOD, type Step } from './panels.ts'
import { many, stateOf } from './promql.ts'

const { max, merged, of } = many
const DAY_S = 86_400
const STEPS: readonly Step[] = [
  [-Infinity, 'dark-red'], [0, 'red'], [numberOf('CertificateExpiresVerySoon', 'soon_days') * DAY_S, 'orange'],
  [numberOf('CertificateRenewalLate', 'late_days') * DAY_S, 'yellow'], [numberOf('CertificateRenewalDue', 'due_days') * DAY_S, 'green'],
]
const min = (metric: string) => merged('min', of(metric))
/** What was read within a day: a server that is down does not make its certificate younger. */
const left = `${merged('min', `last_over_time(${of('probe_ssl_earliest_cert_expiry')}[1d])`)} - time()`

/** A panel belongs to one dashboard, which gives it a place: each gets its own. */
export const certificatesByTimeLeft = () => rows({
  title: 'Certificates by time left', unit: 's', width: 24, height: 10, decimals: 1, steps: STEPS, sortBy: 'left', ascending: true, noValue: 'No target has a certificate.',
  description: 'Time until the first certificate of each target expires, as last read within a day. Below 0 it has expired.',
  labels: ['cluster', 'type', 'probe', 'target'], values: ['left'], queries: [{ expr: left }],
})

export const certificates: Spec = {
  uid: 'curlew-certificates', about: 'targets',
  description: 'Certificates of servers and in files: when they expire, and whether they are trusted and the ones in use.',
  sections: [
    { title: 'Expiry', panels: [
      certificatesByTimeLeft(),
      rows({
        title: 'Single certificates', unit: 's', width: 24, height: 10, decimals: 1, steps: STEPS, sortBy: 'left', ascending: true,
        description: 'Every certificate of the cert probes that is near its end: by file, or by its place in the chain that a server sends. Beside it the time since it became valid; below 0 it is not yet valid.',
        labels: ['cluster', 'probe', 'target', 'file', 'entry', 'cn'], values: ['left', 'valid for'],
        queries: [{ expr: `${min('probe_ssl_cert_not_after')} - time()` }, { expr: `time() - ${max('probe_ssl_cert_not_before')}` }],
      }),
      lines({ title: 'Time left', unit: 's', toTarget: true, steps: STEPS, description: 'Time until expiry. A jump upward is a renewal.', queries: [{ expr: left }] }),
      lines({
        title: 'Time left of the verified chain', unit: 's', toTarget: true, steps: STEPS, description: 'The same with the root that clients trust; a chain that does not verify has no line.',
        queries: [{ expr: `${min('probe_ssl_last_chain_expiry_timestamp_seconds')} - time()` }],
      }),
    ] },
    { title: 'Trust and use', panels: [
      rows({
        title: 'Refused now', unit: 'short', noValue: 'No certificate is refused.', description: 'Targets whose TLS layer fails, and why: expired, mismatch is the wrong name, untrusted a chain that does not verify.',
        labels: ['cluster', 'type', 'probe', 'target', 'reason'], values: ['Curlews'], queries: [{ expr: merged('count', of('probe_failure_info', 'layer="tls"')) }],
      }),
      bands({
        title: 'State of cert probes', unit: 'short', mappings: STATE_WORDS, toTarget: true, description: 'How most Curlews saw the targets of type cert.',
        queries: [{ expr: `(${stateOf(many)})
and on (job, probe, target) ${max('probe_ssl_certificates')}` }],
      }),
      bands({
        title: 'Serves what is on disk', unit: 'short', mappings: YES_IS_GOOD, description: 'Whether the server at this address shows a certificate that is among those on disk. No: it was renewed and the server not reloaded.',
        queries: [{ expr: min('probe_ssl_served_matches'), legend: '{{probe}} {{served}}' }],
      }),
      rows({
        title: 'Files', unit: 'short', mappings: YES_IS_GOOD, description: 'Whether the certificates of each file can be read.', labels: ['cluster', 'probe', 'target', 'file'], values: ['readable'], sortBy: 'readable', ascending: true,
        queries: [{ expr: min('probe_ssl_cert_file_readable') }],
      }),
      rows({
        title: 'Leaf certificates', unit: 'short', width: 24, description: 'The certificate that each server shows.',
        labels: ['probe', 'target', 'subject', 'issuer', 'subjectalternative', 'serialnumber'], values: [''], queries: [{ expr: max('probe_ssl_last_chain_info') }],
      }),
      rows({
        title: 'TLS versions and ciphers', unit: 'short', description: 'What was agreed on with each server.', labels: ['probe', 'target', 'version', 'cipher'], values: [''],
        // Joined for each Curlew by itself: two may have agreed on different ones.
        queries: [{ expr: merged('max', `${of('probe_tls_version_info')} * ignoring (version, cipher) group_right (version) ${of('probe_tls_cipher_info')}`) }],
      }),
      rows({
        title: 'Serial numbers', unit: 'short', description: 'Serial numbers as last read: another one is a renewal.', labels: ['probe', 'target', 'file', 'entry', 'cn', 'serial'], values: [''], queries: [{ expr: max('probe_ssl_cert_info') }],
      }),
    ] },
    { title: 'Time', panels: [
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase of a cert probe took, the mean of these targets.', queries: [{ expr: `avg by (phase) (${of('probe_ssl_duration_seconds')})`, legend: '{{phase}}' }] }),
      lines({ title: 'Certificates', unit: 'short', min: 0, toTarget: true, description: 'How many certificates a server sent, or the files hold. One fewer may be a missing intermediate.', queries: [{ expr: min('probe_ssl_certificates') }] }),
    ] },
  ],
}
