import { network } from '../../src/alerts/catalogue/network.ts'
import { alertContract, labelsOf } from './promtool.ts'

const alertOfHost = { job: 'curlew', probe: 'gateway', type: 'ping', target: '10.0.0.254' }
const root = 'gateway/10.0.0.254'
const ping = (more = '', instance = 'curlew-0:9797', type = 'ping') => labelsOf('gateway', type, '10.0.0.254', { instance }).replace('}', `${more}}`)

function down(every: number, { instance, healthy = '0x100', type }: { instance?: string, healthy?: string, type?: string } = {}): Record<string, string> {
  return {
    [`probe_healthy${ping('', instance, type)}`]: healthy, [`probe_root_cause${ping('', instance, type)}`]: '1x100', [`probe_interval_seconds${ping('', instance, type)}`]: `${every}x100`,
    [`probe_info${ping(',host="10.0.0.254"', instance, type)}`]: '1x100',
  }
}

function well(instance: string): Record<string, string> {
  return { [`probe_healthy${ping('', instance)}`]: '1x100', [`probe_root_cause${ping('', instance)}`]: '0x100', [`probe_interval_seconds${ping('', instance)}`]: '5x100' }
}

function losing(values: string, every = 5, instance?: string): Record<string, string> {
  return { [`probe_icmp_packet_loss_ratio${ping('', instance)}`]: values, [`probe_interval_seconds${ping('', instance)}`]: `${every}x400` }
}

function rtt(mean: string, every = 5): Record<string, string> {
  return { [`probe_icmp_duration_seconds${ping(',phase="rtt"')}`]: mean, [`probe_interval_seconds${ping()}`]: `${every}x200` }
}

const longest = (values: string, every = 5) => ({ ...rtt(values, every), [`probe_icmp_rtt_max_seconds${ping()}`]: values })
const limit = (name: string, level: string, value: number) => ({ [`probe_threshold${ping(`,name="${name}",level="${level}"`)}`]: `${value}x400` })
const LONG_FOR = 'alerts: { NetworkHostUnreachable: { for: 1h } }'
const reachable = { ...alertOfHost, host: '10.0.0.254', root }

