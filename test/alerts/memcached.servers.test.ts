import { memcached } from '../../src/alerts/catalogue/memcached.ts'
import { alertContract, labelsOf } from './promtool.ts'

const TARGET = '10.0.0.3:11211'
const CACHE = labelsOf('sessions', 'memcached', TARGET)
const alerted = { job: 'curlew', probe: 'sessions', type: 'memcached', target: TARGET }

/** A gauge of the target, and how often it is probed (seconds). */
function gauge(name: string, values: string, every = 15): Record<string, string> {
  return { [`probe_memcached_${name}${CACHE}`]: values, [`probe_interval_seconds${CACHE}`]: `${every}x120` }
}

function limited(level: string, severity: string, value: number): Record<string, string> {
  return { [`probe_threshold${CACHE.replace('}', `,name="${level}",level="${severity}"}`)}`]: `${value}x120` }
}

const failure = (layer: string, reason: string) => `probe_failure_info${CACHE.replace('}', `,layer="${layer}",reason="${reason}"}`)}`

alertContract(memcached, {
  MemcachedConnectionsRejected: [
    { kind: 'fires', what: 'some within ten minutes', at: '20m', series: gauge('connections_rejected', '7x12 27x60'), fires: [alerted] },
    {
      kind: 'fires', what: 'one that turns us away, or lets us wait', at: '5m', series: { [failure('connect', 'overloaded')]: '1x20', [`probe_memcached_max_connections${CACHE}`]: '1024x60' }, fires: [alerted],
      says: {
        summary: 'sessions 10.0.0.3:11211 turns connections away',
        description: 'sessions 10.0.0.3:11211 has turned away clients within 10 minutes, 1 or more: it takes 1.024k (-c). Clients treat that as a cache that is down.',
      },
    },
    { kind: 'fires', what: 'after a restart, which counts from 0 again', at: '16m', series: gauge('connections_rejected', '5000x9 _ 0 0 40x60'), fires: [alerted] },
    { kind: 'quiet', what: 'a restart, and none since', at: '16m', series: gauge('connections_rejected', '5000x9 _ 0x60'), fires: [] },
    { kind: 'quiet', what: 'many, hours ago', at: '60m', series: gauge('connections_rejected', '0x5 5000x60'), fires: [] },
    { kind: 'quiet', what: 'a dead one', at: '5m', series: { [failure('connect', 'refused')]: '1x20' }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '5m', series: { [`probe_unknown${CACHE}`]: '1x20', [failure('prober', 'overloaded')]: '1x20' }, fires: [] },
    { kind: 'quiet', what: 'a probe that is too slow for the window', at: '20m', series: gauge('connections_rejected', '7x12 27x60', 300), fires: [] },
    { kind: 'boundary', what: 'just as many as the values allow', values: 'alerts: { MemcachedConnectionsRejected: { thresholds: { rejected: 10 } } }', at: '20m', series: gauge('connections_rejected', '0x14 9x60'), fires: [] },
    { kind: 'boundary', what: 'one more', values: 'alerts: { MemcachedConnectionsRejected: { thresholds: { rejected: 10 } } }', at: '20m', series: gauge('connections_rejected', '0x14 11x60'), fires: [alerted] },
  ],
  MemcachedEvicting: [
    {
      kind: 'fires', what: 'twenty a second', at: '40m', series: { ...gauge('items_evicted', '0+1200x60'), [`probe_memcached_memory_ratio${CACHE}`]: '0.97x60' }, fires: [alerted],
      says: {
        summary: 'sessions 10.0.0.3:11211 evicts items',
        description: 'sessions 10.0.0.3:11211 removes 20 valid items a second to make room for new ones, with 97% of its memory in use: what it should hold does not fit, and more is asked of what lies behind it.',
      },
    },
    { kind: 'fires', what: 'through a restart of the server', at: '45m', series: gauge('items_evicted', '90000+1200x25 0+1200x60'), fires: [alerted] },
    { kind: 'fires', what: 'few, beyond the total that the config allows', at: '40m', series: { ...gauge('items_evicted', '5000+60x60'), ...limited('items_evicted', 'warning', 5_100) }, fires: [alerted] },
    { kind: 'fires', what: 'beyond the total where the config pages', at: '40m', series: { ...gauge('items_evicted', '5000+60x60'), ...limited('items_evicted', 'critical', 5_100) }, fires: [{ ...alerted, severity: 'critical' }] },
    { kind: 'quiet', what: 'many, within what the config allows', at: '40m', series: { ...gauge('items_evicted', '0+1200x60'), ...limited('items_evicted', 'warning', 1_000_000) }, fires: [] },
    { kind: 'quiet', what: 'a restart that lets the counter fall', at: '40m', series: gauge('items_evicted', '90000x20 0x60'), fires: [] },
    { kind: 'quiet', what: 'a burst', at: '40m', series: gauge('items_evicted', '0x20 9000x60'), fires: [] },
    { kind: 'quiet', what: 'unknown: no samples any more', at: '40m', series: gauge('items_evicted', '0+1200x9 _x60'), fires: [] },
    { kind: 'boundary', what: 'just ten a second', at: '40m', series: gauge('items_evicted', '0+600x60'), fires: [] },
    { kind: 'boundary', what: 'a little more', at: '40m', series: gauge('items_evicted', '0+606x60'), fires: [alerted] },
  ],
  MemcachedMemoryHigh: [
    {
      kind: 'fires', what: 'almost full', at: '10m', series: gauge('memory_ratio', '0.97x20'), fires: [alerted],
      says: { summary: 'sessions 10.0.0.3:11211 is almost full', description: 'The items of sessions 10.0.0.3:11211 take 97% of its memory (-m). A full cache evicts; that is an error only where it evicts what is still needed.' },
    },
    { kind: 'fires', what: 'beyond the limit of the config, as the warning that it asks for', at: '10m', series: { ...gauge('memory_ratio', '0.85x20'), ...limited('memory_ratio', 'warning', 0.8) }, fires: [{ ...alerted, severity: 'warning' }] },
    { kind: 'fires', what: 'beyond where the config pages', at: '10m', series: { ...gauge('memory_ratio', '0.94x20'), ...limited('memory_ratio', 'critical', 0.9) }, fires: [{ ...alerted, severity: 'critical' }] },
    { kind: 'quiet', what: 'within the limit of the config', at: '10m', series: { ...gauge('memory_ratio', '0.97x20'), ...limited('memory_ratio', 'warning', 0.98) }, fires: [] },
    { kind: 'quiet', what: 'unknown', at: '10m', series: { [`probe_unknown${CACHE}`]: '1x20' }, fires: [] },
    { kind: 'boundary', what: 'just at the limit', at: '10m', series: gauge('memory_ratio', '0.95x20'), fires: [] },
    { kind: 'boundary', what: 'for less than five minutes', at: '14m', series: gauge('memory_ratio', '0.5x9 0.97x20'), fires: [] },
  ],
})
