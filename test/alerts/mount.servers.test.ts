import { mount } from '../../src/alerts/catalogue/mount.ts'
import { alertContract, labelsOf, type Case } from './promtool.ts'

const onNode = (node: string, more: Readonly<Record<string, string>> = {}) => labelsOf('data', 'mount', '/data', { instance: `${node}:9797`, node, ...more })
const A = onNode('a')
const alertOn = (node: string) => ({ job: 'curlew', instance: `${node}:9797`, node, probe: 'data', type: 'mount', target: '/data' })
const plus = (labels: string, more: string) => labels.replace('}', `,${more}}`)

/** A mount that fails for this: all the time, unless said otherwise. */
function failing(labels: string, layer: string, reason: string, { healthy = '0x60', info = '1x60' } = {}): Record<string, string> {
  return { [`probe_healthy${labels}`]: healthy, [`probe_failure_info${plus(labels, `layer="${layer}",reason="${reason}"`)}`]: info }
}

function well(labels: string): Record<string, string> {
  return { [`probe_healthy${labels}`]: '1x60', [`probe_mount_readonly${labels}`]: '0x60' }
}

/** Four cases that every failure of a mount has: what it is, what it is not, on which node, and how long. */
function failureCases(layer: string, reason: string, others: readonly (readonly [string, string])[]): Case[] {
  return [
    { kind: 'fires', what: 'on one node of two', series: { ...failing(A, layer, reason), ...well(onNode('b')) }, at: '5m', fires: [alertOn('a')] },
    { kind: 'fires', what: 'on each node by itself', series: { ...failing(A, layer, reason), ...failing(onNode('b'), layer, reason) }, at: '5m', fires: [alertOn('a'), alertOn('b')] },
    { kind: 'fires', what: 'once where two pods have looked', series: { ...failing(onNode('a', { pod: 'old' }), layer, reason, { healthy: '0x3', info: '1x3' }), ...failing(onNode('a', { pod: 'new' }), layer, reason, { healthy: '_x3 0x60', info: '_x3 1x60' }) }, at: '5m', fires: [alertOn('a')] },
    { kind: 'fires', what: 'through a run of a slow probe that is unknown', series: failing(A, layer, reason, { info: '1x20 _x40' }), at: '50m', fires: [alertOn('a')] },
    { kind: 'quiet', what: 'nobody could look at it', series: { [`probe_unknown${A}`]: '1x60' }, at: '10m', fires: [] },
    { kind: 'quiet', what: 'unknown for so long that its health has lapsed', series: failing(A, layer, reason, { healthy: '0x5 _x55', info: '1x2 _x58' }), at: '15m', fires: [] },
    { kind: 'quiet', what: 'a failure that is not confirmed', series: failing(A, layer, reason, { healthy: '1x60' }), at: '5m', fires: [] },
    { kind: 'quiet', what: 'another type', series: failing(A.replace('"mount"', '"tcp"'), layer, reason), at: '5m', fires: [] },
    ...others.map(([otherLayer, otherReason]): Case => ({ kind: 'quiet', what: `${otherLayer}/${otherReason}`, series: failing(A, otherLayer, otherReason), at: '5m', fires: [] })),
    { kind: 'quiet', what: 'it was that, and fails for another reason', series: { ...failing(A, layer, reason, { info: '1x5 _x60' }), ...failing(A, 'request', 'full', { info: '_x6 1x60' }) }, at: '12m', fires: [] },
    { kind: 'boundary', what: 'for less than two scrapes', series: failing(A, layer, reason, { healthy: '1x9 0x50' }), at: '10m', fires: [] },
    { kind: 'boundary', what: 'for two scrapes', series: failing(A, layer, reason, { healthy: '1x9 0x50' }), at: '11m', fires: [alertOn('a')] },
  ]
}

const infoOf = (labels: string) => ({ [`probe_mount_info${plus(labels, 'fstype="ceph",device="10.0.0.9:/"')}`]: '1x60' })

