import { Agent, request } from 'node:http'

const KEPT = new Agent({ keepAlive: true })

/** One alert as Alertmanager tells it, some 800 bytes of JSON. No two serials are the same alert. */
export function alertOf(serial: number, labels: Readonly<Record<string, string>> = {}): Readonly<Record<string, unknown>> {
  const pod = `checkout-${serial.toString(36).padStart(6, '0')}`
  return {
    status: 'firing',
    labels: {
      alertname: 'PodRestartsTooOften', cluster: 'room-a', container: 'app', job: 'kube-state-metrics', namespace: 'shop', pod,
      prometheus: 'monitoring/k8s', severity: ['critical', 'warning', 'info'][serial % 3] ?? 'info', team: 'shop', ...labels,
    },
    annotations: {
      summary: `${pod} has restarted 4 times within 10 minutes.`,
      description: 'The container ended with an error and was started anew. Customers see errors while it starts: look at its last log lines and at what was deployed last.',
      runbook_url: 'https://runbooks.example.com/kubernetes/pod-restarts',
    },
    startsAt: '2026-01-05T08:00:00.123Z', endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus.example.com/graph?g0.expr=increase%28kube_pod_container_status_restarts_total%5B10m%5D%29+%3E+3&g0.tab=1',
    fingerprint: serial.toString(16).padStart(16, '0'),
  }
}

/** The body that Alertmanager posts for these alerts. */
export function notificationOf(alerts: readonly unknown[]): string {
  return JSON.stringify({
    receiver: 'curlew', status: 'firing', alerts, groupLabels: { namespace: 'shop' }, commonLabels: { cluster: 'room-a', namespace: 'shop' }, commonAnnotations: {},
    externalURL: 'http://alertmanager.example.com', version: '4', groupKey: '{}/{team="shop"}:{namespace="shop"}', truncatedAlerts: 0,
  })
}

/** Posts JSON over a connection that is kept; resolves with the status once the answer is there. */
export function postJson(url: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { method: 'POST', agent: KEPT, headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) } }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0)).on('error', reject)
    }).on('error', reject).end(body)
  })
}
