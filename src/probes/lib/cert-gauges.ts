import type { GaugeSpec, ProbeContext } from '../../core/probe.ts'
import type { Collected } from './cert-collect.ts'
import type { CertificateFacts } from './cert-facts.ts'
import { dialGauges } from './dial.ts'
import { tlsGauges } from './tls-gauges.ts'

/** So many certificates, and so many files, have series of their own: those that expire first, those that are bad. */
const MOST_SERIES = 50
/** Addresses under `served`. */
export const MOST_SERVED = 8

const one = ['file', 'entry', 'cn'] as const

/** What `exportCertificates` sets, wherever the certificates come from: rules and dashboards know them by these names. */
export const sharedCertGauges = {
  probe_ssl_earliest_cert_expiry: tlsGauges.probe_ssl_earliest_cert_expiry,
  probe_ssl_expires_in_seconds: 'Time left until then, as of the run; negative once it is over.',
  probe_ssl_certificates: 'How many certificates the server sent, or the files or the object hold.',
  probe_ssl_cert_not_after: { help: 'Expiry of one certificate as a Unix time; of many, those that expire first. What a server sent has no file, its entry is the place in the chain; in an object of the Kubernetes API the file is the key or webhook that it stands under.', labels: one, series: MOST_SERIES },
  probe_ssl_cert_not_before: { help: 'From when the certificate is valid, as a Unix time.', labels: one, series: MOST_SERIES },
  probe_ssl_cert_info: { help: 'Always 1; the serial number, which changes when the certificate is renewed.', labels: [...one, 'serial'], series: MOST_SERIES },
} as const satisfies Readonly<Record<string, string | GaugeSpec>>

export const certGauges = {
  ...dialGauges,
  ...tlsGauges,
  ...sharedCertGauges,
  probe_ssl_cert_file_readable: { help: 'Whether the certificates of a file could be read; of many files, the bad ones first.', labels: ['file'], series: MOST_SERIES },
  probe_ssl_served_matches: { help: 'Whether the server at this address shows a certificate that is among those on disk.', labels: ['served'], series: MOST_SERVED },
} as const satisfies Readonly<Record<string, string | GaugeSpec>>

export type CertGauge = keyof typeof certGauges

/** Exports certificates, whatever is wrong with them. */
export function exportCertificates(probe: Pick<ProbeContext<string, keyof typeof sharedCertGauges>, 'gauge'>, found: readonly CertificateFacts[]): void {
  probe.gauge('probe_ssl_certificates', found.length)
  const sorted = found.toSorted((a, b) => a.notAfter - b.notAfter)
  const [first] = sorted
  if (!first) return
  probe.gauge('probe_ssl_earliest_cert_expiry', first.notAfter)
  probe.gauge('probe_ssl_expires_in_seconds', first.notAfter - Date.now() / 1000)
  for (const { file, entry, cn, serial, notAfter, notBefore } of sorted.slice(0, MOST_SERIES)) {
    probe.gauge('probe_ssl_cert_not_after', notAfter, { file, entry, cn })
    probe.gauge('probe_ssl_cert_not_before', notBefore, { file, entry, cn })
    probe.gauge('probe_ssl_cert_info', 1, { file, entry, cn, serial })
  }
}

/** Exports which files could be read. */
export function exportFiles(probe: ProbeContext<string, CertGauge>, files: Collected['files']): void {
  for (const [file, readable] of [...files].toSorted(([, a], [, b]) => Number(a) - Number(b)).slice(0, MOST_SERIES)) {
    probe.gauge('probe_ssl_cert_file_readable', Number(readable), { file })
  }
}
