import type { ProbeContext } from '../../core/probe.ts'
import { dialGauges } from './dial.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { tlsGauges } from './tls.ts'

/** The gauges of the http probe, with blackbox_exporter's names. */
export const httpGauges = {
  ...dialGauges,
  ...tlsGauges,
  probe_http_status_code: 'Status of the final answer.',
  probe_http_version: 'HTTP version of the final answer: 1.1, or 1.',
  probe_http_ssl: 'Whether the final answer came over TLS.',
  probe_http_redirects: 'Redirects that were followed.',
  probe_http_content_length: 'Content-Length of the final answer in bytes, -1 when it has none.',
  probe_http_uncompressed_body_length: 'Bytes of the final body, decompressed.',
  probe_http_last_modified_timestamp_seconds: 'Last-Modified of the final answer as a Unix time, where it has one.',
  probe_failed_due_to_regex: 'Whether what was answered fails a pattern; absent when none is set, or nothing could be compared.',
}

export type HttpGauge = keyof typeof httpGauges

/**
 * A context whose gauges wait. Every hop of a redirect has a connection of its own, but a series stands once in a run:
 * `restart` forgets what the last connection set, and what is left is handed on by `flush`, or when the run is aborted.
 */
export function perHop<P extends string, C extends string>(probe: ProbeContext<P, HttpGauge, C>): { context: ProbeContext<P, HttpGauge, C>, restart(): void, flush(): void } {
  const held = new Map<string, Parameters<typeof probe.gauge>>()
  let over = false
  const flush = () => {
    if (over) return
    over = true
    for (const gauge of held.values()) probe.gauge(...gauge)
  }
  probe.signal.addEventListener('abort', flush, { once: true })
  return {
    context: { ...probe, gauge(...gauge) { held.set(`${gauge[0]} ${JSON.stringify(gauge[2])}`, gauge) } },
    restart() {
      for (const [key, [name]] of held) if (name in dialGauges || name in tlsGauges) held.delete(key)
    },
    flush,
  }
}

/** What the final answer says of itself. */
export function exportAnswer(probe: ProbeContext<string, HttpGauge, string>, { status, version, headers, bytes }: HttpAnswer, ssl: boolean): void {
  probe.gauge('probe_http_status_code', status)
  probe.gauge('probe_http_version', version)
  probe.gauge('probe_http_ssl', ssl ? 1 : 0)
  const length = headers.get('content-length')?.[0]
  probe.gauge('probe_http_content_length', length === undefined ? -1 : Number(length))
  probe.gauge('probe_http_uncompressed_body_length', bytes.length)
  const modified = Date.parse(headers.get('last-modified')?.[0] ?? '')
  if (Number.isFinite(modified)) probe.gauge('probe_http_last_modified_timestamp_seconds', modified / 1000)
}
