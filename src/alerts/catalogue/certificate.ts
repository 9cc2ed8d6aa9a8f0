import { MINUTE_MS } from '../durations.ts'
import type { AlertSpec, Family, Numbers, RecordSpec, Settings } from '../model.ts'
import { failing, held, majority, merged, nodeLocal, of, unhealthy } from '../promql.ts'
import { layerAndReason, lookedUp, TARGET } from '../templates.ts'

const DAY_S = 86_400
const EXPIRY = 'probe_ssl_earliest_cert_expiry'
/** A file is another one on every node; what is served is the same wherever it is read from. */
const FILES = 'target=~"/.*"'
const ENDPOINTS = 'target!~"/.*"'

/** Objects of the Kubernetes API: what is wrong with one breaks whatever uses it next, and nothing that runs. */
const OBJECTS = 'type="kube-cert"'

/** The same for both kinds, each merged as it may be. */
function ofEach(settings: Settings, make: (settings: Settings, matchers: string) => string): string {
  return `${make(settings, ENDPOINTS)}
or ${make(nodeLocal(settings), FILES)}`
}

const known = (settings: Settings, matchers: string, range: string) => merged(settings, 'max', `last_over_time(${of(settings, EXPIRY, matchers)}[${range}])`)

/**
 * Seconds left. An expiry stays known for a day in which nobody could read it, while there is still a probe for it. Then the
 * latest counts: a Curlew that was replaced has not seen the renewal.
 */
const LEFT: RecordSpec = {
  record: 'target:certificate_left:seconds',
  expr: (settings) => ofEach(settings, (kind, matchers) => `(${merged(kind, 'min', held(kind, EXPIRY, matchers))}
  or (${known(kind, matchers, '1d')} and ${merged(kind, 'max', held(kind, 'probe_interval_seconds', matchers))})
) - time()`),
}

/** Limits that the config sets on a probe of type cert, in seconds. */
const [WARNING, CRITICAL] = (['warning', 'critical'] as const).map((level): RecordSpec => ({
  record: `target:certificate_${level}:seconds`,
  expr: (settings) => ofEach(settings, (kind, matchers) => merged(kind, 'max', held(kind, 'probe_threshold', `name="expires_in_seconds",level="${level}",${matchers}`), 'name', 'level')),
})) as [RecordSpec, RecordSpec] // safe: of two levels

const series = (settings: Settings, { record }: RecordSpec) => of(settings, record)

const DUE_DAYS = { due_days: { value: 28, help: 'days left, where the config sets no limits.expires_in_seconds.warning' } }
const LATE_DAYS = { late_days: { value: 14, help: 'days left from which renewal is late, where the config sets no warning' } }
const SOON_DAYS = { soon_days: { value: 3, help: 'days left that are very few, where the config sets no critical, and no warning that comes later' } }

const secondsOf = (numbers: Numbers, name: string) => Number(numbers[name]) * DAY_S

function due(settings: Settings, numbers: Numbers): string {
  return `(${series(settings, LEFT)} unless ${series(settings, WARNING)}) < ${secondsOf(numbers, 'due_days')}`
}

function late(settings: Settings, numbers: Numbers): string {
  const [left, limit] = [series(settings, LEFT), series(settings, WARNING)]
  return `(${left} < ${limit} or (${left} unless ${limit}) < ${secondsOf(numbers, 'late_days')})`
}

/** Where the config warns of a short-lived certificate later than this, it is not critical before. */
function soon(settings: Settings, numbers: Numbers): string {
  const [left, limit, seconds] = [series(settings, LEFT), series(settings, CRITICAL), secondsOf(numbers, 'soon_days')]
  return `(${left} < ${limit} or (${left} unless ${limit} unless ${series(settings, WARNING)} <= ${seconds}) < ${seconds})`
}

const over = (settings: Settings) => `${series(settings, LEFT)} <= 0`

/** The target, and of files the node. */
const WHERE = `${TARGET}{{ if match "^/" $labels.target }} on {{ or $labels.node $labels.instance }}{{ end }}`

/**
 * A template for the certificates whose date is as far away as the value of the alert says, by a query: at most five, with the
 * file that they are in. Of probes of another type than cert, the certificate that the server shows as its own.
 */
function which(settings: Settings, date: string): string {
  const query = `group by (cn, file) (abs(abs(last_over_time(${of(settings, date, 'probe=%q,target=%q')}[1d]) - time()) - %f) < 60)`
  const one = '{{ with $s.Labels.cn }}CN={{ . }}{{ else }}one without a CN{{ end }}{{ with $s.Labels.file }} in {{ . }}{{ end }}'
  const other = lookedUp(settings, 'probe_ssl_last_chain_info', ' (the server shows {{ .Labels.subject }})')
  return `{{ range $i, $s := printf ${JSON.stringify(query)} $labels.probe $labels.target $value | query | sortByLabel "cn" | sortByLabel "file" }}{{ if lt $i 5 }}{{ if $i }}, {{ else }}: {{ end }}${one}{{ else if eq $i 5 }} and more{{ end }}{{ else }}${other}{{ end }}`
}

/** A stage on the way to the expiry: all leave out what the next one has. */
function stage(spec: Pick<AlertSpec, 'name' | 'severity' | 'forMs' | 'expr' | 'summary'> & Partial<AlertSpec>, advice: string): AlertSpec {
  return {
    ...spec, scope: 'certificate', dashboard: 'curlew-certificates',
    description: (settings) => `A certificate of the {{ $labels.type }} probe ${WHERE} expires in {{ $value | humanizeDuration }}${which(settings, 'probe_ssl_cert_not_after')}. ${advice}`,
  }
}