alertContract(network, {
  NetworkHostUnreachable: [
    ...[5, 60, 3_600].map((every) => ({ kind: 'fires', what: `pinged every ${every} s`, series: down(every), at: '2m', fires: [reachable] } as const)),
    { kind: 'fires', what: 'a nightly cron, not stacked on a long for', values: LONG_FOR, series: down(86_400), at: '3m', fires: [reachable] },
    { kind: 'quiet', what: 'a fast one before its long for is over', values: LONG_FOR, series: down(5, { healthy: '1x20 0x100' }), at: '75m', fires: [] },
    { kind: 'fires', what: 'a fast one after its long for', values: LONG_FOR, series: down(5, { healthy: '1x20 0x100' }), at: '83m', fires: [reachable] },
    {
      kind: 'fires', what: 'with layer and reason', series: { ...down(5), [`probe_failure_info${ping(',layer="network",reason="timeout"')}`]: '1x60' }, at: '5m', fires: [reachable],
      says: { summary: 'The host gateway 10.0.0.254 cannot be reached', description: 'The host gateway 10.0.0.254 answers no ping (network/timeout) as 1 Curlew(s), most of those that look, see it. Alerts about what is on it are muted.' },
    },
    { kind: 'fires', what: 'without its host where none is known', series: { ...down(5), [`probe_info${ping(',host="10.0.0.254"')}`]: '_' }, at: '5m', fires: [{ ...alertOfHost, root }] },
    { kind: 'fires', what: 'through a restart of Curlew', series: { ...down(5, { healthy: '0x5 _ 0x5' }), [`probe_root_cause${ping()}`]: '1x5 _ 1x5' }, at: '6m', fires: [reachable] },
    {
      kind: 'fires', what: 'for nobody where something else explains it', at: '5m',
      series: { ...down(5), [`probe_root_cause${ping()}`]: '0x100', [`probe_explained_by${ping(',root="uplink/10.9.9.9"')}`]: '1x100' },
      fires: [{ ...alertOfHost, severity: 'info', host: '10.0.0.254', root: 'uplink/10.9.9.9' }],
      says: { summary: 'The host gateway 10.0.0.254 cannot be reached', description: 'The host gateway 10.0.0.254 answers no ping as 1 Curlew(s), most of those that look, see it. Alerts about what is on it are muted. uplink/10.9.9.9, which it depends on, fails too: look there first.' },
    },
    { kind: 'quiet', what: 'it is not known yet what explains it', series: { ...down(5), [`probe_root_cause${ping()}`]: '0x100' }, at: '5m', fires: [] },
    { kind: 'quiet', what: 'unknown: no sample', series: { [`probe_unknown${ping()}`]: '1x60', [`probe_interval_seconds${ping()}`]: '5x60' }, at: '10m', fires: [] },
    { kind: 'quiet', what: 'another type', series: down(5, { type: 'redis' }), at: '10m', fires: [] },
    { kind: 'quiet', what: 'a minority of three Curlews', series: { ...down(5), ...well('curlew-1:9797'), ...well('curlew-2:9797') }, at: '10m', fires: [] },
    { kind: 'boundary', what: 'half of two Curlews is no majority', series: { ...down(5), ...well('curlew-1:9797') }, at: '10m', fires: [] },
    { kind: 'boundary', what: 'two of three are', series: { ...down(5), ...down(5, { instance: 'curlew-1:9797' }), ...well('curlew-2:9797') }, at: '10m', fires: [reachable] },
    { kind: 'boundary', what: 'down for less than two scrapes', series: down(5, { healthy: '1x9 0x50' }), at: '10m', fires: [] },
  ],
  NetworkPacketLoss: [
    ...[5, 60].map((every) => ({ kind: 'fires', what: `a fifth, every ${every} s`, series: losing('0x10 0.2x60', every), at: '15m', fires: [alertOfHost] } as const)),
    ...[3_600, 86_400].map((every) => ({ kind: 'fires', what: `a fifth, every ${every} s`, series: losing('0.2x120', every), at: '65m', fires: [alertOfHost] } as const)),
    {
      kind: 'fires', what: 'with numbers', series: losing('0.2x60'), at: '10m', fires: [alertOfHost],
      says: { summary: 'Packets to gateway 10.0.0.254 get lost', description: '20% of the pings to gateway 10.0.0.254 were not answered, in the mean of the last 5 minutes (of an hour where it runs less than once a minute). Connections to it stall and retry.' },
    },
    { kind: 'fires', what: 'through a restart', series: losing('0.2x6 _ _ 0.2x20'), at: '8m', fires: [alertOfHost] },
    { kind: 'fires', what: 'beyond a limit of the probe alone, by its level', series: { ...losing('0.04x60'), ...limit('loss_ratio', 'warning', 0.02), ...limit('loss_ratio', 'critical', 0.03) }, at: '10m', fires: [alertOfHost, { ...alertOfHost, severity: 'critical' }] },
    { kind: 'quiet', what: 'within a limit of the probe', series: { ...losing('0.2x60'), ...limit('loss_ratio', 'warning', 0.3) }, at: '10m', fires: [] },
    { kind: 'quiet', what: 'one packet now and then', series: losing('0x3 0.2 0x3 0 0x3 0.2 0x30'), at: '16m', fires: [] },
    { kind: 'quiet', what: 'unknown: no sample', series: losing('_x60'), at: '10m', fires: [] },
    { kind: 'quiet', what: 'a slow one, long after it left the config', series: { ...losing('0.5x30 stale', 600), [`probe_interval_seconds${ping()}`]: '600x30 stale' }, at: '45m', fires: [] },
    { kind: 'boundary', what: 'just as much as is allowed', series: losing('0.05x60'), at: '10m', fires: [] },
    { kind: 'boundary', what: 'a little more', series: losing('0.051x60'), at: '10m', fires: [alertOfHost] },
    { kind: 'boundary', what: 'a tenth for one of two Curlews', series: { ...losing('0.1x60'), ...losing('0x60', 5, 'curlew-1:9797') }, at: '10m', fires: [] },
  ],
  NetworkRttHigh: [
    { kind: 'fires', what: 'four times its own day', every: '10m', series: rtt('0.02x144 0.08x8'), at: '25h', fires: [alertOfHost] },
    { kind: 'fires', what: 'every 60 s', every: '10m', series: rtt('0.02x144 0.08x8', 60), at: '25h', fires: [alertOfHost] },
    { kind: 'quiet', what: 'every hour: one run is no mean', every: '10m', series: rtt('0.02x144 0.08x8', 3_600), at: '25h', fires: [] },
    { kind: 'quiet', what: 'a nightly cron', every: '10m', series: rtt('0.02x144 0.08x8', 86_400), at: '25h', fires: [] },
    { kind: 'fires', what: 'beyond a limit of the probe, however slow it is', series: { ...longest('0.08x60', 3_600), ...limit('rtt', 'warning', 0.05) }, at: '15m', fires: [alertOfHost] },
    {
      kind: 'fires', what: 'with numbers', series: { ...longest('0.08x60'), ...limit('rtt', 'critical', 0.05) }, at: '15m', fires: [{ ...alertOfHost, severity: 'critical' }],
      says: { summary: 'Round trips to gateway 10.0.0.254 take long', description: 'Pings to gateway 10.0.0.254 take 80ms in the mean of 10 minutes: more than the limit that is set on the probe, or 3 times its own mean of the last day where none is.' },
    },
    { kind: 'quiet', what: 'within a limit of the probe, whatever its day was', every: '10m', series: { ...longest('0.02x144 0.08x8'), ...limit('rtt', 'warning', 0.1) }, at: '25h', fires: [] },
    { kind: 'quiet', what: 'below the floor', every: '10m', series: rtt('0.0002x144 0.015x8'), at: '25h', fires: [] },
    { kind: 'quiet', what: 'after a day of hardly a reply: none is a round trip of 0', values: 'alerts: { NetworkRttHigh: { thresholds: { samples: 10 } } }', every: '10m', series: rtt('0.08x36 0x108 0.08x8'), at: '25h', fires: [] },
    { kind: 'quiet', what: 'too few samples', every: '15m', series: rtt('0.02x80 0.2x20'), at: '22h', fires: [] },
    { kind: 'boundary', what: 'just three times', every: '10m', series: rtt('0.03125x144 0.09375x8'), at: '24h20m', fires: [] },
    { kind: 'boundary', what: 'just the limit of the probe', series: { ...longest('0.05x60'), ...limit('rtt', 'warning', 0.05) }, at: '15m', fires: [] },
  ],
})