/** One ratio of a mount that is probed so often. */
const ratio = (name: string, values: string, every = 30, labels = A) => ({ [`probe_mount_${name}${labels}`]: values, [`probe_interval_seconds${labels}`]: `${every}x4000` })
const limit = (name: string, level: string, value: number) => ({ [`probe_threshold${plus(A, `name="${name}",level="${level}"`)}`]: `${value}x4000` })

function lowCases(name: string, what: string, description: string): Case[] {
  const warning = { ...alertOn('a'), severity: 'warning' }
  const critical = { ...alertOn('a'), severity: 'critical' }
  return [
    { kind: 'fires', what: 'nearly full', series: ratio(name, '0.95x60'), at: '10m', fires: [warning] },
    { kind: 'fires', what: 'full', series: ratio(name, '0.98x60'), at: '10m', fires: [warning, critical] },
    {
      kind: 'fires', what: 'with what is known of it', series: { ...ratio(name, '0.95x60'), ...infoOf(A), ...infoOf(onNode('b')) }, at: '10m', fires: [warning],
      says: { summary: `/data on a runs out of ${what}`, description: `95% of ${description}` },
    },
    { kind: 'quiet', what: 'not full', series: ratio(name, '0.5x60'), at: '10m', fires: [] },
    { kind: 'quiet', what: 'an image, which is full by nature', series: { ...ratio(name, '1x60'), [`probe_mount_readonly${A}`]: '1x60' }, at: '10m', fires: [] },
    { kind: 'fires', what: 'read-only on another node alone', series: { ...ratio(name, '0.95x60'), [`probe_mount_readonly${A}`]: '0x60', [`probe_mount_readonly${onNode('b')}`]: '1x60' }, at: '10m', fires: [warning] },
    { kind: 'fires', what: 'read-only, beyond the limit of the config', series: { ...ratio(name, '1x60'), [`probe_mount_readonly${A}`]: '1x60', ...limit(name, 'warning', 0.99) }, at: '10m', fires: [warning] },
    { kind: 'quiet', what: 'below the limit of the config', series: { ...ratio(name, '0.95x60'), ...limit(name, 'warning', 0.96), ...limit('other', 'warning', 0.1) }, at: '10m', fires: [] },
    { kind: 'fires', what: 'beyond the limit of the config', series: { ...ratio(name, '0.6x60'), ...limit(name, 'critical', 0.55) }, at: '10m', fires: [critical] },
    { kind: 'boundary', what: 'just at the level', series: ratio(name, '0.9x60'), at: '10m', fires: [] },
    { kind: 'boundary', what: 'just beyond it', series: ratio(name, '0.901x60'), at: '10m', fires: [warning] },
  ]
}

/** With scrapes of ten minutes: what was firing once is seen at the end where it goes on firing for days. */
const PACE = { every: '10m', values: 'scrape_interval: 10m' }
const everSince = (alert: string) => ({ every: '10m', values: `{ scrape_interval: 10m, alerts: { ${alert}: { keep_firing_for: 9d } } }` })