/** Certificates, of every probe type that meets one. */
export const certificate: Family = {
  name: 'certificate',
  records: [LEFT, WARNING, CRITICAL],
  alerts: [
    stage({
      name: 'CertificateRenewalDue', severity: 'info', forMs: 15 * MINUTE_MS, thresholds: { ...DUE_DAYS, ...LATE_DAYS, ...SOON_DAYS },
      expr: (settings, numbers) => `${due(settings, numbers)}
unless ${late(settings, numbers)}
unless ${soon(settings, numbers)}`,
      summary: `A certificate of ${WHERE} is due for renewal`,
    }, 'If something renews it by itself, it should do so about now; else plan it.'),
    stage({
      name: 'CertificateRenewalLate', severity: 'warning', forMs: 15 * MINUTE_MS, thresholds: { ...LATE_DAYS, ...SOON_DAYS },
      expr: (settings, numbers) => `${late(settings, numbers)}
unless ${soon(settings, numbers)}
unless ${over(settings)}`,
      summary: `A certificate of ${WHERE} should have been renewed`,
    }, 'What should renew it by itself has not: look at its log, or renew it by hand.'),
    stage({
      name: 'CertificateExpiresVerySoon', severity: 'critical', forMs: 5 * MINUTE_MS, thresholds: SOON_DAYS,
      expr: (settings, numbers) => `${soon(settings, numbers)}
unless ${over(settings)}`,
      summary: `A certificate of ${WHERE} expires in {{ $value | humanizeDuration }}`,
    }, 'Renew it now, by hand, and restart or reload what serves it: clients refuse it from then on.'),
    {
      name: 'CertificateExpired', severity: 'critical', scope: 'certificate', forMs: MINUTE_MS, dashboard: 'curlew-certificates',
      expr: (settings) => `0 - (${over(settings)})`,
      summary: `A certificate of ${WHERE} has expired`,
      description: (settings) => `A certificate of the {{ $labels.type }} probe ${WHERE} expired {{ $value | humanizeDuration }} ago${which(settings, 'probe_ssl_cert_not_after')}. Clients that verify it refuse to connect. Renew it, and restart or reload what serves it.`,
    },
    {
      name: 'CertificateNotYetValid', severity: 'warning', scope: 'certificate', forMs: 5 * MINUTE_MS, dashboard: 'curlew-certificates',
      expr: (settings) => `(${ofEach(settings, (kind, matchers) => merged(kind, 'max', held(kind, 'probe_ssl_cert_not_before', matchers), 'file', 'entry', 'cn'))}) - time() > 0`,
      summary: `A certificate of ${WHERE} is not valid yet`,
      description: (settings) => `A certificate of ${WHERE} is valid only in {{ $value | humanizeDuration }}${which(settings, 'probe_ssl_cert_not_before')}. Clients refuse it until then. Compare the clock of what issued it, or go back to the one before.`,
    },
    {
      name: 'CertificateUntrusted', severity: 'warning', scope: 'certificate', forMs: 5 * MINUTE_MS, dashboard: 'curlew-certificates',
      expr: (settings) => `${majority(settings, failing(settings, ENDPOINTS, 'layer="tls",reason=~"untrusted|mismatch"'), held(settings, 'probe_healthy', ENDPOINTS))}
unless ${over(settings)}`,
      summary: `The certificate of ${TARGET} is not trusted`,
      description: (settings) => `The certificate that the {{ $labels.type }} probe ${TARGET} meets has not expired, but does not verify${layerAndReason(settings)}: untrusted is its chain, mismatch its name${lookedUp(settings, 'probe_ssl_last_chain_info', '. The server shows {{ .Labels.subject }} by {{ .Labels.issuer }}')}. Clients that verify it refuse to connect.`,
    },
    {
      name: 'CertificateObjectBroken', severity: 'warning', scope: 'certificate', forMs: 15 * MINUTE_MS, dashboard: 'curlew-certificates',
      expr: (settings) => majority(settings, failing(settings, OBJECTS, 'reason!="expired"'), held(settings, 'probe_healthy', OBJECTS)),
      summary: '{{ $labels.target }} is not what whoever uses it needs',
      description: (settings) => `What the Kubernetes API keeps as {{ $labels.target }} is broken${layerAndReason(settings)}: request/protocol is a certificate or key that is missing or cannot be read, assert/mismatch a key of another certificate, request/untrusted a Service that is called without a caBundle, request/not_found an object that is gone. What runs with an older one goes on until it is restarted.`,
    },
    {
      name: 'CertificateOldStillServed', severity: 'warning', scope: 'certificate', forMs: 10 * MINUTE_MS, dashboard: 'curlew-certificates',
      expr: (settings) => merged(nodeLocal(settings), 'max', `${held(settings, 'probe_ssl_served_matches')} == 0`),
      summary: '{{ $labels.served }} does not serve the certificate that is on disk',
      description: () => `{{ $labels.served }} shows a certificate that is none of those in ${WHERE}: it was likely renewed, and the server not restarted or reloaded since. It goes on until the old one expires.`,
    },
    {
      name: 'CertificateNotRead', severity: 'warning', scope: 'certificate', forMs: 15 * MINUTE_MS, dashboard: 'curlew-certificates',
      expr: (settings) => ofEach(settings, (kind, matchers) => `((${known(kind, matchers, '7d')} unless ${known(kind, matchers, '1d')}) and ${unhealthy(kind, matchers, 0)})`),
      summary: `The certificates of ${WHERE} could not be read for a day`,
      description: (settings) => `The {{ $labels.type }} probe ${WHERE} fails${layerAndReason(settings)} and has met no certificate for a day. The first of those that it met last expires at {{ $value | humanizeTimestamp }}: nothing else warns of it now.`,
    },
  ],
}
