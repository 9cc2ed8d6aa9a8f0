import { host } from '../../src/alerts/catalogue/host.ts'
import { alertContract, labelsOf } from './promtool.ts'

const agent = (node: string) => labelsOf('host', 'host', node, { instance: `${node}:9797`, node })
const alertOn = (node: string) => ({ job: 'curlew', instance: `${node}:9797`, probe: 'host', type: 'host', target: node, node })
const plus = (labels: string, more: string) => labels.replace('}', `,${more}}`)
const A = agent('a')
const B = agent('b')
const gauge = (name: string, value: string, labels = A) => ({ [`probe_host_${name}${labels}`]: value })
const limit = (name: string, level: string, value: string) => ({ [`probe_threshold${plus(A, `name="${name}",level="${level}"`)}`]: value })
const critical = { ...alertOn('a'), severity: 'critical' }

alertContract(host, {
  HostThrashing: [
    {
      kind: 'fires', what: 'on one of two', at: '5m', fires: [alertOn('a')],
      series: { [`probe_healthy${A}`]: '0x60', [`probe_failure_info${plus(A, 'layer="request",reason="overloaded"')}`]: '1x60', ...gauge('refaults_per_second', '5000x60', plus(A, 'kind="file"')), [`probe_healthy${B}`]: '1x60' },
      says: { summary: 'a stands still for want of memory', description: 'a throws out pages that it needs and reads them back, 5k a second: everything on it takes seconds or minutes, and soon nobody can log in. Stop what takes the memory while that is possible.' },
    },
    { kind: 'fires', what: 'on a machine without Kubernetes', at: '5m', fires: [{ job: 'curlew', instance: 'curlew-0:9797', probe: 'host', type: 'host', target: 'db-1', node: 'db-1' }], series: { [`probe_healthy${labelsOf('host', 'host', 'db-1')}`]: '0x60', [`probe_failure_info${plus(labelsOf('host', 'host', 'db-1'), 'layer="request",reason="overloaded"')}`]: '1x60' } },
    { kind: 'quiet', what: 'beyond a limit of the config', at: '5m', fires: [], series: { [`probe_healthy${A}`]: '0x60', [`probe_failure_info${plus(A, 'layer="assert",reason="mismatch"')}`]: '1x60' } },
    { kind: 'boundary', what: 'for less than a minute', at: '10m', fires: [], series: { [`probe_healthy${A}`]: '1x9 0x60', [`probe_failure_info${plus(A, 'layer="request",reason="overloaded"')}`]: '_x9 1x60' } },
    { kind: 'boundary', what: 'for a minute', at: '11m', fires: [alertOn('a')], series: { [`probe_healthy${A}`]: '1x9 0x60', [`probe_failure_info${plus(A, 'layer="request",reason="overloaded"')}`]: '_x9 1x60' } },
  ],
  HostMemoryPressure: [
    {
      kind: 'fires', what: 'everything waits', at: '10m', fires: [alertOn('a')], series: { ...gauge('memory_stalled_ratio', '0.2x60'), ...gauge('memory_available_ratio', '0.2x60'), ...gauge('memory_stalled_ratio', '0.01x60', B) },
      says: { summary: 'a is short of memory', description: 'a is short of memory; 20% of it is available; everything waits for it in 20% of a minute. Look for what grows, before the OOM killer chooses or the machine freezes.' },
    },
    { kind: 'fires', what: 'hardly any is available', at: '10m', fires: [alertOn('a')], series: { ...gauge('memory_stalled_ratio', '0x60'), ...gauge('memory_available_ratio', '0.02x60') } },
    { kind: 'fires', what: 'both, and critical', at: '10m', fires: [alertOn('a'), critical], series: { ...gauge('memory_stalled_ratio', '0.5x60'), ...gauge('memory_available_ratio', '0.02x60') } },
    { kind: 'quiet', what: 'below a limit of the config', at: '10m', fires: [], series: { ...gauge('memory_stalled_ratio', '0.2x60'), ...limit('memory_stalled', 'warning', '0.3x60') } },
    { kind: 'quiet', what: 'without PSI', at: '10m', fires: [], series: gauge('memory_available_ratio', '0.2x60') },
    { kind: 'boundary', what: 'just the limits', at: '10m', fires: [], series: { ...gauge('memory_stalled_ratio', '0.1x60'), ...gauge('memory_available_ratio', '0.03x60') } },
    { kind: 'boundary', what: 'for less than five minutes', at: '4m', fires: [], series: gauge('memory_stalled_ratio', '0.5x60') },
  ],
  HostIoPressure: [
    { kind: 'fires', what: 'busy', at: '15m', fires: [alertOn('a')], series: gauge('io_stalled_ratio', '0.4x60') },
    { kind: 'fires', what: 'very busy', at: '15m', fires: [alertOn('a'), critical], series: gauge('io_stalled_ratio', '0.8x60') },
    { kind: 'quiet', what: 'idle', at: '15m', fires: [], series: gauge('io_stalled_ratio', '0.01x60') },
    { kind: 'boundary', what: 'for less than ten minutes', at: '9m', fires: [], series: gauge('io_stalled_ratio', '0.8x60') },
    { kind: 'boundary', what: 'just 30 %', at: '15m', fires: [], series: gauge('io_stalled_ratio', '0.3x60') },
  ],
  HostLimitNear: [
    {
      kind: 'fires', what: 'inotify', at: '10m', fires: [{ ...alertOn('a'), limit: 'inotify' }], series: { ...gauge('inotify_ratio', '0.85x60'), ...gauge('files_ratio', '0.1x60') },
      says: { summary: 'a is near a limit of its kernel: inotify', description: '85% of the limit on inotify is in use on a. At the limit: inotify breaks log collection, kubelet and whatever watches files; files and pids stop anything new; conntrack drops packets of new connections.' },
    },
    { kind: 'fires', what: 'several, each by its name', at: '10m', fires: [{ ...alertOn('a'), limit: 'files' }, { ...alertOn('a'), limit: 'pids' }, { ...alertOn('a'), limit: 'conntrack' }, { ...critical, limit: 'conntrack' }], series: { ...gauge('files_ratio', '0.9x60'), ...gauge('pids_ratio', '0.9x60'), ...gauge('conntrack_ratio', '0.99x60') } },
    { kind: 'fires', what: 'beyond a limit of the config', at: '10m', fires: [{ ...critical, limit: 'pids' }], series: { ...gauge('pids_ratio', '0.6x60'), ...limit('pids', 'critical', '0.5x60') } },
    { kind: 'quiet', what: 'nothing was counted', at: '10m', fires: [], series: gauge('inotify_complete', '0x60') },
    { kind: 'boundary', what: 'just 80 %', at: '10m', fires: [], series: gauge('files_ratio', '0.8x60') },
    { kind: 'boundary', what: 'a little more', at: '10m', fires: [{ ...alertOn('a'), limit: 'files' }], series: gauge('files_ratio', '0.81x60') },
  ],
})