function fillingCases(alert: string, name: string, description: string): Case[] {
  const fires = [alertOn('a')]
  const samples = (values: readonly number[]) => values.map((value) => Number(value.toFixed(4))).join(' ')
  /** Flat for 12 hours, then growing by so much every ten minutes. */
  const leak = (from: number, step: number, hours = 8) => samples(Array.from({ length: 72 + hours * 6 }, (_, index) => from + step * Math.max(0, index - 71)))
  /** A job of an hour takes a tenth from the seventh hour of each day on; four hours later some of it is gone. */
  const nightly = (keeps: number, days: number) => samples(Array.from({ length: days * 144 }, (_, index) => {
    const [day, step] = [Math.floor(index / 144), index % 144]
    return 0.55 + day * keeps + (step < 36 ? 0 : step < 66 ? Math.min(0.1, (step - 36) / 60) : keeps)
  }))
  return [
    { kind: 'fires', what: 'three hundredths an hour', ...PACE, series: ratio(name, leak(0.52, 0.005)), at: '19h', fires },
    { kind: 'fires', what: 'and is seen long after', ...everSince(alert), series: ratio(name, `${leak(0.52, 0.005)} 0.1x700`), at: '80h', fires },
    { kind: 'fires', what: 'of a probe of an hour', ...PACE, series: ratio(name, leak(0.52, 0.005).replaceAll(/(\S+)(?: \S+){5}/g, '$1 $1 $1 $1 $1 $1'), 3_600), at: '19h', fires },
    {
      kind: 'fires', what: 'with the time that is left', ...PACE, series: { ...ratio(name, leak(0.52, 0.005)), ...ratio(name, '0.1x4000', 30, onNode('0')) }, at: '19h', fires,
      says: { summary: `/data on a is running out of ${description.startsWith('inodes') ? 'inodes' : 'space'}`, description: `At the growth of the last six hours the ${description}` },
    },
    { kind: 'quiet', what: 'almost empty', ...PACE, series: ratio(name, leak(0.1, 0.005)), at: '19h', fires: [] },
    { kind: 'quiet', what: 'flat', ...PACE, series: ratio(name, '0.8x700'), at: '19h', fires: [] },
    { kind: 'quiet', what: 'too slowly to be full within a day', ...PACE, series: ratio(name, leak(0.52, 0.001)), at: '19h', fires: [] },
    { kind: 'quiet', what: 'no history', ...PACE, series: ratio(name, samples(Array.from({ length: 40 }, (_, index) => 0.52 + 0.005 * index))), at: '4h', fires: [] },
    { kind: 'quiet', what: 'too few samples', every: '10m', values: `{ scrape_interval: 10m, alerts: { ${alert}: { for: 0s } } }`, series: ratio(name, `${samples(Array.from({ length: 72 }, () => 0.52))} _x27 ${samples(Array.from({ length: 10 }, (_, index) => 0.6 + 0.01 * index))}`), at: '18h', fires: [] },
    { kind: 'quiet', what: 'a probe that is too slow', ...PACE, series: ratio(name, leak(0.52, 0.005), 7_200), at: '19h', fires: [] },
    { kind: 'quiet', what: 'the level speaks', ...PACE, series: ratio(name, leak(0.72, 0.005)), at: '19h', fires: [] },
    { kind: 'quiet', what: 'the limit of the config speaks', ...PACE, series: { ...ratio(name, leak(0.52, 0.005)), ...limit(name, 'critical', 0.6) }, at: '19h', fires: [] },
    { kind: 'quiet', what: 'a nightly job that cleans up, ever', ...everSince(alert), series: ratio(name, nightly(0, 4)), at: '95h', fires: [] },
    { kind: 'quiet', what: 'a nightly job that leaves what it wrote, ever', ...everSince(alert), series: ratio(name, nightly(0.1, 3)), at: '71h', fires: [] },
    { kind: 'boundary', what: 'it has stopped', ...PACE, series: ratio(name, `${leak(0.52, 0.005, 5)} 0.67x120`), at: '19h30m', fires: [] },
    { kind: 'boundary', what: 'for less than an hour', ...PACE, series: ratio(name, leak(0.52, 0.02)), at: '14h10m', fires: [] },
    { kind: 'boundary', what: 'for an hour', ...PACE, series: ratio(name, leak(0.52, 0.02)), at: '14h20m', fires },
  ]
}

const fsync = (values: string, every: number, labels = A) => ({ [`probe_mount_duration_seconds${plus(labels, 'phase="fsync"')}`]: values, [`probe_mount_duration_seconds${plus(labels, 'phase="read"')}`]: '9x60', [`probe_interval_seconds${labels}`]: `${every}x60` })

