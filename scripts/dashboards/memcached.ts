import type { Spec } from './frame.ts'
import { numberOf } from './numbers.ts'
import { above, bands, lines, rows, STATE_WORDS, TARGET } from './panels.ts'
import { many, stateOf } from './promql.ts'

const { avg, max, merged, of } = many

export const memcached: Spec = {
  uid: 'curlew-memcached', about: 'targets', types: ['memcached'],
  description: 'Memcached servers: connections, memory and evictions.',
  sections: [
    { title: 'State', panels: [
      bands({ title: 'State', unit: 'short', mappings: STATE_WORDS, toTarget: true, description: 'How most Curlews saw each server.', queries: [{ expr: stateOf(many) }] }),
      rows({
        title: 'Servers', unit: 's', description: 'Versions, and the time since each server started. A short one is a restart, with an empty cache.',
        labels: ['probe', 'target', 'version'], values: ['', 'up for'], sortBy: 'up for', ascending: true,
        queries: [{ expr: max('probe_memcached_info') }, { expr: max('probe_memcached_uptime_seconds') }],
      }),
    ] },
    { title: 'Connections', panels: [
      lines({ title: 'Connections of their limit', unit: 'percentunit', min: 0, max: 1, toTarget: true, description: 'Open connections over their limit (-c). At the limit new clients are turned away or wait.', queries: [{ expr: max('probe_memcached_connections_ratio') }] }),
      lines({
        title: 'Connections', unit: 'short', min: 0, description: 'Open connections, and their limit.',
        queries: [{ expr: max('probe_memcached_current_connections'), legend: `${TARGET} open` }, { expr: max('probe_memcached_max_connections'), legend: `${TARGET} limit` }],
      }),
      lines({
        title: 'Connections rejected', unit: 'short', min: 0, toTarget: true, steps: [[1, 'orange']], description: 'Connections turned away at the limit within 10 minutes. Servers that let clients wait instead have no line.',
        queries: [{ expr: merged('max', `increase(${of('probe_memcached_connections_rejected')}[10m])`) }],
      }),
    ] },
    { title: 'Memory', panels: [
      lines({
        title: 'Memory of its limit', unit: 'percentunit', min: 0, max: 1, toTarget: true, steps: above(numberOf('MemcachedMemoryHigh', 'ratio')),
        description: 'Memory of the items over its limit (-m). A full cache is no fault; it is one when it evicts what is still needed.', queries: [{ expr: max('probe_memcached_memory_ratio') }],
      }),
      lines({
        title: 'Memory', unit: 'bytes', min: 0, description: 'Memory of the items, and its limit.',
        queries: [{ expr: max('probe_memcached_current_bytes'), legend: `${TARGET} items` }, { expr: max('probe_memcached_limit_bytes'), legend: `${TARGET} limit` }],
      }),
      lines({
        title: 'Evictions', unit: 'cps', min: 0, toTarget: true, steps: above(numberOf('MemcachedEvicting', 'per_second')),
        description: 'Valid items removed a second to make room for new ones, in the mean of 10 minutes.', queries: [{ expr: merged('max', `rate(${of('probe_memcached_items_evicted')}[10m])`) }],
      }),
    ] },
    { title: 'Time', panels: [
      lines({ title: 'Phases', unit: 's', stacked: true, min: 0, description: 'How long each phase took, the mean of these servers.', queries: [{ expr: `avg by (phase) (${of('probe_memcached_duration_seconds')})`, legend: '{{phase}}' }] }),
      lines({ title: 'Answer time', unit: 's', min: 0, toTarget: true, description: 'How long the commands of a run took, without the way there.', queries: [{ expr: avg('probe_memcached_duration_seconds', 'phase="request"') }] }),
    ] },
  ],
}
