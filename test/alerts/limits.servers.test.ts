import { limits } from '../../src/alerts/catalogue/limits.ts'
import { alertContract, labelsOf } from './promtool.ts'

const SENTINEL = labelsOf('sentinel', 'redis-sentinel', '10.0.0.1:26379/mymaster')
const ROUTE = labelsOf('route', 'traceroute', '10.0.0.9')
const limit = (labels: string, name: string, level: string, value: number) => ({ [`probe_threshold${labels.replace('}', `,name="${name}",level="${level}"}`)}`]: `${value}x60` })
const ofSentinel = { job: 'curlew', probe: 'sentinel', type: 'redis-sentinel', target: '10.0.0.1:26379/mymaster' }
const ofRoute = { job: 'curlew', probe: 'route', type: 'traceroute', target: '10.0.0.9' }

alertContract(limits, {
  LimitExceeded: [
    {
      kind: 'fires', what: 'two limits of one target, and a page for one', at: '10m',
      series: {
        [`probe_redis_sentinel_reachable${SENTINEL}`]: '1x60', [`probe_redis_sentinel_quorum_ok${SENTINEL}`]: '0x60',
        ...limit(SENTINEL, 'reachable', 'warning', 3), ...limit(SENTINEL, 'quorum_ok', 'critical', 1),
      },
      fires: [{ ...ofSentinel, limit: 'reachable' }, { ...ofSentinel, limit: 'quorum_ok', severity: 'critical' }],
    },
    {
      kind: 'fires', what: 'with the value and the limit', at: '10m', series: { [`probe_traceroute_hops${ROUTE}`]: '12x60', ...limit(ROUTE, 'hops', 'warning', 10) }, fires: [{ ...ofRoute, limit: 'hops' }],
      says: { summary: 'route 10.0.0.9 is beyond its limit: hops', description: 'hops of the traceroute probe route 10.0.0.9 is 12, beyond the limit that the config sets on this probe.' },
    },
    { kind: 'fires', what: 'as the values file has its severity, warning and critical in one', values: 'alerts: { LimitExceeded: { severity: critical } }', at: '10m', series: { [`probe_traceroute_hops${ROUTE}`]: '12x60', ...limit(ROUTE, 'hops', 'warning', 10) }, fires: [{ ...ofRoute, limit: 'hops', severity: 'critical' }] },
    {
      // A sample of probe_threshold has `name` and `level` of its own.
      kind: 'fires', what: 'of a probe that the config labels with a name', at: '10m', fires: [{ ...ofRoute, name: 'uplink', limit: 'hops' }],
      series: { [`probe_traceroute_hops${labelsOf('route', 'traceroute', '10.0.0.9', { name: 'uplink' })}`]: '12x60', ...limit(ROUTE, 'hops', 'warning', 10) },
    },
    { kind: 'quiet', what: 'a probe without limits', at: '10m', series: { [`probe_traceroute_hops${ROUTE}`]: '64x60', [`probe_redis_sentinel_quorum_ok${SENTINEL}`]: '0x60' }, fires: [] },
    { kind: 'boundary', what: 'just at the limit', at: '10m', series: { [`probe_traceroute_hops${ROUTE}`]: '10x60', ...limit(ROUTE, 'hops', 'warning', 10) }, fires: [] },
  ],
})