const DU = 'Look for what grows, as with du -x, and delete it or enlarge the volume.'
const INODES = 'There are too many files, however small: look for the directory that holds them, as with du -x --inodes.'

const STALE = ['connect', 'stale'] as const
const HUNG = ['request', 'hung'] as const
const ABSENT = ['connect', 'not_found'] as const
const READ_ONLY = ['request', 'read_only'] as const

alertContract(mount, {
  MountHung: [
    ...failureCases(...HUNG, [ABSENT, READ_ONLY, STALE, ['request', 'timeout']]),
    {
      kind: 'fires', what: 'with what is known of it, on this node', at: '5m', series: { ...failing(A, ...HUNG), ...infoOf(A), [`probe_mount_stuck_seconds${A}`]: '60+60x60', ...failing(onNode('0'), ...ABSENT), [`probe_mount_stuck_seconds${onNode('0')}`]: '7x60' },
      fires: [alertOn('a')],
      says: { summary: '/data on a hangs', description: 'A call to the file system on /data on a (ceph on 10.0.0.9:/) does not come back (request/hung); it has been waiting for 6m 0s. Everything that touches it hangs too, and cannot be killed. Look at its servers and at dmesg of the node.' },
    },
  ],
  MountNotMounted: failureCases(...ABSENT, [HUNG, READ_ONLY, STALE, ['request', 'not_found']]),
  MountReadOnly: [
    ...failureCases(...READ_ONLY, [ABSENT, HUNG, STALE, ['request', 'denied']]),
    { kind: 'fires', what: 'turned so below a probe that only reads', series: { ...well(A), [`probe_mount_readonly${A}`]: '0x5 1x55' }, at: '10m', fires: [alertOn('a')] },
    { kind: 'quiet', what: 'meant to be so', series: { ...well(A), [`probe_mount_readonly${A}`]: '1x60' }, at: '10m', fires: [] },
    { kind: 'quiet', what: 'mounted again', series: { ...well(A), [`probe_mount_readonly${A}`]: '0x5 1x5 0x50' }, at: '15m', fires: [] },
  ],
  MountFsyncSlow: [
    { kind: 'fires', what: 'for five minutes', series: fsync('2x60', 10), at: '12m', fires: [alertOn('a')] },
    { kind: 'fires', what: 'in the last run of a slow probe', series: fsync('2x60', 3_600), at: '12m', fires: [alertOn('a')] },
    { kind: 'quiet', what: 'one slow run', series: fsync('0.01x20 3 0.01x39', 10), at: '22m', fires: [] },
    { kind: 'quiet', what: 'fast', series: fsync('0.01x60', 10), at: '12m', fires: [] },
    { kind: 'quiet', what: 'never reached', series: { [`probe_interval_seconds${A}`]: '10x60' }, at: '12m', fires: [] },
    { kind: 'boundary', what: 'just a second', series: fsync('1x60', 10), at: '12m', fires: [] },
    { kind: 'boundary', what: 'just more', series: fsync('1.01x60', 10), at: '12m', fires: [alertOn('a')] },
  ],
  MountSpaceLow: lowCases('used_ratio', 'space', `the space of /data on a (ceph on 10.0.0.9:/) is in use. When none is left, writes fail. ${DU}`),
  MountSpaceFillingUp: fillingCases('MountSpaceFillingUp', 'used_ratio', `space of /data on a is used up in 8h 50m 0s; now 73.5% is in use. ${DU}`),
  MountInodesLow: lowCases('files_used_ratio', 'inodes', `the inodes of /data on a (ceph on 10.0.0.9:/) are in use. When none are left, writes fail. ${INODES}`),
  MountInodesFillingUp: fillingCases('MountInodesFillingUp', 'files_used_ratio', `inodes of /data on a are used up in 8h 50m 0s; now 73.5% are in use. ${INODES}`),
})
